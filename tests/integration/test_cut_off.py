"""A gateway that is cut off: how long it serves, what is on its disk, and what it does with a damaged one."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from confluent_kafka import OFFSET_END, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from sluice_support import NativeCluster, SampleApi, wait_until

_FETCHES = 'sluice_kafka_requests_total{virtual_cluster="native",api="Fetch"}'
_SESSIONS = 'sluice_kafka_sessions{virtual_cluster="native"}'


@pytest.fixture
def own(servers, kafka):
    own = SampleApi(servers.control(node_heartbeat="200ms"), kafka.bootstrap_servers, kafka.create_topic("orders"),
                    prefix="cut-off-")  # no word of it is in the noise by chance
    own.start_gateway(servers, config_reconnect_max="300ms")
    return own


def _stored(own, revision=0):
    """The newest configuration is in force: one that has the catalog's `revision`."""
    def newest():
        version = max(v["version"] for v in own.admin.list("config-versions"))
        return version >= revision and own.gateway.metrics()["sluice_config_applied_version"] == version

    wait_until(newest, what="the newest version")


def _bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _long_poll(own, cursor):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{own.url}?cursor={cursor}&wait=30", headers={"X-API-Key": own.key}, timeout=60)


def test_the_longest_staleness_ends_service_until_contact_is_made_again(own):
    changed = own.admin.patch("gateway-groups", own.group, max_staleness="8s")
    _stored(own, changed["revision"])
    wait_until(lambda: own.publish({"n": 1}).status_code == 201, what="service")
    cursor = wait_until(lambda: (page := own.page())["events"] and page, what="the event")["next"]
    with own.stream(query=f"?cursor={cursor}") as stream, ThreadPoolExecutor(1) as pool:
        polled = pool.submit(_long_poll, own, cursor)
        own.control.kill()
        (told,) = stream.wait_end(60)
        assert told.event == "error" and told.json()["type"].endswith("/unavailable")
        polled = polled.result(60)
        place, ended = stream.last_id, own.gateway.metrics()
        assert ended['sluice_reads_cut_off_total{kind="stream"}'] == 1 and ended["sluice_config_stale"] == 1
    response = own.publish({"n": 3})
    for refused in polled, response:
        assert refused.status_code == 503 and refused.headers["Retry-After"]
        assert refused.json()["type"].endswith("/unavailable")
    assert not own.gateway.ready()
    own.control.start()
    wait_until(lambda: own.publish({"n": 4}).status_code == 201, 60, "service again")
    wait_until(lambda: own.gateway.ready() and own.gateway.metrics()["sluice_config_stale"] == 0, what="readiness")
    with own.stream(headers={"Last-Event-ID": place}) as stream:
        assert stream.next().json()["data"] == {"n": 4}


def test_the_longest_staleness_ends_native_sessions_until_contact_is_made_again(own, kafka):
    native = NativeCluster(own, "native")
    changed = own.admin.patch("gateway-groups", own.group, max_staleness="8s")
    _stored(own, changed["revision"])
    native.wait_served()
    producer = Producer({"bootstrap.servers": native.bootstrap_servers, "message.timeout.ms": 200000})
    outcomes = {}

    def send(n):
        producer.produce(own.topic, str(n), on_delivery=lambda error, _: outcomes.setdefault(n, error))

    def outcome_of(n):
        producer.poll(0.05)
        return n in outcomes

    def gauge(name):
        return own.gateway.metrics().get(name, 0)

    send(1)
    wait_until(lambda: outcome_of(1), 60, "service")
    assert outcomes[1] is None
    consumer = Consumer({"bootstrap.servers": native.bootstrap_servers, "group.id": own.topic, "fetch.wait.max.ms": 50000})
    consumer.assign([TopicPartition(own.topic, 0, OFFSET_END)])
    wait_until(lambda: consumer.poll(0.05) is None and gauge(_FETCHES) > 0, 60, "a fetch that nothing answers")
    own.control.kill()
    wait_until(lambda: gauge("sluice_config_stale") == 1 and gauge(_SESSIONS) == 0, 60, "the sessions to end")
    assert own.gateway.metrics()['sluice_kafka_sessions_closed_total{reason="stale"}'] > 0
    stored = kafka.end_offsets(own.topic)
    send(2)
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": native.bootstrap_servers}).list_topics(timeout=2)
    assert not outcome_of(2) and kafka.end_offsets(own.topic) == stored
    own.control.start()
    wait_until(lambda: outcome_of(2), 60, "service again")
    assert outcomes[2] is None
    consumer.close()


def test_nothing_of_the_configuration_is_readable_on_the_disk(own):
    _stored(own)
    own.gateway.stop()
    known = [own.topic, own.name, own.application, own.credential["id"], own.listener, own.team]
    files = _bytes_of(own.gateway.state_dir)
    assert sum(len(content) for path, content in files.items() if path.name != "identity.json") > 1000
    for path, content in files.items():
        for word in known:
            if path.name != "identity.json":
                assert word.encode() not in content, f"{word} is readable in {path.name}"
        assert path.stat().st_mode & 0o077 == 0, f"{path.name} is open to others"
    own.gateway.start()


@pytest.mark.parametrize("harm", ["flip", "cut", "foreign"])
def test_a_damaged_cache_is_refused_and_the_control_plane_waited_for(own, harm):
    _stored(own)
    own.control.stop()
    own.gateway.stop()
    caches = [path for path in own.gateway.state_dir.rglob("*") if path.is_file() and path.name != "identity.json"]
    for path in caches:
        content = bytearray(path.read_bytes())
        if harm == "flip":
            for at in range(0, len(content), 97):
                content[at] ^= 0x40
        elif harm == "cut":
            del content[len(content) // 3:]
        else:
            content[:] = b"not a cache at all\n" * 50
        path.write_bytes(content)
    own.gateway.start(ready=False)
    wait_until(lambda: re.search(rb"cache", own.gateway.log()), what="a word about the cache")
    assert not own.gateway.ready()
    assert own.gateway.metrics()["sluice_config_applied_version"] == 0
    own.control.start()
    wait_until(own.gateway.ready, 60, "the gateway to be served by the control plane")
    own.wait_served()


def test_a_gateway_without_anything_waits_for_its_control_plane(servers, kafka):
    sample = SampleApi(servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    join = sample.control.join_string(sample.group)
    sample.control.kill()
    gateway = servers.gateway(join, ready=False, config_reconnect_max="300ms")
    wait_until(lambda: b"enrolment failed" in gateway.log(), what="the first attempt")
    assert not gateway.ready()
    sample.control.start()
    sample.gateway = gateway
    sample.wait_served()


def test_another_authority_is_not_obeyed(own, servers):
    """Somebody who has taken the control plane's address has not got its CA."""
    _stored(own)
    version = own.gateway.metrics()["sluice_config_applied_version"]
    own.control.stop()
    impostor = servers.control(grpc_address=f"127.0.0.1:{own.control.grpc_port}")
    SampleApi(impostor, "127.0.0.1:9", "t")
    attempts = own.gateway.metrics()["sluice_config_connect_attempts_total"]
    wait_until(lambda: own.gateway.metrics()["sluice_config_connect_attempts_total"] >= attempts + 3,
               what="attempts to connect")
    metrics = own.gateway.metrics()
    assert metrics["sluice_config_connected"] == 0 and metrics["sluice_config_applied_version"] == version
    assert own.publish({"n": 1}).status_code == 201
    assert impostor.admin.list("gateway-nodes") == []
    impostor.stop()
    own.control.start()
    wait_until(lambda: own.gateway.metrics()["sluice_config_connected"] == 1, what="the real one")
