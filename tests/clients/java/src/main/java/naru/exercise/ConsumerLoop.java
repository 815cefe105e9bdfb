package naru.exercise;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
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
            Set<TopicPartition> assignment = Collections.emptySet();
            while (true) {
                ConsumerRecords<String, String> records = Poll.once(consumer, 500);
                if (!assignment.equals(consumer.assignment())) {
                    assignment = new HashSet<>(consumer.assignment());
                    System.out.println("Assigned: " + withPositions(consumer, records));
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

    /** Each partition and the offset from which it is read now; the records at hand were read already. */
    private static String withPositions(Consumer<String, String> consumer, ConsumerRecords<String, String> records) {
        TreeMap<String, Long> from = new TreeMap<>();
        for (TopicPartition partition : consumer.assignment()) {
            from.put(partition.toString(), consumer.position(partition));
        }
        for (TopicPartition partition : records.partitions()) {
            from.put(partition.toString(), records.records(partition).get(0).offset());
        }
        List<String> words = new ArrayList<>();
        from.forEach((partition, offset) -> words.add(partition + " from " + offset));
        return String.join(", ", words);
    }
}
