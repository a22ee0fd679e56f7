//! Compaction, changelog by compaction, lookups: read by the jobs that compact.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, WRITES, harmless};

const COMPACTS: &str = "this version does not compact for this reason";
const LOOKS_UP: &str = "tunes the local files of lookups, and there are none: pages of data files are kept instead";

keys! {
    "changelog-producer": Enum(&["none", "input", "full-compaction", "lookup"]) = "none", HONOURED,
        "how the changelog comes to be";
    "changelog-producer.row-deduplicate": Boolean = "false", HONOURED,
        "no -U/+U for rows that did not change";
    "changelog-producer.row-deduplicate-ignore-fields": List, HONOURED,
        "columns that do not count as a change";
    "force-lookup": Boolean = "false", HONOURED, "compact by lookup without a changelog";
    "precommit-compact" | "changelog.precommit-compact": Boolean = "false", HONOURED,
        "put the small changelog files of a commit together before it";
    "changelog.precommit-compact.buffer-size": MemorySize = "128 mb", HONOURED, "changelog files of this size stay alone";
    "lookup-wait" | "changelog-producer.lookup-wait": Boolean = "true", HONOURED,
        "commits wait for lookup compaction";
    "lookup-compact": Enum(&["RADICAL", "GENTLE"]) = "RADICAL", HONOURED,
        "how eagerly level 0 is compacted by lookup";
    "lookup-compact.max-interval": Int, WRITES, "commits until a gentle lookup compaction";
    "full-compaction.delta-commits": Int, HONOURED,
        "commits of a writer between two full compactions; 1 with changelog-producer full-compaction";
    "num-sorted-run.compaction-trigger": Int = "5", HONOURED, "runs after which a bucket is compacted";
    "num-sorted-run.stop-trigger": Int, WRITES,
        "runs after which writing waits";
    "num-levels": Int, HONOURED, "levels of a bucket";
    "compaction.max-size-amplification-percent": Int = "200", WRITES,
        "space spent before a full compaction";
    "compaction.size-ratio": Int = "1", WRITES, "how alike in size merged runs are";
    "compaction.small-file-ratio": Double = "0.7", WRITES,
        "share of the target size below which a file is small";
    "compaction.force-up-level-0": Boolean = "false", HONOURED, "compact level 0 each time";
    "compaction.force-rewrite-all-files": Boolean = "false", HONOURED, "rewrite every file";
    "compaction.offpeak.start.hour": Int = "-1", HONOURED, "first quiet hour of the day";
    "compaction.offpeak.end.hour": Int = "-1", HONOURED, "hour of the day with which the quiet ones end";
    "compaction.offpeak-ratio": Int = "0", WRITES, "size ratio in quiet hours";
    "compaction.optimization-interval": Duration, HONOURED, "time between two full compactions";
    "compaction.total-size-threshold": MemorySize, HONOURED, "size below which a full compaction is cheap";
    "compaction.incremental-size-threshold": MemorySize, HONOURED,
        "size above level top after which a full compaction is due";
    "compaction.min.file-num": Int = "5", WRITES, "small append files worth a compaction";
    "compaction.file-num-limit": Int = "100000", WRITES, "files of one append compaction";
    "compaction.delete-ratio-threshold": Double = "0.2", WRITES,
        "share of masked rows after which an append file is rewritten";
    "compaction.skip-expired-partitions": Boolean = "false", harmless(COMPACTS),
        "leave partitions alone that expire soon";
    "deletion-vectors.enabled": Boolean = "false", HONOURED,
        "mark dead rows instead of merging";
    "deletion-vectors.modifiable": Boolean = "false", HONOURED,
        "allow to change deletion-vectors.enabled of a table with rows; compact it in full then";
    "deletion-vectors.merge-on-read": Boolean = "false", HONOURED,
        "merge level 0 in spite of vectors";
    "deletion-vectors.bitmap64": Boolean = "false", HONOURED,
        "vectors of 64 bit";
    "deletion-vector.index-file.target-size": MemorySize = "2 mb", HONOURED,
        "bytes of a file of vectors, in tables without buckets";
    "lookup.hash-load-factor": Float = "0.75", harmless(LOOKS_UP), "fill of a lookup file's table";
    "lookup.cache-rows": Long = "10000", harmless(LOOKS_UP), "rows a lookup join keeps";
    "lookup.continuous.discovery-interval": Duration, harmless(LOOKS_UP), "time between two refreshes";
    "lookup.cache-file-retention": Duration = "1 h", harmless(LOOKS_UP), "life of a lookup file";
    "lookup.cache-max-disk-size": MemorySize = "9223372036854775807 bytes", harmless(LOOKS_UP),
        "local disk for lookup files";
    "lookup.cache-spill-compression": Text = "zstd", harmless(LOOKS_UP), "codec of lookup files";
    "lookup.cache-max-memory-size": MemorySize = "256 mb", HONOURED, "memory for lookups";
    "lookup.blob-as-descriptor": Boolean = "false", harmless(LOOKS_UP), "look up references instead of blobs";
    "lookup.cache.high-priority-pool-ratio": Double = "0.25", harmless(LOOKS_UP), "memory kept for index blocks";
    "lookup.cache.bloom.filter.enabled": Boolean = "true", harmless(LOOKS_UP), "bloom filter in lookup files";
    "lookup.cache.bloom.filter.fpp": Double = "0.05", harmless(LOOKS_UP), "its rate of false hits";
    "lookup.remote-file.enabled": Boolean = "false", harmless(LOOKS_UP), "keep lookup files in the store";
    "lookup.remote-file.level-threshold": Int = "-2147483648", harmless(LOOKS_UP), "lowest level of such files";
    "lookup.merge-buffer-size": MemorySize = "8 mb", harmless(LOOKS_UP), "memory for merging looked-up rows";
    "lookup.merge-records-threshold": Int = "1024", harmless(LOOKS_UP), "rows after which that merge spills";
}
