import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads partition 0 until a value is LAST, and prints offset and value of each record, and each error:
 * Reads consumer|share BOOTSTRAP USER PASSWORD TOPIC GROUP FROM LAST. A consumer reads from the offset FROM, only what is
 * committed, and seeks behind what fails. A share consumer accepts what it gets.
 */
public final class Reads {
    private static final long LIMIT_NS = 150_000_000_000L;

    private static Map<String, Object> config(String[] arguments) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments[1]);
        config.put("security.protocol", "SASL_PLAINTEXT");
        config.put("sasl.mechanism", "PLAIN");
        config.put("sasl.jaas.config", "org.apache.kafka.common.security.plain.PlainLoginModule required username=\""
                + arguments[2] + "\" password=\"" + arguments[3] + "\";");
        config.put("group.id", arguments[5]);
        return config;
    }

    /** True when the last one was among them. */
    private static boolean print(ConsumerRecords<String, String> records, String last) {
        boolean done = false;
        for (ConsumerRecord<String, String> record : records) {
            System.out.println(record.offset() + " " + record.value());
            done = done || last.equals(record.value());
        }
        return done;
    }

    private static void consume(String[] arguments, long deadline) {
        TopicPartition partition = new TopicPartition(arguments[4], 0);
        Map<String, Object> config = config(arguments);
        config.put("isolation.level", "read_committed");
        config.put("enable.auto.commit", false);
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, Long.parseLong(arguments[6]));
            while (System.nanoTime() < deadline) {
                try {
                    if (print(consumer.poll(Duration.ofMillis(200)), arguments[7])) {
                        return;
                    }
                } catch (KafkaException failure) {
                    long at = consumer.position(partition);
                    System.out.println(at + " fails: " + failure.getMessage());
                    consumer.seek(partition, at + 1);
                }
            }
        }
        throw new IllegalStateException("the last record did not come");
    }

    private static void share(String[] arguments, long deadline) {
        try (KafkaShareConsumer<String, String> consumer =
                new KafkaShareConsumer<>(config(arguments), new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(arguments[4]));
            while (System.nanoTime() < deadline) {
                try {
                    if (print(consumer.poll(Duration.ofMillis(200)), arguments[7])) {
                        consumer.commitSync();
                        return;
                    }
                } catch (KafkaException failure) {
                    System.out.println("fails: " + failure.getMessage());
                }
            }
        }
        throw new IllegalStateException("the last record did not come");
    }

    public static void main(String[] arguments) {
        long deadline = System.nanoTime() + LIMIT_NS;
        if (arguments[0].equals("share")) {
            share(arguments, deadline);
        } else {
            consume(arguments, deadline);
        }
    }

    private Reads() {}
}
