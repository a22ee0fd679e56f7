package forebay.interop;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.paimon.fs.Path;
import org.apache.paimon.operation.CleanOrphanFilesResult;
import org.apache.paimon.operation.LocalOrphanFilesClean;
import org.apache.paimon.options.ExpireConfig;
import org.apache.paimon.schema.Schema;
import org.apache.paimon.schema.SchemaChange;
import org.apache.paimon.schema.SchemaManager;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.types.DataField;
import org.apache.paimon.types.DataType;
import org.apache.paimon.types.DataTypeJsonParser;
import org.apache.paimon.types.ReassignFieldId;

/** Commands that make a table, change its schema or take care of its history. */
final class TableCommands {
    private TableCommands() {}

    static String version() {
        Package core = FileStoreTable.class.getPackage();
        return core.getImplementationVersion();
    }

    static ObjectNode create(JsonNode arguments) throws Exception {
        Schema schema = schema(arguments);
        if (arguments.hasNonNull("catalog")) {
            return CatalogCommands.create(arguments, schema);
        }
        long id = new SchemaManager(Tables.files(arguments), Tables.path(arguments)).createTable(schema).id();
        return Json.object().put("schemaId", id);
    }

    private static Schema schema(JsonNode arguments) {
        AtomicInteger ids = new AtomicInteger(-1);
        List<DataField> fields = new ArrayList<>();
        for (JsonNode column : arguments.get("columns")) {
            int id = ids.incrementAndGet();
            DataType type = ReassignFieldId.reassign(type(column.get("type")), ids);
            String filled = column.hasNonNull("default") ? Server.text(column, "default") : null;
            fields.add(new DataField(id, Server.text(column, "name"), type, null, filled));
        }
        return new Schema(
                fields,
                Tables.names(arguments.get("partitionBy")),
                Tables.names(arguments.get("primaryKey")),
                Tables.texts(arguments.get("options")),
                null);
    }

    /** Sub-fields may come without ids; the table gives its own in any case. */
    private static DataType type(JsonNode json) {
        JsonNode copy = json.deepCopy();
        copy.findParents("id").forEach(parent -> ((ObjectNode) parent).remove("id"));
        return DataTypeJsonParser.parseDataType(copy);
    }

    /** "changes" in order, each an object with one of the words below; a column may be a path of names. */
    static ObjectNode alter(JsonNode arguments) throws Exception {
        List<SchemaChange> changes = new ArrayList<>();
        arguments.get("changes").forEach(change -> changes.add(change(change)));
        if (arguments.hasNonNull("catalog")) {
            return CatalogCommands.alter(arguments, changes);
        }
        SchemaManager schemas = arguments.hasNonNull("branch")
                ? new SchemaManager(Tables.files(arguments), Tables.path(arguments), Server.text(arguments, "branch"))
                : new SchemaManager(Tables.files(arguments), Tables.path(arguments));
        return Json.object().put("schemaId", schemas.commitChanges(changes).id());
    }

    private static SchemaChange change(JsonNode json) {
        if (json.has("add")) {
            return SchemaChange.addColumn(column(json.get("add")), type(json.get("type")), null, move(json));
        } else if (json.has("drop")) {
            return SchemaChange.dropColumn(column(json.get("drop")));
        } else if (json.has("rename")) {
            return SchemaChange.renameColumn(column(json.get("rename")), Server.text(json, "to"));
        } else if (json.has("retype")) {
            return SchemaChange.updateColumnType(column(json.get("retype")), type(json.get("type")), false);
        } else if (json.has("default")) {
            String value = json.hasNonNull("value") ? Server.text(json, "value") : null;
            return SchemaChange.updateColumnDefaultValue(column(json.get("default")), value);
        } else if (json.has("move")) {
            return SchemaChange.updateColumnPosition(move(json));
        } else if (json.has("set")) {
            return SchemaChange.setOption(Server.text(json, "set"), Server.text(json, "value"));
        } else if (json.has("unset")) {
            return SchemaChange.removeOption(Server.text(json, "unset"));
        }
        throw new IllegalArgumentException("a change is one of add, drop, rename, retype, default, move, set, unset, not " + json);
    }

    private static String[] column(JsonNode json) {
        return json.isArray() ? Tables.names(json).toArray(new String[0]) : new String[] {json.asText()};
    }

    private static SchemaChange.Move move(JsonNode json) {
        JsonNode moved = json.has("move") ? json.get("move") : json.get("add");
        String name = column(moved)[column(moved).length - 1];
        if (Server.flag(json, "first", false)) {
            return SchemaChange.Move.first(name);
        }
        return json.has("after") ? SchemaChange.Move.after(name, Server.text(json, "after")) : null;
    }

    /** Through a catalog that publishes snapshots it is that one's to do. */
    static ObjectNode rollbackSchema(JsonNode arguments) {
        long schema = Server.number(arguments, "schema", 0);
        Tables.open(arguments).rollbackSchema(schema);
        return Json.object().put("schemaId", Tables.open(arguments).schema().id());
    }

    static ObjectNode tag(JsonNode arguments) {
        FileStoreTable table = Tables.open(arguments);
        String name = Server.text(arguments, "name");
        if (Server.flag(arguments, "delete", false)) {
            table.deleteTag(name);
        } else if (arguments.hasNonNull("to")) {
            table.renameTag(name, Server.text(arguments, "to"));
        } else if (Server.flag(arguments, "replace", false)) {
            table.replaceTag(name, Server.number(arguments, "snapshot", 0), null);
        } else if (arguments.hasNonNull("timeRetainedMillis")) {
            Duration retained = Duration.ofMillis(Server.number(arguments, "timeRetainedMillis", 0));
            table.createTag(name, Server.number(arguments, "snapshot", 0), retained);
        } else if (arguments.hasNonNull("snapshot")) {
            table.createTag(name, Server.number(arguments, "snapshot", 0));
        } else {
            table.createTag(name);
        }
        return Json.object().put("tag", name);
    }

    static ObjectNode branch(JsonNode arguments) {
        FileStoreTable table = Tables.open(arguments);
        String name = Server.text(arguments, "name");
        if (Server.flag(arguments, "delete", false)) {
            table.deleteBranch(name);
        } else if (Server.flag(arguments, "fastForward", false)) {
            table.fastForward(name);
        } else if (arguments.hasNonNull("tag")) {
            table.createBranch(name, Server.text(arguments, "tag"));
        } else {
            table.createBranch(name);
        }
        return Json.object().put("branch", name);
    }

    /** Without olderThanMillis the age limit lies a day ahead, so that every file is old enough. */
    static ObjectNode orphanClean(JsonNode arguments) throws Exception {
        FileStoreTable table = Tables.open(arguments);
        long olderThan = Server.number(arguments, "olderThanMillis", System.currentTimeMillis() + Duration.ofDays(1).toMillis());
        CleanOrphanFilesResult result =
                new LocalOrphanFilesClean(table, olderThan, Server.flag(arguments, "dryRun", false)).clean();
        ArrayNode deleted = Json.array();
        if (result.getDeletedFilesPath() != null) {
            for (Path path : result.getDeletedFilesPath()) {
                deleted.add(path.toUri().getPath());
            }
        }
        ObjectNode answer = Json.object().put("deleted", result.getDeletedFileCount());
        answer.set("files", deleted);
        return answer;
    }

    static ObjectNode expire(JsonNode arguments) {
        FileStoreTable table = Tables.open(arguments);
        ExpireConfig.Builder config = ExpireConfig.builder()
                .snapshotRetainMax((int) Server.number(arguments, "retainMax", Integer.MAX_VALUE))
                .snapshotRetainMin((int) Server.number(arguments, "retainMin", 1))
                .snapshotTimeRetain(Duration.ofMillis(Server.number(arguments, "timeRetainedMillis", Duration.ofHours(1).toMillis())))
                .snapshotMaxDeletes((int) Server.number(arguments, "maxDeletes", Integer.MAX_VALUE));
        int expired = table.newExpireSnapshots().config(config.build()).expire();
        return Json.object().put("expired", expired);
    }
}
