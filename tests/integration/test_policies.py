"""Policies on HTTP: conditions, and what each type does to requests of real clients."""

import re
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
    """A policy of the event API, in force in every worker from here to the end of the block."""
    fields = {"scope": {"kind": "event-api", "ref": sample.event_api}, **fields}
    made = sample.admin.create("policies", name=name, **fields)
    try:
        sample.wait_in_force(made)
        yield
    finally:
        sample.admin.delete("policies", name)
        sample.wait_in_force()


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
                               ("time.getHours('Europe/Atlantis') > 8", "no time zone Europe/Atlantis"),
                               ("request.method", "must be of kind bool")):
        answer = sample.admin.request("POST", "/v1/policies", expect=400, json={
            "name": "wrong", "type": "subscription", "scope": {"kind": "event-api", "ref": sample.event_api},
            "condition": condition}).json()
        assert answer["errors"][0]["pointer"] == "/condition" and message in answer["errors"][0]["detail"], answer


# ---- what is counted and what is only said ----

def decisions(sample, name):
    """What a policy has said so far, by outcome."""
    found = re.compile(r'sluice_policy_decisions_total\{policy="%s",outcome="(\w+)"\}' % name)
    return {match[1]: int(value) for series, value in sample.gateway.metrics().items() if (match := found.match(series))}


def test_decisions_are_counted_by_policy_and_outcome(sample):
    """Once for each request, though some are asked in two phases."""
    rules = [{"effect": "deny", "operations": ["write"], "topics": ["*"]}]
    with policy(sample, "counted-address", type="ip-restriction", config={"deny": ["192.0.2.1"]}), \
            policy(sample, "counted-acl", type="acl", config={"rules": rules}, condition="int(request.headers['x-n']) > 3"):
        eventually(lambda: status_of(sample, **{"X-N": "4"}) == 403, "the policies")
        acl, address = decisions(sample, "counted-acl"), decisions(sample, "counted-address")
        assert status_of(sample, **{"X-N": "1"}) == 201
        assert status_of(sample, **{"X-N": "5"}) == 403
        assert status_of(sample, **{"X-N": "many"}) == 403
        after = decisions(sample, "counted-acl")
        assert after["denied"] == acl["denied"] + 1 and after["error"] == acl.get("error", 0) + 1
        assert decisions(sample, "counted-address")["allowed"] == address["allowed"] + 3
    eventually(lambda: status_of(sample) == 201, "the policies to be gone")


DRY = [("ip-restriction", {"allow": ["192.0.2.1"]}), ("request-size", {"max_bytes": 1}),
       ("rate-limit", {"events_per_second": 1}), ("key-auth", {"header": "X-Other-Key"}), ("basic-auth", {}),
       ("acl", {"rules": [{"effect": "deny", "operations": ["all"], "topics": ["*"]}]})]


def test_a_policy_in_dry_run_refuses_nothing_whatever_its_type(sample):
    """Who would have been refused is counted and logged."""
    wrong = {"X-Other-Key": "slk_x_y", "Authorization": "Basic Og=="}
    for kind, config in DRY:
        with policy(sample, f"dry-{kind}", type=kind, config=config, dry_run=True):
            def counted():
                assert status_of(sample, **(wrong if kind.endswith("-auth") else {})) == 201
                return decisions(sample, f"dry-{kind}").get("dry_run_denied", 0)
            eventually(counted, f"the dry run of {kind}")
            if kind != "rate-limit":  # which lets some through
                before = decisions(sample, f"dry-{kind}")["dry_run_denied"]
                assert counted() == before + 1
            wait_until(lambda: f'"policy":"dry-{kind}"' in sample.gateway.log().decode(), what="the word in the log")


# ---- limits ----

def _limits(response):
    """RateLimit as {kind: left}."""
    return {name: int(left) for name, left in re.findall(r'"(\w+)";r=(\d+)', response.headers.get("RateLimit", ""))}


def test_requests_over_the_limit_are_429_with_the_fields_of_the_draft(sample):
    with policy(sample, "slow", type="rate-limit", config={"requests_per_second": 1, "burst": 10}):
        eventually(lambda: "RateLimit" in ask(sample).headers, "the policy")
        answers = [ask(sample)]
        while answers[-1].status_code == 201 and len(answers) < 300:  # asked faster than one a second
            answers.append(ask(sample))
        answer = answers[-1]
        assert answer.status_code == 429 and answer.json()["type"].endswith("/rate-limited")
        assert answer.headers["RateLimit-Policy"] == '"requests";q=10;w=10'
        assert _limits(answer) == {"requests": 0} and int(answer.headers["Retry-After"]) >= 1
        assert "slow" not in answer.text
        wait_until(lambda: ask(sample).status_code == 201, what="the limit to be paid for")
    eventually(lambda: "RateLimit" not in ask(sample).headers, "the policy to be gone")


def test_events_and_bytes_are_paid_for_afterwards(sample):
    for kind, rate, batch in (("events", 20, 400), ("bytes", 4000, 1000)):  # for a debt of some fifteen seconds
        with policy(sample, kind, type="rate-limit", config={f"{kind}_per_second": rate}):
            eventually(lambda: kind in _limits(ask(sample)), "the policy")
            wait_until(lambda: publish_lines(sample, batch).status_code == 201, 60, "nothing to be owed")
            refused = ask(sample)
            assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
            assert _limits(refused) == {kind: 0}
        eventually(lambda: status_of(sample) == 201, "the policy to be gone")


def publish_lines(sample, count):
    session = requests.Session()
    session.trust_env = False
    return session.post(sample.url, data=b'{"n": 1, "padding": "%s"}\n' % (b"x" * 50) * count, timeout=30,
                        headers={"X-API-Key": sample.key, "Content-Type": "application/x-ndjson"})


def test_only_so_many_streams_are_open_at_once(sample):
    with policy(sample, "few-streams", type="rate-limit", config={"streams": 2, "per": "application"}):
        def limited():
            with sample.stream() as reader:
                return "RateLimit" in reader.headers
        eventually(limited, "the policy")
        def opened():
            reader = sample.stream()
            return reader if reader.status == 200 else reader.close()
        with wait_until(opened, what="a stream"), wait_until(opened, what="a second stream"):
            with sample.stream() as third:
                assert third.status == 429
            assert status_of(sample) == 201  # no stream
        def again():
            with sample.stream() as reader:
                return reader.status == 200
        wait_until(again, what="the streams to be given back")
    eventually(lambda: "RateLimit" not in ask(sample).headers, "the policy to be gone")


@contextmanager
def connected(sample):
    """A connection of its own that stays open; the function that asks on it."""
    with requests.Session() as session:
        session.trust_env = False
        yield lambda: session.post(sample.url, json={"n": 1}, headers={"X-API-Key": sample.key}, timeout=30)


def test_only_so_many_connections_are_open_at_once(sample):
    """Counted from their first request on that is granted; one too many is told so, and closed."""
    for name, per in (("few-of-application", "application"), ("few-of-address", "address")):
        with policy(sample, name, type="rate-limit", config={"connections": 2, "per": per}):
            def refused():
                with connected(sample) as one, connected(sample) as two, connected(sample) as three:
                    return [one().status_code, two().status_code, three().status_code] == [201, 201, 429]
            eventually(refused, "the policy")
            with connected(sample) as first, connected(sample) as third:
                wait_until(lambda: first().status_code == 201, what="the connections to be given back")
                with connected(sample) as second:
                    wait_until(lambda: second().status_code == 201, what="a second place")
                    answer = third()
                    assert answer.status_code == 429 and answer.headers["Connection"] == "close"
                    assert answer.json()["title"] == "Too many connections" and "Retry-After" in answer.headers
                    assert {first().status_code, second().status_code} == {201}
                wait_until(lambda: third().status_code == 201, what="the place of the one that has gone")
        eventually(lambda: status_of(sample) == 201, "the policy to be gone")


def test_a_stream_is_slowed_down_to_its_limit_and_loses_nothing(sample):
    """Of a hundred events the first ten come at once, and the others one by one."""
    start = sample.page("?from=latest&wait=0s")["next"]
    assert publish_lines(sample, 100).status_code == 201
    with policy(sample, "paced", type="rate-limit", condition="stream",
                config={"events_per_second": 1, "burst": 10, "per": "event-api"}):
        def limited():
            with sample.stream() as reader:
                return "RateLimit" in reader.headers
        eventually(limited, "the policy")
        with sample.stream(query=f"?cursor={start}") as reader:
            events = reader.take(12)
            assert reader.waiting() < 60
            assert len({event.id for event in events}) == 12
    eventually(lambda: "RateLimit" not in ask(sample).headers, "the policy to be gone")


def test_a_changed_limit_reaches_a_stream_that_is_open(sample):
    """At the old one the last of two hundred events would come after three minutes."""
    start = sample.page("?from=latest&wait=0s")["next"]
    assert publish_lines(sample, 200).status_code == 201
    slow = {"events_per_second": 1, "burst": 2, "per": "event-api"}
    with policy(sample, "changing", type="rate-limit", condition="stream", config=slow):
        def limited():
            with sample.stream() as reader:
                return "RateLimit" in reader.headers
        eventually(limited, "the policy")
        with sample.stream(query=f"?cursor={start}") as reader:
            reader.take(1)
            sample.admin.patch("policies", "changing", config={**slow, "events_per_second": 100_000})
            assert len(reader.take(199)) == 199
    eventually(lambda: "RateLimit" not in ask(sample).headers, "the policy to be gone")


def test_what_is_owed_is_paid_at_the_changed_rate(sample):
    """One event of five minutes at the old rate; then the next one need not wait for these."""
    slow = {"bytes_per_second": 1000, "burst": 2, "per": "event-api"}
    with policy(sample, "repaid", type="rate-limit", condition="stream", config=slow):
        def limited():
            with sample.stream() as reader:
                return "RateLimit" in reader.headers
        eventually(limited, "the policy")
        start = sample.page("?from=latest&wait=0s")["next"]
        with sample.stream(query=f"?cursor={start}") as reader:
            assert sample.publish({"text": "x" * 300_000}).status_code == 201
            assert len(reader.take(1)[0].data) > 300_000
            assert sample.publish({"text": "next"}).status_code == 201
            sample.admin.patch("policies", "repaid", config={**slow, "bytes_per_second": 1_000_000_000})
            assert "next" in reader.take(1)[0].data
    eventually(lambda: "RateLimit" not in ask(sample).headers, "the policy to be gone")


def test_a_plan_limits_each_of_its_applications(sample):
    sample.admin.patch("plans", sample.plan, limits={"requests_per_second": 1})
    eventually(lambda: '"requests";q=1;w=1' == ask(sample).headers.get("RateLimit-Policy"), "the plan's limit")
    wait_until(lambda: status_of(sample) == 429, what="a refusal")
    sample.admin.patch("plans", sample.plan, limits=None)
    eventually(lambda: "RateLimit" not in ask(sample).headers, "the limit to be gone")


def test_two_gateways_share_a_limit(sample, module_servers):
    """The control plane tells each how many they are; what is left halves."""
    with policy(sample, "shared", type="rate-limit", config={"requests_per_second": 1, "burst": 1000}):
        eventually(lambda: _limits(ask(sample)).get("requests", 0) > 900, "the policy")
        wait_until(lambda: sample.gateway.metrics().get("sluice_group_gateways") == 1, what="the count of gateways")
        other = module_servers.gateway(sample.control.join_string(sample.group), ready=False)
        # The other one has the same port: each connection goes to one of them.
        wait_until(lambda: all(gateway.metrics()["sluice_group_gateways"] == 2 for gateway in (sample.gateway, other)),
                   what="two gateways")
        assert 400 < _limits(ask(sample))["requests"] <= 500
        other.stop()
        wait_until(lambda: sample.gateway.metrics()["sluice_group_gateways"] == 1, what="one gateway")
        assert _limits(ask(sample))["requests"] > 800


# ---- what restricts ----

def test_a_policy_of_an_application_concerns_it_alone(sample):
    """Also of one that may do nothing here: the others' configuration goes on."""
    sample.new_application("stranger")
    with policy(sample, "of-stranger", type="request-size", config={"max_bytes": 1},
                scope={"kind": "application", "ref": "stranger"}):
        with policy(sample, "of-demo", type="request-size", config={"max_bytes": 10},
                    scope={"kind": "application", "ref": sample.application}):
            eventually(lambda: publish_lines(sample, 1).status_code == 413, "the policy")
            assert status_of(sample) == 201
        eventually(lambda: publish_lines(sample, 1).status_code == 201, "the policy to be gone")


def test_addresses_are_let_in_or_not(sample):
    with policy(sample, "outside", type="ip-restriction", config={"deny": ["127.0.0.0/8"]}):
        eventually(lambda: status_of(sample) == 403, "the policy")
        assert status_of(sample, key="slk_none_none") == 403
    with policy(sample, "inside", type="ip-restriction", config={"allow": ["127.0.0.1", "2001:db8::/32"]}):
        eventually(lambda: status_of(sample) == 201, "the policy")


def test_bodies_over_the_size_are_413(sample):
    with policy(sample, "small", type="request-size", config={"max_bytes": 500}):
        eventually(lambda: publish_lines(sample, 50).status_code == 413, "the policy")
        assert publish_lines(sample, 2).status_code == 201
    eventually(lambda: publish_lines(sample, 50).status_code == 201, "the policy to be gone")
