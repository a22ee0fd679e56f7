//! Options of Flink's and Spark's connectors and of Hive that may stand in a table.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{Kind, OptionKey, harmless, refused};

const FLINK: &str = "only Flink jobs read it; it cannot change bytes or rows here";
const SPARK: &str = "only Spark jobs read it; it cannot change bytes or rows here";
const HIVE: &str = "only Hive reads it; it cannot change bytes or rows here";

keys! {
    "sink.parallelism": Int, harmless(FLINK), "tasks that write";
    "scan.parallelism": Int, harmless(FLINK), "tasks that read";
    "unaware-bucket.compaction.parallelism": Int, harmless(FLINK), "tasks that compact append tables";
    "unaware-bucket.no-shuffle": Boolean = "false", harmless(FLINK), "compact append tables where they are written";
    "compaction.bucket-distribution-strategy": Text = "linear", harmless(FLINK),
        "how buckets are shared among compacting tasks";
    "scan.infer-parallelism": Boolean = "true", harmless(FLINK), "count reading tasks by splits";
    "scan.infer-parallelism.max": Int = "1024", harmless(FLINK), "most tasks so counted";
    "changelog-producer.compaction-interval": Duration = "0 s", harmless(FLINK), "time between two full compactions";
    "scan.watermark.emit.strategy": Enum(&["on-periodic", "on-event"]) = "on-event", harmless(FLINK),
        "when a source tells watermarks";
    "scan.watermark.alignment.group": Text, harmless(FLINK), "sources whose watermarks keep together";
    "scan.watermark.idle-timeout": Duration, harmless(FLINK), "silence after which a source is idle";
    "scan.watermark.alignment.max-drift": Duration, harmless(FLINK), "how far watermarks may drift apart";
    "scan.watermark.alignment.update-interval": Duration = "1 s", harmless(FLINK), "time between two alignments";
    "scan.split-enumerator.batch-size": Int = "10", harmless(FLINK), "splits handed to a task at once";
    "scan.max-snapshot.count": Int = "-1", harmless(FLINK), "snapshots planned ahead";
    "scan.split-enumerator.mode": Enum(&["fair", "preemptive"]) = "fair", harmless(FLINK), "how splits are shared";
    "scan.remove-normalize" | "log.scan.remove-normalize": Boolean = "false", harmless(FLINK),
        "leave out the normalising operator";
    "scan.bounded": Boolean, harmless(FLINK), "read to the end and stop";
    "scan.dedicated-split-generation": Boolean = "false", harmless(FLINK), "one task plans for all";
    "scan.partitions" | "lookup.dynamic-partition": Text, refused(&[], "the rows of some partitions are not the table"),
        "read or look up these partitions only";
    "read.shuffle-bucket-with-partition" | "streaming-read.shuffle-bucket-with-partition": Boolean = "true",
        harmless(FLINK), "share buckets among tasks with their partition";
    "sink.use-managed-memory-allocator": Boolean = "false", harmless(FLINK), "take the buffer from Flink's memory";
    "sink.managed.writer-buffer-memory": MemorySize = "256 mb", harmless(FLINK), "weight of that memory";
    "sink.cross-partition.managed-memory": MemorySize = "256 mb", harmless(FLINK),
        "the same for cross-partition upserts";
    "sink.savepoint.auto-tag": Boolean = "false", harmless(FLINK), "tag each savepoint";
    "sink.writer-cpu": Double = "1.0", harmless(FLINK), "processors of a writing task";
    "sink.writer-memory": MemorySize, harmless(FLINK), "memory of a writing task";
    "sink.committer-cpu": Double = "1.0", harmless(FLINK), "processors of the committer";
    "sink.committer-memory": MemorySize, harmless(FLINK), "memory of the committer";
    "sink.committer-operator-chaining": Boolean = "true", harmless(FLINK), "chain the committer";
    "sink.clustering.sort-in-cluster": Boolean = "true", harmless(FLINK), "sort inside a cluster range";
    "sink.clustering.sample-factor": Int = "100", harmless(FLINK), "samples for cluster ranges";
    "sink.operator-uid.suffix": Text, harmless(FLINK), "name of the sink's state";
    "sink.coordinator-commit.enabled": Boolean = "false", harmless(FLINK), "commit in the coordinator";
    "sink.writer-coordinator.enabled": Boolean = "false", harmless(FLINK), "writers share what they read of manifests";
    "sink.writer-coordinator.cache-memory": MemorySize = "2048 mb", harmless(FLINK), "memory for that";
    "sink.writer-coordinator.cache-expire-after-access": Duration, harmless(FLINK), "life of an entry of it";
    "sink.writer-coordinator.cache-soft-values": Boolean = "true", harmless(FLINK), "let the collector take entries";
    "sink.writer-coordinator.page-size": MemorySize = "32 kb", harmless(FLINK), "bytes of an answer";
    "sink.writer-coordinator.prefetch-manifests": Boolean = "false", harmless(FLINK), "read manifests ahead";
    "sink.writer-refresh-detectors": Text, harmless(FLINK), "what makes writers reload the table";
    "sink.key-only-deletes.enabled": Boolean = "false", harmless(FLINK), "take deletes with nothing but a key";
    "source.checkpoint-align.enabled": Boolean = "false", harmless(FLINK), "align snapshots with checkpoints";
    "source.checkpoint-align.timeout": Duration = "30 s", harmless(FLINK), "longest wait for that";
    "source.operator-uid.suffix": Text, harmless(FLINK), "name of the source's state";
    "lookup.async": Boolean = "false", harmless(FLINK), "look up asynchronously";
    "lookup.bootstrap-parallelism": Int = "4", harmless(FLINK), "threads that load a lookup table";
    "lookup.async-thread-number": Int = "16", harmless(FLINK), "threads that look up";
    "lookup.cache": Enum(&["AUTO", "FULL", "MEMORY"]) = "AUTO", harmless(FLINK), "what a lookup join keeps";
    "lookup.dynamic-partition.refresh-interval": Duration = "1 h", harmless(FLINK),
        "time between two looks for a newer partition";
    "lookup.dynamic-partition.refresh.async": Boolean = "false", harmless(FLINK), "look for it in the background";
    "lookup.refresh.async": Boolean = "false", harmless(FLINK), "refresh in the background";
    "lookup.refresh.async.pending-snapshot-count": Int = "5", harmless(FLINK), "snapshots behind after which it waits";
    "lookup.refresh.time-periods-blacklist": Text, harmless(FLINK), "times without a refresh";
    "lookup.refresh.full-load-threshold": Int, harmless(FLINK), "snapshots behind after which all is loaded anew";
    "end-input.watermark": Long, harmless(FLINK), "watermark at the end of a batch";
    "changelog.precommit-compact.thread-num": Int, harmless(FLINK), "threads for that";
    "filesystem.job-level-settings.enabled": Boolean = "true", harmless(FLINK),
        "take file system settings from the job";
    "owner": Text, harmless(SPARK), "who created the table";
    "provider": Text, harmless(SPARK), "the word behind USING in CREATE TABLE; older releases kept it";
    "requiredSparkConfsCheck.enabled": Boolean = "true", harmless(SPARK), "check the session's settings";
    "legacy-timestamp-mapping.enabled": Boolean = "false", harmless(SPARK), "old mapping of timestamps";
    "write.merge-schema": Boolean = "false", harmless(SPARK), "writes may add columns";
    "write.merge-schema.type-widening": Boolean = "false", harmless(SPARK), "and widen types";
    "write.merge-schema.explicit-cast": Boolean = "false", harmless(SPARK), "and narrow them";
    "write.use-v2-write": Boolean = "false", harmless(SPARK), "which write interface is used";
    "write.hive-style-dynamic-partition.enabled": Boolean = "false", harmless(SPARK),
        "INSERT OVERWRITE as Hive does it";
    "write.data-evolution.update-conflict-retry.max-attempts": Int = "20", harmless(SPARK), "retries of an update";
    "write.data-evolution.update-conflict-retry.wait-ms": Long = "10", harmless(SPARK), "wait between them";
    "read.stream.maxFilesPerTrigger": Int, harmless(SPARK), "files of a micro-batch";
    "read.stream.maxBytesPerTrigger": Long, harmless(SPARK), "bytes of a micro-batch";
    "read.stream.maxRowsPerTrigger": Long, harmless(SPARK), "rows of a micro-batch, at most";
    "read.stream.minRowsPerTrigger": Long, harmless(SPARK), "rows of a micro-batch, at least";
    "read.stream.maxTriggerDelayMs": Long, harmless(SPARK), "longest wait for a micro-batch";
    "read.changelog": Boolean = "false", harmless(SPARK), "show row kinds";
    "read.allow.fullScan": Boolean = "true", harmless(SPARK), "allow reads without a partition filter";
    "format-table.repair.collect-statistics": Boolean = "false", harmless(SPARK), "count rows when repairing";
    "format-table.statistics.parallelism": Int = "8", harmless(SPARK), "tasks that count";
    "source.split.target-size-with-column-pruning": Boolean = "false", harmless(SPARK),
        "size splits by the columns read";
    "paimon.respect.minmaxsplitsize.enabled": Boolean = "false", harmless(HIVE), "Hive's split sizes";
    "paimon.split.openfilecost": Long, harmless(HIVE), "Hive's cost of an opened file";
}
