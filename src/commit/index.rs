//! The index files of the next snapshot, from those of the newest one and a commit's changes. Pure.
//!
//! An index manifest is a complete list: what a commit does not touch is carried over. A bucket has one file of each
//! type, so a new one replaces the former one, and the commit must have known that one. That is how two writers of one
//! bucket are found out, which the data files of plain appends never tell. Spec: `format-spec/commit.md`, index files.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::changes::Changes;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitMessage, FileKind, IndexFile, IndexRead, ManifestEntry, layout};

/// The index type of key hashes.
pub(super) const HASH: &str = "HASH";
/// The index type of masks of data files.
pub(super) const DELETION_VECTORS: &str = "DELETION_VECTORS";

/// What one snapshot changes of the index files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IndexChanges {
    pub(super) deleted: Vec<IndexFile>,
    pub(super) added: Vec<IndexFile>,
    /// What writers took for the index files of a partition.
    pub(super) reads: Vec<(BinaryRow, IndexRead)>,
}

impl IndexChanges {
    /// Whether no file changes.
    pub(super) fn is_empty(&self) -> bool {
        self.deleted.is_empty() && self.added.is_empty()
    }

    /// Whether the newest list matters to the commit.
    pub(super) fn asks(&self) -> bool {
        !self.is_empty() || !self.reads.is_empty()
    }

    pub(super) fn masks_rows(&self) -> bool {
        self.added.iter().chain(&self.deleted).any(|file| file.index_type == DELETION_VECTORS)
    }
}

/// A message may come from another machine: its index files must be of its bucket and have plain names.
pub(super) fn check_files(message: &CommitMessage) -> Result<()> {
    let invalid = |file: &IndexFile, why: &str| Err(Error::invalid(format!("index file {:?} {why}", file.file_name)));
    for file in message.written_index_files().chain(&message.deleted_index).chain(&message.compact_deleted_index) {
        layout::check_name("index file", &file.file_name)?;
        if file.partition != message.partition || file.bucket != message.bucket {
            return invalid(file, "is not of the message's bucket");
        }
        if file.row_count < 0 || file.file_size < 0 {
            return invalid(file, "has a negative size or row count");
        }
    }
    for file in message.written_index_files() {
        if file.index_type != HASH && file.index_type != DELETION_VECTORS {
            return Err(Error::unsupported(format!("committing index files of type {}", file.index_type)));
        }
    }
    match &message.index_read {
        Some(read) if read.assigners < 1 || !(0..read.assigners).contains(&read.assigner) => {
            Err(Error::invalid(format!("assigner {} of {} does not exist", read.assigner, read.assigners)))
        }
        _ => Ok(()),
    }
}

/// The complete list after the changes, or what contradicts what. `by_file` tells a table without buckets, where a
/// partition may have many files of vectors.
pub(super) fn next_index(
    live: &[IndexFile],
    changes: &IndexChanges,
    by_file: bool,
) -> std::result::Result<Vec<IndexFile>, String> {
    for (partition, read) in &changes.reads {
        check_read(live, partition, read)?;
    }
    let deleted: HashSet<_> = changes.deleted.iter().map(identity).collect();
    let known: HashSet<_> = live.iter().map(identity).collect();
    if let Some(gone) = changes.deleted.iter().find(|file| !known.contains(&identity(file))) {
        return Err(format!("{} is no longer live: another commit replaced it", describe(gone)));
    }
    let mut next: Vec<IndexFile> = live.iter().filter(|file| !deleted.contains(&identity(file))).cloned().collect();
    let mut places: HashSet<_> = next.iter().map(place).collect();
    let mut names: HashSet<&str> = live.iter().map(|file| file.file_name.as_str()).collect();
    let mut masked: HashSet<(&BinaryRow, &str)> = live
        .iter()
        .filter(|file| file.index_type == DELETION_VECTORS && !deleted.contains(&identity(file)))
        .flat_map(masked_files)
        .collect();
    for file in &changes.added {
        if !names.insert(&file.file_name) {
            return Err(format!("{} was added by another commit", describe(file)));
        }
        if by_file && file.index_type == DELETION_VECTORS {
            if let Some((_, name)) = masked_files(file).find(|masks| !masked.insert(*masks)) {
                return Err(format!("file {name} was given deletion vectors by another commit"));
            }
        } else if !places.insert(place(file)) {
            return Err(format!(
                "{} does not replace the bucket's newest index of its type: another writer wrote that bucket",
                describe(file)
            ));
        }
    }
    next.extend(changes.added.iter().cloned());
    Ok(next)
}

/// Vectors speak of live files alone. Two compactions that do not touch each other's index files can still part a vector
/// from its file: one masks rows of a file that the other one rewrites. `live` holds at least the files of the
/// partitions that change, `next` is the complete list after the changes.
pub(super) fn check_masks(
    changes: &Changes,
    live: &[Arc<ManifestEntry>],
    next: &[IndexFile],
) -> std::result::Result<(), String> {
    let masked = next.iter().filter(|file| file.index_type == DELETION_VECTORS);
    if masked.clone().next().is_none() {
        return Ok(());
    }
    fn name(entry: &ManifestEntry) -> (&BinaryRow, i32, &str) {
        (&entry.partition, entry.bucket, &entry.file.file_name)
    }
    let mut after: HashSet<_> = live.iter().map(|entry| name(entry)).collect();
    let mut gone = HashSet::new();
    // A file that moves to another level is deleted and added under one name.
    for entry in &changes.entries {
        match entry.kind {
            FileKind::Add => after.insert(name(entry)) && gone.remove(&name(entry)),
            FileKind::Delete => after.remove(&name(entry)) && gone.insert(name(entry)),
        };
    }
    let added: HashSet<_> = changes.index.added.iter().map(identity).collect();
    for file in masked {
        let is_new = added.contains(&identity(file));
        for range in file.deletion_vectors.iter().flatten() {
            let target = (&file.partition, file.bucket, range.data_file.as_str());
            if is_new && !after.contains(&target) {
                return Err(format!(
                    "file {}, whose rows {} masks, is no longer live: another commit replaced it",
                    range.data_file,
                    describe(file)
                ));
            }
            if gone.contains(&target) {
                return Err(format!(
                    "file {} leaves, and {} has rows of it masked since this commit was prepared",
                    range.data_file,
                    describe(file)
                ));
            }
        }
    }
    Ok(())
}

/// A writer that rests on other hashes than those that are live would put known keys into a second bucket.
fn check_read(live: &[IndexFile], partition: &BinaryRow, read: &IndexRead) -> std::result::Result<(), String> {
    let owned = |file: &&IndexFile| {
        file.index_type == HASH
            && file.partition == *partition
            && file.bucket.checked_rem_euclid(read.assigners) == Some(read.assigner)
    };
    let live: BTreeSet<&str> = live.iter().filter(owned).map(|file| file.file_name.as_str()).collect();
    let seen: BTreeSet<&str> = read.files.iter().map(String::as_str).collect();
    match live.symmetric_difference(&seen).next() {
        None => Ok(()),
        Some(name) => Err(format!(
            "the key-hash index of a partition with dynamic buckets changed since this writer read it ({name}): another \
             writer is at work, and both could put one key into different buckets; open a new writer"
        )),
    }
}

fn place(file: &IndexFile) -> (BinaryRow, i32, String) {
    (file.partition.clone(), file.bucket, file.index_type.clone())
}

fn identity(file: &IndexFile) -> (&BinaryRow, i32, &str, &str) {
    (&file.partition, file.bucket, &file.index_type, &file.file_name)
}

fn masked_files(file: &IndexFile) -> impl Iterator<Item = (&BinaryRow, &str)> {
    let ranges = file.deletion_vectors.as_deref().unwrap_or_default();
    ranges.iter().map(|range| (&file.partition, range.data_file.as_str()))
}

fn describe(file: &IndexFile) -> String {
    format!("index file {} ({} of bucket {})", file.file_name, file.index_type, file.bucket)
}
