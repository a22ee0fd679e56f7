//! Reading: where a read starts, what a stream delivers, consumers.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, harmless, reads, refused};

const SPLIT: &str = "the size of splits changes no row";
const STRICT: &str = "a missing or corrupt file is always an error here";
const SYSTEM_TABLE: &str = "read by system tables that this version does not have";
const READERS: &str = "only readers stand somewhere in the table's history";
const GATE_EVOLUTION: &str = "no effect unless data-evolution.enabled, which is refused";

keys! {
    "scan.mode" | "log.scan":
        Enum(&["default", "latest-full", "full", "latest", "latest-delta", "compacted-full", "from-timestamp",
        "from-creation-timestamp", "from-file-creation-time", "from-snapshot", "from-snapshot-full", "incremental"]) =
        "default", reads(READERS), "where a read starts";
    "scan.timestamp": Text, reads(READERS), "read as of a time, as text";
    "scan.timestamp-millis" | "log.scan.timestamp-millis": Long, reads(READERS), "read as of a time";
    "scan.watermark": Long, reads(READERS), "read as of a watermark";
    "scan.file-creation-time-millis": Long, reads(READERS), "read files made since";
    "scan.creation-time-millis": Long, reads(READERS), "read from a time on, by file age if need be";
    "scan.snapshot-id": Long, reads(READERS), "read as of a snapshot";
    "scan.tag-name": Text, reads(READERS), "read as of a tag";
    "scan.version": Text, reads(READERS), "read as of a snapshot, tag or watermark";
    "scan.bounded.watermark": Long, reads(READERS), "end a stream at a watermark";
    "scan.bucket": Int, refused(&[], "the rows of one bucket are not the table"), "read one bucket";
    "scan.max-splits-per-task": Int = "10", harmless(SPLIT), "splits a Flink task holds";
    "scan.manifest.parallelism": Int, harmless("this engine has its own limits"), "manifests read at once";
    "scan.plan-sort-partition": Boolean = "false", harmless("any order of splits is right"), "plan partitions in order";
    "scan.ignore-corrupt-files": Boolean = "false", harmless(STRICT), "read on past a corrupt file";
    "scan.ignore-lost-files": Boolean = "false", harmless(STRICT), "read on past a missing file";
    "scan.fallback-branch": Text, refused(&[], "a read shows one branch alone"),
        "branch that fills in missing partitions";
    "scan.fallback-branch.read-fail-fast": Boolean = "false",
        harmless("no effect unless scan.fallback-branch, which is refused"), "whether an error of that branch ends the
        read";
    "scan.primary-branch": Text, refused(&[], "a read shows one branch alone"), "branch whose partitions come first";
    "scan.fallback-snapshot-branch": Text, refused(&[], "chain tables are not supported"), "snapshot branch of a chain";
    "scan.fallback-delta-branch": Text, refused(&[], "chain tables are not supported"), "delta branch of a chain";
    "scan.plan-auto-tag-for-read.time-retained": Duration, reads("a tag is made by a read"),
        "guard batch reads from expiry by a tag of this age limit";
    "stream-scan-mode": Enum(&["none", "compact-bucket-table", "file-monitor"]) = "none",
        refused(&["none"], "internal to dedicated compaction"), "what a dedicated compaction follows";
    "batch-scan-mode": Enum(&["none", "compact"]) = "none", refused(&["none"], "internal to dedicated compaction"),
        "what a dedicated compaction reads";
    "incremental-between": Text, reads(READERS), "read changes between two snapshots or tags";
    "incremental-between-scan-mode": Enum(&["auto", "delta", "changelog", "diff"]) = "auto", reads(READERS),
        "which changes that are";
    "incremental-between-timestamp": Text, reads(READERS), "read changes between two times";
    "incremental-between-tag-to-snapshot": Boolean = "false", reads(READERS), "take tags as their snapshots";
    "incremental-to-auto-tag": Text, refused(&[], "automatic tags are not known here; say the two tags"),
        "read changes since the tag before";
    "continuous.discovery-interval": Duration = "10 s", HONOURED, "time between two looks for a new snapshot";
    "streaming.read.snapshot.delay": Duration, HONOURED,
        "age a snapshot has before it is delivered";
    "streaming-read-overwrite": Boolean = "false", HONOURED, "streams deliver what an overwrite changed";
    "streaming-read-append-overwrite": Boolean = "false", HONOURED,
        "streams of append tables deliver what an overwrite added";
    "consumer-id": Text, HONOURED, "name under which streams keep their progress";
    "consumer.mode": Enum(&["exactly-once", "at-least-once"]) = "exactly-once",
        harmless("one reader at a time saves its own progress"), "whether progress waits for checkpoints";
    "consumer.ignore-progress": Boolean = "false", HONOURED, "start anew in spite of saved progress";
    "consumer.expiration-time": Duration, HONOURED,
        "a consumer that has not moved for so long is forgotten when snapshots expire";
    "consumer.changelog-only": Boolean = "false", HONOURED,
        "whether a consumer holds back changelog only";
    "table-read.sequence-number.enabled": Boolean = "false", harmless(SYSTEM_TABLE),
        "show sequence numbers in the audit log";
    "key-value.sequence_number.enabled": Boolean = "false", harmless(SYSTEM_TABLE), "the same, set by Java itself";
    "source.split.target-size": MemorySize = "128 mb", HONOURED, "bytes of a split";
    "source.split.open-file-cost": MemorySize = "4 mb", HONOURED, "bytes an opened file counts for";
    "file-index.read.enabled": Boolean = "true", HONOURED, "skip files and rows by file indexes";
    "file-index.in-manifest-threshold": MemorySize = "500 B", HONOURED,
        "bytes of a file's indexes beyond which they get a file of their own";
    "file-index.<index>.columns": List, HONOURED,
        "columns (or `map[key]`) that get an index: bloom-filter, bitmap, bsi or range-bitmap";
    "file-index.<index>.<column>.<setting>": Text, HONOURED,
        "settings of such an index: items, fpp, version, index-block-size or chunk-size";
    "row-tracking.enabled": Boolean = "false", HONOURED, "give every row of an append table an id";
    "row-tracking.partition-group-on-commit": Boolean = "true", HONOURED, "number rows partition by partition";
    "data-evolution.enabled": Boolean = "false", refused(&[], "rows would be spread over files"),
        "write single columns of rows";
    "data-evolution.reassign.skip-contiguous-row-count": Long = "1000000000", harmless(GATE_EVOLUTION),
        "when renumbering skips a range";
    "data-evolution.row-id-conflict-rewrite.max-size": MemorySize = "256 mb", harmless(GATE_EVOLUTION),
        "bytes a conflict may rewrite";
    "data-evolution.row-sidecar.enabled": Boolean = "false", harmless(GATE_EVOLUTION), "copies of rows for point reads";
    "data-evolution.row-sidecar.max-selected-rows": Long = "4096", harmless(GATE_EVOLUTION), "most rows read that way";
    "data-evolution.row-sidecar.max-selection-ratio": Double = "0.05", harmless(GATE_EVOLUTION),
        "largest share read that way";
    "data-evolution.merge-into.file-pruning": Boolean = "true", harmless(GATE_EVOLUTION), "skip files in MERGE INTO";
    "data-evolution.merge-into.source-persist": Boolean = "false", harmless(GATE_EVOLUTION),
        "keep the source of MERGE INTO";
    "data-evolution.compaction.rewrite-row-ids": Boolean = "false", harmless(GATE_EVOLUTION),
        "renumber rows in compaction";
}
