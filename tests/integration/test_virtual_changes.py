"""Virtual clusters whose names change while clients are connected: their namespace, its filters, their topics; and gateways
that have to find out whose a topic id is."""

import contextlib
import select
import socket
import struct
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, TopicPartition

from sluice_support import SampleApi, Tenant, free_ports, known, receive, receive_frame, wait_until


@pytest.fixture(scope="module")
def sample(module_servers, kafka):
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.start_gateway(module_servers, kafka_change_grace="6s")  # an answer under way may come late, and its session goes on
    return sample


@pytest.fixture(scope="module")
def hide(sample):
    return Tenant(sample, "hide")


def test_a_changed_prefix_shows_the_new_names_alone(sample, kafka):
    tenant = Tenant(sample, "hide")
    old = tenant.create("old")
    consumer = Consumer({**tenant.config, "group.id": "moved", "auto.offset.reset": "earliest",
                         "topic.metadata.propagation.max.ms": 100, "topic.metadata.refresh.interval.ms": 500})
    consumer.subscribe([old])
    tenant.helper.produce(old, [b"before"])
    wait_until(lambda: (record := consumer.poll(0.5)) and record.error() is None and record.value() == b"before", 60, "a record")
    namespace = {"mode": "hide", "prefix": f"{tenant.prefix[:-1]}-moved."}
    sample.wait_in_force(sample.admin.patch("virtual-clusters", tenant.cluster.name, namespace=namespace))
    wait_until(lambda: old not in tenant.admin.list_topics(timeout=30).topics, 60, "the old name to go")
    kafka.produce(tenant.backend(old), [b"not its own any more"])
    leaked = []

    def told():
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            leaked.append(message.value())
        return message is not None and message.error() is not None and message.error().name() == "UNKNOWN_TOPIC_OR_PART"

    wait_until(told, 60, "the consumer to be told")
    consumer.close()
    assert leaked == []
    with pytest.raises(AssertionError):
        tenant.helper.produce(old, [b"nowhere"], **{"message.timeout.ms": 2000})


def sessions(sample, tenant):
    """The client ports of its open sessions."""
    node, = sample.admin.list("gateway-nodes", group=sample.group)
    answer = sample.admin.request("GET", f"/v1/gateway-nodes/{node['id']}/connections", expect=200).json()
    return {c["client_address"] for c in answer["connections"] if c.get("virtual_cluster") == tenant.cluster.name}


@pytest.mark.parametrize("protocol", ["classic", "consumer"] if known("4.0") else ["classic"])
def test_a_topic_leaves_the_namespace_and_sessions_go_on(sample, kafka, protocol):
    tenant = Tenant(sample, "hide", namespace={"topic_filter": ["stays", "leaves"]})
    stays, leaves = tenant.create("stays"), tenant.create("leaves")
    consumer = Consumer({**tenant.config, "group.id": "g", "group.protocol": protocol, "auto.offset.reset": "earliest",
                         "client.id": "reader", "topic.metadata.refresh.interval.ms": 500})
    consumer.subscribe([stays, leaves])
    seen = []

    def read(wanted):
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            seen.append((message.topic(), message.value()))
        return wanted <= set(seen)

    try:
        for topic in (stays, leaves):
            tenant.helper.produce(topic, [b"before"])
        wait_until(lambda: read({(stays, b"before"), (leaves, b"before")}), 60, "both topics")
        before = wait_until(lambda: sessions(sample, tenant), 60, "the sessions")
        namespace = {"mode": "hide", "prefix": tenant.prefix, "topic_filter": ["stays"]}
        sample.wait_in_force(sample.admin.patch("virtual-clusters", tenant.cluster.name, namespace=namespace))
        wait_until(lambda: leaves not in tenant.admin.list_topics(timeout=30).topics, 60, "the topic to leave")
        kafka.produce(tenant.backend(leaves), [b"not its own any more"])
        for topic in (leaves, stays):
            kafka.produce(tenant.backend(topic), [b"after"])
        wait_until(lambda: read({(stays, b"after")}), 60, "the topic that stays")
        assert {topic for topic, value in seen if value != b"before"} == {stays}
        wait_until(lambda: len(before & sessions(sample, tenant)) >= 2, 60, "sessions that were not closed")
    finally:
        consumer.close()


def test_topics_that_come_and_go_while_they_are_read(hide, kafka):
    """Each time it is another topic with another id."""
    for n in range(2):
        topic = hide.create("fleeting")
        hide.helper.produce(topic, [str(n)])
        assert [r.value() for r in hide.helper.consume_all(topic)] == [str(n).encode()]
        hide.helper.delete_topic(topic)
        wait_until(lambda: hide.backend(topic) not in kafka.admin.list_topics(timeout=5).topics, 60, "the deletion")


def test_a_topic_is_read_while_it_comes_and_goes(hide, kafka):
    """One consumer all the time; its fetch session holds topics that are gone."""
    consumer = Consumer({**hide.config, "group.id": "fleeting", "enable.auto.commit": False,
                         "topic.metadata.refresh.interval.ms": 200, "topic.metadata.propagation.max.ms": 100})
    steady = hide.create("steady")
    hide.helper.produce(steady, [b"steady"])
    try:
        for n in range(3):
            topic = hide.create("fleeting")
            consumer.assign([TopicPartition(topic, 0, 0), TopicPartition(steady, 0, 0)])
            hide.helper.produce(topic, [str(n)])
            seen = set()

            def read():
                message = consumer.poll(0.2)
                if message is not None and not message.error():
                    seen.add((message.topic(), message.value()))
                return {topic, steady} <= {name for name, _ in seen}

            wait_until(read, 60, "both topics")
            assert seen == {(topic, str(n).encode()), (steady, b"steady")}
            hide.helper.delete_topic(topic)

            def deleted():
                consumer.poll(0.1)
                return hide.backend(topic) not in kafka.admin.list_topics(timeout=5).topics

            wait_until(deleted, 60, "the deletion")
    finally:
        consumer.close()


def fetch_request(topic_id, wait_ms=500):
    """Fetch version 13 of a topic's first partition."""
    partition = struct.pack(">iiqiqi", 0, -1, 0, -1, -1, 1 << 20) + b"\0"
    body = struct.pack(">hhih", 1, 13, 5, -1) + b"\0" + struct.pack(">iiiibii", -1, wait_ms, 1, 1 << 20, 0, 0, -1)
    body += b"\x02" + topic_id + b"\x02" + partition + b"\0" + b"\x01\x01\0"
    return struct.pack(">i", len(body)) + body


def fetch_by_id(port, topic_id):
    """The answer, as the first thing that is said on a connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(fetch_request(topic_id))
        return receive_frame(connection)


def test_a_change_waits_for_no_answer_for_long(sample, kafka):
    """A client whose fetch waits for a minute is closed, and comes back."""
    tenant = Tenant(sample, "hide", namespace={"topic_filter": ["waits"]})
    topic_id = kafka.topic_id(tenant.backend(tenant.create("waits")))
    requests_of = f'sluice_kafka_requests_total{{virtual_cluster="{tenant.cluster.name}",api="Fetch"}}'

    def waiting():
        """A connection whose fetch the broker holds; one that has just taken the topic up may answer that it does not lead."""
        before = sample.gateway.metrics().get(requests_of, 0)
        connection = socket.create_connection(("127.0.0.1", tenant.cluster.port + 2), timeout=100)
        connection.sendall(fetch_request(topic_id, wait_ms=60_000))
        wait_until(lambda: sample.gateway.metrics().get(requests_of, 0) > before, 60, "the fetch to be under way")
        if not select.select([connection], [], [], 1)[0]:
            return connection
        connection.close()

    with wait_until(waiting, 100, "a fetch that waits") as connection:
        namespace = {"mode": "hide", "prefix": tenant.prefix, "topic_filter": ["other"]}
        sample.admin.patch("virtual-clusters", tenant.cluster.name, namespace=namespace)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_any_gateway_finds_out_whose_a_topic_id_is(sample, module_servers, kafka):
    """Two gateways that have never heard of it, asked by many connections at once."""
    tenant, group = Tenant(sample, "hide"), f"group-{uuid.uuid4().hex[:8]}"
    sample.admin.create("gateway-groups", name=group, environment="dev")
    ports = free_ports(5)
    sample.admin.create("listeners", name=group, gateway_group=group, protocol="kafka", address=f"127.0.0.1:{ports}",
                        kafka={"routing": "ports", "virtual_cluster": tenant.cluster.name,
                               "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": ports + 1}]})
    other = module_servers.gateway(sample.control.join_string(group))
    marker = uuid.uuid4().hex.encode()
    foreign = kafka.create_topic("foreign")
    names = {"own": tenant.backend("fresh"), "foreign": foreign}
    kafka.create_topic(names["own"], exact=True)
    for name in names.values():
        kafka.produce(name, [marker])
    ids = {label: kafka.topic_id(name) for label, name in names.items()}
    wait_until(lambda: socket.create_connection(("127.0.0.1", ports + 2), 2).close() is None, 60, "the second gateway")
    asked = [(port, label) for port in (ports + 2, tenant.cluster.port + 2) for label in names] * 8
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda ask: (ask[1], fetch_by_id(ask[0], ids[ask[1]])), asked))
    assert all((marker in answer) == (label == "own") for label, answer in answers)
    assert all(struct.pack(">h", 100) in answer for label, answer in answers if label == "foreign")  # UNKNOWN_TOPIC_ID
    series = f'sluice_kafka_requests_total{{virtual_cluster="{tenant.cluster.name}",api="Fetch"}}'
    wait_until(lambda: other.metrics()[series] >= 16 and sample.gateway.metrics()[series] >= 16, what="all to be counted")
    assert other.metrics()[series] == sample.gateway.metrics()[series] == 16


def test_a_removed_tenants_connections_are_closed(sample):
    tenant = Tenant(sample, "hide")
    with socket.create_connection(("127.0.0.1", tenant.cluster.port), timeout=60) as connection:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 3, -1))
        assert len(receive(connection, 8)) == 8
        sample.admin.delete("listeners", tenant.cluster.name)
        sample.admin.delete("virtual-clusters", tenant.cluster.name)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(1 << 16):
                pass
