"""bench/native: what a namespace costs. Metadata for one topic is asked for in a small namespace of few topics and in a
large one of many, at a real Kafka and at a stand-in that holds as many topics as no single broker here can."""

import socket
import struct
import threading
import uuid

from confluent_kafka.admin import NewTopic
from harness import cpu_seconds, median, progress
from sluice_support import NativeCluster

METADATA_VERSION = 12
API_VERSIONS, METADATA = 18, 3


def compact(text):
    return struct.pack(">B", len(text) + 1) + text.encode()


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def exchange(connection, data):
    connection.sendall(data)
    return receive(connection, struct.unpack(">i", receive(connection, 4))[0])


def request(topic):
    """Metadata of one topic; makes none."""
    body = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, -1) + b"\0"
    body += b"\x02" + bytes(16) + compact(topic) + b"\0" + b"\0\0\0"
    return struct.pack(">i", len(body)) + body


class StandIn:
    """Speaks ApiVersions and Metadata as a broker of many topics does; whoever asks for all topics gets all."""

    def __init__(self, topics):
        self.topics = {name: uuid.uuid4().bytes for name in topics}
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.bootstrap_servers = f"127.0.0.1:{self.port}"
        self.asked_for_all = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                while True:
                    data = receive(connection, struct.unpack(">i", receive(connection, 4))[0])
                    answer = self._answer(data)
                    connection.sendall(struct.pack(">i", len(answer)) + answer)
            except OSError:
                pass

    def _answer(self, data):
        key, version, correlation, client = struct.unpack(">hhih", data[:10])
        if key == API_VERSIONS:
            served = ((METADATA, 0, METADATA_VERSION), (API_VERSIONS, 0, 4))
            body = struct.pack(">ih", correlation, 0)
            if version < 3:
                return body + struct.pack(">i", len(served)) + b"".join(struct.pack(">hhh", *s) for s in served) + (
                    struct.pack(">i", 0) if version > 0 else b"")
            return body + bytes([len(served) + 1]) + b"".join(struct.pack(">hhh", *s) + b"\0" for s in served) + bytes(5)
        if (key, version) == (METADATA, 4):  # librdkafka's, which looks whether the broker is there
            host = struct.pack(">h", 9) + b"127.0.0.1"
            return struct.pack(">iiii", correlation, 0, 1, 1) + host + struct.pack(">ihhii", self.port, -1, -1, 1, 0)
        assert (key, version) == (METADATA, METADATA_VERSION), (key, version)
        at = 10 + max(client, 0) + 1
        return struct.pack(">i", correlation) + b"\0" + self._metadata(self._wanted(data, at))

    def _wanted(self, data, at):
        count = data[at] - 1
        assert data[at] < 128
        if count < 0:
            self.asked_for_all += 1
            return list(self.topics)
        names = []
        for _ in range(count):
            size = data[at + 17]
            names.append(data[at + 18:at + 17 + size].decode())
            at += 17 + size + 1
        return names

    def _metadata(self, names):
        broker = struct.pack(">i", 1) + compact("127.0.0.1") + struct.pack(">i", self.port) + b"\0\0"
        topics = b"".join(self._topic(name) for name in names)
        count, number = bytearray(), len(names) + 1
        while number >= 128:
            count.append(number & 127 | 128)
            number >>= 7
        return struct.pack(">i", 0) + b"\x02" + broker + compact("stand-in") + struct.pack(">i", 1) + \
            bytes(count) + bytes([number]) + topics + b"\0"

    def _topic(self, name):
        if name not in self.topics:
            return struct.pack(">h", 3) + compact(name) + bytes(16) + b"\0\x01" + struct.pack(">i", -2147483648) + b"\0"
        partition = struct.pack(">hiii", 0, 0, 1, 0) + (b"\x02" + struct.pack(">i", 1)) * 2 + b"\x01\0"
        return struct.pack(">h", 0) + compact(name) + self.topics[name] + b"\0\x02" + partition + \
            struct.pack(">i", -2147483648) + b"\0"

    def close(self):
        self.server.close()


class Namespace:
    def __init__(self, stage, label, backend, prefix):
        self.label, self.prefix = label, prefix
        self.cluster = NativeCluster(stage, label, backend=backend, namespace={"mode": "hide", "prefix": prefix})
        self.cluster.wait_served()
        self.connection = None

    def cost(self, stage, topic, requests):
        """CPU seconds of the gateway for each request of one topic's metadata."""
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.cluster.port), timeout=30)
        data = request(topic)
        answer = exchange(self.connection, data)
        assert topic.encode() in answer and self.prefix.encode() not in answer
        before = cpu_seconds(stage.pid)
        for _ in range(requests):
            exchange(self.connection, data)
        return (cpu_seconds(stage.pid) - before) / requests


def create_topics(kafka, names):
    for first in range(0, len(names), 500):
        made = kafka.admin.create_topics([NewTopic(name, 1, 1) for name in names[first:first + 500]], request_timeout=120)
        for future in made.values():
            future.result(120)
    progress(f"{len(names)} topics made")


def names_of(prefix, count):
    return [f"{prefix}orders-{number:06}" for number in range(count)]


def compare(stage, small, large, topics, rounds, requests):
    """What a request costs in the large namespace / in the small one, of the medians."""
    costs = {small.label: [], large.label: []}
    for _ in range(rounds):
        for namespace, topic in zip((small, large), topics):
            costs[namespace.label].append(namespace.cost(stage, topic, requests))
    for label, found in costs.items():
        progress(f"Metadata of one topic in {label}: {median(found) * 1e6:.1f} us of CPU")
    return median(costs[large.label]) / median(costs[small.label])


def at_kafka(stage, rounds, requests, many, all_topics):
    run = uuid.uuid4().hex[:8]
    create_topics(stage.kafka, names_of(f"{run}-few.", 10) + names_of(f"{run}-many.", many) +
                  names_of(f"{run}-other.", all_topics - many - 10))
    spaces = [Namespace(stage, label, stage.backend, f"{run}-{label}.") for label in ("few", "many")]
    last = f"orders-{many - 1:06}"
    return compare(stage, *spaces, ("orders-000009", last), rounds, requests)


def at_stand_in(stage, rounds, requests, many, all_topics):
    brokers = StandIn(names_of("few.", 10)), StandIn(names_of("many.", many) + names_of("other.", all_topics - many))
    spaces = []
    for broker, label in zip(brokers, ("few", "many")):
        name = f"stand-in-{label}"
        stage.admin.create("backend-clusters", name=name, bootstrap_servers=[broker.bootstrap_servers])
        spaces.append(Namespace(stage, name, name, f"{label}."))
    ratio = compare(stage, *spaces, ("orders-000009", f"orders-{many - 1:06}"), rounds, requests)
    assert not any(broker.asked_for_all for broker in brokers), "the gateway asked for all topics"
    for broker in brokers:
        broker.close()
    return ratio


def metadata_ratios(stage, quick):
    """(at Kafka, at the stand-in)."""
    rounds, requests = (1, 100) if quick else (5, 2000)
    return (at_kafka(stage, rounds, requests, *((20, 200) if quick else (500, 5000))),
            at_stand_in(stage, rounds, requests, *((1000, 10_000) if quick else (10_000, 100_000))))
