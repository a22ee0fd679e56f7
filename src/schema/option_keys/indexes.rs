//! Table-level indexes for search, and Iceberg metadata beside the table.
//! Spec: `format-spec/options.md`, which is printed from here.

use super::{Kind, OptionKey, harmless, unwritable};

const GLOBAL: &str = "global indexes are neither kept nor read; they only speed up searches";
const MIRROR: &str = "no effect unless metadata.iceberg.storage, which is refused for writing";

keys! {
    "pk-vector.index.columns": List, unwritable(&[], "the index would go stale"), "vector index of a key table";
    "pk-btree.index.columns": List, unwritable(&[], "the index would go stale"), "b-tree index of a key table";
    "pk-bitmap.index.columns": List, unwritable(&[], "the index would go stale"), "bitmap index of a key table";
    "pk-multivalue.index.columns": List, unwritable(&[], "the index would go stale"),
        "index of array elements of a key table";
    "pk-full-text.index.columns": List, unwritable(&[], "the index would go stale"), "full-text index of a key table";
    "fields.<column>.pk-vector.index.type": Text, harmless("no effect unless pk-vector.index.columns"),
        "kind of vector index";
    "fields.<column>.pk-vector.index.options": Text, harmless("no effect unless pk-vector.index.columns"),
        "settings of it";
    "fields.<column>.pk-vector.distance.metric": Text, harmless("no effect unless pk-vector.index.columns"),
        "distance of vectors";
    "fields.<column>.pk-btree.index.options": Text, harmless("no effect unless pk-btree.index.columns"),
        "settings of the index";
    "fields.<column>.pk-bitmap.index.options": Text, harmless("no effect unless pk-bitmap.index.columns"),
        "settings of the index";
    "fields.<column>.pk-multivalue.index.options": Text, harmless("no effect unless pk-multivalue.index.columns"),
        "settings of the index";
    "fields.<column>.pk-full-text.index.options": Text, harmless("no effect unless pk-full-text.index.columns"),
        "settings of the index";
    "global-index.enabled": Boolean = "true", harmless(GLOBAL), "use global indexes";
    "global-index.external-path": Text, harmless(GLOBAL), "root of index files";
    "global-index.column-update-action": Enum(&["THROW_ERROR", "DROP_PARTITION_INDEX", "IGNORE"]) = "THROW_ERROR",
        harmless(GLOBAL), "what an update of an indexed column does";
    "global-index.row-count-per-shard": Long = "100000", harmless(GLOBAL), "rows of an index part";
    "global-index.build.max-shard": Int = "32", harmless(GLOBAL), "most index parts";
    "global-index.build.max-parallelism": Int = "4096", harmless(GLOBAL), "tasks that build an index";
    "global-index.search-mode": Enum(&["fast", "full", "detail"]), harmless(GLOBAL), "freshness of searches";
    "global-index.thread-num": Int = "32", harmless(GLOBAL), "threads of a search";
    "scalar-index.search-mode": Enum(&["fast", "full", "detail"]) = "fast", harmless(GLOBAL),
        "freshness of value searches";
    "vector-index.search-mode": Enum(&["fast", "full", "detail"]) = "fast", harmless(GLOBAL),
        "freshness of vector searches";
    "full-text-index.search-mode": Enum(&["fast", "full", "detail"]) = "fast", harmless(GLOBAL),
        "freshness of text searches";
    "vector-search.distribute.enabled": Boolean = "false", harmless(GLOBAL), "search vectors in many tasks";
    "vector-search.lateral-join.batch-size": Int = "256", harmless(GLOBAL), "vectors searched at once";
    "vector-search.lateral-join.parallelism": Int = "16", harmless(GLOBAL), "tasks of a vector join";
    "bitmap-index.dictionary-block-size": MemorySize = "16 kb", harmless(GLOBAL), "block of a bitmap index";
    "bitmap-index.compression": Text = "none", harmless(GLOBAL), "codec of a bitmap index";
    "bitmap-index.compression-level": Int = "1", harmless(GLOBAL), "effort of that codec";
    "bitmap-index.fallback-scan-max-size": MemorySize = "256 mb", harmless(GLOBAL),
        "bytes a search may read without an index";
    "btree-index.compression": Text = "none", harmless(GLOBAL), "codec of a b-tree index";
    "btree-index.compression-level": Int = "1", harmless(GLOBAL), "effort of that codec";
    "btree-index.block-size": MemorySize = "64 kb", harmless(GLOBAL), "block of a b-tree index";
    "btree-index.cache-size": MemorySize = "128 mb", harmless(GLOBAL), "memory for blocks";
    "btree-index.high-priority-pool-ratio": Double = "0.1", harmless(GLOBAL), "memory kept for inner blocks";
    "btree-index.fallback-scan-max-size": MemorySize = "256 mb", harmless(GLOBAL),
        "bytes a search may read without an index";
    "sorted-index.records-per-range" | "btree-index.records-per-range": Long = "10000000", harmless(GLOBAL),
        "rows of an index range";
    "sorted-index.build.max-parallelism" | "btree-index.build.max-parallelism": Int = "4096", harmless(GLOBAL),
        "tasks that build a sorted index";
    "multivalue-index.dictionary-block-size": MemorySize = "16 kb", harmless(GLOBAL), "block of an element index";
    "multivalue-index.compression": Text = "none", harmless(GLOBAL), "codec of an element index";
    "multivalue-index.compression-level": Int = "1", harmless(GLOBAL), "effort of that codec";
    "lumina.<setting>": Text, harmless(GLOBAL), "settings of the Lumina vector index";
    "metadata.iceberg.storage":
        Enum(&["disabled", "table-location", "hadoop-catalog", "hive-catalog", "rest-catalog"]) = "disabled",
        unwritable(&[], "Iceberg metadata would go stale"), "keep Iceberg metadata beside the table";
    "metadata.iceberg.storage-location": Enum(&["table-location", "catalog-location"]), harmless(MIRROR),
        "where it is kept";
    "metadata.iceberg.format-version": Int = "2", harmless(MIRROR), "version of Iceberg's format";
    "metadata.iceberg.compaction.min.file-num": Int = "10", harmless(MIRROR), "metadata files worth a merge";
    "metadata.iceberg.compaction.max.file-num": Int = "50", harmless(MIRROR), "metadata files that force a merge";
    "metadata.iceberg.delete-after-commit.enabled": Boolean = "true", harmless(MIRROR), "delete old metadata";
    "metadata.iceberg.previous-versions-max": Int = "0", harmless(MIRROR), "old metadata kept";
    "metadata.iceberg.uri": Text, harmless(MIRROR), "address of the Iceberg catalog";
    "metadata.iceberg.hive-conf-dir": Text, harmless(MIRROR), "Hive's configuration";
    "metadata.iceberg.hadoop-conf-dir": Text, harmless(MIRROR), "Hadoop's configuration";
    "metadata.iceberg.manifest-compression": Text = "snappy", harmless(MIRROR), "codec of Iceberg's manifests";
    "metadata.iceberg.manifest-legacy-version": Boolean = "false", harmless(MIRROR), "manifests for old readers";
    "metadata.iceberg.hive-client-class": Text = "org.apache.hadoop.hive.metastore.HiveMetaStoreClient",
        harmless(MIRROR), "class that talks to Hive";
    "metadata.iceberg.database": Text, harmless(MIRROR), "database in that catalog";
    "metadata.iceberg.table": Text, harmless(MIRROR), "table in that catalog";
    "metadata.iceberg.glue.skip-archive": Boolean = "false", harmless(MIRROR), "keep no old versions in Glue";
    "metadata.iceberg.hive-skip-update-stats": Boolean = "false", harmless(MIRROR), "leave Hive's statistics alone";
    "metadata.iceberg.rest.<setting>": Text, harmless(MIRROR), "settings of Iceberg's REST client";
}
