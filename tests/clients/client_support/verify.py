"""A producer and a consumer that verify each other while things go wrong."""

import threading
import uuid

from confluent_kafka import Consumer, KafkaException, Producer

from sluice_support import wait_until

_PER_SECOND = 200  # records; enough to have some under way whenever something is cut
_MOST_FATAL = 3  # of an idempotent producer's errors: a gateway that changed the order would make one after the other


class Verifier:
    """Writes 0, 1, 2, ... into each partition of a topic, idempotent and acknowledged by all replicas, and reads them in a
    group, until `stop`. `kafka` sees the topic directly. The one without a gateway is the baseline: it must lose nothing, but
    what the client and Kafka themselves write twice when brokers die is not held against it.

    An idempotent producer may have to give up when a leader comes back (out of order sequence; seen without a gateway too). As
    an application would, this one then takes a new producer and writes again what was not acknowledged: that alone may be
    there twice."""

    def __init__(self, target, kafka, topic, partitions):
        self.baseline = target.name == "direct"
        self.name, self._kafka, self._topic, self._partitions = target.name, kafka, topic, partitions
        self.acknowledged, self._failures, self._read, self._positions = 0, [], set(), []
        self._pending, self._again, self._fatal = {}, set(), []
        self._ending, self._read_ending = threading.Event(), threading.Event()
        self._config = {"bootstrap.servers": target.bootstrap_servers, "reconnect.backoff.max.ms": 500}
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._consume)]
        for thread in self._threads:
            thread.start()

    # ---- the writer's thread ----

    def _open(self):
        self._broken = False
        return Producer({**self._config, "enable.idempotence": True, "linger.ms": 5, "error_cb": self._notice})

    def _notice(self, error):
        if error.fatal():
            self._broken = True
            self._fatal.append(str(error))

    def _send(self, producer, partition, number):
        def report(error, _):
            if error is None:
                self.acknowledged += self._pending.pop((partition, number), 0)
            elif not self._broken:
                self._failures.append(str(error))

        producer.produce(self._topic, str(number), partition=partition, on_delivery=report)

    def _renew(self, producer):
        """What the broken producer has not had acknowledged is written again, in its order."""
        producer.purge()
        producer.flush(60)
        producer = self._open()
        self._again |= set(self._pending)
        for partition, number in list(self._pending):
            self._send(producer, partition, number)
        return producer

    def _write(self):
        """Failures are for ever, because the producer would try for 5 minutes: none is allowed."""
        producer, number = self._open(), 0
        while not self._ending.wait(self._partitions / _PER_SECOND):
            for partition in range(self._partitions):
                self._pending[partition, number] = 1
                try:
                    self._send(producer, partition, number)
                except KafkaException as error:
                    self._notice(error.args[0])
            number += 1
            producer.poll(0)
            if self._broken:
                producer = self._renew(producer)
        producer.flush(60)
        if self._broken:
            self._renew(producer).flush(60)
        self._written = number
        if self._pending:
            self._failures.append(f"{len(self._pending)} records were never acknowledged")

    # ---- the reader's thread ----

    def _consume(self):
        consumer = Consumer({**self._config, "group.id": f"verify-{uuid.uuid4().hex}", "session.timeout.ms": 6000,
                             "auto.offset.reset": "earliest"})
        consumer.subscribe([self._topic])
        while not self._read_ending.is_set():
            message = consumer.poll(0.2)
            if message is None:
                self._positions = consumer.position(consumer.assignment())
            elif message.error() is None:
                self._read.add((message.partition(), int(message.value())))
        consumer.close()

    # ---- the test's ----

    def progress(self, after):
        """Waits until records have been acknowledged and read that were written since now."""
        acknowledged, read = self.acknowledged + 40, len(self._read) + 40
        wait_until(lambda: self.acknowledged >= acknowledged, 60, f"{self.name}: acknowledgements after {after}")
        wait_until(lambda: len(self._read) >= read, 60, f"{self.name}: records read after {after}")

    def stop(self):
        """Ends, and compares what Kafka has with what was acknowledged."""
        self._ending.set()
        self._threads[0].join(90)
        assert not self._failures, f"{self.name}: {self._failures[:3]}"
        expected = {(partition, n) for partition in range(self._partitions) for n in range(self._written)}
        assert len(self._fatal) <= _MOST_FATAL, f"{self.name}: {self._fatal}"
        assert self.acknowledged == len(expected) > 0
        self._wait_read(expected)
        self._read_ending.set()
        self._threads[1].join(60)
        stored = wait_until(lambda: self._stored(expected), 60, f"{self.name}: every record in Kafka")
        assert self.baseline or stored == sorted(expected), f"{self.name}: doubled or reordered: {self._odd(stored)}"

    def _wait_read(self, expected):
        try:
            wait_until(lambda: self._read == expected, 60, f"{self.name}: every record read")
        except AssertionError as failure:
            missing = sorted(expected - self._read)
            stored = {(record.partition(), int(record.value())) for record in self._kafka.consume_all(self._topic)}
            parts = {n: [number for partition, number in missing if partition == n] for n in range(self._partitions)}
            told = {n: f"{len(numbers)} of {self._written}: {numbers[0]} to {numbers[-1]}" for n, numbers in parts.items() if numbers}
            raise AssertionError(f"{failure}; by partition not read: {told}; of them not in Kafka: "
                                 f"{sorted(set(missing) - stored)[:10]}; asked {self._asks()}") from None

    def _asks(self):
        """Where the consumer stands."""
        return [(position.partition, position.offset, str(position.error or "")) for position in self._positions]

    def _stored(self, expected):
        """What Kafka has, by partition and in its order, once it is all that is expected: a leader of a moment ago may show
        less of the end."""
        records = [(record.partition(), int(record.value())) for record in self._kafka.consume_all(self._topic)]
        if set(records) != expected:
            return None
        kept, seen = [], set()
        for record in records:
            if record not in seen or record not in self._again:
                kept.append(record)
            seen.add(record)
        return sorted(kept, key=lambda record: record[0])

    @staticmethod
    def _odd(stored):
        """The places where a record does not follow the one before it."""
        return [pair for pair in zip(stored, stored[1:]) if pair[0][0] == pair[1][0] and pair[1][1] != pair[0][1] + 1][:5]
