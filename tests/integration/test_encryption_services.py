"""Encryption with keys of others: HashiCorp Vault (a double of its API), AWS KMS (moto); services that are away; keys of
records and compaction."""

import base64
import json
import time

import boto3
import pytest
import requests
from confluent_kafka import KafkaError, Producer
from moto.server import ThreadedMotoServer

from sluice_support import Authority, free_port, wait_until
from sluice_support.envelope import Envelope, open_envelope
from sluice_support.secret_shop import SecretShop
from sluice_support.signed import SignedDoor
from sluice_support.vault import VaultDouble

REGION = "eu-central-1"
AWS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secretexample", "region_name": REGION}


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("vault"))
    double = VaultDouble(authority, free_port(), "s.token", namespace="shop")
    double.ca = authority.ca.read_text()
    double.add("orders")
    yield double
    double.stop()


@pytest.fixture(scope="module")
def aws():
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    kms = boto3.client("kms", endpoint_url=f"http://{host}:{port}", **AWS)
    kms.door = SignedDoor(free_port(), (host, port), AWS["aws_access_key_id"], AWS["aws_secret_access_key"])
    yield kms
    kms.door.close()
    server.stop()


@pytest.fixture(scope="module")
def shop(module_servers, kafka, tmp_path_factory, vault, aws):
    shop = SecretShop(module_servers, kafka, tmp_path_factory.mktemp("keys"),
                      topic={"partitions": 1}, env={"VAULT_TOKEN": vault.token, "AWS_ACCESS_KEY_ID": AWS["aws_access_key_id"],
                                                    "AWS_SECRET_ACCESS_KEY": AWS["aws_secret_access_key"],
                                                    "AWS_TOKEN": "a session's token"},
                      event_api={"key": {"source": "json_pointer", "pointer": "/id"}}, encryption_key_ttl="5s",
                      encryption_retry_max="300ms", encryption_missing_time="200ms", records_wait="8s", publish_deadline="16s")
    shop.admin.create("key-rings", name="vault", provider="vault", config={
        "url": vault.url, "token": {"env": "VAULT_TOKEN"}, "ca_pem": vault.ca, "namespace": "shop", "key": "orders"})
    return shop


def health(shop):
    return requests.get(shop.gateway.observe_url + "/health/keys", timeout=30).json()["key_rings"]


def values(records):
    return [record.value() for record in records]


def test_vault_holds_the_keys(shop, vault):
    start = shop.end()
    with shop.encrypted(key_ring="vault", what=["value", "key"]):
        shop.native.produce(shop.topic, [{"value": b"1", "key": b"k"}, {"value": None, "key": b"k"}])
        assert shop.ask(json={"id": "k"}).status_code == 201
        stored = shop.stored(start)
        edek = Envelope(stored[0].value()).edek.decode()
        assert edek.startswith("vault:v1:") and len({record.key() for record in stored}) == 1
        secret = base64.b64decode(vault._decrypt(vault.keys["orders"], {"ciphertext": edek})["plaintext"])
        assert open_envelope(stored[0].value(), secret, shop.topic) == b"1"
        assert [(record.key(), record.value()) for record in shop.read_native(start, 3)][:2] == [(b"k", b"1"), (b"k", None)]
        vault.rotate("orders")
        wait_until(lambda: ("decrypt", "orders") in vault.calls, what="the key to be verified")
        assert values(shop.read_native(start, 1)) == [b"1"]


def test_one_call_for_all_who_want_a_key(shop, vault):
    vault.add("many")
    # Connected before, so that all of them come while the key is known.
    producers = [Producer({**shop.native.config, "linger.ms": 0}) for _ in range(8)]
    for producer in producers:
        producer.produce(shop.topic, b"plain")
    assert [producer.flush(60) for producer in producers] == [0] * 8
    before = len(vault.calls)
    with shop.encrypted(key_ring="vault", key="many"):
        for producer in producers:
            producer.produce(shop.topic, b"x")
        assert [producer.flush(60) for producer in producers] == [0] * 8
    assert [call for call in vault.calls[before:] if call == ("datakey/plaintext", "many")] == [("datakey/plaintext", "many")]


def test_vault_is_away_and_comes_back(shop, vault):
    """What needs a key waits, then gets an error that may be retried; who only has to wait is served."""
    start = shop.end()
    vault.add("late")
    vault.stop()
    with shop.encrypted(key_ring="vault", key="late"):
        failed = []
        producer = Producer({**shop.native.config, "linger.ms": 0, "message.timeout.ms": 60000, "retry.backoff.ms": 50})
        producer.produce(shop.topic, b"patient", on_delivery=lambda error, _: failed.append(error))
        answer = shop.ask(json={"id": "a"})
        assert answer.status_code == 503 and "Retry-After" in answer.headers, answer.text
        assert failed == [] and shop.end() == start  # nothing is stored that should not be
        assert shop.gateway.metrics()['sluice_encryption_key_ring_up{key_ring="vault"}'] == 0
        assert health(shop)["vault"]["up"] is False and "127.0.0.1" in health(shop)["vault"]["error"]
        vault.start()
        assert producer.flush(60) == 0 and failed == [None]
        assert values(shop.read_native(start, 1)) == [b"patient"]
        cursor = shop.sample.page("?from=earliest&limit=1")["next"]
        vault.sealed = True
        time_to_forget(shop, start)
        session = shop.sample
        assert session.page("?from=latest&wait=0s")["events"] == []
        vault.sealed = False
        assert values(shop.read_native(start, 1)) == [b"patient"]
        assert cursor
        assert health(shop)["vault"] == {"provider": "vault", "up": True}


def time_to_forget(shop, start):
    """Until the key is known no more: what is read is then not to be had, for now."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            shop.read_native(start, 1, timeout=2)
        except AssertionError:
            return
    raise AssertionError("the key was never forgotten")


def test_a_key_that_vault_has_not_is_final(shop, vault):
    with shop.encrypted(key_ring="vault", key="nobody"):
        assert shop.ask(json={"id": "a"}).status_code == 422
        end = shop.end()
        with pytest.raises(AssertionError):
            shop.native.produce(shop.topic, [b"x"], **{"message.timeout.ms": 5000})
        assert shop.end() == end


def test_deleting_a_key_in_vault_shreds(shop, vault):
    vault.add("doomed")
    start = shop.end()
    with shop.encrypted(key_ring="vault", key="doomed"):
        shop.native.produce(shop.topic, [b"secret"])
        assert values(shop.read_native(start, 1)) == [b"secret"]
        del vault.keys["doomed"]
        time_to_forget(shop, start)
        wait_until(lambda: shop.ask(json={"id": "a"}).status_code == 422, what="publishing to be refused")


def test_aws_kms_holds_the_keys(shop, aws):
    start = shop.end()
    kek = aws.create_key(Description="orders")["KeyMetadata"]["KeyId"]
    mac = aws.create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_512")["KeyMetadata"]["KeyId"]
    aws.create_alias(AliasName=f"alias/{shop.topic}", TargetKeyId=kek)
    shop.admin.create("key-rings", name="aws", provider="aws-kms",
                      config={"url": aws.door.url, "region": REGION, "mac_key": mac, "key": "alias/{topic}",
                              "access_key_id": AWS["aws_access_key_id"],
                              "secret_access_key": {"env": "AWS_SECRET_ACCESS_KEY"}, "session_token": {"env": "AWS_TOKEN"}})
    with shop.encrypted(key_ring="aws", what=["value", "key"]):
        shop.native.produce(shop.topic, [{"value": b"1", "key": b"k"}, {"value": b"2", "key": b"k"}])
        first, second = shop.stored(start)
        envelope = Envelope(first.value())
        assert envelope.kek == f"alias/{shop.topic}" and first.key() == second.key()
        secret = aws.decrypt(CiphertextBlob=envelope.edek)["Plaintext"]
        assert open_envelope(first.value(), secret, shop.topic) == b"1"
        fixed = aws.generate_mac(KeyId=mac, MacAlgorithm="HMAC_SHA_512", Message=b"sluice 1 fixed key " + envelope.kek.encode())
        assert open_envelope(first.key(), fixed["Mac"], shop.topic) == b"k"
        assert [(record.key(), record.value()) for record in shop.read_native(start, 2)] == [(b"k", b"1"), (b"k", b"2")]
    assert aws.door.refused == [] and "x-amz-security-token" in aws.door.signed


def test_destroying_a_key_of_aws_takes_keys_of_records_along(shop, aws):
    """Where each KEK has a MAC key of its own. Nothing else is lost."""
    keks = {}
    for topic in (shop.topic, shop.other):
        for name, options in ((f"alias/k-{topic}", {}),
                              (f"alias/k-{topic}-mac", {"KeyUsage": "GENERATE_VERIFY_MAC", "KeySpec": "HMAC_512"})):
            keks[name] = aws.create_key(**options)["KeyMetadata"]["KeyId"]
            aws.create_alias(AliasName=name, TargetKeyId=keks[name])
    shop.admin.create("key-rings", name="aws-each", provider="aws-kms", config={
        "url": aws.door.url, "region": REGION, "mac_key": "{key}-mac", "key": "alias/k-{topic}",
        "access_key_id": AWS["aws_access_key_id"], "secret_access_key": {"env": "AWS_SECRET_ACCESS_KEY"}})
    cluster = {"kind": "virtual-cluster", "ref": shop.sample.virtual_cluster}
    starts = {topic: shop.end(topic) for topic in (shop.topic, shop.other)}
    with shop.encrypted(key_ring="aws-each", what=["value", "key"], scope=cluster):
        for topic in starts:
            shop.native.produce(topic, [{"value": None, "key": b"k"}])  # a key alone
        for name in (f"alias/k-{shop.topic}", f"alias/k-{shop.topic}-mac"):
            aws.delete_alias(AliasName=name)  # moto goes on with MAC keys that are to be deleted
            aws.schedule_key_deletion(KeyId=keks[name], PendingWindowInDays=7)
        wait_until(lambda: shop.fails_native(starts[shop.topic]) in (KafkaError.INVALID_MSG, KafkaError._BAD_MSG), 60,
                   "the key to be known no more")
        assert shop.read_native(starts[shop.other], 1, shop.other)[0].key() == b"k"


def test_partitions_and_compaction_go_by_the_key_that_clients_know(shop, kafka):
    topic = kafka.create_topic("keyed", partitions=6, config={"cleanup.policy": "compact", "segment.ms": "200",
                                                              "min.cleanable.dirty.ratio": "0.01", "segment.bytes": "1048576",
                                                              "delete.retention.ms": "60000", "file.delete.delay.ms": "100"})
    shop.admin.patch("deployments", f"{shop.sample.event_api}@{shop.sample.group}", topic=topic)
    with shop.encrypted(what=["value", "key"], scope={"kind": "virtual-cluster", "ref": shop.sample.virtual_cluster}):
        wait_until(lambda: topic in shop.native.admin.list_topics(timeout=30).topics, what="the topic")
        keys = [f"customer-{number}" for number in range(12)]
        for turn in range(3):
            shop.native.produce(topic, [{"value": b'{"turn":%d}' % turn, "key": key.encode()} for key in keys],
                                partitioner="murmur2_random")
        for key in keys:
            assert shop.ask(json={"id": key}).status_code == 201
        stored = kafka.consume_all(topic)
        places = {}
        for record in stored:
            places.setdefault(record.key(), set()).add(record.partition())
        assert len(places) == 12 and all(len(partitions) == 1 for partitions in places.values()), places

        def compacted():
            """A later record makes the segments before it closed ones."""
            shop.native.produce(topic, [{"value": b"roll", "key": b"roll", "partition": number} for number in range(6)])
            left = [record.key() for record in kafka.consume_all(topic) if record.key() in places]
            return len(left) == 12

        wait_until(compacted, 80, "the topic to be compacted")
        # What is left, with holes in its batches, is read decrypted, filtered and masked: natively and over HTTP.
        scope = {"kind": "virtual-cluster", "ref": shop.sample.virtual_cluster}
        for name, kind, config in (("left", "mask", {"keep_only": ["/id"]}),
                                   ("but", "filter", {"expression": "record.value.id != 'customer-3'"})):
            shop.admin.create("policies", name=name, type=kind, scope=scope, config=config)
        try:
            expected = sorted((key.encode(), key) for key in keys if key != "customer-3")
            wait_until(lambda: left(shop, topic) == expected, what="what is left, natively")

            def over_http():
                page = shop.sample.page("?from=earliest&limit=100&wait=1s")
                return page["caught_up"] and sorted(
                    (event["key"].encode(), event["data"]["id"]) for event in page["events"]) == expected

            wait_until(over_http, what="what is left, over HTTP")
        finally:
            for name in ("left", "but"):
                shop.admin.delete("policies", name)


def left(shop, topic):
    return sorted((record.key(), json.loads(record.value())["id"]) for record in shop.native.consume_all(topic, group="demo.")
                  if record.value().startswith(b'{"id"'))
