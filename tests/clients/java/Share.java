import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Two members of a share group, which accept, release once and reject by the record: Share BOOTSTRAP TOPIC GROUP. */
public final class Share {
    private static final int RECORDS = 60;
    private static final Map<String, Integer> DELIVERIES = new TreeMap<>();
    private static final Set<String> DONE = new TreeSet<>();
    private static int rejected;

    private static KafkaShareConsumer<String, String> member(String[] arguments) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", arguments[0]);
        config.put("group.id", arguments[2]);
        config.put("share.acknowledgement.mode", "explicit");
        config.put("max.poll.records", 10);
        KafkaShareConsumer<String, String> consumer =
                new KafkaShareConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(arguments[1]));
        return consumer;
    }

    private static AcknowledgeType judge(ConsumerRecord<String, String> record) {
        int number = Integer.parseInt(record.value());
        int deliveries = DELIVERIES.merge(record.value(), 1, Integer::sum);
        if (number % 3 == 1 && deliveries == 1) {
            return AcknowledgeType.RELEASE;
        }
        DONE.add(record.value());
        if (number % 3 == 2) {
            rejected++;
            return AcknowledgeType.REJECT;
        }
        return AcknowledgeType.ACCEPT;
    }

    private static void poll(KafkaShareConsumer<String, String> consumer) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
            consumer.acknowledge(record, judge(record));
        }
        consumer.commitSync().forEach((partition, failure) -> failure.ifPresent(error -> {
            throw error;
        }));
    }

    private static void write(String[] arguments) {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(
                Map.<String, Object>of("bootstrap.servers", arguments[0]), new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < RECORDS; i++) {
                producer.send(new ProducerRecord<>(arguments[1], Integer.toString(i), Integer.toString(i)));
            }
        }
    }

    public static void main(String[] arguments) {
        write(arguments);
        long deadline = System.nanoTime() + 150_000_000_000L;
        try (KafkaShareConsumer<String, String> first = member(arguments);
                KafkaShareConsumer<String, String> second = member(arguments)) {
            while (DONE.size() < RECORDS) {
                poll(first);
                poll(second);
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("only " + DONE.size() + " of " + RECORDS + " records");
                }
            }
        }
        long twice = DELIVERIES.values().stream().filter(count -> count == 2).count();
        System.out.println("records " + DONE.size() + ", delivered twice " + twice + ", rejected " + rejected);
    }

    private Share() {}
}
