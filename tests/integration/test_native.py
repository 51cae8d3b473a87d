"""Unmodified Kafka clients through the gateway."""

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient as KafkaAdmin

from sluice_support import KafkaHelper, free_port, wait_until


class NativeCluster:
    """A virtual cluster on a kafka listener with a port for each of the node ids 0 to 3."""

    def __init__(self, admin, group, name, backend, authentication=("anonymous",), tls=None):
        self.name, self.admin = name, admin
        self.port = free_block(5)
        admin.create("virtual-clusters", name=name, backend_cluster=backend, namespace={"mode": "none"},
                     client_authentication=list(authentication))
        kafka = {"routing": "ports", "virtual_cluster": name,
                 "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": self.port + 1}]}
        admin.create("listeners", name=name, gateway_group=group, protocol="kafka",
                     address=f"127.0.0.1:{self.port}", kafka=kafka, **({"tls": tls} if tls else {}))
        self.bootstrap_servers = f"127.0.0.1:{self.port}"


def free_block(count):
    """The first of several free ports in a row."""
    import socket
    while True:
        first = free_port()
        try:
            for port in range(first + 1, first + count):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


@pytest.fixture(scope="module")
def native(sample):
    native = NativeCluster(sample.admin, sample.group, "native", sample.backend)
    wait_until(lambda: KafkaAdmin({"bootstrap.servers": native.bootstrap_servers}).list_topics(timeout=5), 20,
               "the kafka listener")
    return native


@pytest.fixture(scope="module")
def through(native):
    """Kafka as a client of the gateway sees it."""
    return KafkaHelper(native.bootstrap_servers)


def test_metadata_names_the_gateway_alone(native, through):
    metadata = through.admin.list_topics(timeout=10)
    assert {broker.host for broker in metadata.brokers.values()} == {"127.0.0.1"}
    assert {broker.port for broker in metadata.brokers.values()} <= set(range(native.port + 1, native.port + 5))


def test_produce_and_consume(kafka, through):
    topic = through.create_topic("native", partitions=3)
    values = [f"v{n}".encode() for n in range(500)]
    through.produce(topic, values)
    assert sorted(record.value() for record in kafka.consume_all(topic)) == sorted(values)
    assert sorted(record.value() for record in through.consume_all(topic)) == sorted(values)


def test_large_records_stream_through(kafka, through):
    topic = through.create_topic("large", config={"max.message.bytes": "5000000"})
    values = [bytes([n]) * 900_000 for n in range(8)]
    through.produce(topic, values, **{"message.max.bytes": 4_000_000})
    assert [record.value() for record in through.consume_all(topic)] == values
