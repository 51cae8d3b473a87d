import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** What a client that wants to push its metrics (KIP-714) is told, and that it works all the same: Telemetry BOOTSTRAP. */
public final class Telemetry {
    public static void main(String[] arguments) {
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0], "enable.metrics.push", true, "group.id", "t");
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            System.out.println("topics listed: " + (consumer.listTopics().size() >= List.of(arguments).size() - 1));
            try {
                System.out.println("an id: " + consumer.clientInstanceId(Duration.ofSeconds(3)));
            } catch (RuntimeException refusal) {
                System.out.println("no id: " + refusal.getClass().getSimpleName());
            }
        }
    }

    private Telemetry() {}
}
