//! What a writer or a compaction hands to the committer. Travels between machines as versioned bytes.
//! Spec: `format-spec/commit-message.md`.

use bytes::Bytes;

use super::envelope::{self, BodySchema};
use super::{BinaryRow, DataFileMeta, IndexManifestEntry, SnapshotId};
use crate::error::Result;

/// An index file that a commit adds or removes.
pub type IndexFile = IndexManifestEntry;

/// The key-hash indexes that a writer's routing rests on: two writers that do not know of each other's keys would put
/// one key into two buckets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexRead {
    /// The assigner whose buckets they are: those with `bucket % assigners == assigner`.
    pub assigner: i32,
    /// How many assigners share the partition.
    pub assigners: i32,
    /// Names of all `HASH` files of those buckets, as the writer knows them before this message.
    pub files: Vec<String>,
}

/// The changes of one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMessage {
    /// The partition.
    pub partition: BinaryRow,
    /// The bucket.
    pub bucket: i32,
    /// The bucket count it was routed by: -1 for append tables without buckets.
    pub total_buckets: i32,
    /// Data files that the writer flushed.
    pub new_files: Vec<DataFileMeta>,
    /// Changelog files of the flush.
    pub changelog_files: Vec<DataFileMeta>,
    /// Files a compaction read.
    pub compact_before: Vec<DataFileMeta>,
    /// Files it wrote, and files it moved to another level.
    pub compact_after: Vec<DataFileMeta>,
    /// Changelog files of the compaction.
    pub compact_changelog: Vec<DataFileMeta>,
    /// Live files that an overwrite takes away. They make the commit an `OVERWRITE`.
    pub deleted_files: Vec<DataFileMeta>,
    /// Index files that come with the new files. One of a bucket replaces the bucket's former one of its type, which
    /// must stand among the deleted ones: a commit whose writer did not know it is refused.
    pub new_index: Vec<IndexFile>,
    /// Index files that leave with the new files.
    pub deleted_index: Vec<IndexFile>,
    /// Index files that come with the compaction, e.g. its deletion vectors.
    pub compact_new_index: Vec<IndexFile>,
    /// Index files that leave with the compaction.
    pub compact_deleted_index: Vec<IndexFile>,
    /// What the routing of the new files rests on, in tables with dynamic buckets.
    pub index_read: Option<IndexRead>,
    /// The snapshot in which the writer saw the partition's bucket count; 0 for a table without snapshots. With deleted
    /// files: the snapshot that was planned, and the commit is refused when it leaves any file in the partition's buckets.
    pub base_snapshot: Option<SnapshotId>,
}

const MAGIC: [u8; 4] = *b"FBCM";
const VERSION: u8 = 2;
const WHAT: &str = "commit message";

impl CommitMessage {
    /// No change of a bucket yet.
    pub fn new(partition: BinaryRow, bucket: i32, total_buckets: i32) -> Self {
        Self {
            partition,
            bucket,
            total_buckets,
            new_files: Vec::new(),
            changelog_files: Vec::new(),
            compact_before: Vec::new(),
            compact_after: Vec::new(),
            compact_changelog: Vec::new(),
            deleted_files: Vec::new(),
            new_index: Vec::new(),
            deleted_index: Vec::new(),
            compact_new_index: Vec::new(),
            compact_deleted_index: Vec::new(),
            index_read: None,
            base_snapshot: None,
        }
    }

    /// The data and changelog files that its writer wrote or moved.
    pub fn written_files(&self) -> impl Iterator<Item = &DataFileMeta> {
        let appended = self.new_files.iter().chain(&self.changelog_files);
        appended.chain(&self.compact_after).chain(&self.compact_changelog)
    }

    /// The index files that its writer wrote.
    pub fn written_index_files(&self) -> impl Iterator<Item = &IndexManifestEntry> {
        self.new_index.iter().chain(&self.compact_new_index)
    }

    fn files(&self) -> [&Vec<DataFileMeta>; 6] {
        [
            &self.new_files,
            &self.changelog_files,
            &self.compact_before,
            &self.compact_after,
            &self.compact_changelog,
            &self.deleted_files,
        ]
    }

    fn indexes(&self) -> [&Vec<IndexFile>; 4] {
        [&self.new_index, &self.deleted_index, &self.compact_new_index, &self.compact_deleted_index]
    }

    /// Whether it has a compaction's part.
    pub fn compacts(&self) -> bool {
        let files = [&self.compact_before, &self.compact_after, &self.compact_changelog];
        let index = [&self.compact_new_index, &self.compact_deleted_index];
        files.iter().any(|files| !files.is_empty()) || index.iter().any(|files| !files.is_empty())
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.files().iter().all(|files| files.is_empty()) && self.indexes().iter().all(|files| files.is_empty())
    }

    /// The message as bytes that any process with this version decodes.
    pub fn encode(&self) -> Bytes {
        let mut encoder = envelope::begin(MAGIC, VERSION);
        encoder.bytes(self.partition.prefixed());
        encoder.int(self.bucket);
        encoder.int(self.total_buckets);
        self.files().iter().for_each(|files| envelope::put_files(&mut encoder, files));
        self.indexes().iter().for_each(|files| envelope::put_index_files(&mut encoder, files));
        encoder.optional(self.index_read.as_ref(), |encoder, read| {
            encoder.int(read.assigner);
            encoder.int(read.assigners);
            encoder.array(&read.files, |encoder, name| encoder.text(name));
        });
        encoder.optional(self.base_snapshot, |encoder, id| encoder.long(id));
        envelope::finish(encoder)
    }

    /// The message of bytes. Version 1 had no index files and no deleted files.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they are damaged or foreign,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for another version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let schema = BodySchema::new()?;
        let mut body = schema.open(bytes, MAGIC, 1..=VERSION, WHAT)?;
        let (partition, bucket, total_buckets) = (body.row()?, body.int()?, body.int()?);
        let mut message = Self {
            new_files: body.files()?,
            changelog_files: body.files()?,
            compact_before: body.files()?,
            compact_after: body.files()?,
            compact_changelog: body.files()?,
            ..Self::new(partition, bucket, total_buckets)
        };
        if body.version() > 1 {
            message.deleted_files = body.files()?;
            message.new_index = body.index_files()?;
            message.deleted_index = body.index_files()?;
            message.compact_new_index = body.index_files()?;
            message.compact_deleted_index = body.index_files()?;
            if body.flag()? {
                message.index_read =
                    Some(IndexRead { assigner: body.int()?, assigners: body.int()?, files: body.texts()? });
            }
            message.base_snapshot = if body.flag()? { Some(body.long()?) } else { None };
        }
        body.end()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
