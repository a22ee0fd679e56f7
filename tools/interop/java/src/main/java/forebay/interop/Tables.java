package forebay.interop;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.paimon.catalog.CatalogContext;
import org.apache.paimon.disk.IOManager;
import org.apache.paimon.fs.FileIO;
import org.apache.paimon.fs.Path;
import org.apache.paimon.fs.local.LocalFileIO;
import org.apache.paimon.options.Options;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.table.FileStoreTable;
import org.apache.paimon.table.FileStoreTableFactory;

/** What every command does first: opens the table anew, so that nothing is remembered between two commands. */
final class Tables {
    private Tables() {}

    static Path path(JsonNode arguments) {
        String path = Server.text(arguments, "table");
        if (path.contains("://")) {
            return new Path(path);
        }
        if (!new File(path).isAbsolute()) {
            throw new IllegalArgumentException("\"table\" must be an absolute path, not " + path);
        }
        return new Path(new File(path).toURI());
    }

    /** The local disk, or what the options "store" of the command tell of another store. */
    static FileIO files(JsonNode arguments) {
        Path path = path(arguments);
        if ("file".equals(path.toUri().getScheme())) {
            return LocalFileIO.create();
        }
        try {
            return FileIO.get(path, CatalogContext.create(Options.fromMap(texts(arguments.get("store")))));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** With the command's "branch" and "options"; options that name a snapshot do not change the schema here. */
    static FileStoreTable open(JsonNode arguments) {
        FileStoreTable table = arguments.hasNonNull("catalog")
                ? CatalogCommands.table(arguments)
                : FileStoreTableFactory.create(files(arguments), path(arguments));
        if (arguments.hasNonNull("branch")) {
            table = table.switchToBranch(Server.text(arguments, "branch"));
        }
        Map<String, String> options = texts(arguments.get("options"));
        return options.isEmpty() ? table : table.copyWithoutTimeTravel(options);
    }

    static Map<String, String> texts(JsonNode object) {
        Map<String, String> map = new HashMap<>();
        if (object != null && !object.isNull()) {
            object.fields().forEachRemaining(entry -> map.put(entry.getKey(), entry.getValue().asText()));
        }
        return map;
    }

    static List<String> names(JsonNode array) {
        List<String> names = new ArrayList<>();
        if (array != null && !array.isNull()) {
            array.forEach(name -> names.add(name.asText()));
        }
        return names;
    }

    /** Directories for spilled buffers and lookup files, removed when the command ends. */
    static final class Scratch implements AutoCloseable {
        private final java.nio.file.Path directory;
        final IOManager io;

        Scratch() throws IOException {
            directory = Files.createTempDirectory("interop");
            io = IOManager.create(directory.toString());
        }

        @Override
        public void close() throws Exception {
            io.close();
            try (var paths = Files.walk(directory)) {
                for (java.nio.file.Path path : paths.sorted(java.util.Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(path);
                }
            }
        }
    }
}
