// The independent codec of the record tests: builds and reads record batches with the classes of kafka-clients.
//
//   RecordOracle write FILE      writes batches of every codec and kind
//   RecordOracle describe FILE   says what kafka-clients reads from such a file
//
// A file is a sequence of entries: a letter (C: as a consumer gets them, P: as a producer sends them), a length, the bytes.

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

public final class RecordOracle {
    static final byte V2 = RecordBatch.MAGIC_VALUE_V2;

    public static void main(String[] args) throws Exception {
        if (args.length == 2 && args[0].equals("write")) {
            try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(args[1])))) {
                new RecordOracle(out).writeAll();
            }
        } else if (args.length == 2 && args[0].equals("describe")) {
            describe(args[1]);
        } else {
            System.err.println("usage: RecordOracle write FILE | describe FILE");
            System.exit(2);
        }
    }

    // --- writing ----------------------------------------------------------------------------------------------------

    private final DataOutputStream out;
    private final Random random = new Random(4711);

    RecordOracle(DataOutputStream out) {
        this.out = out;
    }

    static Map<String, Compression> codecs() {
        Map<String, Compression> codecs = new LinkedHashMap<>();
        codecs.put("none", Compression.NONE);
        codecs.put("gzip", Compression.gzip().build());
        codecs.put("gzip 9", Compression.gzip().level(9).build());
        codecs.put("snappy", Compression.snappy().build());
        codecs.put("lz4", Compression.lz4().build());
        codecs.put("lz4 17", Compression.lz4().level(17).build());
        codecs.put("zstd", Compression.zstd().build());
        codecs.put("zstd 19", Compression.zstd().level(19).build());
        codecs.put("zstd -7", Compression.zstd().level(-7).build());
        return codecs;
    }

    void writeAll() throws IOException {
        for (Compression codec : codecs().values()) {
            entry('C', mixed(codec, TimestampType.CREATE_TIME, RecordBatch.NO_PRODUCER_ID, false, 10));
            entry('P', mixed(codec, TimestampType.CREATE_TIME, RecordBatch.NO_PRODUCER_ID, false, 0));
            entry('P', mixed(codec, TimestampType.CREATE_TIME, 4711, false, 0));
            entry('P', mixed(codec, TimestampType.CREATE_TIME, 4711, true, 0));
            entry('C', mixed(codec, TimestampType.LOG_APPEND_TIME, 4711, true, 1L << 40));
            entry('C', compacted(codec));
            entry('C', many(codec, 3000, 20));
            entry('P', many(codec, 40, 9000));
            entry('C', many(codec, 1, 1500000));
        }
        entry('C', control(new EndTransactionMarker(ControlRecordType.COMMIT, 5)));
        entry('C', control(new EndTransactionMarker(ControlRecordType.ABORT, 6)));
        entry('C', empty());
        entry('C', severalAndOneCutOff());
    }

    private void entry(char kind, byte[] bytes) throws IOException {
        out.writeByte(kind);
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    private static byte[] bytes(MemoryRecordsBuilder builder) {
        ByteBuffer buffer = builder.build().buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return bytes;
    }

    private static MemoryRecordsBuilder builder(Compression codec, TimestampType type, long producer, boolean transactional,
                                                boolean control, long base, long horizon) {
        long appended = type == TimestampType.LOG_APPEND_TIME ? 1700000009999L : RecordBatch.NO_TIMESTAMP;
        boolean known = producer != RecordBatch.NO_PRODUCER_ID;
        return new MemoryRecordsBuilder(new org.apache.kafka.common.utils.internals.ByteBufferOutputStream(1024), V2, codec, type, base,
            appended, producer, known ? 3 : RecordBatch.NO_PRODUCER_EPOCH, known && !control ? 1234 : RecordBatch.NO_SEQUENCE,
            transactional, control, 8, Integer.MAX_VALUE / 4, horizon);
    }

    private static byte[] utf8(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static Header header(String name, String value) {
        return new RecordHeader(name, utf8(value));
    }

    private static byte[] mixed(Compression codec, TimestampType type, long producer, boolean transactional, long base) {
        MemoryRecordsBuilder builder = builder(codec, type, producer, transactional, false, base, RecordBatch.NO_TIMESTAMP);
        Header[] none = new Header[0];
        Header[] several = {header("a", "1"), header("a", "2"), header("b", null), header("", ""), header("ü", "ß")};
        builder.append(1700000000000L, utf8("key"), utf8("{\"a\": \"some text some text some text\"}"), several);
        builder.append(1699999999000L, (byte[]) null, utf8("value"), none);
        builder.append(1700000005000L, utf8("tombstone"), null, new Header[] {header("x", "y")});
        builder.append(1700000005000L, (byte[]) null, (byte[]) null, none);
        builder.append(0L, new byte[0], new byte[0], none);
        builder.append(1700000005001L, utf8("last"), utf8("of all"), several);
        return bytes(builder);
    }

    /** Gaps between offsets, and a delete horizon in place of the base timestamp. */
    private static byte[] compacted(Compression codec) {
        MemoryRecordsBuilder builder =
            builder(codec, TimestampType.CREATE_TIME, 4711, false, false, 100, 1800000000000L);
        builder.appendWithOffset(101, 1700000000000L, utf8("key"), utf8("value"), new Header[0]);
        builder.appendWithOffset(108, 1700000000001L, utf8("gone"), null, new Header[0]);
        builder.appendWithOffset(1000000, 1700000000002L, utf8("far"), utf8("away"), new Header[0]);
        builder.overrideLastOffset(1000007);
        return bytes(builder);
    }

    private byte[] many(Compression codec, int count, int size) {
        MemoryRecordsBuilder builder =
            builder(codec, TimestampType.CREATE_TIME, RecordBatch.NO_PRODUCER_ID, false, false, 0, RecordBatch.NO_TIMESTAMP);
        for (int i = 0; i < count; i++) {
            byte[] value = new byte[size];
            for (int at = 0; at < size; at++) { // compresses, but not to nothing
                value[at] = (byte) (at % 16 < 9 ? 'a' + at / 16 % 20 : random.nextInt(256));
            }
            builder.append(1700000000000L + i * 7, utf8("key " + i), value, new Header[] {header("n", "" + i)});
        }
        return bytes(builder);
    }

    private static byte[] control(EndTransactionMarker marker) {
        MemoryRecordsBuilder builder =
            builder(Compression.NONE, TimestampType.CREATE_TIME, 4711, true, true, 77, RecordBatch.NO_TIMESTAMP);
        builder.appendEndTxnMarker(1700000000000L, marker);
        return bytes(builder);
    }

    private static byte[] empty() {
        ByteBuffer buffer = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        DefaultRecordBatch.writeEmptyHeader(buffer, V2, 4711, (short) 3, 20, 500, 519, 8, TimestampType.CREATE_TIME,
            1700000000000L, true, false);
        return buffer.array();
    }

    private byte[] severalAndOneCutOff() throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        long base = 0;
        for (Compression codec : codecs().values()) {
            all.write(mixed(codec, TimestampType.CREATE_TIME, RecordBatch.NO_PRODUCER_ID, false, base));
            base += 6;
        }
        byte[] last = mixed(Compression.NONE, TimestampType.CREATE_TIME, RecordBatch.NO_PRODUCER_ID, false, base);
        all.write(last, 0, last.length - 1);
        return all.toByteArray();
    }

    // --- reading ----------------------------------------------------------------------------------------------------

    static void describe(String path) throws IOException {
        PrintStream to = new PrintStream(new BufferedOutputStream(System.out), false, StandardCharsets.UTF_8);
        try (DataInputStream in = new DataInputStream(new FileInputStream(path))) {
            for (int kind = in.read(); kind >= 0; kind = in.read()) {
                byte[] bytes = new byte[in.readInt()];
                in.readFully(bytes);
                to.println("entry " + (char) kind);
                for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
                    describe(batch, to);
                }
            }
        }
        to.flush();
    }

    private static void describe(RecordBatch batch, PrintStream to) {
        batch.ensureValid();
        to.printf("batch %d %d %d %s %s %d %d %d %d %d %d%n", batch.baseOffset(), batch.lastOffset(), batch.countOrNull(),
            batch.compressionType().name, batch.timestampType().id == 1 ? "append" : "create",
            batch.isTransactional() ? 1 : 0, batch.isControlBatch() ? 1 : 0, batch.partitionLeaderEpoch(),
            batch.producerId(), batch.baseSequence(), batch.maxTimestamp());
        for (Record record : batch) {
            StringBuilder line = new StringBuilder("record ").append(record.offset()).append(' ').append(record.timestamp())
                .append(' ').append(hex(record.key())).append(' ').append(hex(record.value()));
            for (Header header : record.headers()) {
                line.append(' ').append(hex(ByteBuffer.wrap(utf8(header.key())))).append('=')
                    .append(hex(header.value() == null ? null : ByteBuffer.wrap(header.value())));
            }
            to.println(line);
        }
    }

    private static String hex(ByteBuffer buffer) {
        if (buffer == null) {
            return "null";
        }
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return "x" + HexFormat.of().formatHex(bytes);
    }
}
