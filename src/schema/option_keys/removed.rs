//! Options of older releases that Paimon dropped; old tables still carry them.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{Kind, OptionKey, harmless, refused, unwritable};

const GONE: &str = "Paimon dropped it; nothing reads it any more";
const NO_KAFKA: &str = "Paimon dropped its log system; rows are in the table";

keys! {
    "append-only.assert-disorder": Boolean = "false", harmless(GONE), "check the order of append files (to 0.4)";
    "blob-external-storage-field": Text, harmless("BLOB columns are refused by their type"),
        "blobs kept elsewhere (1.4)";
    "blob-external-storage-path": Text, harmless("BLOB columns are refused by their type"), "where (1.4)";
    "codec": Text, harmless(GONE), "codec of Avro data files (to 0.9)";
    "row-name-mapping": Map, harmless(GONE), "names of nested Avro records (0.9)";
    "compaction.max.file-num": Int = "50", harmless(GONE), "files that force an append compaction (to 0.8)";
    "compaction.early-max.file-num": Int = "50", harmless(GONE), "the same (to 0.3)";
    "compaction.max-sorted-run-num": Int = "2147483647", harmless(GONE), "most runs of a compaction (to 0.4)";
    "compaction.manual-triggered": Boolean = "false", harmless(GONE), "set by compaction jobs (0.2)";
    "compaction.partition-spec": Text, harmless(GONE), "set by compaction jobs (0.2)";
    "log.system": Text = "none", harmless(NO_KAFKA), "message system beside the table (to 1.3)";
    "log.system.partitions": Int = "1", harmless(NO_KAFKA), "its partitions (to 1.3)";
    "log.system.replication": Int = "1", harmless(NO_KAFKA), "its replication (to 1.3)";
    "log.system.auto-register": Boolean = "true", harmless(NO_KAFKA), "make its topic with the table (to 1.3)";
    "log.system.auto-register-timeout": Duration = "1 min", harmless(NO_KAFKA), "longest wait for that (to 1.3)";
    "log.consistency": Text = "transactional", harmless(NO_KAFKA), "when its rows can be seen (to 1.3)";
    "log.changelog-mode": Text = "auto", harmless(NO_KAFKA), "which row kinds it holds (to 1.3)";
    "log.key.format": Text = "json", harmless(NO_KAFKA), "format of its keys (to 1.3)";
    "log.format": Text = "debezium-json", harmless(NO_KAFKA), "format of its rows (to 1.3)";
    "log.ignore-delete": Boolean = "false", harmless(NO_KAFKA), "leave deletes out of it (to 1.3)";
    "log.retention": Duration, harmless(NO_KAFKA), "time it keeps rows (to 0.3)";
    "lookup.local-file-type": Enum(&["sort", "hash"]) = "sort", harmless(GONE), "kind of lookup files (to 1.3)";
    "manifest.format": Text = "avro", refused(&["avro"], "only Avro manifests"), "format of manifests (to 2.0)";
    "metadata.iceberg-compatible": Boolean = "false", unwritable(&[], "Iceberg metadata would go stale"),
        "the same as metadata.iceberg.storage (0.9)";
    "object-location": Text, refused(&[], "only ordinary tables are read and written"),
        "directory of an object table (to 1.2)";
    "partition.mark-done-action.http.timeout": Duration = "5 s",
        harmless("no effect unless partitions are marked done, which is refused for writing"), "longest call (1.1)";
    "record-level.time-field-type": Text, harmless("no effect unless record-level.expire-time"),
        "unit of the time of a row (0.9)";
    "root-path": Text, harmless("the table is opened where the caller says"), "root of tables (to 0.3)";
    "scan.push-down": Boolean = "true", harmless(GONE), "push filters into Flink's source (to 0.9)";
    "streaming-compact": Text = "none", harmless(GONE), "set by compaction jobs (to 0.5)";
    "streaming-read-mode": Text = "file", refused(&["file"], "Paimon dropped its log system"),
        "read files or the log (to 1.3)";
    "upsert-key": List, unwritable(&[], "upserts by other columns are Spark's"),
        "columns that Spark's INSERT upserts by (1.3 to 2.0)";
    "write-manifest-cache": MemorySize = "0 bytes", harmless(GONE), "memory for manifests in a writer (to 1.2)";
    "write-mode": Text = "auto",
        refused(&["auto", "change-log", "append-only"], "as the schema's primary key says it, else refused"),
        "table with or without changes (to 0.5)";
}
