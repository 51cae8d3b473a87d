"""Kafka seen directly, past the gateway."""

import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient as KafkaAdmin
from confluent_kafka.admin import NewTopic, OffsetSpec

from .wait import wait_until

LEADERLESS = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART,
              KafkaError.KAFKA_STORAGE_ERROR, KafkaError._TIMED_OUT, KafkaError._TRANSPORT)


class KafkaHelper:
    def __init__(self, bootstrap_servers, config=None):
        self.bootstrap_servers = bootstrap_servers
        self.config = {"bootstrap.servers": bootstrap_servers, **(config or {})}
        self.admin = KafkaAdmin(self.config)

    def create_topic(self, name="t", partitions=1, config=None, exact=False):
        """Makes a topic whose name starts with `name` and that no other test has; returns its full name. `exact`: the
        name is unique already."""
        full_name = name if exact else f"{name}-{uuid.uuid4().hex[:10]}"
        topic = NewTopic(full_name, num_partitions=partitions, replication_factor=1, config=config or {})
        self._create(topic)
        self._wait_leaders(full_name, partitions)
        return full_name

    def _create(self, topic):
        """Again while there is no broker for it: one whose heartbeats were late is put aside for a moment."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.admin.create_topics([topic])[topic.topic].result(60)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() >= deadline:
                    raise
            time.sleep(0.2)

    def _wait_leaders(self, name, partitions):
        """A new topic is usable once each partition has a leader; creation is answered before that."""
        deadline = time.monotonic() + 60
        while True:
            topic = self.admin.list_topics(name, timeout=30).topics[name]
            if len(topic.partitions) == partitions and all(p.leader >= 0 for p in topic.partitions.values()) and \
                    self._leads(name, partitions):
                return
            assert time.monotonic() < deadline, f"topic {name} got no leaders"
            time.sleep(0.05)

    def _leads(self, name, partitions):
        """A broker tells of its partitions before it leads them. Who may not know counts as answered."""
        ends = self.admin.list_offsets({TopicPartition(name, n): OffsetSpec.latest() for n in range(partitions)})
        try:
            return all(end.result(60) for end in ends.values())
        except KafkaException as error:
            return error.args[0].code() not in LEADERLESS

    def topic_id(self, name):
        """Its 16 bytes."""
        topic_id = self.admin.describe_topics(TopicCollection([name]))[name].result(60).topic_id
        return b"".join((part % (1 << 64)).to_bytes(8, "big") for part in (topic_id.get_most_significant_bits(),
                                                                         topic_id.get_least_significant_bits()))

    def delete_topic(self, name):
        self.admin.delete_topics([name])[name].result(60)

    def prepare_coordinators(self):
        """Else the first who asks for a coordinator is told to come again."""
        topic = self.create_topic("prepared")
        name = f"prepared-{uuid.uuid4().hex}"
        Producer({**self.config, "transactional.id": name}).init_transactions(60)
        self.commit(name, TopicPartition(topic, 0, 0))

    def commit(self, group, *offsets):
        """Of a group without members; again while its coordinator is made, moved or loaded, which a client is told of."""
        consumer = Consumer({**self.config, "group.id": group, "enable.auto.commit": False})
        try:
            wait_until(lambda: consumer.commit(offsets=list(offsets), asynchronous=False), 60, f"the offsets of {group}")
        finally:
            consumer.close()

    def delete_records(self, topic, before):
        """Records below the given offsets, by partition, expire now."""
        offsets = [TopicPartition(topic, partition, offset) for partition, offset in before.items()]
        for result in self.admin.delete_records(offsets).values():
            result.result(60)

    def produce(self, topic, records, **config):
        """`records` are values, or dicts with value, key, headers, partition, timestamp. Returns after the acks."""
        failures = []
        producer = Producer({**self.config, "acks": "all", "linger.ms": 0, **config})
        for record in records:
            fields = record if isinstance(record, dict) else {"value": record}
            producer.produce(topic, on_delivery=lambda error, _: error and failures.append(error), **fields)
            producer.poll(0)
        assert producer.flush(60) == 0, "records were not acknowledged within 60 s"
        assert not failures, failures

    def consume_all(self, topic, timeout=60.0, group="test-"):
        """Every record from the beginning to the present end, in order within each partition. `group` is how the group's
        name begins."""
        consumer = Consumer({**self.config, "group.id": f"{group}{uuid.uuid4().hex}", "enable.partition.eof": True,
                             "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            return self._until_every_end(consumer, set(partitions), timeout)
        finally:
            consumer.close()

    @staticmethod
    def _until_every_end(consumer, open_partitions, timeout):
        deadline, records = time.monotonic() + timeout, []
        while open_partitions:
            assert time.monotonic() < deadline, f"partitions {open_partitions} have no end within {timeout:g} s"
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error() is None:
                records.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_partitions.discard(message.partition())
            else:
                raise AssertionError(message.error())
        return records

    def consume_one(self, topic):
        """The first record of some partition."""
        consumer = Consumer({**self.config, "group.id": f"test-{uuid.uuid4().hex}", "auto.offset.reset": "earliest"})
        try:
            consumer.assign([TopicPartition(topic, p, 0) for p in consumer.list_topics(topic, timeout=30).topics[topic].partitions])
            record, = consumer.consume(1, timeout=60)
            assert record.error() is None, record.error()
            return record
        finally:
            consumer.close()

    def end_offsets(self, topic):
        """The high watermark of each partition, by partition."""
        consumer = Consumer({**self.config, "group.id": f"test-{uuid.uuid4().hex}"})
        try:
            partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
            return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions}
        finally:
            consumer.close()
