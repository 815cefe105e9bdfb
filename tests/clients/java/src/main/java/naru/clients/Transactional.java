package naru.clients;

import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Transactional BOOTSTRAP: what a transactional producer is told. Prints the error and how long it took. */
public final class Transactional {
    private Transactional() {}

    public static void main(String[] args) {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("transactional.id", "tx");
        long began = System.currentTimeMillis();
        KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer());
        try {
            producer.initTransactions();
            System.out.println("began");
        } catch (RuntimeException e) {
            System.out.println("refused after " + (System.currentTimeMillis() - began) + " ms: " + e);
        }
        producer.close(java.time.Duration.ZERO);
    }
}
