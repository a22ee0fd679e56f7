package forebay.vintages;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.paimon.catalog.Catalog;
import org.apache.paimon.catalog.CatalogContext;
import org.apache.paimon.catalog.CatalogFactory;
import org.apache.paimon.catalog.Identifier;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.BinaryString;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.disk.IOManager;
import org.apache.paimon.reader.RecordReader;
import org.apache.paimon.schema.Schema;
import org.apache.paimon.schema.SchemaChange;
import org.apache.paimon.table.Table;
import org.apache.paimon.table.sink.CommitMessage;
import org.apache.paimon.table.sink.StreamTableCommit;
import org.apache.paimon.table.sink.StreamTableWrite;
import org.apache.paimon.table.sink.StreamWriteBuilder;
import org.apache.paimon.table.source.ReadBuilder;
import org.apache.paimon.table.source.Split;
import org.apache.paimon.table.source.StreamTableScan;
import org.apache.paimon.types.DataField;
import org.apache.paimon.types.DataTypes;
import org.apache.paimon.types.RowKind;
import org.apache.paimon.types.RowType;

/**
 * Writes small tables with one release of Paimon, and what that release reads in them: {@code Vintages DIRECTORY TABLE..}.
 * It uses only what every release since 0.4 has in its API.
 */
public final class Vintages {
    private final Path out;
    private final Catalog catalog;
    private final Path warehouse;
    private Table table;
    private Identifier id;
    private String name;
    private long commit;

    private Vintages(Path out, Path warehouse, Catalog catalog) {
        this.out = out;
        this.warehouse = warehouse;
        this.catalog = catalog;
    }

    public static void main(String[] arguments) throws Exception {
        Path warehouse = Files.createTempDirectory("vintages");
        Catalog catalog = CatalogFactory.createCatalog(
                CatalogContext.create(new org.apache.paimon.fs.Path(warehouse.toUri())));
        catalog.createDatabase("v", true);
        Vintages made = new Vintages(Path.of(arguments[0]).toAbsolutePath(), warehouse, catalog);
        for (String table : Arrays.copyOfRange(arguments, 1, arguments.length)) {
            made.make(table);
        }
        System.exit(0); // some releases leave threads behind
    }

    private void make(String wanted) throws Exception {
        name = wanted;
        commit = 0;
        switch (wanted) {
            case "pk_default" -> everyType(Map.of());
            case "pk_orc" -> everyType(Map.of("bucket", "1", "file.format", "orc"));
            case "pk_avro" -> plain(Map.of("bucket", "1", "file.format", "avro"));
            case "pk_parquet" -> everyType(Map.of("bucket", "1", "file.format", "parquet"));
            case "cl_input" -> plain(Map.of("bucket", "1", "changelog-producer", "input"));
            case "cl_full" -> plain(Map.of("bucket", "1", "changelog-producer", "full-compaction"));
            case "dv" -> plain(Map.of("bucket", "1", "deletion-vectors.enabled", "true"));
            case "agg" -> aggregated();
            case "part_odd" -> partitioned();
            case "append" -> appended();
            case "nested" -> nested();
            case "evo" -> evolved();
            default -> throw new IllegalArgumentException(wanted);
        }
        finish();
    }

    // ---- the tables ----

    private void everyType(Map<String, String> options) throws Exception {
        Schema.Builder schema = Schema.newBuilder()
                .column("k", DataTypes.INT().notNull())
                .column("bo", DataTypes.BOOLEAN())
                .column("ti", DataTypes.TINYINT())
                .column("si", DataTypes.SMALLINT())
                .column("l", DataTypes.BIGINT())
                .column("f", DataTypes.FLOAT())
                .column("d", DataTypes.DOUBLE())
                .column("d9", DataTypes.DECIMAL(9, 2))
                .column("d38", DataTypes.DECIMAL(38, 10))
                .column("c", DataTypes.CHAR(6))
                .column("vc", DataTypes.VARCHAR(12))
                .column("s", DataTypes.STRING())
                .column("b", DataTypes.BYTES())
                .column("da", DataTypes.DATE())
                .column("ti3", DataTypes.TIME(3))
                .column("t3", DataTypes.TIMESTAMP(3))
                .column("t6", DataTypes.TIMESTAMP(6))
                .column("t9", DataTypes.TIMESTAMP(9))
                .column("z3", DataTypes.TIMESTAMP_WITH_LOCAL_TIME_ZONE(3))
                .column("z6", DataTypes.TIMESTAMP_WITH_LOCAL_TIME_ZONE(6))
                .primaryKey("k");
        create(schema, options);
        boolean dynamic = !options.containsKey("bucket");
        RowType type = table.rowType();
        write(dynamic, rows(type, 0, 9, "+I"));
        write(dynamic, rows(type, 5, 13, "+I"), rows(type, 1, 3, "-D"));
        compact(null);
        write(dynamic, rows(type, 3, 7, "+I"));
    }

    private void plain(Map<String, String> options) throws Exception {
        Schema.Builder schema = Schema.newBuilder()
                .column("k", DataTypes.INT().notNull())
                .column("a", DataTypes.BIGINT())
                .column("s", DataTypes.STRING())
                .column("d", DataTypes.DECIMAL(12, 2))
                .primaryKey("k");
        create(schema, options);
        RowType type = table.rowType();
        write(false, rows(type, 0, 9, "+I"));
        write(false, rows(type, 5, 13, "+U"), rows(type, 1, 3, "-D"));
        compact(null);
        write(false, rows(type, 3, 7, "+U"), rows(type, 8, 9, "-D"));
    }

    private void aggregated() throws Exception {
        Schema.Builder schema = Schema.newBuilder()
                .column("k", DataTypes.INT().notNull())
                .column("sum", DataTypes.BIGINT())
                .column("max", DataTypes.INT())
                .column("d", DataTypes.DECIMAL(12, 2))
                .column("last", DataTypes.INT())
                .primaryKey("k");
        Map<String, String> options = new HashMap<>();
        options.put("bucket", "1");
        options.put("merge-engine", "aggregation");
        options.put("fields.sum.aggregate-function", "sum");
        options.put("fields.max.aggregate-function", "max");
        options.put("fields.d.aggregate-function", "sum");
        options.put("fields.last.aggregate-function", "last_non_null_value");
        create(schema, options);
        RowType type = table.rowType();
        write(false, rows(type, 0, 9, "+I"));
        write(false, rows(type, 4, 12, "+I"));
        compact(null);
        write(false, rows(type, 2, 6, "+I"));
    }

    private void partitioned() throws Exception {
        Schema.Builder schema = Schema.newBuilder()
                .column("p", DataTypes.STRING())
                .column("q", DataTypes.INT())
                .column("a", DataTypes.BIGINT())
                .column("s", DataTypes.STRING())
                .partitionKeys("p", "q");
        create(schema, Map.of());
        RowType type = table.rowType();
        String[] odd = {"plain", "a/b=c", "50% \u00fc", " ", null};
        for (int turn = 0; turn < 2; turn++) {
            List<InternalRow> rows = new ArrayList<>();
            for (int at = 0; at < odd.length; at++) {
                GenericRow row = Values.row(type, 10 * turn + at, commit);
                row.setField(0, odd[at] == null ? null : BinaryString.fromString(odd[at]));
                row.setField(1, at % 2 == 0 ? 7 : (Object) null);
                rows.add(row);
            }
            write(false, rows);
        }
    }

    private void appended() throws Exception {
        Schema.Builder schema = Schema.newBuilder()
                .column("a", DataTypes.INT())
                .column("s", DataTypes.STRING())
                .column("d", DataTypes.DOUBLE())
                .column("t", DataTypes.TIMESTAMP(3));
        create(schema, Map.of());
        RowType type = table.rowType();
        for (int turn = 0; turn < 3; turn++) {
            write(false, rows(type, 4 * turn, 4 * turn + 6, "+I"));
        }
    }

    private void nested() throws Exception {
        Schema.Builder schema = Schema.newBuilder()
                .column("k", DataTypes.INT().notNull())
                .column("a", DataTypes.ARRAY(DataTypes.INT()))
                .column("m", DataTypes.MAP(DataTypes.STRING(), DataTypes.DECIMAL(9, 2)))
                .column("u", DataTypes.MULTISET(DataTypes.STRING()))
                .column("r", DataTypes.ROW(
                        new DataField(101, "x", DataTypes.TIMESTAMP(3)), new DataField(102, "y", DataTypes.STRING())))
                .column("ar", DataTypes.ARRAY(DataTypes.ROW(
                        new DataField(103, "e", DataTypes.BIGINT()), new DataField(104, "f", DataTypes.ARRAY(DataTypes.DOUBLE())))))
                .primaryKey("k");
        // 0.9 cannot read what it writes of these columns in Parquet.
        create(schema, Map.of("bucket", "1", "file.format", "orc"));
        RowType type = table.rowType();
        write(false, rows(type, 0, 9, "+I"));
        write(false, rows(type, 5, 12, "+I"), rows(type, 1, 3, "-D"));
        compact(null);
    }

    private void evolved() throws Exception {
        Schema.Builder schema = Schema.newBuilder()
                .column("k", DataTypes.INT().notNull())
                .column("a", DataTypes.INT())
                .column("b", DataTypes.STRING())
                .column("c", DataTypes.DOUBLE())
                .column("d", DataTypes.DECIMAL(9, 2))
                .primaryKey("k");
        create(schema, Map.of("bucket", "1"));
        write(false, rows(table.rowType(), 0, 9, "+I"));
        alter(SchemaChange.addColumn("n", DataTypes.STRING()),
                SchemaChange.renameColumn("b", "renamed"),
                SchemaChange.updateColumnType("a", DataTypes.BIGINT()));
        write(false, rows(table.rowType(), 5, 12, "+I"));
        alter(SchemaChange.dropColumn("c"));
        alter(SchemaChange.addColumn("c", DataTypes.INT()));
        write(false, rows(table.rowType(), 3, 7, "+I"));
        compact(null);
    }

    // ---- what they are made by ----

    private void create(Schema.Builder schema, Map<String, String> options) throws Exception {
        options.forEach(schema::option);
        id = Identifier.create("v", name);
        catalog.createTable(id, schema.build(), false);
        table = catalog.getTable(id);
    }

    private void alter(SchemaChange... changes) throws Exception {
        catalog.alterTable(id, Arrays.asList(changes), false);
        table = catalog.getTable(id);
    }

    private List<InternalRow> rows(RowType type, int from, int to, String kind) {
        List<InternalRow> rows = new ArrayList<>();
        for (int key = from; key < to; key++) {
            GenericRow row = Values.row(type, key, commit);
            row.setRowKind(kind(kind));
            rows.add(row);
        }
        return rows;
    }

    private static RowKind kind(String text) {
        for (RowKind kind : RowKind.values()) {
            if (kind.shortString().equals(text)) {
                return kind;
            }
        }
        throw new IllegalArgumentException(text);
    }

    /** The rows of dynamic buckets all go to bucket 0. */
    @SafeVarargs
    private void write(boolean dynamic, List<InternalRow>... parts) throws Exception {
        commit(write -> {
            for (List<InternalRow> rows : parts) {
                for (InternalRow row : rows) {
                    if (dynamic && isDynamic()) {
                        // 0.4 does not have this method.
                        StreamTableWrite.class.getMethod("write", InternalRow.class, int.class).invoke(write, row, 0);
                    } else {
                        write.write(row);
                    }
                }
            }
        });
    }

    /** From 0.8 on a key table without a bucket count has dynamic buckets; before it has one. */
    private boolean isDynamic() {
        String release = System.getProperty("release");
        return !(release.startsWith("0.4") || release.startsWith("0.5") || release.startsWith("0.6") || release.startsWith("0.7"));
    }

    private void compact(BinaryRow partition) throws Exception {
        BinaryRow of = partition == null ? BinaryRow.EMPTY_ROW : partition;
        commit(write -> write.compact(of, 0, true));
    }

    private interface Work {
        void on(StreamTableWrite write) throws Exception;
    }

    private void commit(Work work) throws Exception {
        StreamWriteBuilder builder = table.newStreamWriteBuilder().withCommitUser("vintner");
        try (StreamTableWrite write = builder.newWrite(); StreamTableCommit commits = builder.newCommit()) {
            write.withIOManager(IOManager.create(Files.createTempDirectory("vintages-io").toString()));
            work.on(write);
            List<CommitMessage> messages = write.prepareCommit(true, commit);
            commits.commit(commit, messages);
        }
        commit++;
    }

    // ---- what is read in them ----

    private void finish() throws Exception {
        Path made = warehouse.resolve("v.db").resolve(name);
        Path folder = out.resolve(name);
        Files.createDirectories(folder);
        List<Long> snapshots = new ArrayList<>();
        try (var files = Files.list(made.resolve("snapshot"))) {
            files.map(file -> file.getFileName().toString()).filter(it -> it.startsWith("snapshot-"))
                    .forEach(it -> snapshots.add(Long.parseLong(it.substring(9))));
        }
        Collections.sort(snapshots);
        List<String> rows = new ArrayList<>();
        for (long snapshot : snapshots) {
            Table then = table.copy(Map.of("scan.snapshot-id", Long.toString(snapshot)));
            ReadBuilder builder = then.newReadBuilder();
            RowType type = then.rowType();
            List<Split> splits = new ArrayList<>(builder.newScan().plan().splits());
            read(builder, splits, row -> rows.add("{\"snapshot\":" + snapshot + ",\"row\":" + Values.json(type, row) + "}"));
        }
        Files.write(folder.resolve("rows.jsonl"), rows);
        if (!name.equals("evo")) { // a stream of the API has the columns of its first snapshot
            Files.write(folder.resolve("changes.jsonl"), changes(snapshots));
        }
        StringBuilder listed = new StringBuilder();
        snapshots.forEach(it -> listed.append(listed.isEmpty() ? "" : ", ").append("{\"snapshot\": ").append(it).append("}"));
        Files.writeString(folder.resolve("schema.json"), "{\"release\": \"" + System.getProperty("release") + "\", \"zone\": \""
                + java.util.TimeZone.getDefault().getID() + "\", \"snapshots\": [" + listed + "]}\n");
        copy(made, folder.resolve("table"));
        System.err.println(name + ": " + snapshots.size() + " snapshots, " + rows.size() + " rows");
    }

    private interface Taker {
        void take(InternalRow row);
    }

    private static void read(ReadBuilder builder, List<Split> splits, Taker taker) throws Exception {
        for (Split split : splits) {
            try (RecordReader<InternalRow> reader = builder.newRead().createReader(split)) {
                reader.forEachRemaining(taker::take);
            }
        }
    }

    private List<String> changes(List<Long> snapshots) throws Exception {
        List<String> changes = new ArrayList<>();
        Map<String, String> options = new TreeMap<>();
        options.put("scan.mode", "from-snapshot");
        options.put("scan.snapshot-id", Long.toString(snapshots.get(0)));
        Table followed = table.copy(options);
        ReadBuilder builder = followed.newReadBuilder();
        StreamTableScan scan = builder.newStreamScan();
        RowType type = followed.rowType();
        for (int turn = 0; turn < 2 * snapshots.size() + 2; turn++) {
            Long before = scan.checkpoint();
            List<Split> splits = new ArrayList<>(scan.plan().splits());
            Long next = scan.checkpoint();
            if (splits.isEmpty() && next != null && next > snapshots.get(snapshots.size() - 1)) {
                break;
            }
            long snapshot = next == null ? (before == null ? snapshots.get(0) : before) : next - 1;
            read(builder, splits, row -> changes.add("{\"snapshot\":" + snapshot + ",\"kind\":\"" + row.getRowKind().shortString()
                    + "\",\"row\":" + Values.json(type, row) + "}"));
        }
        return changes;
    }

    private static void copy(Path from, Path to) throws Exception {
        try (var paths = Files.walk(from)) {
            for (Path path : paths.toList()) {
                Path target = to.resolve(from.relativize(path).toString());
                if (Files.isDirectory(path)) {
                    Files.createDirectories(target);
                } else if (!path.getFileName().toString().endsWith(".crc")) {
                    Files.copy(path, target);
                }
            }
        }
    }
}
