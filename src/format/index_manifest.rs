//! Index manifests: the complete list of index files of a snapshot.
//! Spec: `format-spec/index-manifest.md`.

use bytes::Bytes;

use super::BinaryRow;

/// Where the deletion vector of one data file lies in its index file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionVectorRange {
    /// `f0`: the data file's name
    pub data_file: String,
    /// `f1`: offset of the vector
    pub offset: i32,
    /// `f2`: its length
    pub length: i32,
    /// `_CARDINALITY`: rows it masks
    pub cardinality: Option<i64>,
}

/// One index file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexManifestEntry {
    /// `_PARTITION`
    pub partition: BinaryRow,
    /// `_BUCKET`
    pub bucket: i32,
    /// `_INDEX_TYPE`: `DELETION_VECTORS`, `HASH` or a global index
    pub index_type: String,
    /// `_FILE_NAME`
    pub file_name: String,
    /// `_FILE_SIZE` in bytes
    pub file_size: i64,
    /// `_ROW_COUNT`
    pub row_count: i64,
    /// `_DELETIONS_VECTORS_RANGES`
    pub deletion_vectors: Option<Vec<DeletionVectorRange>>,
    /// `_EXTERNAL_PATH`
    pub external_path: Option<String>,
    /// `_GLOBAL_INDEX`, undecoded: its Avro bytes are carried through
    pub global_index: Option<Bytes>,
}
