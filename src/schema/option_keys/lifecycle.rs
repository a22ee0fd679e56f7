//! Retention, expiry, tags, marks: what other jobs do to a table over time.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, WRITES, harmless, unwritable};

const GATE_TAG: &str = "no effect unless tag.automatic-creation, which is refused for writing";
const GATE_PARTITION: &str = "no effect unless partition.expiration-time, which is refused for writing";
const GATE_DONE: &str = "no effect unless partitions are marked done, which is refused for writing";

keys! {
    "snapshot.time-retained": Duration = "1 h", HONOURED, "time a snapshot is kept; a commit older than it is refused";
    "snapshot.num-retained.min": Int = "10", WRITES, "fewest snapshots kept";
    "snapshot.num-retained.max": Int = "2147483647", WRITES, "most snapshots kept";
    "snapshot.expire.execution-mode": Enum(&["sync", "async"]) = "sync", HONOURED,
        "whether a commit waits for expiry";
    "snapshot.expire.limit": Int = "50", WRITES, "snapshots expired at once";
    "snapshot.clean-empty-directories" | "snapshot.expire.clean-empty-directories": Boolean = "false",
        HONOURED, "remove directories that expiry empties";
    "snapshot.watermark-idle-timeout": Duration, harmless("only Flink's committer reads it"),
        "silence after which a source does not hold the watermark";
    "changelog.num-retained.min": Int, WRITES, "fewest changelogs kept";
    "changelog.num-retained.max": Int, WRITES, "most changelogs kept";
    "changelog.time-retained": Duration, HONOURED, "time a changelog is kept";
    "partition.expiration-time": Duration, unwritable(&[], "this version drops no partition"),
        "age at which a partition is dropped";
    "partition.expiration-strategy": Text = "values-time", harmless(GATE_PARTITION),
        "by its value or by its last change";
    "partition.expiration-check-interval": Duration = "1 h", harmless(GATE_PARTITION), "time between two looks";
    "partition.expiration-max-num": Int = "100", harmless(GATE_PARTITION), "partitions dropped at once";
    "partition.expiration-batch-size": Int, harmless(GATE_PARTITION), "partitions dropped in one commit";
    "partition.timestamp-formatter": Text, harmless(GATE_PARTITION), "how a partition value spells a time";
    "partition.timestamp-pattern": Text, harmless(GATE_PARTITION), "which partition columns make that time";
    "partition.timestamp-format.strict": Boolean = "false", harmless(GATE_PARTITION), "refuse values that are no time";
    "end-input.check-partition-expire": Boolean = "false", unwritable(&[], "this version drops no partition"),
        "drop partitions at the end of a batch";
    "partition.end-input-to-done": Boolean = "false", unwritable(&[], "partitions are not marked done here"),
        "mark partitions done at the end of a batch";
    "partition.idle-time-to-done": Duration, unwritable(&[], "partitions are not marked done here"),
        "idle time after which a partition is done";
    "partition.time-interval": Duration, harmless(GATE_DONE), "time a partition covers";
    "partition.mark-done-action": Text = "success-file", harmless(GATE_DONE), "what marks a partition done";
    "partition.mark-done-action.mode": Enum(&["process-time", "watermark"]) = "process-time", harmless(GATE_DONE),
        "by clock or by watermark";
    "partition.mark-done-action.custom.class": Text, harmless(GATE_DONE), "class that marks";
    "partition.mark-done-action.http.url": Text, harmless(GATE_DONE), "address told of it";
    "partition.mark-done-action.http.params": Text, harmless(GATE_DONE), "text sent there";
    "partition.mark-done.recover-from-state": Boolean = "true", harmless(GATE_DONE), "marks survive a restart";
    "partition.idle-time-to-report-statistic": Duration = "0 ms", harmless("only a metastore's catalog is told"),
        "idle time after which statistics are reported";
    "tag.automatic-creation": Enum(&["none", "process-time", "watermark", "batch"]) = "none",
        unwritable(&[], "this version makes no tag"), "make tags by clock, watermark or batch";
    "tag.creation-period": Enum(&["daily", "hourly", "two-hours"]) = "daily", harmless(GATE_TAG),
        "time between two tags";
    "tag.creation-period-duration": Duration, harmless(GATE_TAG), "the same, freely";
    "tag.creation-delay": Duration = "0 ms", harmless(GATE_TAG), "delay of a tag";
    "tag.period-formatter": Enum(&["with_dashes", "without_dashes", "without_dashes_and_spaces"]) = "with_dashes",
        harmless(GATE_TAG), "how the time is spelt in a tag's name";
    "tag.create-success-file": Boolean = "false", harmless(GATE_TAG), "file that tells of a tag";
    "tag.num-retained-max": Int, harmless(GATE_TAG), "most tags kept";
    "tag.default-time-retained": Duration, HONOURED, "time after which a tag may be deleted that is told none";
    "tag.time-expire-enabled": Boolean = "true", HONOURED, "expiry deletes tags past their age limit";
    "tag.automatic-completion": Boolean = "false", harmless(GATE_TAG), "make tags that were missed";
    "tag.batch.customized-name": Text, harmless(GATE_TAG), "name of a batch job's tag";
    "sink.watermark-time-zone": Text = "UTC", harmless(GATE_TAG), "zone of watermarks";
    "sink.process-time-zone": Text, harmless(GATE_TAG), "zone of the clock";
}
