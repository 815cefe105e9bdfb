package naru.exercise;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/** Waits for the broker's word after each message. */
public final class ProducerSync {
    private ProducerSync() {}

    public static void main(String[] args) throws Exception {
        try (Producer<String, String> producer = new KafkaProducer<>(Settings.producer())) {
            for (int i = 0; i < Settings.COUNT; i++) {
                ProducerRecord<String, String> record =
                    new ProducerRecord<>(Settings.topic("peter-basic01"), Settings.message(i));
                RecordMetadata metadata = producer.send(record).get();
                System.out.printf("Topic: %s, Partition: %d, Offset: %d, Key: %s, Received Message: %s%n",
                    metadata.topic(), metadata.partition(), metadata.offset(), record.key(), record.value());
            }
        }
    }
}
