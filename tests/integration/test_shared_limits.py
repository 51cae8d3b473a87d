"""Limits that two gateways share by Redis: exactly while it is there, as the policy says while it is not.

Both gateways are of one group and listen on the same port: each connection goes to one of them, as behind a balancer.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import requests

from sluice_support import Definitions, NativeCluster, SampleApi, Wire, wait_until
from sluice_support.redis import PASSWORD, Redis

METADATA = 3
RATE, BURST = 1, 60


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    redis = Redis(tmp_path_factory.mktemp("redis"))
    redis.start()
    yield redis
    redis.stop()


@pytest.fixture(scope="module")
def stage(module_servers, kafka, redis):
    stage = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("limited"))
    first = stage.start_gateway(module_servers, **redis.options)
    second = module_servers.gateway(stage.control.join_string(stage.group), **redis.options)
    stage.gateways = [first, second]
    wait_until(lambda: connected(stage) == [2, 2], what="both workers of both gateways to be connected to Redis")
    wait_until(lambda: all(each.metrics().get("sluice_group_gateways") == 2 for each in stage.gateways), what="two gateways")
    return stage


def connected(stage):
    return [each.metrics().get("sluice_limits_redis_connections", 0) for each in stage.gateways]


def outcomes(stage, outcome):
    """Of each gateway."""
    return [each.metrics().get(f'sluice_limits_shared_total{{outcome="{outcome}"}}', 0) for each in stage.gateways]


def ask(stage):
    with requests.Session() as session:
        session.trust_env = False
        return session.get(stage.url + "?from=latest&limit=1", timeout=30,
                           headers={"X-API-Key": stage.key, "Accept": "application/json", "Connection": "close"})


def statuses(stage, count, threads=4):
    with ThreadPoolExecutor(threads) as pool:
        return [answer.status_code for answer in pool.map(lambda _: ask(stage), range(count))]


@contextmanager
def limited(stage, name, **config):
    """The names differ: what one test has taken is not the other's."""
    scope = config.pop("scope", {"kind": "event-api", "ref": stage.event_api})
    made = stage.admin.create("policies", name=name, type="rate-limit", scope=scope, config={"store": "redis", **config})
    wait_applied(stage, made)
    try:
        yield name
    finally:
        stage.admin.delete("policies", name)


def wait_applied(stage, made):
    wait_until(lambda: all(each.metrics()["sluice_config_applied_version"] >= made["revision"] for each in stage.gateways),
               what="the policy to hold at both gateways")


def change(stage, name, **config):
    wait_applied(stage, stage.admin.patch("policies", name, config=config))


def test_together_they_let_through_what_the_limit_says(stage):
    taken_before = sum(outcomes(stage, "taken"))
    begun = time.monotonic()
    with limited(stage, "exact", requests_per_second=RATE, burst=BURST, if_unavailable="refuse"):
        answers = statuses(stage, 4 * BURST)
        most = BURST + RATE * (time.monotonic() - begun)
        assert set(answers) <= {200, 429}
        assert BURST <= answers.count(200) <= most
        assert sum(outcomes(stage, "taken")) - taken_before == answers.count(200)
        assert min(outcomes(stage, "taken")) > 0 and min(outcomes(stage, "refused")) > 0, "one of them had nothing to do"
        refused = next(answer for answer in (ask(stage) for _ in range(10)) if answer.status_code == 429)
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.json()["type"].endswith("rate-limited")


def test_many_are_borrowed_at_once(stage):
    before = sum(outcomes(stage, "taken"))
    with limited(stage, "many", requests_per_second=100_000, burst=1):
        answer = ask(stage)
        assert answer.headers["RateLimit-Policy"] == '"requests";q=100000;w=1'
        assert statuses(stage, 40) == [200] * 40
    assert sum(outcomes(stage, "taken")) - before == 41


def test_events_are_owed_at_both(stage):
    with limited(stage, "owed", events_per_second=1, burst=10, if_unavailable="refuse"):
        body = b"\n".join(b'{"n":%d}' % n for n in range(100))
        answer = stage.publish(body, headers={"Content-Type": "application/x-ndjson"})
        assert answer.status_code in (200, 201, 207), answer.text
        before = outcomes(stage, "refused")
        # The other one learns of the debt when it tells of what it did itself.
        wait_until(lambda: stage.publish({"n": 1}, headers={"Connection": "close"}).status_code == 429 and
                   all(now > then for now, then in zip(outcomes(stage, "refused"), before)), what="both to refuse")


def test_native_clients_are_slowed_for_what_all_of_them_did(stage, redis):
    native = NativeCluster(stage, "native", authentication=["plain"])
    native.wait_served()
    definitions = Definitions()
    scope = {"kind": "virtual-cluster", "ref": "native"}

    def metadata(wire):
        tree = {"Topics": [{"Name": stage.topic}]}
        return wire.ask(definitions.requests[METADATA], 9, tree)["ThrottleTimeMs"]

    with limited(stage, "slow", requests_per_second=1, burst=20, scope=scope), \
            closing(Wire(definitions, f"127.0.0.1:{native.port + 2}", stage.credential["id"],
                         stage.credential["secret"])) as wire:
        told = [metadata(wire) for _ in range(15)]
        assert told == [0] * 15
        before = outcomes(stage, "taken")
        policy, application = stage.admin.get("policies", "slow"), stage.admin.get("applications", stage.application)
        key = f"sluice:{stage.group}/{policy['id']}/requests/{application['id']}"
        wait_until(lambda: redis.ask("EXISTS", key) == ":1", what="Redis to know what they did")
        wait_until(lambda: metadata(wire) > 0, what="to be told to wait")
        assert before == outcomes(stage, "taken"), "native clients pay afterwards"


def test_redis_killed_and_back(stage, redis):
    with limited(stage, "away", requests_per_second=RATE, burst=BURST, if_unavailable="refuse") as name:
        assert ask(stage).status_code == 200
        redis.kill()
        wait_until(lambda: connected(stage) == [0, 0], what="the gateways to notice")
        refused = ask(stage)
        assert refused.status_code == 503 and refused.json()["type"].endswith("limit-unavailable")
        assert refused.headers["Retry-After"] == "1"
        change(stage, name, store="redis", requests_per_second=RATE, burst=BURST, if_unavailable="allow")
        assert statuses(stage, 2 * BURST) == [200] * (2 * BURST)
        change(stage, name, store="redis", requests_per_second=RATE, burst=BURST, if_unavailable="local")
        begun = time.monotonic()
        answers = statuses(stage, 3 * BURST)
        assert 0 < answers.count(200) <= BURST + RATE * (time.monotonic() - begun), "each at its share"
        redis.start()
        wait_until(lambda: connected(stage) == [2, 2], what="the gateways to be connected again")
        before = sum(outcomes(stage, "taken"))
        assert ask(stage).status_code == 200
        assert sum(outcomes(stage, "taken")) == before + 1


def test_redis_that_does_not_answer_is_not_waited_for(stage, redis):
    with limited(stage, "hung", requests_per_second=RATE, burst=BURST, if_unavailable="allow"):
        redis.process.send_signal(signal.SIGSTOP)
        try:
            before = sum(outcomes(stage, "unavailable"))
            assert statuses(stage, 8, threads=8) == [200] * 8
            assert sum(outcomes(stage, "unavailable")) - before == 8
        finally:
            redis.process.send_signal(signal.SIGCONT)
        wait_until(lambda: connected(stage) == [2, 2], what="the gateways to be connected again")


def test_wrong_secrets_and_certificates_are_told_and_never_shown(stage, redis, module_servers, tmp_path):
    wrong = tmp_path / "wrong.password"
    wrong.write_text("planted-wrong-secret")
    other = module_servers.gateway(stage.control.join_string(stage.group), ready=False,
                                   **{**redis.options, "limits_redis_password_file": wrong})
    wait_until(lambda: b"WRONGPASS" in other.log(), what="the log to say what Redis said")
    other.stop()
    without = {name: value for name, value in redis.options.items() if name != "limits_redis_ca_file"}
    strangers = module_servers.gateway(stage.control.join_string(stage.group), ready=False, **without)
    wait_until(lambda: b"certificate" in strangers.log() and b"no connection to the Redis server" in strangers.log(),
               what="the log to say that the certificate is of a stranger")
    strangers.stop()
    for gateway in (*stage.gateways, other, strangers):
        assert PASSWORD.encode() not in gateway.log() and b"planted-wrong-secret" not in gateway.log()
