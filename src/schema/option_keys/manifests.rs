//! Manifests, commits and callbacks.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, WRITES, harmless, refused, unwritable};

const NO_CALLBACK: &str = "user code cannot run here after a commit";

keys! {
    "manifest.compression": Text = "zstd",
        unwritable(&["zstd", "zstandard", "snappy", "deflate", "null"], "only Avro's names of these codecs"),
        "codec of manifests and manifest lists";
    "manifest.target-file-size": MemorySize = "8 mb", HONOURED, "bytes of a manifest";
    "manifest.full-compaction-threshold-size": MemorySize = "16 mb", HONOURED,
        "bytes of changing manifests after which all are merged";
    "manifest.merge-min-count": Int = "30", WRITES, "small manifests after which they are merged";
    "manifest-sort.enabled": Boolean = "false", harmless("any order of manifest entries is the same table"),
        "sort manifests by a partition column";
    "manifest-sort.partition-field": Text, harmless("any order of manifest entries is the same table"),
        "the column they are sorted by";
    "manifest-sort.max-rewrite-size": MemorySize = "256 mb",
        harmless("any order of manifest entries is the same table"), "bytes a sort may rewrite";
    "manifest.merge-optimize.enabled": Boolean = "true", harmless("merged manifests are the same table"),
        "copy blocks when merging manifests";
    "manifest.delete-file-drop-stats": Boolean = "false", harmless("DELETE entries may keep their statistics"),
        "leave statistics out of DELETE entries";
    "commit.user-prefix": Text, HONOURED, "first letters of generated commit users";
    "commit.timeout": Duration, HONOURED, "time a commit may take with its retries";
    "commit.max-retries": Int = "10", WRITES, "retries of a commit that lost a race";
    "commit.min-retry-wait": Duration = "10 ms", HONOURED, "first wait between such retries";
    "commit.max-retry-wait": Duration = "10 s", HONOURED, "longest wait between such retries";
    "commit.force-create-snapshot": Boolean = "false", HONOURED, "make a snapshot even of nothing";
    "snapshot.ignore-empty-commit": Boolean, HONOURED, "make no snapshot of nothing";
    "commit.force-compact": Boolean = "false", HONOURED,
        "compact before each commit";
    "commit.strict-mode.last-safe-snapshot": Long, unwritable(&[], "not checked yet"),
        "refuse commits over overwrites or compactions since a snapshot";
    "commit.discard-duplicate-files": Boolean = "false", unwritable(&[], "commits are told apart by identifier"),
        "drop files that are already in the table";
    "commit.callbacks": Text = "", unwritable(&[], NO_CALLBACK), "classes called after a commit";
    "commit.callback.<class>.param": Text, harmless("no effect unless commit.callbacks, which is refused for writing"),
        "argument of such a class";
    "commit.custom-listeners": Text = "", harmless("only Flink's committer calls them"), "Flink listeners of a commit";
    "tag.callbacks": Text = "", unwritable(&[], NO_CALLBACK), "classes called after a tag is made";
    "tag.callback.<class>.param": Text, harmless("no effect unless tag.callbacks, which is refused for writing"),
        "argument of such a class";
    "visibility-callback.enabled": Boolean = "false", unwritable(&[], "commits do not wait for a compaction"),
        "wait until committed rows can be seen";
    "visibility-callback.timeout": Duration = "30 min", harmless("no effect unless visibility-callback.enabled"),
        "longest such wait";
    "visibility-callback.check-interval": Duration = "10 s", harmless("no effect unless visibility-callback.enabled"),
        "time between two looks";
    "metastore.partitioned-table": Boolean = "false", harmless("only a metastore's catalog reads it"),
        "show partitions in the metastore";
    "metastore.tag-to-partition": Text, harmless("only a metastore's catalog reads it"),
        "show tags as partitions in the metastore";
    "metastore.tag-to-partition.preview": Enum(&["none", "process-time", "watermark", "batch"]) = "none",
        harmless("only a metastore's catalog reads it"), "show tags to come as partitions";
    "dynamic-partition-overwrite": Boolean = "true", HONOURED,
        "overwrite only partitions that get rows";
    "overwrite-upgrade": Boolean = "true", HONOURED,
        "move overwritten files to the top level";
    "query-auth.enabled": Boolean = "false", refused(&[], "filters and masks of a catalog are not applied"),
        "ask the catalog which rows and columns may be seen";
}
