//! A piece of compaction: the files of one bucket that go to a level. Travels between machines as versioned bytes.
//! Spec: `format-spec/compaction.md`, tasks.

use bytes::Bytes;

use super::envelope::{self, BodySchema};
use super::{BinaryRow, DataFileMeta, IndexManifestEntry, SnapshotId};
use crate::error::Result;

/// Files of one bucket that are compacted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactTask {
    /// The snapshot it was planned from.
    pub snapshot_id: SnapshotId,
    /// The schema the files are rewritten in.
    pub schema_id: i64,
    /// The partition.
    pub partition: BinaryRow,
    /// The bucket.
    pub bucket: i32,
    /// The bucket count the partition was written with.
    pub total_buckets: i32,
    /// The level the rows go to; 0 for append tables.
    pub output_level: i32,
    /// The highest level the bucket may have.
    pub max_level: i32,
    /// Whether retractions go, because nothing older than the output stays.
    pub drops_deletes: bool,
    /// The files.
    pub files: Vec<DataFileMeta>,
    /// Files of higher levels that stay, where old values are looked up.
    pub upper: Vec<DataFileMeta>,
    /// The index files with all deletion vectors of the bucket.
    pub vectors: Vec<IndexManifestEntry>,
}

const MAGIC: [u8; 4] = *b"FBCT";
const VERSION: u8 = 1;
const WHAT: &str = "compaction task";

impl CompactTask {
    /// Bytes of the files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(u64::try_from(file.file_size).unwrap_or(0)))
    }

    /// Rows of the files.
    pub fn rows(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(u64::try_from(file.row_count).unwrap_or(0)))
    }

    /// The task as bytes that any process with this version decodes.
    pub fn encode(&self) -> Bytes {
        let mut encoder = envelope::begin(MAGIC, VERSION);
        encoder.long(self.snapshot_id);
        encoder.long(self.schema_id);
        encoder.bytes(self.partition.prefixed());
        for number in [self.bucket, self.total_buckets, self.output_level, self.max_level] {
            encoder.int(number);
        }
        encoder.long(i64::from(self.drops_deletes));
        envelope::put_files(&mut encoder, &self.files);
        envelope::put_files(&mut encoder, &self.upper);
        envelope::put_index_files(&mut encoder, &self.vectors);
        envelope::finish(encoder)
    }

    /// The task of bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they are damaged or foreign,
    /// [`Error::Unsupported`](crate::Error::Unsupported) for another version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let schema = BodySchema::new()?;
        let mut body = schema.open(bytes, MAGIC, VERSION..=VERSION, WHAT)?;
        let task = Self {
            snapshot_id: body.long()?,
            schema_id: body.long()?,
            partition: body.row()?,
            bucket: body.int()?,
            total_buckets: body.int()?,
            output_level: body.int()?,
            max_level: body.int()?,
            drops_deletes: body.flag()?,
            files: body.files()?,
            upper: body.files()?,
            vectors: body.index_files()?,
        };
        body.end()?;
        Ok(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::format::tests::samples::{full_file, int_row, plain_file};

    #[test]
    fn a_task_travels_as_bytes() {
        for drops_deletes in [true, false] {
            let task = CompactTask {
                snapshot_id: i64::MAX,
                schema_id: 2,
                partition: int_row(5),
                bucket: 3,
                total_buckets: 8,
                output_level: 4,
                max_level: 5,
                drops_deletes,
                files: vec![full_file("a"), plain_file("b")],
                upper: vec![plain_file("c")],
                vectors: Vec::new(),
            };
            let bytes = task.encode();
            assert_eq!(CompactTask::decode(&bytes).unwrap(), task);
            for at in 0..bytes.len() {
                assert!(CompactTask::decode(&bytes[..at]).is_err(), "length {at}");
            }
            assert!(matches!(crate::format::Split::decode(&bytes), Err(Error::Corrupt { .. })));
        }
    }
}
