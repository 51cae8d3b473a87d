"""What a Kafka listener does with peers that are no good Kafka clients: a right answer where there is one, else a closed
connection and one line in the log; and everybody else is served."""

import socket
import struct

import pytest

from sluice_support import KafkaHelper, NativeCluster, known, receive_frame, wait_until

MIB = 1 << 20


@pytest.fixture(scope="module")
def native(sample):
    native = NativeCluster(sample, "wire")
    native.helper = KafkaHelper(native.bootstrap_servers)
    wait_until(lambda: native.helper.admin.list_topics(timeout=3), 60, "the listener")
    return native


@pytest.fixture(scope="module")
def strict(sample, native):
    """One that wants PLAIN."""
    strict = NativeCluster(sample, "strict", authentication=["plain"])
    wait_until(lambda: socket.create_connection(("127.0.0.1", strict.port), 2).close() is None, 60, "the listener")
    return strict


class Peer:
    def __init__(self, cluster):
        self.socket = socket.create_connection(("127.0.0.1", cluster.port), timeout=60)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the gateway has seen enough
        return self

    def request(self, key, version, body=b"", correlation=7, client=b"peer"):
        header = struct.pack(">hhih", key, version, correlation, len(client)) + client
        return self.send(struct.pack(">i", len(header) + len(body)) + header + body)

    def answer(self):
        """The next frame; empty when the gateway has closed."""
        try:
            return receive_frame(self.socket)
        except ConnectionResetError:
            return b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def closed_count(sample, reason):
    return sample.gateway.metrics().get(f'sluice_kafka_sessions_closed_total{{reason="{reason}"}}', 0)


HELLO_TLS = bytes.fromhex("16030100c8010000c40303")
CASES = {
    "http/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tls": HELLO_TLS + bytes(300),
    "zeros": bytes(64),
    "negative length": struct.pack(">i", -1) + bytes(64),
    "2 GiB": struct.pack(">i", 0x7FFFFFFF) + bytes(64),
    "too short for a header": struct.pack(">i", 4) + bytes(4),
    "a key that never was": struct.pack(">ihhih", 10, 9999, 0, 1, -1),
    "a negative key": struct.pack(">ihhih", 10, -5, 0, 1, -1),
    "a removed key": struct.pack(">ihhih", 10, 4, 0, 1, -1),
    "a version from the future": struct.pack(">ihhih", 10, 3, 99, 1, -1),
    "a removed version": struct.pack(">ihhih", 10, 0, 1, 1, -1) + bytes(20),
    "a client id beyond the frame": struct.pack(">ihhih", 10, 3, 1, 1, 5000),
    "an inter-broker request": struct.pack(">ihhih", 12, 27, 1, 1, -1) + bytes(2),
    "client metrics that are not opened (KIP-714)": struct.pack(">ihhihb", 28, 71, 0, 1, -1, 0) + bytes(17),
    "a quota change": struct.pack(">ihhih", 14, 49, 0, 1, -1) + bytes(4),
}


@pytest.mark.parametrize("name", CASES)
def test_is_closed_and_logged_once(sample, native, name):
    before = sum(value for key, value in sample.gateway.metrics().items()
                 if key.startswith("sluice_kafka_sessions_closed_total"))
    with Peer(native) as peer:
        assert peer.send(CASES[name]).answer() == b""
    after = sum(value for key, value in sample.gateway.metrics().items()
                if key.startswith("sluice_kafka_sessions_closed_total"))
    assert after == before + 1


def test_unknown_versions_of_api_versions_are_told_the_known_ones(native):
    """KIP-511: version 0 of the answer, error 35, and the range of key 18 alone."""
    with Peer(native) as peer:
        answer = peer.request(18, 99, b"\x00").answer()
        assert struct.unpack(">ihi", answer[:10]) == (7, 35, 1)
        assert struct.unpack(">hhh", answer[10:]) == (18, 0, 5)
        assert struct.unpack(">ih", peer.request(18, 0).answer()[:6]) == (7, 0)


@pytest.mark.parametrize("name", [b"a b", b"", b"-a", b"a.", b"\xc3\xa4"])
def test_a_client_that_has_no_name_for_itself_is_told_so(native, kafka, name):
    """KIP-511, in version 3 of ApiVersions: as Kafka does."""
    body = bytes([len(name) + 1]) + name + b"\x021\x00"
    frame = struct.pack(">hhihb", 18, 3, 7, -1, 0) + body
    answers = []
    for host, port in (kafka.bootstrap_servers.split(":"), ("127.0.0.1", native.port)):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(struct.pack(">i", len(frame)) + frame)
            answers.append(receive_frame(connection))
    assert answers[0] == answers[1] and answers[1][4:6] == struct.pack(">h", 42)


def ask_versions(address, cluster, node):
    """ApiVersions of version 5, for whoever believes to talk to that node of that cluster."""
    believed = b"\0" if cluster is None else bytes([len(cluster) + 1]) + cluster.encode()
    frame = struct.pack(">hhihb", 18, 5, 7, -1, 0) + b"\x02a\x021" + believed + struct.pack(">ib", node, 0)
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        return receive_frame(connection)


@pytest.mark.parametrize("node", [-1, 1, 77])
@pytest.mark.parametrize("cluster", [None, "", "right", "wrong"])
def test_a_client_that_looks_for_another_cluster_or_node_is_told_so(native, kafka, cluster, node):
    """KIP-1242: as Kafka does, at the port of its node 1."""
    cluster = kafka.admin.list_topics(timeout=60).cluster_id if cluster == "right" else cluster
    host, port = kafka.bootstrap_servers.split(":")
    ours = ask_versions(("127.0.0.1", native.port + 2), cluster, node)
    if not known("4.4"):  # the broker does not know the version; the gateway answers it by itself
        assert ours[4:6] in (b"\0\0", struct.pack(">h", 42), struct.pack(">h", 129))
        return
    theirs = ask_versions((host, int(port)), cluster, node)
    assert ours[:6] == theirs[:6]
    assert ours[4:6] == b"\0\0" or ours == theirs


def test_who_looks_for_a_node_at_the_bootstrap_port_is_told_to_begin_again(native, kafka):
    cluster = kafka.admin.list_topics(timeout=60).cluster_id
    assert ask_versions(("127.0.0.1", native.port), None, -1)[4:6] == struct.pack(">h", 0)
    assert ask_versions(("127.0.0.1", native.port), cluster, 1)[4:6] == struct.pack(">h", 129)


def test_api_versions_is_the_intersection(native, kafka):
    """Nothing that brokers speak among themselves; Produce from 0; nothing that this Kafka does not have."""
    with Peer(native) as peer:
        answer = peer.request(18, 0).answer()
    count = struct.unpack(">i", answer[6:10])[0]
    keys = {key: (low, high) for key, low, high in struct.iter_unpack(">hhh", answer[10:10 + 6 * count])}
    host, port = kafka.bootstrap_servers.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as direct:
        direct.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        answer = receive_frame(direct)
    count = struct.unpack(">i", answer[6:10])[0]
    theirs = {key: (low, high) for key, low, high in struct.iter_unpack(">hhh", answer[10:10 + 6 * count])}
    assert keys[0][0] == 0 and not {27, 49, 71, 72} & set(keys)
    for key in set(keys) - {0, 17, 18, 36}:
        assert theirs[key][0] <= keys[key][0] and keys[key][1] <= theirs[key][1], key


def test_requests_before_authentication(sample, strict):
    before = closed_count(sample, "authentication")
    with Peer(strict) as peer:
        assert peer.request(3, 1, struct.pack(">i", 0)).answer() == b""
    assert closed_count(sample, "authentication") == before + 1


def test_sasl_handshake_version_0_is_refused_with_words(strict):
    """Raw tokens would follow, which cannot be told from Kafka frames."""
    with Peer(strict) as peer:
        answer = peer.request(17, 0, struct.pack(">h", 5) + b"PLAIN").answer()
        assert struct.unpack(">ih", answer[:6]) == (7, 35)
        assert peer.answer() == b""


def test_a_token_without_a_handshake(strict):
    with Peer(strict) as peer:
        answer = peer.request(36, 0, struct.pack(">i", 4) + b"\x00a\x00b").answer()
        assert struct.unpack(">ih", answer[:6]) == (7, 58)
        assert peer.answer() == b""


def test_frames_byte_by_byte_and_all_at_once(native):
    frame = struct.pack(">ihhih", 10, 18, 0, 3, -1)
    with Peer(native) as peer:
        for n in range(len(frame)):
            peer.send(frame[n:n + 1])
        assert peer.answer()[:4] == struct.pack(">i", 3)
        peer.send(frame * 500)
        for _ in range(500):
            assert peer.answer()[:4] == struct.pack(">i", 3)


def test_answers_keep_their_order(native):
    """Local answers wait for those of the broker."""
    metadata = struct.pack(">hhih", 3, 1, 100, -1) + struct.pack(">i", 0)
    versions = struct.pack(">hhih", 18, 0, 101, -1)
    frames = b"".join(struct.pack(">i", len(body)) + body for body in (metadata, versions, metadata, versions))
    with Peer(native) as peer:
        peer.send(frames)
        assert [peer.answer()[:4] for _ in range(4)] == [struct.pack(">i", n) for n in (100, 101, 100, 101)]


def test_a_client_that_reads_nothing_costs_a_bounded_amount(sample, native):
    """It asks for far more than anybody may buffer, and the gateway stops reading its requests."""
    topic = native.helper.create_topic("unread")
    native.helper.produce(topic, [bytes(500_000) for _ in range(4)])
    name = topic.encode()
    body = (struct.pack(">iiiib", -1, 100, 1, 50 * MIB, 0) + struct.pack(">ii", 0, -1) + struct.pack(">i", 1) +
            struct.pack(">h", len(name)) + name + struct.pack(">i", 1) + struct.pack(">iqqi", 0, 0, -1, 50 * MIB) +
            struct.pack(">i", 0))
    header = struct.pack(">hhih", 1, 8, 5, -1)
    frame = struct.pack(">i", len(header) + len(body)) + header + body
    with Peer(native) as peer:
        assert len(peer.send(frame).answer()) > 1_900_000
    before = resident(sample.gateway.pid)
    with Peer(native) as peer:
        peer.socket.settimeout(1.0)
        try:
            for _ in range(2000):
                peer.socket.sendall(frame)
        except (socket.timeout, TimeoutError, ConnectionError):
            pass
        assert native.helper.admin.list_topics(timeout=60)
        assert resident(sample.gateway.pid) - before < 64 * MIB


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def produce_of(records, topic):
    """Produce v3 of one partition; None: null instead of records."""
    body = struct.pack(">hhiih", -1, -1, 1000, 1, len(topic)) + topic.encode() + struct.pack(">ii", 1, 0)
    body += struct.pack(">i", -1) if records is None else struct.pack(">i", len(records)) + records
    frame = struct.pack(">hhih", 0, 3, 7, -1) + body
    return struct.pack(">i", len(frame)) + frame


def answer_of(port, frame, patience):
    """None: nothing came; empty: it was closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        connection.sendall(frame)
        try:
            return receive_frame(connection)
        except TimeoutError:
            return None


def test_records_that_are_none_are_answered_as_kafka_does(sample, kafka, native):
    """No bytes are refused. To null Kafka 4.4 says nothing, ever, and neither does the gateway in its place; the session
    ends with its client, and others do not notice."""
    kafka_port = int(kafka.bootstrap_servers.split(":")[1])
    hidden = NativeCluster(sample, "wire-hidden", namespace={"mode": "hide", "prefix": "none-"})
    hidden.wait_served()
    topic = kafka.create_topic("none-at-all")
    short = topic[len("none-"):]
    for port, name in ((native.port + 2, topic), (hidden.port + 2, short)):
        expected = answer_of(kafka_port, produce_of(b"", topic), 20)
        name_at = 4 + 4 + 2
        ours = answer_of(port, produce_of(b"", name), 20)
        assert ours[name_at + len(name):] == expected[name_at + len(topic):] and len(ours) > name_at + len(name)
    silence = answer_of(kafka_port, produce_of(None, topic), 1.0)
    open_sessions = sample.gateway.metrics()['sluice_kafka_sessions{virtual_cluster="wire"}']
    assert answer_of(native.port + 2, produce_of(None, topic), 1.0) == silence
    if silence is None:
        answer_of(hidden.port + 2, produce_of(None, short), 0.5)
    assert native.helper.admin.list_topics(timeout=60)
    wait_until(lambda: sample.gateway.metrics()['sluice_kafka_sessions{virtual_cluster="wire"}'] <= open_sessions,
               what="the session to end with its client")
