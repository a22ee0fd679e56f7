"""The server on pypaimon: create, write, read and version; what pypaimon cannot do is answered as an error.

One JSON command per line on standard input, one JSON line per command on standard output; everything else goes to standard error.
"""
import importlib.metadata
import os

import pyarrow

import interop_line
import values
from pypaimon.catalog.catalog_factory import CatalogFactory
from pypaimon.common.file_io import FileIO
from pypaimon.common.options.options import Options
from pypaimon.common.predicate_builder import PredicateBuilder
from pypaimon.schema.data_types import AtomicInteger, DataTypeParser, PyarrowFieldParser
from pypaimon.schema.schema import Schema
from pypaimon.schema.schema_manager import SchemaManager
from pypaimon.table.file_store_table import FileStoreTable


def table_path(command):
    path = command["table"]
    if not os.path.isabs(path):
        raise ValueError('"table" must be an absolute path, not %s' % path)
    return path


def catalog_of(command):
    return CatalogFactory.create(dict(command["catalog"]))


def open_table(command):
    if command.get("catalog"):
        table = catalog_of(command).get_table(command["table"])
    else:
        table = FileStoreTable.from_path(table_path(command))
    options = command.get("options") or {}
    return table.copy_without_time_travel(options) if options else table


def without_ids(type_):
    if isinstance(type_, dict):
        return {key: without_ids(item) for key, item in type_.items() if key != "id"}
    return [without_ids(item) for item in type_] if isinstance(type_, list) else type_


def create(command):
    ids = AtomicInteger(-1)
    fields = [DataTypeParser.parse_data_field(without_ids(column), ids) for column in command["columns"]]
    schema = Schema(fields=fields, partition_keys=command.get("partitionBy") or [], primary_keys=command.get("primaryKey") or [],
                    options=command.get("options") or {})
    if command.get("catalog"):
        catalog_of(command).create_table(command["table"], schema, False)
        return {"schemaId": 0}
    path = table_path(command)
    return {"schemaId": SchemaManager(FileIO.get(path, Options({})), path).create_table(schema).id}


def write(command):
    if command.get("compact", "auto") not in ("none", "auto"):  # by itself the writer compacts nothing, so both are the same
        raise ValueError("pypaimon has no compaction: \"compact\" can only be none or auto")
    table = open_table(command)
    rows = command["rows"]
    if "rowkind.field" not in table.options.options.to_map() and any(row.get("kind", "+I") != "+I" for row in rows):
        raise ValueError("pypaimon writes other kinds than +I only by the option rowkind.field")
    unknown = {name for row in rows for name in row["row"]} - set(table.field_names)
    if unknown:
        raise ValueError("no columns %s in %s" % (sorted(unknown), table.field_names))
    schema = PyarrowFieldParser.from_paimon_schema(table.fields)
    columns = []
    for field in table.fields:
        column = [values.to_arrow(field.type, row["row"].get(field.name)) for row in rows]
        columns.append(pyarrow.array(column, schema.field(field.name).type))
    builder = table.new_stream_write_builder()._with_commit_user(command["user"])
    identifier = command.get("identifier", 1)
    writer, commit = builder.new_write(), builder.new_commit()
    try:
        if rows:
            writer.write_arrow(pyarrow.Table.from_arrays(columns, schema=schema))
        commit.commit(writer.prepare_commit(identifier), identifier)
    finally:
        writer.close()
        commit.close()
    latest = table.snapshot_manager().get_latest_snapshot()
    return {"snapshot": latest.id if latest else None}


def read(command):
    table = open_table(command)
    if command.get("snapshot") is not None:
        table = table.copy({"scan.snapshot-id": str(command["snapshot"])})
    elif command.get("tag") is not None:
        table = table.copy({"scan.tag-name": command["tag"]})
    builder = table.new_read_builder()
    fields = {field.name: field for field in table.fields}
    names = command.get("projection") or list(fields)
    if command.get("filter"):
        builder = builder.with_filter(predicate(builder.new_predicate_builder(), fields, command["filter"]))
    if command.get("projection"):
        builder = builder.with_projection(names)
    data = builder.new_read().to_arrow(builder.new_scan().plan().splits())
    out = command.get("out")
    rows = ({name: values.to_json(fields[name].type, data.column(name)[i]) for name in names} for i in range(data.num_rows))
    if not out:
        return {"count": data.num_rows, "rows": list(rows)}
    with open(out, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(values.write(row) + "\n")
    return {"count": data.num_rows}


def predicate(builder, fields, tree):
    if "and" in tree:
        return PredicateBuilder.and_predicates([predicate(builder, fields, part) for part in tree["and"]])
    if "or" in tree:
        return PredicateBuilder.or_predicates([predicate(builder, fields, part) for part in tree["or"]])
    if "not" in tree:
        raise ValueError("pypaimon has no negation")
    name, operator = tree["column"], tree["op"]
    type_ = fields[name].type

    def literal(value):
        return pyarrow.scalar(values.to_arrow(type_, value), PyarrowFieldParser.from_paimon_type(type_)).as_py()

    if operator in ("is null", "is not null"):
        return builder.is_null(name) if operator == "is null" else builder.is_not_null(name)
    if operator in ("in", "not in"):
        of = [literal(value) for value in tree["values"]]
        return builder.is_in(name, of) if operator == "in" else builder.is_not_in(name, of)
    if operator == "between":
        return builder.between(name, *[literal(value) for value in tree["values"]])
    methods = {"=": builder.equal, "<>": builder.not_equal, "<": builder.less_than, "<=": builder.less_or_equal,
               ">": builder.greater_than, ">=": builder.greater_or_equal, "starts with": builder.startswith,
               "ends with": builder.endswith, "contains": builder.contains}
    if operator not in methods:
        raise ValueError("unknown op %s" % operator)
    return methods[operator](name, literal(tree["value"]))


def version(_):
    return {"pypaimon": importlib.metadata.version("pypaimon"), "pyarrow": pyarrow.__version__}


COMMANDS = {"create": create, "write": write, "read": read, "version": version}


if __name__ == "__main__":
    interop_line.serve(COMMANDS)
