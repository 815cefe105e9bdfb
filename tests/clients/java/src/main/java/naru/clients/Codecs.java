package naru.clients;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import naru.exercise.Poll;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Every codec: Codecs produce|consume BOOTSTRAP PREFIX COUNT, the same records as python/codecs_trip.py. */
public final class Codecs {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};

    private Codecs() {}

    private static String value(String codec, int i) {
        return codec + "-" + i + "-" + "abcdefgh".repeat(20);
    }

    public static void main(String[] args) throws Exception {
        for (String codec : CODECS) {
            String topic = args[2] + "-" + codec;
            if (args[0].equals("produce")) {
                produce(args[1], topic, codec, Integer.parseInt(args[3]));
            } else {
                consume(args[1], topic, codec, Integer.parseInt(args[3]));
            }
        }
        System.out.println("done");
    }

    private static void produce(String bootstrap, String topic, String codec, int count) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("compression.type", codec);
        p.put("linger.ms", "20");
        p.put("acks", "all");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p, new StringSerializer(), new StringSerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                ProducerRecord<String, String> record = new ProducerRecord<>(topic, 0, String.valueOf(i), value(codec, i));
                record.headers().add("codec", codec.getBytes(StandardCharsets.UTF_8));
                sent.add(producer.send(record));
            }
            for (Future<RecordMetadata> each : sent) {
                each.get();
            }
        }
    }

    private static void consume(String bootstrap, String topic, String codec, int count) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("enable.auto.commit", "false");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(Collections.singletonList(partition));
            consumer.seekToBeginning(Collections.singletonList(partition));
            int next = 0;
            long end = System.currentTimeMillis() + 30_000;
            while (next < count && System.currentTimeMillis() < end) {
                for (ConsumerRecord<String, String> record : Poll.once(consumer, 500)) {
                    String header = new String(record.headers().lastHeader("codec").value(), StandardCharsets.UTF_8);
                    if (!record.key().equals(String.valueOf(next)) || !record.value().equals(value(codec, next))
                        || !header.equals(codec)) {
                        throw new IllegalStateException(codec + ": record " + next + " is " + record);
                    }
                    next++;
                }
            }
            if (next != count) {
                throw new IllegalStateException(codec + ": " + next + " of " + count + " records came");
            }
        }
    }
}
