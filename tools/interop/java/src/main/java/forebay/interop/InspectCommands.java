package forebay.interop;

import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.paimon.Snapshot;
import org.apache.paimon.data.BinaryRow;
import org.apache.paimon.data.InternalRow;
import org.apache.paimon.io.DataFileMeta;
import org.apache.paimon.manifest.ManifestEntry;
import org.apache.paimon.operation.FileStoreScan;
import org.apache.paimon.schema.TableSchema;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.stats.SimpleStats;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.types.DataField;
import org.apache.paimon.types.DataType;
import org.apache.paimon.types.RowType;

/** Commands that show what Paimon understands of snapshots and manifests. */
final class InspectCommands {
    private InspectCommands() {}

    static ObjectNode snapshots(JsonNode arguments) throws Exception {
        FileStoreTable table = Tables.open(arguments);
        ObjectNode answer = Json.object();
        answer.set("snapshots", snapshots(table.snapshotManager().snapshots()));
        answer.set("changelogs", snapshots(table.changelogManager().changelogs()));
        ObjectNode tags = answer.putObject("tags");
        table.tagManager().tagObjects().forEach(tag -> tags.put(tag.getRight(), tag.getLeft().id()));
        return answer;
    }

    private static ArrayNode snapshots(Iterator<? extends Snapshot> snapshots) {
        ArrayNode list = Json.array();
        snapshots.forEachRemaining(snapshot -> list.add(Json.object()
                .put("id", snapshot.id())
                .put("kind", snapshot.commitKind().name())
                .put("user", snapshot.commitUser())
                .put("identifier", snapshot.commitIdentifier())
                .put("schemaId", snapshot.schemaId())
                .put("totalRecordCount", snapshot.totalRecordCount())
                .put("deltaRecordCount", snapshot.deltaRecordCount())
                .put("changelogRecordCount", snapshot.changelogRecordCount())
                .put("timeMillis", snapshot.timeMillis())
                .put("watermark", snapshot.watermark())
                .put("indexManifest", snapshot.indexManifest())));
        return list;
    }

    /** The live data files of one snapshot, by default the latest one. */
    static ObjectNode files(JsonNode arguments) {
        FileStoreTable table = Tables.open(arguments);
        FileStoreScan scan = table.store().newScan();
        if (arguments.hasNonNull("snapshot")) {
            scan.withSnapshot(Server.number(arguments, "snapshot", 0));
        }
        Map<Long, TableSchema> schemas = new HashMap<>();
        ArrayNode files = Json.array();
        for (ManifestEntry entry : scan.plan().files()) {
            TableSchema schema = schemas.computeIfAbsent(entry.file().schemaId(), id -> table.schemaManager().schema(id));
            files.add(file(table, schema, entry));
        }
        ObjectNode answer = Json.object();
        answer.set("files", files);
        return answer;
    }

    private static ObjectNode file(FileStoreTable table, TableSchema schema, ManifestEntry entry) {
        DataFileMeta meta = entry.file();
        ObjectNode json = Json.object();
        json.set("partition", Values.toJson(table.schema().logicalPartitionType(), entry.partition()));
        json.put("bucket", entry.bucket()).put("totalBuckets", entry.totalBuckets());
        json.put("name", meta.fileName()).put("size", meta.fileSize()).put("level", meta.level());
        json.put("rowCount", meta.rowCount()).put("deleteRowCount", meta.deleteRowCount().orElse(null));
        json.put("minSequence", meta.minSequenceNumber()).put("maxSequence", meta.maxSequenceNumber());
        json.put("schemaId", meta.schemaId());
        json.put("fileSource", meta.fileSource().map(Enum::name).orElse(null));
        json.put("creationTime", meta.creationTime().toString());
        json.put("externalPath", meta.externalPath().orElse(null)).put("firstRowId", meta.firstRowId());
        json.put("embeddedIndexBytes", meta.embeddedIndex() == null ? null : meta.embeddedIndex().length);
        ArrayNode extra = json.putArray("extraFiles");
        meta.extraFiles().forEach(extra::add);
        if (schema.primaryKeys().isEmpty()) {
            json.putNull("minKey").putNull("maxKey").putNull("keyStats");
        } else {
            RowType keys = new RowType(schema.trimmedPrimaryKeysFields());
            json.set("minKey", Values.toJson(keys, meta.minKey()));
            json.set("maxKey", Values.toJson(keys, meta.maxKey()));
            json.set("keyStats", stats(keys, meta.keyStats()));
        }
        // Dense statistics cover the named columns only; otherwise they cover what was written.
        List<String> columns = meta.valueStatsCols() != null ? meta.valueStatsCols() : meta.writeCols();
        RowType all = schema.logicalRowType();
        json.set("stats", stats(columns == null ? all : all.project(columns), meta.valueStats()));
        return json;
    }

    private static ObjectNode stats(RowType type, SimpleStats stats) {
        ObjectNode json = Json.object();
        for (int i = 0; i < type.getFieldCount(); i++) {
            DataField field = type.getFields().get(i);
            ObjectNode column = json.putObject(field.name());
            boolean counted = i < stats.nullCounts().size() && !stats.nullCounts().isNullAt(i);
            column.put("nulls", counted ? (Long) stats.nullCounts().getLong(i) : null);
            column.set("min", bound(field.type(), stats.minValues(), i));
            column.set("max", bound(field.type(), stats.maxValues(), i));
        }
        return json;
    }

    private static JsonNode bound(DataType type, BinaryRow row, int i) {
        Object value = i < row.getFieldCount() ? InternalRow.createFieldGetter(type.copy(true), i).getFieldOrNull(row) : null;
        return Values.toJson(type, value);
    }
}
