package naru.bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The Java client at its defaults, writing to each partition in turn at a steady rate, and the longest time that a
 * partition went without an acknowledgement. Speaks as tests/bench/steady.h says.
 *
 * <p>SteadyProducer bootstrap topic partitions records-per-second
 */
public final class SteadyProducer {
  private final long[] acked;
  private final long[] last;
  private final long[] longest;
  private long ackedInAll;
  private long failed;
  private boolean ready;
  private volatile boolean stopping;
  private long[] flowUntil;

  private SteadyProducer(int partitions) {
    acked = new long[partitions];
    last = new long[partitions];
    longest = new long[partitions];
  }

  public static void main(String[] words) throws Exception {
    int partitions = Integer.parseInt(words[2]);
    SteadyProducer producer = new SteadyProducer(partitions);
    Thread sending = new Thread(() -> producer.send(words[0], words[1], Double.parseDouble(words[3])), "sending");
    sending.setDaemon(true);
    sending.start();
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      producer.hear(line);
    }
    producer.stop(sending);
  }

  private void send(String bootstrap, String topic, double rate) {
    Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap);
    byte[] body = new byte[100];
    long pause = (long) (1e9 / rate);
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      long due = System.nanoTime();
      for (int i = 0; !stopping; ++i) {
        int partition = i % acked.length;
        producer.send(new ProducerRecord<>(topic, partition, null, body), (metadata, error) -> on(partition, error));
        due = Math.max(due + pause, System.nanoTime() - 100_000_000L); // no burst after a stall of our own
        for (long left = due - System.nanoTime(); left > 0; left = due - System.nanoTime()) {
          LockSupport.parkNanos(left);
        }
      }
    }
  }

  private synchronized void on(int partition, Exception error) {
    if (error != null) {
      ++failed;
      return;
    }
    long now = System.nanoTime();
    if (acked[partition]++ > 0) longest[partition] = Math.max(longest[partition], now - last[partition]);
    last[partition] = now;
    ++ackedInAll;
    if (!ready && Arrays.stream(acked).allMatch(n -> n > 0)) {
      ready = true;
      say("{\"event\":\"ready\"}");
    }
    if (flowUntil == null) return;
    for (int i = 0; i < acked.length; ++i) {
      if (acked[i] < flowUntil[i]) return;
    }
    flowUntil = null;
    say("{\"event\":\"flow\"}");
  }

  private synchronized void hear(String line) {
    if (line.startsWith("flow ")) {
      long more = Long.parseLong(line.substring(5));
      flowUntil = Arrays.stream(acked).map(n -> n + more).toArray();
    }
    if (!line.equals("mark")) return;
    // A partition that is silent right now counts with what it has been silent for.
    long now = System.nanoTime();
    int worst = 0;
    for (int i = 0; i < longest.length; ++i) {
      longest[i] = Math.max(longest[i], now - last[i]);
      if (longest[i] > longest[worst]) worst = i;
    }
    say(String.format("{\"event\":\"mark\",\"gap_ms\":%d,\"partition\":%d,\"acked\":%d,\"failed\":%d}",
        longest[worst] / 1_000_000, worst, ackedInAll, failed));
    Arrays.fill(longest, 0);
  }

  private void stop(Thread sending) throws InterruptedException {
    stopping = true;
    sending.join(30_000);
    synchronized (this) {
      say(String.format("{\"event\":\"end\",\"acked\":%d,\"failed\":%d}", ackedInAll, failed));
    }
  }

  private static void say(String event) {
    System.out.println(event);
    System.out.flush();
  }
}
