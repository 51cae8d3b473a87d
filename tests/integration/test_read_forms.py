"""Every way to read, from real Kafka: where to start, how much, how long to wait, and what a stream says meanwhile."""

import json
import threading
import time
from datetime import datetime, timezone

import pytest
import requests

from sluice_support import SampleApi, wait_until

HOUR_AGO_MS = int(time.time() * 1000) - 3_600_000


@pytest.fixture(scope="module")
def old(module_servers, kafka):
    """Ten events, a minute apart, an hour ago, over two partitions; heartbeats come often."""
    topic = kafka.create_topic("reads", partitions=2)
    kafka.produce(topic, [{"value": json.dumps({"n": n}), "partition": n % 2, "timestamp": HOUR_AGO_MS + n * 60_000}
                          for n in range(10)])
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic)
    sample.start_gateway(module_servers, stream_heartbeat="300ms", page_max_wait="20s")
    return sample


def get(api, accept=None, method="get", target=None, **query):
    session = requests.Session()
    session.trust_env = False
    headers = {"X-API-Key": api.key, **({"Accept": accept} if accept else {})}
    return session.request(method, target or api.url, params=query, headers=headers, timeout=40)


def events_of(api, target=None, **query):
    """All up to the end. A page need not have them: it says whether there is more, and waits for Kafka a few seconds only."""
    page = get(api, target=target, **query).json()
    events = page["events"]
    while not page["caught_up"]:
        page = get(api, cursor=page["next"]).json()
        events += page["events"]
    return events


def page_of(api, count):
    """One with so many events."""
    return wait_until(lambda: len((page := get(api, limit=count).json())["events"]) == count and page, 60, "a full page")


def numbers(events):
    return sorted(event["data"]["n"] for event in events)


def when(n, offset_ms=0):
    stamp = datetime.fromtimestamp((HOUR_AGO_MS + n * 60_000 + offset_ms) / 1000, timezone.utc)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def test_from_a_time(old):
    """The events of that time or later, in each partition."""
    assert numbers(events_of(old, **{"from": when(4)})) == list(range(4, 10))
    assert numbers(events_of(old, **{"from": when(4, 1)})) == list(range(5, 10))
    assert numbers(events_of(old, **{"from": when(0, -86_400_000)})) == list(range(10))
    assert events_of(old, **{"from": when(9, 1)}) == []
    with old.stream(query=f"?from={when(7)}") as stream:
        assert numbers(event.json() for event in stream.take(3)) == [7, 8, 9]
    # With an offset, whose "+" means a space in a query.
    local = when(4).replace("Z", "+00:00")
    assert numbers(events_of(old, target=f"{old.url}?from={local}")) == list(range(4, 10))


def test_the_limit_is_kept_and_pages_go_on(old):
    page = page_of(old, 3)
    assert not page["caught_up"]
    seen = page["events"]
    while not page["caught_up"]:
        page = get(old, limit=3, cursor=page["next"]).json()
        assert len(page["events"]) <= 3
        seen += page["events"]
    assert numbers(seen) == list(range(10))
    assert len({event["id"] for event in seen}) == 10


def test_last_event_id_beats_cursor_beats_from(old):
    two, six = (page_of(old, n)["next"] for n in (2, 6))
    with old.stream(headers={"Last-Event-ID": six}, query=f"?cursor={two}&from=earliest") as stream:
        assert len(numbers(event.json() for event in stream.take(4))) == 4
    with old.stream(query=f"?cursor={six}&from=earliest") as stream:
        assert len(numbers(event.json() for event in stream.take(4))) == 4
    assert len(events_of(old, cursor=six, **{"from": "earliest"})) == 4
    # A cursor that is no cursor is not passed over for the next best.
    assert get(old, cursor="x", **{"from": "earliest"}).status_code == 400


@pytest.mark.parametrize("query, name", [
    ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=1e3", "limit"), ("wait=soon", "wait"), ("wait=-1", "wait"),
    ("from=yesterday", "from"), ("from=", "from"), ("cursor", ""), ("limit=5&&wait=1", "")])
def test_a_parameter_that_is_wrong_is_named(old, query, name):
    """A malformed query would hide its cursor, and everything would be read again."""
    answer = get(old, target=f"{old.url}?{query}")
    problem = answer.json()
    assert answer.status_code == 400 and problem["type"].endswith("/invalid-parameter"), answer.text
    assert problem["errors"][0]["parameter"] == name


def test_accept_chooses(old):
    assert get(old).headers["Content-Type"] == "application/json"
    assert get(old, accept="text/html, */*;q=0.8").headers["Content-Type"] == "application/json"
    assert get(old, accept="application/json, text/event-stream;q=0.5").headers["Content-Type"] == "application/json"
    assert get(old, accept="text/event-stream;q=0").status_code == 406
    assert get(old, accept="text/html").status_code == 406
    head = get(old, accept="text/event-stream", method="head")
    assert head.status_code == 200 and head.headers["Content-Type"].startswith("text/event-stream")
    head = get(old, method="head")
    assert head.status_code == 200 and head.content == b""


def test_a_page_waits_for_a_first_event_and_no_longer(old):
    page = get(old, **{"from": "latest"}).json()
    assert page["events"] == []
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(get(old, cursor=page["next"], wait="20s").json()))
    waiting.start()
    meanwhile = old.gateway.metrics()
    assert waiting.is_alive()
    stored = old.publish({"n": 100})
    waiting.join(60)
    assert [event["id"] for event in answers[0]["events"]] == [stored.json()["id"]]
    assert meanwhile  # others were answered

    def at_end():
        page = get(old, cursor=answers[0]["next"], wait="100ms").json()
        assert page["events"] == [] and page["next"]
        return page["caught_up"]

    wait_until(at_end, what="the end to be told")


def test_an_idle_stream_says_that_it_lives_and_where_it_is(old):
    with old.stream(query="?from=latest") as stream:
        wait_until(lambda: stream.comments.count("") >= 3, what="heartbeats")
        assert stream.retry_ms and 1000 < stream.retry_ms < 10_000
        assert stream.headers["Cache-Control"] == "no-store" and stream.headers["X-Accel-Buffering"] == "no"
        place = stream.last_id
        assert place
    missed = old.publish({"n": 200}).json()["id"]
    with old.stream(headers={"Last-Event-ID": place}) as stream:
        assert stream.take(1)[0].json()["id"] == missed


def test_a_gateway_that_stops_leaves_its_readers_where_they_are(old):
    with old.stream() as stream:
        seen = [old.publish({"n": n}).json()["id"] for n in (301, 302)]
        assert {event.json()["id"] for event in stream.find(2, lambda event: event.json()["id"] in seen)} == set(seen)
        old.gateway.stop()
        rest = stream.wait_end()
        assert [event for event in rest if event.event != "message"] == []
        place = stream.last_id
    old.gateway.start()
    old.wait_served()
    later = old.publish({"n": 303}).json()["id"]
    with old.stream(headers={"Last-Event-ID": place}) as stream:
        assert stream.take(1)[0].json()["id"] == later


def test_thousands_of_readers_cost_one_fetch(old, kafka):
    """What the feed fetched grows by what was published, whoever reads it."""
    fetched = f'sluice_feed_fetched_records_total{{backend="{old.backend}",topic="{old.topic}"}}'
    streams = [old.stream() for _ in range(40)]
    try:
        # What was published before has come to everybody it may come to, once these have, one of each partition.
        kafka.produce(old.topic, [{"value": json.dumps({"n": 390}), "partition": partition} for partition in range(2)])
        for stream in streams:
            stream.find(2, lambda event: event.json()["data"]["n"] == 390)
        before = old.gateway.metrics()[fetched]
        ids = sorted(old.publish({"n": n}).json()["id"] for n in range(400, 410))
        for stream in streams:
            assert sorted(event.json()["id"] for event in stream.take(10)) == ids
        assert old.gateway.metrics()[fetched] - before == 10
    finally:
        for stream in streams:
            stream.close()
