"""What is in Kafka is what HTTP shows, and what HTTP sends is what is in Kafka: byte for byte, whatever it is. And what
is not a cursor of this event API is refused."""

import base64
import json
import time

import pytest
import requests

from sluice_support import SampleApi

RECORDS = [
    {"value": b'{"a": [1, 2.50, 1e400, "\\u00e9"]}', "key": b"plain"},
    {"value": b"not json", "key": b"\xff\x00\xfe"},
    {"value": b"\xff\xfe\x00binary\x00"},
    {"value": b"", "key": b""},
    {"value": None, "key": b"tombstone"},
    {"value": b"null", "key": b"json-null"},
    {"value": b'"caf\xc3\xa9\\n\\u0000"', "key": "ключ".encode()},
    {"value": b'{"a":1}{"b":2}'},
    {"value": b"  [true , false]\r\n"},
    {"value": b'{"deep":' + b"[" * 200 + b"]" * 200 + b"}"},
    {"value": b"1", "headers": [("a", b"1"), ("b", b"\xff"), ("a", b"2"), ("", b""), ("none", None)]},
    {"value": b"x" * 100_000},
]


def get(sample, **params):
    headers = {"X-API-Key": sample.key}
    return requests.get(sample.url, params=params, headers=headers, timeout=60)


def every(sample):
    """All events, by pages."""
    events, cursor, caught_up = [], None, False
    while not caught_up:
        page = get(sample, **({"cursor": cursor} if cursor else {"from": "earliest"}), limit=5).json()
        events += page["events"]
        cursor, caught_up = page["next"], page["caught_up"]
    return events


def check(event, record):
    """The event as docs/http-api.md says that this record looks."""
    value, key = record["value"], record.get("key")
    if value is None:
        assert event["tombstone"] is True and event["data"] is None
    elif "data" in event:
        assert "tombstone" not in event
        assert event["data"] == json.loads(value)
    else:
        assert base64.b64decode(event["data_base64"]) == value
        with pytest.raises(ValueError):
            shallow(value)
    if key is None:
        assert "key" not in event and "key_base64" not in event
    elif "key" in event:
        assert event["key"].encode() == key
    else:
        assert base64.b64decode(event["key_base64"]) == key
    for shown, (name, stored) in zip(event["headers"], record.get("headers", []), strict=True):
        assert shown["name"] == name
        if stored is None:
            assert shown["value"] is None
        else:
            assert shown.get("value", "").encode() == stored or base64.b64decode(shown["value_base64"]) == stored


def shallow(value):
    """JSON as the gateway counts it: at most 64 deep."""
    if value.count(b"[") > 64:
        raise ValueError("too deep")
    return json.loads(value)


@pytest.fixture(scope="module")
def stored(module_servers, kafka):
    """The records, written past the gateway to a topic of one partition."""
    topic = kafka.create_topic("fidelity")
    stored = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic)
    kafka.produce(topic, RECORDS)
    stored.start_gateway(module_servers)
    return stored


def test_pages_show_every_record_as_it_is(stored):
    events = every(stored)
    assert len(events) == len(RECORDS)
    for event, record in zip(events, RECORDS):
        check(event, record)


def test_streams_show_the_same(stored):
    with stored.stream(query="?from=earliest") as stream:
        for event, record in zip(stream.take(len(RECORDS)), RECORDS):
            check(event.json(), record)


def test_numbers_keep_their_digits(stored):
    """2.50 and 1e400 survive, which no parser in between would let them."""
    assert '{"a": [1, 2.50, 1e400, "\\u00e9"]}' in get(stored, **{"from": "earliest"}, limit=1, wait="20s").text


def test_what_is_published_is_stored_byte_for_byte(sample, kafka):
    bodies = [b' {"x" : 1.10}\n', b"null", b'"\xe2\x82\xac"', b"-0.0"]
    ids = [sample.publish(body).json()["id"] for body in bodies]
    raw = [b"", b"\x00\xff", b"text"]
    for body in raw:
        answer = sample.publish(body, headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
    values = [record.value() if record.value() is not None else None for record in kafka.consume_all(sample.topic)]
    for body in bodies + raw:
        assert body in values or (body == b"" and b"" in values)
    assert len(set(ids)) == len(ids)


# ---- cursors ----

@pytest.fixture(scope="module")
def other(module_servers, kafka, sample):
    """Another event API on the same listener."""
    other = SampleApi(sample.control, kafka.bootstrap_servers, kafka.create_topic("other"), prefix="b-",
                      group=sample.group, listener=(sample.listener, sample.port))
    other.gateway = sample.gateway
    other.wait_served()
    return other


def test_a_cursor_of_another_api_is_refused(sample, other):
    cursor = get(other, **{"from": "earliest"}).json()["next"]
    answer = get(sample, cursor=cursor)
    assert answer.status_code == 400 and answer.json()["type"].endswith("/invalid-cursor")
    answer = requests.get(sample.url, timeout=60, headers={"X-API-Key": sample.key, "Accept": "text/event-stream",
                                                           "Last-Event-ID": cursor})
    assert answer.status_code == 400


def test_forged_and_cut_cursors_are_refused(sample):
    cursor = get(sample, **{"from": "earliest"}).json()["next"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    bad = [cursor[:length] for length in range(len(cursor))]
    # The last character may carry bits that mean nothing; every other change must be noticed.
    for place in range(len(cursor) - 1):
        other_character = alphabet[(alphabet.index(cursor[place]) + 1) % 64]
        bad.append(cursor[:place] + other_character + cursor[place + 1:])
    bad += [cursor + "A", cursor + cursor, "A" * 9000, "%00", "é", cursor.lower() if cursor.lower() != cursor else "x"]
    session = requests.Session()
    for text in bad:
        if text == "":
            continue
        answer = session.get(sample.url, params={"cursor": text}, headers={"X-API-Key": sample.key}, timeout=60)
        assert answer.status_code == 400, (text, answer.text)
        assert answer.json()["type"].endswith("/invalid-cursor"), (text, answer.text)


def test_an_expired_cursor_tells_where_to_go_on(servers, kafka):
    """The records are older than what a gateway keeps in memory, so that Kafka is asked."""
    topic = kafka.create_topic("expiring")
    hour_ago = int((time.time() - 3600) * 1000)
    kafka.produce(topic, [{"value": json.dumps({"n": n}), "timestamp": hour_ago} for n in range(6)])
    expired = SampleApi(servers.control(), kafka.bootstrap_servers, topic)
    expired.start_gateway(servers)
    page = get(expired, **{"from": "earliest"}, limit=2, wait="20s").json()  # which a slow machine may need to find them
    assert [event["data"]["n"] for event in page["events"]] == [0, 1]
    expired.gateway.stop()  # what it has in memory it may go on serving
    kafka.delete_records(topic, {0: 4})
    expired.gateway.start()
    expired.wait_served()

    answer = get(expired, cursor=page["next"], wait="20s")
    assert answer.status_code == 410, answer.text
    problem = answer.json()
    assert problem["type"].endswith("/cursor-expired")
    assert [event["data"]["n"] for event in get(expired, cursor=problem["resume"], wait="20s").json()["events"]] == [4, 5]
    assert [event["data"]["n"] for event in get(expired, cursor=problem["earliest"], wait="20s").json()["events"]] == [4, 5]
    assert get(expired, cursor=problem["latest"]).json()["events"] == []
    with expired.stream(headers={"Last-Event-ID": page["next"]}) as stream:
        gap, fifth = stream.take(2)
        assert gap.event == "gap" and fifth.json()["data"] == {"n": 4}
