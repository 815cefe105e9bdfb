package naru.exercise;

import org.apache.kafka.clients.consumer.Consumer;

/** Commits after each batch and waits for it: slower, and nothing is repeated but the batch at hand. */
public final class ConsumerCommitSync {
    private ConsumerCommitSync() {}

    public static void main(String[] args) {
        ConsumerLoop.run("peter-consumer01", "peter-basic01", false, Consumer::commitSync);
    }
}
