"""The record codec and librdkafka: it reads what librdkafka wrote, a real broker takes what it made of that, and librdkafka
reads it. Against Java it is held in tests/wire/run-records."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Producer

from sluice_support import Definitions, Wire, wait_until

sys.path.insert(0, str(Path(__file__).parents[1] / "wire"))
from record_text import entries, entry, first_difference, rewritten  # noqa: E402

PRODUCE, FETCH = 0, 1
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
BATCH_HEADER_BYTES = 61


class Tool:
    """records_test: what it reads from entries, and what it makes of them."""

    def __init__(self, build_dir, folder):
        self._program, self._folder = build_dir / "tests" / "wire" / "records_test", folder

    def _run(self, *arguments):
        return subprocess.run([self._program, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout

    def describe(self, data):
        (self._folder / "in").write_bytes(data)
        return self._run("describe", self._folder / "in").splitlines()

    def rewrite(self, data):
        (self._folder / "in").write_bytes(data)
        self._run("rewrite", self._folder / "in", self._folder / "out")
        return (self._folder / "out").read_bytes()


@pytest.fixture
def tool(servers, tmp_path):
    return Tool(servers.build_dir, tmp_path)


@pytest.fixture(scope="module")
def wire(kafka):
    with closing(Wire(Definitions(), kafka.bootstrap_servers)) as wire:
        yield wire


def ask(wire, key, version, tree):
    return wire.ask(wire.definitions.requests[key], version, tree)


def fetch(wire, topic):
    partition = {"Partition": 0, "CurrentLeaderEpoch": -1, "PartitionMaxBytes": 8 << 20, "LastFetchedEpoch": -1,
                 "LogStartOffset": -1, "FetchOffset": 0}
    answer = ask(wire, FETCH, 11, {"ReplicaId": -1, "MaxBytes": 8 << 20, "MaxWaitMs": 20000, "MinBytes": 1,
                                   "SessionEpoch": -1, "Topics": [{"Topic": topic, "Partitions": [partition]}]})
    (found,) = answer["Responses"][0]["Partitions"]
    assert found["ErrorCode"] == 0
    return found["Records"]


def produce(wire, topic, batch):
    tree = {"Acks": -1, "TimeoutMs": 60000,
            "TopicData": [{"Name": topic, "PartitionData": [{"Index": 0, "Records": batch}]}]}
    (found,) = ask(wire, PRODUCE, 9, tree)["Responses"][0]["PartitionResponses"]
    return found["ErrorCode"], found["ErrorMessage"]


def split(batches):
    """The single batches."""
    at = 0
    while at < len(batches):
        size = 12 + int.from_bytes(batches[at + 8 : at + 12], "big")
        yield batches[at : at + size]
        at += size


def records():
    """One of each kind, and enough others to be worth compressing."""
    yield {"value": b"value", "key": b"key", "headers": [("a", b"1"), ("a", b"2"), ("b", None), ("c", b"")]}
    yield {"value": None, "key": b"tombstone"}
    yield {"value": b"", "key": b""}
    yield {"value": None, "key": None}
    for number in range(400):
        yield {"value": b'{"number": %d, "text": "some text that is always the same"}' % number, "key": b"k%d" % number,
               "headers": [("n", b"%d" % number)] if number % 3 == 0 else []}


def write(kafka, topic, codec, **config):
    """By librdkafka, in batches of many records: it sends what was made so far when it is flushed, and not before."""
    producer = Producer({**kafka.config, "compression.type": codec, "linger.ms": 60000, "acks": "all", **config})
    for number, record in enumerate(records()):
        producer.produce(topic, timestamp=1700000000000 + number, **record)
    assert producer.flush(60) == 0


def as_text(message):
    def hexed(data):
        return "null" if data is None else "x" + data.hex()

    headers = [f"{hexed(name.encode())}={hexed(value)}" for name, value in message.headers() or []]
    return " ".join(["record", str(message.offset()), str(message.timestamp()[1]), hexed(message.key()),
                     hexed(message.value()), *headers])


def only(lines, word):
    return [line for line in lines if line.startswith(word)]


def compare(expected, found):
    assert first_difference(expected, found) is None, first_difference(expected, found)


@pytest.mark.parametrize("codec", CODECS)
def test_librdkafka_and_the_codec_read_each_other(kafka, wire, tool, codec):
    source, target = kafka.create_topic("records"), kafka.create_topic("rewritten")
    write(kafka, source, codec)
    batches = list(split(fetch(wire, source)))

    described = tool.describe(b"".join(entry("P", batch) for batch in batches))
    assert {line.split()[4] for line in only(described, "batch")} == {codec}
    compare([as_text(message) for message in kafka.consume_all(source)], only(described, "record"))

    changed = tool.rewrite(b"".join(entry("P", batch) for batch in batches))
    for _, batch in entries(changed):
        assert produce(wire, target, batch) == (0, None)
    compare(only(rewritten(described), "record"), [as_text(message) for message in kafka.consume_all(target)])
    assert {line.split()[4] for line in only(tool.describe(entry("C", fetch(wire, target))), "batch")} == {codec}


def test_a_transaction_keeps_its_producer_and_its_marker(kafka, wire, tool):
    topic = kafka.create_topic("transaction")
    producer = Producer({**kafka.config, "compression.type": "lz4", "transactional.id": topic})
    producer.init_transactions(60)
    for finish in (producer.commit_transaction, producer.abort_transaction):
        producer.begin_transaction()
        producer.produce(topic, b"value", b"key")
        producer.flush(60)  # else an abort finds nothing sent
        finish(60)
    wait_until(lambda: len(list(split(fetch(wire, topic)))) == 4, what="two transactions with their markers")
    whole = entry("C", fetch(wire, topic))

    described = tool.describe(whole)
    batches = [line.split() for line in only(described, "batch")]
    assert [batch[7] for batch in batches] == ["0", "1", "0", "1"]  # data, its marker, and again
    assert {batch[6] for batch in batches} == {"1"} and len({batch[9] for batch in batches}) == 1

    changed = tool.rewrite(whole)
    compare(rewritten(described), tool.describe(changed))


def test_the_broker_judges_what_we_write(kafka, wire, tool):
    source, target = kafka.create_topic("whole"), kafka.create_topic("damaged")
    write(kafka, source, "zstd")
    ((_, batch), *_) = entries(tool.rewrite(b"".join(entry("P", batch) for batch in split(fetch(wire, source)))))
    damaged = bytearray(batch)
    damaged[BATCH_HEADER_BYTES + 10] ^= 1
    assert produce(wire, target, bytes(damaged))[0] == 2  # CORRUPT_MESSAGE
    assert produce(wire, target, batch)[0] == 0
