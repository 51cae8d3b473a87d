"""Java's consumers and share consumers of records that policies decrypt, filter, mask and refuse, all at once."""

import json
import uuid
from contextlib import contextmanager

import pytest

from sluice_support.secret_shop import SecretShop

MASK = {"fields": [{"path": "/card", "action": "keep-last"}]}
FILTER = {"expression": "!has(record.value.id) || record.value.id != 1"}
POISON = {"value": b"\xf8SL\x01 of which nobody has the key", "headers": [("sluice-encryption", b"1 value")]}
OFFSETS = {0: 0, 2: 2, 3: 3, 4: 5, 5: 6, 6: 7, 7: 8}  # of each order from the first; 1 is filtered, and 4 is the poison's


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory):
    return SecretShop(module_servers, kafka, tmp_path_factory.mktemp("keys"))


@contextmanager
def views(shop):
    """Encrypted, filtered and masked."""
    scope = {"kind": "event-api", "ref": shop.sample.event_api}
    for name, kind, config in (("own", "filter", FILTER), ("hide", "mask", MASK)):
        shop.admin.create("policies", name=name, type=kind, scope=scope, config=config)
    try:
        with shop.encrypted(plaintext="pass"):
            yield
    finally:
        for name in ("own", "hide"):
            shop.admin.delete("policies", name)


def text(value):
    return json.dumps(value, separators=(",", ":"))


def write(shop):
    """Batches of several codecs, one with a poisoned record in the middle. Returns the first offset, what readers are to
    see, and the last of that."""
    start, last = shop.end(), text({"end": uuid.uuid4().hex})
    orders = [text({"id": number, "card": f"4111-{number:04d}"}).encode() for number in range(8)]
    shop.native.produce(shop.topic, orders[:3], **{"compression.type": "zstd", "linger.ms": 100})
    shop.kafka.produce(shop.topic, [orders[3], POISON, orders[4]], **{"compression.type": "lz4", "linger.ms": 200})
    shop.native.produce(shop.topic, [*orders[5:], last.encode()], **{"compression.type": "gzip", "linger.ms": 100})
    seen = [f"{start + offset} {text({'id': number, 'card': f'*****{number:04d}'})}" for number, offset in OFFSETS.items()]
    return start, [*seen, f"{start + 9} {last}"], last


def reads(java, shop, kind, group, start, last):
    credential = shop.sample.credential
    outcome = java.run("Reads", kind, shop.native.bootstrap_servers, credential["id"], credential["secret"], shop.topic,
                       group, start, last)
    assert outcome.status == 0, outcome.output + outcome.errors
    return [line for line in outcome.output.splitlines() if int(line.split()[0]) >= start]


@pytest.mark.since("4.2", "share groups are for everybody since 4.2")
def test_a_share_group_does_without_a_poisoned_record_alone(shop, java):
    """It cannot seek, and what is not there it takes for gone."""
    group = f"demo.{uuid.uuid4().hex}"
    outcome = java.run("org.apache.kafka.tools.ConfigCommand", "--bootstrap-server", shop.kafka.bootstrap_servers, "--alter",
                       "--entity-type", "groups", "--entity-name", group, "--add-config", "share.auto.offset.reset=earliest")
    assert outcome.status == 0, outcome.errors
    with views(shop):
        start, expected, last = write(shop)
        assert reads(java, shop, "share", group, start, last) == expected
    told = [line for line in shop.gateway.log_path.read_text().splitlines() if "native request denied" in line]
    assert any(f"record at offset {start + 4}:" in line and "ShareFetch" in line for line in told), told


def test_a_java_consumer_seeks_past_a_poisoned_record(shop, java):
    with views(shop):
        start, expected, last = write(shop)
        lines = reads(java, shop, "consumer", f"demo.{uuid.uuid4().hex}", start, last)
    failure = lines.pop(3)
    assert failure.startswith(f"{start + 4} fails: ") and "corrupt" in failure.lower()
    assert lines == expected
