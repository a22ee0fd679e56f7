//! What a writer or a compaction hands to the committer. Travels between machines as versioned bytes.
//! Spec: `format-spec/commit-message.md`.

use bytes::Bytes;

use super::envelope::{self, BodySchema};
use super::{BinaryRow, DataFileMeta, IndexManifestEntry};
use crate::error::Result;

/// An index file that a commit adds or removes.
pub type IndexFile = IndexManifestEntry;

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
}

const MAGIC: [u8; 4] = *b"FBCM";
const VERSION: u8 = 1;
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
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        [&self.new_files, &self.changelog_files, &self.compact_before, &self.compact_after, &self.compact_changelog]
            .iter()
            .all(|files| files.is_empty())
    }

    /// The message as bytes that any process with this version decodes.
    pub fn encode(&self) -> Bytes {
        let mut encoder = envelope::begin(MAGIC, VERSION);
        encoder.bytes(self.partition.prefixed());
        encoder.int(self.bucket);
        encoder.int(self.total_buckets);
        for files in
            [&self.new_files, &self.changelog_files, &self.compact_before, &self.compact_after, &self.compact_changelog]
        {
            envelope::put_files(&mut encoder, files);
        }
        envelope::finish(encoder)
    }

    /// The message of bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they are damaged or foreign,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for another version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let schema = BodySchema::new()?;
        let mut body = schema.open(bytes, MAGIC, VERSION..=VERSION, WHAT)?;
        let message = Self {
            partition: body.row()?,
            bucket: body.int()?,
            total_buckets: body.int()?,
            new_files: body.files()?,
            changelog_files: body.files()?,
            compact_before: body.files()?,
            compact_after: body.files()?,
            compact_changelog: body.files()?,
        };
        body.end()?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
