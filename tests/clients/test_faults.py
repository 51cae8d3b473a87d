"""Brokers that come, go, restart, die or fall silent, leaders that move, connections that are cut, a gateway whose
configuration changes: clients through the gateway get over it as clients at the brokers do, and lose nothing."""

import os
import random
import socket
import struct
import time
from types import SimpleNamespace

import pytest
from confluent_kafka import ElectionType, TopicCollection, TopicPartition
from confluent_kafka.admin import NewTopic
from kafka.record import MemoryRecordsBuilder

from client_support import CuttingRelay, Target, Verifier
from sluice_support import KafkaHelper, NativeCluster, SampleApi, known, receive_frame, wait_until
from sluice_support.protocol import Definitions, Writer, frame

KILL_SECONDS = int(os.environ.get("SLUICE_CLIENTS_KILL_SECONDS", "60"))
PARTITIONS = 4
RELAY_HOST = "127.0.0.2"
REPLICATED = {"default.replication.factor": 2, "offsets.topic.replication.factor": 2, "min.insync.replicas": 1,
              "transaction.state.log.replication.factor": 2, "broker.session.timeout.ms": 6000,
              "broker.heartbeat.interval.ms": 500, "replica.lag.time.max.ms": 6000}


@pytest.fixture(scope="module")
def nodes(own_kafka):
    """Two brokers; the first, which is the controller too, stays."""
    first = own_kafka(config=REPLICATED)
    return [first, own_kafka(config=REPLICATED, join=first, node=2)]


@pytest.fixture(scope="module")
def gateway(module_servers, nodes):
    """A gateway before them, reached through a relay."""
    kafka = KafkaHelper(",".join(node.bootstrap_servers for node in nodes))
    topic = kafka.create_topic("orders")
    sample = SampleApi(module_servers.control(log_level="info"), kafka.bootstrap_servers, topic)
    sample.start_gateway(module_servers, log_level="info")
    native = NativeCluster(sample, "faults", advertised_host=RELAY_HOST)
    native.wait_served()
    relay = CuttingRelay(RELAY_HOST, range(native.port, native.port + 5))
    yield SimpleNamespace(sample=sample, relay=relay, kafka=kafka, native=native)
    relay.stop()


@pytest.fixture
def verifiers(nodes, gateway):
    """One at the brokers and one at the gateway."""
    targets = [Target("direct", gateway.kafka.bootstrap_servers), Target("gateway", f"{RELAY_HOST}:{gateway.native.port}")]
    verifiers = []
    for target in targets:
        topic = f"verified-{target.name}-{random.randrange(10**9)}"
        assignment = [[1, 2] if n % 2 else [2, 1] for n in range(PARTITIONS)]
        created = gateway.kafka.admin.create_topics([NewTopic(topic, PARTITIONS, replica_assignment=assignment)])
        created[topic].result(60)
        wait_until(lambda: _leaders(gateway.kafka, topic) == [2, 1, 2, 1], 60, "the leaders")
        verifiers.append(Verifier(target, gateway.kafka, topic, PARTITIONS))
    _progress(verifiers, "the beginning")
    return verifiers


def _leaders(kafka, topic):
    partitions = kafka.admin.list_topics(topic, timeout=10).topics[topic].partitions
    return [partitions[n].leader for n in sorted(partitions)]


def _progress(verifiers, after):
    for verifier in verifiers:
        verifier.progress(after)


def _topics(verifiers):
    return [verifier._topic for verifier in verifiers]


def test_clients_get_over_what_brokers_do(nodes, own_kafka, gateway, verifiers):
    second = nodes[1]
    second.stop()  # in order: its leaders move away
    _progress(verifiers, "a broker stopped")
    second.start()
    _elect(gateway.kafka, verifiers)
    _progress(verifiers, "leaders moved back")
    second.kill()
    _progress(verifiers, "a broker died")
    second.start()
    _elect(gateway.kafka, verifiers)
    second.freeze()
    _progress(verifiers, "a broker fell silent")
    second.thaw()
    _elect(gateway.kafka, verifiers)
    third = own_kafka(config=REPLICATED, join=nodes[0], node=3)
    topic = gateway.kafka.create_topic("on-three", partitions=3)
    through = KafkaHelper(f"{RELAY_HOST}:{gateway.native.port}")
    _on_third(gateway.kafka, through, topic)
    third.stop()
    _progress(verifiers, "a broker came and went")
    for verifier in verifiers:
        verifier.stop()


# ---- what a broker says that does not lead any more (KIP-951) ----

def _records():
    builder = MemoryRecordsBuilder(magic=2, compression_type=0, batch_size=1024)
    builder.append(timestamp=None, key=None, value=b"x")
    builder.close()
    return bytes(builder.buffer())


def _ask(address, request):
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(request)
        return receive_frame(connection)


def _endpoint(node, host, port):
    return struct.pack(">ib", node, len(host) + 1) + host.encode() + struct.pack(">i", port)


@pytest.mark.parametrize("api,version", [("Produce", 10), *([("Produce", 13)] if known("4.1") else []), ("Fetch", 16), ("Fetch", 17)])
def test_a_former_leader_names_the_new_one_by_the_gateway(nodes, gateway, api, version):
    """The partition is on the second broker alone; the first is asked, directly and through the gateway."""
    topic = gateway.kafka.create_topic("moved", partitions=1) + "-b"
    gateway.kafka.admin.create_topics([NewTopic(topic, 1, replica_assignment=[[2]])])[topic].result(60)
    wait_until(lambda: _leaders(gateway.kafka, topic) == [2], 60, "the second broker to lead")
    described = wait_until(lambda: gateway.kafka.admin.describe_topics(TopicCollection([topic]))[topic].result(60), 60,
                           "the broker that is asked to know the topic")
    halves = (described.topic_id.get_most_significant_bits(), described.topic_id.get_least_significant_bits())
    fields = {"Name": topic, "Topic": topic, "Acks": 1, "TimeoutMs": 5000, "Records": _records(), "PartitionMaxBytes": 1000,
              "TopicId": struct.pack(">QQ", *(half & ((1 << 64) - 1) for half in halves)),
              "SessionEpoch": -1, "CurrentLeaderEpoch": -1, "LastFetchedEpoch": -1, "MaxBytes": 1000, "ForgottenTopicsData": []}
    definition = next(d for d in Definitions().requests.values() if d["name"] == api + "Request")
    request = frame(definition, version, Writer(definition, version, lambda path, field, _: fields.get(field["name"], NotImplemented)))
    first, second = (int(node.bootstrap_servers.rpartition(":")[2]) for node in nodes)
    directly = wait_until(lambda: _names_leader(_ask(("127.0.0.1", first), request)), 60, "the first broker to know the new leader")
    assert _endpoint(2, "127.0.0.1", second) in directly
    through = _ask(("127.0.0.1", gateway.native.port + 1 + 1), request)  # node 1; the ports begin with node 0
    assert _endpoint(2, RELAY_HOST, gateway.native.port + 1 + 2) in through
    assert b"127.0.0.1" not in through


def _names_leader(answer):
    return answer if b"127.0.0.1" in answer else None


# ---- the whole ----

def _elect(kafka, verifiers):
    """The preferred leaders lead again, once their broker has caught up: as a client with old metadata learns from an
    answer that names the new leader (KIP-951)."""
    partitions = [TopicPartition(topic, n) for topic in _topics(verifiers) for n in range(PARTITIONS)]

    def moved():
        kafka.admin.elect_leaders(ElectionType.PREFERRED, partitions).result(60)
        return all(_leaders(kafka, topic) == [2, 1, 2, 1] for topic in _topics(verifiers))

    wait_until(moved, 60, "the preferred leaders", interval=0.3)


def _on_third(kafka, through, topic):
    """A topic on the new broker alone is written and read through the gateway."""
    name = f"{topic}-b"
    kafka.admin.create_topics([NewTopic(name, 1, replica_assignment=[[3]])])[name].result(60)
    wait_until(lambda: _leaders(kafka, name) == [3], 60, "the new broker to lead")
    through.produce(name, [b"a", b"b"])
    assert [record.value() for record in through.consume_all(name)] == [b"a", b"b"]
    through.delete_topic(name)


def _change_settings(gateway, turn):
    """Whatever clients may authenticate with: their sessions are closed."""
    ways = ["anonymous", "plain"] if turn % 2 else ["anonymous"]
    gateway.sample.admin.patch("virtual-clusters", "faults", client_authentication=ways)


def _cut(gateway):
    """Of producer and consumer at least one connection each to both brokers."""
    wait_until(lambda: gateway.relay.cut() >= 8, 60, "connections to be cut", interval=0.5)


def _kill(broker):
    broker.kill()
    broker.start()


def _restart(broker):
    broker.stop()
    broker.start()


@pytest.mark.timeout(KILL_SECONDS + 700)
def test_nothing_is_lost_or_doubled_under_random_kills(nodes, gateway, verifiers):
    """For a minute (SLUICE_CLIENTS_KILL_SECONDS), and until each has happened."""
    seed = random.randrange(10**9)
    chance, turn, deadline = random.Random(seed), 0, time.monotonic() + KILL_SECONDS
    print(f"seed {seed}")
    faults = {"killed": lambda: _kill(nodes[1]), "restarted": lambda: _restart(nodes[1]),
              "cut": lambda: _cut(gateway), "cut again": lambda: _cut(gateway),
              "reconfigured": lambda: _change_settings(gateway, turn)}
    untried = set(faults)
    while time.monotonic() < deadline or untried:
        turn += 1
        what = chance.choice(sorted(untried) if time.monotonic() >= deadline else list(faults))
        untried.discard(what)
        faults[what]()
        _progress(verifiers, f"{what}, turn {turn}, seed {seed}")
    for verifier in verifiers:
        verifier.stop()
