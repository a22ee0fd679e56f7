//! The writer: its buffer, its order and what it may leave undone.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, harmless, unwritable};

const BUFFER: &str = "the writer's own buffer and spill files are private to it";
const COMPACTS: &str = "compaction here leaves rows in their order; a job that sorts them reads it";

keys! {
    "write-buffer-size": MemorySize = "256 mb", HONOURED, "memory for rows before they are sorted and written";
    "write-buffer-spillable": Boolean = "true", HONOURED, "let the buffer overflow to local disk";
    "write-buffer-spill.max-disk-size": MemorySize = "9223372036854775807 bytes", HONOURED, "most local disk for that";
    "write-buffer-for-append": Boolean = "false", harmless(BUFFER), "buffer append tables too";
    "write-max-writers-to-spill": Int = "10", harmless(BUFFER), "open writers after which append tables buffer";
    "local-sort.max-num-file-handles": Int = "128", harmless(BUFFER), "spill files merged at once";
    "page-size": MemorySize = "64 kb", harmless(BUFFER), "bytes of a page of the buffer";
    "cache-page-size": MemorySize = "64 kb", harmless(BUFFER), "bytes of a page of a cache";
    "sort-engine": Enum(&["min-heap", "loser-tree"]) = "loser-tree", harmless("any engine gives the same order"),
        "how sorted runs are merged";
    "sort-spill-threshold": Int, harmless(BUFFER), "runs after which a merge spills";
    "sort-spill-buffer-size": MemorySize = "64 mb", harmless(BUFFER), "memory for such a spill";
    "spill-compression": Text = "zstd", harmless(BUFFER), "codec of spill files";
    "spill-compression.zstd-level": Int = "1", harmless(BUFFER), "effort of zstd in spill files";
    "local-merge-buffer-size": MemorySize, harmless("merging early changes no row"),
        "memory for merging before the shuffle";
    "local-kv-db.block-size": MemorySize = "4 kb", harmless(BUFFER), "block of a local key-value store";
    "write-only" | "write.compaction-skip": Boolean = "false",
        HONOURED, "leave compaction and expiry to another job";
    "write.sequence-number-init-mode": Enum(&["scan", "snapshot"]) = "scan",
        unwritable(&["scan"], "numbers start from the files of the bucket"), "where sequence numbers start from";
    "delete.force-produce-changelog": Boolean = "false",
        unwritable(&[], "deletes make changelog by changelog-producer only"), "batch DELETE writes changelog files";
    "partition.sink-strategy": Enum(&["NONE", "HASH", "PARTITION_DYNAMIC"]) = "NONE",
        harmless("any way of sharing rows among tasks is right"), "share rows among tasks by partition";
    "clustering.columns" | "sink.clustering.by-columns": List,
        harmless("order of rows inside an append file means nothing"), "columns that rows are clustered by";
    "clustering.strategy" | "sink.clustering.strategy": Text = "auto",
        harmless("order of rows inside an append file means nothing"), "curve of that clustering";
    "clustering.incremental": Boolean = "false", harmless(COMPACTS), "keep append tables clustered by compaction";
    "clustering.incremental.mode": Enum(&["global-sort", "local-sort"]) = "global-sort", harmless(COMPACTS),
        "sort all tasks together or each alone";
    "clustering.incremental.optimize-write": Boolean = "false", harmless(COMPACTS), "sort while writing";
    "clustering.history-partition.limit": Int = "5", harmless(COMPACTS), "old partitions sorted in one run";
    "clustering.history-partition.idle-to-full-sort": Duration, harmless(COMPACTS),
        "idle time after which a partition is sorted";
    "zorder.var-length-contribution": Int = "8", harmless(COMPACTS), "bytes of a string in a z-order";
    "sort-compaction.range-strategy": Enum(&["SIZE", "QUANTITY"]) = "SIZE", harmless(COMPACTS),
        "how sort ranges are cut";
    "sort-compaction.local-sample.magnification": Int = "1000", harmless(COMPACTS), "samples for cutting sort ranges";
}
