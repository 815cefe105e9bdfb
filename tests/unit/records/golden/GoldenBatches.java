// Writes record batches and a producer snapshot with Apache Kafka's own classes, as lines "NAME HEX" for
// golden_batches.txt. Run by ./regenerate, which fetches the jars from Maven Central.
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Optional;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.storage.internals.log.*;

public class GoldenBatches {
    static final long START = 1700000000000L;

    static void print(String name, ByteBuffer bytes) {
        StringBuilder hex = new StringBuilder();
        ByteBuffer copy = bytes.duplicate();
        while (copy.hasRemaining()) hex.append(String.format("%02x", copy.get()));
        System.out.println(name + " " + hex);
    }

    // The same forty records as capture_librdkafka.py.
    static ByteBuffer fill(MemoryRecordsBuilder builder) {
        for (int i = 0; i < 40; i++) {
            byte[] key = i == 3 ? null : ("key-" + i).getBytes();
            byte[] value = i == 5 ? null : "value ".repeat(i + 1).getBytes();
            Header[] headers = i != 7 ? new Header[0]
                : new Header[] {new RecordHeader("name", "header".getBytes()), new RecordHeader("null", (byte[]) null)};
            builder.append(i == 0 ? START + 500 : START + i * 10, key, value, headers);
        }
        return builder.build().buffer();
    }

    static MemoryRecordsBuilder builder(CompressionType codec, TimestampType type, long base, long producer, short epoch,
                                        int sequence, boolean transactional, int leaderEpoch) {
        return new MemoryRecordsBuilder(ByteBuffer.allocate(65536), RecordBatch.MAGIC_VALUE_V2, Compression.of(codec).build(),
            type, base, START + 9000, producer, epoch, sequence, transactional, false, leaderEpoch, 65536);
    }

    public static void main(String[] args) throws Exception {
        for (CompressionType codec : CompressionType.values())
            print("java-" + codec.name, fill(builder(codec, TimestampType.CREATE_TIME, 0, -1, (short) -1, -1, false, -1)));
        print("java-idempotent", fill(builder(CompressionType.NONE, TimestampType.CREATE_TIME, 0, 4711, (short) 3, 0x7fffffff - 9, false, -1)));
        print("java-transactional", fill(builder(CompressionType.ZSTD, TimestampType.CREATE_TIME, 100, 4711, (short) 3, 5, true, 7)));
        print("java-log-append-time", fill(builder(CompressionType.LZ4, TimestampType.LOG_APPEND_TIME, 1000, -1, (short) -1, -1, false, 9)));
        print("java-commit-marker", MemoryRecords.withEndTransactionMarker(140, START, 7, 4711, (short) 3,
            new EndTransactionMarker(ControlRecordType.COMMIT, 12)).buffer());
        print("java-abort-marker", MemoryRecords.withEndTransactionMarker(141, START, 7, 4712, (short) 0,
            new EndTransactionMarker(ControlRecordType.ABORT, 13)).buffer());

        File dir = Files.createTempDirectory("golden").toFile();
        ProducerStateManager manager = new ProducerStateManager(new TopicPartition("t", 0), dir, 900000,
            new ProducerStateManagerConfig(86400000, false), Time.SYSTEM);
        ByteBuffer[] log = {
            fill(builder(CompressionType.NONE, TimestampType.CREATE_TIME, 0, 4711, (short) 3, 0, true, 1)),
            fill(builder(CompressionType.NONE, TimestampType.CREATE_TIME, 40, 9, (short) 0, 0x7fffffff - 9, false, 1)),
            MemoryRecords.withEndTransactionMarker(80, START + 1, 1, 4711, (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 12)).buffer(),
            fill(builder(CompressionType.NONE, TimestampType.CREATE_TIME, 81, 4711, (short) 3, 40, true, 1)),
            MemoryRecords.withEndTransactionMarker(121, START + 2, 1, 77, (short) 5, new EndTransactionMarker(ControlRecordType.ABORT, 2)).buffer(),
        };
        for (int i = 0; i < log.length; i++) {
            print("snapshot-log-" + i, log[i]);
            for (MutableRecordBatch batch : MemoryRecords.readableRecords(log[i].duplicate()).batches()) {
                ProducerAppendInfo info = manager.prepareUpdate(batch.producerId(), AppendOrigin.REPLICATION);
                Optional<CompletedTxn> done = info.append(batch, Optional.empty());
                manager.update(info);
                done.ifPresent(manager::completeTxn);
                manager.updateMapEndOffset(batch.lastOffset() + 1);
            }
        }
        Optional<File> file = manager.takeSnapshot(true);
        print("snapshot", ByteBuffer.wrap(Files.readAllBytes(file.get().toPath())));
    }
}
