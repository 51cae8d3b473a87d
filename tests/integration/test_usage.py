"""What applications use is counted once, whatever becomes of gateways and control planes meanwhile, and shown to those
whom it concerns."""

import csv
import io
import json
import os
import uuid

import pytest
from confluent_kafka import Producer

from sluice_support import KafkaHelper, NativeCluster, SampleApi, wait_until

NUMBERS = ("requests", "events", "bytes", "errors", "throttled")


class Usage:
    """Sums of GET /v1/usage."""

    def __init__(self, admin):
        self.admin = admin

    def rows(self, **query):
        return self.admin.list("usage", **{"by": "hour", **query})

    def total(self, number="events", **query):
        return sum(row[number] for row in self.rows(**query))

    def wait(self, wanted, number="events", **query):
        """Until it is so much, and no more than that."""
        try:
            wait_until(lambda: self.total(number, **query) >= wanted, 60, f"{wanted} {number} of {query}")
        except AssertionError:
            raise AssertionError(f"not {wanted} {number}: {self.rows(**query)}") from None
        assert self.total(number, **query) == wanted


@pytest.fixture(scope="module")
def stage(module_servers, kafka):
    stage = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("used", partitions=2))
    stage.start_gateway(module_servers, usage_interval="100ms", usage_retry="500ms", usage_flush="30s",
                        config_reconnect_max="300ms")
    stage.usage = Usage(stage.admin)
    stage.native = NativeCluster(stage, "native", authentication=["plain"])
    stage.servers = module_servers
    return stage


def api_on(stage, kafka, name, partitions=1, cluster=None, topic=None):
    """An event API of its own, that the sample's application subscribes to."""
    topic = topic or kafka.create_topic(name, partitions=partitions)
    api = f"{name}.v1"
    stage.admin.create("event-apis", name=name, major=1, team=stage.team, operations=["publish", "read"],
                       exposures=["rest", "sse"], lifecycle="published")
    stage.admin.create("deployments", event_api=api, gateway_group=stage.group,
                       virtual_cluster=cluster or stage.virtual_cluster, topic=topic, listener=stage.listener)
    stage.admin.create("products", name=name, team=stage.team, visibility="public", lifecycle="published",
                       event_apis=[api])
    stage.admin.create("plans", product=name, name="free", operations=["publish", "read"], approval="auto")
    stage.admin.create("subscriptions", application=stage.application, plan=f"{name}.free", environment="dev")
    return api, topic


def settle(stage, kind, key):
    """The gateway runs on a configuration that has this as it is."""
    revision = stage.admin.get(kind, key)["revision"]
    wait_until(lambda: stage.gateway.metrics()["sluice_config_applied_version"] >= revision, 60, f"{key} to be served")


def through(stage, cluster=None):
    helper = KafkaHelper((cluster or stage.native).bootstrap_servers,
                         {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                          "sasl.username": stage.credential["id"], "sasl.password": stage.credential["secret"]})
    wait_until(lambda: helper.admin.list_topics(timeout=3), 60, "the native listener")
    return helper


def test_publishing_reading_and_streaming_are_told_apart(stage):
    usage, api = stage.usage, stage.event_api
    with stage.stream() as stream:
        for n in range(3):
            assert stage.publish({"n": n}).status_code == 201
        lines = b"".join(json.dumps({"n": n}).encode() + b"\n" for n in range(4))
        assert stage.publish(lines, headers={"Content-Type": "application/x-ndjson"}).status_code == 201
        stream.take(7)
        # An open stream counts as it goes.
        usage.wait(7, operation="stream", event_api=api)
        assert len(stage.page("?from=earliest&limit=5")["events"]) == 5
        usage.wait(5, operation="read", event_api=api)
        usage.wait(7, operation="publish", event_api=api)
    assert stage.publish({"n": 1}, key="slk_none_none").status_code == 401
    usage.wait(1, "errors", operation="publish", event_api=api)
    # By month: an hour may end at any time.
    (denied,) = [row for row in usage.rows(by="month", operation="publish", event_api=api) if row["errors"]]
    assert "application" not in denied
    (published,) = usage.rows(by="month", operation="publish", event_api=api, application=stage.application)
    assert published["application"] == stage.application and published["event_api"] == api
    assert published["requests"] == 4 and published["bytes"] > len(lines)


def test_days_and_months_are_the_sums_of_hours(stage):
    before = stage.usage.total(operation="publish")
    assert stage.publish({"n": 1}).status_code == 201
    stage.usage.wait(before + 1, operation="publish")

    def sums(by):
        rows = stage.usage.rows(by=by)
        return [sum(row[number] for row in rows) for number in NUMBERS]

    # What comes in between two questions makes a difference that does not last.
    wait_until(lambda: sums("hour") == sums("day") == sums("month"), what="hours, days and months to agree")
    (at,) = {row["at"] for row in stage.usage.rows(by="month")}
    assert at.endswith("-01T00:00:00.000Z")


@pytest.mark.parametrize("codec", ["none", "lz4", "zstd"])
def test_native_records_count_by_the_headers_of_their_batches(stage, kafka, codec):
    name = f"native-{codec}"
    api, topic = api_on(stage, kafka, name, partitions=3, cluster="native")
    helper = through(stage)
    settle(stage, "deployments", f"{api}@{stage.group}")
    values = [os.urandom(200) for _ in range(500)] + [os.urandom(300_000) for _ in range(6)]
    helper.produce(topic, values, **{"compression.type": codec, "linger.ms": 20, "message.max.bytes": 2_000_000})
    assert sorted(record.value() for record in helper.consume_all(topic)) == sorted(values)
    usage = stage.usage
    usage.wait(len(values), operation="kafka-produce", event_api=api, application=stage.application)
    wait_until(lambda: usage.total(operation="kafka-fetch", event_api=api) >= len(values), what="all that was read")
    assert usage.total("bytes", operation="kafka-produce", event_api=api) > 1_800_000
    assert usage.total("bytes", operation="kafka-fetch", event_api=api) > 1_800_000
    (row,) = usage.rows(by="month", operation="kafka-produce", event_api=api)
    assert row["virtual_cluster"] == "native"


def test_a_namespace_hides_nothing_from_the_count(stage, kafka):
    prefix = f"{uuid.uuid4().hex[:8]}."
    hidden = NativeCluster(stage, "hidden", authentication=["plain"], namespace={"mode": "hide", "prefix": prefix})
    api, _ = api_on(stage, kafka, "hidden-mine", cluster="hidden", topic="mine")
    settle(stage, "deployments", f"{api}@{stage.group}")
    helper = through(stage, hidden)
    topics = [helper.create_topic("mine", exact=True), helper.create_topic("other", exact=True)]
    producer = Producer({**helper.config, "linger.ms": 50})
    for n in range(40):  # both in one request, which makes it one that is held whole
        producer.produce(topics[n % 2], b"x" * (100 + 40_000 * (n % 5 == 0)))
    assert producer.flush(60) == 0
    stage.usage.wait(40, operation="kafka-produce", virtual_cluster="hidden")
    stage.usage.wait(20, operation="kafka-produce", event_api=api)


def test_nothing_is_lost_or_counted_twice_when_either_side_starts_anew(stage, kafka):
    usage, api, published = stage.usage, stage.event_api, stage.usage.total(operation="publish",
                                                                            event_api=stage.event_api)

    def publish(count):
        nonlocal published
        for _ in range(count):
            assert stage.publish({"n": published}).status_code == 201
            published += 1

    publish(10)
    stage.control.kill()
    publish(10)  # while nobody listens
    stage.control.start()
    publish(5)
    usage.wait(published, operation="publish", event_api=api)
    publish(10)
    stage.gateway.stop()  # tells the rest before it ends
    usage.wait(published, operation="publish", event_api=api)
    stage.gateway.start()
    stage.wait_served()
    publish(5)
    stage.control.stop()
    publish(5)
    stage.control.start()
    usage.wait(published, operation="publish", event_api=api)


def test_only_those_see_it_whom_it_concerns(stage):
    admin = stage.admin

    def reader(name, team, *roles):
        admin.create("users", name=name, teams=[team], roles=list(roles))
        token = admin.create("api-tokens", name=name, owner=name, scopes=["*"])["token"]
        return Usage(admin.with_token(token))

    admin.create("teams", name="users")
    admin.create("teams", name="strangers")
    admin.create("applications", name="theirs", team="users")
    key = stage.new_credential("theirs")["api_key"]
    admin.create("subscriptions", application="theirs", plan=stage.plan, environment="dev")
    wait_until(lambda: stage.publish({"n": 1}, key=key).status_code == 201, what="the subscription to be known")
    stage.usage.wait(1, application="theirs")
    owner = reader("olga", stage.team, "api-owner")
    user = reader("uwe", "users", "developer")
    stranger = reader("sten", "strangers", "viewer", "developer")
    assert {row["application"] for row in user.rows()} == {"theirs"}
    assert [row for row in owner.rows() if row.get("application") == "theirs"]
    assert stranger.rows() == [] and stranger.rows(application="theirs") == []
    wait_until(lambda: owner.rows() == stage.usage.rows(), what="no difference: all that was used is theirs")


def test_pages_and_csv_hold_the_same(stage):
    def same():
        """Three questions, between which the last of what was used may come in."""
        rows, single = stage.usage.rows(), stage.usage.rows(limit=1)
        answer = stage.admin.request("GET", "/v1/usage?by=hour&format=csv", expect=200)
        assert answer.headers["Content-Type"].startswith("text/csv")
        table = list(csv.DictReader(io.StringIO(answer.text)))
        return len(rows) > 3 and single == rows and len(table) == len(rows) and all(
            [int(row[number]) for row in table] == [row[number] for row in rows] for number in NUMBERS)

    wait_until(same, what="the same in pages and as CSV")
    later = stage.admin.request("GET", "/v1/usage?from=2999-01-01T00:00:00Z", expect=200).json()
    assert later == {"items": [], "next": None}


@pytest.mark.parametrize("query, parameter", [
    ("by=week", "by"), ("from=yesterday", "from"), ("cursor=!", "cursor"), ("cursor=MSAx", "cursor"),
    ("operation=write", "operation"), ("application=none", "application"), ("format=xml", "format"),
    ("applicaton=demo", "applicaton"), ("limit=0", "limit")])
def test_a_question_that_makes_no_sense_is_refused(stage, query, parameter):
    problem = stage.admin.request("GET", f"/v1/usage?{query}", expect=400).json()
    assert parameter in json.dumps(problem)
