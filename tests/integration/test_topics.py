"""Topics that change under their readers and writers: deleted and made anew, widened, compacted, written by
transactions, limited."""

import json
import re

import pytest
import requests
from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic

from sluice_support import SampleApi, wait_until


@pytest.fixture(scope="module")
def place(module_servers, kafka):
    """One gateway that looks at topics often; `api(prefix, topic)` adds an event API to it."""
    control = module_servers.control()
    first = SampleApi(control, kafka.bootstrap_servers, kafka.create_topic("topics", partitions=1))
    first.start_gateway(module_servers, kafka_metadata_refresh="500ms", publish_deadline="50s")

    def api(prefix, topic, **fields):
        sample = SampleApi(control, kafka.bootstrap_servers, topic, prefix=prefix, group=first.group,
                           listener=(first.listener, first.port), **fields)
        sample.gateway = first.gateway
        sample.wait_served()
        return sample

    api.gateway = first.gateway
    return api


def get(api, **query):
    session = requests.Session()
    session.trust_env = False
    return session.get(api.url, params=query, headers={"X-API-Key": api.key}, timeout=40)


def read_all(api, **query):
    """Every event up to the end, by pages."""
    events, page = [], get(api, **query).json()
    while True:
        events += page["events"]
        if page["caught_up"] and not page["events"]:
            return events, page
        page = get(api, cursor=page["next"], wait="1").json()


def read_at_least(api, count, **query):
    """The same, once so many are there: a gateway learns of what others published a little later."""
    return wait_until(lambda: len((found := read_all(api, **query))[0]) >= count and found, 60, f"{count} events")


def recreate(kafka, topic, partitions):
    """Deletes it, and makes it again as soon as the name is free."""
    kafka.delete_topic(topic)
    make(kafka, topic, partitions)


def make(kafka, topic, partitions):
    def made():
        kafka.admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])[topic].result(60)
        return True

    wait_until(made, 60, "the topic's name to be free")
    kafka._wait_leaders(topic, partitions)


def test_a_topic_made_anew_is_told_and_read_from_its_beginning(place, kafka):
    topic = kafka.create_topic("anew", partitions=2)
    api = place("anew-", topic)
    kafka.produce(topic, [{"value": b"%d" % n, "partition": n % 2} for n in range(20)])
    events, page = read_at_least(api, 20)
    assert len(events) == 20

    with api.stream(query="?from=earliest") as stream:
        assert len(stream.take(20)) == 20
        recreate(kafka, topic, 2)
        # More than before, at once: the offsets alone would look like a continuation.
        kafka.produce(topic, [{"value": b"%d" % n, "partition": n % 2} for n in range(100, 160)])
        seen, gaps = [], []
        while len(gaps) < 1 or len(seen) < 60:
            event = stream.next(timeout=60)
            if event.event == "gap":
                gaps.append(json.loads(event.data))
                seen = []
            elif event.event == "message":
                seen.append(json.loads(event.data)["data"])
        assert gaps == [{"reason": "recreated"}]
        assert sorted(seen) == list(range(100, 160))
        new_id = stream.last_id

    def ended():
        answer = get(api, cursor=page["next"])
        return [answer] if answer.status_code == 410 else None

    [problem] = wait_until(ended, 60, "the cursor to end")
    assert problem.json()["type"].endswith("/stream-recreated")
    assert len(read_at_least(api, 60, cursor=problem.json()["resume"])[0]) == 60

    with api.stream(headers={"Last-Event-ID": page["next"]}) as stream:
        [first] = stream.take(1)
        assert (first.event, json.loads(first.data)) == ("gap", {"reason": "recreated"})
        assert sorted(json.loads(event.data)["data"] for event in stream.take(60)) == list(range(100, 160))
    with api.stream(headers={"Last-Event-ID": new_id}) as stream:
        answer = api.publish({"after": "all"})
        assert answer.status_code == 201, answer.text
        assert stream.take(1)[0].json()["data"] == {"after": "all"}


def test_while_the_topic_is_missing_pages_are_502_and_streams_stay(place, kafka):
    topic = kafka.create_topic("missing", partitions=1)
    api = place("missing-", topic)
    with api.stream() as stream:
        kafka.delete_topic(topic)
        [event] = stream.take(1)
        assert event.event == "error" and json.loads(event.data)["type"].endswith("/topic-missing")
        wait_until(lambda: get(api).status_code == 502, 60, "pages to be refused")
        health = place.gateway.observe_url + "/health/backends"
        wait_until(lambda: topic in requests.get(health, timeout=30).text, 60, "the topic in health")
        make(kafka, topic, 1)
        kafka.produce(topic, [b"7"])
        assert stream.take(1)[0].event == "gap"
        assert stream.take(1)[0].json()["data"] == 7


def test_partitions_that_are_added_appear_to_open_readers(place, kafka):
    topic = kafka.create_topic("wider", partitions=1)
    api = place("wider-", topic)
    kafka.produce(topic, [b"1"])
    page = get(api, wait="20").json()
    assert len(page["events"]) == 1
    with api.stream() as stream:
        kafka.admin.create_partitions([NewPartitions(topic, 4)])[topic].result(60)
        kafka._wait_leaders(topic, 4)
        kafka.produce(topic, [{"value": b"%d" % n, "partition": n} for n in range(4)])
        assert sorted(json.loads(event.data)["data"] for event in stream.take(4)) == [0, 1, 2, 3]
    events, _ = read_at_least(api, 4, cursor=page["next"])
    assert sorted(event["data"] for event in events) == [0, 1, 2, 3]


def transaction(kafka, topic, values, commit):
    producer = Producer({**kafka.config, "transactional.id": f"tx-{topic}-{commit}", "linger.ms": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    producer.flush(60)
    if commit:
        producer.commit_transaction(60)
    else:
        producer.abort_transaction(60)


def test_transactions_make_no_gaps_and_hide_no_end(place, kafka):
    topic = kafka.create_topic("tx", partitions=1)
    api = place("tx-", topic)
    with api.stream() as stream:
        kafka.produce(topic, [b"1"])
        transaction(kafka, topic, [b"2", b"3"], commit=False)
        transaction(kafka, topic, [b"4", b"5"], commit=True)
        transaction(kafka, topic, [b"6"], commit=False)
        events, page = read_at_least(api, 3)
        assert [event["data"] for event in events] == [1, 4, 5]
        assert page["caught_up"]
        assert [json.loads(event.data)["data"] for event in stream.take(3)] == [1, 4, 5]
        kafka.produce(topic, [b"7"])
        [event] = stream.take(1)
        assert (event.event, json.loads(event.data)["data"]) == ("message", 7)
    # An open transaction holds the end back; what is before it can be read.
    producer = Producer({**kafka.config, "transactional.id": f"tx-{topic}-open", "linger.ms": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, b"8")
    producer.flush(60)
    events, page = read_at_least(api, 1, cursor=page["next"])
    assert [event["data"] for event in events] == [7] and page["caught_up"]
    producer.commit_transaction(60)
    wait_until(lambda: [event["data"] for event in read_all(api, cursor=page["next"])[0]] == [8], 60, "the commit")


def test_holes_of_compaction_are_no_gaps(place, kafka):
    topic = kafka.create_topic("compact", partitions=1, config={
        "cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "100", "max.compaction.lag.ms": "100"})
    api = place("compact-", topic, key={"source": "json_pointer", "pointer": "/k"})
    first = api.publish({"k": "a", "n": 0})
    assert first.status_code == 201, first.text
    page = get(api, wait="20").json()
    assert len(page["events"]) == 1
    cursor = page["next"]

    def write(n):
        for key in ("a", "b"):
            assert api.publish({"k": key, "n": n}).status_code == 201

    def compacted():
        write(compacted.n)
        compacted.n += 1
        return len(kafka.consume_all(topic)) < sum(kafka.end_offsets(topic).values()) - 3

    compacted.n = 1
    wait_until(compacted, 60, "the log to be compacted")
    # Whoever starts anew finds the holes; there may be more and more of them, up to the last record, which stays.
    place.gateway.stop()
    place.gateway.start()
    api.wait_served()
    last = kafka.consume_all(topic)[-1]
    with api.stream(query=f"?cursor={cursor}") as stream:
        events = stream.take(1)
        while events[-1].event == "message" and events[-1].json()["id"] != f"0-{last.offset()}":
            events += stream.take(1)
        assert {event.event for event in events} == {"message"}
        assert len(events) < last.offset(), "the holes"
    assert [event["data"] for event in read_all(api)[0]][-1] == json.loads(last.value())


def test_one_event_that_is_too_large_fails_alone(place, kafka):
    topic = kafka.create_topic("limit", partitions=1, config={"max.message.bytes": "20000"})
    api = place("limit-", topic)
    lines = [json.dumps({"n": n, "x": "x" * (25000 if n == 41 else 900)}) for n in range(100)]
    for known in (False, True):  # the first publish is made before the limit can be known
        answer = api.publish("\n".join(lines).encode(), headers={"Content-Type": "application/x-ndjson"})
        assert answer.status_code == 207, answer.text
        results = answer.json()["results"]
        assert [n for n, result in enumerate(results) if "id" not in result] == [41]
        assert results[41]["status"] == 413 and results[41]["type"].endswith("/event-too-large")
    assert len(kafka.consume_all(topic)) == 198

    # To the byte: the largest that Kafka stores, and one more.
    def size(bytes_):
        return api.publish(json.dumps("x" * (bytes_ - 2)).encode()).status_code

    largest = 20000 - 61 - 3 - 3 - 1 - 3 - 1
    assert [size(largest), size(largest + 1)] == [201, 413]

    entry = ConfigEntry("max.message.bytes", "200000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    kafka.admin.incremental_alter_configs([resource])[resource].result(60)
    wait_until(lambda: size(largest + 1) == 201, 60, "the new limit to be known")


def test_a_keyless_event_for_a_compacted_topic_is_the_callers_fault(place, kafka):
    topic = kafka.create_topic("keys", partitions=1, config={"cleanup.policy": "compact"})
    api = place("keys-", topic)
    answer = api.publish({"n": 1})
    assert answer.status_code == 422, answer.text
    wait_until(lambda: api.publish({"n": 1}).json()["type"].endswith("/invalid-key"), 60, "the rule to be known")


def test_answers_name_no_topics(place, kafka):
    topic = kafka.create_topic("secretname", partitions=1)
    api = place("secretname-", topic)
    cursor = wait_until(lambda: get(api, wait="1").json()["next"], 60, "a cursor")
    recreate(kafka, topic, 1)
    kafka.produce(topic, [b"1"])
    wait_until(lambda: get(api, cursor=cursor).status_code == 410, 60, "the topic's id to be noticed")
    assert not re.search(topic, get(api, cursor=cursor).text)
