package forebay.interop;

import java.sql.ResultSet;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.paimon.catalog.Catalog;
import org.apache.paimon.catalog.CatalogContext;
import org.apache.paimon.catalog.CatalogFactory;
import org.apache.paimon.catalog.Identifier;
import org.apache.paimon.catalog.PropertyChange;
import org.apache.paimon.jdbc.JdbcCatalog;
import org.apache.paimon.options.Options;
import org.apache.paimon.partition.Partition;
import org.apache.paimon.schema.Schema;
import org.apache.paimon.schema.SchemaChange;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.types.DataField;
import org.apache.paimon.types.DataTypes;
import org.apache.paimon.view.View;
import org.apache.paimon.view.ViewChange;
import org.apache.paimon.view.ViewImpl;

/** Commands to a catalog: "catalog" holds its options, "table" is database.table, and each command opens it anew. */
final class CatalogCommands {
    /** Of a JDBC catalog the tables hold on to connections, so each is opened once for reads and writes. */
    private static final Map<String, Catalog> KEPT = new HashMap<>();

    private CatalogCommands() {}

    private static Catalog open(JsonNode arguments) {
        Options options = Options.fromMap(Tables.texts(arguments.get("catalog")));
        return CatalogFactory.createCatalog(CatalogContext.create(options));
    }

    private static Identifier name(JsonNode arguments) {
        return Identifier.fromString(Server.text(arguments, "table"));
    }

    static FileStoreTable table(JsonNode arguments) {
        JsonNode options = arguments.get("catalog");
        boolean kept = "jdbc".equals(options.path("metastore").asText());
        Catalog catalog = kept ? KEPT.computeIfAbsent(options.toString(), key -> open(arguments)) : open(arguments);
        try {
            return (FileStoreTable) catalog.getTable(name(arguments));
        } catch (Catalog.TableNotExistException e) {
            throw new RuntimeException(e);
        }
    }

    static ObjectNode create(JsonNode arguments, Schema schema) throws Exception {
        try (Catalog catalog = open(arguments)) {
            catalog.createTable(name(arguments), schema, false);
            return Json.object().put("schemaId", ((FileStoreTable) catalog.getTable(name(arguments))).schema().id());
        }
    }

    static ObjectNode alter(JsonNode arguments, List<SchemaChange> changes) throws Exception {
        try (Catalog catalog = open(arguments)) {
            catalog.alterTable(name(arguments), changes, false);
            return Json.object().put("schemaId", ((FileStoreTable) catalog.getTable(name(arguments))).schema().id());
        }
    }

    /** "do" is one of the words below; what it needs beside stands in "database", "table", "to", "name", "options". */
    static ObjectNode run(JsonNode arguments) throws Exception {
        ObjectNode answer = Json.object();
        try (Catalog catalog = open(arguments)) {
            switch (Server.text(arguments, "do")) {
                case "create_database":
                    catalog.createDatabase(
                            Server.text(arguments, "database"), false, Tables.texts(arguments.get("options")));
                    break;
                case "alter_database":
                    for (Map.Entry<String, String> set : Tables.texts(arguments.get("options")).entrySet()) {
                        catalog.alterDatabase(
                                Server.text(arguments, "database"),
                                List.of(PropertyChange.setProperty(set.getKey(), set.getValue())),
                                false);
                    }
                    for (String key : Tables.names(arguments.get("remove"))) {
                        catalog.alterDatabase(
                                Server.text(arguments, "database"), List.of(PropertyChange.removeProperty(key)), false);
                    }
                    break;
                case "database":
                    answer.set("options", Json.MAPPER.valueToTree(
                            catalog.getDatabase(Server.text(arguments, "database")).options()));
                    break;
                case "drop_database":
                    catalog.dropDatabase(
                            Server.text(arguments, "database"), false, Server.flag(arguments, "cascade", false));
                    break;
                case "databases":
                    answer.set("names", names(catalog.listDatabases()));
                    break;
                case "tables":
                    answer.set("names", names(catalog.listTables(Server.text(arguments, "database"))));
                    break;
                case "page":
                    var page = catalog.listTablesPaged(
                            Server.text(arguments, "database"),
                            (int) Server.number(arguments, "most", 1),
                            arguments.hasNonNull("token") ? Server.text(arguments, "token") : null,
                            arguments.hasNonNull("pattern") ? Server.text(arguments, "pattern") : null,
                            null);
                    answer.set("names", names(page.getElements()));
                    answer.put("next", page.getNextPageToken());
                    break;
                case "rename":
                    catalog.renameTable(name(arguments), Identifier.fromString(Server.text(arguments, "to")), false);
                    break;
                case "drop":
                    catalog.dropTable(name(arguments), false);
                    break;
                case "partitions":
                    ArrayNode partitions = Json.array();
                    for (Partition partition : catalog.listPartitions(name(arguments))) {
                        ObjectNode shown = Json.object();
                        partition.spec().forEach(shown::put);
                        shown.put("rows", partition.recordCount()).put("files", partition.fileCount());
                        partitions.add(shown);
                    }
                    answer.set("partitions", partitions);
                    break;
                case "snapshot":
                    var snapshot = arguments.hasNonNull("version")
                            ? catalog.loadSnapshot(name(arguments), Server.text(arguments, "version"))
                            : catalog.loadSnapshot(name(arguments)).map(found -> found.snapshot());
                    answer.put("id", snapshot.map(found -> found.id()).orElse(null));
                    break;
                case "rollback":
                    catalog.rollbackTo(name(arguments), org.apache.paimon.table.Instant.snapshot(1L));
                    break;
                case "create_tag":
                    catalog.createTag(name(arguments), Server.text(arguments, "name"), null, "1 d", false);
                    break;
                case "tag":
                    answer.put("id", catalog.getTag(name(arguments), Server.text(arguments, "name")).snapshot().id());
                    break;
                case "delete_tag":
                    catalog.deleteTag(name(arguments), Server.text(arguments, "name"));
                    break;
                case "create_branch":
                    catalog.createBranch(name(arguments), Server.text(arguments, "name"), null);
                    break;
                case "branches":
                    answer.set("names", names(catalog.listBranches(name(arguments))));
                    break;
                case "drop_branch":
                    catalog.dropBranch(name(arguments), Server.text(arguments, "name"));
                    break;
                case "create_view":
                    catalog.createView(
                            name(arguments),
                            new ViewImpl(
                                    name(arguments),
                                    List.of(new DataField(0, "k", DataTypes.INT())),
                                    "SELECT 1 AS k",
                                    Map.of("spark", "SELECT 1 k"),
                                    "one",
                                    Map.of("o", "x")),
                            false);
                    break;
                case "alter_view":
                    catalog.alterView(name(arguments), List.of(ViewChange.addDialect("flink", "SELECT 1 AS `k`")), false);
                    break;
                case "view":
                    View view = catalog.getView(name(arguments));
                    answer.put("query", view.query()).put("comment", view.comment().orElse(null));
                    answer.set("dialects", Json.MAPPER.valueToTree(view.dialects()));
                    break;
                case "views":
                    answer.set("names", names(catalog.listViews(Server.text(arguments, "database"))));
                    break;
                case "drop_view":
                    catalog.dropView(name(arguments), false);
                    break;
                case "hold": // the lock of a table, for some time
                    long millis = Server.number(arguments, "millis", 0);
                    answer.put("locked", ((JdbcCatalog) catalog).runWithLock(name(arguments), () -> {
                        Thread.sleep(millis);
                        return true;
                    }));
                    break;
                case "repair":
                    catalog.repairTable(name(arguments));
                    break;
                case "sql": // what stands in the catalog's database
                    answer.set("rows", rows((JdbcCatalog) catalog, Server.text(arguments, "sql")));
                    break;
                default:
                    throw new IllegalArgumentException("unknown word in " + arguments);
            }
        }
        return answer;
    }

    /** The rows of a query as texts, or the number of rows that a statement changed. */
    private static ArrayNode rows(JdbcCatalog catalog, String sql) throws Exception {
        return catalog.getConnections().run(connection -> {
            ArrayNode rows = Json.array();
            try (Statement statement = connection.createStatement()) {
                if (!statement.execute(sql)) {
                    return rows.add(statement.getUpdateCount());
                }
                try (ResultSet found = statement.getResultSet()) {
                    while (found.next()) {
                        ArrayNode row = rows.addArray();
                        for (int at = 1; at <= found.getMetaData().getColumnCount(); at++) {
                            row.add(found.getString(at));
                        }
                    }
                }
            }
            return rows;
        });
    }

    private static ArrayNode names(List<String> names) {
        ArrayNode array = Json.array();
        names.forEach(array::add);
        return array;
    }
}
