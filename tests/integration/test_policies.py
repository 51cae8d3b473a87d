"""Policies on HTTP: conditions, and what each type does to requests of real clients."""

from contextlib import contextmanager

import requests

from sluice_support import wait_until


def ask(sample, method="POST", key=None, query="", **headers):
    """Publishes one event, or reads a page of one."""
    session = requests.Session()
    session.trust_env = False
    credentials = {"X-API-Key": sample.key if key is None else key} if key != "" else {}
    body = {"json": {"n": 1}} if method == "POST" else {}
    return session.request(method, sample.url + query, headers={**credentials, **headers}, timeout=30, **body)


@contextmanager
def policy(sample, name, **fields):
    """A policy of the event API, from here to the end of the block."""
    fields = {"scope": {"kind": "event-api", "ref": sample.event_api}, **fields}
    sample.admin.create("policies", name=name, **fields)
    try:
        yield
    finally:
        sample.admin.delete("policies", name)


def eventually(condition, what):
    """A change of configuration travels."""
    return wait_until(condition, what=what)


def status_of(sample, *args, **kwargs):
    return ask(sample, *args, **kwargs).status_code


# ---- conditions ----

def test_a_policy_holds_while_its_condition_is_true(sample):
    """The key in another header, for one tenant only."""
    condition = "request.method == 'POST' && request.headers['x-tenant'] == 'shop'"
    other = {"X-Other-Key": sample.key, "X-Tenant": "shop"}
    with policy(sample, "other-key", type="key-auth", config={"header": "X-Other-Key"}, condition=condition):
        eventually(lambda: status_of(sample, key="", **other) == 201, "the policy")
        assert status_of(sample, key="", **{**other, "X-Tenant": "bank"}) == 401
        assert status_of(sample, "GET", key="", **other) == 401
    eventually(lambda: status_of(sample) == 201, "the policy to be gone")


def test_a_condition_that_cannot_be_evaluated_refuses_is_counted_and_logged(sample):
    counter = 'sluice_policy_condition_errors_total{policy="fragile"}'
    with policy(sample, "fragile", type="subscription", condition="int(request.headers['x-level']) > 3"):
        eventually(lambda: status_of(sample, **{"X-Level": "4"}) == 201 and status_of(sample) == 403, "the policy")
        assert status_of(sample, **{"X-Level": "3"}) == 403  # not there, and nothing else grants it
        before = sample.gateway.metrics()[counter]
        refused = ask(sample, **{"X-Level": "many"})
        assert refused.status_code == 403 and refused.json()["type"].endswith("/denied")
        assert "fragile" not in refused.text and "condition" not in refused.text
        assert sample.gateway.metrics()[counter] == before + 1
        reason = "fragile: its condition cannot be evaluated, at character 1: the text is no number"
        wait_until(lambda: reason in sample.gateway.access_log.read_text(), what="the reason in the log")
    eventually(lambda: status_of(sample) == 201, "the policy to be gone")


def test_a_condition_knows_who_asks(sample):
    with policy(sample, "team-only", type="subscription",
                condition=f"application.team == '{sample.team}' && !has(credential.expires) && api.version == 1"):
        eventually(lambda: status_of(sample) == 201, "the policy")
    with policy(sample, "others-only", type="subscription", condition="application.team == 'nobody'"):
        eventually(lambda: status_of(sample) == 403, "the policy")
    eventually(lambda: status_of(sample) == 201, "the policy to be gone")


def test_the_control_plane_refuses_a_wrong_condition(sample):
    for condition, message in (("request.method = 'GET'", "at character 16"),
                               ("request.method == 1", "never equals"),
                               ("request.cookies == ''", "no variable request.cookies"),
                               ("[1].all(x, x > 0)", "loop"),
                               ("request.method", "must be of kind bool")):
        answer = sample.admin.request("POST", "/v1/policies", expect=400, json={
            "name": "wrong", "type": "subscription", "scope": {"kind": "event-api", "ref": sample.event_api},
            "condition": condition}).json()
        assert answer["errors"][0]["pointer"] == "/condition" and message in answer["errors"][0]["detail"], answer
