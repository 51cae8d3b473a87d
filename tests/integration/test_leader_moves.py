"""Leaders move between two brokers while clients publish and stream by HTTP: one dies, comes back, leads again and leaves in
order. What was acknowledged is there, once, where the answer said, and no stream repeats or leaves out an event."""

import json

import pytest
from confluent_kafka import ElectionType, TopicPartition
from confluent_kafka.admin import NewTopic

from sluice_support import KafkaHelper, Publishers, SampleApi, wait_until

REPLICATED = {"default.replication.factor": 2, "offsets.topic.replication.factor": 2, "min.insync.replicas": 1,
              "transaction.state.log.replication.factor": 2, "broker.session.timeout.ms": 3000,
              "broker.heartbeat.interval.ms": 500, "replica.lag.time.max.ms": 15000}  # a slow machine is no lagging replica
PARTITIONS = 4
PREFERRED = [2, 1, 2, 1]
CLIENTS = 6


@pytest.fixture(scope="module")
def nodes(own_kafka):
    """Two brokers; the first, which is the controller too, stays."""
    first = own_kafka(config=REPLICATED)
    return [first, own_kafka(config=REPLICATED, join=first, node=2)]


@pytest.fixture(scope="module")
def kafka(nodes):
    return KafkaHelper(",".join(node.bootstrap_servers for node in nodes))


@pytest.fixture
def world(servers, nodes, kafka):
    """A gateway before both, and a topic whose leaders are spread over them."""
    topic = "orders-that-move"
    assignment = [[leader, 3 - leader] for leader in PREFERRED]
    kafka.admin.create_topics([NewTopic(topic, PARTITIONS, replica_assignment=assignment)])[topic].result(60)
    elect(kafka, topic)  # who was put aside for a moment leads nothing yet
    world = SampleApi(servers.control(), kafka.bootstrap_servers, topic, key={"source": "cloudevents"})
    world.start_gateway(servers)
    return world


def leaders(kafka, topic):
    partitions = kafka.admin.list_topics(topic, timeout=10).topics[topic].partitions
    return [partitions[n].leader for n in sorted(partitions)]


def in_sync(kafka, topic):
    """Every replica of every partition: else a partition may be left without anybody who may lead it."""
    partitions = kafka.admin.list_topics(topic, timeout=10).topics[topic].partitions
    return all(len(partition.isrs) == 2 for partition in partitions.values())


def elect(kafka, topic):
    """The preferred leaders lead again, once their broker has caught up."""
    partitions = [TopicPartition(topic, n) for n in range(PARTITIONS)]

    def moved():
        kafka.admin.elect_leaders(ElectionType.PREFERRED, partitions).result(60)
        return leaders(kafka, topic) == PREFERRED

    wait_until(moved, 60, "the preferred leaders", interval=0.3)


def keys(number):
    """Half of the clients publish with a key."""
    attributes = {"ce-specversion": "1.0", "ce-id": str(number), "ce-source": "/orders", "ce-type": "made"}
    return {**attributes, "ce-partitionkey": f"order-{number}"} if number % 2 else {}


def move_leaders(nodes, kafka, topic, publishers):
    second = nodes[1]
    publishers.wait(201, 60)
    wait_until(lambda: in_sync(kafka, topic), 60, "replicas that can take over")
    second.kill()
    wait_until(lambda: leaders(kafka, topic) == [1] * PARTITIONS, 60, "the first broker to lead")
    publishers.wait(201, 60)
    second.start()
    elect(kafka, topic)
    publishers.wait(201, 60)
    wait_until(lambda: in_sync(kafka, topic), 60, "replicas that can take over")
    second.stop()
    wait_until(lambda: leaders(kafka, topic) == [1] * PARTITIONS, 60, "the first broker to lead again")
    publishers.wait(201, 60)


def ck_stream(stream, stored, headroom=60):
    """Every stored event once, by partition in order, and nothing else."""
    events = []
    while len(events) < len(stored):
        event = stream.next(headroom)
        assert event is not None, f"the stream ended after {len(events)} of {len(stored)} events"
        assert event.event in ("message", "error"), f"{event.event}: {event.data}"
        if event.event == "message":
            events.append(event.json())
    seen = [tuple(map(int, event["id"].split("-"))) for event in events]
    assert sorted(seen) == sorted(stored), "not every event exactly once"
    for partition in range(PARTITIONS):
        offsets = [offset for number, offset in seen if number == partition]
        assert offsets == list(range(len(offsets)))
    assert {place: event["data"]["n"] for place, event in zip(seen, events)} == stored


def in_kafka(kafka, topic):
    """What is stored: {(partition, offset): number}."""
    return {(record.partition(), record.offset()): json.loads(record.value())["n"]
            for record in kafka.consume_all(topic)}


def pages(world):
    """The ids of all pages from the beginning on."""
    ids, query = [], "?from=earliest&limit=100"
    while True:
        page = world.page(query)
        ids += [tuple(map(int, event["id"].split("-"))) for event in page["events"]]
        if page["caught_up"]:
            return ids
        query = f"?limit=100&cursor={page['next']}"


@pytest.mark.timeout(500)
def test_leaders_move_under_publishers_and_streams(world, nodes, kafka):
    with world.stream() as stream, Publishers(world, count=CLIENTS, headers=keys) as publishers:
        move_leaders(nodes, kafka, world.topic, publishers)
        publishers.__exit__()
        stored = in_kafka(kafka, world.topic)
        ck_stream(stream, stored)
    numbers = list(stored.values())
    assert len(numbers) == len(set(numbers)), "an event was stored twice"
    for number, (status, answer) in publishers.answers.items():
        if status == 201:
            assert stored[tuple(map(int, answer.split("-")))] == number
        else:
            assert (status, answer) in {(503, "not-persisted"), (503, "backend-unavailable"), (504, "outcome-unknown")}
            assert status == 504 or number not in numbers, f"{number} was said not to be stored"
    assert len({partition for partition, _ in stored}) == PARTITIONS
    with world.stream(query="?from=earliest") as late:
        ck_stream(late, stored)
    assert sorted(pages(world)) == sorted(stored)
