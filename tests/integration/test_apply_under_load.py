"""A change of configuration under load: exactly the connections whose own settings changed are closed, and the others
lose and repeat nothing."""

import hashlib
import http.client
import json
import re
import selectors
import socket
import ssl
import subprocess
import threading

import pytest
import requests

from sluice_support import SampleApi, SseReader, free_port, wait_until

READERS = 50  # of each event API
PUBLISH_EVERY_S = 0.02


class Stream:
    """What one reader has received."""

    def __init__(self, sample):
        self.sample = sample
        self.ended = False
        self.received = bytearray()
        self.socket = socket.create_connection(("127.0.0.1", sample.port), timeout=60)
        # HTTP/1.0: no chunks, and the end of the stream is the end of the connection.
        self.socket.sendall(f"GET /{sample.name}/v1/events HTTP/1.0\r\nHost: gateway\r\n"
                            f"Accept: text/event-stream\r\nX-API-Key: {sample.key}\r\n\r\n".encode())

    def receive(self):
        data = self.socket.recv(65536)
        self.received += data
        return data

    @property
    def last_id(self):
        ids = re.findall(rb"^id: (\S+)\n", bytes(self.received), re.M)
        return ids[-1].decode() if ids else None

    def numbers(self):
        """Of the events so far, in order."""
        return [json.loads(line)["data"]["n"] for line in re.findall(rb"^data: (\{.*\"n\":.*)\n", bytes(self.received),
                                                                     re.M)]


class Pool:
    """One thread that reads all streams."""

    def __init__(self):
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.streams = []

    def open(self, sample):
        stream = Stream(sample)
        stream.receive()
        assert stream.received.startswith(b"HTTP/1.0 200") or stream.received.startswith(b"HTTP/1.1 200")
        self.streams.append(stream)
        self._selector.register(stream.socket, selectors.EVENT_READ, stream)
        return stream

    def start(self):
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            for key, _ in self._selector.select(0.1):
                stream = key.data
                try:
                    ended = not stream.receive()
                except OSError:
                    ended = True
                if ended:
                    self._selector.unregister(stream.socket)
                    stream.ended = True

    def close(self):
        self._stop.set()
        self._thread.join(10)
        for stream in self.streams:
            stream.socket.close()


class Publisher:
    """One keep-alive connection that publishes numbers, one after the other, until it is stopped."""

    def __init__(self, sample):
        self.sample = sample
        self.sent, self.refused, self.reconnects = [], [], 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._connection = None

    def _connect(self):
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.sample.port, timeout=60)
            self._connection.connect()
            self.reconnects += 1

    def _publish(self, number):
        self._connect()
        self._connection.request("POST", f"/{self.sample.name}/v1/events", json.dumps({"n": number}),
                                 {"X-API-Key": self.sample.key, "Content-Type": "application/json"})
        response = self._connection.getresponse()
        body = response.read()
        if response.will_close:
            self._connection.close()
            self._connection = None
        return response.status, body

    def _run(self):
        number = 0
        while not self._stop.wait(PUBLISH_EVERY_S):
            try:
                status, body = self._publish(number)
            except (OSError, http.client.HTTPException) as failure:
                self._connection = None
                self.refused.append(repr(failure))
                continue
            if status == 201:
                self.sent.append(number)
                number += 1
            else:
                self.refused.append(f"{status} {body}")

    def wait_more(self, count):
        target = len(self.sent) + count
        wait_until(lambda: len(self.sent) >= target, 60, f"{count} more events of {self.sample.name}")

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stop.set()
        self._thread.join(30)


class Load:
    """An event API with its readers and its publisher."""

    def __init__(self, sample, pool):
        self.sample = sample
        sample.wait_served()
        self.readers = [pool.open(sample) for _ in range(READERS)]
        self.publisher = Publisher(sample)

    def start(self):
        for reader in self.readers:
            wait_until(lambda: reader.last_id, what="a reader's place")
        self.publisher.start()

    def closed(self):
        return sum(reader.ended for reader in self.readers)

    def check_untouched(self):
        """Nobody was closed, and every reader has every event once, in order."""
        self.publisher.stop()
        assert self.publisher.refused == [] and self.publisher.reconnects == 1
        sent = self.publisher.sent
        for reader in self.readers:
            wait_until(lambda: len(reader.numbers()) >= len(sent), 40, f"all events of {self.sample.name}")
            assert reader.numbers() == sent
        assert self.closed() == 0


class Scene:
    """Four event APIs of one group: two listeners, two backends (of the same Kafka), two virtual clusters."""

    def __init__(self, servers, kafka):
        self.control = servers.control()
        self.admin = self.control.admin
        first = SampleApi(self.control, kafka.bootstrap_servers, kafka.create_topic("a", 1), prefix="a-")
        self.samples = {"a": first}
        for name in ("b", "c", "d"):
            listener = (first.listener, first.port) if name == "b" else None
            self.samples[name] = SampleApi(self.control, kafka.bootstrap_servers, kafka.create_topic(name, 1),
                                           prefix=f"{name}-", group=first.group, listener=listener)
        self.gateway = servers.gateway(self.control.join_string(first.group))
        for sample in self.samples.values():
            sample.gateway = self.gateway
        self.loads = {}
        self.pool = Pool()

    def start(self, *names):
        for name in names:
            self.loads[name] = Load(self.samples[name], self.pool)
        self.pool.start()
        for load in self.loads.values():
            load.start()
        for load in self.loads.values():
            load.publisher.wait_more(5)

    def change(self, change):
        """Runs it under load, and waits until every worker of the gateway has applied it."""
        change()
        self.samples["a"].wait_in_force()

    def others_go_on(self, *names):
        for name, load in self.loads.items():
            if name not in names:
                load.publisher.wait_more(10)
        for name, load in self.loads.items():
            if name not in names:
                load.check_untouched()

    def wait_closed(self, name, count=READERS):
        wait_until(lambda: self.loads[name].closed() == count, 40,
                   f"{count} streams of {name} to end")

    def close(self):
        for load in self.loads.values():
            load.publisher.stop()
        self.pool.close()


@pytest.fixture
def scene(servers, kafka):
    scene = Scene(servers, kafka)
    yield scene
    scene.close()


def test_a_backend_that_moves_ends_its_own_streams_alone(scene):
    scene.start("a", "b", "c", "d")
    moved = scene.samples["a"]
    scene.change(lambda: scene.admin.patch("backend-clusters", moved.backend, bootstrap_servers=[
        server.replace("127.0.0.1", "localhost") for server in _servers_of(scene, moved)]))
    scene.wait_closed("a")
    # Its publisher's connection is HTTP and stays: the next event goes the new way.
    scene.loads["a"].publisher.wait_more(10)
    assert scene.loads["a"].publisher.reconnects == 1
    with moved.stream(headers={"Last-Event-ID": scene.loads["a"].readers[0].last_id}) as resumed:
        assert resumed.take(1)
    scene.others_go_on("a")


def _servers_of(scene, sample):
    return scene.admin.get("backend-clusters", sample.backend)["bootstrap_servers"]


def test_a_namespace_that_changes_ends_its_own_streams_alone(scene, kafka):
    scene.start("a", "b", "c")
    moved = scene.samples["b"]
    new_topic = kafka.create_topic(f"moved-{moved.topic}", 1, exact=True)
    scene.change(lambda: scene.admin.patch("virtual-clusters", moved.virtual_cluster,
                                           namespace={"mode": "hide", "prefix": "moved-"}))
    scene.wait_closed("b")
    # The first answer may still be that of an event of before, which is in the old topic.
    wait_until(lambda: sum(kafka.end_offsets(new_topic).values()) >= 5, 60, "events in the new topic")
    scene.loads["b"].publisher.wait_more(5)
    scene.others_go_on("b")


def test_a_listener_that_moves_ends_its_own_connections_alone(scene):
    scene.start("a", "b", "c", "d")
    moved, new_port = scene.samples["c"], free_port()
    scene.change(lambda: scene.admin.patch("listeners", moved.listener, address=f"127.0.0.1:{new_port}"))
    scene.wait_closed("c")
    ids = {reader.last_id for reader in scene.loads["c"].readers}
    assert None not in ids
    # Each worker closes its own socket of the old address: until the last one has, a connection may get into its queue.
    wait_until(lambda: any("ConnectionRefused" in failure for failure in list(scene.loads["c"].publisher.refused)),
               what="the old address to be closed")
    old_reconnects = scene.loads["c"].publisher.reconnects
    sent = list(scene.loads["c"].publisher.sent)
    moved.port = new_port
    moved.url = f"http://127.0.0.1:{new_port}/{moved.name}/v1/events"
    scene.loads["c"].publisher.wait_more(5)
    assert scene.loads["c"].publisher.reconnects == old_reconnects + 1
    # Resumed where it was left, a reader has every event once.
    reader = scene.loads["c"].readers[0]
    before = reader.numbers()
    with moved.stream(headers={"Last-Event-ID": reader.last_id}) as resumed:
        after = [e.json()["data"]["n"] for e in resumed.take(len(sent) + 3 - len(before))]
    assert (before + after)[:len(sent) + 3] == list(range(len(sent) + 3))
    scene.others_go_on("c")


def test_a_revoked_credential_ends_its_own_streams_alone(scene):
    sample = scene.samples["a"]
    other = scene.admin.create("credentials", application=sample.application, type="secret")
    scene.start("a", "b", "c")
    wait_until(lambda: _status(sample, other["api_key"]) == 200, what="the second credential")
    theirs = [sample.stream(key=other["api_key"]) for _ in range(7)]
    scene.change(lambda: scene.admin.delete("credentials", other["id"]))
    for reader in theirs:
        events = reader.wait_end()
        assert [e.json()["type"].rpartition("/")[2] for e in events if e.event == "error"] == ["access-revoked"]
        reader.close()
    assert _status(sample, other["api_key"]) == 401
    scene.others_go_on()


def _status(sample, key):
    with sample.stream(key=key) as reader:
        return reader.status


def test_plans_policies_and_titles_close_nobody(scene):
    scene.start("a", "b", "c", "d")
    sample = scene.samples["a"]
    scene.change(lambda: scene.admin.patch("plans", sample.plan, limits={"requests_per_second": 100000}))
    scene.change(lambda: scene.admin.create(
        "policies", name="cors-a", type="cors", scope={"kind": "event-api", "ref": sample.event_api},
        config={"origins": ["https://shop.example"], "methods": ["GET"], "headers": ["X-API-Key"], "max_age": 600}))
    scene.change(lambda: scene.admin.patch("event-apis", sample.event_api, title="another title"))
    scene.change(lambda: scene.admin.create("credentials", application=sample.application, type="secret"))
    scene.others_go_on()


def _certificate(folder, name):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return {"certificate_pem": certificate.read_text(), "key_pem": key.read_text()}


def _shown(port):
    return hashlib.sha256(ssl.get_server_certificate(("127.0.0.1", port)).strip().encode()).hexdigest()


def test_a_new_certificate_closes_nobody(scene, kafka, tmp_path):
    port = free_port()
    first = scene.samples["a"]
    scene.admin.create("listeners", name="tls", gateway_group=first.group, protocol="http",
                       address=f"127.0.0.1:{port}", tls=_certificate(tmp_path, "one"))
    secure = SampleApi(scene.control, kafka.bootstrap_servers, kafka.create_topic("tls", 1), prefix="tls-",
                       group=first.group, listener=("tls", port))
    url = secure.url.replace("http://", "https://")
    context = ssl.create_default_context(cafile=tmp_path / "one.pem")

    def stream():
        reader = SseReader(url, {"X-API-Key": secure.key}, context=context)
        return reader if reader.status == 200 else reader.close()

    secure.gateway = scene.gateway
    secure.wait_in_force(secure.subscription)
    scene.start("a", "b")
    readers = [stream() for _ in range(10)]
    before = _shown(port)
    scene.change(lambda: scene.admin.patch("listeners", "tls", tls=_certificate(tmp_path, "two")))
    assert _shown(port) != before
    with _session() as session:
        response = session.post(url, json={"n": 1}, headers={"X-API-Key": secure.key}, verify=str(tmp_path / "two.pem"), timeout=20)
    assert response.status_code == 201
    for reader in readers:
        assert reader.take(1)[0].json()["data"] == {"n": 1}
        reader.close()
    scene.others_go_on()


def _session():
    session = requests.Session()
    session.trust_env = False
    return session
