"""What the Python clients do: each function takes a target's address and a word that no other run uses, checks what must
hold anywhere, and returns what is then compared between the targets."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.admin import NewTopic as OtherNewTopic
from kafka.structs import TopicPartition as OtherPartition

from sluice_support import KafkaHelper, known

SECONDS = 90  # until a scenario has failed
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def _create(address, topic, partitions=1, **config):
    """Usable at once; an administrator there."""
    helper = KafkaHelper(address)
    helper.create_topic(topic, partitions, config, exact=True)
    return helper.admin


def _poll(consumer, count):
    """The next records."""
    records, deadline = [], time.monotonic() + SECONDS
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records"
        message = consumer.poll(0.5)
        if message is not None:
            assert message.error() is None, message.error()
            records.append(message)
    return records


def _consumer(address, group, **config):
    return Consumer({"bootstrap.servers": address, "group.id": group, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, **config})


def _until_taken(call, consumers=()):
    """What a group refuses while it changes is asked again; its members, if there are any, go on meanwhile."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return call()
        except KafkaException as refused:
            assert time.monotonic() < deadline, refused
            for consumer in consumers:
                consumer.poll(0.1)


# ---- confluent-kafka ----

def confluent_administration(address, word):
    topic = f"{word}-t"
    admin = _create(address, topic, 2, **{"retention.ms": "3600000"})
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(SECONDS)
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(SECONDS)
    configs = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])
    retention = [future.result(SECONDS)["retention.ms"].value for future in configs.values()]
    offsets = admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.latest()})
    latest = [future.result(SECONDS).offset for future in offsets.values()]
    again = admin.create_topics([NewTopic(topic, 1, 1)])[topic].exception(SECONDS)
    cluster = admin.describe_cluster().result(SECONDS)
    admin.delete_topics([topic])[topic].result(SECONDS)
    assert again.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    assert retention == ["3600000"] and latest == [0]
    return [described.name, retention, latest, str(again), cluster.cluster_id, [node.id for node in cluster.nodes]]



def confluent_codecs(address, word):
    """Every codec, with keys, headers and a tombstone, with and without acknowledgements."""
    topic, seen = f"{word}-t", []
    _create(address, topic)
    for codec in CODECS:
        for acks in ("all", "1", "0"):
            idempotent = {"enable.idempotence": True} if acks == "all" else {}
            producer = Producer({"bootstrap.servers": address, "compression.type": codec, "acks": acks, **idempotent})
            for n in range(20):
                producer.produce(topic, value=None if n == 7 else f"{codec} {acks} {n}" * 20, key=f"k{n}",
                                 headers=[("h", b"1"), ("h", b"2")])
            assert producer.flush(SECONDS) == 0
    consumer = _consumer(address, f"{word}-g")
    consumer.subscribe([topic])
    for message in _poll(consumer, 20 * 3 * len(CODECS)):
        seen.append((message.key(), message.value(), message.headers()))
    consumer.close()
    return sorted(seen, key=repr)


def _group(address, word, protocol):
    """Two members, commits, a seek, a look at the group, its end."""
    topic, group = f"{word}-t", f"{word}-g"
    admin = _create(address, topic, 4)
    producer = Producer({"bootstrap.servers": address})
    for n in range(40):
        producer.produce(topic, str(n), partition=n % 4)
    assert producer.flush(SECONDS) == 0
    consumers = [_consumer(address, group, **{"group.protocol": protocol, "client.id": f"c{n}"}) for n in range(2)]
    deadline = time.monotonic() + SECONDS
    values = []
    for consumer in consumers:
        consumer.subscribe([topic])
    while [len(consumer.assignment()) for consumer in consumers] != [2, 2] or len(set(values)) < 40:
        assert time.monotonic() < deadline, f"{len(set(values))} records, {[len(c.assignment()) for c in consumers]}"
        for consumer in consumers:
            message = consumer.poll(0.1)
            if message is not None:
                assert message.error() is None, message.error()
                values.append(message.value())
    for consumer in consumers:
        _until_taken(lambda: consumer.commit(
            offsets=[TopicPartition(topic, p.partition, 10) for p in consumer.assignment()], asynchronous=False), consumers)
    described = admin.describe_consumer_groups([group])[group].result(SECONDS)
    members = sorted(member.client_id for member in described.members)
    for consumer in consumers:
        consumer.close()
    committed = _consumer(address, group)
    offsets = [p.offset for p in committed.committed([TopicPartition(topic, n) for n in range(4)], SECONDS)]
    committed.close()
    _until_taken(lambda: admin.delete_consumer_groups([group])[group].result(SECONDS))  # they leave a moment after they left
    assert offsets == [10] * 4 and members == ["c0", "c1"]
    return [sorted(set(values)), members, offsets, str(described.type)]


def confluent_classic_group(address, word):
    return _group(address, word, "classic")


def confluent_consumer_group(address, word):
    return _group(address, word, "consumer")


def confluent_transactions(address, word):
    """Read, process, write with the offsets in the transaction; a fenced producer is told."""
    source, sink, group = f"{word}-in", f"{word}-out", f"{word}-g"
    _create(address, source)
    _create(address, sink)
    plain = Producer({"bootstrap.servers": address})
    for n in range(20):
        plain.produce(source, str(n))
    assert plain.flush(SECONDS) == 0
    config = {"bootstrap.servers": address, "transactional.id": f"{word}-x"}
    producer = Producer(config)
    producer.init_transactions(SECONDS)
    consumer = _consumer(address, group)
    consumer.subscribe([source])
    for outcome in (producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        for message in _poll(consumer, 10):
            producer.produce(sink, message.value())
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(),
                                             SECONDS)
        outcome(SECONDS)
    consumer.close()
    newer = Producer(config)
    newer.init_transactions(SECONDS)
    producer.begin_transaction()
    fenced = None
    try:
        producer.produce(sink, "too late")
        producer.commit_transaction(SECONDS)
    except KafkaException as error:
        fenced = error.args[0].code()
    reader = _consumer(address, f"{word}-r", **{"isolation.level": "read_committed"})
    reader.subscribe([sink])
    values = [message.value() for message in _poll(reader, 10)]
    reader.close()
    assert values == [str(n).encode() for n in range(10, 20)] and fenced is not None
    return [values, fenced]


def confluent_patterns(address, word):
    """A subscription by a regular expression, and a topic that appears later."""
    _create(address, f"{word}-p1")
    consumer = _consumer(address, f"{word}-g", **{"topic.metadata.refresh.interval.ms": 500})
    consumer.subscribe([f"^{word}-p.*"])
    producer = Producer({"bootstrap.servers": address})
    producer.produce(f"{word}-p1", "one")
    assert producer.flush(SECONDS) == 0
    values = [message.value() for message in _poll(consumer, 1)]
    _create(address, f"{word}-p2")
    producer.produce(f"{word}-p2", "two")
    assert producer.flush(SECONDS) == 0
    values += [message.value() for message in _poll(consumer, 1)]
    consumer.close()
    return values


def confluent_errors(address, word):
    """What goes wrong is told alike."""
    told = []
    admin = _create(address, f"{word}-t", 1, **{"max.message.bytes": "1000"})
    producer = Producer({"bootstrap.servers": address, "message.timeout.ms": 40000,
                         "topic.metadata.propagation.max.ms": 1000})
    producer.produce(f"{word}-t", b"x" * 5000, on_delivery=lambda error, _: told.append(error.name()))
    assert producer.flush(SECONDS) == 0
    producer.produce(f"{word}-none", b"x", on_delivery=lambda error, _: told.append(error.name()))
    assert producer.flush(SECONDS) == 0
    consumer = _consumer(address, f"{word}-g", **{"auto.offset.reset": "error"})
    consumer.assign([TopicPartition(f"{word}-t", 0, 999)])
    deadline = time.monotonic() + SECONDS
    message = None
    while message is None:
        assert time.monotonic() < deadline
        message = consumer.poll(0.5)
    told.append(message.error().name())
    consumer.close()
    told.append(admin.delete_topics([f"{word}-none"])[f"{word}-none"].exception(SECONDS).args[0].name())
    assert told[0] == "MSG_SIZE_TOO_LARGE"
    return told


# ---- kafka-python ----

def kafka_python_administration(address, word):
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        admin.create_topics([OtherNewTopic(f"{word}-t", 3, 1)])
        topics, deadline = [], time.monotonic() + SECONDS
        while topics != [f"{word}-t"]:
            assert time.monotonic() < deadline, f"{topics} are listed"
            topics = [topic for topic in admin.list_topics() if word in topic]
        admin.delete_topics(topics)
        return topics
    finally:
        admin.close()


def kafka_python_records(address, word):
    """Codecs, headers, a group that commits and goes on."""
    _create(address, f"{word}-t", 2)
    seen = []
    for codec in (None, "gzip"):
        producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, acks="all", linger_ms=20)
        sent = [producer.send(f"{word}-t", f"{codec} {n}".encode(), key=b"k", headers=[("h", b"v")]) for n in range(20)]
        for future in sent:
            future.get(SECONDS)
        producer.close()
    for part in (15, 25):
        consumer = KafkaConsumer(f"{word}-t", bootstrap_servers=address, group_id=f"{word}-g", auto_offset_reset="earliest",
                                 enable_auto_commit=False, consumer_timeout_ms=SECONDS * 1000, max_poll_records=5)
        for _ in range(part):
            record = next(consumer)
            seen.append((record.value, record.key, record.headers))
        consumer.commit()
        consumer.close()
    assert len(set(map(repr, seen))) == 40
    return seen


def kafka_python_offsets(address, word):
    _create(address, f"{word}-t")
    producer = KafkaProducer(bootstrap_servers=address)
    for n in range(5):
        producer.send(f"{word}-t", str(n).encode(), timestamp_ms=1_000 + n).get(SECONDS)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=address)
    partition = OtherPartition(f"{word}-t", 0)
    found = consumer.offsets_for_times({partition: 1_003})[partition]
    ends = [consumer.beginning_offsets([partition])[partition], consumer.end_offsets([partition])[partition]]
    consumer.close()
    assert (found.offset, ends) == (3, [0, 5])
    return [found.offset, found.timestamp, ends]


CONFLUENT = (confluent_administration, confluent_codecs, confluent_classic_group, confluent_transactions, confluent_patterns,
             confluent_errors, *([confluent_consumer_group] if known("4.0") else []))  # KIP-848
KAFKA_PYTHON = (kafka_python_administration, kafka_python_records, kafka_python_offsets)
