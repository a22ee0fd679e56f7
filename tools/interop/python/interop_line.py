"""One JSON command per line on standard input, one JSON line per command on standard output; everything else goes to standard error."""
import os
import sys
import traceback

import values


def answer(line, commands):
    try:
        command = values.read(line)
        run = commands.get(command.get("command"))
        if run is None:
            raise ValueError("unknown command %s; known are %s" % (command.get("command"), sorted(commands)))
        return values.write(run(command))
    except Exception as error:
        traceback.print_exc()
        return values.write({"error": "%s: %s" % (type(error).__name__, error)})


def serve(commands):
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    for line in sys.stdin:
        if line.strip():
            answers.write(answer(line, commands) + "\n")
            answers.flush()
