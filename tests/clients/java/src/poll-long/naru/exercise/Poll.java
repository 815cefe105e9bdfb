package naru.exercise;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecords;

/** How consumers polled before kafka-clients 4.0. */
public final class Poll {
    private Poll() {}

    @SuppressWarnings("deprecation")
    public static <K, V> ConsumerRecords<K, V> once(Consumer<K, V> consumer, long millis) {
        return consumer.poll(millis);
    }
}
