"""Policies on records when something is wrong: batches that inflate to too much, a key service that is away while HTTP
clients read and while a gateway starts; and transactions through every policy at once."""

import json
import uuid
from contextlib import closing, contextmanager

import pytest
import requests
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from sluice_support import Authority, Definitions, Wire, free_port, record_batch, wait_until
from sluice_support.secret_shop import SecretShop
from sluice_support.vault import VaultDouble

PRODUCE, FETCH = 0, 1
CODECS = ["gzip", "snappy", "lz4", "zstd"]
MIB = 1 << 20
MESSAGE_TOO_LARGE, NOT_ENOUGH_REPLICAS = 10, 19
ORDER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "card": {"type": "string"}}}


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("vault"))
    double = VaultDouble(authority, free_port(), "s.token")
    double.ca = authority.ca.read_text()
    double.add("orders")
    yield double
    double.stop()


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory, vault):
    shop = SecretShop(module_servers, kafka, tmp_path_factory.mktemp("keys"), topic={"partitions": 2},
                      env={"VAULT_TOKEN": vault.token},
                      event_api={"schema": {"format": "json_schema", "definition": json.dumps(ORDER)}},
                      records_inflated_limit="1MiB", records_wait="1s", publish_deadline="3s", encryption_key_ttl="1s",
                      encryption_retry_max="300ms")
    shop.admin.create("key-rings", name="vault", provider="vault", config={
        "url": vault.url, "token": {"env": "VAULT_TOKEN"}, "ca_pem": vault.ca, "key": "orders"})
    host, port = shop.native.bootstrap_servers.split(":")
    shop.node = f"{host}:{int(port) + 2}"  # node 1
    return shop


@contextmanager
def also(shop, *listed):
    """Policies of (type, config), beside others: what comes after them has arrived shows that they have."""
    names = [f"also-{kind}" for kind, _ in listed]
    for name, (kind, config) in zip(names, listed):
        shop.admin.create("policies", name=name, type=kind, config=config,
                          scope={"kind": "event-api", "ref": shop.sample.event_api})
    try:
        yield
    finally:
        for name in names:
            shop.admin.delete("policies", name)


def values(records):
    return [record.value() for record in records]


def stored_since(ends):
    """Is an event one of those behind the ends of the partitions? A gateway learns of what was stored just before them a
    moment later, as of something new."""
    def is_new(event):
        partition, offset = map(int, event["id"].split("-"))
        return offset >= ends[partition]
    return is_new


def paged(shop, cursor, count, wanted):
    """So many of the events that are wanted, or more, over REST from a cursor."""
    events = []

    def enough():
        nonlocal cursor
        page = shop.sample.page(f"?cursor={cursor}&wait=2s")
        events.extend(filter(wanted, page["events"]))
        cursor = page["next"]
        return len(events) >= count

    wait_until(enough, what=f"{count} events")
    return events


# ---- batches that inflate to too much ----

def raw_batch(kafka, topic):
    """The only batch of a topic's partition, as the broker has it."""
    partition = {"Partition": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 8 * MIB, "LastFetchedEpoch": -1,
                 "LogStartOffset": -1, "FetchOffset": 0}
    tree = {"ReplicaId": -1, "MaxBytes": 8 * MIB, "MaxWaitMs": 5000, "MinBytes": 1, "SessionEpoch": -1,
            "Topics": [{"Topic": topic, "Partitions": [partition]}]}
    with closing(Wire(Definitions(), kafka.bootstrap_servers)) as wire:
        return wire.ask(wire.definitions.requests[FETCH], 11, tree)["Responses"][0]["Partitions"][0]["Records"]


def write_bomb(kafka, topic, codec):
    kafka.produce(topic, [{"value": bytes(2 * MIB), "partition": 0}],
                  **{"compression.type": codec, "message.max.bytes": 4 * MIB})


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_is_neither_taken_nor_opened(shop, kafka, codec):
    aside = kafka.create_topic("bomb")
    write_bomb(kafka, aside, codec)
    bomb = raw_batch(kafka, aside)
    assert len(bomb) < MIB // 4
    with shop.encrypted(plaintext="pass"):
        shop.native.produce(shop.topic, [{"value": b"the key is there", "partition": 1}])  # this client tries again
        before = kafka.end_offsets(shop.topic)
        with closing(Wire(Definitions(), shop.node, shop.sample.credential["id"],
                          shop.sample.credential["secret"])) as wire:
            def produced():
                answer = wire.ask(wire.definitions.requests[PRODUCE], 9, {"Acks": -1, "TimeoutMs": 60000, "TopicData": [
                    {"Name": shop.topic, "PartitionData": [{"Index": 0, "Records": bomb},
                                                           {"Index": 1, "Records": record_batch()}]}]})
                codes = {found["Index"]: found["ErrorCode"] for found in answer["Responses"][0]["PartitionResponses"]}
                return codes if codes[1] != NOT_ENOUGH_REPLICAS else None  # the key is not at hand yet: come again
            assert wait_until(produced, 60, "the key") == {0: MESSAGE_TOO_LARGE, 1: 0}
        assert kafka.end_offsets(shop.topic) == {0: before[0], 1: before[1] + 1}
        write_bomb(kafka, shop.topic, codec)
        shop.native.produce(shop.topic, [{"value": b"behind", "partition": 0}])
        assert shop.fails_native(before[0]) in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG)
        assert values(shop.read_native(before[0] + 1, 1)) == [b"behind"]


# ---- a key service that is away ----

def is_unreachable(shop, offset):
    try:
        shop.read_native(offset, 1, timeout=2)
    except AssertionError:
        return True
    return False


def test_http_readers_wait_for_the_key_and_lose_nothing(shop, vault):
    vault.add("readers")
    with shop.encrypted(key_ring="vault", key="readers"):
        cursor, ends = shop.sample.page("?from=latest&wait=0s")["next"], shop.kafka.end_offsets(shop.topic)
        offset, ours = ends[0], stored_since(ends)
        shop.native.produce(shop.topic, [{"value": b'{"id":%d}' % number, "partition": 0} for number in range(3)])
        vault.sealed = True
        wait_until(lambda: is_unreachable(shop, offset), what="the key to be forgotten")
        with shop.sample.stream(query=f"?cursor={cursor}") as stream:
            session = requests.Session()
            session.trust_env = False

            def answered():
                """Until the gateway has learnt of the events there are none."""
                page = session.get(f"{shop.sample.url}?cursor={cursor}&wait=1s", timeout=30,
                                   headers={"X-API-Key": shop.sample.key, "Accept": "application/json"})
                return None if page.status_code == 200 and page.json()["events"] == [] else [page]

            [page] = wait_until(answered, what="a word about the events")
            assert page.status_code == 503 and page.json()["type"].endswith("/rules-unavailable"), page.text
            assert "Retry-After" in page.headers
            vault.sealed = False
            expected = [{"id": number} for number in range(3)]
            seen = [event.json() for event in stream.find(3, lambda event: ours(event.json()))]
            assert [event["data"] for event in seen] == expected  # the first: nothing came before
        assert [event["data"] for event in paged(shop, cursor, len(expected), ours)] == expected


def test_a_gateway_starts_from_its_cache_while_the_keys_are_away(shop, vault):
    """Neither control plane nor key service: it serves what needs no key, and the rest as soon as there is one."""
    vault.add("start")
    with shop.encrypted(key_ring="vault", key="start"):
        ends, cursor = shop.kafka.end_offsets(shop.topic), shop.sample.page("?from=latest&wait=0s")["next"]
        offset = ends[0]
        shop.native.produce(shop.topic, [{"value": b'{"id":1}', "partition": 0}])
        shop.gateway.stop()
        shop.sample.control.stop()
        vault.stop()
        try:
            shop.gateway.start()
            answer = shop.ask(json={"id": 2})
            assert answer.status_code == 503 and "Retry-After" in answer.headers, answer.text
            assert is_unreachable(shop, offset) and shop.end() == offset + 1
        finally:
            vault.start()
            shop.sample.control.start()
        assert values(shop.read_native(offset, 1)) == [b'{"id":1}']
        answers = []  # 504: it may be stored all the same

        def stored():
            answers.append(shop.ask(json={"id": 2}).status_code)
            return answers[-1] == 201

        wait_until(stored, what="the key")
        seen = [event["data"]["id"] for event in paged(shop, cursor, 2, stored_since(ends))]
        assert sorted(seen) == [1, 2] or 504 in answers and set(seen) == {1, 2}


# ---- everything at once ----

def committed(shop, start, count):
    consumer = Consumer({**shop.native.config, "group.id": f"demo.{uuid.uuid4().hex}", "enable.auto.commit": False,
                         "isolation.level": "read_committed"})
    with closing(consumer):
        consumer.assign([TopicPartition(shop.topic, 0, start)])
        return [json.loads(record.value()) for record in consumer.consume(count, timeout=60)]


def produce_each(producer, shop, ids):
    """The error of each, None for those that are stored."""
    results = []
    for number in ids:
        producer.produce(shop.topic, json.dumps({"id": number, "card": f"4111-000{number}"}), b"k", partition=0,
                         on_delivery=lambda error, _: results.append(error and error.code()))
        producer.flush(60)
    return results


def test_transactions_and_idempotence_through_all_kinds_of_policies_at_once(shop):
    listed = [("schema", {"source": "event-api", "read": "fail"}), ("filter", {"expression": "record.value.id != 2"}),
              ("mask", {"fields": [{"path": "/card", "action": "keep-last"}]})]
    with also(shop, *listed), shop.encrypted(what=["value", "key"]):
        ends, cursor = shop.kafka.end_offsets(shop.topic), shop.sample.page("?from=latest&wait=0s")["next"]
        start, ours = ends[0], stored_since(ends)
        config = {**shop.native.config, "compression.type": "zstd", "enable.idempotence": True}
        producer = Producer({**config, "transactional.id": f"demo.{uuid.uuid4().hex}"})
        producer.init_transactions(60)
        with shop.sample.stream(query=f"?cursor={cursor}") as stream:
            for ids, finish in (((1, 2), producer.commit_transaction), ((3,), producer.abort_transaction),
                                ((4,), producer.commit_transaction)):
                producer.begin_transaction()
                assert produce_each(producer, shop, ids) == [None] * len(ids)
                finish(60)
            # What is refused in between costs an idempotent producer nothing else.
            results = produce_each(Producer(config), shop, (5, "six", 7))
            assert results == [None, KafkaError.INVALID_RECORD, None]
            expected = [{"id": number, "card": f"*****000{number}"} for number in (1, 4, 5, 7)]
            assert committed(shop, start, len(expected)) == expected
            seen = [event.json() for event in stream.find(len(expected), lambda event: ours(event.json()))]
            assert [event["data"] for event in seen] == expected
        assert [event["data"] for event in paged(shop, cursor, len(expected), ours)] == expected
        stored, keystore = shop.stored(start), shop.keys.opened()  # as far as it is committed
        assert [json.loads(keystore.open(record.value(), shop.topic))["id"] for record in stored] == [1, 2, 4, 5, 7]
        assert {keystore.open(record.key(), shop.topic) for record in stored} == {b"k"}
