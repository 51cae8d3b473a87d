"""The headers policy: fields of HTTP, headers of records, on REST, SSE and native Kafka."""

from contextlib import closing, contextmanager

import pytest
import requests
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from kafka.record.util import calc_crc32c as crc32c

from sluice_support import Definitions, KafkaHelper, SampleApi, Wire, free_ports, record_batch, wait_until


@pytest.fixture(scope="module")
def shop(module_servers, kafka):
    """The sample event API, also as kafka, with a native listener that takes its application."""
    topic = kafka.create_topic("orders")
    shop = SampleApi(module_servers.control(), kafka.bootstrap_servers, topic, exposures=["rest", "sse", "kafka"])
    shop.start_gateway(module_servers)
    port = free_ports(5)
    shop.admin.patch("virtual-clusters", shop.virtual_cluster, client_authentication=["plain"])
    shop.admin.create("listeners", name="kafka", gateway_group=shop.group, protocol="kafka", address=f"127.0.0.1:{port}",
                      kafka={"routing": "ports", "virtual_cluster": shop.virtual_cluster,
                             "port_ranges": [{"first_node_id": 0, "last_node_id": 3, "port_base": port + 1}]})
    shop.native = KafkaHelper(f"127.0.0.1:{port}", {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": shop.credential["id"],
        "sasl.password": shop.credential["secret"]})
    shop.broker = f"127.0.0.1:{port + 2}"  # node 1
    wait_until(lambda: topic in shop.native.admin.list_topics(timeout=20).topics, 60, "the listener")
    return shop


@contextmanager
def rules(shop, *listed, name="h", **fields):
    """In force in every worker from the beginning, and in none at the end."""
    fields = {"scope": {"kind": "event-api", "ref": shop.event_api}, **fields}
    policy = shop.admin.create("policies", name=name, type="headers", config={"rules": list(listed)}, **fields)
    try:
        shop.wait_in_force(policy)
        yield
    finally:
        shop.admin.delete("policies", name)
        shop.wait_in_force()


def ask(shop, method="POST", **headers):
    session = requests.Session()
    session.trust_env = False
    body = {"json": {"n": 1}} if method == "POST" else {}
    return session.request(method, shop.url, headers={"X-API-Key": shop.key, **headers}, timeout=30, **body)


def probe(header):
    """A rule that shows that its policy has arrived, and the field by which it does."""
    return {"in": "response", "action": "set", "name": header, "value": "yes"}


def arrived(shop, header, there=True):
    assert (header in ask(shop, "HEAD").headers) == there


def stored(kafka, shop):
    return kafka.consume_all(shop.topic)[-1].headers() or []


def test_what_is_published_is_stamped(shop, kafka):
    stamp = {"in": "publish", "action": "set", "name": "ce_tenant", "value": "${application.name}/${plan.name}"}
    with rules(shop, stamp, {"in": "publish", "action": "add", "name": "via", "value": "a"},
               {"in": "publish", "action": "add", "name": "via", "value": "b"},
               {"in": "publish", "action": "remove", "name": "idempotency-key"},
               {"in": "request", "action": "rename", "name": "X-Event-Id", "to": "ce-id"}, probe("X-Stamped")):
        arrived(shop, "X-Stamped")
        answer = ask(shop, **{"ce-specversion": "1.0", "X-Event-Id": "7", "ce-source": "/t", "ce-type": "t",
                              "ce-tenant": "forged", "Idempotency-Key": "k"})
        assert answer.status_code == 201, answer.text
        headers = stored(kafka, shop)
        assert [value for name, value in headers if name == "ce_tenant"] == [f"{shop.application}/free".encode()]
        assert [value for name, value in headers if name == "via"] == [b"a", b"b"]
        assert ("ce_id", b"7") in headers and "idempotency-key" not in dict(headers)
    arrived(shop, "X-Stamped", False)


def test_what_is_read_loses_and_gains_headers_everywhere(shop, kafka):
    """Pages, new streams, and a stream that was open before."""
    start = shop.page("?from=latest&wait=0s")["next"]
    before = {"headers": [("internal", b"x"), ("tag", b"1"), ("tag", b"2")], "value": b"1"}
    after = [{"name": "label", "value": "1"}, {"name": "label", "value": "2"}, {"name": "seen", "value": "yes"}]
    ours = lambda event: event["data"] == 1  # what was published before may be behind `start`
    headers_of = lambda stream, count: [event.json()["headers"] for event in stream.find(count, lambda e: ours(e.json()))]
    kafka.produce(shop.topic, [before])
    with shop.stream(query=f"?cursor={start}") as old:
        assert [header["name"] for header in headers_of(old, 1)[0]] == ["internal", "tag", "tag"]
        with rules(shop, {"in": "read", "action": "remove", "name": "internal"},
                   {"in": "read", "action": "rename", "name": "tag", "to": "label"},
                   {"in": "read", "action": "add", "name": "seen", "value": "yes"}, probe("X-Read")):
            arrived(shop, "X-Read")
            kafka.produce(shop.topic, [before])
            assert headers_of(old, 1) == [after]
            with shop.stream(query=f"?cursor={start}") as new:
                assert headers_of(new, 2) == [after, after]
            page = lambda: list(filter(ours, shop.page(f"?cursor={start}&wait=1s")["events"]))
            wait_until(lambda: len(page()) == 2, what="a page of both")
            assert [event["headers"] for event in page()] == [after, after]
        arrived(shop, "X-Read", False)
        kafka.produce(shop.topic, [before])
        assert headers_of(old, 1)[0][0]["name"] == "internal"


def test_answers_are_changed_also_when_they_refuse(shop):
    with rules(shop, probe("X-Answered"), {"in": "response", "action": "remove", "name": "Retry-After"}):
        arrived(shop, "X-Answered")
        assert "X-Answered" in ask(shop, **{"X-API-Key": "wrong"}).headers
        with shop.stream() as reader:
            assert reader.headers["X-Answered"] == "yes"
    arrived(shop, "X-Answered", False)


def test_rules_of_a_plan_or_with_a_condition_concern_their_requests(shop):
    with rules(shop, probe("X-Plan"), scope={"kind": "plan", "ref": shop.plan}):
        arrived(shop, "X-Plan")
        assert "X-Plan" not in ask(shop, **{"X-API-Key": "wrong"}).headers
    with rules(shop, probe("X-Condition"), condition="'x-ask' in request.headers"):
        assert "X-Condition" in ask(shop, **{"X-Ask": "1"}).headers
        assert "X-Condition" not in ask(shop).headers


MIXED = [{"value": b"1", "key": b"k", "headers": [("via", b"0"), ("internal", b"x"), ("via", None)]},
         {"value": None, "key": b"gone"}, *({"value": b"%d" % number} for number in range(50))]


def parts(record):
    return record.key(), record.value(), record.headers() or []


def consume_from_start(shop, count):
    """What so many records from the start of the topic are to a native client."""
    consumer = Consumer({**shop.native.config, "group.id": f"{shop.application}.{shop.topic}", "enable.auto.commit": False})
    consumer.assign([TopicPartition(shop.topic, 0, OFFSET_BEGINNING)])
    try:
        found = consumer.consume(count, timeout=60)
        assert [record.error() for record in found] == [None] * count
        return [parts(record) for record in found]
    finally:
        consumer.close()


CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def test_native_clients_write_by_the_rules(shop, kafka):
    stamp = {"in": "publish", "action": "set", "name": "tenant", "value": "${application.name}/${plan.name}"}
    with rules(shop, stamp, {"in": "publish", "action": "add", "name": "via", "value": "a"},
               {"in": "publish", "action": "remove", "name": "internal"}, probe("X-Written")):
        arrived(shop, "X-Written")
        tenant, via = ("tenant", f"{shop.application}/free".encode()), ("via", b"a")
        first = (b"k", b"1", [("via", b"0"), ("via", None), tenant, via])
        for codec in CODECS:
            before = len(kafka.consume_all(shop.topic))
            config = {"compression.type": codec, "linger.ms": 100, "enable.idempotence": True}
            shop.native.produce(shop.topic, MIXED, **config)
            shop.native.produce(shop.topic, MIXED[:1], **config)
            records = [parts(record) for record in kafka.consume_all(shop.topic)[before:]]
            assert records == [first, (b"gone", None, [tenant, via]),
                               *((None, record["value"], [tenant, via]) for record in MIXED[2:]), first], codec
    arrived(shop, "X-Written", False)


def test_native_clients_read_by_the_rules(shop, kafka):
    kafka.delete_records(shop.topic, {0: -1})
    for codec in CODECS:
        kafka.produce(shop.topic, MIXED, **{"compression.type": codec, "linger.ms": 100})
    stored = [parts(record) for record in kafka.consume_all(shop.topic)]
    with rules(shop, {"in": "read", "action": "remove", "name": "internal"},
               {"in": "read", "action": "rename", "name": "via", "to": "by"}, probe("X-Seen")):
        arrived(shop, "X-Seen")
        assert consume_from_start(shop, len(stored)) == [
            (key, value, [("by", content) for name, content in headers if name == "via"])
            for key, value, headers in stored]
    arrived(shop, "X-Seen", False)


def test_batches_that_rules_cannot_be_applied_to_are_refused_and_not_stored(shop, kafka):
    """Also those that no broker would have looked into before it stored them."""
    whole = bytearray(record_batch())
    damaged, control, unknown, old = (bytearray(whole) for _ in range(4))
    damaged[-1] ^= 1
    control[22] |= 0x20
    unknown[22] |= 0x07
    old[16] = 1
    control[17:21], unknown[17:21] = (crc32c(batch[21:]).to_bytes(4, "big") for batch in (control, unknown))
    with rules(shop, {"in": "publish", "action": "add", "name": "via", "value": "a"}, probe("X-Damaged")):
        arrived(shop, "X-Damaged")
        before = len(kafka.consume_all(shop.topic))
        with closing(Wire(Definitions(), shop.broker, shop.credential["id"], shop.credential["secret"])) as wire:
            def produce(batch):
                tree = {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": shop.topic, "PartitionData": [
                    {"Index": 0, "Records": bytes(batch)}]}]}
                answer = wire.ask(wire.definitions.requests[0], 9, tree)
                return answer["Responses"][0]["PartitionResponses"][0]

            answer = produce(damaged)
            assert answer["ErrorCode"] == 2 and b"damaged" in answer["ErrorMessage"]  # CORRUPT_MESSAGE
            wait_until(lambda: "The checksum of the record batch at offset 0" in shop.gateway.log().decode(),
                       what="the word in the log")
            assert produce(whole[:-1])["ErrorCode"] == 2
            assert produce(whole + whole)["ErrorCode"] == 87  # INVALID_RECORD
            assert produce(control)["ErrorCode"] == 87
            assert produce(unknown)["ErrorCode"] == 43  # UNSUPPORTED_FOR_MESSAGE_FORMAT
            assert produce(old)["ErrorCode"] == 43
            assert produce(whole)["ErrorCode"] == 0
        (stored,) = kafka.consume_all(shop.topic)[before:]
        assert stored.headers() == [("via", b"a")]
    arrived(shop, "X-Damaged", False)


def test_a_transaction_is_written_by_the_rules(shop, kafka):
    with rules(shop, {"in": "publish", "action": "add", "name": "via", "value": "a"}, probe("X-Transaction")):
        arrived(shop, "X-Transaction")
        producer = Producer({**shop.native.config, "compression.type": "lz4",
                             "transactional.id": f"{shop.application}.{shop.topic}"})
        producer.init_transactions(60)
        for value, finish in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
            producer.begin_transaction()
            producer.produce(shop.topic, value)
            producer.flush(60)
            finish(60)
        last = kafka.consume_all(shop.topic)[-1]
        assert parts(last) == (None, b"committed", [("via", b"a")])
    arrived(shop, "X-Transaction", False)


def test_a_condition_leaves_native_clients_alone(shop, kafka):
    with rules(shop, {"in": "publish", "action": "add", "name": "via", "value": "a"}, probe("X-Native"),
               condition="request.protocol == 'http'"):
        arrived(shop, "X-Native")
        shop.native.produce(shop.topic, [b"native"])
        assert parts(kafka.consume_all(shop.topic)[-1]) == (None, b"native", [])
    arrived(shop, "X-Native", False)
