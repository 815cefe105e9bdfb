package naru.exercise;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Sends and does not look back: whatever is lost on the way stays unnoticed. */
public final class ProducerFireAndForget {
    private ProducerFireAndForget() {}

    public static void main(String[] args) {
        try (Producer<String, String> producer = new KafkaProducer<>(Settings.producer())) {
            for (int i = 0; i < Settings.COUNT; i++) {
                producer.send(new ProducerRecord<>(Settings.topic("peter-basic01"), Settings.message(i)));
                System.out.println("Sent Message: " + Settings.message(i));
            }
        }
    }
}
