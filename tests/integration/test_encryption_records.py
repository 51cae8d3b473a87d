"""`sluice-gateway records`: verifies a topic, and encrypts it anew into another."""

import json
import os
import signal
import subprocess
import time

import pytest

from sluice_support import wait_until
from sluice_support.envelope import Envelope
from sluice_support.secret_shop import PASSPHRASE, SecretShop


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory):
    shop = SecretShop(module_servers, kafka, tmp_path_factory.mktemp("keys"))
    shop.keys.run("add", "old")
    now = int(time.time() * 1000) - 60_000
    with shop.encrypted(key="old", what=["value", "key"]):
        shop.native.produce(shop.topic, [{"value": b"%d" % number if number % 10 else None, "key": b"k%d" % number,
                                          "headers": [("n", b"%d" % number)], "timestamp": now + number}
                                         for number in range(500)])
    return shop


def write_job(shop, folder, policy, kafka=None):
    job = folder / "job.json"
    job.write_text(json.dumps({
        "kafka": {"bootstrap.servers": shop.kafka.bootstrap_servers, **(kafka or {})},
        "key_ring": {"provider": "local", "path": str(shop.keys.path), "passphrase": {"env": "KEYS_PASSPHRASE"}},
        "policy": {"key": "orders", "read_keys": ["old"], "what": ["value", "key"], **(policy or {})}}))
    return job


def run(shop, folder, action, *args, policy=None, expect=0, topic=None):
    job = write_job(shop, folder, policy)
    done = subprocess.run([shop.keys.program, "records", action, "--job", str(job), "--topic", topic or shop.topic, *args],
                          capture_output=True, text=True, timeout=110, env={**os.environ, "KEYS_PASSPHRASE": PASSPHRASE})
    assert done.returncode == expect, done.stderr
    return json.loads(done.stdout) if done.stdout else {}, done.stderr


def test_a_topic_is_verified(shop, tmp_path):
    result, told = run(shop, tmp_path, "verify")
    assert result == {"topic": shop.topic, "records": 500, "encrypted": 500, "plaintext": 0, "tombstones": 0, "bad": 0,
                      "written": 0}
    assert f"{shop.topic}: 500 records, 0 left, 0 bad" in told
    result, _ = run(shop, tmp_path, "verify", policy={"read_keys": ["another"]}, expect=2)
    assert result["bad"] == 500 and "partition 0, offset 0" in result["first_bad"]


def test_plain_and_damaged_records_are_told(shop, kafka, tmp_path):
    topic = kafka.create_topic("mixed")
    kafka.produce(topic, [b"plain", None])
    result, _ = run(shop, tmp_path, "verify", topic=topic, policy={"what": ["value"]}, expect=2)
    assert (result["bad"], result["tombstones"]) == (1, 1)
    result, _ = run(shop, tmp_path, "verify", topic=topic, policy={"what": ["value"], "plaintext": "pass"})
    assert (result["plaintext"], result["bad"]) == (1, 0)


def test_a_batch_that_inflates_to_too_much_is_bad(shop, kafka, tmp_path):
    """And not something that may pass: nobody is told to run it again."""
    topic = kafka.create_topic("bomb")
    kafka.produce(topic, [b"plain"])
    kafka.produce(topic, [bytes(8 << 20)], **{"compression.type": "gzip", "message.max.bytes": 16 << 20})
    _, told = run(shop, tmp_path, "verify", "--buffer", "1MiB", topic=topic, policy={"plaintext": "pass"}, expect=2)
    assert "offset 1: its batch cannot be read" in told
    result, _ = run(shop, tmp_path, "verify", topic=topic, policy={"what": ["value"], "plaintext": "pass"})
    assert result["plaintext"] == 2


def test_a_topic_is_encrypted_anew_and_resumed(shop, kafka, tmp_path):
    to, state = kafka.create_topic("anew"), tmp_path / "state.json"
    _, told = run(shop, tmp_path, "reencrypt", "--to", to, "--state", str(state))
    before, after, keystore = kafka.consume_all(shop.topic), kafka.consume_all(to), shop.keys.opened()
    assert len(after) == 500 and json.loads(state.read_text())["next"] == [kafka.end_offsets(shop.topic)[0]], told
    for old, new in zip(before, after):
        assert keystore.open(new.key(), to) == keystore.open(old.key(), shop.topic)
        assert (new.value() is None) == (old.value() is None)
        if new.value() is not None:
            assert keystore.open(new.value(), to) == keystore.open(old.value(), shop.topic)
            assert (Envelope(old.value()).kek, Envelope(new.value()).kek) == ("old", "orders")
        assert new.timestamp() == old.timestamp() and new.headers() == old.headers()
    # Only what has come since.
    kafka.produce(shop.topic, [{"value": before[1].value(), "key": before[1].key(), "headers": before[1].headers()}])
    result, _ = run(shop, tmp_path, "reencrypt", "--to", to, "--state", str(state))
    assert (result["records"], result["written"]) == (1, 1) and len(kafka.consume_all(to)) == 501
    result, _ = run(shop, tmp_path, "reencrypt", "--to", to, "--state", str(state))
    assert result["records"] == 0


SLOW = {"linger.ms": 50, "queue.buffering.max.messages": 500}  # so many in so long at most


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_interrupted_goes_on_where_it_was(shop, kafka, tmp_path, end):
    """Nothing is lost; some records may be there twice, each repetition in order."""
    count, plain = 30_000, {"what": ["value"], "plaintext": "pass"}
    source, to, state = kafka.create_topic("long"), kafka.create_topic("anew"), tmp_path / "state.json"
    kafka.produce(source, [b"%d" % number for number in range(count)], **{"linger.ms": 50})
    options = ["--to", to, "--state", str(state), "--progress", "100ms", "--buffer", "1MiB"]
    command = [shop.keys.program, "records", "reencrypt", "--job", str(write_job(shop, tmp_path, plain, SLOW)),
               "--topic", source, *options]
    with open(tmp_path / "told", "w") as told:
        process = subprocess.Popen(command, stdout=told, stderr=told, env={**os.environ, "KEYS_PASSPHRASE": PASSPHRASE})
    try:
        wait_until(lambda: 0 < json.loads(state.read_text())["next"][0] < count, 60, "progress in the state file", 0.01)
        process.send_signal(end)
        assert process.wait(60) == (3 if end == signal.SIGTERM else -signal.SIGKILL), (tmp_path / "told").read_text()
    finally:
        process.kill()
        process.wait()
    reached = json.loads(state.read_text())["next"][0]
    assert 0 < reached < count
    result, _ = run(shop, tmp_path, "reencrypt", *options, topic=source, policy=plain)
    assert result["records"] == count - reached
    keystore, expected = shop.keys.opened(), 0
    for record in kafka.consume_all(to):
        number = int(keystore.open(record.value(), to))
        assert number <= expected, f"{expected} is missing before {number}"
        expected = max(expected, number + 1)
    assert expected == count


def test_what_cannot_be_done_is_said(shop, kafka, tmp_path):
    wide = kafka.create_topic("wide", partitions=3)
    to = kafka.create_topic("narrow")
    assert "fewer partitions" in run(shop, tmp_path, "reencrypt", "--to", to, topic=wide, expect=1)[1]
    assert "--to is missing" in run(shop, tmp_path, "reencrypt", expect=1)[1]
    kafka.produce(wide, [b"plain"])
    assert "offset 0" in run(shop, tmp_path, "reencrypt", "--to", kafka.create_topic("to", partitions=3), topic=wide,
                             expect=2)[1]
    assert run(shop, tmp_path, "verify", "--key-wait", "2s", topic="there-is-none", expect=3)[1]
    assert "what" in run(shop, tmp_path, "verify", policy={"what": ["everything"]}, expect=1)[1]
