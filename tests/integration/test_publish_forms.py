"""Every way to publish, as real Kafka stores it: media types, CloudEvents modes, key rules, preferences."""

import json

import pytest
import requests

from sluice_support import SampleApi, free_port, wait_until

PARTITIONS = 5
ATTRIBUTES = {"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "/shop", "ce-type": "order.made"}
EVENT = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "order.made", "data": {"n": 1}}


@pytest.fixture(scope="module")
def place(module_servers, kafka):
    """One gateway; `api(prefix, **fields)` adds an event API with a topic of its own."""
    control = module_servers.control()
    first = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("forms", partitions=PARTITIONS))
    first.start_gateway(module_servers, publish_deadline="10s")

    def api(prefix, bootstrap=None, **fields):
        sample = SampleApi(control, bootstrap or kafka.bootstrap_servers,
                           kafka.create_topic(prefix.rstrip("-"), partitions=PARTITIONS), prefix=prefix,
                           group=first.group, listener=(first.listener, first.port), **fields)
        sample.gateway = first.gateway
        sample.wait_served()
        return sample

    api.first = first
    return api


def post(api, body, media_type=None, **fields):
    session = requests.Session()
    session.trust_env = False
    headers = {"X-API-Key": api.key, **({"Content-Type": media_type} if media_type else {}),
               **{name.replace("_", "-"): value for name, value in fields.items()}}
    return session.post(api.url, data=body, headers=headers, timeout=60)


def stored(kafka, api):
    """{id as HTTP says it: record}"""
    return {f"{record.partition()}-{record.offset()}": record for record in kafka.consume_all(api.topic)}


def headers_of(record):
    return dict(record.headers() or [])


def murmur2(key):
    """As org.apache.kafka.common.utils.Utils.murmur2 is defined; without the sign."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at:at + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = value * multiplier & mask ^ word
    if len(key) > whole:
        value = (value ^ int.from_bytes(key[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return (value ^ value >> 15) & 0x7FFFFFFF


def test_the_hash_of_this_test_is_javas():
    """From Kafka's own UtilsTest."""
    for text, expected in (("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)):
        assert murmur2(text.encode()) == expected & 0x7FFFFFFF


def test_cloudevents_in_three_modes(place, kafka):
    api = place("modes-", key={"source": "cloudevents"})
    structured = json.dumps({**EVENT, "partitionkey": "p-1"})
    one = post(api, structured, "application/cloudevents+json; charset=utf-8")
    binary = post(api, '{"n": 2}', "application/json", **ATTRIBUTES, **{"ce-subject": "t%C3%A4%20x", "ce-partitionkey": "p-1"})
    plain = post(api, b"\x00\xff", "application/x-protobuf", **ATTRIBUTES)
    nothing = post(api, b"", **ATTRIBUTES, **{"ce-partitionkey": "p-1"})
    batch = post(api, json.dumps([EVENT, {**EVENT, "id": "e-2", "partitionkey": "p-1"}]),
                 "application/cloudevents-batch+json")
    answers = [one, binary, plain, nothing, batch]
    assert [answer.status_code for answer in answers] == [201] * 5, [answer.text for answer in answers]
    records = stored(kafka, api)
    one, binary, plain, nothing = (records[answer.json()["id"]] for answer in answers[:4])

    assert one.value() == structured.encode() and one.key() == b"p-1"
    assert headers_of(one) == {"content-type": b"application/cloudevents+json"}
    assert binary.value() == b'{"n": 2}' and binary.key() == b"p-1"
    assert headers_of(binary) == {"ce_specversion": b"1.0", "ce_id": b"e-1", "ce_source": b"/shop",
                                  "ce_type": b"order.made", "ce_subject": "tä x".encode(), "ce_partitionkey": b"p-1",
                                  "content-type": b"application/json"}
    assert plain.value() == b"\x00\xff" and plain.key() is None
    assert headers_of(plain)["content-type"] == b"application/x-protobuf"
    assert nothing.value() is None
    first, second = (records[result["id"]] for result in batch.json()["results"])
    assert json.loads(first.value()) == EVENT and first.key() is None
    assert json.loads(second.value())["id"] == "e-2" and second.key() == b"p-1"
    assert len({record.partition() for record in (one, binary, nothing, second)}) == 1


@pytest.mark.parametrize("fields", [
    {"ce-id": ""}, {"ce-specversion": "0.3"}, {"ce-subject": "%zz"}, {"ce-subject": "%ff"}, {"ce-sub_ject": "x"}])
def test_what_is_no_cloudevent_is_refused(place, kafka, fields):
    before = sum(kafka.end_offsets(place.first.topic).values())
    answer = post(place.first, b"{}", "application/json", **{**ATTRIBUTES, **fields})
    assert answer.status_code == 422 and answer.json()["type"].endswith("/invalid-event"), answer.text
    assert sum(kafka.end_offsets(place.first.topic).values()) == before


def test_a_batch_of_cloudevents_names_the_bad_ones(place, kafka):
    before = sum(kafka.end_offsets(place.first.topic).values())
    answer = post(place.first, json.dumps([EVENT, {"id": "x"}, 7, EVENT]), "application/cloudevents-batch+json")
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [result.get("status") for result in results] == [None, 422, 422, None]
    assert sum(kafka.end_offsets(place.first.topic).values()) == before + 2


KEYS = ["21", "foobar", "a-little-bit-long-string", "ключ", "k", "true"]


@pytest.mark.parametrize("rule", ["json_pointer", "header"])
def test_keys_follow_the_rule_and_go_where_java_sends_them(place, kafka, rule):
    if rule == "json_pointer":
        api = place("pointer-", key={"source": "json_pointer", "pointer": "/a~1b/0"})
        answers = [post(api, json.dumps({"a/b": [key]}), "application/json") for key in KEYS]
        missing = post(api, b'{"a/b": []}', "application/json")
    else:
        api = place("header-", key={"source": "header", "header": "X-Order"})
        answers = [post(api, b"{}", "application/json", X_Order=key.encode()) for key in KEYS]
        missing = post(api, b"{}", "application/json")
    assert missing.status_code == 422 and missing.json()["type"].endswith("/invalid-key")
    records = stored(kafka, api)
    assert len(records) == len(KEYS)
    for key, answer in zip(KEYS, answers):
        record = records[answer.json()["id"]]
        assert record.key() == key.encode()
        assert record.partition() == murmur2(key.encode()) % PARTITIONS


def test_respond_async_is_answered_at_once_and_stored_all_the_same(place, kafka):
    api = place("async-")
    answer = post(api, b"1", "application/json", Prefer="wait=5, respond-async")
    assert answer.status_code == 202 and answer.json() == {"accepted": 1}
    assert answer.headers["Preference-Applied"] == "respond-async"
    lines = post(api, b"2\n3\nbad\n", "application/x-ndjson", Prefer="respond-async")
    assert lines.status_code == 202 and lines.json()["accepted"] == 2
    assert [(item["index"], item["status"]) for item in lines.json()["refused"]] == [(2, 400)]
    waits = post(api, b"4", "application/json", Prefer="respond-asynchronously")
    assert waits.status_code == 201
    wait_until(lambda: sorted(record.value() for record in kafka.consume_all(api.topic)) == [b"1", b"2", b"3", b"4"],
               what="what was accepted to be stored")


def test_an_idempotency_key_is_stored_with_each_event(place, kafka):
    api = place("key-")
    answer = post(api, b"1\n2\n", "application/x-ndjson", **{"Idempotency-Key": "order-17"})
    assert answer.status_code == 201
    records = kafka.consume_all(api.topic)
    assert [headers_of(record) for record in records] == [{"idempotency-key": b"order-17"}] * 2
    shown = wait_until(lambda: len(events := api.page("?from=earliest")["events"]) == 2 and events, what="both events")
    assert all(event["headers"] == [{"name": "idempotency-key", "value": "order-17"}] for event in shown)


def test_one_backend_that_is_away_harms_no_other(place):
    away = place("away-", bootstrap=f"127.0.0.1:{free_port()}")
    answer = post(away, b"1", "application/json")
    assert answer.status_code == 503 and answer.json()["type"].endswith("/not-persisted"), answer.text
    assert int(answer.headers["Retry-After"]) > 0
    for _ in range(3):
        assert post(place.first, b"1", "application/json").status_code == 201

    def told():
        health = requests.get(place.first.gateway.observe_url + "/health/backends", timeout=30).json()["backends"]
        return health[place.first.backend]["up"] and not health[away.backend]["up"]

    wait_until(told, what="health to tell the two apart")
    assert place.first.gateway.ready()
