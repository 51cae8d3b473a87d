"""Encryption of records: what is published natively, over REST and SSE, read by an independent decoder from Kafka, and back."""

import json
import re
import uuid
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from sluice_support import wait_until
from sluice_support.envelope import Envelope, open_envelope
from sluice_support.secret_shop import SecretShop

HEADER = "sluice-encryption"


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory):
    return SecretShop(module_servers, kafka, tmp_path_factory.mktemp("keys"))


def test_the_vectors_of_the_documentation():
    """Opened by another implementation; the gateway's own is held to the same (unit.test_crypt_cipher)."""
    root = Path(__file__).parents[2]
    text = (root / "docs/encryption.md").read_text()
    held = (root / "tests/unit/dataplane/crypt/vectors.inc").read_text()
    rows = re.findall(r"^\| (value|field|key) \| `([^`]*)` \| (?:key `([^`]*)`|pointer `([^`]*)`)? ?\| `([0-9a-f]+)` \|$",
                      text, re.M)
    assert [row[0] for row in rows] == ["value", "value", "field", "key"]
    for part, plaintext, record_key, pointer, envelope in rows:
        assert f'"{envelope}"' in held
        secret = bytes(range(64)) if part == "key" else bytes(range(32))
        options = {**({"record_key": record_key.encode()} if record_key else {}), **({"field": pointer} if pointer else {})}
        assert open_envelope(bytes.fromhex(envelope), secret, "shop.orders", **options) == plaintext.encode()


def values(records):
    return [record.value() for record in records]


MIXED = [{"value": b'{"n":1}', "key": b"k1", "headers": [("a", b"1"), ("a", None)]}, {"value": None, "key": b"gone"},
         {"value": b"", "key": b""}, {"value": b"x" * 5000}]


def test_native_and_http_write_what_a_stranger_decrypts_and_each_reads_the_other(shop):
    start, cursor = shop.end(), shop.sample.page("?from=latest&wait=0s")["next"]
    with shop.encrypted(), shop.sample.stream(query=f"?cursor={cursor}") as stream:
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            shop.native.produce(shop.topic, MIXED, **{"compression.type": codec, "linger.ms": 20})
        for number in range(3):
            assert shop.ask(json={"rest": number}).status_code == 201
        count = 5 * len(MIXED) + 3
        stored, keystore = shop.stored(start), shop.keys.opened()
        assert len(stored) == count
        nonces = set()
        for number, record in enumerate(stored):
            want = MIXED[number % len(MIXED)] if number < count - 3 else {"value": b'{"rest":%d}' % (number - count + 3)}
            headers = record.headers() or []
            assert [pair for pair in headers if pair[0] == HEADER] == [(HEADER, b"1 value")]
            assert [pair for pair in headers if pair[0] == "a"] == want.get("headers", [])
            if want["value"] is None:
                assert record.value() is None
                continue
            assert want["value"] == b"" or want["value"] not in record.value()
            opened = keystore.open(record.value(), shop.topic)
            assert opened == want["value"] or json.loads(opened) == json.loads(want["value"])
            nonces.add((Envelope(record.value()).edek, Envelope(record.value()).nonce))
            assert record.key() == want.get("key") or number >= count - 3
        assert len(nonces) == count - 5  # tombstones have none
        read = shop.read_native(start, count)
        assert values(read[: len(MIXED)]) == [record["value"] for record in MIXED]
        assert [json.loads(value) for value in values(read[-3:])] == [{"rest": number} for number in range(3)]
        assert all(HEADER not in dict(record.headers() or []) for record in read)
        events = shop.page(cursor, count, offset=start)
        assert [event.get("data") for event in events[-3:]] == [{"rest": number} for number in range(3)], events
        assert events[0]["data"] == {"n": 1} and events[1]["tombstone"]
        assert [event.json().get("data") for event in stream.take(count)][-3:] == [{"rest": number} for number in range(3)]


def test_who_the_policy_does_not_concern_sees_ciphertext(shop):
    start = shop.end()
    with shop.encrypted():
        shop.native.produce(shop.topic, [b"secret"])
    record, = shop.read_native(start, 1)
    assert Envelope(record.value()).kek == "orders" and dict(record.headers())[HEADER] == b"1 value"


def test_keys_are_encrypted_alike_by_everyone_and_for_ever(shop):
    start = shop.end()
    with shop.encrypted(what=["value", "key"], bind_key=True):
        shop.native.produce(shop.topic, [{"value": b"1", "key": b"k"}, {"value": None, "key": b"k"}, {"value": b"2"}])
        first, tombstone, keyless = shop.stored(start)
        keystore = shop.keys.opened()
        assert first.key() == tombstone.key() and first.key() != b"k" and keyless.key() is None
        assert keystore.open(first.key(), shop.topic) == b"k" and tombstone.value() is None
        assert keystore.open(first.value(), shop.topic, record_key=first.key()) == b"1"
        assert keystore.open(keyless.value(), shop.topic, record_key=None) == b"2"
        assert [(record.key(), record.value()) for record in shop.read_native(start, 3)] == [
            (b"k", b"1"), (b"k", None), (None, b"2")]
        # The value under another key.
        shop.kafka.produce(shop.topic, [{"key": first.key(), "value": first.value(), "headers": first.headers()}])
        shop.kafka.produce(shop.topic, [{"key": None, "value": first.value(), "headers": first.headers()}])
        assert values(shop.read_native(start + 3, 1)) == [b"1"]  # the same key: a replay is not noticed
        assert shop.fails_native(start + 4) is not None
        shop.keys.run("rotate", "orders")
        shop.native.produce(shop.topic, [{"value": b"3", "key": b"k"}])
        assert shop.stored(start + 5)[0].key() == first.key()


def test_fields_of_json(shop):
    start = shop.end()
    fields = ["/card/number", "/items/*/price", "/none"]
    with shop.encrypted(what=["fields"], fields=fields):
        text = b'{"id": 7, "card": {"number": "4111", "type": "x"}, "items": [{"price": 1.50}, {"price": null}], "a/b": [1,2]}'
        shop.native.produce(shop.topic, [text, None, b'{"id": 8}'])
        assert shop.ask(json=json.loads(text)).status_code == 201
        stored, keystore = shop.stored(start), shop.keys.opened()
        hidden = json.loads(stored[0].value())
        assert hidden["id"] == 7 and hidden["a/b"] == [1, 2] and hidden["card"]["type"] == "x"
        assert keystore.open_field(hidden["card"]["number"], shop.topic, "/card/number") == "4111"
        assert keystore.open_field(hidden["items"][0]["price"], shop.topic, "/items/0/price") == 1.5
        assert keystore.open_field(hidden["items"][1]["price"], shop.topic, "/items/1/price") is None
        read = shop.read_native(start, 4)
        assert values(read)[:3] == [text, None, b'{"id": 8}'] and json.loads(read[3].value()) == json.loads(text)
        # Not JSON, and a member twice: neither can be encrypted so that nothing stays.
        for bad in (b"not json", b'{"card": {"number": "1"}, "card": {"number": "2"}}'):
            with pytest.raises(AssertionError):
                shop.native.produce(shop.topic, [bad], **{"message.timeout.ms": 5000})
        refused = shop.sample.publish(b'{"card": {"number": "1"}, "card": {"number": "2"}}')
        assert refused.status_code == 422, refused.text
        # A field moved to another place does not open.
        moved = {**hidden, "card": {"number": hidden["items"][0]["price"]}}
        shop.kafka.produce(shop.topic, [{"value": json.dumps(moved).encode(), "headers": stored[0].headers()}])
        assert shop.fails_native(start + 4) is not None
    unread = json.loads(shop.read_native(start, 1)[0].value())
    assert unread == hidden  # without the policy: the ciphertext of the fields, the rest plain


def test_damaged_moved_and_plain_records_are_refused_and_can_be_passed(shop):
    start = shop.end()
    with shop.encrypted():
        shop.native.produce(shop.topic, [b"good"])
        good, = shop.stored(start)
        header, value = good.headers(), good.value()
        bad = [value[:-1], value[:20], bytes([*value[:-1], value[-1] ^ 1]), value[:6] + b"\x06nobody" + value[13:], b"plain",
               b"\xf8SL\x02" + value[4:]]
        cursor = shop.sample.page("?from=latest&wait=0s")["next"]
        for number, one in enumerate(bad):
            shop.kafka.produce(shop.topic, [{"value": one, "headers": header if one != b"plain" else []}])
            assert shop.fails_native(start + 1 + number) is not None
        shop.native.produce(shop.topic, [b'"after"'])
        assert values(shop.read_native(start + 1 + len(bad), 1)) == [b'"after"']
        assert values(shop.read_native(start, 1)) == [b"good"]
        events = shop.page(cursor, len(bad) + 1, offset=start + 1)
        assert [("error" in event) for event in events] == [True] * len(bad) + [False], events
        assert events[-1]["data"] == "after" and "plain" not in json.dumps(events)
        # Of another topic.
        shop.kafka.produce(shop.other, [{"value": value, "headers": header}])
    with shop.encrypted(scope={"kind": "virtual-cluster", "ref": shop.sample.virtual_cluster}):
        assert shop.fails_native(0, shop.other) is not None


def moved(first, second, foreign, what):
    """What somebody with access to the broker makes of records: of another topic, under another key, in another place."""
    def record(value, key):
        return {"value": value, "key": key, "headers": first.headers()}

    yield record(foreign.value(), foreign.key())
    yield record(first.value(), second.key())
    yield record(first.value(), None)
    if "key" in what:
        yield record(first.value(), foreign.key())
        yield record(None, foreign.key())  # a tombstone of the other topic's key
    if "fields" in what:
        mine, others = json.loads(first.value()), json.loads(second.value())
        yield record(json.dumps({**mine, "card": mine["name"]}).encode(), first.key())
        yield record(json.dumps({**mine, "card": others["card"]}).encode(), first.key())


@pytest.mark.parametrize("what", [["value"], ["value", "key"], ["fields"], ["fields", "key"]], ids="-".join)
def test_ciphertext_that_was_moved_is_refused_by_every_way(shop, what):
    """Natively, in a page and in a stream: an error in its place, and all goes on behind it."""
    cluster = {"kind": "virtual-cluster", "ref": shop.sample.virtual_cluster}
    fields = {"fields": ["/card", "/name"]} if "fields" in what else {}
    good = [{"card": "4111", "name": "Ada"}, {"card": "5500", "name": "Bo"}]
    start, other = shop.end(), shop.end(shop.other)
    cursor = shop.sample.page("?from=latest&wait=0s")["next"]
    with shop.encrypted(what=what, bind_key=True, scope=cluster, **fields), \
            shop.sample.stream(query=f"?cursor={cursor}") as stream:
        sent = [{"value": json.dumps(order).encode(), "key": order["name"].encode()} for order in good]
        shop.native.produce(shop.topic, sent)
        shop.native.produce(shop.other, sent[:1])
        first, second = shop.stored(start)
        bad = list(moved(first, second, shop.stored(other, shop.other)[0], what))
        shop.kafka.produce(shop.topic, bad)
        shop.native.produce(shop.topic, [b'"behind"'])
        expected = [*good, *["error"] * len(bad), "behind"]

        def seen(events):
            assert all(set(event) == {"id", "time", "error"} for event in events if "error" in event), events
            return ["error" if "error" in event else event["data"] for event in events]

        # What was stored just before may still come.
        streamed = stream.find(len(expected), lambda event: int(event.json()["id"].split("-")[1]) >= start)
        assert seen([event.json() for event in streamed]) == expected
        assert seen(shop.page(cursor, len(expected), offset=start)) == expected
        for number in range(len(bad)):
            assert shop.fails_native(start + 2 + number) in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG), bad[number]
        assert values(shop.read_native(start + 2 + len(bad), 1)) == [b'"behind"']


def test_the_migration_window_lets_plaintext_through(shop):
    start = shop.end()
    shop.native.produce(shop.topic, [b"old"])
    with shop.encrypted(plaintext="pass"):
        shop.native.produce(shop.topic, [b"new"])
        assert values(shop.read_native(start, 2)) == [b"old", b"new"]
    with shop.encrypted(plaintext="pass", plaintext_until="2020-01-01T00:00:00Z"):
        assert shop.fails_native(start) is not None
        assert values(shop.read_native(start + 1, 1)) == [b"new"]


def test_who_may_not_decrypt_gets_ciphertext_or_nothing(shop):
    start = shop.end()
    nobody = "application.name == 'nobody'"
    with shop.encrypted(decrypt_if=nobody, others="ciphertext"):
        shop.native.produce(shop.topic, [b"secret"])
        record, = shop.read_native(start, 1)
        assert shop.keys.opened().open(record.value(), shop.topic) == b"secret"
    with shop.encrypted(decrypt_if=nobody):
        assert shop.fails_native(start) is not None
    with shop.encrypted(decrypt_if="application.name == 'demo'"):
        assert values(shop.read_native(start, 1)) == [b"secret"]


def test_destroying_a_key_takes_its_records_and_no_others(shop):
    """KEKs by topic; the gateway learns of it by itself."""
    for topic in (shop.topic, shop.other):
        shop.keys.run("add", f"k.{topic}")
    cluster = {"kind": "virtual-cluster", "ref": shop.sample.virtual_cluster}
    with shop.encrypted(scope=cluster, key="k.{topic}"):
        starts = {topic: shop.end(topic) for topic in (shop.topic, shop.other)}
        for topic in starts:
            wait_until(lambda: can_produce(shop, topic, topic.encode()), what="the keys that were added")
        assert {Envelope(shop.stored(starts[topic], topic)[-1].value()).kek for topic in starts} == {
            f"k.{topic}" for topic in starts}
        last = {topic: shop.stored(starts[topic], topic)[-1].offset() for topic in starts}
        for topic in starts:
            assert values(shop.read_native(last[topic], 1, topic)) == [topic.encode()]
        assert "--yes" in shop.keys.run("destroy", f"k.{shop.topic}", expect=1)
        shop.keys.run("destroy", f"k.{shop.topic}", "--yes")
        assert "destroyed" in shop.keys.run("list")
        wait_until(lambda: not can_produce(shop, shop.topic, b"lost"), what="the key to be gone")
        assert shop.fails_native(last[shop.topic]) is not None
        assert shop.ask(json={"lost": 1}).status_code == 422
        assert values(shop.read_native(last[shop.other], 1, shop.other)) == [shop.other.encode()]
        assert can_produce(shop, shop.other, b"still")


def can_produce(shop, topic, value):
    try:
        shop.native.produce(topic, [value], **{"message.timeout.ms": 30000, "retries": 0})
        return True
    except AssertionError:
        return False


def test_transactions_and_idempotence(shop):
    start = shop.end()
    with shop.encrypted(what=["value", "key"]):
        producer = Producer({**shop.native.config, "transactional.id": f"demo.{uuid.uuid4().hex}", "enable.idempotence": True})
        producer.init_transactions(60)
        for commit in (False, True):
            producer.begin_transaction()
            for number in range(50):
                producer.produce(shop.topic, b"%s %d" % (str(commit).encode(), number), b"k")
            producer.flush(60)
            producer.commit_transaction(60) if commit else producer.abort_transaction(60)
        consumer = Consumer({**shop.native.config, "group.id": f"demo.{uuid.uuid4().hex}", "isolation.level": "read_committed"})
        with closing(consumer):
            consumer.assign([TopicPartition(shop.topic, 0, start)])
            assert values(consumer.consume(50, timeout=60)) == [b"True %d" % number for number in range(50)]
