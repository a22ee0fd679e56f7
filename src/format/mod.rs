//! Bytes: every file kind of a table, decoded and encoded. No IO, no async.
//! Spec: `format-spec/`.

mod binary_row;
mod commit_message;
mod data_file;
mod index_manifest;
mod manifest;
mod manifest_list;
mod simple_stats;
mod snapshot;
mod split;

pub use binary_row::BinaryRow;
pub use commit_message::{CommitMessage, IndexFile};
pub use data_file::{DataFileMeta, FileSource};
pub use index_manifest::{DeletionVectorRange, IndexManifestEntry};
pub use manifest::{FileKind, ManifestEntry};
pub use manifest_list::ManifestFileMeta;
pub use simple_stats::SimpleStats;
pub use snapshot::{CommitKind, Snapshot, SnapshotId};
pub use split::Split;
