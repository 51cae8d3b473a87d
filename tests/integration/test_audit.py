"""The data plane's audit trail, and what happens to those who fail to authenticate too often."""

import json
import subprocess

import pytest
import requests
from confluent_kafka import Consumer

from sluice_support import SampleApi, free_ports, json_lines, wait_until
from sluice_support.wire_peer import WirePeer

FAILURES = 5


def api_key(credential, secret=None):
    return f"slk_{credential['id']}_{secret or credential['secret']}"


class Shop:
    """The sample event API over HTTP and native Kafka, behind a gateway that writes its audit trail everywhere."""

    def __init__(self, servers, kafka, folder, **options):
        self.sample = SampleApi(servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"),
                                exposures=["rest", "sse", "kafka"])
        self.admin, self.topic, self.file = self.sample.admin, self.sample.topic, folder / "audit.log"
        self.port = free_ports(5)
        self.admin.patch("virtual-clusters", self.sample.virtual_cluster, client_authentication=["plain", "scram"])
        self.admin.create("listeners", name="kafka", gateway_group=self.sample.group, protocol="kafka",
                          address=f"127.0.0.1:{self.port}",
                          kafka={"routing": "ports", "virtual_cluster": self.sample.virtual_cluster,
                                 "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": self.port + 1}]})
        self.sample.start_gateway(servers, audit_log=self.file, **options)
        self.gateway = self.sample.gateway
        wait_until(lambda: self.plain(self.sample.credential) == 0, 60, "the native listener")

    def http(self, key, method="POST", address="127.0.0.1", **headers):
        """From any address of 127.0.0.0/8."""
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", From(address))
        body = {"json": {"n": 1}} if method == "POST" else {}
        return session.request(method, self.sample.url, headers={"X-API-Key": key, **headers}, timeout=30, **body)

    def plain(self, credential, secret=None):
        """The error of the answer."""
        with WirePeer(self.port) as peer:
            peer.handshake("PLAIN")
            return peer.authenticate(f"\0{credential['id']}\0{secret or credential['secret']}".encode()).error

    def lines(self, reason="", **wanted):
        """`reason` is a part of it."""
        return [line for line in json_lines(self.file, **wanted) if reason in line.get("reason", "")]

    def line(self, **wanted):
        return wait_until(lambda: self.lines(**wanted), what=f"a line with {wanted}")[-1]


class From(requests.adapters.HTTPAdapter):
    def __init__(self, address):
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, source_address=(self._address, 0), **kwargs)


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory):
    topic = kafka.create_topic("audit", partitions=1)
    shop = Shop(module_servers, kafka, tmp_path_factory.mktemp("audit"), audit_classes="authentication,denial,access",
                audit_kafka_backend="local", audit_kafka_topic=topic)
    shop.audit_topic, shop.bootstrap = topic, kafka.bootstrap_servers
    return shop


def deny_writing(shop, name, kind, ref):
    """In force afterwards."""
    shop.sample.wait_in_force(shop.admin.create(
        "policies", name=name, type="acl", scope={"kind": kind, "ref": ref},
        config={"rules": [{"effect": "deny", "operations": ["write"], "topics": ["*"]}]}))


def test_http_requests_leave_authentication_denial_and_access(shop):
    assert shop.http(shop.sample.key).status_code == 201
    good = shop.line(event="authentication", outcome="good", protocol="http")
    assert (good["mechanism"], good["application"], good["credential"], good["client"]) == \
        ("key-auth", shop.sample.application, shop.sample.credential["id"], "127.0.0.1")
    over = shop.line(event="access", protocol="http", status=201)
    assert over["event_api"] == "orders.v1" and over["events"] == 1 and over["method"] == "POST"
    assert shop.http(api_key(shop.sample.credential, "x" * 32)).status_code == 401
    refused = shop.line(event="authentication", outcome="refused", protocol="http", reason="wrong secret")
    assert shop.sample.credential["id"] in refused["reason"]
    assert "application" not in refused and refused["status"] == 401


def test_denials_name_the_rule_in_the_logs_and_never_to_the_caller(shop):
    shop.admin.create("applications", name="reader", team=shop.sample.team)
    shop.admin.create("subscriptions", application="reader", plan=shop.sample.plan, environment="dev")
    reader = shop.sample.new_credential("reader")
    deny_writing(shop, "secret-rule-name", "application", "reader")
    answer = shop.http(reader["api_key"])
    assert answer.status_code == 403
    said = answer.text + json.dumps(dict(answer.headers))
    policy = shop.admin.get("policies", "secret-rule-name")["id"]
    assert not any(word in said for word in ("secret-rule-name", policy, "rule", "acl")), said
    denied = shop.line(event="denial", protocol="http", application="reader")
    assert "rule 1" in denied["reason"] and denied["status"] == 403
    wait_until(lambda: policy in shop.gateway.access_log.read_text(), what="the policy in the access log")
    with WirePeer(shop.port) as peer:
        peer.handshake("PLAIN")
        assert peer.authenticate(f"\0{reader['id']}\0{reader['secret']}".encode()).error == 0
        text = len(shop.topic).to_bytes(2, "big") + shop.topic.encode()
        produce = bytes.fromhex("ffff0001000003e800000001") + text + bytes(4 + 4)[:3] + b"\1" + bytes(4) + bytes(4)
        peer.send(0, 3, produce, 7)
        answer = peer.answer()
    assert b"\0\x1d" in answer and not any(word in answer for word in (b"rule", b"acl")), answer
    denied = shop.line(event="denial", protocol="kafka", application="reader")
    assert (denied["operation"], denied["resource"], denied["name"]) == ("write", "topic", shop.topic)
    assert denied["reason"] == "acl secret-rule-name: rule 1"
    wait_until(lambda: "acl secret-rule-name: rule 1" in shop.gateway.log().decode(), what="the rule in the log")


def test_a_request_whose_events_a_policy_rejects_is_a_denial(shop):
    policy = shop.admin.create("policies", name="only-json", type="mask",
                               scope={"kind": "event-api", "ref": shop.sample.event_api},
                               config={"on": "publish", "fields": [{"path": "/card"}]})
    try:
        shop.sample.wait_in_force(policy)
        answer = shop.sample.publish(b"text", headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 422
        denied = shop.line(event="denial", request_id=answer.headers["X-Request-Id"])
        assert denied["reason"].startswith("policy only-json: ") and "not JSON" in denied["reason"]
        assert (denied["operation"], denied["application"]) == ("publish", shop.sample.application)
        assert len(shop.lines(event="denial", request_id=answer.headers["X-Request-Id"])) == 1
    finally:
        shop.admin.delete("policies", "only-json")
        shop.sample.wait_in_force()


def test_native_sessions_leave_authentication_and_access(shop):
    assert shop.plain(shop.sample.credential) == 0
    good = shop.line(event="authentication", outcome="good", protocol="kafka")
    assert (good["mechanism"], good["listener"], good["virtual_cluster"]) == ("PLAIN", "kafka", "local")
    assert shop.line(event="access", protocol="kafka", application=shop.sample.application)["event"]
    assert shop.plain(shop.sample.credential, "x" * 32) == 58
    refused = shop.line(event="authentication", outcome="refused", protocol="kafka", reason="wrong secret")
    assert refused["reason"] == "wrong secret" and refused["client"] == "127.0.0.1"


def test_the_trail_is_a_topic_too(shop):
    consumer = Consumer({"bootstrap.servers": shop.bootstrap, "group.id": shop.audit_topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([shop.audit_topic])
    wanted = {("authentication", "http"), ("authentication", "kafka"), ("access", "http")}
    seen = set()

    def all_seen():
        record = consumer.poll(0.5)
        if record is not None and record.error() is None:
            line = json.loads(record.value())
            seen.add((line["event"], line["protocol"]))
        return wanted <= seen
    try:
        wait_until(all_seen, 60, "the lines in the topic")
    finally:
        consumer.close()
    metrics = shop.gateway.metrics()
    assert metrics['sluice_audit_dropped_total{to="kafka"}'] == 0 == metrics['sluice_audit_dropped_total{to="file"}']
    assert metrics['sluice_audit_lines_total{class="authentication"}'] >= 4


def test_lines_that_have_nowhere_to_go_are_counted_and_stop_nobody(servers, kafka, tmp_path):
    """A backend that is not the group's, and classes that leave something out."""
    shop = Shop(servers, kafka, tmp_path, audit_classes="denial", audit_kafka_backend="elsewhere",
                audit_kafka_topic="audit")
    deny_writing(shop, "no-writing", "event-api", shop.sample.event_api)
    assert shop.http(shop.sample.key).status_code == 403
    shop.line(event="denial")
    wait_until(lambda: shop.gateway.metrics()['sluice_audit_dropped_total{to="kafka"}'] >= 1, what="a lost line")
    assert not shop.lines(event="authentication") and not shop.lines(event="access")


@pytest.mark.parametrize("flags, error", [
    (["--audit-classes=authentication,everything"], '"everything" is none of authentication, denial and access'),
    (["--audit-kafka-backend=local"], "set audit.kafka-topic too"),
    (["--audit-log=/no/such/folder/audit.log"], "cannot open the file /no/such/folder/audit.log of audit.log")])
def test_settings_that_make_no_sense_end_the_start(servers, tmp_path, flags, error):
    command = [servers.build_dir / "dataplane" / "sluice-gateway", f"--state-dir={tmp_path}", *flags]
    ended = subprocess.run(command, capture_output=True, timeout=60)
    assert ended.returncode != 0 and error in ended.stderr.decode(), ended.stderr


# ---- failures ----

@pytest.fixture(scope="module")
def slow(module_servers, kafka, tmp_path_factory):
    """Here five may fail an hour."""
    return Shop(module_servers, kafka, tmp_path_factory.mktemp("slow"), authentication_failures=FAILURES,
                authentication_failure_window="1h", kafka_failure_delay="300ms")


def new_credential(slow):
    """Once it is in force: asking too early is a failure, too."""
    return slow.sample.wait_in_force(slow.sample.new_credential(slow.sample.application))


def test_who_fails_too_often_is_slowed_and_nobody_else(slow):
    key, wrong = slow.sample.key, api_key(slow.sample.credential, "x" * 32)
    other = new_credential(slow)["api_key"]
    assert slow.http(other, address="127.0.0.3").status_code == 201  # known to be good there from now on
    for _ in range(FAILURES):
        assert slow.http(wrong, address="127.0.0.3").status_code == 401
    refused = slow.http(wrong, address="127.0.0.3")
    assert refused.status_code == 429 and refused.json()["type"].endswith("/too-many-failures")
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600 / FAILURES + 1
    # Unheard, although it is right: else guessing would be as fast as before.
    assert slow.http(key, address="127.0.0.3").status_code == 429
    assert slow.http("slk_nobody_" + "x" * 32, address="127.0.0.3").status_code == 429
    assert slow.http(other, address="127.0.0.3").status_code == 201  # whoever shares the address and was let in before
    assert slow.http(key, address="127.0.0.4").status_code == 201  # the credential is not locked out
    metrics = slow.gateway.metrics()
    assert metrics['sluice_authentication_refused_total{protocol="http"}'] >= 3
    assert "too many attempts" in slow.line(event="authentication", outcome="refused", status=429)["reason"]


def test_many_addresses_do_not_add_up(slow):
    """One credential is guessed at from everywhere: each address has one attempt, and no second."""
    credential = new_credential(slow)
    wrong = api_key(credential, "x" * 32)
    for n in range(FAILURES):
        assert slow.http(wrong, address=f"127.0.1.{n + 1}").status_code == 401
    assert slow.http(wrong, address="127.0.1.1").status_code == 429
    assert slow.http(wrong, address="127.0.2.1").status_code == 401  # a new one: heard once
    assert slow.http(wrong, address="127.0.2.1").status_code == 429
    assert slow.http(credential["api_key"], address="127.0.2.2").status_code == 201
    assert slow.http(credential["api_key"], address="127.0.0.9").status_code == 201


def test_native_clients_wait_for_the_refusal(slow):
    """From 127.0.0.1, that nothing above came from."""
    for _ in range(FAILURES):
        assert slow.plain(slow.sample.credential, "x" * 32) == 58
    before = slow.gateway.metrics().get('sluice_authentication_refused_total{protocol="kafka"}', 0)
    unheard = new_credential(slow)
    assert slow.plain(unheard) == 58
    assert slow.gateway.metrics()['sluice_authentication_refused_total{protocol="kafka"}'] == before + 1
    with WirePeer(slow.port) as peer:  # SCRAM too: challenged like everybody, and refused whatever it proves
        peer.handshake("SCRAM-SHA-256")
        challenge = peer.authenticate(f"n,,n={unheard['id']},r=fyko".encode())
        assert challenge.error == 0 and challenge.data.startswith(b"r=fyko")
        nonce = challenge.data.split(b",")[0]
        assert peer.authenticate(b"c=biws," + nonce + b",p=" + b"A" * 43 + b"=").error == 58
    assert slow.gateway.metrics()['sluice_authentication_refused_total{protocol="kafka"}'] == before + 2
    wait_until(lambda: "too many attempts to authenticate have failed" in slow.gateway.log().decode(),
               what="the word in the log")
    assert slow.http(unheard["api_key"], address="127.0.0.5").status_code == 201
