import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A group whose members come and go: Members BOOTSTRAP TOPIC GROUP PROTOCOL STATIC. The topic has four partitions. Prints
 * how many each member had at each point, and what was read.
 */
public final class Members {
    private static final int ROUNDS = 12;
    private static final int PARTITIONS = 4;
    private final String[] arguments;
    private final Set<String> seen = new TreeSet<>();
    private final List<Member> members = new ArrayList<>();
    private int read;

    /** One consumer. All are polled in turn by one thread. */
    private final class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<String, String> consumer;
        int revocations;

        Member(String name) {
            Map<String, Object> config = new HashMap<>();
            config.put("bootstrap.servers", arguments[0]);
            config.put("group.id", arguments[2]);
            config.put("group.protocol", arguments[3]);
            config.put("auto.offset.reset", "earliest");
            config.put("fetch.max.wait.ms", 100);
            if (Boolean.parseBoolean(arguments[4])) {
                config.put("group.instance.id", arguments[2] + name);
            }
            if (arguments[3].equals("classic")) {
                config.put("heartbeat.interval.ms", 300);
                config.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
            }
            consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
            consumer.subscribe(List.of(arguments[1]), this);
            members.add(this);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            revocations += partitions.isEmpty() ? 0 : 1;
        }

        void poll() {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50))) {
                seen.add(record.value());
                read++;
            }
        }

        int share() {
            return consumer.assignment().size();
        }

        void leave() {
            consumer.commitSync();
            consumer.close();
            members.remove(this);
        }
    }

    private Members(String[] arguments) {
        this.arguments = arguments;
    }

    private void pollUntil(String what, BooleanSupplier condition) {
        long deadline = System.nanoTime() + 150_000_000_000L;
        while (!condition.getAsBoolean()) {
            members.forEach(Member::poll);
            if (System.nanoTime() > deadline) {
                StringBuilder shares = new StringBuilder();
                members.forEach(member -> shares.append(' ').append(member.share()));
                throw new IllegalStateException("not " + what + "; shares" + shares + ", records " + seen.size());
            }
        }
        System.out.println(what);
    }

    /** A round at a time, so that fetch sessions see partitions with news and without. */
    private void write(int from) {
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0], "linger.ms", 0);
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (int round = from; round < from + ROUNDS; round++) {
                for (int i = 0; i < 10; i++) {
                    String value = round + "." + i;
                    producer.send(new ProducerRecord<>(arguments[1], round % PARTITIONS, "key", value));
                }
                producer.flush();
                members.forEach(Member::poll);
            }
        }
    }

    private void run() {
        Member first = new Member("a");
        pollUntil("one member has all", () -> first.share() == PARTITIONS);
        write(0);
        pollUntil("one member has read all", () -> seen.size() == ROUNDS * 10);
        Member second = new Member("b");
        pollUntil("two members have half each", () -> first.share() == 2 && second.share() == 2);
        write(ROUNDS);
        pollUntil("two members have read all", () -> seen.size() == ROUNDS * 20);
        int before = first.revocations;
        second.leave();
        if (Boolean.parseBoolean(arguments[4])) {
            Member again = new Member("b");
            pollUntil("a static member has its half again", () -> again.share() == 2);
            System.out.println("the other kept its own: " + (first.share() == 2 && first.revocations == before));
        } else {
            pollUntil("the remaining member has all", () -> first.share() == PARTITIONS);
        }
        write(2 * ROUNDS);
        pollUntil("all is read", () -> seen.size() == ROUNDS * 30);
        System.out.println("records read twice: " + (read - seen.size()));
        List.copyOf(members).forEach(Member::leave);
    }

    public static void main(String[] arguments) {
        new Members(arguments).run();
    }
}
