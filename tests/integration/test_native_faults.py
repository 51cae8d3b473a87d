"""What happens to native sessions when things around them change or break: only those that it concerns notice."""

import contextlib
import os
import resource
import socket
import ssl
import struct
import threading

import pytest

from sluice_support import Authority, NativeCluster, raise_file_limit, wait_until

METADATA = struct.pack(">ihhihi", 14, 3, 1, 9, -1, 0)
PEERS = 12
IDLE = 5000


@pytest.fixture(scope="module", autouse=True)
def open_files():
    """Before the gateway starts, which inherits it."""
    assert raise_file_limit(3 * IDLE) > 2 * IDLE


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 60)


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def ask(connection):
    connection.sendall(METADATA)
    size = struct.unpack(">i", receive(connection, 4))[0]
    answer = receive(connection, size)
    assert answer[:4] == struct.pack(">i", 9)
    return answer


def wait_served(cluster):
    def served():
        with connect(cluster.port) as connection:
            ask(connection)
            return True

    wait_until(served, 60, f"the listener {cluster.name}")
    return cluster


class Peers:
    """Connections that keep asking until they are closed; `answered` counts for each."""

    def __init__(self, port, count):
        self.connections = [connect(port) for _ in range(count)]
        self.answered, self.closed = [0] * count, [False] * count
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, n):
        try:
            while not self._stop.is_set():
                ask(self.connections[n])
                self.answered[n] += 1
        except ConnectionError:
            self.closed[n] = True

    def busy(self):
        """Each is answered again, from now on."""
        before = list(self.answered)
        wait_until(lambda: all(now > then for now, then in zip(self.answered, before)), 60, "answers for everybody")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        for connection in self.connections:
            connection.close()


def closed_by_configuration(sample):
    return sample.gateway.metrics().get('sluice_kafka_sessions_closed_total{reason="configuration"}', 0)


def test_a_configuration_change_under_load_closes_those_whose_settings_changed(sample):
    changed, other = (wait_served(NativeCluster(sample, name)) for name in ("changed", "other"))
    before = closed_by_configuration(sample)
    with Peers(changed.port, PEERS) as theirs, Peers(other.port, PEERS) as others:
        theirs.busy()
        others.busy()
        sample.admin.patch("virtual-clusters", "changed", title="Only a title")
        sample.admin.create("virtual-clusters", name="new", backend_cluster=sample.backend, namespace={"mode": "none"})
        sample.admin.patch("virtual-clusters", "changed", client_authentication=["anonymous", "plain"])
        wait_until(lambda: all(theirs.closed), 60, "the sessions of the changed cluster to be closed")
        others.busy()
        assert not any(others.closed)
        assert closed_by_configuration(sample) == before + PEERS
    wait_served(changed)


def test_a_changed_certificate_is_for_new_sessions_and_live_ones_go_on(sample, authority):
    names = ["IP:127.0.0.1"]
    cluster = NativeCluster(sample, "rotated", tls=authority.listener_tls("first", names))
    context = ssl.create_default_context(cafile=authority.ca)

    def secure():
        return context.wrap_socket(connect(cluster.port), server_hostname="127.0.0.1")

    def subject(connection):
        return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]

    with contextlib.closing(wait_until(secure, 60, "the listener")) as live:
        ask(live)
        assert subject(live) == "first"
        sample.admin.patch("listeners", "rotated", tls=authority.listener_tls("second", names))

        def rotated():
            with secure() as fresh:
                ask(fresh)
                return subject(fresh) == "second"

        wait_until(rotated, 60, "the new certificate")
        ask(live)


def test_a_changed_listener_is_for_its_sessions_too(sample, authority):
    """What clients are told is new at once; whoever has no certificate that is asked for now has to go."""
    tls = authority.listener_tls("strict", ["IP:127.0.0.1"])
    cluster = NativeCluster(sample, "stricter", tls=tls)
    context = ssl.create_default_context(cafile=authority.ca)

    def secure():
        return context.wrap_socket(connect(cluster.port), server_hostname="127.0.0.1")

    with contextlib.closing(wait_until(secure, 60, "the listener")) as live:
        assert b"127.0.0.1" in ask(live)
        sample.admin.patch("listeners", "stricter", advertised_host="127.0.0.9")
        wait_until(lambda: b"127.0.0.9" in ask(live), 60, "the new address")
        before = closed_by_configuration(sample)
        sample.admin.patch("listeners", "stricter", tls={**tls, "client_ca_pem": authority.ca.read_text(),
                                                         "client_auth": "require"})
        wait_until(lambda: closed_by_configuration(sample) == before + 1, 60, "the session to be closed")
        with contextlib.suppress(ConnectionResetError):
            assert live.recv(1) == b""


def test_without_files_for_sockets_the_gateway_waits(sample):
    """It neither burns a core nor fills the log, and goes on by itself."""
    cluster = wait_served(NativeCluster(sample, "starved"))
    pid, message = sample.gateway.pid, b"connections cannot be accepted"
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    peers = []
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 10, limit[1]))
        peers = [connect(cluster.port) for _ in range(60)]
        wait_until(lambda: message in sample.gateway.log(), 60, "the line in the log")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        for peer in peers:
            ask(peer)
        assert sample.gateway.log().count(message) <= 2  # one for each worker
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        for peer in peers:
            peer.close()


def test_a_drain_ends_busy_sessions_with_their_answers(sample):
    cluster = wait_served(NativeCluster(sample, "drained"))
    with Peers(cluster.port, PEERS) as peers:
        peers.busy()
        sample.gateway.stop()
        wait_until(lambda: all(peers.closed), 60, "the sessions' end")
    assert b"drain deadline passed" not in sample.gateway.log()
    sample.gateway.start()
    wait_served(cluster)


@pytest.fixture(scope="module")
def secured(sample, authority):
    cluster = NativeCluster(sample, "secured", tls=authority.listener_tls("secured", ["IP:127.0.0.1"]))
    wait_until(lambda: connect(cluster.port).close() is None, 60, "the listener")
    return cluster


@pytest.mark.parametrize("data", [METADATA, b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\x7f\xff\xff\xff"])
def test_plain_bytes_to_a_tls_listener_are_not_answered(sample, secured, data):
    """A client that takes a TLS alert for the length of a frame wants 352 MB of memory."""
    before = sample.gateway.metrics().get('sluice_kafka_sessions_closed_total{reason="tls"}', 0)
    with connect(secured.port) as peer:
        peer.sendall(data)
        with contextlib.suppress(ConnectionResetError):
            assert peer.recv(1) == b""
    wait_until(lambda: sample.gateway.metrics().get('sluice_kafka_sessions_closed_total{reason="tls"}', 0) > before, 60,
               "the session to be counted")


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_thousands_of_idle_connections_cost_little(sample):
    """The sanitizer's own overhead is in this bound; bench/native has the real figure."""
    cluster = wait_served(NativeCluster(sample, "idle"))
    before = resident(sample.gateway.pid)
    peers = []
    try:
        for _ in range(IDLE):
            peers.append(connect(cluster.port))
            peers[-1].sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        for peer in peers:
            receive(peer, 4)
        wait_until(lambda: sample.gateway.metrics()['sluice_kafka_sessions{virtual_cluster="idle"}'] == IDLE, 60,
                   "all of them to be there, and nobody else")
        assert resident(sample.gateway.pid) - before < IDLE * 16 * 1024
        with connect(cluster.port) as other:
            ask(other)
    finally:
        for peer in peers:
            peer.close()
    wait_until(lambda: sample.gateway.metrics()['sluice_kafka_sessions{virtual_cluster="idle"}'] == 0, 60, "their end")
