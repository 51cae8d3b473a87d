"""A Kafka client of the plainest kind, for what must be seen on the wire: SASL frames and the order of answers."""

import socket
import struct
from dataclasses import dataclass


@dataclass
class Authenticated:
    error: int
    message: str | None
    data: bytes
    session_lifetime_ms: int


class WirePeer:
    def __init__(self, port, timeout=30, tls=None):
        """`tls`: an ssl.SSLContext."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1")
        self._correlation = 100

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, key, version, body, correlation):
        frame = struct.pack(">hhih", key, version, correlation, -1) + body
        self._socket.sendall(struct.pack(">i", len(frame)) + frame)

    def _read(self, size):
        """So many bytes, fewer at the end of the connection. TLS has no MSG_WAITALL."""
        read = b""
        while len(read) < size and (more := self._socket.recv(size - len(read))):
            read += more
        return read

    def answer(self):
        """The next frame without its length; empty at the end of the connection."""
        try:
            size = self._read(4)
            return self._read(struct.unpack(">i", size)[0]) if len(size) == 4 else b""
        except ConnectionResetError:
            return b""

    def _ask(self, send, *arguments):
        self._correlation += 1
        send(*arguments, self._correlation)
        answer = self.answer()
        assert answer == b"" or struct.unpack(">i", answer[:4])[0] == self._correlation
        return answer[4:]

    def send_handshake(self, mechanism, correlation):
        self.send(17, 1, struct.pack(">h", len(mechanism)) + mechanism.encode(), correlation)

    def send_authenticate(self, data, correlation):
        self.send(36, 1, struct.pack(">i", len(data)) + data, correlation)

    def send_metadata(self, correlation):
        self.send(3, 1, struct.pack(">i", 0), correlation)

    def handshake(self, mechanism):
        """(error, mechanisms)"""
        answer = self._ask(self.send_handshake, mechanism)
        error, count = struct.unpack(">hi", answer[:6])
        at, names = 6, []
        for _ in range(count):
            size = struct.unpack(">h", answer[at:at + 2])[0]
            names.append(answer[at + 2:at + 2 + size].decode())
            at += 2 + size
        return error, names

    def authenticate(self, data):
        answer = self._ask(self.send_authenticate, data)
        error, size = struct.unpack(">hh", answer[:4])
        at = 4 + max(size, 0)
        message = answer[4:at].decode() if size >= 0 else None
        size = struct.unpack(">i", answer[at:at + 4])[0]
        return Authenticated(error, message, answer[at + 4:at + 4 + size],
                             struct.unpack(">q", answer[at + 4 + size:at + 12 + size])[0])

    def metadata(self):
        return self._ask(self.send_metadata)

    def wait_closed(self, timeout):
        """Does the other side close, and say nothing more?"""
        self._socket.settimeout(timeout)
        return self.answer() == b""
