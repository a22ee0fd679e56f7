//! From entries to live files: an ADD counts until a DELETE repeats its identifier.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{FileKind, ManifestEntry};
use crate::error::{Error, Result};
use crate::format::BinaryRow;

/// What makes two entries speak of the same file. The level counts: moving a file to another level is a DELETE and an ADD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileIdentifier<'a> {
    partition: &'a BinaryRow,
    bucket: i32,
    level: i32,
    file_name: &'a str,
    extra_files: &'a [String],
    embedded_file_index: Option<&'a Bytes>,
    external_path: Option<&'a str>,
}

impl ManifestEntry {
    /// The identifier of the entry's file.
    pub fn identifier(&self) -> FileIdentifier<'_> {
        FileIdentifier {
            partition: &self.partition,
            bucket: self.bucket,
            level: self.file.level,
            file_name: &self.file.file_name,
            extra_files: &self.file.extra_files,
            embedded_file_index: self.file.embedded_file_index.as_ref(),
            external_path: self.file.external_path.as_deref(),
        }
    }
}

/// The live files of a snapshot: the ADD entries whose identifier no DELETE entry has, in order. Never fails, so that
/// every table that Java reads is read; [`apply_entries`] is the strict form.
pub fn merge_entries(entries: impl IntoIterator<Item = ManifestEntry>) -> Vec<ManifestEntry> {
    let (deletes, adds): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.kind == FileKind::Delete);
    let deleted: HashSet<FileIdentifier<'_>> = deletes.iter().map(ManifestEntry::identifier).collect();
    adds.into_iter().filter(|entry| !deleted.contains(&entry.identifier())).collect()
}

/// The entries that remain when each DELETE cancels the ADD before it; a DELETE without an ADD stays. This is what a
/// rewrite of some manifests may keep.
pub fn cancel_entries(entries: Vec<ManifestEntry>) -> Vec<ManifestEntry> {
    let mut keep = vec![true; entries.len()];
    let mut adds: HashMap<FileIdentifier<'_>, usize> = HashMap::new();
    for (at, entry) in entries.iter().enumerate() {
        match entry.kind {
            FileKind::Add => {
                adds.insert(entry.identifier(), at);
            }
            FileKind::Delete => {
                if let Some(add) = adds.remove(&entry.identifier()) {
                    keep[add] = false;
                    keep[at] = false;
                }
            }
        }
    }
    entries.into_iter().zip(keep).filter_map(|(entry, keep)| keep.then_some(entry)).collect()
}

/// Live files with the entries of a commit applied, in order: what a commit checks against the newest snapshot.
///
/// # Errors
/// [`Error::Conflict`] when an ADD names a live file or a DELETE one that is not live.
pub fn apply_entries(live: Vec<ManifestEntry>, delta: &[ManifestEntry]) -> Result<Vec<ManifestEntry>> {
    // A slot for each ADD; a DELETE empties the slot of its file.
    let mut slots: Vec<Option<&ManifestEntry>> = Vec::with_capacity(live.len() + delta.len());
    let mut places: HashMap<FileIdentifier<'_>, usize> = HashMap::with_capacity(live.len());
    for entry in live.iter().chain(delta) {
        let name = &entry.file.file_name;
        let (bucket, level) = (entry.bucket, entry.file.level);
        match entry.kind {
            FileKind::Add => {
                if places.insert(entry.identifier(), slots.len()).is_some() {
                    return Err(Error::conflict(format!(
                        "{name} is added to bucket {bucket} level {level}, where it is"
                    )));
                }
                slots.push(Some(entry));
            }
            FileKind::Delete => match places.remove(&entry.identifier()) {
                Some(place) => slots[place] = None,
                None => {
                    let what = format!("{name} is deleted from bucket {bucket} level {level}, where it is no longer");
                    return Err(Error::conflict(what));
                }
            },
        }
    }
    Ok(slots.into_iter().flatten().cloned().collect())
}
