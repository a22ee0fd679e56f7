package forebay.interop;

import java.io.BufferedReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.paimon.append.AppendCompactCoordinator;
import org.apache.paimon.append.AppendCompactTask;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.GenericRow;
import org.apache.paimon.index.HashBucketAssigner;
import org.apache.paimon.manifest.ManifestEntry;
import org.apache.paimon.operation.BaseAppendFileStoreWrite;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.table.BucketMode;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.SpecialFields;
import org.apache.paimon.table.sink.CommitMessage;
import org.apache.paimon.table.sink.RowKeyExtractor;
import org.apache.paimon.table.sink.TableCommitImpl;
import org.apache.paimon.table.sink.TableWriteImpl;
import org.apache.paimon.table.source.EndOfScanException;
import org.apache.paimon.types.RowKind;
import org.apache.paimon.utils.Pair;

/** Commands that add snapshots. Each makes a fresh writer, which starts from the latest snapshot, and closes it at the end. */
final class WriteCommands {
    private WriteCommands() {}

    /** compact: none (the table is taken as write-only), auto (what the writer does by itself, waited for), full (every bucket written to). */
    static ObjectNode write(JsonNode arguments) throws Exception {
        return commitRows(arguments, null);
    }

    /** Without "partition" the whole table is replaced, or in dynamic mode (the default of a partitioned table) the partitions that get rows. */
    static ObjectNode overwrite(JsonNode arguments) throws Exception {
        return commitRows(arguments, Tables.texts(arguments.get("partition")));
    }

    private static ObjectNode commitRows(JsonNode arguments, Map<String, String> overwrite) throws Exception {
        String user = Server.text(arguments, "user");
        long identifier = Server.number(arguments, "identifier", 1);
        String compact = arguments.hasNonNull("compact") ? Server.text(arguments, "compact") : "auto";
        if (!Set.of("none", "auto", "full").contains(compact)) {
            throw new IllegalArgumentException("\"compact\" is none, auto or full, not " + compact);
        }
        FileStoreTable table = Tables.open(arguments);
        if (compact.equals("none")) {
            table = table.copyWithoutTimeTravel(Map.of("write-only", "true"));
        } else if (compact.equals("full")) {
            table = table.copyWithoutTimeTravel(Map.of("write-only", "false"));
        }
        try (Tables.Scratch scratch = new Tables.Scratch();
                TableWriteImpl<?> writer = table.newWrite(user);
                TableCommitImpl commit = table.newCommit(user)) {
            writer.withIOManager(scratch.io);
            if (overwrite != null) {
                writer.withIgnorePreviousFiles(true);
                commit.withOverwrite(overwrite);
            }
            Router router = new Router(table, user, writer, identifier);
            try (Rows rows = new Rows(arguments)) {
                for (JsonNode row = rows.next(); row != null; row = rows.next()) {
                    router.write(row);
                }
            }
            if (compact.equals("full")) {
                for (Pair<BinaryRow, Integer> bucket : router.touched) {
                    writer.compact(bucket.getLeft(), bucket.getRight(), true);
                }
            }
            List<CommitMessage> messages = writer.prepareCommit(!compact.equals("none"), identifier);
            if (arguments.hasNonNull("ignoreEmpty")) {
                commit.ignoreEmptyCommit(Server.flag(arguments, "ignoreEmpty", false));
            }
            if (Server.flag(arguments, "filterCommitted", false)) {
                int committed = commit.filterAndCommit(Collections.singletonMap(identifier, messages));
                return latest(table).put("committed", committed);
            }
            commit.commit(identifier, messages);
            return latest(table);
        }
    }

    static ObjectNode dropPartition(JsonNode arguments) throws Exception {
        FileStoreTable table = Tables.open(arguments);
        try (TableCommitImpl commit = table.newCommit(Server.text(arguments, "user"))) {
            commit.truncatePartitions(List.of(Tables.texts(arguments.get("partition"))));
        }
        return latest(table);
    }

    static ObjectNode truncate(JsonNode arguments) throws Exception {
        FileStoreTable table = Tables.open(arguments);
        try (TableCommitImpl commit = table.newCommit(Server.text(arguments, "user"))) {
            commit.truncateTable();
        }
        return latest(table);
    }

    /** Every bucket of every partition; an append table without buckets by Paimon's coordinator. Without an identifier Long.MAX_VALUE, like a batch job. */
    static ObjectNode compact(JsonNode arguments) throws Exception {
        String user = Server.text(arguments, "user");
        long identifier = Server.number(arguments, "identifier", Long.MAX_VALUE);
        boolean full = Server.flag(arguments, "full", true);
        FileStoreTable table = Tables.open(arguments).copyWithoutTimeTravel(Map.of("write-only", "false"));
        List<CommitMessage> messages;
        try (Tables.Scratch scratch = new Tables.Scratch(); TableCommitImpl commit = table.newCommit(user)) {
            if (table.bucketMode() == BucketMode.BUCKET_UNAWARE) {
                messages = compactUnaware(table, user);
            } else {
                try (TableWriteImpl<?> writer = table.newWrite(user)) {
                    writer.withIOManager(scratch.io);
                    for (Pair<BinaryRow, Integer> bucket : buckets(table)) {
                        writer.compact(bucket.getLeft(), bucket.getRight(), full);
                    }
                    messages = writer.prepareCommit(true, identifier);
                }
            }
            commit.ignoreEmptyCommit(Server.flag(arguments, "ignoreEmpty", true));
            commit.commit(identifier, messages);
        }
        return latest(table);
    }

    private static Set<Pair<BinaryRow, Integer>> buckets(FileStoreTable table) {
        Set<Pair<BinaryRow, Integer>> buckets = new HashSet<>();
        for (ManifestEntry entry : table.store().newScan().plan().files()) {
            if (entry.bucket() < 0) {
                throw new UnsupportedOperationException("waiting files of a postpone bucket are compacted by Flink, not by this program");
            }
            buckets.add(Pair.of(entry.partition().copy(), entry.bucket()));
        }
        return buckets;
    }

    private static List<CommitMessage> compactUnaware(FileStoreTable table, String user) throws Exception {
        AppendCompactCoordinator coordinator = new AppendCompactCoordinator(table, false);
        List<CommitMessage> messages = new ArrayList<>();
        BaseAppendFileStoreWrite writer = (BaseAppendFileStoreWrite) table.store().newWrite(user);
        if (table.coreOptions().rowTrackingEnabled()) {
            // As Paimon's own compaction job does: the rows keep their ids as columns.
            writer.withWriteType(SpecialFields.rowTypeWithRowTracking(table.rowType()));
        }
        try {
            while (true) {
                for (AppendCompactTask task : coordinator.run()) {
                    messages.add(task.doCompact(table, writer));
                }
            }
        } catch (EndOfScanException end) {
            return messages;
        } finally {
            writer.close();
        }
    }

    private static ObjectNode latest(FileStoreTable table) {
        ObjectNode answer = Json.object();
        Long id = table.snapshotManager().latestSnapshotId();
        return id == null ? answer.putNull("snapshot") : answer.put("snapshot", id);
    }

    /** Gives each row to its bucket; with dynamic buckets by one assigner that owns the whole table. */
    private static final class Router {
        private final FileStoreTable table;
        private final TableWriteImpl<?> writer;
        private final RowKeyExtractor keys;
        private final HashBucketAssigner assigner;
        final Set<Pair<BinaryRow, Integer>> touched = new HashSet<>();

        Router(FileStoreTable table, String user, TableWriteImpl<?> writer, long identifier) {
            this.table = table;
            this.writer = writer;
            BucketMode mode = table.bucketMode();
            if (mode == BucketMode.KEY_DYNAMIC) {
                throw new UnsupportedOperationException("cross-partition writes are not offered by this program; Flink does them");
            }
            keys = mode == BucketMode.HASH_DYNAMIC ? table.createRowKeyExtractor() : null;
            assigner = keys == null ? null : new HashBucketAssigner(
                    table.snapshotManager(),
                    user,
                    table.store().newIndexFileHandler(),
                    1,
                    1,
                    0,
                    table.coreOptions().dynamicBucketTargetRowNum(),
                    table.coreOptions().dynamicBucketMaxBuckets());
            if (assigner != null) {
                assigner.prepareCommit(identifier);
            }
        }

        void write(JsonNode json) throws Exception {
            GenericRow row = Values.rowOf(table.rowType(), json.get("row"));
            row.setRowKind(RowKind.fromShortString(json.hasNonNull("kind") ? json.get("kind").asText() : "+I"));
            int bucket;
            if (assigner == null) {
                bucket = writer.getBucket(row);
                writer.write(row);
            } else {
                keys.setRecord(row);
                bucket = assigner.assign(keys.partition(), keys.trimmedPrimaryKey().hashCode());
                writer.write(row, bucket);
            }
            touched.add(Pair.of(writer.getPartition(row).copy(), bucket));
        }
    }

    /** The command's "rows", or the lines of its "rowsFile". */
    private static final class Rows implements AutoCloseable {
        private final java.util.Iterator<JsonNode> rows;
        private final BufferedReader lines;

        Rows(JsonNode arguments) throws Exception {
            boolean file = arguments.hasNonNull("rowsFile");
            if (file == arguments.hasNonNull("rows")) {
                throw new IllegalArgumentException("the command needs either \"rows\" or \"rowsFile\"");
            }
            lines = file ? Files.newBufferedReader(Path.of(Server.text(arguments, "rowsFile"))) : null;
            rows = file ? null : arguments.get("rows").elements();
        }

        JsonNode next() throws Exception {
            if (lines == null) {
                return rows.hasNext() ? rows.next() : null;
            }
            String line = lines.readLine();
            return line == null ? null : Json.read(line);
        }

        @Override
        public void close() throws Exception {
            if (lines != null) {
                lines.close();
            }
        }
    }
}
