import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Reads, processes and writes in transactions: ExactlyOnce BOOTSTRAP IN OUT GROUP TRANSACTIONAL_ID TOTAL. Ends when the
 * group has done TOTAL records, whoever did them; another instance may come and go meanwhile.
 */
public final class ExactlyOnce {
    private final String[] arguments;
    private final KafkaConsumer<String, String> consumer;
    private KafkaProducer<String, String> producer;

    private ExactlyOnce(String[] arguments) {
        this.arguments = arguments;
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments[0]);
        config.put("group.id", arguments[3]);
        config.put("isolation.level", "read_committed");
        config.put("auto.offset.reset", "earliest");
        config.put("enable.auto.commit", false);
        config.put("max.poll.records", 20);
        config.put("session.timeout.ms", 6000);
        config.put("heartbeat.interval.ms", 300);
        consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(arguments[1]));
    }

    private void renewProducer() {
        if (producer != null) {
            producer.close(Duration.ZERO);
        }
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0], "transactional.id", arguments[4]);
        producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
    }

    private void process(ConsumerRecords<String, String> records) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        producer.beginTransaction();
        for (ConsumerRecord<String, String> record : records) {
            producer.send(new ProducerRecord<>(arguments[2], record.key(), record.value() + "!"));
            offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
        producer.commitTransaction();
    }

    /** What was not committed is read again. */
    private void rewind(Collection<TopicPartition> assigned) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(new HashSet<>(assigned));
        for (TopicPartition partition : assigned) {
            OffsetAndMetadata offset = committed.get(partition);
            consumer.seek(partition, offset == null ? 0 : offset.offset());
        }
    }

    private void step(ConsumerRecords<String, String> records) {
        try {
            process(records);
        } catch (KafkaException failure) {
            try {
                if (failure instanceof ProducerFencedException) {
                    throw failure;
                }
                producer.abortTransaction();
            } catch (KafkaException fatal) {
                renewProducer();
            }
            rewind(consumer.assignment());
        }
    }

    private boolean done(Set<TopicPartition> partitions) {
        long sum = 0;
        for (OffsetAndMetadata offset : consumer.committed(partitions).values()) {
            sum += offset == null ? 0 : offset.offset();
        }
        return sum == Long.parseLong(arguments[5]);
    }

    private void run() {
        renewProducer();
        Set<TopicPartition> partitions = consumer.partitionsFor(arguments[1]).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition())).collect(Collectors.toSet());
        long deadline = System.nanoTime() + 250_000_000_000L;
        while (true) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
            if (!records.isEmpty()) {
                step(records);
            } else if (done(partitions)) {
                break;
            }
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("not done in time");
            }
        }
        producer.close();
        consumer.close();
        System.out.println("done");
    }

    public static void main(String[] arguments) {
        new ExactlyOnce(arguments).run();
    }
}
