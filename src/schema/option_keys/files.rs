//! Data files: format, codec, names, sizes, statistics.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{HONOURED, Kind, OptionKey, WRITES, harmless, unwritable};

const FORMATS: &[&str] = &["parquet", "avro", "orc"];
const ONLY_FORMATS: &str = "only Parquet, Avro and ORC files are written: set it to parquet, avro or orc";
const CODECS: &[&str] = &["zstd", "snappy", "gzip", "lz4", "none", "null", "deflate", "zstandard", "zlib"];
const ONLY_CODECS: &str = "only these codecs: gzip of Parquet alone; null, deflate and zstandard of Avro alone; zlib of ORC alone; lz4 and none not of Avro";
const BLOB: &str = "BLOB columns are refused by their type";
const VARIANT: &str = "VARIANT values are written whole; shredded ones are refused when they are read";
const SPREADS: &[&str] = &["none", "specific-fs", "round-robin", "weight-robin"];
const SPEED: &str = "a speed setting of Java's code; this engine has its own";

keys! {
    "file.format": Text = "parquet", unwritable(FORMATS, ONLY_FORMATS), "format of data files";
    "file.format.per.level": Map, unwritable(FORMATS, ONLY_FORMATS), "format of data files of some levels";
    "file.format.per.level.<level>": Text, unwritable(FORMATS, ONLY_FORMATS), "the same, one key for each level";
    "file.compression": Text = "zstd", unwritable(CODECS, ONLY_CODECS), "codec of data files";
    "file.compression.per.level": Map, unwritable(CODECS, ONLY_CODECS), "codec of data files of some levels";
    "file.compression.per.level.<level>": Text, unwritable(CODECS, ONLY_CODECS), "the same, one key for each level";
    "file.compression.zstd-level": Int = "1", WRITES, "effort of zstd";
    "file.suffix.include.compression": Boolean = "false", HONOURED, "put the codec into file names";
    "file.block-size": MemorySize, WRITES, "bytes of a Parquet row group or of an ORC stripe";
    "file-reader-async-threshold": MemorySize = "10 mb", harmless(SPEED), "file size from which a thread reads ahead";
    "async-file-write": Boolean = "true", harmless(SPEED), "write files on another thread";
    "file-operation.thread-num" | "delete-file.thread-num": Int, harmless(SPEED), "threads that list and delete files";
    "data-file.prefix": Text = "data-", HONOURED, "first letters of data file names";
    "data-file.path-directory": Text, HONOURED, "directory below the table that holds the data";
    "data-file.thin-mode": Boolean = "false", HONOURED, "do not store key columns twice";
    "data-file.external-paths": Text, HONOURED, "other roots for new data files; their locations must be allowed";
    "data-file.external-paths.strategy":
        Enum(&["none", "specific-fs", "round-robin", "entropy-inject", "weight-robin"]) = "none",
        unwritable(SPREADS, "files are not spread by a hash of their names"), "how such a root is chosen";
    "data-file.external-paths.specific-fs": Text, HONOURED, "the one scheme such roots may have";
    "data-file.external-paths.weights": Text, HONOURED, "shares of such roots";
    "index-file-in-data-file-dir": Boolean = "false", HONOURED,
        "keep index files beside the data";
    "changelog-file.prefix": Text = "changelog-", HONOURED, "first letters of changelog file names";
    "changelog-file.format": Text, unwritable(FORMATS, ONLY_FORMATS), "format of changelog files";
    "changelog-file.compression": Text, unwritable(CODECS, ONLY_CODECS), "codec of changelog files";
    "changelog-file.stats-mode": StatsMode, WRITES, "statistics of changelog files";
    "partition.default-name": Text = "__DEFAULT_PARTITION__", HONOURED, "directory name of a NULL partition value";
    "partition.legacy-name": Boolean = "true", HONOURED, "spell partition values as Java's toString does";
    "target-file-size": MemorySize, WRITES,
        "bytes of a file after which the next begins; 128 mb with a primary key, else 256 mb";
    "target-file-row-num": Long = "9223372036854775807", WRITES, "rows of a file after which the next begins";
    "metadata.stats-mode": StatsMode = "truncate(16)", WRITES, "column statistics kept for each file";
    "metadata.stats-mode.per.level": StatsModes, WRITES, "the same for some levels";
    "metadata.stats-mode.per.level.<level>": StatsMode, WRITES, "the same, one key for each level";
    "metadata.stats-dense-store": Boolean = "true", HONOURED, "keep only columns that have statistics";
    "metadata.stats-keep-first-n-columns": Int = "-1", WRITES, "statistics of the first columns only";
    "fields.<column>.stats-mode": StatsMode, WRITES, "statistics of one column";
    "read.batch-size": Int = "1024", HONOURED, "rows a reader hands out at once (8192 here when it is not set)";
    "write.batch-size" | "orc.write.batch-size": Int = "1024", harmless("columns are encoded as they come"),
        "rows a format writer takes at once";
    "write.batch-memory": MemorySize = "128 mb", harmless("batches are bounded by the write buffer"),
        "bytes a format writer takes at once";
    "variant.shreddingSchema" | "parquet.variant.shreddingSchema": Text, harmless(VARIANT),
        "columns pulled out of VARIANT values";
    "variant.inferShreddingSchema": Boolean = "false", harmless(VARIANT), "find such columns by looking at rows";
    "variant.shredding.inferenceMode": Enum(&["per-file", "adaptive"]) = "per-file", harmless(VARIANT),
        "for each file anew, or learning";
    "variant.shredding.maxSchemaWidth": Int = "300", harmless(VARIANT), "most such columns";
    "variant.shredding.maxSchemaDepth": Int = "50", harmless(VARIANT), "deepest such column";
    "variant.shredding.minFieldCardinalityRatio": Double = "0.1", harmless(VARIANT), "how common such a field must be";
    "variant.shredding.maxInferBufferRow": Int = "4096", harmless(VARIANT), "rows looked at";
    "variant.shredding.adaptive.maxInferBufferRow": Int = "256", harmless(VARIANT), "rows looked at when learning";
    "variant.shredding.adaptive.retentionRatio": Double = "0.05", harmless(VARIANT),
        "how common a learnt field must stay";
    "blob-field": List, harmless(BLOB), "columns kept in blob files";
    "blob-descriptor-field" | "blob.stored-descriptor-fields": List, harmless(BLOB),
        "columns that hold a reference to a blob";
    "blob-view-field": List, harmless(BLOB), "columns that show a blob of another table";
    "blob-view.resolve.enabled": Boolean = "true", harmless(BLOB), "follow such a view when reading";
    "blob-as-descriptor": Boolean = "false", harmless(BLOB), "read references instead of blobs";
    "blob-descriptor.source-table": Text, harmless(BLOB), "table whose blobs are referenced";
    "blob-descriptor.<key>": Text, harmless(BLOB), "settings for fetching referenced blobs";
    "blob-write-null-on-missing-file": Boolean = "false", harmless(BLOB), "NULL for a blob that is gone";
    "blob-write-null-on-fetch-failure": Boolean = "false", harmless(BLOB), "NULL for a blob that cannot be fetched";
    "blob.target-file-size": MemorySize, harmless(BLOB), "bytes of a blob file";
    "blob.split-by-file-size": Boolean, harmless(BLOB), "cut splits by blob size";
    "blob.copy-buffer-size": MemorySize = "4 kb", harmless(BLOB), "buffer for copying blobs";
    "blob-compaction.enabled": Boolean = "false", harmless(BLOB), "rewrite blob files";
    "vector.file.format": Text, harmless("VECTOR columns are refused by their type"), "format of vector files";
    "vector-field": List, harmless("VECTOR columns are refused by their type"), "columns kept as vectors";
    "vector.target-file-size": MemorySize, harmless("VECTOR columns are refused by their type"),
        "bytes of a vector file";
}
