"""Every kind of policy on records, published by every way and read by every way: the outcome is the same. What else
each kind does is in files of its own."""

import json
import struct
import uuid
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO

import fastavro
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from sluice_support import wait_until
from sluice_support.schema_registry import RegistryDouble
from sluice_support.secret_shop import SecretShop

JSON_ORDER = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
AVRO_ORDER = {"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"}, {"name": "card", "type": ["null", "string"], "default": None},
    {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
        {"name": "price", "type": "double"}]}}, "default": []}]}
ORDERS = [{"id": 1, "card": "4111-2222", "lines": [{"price": 5.5}]}, {"id": 2, "card": "5500-0004", "lines": []},
          {"id": 3, "card": "6011-0009", "lines": [{"price": 7.0}, {"price": 8.0}]}]
NAME = "idempotency-key"  # the header that a publisher over HTTP can set


def event(value, key=None, headers=()):
    return {"value": value, "key": key, "headers": set(headers)}


def orders(change=lambda order: order, key=lambda order: f"buyer-{order['id']}", headers=(NAME,), only=lambda order: True):
    return [event(change(order), key(order), headers) for order in ORDERS if only(order)]


def stored_as(*hidden, **shown):
    """What Kafka keeps must not have, and must have: text. What is hidden by encryption is too long to be in base64 by
    chance."""
    def check(records):
        text = b"\n".join((record.key() or b"") + (record.value() or b"") + repr(record.headers()).encode() for record in records)
        assert not [word for word in hidden if word.encode() in text], text
        assert not [word for word in shown.get("shown", ()) if word.encode() not in text], text
    return check


CARD = {"fields": [{"path": "/card", "action": "keep-last"}, {"path": "/lines/*/price", "action": "remove"}]}


def masked(order):
    return {**order, "card": "*****" + order["card"][-4:], "lines": [{} for _ in order["lines"]]}


# name: the policies, (type, config) each; what is seen; what must hold for what is stored.
CASES = {
    "none": ([], orders(), stored_as(shown=["4111"])),
    "encrypt value": ([("encrypt", {"key_ring": "local"})], orders(), stored_as("4111", "price", shown=["buyer-1"])),
    "encrypt value and key": ([("encrypt", {"key_ring": "local", "what": ["value", "key"], "bind_key": True})], orders(),
                              stored_as("4111", "buyer-1")),
    "encrypt fields": ([("encrypt", {"key_ring": "local", "what": ["fields"], "fields": ["/card", "/lines/*/price"]})],
                       orders(), stored_as("4111-2", "5.5", shown=["buyer-1", "slc1.", '"id"'])),
    "mask on read": ([("mask", CARD)], orders(masked), stored_as(shown=["4111"])),
    "mask on publish": ([("mask", {"on": "publish", **CARD})], orders(masked), stored_as("4111", "5.5", shown=["2222"])),
    "mask keep only": ([("mask", {"keep_only": ["/id"]})], orders(lambda order: {"id": order["id"]}), stored_as()),
    "filter": ([("filter", {"expression": "record.value.id != 2"})], orders(only=lambda order: order["id"] != 2),
               stored_as(shown=["5500"])),
    "filter by key and header": ([("filter", {"expression": f"record.key == 'buyer-2' && '{NAME}' in record.headers"})],
                                 orders(only=lambda order: order["id"] == 2), stored_as()),
    "headers on publish": ([("headers", {"rules": [{"in": "publish", "action": "add", "name": "origin", "value": "${application.name}"},
                                                   {"in": "publish", "action": "remove", "name": NAME}]})],
                           orders(headers=("origin",)), stored_as(NAME, shown=["origin"])),
    "headers on read": ([("headers", {"rules": [{"in": "read", "action": "rename", "name": NAME, "to": "span"}]})],
                        orders(headers=("span",)), stored_as("'span'", shown=[NAME])),
    "schema of the event API": ([("schema", {"source": "event-api", "read": "fail"})], orders(), stored_as(shown=["4111"])),
    "schema of a registry": ([("schema", {"source": "registry", "registry": "double", "read": "fail"})], orders(),
                             stored_as('"card"', shown=["4111"])),
    "all of them": ([("schema", {"source": "event-api", "read": "fail"}), ("mask", {"on": "publish", "fields": [{"path": "/lines"}]}),
                     ("encrypt", {"key_ring": "local", "what": ["value", "key"]}), ("filter", {"expression": "record.value.id > 1"}),
                     ("mask", {"fields": [{"path": "/card"}]}),
                     ("headers", {"rules": [{"in": "read", "action": "remove", "name": NAME}]})],
                    orders(lambda order: {**order, "card": "***", "lines": "***"}, headers=(), only=lambda order: order["id"] > 1),
                    stored_as("5500", "buyer-2", '"id"')),
}


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory):
    double = RegistryDouble()
    shop = SecretShop(module_servers, kafka, tmp_path_factory.mktemp("keys"), event_api={
        "schema": {"format": "json_schema", "definition": json.dumps(JSON_ORDER)}, "key": {"source": "header", "header": "X-Order"}})
    shop.schema = double.add(f"{shop.topic}-value", AVRO_ORDER)
    shop.admin.create("schema-registries", name="double", url=double.url)
    yield shop
    double.close()


@contextmanager
def policies(shop, listed):
    """All have arrived when the block begins, and those of the block before have left: their deletion was earlier."""
    mark = f"X-{uuid.uuid4().hex}"
    rule = {"in": "response", "action": "set", "name": mark, "value": "yes"}
    with ExitStack() as stack:
        for kind, config in [*listed, ("headers", {"rules": [rule]})]:
            made = shop.admin.create("policies", name=f"p-{uuid.uuid4().hex[:8]}", type=kind, config=config,
                                     scope={"kind": "event-api", "ref": shop.sample.event_api})
            stack.callback(shop.admin.delete, "policies", made["name"])
        shop.sample.wait_in_force(made)
        assert mark in shop.ask("HEAD").headers
        yield


class Place:
    """The end of the topic, from where everybody reads."""

    def __init__(self, shop):
        self.shop, self.start = shop, shop.end()
        self.cursor = shop.sample.page("?from=latest&wait=0s")["next"]

    def is_ours(self, event):
        """What was stored just before may still come."""
        return int(event["id"].split("-")[1]) >= self.start

    def paged(self, count):
        """Until the end."""
        events, cursor = [], self.cursor

        def all_there():
            nonlocal cursor
            page = self.shop.sample.page(f"?cursor={cursor}&wait=" + ("0s" if len(events) >= count else "10s"))
            events.extend(event for event in page["events"] if self.is_ours(event))
            cursor = page["next"]
            return page["caught_up"] and len(events) >= count

        wait_until(all_there, 60, f"{count} events")
        return events

    def streamed(self, count):
        with self.shop.sample.stream(query=f"?cursor={self.cursor}") as stream:
            return [event.json() for event in stream.find(count, lambda event: self.is_ours(event.json()))]

    def consumed(self):
        """Records until the end; for one that cannot be read None, and then from behind it."""
        end, offset, found = self.shop.end(), self.start, []
        config = {**self.shop.native.config, "group.id": f"demo.{uuid.uuid4().hex}", "enable.auto.commit": False,
                  "enable.partition.eof": True}
        while offset < end:
            with closing(Consumer(config)) as consumer:
                consumer.assign([TopicPartition(self.shop.topic, 0, offset)])
                offset = self._until_failure(consumer, offset, end, found)
        return found

    @staticmethod
    def _until_failure(consumer, offset, end, found):
        while True:
            try:
                record = wait_until(lambda: consumer.poll(1), 60, "a record or the end")
                code = record.error() and record.error().code()
            except KafkaException as failure:
                code = failure.args[0].code()
            if code is None:
                found.append(record)
                offset = record.offset() + 1
            elif code == KafkaError._PARTITION_EOF:
                return end
            else:
                assert code in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG), code
                found.append(None)
                return offset + 1


def decoded(shop, value):
    """JSON; what the registry's schema made Avro of it."""
    if value[:5] == struct.pack(">bI", 0, shop.schema):
        return fastavro.schemaless_reader(BytesIO(value[5:]), AVRO_ORDER, None)
    return json.loads(value)


def of_event(found):
    return "error" if "error" in found else event(found["data"], found.get("key"), [header["name"] for header in found["headers"]])


def of_record(shop, found):
    return "error" if found is None else event(decoded(shop, found.value()), found.key().decode(),
                                               [name for name, _ in found.headers() or []])


def publish_rest(shop, order, value):
    return shop.sample.publish(value, headers={"X-Order": f"buyer-{order['id']}", "Idempotency-Key": "once"})


def publish_native(shop, *values):
    """In one batch, compressed."""
    shop.native.produce(shop.topic, [{"key": f"buyer-{number}", "value": value, "headers": [(NAME, b"once")]}
                                     for number, value in enumerate(values, 1)], **{"compression.type": "lz4", "linger.ms": 50})


def avro(shop, order):
    out = BytesIO(struct.pack(">bI", 0, shop.schema))
    out.seek(0, 2)
    fastavro.schemaless_writer(out, AVRO_ORDER, order)
    return out.getvalue()


@pytest.mark.parametrize("case", CASES)
def test_whoever_publishes_and_whoever_reads_the_outcome_is_the_same(shop, case):
    listed, expected, holds_for_stored = CASES[case]
    with policies(shop, listed):
        place = Place(shop)
        for order in ORDERS:
            assert publish_rest(shop, order, json.dumps(order).encode()).status_code == 201
        publish_native(shop, *(avro(shop, order) if "registry" in case else json.dumps(order).encode() for order in ORDERS))
        stored = shop.stored(place.start)
        assert len(stored) == 2 * len(ORDERS)
        for half in (stored[:len(ORDERS)], stored[len(ORDERS):]):
            holds_for_stored(half)
        want = [*expected, *expected]  # from REST, then from native Kafka
        assert [of_event(found) for found in place.paged(len(want))] == want
        assert [of_event(found) for found in place.streamed(len(want))] == want
        assert [of_record(shop, found) for found in place.consumed()] == want


# What does not get in, by no way: policies, a value.
REJECTED = {
    "mask": (("mask", {"on": "publish", "fields": [{"path": "/card"}]}), b"no json"),
    "encrypt fields": (("encrypt", {"key_ring": "local", "what": ["fields"], "fields": ["/card"]}), b"no json"),
    "schema of the event API": (("schema", {"source": "event-api"}), b'{"id":"one"}'),
    "schema of a registry": (("schema", {"source": "registry", "registry": "double"}), b'{"id":"one"}'),
}


@pytest.mark.parametrize("case", REJECTED)
def test_what_is_rejected_is_rejected_whoever_publishes_it(shop, case):
    policy, value = REJECTED[case]
    with policies(shop, [policy]):
        start = shop.end()
        answer = shop.ask(data=value, headers={"X-Order": "buyer-1", "Content-Type": "application/octet-stream"})
        assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (422, "event-rejected"), answer.text
        with pytest.raises(AssertionError, match="INVALID_RECORD"):
            publish_native(shop, value)
        assert shop.end() == start


GOOD = event({"id": 1}, "buyer-1")
# What is stored already and does not suit: the policy, the value, and what is seen of it: nothing, "error", or it.
STORED = {
    "encrypt": (("encrypt", {"key_ring": "local"}), b'{"id":2}', ["error", "error"]),
    "encrypt, others": (("encrypt", {"key_ring": "local", "plaintext": "pass"}), b'{"id":2}', [event({"id": 2}, "buyer-1"), GOOD]),
    "mask, withheld": (("mask", {"fields": [{"path": "/card"}]}), b"no json", [GOOD]),
    "mask, refused": (("mask", {"fields": [{"path": "/card"}], "not_json": "refuse"}), b"no json", ["error", GOOD]),
    "filter": (("filter", {"expression": "record.value.id == 1"}), b'{"no":2}', [GOOD]),
    "schema, fail": (("schema", {"source": "event-api", "read": "fail"}), b'{"id":"two"}', ["error", GOOD]),
    "schema, skip": (("schema", {"source": "event-api", "read": "skip"}), b'{"id":"two"}', [GOOD]),
    "schema, mark": (("schema", {"source": "event-api", "read": "mark", "mark_header": "why"}), b'{"id":"two"}',
                     [event({"id": "two"}, "buyer-1", ["why"]), GOOD]),
}


@pytest.mark.parametrize("case", STORED)
def test_what_is_stored_and_does_not_suit_is_the_same_whoever_reads_it(shop, case):
    policy, value, want = STORED[case]
    with policies(shop, [policy]):
        place = Place(shop)
        shop.kafka.produce(shop.topic, [{"key": b"buyer-1", "value": value}, {"key": b"buyer-1", "value": b'{"id":1}'}])
        assert [of_event(found) for found in place.paged(len(want))] == want
        assert [of_event(found) for found in place.streamed(len(want))] == want
        assert [of_record(shop, found) for found in place.consumed()] == want
