"""What is said of native sessions: whose connection it is behind a load balancer, why it ended, how often, how long requests
took."""

import contextlib
import socket
import ssl
import struct

import pytest
from confluent_kafka import KafkaError, TopicCollection

from sluice_support import Authority, Balancer, KafkaHelper, NativeCluster, SampleApi, proxy_header, wait_until

BALANCER = "127.0.0.3"
METADATA = struct.pack(">ihhihi", 14, 3, 1, 9, -1, 0)


@pytest.fixture(scope="module")
def sample(module_servers, kafka):
    """Its gateway counts what repeats itself for a second only."""
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.start_gateway(module_servers, kafka_log_interval="1s")
    return sample


@pytest.fixture(scope="module")
def balanced(sample):
    """Trusts one address to say the client's; its clients come back by another."""
    cluster = NativeCluster(sample, "balanced", advertised_host="127.0.0.2", kafka={"proxy_protocol_from": [BALANCER]})
    wait_until(lambda: connect(cluster.port).close() is None, 60, "the listener")
    return cluster


def connect(port, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", port), 60, (source, 0))


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        assert part, "the connection was closed"
        data += part
    return data


def answered(connection):
    """Asks for metadata; the correlation id of the answer."""
    connection.sendall(METADATA)
    size = struct.unpack(">i", receive(connection, 4))[0]
    return struct.unpack(">i", receive(connection, size)[:4])[0]


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def connections(sample):
    [node] = [node for node in sample.admin.list("gateway-nodes") if node["state"] == "connected"]
    answer = sample.admin.request("GET", f"/v1/gateway-nodes/{node['id']}/connections", expect=200)
    return [c for c in answer.json()["connections"] if c["protocol"] == "kafka"]


def endings(sample, **fields):
    """The lines about ended sessions that have these fields."""
    lines = sample.gateway.entries("native session closed")
    return [line for line in lines if all(wanted in str(line.get(name)) for name, wanted in fields.items())]


def metric(sample, name, **labels):
    """The sum over what has these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(value for key, value in sample.gateway.metrics().items()
               if key.startswith(name + "{") and all(label in key for label in wanted))


# ---- PROXY protocol ----

def test_a_client_behind_a_balancer_has_its_own_address(sample, kafka, balanced):
    ports = range(balanced.port, balanced.port + 5)
    topic = kafka.create_topic("balanced")
    header = proxy_header("203.0.113.7", 40123, more=b"\x04\x00\x03abc")  # a NOOP of three bytes
    with Balancer(ports, "127.0.0.2", BALANCER, header) as balancer:
        client = KafkaHelper(f"127.0.0.2:{balanced.port}", {"client.id": "balanced-client"})
        client.produce(topic, [b"1", b"2"])
        assert [record.value() for record in client.consume_all(topic)] == [b"1", b"2"]

        def listed():
            client.admin.list_topics(timeout=3)
            return [c for c in connections(sample) if c.get("client_id") == "balanced-client"]

        assert {c["client_address"] for c in wait_until(listed, 60, "the sessions")} == {"203.0.113.7:40123"}
        assert balancer.address == "127.0.0.2"
    assert metric(sample, "sluice_kafka_proxy_headers_total", result="taken") > 0


def test_the_header_comes_byte_by_byte_and_with_ipv6(sample, balanced):
    with connect(balanced.port, BALANCER) as connection:
        for byte in proxy_header("2001:db8::7", 40124):
            connection.sendall(bytes([byte]))
        assert answered(connection) == 9
        wait_until(lambda: "[2001:db8::7]:40124" in {c["client_address"] for c in connections(sample)}, 60, "the session")


def test_a_balancer_that_speaks_for_itself_keeps_its_address(sample, balanced):
    with connect(balanced.port, BALANCER) as connection:
        connection.sendall(proxy_header("203.0.113.8", 1)[:12] + b"\x20\x00\x00\x00")
        assert answered(connection) == 9
        wait_until(lambda: any(c["client_address"].startswith(BALANCER + ":") for c in connections(sample)), 60, "the session")


def test_others_need_no_header_and_may_send_none(sample, balanced):
    with connect(balanced.port) as connection:
        assert answered(connection) == 9
    with connect(balanced.port) as connection:
        connection.sendall(proxy_header("203.0.113.9", 40125) + METADATA)
        assert is_closed(connection)
    wait_until(lambda: endings(sample, listener="balanced", reason="proxy_protocol_from"), 60, "the line")
    assert not endings(sample, client="203.0.113.9")


@pytest.mark.parametrize("data, reason", [
    (b"PROXY TCP4 203.0.113.7 127.0.0.1 40123 9092\r\n", "version 1"),
    (METADATA, "no PROXY protocol header"),
    (proxy_header("203.0.113.7", 1)[:14] + b"\xff\xff" + bytes(64), "at most"),
    (proxy_header("203.0.113.7", 1)[:12] + b"\x11" + proxy_header("203.0.113.7", 1)[13:], "0x11"),
    (proxy_header("203.0.113.7", 1)[:14] + b"\x00\x04" + bytes(4), "too early"),
])
def test_a_balancer_without_a_good_header_is_refused(sample, balanced, data, reason):
    with connect(balanced.port, BALANCER) as connection:
        connection.sendall(data)
        assert is_closed(connection)
    wait_until(lambda: endings(sample, client=BALANCER, reason=reason), 60, "the line")


def test_a_header_before_tls(sample, tmp_path):
    authority = Authority(tmp_path)
    tls = authority.listener_tls("gateway", ["IP:127.0.0.1"])
    cluster = NativeCluster(sample, "balanced-tls", tls=tls, kafka={"proxy_protocol_from": ["127.0.0.0/30"]})
    wait_until(lambda: connect(cluster.port).close() is None, 60, "the listener")
    connection = connect(cluster.port, BALANCER)
    connection.sendall(proxy_header("203.0.113.10", 40126))
    with ssl.create_default_context(cafile=authority.ca).wrap_socket(connection, server_hostname="127.0.0.1") as secure:
        assert answered(secure) == 9
        wait_until(lambda: "203.0.113.10:40126" in {c["client_address"] for c in connections(sample)}, 60, "the session")


def test_networks_are_checked(sample):
    answer = sample.admin.request("POST", "/v1/listeners", json={
        "name": "bad-network", "gateway_group": sample.group, "protocol": "kafka", "address": "127.0.0.1:1",
        "kafka": {"routing": "ports", "virtual_cluster": sample.virtual_cluster, "proxy_protocol_from": ["10.0.0.1/8"],
                  "port_ranges": [{"first_node_id": 1, "last_node_id": 1, "port_base": 2}]}})
    assert answer.status_code in (400, 422) and "proxy_protocol_from" in answer.text


# ---- why sessions end ----

def test_what_repeats_itself_is_logged_once_and_counted(sample, balanced):
    """Two workers know nothing of each other: a line each, at most, and then how often."""
    tries = 40
    with contextlib.ExitStack() as stack:  # one soon after the other, however slow the machine is
        connections = [stack.enter_context(connect(balanced.port)) for _ in range(tries)]
        for connection in connections:
            connection.sendall(b"HEAD / HTTP/1.1\r\n\r\n")
        assert all(is_closed(connection) for connection in connections)

    def lines():
        found = endings(sample, reason="HTTP")
        told = sum(1 + line["repeated"] if line["repeated"] == 0 else line["repeated"] for line in found)
        return found if told == tries else None

    found = wait_until(lines, 60, "the count of all tries")
    assert 1 <= len([line for line in found if line["repeated"] == 0]) < tries / 2


def test_a_line_says_who_and_what(sample):
    cluster = NativeCluster(sample, "told", authentication=["plain"])
    wait_until(lambda: connect(cluster.port).close() is None, 60, "the listener")
    user = f"\0{sample.credential['id']}\0{sample.credential['secret']}".encode()
    before = metric(sample, "sluice_kafka_errors_total", virtual_cluster="told", api="AlterClientQuotas", reason="refused")
    with connect(cluster.port) as connection:
        for key, version, body in ((17, 1, b"\0\5PLAIN"), (36, 0, struct.pack(">i", len(user)) + user),
                                   (49, 0, struct.pack(">ib", 0, 0))):
            frame = struct.pack(">hhih", key, version, 1, 8) + b"the-peer" + body
            connection.sendall(struct.pack(">i", len(frame)) + frame)
            if key != 49:
                receive(connection, struct.unpack(">i", receive(connection, 4))[0])
        assert is_closed(connection)
    [line] = wait_until(lambda: endings(sample, virtual_cluster="told", api="AlterClientQuotas"), 60, "the line")
    assert line["client_id"] == "the-peer" and line["version"] == 0 and line["application"] == sample.application
    assert line["credential"] == sample.credential["id"] and line["client"].startswith("127.0.0.1:")
    assert line["listener"] == "told"
    assert metric(sample, "sluice_kafka_errors_total", virtual_cluster="told", api="AlterClientQuotas",
                  reason="refused") == before + 1


# ---- figures ----

def test_figures_by_key(sample, kafka, balanced):
    """Requests, bytes and both parts of the time, for each key that was used and none that was not."""
    client = KafkaHelper(balanced.bootstrap_servers.replace("127.0.0.1", "127.0.0.2"))
    topic = kafka.create_topic("figures")
    with Balancer(range(balanced.port, balanced.port + 5), "127.0.0.2", BALANCER, proxy_header("203.0.113.7", 1)):
        before = metric(sample, "sluice_kafka_request_bytes_total", virtual_cluster="balanced", api="Produce")
        client.produce(topic, [bytes(50_000)] * 4)
        assert len(client.consume_all(topic)) == 4
        unknown = client.admin.describe_topics(TopicCollection(["not-there"]))["not-there"]
        assert unknown.exception(60).args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        del client
    sent = metric(sample, "sluice_kafka_request_bytes_total", virtual_cluster="balanced", api="Produce") - before
    assert 200_000 < sent < 220_000
    assert metric(sample, "sluice_kafka_response_bytes_total", virtual_cluster="balanced", api="Fetch") > 200_000
    for api in ("Metadata", "Produce", "Fetch"):
        for part in ("broker", "gateway"):
            seconds = f"sluice_kafka_{part}_seconds"
            counted = metric(sample, seconds + "_count", virtual_cluster="balanced", api=api)
            requests = metric(sample, "sluice_kafka_requests_total", virtual_cluster="balanced", api=api)
            assert 0 < counted <= requests, (api, part)
            assert metric(sample, seconds + "_sum", virtual_cluster="balanced", api=api) > 0
    assert metric(sample, "sluice_kafka_requests_total", virtual_cluster="balanced", api="ApiVersions") > 0
    assert metric(sample, "sluice_kafka_answer_errors_total", virtual_cluster="balanced", api="Metadata", code="3") > 0
    assert metric(sample, "sluice_kafka_requests_total", virtual_cluster="balanced", api="ShareFetch") == 0
