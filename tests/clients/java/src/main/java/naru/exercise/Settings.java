package naru.exercise;

import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What all six programs share; each value can be replaced with -Dname=value. */
final class Settings {
    static final String BOOTSTRAP = System.getProperty("bootstrap",
        "peter-kafka01.foo.bar:9092,peter-kafka02.foo.bar:9092,peter-kafka03.foo.bar:9092");
    /** How many messages a producer sends. */
    static final int COUNT = Integer.getInteger("count", 10);

    private Settings() {}

    static String topic(String standard) {
        return System.getProperty("topic", standard);
    }

    static Properties producer() {
        Properties p = new Properties();
        p.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, BOOTSTRAP);
        // What 3.0 and newer do anyway. Before, 1 was the default: what a leader alone had may die with it.
        p.put(ProducerConfig.ACKS_CONFIG, System.getProperty("acks", "all"));
        p.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, StringSerializer.class.getName());
        p.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, StringSerializer.class.getName());
        return p;
    }

    static Properties consumer(String group, boolean autoCommit) {
        Properties p = new Properties();
        p.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, BOOTSTRAP);
        p.put(ConsumerConfig.GROUP_ID_CONFIG, System.getProperty("group", group));
        p.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, String.valueOf(autoCommit));
        p.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, System.getProperty("reset", "latest"));
        p.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class.getName());
        p.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class.getName());
        p.put(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, System.getProperty("session", "10000"));
        return p;
    }

    static String message(int i) {
        return "Apache Kafka is a distributed streaming platform - " + i;
    }
}
