//! What a table is: its kind, buckets, keys, merge engine and order of versions.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, WRITES, harmless, refused, unwritable};

const GATE_CHAIN: &str = "no effect unless chain-table.enabled, which is refused";
const GATE_POSTPONE: &str = "writers always postpone, which is right too";
const SHREDDED: &str = "no effect unless map.storage-layout is shared-shredding, which is refused";
const FORMAT_TABLE: &str = "format tables are refused by option type";

keys! {
    "type":
        Enum(&["table", "format-table", "materialized-table", "object-table", "lance-table", "iceberg-table"]) =
        "table", refused(&[], "only ordinary tables are read and written"), "kind of table";
    "path": Text, harmless("the table is opened where the caller says"), "location of the table";
    "branch": Text = "main", refused(&[], "say the branch in the call: Table::branch, table$branch_<name>"), "which branch of the table is meant";
    "bucket": Int = "-1", HONOURED, "buckets of a partition; -1 decides by the kind of table, -2 postpones the choice";
    "bucket-key": List, HONOURED, "columns whose hash decides the bucket, instead of the primary key";
    "bucket-append-ordered": Boolean = "true", harmless("rows of a bucket are always numbered in order"),
        "whether rows of an append bucket keep their order";
    "bucket-function.type": Enum(&["default", "mod", "hive"]) = "default", HONOURED,
        "how the bucket key becomes a number";
    "primary-key": List, unwritable(&[], "state the key in the schema"),
        "primary key, for engines that cannot declare one";
    "primary-key.nullable": Boolean = "false", refused(&[], "keys with NULL are not supported yet"),
        "whether key columns may be NULL";
    "partition": List, unwritable(&[], "state the partition columns in the schema"),
        "partition columns, for engines that cannot declare them";
    "merge-engine": Enum(&["deduplicate", "partial-update", "aggregation", "first-row"]) = "deduplicate",
        HONOURED, "how versions of a key become one row";
    "ignore-delete" | "first-row.ignore-delete" | "deduplicate.ignore-delete" | "partial-update.ignore-delete":
        Boolean = "false", HONOURED, "drop -U and -D rows";
    "ignore-update-before": Boolean = "false", HONOURED, "drop -U rows";
    "sequence.field": List, HONOURED, "columns that tell the newest version of a key";
    "sequence.field.sort-order": Enum(&["ascending", "descending"]) = "ascending", HONOURED,
        "whether the highest or the lowest sequence.field wins";
    "sequence.snapshot-ordering": Boolean = "false", HONOURED,
        "order versions by the snapshot that brought them";
    "rowkind.field": Text, HONOURED, "column that holds the row kind as text";
    "aggregation.remove-record-on-delete": Boolean = "false", HONOURED, "-D removes the row in aggregation";
    "partial-update.remove-record-on-delete": Boolean = "false", HONOURED, "-D removes the row in partial-update";
    "partial-update.remove-record-on-sequence-group": List, HONOURED,
        "-D of a group removes the row in partial-update";
    "fields.default-aggregate-function": Text, HONOURED, "aggregate function of columns without one";
    "fields.<column>.aggregate-function": Text, HONOURED, "aggregate function of a column";
    "fields.<column>.ignore-retract": Boolean = "false", HONOURED, "leave retractions out of a column's aggregate";
    "fields.<column>.distinct": Boolean = "false", HONOURED, "collect or join each value once";
    "fields.<column>.list-agg-delimiter": Text = ",", HONOURED, "text between joined values";
    "fields.<column>.nested-key": List, HONOURED, "key inside an array of rows";
    "fields.<column>.nested-key-null-strategy": Enum(&["merge", "ignore", "error"]) = "merge", HONOURED,
        "what a NULL nested key does";
    "fields.<column>.nested-sequence-field": List, HONOURED, "newest inner row by these fields";
    "fields.<column>.count-limit": Int = "2147483647", HONOURED, "most inner rows kept";
    "fields.<column>.ts-field": Text, HONOURED, "time of a map entry";
    "fields.<columns>.sequence-group": List, HONOURED, "columns that are versioned together";
    "fields.<column>.default-value": Text, unwritable(&[], "Paimon 1.4 and 2.0 do not look at it: the column itself has a default"),
        "default value of a column, in old tables";
    "fields.<column>.map.storage-layout": Enum(&["default", "shared-shredding"]) = "default",
        refused(&[], "a MAP is read and written as the file format's own"), "how a MAP column is laid out in files";
    "fields.<column>.map.shared-shredding.max-columns": Int = "256", harmless(SHREDDED),
        "most columns a MAP is shredded into";
    "fields.<column>.map.shared-shredding.column-placement-policy": Enum(&["plain", "sequential", "lru"]) = "lru",
        harmless(SHREDDED), "which shredded column a MAP key gets";
    "record-level.expire-time": Duration, HONOURED,
        "age at which compaction drops rows; no changelog tells it";
    "record-level.time-field": Text, HONOURED,
        "column with the time of a row";
    "dynamic-bucket.target-row-num": Long = "2000000", WRITES, "rows a dynamic bucket takes";
    "dynamic-bucket.initial-buckets": Int, WRITES, "buckets each assigner starts with";
    "dynamic-bucket.max-buckets": Int = "-1", WRITES, "most dynamic buckets";
    "dynamic-bucket.assigner-parallelism": Int, WRITES, "tasks that assign dynamic buckets";
    "cross-partition-upsert.index-ttl": Duration, unwritable(&[], "the index keeps every key"),
        "life of entries in the cross-partition index";
    "cross-partition-upsert.bootstrap-parallelism": Int = "10", harmless("one task loads the index"),
        "tasks that load the cross-partition index";
    "postpone.batch-write-fixed-bucket": Boolean = "true", harmless(GATE_POSTPONE),
        "batch writers choose buckets themselves";
    "postpone.merge-on-read": Boolean = "false", refused(&[], "waiting rows are not merged in"),
        "readers merge waiting rows";
    "postpone.batch-write-fixed-bucket.max-parallelism": Int = "2048", harmless(GATE_POSTPONE),
        "most tasks of such a batch writer";
    "postpone.batch-write-fixed-bucket.rescale-load-factor": Int = "32", harmless(GATE_POSTPONE),
        "when such a writer changes the bucket count";
    "postpone.default-bucket-num": Int, WRITES, "buckets of a partition's first compaction";
    "postpone.target-row-num-per-bucket": Long, WRITES, "rows a bucket is meant to have";
    "postpone.target-size-per-bucket": MemorySize = "1 gb", HONOURED, "bytes a bucket is meant to have";
    "chain-table.enabled": Boolean = "false", refused(&[], "chain tables are not supported"),
        "join a snapshot and a delta branch";
    "chain-table.chain-partition-keys": List, harmless(GATE_CHAIN), "partition columns a chain runs over";
    "chain-table.streaming.merge-snapshot": Boolean = "false", harmless(GATE_CHAIN),
        "streams of a chain begin with the snapshot branch";
    "chain-table.split.key-range-enabled": Boolean = "true", harmless(GATE_CHAIN), "cut splits of a chain by key range";
    "pk-clustering-override": Boolean = "false", refused(&[], "files would not be in key order"),
        "sort files by clustering columns, not by key";
    "alter-column-null-to-not-null.disabled": Boolean = "true", HONOURED,
        "refuse to make a column NOT NULL";
    "disable-explicit-type-casting": Boolean = "false", HONOURED,
        "refuse lossy type changes";
    "add-column-before-partition": Boolean = "false", HONOURED,
        "put new columns before the partition columns";
    "auto-create": Boolean = "false", harmless("tables are created by the caller"), "create the storage with the table";
    "materialized-table.definition-query": Text, refused(&[], "only ordinary tables are read and written"),
        "query of a materialized table";
    "materialized-table.interval-freshness": Text, refused(&[], "only ordinary tables are read and written"),
        "freshness of a materialized table";
    "materialized-table.interval-freshness.time-unit": Enum(&["SECOND", "MINUTE", "HOUR", "DAY"]),
        refused(&[], "only ordinary tables are read and written"), "unit of that freshness";
    "materialized-table.logical-refresh-mode": Enum(&["CONTINUOUS", "FULL", "AUTOMATIC"]),
        refused(&[], "only ordinary tables are read and written"), "wanted refresh of a materialized table";
    "materialized-table.refresh-mode": Enum(&["CONTINUOUS", "FULL", "AUTOMATIC"]),
        refused(&[], "only ordinary tables are read and written"), "refresh of a materialized table";
    "materialized-table.refresh-status": Enum(&["INITIALIZING", "ACTIVATED", "SUSPENDED"]),
        refused(&[], "only ordinary tables are read and written"), "state of that refresh";
    "materialized-table.refresh-handler-description": Text, refused(&[], "only ordinary tables are read and written"),
        "who refreshes, for people";
    "materialized-table.refresh-handler-bytes": Text, refused(&[], "only ordinary tables are read and written"),
        "who refreshes, for machines";
    "format-table.implementation": Enum(&["paimon", "engine"]) = "paimon", harmless(FORMAT_TABLE),
        "who reads a format table";
    "format-table.partition-path-only-value": Boolean = "false", harmless(FORMAT_TABLE),
        "partition directories of a format table without column names";
    "format-table.file.compression": Text, harmless(FORMAT_TABLE), "codec of a format table";
    "format-table.commit-hive-sync-url": Text, harmless(FORMAT_TABLE), "metastore told of a format table's partitions";
    "format-table.scan.list-parallelism": Int = "64", harmless(FORMAT_TABLE), "listings at once in a format table";
}
