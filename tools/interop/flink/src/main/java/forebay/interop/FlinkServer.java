package forebay.interop;

import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.runtime.util.EnvironmentInformation;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.ResultKind;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * SQL on a Flink mini-cluster. Every command has a session of its own, so that CREATE CATALOG and SET belong among its statements.
 */
public final class FlinkServer {
    private static final Pattern SET = Pattern.compile("\\s*SET\\s+'([^']+)'\\s*=\\s*'([^']*)'\\s*;?\\s*", Pattern.CASE_INSENSITIVE);

    private FlinkServer() {}

    private static final int SLOTS = 8;
    private static MiniCluster cluster;

    public static void main(String[] arguments) throws Exception {
        Server.serve(Map.of("sql", FlinkServer::sql, "version", FlinkServer::version));
        if (cluster != null) {
            cluster.close();
        }
        System.exit(0);
    }

    /** One cluster for the life of the server, reached by its REST port on the loopback interface: the executor "local" would build one for each job. */
    private static int restPort() throws Exception {
        if (cluster == null) {
            Configuration configuration = new Configuration();
            configuration.setString("rest.address", "localhost");
            configuration.setString("rest.bind-address", "localhost");
            configuration.setString("rest.bind-port", "0");
            configuration.setString("taskmanager.memory.network.min", "128mb");
            configuration.setString("taskmanager.memory.network.max", "128mb");
            configuration.setString("taskmanager.memory.managed.size", "512mb");
            MiniCluster starting = new MiniCluster(new MiniClusterConfiguration.Builder()
                    .setConfiguration(configuration)
                    .setNumTaskManagers(1)
                    .setNumSlotsPerTaskManager(SLOTS)
                    .build());
            starting.start();
            cluster = starting;
        }
        return cluster.getRestAddress().get().getPort();
    }

    private static ObjectNode version(JsonNode arguments) {
        return Json.object().put("flink", EnvironmentInformation.getVersion()).put("paimon", TableCommands.version());
    }

    /**
     * "statements" in order; "mode" batch or streaming; "limit" ends a SELECT after so many rows, "timeoutMillis" (of each statement) ends it with the
     * rows that came. A statement that is not a SELECT and does not end in time is cancelled and answered as an error.
     */
    private static ObjectNode sql(JsonNode arguments) throws Exception {
        boolean streaming = arguments.hasNonNull("mode") && Server.text(arguments, "mode").equals("streaming");
        long limit = Server.number(arguments, "limit", Long.MAX_VALUE);
        long timeout = Server.number(arguments, "timeoutMillis", streaming ? 30_000 : 600_000);
        TableEnvironment session = session(streaming, (int) Server.number(arguments, "parallelism", 1));
        ObjectNode answer = Json.object();
        for (JsonNode statement : arguments.get("statements")) {
            String text = statement.asText();
            Matcher set = SET.matcher(text);
            if (set.matches()) {
                session.getConfig().set(set.group(1), set.group(2));
                continue;
            }
            TableResult result = session.executeSql(text);
            if (result.getResultKind() == ResultKind.SUCCESS_WITH_CONTENT && !text.stripLeading().regionMatches(true, 0, "INSERT", 0, 6)) {
                answer = collect(result, limit, timeout);
            } else if (result.getJobClient().isPresent()) {
                await(result, text, timeout);
            }
        }
        return answer;
    }

    private static TableEnvironment session(boolean streaming, int parallelism) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("execution.target", "remote");
        configuration.setString("rest.address", "localhost");
        configuration.setString("rest.port", Integer.toString(restPort()));
        // CALL of a procedure starts a cluster of its own from these values, and must not ask for the port that is taken.
        configuration.setString("rest.bind-address", "localhost");
        configuration.setString("rest.bind-port", "0");
        configuration.setString("parallelism.default", Integer.toString(parallelism));
        configuration.setString("table.local-time-zone", "UTC");
        EnvironmentSettings.Builder settings = EnvironmentSettings.newInstance().withConfiguration(configuration);
        return TableEnvironment.create((streaming ? settings.inStreamingMode() : settings.inBatchMode()).build());
    }

    private static void await(TableResult result, String text, long timeout) throws Exception {
        try {
            result.await(timeout, TimeUnit.MILLISECONDS);
        } catch (TimeoutException late) {
            cancel(result);
            throw new IllegalStateException("cancelled after " + timeout + " ms: " + text);
        }
    }

    /** A row is an array of values; "kinds" has the kind of each. "ended" is false if the limit or the time stopped the query. */
    private static ObjectNode collect(TableResult result, long limit, long timeout) throws Exception {
        ResolvedSchema schema = result.getResolvedSchema();
        ArrayNode rows = Json.array();
        ArrayNode kinds = Json.array();
        boolean[] ended = {false};
        Throwable[] failure = {null};
        CloseableIterator<Row> iterator = result.collect();
        Thread reader = new Thread(() -> {
            try {
                while (rows.size() < limit && iterator.hasNext()) {
                    Row row = iterator.next();
                    ArrayNode json = Json.array();
                    for (int i = 0; i < row.getArity(); i++) {
                        json.add(FlinkValues.toJson(schema.getColumns().get(i).getDataType().getLogicalType(), row.getField(i)));
                    }
                    synchronized (rows) {
                        rows.add(json);
                        kinds.add(row.getKind().shortString());
                    }
                }
                ended[0] = rows.size() < limit;
            } catch (Throwable e) {
                failure[0] = e;
            }
        });
        reader.setDaemon(true);
        reader.start();
        reader.join(timeout);
        boolean late = reader.isAlive();
        if (late || !ended[0]) {
            cancel(result);
        }
        if (!late) {
            iterator.close();
            if (failure[0] != null) {
                throw new IllegalStateException("the query failed", failure[0]);
            }
        }
        ObjectNode answer = Json.object();
        ArrayNode columns = answer.putArray("columns");
        schema.getColumns().stream().map(Column::getName).forEach(columns::add);
        synchronized (rows) {
            answer.set("rows", rows.deepCopy());
            answer.set("kinds", kinds.deepCopy());
        }
        return answer.put("ended", !late && ended[0]);
    }

    private static void cancel(TableResult result) {
        result.getJobClient().map(JobClient::cancel).ifPresent(done -> {
            try {
                done.get(30, TimeUnit.SECONDS);
            } catch (Exception e) {
                System.err.println("cancelling: " + e);
            }
        });
    }
}
