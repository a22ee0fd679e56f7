//! The unit of reading. Travels between machines as versioned bytes.
//! Spec: `format-spec/split.md`.

use super::{BinaryRow, DataFileMeta, SnapshotId};

/// Files of one bucket that are read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The snapshot it was planned from.
    pub snapshot_id: SnapshotId,
    /// The schema its rows come out in.
    pub schema_id: i64,
    /// The partition.
    pub partition: BinaryRow,
    /// The bucket.
    pub bucket: i32,
    /// The files, in manifest order.
    pub files: Vec<DataFileMeta>,
    /// Whether the files may be read one after another without merging.
    pub raw: bool,
    /// Whether the rows are changes, to be delivered with their kinds, unmerged.
    pub changes: bool,
}
