"""Nothing on the way damages an event: readers of every pace go from catch-up to the live ring and back while it wraps,
and what they get is judged byte by byte. Each event carries a checksum of its own.
"""

import base64
import binascii
import json
import random
import socket
import threading

import pytest

from sluice_support import SampleApi

PARTITIONS = 3
OLD, NEW = 500, 500  # events before the readers come, and while they read
TIMEOUT = 300


def payload(number, chance):
    """JSON or bytes, from almost nothing to more than a window's share, with its checksum inside."""
    size = chance.choice([10, 200, 1900, 2100, 3000, 3000, 9000, 40000])
    filler = chance.randbytes(size // 2).hex()
    if number % 5 == 0:
        body = b"\x00\xff" + f"{number}:".encode() + filler.encode()
        return body + b":%08x" % binascii.crc32(body)
    lines = "\r\n " if number % 7 == 0 else ""
    return f'{{"n":{number},{lines}"crc":{binascii.crc32(filler.encode())},"filler":"{filler}"}}'.encode()


def judge(event):
    """The number of the event, if it is whole."""
    if "data_base64" in event:
        body, _, crc = base64.b64decode(event["data_base64"], validate=True).rpartition(b":")
        assert binascii.crc32(body) == int(crc, 16)
        number = int(body[2:].partition(b":")[0])
    else:
        assert binascii.crc32(event["data"]["filler"].encode()) == event["data"]["crc"]
        number = event["data"]["n"]
    assert event["key"] == f"key-{number}" and event["headers"] == [{"name": "n", "value": str(number)}]
    return number


class Wire:
    """A stream's bytes: the chunks of RFC 9112, and nothing else, become lines."""

    def __init__(self, sample, query, receive_buffer=None, last_id=None, piece=65536):
        self.piece = piece
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(("127.0.0.1", sample.port))
        fields = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        self.socket.sendall(f"GET /orders/v1/events{query} HTTP/1.1\r\nHost: g\r\nX-API-Key: {sample.key}\r\n"
                            f"Accept: text/event-stream\r\n{fields}\r\n".encode())
        self.raw, self.text = bytearray(), bytearray()
        head = self._raw_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"chunked" in head, head

    def _more(self):
        data = self.socket.recv(self.piece)
        assert data, "the stream ended"
        self.raw += data

    def _raw_until(self, marker):
        while (at := self.raw.find(marker)) < 0:
            self._more()
        found = bytes(self.raw[:at])
        del self.raw[:at + len(marker)]
        return found

    def line(self):
        while (at := self.text.find(b"\n")) < 0:
            size = int(self._raw_until(b"\r\n"), 16)
            while len(self.raw) < size + 2:
                self._more()
            assert self.raw[size:size + 2] == b"\r\n", "a chunk does not end where it should"
            self.text += self.raw[:size]
            del self.raw[:size + 2]
        found = bytes(self.text[:at])
        del self.text[:at + 1]
        return found


class Reader(threading.Thread):
    """Reads until it has seen everything; `leaves` is after how many events it goes away and comes back by its cursor."""

    def __init__(self, sample, query, leaves=None, **options):
        super().__init__(daemon=True)
        self.sample, self.query, self.leaves, self.options = sample, query, leaves, options
        self.placed = threading.Event()
        self.numbers, self.offsets, self.last_id, self.failure = [], {}, None, None
        self.wanted = set(range(OLD + NEW)) if "earliest" in query else set(range(OLD, OLD + NEW))

    def run(self):
        try:
            while len(self.numbers) < len(self.wanted):
                self._visit(Wire(self.sample, self.query, last_id=self.last_id, **self.options))
        except Exception as failure:  # told by the test
            self.failure = failure
        self.placed.set()

    def _visit(self, wire):
        left = self.leaves or OLD + NEW
        with wire.socket:
            while left > 0 and len(self.numbers) < len(self.wanted):
                line = wire.line()
                if line.startswith(b"data: "):
                    self._take(json.loads(line[6:]))
                    assert wire.line() == b""
                    left -= 1
                elif line.startswith(b"id: "):
                    self.last_id = line[4:].decode("ascii")
                elif line == b": ok":
                    self.placed.set()
                else:
                    assert line in (b"", b":") or line.startswith(b"retry: "), line[:200]

    def _take(self, event):
        partition, offset = map(int, event["id"].split("-"))
        number = judge(event)
        expected = self.offsets.get(partition, offset)
        assert offset == expected, f"{event['id']} came where {partition}-{expected} was due"
        self.offsets[partition] = offset + 1
        if number in self.wanted:  # what was stored just before the reader came may come as well
            self.numbers.append(number)


@pytest.fixture(scope="module")
def tight(module_servers, kafka):
    """Memory holds 64 KiB of the stream, a window of catching up as much: everybody falls out of both."""
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders", partitions=PARTITIONS))
    sample.start_gateway(module_servers, feed_prefill="0s", feed_ring_limit="64KiB", feed_fetch_size="64KiB",
                         feed_catchup_window="64KiB", feed_catchup_consumers=3)
    return sample


def produce(kafka, topic, numbers, chance):
    kafka.produce(topic, [{"value": payload(number, chance), "key": f"key-{number}", "headers": {"n": str(number)}}
                          for number in numbers], **{"linger.ms": 5})


def test_every_reader_gets_whole_events_whatever_its_pace(tight, kafka):
    seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    produce(kafka, tight.topic, range(OLD), chance)
    readers = [Reader(tight, "?from=latest") for _ in range(2)]
    readers += [Reader(tight, "?from=latest", receive_buffer=4096, piece=700)]
    readers += [Reader(tight, "?from=earliest") for _ in range(2)]
    readers += [Reader(tight, "?from=earliest", receive_buffer=4096, piece=chance.randrange(500, 5000)) for _ in range(2)]
    readers += [Reader(tight, "?from=earliest", leaves=chance.randrange(100, 300)) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        assert reader.placed.wait(TIMEOUT)
    at = OLD
    while at < OLD + NEW:
        count = min(chance.choice([1, 3, 10, 40, 100]), OLD + NEW - at)
        produce(kafka, tight.topic, range(at, at + count), chance)
        at += count
    for number, reader in enumerate(readers):
        reader.join(TIMEOUT)
        assert reader.failure is None, f"seed {seed}, reader {number}: {reader.failure!r}"
        assert not reader.is_alive(), f"seed {seed}, reader {number} has {len(reader.numbers)} events"
        assert sorted(reader.numbers) == sorted(reader.wanted), f"seed {seed}, reader {number}"
