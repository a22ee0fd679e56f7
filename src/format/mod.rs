//! Bytes: every file kind of a table, decoded and encoded. No IO, no async.
//! Spec: `format-spec/`.

pub(crate) mod avro;
mod binary_row;
mod bucket;
mod bucket_path;
mod commit_message;
mod compact_task;
mod compacted_changelog;
mod consumer;
mod data_file;
mod deletion_vector;
mod envelope;
mod expiry_note;
mod file_index;
mod hash_index;
mod hint;
mod index_manifest;
mod json;
pub mod layout;
mod manifest;
mod manifest_list;
pub mod outside;
mod partition;
mod rollback_note;
mod schema_file;
mod schemas;
mod simple_stats;
mod snapshot;
mod split;
mod tag;
mod view_file;
mod zstd_frames;

pub use avro::Codec;
pub use binary_row::{BinaryRow, datum_at};
pub use bucket::{assign, bucket_hashes, check_bucket_keys};
pub use bucket_path::{bucket_directory, index_outside, index_path, written_paths};
pub use commit_message::{CommitMessage, IndexFile, IndexRead};
pub use compact_task::CompactTask;
pub use compacted_changelog::{CompactedChangelog, beside_path, data_file_path, holding_name};
pub use consumer::Consumer;
pub use data_file::{DataFileMeta, FileSource};
pub use deletion_vector::{
    DeletionVector, VectorForm, decode_deletion_vector, decode_deletion_vectors, encode_deletion_vectors,
};
pub use expiry_note::{ExpiryNote, GoingFile};
pub use file_index::{FileIndex, FileIndexBuilder, HeadRead, INDEX_SUFFIX, IndexedAs, IndexedColumn, Selection};
pub use hash_index::{decode_hash_index, encode_hash_index};
pub use hint::{decode_hint, encode_hint};
pub use index_manifest::{
    DeletionVectorRange, IndexManifestEntry, decode_index_manifest, decode_index_manifest_for_rewrite,
    encode_index_manifest,
};
pub use manifest::{
    EntryHead, FileIdentifier, FileKind, ManifestEntry, ManifestFilter, ManifestPart, apply_entries, cancel_entries,
    decode_manifest, decode_manifest_part, encode_manifest, manifest_parts, merge_entries,
};
pub use manifest_list::{ManifestFileMeta, decode_manifest_list, encode_manifest_list};
pub use partition::{DEFAULT_PARTITION, partition_path, partition_texts};
pub use rollback_note::{GoingSchema, RollbackNote};
pub use schema_file::{decode_schema, decode_told_schema, decode_type, encode_schema, encode_told_schema, encode_type};
pub use simple_stats::{ColumnStats, SimpleStats, reduce_stats};
pub use snapshot::{CommitKind, Snapshot, SnapshotId};
pub use split::Split;
pub use tag::Tag;
pub use view_file::{View, ViewChange};
pub(crate) use zstd_frames::{inflate_zstd, inflate_zstd_behind, pack_zstd, zstd_bound};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::samples::data_file;
#[cfg(test)]
pub(crate) use zstd_frames::tests::runs as runs_of_zstd;
