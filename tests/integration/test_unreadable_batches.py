"""Batches that cannot be read over HTTP: readers are told of them, in bounded memory, and go on behind them."""

import struct
import time
import zlib
from contextlib import closing

import pytest
from kafka.record.util import calc_crc32c

from sluice_support import Definitions, SampleApi, Wire, wait_until

MIB = 1 << 20
PRODUCE = 0


@pytest.fixture(scope="module")
def shop(module_servers, kafka):
    topic = kafka.create_topic("bombs", partitions=2)
    shop = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic)
    shop.start_gateway(module_servers, records_inflated_limit="8MiB")
    return shop


def bomb(kafka, topic, codec, size):
    kafka.produce(topic, [{"value": bytes(size), "partition": 0}],
                  **{"compression.type": codec, "message.max.bytes": 2 * size})


def varint(number):
    number, out = number << 1, b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def write_large_bomb(kafka, topic, mebibytes):
    """One record of zeros, deflated as it is made: the batch has a thousandth of its size."""
    size = mebibytes * MIB
    head, tail = b"\0" + varint(0) + varint(0) + b"\1" + varint(size), varint(0)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = squeeze.compress(varint(len(head) + size + len(tail)) + head)
    data += b"".join(squeeze.compress(bytes(MIB)) for _ in range(mebibytes))
    data += squeeze.compress(tail) + squeeze.flush()
    now_ms = int(time.time() * 1000)
    covered = struct.pack(">hiqqqhii", 1, 0, now_ms, now_ms, -1, -1, -1, 1) + data
    body = struct.pack(">ibI", 0, 2, calc_crc32c(covered)) + covered
    with closing(Wire(Definitions(), kafka.bootstrap_servers)) as wire:
        answer = wire.ask(wire.definitions.requests[PRODUCE], 9, {"Acks": -1, "TimeoutMs": 25000, "TopicData": [
            {"Name": topic, "PartitionData": [{"Index": 0, "Records": struct.pack(">qi", 0, len(body)) + body}]}]})
    assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0


def pages(shop, cursor, count):
    events = []
    while len(events) < count:
        page = shop.page(f"?cursor={cursor}&wait=10s")
        events += page["events"]
        cursor = page["next"]
    return events


def seen(events):
    """What of each, in partition 0."""
    return [(event["id"], "error" if "error" in event else event["data"]) for event in events]


def peak_mebibytes(shop):
    text = open(f"/proc/{shop.gateway.pid}/status").read()
    return int(text.split("VmHWM:")[1].split()[0]) // 1024


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_readers_go_on_behind_a_batch_that_inflates_to_too_much(shop, kafka, codec):
    cursor = shop.page("?from=latest&wait=0s")["next"]
    start = kafka.end_offsets(shop.topic)[0]
    with shop.stream(query=f"?cursor={cursor}") as stream:
        kafka.produce(shop.topic, [{"value": b'"before"', "partition": 0}])
        bomb(kafka, shop.topic, codec, 10 * MIB)
        kafka.produce(shop.topic, [{"value": b'"behind"', "partition": 0}])
        expected = [(f"0-{start}", "before"), (f"0-{start + 1}", "error"), (f"0-{start + 2}", "behind")]
        streamed = [event.json() for event in stream.take(3)]
        assert seen(streamed) == expected
        assert set(streamed[1]) == {"id", "time", "error"}
        assert streamed[1]["error"]["type"].endswith("/event-unreadable") and streamed[1]["error"]["status"] == 422
    assert seen(pages(shop, cursor, 3)) == expected
    # What is not too large is read, of all codecs.
    bomb(kafka, shop.topic, codec, 7 * MIB)
    page = wait_until(lambda: shop.page(f"?cursor={shop_end(shop, cursor)}&wait=5s")["events"], what="the large event")
    assert len(page[0]["data_base64"]) == 7 * MIB * 4 // 3 + 4 - 7 * MIB % 3

    def told():
        return [line for line in shop.gateway.entries(topic=shop.topic, last_offset=start + 1)
                if line["message"].startswith("a batch of records cannot be read")]

    if codec == "gzip":
        wait_until(told, what="the line")


def shop_end(shop, cursor):
    """The place behind three events."""
    seen = 0
    while seen < 3:
        page = shop.page(f"?cursor={cursor}&limit={3 - seen}&wait=10s")
        seen += len(page["events"])
        cursor = page["next"]
    return cursor


def test_a_large_bomb_takes_little_memory(shop, kafka):
    cursor = shop.page("?from=latest&wait=0s")["next"]
    before = peak_mebibytes(shop)
    write_large_bomb(kafka, shop.topic, 400)
    kafka.produce(shop.topic, [{"value": b'"behind"', "partition": 0}])
    assert [what for _, what in seen(pages(shop, cursor, 2))] == ["error", "behind"]
    assert peak_mebibytes(shop) - before < 200
    assert b"records.inflated-limit does not hold" not in shop.gateway.log()
