"""Many native clients at once: each limit is for those whom it is meant for, and who is kept out can be read in the log and in
the metrics."""

import contextlib
import socket
import struct

import pytest

from sluice_support import KafkaHelper, NativeCluster, SampleApi, proxy_header, wait_until

METADATA = struct.pack(">ihhihi", 14, 3, 1, 9, -1, 0)
BEGINNING = struct.pack(">ihhih", 60000, 18, 0, 9, 40)  # of a large ApiVersions, in the middle of the header
BALANCER = "127.0.0.3"
PER_ADDRESS, AT_ONCE, STRANGERS, SESSIONS = 5, 8, 20, 40


@pytest.fixture(scope="module")
def sample(module_servers, kafka):
    """Its gateway is a small one: one worker, and little of everything."""
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.start_gateway(module_servers, workers="1", kafka_connections=SESSIONS, kafka_unauthenticated=STRANGERS,
                         kafka_unauthenticated_grace="500ms", kafka_buffer_limit="1MiB",
                         kafka_connections_per_address=3 * SESSIONS, kafka_authentication_timeout="60s")
    return sample


@pytest.fixture(scope="module")
def open_to_all(sample):
    return served(NativeCluster(sample, "open"))


@pytest.fixture(scope="module")
def closed(sample):
    """Wants its clients to authenticate."""
    return opened(NativeCluster(sample, "closed", authentication=["plain"]))


@pytest.fixture
def crowd(sample):
    """Opens connections that stay until the test is over, and the gateway has seen that they are gone."""
    with contextlib.ExitStack() as stack:
        yield lambda cluster, count=1, **by: [stack.enter_context(connect(cluster, **by)) for _ in range(count)]
    wait_until(lambda: sessions(sample) == 0, 60, "the sessions to end")


def served(cluster):
    def answers():
        with connect(cluster) as connection:
            return is_served(connection)

    wait_until(answers, 60, f"the listener {cluster.name}")
    return cluster


def opened(cluster):
    """For one that answers nobody yet."""
    cluster.wait_served()
    return cluster


def connect(cluster, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", cluster.port), 60, (source, 0))


def is_served(connection):
    """Asks for metadata. False: the connection was closed."""
    try:
        connection.sendall(METADATA)
        return len(connection.recv(4)) == 4
    except (ConnectionResetError, BrokenPipeError):
        return False


def is_closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def sessions(sample):
    return sum(value for name, value in sample.gateway.metrics().items() if name.startswith("sluice_kafka_sessions{"))


def refused(sample, cluster, reason):
    name = f'sluice_kafka_connections_refused_total{{listener="{cluster.name}",reason="{reason}"}}'
    return sample.gateway.metrics().get(name, 0)


def lines(sample, text):
    return [line for line in sample.gateway.log().decode().splitlines() if text in line]


def test_an_address_has_so_many_connections_of_a_listener(sample, open_to_all, crowd):
    cluster = served(NativeCluster(sample, "guarded", kafka={"max_connections_per_address": PER_ADDRESS}))
    wait_until(lambda: sessions(sample) == 0, 60, "the first connection to be gone")
    taken = crowd(cluster, PER_ADDRESS)
    assert all(is_served(connection) for connection in taken)
    more = crowd(cluster, 3)
    assert all(is_closed(connection) for connection in more)
    assert refused(sample, cluster, "address") == 3
    told = wait_until(lambda: lines(sample, "kafka.max_connections_per_address"), 60, "a line in the log")
    assert len(told) == 1 and "guarded" in told[0] and "127.0.0.1:" in told[0]
    assert is_served(crowd(cluster, source="127.0.0.9")[0]), "another address"
    assert is_served(crowd(open_to_all)[0]), "another listener"
    assert all(is_served(connection) for connection in taken)
    taken[0].close()
    wait_until(lambda: is_served(crowd(cluster)[0]), 60, "the place that was left")


def test_behind_a_balancer_the_clients_are_counted(sample, crowd):
    limits = {"max_connections_per_address": 2, "proxy_protocol_from": [BALANCER]}
    cluster = opened(NativeCluster(sample, "balanced", kafka=limits))

    def client(address):
        connection = crowd(cluster, source=BALANCER)[0]
        connection.sendall(proxy_header(address, 40123))
        return connection

    assert all(is_served(client("203.0.113.7")) for _ in range(2))
    assert is_closed(client("203.0.113.7"))
    assert refused(sample, cluster, "address") == 1
    assert all(is_served(client(f"203.0.113.{n}")) for n in range(20, 24)), "the balancer itself is no client"


def test_a_listener_has_so_many_connections(sample, open_to_all, crowd):
    cluster = served(NativeCluster(sample, "small", kafka={"max_connections": AT_ONCE}))
    wait_until(lambda: sessions(sample) == 0, 60, "the first connection to be gone")
    taken = crowd(cluster, AT_ONCE)
    assert all(is_served(connection) for connection in taken)
    assert is_closed(crowd(cluster, source="127.0.0.9")[0])
    assert refused(sample, cluster, "listener") == 1
    wait_until(lambda: lines(sample, "its kafka.max_connections allows"), 60, "a line in the log")
    assert is_served(crowd(open_to_all)[0]), "another listener"
    sample.admin.patch("listeners", "small", kafka={"max_connections": AT_ONCE + 1})
    wait_until(lambda: is_served(crowd(cluster)[0]), 60, "the new limit")


def test_a_full_worker_refuses_and_goes_on_by_itself(sample, open_to_all, crowd):
    taken = crowd(open_to_all, SESSIONS)
    assert all(is_served(connection) for connection in taken)
    assert all(is_closed(connection) for connection in crowd(open_to_all, 3)), "at once, and not left to wait"
    assert refused(sample, open_to_all, "worker") == 3
    assert len(wait_until(lambda: lines(sample, "as kafka.connections allows"), 60, "a line in the log")) == 1
    taken[0].close()
    wait_until(lambda: is_served(crowd(open_to_all)[0]), 60, "the place that was left")


def test_memory_that_strangers_hold_comes_back(sample, closed, crowd):
    """Fewer than may be there, but they take all that is for those who have not authenticated."""
    strangers = crowd(closed, STRANGERS - 2)
    for connection in strangers:
        connection.sendall(BEGINNING)
    sasl = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": sample.credential["id"],
            "sasl.password": sample.credential["secret"]}
    assert KafkaHelper(closed.bootstrap_servers, sasl).admin.list_topics(timeout=60).topics
    assert is_closed(strangers[0]), "the oldest"


def test_strangers_give_way_to_those_who_come_after_them(sample, open_to_all, closed, crowd):
    """They hold little memory, and no place for longer than kafka.unauthenticated-grace when somebody else wants it."""
    strangers = crowd(closed, 3 * STRANGERS)
    for connection in strangers:
        connection.sendall(BEGINNING)
    friend = crowd(open_to_all)[0]
    assert is_served(friend)
    wait_until(lambda: sample.gateway.metrics()["sluice_kafka_unauthenticated_sessions"] <= STRANGERS, 60, "few strangers")
    assert is_closed(strangers[0]), "the oldest"
    assert sample.gateway.metrics()['sluice_kafka_sessions_closed_total{reason="limit"}'] >= STRANGERS
    assert sample.gateway.metrics()['sluice_kafka_accept_pauses_total{reason="unauthenticated"}'] >= 1
    wait_until(lambda: lines(sample, "kafka.unauthenticated"), 60, "a line in the log")
    assert is_served(friend) and is_served(crowd(open_to_all)[0])
