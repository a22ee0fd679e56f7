package forebay.interop;

import java.util.LinkedHashMap;
import java.util.Map;

/** The server on Paimon's own core classes: tables are opened by path, or through a catalog. */
public final class Interop {
    private Interop() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, Server.Command> commands = new LinkedHashMap<>();
        commands.put("create", TableCommands::create);
        commands.put("alter", TableCommands::alter);
        commands.put("rollback_schema", TableCommands::rollbackSchema);
        commands.put("tag", TableCommands::tag);
        commands.put("branch", TableCommands::branch);
        commands.put("write", WriteCommands::write);
        commands.put("overwrite", WriteCommands::overwrite);
        commands.put("drop_partition", WriteCommands::dropPartition);
        commands.put("truncate", WriteCommands::truncate);
        commands.put("compact", WriteCommands::compact);
        commands.put("read", ReadCommands::read);
        commands.put("changes", ReadCommands::changes);
        commands.put("incremental", ReadCommands::incremental);
        commands.put("snapshots", InspectCommands::snapshots);
        commands.put("files", InspectCommands::files);
        commands.put("orphan_clean", TableCommands::orphanClean);
        commands.put("expire", TableCommands::expire);
        commands.put("hash", HashCommand::hash);
        commands.put("sketch", SketchCommands::sketch);
        commands.put("unite", SketchCommands::unite);
        commands.put("catalog", CatalogCommands::run);
        commands.put("version", json -> Json.object().put("paimon", TableCommands.version()));
        Server.serve(commands);
    }
}
