"""A load balancer that says whose connections it forwards."""

import contextlib
import selectors
import socket
import struct
import threading

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def proxy_header(client, port, destination=("127.0.0.1", 9092), more=b""):
    """PROXY protocol version 2, for TCP over IPv4 or IPv6; `more` are type-length-value triples."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    target = destination[0] if family == socket.AF_INET else "::1"
    body = socket.inet_pton(family, client) + socket.inet_pton(family, target)
    body += struct.pack(">HH", port, destination[1]) + more
    return SIGNATURE + bytes([0x21, 0x11 if family == socket.AF_INET else 0x21]) + struct.pack(">H", len(body)) + body


class Balancer:
    """Listens on `ports` of its own address and forwards each to the same port of 127.0.0.1, from `source`, with the header
    first. As a context manager."""

    def __init__(self, ports, address, source, header):
        self.address, self.source, self.header = address, source, header
        self._selector = selectors.DefaultSelector()
        self._stop, self._stopped = socket.socketpair()
        self._selector.register(self._stopped, selectors.EVENT_READ, self._end)
        self._running = True
        for port in ports:
            listener = socket.create_server((address, port))
            self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def __enter__(self):
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.send(b"x")
        self._thread.join(10)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()
        self._stop.close()

    def _run(self):
        while self._running:
            for key, _ in self._selector.select():
                if key.fileobj.fileno() >= 0:
                    key.data(key.fileobj)

    def _end(self, _):
        self._running = False

    def _accept(self, listener):
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", listener.getsockname()[1]), 10, (self.source, 0))
        except OSError:
            client.close()
            return
        server.sendall(self.header)
        self._selector.register(client, selectors.EVENT_READ, lambda one: self._forward(one, server))
        self._selector.register(server, selectors.EVENT_READ, lambda one: self._forward(one, client))

    def _forward(self, one, other):
        with contextlib.suppress(OSError):
            data = one.recv(1 << 16)
            if data:
                other.sendall(data)
                return
        for end in (one, other):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()
