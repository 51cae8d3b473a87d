"""Leaders move between brokers that only the gateway can reach: whoever asks the old one is told in the answer where the new
one is (KIP-951), and goes there by the gateway."""

import pytest
from confluent_kafka import Consumer, ElectionType, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from client_support import Guard
from sluice_support import KafkaHelper, NativeCluster, SampleApi, wait_until

PARTITIONS = 4
CONFIG = {"offsets.topic.replication.factor": 1, "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500}
NEVER_ASK_AGAIN = {"topic.metadata.refresh.interval.ms": -1, "topic.metadata.refresh.fast.interval.ms": 60000}


@pytest.fixture(scope="module")
def nodes(own_kafka):
    first = own_kafka(config=CONFIG, guarded=True)
    return [first, own_kafka(config=CONFIG, guarded=True, join=first, node=2)]


@pytest.fixture(scope="module")
def guards(nodes):
    guards = [Guard(node.guard_port, node.guarded_port) for node in nodes]
    yield guards
    for guard in guards:
        guard.stop()
        assert guard.let_in > 0 and not guard.strangers, f"others came to a broker's address: {guard.strangers[:5]}"


@pytest.fixture(scope="module")
def kafka(nodes):
    """Past the gateway."""
    return KafkaHelper(",".join(node.bootstrap_servers for node in nodes))


@pytest.fixture(scope="module")
def sample(module_servers, kafka, guards):
    backend = ",".join(guard.address for guard in guards)
    sample = SampleApi(module_servers.control(), backend, kafka.create_topic("orders"))
    sample.start_gateway(module_servers)
    return sample


def _leaders(kafka, topic):
    partitions = kafka.admin.list_topics(topic, timeout=10).topics[topic].partitions
    return [partitions[n].leader for n in sorted(partitions)]


def _topic(kafka):
    assignment = [[2, 1]] * PARTITIONS
    kafka.admin.create_topics([NewTopic("moving", PARTITIONS, replica_assignment=assignment)])["moving"].result(60)
    wait_until(lambda: _leaders(kafka, "moving") == [2] * PARTITIONS, 60, "the leaders")
    return "moving"


class _Clients:
    """One that writes and one that reads, which keep their connections."""

    def __init__(self, bootstrap_servers, topic):
        config = {"bootstrap.servers": bootstrap_servers, **NEVER_ASK_AGAIN}
        self._topic, self.written, self.read = topic, [], []
        self._producer = Producer({**config, "acks": "all", "linger.ms": 0})
        self._consumer = Consumer({**config, "group.id": "moving", "fetch.wait.max.ms": 100})
        self._consumer.assign([TopicPartition(topic, n, 0) for n in range(PARTITIONS)])

    def round(self):
        """A record for each partition is written and read."""
        for partition in range(PARTITIONS):
            value = str(len(self.written))
            self._producer.produce(self._topic, value, partition=partition)
            self.written.append(value)
        assert self._producer.flush(60) == 0
        wait_until(self._read_all, 60, "what was written")

    def _read_all(self):
        self.read += [m.value().decode() for m in self._consumer.consume(100, 0.2) if m.error() is None]
        return sorted(self.read) == sorted(self.written)

    def close(self):
        self._consumer.close()


def _not_leader(sample, api):
    """How often a broker answered that another leads, with where: NOT_LEADER_OR_FOLLOWER or, to who names an epoch that is
    over, FENCED_LEADER_EPOCH."""
    name = 'sluice_kafka_answer_errors_total{{virtual_cluster="leaders",api="{}",code="{}"}}'
    return sum(sample.gateway.metrics().get(name.format(api, code), 0) for code in (6, 74))


def test_the_new_leader_is_reached_by_the_gateway(nodes, guards, kafka, sample):
    topic = _topic(kafka)
    native = NativeCluster(sample, "leaders")
    native.wait_served()
    clients = _Clients(native.bootstrap_servers, topic)
    clients.round()
    nodes[1].stop()
    clients.round()
    nodes[1].start()

    def moved_back():
        partitions = [TopicPartition(topic, n) for n in range(PARTITIONS)]
        kafka.admin.elect_leaders(ElectionType.PREFERRED, partitions).result(60)
        return _leaders(kafka, topic) == [2] * PARTITIONS

    wait_until(moved_back, 60, "the preferred leaders", interval=0.3)
    clients.round()
    clients.close()
    for api in ("Produce", "Fetch"):  # or it was learnt in another way
        assert _not_leader(sample, api) > 0, api
    assert not any(guard.strangers for guard in guards)
