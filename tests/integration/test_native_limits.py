"""Limits of native sessions: throttle_time_ms and being left unread, as brokers do it; connections."""

from contextlib import closing, contextmanager

import pytest

from sluice_support import Definitions, NativeCluster, SampleApi, Wire, record_batch, wait_until

METADATA, PRODUCE, FETCH = 3, 0, 1


@pytest.fixture(scope="module")
def definitions():
    return Definitions()


@pytest.fixture(scope="module")
def stage(module_servers, kafka):
    topic = kafka.create_topic("limited")
    kafka.produce(topic, [b"x" * 1000] * 50)
    stage = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic)
    stage.start_gateway(module_servers, kafka_throttle_max="2s")
    stage.native = NativeCluster(stage, "native", authentication=["plain"])
    stage.native.wait_served()
    return stage


def connect(definitions, stage):
    """To the broker with the topic's only partition: there is one."""
    wire = Wire(definitions, f"127.0.0.1:{stage.native.port + 2}", stage.credential["id"], stage.credential["secret"])
    metadata(wire, stage)  # it is the first request that makes a connection count
    return wire


@contextmanager
def limited(stage, name="slow", **config):
    dry_run = config.pop("dry_run", False)
    made = stage.admin.create("policies", name=name, type="rate-limit", scope={"kind": "virtual-cluster", "ref": "native"},
                              config=config, dry_run=dry_run)
    try:
        stage.wait_in_force(made)  # for whoever comes, whichever worker gets them
        yield
    finally:
        stage.admin.delete("policies", name)


def ask(wire, key, tree, version):
    return wire.ask(wire.definitions.requests[key], version, tree)


def metadata(wire, stage):
    return ask(wire, METADATA, {"Topics": [{"Name": stage.topic}]}, 9)["ThrottleTimeMs"]


def produce(wire, stage, values):
    tree = {"Acks": -1, "TimeoutMs": 25000,
            "TopicData": [{"Name": stage.topic, "PartitionData": [{"Index": 0, "Records": record_batch(values)}]}]}
    answer = ask(wire, PRODUCE, tree, 9)
    assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0
    return answer["ThrottleTimeMs"]


def fetch(wire, stage):
    partition = {"Partition": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 4 << 20, "LastFetchedEpoch": -1,
                 "LogStartOffset": -1}
    answer = ask(wire, FETCH, {"ReplicaId": -1, "MaxBytes": 4 << 20, "SessionEpoch": -1,
                               "Topics": [{"Topic": stage.topic, "Partitions": [partition]}]}, 11)
    read = answer["Responses"][0]["Partitions"][0]
    assert read["ErrorCode"] == 0 and read["Records"], read["ErrorCode"]
    return answer["ThrottleTimeMs"]


def throttled(stage):
    return stage.gateway.metrics().get('sluice_kafka_throttled_total{virtual_cluster="native"}', 0)


def test_without_limits_nobody_is_throttled(definitions, stage):
    with closing(connect(definitions, stage)) as wire:
        assert [metadata(wire, stage) for _ in range(10)] == [0] * 10
        assert produce(wire, stage, [b"x" * 1000] * 500) == 0
        assert fetch(wire, stage) == 0


@pytest.mark.parametrize("config, act", [
    ({"requests_per_second": 2}, lambda wire, stage: metadata(wire, stage)),
    ({"bytes_per_second": 1000}, lambda wire, stage: produce(wire, stage, [b"x" * 5000])),
    ({"bytes_per_second": 1000}, lambda wire, stage: fetch(wire, stage)),
    ({"events_per_second": 10}, lambda wire, stage: produce(wire, stage, [b"x"] * 100)),
    ({"events_per_second": 10}, lambda wire, stage: fetch(wire, stage)),
], ids=["requests", "bytes in", "bytes out", "events in", "events out"])
def test_over_a_limit_answers_say_so_and_the_session_waits(definitions, stage, config, act):
    """An open session learns of the limit, and of its end."""
    with closing(connect(definitions, stage)) as wire:
        assert metadata(wire, stage) == 0
        before = throttled(stage)
        with limited(stage, **config):
            throttle = wait_until(lambda: act(wire, stage), 60, "an answer with a throttle time")
            assert 0 < throttle <= 2000  # kafka.throttle-max
            act(wire, stage)  # which waits for its turn
            assert throttled(stage) > before
        wait_until(lambda: act(wire, stage) == 0, 60, "the limit to be gone")


def test_a_limit_in_dry_run_slows_nobody(definitions, stage):
    """It is counted what it would have slowed down."""
    would = 'sluice_policy_decisions_total{policy="dry",outcome="dry_run_denied"}'
    with limited(stage, "dry", requests_per_second=1, dry_run=True), limited(stage, "mark", bytes_per_second=1):
        with closing(connect(definitions, stage)) as wire:
            wait_until(lambda: metadata(wire, stage) > 0, 60, "the limit that is no dry run")
            wait_until(lambda: metadata(wire, stage) and stage.gateway.metrics().get(would, 0) > 0, 60, "the count")
    with limited(stage, "dry", requests_per_second=1, dry_run=True), closing(connect(definitions, stage)) as wire:
        wait_until(lambda: [metadata(wire, stage) for _ in range(5)] == [0] * 5, 60, "nobody to be slowed down")


def test_connections_are_counted_and_given_back(definitions, stage):
    with limited(stage, connections=2):
        def full():
            wires = []
            try:
                for _ in range(3):
                    wires.append(connect(definitions, stage))
                return None
            except (AssertionError, ConnectionError):
                return len(wires) == 2
            finally:
                for wire in wires:
                    wire.close()
        wait_until(full, 60, "the third connection to be closed")
        wait_until(lambda: b"as many connections as may be" in stage.gateway.log(), what="the word in the log")
        with closing(wait_until(lambda: again(definitions, stage), 60, "a place to be free again")) as wire:
            assert metadata(wire, stage) == 0


def test_who_is_in_stays_in_when_connections_are_limited(definitions, stage):
    """Though nothing had limited it before."""
    with closing(connect(definitions, stage)) as first, closing(connect(definitions, stage)) as second:
        with limited(stage, "one", connections=1, requests_per_second=1):
            for wire in (first, second):
                wait_until(lambda: metadata(wire, stage) > 0, 60, "the limit")
            assert again(definitions, stage) is None
            assert metadata(first, stage) >= 0 and metadata(second, stage) >= 0


def again(definitions, stage):
    try:
        return connect(definitions, stage)
    except (AssertionError, ConnectionError):
        return None


# ---- limits of event APIs and of plans ----

@pytest.fixture(scope="module")
def offered(stage, kafka):
    """The topic and another one as event APIs of the native virtual cluster, and the plan that the application has for the
    first."""
    stage.other_topic = kafka.create_topic("unlimited")
    for name, topic in (("limited", stage.topic), ("unlimited", stage.other_topic)):
        stage.admin.create("event-apis", name=name, major=1, team=stage.team, operations=["publish", "read"],
                           exposures=["rest", "kafka"], lifecycle="published")
        stage.admin.create("deployments", event_api=f"{name}.v1", gateway_group=stage.group, virtual_cluster="native",
                           topic=topic, listener=stage.listener)
    stage.admin.create("products", name="limited", team=stage.team, visibility="public", lifecycle="published",
                       event_apis=["limited.v1"])
    stage.admin.create("plans", product="limited", name="free", operations=["publish", "read"], approval="auto")
    stage.admin.create("subscriptions", application=stage.application, plan="limited.free", environment="dev")
    return stage


@contextmanager
def policy(stage, config, kind, ref):
    stage.admin.create("policies", name="of-topic", type="rate-limit", scope={"kind": kind, "ref": ref}, config=config)
    try:
        yield
    finally:
        stage.admin.delete("policies", "of-topic")


def produce_to(wire, stage, topic, values, version=9):
    tree = {"Acks": -1, "TimeoutMs": 25000,
            "TopicData": [{"Name": topic, "PartitionData": [{"Index": 0, "Records": record_batch(values)}]}]}
    answer = ask(wire, PRODUCE, tree, version)
    assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0
    return answer["ThrottleTimeMs"]


@pytest.mark.parametrize("config, scope", [
    ({"events_per_second": 10, "per": "event-api"}, ("virtual-cluster", "native")),
    ({"bytes_per_second": 1000, "per": "application"}, ("event-api", "limited.v1")),
    ({"events_per_second": 10, "per": "plan"}, ("event-api", "limited.v1")),
], ids=["for each event API", "of an event API", "of an event API, for each plan"])
def test_a_limit_of_an_event_api_counts_its_topic(definitions, offered, config, scope):
    """What is read of it too; other topics are not its."""
    stage = offered
    few, many = [b"x"] * 2, [b"x" * 100] * 100
    with closing(connect(definitions, stage)) as wire, closing(connect(definitions, stage)) as reader:
        with policy(stage, config, *scope):
            wait_until(lambda: produce_to(wire, stage, stage.topic, many) > 0, 60, "an answer with a throttle time")
            wait_until(lambda: fetch(reader, stage) > 0, 60, "a fetch with a throttle time")
            with closing(connect(definitions, stage)) as other:
                assert [produce_to(other, stage, stage.other_topic, few) for _ in range(3)] == [0] * 3
        wait_until(lambda: produce_to(wire, stage, stage.topic, many) == 0, 60, "the limit to be gone")


@pytest.mark.parametrize("scope", [("virtual-cluster", "native"), ("plan", "limited.free")], ids=["wide", "of the plan"])
def test_a_limit_for_each_plan_counts_all_that_its_sessions_do(definitions, offered, scope):
    stage = offered
    with closing(connect(definitions, stage)) as wire:
        with policy(stage, {"requests_per_second": 2, "per": "plan"}, *scope):
            wait_until(lambda: metadata(wire, stage) > 0, 60, "an answer with a throttle time")
        wait_until(lambda: metadata(wire, stage) == 0, 60, "the limit to be gone")
