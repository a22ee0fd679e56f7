"""The server on the Rust crate `paimon`, by the wheel that binds it: create, write, read, changes, sql, version.

A table lies in `<warehouse>/<database>.db/<table>`: the crate finds tables by a catalog. pypaimon only tells what a type is in Arrow; every
file is written and read by the crate. Kinds of rows travel as the crate wants them, in a column `_VALUE_KIND`.
"""
import importlib.metadata
import os
import re

import pyarrow

import interop
import interop_line
import values
from pypaimon.schema.data_types import AtomicInteger, DataTypeParser, PyarrowFieldParser
from pypaimon_rust.datafusion import PaimonCatalog, SQLContext

KINDS = ["+I", "-U", "+U", "-D"]


def place(command):
    """The warehouse, the database and the name of a table's path."""
    path = interop.table_path(command).rstrip("/")
    database = os.path.basename(os.path.dirname(path))
    if not database.endswith(".db"):
        raise ValueError("the crate wants a table in <warehouse>/<database>.db/<table>, not %s" % path)
    return os.path.dirname(os.path.dirname(path)), database[:-3], os.path.basename(path)


def open_table(command):
    warehouse, database, name = place(command)
    return PaimonCatalog({"warehouse": warehouse}).get_table((database, name))


def session(warehouse):
    context = SQLContext()
    context.register_catalog("p", {"warehouse": warehouse})
    context.set_current_catalog("p")
    return context


def fields_of(command, schema_id=None):
    """The columns of a schema file, the newest if none is named."""
    folder = os.path.join(interop.table_path(command), "schema")
    if schema_id is None:
        schema_id = max(int(name[len("schema-"):]) for name in os.listdir(folder) if name.startswith("schema-"))
    with open(os.path.join(folder, "schema-%d" % schema_id), encoding="utf-8") as file:
        fields = values.read(file.read())["fields"]
    ids = AtomicInteger(-1)
    return [DataTypeParser.parse_data_field(interop.without_ids(field), ids) for field in fields]


def spelled(type_):
    """A type of a schema file in the crate's SQL. Nested parts cannot be NOT NULL there, and there is no TIME and no MULTISET."""
    if isinstance(type_, str):
        if re.match("TIME( NOT NULL)?$|TIME[(]", type_):
            raise ValueError("the crate's SQL has no word for %s" % type_)
        return type_.replace("WITH LOCAL TIME ZONE", "WITH TIME ZONE")
    kind, _, tail = type_["type"].partition(" ")
    if kind == "ARRAY":
        text = "ARRAY<%s>" % part(type_["element"])
    elif kind == "MAP":
        text = "MAP(%s, %s)" % (part(type_["key"]), part(type_["value"]))
    elif kind == "ROW":
        text = "STRUCT<%s>" % ", ".join('"%s" %s' % (field["name"], part(field["type"])) for field in type_["fields"])
    else:
        raise ValueError("the crate's SQL has no word for %s" % type_)
    return text + (" " + tail if tail else "")


def part(type_):
    text = spelled(type_)
    if text.endswith(" NOT NULL"):
        raise ValueError("the crate's SQL has no word for %s inside of another type" % type_)
    return text


def quoted(name):
    return '"%s"' % name.replace('"', '""')


def create(command):
    warehouse, database, name = place(command)
    parts = ["%s %s" % (quoted(column["name"]), spelled(column["type"])) for column in command["columns"]]
    if command.get("primaryKey"):
        parts.append("PRIMARY KEY (%s)" % ", ".join(map(quoted, command["primaryKey"])))
    text = "CREATE TABLE %s.%s (%s)" % (database, quoted(name), ", ".join(parts))
    if command.get("partitionBy"):
        text += " PARTITIONED BY (%s)" % ", ".join(map(quoted, command["partitionBy"]))
    if command.get("options"):
        text += " WITH (%s)" % ", ".join("'%s' = '%s'" % item for item in command["options"].items())
    os.makedirs(warehouse, exist_ok=True)
    context = session(warehouse)
    context.sql("CREATE DATABASE IF NOT EXISTS %s" % database)
    context.sql(text)
    return {"schemaId": 0}


def write(command):
    if command.get("compact", "auto") not in ("none", "auto"):
        raise ValueError("the crate has no compaction: \"compact\" can only be none or auto")
    table, fields, rows = open_table(command), fields_of(command), command["rows"]
    keyed = bool(table.schema().primary_keys())
    if not keyed and any(row.get("kind", "+I") != "+I" for row in rows):
        raise ValueError("an append table takes +I only")
    schema = PyarrowFieldParser.from_paimon_schema(fields)
    columns = [pyarrow.array([values.to_arrow(field.type, row["row"].get(field.name)) for row in rows], schema.field(field.name).type)
               for field in fields]
    if keyed:
        columns.append(pyarrow.array([KINDS.index(row.get("kind", "+I")) for row in rows], pyarrow.int8()))
        schema = schema.append(pyarrow.field("_VALUE_KIND", pyarrow.int8(), nullable=False))
    builder = table.new_stream_write_builder().with_commit_user(command["user"])
    identifier = command.get("identifier", 1)
    writer, commit = builder.new_write(), builder.new_commit()
    try:
        if rows:
            writer.write_arrow(pyarrow.RecordBatch.from_arrays(columns, schema=schema))
        commit.commit(identifier, writer.prepare_commit(True, identifier))
    finally:
        writer.close()
        commit.close()
    return {"snapshot": table.latest_snapshot().id()}


def rows_of(fields, batches, extra=()):
    for batch in batches:
        for at in range(batch.num_rows):
            row = {field.name: values.to_json(field.type, batch.column(field.name)[at]) for field in fields}
            yield (row, *[batch.column(name)[at].as_py() for name in extra])


def read(command):
    table, snapshot = open_table(command), command.get("snapshot")
    options = {} if snapshot is None else {"scan.snapshot-id": str(snapshot)}
    builder = table.new_read_builder(options)
    batches = builder.new_read().read(builder.new_scan().plan().splits())
    schema_id = None
    if snapshot is not None:
        with open(os.path.join(interop.table_path(command), "snapshot", "snapshot-%d" % snapshot), encoding="utf-8") as file:
            schema_id = values.read(file.read())["schemaId"]
    fields = fields_of(command, schema_id)
    # It reads an old snapshot with the newest columns.
    rows = [row for (row,) in rows_of(fields, batches)]
    return {"count": len(rows), "rows": rows}


def changes(command):
    table, fields, rows = open_table(command), fields_of(command), []
    for snapshot in sorted(snapshot.id() for snapshot in table.list_snapshots()):
        builder = table.new_read_builder().with_include_row_kind(True)
        plan = builder.new_incremental_scan(snapshot - 1, snapshot, command.get("mode", "auto")).plan()
        for row, kind in rows_of(fields, builder.new_read().read(plan.splits()), ["rowkind"]):
            rows.append({"snapshot": snapshot, "kind": kind, "row": row})
    return {"count": len(rows), "rows": rows}


def sql(command):
    context, answer = session(command["warehouse"]), {}
    for statement in command["statements"]:
        batches = context.sql(statement)
        columns = batches[0].schema.names if batches else []
        answer = {"columns": columns, "rows": [list(row.values()) for batch in batches for row in batch.to_pylist()]}
    return answer


def version(_):
    return {"pypaimon_rust": importlib.metadata.version("pypaimon_rust"), "pyarrow": pyarrow.__version__}


if __name__ == "__main__":
    interop_line.serve({"create": create, "write": write, "read": read, "changes": changes, "sql": sql, "version": version})
