"""Rules for native requests: how topics are made and configured, batches written, clients called."""

import time
import uuid
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from kafka.record.memory_records import MemoryRecordsBuilder

from sluice_support import Definitions, KafkaHelper, NativeCluster, SampleApi, Wire, known, wait_until

TOPICS = {"max_partitions": 4, "max_replication_factor": 1,
          "topic_configs": [{"name": "cleanup.policy", "values": ["delete"], "required": True},
                            {"name": "retention.ms"}]}
GOOD = {"cleanup.policy": "delete"}
KINDS = ("none", "hide", "anonymous")


class Place:
    """A virtual cluster and a client of it."""

    def __init__(self, sample, kind):
        self.kind, self.prefix = kind, f"{uuid.uuid4().hex[:6]}." if kind == "hide" else ""
        self.cluster = NativeCluster(sample, f"native-{kind}",
                                     authentication=["anonymous" if kind == "anonymous" else "plain"],
                                     namespace={"mode": "hide", "prefix": self.prefix} if self.prefix else None)
        self.credentials = {} if kind == "anonymous" else {
            "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": sample.credential["id"],
            "sasl.password": sample.credential["secret"]}
        self.native = KafkaHelper(self.cluster.bootstrap_servers, self.credentials)
        wait_until(lambda: self.native.admin.list_topics(timeout=20), 60, "the listener")


@pytest.fixture(scope="module")
def sample(module_servers, kafka):
    sample = SampleApi(module_servers.control(), kafka.bootstrap_servers, kafka.create_topic("orders"))
    sample.start_gateway(module_servers)
    sample.places = {kind: Place(sample, kind) for kind in KINDS}
    return sample


@contextmanager
def rules(sample, config, place="none", **fields):
    """The policy of a virtual cluster, in force in every worker; in none afterwards."""
    policy = sample.admin.create("policies", name="r", type="kafka-requests", config=config,
                                 scope={"kind": "virtual-cluster", "ref": f"native-{place}"}, **fields)
    try:
        sample.wait_in_force(policy)
        yield
    finally:
        sample.admin.delete("policies", "r")
        sample.wait_in_force()


def named(prefix="t"):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def error_of(future):
    """The error's code and text, or None."""
    try:
        future.result(60)
        return None
    except KafkaException as error:
        return error.args[0].code(), error.args[0].str()


def create(place, *topics):
    """What becomes of each."""
    return [error_of(future) for future in place.native.admin.create_topics(list(topics)).values()]


def ready(place, topic, partitions=1):
    """Makes a topic that can be written."""
    place.native.create_topic(topic, partitions, exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_topics_are_made_by_the_rules_and_refused_one_by_one(sample, kafka, kind):
    place = sample.places[kind]
    good = named()
    bad = [NewTopic(named("many"), 5, 1, config=GOOD), NewTopic(named("copies"), 1, 3, config=GOOD),
           NewTopic(named("plain"), 1, 1), NewTopic(named("compact"), 1, 1, config={"cleanup.policy": "compact"}),
           NewTopic(named("kept"), 1, 1, config={**GOOD, "retention.ms": "1000"}),
           NewTopic(named("assigned"), 5, replica_assignment=[[1]] * 5, config=GOOD)]
    with rules(sample, TOPICS, kind):
        made = create(place, *bad, NewTopic(good, 4, 1, config=GOOD))
        assert made[-1] is None
        assert {error[0] for error in made[:-1]} == {KafkaError.POLICY_VIOLATION}, made
        assert "At most 4 partitions." in made[0][1] and "cleanup.policy: delete, required." in made[0][1]
        wait_until(lambda: len(place.native.admin.list_topics(good, timeout=30).topics[good].partitions) == 4,
                   what="the topic")
        there = kafka.admin.list_topics(timeout=30).topics
        assert place.prefix + good in there and not {place.prefix + topic.topic for topic in bad} & set(there)
        more = place.native.admin.create_partitions([NewPartitions(good, 6)])[good]
        assert error_of(more)[0] == KafkaError.POLICY_VIOLATION


def alter(place, changes):
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[
        ConfigEntry(name, value, incremental_operation=operation)]) for topic, name, value, operation in changes]
    return [error_of(future) for future in place.native.admin.incremental_alter_configs(resources).values()]


@pytest.mark.parametrize("kind", ("none", "hide"))
def test_configurations_are_changed_by_the_rules_and_refused_one_by_one(sample, kind):
    place, operation = sample.places[kind], AlterConfigOpType
    topics = [named() for _ in range(6)]
    for topic in topics:
        ready(place, topic)
    with rules(sample, TOPICS, kind):
        changed = alter(place, [(topics[0], "cleanup.policy", "compact", operation.SET),
                                (topics[1], "cleanup.policy", "delete", operation.SET),
                                (topics[2], "cleanup.policy", None, operation.DELETE),
                                (topics[3], "cleanup.policy", "compact", operation.APPEND),
                                (topics[4], "retention.ms", "1000", operation.SET),
                                (topics[5], "segment.ms", "60000", operation.SET)])
        violation = KafkaError.POLICY_VIOLATION
        assert [error and error[0] for error in changed] == [violation, None, violation, violation, violation, None]
        assert "retention.ms: not to be set" in changed[0][1]


def produced(place, topic, **config):
    """The error of a record's delivery, or None."""
    errors = []
    producer = Producer({**place.native.config, "linger.ms": 0, "message.timeout.ms": 50000, **config})
    producer.produce(topic, b"x" * 200, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(60) == 0
    return errors[0].code() if errors[0] else None


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_taken_by_the_rules(sample, kind):
    place, topic = sample.places[kind], named()
    ready(place, topic)
    config = {"acks_all": True, "compression": ["zstd", "lz4"], "idempotent": True}
    good = {"acks": "all", "compression.type": "zstd", "enable.idempotence": True}
    plain = {**good, "enable.idempotence": False}
    with rules(sample, config, kind):
        assert produced(place, topic, **good) is None
        assert produced(place, topic, **{**good, "compression.type": "none"}) == KafkaError.UNSUPPORTED_COMPRESSION_TYPE
        assert produced(place, topic, **{**good, "compression.type": "gzip"}) == KafkaError.UNSUPPORTED_COMPRESSION_TYPE
        assert produced(place, topic, **plain) == KafkaError.POLICY_VIOLATION
        assert produced(place, topic, **{**plain, "acks": "1"}) == KafkaError.INVALID_REQUIRED_ACKS
    assert produced(place, topic, **{**plain, "compression.type": "none"}) is None


def batch(codec):
    """Of now: a broker deletes what is older than its topic's retention, whenever it looks."""
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1 << 20)
    builder.append(timestamp=int(time.time() * 1000), key=None, value=b"value" * 20, headers=[])
    builder.close()
    return bytes(builder.buffer())


@pytest.mark.parametrize("kind", ("none", "hide"))
def test_a_partition_is_refused_and_not_the_others_of_the_request(sample, kind):
    """Also by topic ids, which version 13 has (Kafka 4.1)."""
    place, definitions, topic = sample.places[kind], Definitions(), named()
    ready(place, topic, 3)
    with rules(sample, {"compression": ["gzip"]}, kind):
        def partitions():
            return [{"Index": index, "Records": batch(codec)} for index, codec in ((0, 1), (1, 0), (2, 1))]
        with closing(Wire(definitions, f"127.0.0.1:{place.cluster.port + 2}", sample.credential["id"],
                          sample.credential["secret"])) as wire:
            topic_id = wire.ask(definitions.requests[3], 12, {"Topics": [{"Name": topic}]})["Topics"][0]["TopicId"]
            by_id = [(13, {"TopicId": topic_id})] if known("4.1") else []
            for version, name in ((9, {"Name": topic}), *by_id):
                answer = wire.ask(definitions.requests[0], version, {
                    "Acks": -1, "TimeoutMs": 5000, "TopicData": [{**name, "PartitionData": partitions()}]})
                got = {part["Index"]: part for part in answer["Responses"][0]["PartitionResponses"]}
                assert {index: part["ErrorCode"] for index, part in got.items()} == {0: 0, 1: 76, 2: 0}
                assert b"compression" in got[1]["ErrorMessage"]
    records = place.native.consume_all(topic)
    assert sorted(r.partition() for r in records if r.value() == b"value" * 20) == sorted([0, 2] * (1 + len(by_id)))


def decisions(sample, outcome):
    return sample.gateway.metrics().get(f'sluice_policy_decisions_total{{policy="r",outcome="{outcome}"}}', 0)


def test_a_client_that_calls_itself_otherwise_may_do_nothing(sample):
    place, topic = sample.places["none"], named()
    ready(place, topic)
    other = {"client.id": "nobody"}
    with rules(sample, {"client_id": "(shop|rdkafka)-?[a-z]*"}):
        denied, allowed = decisions(sample, "denied"), decisions(sample, "allowed")
        assert produced(place, topic, **other) == KafkaError.POLICY_VIOLATION
        assert produced(place, topic, **{"client.id": "shop-a"}) is None
        assert decisions(sample, "denied") > denied and decisions(sample, "allowed") > allowed
        wait_until(lambda: '"reason":"kafka-requests r: the client.id does not match"' in sample.gateway.log().decode(),
                   what="the reason in the log")
        assert place.native.admin.list_topics(topic, timeout=60).topics[topic].partitions


def test_a_rule_in_dry_run_or_with_a_condition_that_is_false_refuses_nothing(sample):
    place, topic = sample.places["none"], named()
    ready(place, topic)
    before = decisions(sample, "dry_run_denied")
    with rules(sample, {"compression": ["gzip"]}, dry_run=True):
        assert produced(place, topic) is None
        wait_until(lambda: "dry run: native request would have been denied" in sample.gateway.log().decode(),
                   what="the word in the log")
        assert decisions(sample, "dry_run_denied") > before
    with rules(sample, {"compression": ["gzip"], "acks_all": True},
               condition=f"application.name != '{sample.application}'"):
        assert produced(place, topic) is None
