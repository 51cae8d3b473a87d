"""Batches that are damaged where the broker keeps them: checksums, formats, compressions, counts and places that are none.
HTTP readers get an error in place of each and go on; native clients get what is stored, or, where policies look into
records, an error that they can seek behind."""

import json
import struct
import uuid
from contextlib import closing

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from kafka.record.util import calc_crc32c

from sluice_support import Definitions, KafkaHelper, SampleApi, Wire, free_ports, known, wait_until

FETCH = 1
LENGTH, MAGIC, CRC, ATTRIBUTES, LAST_OFFSET_DELTA, MAX_TIMESTAMP = 8, 16, 17, 21, 23, 35


def sealed(batch):
    """With the checksum that it should have."""
    batch[CRC:ATTRIBUTES] = struct.pack(">I", calc_crc32c(bytes(batch[ATTRIBUTES:])))


def flip(batch):
    batch[-1] ^= 0x40


def codec(batch):
    batch[ATTRIBUTES + 1] |= 7
    sealed(batch)


def cut_stream(batch):
    """Says gzip, is none."""
    batch[ATTRIBUTES + 1] |= 1
    sealed(batch)


def magic(batch):
    batch[MAGIC] = 3


def timestamp(batch):
    batch[MAX_TIMESTAMP:MAX_TIMESTAMP + 8] = b"\x7f" * 8


def behind_itself(batch):
    batch[LAST_OFFSET_DELTA:LAST_OFFSET_DELTA + 4] = struct.pack(">i", -5)


# What was done to the batches of three records each, one behind the other. Older brokers pass over what ends before it begins.
DAMAGES = [flip, flip, codec, cut_stream, magic, timestamp, *([behind_itself] if known("4.0") else []), flip, magic]
SIZE = 3
LAST = {behind_itself: 0}  # where the batch ends for whoever believes it, SIZE - 1 elsewhere


class Log:
    """A topic of one partition, and the file in which its broker keeps it."""

    def __init__(self, broker):
        self.kafka = broker.helper
        self.topic = self.kafka.create_topic("damaged")
        self.path = broker.folder / "data" / f"{self.topic}-0" / "00000000000000000000.log"

    def write(self, *values):
        """One batch: it goes when it is full."""
        self.kafka.produce(self.topic, [{"value": json.dumps(value).encode(), "partition": 0} for value in values],
                           **{"linger.ms": 60_000, "batch.num.messages": len(values)})

    def batches(self):
        """(offset in the log, place in the file, size) of each."""
        data, at, found = self.path.read_bytes(), 0, []
        while at < len(data):
            size = 12 + int.from_bytes(data[at + LENGTH : at + LENGTH + 4], "big")
            found.append((int.from_bytes(data[at : at + 8], "big"), at, size))
            at += size
        return found

    def damage(self, offset, how):
        """The batch that begins at an offset."""
        (at, size), = [(at, size) for first, at, size in self.batches() if first == offset]
        with open(self.path, "r+b") as file:
            file.seek(at)
            batch = bytearray(file.read(size))
            how(batch)
            file.seek(at)
            file.write(batch)


@pytest.fixture(scope="module")
def log(own_kafka):
    """before, then each damaged batch with a good one behind it, but for the last two."""
    log = Log(own_kafka())
    log.write("before")
    damaged, offset = [], 1
    for number, how in enumerate(DAMAGES):
        log.write(*(f"{how.__name__} {record}" for record in range(SIZE)))
        damaged.append((offset, how))
        offset += SIZE
        if number < len(DAMAGES) - 2:
            log.write(f"behind {how.__name__}")
            offset += 1
    assert [first for first, _ in damaged] == [first for first, _, size in log.batches() if first in dict(damaged)]
    for first, how in damaged:
        log.damage(first, how)
    log.damaged, log.end = damaged, offset
    return log


@pytest.fixture(scope="module")
def shop(module_servers, log):
    shop = SampleApi(module_servers.control(), log.kafka.bootstrap_servers, log.topic, exposures=["rest", "sse", "kafka"])
    port = free_ports(5)
    shop.admin.patch("virtual-clusters", shop.virtual_cluster, client_authentication=["plain"])
    shop.admin.create("listeners", name="kafka", gateway_group=shop.group, protocol="kafka", address=f"127.0.0.1:{port}",
                      kafka={"routing": "ports", "virtual_cluster": shop.virtual_cluster,
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})
    shop.node = f"127.0.0.1:{port + 2}"  # node 1
    shop.start_gateway(module_servers)
    shop.native = KafkaHelper(f"127.0.0.1:{port}", {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": shop.credential["id"],
        "sasl.password": shop.credential["secret"]})
    wait_until(lambda: log.topic in shop.native.admin.list_topics(timeout=20).topics, 60, "the listener")
    return shop


def expected():
    found, offset = [("0-0", "before")], 1
    for number, how in enumerate(DAMAGES):
        found.append((f"0-{offset + LAST.get(how, SIZE - 1)}", "error"))
        offset += SIZE
        if number < len(DAMAGES) - 2:
            found.append((f"0-{offset}", f"behind {how.__name__}"))
            offset += 1
    return found


def seen(events):
    return [(event["id"], "error" if "error" in event else event["data"]) for event in events]


def pages(shop, cursor, count, limit=100):
    events = []

    def enough():
        nonlocal cursor
        page = shop.page(f"?{cursor}&limit={limit}&wait=5s")
        events.extend(page["events"])
        cursor = f"cursor={page['next']}"
        return len(events) >= count

    wait_until(enough, what=f"{count} events")
    return events, cursor


def test_http_readers_get_an_error_in_place_of_each_and_go_on(shop, log):
    want = expected()
    with shop.stream(query="?from=earliest") as stream:
        streamed = [event.json() for event in stream.take(len(want))]
        assert seen(streamed) == want
        paged, cursor = pages(shop, "from=earliest", len(want))
        assert seen(paged) == want
        assert seen(pages(shop, "from=earliest", len(want), limit=1)[0]) == want
        for event in streamed:
            if "error" in event:
                assert {"id", "error"} <= set(event) <= {"id", "time", "error"}  # the time may be damaged
                assert event["error"]["type"].endswith("/event-unreadable") and event["error"]["status"] == 422
        log.write("at the end")
        assert [event.json()["data"] for event in stream.take(1)] == ["at the end"]
        assert seen(pages(shop, cursor, 1)[0]) == [(f"0-{log.end}", "at the end")]


def fetched(address, topic, offset, *credentials):
    partition = {"Partition": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 1 << 20, "LastFetchedEpoch": -1,
                 "LogStartOffset": -1, "FetchOffset": offset}
    tree = {"ReplicaId": -1, "MaxBytes": 1 << 20, "MaxWaitMs": 5000, "MinBytes": 1, "SessionEpoch": -1,
            "Topics": [{"Topic": topic, "Partitions": [partition]}]}
    with closing(Wire(Definitions(), address, *credentials)) as wire:
        (found,) = wire.ask(wire.definitions.requests[FETCH], 11, tree)["Responses"][0]["Partitions"]
        return found["ErrorCode"], bytes(found["Records"] or b"")


def test_native_clients_get_what_is_stored(shop, log):
    """It is for their library to refuse it."""
    stored = fetched(log.kafka.bootstrap_servers, log.topic, 0)
    assert stored[0] == 0 and stored == fetched(shop.node, log.topic, 0, shop.credential["id"], shop.credential["secret"])


def next_of(shop, topic, offset):
    """What a native client is told at an offset: (offset, value), or the code of an error."""
    consumer = Consumer({**shop.native.config, "group.id": f"{shop.application}.{uuid.uuid4().hex}",
                         "enable.auto.commit": False, "check.crcs": True})
    with closing(consumer):
        consumer.assign([TopicPartition(topic, 0, offset)])
        try:
            message = wait_until(lambda: consumer.poll(1), 60, f"a word about offset {offset}")
        except KafkaException as failure:
            return failure.args[0].code()
        return message.error().code() if message.error() else (message.offset(), json.loads(message.value()))


def test_native_clients_of_a_policy_get_an_error_that_they_can_seek_behind(shop, log):
    """Behind the last record of the batch, of which the gateway's log speaks."""
    scope = {"kind": "event-api", "ref": shop.event_api}
    shop.wait_in_force(shop.admin.create("policies", name="hide", type="mask", scope=scope,
                                         config={"fields": [{"path": "/card"}], "not_json": "pass"}))
    try:
        refused = (KafkaError.INVALID_MSG, KafkaError._BAD_MSG)
        want = dict(expected())
        wait_until(lambda: next_of(shop, log.topic, 1) in refused, 60, "the policy")
        for first, how in log.damaged:
            assert next_of(shop, log.topic, first) in refused, how
            assert next_of(shop, log.topic, first + LAST.get(how, SIZE - 1)) in refused, how
            behind = first + SIZE
            if f"0-{behind}" in want:
                assert next_of(shop, log.topic, behind) == (behind, want[f"0-{behind}"]), how
        assert next_of(shop, log.topic, 0) == (0, "before")
        for word in (b"at offset 1, which ends with 3,", b"the record batch that ends with 11: "):
            wait_until(lambda: word in shop.gateway.log(), 60, "the word in the log")
    finally:
        shop.admin.delete("policies", "hide")
        shop.wait_in_force()
