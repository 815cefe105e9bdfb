package naru.exercise;

/** Offsets are committed now and then by the client itself: simple, and a crash repeats a few messages. */
public final class ConsumerAutoCommit {
    private ConsumerAutoCommit() {}

    public static void main(String[] args) {
        ConsumerLoop.run("peter-consumer01", "peter-basic01", true, consumer -> { });
    }
}
