import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Commits a transaction of five records and aborts one of three: Transact BOOTSTRAP TOPIC TRANSACTIONAL_ID. */
public final class Transact {
    public static void main(String[] arguments) {
        Map<String, Object> config = Map.of("bootstrap.servers", arguments[0], "transactional.id", arguments[2]);
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            send(producer, arguments[1], 3);
            producer.flush();
            producer.abortTransaction();
            send(producer, arguments[1], 5);
            producer.commitTransaction();
        }
        System.out.println("committed 5");
    }

    private static void send(KafkaProducer<String, String> producer, String topic, int count) {
        producer.beginTransaction();
        for (int i = 0; i < count; i++) {
            producer.send(new ProducerRecord<>(topic, Integer.toString(i)));
        }
    }

    private Transact() {}
}
