"""POST /v1/explain against what gateways do: the same verdict for every case, over REST, SSE and native Kafka."""

import struct
from datetime import datetime, timedelta, timezone

import pytest
import requests

from sluice_support import SampleApi, free_ports, wait_until
from sluice_support.issuer import Issuer
from sluice_support.wire import record_batch
from sluice_support.wire_peer import WirePeer

DENIED = {29, 30, 31}  # topic, group and cluster authorization failed


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    issuer = Issuer(tmp_path_factory.mktemp("issuer"), "ES256")
    yield issuer
    issuer.close()


def rules(effect, *operations, **names):
    return {"rules": [{"effect": effect, "operations": list(operations), **(names or {"topics": ["*"]})}]}


class Shop:
    """One event API, also by native Kafka, and applications that each may do something else."""

    def __init__(self, servers, kafka, issuer):
        self.sample = SampleApi(servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"),
                                exposures=["rest", "sse", "kafka"])
        self.admin, self.issuer = self.sample.admin, issuer
        self.admin.create("plans", product=self.sample.product, name="readers", operations=["read"], approval="auto")
        self.admin.create("issuers", name="login", url=issuer.url, audiences=["sluice"])
        self.credentials = {"subscribed": self.sample.credential}
        self._applications()
        self._policies()
        self.sample.start_gateway(servers)
        self._listener()

    def _applications(self):
        for name in ("reader", "denied-writing", "by-address", "elsewhere", "fragile", "dry", "suspended", "revoked",
                     "disabled", "by-rule", "unsubscribed", "other-protocol"):
            self.credentials[name] = self._application(name, "readers" if name in ("reader", "by-rule") else "free")
        subscription = self.admin.list("subscriptions", application="suspended")[0]
        self.admin.act("subscriptions", subscription["id"], "suspend")
        self.admin.act("credentials", self.credentials["revoked"]["id"], "revoke")
        self.admin.patch("credentials", self.credentials["disabled"]["id"], disabled=True)
        self._application("by-token", "free", type="oidc", oidc={"issuer": "login", "value": "by-token"})
        self.credentials["by-token"] = self.admin.list("credentials", application="by-token")[0]

    def _application(self, name, plan, **credential):
        self.admin.create("applications", name=name, team=self.sample.team)
        if name != "unsubscribed":
            self.admin.create("subscriptions", application=name, plan=f"{self.sample.product}.{plan}", environment="dev")
        return self.admin.create("credentials", application=name, **(credential or {"type": "secret"}))

    def _policies(self):
        for application, kind, fields in (
                ("denied-writing", "acl", {"config": rules("deny", "write")}),
                ("by-address", "ip-restriction", {"config": {"deny": ["127.0.0.0/8"]}}),
                ("elsewhere", "acl", {"config": rules("deny", "all"), "condition": "client.address.startsWith('10.')"}),
                ("fragile", "acl", {"config": rules("deny", "all"), "condition": "int(request.headers['x-level']) > 3"}),
                ("dry", "acl", {"config": rules("deny", "all"), "dry_run": True}),
                ("by-rule", "acl", {"config": rules("allow", "write", "create", topics=[self.sample.topic, "by-rule.*"])}),
                ("other-protocol", "acl", {"config": rules("deny", "all"),
                                           "condition": "request.protocol == 'kafka'"})):
            self.admin.create("policies", name=f"of-{application}", type=kind,
                              scope={"kind": "application", "ref": application}, **fields)

    def _listener(self):
        self.admin.patch("virtual-clusters", self.sample.virtual_cluster,
                         client_authentication=["plain", "oauthbearer"])
        self.port = free_ports(5)
        self.admin.create("listeners", name="kafka", gateway_group=self.sample.group, protocol="kafka",
                          address=f"127.0.0.1:{self.port}",
                          kafka={"routing": "ports", "virtual_cluster": self.sample.virtual_cluster,
                                 "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": self.port + 1}]})

        def served():
            with self.peer("subscribed") as peer:
                return peer is not None and self.ask_kafka(peer, "read", "topic", self.sample.topic)
        wait_until(served, 60, "the native listener")
        # The keys of the issuer come with the first token.
        wait_until(lambda: self.http("by-token", "rest", "publish") == 201, what="the issuer's keys")

    # ---- what gateways do ----

    def proof(self, who):
        if who == "by-token":
            return {"Authorization": f"Bearer {self.issuer.token(sub='by-token')}"}
        return {"X-API-Key": self.credentials[who]["api_key"]} if who else {}

    def http(self, who, protocol, operation, **headers):
        session = requests.Session()
        session.trust_env = False
        method = "POST" if operation == "publish" else "GET"
        accept = {"Accept": "text/event-stream"} if protocol == "sse" else {}
        body = {"json": {"n": 1}} if method == "POST" else {}
        answer = session.request(method, self.sample.url, headers={**self.proof(who), **accept, **headers}, timeout=30,
                                 stream=True, **body)
        answer.close()
        return answer.status_code

    def peer(self, who):
        """Authenticated; None: kept out."""
        peer = WirePeer(self.port)
        try:
            if who == "by-token":
                peer.handshake("OAUTHBEARER")
                answer = peer.authenticate(f"n,,\x01auth=Bearer {self.issuer.token(sub='by-token')}\x01\x01".encode())
            else:
                credential = self.credentials[who]
                peer.handshake("PLAIN")
                answer = peer.authenticate(f"\0{credential['id']}\0{credential['secret']}".encode())
            if answer.error == 0 and b"invalid_token" not in answer.data:  # KIP-255: the failure follows
                return peer
        except struct.error:  # closed without an answer
            pass
        peer.__exit__()
        return Kept()

    @staticmethod
    def ask_kafka(peer, operation, kind, name):
        """Is it allowed? Whatever else a broker says is not this question's."""
        text = struct.pack(">h", len(name)) + name.encode()
        if peer is None:
            return False
        if (operation, kind) == ("read", "topic"):
            answer = peer._ask(peer.send, 1, 4, struct.pack(">iiiibi", -1, 0, 0, 1000, 0, 1) + text +
                               struct.pack(">iiqi", 1, 0, 0, 1000))
            at = 8 + len(text) + 8
        elif (operation, kind) == ("write", "topic"):
            answer = peer._ask(peer.send, 0, 3, struct.pack(">hhii", -1, 1, 1000, 1) + text + struct.pack(">iii", 1, 0, 0))
            at = 4 + len(text) + 8
        elif (operation, kind) == ("create", "topic"):
            answer = peer._ask(peer.send, 19, 2, struct.pack(">i", 1) + text + struct.pack(">ihiii?", 1, 1, 0, 0, 9000, True))
            at = 8 + len(text)
        else:
            assert (operation, kind) == ("delete", "group")
            answer = peer._ask(peer.send, 42, 0, struct.pack(">i", 1) + text)
            at = 8 + len(text)
        return bool(answer) and struct.unpack(">h", answer[at:at + 2])[0] not in DENIED

    # ---- what is explained ----

    def explain(self, who=None, **question):
        named = {"credential": self.credentials[who]["id"]} if who else {}
        return self.admin.request("POST", "/v1/explain", expect=200, json={
            "gateway_group": self.sample.group, "address": "127.0.0.1", **named, **question}).json()

    def explain_http(self, who, protocol, operation, **question):
        return self.explain(who, event_api=self.sample.event_api, protocol=protocol, operation=operation, **question)

    def explain_kafka(self, who, operation, kind, name):
        return self.explain(who, virtual_cluster=self.sample.virtual_cluster, operation=operation,
                            resource={"type": kind, "name": name})


class Kept:
    """Nobody got in."""

    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


@pytest.fixture(scope="module")
def shop(module_servers, kafka, issuer):
    return Shop(module_servers, kafka, issuer)


# Who: may publish and read by HTTP, may write and read by native Kafka.
MAY = {
    "subscribed": (True, True, True, True),
    "reader": (False, True, False, True),
    "denied-writing": (False, True, False, True),
    "by-address": (False, False, False, False),
    "elsewhere": (True, True, True, True),
    "fragile": (False, False, False, False),
    "dry": (True, True, True, True),
    "suspended": (False, False, False, False),
    "revoked": (False, False, False, False),
    "disabled": (False, False, False, False),
    "by-rule": (True, True, True, True),  # its plan is for reading alone
    "unsubscribed": (False, False, False, False),
    "by-token": (True, True, True, True),
    "other-protocol": (True, True, False, False),
}


@pytest.mark.parametrize("who", MAY)
def test_the_explanation_is_what_the_gateway_does(shop, who):
    for (protocol, operation), allowed in zip((("rest", "publish"), ("rest", "read")), MAY[who]):
        explained, status = shop.explain_http(who, protocol, operation), shop.http(who, protocol, operation)
        assert (status in (200, 201)) == explained["allowed"] == allowed, (status, explained)
        assert allowed or explained["told"]["status"] == status, (status, explained)
    with shop.peer(who) as peer:
        for operation, allowed in zip(("write", "read"), MAY[who][2:]):
            explained = shop.explain_kafka(who, operation, "topic", shop.sample.topic)
            assert shop.ask_kafka(peer, operation, "topic", shop.sample.topic) == explained["allowed"] == allowed, explained


def test_streams_nobody_and_headers_are_explained_alike(shop):
    for who, protocol, operation, headers, expected in (
            ("subscribed", "sse", "read", {}, 200), ("denied-writing", "sse", "read", {}, 200),
            ("suspended", "sse", "read", {}, 403), (None, "rest", "publish", {}, 401), (None, "rest", "read", {}, 401),
            ("fragile", "rest", "publish", {"X-Level": "1"}, 201), ("fragile", "rest", "publish", {"X-Level": "4"}, 403)):
        explained = shop.explain_http(who, protocol, operation, request={"headers": headers})
        status = shop.http(who, protocol, operation, **headers)
        assert status == expected and explained["allowed"] == (status < 300), (status, explained)
        assert explained["allowed"] or explained["told"]["status"] == status


def test_other_resources_are_explained_alike(shop):
    with shop.peer("by-rule") as peer:
        for operation, kind, name, expected in (
                ("delete", "group", "by-rule.readers", True), ("delete", "group", "readers", False),
                ("create", "topic", "by-rule.new", True), ("create", "topic", "new", False),
                ("read", "topic", "by-rule.new", False)):
            explained = shop.explain_kafka("by-rule", operation, kind, name)
            assert shop.ask_kafka(peer, operation, kind, name) == explained["allowed"] == expected, explained


def test_the_trail_names_credential_subscription_plan_and_rule(shop):
    good = shop.explain_http("subscribed", "rest", "publish")
    assert good["credential"] == {"id": shop.sample.credential["id"], "type": "secret", "state": "live"}
    assert good["application"]["name"] == shop.sample.application
    assert good["subscription"]["id"] == shop.sample.subscription["id"] and good["plan"]["name"] == "free"
    assert good["decided_by"]["type"] == "subscription" and shop.sample.subscription["id"] in good["reason"]
    assert [(step["phase"], step["verdict"]) for step in good["trail"]][:2] == [("authenticate", "allow"),
                                                                                 ("authorise", "allow")]
    denied = shop.explain_http("denied-writing", "rest", "publish")
    assert denied["decided_by"]["policy"] == "of-denied-writing" and "rule 1" in denied["reason"]
    dry = shop.explain_http("dry", "rest", "publish")
    step = next(step for step in dry["trail"] if step["policy"] == "of-dry")
    assert step["dry_run"] and step["verdict"] == "deny" and "rule 1" in step["reason"] and dry["allowed"]
    elsewhere = shop.explain_http("elsewhere", "rest", "publish", address="10.1.2.3")
    step = next(step for step in elsewhere["trail"] if step["policy"] == "of-elsewhere")
    assert step["condition"] == "true" and not elsewhere["allowed"]
    step = next(step for step in shop.explain_http("elsewhere", "rest", "publish")["trail"]
                if step["policy"] == "of-elsewhere")
    assert step["condition"] == "false"
    native = shop.explain_kafka("by-rule", "write", "topic", shop.sample.topic)
    assert native["decided_by"]["policy"] == "of-by-rule" and native["reason"] == "rule 1 allows it"
    assert shop.explain_kafka("subscribed", "read", "topic", shop.sample.topic)["plan"]["name"] == "free"
    assert shop.explain_http("revoked", "rest", "read")["credential"]["state"] == "revoked"
    assert shop.explain_http("suspended", "rest", "read")["subscriptions"][0]["state"] == "suspended"


def test_an_application_is_asked_about_by_its_credentials_and_a_token_by_its_claims(shop):
    question = {"event_api": shop.sample.event_api, "operation": "publish"}
    by_application = shop.explain(application="by-token", **question)
    assert by_application["allowed"] and by_application["credential"]["type"] == "oidc"
    assert not shop.explain(application="revoked", **question)["allowed"]
    for claims, allowed, reason in (({"sub": "by-token", "aud": "sluice"}, True, "grants it"),
                                    ({"sub": "nobody", "aud": "sluice"}, False, "unknown credential"),
                                    ({"sub": "by-token", "aud": "else"}, False, "audiences"),
                                    ({"sub": "by-token", "aud": "sluice", "exp": 1}, False, "expired")):
        explained = shop.explain(issuer="login", claims=claims, **question)
        assert explained["allowed"] == allowed and reason in explained["reason"], explained


def test_time_is_what_is_asked_for(shop):
    condition = "time.getFullYear() == 2031"
    shop.admin.create("policies", name="year", type="acl", config=rules("deny", "all"), condition=condition,
                      scope={"kind": "application", "ref": "reader"})
    try:
        then = datetime(2031, 5, 1, tzinfo=timezone.utc)
        for time, allowed in ((then, False), (then - timedelta(days=365), True)):
            explained = shop.explain_http("reader", "rest", "read", time=time.isoformat())
            assert explained["allowed"] == allowed, explained
    finally:
        shop.admin.delete("policies", "year")
    assert shop.explain_http("reader", "rest", "read")["allowed"]


def test_policies_about_tokens_are_explained_alike(shop):
    """Two oidc policies, one of which takes the token: by either of them is enough, on both protocols."""
    scope = {"kind": "group", "ref": shop.sample.group}
    scoped = shop.admin.create("policies", name="scoped", type="oidc", scope=scope, order=1, config={"scopes": ["orders"]})
    try:
        shop.sample.wait_in_force(scoped)
        assert shop.http("by-token", "rest", "publish") == 403
        explained = shop.explain_http("by-token", "rest", "publish")
        assert not explained["allowed"] and "lacks the scope orders" in explained["reason"]
        with shop.peer("by-token") as peer:
            assert peer is None
        explained = shop.explain_kafka("by-token", "write", "topic", shop.sample.topic)
        assert not explained["allowed"] and "lacks the scope orders" in explained["reason"], explained
        claims = {"sub": "by-token", "aud": "sluice", "scope": "orders"}
        for what in ({"event_api": shop.sample.event_api, "operation": "publish"},
                     {"virtual_cluster": shop.sample.virtual_cluster, "operation": "write",
                      "resource": {"type": "topic", "name": shop.sample.topic}}):
            assert shop.explain(issuer="login", claims=claims, **what)["allowed"]
        shop.admin.create("policies", name="unscoped", type="oidc", scope=scope, order=2)
        def let_in():
            with shop.peer("by-token") as peer:
                return peer is not None
        wait_until(let_in, what="the second policy")
        explained = shop.explain_kafka("by-token", "write", "topic", shop.sample.topic)
        assert explained["allowed"] and explained["decided_by"]["verdict"] == "allow", explained
    finally:
        for name in ("scoped", "unscoped"):
            shop.admin.request("DELETE", f"/v1/policies/{name}", headers={"If-Match": "*"})
        shop.sample.wait_in_force()


def test_what_an_event_apis_policy_says_of_tokens_holds_for_its_topic(shop):
    """Once somebody is in by a token, on native Kafka too; who came by a secret has none to look at."""
    topic, other = shop.sample.topic, f"{shop.sample.application}.nobodys"
    question = {"virtual_cluster": shop.sample.virtual_cluster, "operation": "write",
                "resource": {"type": "topic", "name": topic}}
    shop.admin.create("policies", name="free-topics", type="acl", config=rules("allow", "write", topics=[other]),
                      scope={"kind": "application", "ref": "by-token"})
    of_orders = shop.admin.create("policies", name="of-orders", type="oidc", config={"scopes": ["orders"]},
                                  scope={"kind": "event-api", "ref": shop.sample.event_api})
    try:
        shop.sample.wait_in_force(of_orders)
        with shop.peer("by-token") as peer:
            assert peer is not None
            wait_until(lambda: not shop.ask_kafka(peer, "write", "topic", topic), what="the policy")
            assert shop.ask_kafka(peer, "write", "topic", other)
        explained = shop.explain_kafka("by-token", "write", "topic", topic)
        assert not explained["allowed"] and "oidc of-orders: the token lacks the scope" in explained["reason"], explained
        assert explained["decided_by"]["policy"] == "of-orders" and explained["decided_by"]["phase"] == "access"
        assert shop.explain_kafka("by-token", "write", "topic", other)["allowed"]
        assert shop.explain(issuer="login", claims={"sub": "by-token", "aud": "sluice", "scope": "orders"},
                            **question)["allowed"]
        with shop.peer("subscribed") as peer:
            assert shop.ask_kafka(peer, "write", "topic", topic)
        assert shop.explain_kafka("subscribed", "write", "topic", topic)["allowed"]
        shop.admin.patch("policies", "of-orders", dry_run=True)
        with shop.peer("by-token") as peer:
            wait_until(lambda: shop.ask_kafka(peer, "write", "topic", topic), what="the dry run")
        explained = shop.explain_kafka("by-token", "write", "topic", topic)
        assert explained["allowed"]
        assert [step["verdict"] for step in explained["trail"] if step.get("policy") == "of-orders"] == ["deny"]
    finally:
        for name in ("of-orders", "free-topics"):
            shop.admin.request("DELETE", f"/v1/policies/{name}", headers={"If-Match": "*"})
        shop.sample.wait_in_force()


def test_what_is_demanded_of_requests_is_explained_alike(shop):
    """kafka-requests: what a request holds, sent and explained."""
    topic, made = shop.sample.topic, "by-rule.made"
    shop.admin.create("policies", name="careful", type="kafka-requests", scope={"kind": "group", "ref": shop.sample.group},
                      config={"acks_all": True, "max_partitions": 3, "topic_configs": [
                          {"name": "cleanup.policy", "values": ["delete"]}]})

    def produce(peer, acks):
        text = struct.pack(">h", len(topic)) + topic.encode()
        batch = record_batch()
        answer = peer._ask(peer.send, 0, 3, struct.pack(">hhii", -1, acks, 1000, 1) + text +
                           struct.pack(">iii", 1, 0, len(batch)) + batch)
        return struct.unpack(">h", answer[8 + len(text) + 4:][:2])[0]

    def create(peer, partitions, configs):
        text = struct.pack(">h", len(made)) + made.encode()
        pairs = b"".join(struct.pack(">h", len(part)) + part.encode() for pair in configs.items() for part in pair)
        answer = peer._ask(peer.send, 19, 2, struct.pack(">i", 1) + text + struct.pack(
            ">ihii", partitions, 1, 0, len(configs)) + pairs + struct.pack(">i?", 9000, True))
        return struct.unpack(">h", answer[8 + len(text):][:2])[0]

    def explain(operation, name, **request):
        return shop.explain("by-rule", virtual_cluster=shop.sample.virtual_cluster, operation=operation,
                            resource={"type": "topic", "name": name}, kafka_request=request)
    try:
        with shop.peer("by-rule") as peer:
            wait_until(lambda: produce(peer, 1) == 21, what="the policy")
            for acks, error in ((-1, 0), (1, 21)):
                explained = explain("write", topic, acks="all" if acks == -1 else str(acks))
                assert produce(peer, acks) == error and explained["allowed"] == (error == 0), explained
            assert explained["told"]["type"] == "invalid-required-acks" and explained["reason"].endswith("careful: acks=1")
            assert explained["decided_by"]["policy"] == "careful" and explained["decided_by"]["phase"] == "demand"
            for partitions, configs, error in ((3, {}, 0), (4, {}, 44), (1, {"cleanup.policy": "compact"}, 44),
                                               (1, {"cleanup.policy": "delete"}, 0)):
                explained = explain("create", made, partitions=partitions, configs=configs)
                assert create(peer, partitions, configs) == error and explained["allowed"] == (error == 0), explained
                assert error == 0 or explained["told"]["type"] == "policy-violation"
        assert explain("alter-configs", made)["told"]["type"] == "authorization"  # rights come first
        assert not any(step["phase"] == "demand" for step in shop.explain_kafka("by-rule", "write", "topic", topic)["trail"])
        shop.admin.patch("policies", "careful", config={"client_id": "by-.*"}, )
        for request, operation, allowed in (({"client_id": "by-rule"}, "write", True), ({"client_id": "x"}, "write", False),
                                            ({}, "write", False), ({}, "describe", True)):
            explained = explain(operation, topic, **request)
            assert explained["allowed"] == allowed, explained
    finally:
        shop.admin.request("DELETE", "/v1/policies/careful", headers={"If-Match": "*"})
        shop.sample.wait_in_force()


def test_questions_that_make_no_sense_are_pointed_at(shop):
    good = {"gateway_group": shop.sample.group, "event_api": shop.sample.event_api, "operation": "read"}
    for change, pointer in (({"event_api": "nothing.v1"}, "/event_api"), ({"operation": "eat"}, "/operation"),
                            ({"virtual_cluster": shop.sample.virtual_cluster}, ""), ({"claims": {}}, "/issuer"),
                            ({"protocol": "sse", "operation": "publish"}, "/protocol"), ({"time": "noon"}, "/time"),
                            ({"application": "reader", "credential": shop.sample.credential["id"]}, ""),
                            ({"kafka_request": {"acks": "1"}}, "/kafka_request"), ({"colour": "red"}, "/colour"), ({"resource": {"type": "topic"}}, "/resource")):
        problem = shop.admin.request("POST", "/v1/explain", expect=400, json={**good, **change}).json()
        assert problem["errors"][0]["pointer"] == pointer, problem
