"""Policies on records: what filters, masks and dead letters do is the same on REST, SSE and native Kafka."""

import json
import uuid
from contextlib import closing, contextmanager

import pytest
import requests
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from kafka.record.util import calc_crc32c as crc32c

from sluice_support import Definitions, KafkaHelper, SampleApi, SseReader, Wire, free_ports, record_batch, wait_until


class Reader:
    """An application with its own credential, on every protocol."""

    def __init__(self, shop, name, credential, key):
        self.shop, self.name, self.key = shop, name, key
        self.native = KafkaHelper(shop.native_address, {
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": credential["id"],
            "sasl.password": credential["secret"]})

    def request(self, method, query="", **kwargs):
        session = requests.Session()
        session.trust_env = False
        headers = {"X-API-Key": self.key, "Accept": "application/json", **kwargs.pop("headers", {})}
        return session.request(method, self.shop.url + query, headers=headers, timeout=40, **kwargs)

    def pages(self, cursor, count):
        """Every event behind the cursor, page by page, until there are so many and the end is reached. A gateway learns
        of what others published a little later."""
        events = []
        while True:
            page = self.request("GET", f"?cursor={cursor}&limit=3" + ("&wait=10s" if len(events) < count else "")).json()
            events += [event for event in page["events"] if self.is_new(event)]
            cursor = page["next"]
            if page["caught_up"] and len(events) >= count:
                return events

    def streamed(self, cursor, count):
        with SseReader(self.shop.url + f"?cursor={cursor}", {"X-API-Key": self.key}) as stream:
            return [event.json() for event in stream.find(count, lambda event: self.is_new(event.json()))]

    def is_new(self, event):
        """Was it stored since here()? What was just before may come behind its cursor: the gateway learns of it later."""
        partition, offset = map(int, event["id"].split("-"))
        return offset >= self.shop.starts[partition]

    def consumer(self, **config):
        return Consumer({**self.native.config, "group.id": f"{self.name}.{uuid.uuid4().hex}",
                         "enable.auto.commit": False, "enable.partition.eof": True, **config})

    def consumed(self, start, partition=0):
        """(offset, value) of what a native client sees from an offset to the end."""
        consumer = self.consumer()
        consumer.assign([TopicPartition(self.shop.topic, partition, start)])
        try:
            return [(record.offset(), record.value()) for record in until_end(consumer)]
        finally:
            consumer.close()


def until_end(consumer):
    while True:
        record = consumer.poll(60)
        assert record is not None, "nothing came for 60 s"
        if record.error() is None:
            yield record
        elif record.error().code() == KafkaError._PARTITION_EOF:
            return
        else:
            raise KafkaException(record.error())


@pytest.fixture(scope="module")
def shop(module_servers, kafka):
    """The sample event API on every protocol, and two applications that read it: `demo` and `other`."""
    topic = kafka.create_topic("views", partitions=2)
    shop = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic, exposures=["rest", "sse", "kafka"])
    shop.start_gateway(module_servers)
    port = free_ports(5)
    shop.native_address = f"127.0.0.1:{port}"
    shop.broker = f"127.0.0.1:{port + 2}"  # node 1
    shop.admin.patch("virtual-clusters", shop.virtual_cluster, client_authentication=["plain"])
    shop.admin.create("listeners", name="kafka", gateway_group=shop.group, protocol="kafka", address=f"127.0.0.1:{port}",
                      kafka={"routing": "ports", "virtual_cluster": shop.virtual_cluster,
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})
    shop.admin.create("applications", name="other", team=shop.team)
    credential = shop.new_credential("other")
    shop.admin.create("subscriptions", application="other", plan=shop.plan, environment="dev")
    shop.demo = Reader(shop, shop.application, shop.credential, shop.key)
    shop.other = Reader(shop, "other", credential, credential["api_key"])
    for reader in (shop.demo, shop.other):
        wait_until(lambda: topic in reader.native.admin.list_topics(timeout=3).topics, 60, "the listener")
        wait_until(lambda: reader.request("HEAD").status_code == 200, 60, "the subscription")
    return shop


@contextmanager
def policies(shop, *listed):
    """Each is (type, config) or (type, config, fields). All have arrived when the block begins, and left behind it."""
    probe = f"X-Probe-{uuid.uuid4().hex[:8]}"
    rule = {"in": "response", "action": "set", "name": probe, "value": "yes"}
    names = []
    try:
        for kind, config, *fields in [*listed, ("headers", {"rules": [rule]})]:
            name = f"p{len(names)}-{uuid.uuid4().hex[:6]}"
            made = shop.admin.create("policies", name=name, type=kind, config=config,
                                     **{"scope": {"kind": "event-api", "ref": shop.event_api},
                                        **(fields[0] if fields else {})})
            names.append(name)
        shop.wait_in_force(made)
        assert probe in shop.demo.request("HEAD").headers
        yield names
    finally:
        for name in names:
            shop.admin.delete("policies", name)
        shop.wait_in_force()


def here(shop, kafka):
    """A cursor and the offsets of the end."""
    start = wait_until(lambda: next((page for page in [shop.page("?from=latest&wait=0s")] if page["caught_up"]), None),
                       what="the end")
    shop.starts = kafka.end_offsets(shop.topic)
    return start["next"], shop.starts


def encode(value):
    return json.dumps(value, separators=(",", ":")).encode()


ORDERS = [{"id": 1, "owner": "demo", "card": "4111-2222", "lines": [{"sku": "a", "price": 5}]},
          {"id": 2, "owner": "other", "card": "5500-0004", "lines": []},
          {"id": 3, "owner": "demo", "card": "6011-0009", "lines": [{"sku": "b", "price": 7}, {"sku": "c", "price": 8}]}]
HIDDEN = [{**order, "card": "*****" + order["card"][-4:],
           "lines": [{"sku": line["sku"]} for line in order["lines"]]} for order in ORDERS]


def expect_views(shop, cursor, starts, reader, expected):
    """The same on every protocol."""
    assert [event["data"] for event in reader.pages(cursor, len(expected))] == expected
    assert [event["data"] for event in reader.streamed(cursor, len(expected))] == expected
    assert [json.loads(value) for _, value in reader.consumed(starts[0])] == expected


@pytest.mark.parametrize("way", ["native", "rest"])
def test_two_applications_see_two_views_of_what_anybody_published(shop, kafka, way):
    mask = {"fields": [{"path": "/card", "action": "keep-last"}, {"path": "/lines/*/price", "action": "remove"}]}
    own = {"expression": "!has(record.value.owner) || record.value.owner == application.name"}
    with policies(shop, ("mask", mask, {"scope": {"kind": "application", "ref": "other"}}),
                  ("filter", own, {"condition": "application.name == 'demo'"})):
        cursor, starts = here(shop, kafka)
        if way == "native":
            shop.demo.native.produce(shop.topic, [{"value": encode(order), "partition": 0} for order in ORDERS],
                                     **{"compression.type": "zstd", "linger.ms": 100})
            expect_views(shop, cursor, starts, shop.demo, [ORDERS[0], ORDERS[2]])
            expect_views(shop, cursor, starts, shop.other, HIDDEN)
        else:
            body = b"\n".join(encode(order) for order in ORDERS)
            answer = shop.demo.request("POST", data=body, headers={"Content-Type": "application/x-ndjson"})
            assert answer.status_code == 201, answer.text
            for reader, expected in ((shop.demo, [ORDERS[0], ORDERS[2]]), (shop.other, HIDDEN)):
                by_id = [sorted(events, key=lambda order: order["id"]) for events in (
                    [event["data"] for event in reader.pages(cursor, len(expected))],
                    [event["data"] for event in reader.streamed(cursor, len(expected))],
                    [json.loads(value) for partition in (0, 1)
                     for _, value in reader.consumed(starts[partition], partition)])]
                assert by_id == [expected] * 3


def test_an_open_stream_and_session_follow_a_change_of_the_policies(shop, kafka):
    cursor, starts = here(shop, kafka)
    consumer = shop.demo.consumer()
    consumer.assign([TopicPartition(shop.topic, 0, starts[0])])
    with SseReader(shop.url + f"?cursor={cursor}", {"X-API-Key": shop.key}) as stream, closing(consumer):
        assert list(until_end(consumer)) == []
        with policies(shop, ("mask", {"keep_only": ["/id"]})):
            kafka.produce(shop.topic, [{"value": encode(ORDERS[0]), "partition": 0}])
            [event] = stream.find(1, lambda event: shop.demo.is_new(event.json()))
            assert event.json()["data"] == {"id": 1}
            assert [json.loads(record.value()) for record in until_end(consumer)] == [{"id": 1}]
        kafka.produce(shop.topic, [{"value": encode(ORDERS[0]), "partition": 0}])
        assert stream.take(1)[0].json()["data"] == ORDERS[0]
        assert [json.loads(record.value()) for record in until_end(consumer)] == [ORDERS[0]]


def test_a_filter_that_shows_nothing_lets_readers_come_to_the_end(shop, kafka):
    with policies(shop, ("filter", {"expression": "record.value.id > 1000"})):
        cursor, starts = here(shop, kafka)
        for codec in ("none", "lz4"):
            kafka.produce(shop.topic, [{"value": encode({"id": i}), "partition": 0} for i in range(500)],
                          **{"compression.type": codec, "linger.ms": 50})
        kafka.produce(shop.topic, [{"value": b"no json", "partition": 0}])  # cannot be judged
        assert shop.demo.pages(cursor, 0) == []
        assert shop.demo.consumed(starts[0]) == []
        kafka.produce(shop.topic, [{"value": encode({"id": 2000}), "partition": 0}])
        assert shop.demo.consumed(starts[0]) == [(starts[0] + 1001, encode({"id": 2000}))]
        (event,) = shop.demo.streamed(cursor, 1)
        assert event["id"] == f"0-{starts[0] + 1001}"
        metrics = shop.gateway.metrics()
        for outcome in ("withheld", "dropped"):
            assert any(f'outcome="{outcome}"' in name for name in metrics), outcome


def letters_of(kafka, topic, count):
    records = wait_until(lambda: kafka.consume_all(topic) if kafka.end_offsets(topic)[0] >= count else None,
                         what="the dead letters")
    return [(record.value(), dict(record.headers())) for record in records]


def test_what_is_rejected_on_publish_is_not_stored_and_put_aside(shop, kafka):
    aside = kafka.create_topic("rejects")
    config = {"on": "publish", "fields": [{"path": "/card", "action": "remove"}], "dead_letter_topic": aside}
    with policies(shop, ("mask", config)) as (name, _):
        cursor, starts = here(shop, kafka)
        answer = shop.demo.request("POST", data=b"plain", headers={"Content-Type": "application/octet-stream"})
        assert answer.status_code == 422 and answer.json()["type"].endswith("/event-rejected"), answer.text
        assert name not in answer.text
        shop.demo.request("POST", data=b"plain", headers={"Content-Type": "application/octet-stream"})  # counted alone
        told = wait_until(lambda: shop.gateway.entries("event rejected", policy=name), what="the line")
        assert told[0]["application"] == shop.application and "not JSON" in told[0]["reason"], told
        assert told[0]["request_id"] == answer.headers["X-Request-Id"] and len(told) <= 2, told  # two workers
        with pytest.raises(AssertionError, match="INVALID_RECORD"):
            shop.demo.native.produce(shop.topic, [{"value": b"native", "partition": 1}])
        shop.demo.native.produce(shop.topic, [{"value": encode(ORDERS[0]), "partition": 0}],
                                 **{"enable.idempotence": True})
        stored = {"id": 1, "owner": "demo", "lines": ORDERS[0]["lines"]}
        (record,) = [record for record in kafka.consume_all(shop.topic)
                     if record.offset() >= starts[record.partition()]]
        assert json.loads(record.value()) == stored
        assert [event["data"] for event in shop.demo.pages(cursor, 1)] == [stored]
        letters = letters_of(kafka, aside, 3)
        assert [value for value, _ in letters] == [b""] * 3  # what it could not hide is not there either
        for _, headers in letters:
            assert headers["sluice.policy"] == name.encode() and b"not JSON" in headers["sluice.reason"]
            assert headers["sluice.topic"] == shop.topic.encode() and headers["sluice.operation"] == b"publish"
            assert headers["sluice.application"] == shop.application.encode()


def test_a_poisoned_record_is_told_and_there_is_a_way_past_it(shop, kafka):
    """In the middle of a batch: what is before it comes, then an error at it, and behind it all goes on."""
    aside = kafka.create_topic("unreadable")
    config = {"fields": [{"path": "/card"}], "not_json": "refuse", "dead_letter_topic": aside}
    with policies(shop, ("mask", config)):
        cursor, starts = here(shop, kafka)
        values = [encode({"id": i}) for i in range(3)] + [b"poison"] + [encode({"id": i}) for i in (4, 5)]
        kafka.produce(shop.topic, [{"value": value, "partition": 0} for value in values],
                      **{"linger.ms": 200, "compression.type": "snappy"})
        kafka.produce(shop.topic, [{"value": encode({"id": 9}), "partition": 1}])
        start = starts[0]
        consumer = shop.demo.consumer()
        consumer.assign([TopicPartition(shop.topic, 0, start), TopicPartition(shop.topic, 1, starts[1])])
        seen, failed = [], None
        while failed is None or len(seen) < 4:
            record = consumer.poll(60)
            assert record is not None
            if record.error() is None:
                seen.append((record.partition(), record.offset(), json.loads(record.value())["id"]))
            elif record.error().code() != KafkaError._PARTITION_EOF:
                failed = record.error().code()
        assert sorted(seen) == [(0, start, 0), (0, start + 1, 1), (0, start + 2, 2), (1, starts[1], 9)]
        assert failed in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG), failed
        consumer.close()
        assert shop.demo.consumed(start + 4) == [(start + 4, encode({"id": 4})), (start + 5, encode({"id": 5}))]
        with pytest.raises(KafkaException):
            shop.demo.consumed(start + 3)
        for events in (shop.demo.pages(cursor, 7), shop.demo.streamed(cursor, 7)):
            events = [event for event in events if event["id"].startswith("0-")]
            assert [event["id"] for event in events] == [f"0-{start + i}" for i in range(6)]
            assert [event.get("data", {}).get("id") for event in events] == [0, 1, 2, None, 4, 5]
            assert set(events[3]) == {"id", "time", "error"} and events[3]["error"]["status"] == 422
        wait_until(lambda: f"partition 0, offset {start + 3}: " in shop.gateway.log().decode(), what="the word in the log")
        (letter,) = letters_of(kafka, aside, 1)  # once, however often it was read
        assert letter[0] == b"poison" and letter[1]["sluice.offset"] == str(start + 3).encode()


def test_damaged_batches_and_bombs_are_refused_under_every_policy(shop, kafka):
    whole = bytearray(record_batch())
    damaged, unknown, lying = (bytearray(whole) for _ in range(3))
    damaged[-1] ^= 1
    unknown[22] |= 0x07
    lying[57:61] = (1000).to_bytes(4, "big")
    unknown[17:21], lying[17:21] = (crc32c(batch[21:]).to_bytes(4, "big") for batch in (unknown, lying))
    with policies(shop, ("mask", {"on": "publish", "fields": [{"path": "/a"}], "not_json": "pass"})):
        _, starts = here(shop, kafka)
        with closing(Wire(Definitions(), shop.broker, shop.credential["id"], shop.credential["secret"])) as wire:
            def produce(batch):
                tree = {"Acks": -1, "TimeoutMs": 25000, "TopicData": [{"Name": shop.topic, "PartitionData": [
                    {"Index": 0, "Records": bytes(batch)}]}]}
                answer = wire.ask(wire.definitions.requests[0], 9, tree)
                return answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]

            assert [produce(batch) for batch in (damaged, unknown, lying)] == [2, 43, 2]
            assert kafka.end_offsets(shop.topic) == starts
            assert produce(whole) == 0


def test_a_batch_that_a_broker_cut_off_is_left_for_the_next_fetch(shop, kafka):
    """The last of an answer, as brokers end it where a client's limit is reached."""
    def fetch(address, *credentials, offset, size):
        with closing(Wire(Definitions(), address, *credentials)) as wire:
            partition = {"Partition": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": size, "LastFetchedEpoch": -1,
                         "LogStartOffset": -1, "FetchOffset": offset}
            tree = {"ReplicaId": -1, "MaxBytes": size, "MaxWaitMs": 5000, "MinBytes": 1, "SessionEpoch": -1,
                    "Topics": [{"Topic": shop.topic, "Partitions": [partition]}]}
            (found,) = wire.ask(wire.definitions.requests[1], 11, tree)["Responses"][0]["Partitions"]
            assert found["ErrorCode"] == 0
            return found["Records"]

    def lengths(batches):
        """What each batch says of itself, and what there is of it."""
        found, at = [], 0
        while at < len(batches):
            size = 12 + int.from_bytes(batches[at + 8 : at + 12], "big")
            found.append((size, len(batches[at : at + size])))
            at += size
        return found

    with policies(shop, ("mask", {"fields": [{"path": "/card"}]})):
        _, starts = here(shop, kafka)
        for number in (1, 2):
            kafka.produce(shop.topic, [{"value": encode({"id": number, "card": "4111", "text": "x" * 2000}), "partition": 0}])
        first = int(lengths(fetch(kafka.bootstrap_servers, offset=starts[0], size=1 << 20))[0][0])
        cut = {"offset": starts[0], "size": first + 1000}
        (whole, part) = lengths(fetch(kafka.bootstrap_servers, **cut))
        assert whole == (first, first) and part[1] == 1000 < part[0]
        answer = fetch(shop.broker, shop.credential["id"], shop.credential["secret"], **cut)
        assert [size == there for size, there in lengths(answer)] == [True] and b'"card":"***"' in answer
        assert [json.loads(value)["id"] for _, value in shop.demo.consumed(starts[0])] == [1, 2]


def test_transactions_are_read_as_they_should_be(shop, kafka):
    """Filtered and masked: markers, aborted records and what is committed."""
    with policies(shop, ("filter", {"expression": "record.value.id != 2"}), ("mask", {"keep_only": ["/id"]})):
        cursor, starts = here(shop, kafka)
        producer = Producer({**shop.demo.native.config, "transactional.id": f"{shop.application}.{uuid.uuid4().hex}"})
        producer.init_transactions(60)
        for ids, finish in (((1, 2), producer.commit_transaction), ((3,), producer.abort_transaction),
                            ((2,), producer.commit_transaction), ((4,), producer.commit_transaction)):
            producer.begin_transaction()
            for number in ids:
                producer.produce(shop.topic, encode({"id": number, "x": 1}), partition=0)
            producer.flush(60)
            finish(60)
        expected = [{"id": 1}, {"id": 4}]
        assert [json.loads(value) for _, value in shop.demo.consumed(starts[0])] == expected
        assert [event["data"] for event in shop.demo.pages(cursor, 2)] == expected


def test_tombstones_and_keys_stay(shop, kafka):
    """A mask on the way in and one on the way out, a filter that lets them pass, by every way."""
    expression = "record.tombstone || record.value.id > 0"
    with policies(shop, ("mask", {"on": "publish", "fields": [{"path": "/card"}]}), ("mask", {"keep_only": ["/id"]}),
                  ("filter", {"expression": expression})):
        cursor, starts = here(shop, kafka)
        shop.demo.native.produce(shop.topic, [{"key": b"k", "value": encode(ORDERS[0]), "partition": 0},
                                              {"key": b"k", "value": None, "partition": 0},
                                              {"key": b"z", "value": encode({"id": 0}), "partition": 0}],
                                 **{"enable.idempotence": True, "linger.ms": 100})
        stored = [record for record in kafka.consume_all(shop.topic) if record.offset() >= starts[record.partition()]]
        assert [record.key() for record in stored] == [b"k", b"k", b"z"] and stored[1].value() is None
        assert json.loads(stored[0].value())["card"] == "***"
        assert shop.demo.consumed(starts[0]) == [(starts[0], encode({"id": 1})), (starts[0] + 1, None)]
        for events in (shop.demo.pages(cursor, 2), shop.demo.streamed(cursor, 2)):
            assert [(event["key"], event["data"], event.get("tombstone")) for event in events] == [
                ("k", {"id": 1}, None), ("k", None, True)]


def test_a_hash_key_that_is_missing_holds_records_back(shop, kafka):
    config = {"fields": [{"path": "/card", "action": "hash"}], "hash_key": {"file": "/nonexistent/key"}}
    with policies(shop, ("mask", config)):
        cursor, _ = here(shop, kafka)
        kafka.produce(shop.topic, [{"value": encode(ORDERS[0]), "partition": 0}])

        def answered():
            """Until the gateway has learnt of the event there is none."""
            answer = shop.demo.request("GET", f"?cursor={cursor}&wait=3s")
            return None if answer.status_code == 200 and answer.json()["events"] == [] else [answer]

        [answer] = wait_until(answered, what="a word about the event")
        assert answer.status_code == 503, answer.text
        assert answer.json()["type"].endswith("/rules-unavailable") and "Retry-After" in answer.headers
    assert [event["data"] for event in shop.demo.pages(cursor, 1)] == [ORDERS[0]]  # nothing was lost
