"""Notifications: what is told to whom, signed as the Standard Webhooks verifier wants it; receivers that fail, hang,
redirect or have gone; and a control plane that is killed between the change and the telling."""

import http.server
import json
import threading
from datetime import datetime, timedelta, timezone

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sluice_support import SampleApi, free_port, wait_until

QUICK = {"webhooks_poll": "50ms", "webhooks_retry_min": "50ms", "webhooks_retry_max": "200ms", "webhooks_timeout": "5s",
         "webhooks_allow_private": True, "webhooks_allow_http": True, "node_lost_after": "5s",
         "node_heartbeat": "200ms", "webhooks_credential_expiry": "1d"}


class Receiver:
    """An HTTP server that keeps what it got. `answers` are the statuses of the next requests, then 204; "hang" does not
    answer. Its port is nobody's afterwards: webhooks of other tests go on telling those that have gone."""

    def __init__(self, port=None):
        self.got, self.answers, self.released = [], [], threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                if answer == "hang":
                    receiver.released.wait(100)
                    return
                self.send_response(answer)
                if 300 <= answer < 400:
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port or free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count):
        wait_until(lambda: len(self.got) >= count, 60, f"{count} notifications, of which {len(self.got)} came")
        return self.got

    def events(self):
        return [json.loads(body)["type"] for _, _, body in self.got]


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def stage(module_servers, kafka):
    stage = SampleApi(module_servers.control(**QUICK), kafka.bootstrap_servers, kafka.create_topic("told"))
    stage.admin.create("plans", product=stage.product, name="asked", operations=["read"], approval="manual")
    stage.servers = module_servers
    return stage


_numbers = iter(range(1000))


def hook(stage, receiver, *events, path="/in", **fields):
    return stage.admin.create("webhooks", name=f"hook-{next(_numbers)}", url=receiver.url + path,
                              events=list(events) or ["subscription.requested"], **fields)


def request_access(stage, team=None):
    """A subscription that waits for the owner; its id."""
    name = f"app-{next(_numbers)}"
    stage.admin.create("applications", name=name, team=team or stage.team)
    return stage.admin.create("subscriptions", application=name, plan=f"{stage.product}.asked", environment="dev")["id"]


def deliveries(stage, webhook, **query):
    return stage.admin.request("GET", f"/v1/webhooks/{webhook['id']}/deliveries", expect=200, params=query).json()["items"]


def test_what_is_told_verifies(stage, receiver):
    webhook = hook(stage, receiver)
    subscription = request_access(stage)
    ((path, headers, body),) = receiver.wait(1)
    assert path == "/in" and webhook["secret"].startswith("whsec_")
    event = Webhook(webhook["secret"]).verify(body.decode(), headers)
    assert event["type"] == "subscription.requested" and event["data"]["subscription"] == subscription
    assert event["data"]["product"] == stage.product and event["data"]["state"] == "pending"
    with pytest.raises(WebhookVerificationError):
        Webhook(webhook["secret"]).verify(body.decode().replace("pending", "approved"), headers)
    wait_until(lambda: deliveries(stage, webhook)[0]["state"] == "delivered", what="the delivery to be noted")
    (delivery,) = deliveries(stage, webhook)
    assert delivery["id"] == headers["webhook-id"] and delivery["status"] == 204 and delivery["body"] == event
    assert "secret" not in stage.admin.get("webhooks", webhook["id"])


def test_each_change_has_its_event(stage, receiver):
    hook(stage, receiver, "subscription.requested", "subscription.approved", "subscription.refused",
         "subscription.revoked", "event_api.published", "event_api.deprecated", "event_api.retired")
    first, second = request_access(stage), request_access(stage)
    stage.admin.act("subscriptions", first, "approve")
    stage.admin.act("subscriptions", second, "refuse", reason="not you")
    stage.admin.act("subscriptions", first, "revoke")
    stage.admin.create("event-apis", name="old", major=1, team=stage.team, operations=["read"], exposures=["rest"])
    for lifecycle in ("published", "deprecated", "retired"):
        stage.admin.patch("event-apis", "old.v1", lifecycle=lifecycle)
    stage.admin.patch("event-apis", "old.v1", title="nothing that is told")
    receiver.wait(8)
    assert sorted(receiver.events()) == sorted(
        ["subscription.requested"] * 2 + ["subscription.approved", "subscription.refused", "subscription.revoked",
                                          "event_api.published", "event_api.deprecated", "event_api.retired"])
    (refused,) = [json.loads(body) for _, _, body in receiver.got if b"subscription.refused" in body]
    assert refused["data"]["reason"] == "not you"


def test_a_team_hears_of_its_own(stage, receiver):
    stage.admin.create("teams", name="mine")
    stage.admin.create("teams", name="others")
    mine, others = hook(stage, receiver, team="mine"), hook(stage, receiver, team="others")
    owner = hook(stage, receiver, team=stage.team)
    request_access(stage, team="mine")
    receiver.wait(2)
    wait_until(lambda: deliveries(stage, mine) and deliveries(stage, owner), what="both to be told")
    assert not deliveries(stage, others)


def test_who_uses_an_event_api_hears_of_its_end(stage, receiver):
    admin, told = stage.admin, ("event_api.published", "event_api.deprecated", "event_api.retired")
    for team in ("users", "waiting", "strangers", "former"):
        admin.create("teams", name=team)
    admin.create("event-apis", name="ending", major=1, team=stage.team, operations=["read"], exposures=["rest"])
    admin.create("products", name="ending", team=stage.team, visibility="signed-in", lifecycle="published",
                 event_apis=["ending.v1"])
    for plan, approval in (("free", "auto"), ("asked", "manual")):
        admin.create("plans", product="ending", name=plan, operations=["read"], approval=approval)
    for team, plan in (("users", "free"), ("waiting", "asked"), ("former", "free"), ("strangers", None)):
        admin.create("applications", name=f"app-of-{team}", team=team)
        if plan:
            made = admin.create("subscriptions", application=f"app-of-{team}", plan=f"ending.{plan}", environment="dev")
        if team == "former":
            admin.act("subscriptions", made["id"], "revoke")
    hooks = {team: hook(stage, receiver, *told, team=team) for team in (stage.team, "users", "waiting", "strangers", "former")}
    for change in ({"lifecycle": "published"}, {"lifecycle": "deprecated", "sunset_at": "2099-01-31T00:00:00Z"}, {"lifecycle": "retired"}):
        admin.patch("event-apis", "ending.v1", **change)
    receiver.wait(3 + 2 + 2)
    heard = {team: sorted(item["event"] for item in deliveries(stage, webhook)) for team, webhook in hooks.items()}
    ends = ["event_api.deprecated", "event_api.retired"]
    assert heard == {stage.team: ["event_api.deprecated", "event_api.published", "event_api.retired"], "users": ends, "waiting": ends, "strangers": [], "former": []}
    deprecated = next(json.loads(body) for _, _, body in receiver.got if b"event_api.deprecated" in body)
    assert deprecated["data"] == {"event_api": "ending.v1", "lifecycle": "deprecated", "team": stage.team,
                                  "sunset_at": "2099-01-31T00:00:00.000Z"}


def test_a_receiver_that_fails_redirects_or_hangs_is_tried_again(stage, receiver):
    receiver.answers = [500, 302, "hang", 503]
    webhook = hook(stage, receiver)
    request_access(stage)
    got = receiver.wait(5)
    assert {path for path, _, _ in got} == {"/in"}  # the redirect was not followed
    assert len({headers["webhook-id"] for _, headers, _ in got}) == 1
    wait_until(lambda: deliveries(stage, webhook)[0]["state"] == "delivered", what="it to arrive in the end")
    assert deliveries(stage, webhook)[0]["attempts"] == 5
    assert "failing_since" not in stage.admin.get("webhooks", webhook["id"])


def test_a_receiver_that_hangs_holds_up_nobody_else(module_servers, kafka, receiver):
    """For longer than anybody waits here."""
    stage = SampleApi(module_servers.control(**{**QUICK, "webhooks_timeout": "100s"}), kafka.bootstrap_servers, "none")
    stage.admin.create("plans", product=stage.product, name="asked", operations=["read"], approval="manual")
    receiver.answers = ["hang"] * 4
    slow = hook(stage, receiver, path="/slow")
    for _ in range(4):
        request_access(stage)
    receiver.wait(4)
    stage.admin.patch("webhooks", slow["id"], enabled=False)
    hook(stage, receiver, path="/quick")
    request_access(stage)
    wait_until(lambda: "/quick" in [path for path, _, _ in receiver.got], 60, "the other webhook to be told")
    stage.control.stop()


def test_the_last_attempt_is_dead_and_can_be_sent_again(module_servers, kafka, receiver):
    stage = SampleApi(module_servers.control(**QUICK, webhooks_attempts=2), kafka.bootstrap_servers, "none")
    receiver.answers = [500, 500]
    webhook = hook(stage, receiver)
    stage.admin.act("webhooks", webhook["id"], "ping")
    wait_until(lambda: deliveries(stage, webhook, state="dead"), what="it to be dead")
    (dead,) = deliveries(stage, webhook)
    assert dead["event"] == "ping" and dead["status"] == 500 and "500" in dead["error"]
    stage.admin.act("webhooks", webhook["id"], "redeliver", delivery=dead["id"])
    wait_until(lambda: deliveries(stage, webhook, state="delivered"), what="it to arrive")
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    stage.admin.request("POST", f"/v1/webhooks/{webhook['id']}/redeliver", expect=404, json={"delivery": "msg_none"})
    stage.control.stop()


def test_long_failure_and_gone_disable_and_say_so(module_servers, kafka, receiver):
    stage = SampleApi(module_servers.control(**QUICK, webhooks_disable_after="300ms"), kafka.bootstrap_servers, "none")
    gone = hook(stage, receiver, path="/gone")
    receiver.answers = [410]
    stage.admin.act("webhooks", gone["id"], "ping")
    wait_until(lambda: not stage.admin.get("webhooks", gone["id"])["enabled"], what="it to be disabled")
    assert "410" in stage.admin.get("webhooks", gone["id"])["disabled_reason"]
    nobody = free_port()
    failing = stage.admin.create("webhooks", name="failing", url=f"http://127.0.0.1:{nobody}/",
                                 events=["event_api.published"])
    stage.admin.act("webhooks", failing["id"], "ping")
    wait_until(lambda: not stage.admin.get("webhooks", failing["id"])["enabled"], what="it to be disabled")
    shown = stage.admin.get("webhooks", failing["id"])
    assert "no attempt has worked" in shown["disabled_reason"] and shown["failing_since"]
    audit = stage.admin.list("audit-events", kind="webhooks", action="disable")
    assert {event["entity_id"] for event in audit} == {gone["id"], failing["id"]}
    assert "disabled_reason" not in stage.admin.patch("webhooks", failing["id"], enabled=True)
    stage.control.stop()


def test_both_secrets_sign_for_a_while_after_a_rotation(stage, receiver):
    webhook = hook(stage, receiver)
    rotated = stage.admin.act("webhooks", webhook["id"], "rotate").json()
    assert rotated["secret"] != webhook["secret"]
    stage.admin.act("webhooks", webhook["id"], "ping")
    ((_, headers, body),) = receiver.wait(1)
    for secret in (webhook["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body.decode(), headers)["type"] == "ping"
    stage.admin.request("POST", "/v1/master-key/rotate", expect=200)
    stage.admin.act("webhooks", webhook["id"], "ping")
    (_, (_, headers, body)) = receiver.wait(2)
    assert Webhook(rotated["secret"]).verify(body.decode(), headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused_unless_a_setting_allows_them(module_servers, kafka, receiver, host):
    control = module_servers.control(**{name: value for name, value in QUICK.items() if name != "webhooks_allow_private"})
    port = receiver.server.server_port
    webhook = control.admin.create("webhooks", name="inside", url=f"http://{host}:{port}/", events=["node.lost"])
    control.admin.act("webhooks", webhook["id"], "ping")
    path = f"/v1/webhooks/{webhook['id']}/deliveries"
    wait_until(lambda: control.admin.request("GET", path).json()["items"][0].get("error"), what="the attempt")
    error = control.admin.request("GET", path).json()["items"][0]["error"]
    assert "private" in error or host == "[::ffff:127.0.0.1]" and error
    assert receiver.got == []
    control.stop()


def test_a_kill_between_the_change_and_the_telling_loses_nothing(module_servers, kafka):
    port = free_port()
    stage = SampleApi(module_servers.control(**QUICK, webhooks_attempts=100), kafka.bootstrap_servers, "none")
    stage.admin.create("plans", product=stage.product, name="asked", operations=["read"], approval="manual")
    webhook = stage.admin.create("webhooks", name="told", url=f"http://127.0.0.1:{port}/",
                                 events=["subscription.requested"])
    subscriptions = [request_access(stage) for _ in range(5)]
    stage.control.kill()
    receiver = Receiver(port)
    stage.control.start()
    wait_until(lambda: {json.loads(body)["data"]["subscription"] for _, _, body in receiver.got} == set(subscriptions), 60,
               "all to be told")
    for _, headers, body in receiver.got:
        Webhook(webhook["secret"]).verify(body.decode(), headers)
    receiver.close()
    stage.control.stop()


def test_nodes_and_credentials_are_told_of(stage, receiver):
    hook(stage, receiver, "node.joined", "node.lost", "credential.expiring")
    gateway = stage.servers.gateway(stage.control.join_string(stage.group), config_reconnect_max="300ms")
    wait_until(lambda: "node.joined" in receiver.events(), what="node.joined")
    gateway.kill()
    wait_until(lambda: "node.lost" in receiver.events(), 60, "node.lost")
    gateway.start()
    wait_until(lambda: receiver.events().count("node.joined") >= 2, 60, "the node to be back")
    soon = (datetime.now(timezone.utc) + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    stage.admin.create("credentials", application=stage.application, type="secret", expires_at=soon)
    wait_until(lambda: "credential.expiring" in receiver.events(), 60, "credential.expiring")
    lost = receiver.events().count("node.lost")
    gateway.stop()
    assert receiver.events().count("node.lost") == lost  # it has left
