package naru.exercise;

import java.util.Collections;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;

/** Subscribe, poll, print, commit in the given way, until the process is told to end (SIGTERM, Ctrl-C). */
final class ConsumerLoop {
    interface Commit {
        void after(Consumer<String, String> consumer);
    }

    private ConsumerLoop() {}

    static void run(String group, String topic, boolean autoCommit, Commit commit) {
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(Settings.consumer(group, autoCommit));
        CountDownLatch closed = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                closed.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        try {
            consumer.subscribe(Collections.singletonList(Settings.topic(topic)));
            String assignment = "";
            while (true) {
                ConsumerRecords<String, String> records = Poll.once(consumer, 500);
                if (!assignment.equals(consumer.assignment().toString())) {
                    assignment = consumer.assignment().toString();
                    System.out.println("Assigned: " + assignment);
                }
                for (ConsumerRecord<String, String> record : records) {
                    System.out.printf("Topic: %s, Partition: %d, Offset: %d, Key: %s, Value: %s%n",
                        record.topic(), record.partition(), record.offset(), record.key(), record.value());
                }
                if (!records.isEmpty()) {
                    commit.after(consumer);
                }
            }
        } catch (WakeupException e) {
            System.out.println("Told to end");
        } finally {
            consumer.close();
            closed.countDown();
        }
    }
}
