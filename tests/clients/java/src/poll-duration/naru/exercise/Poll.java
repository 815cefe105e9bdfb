package naru.exercise;

import java.time.Duration;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecords;

/** How consumers poll since kafka-clients 2.0, and the only way since 4.0. */
public final class Poll {
    private Poll() {}

    public static <K, V> ConsumerRecords<K, V> once(Consumer<K, V> consumer, long millis) {
        return consumer.poll(Duration.ofMillis(millis));
    }
}
