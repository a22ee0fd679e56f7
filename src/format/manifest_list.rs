//! Manifest lists: the manifests of a snapshot.
//! Spec: `format-spec/manifest.md`.

use super::SimpleStats;

/// One manifest, as a manifest list describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFileMeta {
    /// `_FILE_NAME`
    pub file_name: String,
    /// `_FILE_SIZE` in bytes
    pub file_size: i64,
    /// `_NUM_ADDED_FILES`
    pub num_added_files: i64,
    /// `_NUM_DELETED_FILES`
    pub num_deleted_files: i64,
    /// `_PARTITION_STATS` over the partition columns
    pub partition_stats: SimpleStats,
    /// `_SCHEMA_ID` the writer held
    pub schema_id: i64,
    /// `_MIN_BUCKET`: a hint for pruning
    pub min_bucket: Option<i32>,
    /// `_MAX_BUCKET`
    pub max_bucket: Option<i32>,
    /// `_MIN_LEVEL`
    pub min_level: Option<i32>,
    /// `_MAX_LEVEL`
    pub max_level: Option<i32>,
}
