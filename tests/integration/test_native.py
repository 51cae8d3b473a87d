"""Unmodified Kafka clients through the gateway: addresses, TLS, authentication, and the configuration that changes under
them."""

import contextlib
import socket
import ssl
import struct
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient as KafkaAdmin
from kafka import KafkaConsumer, KafkaProducer

from sluice_support import Authority, KafkaHelper, NativeCluster, free_port, receive, wait_until


def reachable(cluster, **config):
    """A helper for the cluster, once it is served."""
    helper = KafkaHelper(cluster.bootstrap_servers, config)
    wait_until(lambda: helper.admin.list_topics(timeout=3), 60, f"the listener {cluster.name}")
    return helper


def plain(credential):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": credential["id"],
            "sasl.password": credential["secret"]}


def refused(config, text=""):
    """A client that cannot get in is told so; `text` is of what it is told."""
    errors = []
    client = KafkaAdmin({**config, "error_cb": errors.append, "socket.timeout.ms": 2000})
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)
    wait_until(lambda: client.poll(0.1) is not None and any(text in str(error) for error in errors), 60,
               f"an error of the client with {text!r} among {errors}")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def native(sample):
    return NativeCluster(sample, "native")


@pytest.fixture(scope="module")
def through(native):
    return reachable(native)


def round_trip(helper, kafka, values=None):
    """Made, written and read through the gateway; seen in Kafka itself."""
    topic = helper.create_topic("native", partitions=3)
    values = values or [uuid.uuid4().bytes for _ in range(50)]
    helper.produce(topic, values)
    assert sorted(record.value() for record in kafka.consume_all(topic)) == sorted(values)
    assert sorted(record.value() for record in helper.consume_all(topic)) == sorted(values)


def test_metadata_names_the_gateway_alone(native, through):
    brokers = through.admin.list_topics(timeout=60).brokers.values()
    assert {broker.host for broker in brokers} == {"127.0.0.1"}
    assert {broker.port for broker in brokers} <= set(range(native.port + 1, native.port + 5))


def test_produce_and_consume(kafka, through):
    round_trip(through, kafka)


def test_large_answers_stream_through(through):
    topic = through.create_topic("large", config={"max.message.bytes": "5000000"})
    values = [bytes([n]) * 900_000 for n in range(8)]
    through.produce(topic, values, **{"message.max.bytes": 4_000_000})
    assert [record.value() for record in through.consume_all(topic)] == values


def test_a_consumer_group_finds_its_coordinator(through):
    topic = through.create_topic("grouped", partitions=2)
    through.produce(topic, [str(n).encode() for n in range(20)])
    group = {"group.id": f"g-{uuid.uuid4().hex}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    for expected in (20, 0):
        consumer = Consumer({**through.config, **group, "enable.partition.eof": True})
        consumer.subscribe([topic])
        seen, ends = 0, 0
        try:
            while ends < 2:
                message = consumer.poll(60)
                assert message is not None, "nothing within 60 s"
                seen += message.error() is None
                ends += message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF
            if seen:
                consumer.commit(asynchronous=False)
        finally:
            consumer.close()
        assert seen == expected


def test_a_transaction(through):
    topic = through.create_topic("transaction")
    producer = Producer({**through.config, "transactional.id": f"t-{uuid.uuid4().hex}"})
    producer.init_transactions(60)
    for outcome in ("commit_transaction", "abort_transaction"):
        producer.begin_transaction()
        producer.produce(topic, outcome)
        getattr(producer, outcome)(60)
    assert [record.value() for record in through.consume_all(topic)] == [b"commit_transaction"]


def test_without_acks_nothing_is_lost_when_the_client_leaves(through, kafka):
    topic = through.create_topic("unacknowledged")
    producer = Producer({**through.config, "acks": 0, "linger.ms": 0})
    for n in range(300):
        producer.produce(topic, str(n))
        producer.poll(0)
    assert producer.flush(60) == 0
    del producer
    wait_until(lambda: len(kafka.consume_all(topic)) == 300, 60, "300 records")


# ---- TLS ----

def test_tls(sample, kafka, authority):
    tls = authority.listener_tls("gateway", ["IP:127.0.0.1", "DNS:localhost"])
    cluster = NativeCluster(sample, "native-tls", tls=tls)
    config = {"security.protocol": "SSL", "ssl.ca.location": str(authority.ca)}
    helper = reachable(cluster, **config)
    round_trip(helper, kafka)
    large = [bytes([n]) * 500_000 for n in range(4)]
    round_trip(helper, kafka, large)
    policy = sample.admin.create("policies", name="stamp-tls", type="headers", scope={"kind": "virtual-cluster", "ref": "native-tls"},
                        config={"rules": [{"in": place, "action": "set", "name": place, "value": "tls"}
                                          for place in ("publish", "read")]})
    sample.wait_in_force(policy)
    topic = helper.create_topic("stamped")
    helper.produce(topic, [b"is it?"])
    assert kafka.consume_all(topic)[-1].headers() == [("publish", b"tls")]
    round_trip(helper, kafka, large)  # what is rewritten goes over TLS from where it lies
    assert helper.consume_all(topic)[-1].headers() == [("publish", b"tls"), ("read", b"tls")]


def test_client_certificates_that_a_listener_requires(sample, authority):
    tls = authority.listener_tls("strict", ["IP:127.0.0.1"], client_ca_pem=authority.ca.read_text(),
                                 client_auth="require")
    cluster = NativeCluster(sample, "native-strict", tls=tls)
    certificate, key = authority.issue("client", ["DNS:client"])
    config = {"security.protocol": "SSL", "ssl.ca.location": str(authority.ca)}
    reachable(cluster, **config, **{"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)})
    refused({"bootstrap.servers": cluster.bootstrap_servers, **config})


@pytest.fixture
def resolver(monkeypatch):
    """Every name below kafka.test is this machine, for clients written in Python."""
    original = socket.getaddrinfo

    def resolve(host, *arguments, **more):
        return original("127.0.0.1" if str(host).endswith("kafka.test") else host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_brokers_are_told_apart_by_server_name(sample, kafka, authority, resolver):
    port, suffix = free_port(), "kafka.test"
    tls = authority.listener_tls("sni", [f"DNS:*.{suffix}"])
    sample.admin.create("virtual-clusters", name="shop", backend_cluster=sample.backend, namespace={"mode": "none"},
                        client_authentication=["anonymous"])
    sample.admin.create("listeners", name="sni", gateway_group=sample.group, protocol="kafka",
                        address=f"127.0.0.1:{port}", tls=tls,
                        kafka={"routing": "sni", "sni_suffix": suffix, "virtual_cluster": "shop"})
    topic = kafka.create_topic("sni", partitions=2)
    config = {"bootstrap_servers": f"shop.{suffix}:{port}", "security_protocol": "SSL",
              "ssl_cafile": str(authority.ca)}
    producer = wait_until(lambda: KafkaProducer(**config), 60, "the sni listener")
    with contextlib.closing(producer):
        for n in range(20):
            producer.send(topic, str(n).encode()).get(60)
        assert {broker.host for broker in producer._metadata.brokers()} == {f"b1-shop.{suffix}"}
    consumer = KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=60_000, **config)
    with contextlib.closing(consumer):
        seen = sorted(int(next(consumer).value) for _ in range(20))
    assert seen == list(range(20))
    assert named(authority, port, f"other.{suffix}") == b""


def named(authority, port, name):
    """The first byte of an answer to whoever comes by a name; empty: closed."""
    context = ssl.create_default_context(cafile=authority.ca)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=name) as secure:
                secure.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
                return secure.recv(1)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):  # with the request unread
            return b""


def test_a_listener_by_server_name_is_for_one_virtual_cluster_or_for_all(sample, authority, native, through):
    suffix, ports = "all.test", [free_port(), free_port()]
    tls = authority.listener_tls("all", [f"DNS:*.{suffix}"])
    other = NativeCluster(sample, "one-of-many")
    for port, only in zip(ports, ({"virtual_cluster": other.name}, {})):
        sample.admin.create("listeners", name=f"by-name-{port}", gateway_group=sample.group, protocol="kafka",
                            address=f"127.0.0.1:{port}", tls=tls,
                            kafka={"routing": "sni", "sni_suffix": suffix, **only})
    for port in ports:
        wait_until(lambda: named(authority, port, f"one-of-many.{suffix}") != b"", 60, "the listener")
    assert named(authority, ports[0], f"native.{suffix}") == b""
    assert named(authority, ports[1], f"native.{suffix}") != b""


# ---- authentication ----

def test_plain_with_an_applications_credential(sample, kafka):
    cluster = NativeCluster(sample, "native-plain", authentication=["plain"])
    round_trip(reachable(cluster, **plain(sample.credential)), kafka)
    servers = {"bootstrap.servers": cluster.bootstrap_servers}
    refused({**servers, **plain({"id": sample.credential["id"], "secret": "x" * 32})}, "Authentication failed")
    refused({**servers, **plain({"id": "nobody", "secret": "x" * 32})}, "Authentication failed")
    refused(servers)  # without authentication
    refused({**servers, **plain(sample.credential), "sasl.mechanism": "SCRAM-SHA-256"}, "mechanism")


def test_sessions_are_among_the_nodes_connections(sample):
    cluster = NativeCluster(sample, "native-listed", authentication=["plain"])
    helper = reachable(cluster, **plain(sample.credential), **{"client.id": "listed-client"})
    [node] = [node for node in sample.admin.list("gateway-nodes") if node["state"] == "connected"]
    path = f"/v1/gateway-nodes/{node['id']}/connections"
    with socket.create_connection(("127.0.0.1", cluster.port)) as silent:
        address = "127.0.0.1:%d" % silent.getsockname()[1]

        def listed():
            helper.admin.list_topics(timeout=3)
            found = [c for c in sample.admin.request("GET", path, expect=200).json()["connections"]
                     if c["protocol"] == "kafka" and c["listener"] == cluster.name]
            known = [c for c in found if c.get("application") and c["bytes_out"] > 100]
            nobody = [c for c in found if c["client_address"] == address]
            return (known[0], nobody[0]) if known and nobody else None

        session, nobody = wait_until(listed, 60, "the sessions to be listed")
    assert session["application"] == sample.application and session["credential"] == sample.credential["id"]
    assert session["client_id"] == "listed-client" and session["virtual_cluster"] == cluster.name
    assert session["client_address"].startswith("127.0.0.1:") and session["opened_at"] and not session["tls"]
    assert "application" not in nobody and "client_id" not in nobody and nobody["bytes_in"] == 0


def test_a_revoked_credential_ends_its_sessions(sample):
    cluster = NativeCluster(sample, "native-revoked", authentication=["plain"])
    credential = sample.new_credential(sample.application)
    helper = reachable(cluster, **plain(credential))
    topic = helper.create_topic("revoked")
    helper.produce(topic, [b"before"])
    errors = []
    consumer = Consumer({**helper.config, "group.id": "g", "error_cb": errors.append})
    consumer.subscribe([topic])
    consumer.poll(1)
    sample.admin.act("credentials", credential["id"], "revoke")
    wait_until(lambda: consumer.poll(0.2) is None and any("uthentication" in str(error) for error in errors), 30,
               "the consumer to be refused")
    consumer.close()


@pytest.fixture(scope="module")
def secured(own_kafka):
    """A Kafka with a listener that wants SASL."""
    return own_kafka(users={"gateway": "gate-secret", "alice": "alice-secret"})


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_gateway_authenticates_to_the_broker(sample, secured, mechanism):
    name = f"secured-{mechanism.lower()}"
    sample.admin.create("backend-clusters", name=name, bootstrap_servers=[secured.sasl],
                        authentication={"mechanism": mechanism, "username": "gateway", "password": "gate-secret"})
    cluster = NativeCluster(sample, name, backend=name)
    round_trip(reachable(cluster), secured.helper)


def test_credentials_that_pass_through(sample, secured):
    sample.admin.create("backend-clusters", name="foreign", bootstrap_servers=[secured.sasl])
    cluster = NativeCluster(sample, "foreign", authentication=["passthrough"], backend="foreign")
    sasl = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "alice"}
    round_trip(reachable(cluster, **sasl, **{"sasl.password": "alice-secret"}), secured.helper)
    refused({"bootstrap.servers": cluster.bootstrap_servers, **sasl, "sasl.password": "wrong"}, "uthentication")
    with socket.create_connection(("127.0.0.1", cluster.port), timeout=60) as old:  # tokens without frames would follow
        old.sendall(struct.pack(">ihhihh", 17, 17, 0, 7, -1, 5) + b"PLAIN")
        assert struct.unpack(">ih", receive(old, 10)[4:]) == (7, 35)
        assert len(old.makefile("rb").read()) == 4  # no mechanism is offered, and the connection is closed
    # A gateway that knows nothing yet, as after a restart: clients come to a broker's port first.
    sample.gateway.stop()
    sample.gateway.start()
    round_trip(reachable(cluster, **sasl, **{"sasl.password": "alice-secret"}), secured.helper)


# ---- configuration ----

def test_a_changed_backend_closes_sessions_and_others_stay(sample, through, native):
    cluster = NativeCluster(sample, "native-moved")
    helper = reachable(cluster)
    disconnects, others = [], []
    moved = KafkaAdmin({**helper.config, "error_cb": disconnects.append})
    stays = KafkaAdmin({**through.config, "error_cb": others.append})
    moved.list_topics(timeout=30)
    stays.list_topics(timeout=30)
    sample.admin.patch("virtual-clusters", "native-moved", client_authentication=["plain"])
    wait_until(lambda: moved.poll(0.2) is not None and disconnects, 60, "the session to be closed")
    stays.list_topics(timeout=30)
    stays.poll(0.2)
    assert others == []
