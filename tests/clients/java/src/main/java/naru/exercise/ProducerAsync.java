package naru.exercise;

import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/** Sends on without waiting; the broker's word arrives in a callback. */
public final class ProducerAsync {
    private ProducerAsync() {}

    private static final class Report implements Callback {
        private final ProducerRecord<String, String> record;

        Report(ProducerRecord<String, String> record) {
            this.record = record;
        }

        @Override
        public void onCompletion(RecordMetadata metadata, Exception error) {
            if (error != null) {
                System.out.println("Failed: " + record.value() + ": " + error);
                return;
            }
            System.out.printf("Topic: %s, Partition: %d, Offset: %d, Key: %s, Received Message: %s%n",
                metadata.topic(), metadata.partition(), metadata.offset(), record.key(), record.value());
        }
    }

    public static void main(String[] args) {
        try (Producer<String, String> producer = new KafkaProducer<>(Settings.producer())) {
            for (int i = 0; i < Settings.COUNT; i++) {
                ProducerRecord<String, String> record =
                    new ProducerRecord<>(Settings.topic("peter-basic02"), Settings.message(i));
                producer.send(record, new Report(record));
            }
        }
    }
}
