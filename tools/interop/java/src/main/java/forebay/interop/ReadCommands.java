package forebay.interop;

import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.paimon.Snapshot;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.predicate.Predicate;
import org.apache.paimon.predicate.PredicateBuilder;
import org.apache.paimon.reader.RecordReader;
import org.apache.paimon.reader.RecordReaderIterator;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.Table;
import org.apache.paimon.table.source.EndOfScanException;
import org.apache.paimon.table.source.DataSplit;
import org.apache.paimon.table.source.IncrementalSplit;
import org.apache.paimon.table.source.ReadBuilder;
import org.apache.paimon.table.source.Split;
import org.apache.paimon.table.source.StreamTableScan;
import org.apache.paimon.table.source.TableRead;
import org.apache.paimon.table.system.ReadOptimizedTable;
import org.apache.paimon.table.system.RowTrackingTable;
import org.apache.paimon.types.DataType;
import org.apache.paimon.types.RowType;

/** Commands that read rows. With "out" the rows go to that file, one JSON value per line, and the answer has only their count. */
final class ReadCommands {
    private ReadCommands() {}

    /** The merged rows of one snapshot or tag, with that snapshot's schema; the latest one without "snapshot" and "tag". */
    static ObjectNode read(JsonNode arguments) throws Exception {
        FileStoreTable table = Tables.open(arguments);
        Map<String, String> options = new HashMap<>();
        if (arguments.hasNonNull("snapshot")) {
            options.put("scan.snapshot-id", Long.toString(Server.number(arguments, "snapshot", 0)));
        } else if (arguments.hasNonNull("tag")) {
            options.put("scan.tag-name", Server.text(arguments, "tag"));
        }
        options.putAll(Tables.texts(arguments.get("travel")));
        table = options.isEmpty() ? table : table.copy(options);
        boolean optimized = Server.flag(arguments, "readOptimized", false);
        Table shown = optimized ? new ReadOptimizedTable(table) : table;
        if (Server.flag(arguments, "rowTracking", false)) {
            shown = new RowTrackingTable(table);
        }
        ReadBuilder builder = builder(shown, shown.rowType(), arguments);
        RowType type = shown instanceof RowTrackingTable ? shown.rowType() : shown(table, arguments);
        try (Sink sink = new Sink(arguments); Tables.Scratch scratch = new Tables.Scratch()) {
            TableRead read = read(builder, arguments, scratch);
            for (Split split : builder.newScan().plan().splits()) {
                forEach(read, split, row -> sink.add(Values.toJson(type, row)));
            }
            return sink.answer();
        }
    }

    /** A streaming read from the beginning of snapshot "from", or as the options "scan" say, to the end of snapshot "to", with the newest schema. */
    static ObjectNode changes(JsonNode arguments) throws Exception {
        FileStoreTable table = Tables.open(arguments);
        JsonNode from = arguments.get("from");
        long first = from == null || from.isNull() || from.asText().equals("earliest")
                ? earliest(table) : Server.number(arguments, "from", 0);
        long last = Server.number(arguments, "to", Long.MAX_VALUE);
        table = table.copyWithoutTimeTravel(arguments.hasNonNull("scan")
                ? Tables.texts(arguments.get("scan"))
                : Map.of("scan.mode", "from-snapshot", "scan.snapshot-id", Long.toString(first)));
        ReadBuilder builder = builder(table, arguments);
        RowType type = shown(table, arguments);
        try (Sink sink = new Sink(arguments); Tables.Scratch scratch = new Tables.Scratch()) {
            TableRead read = read(builder, arguments, scratch);
            StreamTableScan scan = builder.newStreamScan();
            Long latest = table.snapshotManager().latestSnapshotId();
            if (latest == null) {
                return sink.answer();
            }
            while (scan.checkpoint() == null || scan.checkpoint() <= Math.min(latest, last)) {
                Long before = scan.checkpoint();
                List<Split> splits;
                try {
                    splits = scan.plan().splits();
                } catch (EndOfScanException end) {
                    break;
                }
                for (Split split : splits) {
                    if (snapshot(split) <= last) {
                        forEach(read, split, row -> sink.add(change(type, split, row)));
                    }
                }
                if (splits.isEmpty() && before != null) {
                    break;
                }
                if (splits.isEmpty() && scan.checkpoint() != null && scan.checkpoint() > latest) {
                    break;
                }
                if (before == null && scan.checkpoint() == null) {
                    throw new IllegalStateException("the streaming scan did not begin");
                }
            }
            return sink.answer().put("next", scan.checkpoint());
        }
    }

    /** Option incremental-between, "from" exclusive and "to" inclusive; ids or tags; mode auto, delta, changelog or diff. Rows come with their kinds. */
    static ObjectNode incremental(JsonNode arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        options.put(Server.flag(arguments, "times", false) ? "incremental-between-timestamp" : "incremental-between", arguments.get("from").asText() + "," + arguments.get("to").asText());
        if (arguments.hasNonNull("mode")) {
            options.put("incremental-between-scan-mode", Server.text(arguments, "mode"));
        }
        FileStoreTable table = Tables.open(arguments).copy(options);
        ReadBuilder builder = builder(table, arguments);
        RowType type = shown(table, arguments);
        try (Sink sink = new Sink(arguments); Tables.Scratch scratch = new Tables.Scratch()) {
            TableRead read = read(builder, arguments, scratch);
            for (Split split : builder.newScan().plan().splits()) {
                forEach(read, split, row -> {
                    ObjectNode json = Json.object().put("kind", row.getRowKind().shortString());
                    json.set("row", Values.toJson(type, row));
                    sink.add(json);
                });
            }
            return sink.answer();
        }
    }

    private static long earliest(FileStoreTable table) {
        Long snapshot = table.snapshotManager().earliestSnapshotId();
        Long changelog = table.changelogManager().earliestLongLivedChangelogId();
        return changelog != null ? changelog : snapshot != null ? snapshot : Snapshot.FIRST_SNAPSHOT_ID;
    }

    /** An overwrite that is streamed (streaming-read-overwrite) comes as an IncrementalSplit, everything else as a DataSplit. */
    private static long snapshot(Split split) {
        return split instanceof IncrementalSplit overwrite ? overwrite.snapshotId() : ((DataSplit) split).snapshotId();
    }

    private static int bucket(Split split) {
        return split instanceof IncrementalSplit overwrite ? overwrite.bucket() : ((DataSplit) split).bucket();
    }

    private static ObjectNode change(RowType type, Split split, InternalRow row) {
        ObjectNode json = Json.object().put("snapshot", snapshot(split)).put("bucket", bucket(split));
        json.put("kind", row.getRowKind().shortString());
        json.set("row", Values.toJson(type, row));
        return json;
    }

    private static ReadBuilder builder(FileStoreTable table, JsonNode arguments) {
        return builder(table, table.rowType(), arguments);
    }

    private static ReadBuilder builder(Table table, RowType type, JsonNode arguments) {
        ReadBuilder builder = table.newReadBuilder();
        if (arguments.hasNonNull("filter")) {
            builder.withFilter(predicate(type, arguments.get("filter")));
        }
        if (arguments.hasNonNull("projection")) {
            Set<String> names = new LinkedHashSet<>(Tables.names(arguments.get("projection")));
            names.addAll(arguments.path("filter").findValuesAsText("column"));
            builder.withReadType(type.project(new ArrayList<>(names)));
        }
        return builder;
    }

    /**
     * The columns that the answer shows. The columns of the filter are read behind them, because Paimon (1.4.2 and 2.0.0) answers no rows at all where a
     * filter names a column of a Parquet file that is not read.
     */
    private static RowType shown(FileStoreTable table, JsonNode arguments) {
        return arguments.hasNonNull("projection") ? table.rowType().project(Tables.names(arguments.get("projection"))) : table.rowType();
    }

    /** By default the filter is applied to every row; with "exact": false it only prunes, as Paimon pleases. */
    private static TableRead read(ReadBuilder builder, JsonNode arguments, Tables.Scratch scratch) {
        TableRead read = builder.newRead().withIOManager(scratch.io);
        return arguments.hasNonNull("filter") && Server.flag(arguments, "exact", true) ? read.executeFilter() : read;
    }

    /** {"and": [..]}, {"or": [..]}, {"not": ..} or {"column": .., "op": .., "value": ..}. */
    private static Predicate predicate(RowType type, JsonNode json) {
        if (json.has("and") || json.has("or")) {
            List<Predicate> parts = new ArrayList<>();
            json.get(json.has("and") ? "and" : "or").forEach(part -> parts.add(predicate(type, part)));
            return json.has("and") ? PredicateBuilder.and(parts) : PredicateBuilder.or(parts);
        }
        if (json.has("not")) {
            return predicate(type, json.get("not")).negate().orElseThrow(
                    () -> new IllegalArgumentException("Paimon cannot negate " + json.get("not")));
        }
        int column = type.getFieldIndex(Server.text(json, "column"));
        if (column < 0) {
            throw new IllegalArgumentException("no column " + json.get("column"));
        }
        DataType columnType = type.getTypeAt(column);
        PredicateBuilder builder = new PredicateBuilder(type);
        String operator = Server.text(json, "op");
        List<Object> values = new ArrayList<>();
        if (json.has("values")) {
            json.get("values").forEach(value -> values.add(Values.valueOf(columnType, value)));
        }
        Object value = Values.valueOf(columnType, json.get("value"));
        return switch (operator) {
            case "=" -> builder.equal(column, value);
            case "<>" -> builder.notEqual(column, value);
            case "<" -> builder.lessThan(column, value);
            case "<=" -> builder.lessOrEqual(column, value);
            case ">" -> builder.greaterThan(column, value);
            case ">=" -> builder.greaterOrEqual(column, value);
            case "is null" -> builder.isNull(column);
            case "is not null" -> builder.isNotNull(column);
            case "in" -> builder.in(column, values);
            case "not in" -> builder.notIn(column, values);
            case "between" -> builder.between(column, values.get(0), values.get(1));
            case "starts with" -> builder.startsWith(column, value);
            case "ends with" -> builder.endsWith(column, value);
            case "contains" -> builder.contains(column, value);
            default -> throw new IllegalArgumentException("unknown op " + operator);
        };
    }

    private interface RowConsumer {
        void accept(InternalRow row) throws Exception;
    }

    private static void forEach(TableRead read, Split split, RowConsumer consumer) throws Exception {
        RecordReader<InternalRow> reader = read.createReader(split);
        try (RecordReaderIterator<InternalRow> rows = new RecordReaderIterator<>(reader)) {
            while (rows.hasNext()) {
                consumer.accept(rows.next());
            }
        }
    }

    private static final class Sink implements AutoCloseable {
        private final ArrayNode rows = Json.array();
        private final BufferedWriter out;
        private long count;

        Sink(JsonNode arguments) throws Exception {
            out = arguments.hasNonNull("out") ? Files.newBufferedWriter(Path.of(Server.text(arguments, "out"))) : null;
        }

        void add(ObjectNode row) throws Exception {
            count++;
            if (out == null) {
                rows.add(row);
            } else {
                out.write(Json.write(row));
                out.write('\n');
            }
        }

        ObjectNode answer() throws Exception {
            ObjectNode answer = Json.object().put("count", count);
            if (out == null) {
                answer.set("rows", rows);
            } else {
                out.flush();
            }
            return answer;
        }

        @Override
        public void close() throws Exception {
            if (out != null) {
                out.close();
            }
        }
    }
}
