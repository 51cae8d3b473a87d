"""Many raw connections on one thread: for tests in which a thread or an object for each would be the bottleneck."""

import resource
import selectors
import socket
import time


def raise_file_limit(wanted):
    """The limit of open files, raised to `wanted` or as far as it goes; programs started later inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


def exchange(port, request, timeout=30.0):
    """Sends the bytes as they are and returns everything that comes until the other side closes. What is still unsent
    when it does (a refusal in the middle) is dropped."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        try:
            sock.sendall(request)
        except OSError:
            pass
        try:
            while data := sock.recv(65536):
                answer += data
        except ConnectionResetError:
            pass
    return answer


class Member:
    def __init__(self, sock):
        self.sock = sock
        self.received = b""
        self.closed = False
        self.news = True  # since a condition was last asked


class Crowd:
    """`Crowd(port, [b"GET ...", ...])` connects once for each request and sends it. `read(condition)` collects what
    comes until `condition(member)` holds for all, or they are closed. Without a small `receive_buffer`, which is for those
    who do not read, what comes meanwhile is read while the others still connect."""

    def __init__(self, port, requests, receive_buffer=None):
        self._selector = selectors.DefaultSelector()
        self.members = []
        for request in requests:
            sock = socket.socket()
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            sock.settimeout(60)
            sock.connect(("127.0.0.1", port))
            member = Member(sock)
            self.members.append(member)
            if request:
                sock.sendall(request)
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, member)
            if request and not receive_buffer:
                self.poll(0)

    def _receive(self, member):
        try:
            data = member.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        member.received += data
        member.news = True
        if not data:
            member.closed = True
            self._selector.unregister(member.sock)

    def read(self, condition, timeout=60.0, what="the crowd"):
        def fulfilled(member):
            if not member.news:
                return False
            member.news = False
            return member.closed or condition(member)

        deadline = time.monotonic() + timeout
        for member in self.members:
            member.news = True
        pending = self.members
        while pending := [member for member in pending if not fulfilled(member)]:
            assert time.monotonic() < deadline, (
                f"gave up after {timeout:g} s waiting for {what}: "
                f"{sum(member.closed for member in self.members)} closed, "
                f"{sum(bool(condition(member)) for member in self.members)} fulfilled, of {len(self.members)}")
            self.poll(0.2)

    def poll(self, seconds):
        """Collects what is there, or comes first within that time."""
        for key, _ in self._selector.select(seconds):
            self._receive(key.data)

    def send(self, data):
        """To each that is open, as far as the kernel takes it."""
        for member in self.members:
            if not member.closed:
                try:
                    member.sock.send(data)
                except OSError:
                    pass

    def open_count(self):
        return sum(not member.closed for member in self.members)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.sock.close()
        self._selector.close()
