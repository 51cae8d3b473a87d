"""Native clients in virtual clusters with a namespace: everything works under the short names, the backend holds the long
ones, and lists hold nothing of others."""

import socket
import struct
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest
import requests
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec,
                                   ResourceType)

from sluice_support import Definitions, SampleApi, SseReader, Tenant, Wire, known, receive_frame, record_batch, wait_until


@pytest.fixture(scope="module")
def sample(module_servers, kafka):
    """What gateways have seen is soon known."""
    sample = SampleApi(module_servers.control(node_heartbeat="500ms"), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.start_gateway(module_servers)
    return sample


@pytest.fixture(scope="module")
def hide(sample):
    return Tenant(sample, "hide")


@pytest.fixture(scope="module")
def enforce(sample):
    return Tenant(sample, "enforce")


@pytest.fixture(params=["hide", "enforce"])
def tenant(request):
    return request.getfixturevalue(request.param)


def consume(tenant, topics, count, **config):
    """`count` records by a group."""
    consumer = Consumer({**tenant.config, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "group.id": tenant.shown + f"g-{uuid.uuid4().hex[:8]}", **config})
    records = []
    try:
        consumer.subscribe(topics)
        while len(records) < count:
            message = consumer.poll(60)
            assert message is not None, "nothing within 60 s"
            if message.error() is None:
                records.append(message)
            elif not message.error().retriable() and message.error().code() != 3:
                raise AssertionError(message.error())
        consumer.commit(asynchronous=False)
        committed = consumer.committed(consumer.assignment(), timeout=60)
        assert sum(max(p.offset, 0) for p in committed) == count
    finally:
        consumer.close()
    return records


def test_topics_have_the_prefix_on_the_backend_alone(tenant, kafka):
    topic = tenant.create("plain", partitions=2)
    assert tenant.backend(topic) in kafka.admin.list_topics(timeout=30).topics
    topics = tenant.admin.list_topics(timeout=30).topics
    assert topic in topics
    assert all(name.startswith(tenant.shown) for name in topics)
    assert not any(name.startswith("__") for name in topics)
    if tenant.shown == "":
        assert not any(tenant.prefix in name for name in topics)


def test_produce_and_consume(tenant, kafka):
    topic = tenant.create("records", partitions=3)
    values = [uuid.uuid4().bytes for _ in range(100)]
    tenant.helper.produce(topic, values)
    assert sorted(r.value() for r in kafka.consume_all(tenant.backend(topic))) == sorted(values)
    records = tenant.helper.consume_all(topic)
    assert sorted(r.value() for r in records) == sorted(values)
    assert {r.topic() for r in records} == {topic}


def told(value):
    return value.decode() if isinstance(value, bytes) and len(value) != 16 else value


def test_a_large_produce_reaches_the_namespace_alone(hide, kafka):
    """It goes on before all of it is there: by name, and by id (since Kafka 4.1); one's own topic and another's."""
    own, foreign, definitions = hide.create("large-frame"), kafka.create_topic("foreign"), Definitions()
    names = {"own": {"Name": own}, "another's": {"Name": foreign}, "another's, as it is": {"Name": hide.backend(foreign)}}
    ids = {"own": {"TopicId": kafka.topic_id(hide.backend(own))}, "another's": {"TopicId": kafka.topic_id(foreign)}}
    data = [{"Index": 0, "Records": record_batch([b"x" * 900_000])}]
    codes = {}
    for version, topics in ((9, names), (13, ids if known("4.1") else {})):
        for label, topic in topics.items():
            with closing(Wire(definitions, f"127.0.0.1:{hide.cluster.port + 2}")) as wire:
                answer = wire.ask(definitions.requests[0], version, {
                    "Acks": -1, "TimeoutMs": 25_000, "TopicData": [{**topic, "PartitionData": data}]})
            response, = answer["Responses"]
            assert topic.items() <= {key: told(value) for key, value in response.items()}.items()
            codes[version, label] = response["PartitionResponses"][0]["ErrorCode"]
    assert {code for (_, label), code in codes.items() if label == "own"} == {0}
    assert all(code in (3, 17, 100) for (_, label), code in codes.items() if label != "own"), codes
    assert kafka.end_offsets(hide.backend(own)) == {0: 1 + known("4.1")}
    assert kafka.end_offsets(foreign) == {0: 0}


def test_large_answers(tenant):
    topic = tenant.create("large", config={"max.message.bytes": "5000000"})
    values = [bytes([n]) * 900_000 for n in range(6)]
    tenant.helper.produce(topic, values, **{"message.max.bytes": 4_000_000})
    assert [r.value() for r in tenant.helper.consume_all(topic)] == values


@pytest.mark.parametrize("protocol", ["classic", "consumer"] if known("4.0") else ["classic"])
def test_consumer_groups(tenant, kafka, protocol):
    topic = tenant.create(f"grouped-{protocol}", partitions=2)
    tenant.helper.produce(topic, [str(n).encode() for n in range(20)])
    group = tenant.shown + f"group-{protocol}"
    consume(tenant, [topic], 20, **{"group.id": group, "group.protocol": protocol})
    listed = {g.group_id for g in tenant.admin.list_consumer_groups().result(60).valid}
    assert group in listed and all(name.startswith(tenant.shown) for name in listed)
    assert not any(name.startswith(tenant.prefix) for name in listed) or tenant.shown
    theirs = {g.group_id for g in kafka.admin.list_consumer_groups().result(60).valid}
    assert tenant.backend(group) in theirs
    described = tenant.admin.describe_consumer_groups([group])[group].result(60)
    assert described.group_id == group
    # Its member is gone a moment after it has left.
    wait_until(lambda: tenant.admin.delete_consumer_groups([group])[group].result(60) is None, 60, "the group to be deleted")


def test_a_described_group_shows_its_clients_names(tenant):
    topic = tenant.create("described", partitions=2)
    tenant.helper.produce(topic, [b"x"])
    group = tenant.shown + "described"
    consumer = Consumer({**tenant.config, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        wait_until(lambda: (record := consumer.poll(0.5)) and record.error() is None, 60, "a record")
        member, = tenant.admin.describe_consumer_groups([group])[group].result(60).members
        assert {p.topic for p in member.assignment.topic_partitions} == {topic}
    finally:
        consumer.close()


def test_patterns_reach_the_namespace_alone(hide, kafka):
    """KIP-848: the broker evaluates the pattern; with the protocol before it, the client does."""
    ours = hide.create(f"matched-{uuid.uuid4().hex[:6]}")
    kafka.create_topic("matched")
    hide.helper.produce(ours, [b"ours"])
    records = consume(hide, ["^matched-.*"], 1, **{"group.protocol": "consumer" if known("4.0") else "classic"})
    assert {r.topic() for r in records} == {ours}


def test_transactions(tenant):
    topic = tenant.create("transaction")
    producer = Producer({**tenant.config, "transactional.id": tenant.shown + "txn"})
    producer.init_transactions(60)
    for outcome in ("commit_transaction", "abort_transaction"):
        producer.begin_transaction()
        producer.produce(topic, outcome)
        getattr(producer, outcome)(60)
    tenant.helper.produce(topic, [b"after"])
    # The transaction has ended before its markers are written.
    wait_until(lambda: tenant.helper.consume_all(topic)[-1].value() == b"after", 60, "the markers")
    assert [r.value() for r in tenant.helper.consume_all(topic)] == [b"commit_transaction", b"after"]


def test_offsets_in_a_transaction(tenant):
    source, target = tenant.create("txn-source"), tenant.create("txn-target")
    tenant.helper.produce(source, [b"a", b"b"])
    consumer = Consumer({**tenant.config, "group.id": tenant.shown + "txn-group", "auto.offset.reset": "earliest",
                         "enable.auto.commit": False})
    producer = Producer({**tenant.config, "transactional.id": tenant.shown + "txn-offsets"})
    producer.init_transactions(60)
    consumer.subscribe([source])
    try:
        wait_until(lambda: (record := consumer.poll(0.5)) and record.error() is None, 60, "a record")
        producer.begin_transaction()
        producer.produce(target, b"copied")
        producer.send_offsets_to_transaction([TopicPartition(source, 0, 1)], consumer.consumer_group_metadata(), 60)
        producer.commit_transaction(60)
        # The transaction has ended before its markers are written, of which the one among the offsets is.
        wait_until(lambda: consumer.committed([TopicPartition(source, 0)], timeout=60)[0].offset == 1, 60, "the offset")
    finally:
        consumer.close()


def test_administration(tenant, kafka):
    topic = tenant.create("administered", config={"retention.ms": "60000"})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    config = tenant.admin.describe_configs([resource])[resource].result(60)
    assert config["retention.ms"].value == "60000"
    tenant.admin.create_partitions([NewPartitions(topic, 3)])[topic].result(60)
    wait_until(lambda: len(kafka.admin.list_topics(timeout=5).topics[tenant.backend(topic)].partitions) == 3, 60,
               "the partitions")
    tenant.helper.produce(topic, [{"value": b"x", "partition": 0}] * 3)
    tenant.helper.delete_records(topic, {0: 2})
    earliest = TopicPartition(topic, 0)
    assert tenant.admin.list_offsets({earliest: OffsetSpec.earliest()})[earliest].result(60).offset == 2
    tenant.helper.delete_topic(topic)
    wait_until(lambda: tenant.backend(topic) not in kafka.admin.list_topics(timeout=5).topics, 60, "the deletion")


def test_a_broker_is_not_the_tenants_to_configure(tenant):
    resource = ConfigResource(ResourceType.BROKER, "1")
    with pytest.raises(KafkaException) as refused:
        tenant.admin.describe_configs([resource])[resource].result(60)
    assert refused.value.args[0].name() == "CLUSTER_AUTHORIZATION_FAILED"


def test_error_texts_have_no_prefix(hide):
    topic = hide.create("twice")
    with pytest.raises(KafkaException) as refused:
        hide.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(60)
    assert hide.prefix not in refused.value.args[0].str() and topic in refused.value.args[0].str()
    with pytest.raises(KafkaException) as refused:
        hide.admin.create_topics([NewTopic("x" * 249, 1, 1)])["x" * 249].result(60)
    assert hide.prefix not in refused.value.args[0].str()


def test_names_outside_of_an_enforced_namespace(enforce, kafka):
    foreign = kafka.create_topic("foreign")
    kafka.produce(foreign, [b"secret"])
    assert foreign not in enforce.admin.list_topics(timeout=30).topics
    described = enforce.admin.list_topics(foreign, timeout=10).topics[foreign]
    assert described.error is not None and not described.partitions
    with pytest.raises(KafkaException):
        enforce.admin.create_topics([NewTopic("outside", 1, 1)])["outside"].result(60)
    with pytest.raises(KafkaException):
        enforce.admin.delete_topics([foreign])[foreign].result(60)
    assert foreign in kafka.admin.list_topics(timeout=30).topics
    errors = []
    consumer = Consumer({**enforce.config, "group.id": "outside", "error_cb": errors.append})
    consumer.subscribe([enforce.create("inside")])
    try:
        wait_until(lambda: (message := consumer.poll(0.2)) and message.error() and
                   message.error().name() == "GROUP_AUTHORIZATION_FAILED" or
                   any(e.name() == "GROUP_AUTHORIZATION_FAILED" for e in errors), 60, "the group to be refused")
    finally:
        consumer.close()
    producer = Producer({**enforce.config, "transactional.id": "outside"})
    with pytest.raises(KafkaException) as refused:
        producer.init_transactions(60)
    assert refused.value.args[0].name() == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"


def conflicts(sample, tenant):
    answer = sample.admin.request("GET", f"/v1/virtual-clusters/{tenant.cluster.name}/conflicts", expect=200).json()
    assert answer["virtual_cluster"] == tenant.cluster.name
    return answer["conflicts"]


def test_extra_topics_are_read_and_written_but_not_changed(sample, kafka):
    shared = kafka.create_topic("shared")
    tenant = Tenant(sample, "hide", extra_topics=["shared-*"])
    own = tenant.create("own")
    assert set(tenant.admin.list_topics(timeout=30).topics) >= {shared, own}
    tenant.helper.produce(shared, [b"from here"])
    assert [r.value() for r in kafka.consume_all(shared)] == [b"from here"]
    assert [r.value() for r in tenant.helper.consume_all(shared)] == [b"from here"]
    kafka.create_topic(tenant.prefix + shared, exact=True)  # the extra topic wins over it
    series = f'sluice_kafka_shadowed_topics_total{{virtual_cluster="{tenant.cluster.name}"}}'
    wait_until(lambda: tenant.admin.list_topics(timeout=30) and sample.gateway.metrics()[series] > 0, 60,
               "the loser to be counted")
    assert len([name for name in tenant.admin.list_topics(timeout=30).topics if shared in name]) == 1
    conflict, = wait_until(lambda: conflicts(sample, tenant), 60, "the loser in the admin API")
    assert (conflict["kind"], conflict["name"], conflict["topic"]) == ("same-name", shared, tenant.prefix + shared)
    assert (conflict["winner"], conflict["loser"]) == ("extra-topic", "namespace") and len(conflict["nodes"]) == 1
    with pytest.raises(KafkaException):
        tenant.admin.delete_topics([shared])[shared].result(60)
    with pytest.raises(KafkaException):
        tenant.admin.create_partitions([NewPartitions(shared, 2)])[shared].result(60)
    assert shared in kafka.admin.list_topics(timeout=30).topics


def test_without_acks_nothing_is_lost_when_the_client_leaves(hide, kafka):
    """Its topic id may have to be asked for first."""
    topic = hide.create("unacknowledged")
    producer = Producer({**hide.config, "acks": 0, "linger.ms": 0})
    for n in range(200):
        producer.produce(topic, str(n))
        producer.poll(0)
    assert producer.flush(60) == 0
    del producer
    wait_until(lambda: len(kafka.consume_all(hide.backend(topic))) == 200, 60, "200 records")


def refusal(futures):
    with pytest.raises(KafkaException) as refused:
        next(iter(futures.values())).result(60)
    return refused.value.args[0]


def test_limits_of_a_namespace(sample, kafka):
    limits = {"topics": 2, "partitions": 5, "topic_configs": ["retention.ms"]}
    tenant = Tenant(sample, "hide", namespace={"limits": limits})
    config = refusal(tenant.admin.create_topics([NewTopic("x", 1, 1, config={"cleanup.policy": "compact"})]))
    assert config.name() == "POLICY_VIOLATION" and "of configurations retention.ms" in config.str()
    first = tenant.create("first", partitions=2, config={"retention.ms": "60000"})
    partitions = refusal(tenant.admin.create_topics([NewTopic("large", 4, 1)]))
    assert partitions.name() == "POLICY_VIOLATION" and "2 topics, 5 partitions in all" in partitions.str()
    several = tenant.admin.create_topics([NewTopic("second", 2, 1), NewTopic("third", 1, 1)])  # each for itself
    several["second"].result(60)
    assert refusal({"third": several["third"]}).name() == "POLICY_VIOLATION"
    topics = refusal(tenant.admin.create_topics([NewTopic("third", 1, 1)]))
    assert topics.name() == "POLICY_VIOLATION" and "2 topics" in topics.str()
    assert refusal(tenant.admin.create_topics([NewTopic(first, 1, 1)])).name() == "TOPIC_ALREADY_EXISTS"
    assert refusal(tenant.admin.create_partitions([NewPartitions(first, 4)])).name() == "POLICY_VIOLATION"
    tenant.admin.create_partitions([NewPartitions(first, 3)])[first].result(60)
    assert not {tenant.backend(name) for name in ("large", "third", "x")} & set(kafka.admin.list_topics().topics)
    changes = {first: ("retention.ms", "70000"), "second": ("cleanup.policy", "compact")}
    changed = tenant.admin.incremental_alter_configs([
        ConfigResource(ResourceType.TOPIC, name, incremental_configs=[
            ConfigEntry(*change, incremental_operation=AlterConfigOpType.SET)]) for name, change in changes.items()])
    changed[ConfigResource(ResourceType.TOPIC, first)].result(60)  # each for itself, too
    config = refusal({"second": changed[ConfigResource(ResourceType.TOPIC, "second")]})
    assert config.name() == "POLICY_VIOLATION" and "of configurations retention.ms" in config.str()
    shown = [ConfigResource(ResourceType.TOPIC, tenant.backend(name)) for name in changes]

    def now():
        return [future.result(60) for future in kafka.admin.describe_configs(shown).values()]

    wait_until(lambda: now()[0]["retention.ms"].value == "70000", what="the change at the broker")
    assert now()[1]["cleanup.policy"].value == "delete"


def test_limits_hold_for_connections_at_once(sample):
    """Sixteen of one gateway, each of which finds the same list of topics."""
    limited = Tenant(sample, "hide", namespace={"limits": {"topics": 2}})
    definitions = Definitions()

    def create(n):
        topic = {"Name": f"t{n}", "NumPartitions": 1, "ReplicationFactor": 1, "Assignments": [], "Configs": []}
        wire = Wire(definitions, f"127.0.0.1:{limited.cluster.port + 2}")
        try:
            return wire.ask(definitions.requests[19], 7, {"Topics": [topic], "timeoutMs": 25000})["Topics"][0]["ErrorCode"]
        finally:
            wire.close()

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, range(32))) == [0] * 2 + [44] * 30  # POLICY_VIOLATION


def test_a_client_that_cannot_say_that_no_topic_is_to_be_made_is_closed(sample):
    """Metadata before version 4, in a namespace where that matters; the log says why."""
    limited = Tenant(sample, "hide", namespace={"limits": {"topics": 2}})
    body = struct.pack(">hhihi", 3, 1, 7, -1, 1) + struct.pack(">h", 6) + b"orders"
    with socket.create_connection(("127.0.0.1", limited.cluster.port), timeout=60) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    wait_until(lambda: b"Metadata version 1 makes topics" in sample.gateway.log(), 60, "the reason in the log")


def test_aliases_and_filters(sample, kafka):
    legacy = kafka.create_topic("legacy")
    names = {"aliases": [{"name": "orders", "topic": legacy}], "topic_filter": ["public-*"], "group_filter": ["team-*"]}
    tenant = Tenant(sample, "hide", namespace=names)
    public = tenant.create("public-one")
    assert set(tenant.admin.list_topics(timeout=30).topics) == {"orders", public}
    assert tenant.admin.list_topics("secret", timeout=10).topics["secret"].error.name() == "UNKNOWN_TOPIC_OR_PART"
    tenant.helper.produce("orders", [b"by another name"])
    assert [r.value() for r in kafka.consume_all(legacy)] == [b"by another name"]
    assert [r.topic() for r in consume(tenant, ["orders"], 1, **{"group.id": "team-1"})] == ["orders"]
    assert refusal(tenant.admin.create_topics([NewTopic("secret", 1, 1)])) is not None
    sample.admin.patch("virtual-clusters", tenant.cluster.name, extra_topics=[legacy, "ord*"])
    assert [(c["kind"], c["name"], c["winner"], c["loser"]) for c in conflicts(sample, tenant)] == [
        ("same-name", "orders", "alias", "extra-topic"), ("two-names", "orders", "alias", "extra-topic")]
    assert refusal(tenant.admin.delete_topics(["orders"])) is not None
    assert legacy in kafka.admin.list_topics(timeout=30).topics


def test_native_and_http_meet_in_one_virtual_cluster(sample):
    """What an application's client writes, the same application reads over HTTP and as a stream, by the name that both have
    for it."""
    credential = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
                  "sasl.username": sample.credential["id"], "sasl.password": sample.credential["secret"]}
    tenant = Tenant(sample, "hide", config=credential, authentication=["plain"])
    topic = tenant.create("both")
    sample.admin.create("event-apis", name="both", major=1, team=sample.team, operations=["publish", "read"],
                        exposures=["rest", "sse"], lifecycle="published")
    sample.admin.create("deployments", event_api="both.v1", gateway_group=sample.group,
                        virtual_cluster=tenant.cluster.name, topic=topic, listener=sample.listener)
    sample.admin.create("products", name="both", team=sample.team, visibility="public", lifecycle="published",
                        event_apis=["both.v1"])
    sample.admin.create("plans", product="both", name="free", operations=["publish", "read"], approval="auto")
    sample.wait_in_force(sample.admin.create("subscriptions", application=sample.application, plan="both.free",
                                             environment="dev"))
    url, headers = f"http://127.0.0.1:{sample.port}/both/v1/events", {"X-API-Key": sample.key}
    assert requests.get(url, headers=headers, timeout=60).status_code == 200
    tenant.helper.produce(topic, [b'{"from": "native"}'])
    page = requests.get(url, params={"from": "earliest", "wait": "20"}, headers=headers, timeout=60).json()
    assert [event["data"] for event in page["events"]] == [{"from": "native"}]
    stream = SseReader(url + "?from=earliest", headers)
    try:
        assert stream.take(1)[0].json()["data"] == {"from": "native"}
        tenant.helper.produce(topic, [b'{"from": "native", "later": true}'])
        assert stream.take(1)[0].json()["data"] == {"from": "native", "later": True}
    finally:
        stream.close()
    assert requests.post(url, json={"from": "http"}, headers=headers, timeout=60).status_code == 201
    assert [r.value() for r in tenant.helper.consume_all(topic)][2] == b'{"from": "http"}'


def test_names_at_the_limit_once_prefixed(hide, kafka):
    longest = "t" * (249 - len(hide.prefix))
    assert hide.create(longest) in hide.admin.list_topics(timeout=30).topics
    hide.helper.produce(longest, [b"x"])
    assert [r.value() for r in hide.helper.consume_all(longest)] == [b"x"]
    hide.helper.delete_topic(longest)
    refused = refusal(hide.admin.create_topics([NewTopic(longest + "t", 1, 1)]))
    assert refused.name() == "TOPIC_EXCEPTION"
    assert hide.prefix not in refused.str() and longest in refused.str()


def compact_metadata(topic):
    """Metadata version 9 of a topic whose name is any bytes."""
    body = struct.pack(">hhih", 3, 9, 7, -1) + b"\0" + b"\x02" + bytes([len(topic) + 1]) + topic + b"\0" + b"\0\0\0\0"
    return struct.pack(">i", len(body)) + body


@pytest.mark.parametrize("name", [b"", b"\xff\xfe", b"a/b", b"\0", b"\x1fx", b"..", "\u00e4".encode()])
def test_a_name_that_cannot_be_is_answered_as_such(tenant, name):
    """As at a broker, and under the name that was asked for."""
    with socket.create_connection(("127.0.0.1", tenant.cluster.port), timeout=60) as connection:
        connection.sendall(compact_metadata(name))
        answer = receive_frame(connection)
    shown = name.decode(errors="replace").encode()  # brokers do that
    assert struct.pack(">h", 17) + bytes([len(shown) + 1]) + shown in answer  # INVALID_TOPIC_EXCEPTION
    assert tenant.shown or tenant.prefix.encode() not in answer
