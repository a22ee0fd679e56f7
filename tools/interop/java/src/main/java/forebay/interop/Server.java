package forebay.interop;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * One JSON command per line in, one JSON line per command out. Standard output carries answers only; everything a library prints goes to standard error.
 * A command that fails answers {"error": ..} and the next one is served.
 */
final class Server {
    interface Command {
        ObjectNode run(JsonNode arguments) throws Exception;
    }

    private Server() {}

    static void serve(Map<String, Command> commands) throws IOException {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String line;
        while ((line = lines.readLine()) != null) {
            if (line.isBlank()) {
                continue;
            }
            answers.print(Json.write(answer(commands, line)));
            answers.print('\n');
            answers.flush();
        }
    }

    private static ObjectNode answer(Map<String, Command> commands, String line) {
        try {
            JsonNode arguments = Json.read(line);
            String name = text(arguments, "command");
            Command command = commands.get(name);
            if (command == null) {
                throw new IllegalArgumentException("unknown command " + name + "; known are " + commands.keySet());
            }
            return command.run(arguments);
        } catch (Throwable e) {
            e.printStackTrace();
            return Json.object().put("error", describe(e));
        }
    }

    /** The exception and its causes: Paimon wraps, and the reason is often the innermost one. */
    private static String describe(Throwable error) {
        StringBuilder text = new StringBuilder(error.toString());
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            text.append("; caused by ").append(cause);
        }
        return text.toString();
    }

    static String text(JsonNode arguments, String name) {
        JsonNode value = arguments.get(name);
        if (value == null || !value.isTextual()) {
            throw new IllegalArgumentException("the command needs a text \"" + name + "\"");
        }
        return value.asText();
    }

    static long number(JsonNode arguments, String name, long otherwise) {
        JsonNode value = arguments.get(name);
        if (value == null || value.isNull()) {
            return otherwise;
        }
        if (!value.isIntegralNumber() || !value.canConvertToLong()) {
            throw new IllegalArgumentException("\"" + name + "\" must be a whole number");
        }
        return value.asLong();
    }

    static boolean flag(JsonNode arguments, String name, boolean otherwise) {
        JsonNode value = arguments.get(name);
        return value == null || value.isNull() ? otherwise : value.asBoolean();
    }
}
