package naru.exercise;

import org.apache.kafka.clients.consumer.Consumer;

/** Commits after each batch without waiting. */
public final class ConsumerCommitAsync {
    private ConsumerCommitAsync() {}

    public static void main(String[] args) {
        ConsumerLoop.run("peter-consumer02", "peter-basic02", false, Consumer::commitAsync);
    }
}
