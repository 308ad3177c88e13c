import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.CompressionType;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.SimpleRecord;

/**
 * Wrote kafka-clients-3.0.0.log beside it, with Kafka's own classes: the other opinion in
 * ../written_by_kafka.rs. Run with kafka-clients 3.0.0 and its codecs (snappy-java, lz4-java,
 * zstd-jni, slf4j-api) on the class path: java -cp ... WriteSegment.java FILE
 */
public class WriteSegment {
    public static void main(String[] args) throws Exception {
        var file = Files.newByteChannel(
                Paths.get(args[0]), StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING);
        long offset = 0;
        for (CompressionType codec : CompressionType.values()) {
            int count = codec == CompressionType.NONE ? 10 : 300;
            SimpleRecord[] records = new SimpleRecord[count];
            for (int i = 0; i < count; i++) {
                ByteBuffer value = ByteBuffer.allocate(200).putLong(offset + i);
                records[i] = new SimpleRecord(1795317055000L + i, null, value.array());
            }
            file.write(MemoryRecords.withIdempotentRecords(RecordBatch.MAGIC_VALUE_V2, offset, codec,
                    7000L, (short) 3, (int) offset, 4, records).buffer());
            offset += count;
        }
        Header[] headers = {
            new RecordHeader("h", new byte[] {1}), new RecordHeader("none", (byte[]) null)
        };
        byte[] last = ByteBuffer.allocate(8).putLong(offset + 1).array();
        file.write(MemoryRecords.withTransactionalRecords(RecordBatch.MAGIC_VALUE_V2, offset,
                CompressionType.NONE, 7001L, (short) 0, 0, 5,
                new SimpleRecord(1795317056000L, "key".getBytes(), null),
                new SimpleRecord(1795317055999L, "key".getBytes(), last, headers)).buffer());
        offset += 2;
        file.write(MemoryRecords.withEndTransactionMarker(offset, 1795317057000L, 5, 7001L,
                (short) 0, new EndTransactionMarker(ControlRecordType.COMMIT, 9)).buffer());
        file.close();
    }
}
