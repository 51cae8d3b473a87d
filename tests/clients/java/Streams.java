import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Counts words exactly once, through a repartition topic and with a changelog, is stopped in between, and goes on from the
 * changelog: Streams BOOTSTRAP IN OUT APPLICATION PROTOCOL FOLDER.
 */
public final class Streams {
    private static final String LINE = "one two three four two three four three four four";
    private static final int LINES = 20;
    private final String[] arguments;

    private Streams(String[] arguments) {
        this.arguments = arguments;
    }

    private KafkaStreams start(int instance) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(arguments[1])
                .flatMapValues(line -> Arrays.asList(line.split(" ")))
                .groupBy((key, word) -> word)
                .count(Materialized.as(Stores.inMemoryKeyValueStore("counts")))
                .toStream()
                .to(arguments[2], Produced.with(Serdes.String(), Serdes.Long()));
        Properties config = new Properties();
        config.put("bootstrap.servers", arguments[0]);
        config.put("application.id", arguments[3]);
        config.put("group.protocol", arguments[4]);
        config.put("processing.guarantee", "exactly_once_v2");
        config.put("state.dir", arguments[5] + "/" + instance);
        config.put("default.key.serde", Serdes.StringSerde.class);
        config.put("default.value.serde", Serdes.StringSerde.class);
        config.put("statestore.cache.max.bytes", 0);
        config.put("num.stream.threads", 2);
        if (arguments[4].equals("classic")) { // its members do not leave when they are closed
            config.put("main.consumer.session.timeout.ms", 6000);
            config.put("main.consumer.heartbeat.interval.ms", 1000);
        }
        config.put("consumer.auto.offset.reset", "earliest");
        config.put("replication.factor", 1);
        KafkaStreams streams = new KafkaStreams(builder.build(), config);
        streams.start();
        return streams;
    }

    private void write() {
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0]);
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < LINES; i++) {
                producer.send(new ProducerRecord<>(arguments[1], Integer.toString(i), LINE));
            }
        }
    }

    /** Every count that was published, until the last words' are there. */
    private void readUntil(KafkaConsumer<String, Long> consumer, Map<String, Long> counts, Map<String, Long> wanted) {
        long deadline = System.nanoTime() + 150_000_000_000L;
        while (!counts.equals(wanted)) {
            for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(100))) {
                long before = counts.getOrDefault(record.key(), 0L);
                if (record.value() != before + 1) {
                    throw new IllegalStateException(record.key() + ": " + record.value() + " after " + before);
                }
                counts.put(record.key(), record.value());
            }
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("only " + counts);
            }
        }
        System.out.println(counts);
    }

    private static Map<String, Long> counts(long rounds) {
        Map<String, Long> wanted = new HashMap<>();
        for (String word : LINE.split(" ")) {
            wanted.merge(word, rounds * LINES, Long::sum);
        }
        return wanted;
    }

    private void run() {
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0], "group.id", arguments[3] + "-check",
                "auto.offset.reset", "earliest", "isolation.level", "read_committed");
        Map<String, Long> counts = new TreeMap<>();
        try (KafkaConsumer<String, Long> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new LongDeserializer())) {
            consumer.subscribe(List.of(arguments[2]));
            for (int round = 1; round <= 2; round++) {
                write();
                KafkaStreams streams = start(round);
                try {
                    readUntil(consumer, counts, counts(round));
                } finally {
                    streams.close();
                }
            }
        }
    }

    public static void main(String[] arguments) {
        new Streams(arguments).run();
    }
}
