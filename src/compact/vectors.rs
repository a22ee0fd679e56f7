//! The deletion vectors of one bucket while a compaction changes them.
//!
//! ```text
//! vectors of the snapshot ─┬─ readers of the inputs: masked rows are gone
//!                          ├─ mask: an older version of a key above, which stays in its file
//!                          ├─ forget: a file that was rewritten without its masked rows
//!                          └─ a new index file for the bucket, in place of the former one
//! ```
//!
//! A file that moves to another level keeps its vector: its rows stay where they are.
//! Spec: `format-spec/deletion-vectors.md`, keeping.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::{
    CommitMessage, DataFileMeta, DeletionVector, IndexManifestEntry, VectorForm, encode_deletion_vectors,
    index_outside, index_path,
};
use crate::io::TableStore;
use crate::scan::{FileVectors, load_vectors};
use crate::schema::{BucketMode, Schema, TableOptions};

/// The deletion vectors of one bucket.
#[derive(Debug, Default)]
pub struct BucketVectors {
    /// The index files that hold them, which the next one replaces.
    before: Vec<IndexManifestEntry>,
    vectors: FileVectors,
    changed: bool,
}

impl BucketVectors {
    /// Reads the vectors that a bucket's index files hold.
    ///
    /// # Errors
    /// The store's errors; [`Error::Corrupt`] that names file and vector.
    pub async fn load(
        store: &TableStore,
        schema: &Schema,
        options: &TableOptions,
        before: Vec<IndexManifestEntry>,
    ) -> Result<Self> {
        let vectors = load_vectors(store, schema, options, &before).await?;
        Ok(Self { before, vectors, changed: false })
    }

    /// The vectors as they are, for readers.
    pub fn shared(&self) -> FileVectors {
        self.vectors.clone()
    }

    /// Rows of a file that are masked.
    pub fn masked_rows(&self, data_file: &str) -> u64 {
        self.vectors.get(data_file).map_or(0, |vector| vector.len())
    }

    /// Masks a row of a file. Tells whether it was not masked before.
    ///
    /// # Errors
    /// [`Error::Bug`] for a row that the file does not have.
    pub fn mask(&mut self, file: &DataFileMeta, row: u64) -> Result<bool> {
        if u64::try_from(file.row_count).is_ok_and(|rows| row >= rows) {
            return Err(Error::bug(format!("row {row} of file {}, which has {}", file.file_name, file.row_count)));
        }
        let vector = match self.vectors.get_mut(&file.file_name) {
            Some(vector) => vector,
            None => self.vectors.entry(file.file_name.clone()).or_default(),
        };
        let new = !vector.is_masked(row) && Arc::make_mut(vector).mask(row)?;
        self.changed |= new;
        Ok(new)
    }

    /// Forgets the vectors of files that a message takes away, writes the bucket's new index file and names it in the
    /// message, beside those that it replaces. Nothing is written where nothing changed.
    ///
    /// # Errors
    /// The store's errors; [`Error::Exhausted`] for vectors of more than 2 GiB.
    pub async fn store(
        mut self,
        store: &TableStore,
        schema: &Schema,
        options: &TableOptions,
        message: &mut CommitMessage,
    ) -> Result<()> {
        let stay: HashSet<&str> = message.compact_after.iter().map(|file| file.file_name.as_str()).collect();
        for file in message.compact_before.iter().filter(|file| !stay.contains(file.file_name.as_str())) {
            self.changed |= self.vectors.remove(&file.file_name).is_some();
        }
        if !self.changed {
            return Ok(());
        }
        let left = self.vectors.iter().filter(|(_, vector)| !vector.is_empty());
        let mut left: Vec<Named<'_>> = left.map(|(name, vector)| (name.as_str(), vector.as_ref())).collect();
        left.sort_unstable_by_key(|(name, _)| *name);
        message.compact_deleted_index.extend(self.before);
        if left.is_empty() {
            return Ok(());
        }
        let form = if options.bitmap64 { VectorForm::Bits64 } else { VectorForm::Bits32 };
        let uuid = store.env().uuid();
        let pick = if options.external_roots.is_empty() { 0 } else { store.env().random_u64() };
        for (number, vectors) in by_file(&left, options).into_iter().enumerate() {
            let (bytes, ranges) = encode_deletion_vectors(vectors, form)?;
            let (bucket, name) = ((&message.partition, message.bucket), format!("index-{uuid}-{number}"));
            let external_path = index_outside(schema, options, bucket, &name, pick.wrapping_add(number as u64))?;
            let entry = IndexManifestEntry {
                partition: message.partition.clone(),
                bucket: message.bucket,
                index_type: IndexManifestEntry::DELETION_VECTORS.to_string(),
                file_name: name,
                file_size: i64::try_from(bytes.len()).map_err(|_| Error::bug("a file of more than 2^63 bytes"))?,
                row_count: i64::try_from(ranges.len()).map_err(|_| Error::bug("more than 2^63 vectors"))?,
                deletion_vectors: Some(ranges),
                external_path,
                global_index: None,
            };
            // Named first: what fails is deleted with the message.
            let path = index_path(schema, options, &entry)?;
            message.compact_new_index.push(entry);
            store.write(&path, bytes).await?;
        }
        Ok(())
    }
}

/// A vector with the name of its data file.
type Named<'a> = (&'a str, &'a DeletionVector);

/// The vectors of each index file: a bucket has one file, which the next one replaces; a table without buckets has many of
/// a size.
fn by_file<'a>(vectors: &[Named<'a>], options: &TableOptions) -> Vec<Vec<Named<'a>>> {
    if options.bucket != BucketMode::Unaware {
        return vec![vectors.to_vec()];
    }
    let mut files: Vec<Vec<Named<'a>>> = Vec::new();
    let mut bytes = u64::MAX;
    for named in vectors {
        if bytes > options.vector_file_size {
            files.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(named.1.most_bytes() as u64);
        files.last_mut().into_iter().for_each(|file| file.push(*named));
    }
    files
}
