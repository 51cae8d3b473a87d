"""What kafka-python of 2021 does, in a process of its own: old_kafka_python.py BOOTSTRAP TOPIC GROUP."""

import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition, __version__

bootstrap, topic, group = sys.argv[1:]
print("version", __version__)
for codec in (None, "gzip"):
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, acks="all")
    for n in range(10):
        producer.send(topic, f"{codec} {n}".encode(), key=b"k", headers=[("h", b"v")]).get(20)
    producer.close()
for part in (5, 15):
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                             enable_auto_commit=False, consumer_timeout_ms=20000, max_poll_records=5)
    for _ in range(part):
        record = next(consumer)
        print(record.offset, record.key, record.value, record.headers)
    consumer.commit()
    consumer.close()
consumer = KafkaConsumer(bootstrap_servers=bootstrap)
print("end", consumer.end_offsets([TopicPartition(topic, 0)])[TopicPartition(topic, 0)])
consumer.close()
