//! The Avro schemas as Paimon 2.0 writes them, byte for byte.
//! Spec: `format-spec/manifest.md`, `format-spec/index-manifest.md`.

macro_rules! stats {
    ($name:literal) => {
        concat!(
            r#"{"type":"record","name":""#,
            $name,
            r#"","fields":[{"name":"_MIN_VALUES","type":"bytes"},{"name":"_MAX_VALUES","type":"bytes"},"#,
            r#"{"name":"_NULL_COUNTS","type":["null",{"type":"array","items":["null","long"]}],"default":null}]}"#
        )
    };
}

macro_rules! file_fields {
    () => {
        concat!(
            r#"{"name":"_FILE_NAME","type":"string"},{"name":"_FILE_SIZE","type":"long"},{"name":"_ROW_COUNT","type":"long"},"#,
            r#"{"name":"_MIN_KEY","type":"bytes"},{"name":"_MAX_KEY","type":"bytes"},{"name":"_KEY_STATS","type":"#,
            stats!("record__FILE__KEY_STATS"),
            r#"},{"name":"_VALUE_STATS","type":"#,
            stats!("record__FILE__VALUE_STATS"),
            r#"},{"name":"_MIN_SEQUENCE_NUMBER","type":"long"},{"name":"_MAX_SEQUENCE_NUMBER","type":"long"},"#,
            r#"{"name":"_SCHEMA_ID","type":"long"},{"name":"_LEVEL","type":"int"},"#,
            r#"{"name":"_EXTRA_FILES","type":{"type":"array","items":"string"}},"#,
            r#"{"name":"_CREATION_TIME","type":["null",{"type":"long","logicalType":"timestamp-millis"}],"default":null},"#,
            r#"{"name":"_DELETE_ROW_COUNT","type":["null","long"],"default":null},"#,
            r#"{"name":"_EMBEDDED_FILE_INDEX","type":["null","bytes"],"default":null},"#,
            r#"{"name":"_FILE_SOURCE","type":["null","int"],"default":null},"#,
            r#"{"name":"_VALUE_STATS_COLS","type":["null",{"type":"array","items":"string"}],"default":null},"#,
            r#"{"name":"_EXTERNAL_PATH","type":["null","string"],"default":null},"#,
            r#"{"name":"_FIRST_ROW_ID","type":["null","long"],"default":null},"#,
            r#"{"name":"_WRITE_COLS","type":["null",{"type":"array","items":"string"}],"default":null}"#
        )
    };
}

macro_rules! record {
    ($fields:expr) => {
        concat!(
            r#"{"type":"record","name":"record","namespace":"org.apache.paimon.avro.generated","fields":["#,
            $fields,
            "]}"
        )
    };
}

macro_rules! manifest {
    ($more:literal) => {
        record!(concat!(
            r#"{"name":"_VERSION","type":"int"},{"name":"_KIND","type":"int"},{"name":"_PARTITION","type":"bytes"},"#,
            r#"{"name":"_BUCKET","type":"int"},{"name":"_TOTAL_BUCKETS","type":"int"},"#,
            r#"{"name":"_FILE","type":{"type":"record","name":"record__FILE","fields":["#,
            file_fields!(),
            $more,
            "]}}"
        ))
    };
}

/// A manifest of 20-field `_FILE` records.
pub(super) const MANIFEST: &str = manifest!("");

/// A manifest with `_WRITE_COLS_SEQUENCES`, as 2.1 writes it.
pub(super) const MANIFEST_WITH_SEQUENCES: &str =
    manifest!(r#",{"name":"_WRITE_COLS_SEQUENCES","type":["null",{"type":"array","items":"long"}],"default":null}"#);

/// A manifest list.
pub(super) const MANIFEST_LIST: &str = record!(concat!(
    r#"{"name":"_VERSION","type":"int"},{"name":"_FILE_NAME","type":"string"},{"name":"_FILE_SIZE","type":"long"},"#,
    r#"{"name":"_NUM_ADDED_FILES","type":"long"},{"name":"_NUM_DELETED_FILES","type":"long"},"#,
    r#"{"name":"_PARTITION_STATS","type":"#,
    stats!("record__PARTITION_STATS"),
    r#"},{"name":"_SCHEMA_ID","type":"long"},{"name":"_MIN_BUCKET","type":["null","int"],"default":null},"#,
    r#"{"name":"_MAX_BUCKET","type":["null","int"],"default":null},{"name":"_MIN_LEVEL","type":["null","int"],"default":null},"#,
    r#"{"name":"_MAX_LEVEL","type":["null","int"],"default":null},{"name":"_MIN_ROW_ID","type":["null","long"],"default":null},"#,
    r#"{"name":"_MAX_ROW_ID","type":["null","long"],"default":null}"#
));

/// An index manifest.
pub(super) const INDEX_MANIFEST: &str = record!(concat!(
    r#"{"name":"_VERSION","type":"int"},{"name":"_KIND","type":"int"},{"name":"_PARTITION","type":"bytes"},"#,
    r#"{"name":"_BUCKET","type":"int"},{"name":"_INDEX_TYPE","type":"string"},{"name":"_FILE_NAME","type":"string"},"#,
    r#"{"name":"_FILE_SIZE","type":"long"},{"name":"_ROW_COUNT","type":"long"},{"name":"_DELETIONS_VECTORS_RANGES","#,
    r#""type":["null",{"type":"array","items":["null",{"type":"record","name":"record__DELETIONS_VECTORS_RANGES","#,
    r#""fields":[{"name":"f0","type":"string"},{"name":"f1","type":"int"},{"name":"f2","type":"int"},"#,
    r#"{"name":"_CARDINALITY","type":["null","long"],"default":null}]}]}],"default":null},"#,
    r#"{"name":"_EXTERNAL_PATH","type":["null","string"],"default":null},"#,
    r#"{"name":"_GLOBAL_INDEX","type":["null",{"type":"record","name":"record__GLOBAL_INDEX","fields":["#,
    r#"{"name":"_ROW_RANGE_START","type":"long"},{"name":"_ROW_RANGE_END","type":"long"},"#,
    r#"{"name":"_INDEX_FIELD_ID","type":"int"},"#,
    r#"{"name":"_EXTRA_FIELD_IDS","type":["null",{"type":"array","items":"int"}],"default":null},"#,
    r#"{"name":"_INDEX_META","type":["null","bytes"],"default":null},"#,
    r#"{"name":"_SOURCE_META","type":["null","bytes"],"default":null}]}],"default":null}"#
));

/// The record of one data file alone, for messages and splits, which are not Avro files.
pub(super) const DATA_FILE: &str = record!(concat!(
    file_fields!(),
    r#",{"name":"_WRITE_COLS_SEQUENCES","type":["null",{"type":"array","items":"long"}],"default":null}"#
));
