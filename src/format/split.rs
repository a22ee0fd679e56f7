//! The unit of reading. Travels between machines as versioned bytes.
//! Spec: `format-spec/split.md`.

use std::sync::Arc;

use bytes::Bytes;

use super::envelope::{self, BodySchema};
use super::{BinaryRow, DataFileMeta, IndexManifestEntry, SnapshotId};
use crate::error::Result;

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
    pub files: Vec<Arc<DataFileMeta>>,
    /// The index files that hold deletion vectors of these files, narrowed to those vectors.
    pub vectors: Vec<IndexManifestEntry>,
    /// Whether the files may be read one after another without merging.
    pub raw: bool,
    /// Whether the rows are changes, to be delivered with their kinds, unmerged.
    pub changes: bool,
}

const MAGIC: [u8; 4] = *b"FBSP";
const VERSION: u8 = 2;
const WHAT: &str = "split";

impl Split {
    /// The split as bytes that any process with this version decodes.
    pub fn encode(&self) -> Bytes {
        let mut encoder = envelope::begin(MAGIC, VERSION);
        encoder.long(self.snapshot_id);
        encoder.long(self.schema_id);
        encoder.bytes(self.partition.prefixed());
        encoder.int(self.bucket);
        encoder.long(i64::from(self.raw));
        encoder.long(i64::from(self.changes));
        envelope::put_files(&mut encoder, &self.files);
        envelope::put_index_files(&mut encoder, &self.vectors);
        envelope::finish(encoder)
    }

    /// The split of bytes. Version 1 had no deletion vectors.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they are damaged or foreign,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for another version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let schema = BodySchema::new()?;
        let mut body = schema.open(bytes, MAGIC, 1..=VERSION, WHAT)?;
        let mut split = Self {
            snapshot_id: body.long()?,
            schema_id: body.long()?,
            partition: body.row()?,
            bucket: body.int()?,
            raw: body.flag()?,
            changes: body.flag()?,
            files: body.files()?.into_iter().map(Arc::new).collect(),
            vectors: Vec::new(),
        };
        if body.version() > 1 {
            split.vectors = body.index_files()?;
        }
        body.end()?;
        Ok(split)
    }
}

#[cfg(test)]
mod tests;
