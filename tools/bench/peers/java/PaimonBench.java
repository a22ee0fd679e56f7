// Released Java Paimon in forebay's bench, through its public table API: PaimonBench write|scan|plan|latency|compact|lookup --name value ..
// The same rows as ../../src/data.rs, the same verbs, arguments and answers as ../../src/engine.rs. Rows are GenericRows, made before
// the clock starts; a scan touches every field. `--warm-commits` writes a throw-away table first, so that the JIT has settled.

import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.paimon.catalog.Catalog;
import org.apache.paimon.catalog.CatalogContext;
import org.apache.paimon.catalog.CatalogFactory;
import org.apache.paimon.catalog.Identifier;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.BinaryString;
import org.apache.paimon.data.Decimal;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.data.Timestamp;
import org.apache.paimon.disk.IOManager;
import org.apache.paimon.options.Options;
import org.apache.paimon.reader.RecordReader;
import org.apache.paimon.schema.Schema;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.Table;
import org.apache.paimon.table.query.LocalTableQuery;
import org.apache.paimon.table.sink.CommitMessage;
import org.apache.paimon.table.sink.StreamTableCommit;
import org.apache.paimon.table.sink.StreamTableWrite;
import org.apache.paimon.table.sink.StreamWriteBuilder;
import org.apache.paimon.table.source.DataSplit;
import org.apache.paimon.table.source.ReadBuilder;
import org.apache.paimon.table.source.Split;
import org.apache.paimon.table.source.StreamTableScan;
import org.apache.paimon.table.source.TableRead;
import org.apache.paimon.types.DataTypes;
import org.apache.paimon.types.RowType;

public class PaimonBench {
    static final Map<String, String> ARGS = new HashMap<>();

    public static void main(String[] words) throws Exception {
        for (int i = 1; i < words.length; i++) {
            boolean flag = i + 1 == words.length || words[i + 1].startsWith("--");
            ARGS.put(words[i].substring(2), flag ? "" : words[++i]);
        }
        Catalog catalog = catalog();
        Identifier table = Identifier.create("b", take("table", null));
        switch (words[0]) {
            case "write": write(catalog, table); break;
            case "scan": scan(catalog, table); break;
            case "plan": plan(catalog, table); break;
            case "latency": latency(catalog, table); break;
            case "compact": compact(catalog, table); break;
            case "lookup": lookup(catalog, table); break;
            default: throw new IllegalArgumentException(words[0]);
        }
        if (!ARGS.isEmpty()) throw new IllegalArgumentException("not known here: " + ARGS.keySet());
    }

    // ---- arguments, answers and measures

    static String take(String name, String otherwise) {
        String value = ARGS.remove(name);
        if (value == null && otherwise == null) throw new IllegalArgumentException("--" + name + " is missing");
        return value == null ? otherwise : value;
    }

    static long number(String name, Long otherwise) {
        return Long.parseLong(take(name, otherwise == null ? null : otherwise.toString()));
    }

    static String[] list(String name) {
        String text = take(name, "");
        return text.isEmpty() ? new String[0] : text.split(",");
    }

    static double cpu() {
        return ((com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }

    static double since(long start) {
        return (System.nanoTime() - start) / 1e9;
    }

    static double peakMib() throws Exception {
        if (!Files.exists(Paths.get("/proc/self/status"))) return 0;
        for (String line : Files.readAllLines(Paths.get("/proc/self/status")))
            if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
        return 0;
    }

    static void answer(String format, Object... values) {
        System.out.println(String.format(java.util.Locale.ROOT, format, values));
    }

    // ---- rows

    static final String[] STATUS = {"NEW", "PAID", "SHIPPED", "DONE", "CANCEL", "RETURN", "HOLD", "FRAUD"};
    static final String[] WORDS = {"stream", "lake", "table", "merge", "commit", "bucket", "level", "order", "price",
        "customer", "urgent", "blue", "delivery", "weekly", "priority", "return"};

    static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    static long hash(long row, int column) {
        return mix(row * 0x9E3779B97F4A7C15L + mix(column + 1));
    }

    static long key(long row, long keys, boolean zipf) {
        long random = hash(row, 0);
        if (!zipf) return Long.remainderUnsigned(random, keys);
        double unit = (double) (random >>> 11) / (double) (1L << 53);
        long rank = (long) Math.exp(Math.log(keys + 1.0) * unit) - 1;
        return Long.remainderUnsigned(mix(rank + 77), keys);
    }

    static long below(long row, int column, long bound) {
        return Long.remainderUnsigned(hash(row, column), bound);
    }

    static GenericRow row(long row, long keys, boolean zipf) {
        GenericRow result = new GenericRow(11);
        result.setField(0, key(row, keys, zipf));
        result.setField(1, (int) below(row, 1, 1000));
        result.setField(2, hash(row, 2) >>> 1);
        result.setField(3, below(row, 3, 1_000_000) / 100.0);
        result.setField(4, Decimal.fromUnscaledLong(below(row, 4, 10_000_000), 12, 2));
        result.setField(5, 18000 + (int) below(row, 5, 2000));
        result.setField(6, Timestamp.fromMicros(1_600_000_000_000_000L + row * 1000 + below(row, 6, 1000)));
        result.setField(7, BinaryString.fromString(STATUS[(int) below(row, 7, 8)]));
        String city = Long.toString(100_000 + below(row, 8, 10_000)), name = Long.toHexString(hash(row, 9));
        result.setField(8, BinaryString.fromString("city-" + city.substring(1)));
        result.setField(9, BinaryString.fromString("0".repeat(16 - name.length()) + name));
        long random = hash(row, 10);
        if (Long.remainderUnsigned(random, 20) != 0) {
            StringBuilder text = new StringBuilder();
            long choice = mix(random);
            for (long word = Long.remainderUnsigned(random >>> 8, 10); word >= 0; word--) {
                text.append(WORDS[(int) (choice & 15)]).append(word > 0 ? " " : "");
                choice >>>= 4;
            }
            result.setField(10, BinaryString.fromString(text.toString()));
        }
        return result;
    }

    static GenericRow[] rows(long from, long to, long keys, boolean zipf) {
        GenericRow[] rows = new GenericRow[(int) (to - from)];
        for (int i = 0; i < rows.length; i++) rows[i] = row(from + i, keys, zipf);
        return rows;
    }

    // ---- tables

    static Catalog catalog() {
        Options options = new Options();
        options.set("warehouse", take("warehouse", null));
        return CatalogFactory.createCatalog(CatalogContext.create(options));
    }

    static Map<String, String> tableOptions() {
        Map<String, String> options = new HashMap<>();
        options.put("file.format", "parquet");
        options.put("file.compression", "zstd");
        options.put("write-only", "true");
        options.put("bucket", take("buckets", "1"));
        for (String pair : list("options")) options.put(pair.split("=", 2)[0], pair.split("=", 2)[1]);
        return options;
    }

    static FileStoreTable create(Catalog catalog, Identifier table, Map<String, String> options) throws Exception {
        catalog.createDatabase("b", true);
        catalog.dropTable(table, true);
        Schema schema = Schema.newBuilder()
            .column("id", DataTypes.BIGINT().notNull()).column("c_int", DataTypes.INT())
            .column("c_long", DataTypes.BIGINT()).column("c_double", DataTypes.DOUBLE())
            .column("c_dec", DataTypes.DECIMAL(12, 2)).column("c_date", DataTypes.DATE())
            .column("c_ts", DataTypes.TIMESTAMP(6)).column("c_status", DataTypes.STRING())
            .column("c_city", DataTypes.STRING()).column("c_name", DataTypes.STRING())
            .column("c_note", DataTypes.STRING()).primaryKey("id").options(options).build();
        catalog.createTable(table, schema, false);
        return (FileStoreTable) catalog.getTable(table);
    }

    static IOManager spill() {
        return IOManager.create(System.getProperty("java.io.tmpdir"));
    }

    // ---- verbs

    static void write(Catalog catalog, Identifier table) throws Exception {
        long rows = number("rows", null), commits = number("commits", null), keys = number("keys", rows);
        boolean zipf = ARGS.remove("zipf") != null;
        long warm = number("warm-commits", 0L);
        Map<String, String> options = tableOptions();
        if (warm > 0) {
            Identifier spare = Identifier.create("b", "warm_up");
            write(create(catalog, spare, options), rows / commits, Math.min(warm, commits), keys, zipf);
            catalog.dropTable(spare, true);
        }
        answer("%s", write(create(catalog, table, options), rows / commits, commits, keys, zipf));
    }

    static String write(FileStoreTable table, long each, long commits, long keys, boolean zipf) throws Exception {
        double cpu = 0, total = 0;
        List<Double> seconds = new ArrayList<>();
        double cpuStart = cpu();
        long start = System.nanoTime();
        StreamWriteBuilder builder = table.newStreamWriteBuilder().withCommitUser("bench");
        try (StreamTableWrite writer = builder.newWrite(); StreamTableCommit committer = builder.newCommit()) {
            writer.withIOManager(spill());
            total += since(start);
            cpu += cpu() - cpuStart;
            for (long commit = 0; commit < commits; commit++) {
                GenericRow[] rows = rows(commit * each, (commit + 1) * each, keys, zipf);
                cpuStart = cpu();
                start = System.nanoTime();
                for (GenericRow row : rows) writer.write(row);
                committer.commit(commit, writer.prepareCommit(commit + 1 == commits, commit));
                seconds.add(since(start));
                cpu += cpu() - cpuStart;
            }
        }
        for (double second : seconds) total += second;
        return String.format(java.util.Locale.ROOT, "{\"rows\":%d,\"secs\":%.6f,\"cpu\":%.3f,\"commits\":%s,\"peak_mib\":%.1f}", each * commits, total, cpu, seconds, peakMib());
    }

    static void scan(Catalog catalog, Identifier table) throws Exception {
        String[] columns = list("columns");
        String summed = take("sum", "c_long");
        long reps = number("reps", 3L);
        for (long rep = 0; rep < reps; rep++) {
            double cpuStart = cpu();
            long start = System.nanoTime();
            Table handle = catalog.getTable(table);
            ReadBuilder builder = handle.newReadBuilder();
            RowType type = handle.rowType();
            if (columns.length > 0) {
                int[] at = new int[columns.length];
                for (int i = 0; i < at.length; i++) at[i] = type.getFieldIndex(columns[i]);
                builder = builder.withProjection(at);
                type = type.project(at);
            }
            InternalRow.FieldGetter[] fields = new InternalRow.FieldGetter[type.getFieldCount()];
            for (int i = 0; i < fields.length; i++) fields[i] = InternalRow.createFieldGetter(type.getTypeAt(i), i);
            int sumAt = type.getFieldIndex(summed);
            boolean wide = type.getTypeAt(sumAt).equals(DataTypes.BIGINT());
            long rows = 0, low = 0, high = 0, touched = 0;
            TableRead read = builder.newRead().withIOManager(spill());
            try (RecordReader<InternalRow> reader = read.createReader(builder.newScan().plan().splits())) {
                RecordReader.RecordIterator<InternalRow> batch;
                while ((batch = reader.readBatch()) != null) {
                    for (InternalRow row = batch.next(); row != null; row = batch.next()) {
                        rows++;
                        for (InternalRow.FieldGetter field : fields) if (field.getFieldOrNull(row) != null) touched++;
                        long value = wide ? row.getLong(sumAt) : row.getInt(sumAt);
                        low += value & 0xffffffffL;
                        high += value >> 32;
                    }
                    batch.releaseBatch();
                }
            }
            double secs = since(start), cpu = cpu() - cpuStart;
            BigInteger sum = BigInteger.valueOf(high).shiftLeft(32).add(BigInteger.valueOf(low));
            answer("{\"rows\":%d,\"sum\":\"%s\",\"touched\":%d,\"secs\":%.6f,\"cpu\":%.3f,\"peak_mib\":%.1f}", rows, sum, touched, secs, cpu, peakMib());
        }
    }

    static void plan(Catalog catalog, Identifier table) throws Exception {
        long reps = number("reps", 5L);
        for (long rep = 0; rep < reps; rep++) {
            double cpuStart = cpu();
            long start = System.nanoTime();
            Table handle = catalog.getTable(table);
            List<Split> splits = handle.newReadBuilder().newScan().plan().splits();
            double secs = since(start), cpu = cpu() - cpuStart;
            start = System.nanoTime();
            handle.newReadBuilder().newScan().plan();
            double again = since(start);
            long files = 0;
            for (Split split : splits) files += ((DataSplit) split).dataFiles().size();
            answer("{\"splits\":%d,\"files\":%d,\"secs\":%.6f,\"cpu\":%.3f,\"again_secs\":%.6f}", splits.size(), files, secs, cpu, again);
        }
    }

    static void latency(Catalog catalog, Identifier id) throws Exception {
        long each = number("rows", 1000L), commits = number("commits", null);
        FileStoreTable table = create(catalog, id, tableOptions());
        StreamWriteBuilder builder = table.newStreamWriteBuilder().withCommitUser("bench");
        ReadBuilder reads = table.newReadBuilder();
        StreamTableScan scan = reads.newStreamScan();
        List<Double> commitMs = new ArrayList<>(), visibleMs = new ArrayList<>();
        try (StreamTableWrite writer = builder.newWrite(); StreamTableCommit committer = builder.newCommit()) {
            writer.withIOManager(spill());
            for (long commit = 0; commit < commits; commit++) {
                GenericRow[] rows = rows(commit * each, (commit + 1) * each, each * commits, false);
                Set<Long> wanted = new HashSet<>();
                for (GenericRow row : rows) wanted.add(row.getLong(0));
                long start = System.nanoTime();
                for (GenericRow row : rows) writer.write(row);
                committer.commit(commit, writer.prepareCommit(false, commit));
                commitMs.add(since(start) * 1e3);
                start = System.nanoTime();
                long seen = 0;
                while (seen < wanted.size()) {
                    List<Split> splits = scan.plan().splits();
                    if (splits.isEmpty()) continue;
                    try (RecordReader<InternalRow> reader = reads.newRead().withIOManager(spill()).createReader(splits)) {
                        RecordReader.RecordIterator<InternalRow> batch;
                        while ((batch = reader.readBatch()) != null) {
                            while (batch.next() != null) seen++;
                            batch.releaseBatch();
                        }
                    }
                }
                visibleMs.add(since(start) * 1e3);
                if (seen != wanted.size()) throw new IllegalStateException("commit " + commit + " showed " + seen + " rows instead of " + wanted.size());
            }
        }
        answer("{\"rows\":%d,\"commit_ms\":%s,\"visible_ms\":%s}", each, commitMs, visibleMs);
    }

    // W4: full compaction of bucket 0, from the writer to the return of the commit.
    static void compact(Catalog catalog, Identifier id) throws Exception {
        Map<String, String> compacting = new HashMap<>();
        compacting.put("write-only", "false");
        FileStoreTable table = ((FileStoreTable) catalog.getTable(id)).copy(compacting);
        double cpuStart = cpu();
        long start = System.nanoTime();
        StreamWriteBuilder builder = table.newStreamWriteBuilder().withCommitUser("bench-compact");
        try (StreamTableWrite writer = builder.newWrite(); StreamTableCommit committer = builder.newCommit()) {
            writer.withIOManager(spill());
            writer.compact(BinaryRow.EMPTY_ROW, 0, true);
            List<CommitMessage> messages = writer.prepareCommit(true, Long.MAX_VALUE - 1);
            committer.commit(Long.MAX_VALUE - 1, messages);
        }
        answer("{\"secs\":%.6f,\"cpu\":%.3f,\"peak_mib\":%.1f}", since(start), cpu() - cpuStart, peakMib());
    }

    // W6: gets by key from a local query of the newest snapshot. The passes are those of ../../src/lookup.rs.
    static void lookup(Catalog catalog, Identifier id) throws Exception {
        long rows = number("rows", null), keys = number("keys", rows), gets = number("gets", 20_000L), beyond = 1L << 40;
        String memory = take("memory", "268435456") + "b";
        long[] last = new long[Math.toIntExact(keys)];
        for (long row = 0; row < rows; row++) last[(int) key(row, keys, false)] = row + 1;
        long[] asked = new long[Math.toIntExact(gets)], others = new long[asked.length];
        for (int i = 0; i < asked.length; i++) {
            asked[i] = key(beyond + i, keys, false);
            others[i] = key(beyond + gets + i, keys, false);
        }
        long start = System.nanoTime();
        FileStoreTable table = ((FileStoreTable) catalog.getTable(id)).copy(Map.of("lookup.cache-max-memory-size", memory));
        try (LocalTableQuery query = table.newLocalTableQuery().withIOManager(spill())) {
            for (Split split : table.newReadBuilder().newScan().plan().splits()) {
                DataSplit data = (DataSplit) split;
                query.refreshFiles(data.partition(), data.bucket(), List.of(), data.dataFiles());
            }
            double opened = since(start);
            InternalRow found = query.lookup(BinaryRow.EMPTY_ROW, 0, GenericRow.of(asked[0]));
            double first = since(start);
            InternalRow.FieldGetter[] fields = new InternalRow.FieldGetter[table.rowType().getFieldCount()];
            for (int i = 0; i < fields.length; i++) fields[i] = InternalRow.createFieldGetter(table.rowType().getTypeAt(i), i);
            gate(asked[0], found, last, keys, fields);
            List<String> passes = new ArrayList<>();
            long hits = 0;
            for (long[] pass : List.of(asked, asked, others)) {
                long[] nanos = new long[pass.length];
                hits = pass == others ? hits : 0;
                for (int i = 0; i < pass.length; i++) {
                    GenericRow key = GenericRow.of(pass[i]);
                    long begin = System.nanoTime();
                    found = query.lookup(BinaryRow.EMPTY_ROW, 0, key);
                    nanos[i] = System.nanoTime() - begin;
                    if (found != null && pass != others) hits++;
                    gate(pass[i], found, last, keys, fields);
                }
                java.util.Arrays.sort(nanos);
                String at = "{\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"most_us\":%.3f}";
                passes.add(String.format(java.util.Locale.ROOT, at, share(nanos, 500), share(nanos, 990), share(nanos, 999), share(nanos, 1000)));
            }
            answer("{\"gets\":%d,\"hits\":%d,\"open_ms\":%.3f,\"first_ms\":%.3f,\"passes\":%s,\"peak_mib\":%.1f}", gets, hits, opened * 1e3, first * 1e3, passes, peakMib());
        }
    }

    static double share(long[] sorted, int of) {
        return sorted[Math.min((int) ((long) sorted.length * of / 1000), sorted.length - 1)] / 1e3;
    }

    // A row must be the last one that the generator gave its key.
    static void gate(long key, InternalRow found, long[] last, long keys, InternalRow.FieldGetter[] fields) {
        long row = last[(int) key];
        if ((row == 0) != (found == null)) throw new IllegalStateException("key " + key + ": row " + row + ", found " + found);
        if (found == null) return;
        GenericRow truth = row(row - 1, keys, false);
        for (InternalRow.FieldGetter field : fields)
            if (!java.util.Objects.equals(field.getFieldOrNull(found), field.getFieldOrNull(truth)))
                throw new IllegalStateException("key " + key + ": " + field.getFieldOrNull(truth) + " was written, " + field.getFieldOrNull(found) + " was found");
    }
}
