"""A native client without a library: sends any request and reads what comes."""

import socket
import struct
import time

from kafka.record.memory_records import MemoryRecordsBuilder

from .protocol import Reader, TreeWriter, frame


def record_batch(values=(b"authorised",)):
    """Of now: a broker deletes what is older than its topic's retention, whenever it looks, every few minutes."""
    now_ms = int(time.time() * 1000)
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=1 << 20)
    for value in values:
        builder.append(timestamp=now_ms, key=None, value=value, headers=[])
    builder.close()
    return bytes(builder.buffer())


def receive(connection, count):
    """So many bytes of a socket, fewer at its end, in whatever pieces they come: with a time limit, as all sockets here have
    one, MSG_WAITALL waits for the first."""
    data = b""
    while len(data) < count and (part := connection.recv(count - len(data))):
        data += part
    return data


def receive_frame(connection):
    """The next frame without its length; empty when the other side has closed."""
    size = receive(connection, 4)
    return receive(connection, struct.unpack(">i", size)[0]) if len(size) == 4 else b""


class Wire:
    """A connection, authenticated if there is a user; answers are read as Kafka defines them."""

    def __init__(self, definitions, address, user=None, password=None):
        self.definitions, self.correlation = definitions, 0
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        if user is None:
            return
        assert self._call(17, 1, {"Mechanism": "PLAIN"})["ErrorCode"] == 0
        token = f"\0{user}\0{password}".encode()
        assert self._call(36, 2, {"AuthBytes": token})["ErrorCode"] == 0

    def _call(self, key, version, tree):
        return self.ask(self.definitions.requests[key], version, tree)

    def ask(self, definition, version, tree):
        self.correlation += 1
        writer = TreeWriter(definition, version, tree)
        self.socket.sendall(frame(definition, version, writer, self.correlation, b"authoriser"))
        size = struct.unpack(">i", self._receive(4))[0]
        answer = self._receive(size)
        assert struct.unpack(">i", answer[:4])[0] == self.correlation
        return Reader(self.definitions.responses[definition["apiKey"]], version, answer[4:]).body

    def _receive(self, count):
        data = receive(self.socket, count)
        assert len(data) == count, "the connection was closed"
        return data

    def close(self):
        self.socket.close()
