"""The life of a subscription, as the admin API has it: which step is possible from which state, and which is not."""

import itertools
from datetime import datetime, timedelta, timezone

import pytest

from sluice_support import ApiError, wait_until
from sluice_support.catalog import CatalogSamples

ACTIONS = ["approve", "refuse", "suspend", "resume", "revoke"]
# From each state the actions that are possible, and what they lead to. Everything else is a conflict.
STEPS = {
    "pending": {"approve": "approved", "refuse": "refused", "revoke": "revoked"},
    "approved": {"suspend": "suspended", "revoke": "revoked"},
    "suspended": {"resume": "approved", "revoke": "revoked"},
    "refused": {},
    "revoked": {},
    "expired": {},
}
LIVE = ["pending", "approved", "suspended"]
ENDED = ["refused", "revoked", "expired"]
# How a new one on a manual plan gets into each state.
WAYS = {"pending": [], "approved": ["approve"], "suspended": ["approve", "suspend"], "refused": ["refuse"],
        "revoked": ["revoke"]}


class Shop:
    def __init__(self, servers):
        self.admin = servers.control(log_level="info").admin
        self.samples = CatalogSamples(self.admin)
        for environment in ("dev", "prod"):
            self.samples.create("gateway-groups", environment=environment)

    def subscribe(self, expect=201, **fields):
        body = {**self.samples.body("subscriptions"), **fields}
        return self.admin.request("POST", "/v1/subscriptions", expect=expect, json=body).json()

    def act(self, subscription, action, expect=200, **body):
        path = f"/v1/subscriptions/{subscription['id']}/{action}"
        return self.admin.request("POST", path, expect=expect, json=body or None).json()

    def state(self, subscription):
        return self.admin.get("subscriptions", subscription["id"])["state"]

    def in_state(self, state, **fields):
        if state == "expired":
            return self.expired(**fields)
        subscription = self.subscribe(**fields)
        for action in WAYS[state]:
            self.act(subscription, action)
        assert self.state(subscription) == state
        return subscription

    def expired(self, **fields):
        subscription = _soon(lambda end: self.subscribe(expires_at=end, **fields))
        wait_until(lambda: self.state(subscription) == "expired", what="the subscription to expire")
        return subscription


def _in_ms(ms):
    moment = datetime.now(timezone.utc) + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _soon(give):
    """What give(end) returns for an end that comes soon, and had not come yet when it arrived: which takes its time."""
    for ms in (300, 3000, 30_000):
        try:
            return give(_in_ms(ms))
        except ApiError as refused:
            error, = refused.problem["errors"]
            assert refused.status == 400 and error["pointer"] == "/expires_at", refused
    raise AssertionError("30 s are over before a request arrives")


@pytest.fixture(scope="module")
def shop(module_servers):
    return Shop(module_servers)


@pytest.mark.parametrize("state, action", list(itertools.product(STEPS, ACTIONS)))
def test_each_step_from_each_state(shop, state, action):
    subscription = shop.in_state(state)
    before = shop.admin.get("subscriptions", subscription["id"])
    goal = STEPS[state].get(action)
    if goal:
        after = shop.act(subscription, action, reason="because")
        assert after["state"] == goal and after["reason"] == "because" and after["revision"] > before["revision"]
        assert shop.admin.get("subscriptions", subscription["id"]) == after
    else:
        problem = shop.act(subscription, action, expect=409, reason="because")
        assert state in problem["detail"] and problem["type"].endswith("/conflict")
        assert shop.admin.get("subscriptions", subscription["id"]) == before


def test_every_step_leaves_an_audit_event(shop):
    subscription = shop.in_state("suspended")
    shop.act(subscription, "resume")
    shop.act(subscription, "revoke", reason="misuse")
    events = shop.admin.request("GET", f"/v1/audit-events?entity_id={subscription['id']}", expect=200).json()["items"]
    assert [event["action"] for event in events] == ["revoke", "resume", "suspend", "approve", "create"]
    assert events[0]["changes"]["state"] == {"from": "approved", "to": "revoked"}
    assert events[0]["changes"]["reason"]["to"] == "misuse"


def test_a_reason_goes_with_the_step_that_had_it(shop):
    subscription = shop.subscribe()
    assert shop.act(subscription, "approve", reason="welcome")["reason"] == "welcome"
    assert "reason" not in shop.act(subscription, "suspend")
    shop.act(subscription, "resume", expect=400, reason=5)
    shop.act(subscription, "resume", expect=400, reason="x" * 501)
    shop.act(subscription, "resume", expect=400, because="x")
    assert shop.state(subscription) == "suspended"


@pytest.mark.parametrize("approval, state", [("manual", "pending"), ("auto", "approved")])
def test_the_plan_says_whether_it_is_approved_at_once(shop, approval, state):
    plan = shop.samples.create("plans", approval=approval)
    assert shop.subscribe(plan=plan["id"])["state"] == state


def test_state_is_not_for_the_subscriber_to_set(shop):
    shop.subscribe(expect=400, state="approved")
    subscription = shop.subscribe()
    path = f"/v1/subscriptions/{subscription['id']}"
    for change in ({"state": "approved"}, {"reason": "x"}, {"product": "other"}):
        shop.admin.request("PATCH", path, expect=400, json=change, headers={"If-Match": "*"})
    assert shop.state(subscription) == "pending"


@pytest.mark.parametrize("state", STEPS)
def test_one_lives_for_each_application_product_and_environment(shop, state):
    first = shop.in_state(state)
    same = {"application": first["application"]}
    product = shop.admin.get("plans", first["plan"])["product"]
    other_plan = shop.samples.create("plans", product=product)["id"]
    for plan in (first["plan"], other_plan):
        again = shop.subscribe(expect=409 if state in LIVE else 201, plan=plan, **same)
        if state in LIVE:
            assert first["id"] in again["detail"] and again["errors"][0]["pointer"] == "/plan"
        else:
            shop.act(again, "revoke")
    shop.subscribe(environment="prod", **same)
    other_product = shop.samples.create("products")["id"]
    shop.subscribe(plan=shop.samples.create("plans", product=other_product)["id"], **same)
    shop.subscribe()  # another application


def test_a_new_one_can_follow_as_soon_as_the_old_one_has_run_out(shop):
    """Even when nobody has marked it yet: what has run out does not live."""
    first = _soon(lambda end: shop.subscribe(expires_at=end))
    wait_until(lambda: shop.admin.request("POST", "/v1/subscriptions", json={
        **shop.samples.body("subscriptions"), "application": first["application"]}).status_code == 201,
        what="a second subscription")
    assert shop.state(first) == "expired"


@pytest.mark.parametrize("state", LIVE)
def test_a_live_one_can_get_another_end_and_expires_from_any_state(shop, state):
    subscription = shop.in_state(state, expires_at="2099-01-01T00:00:00Z")
    shop.admin.patch("subscriptions", subscription["id"], expires_at=None)
    assert "expires_at" not in shop.admin.get("subscriptions", subscription["id"])
    _soon(lambda end: shop.admin.patch("subscriptions", subscription["id"], expires_at=end))
    wait_until(lambda: shop.state(subscription) == "expired", what="the subscription to expire")
    events = wait_until(lambda: shop.admin.list("audit-events", entity_id=subscription["id"], action="expire"),
                        what="the event")
    assert len(events) == 1 and events[0]["changes"]["state"] == {"from": state, "to": "expired"}


@pytest.mark.parametrize("state", ENDED)
def test_one_that_has_ended_cannot_be_prolonged(shop, state):
    subscription = shop.in_state(state)
    shop.admin.request("PATCH", f"/v1/subscriptions/{subscription['id']}", expect=409, headers={"If-Match": "*"},
                       json={"expires_at": "2099-01-01T00:00:00Z"})
    shop.admin.patch("subscriptions", subscription["id"], labels={"kept": "for the record"})
    shop.admin.delete("subscriptions", subscription["id"])


def test_an_end_lies_in_the_future(shop):
    shop.subscribe(expect=400, expires_at="2020-01-01T00:00:00Z")
    subscription = shop.subscribe()
    shop.admin.request("PATCH", f"/v1/subscriptions/{subscription['id']}", expect=400, headers={"If-Match": "*"},
                       json={"expires_at": "2020-01-01T00:00:00Z"})


@pytest.mark.parametrize("lifecycle, status", [("draft", 400), ("published", 201), ("deprecated", 201), ("retired", 400)])
def test_a_product_is_subscribed_to_while_it_is_offered(shop, lifecycle, status):
    product = shop.samples.create("products", lifecycle=lifecycle)["id"]
    shop.subscribe(expect=status, plan=shop.samples.create("plans", product=product)["id"])


def test_a_product_for_some_teams_is_for_them_and_its_owner(shop):
    owner, friend, stranger = (shop.samples.create("teams")["id"] for _ in range(3))
    product = shop.samples.create("products", team=owner, visibility="teams", visible_to=[friend])["id"]
    plan = shop.samples.create("plans", product=product)["id"]
    for team, status in ((owner, 201), (friend, 201), (stranger, 400)):
        application = shop.samples.create("applications", team=team)["id"]
        answer = shop.subscribe(expect=status, plan=plan, application=application)
        assert status == 201 or answer["errors"][0]["pointer"] == "/plan"


def test_an_environment_is_one_of_some_group(shop):
    assert shop.subscribe(expect=400, environment="moon")["errors"][0]["pointer"] == "/environment"


def test_an_unknown_action_is_not_found(shop):
    subscription = shop.subscribe()
    shop.act(subscription, "expire", expect=404)
    shop.act({"id": "none"}, "approve", expect=404)


def test_a_subscriber_does_not_undo_a_suspension(shop):
    team, other = shop.samples.create("teams")["id"], shop.samples.create("teams")["id"]
    api = shop.samples.create("event-apis", team=other)
    product = shop.samples.create("products", team=other, event_apis=[api["id"]], visibility="public", visible_to=[])
    plan = shop.samples.create("plans", product=product["id"], approval="auto")
    body = {"application": shop.samples.create("applications", team=team)["id"], "plan": plan["id"], "environment": "dev"}
    tokens = {}
    for name, role, owns in (("dev", "developer", team), ("owner", "api-owner", other)):
        shop.admin.create("users", name=f"suspension-{name}", roles=[role], teams=[owns])
        token = shop.admin.create("api-tokens", name=name, owner=f"suspension-{name}", scopes=["*"])
        tokens[name] = shop.admin.with_token(token["token"])
    subscriber = tokens["dev"]
    made = subscriber.request("POST", "/v1/subscriptions", json=body, expect=201).json()
    assert made["state"] == "approved"
    path = f"/v1/subscriptions/{made['id']}"
    tokens["owner"].request("POST", f"{path}/suspend", expect=200)
    assert "subscriptions:approve" in subscriber.request("DELETE", path, expect=403).json()["detail"]
    subscriber.request("PATCH", path, json={"expires_at": _in_ms(600_000)}, headers={"If-Match": "*"}, expect=403)
    subscriber.request("POST", "/v1/subscriptions", json=body, expect=409)
    tokens["owner"].request("POST", f"{path}/resume", expect=200)
    subscriber.request("DELETE", path, expect=204)  # as any other
    made = subscriber.request("POST", "/v1/subscriptions", json=body, expect=201).json()
    shop.act(made, "suspend")
    shop.admin.request("DELETE", f"/v1/subscriptions/{made['id']}", expect=204)
