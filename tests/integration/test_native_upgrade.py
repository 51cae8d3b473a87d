"""A rolling upgrade under native Kafka clients: each gateway is drained and started again, one after the other, and every
record that a producer was told of is there once and read once by each group."""

import collections
import threading

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer

from sluice_support import NativeCluster, SampleApi, known, wait_until

PARTITIONS = 4
PROTOCOLS = ("classic", *(["consumer"] if known("4.0") else []))  # KIP-848
# A client comes again at once, and not after the ten seconds that its pauses grow to; that a port is closed is no news.
QUICK = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 500, "log_level": 0}


class _Numbers(threading.Thread):
    """Produces 0, 1, 2, ... until told to end: `told` are those whose storing the client reported."""

    def __init__(self, bootstrap_servers, topic):
        super().__init__(daemon=True)
        self.topic, self.sent, self.told, self.failures = topic, 0, set(), []
        self._over = threading.Event()
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "linger.ms": 2,
                                   **QUICK})
        self.start()

    def _reported(self, error, message):
        if error:
            self.failures.append(str(error))
        else:
            self.told.add(int(message.value()))

    def run(self):
        while not self._over.is_set():
            self._producer.produce(self.topic, str(self.sent), partition=self.sent % PARTITIONS,
                                   on_delivery=self._reported)
            self.sent += 1
            self._producer.poll(0.002)
        self._producer.flush(60)

    def wait_more(self, count=100):
        target = len(self.told) + count
        wait_until(lambda: len(self.told) >= target or self.failures, 60, "more records to be stored")

    def end(self):
        self._over.set()
        self.join(90)


class _Member(threading.Thread):
    """Of a group: `read` are the numbers that it was given, in that order."""

    def __init__(self, bootstrap_servers, topic, group, protocol):
        super().__init__(daemon=True)
        self.read, self.failures = [], []
        self._over = threading.Event()
        self._consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "group.protocol": protocol,
                                   "auto.offset.reset": "earliest", **QUICK})
        self.partitions = set()
        self._consumer.subscribe([topic], on_assign=self._given, on_revoke=self._taken)
        self.start()

    def _given(self, _, partitions):
        self.partitions |= {each.partition for each in partitions}

    def _taken(self, _, partitions):
        self.partitions -= {each.partition for each in partitions}

    def run(self):
        while not self._over.is_set():
            try:
                message = self._consumer.poll(0.2)
            except KafkaException as failure:
                self.failures.append(str(failure))
                return
            if message is None:
                continue
            if message.error():
                self.failures.append(str(message.error()))
            else:
                self.read.append(int(message.value()))

    def end(self):
        self._over.set()
        self.join(60)
        self._consumer.close()  # commits


def _sessions(gateway, cluster):
    return gateway.metrics().get(f'sluice_kafka_sessions{{virtual_cluster="{cluster.name}"}}', 0)


def _twice(numbers):
    return {number: count for number, count in collections.Counter(numbers).items() if count > 1}


def _committed(kafka, group, topic):
    [answer] = kafka.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    return {each.partition: each.offset for each in answer.result(60).topic_partitions if each.topic == topic}


def test_a_rolling_upgrade_neither_loses_nor_doubles_a_record(servers, kafka):
    topic = kafka.create_topic("rolled", partitions=PARTITIONS)
    own = SampleApi(servers.control(), kafka.bootstrap_servers, topic)
    gateways = [own.start_gateway(servers, drain_deadline="20s"), own.start_gateway(servers, drain_deadline="20s")]
    cluster = NativeCluster(own, "rolled")
    for own.gateway in gateways:
        own.wait_in_force()
    groups = {f"{topic}-{protocol}": [_Member(cluster.bootstrap_servers, topic, f"{topic}-{protocol}", protocol)
                                      for _ in range(2)] for protocol in PROTOCOLS}
    members = [member for group in groups.values() for member in group]
    wait_until(lambda: all(len(member.partitions) == PARTITIONS // 2 for member in members), 60, "the groups to be settled")
    numbers = _Numbers(cluster.bootstrap_servers, topic)
    numbers.wait_more()

    moved = []
    for gateway in gateways:
        moved.append(_sessions(gateway, cluster))
        gateway.signal(15)
        numbers.wait_more()
        assert gateway.wait() == 0
        assert b"drain deadline passed" not in gateway.log()
        gateway.stop()
        gateway.start()
        numbers.wait_more()
    assert moved[1] >= 1 + len(members), moved  # all of them: nobody else was there when the first was away
    numbers.end()

    assert numbers.failures == [] and numbers.told == set(range(numbers.sent))
    stored = [int(message.value()) for message in kafka.consume_all(topic)]
    assert _twice(stored) == {} and set(stored) == numbers.told
    for name, group in groups.items():
        wait_until(lambda: sum(len(member.read) for member in group) >= numbers.sent or any(m.failures for m in group), 60,
                   f"{name} to be at the end")
        for member in group:
            member.end()
            assert member.failures == []
        read = group[0].read + group[1].read
        assert _twice(read) == {} and set(read) == numbers.told
        assert _committed(kafka, name, topic) == kafka.end_offsets(topic)
