//! Contradictions between a commit and the files that are live now. Pure; the rules are Paimon's.
//!
//! Plain appends contradict nothing. A compaction must find every file that it read still live (this catches two
//! compactors), must not add a file twice, and must leave the levels of a bucket sorted and disjoint.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::changes::Changes;
use crate::error::Result;
use crate::format::{BinaryRow, CommitKind, DataFileMeta, FileIdentifier, FileKind, ManifestEntry};
use crate::types::{DataType, Datum};

/// Says what contradicts what. `live` holds at least the files of the partitions that change; `key_types` are those of
/// the trimmed primary key, empty for append tables.
///
/// # Errors
/// [`crate::Error::Corrupt`] for a key that cannot be decoded.
pub(super) fn check(
    changes: &Changes,
    live: &[Arc<ManifestEntry>],
    key_types: &[DataType],
) -> Result<std::result::Result<(), String>> {
    let after = match apply(changes, live) {
        Ok(after) => after,
        Err(reason) => return Ok(Err(reason)),
    };
    if changes.kind == CommitKind::Overwrite && changes.counts_seen.is_some() {
        let own: HashSet<FileIdentifier<'_>> = changes.entries.iter().map(|entry| entry.identifier()).collect();
        if let Some(left) = after.iter().find(|entry| entry.bucket >= 0 && !own.contains(&entry.identifier())) {
            return Ok(Err(format!(
                "file {} of bucket {} came to the partition while it was overwritten",
                left.file.file_name, left.bucket
            )));
        }
    }
    if let Err(reason) = check_bucket_counts(after.iter().copied()) {
        return Ok(Err(reason));
    }
    if key_types.is_empty() { Ok(Ok(())) } else { check_levels(changes, &after, key_types) }
}

/// One partition is written with one bucket count; only an overwrite of all its files changes it.
pub(super) fn check_bucket_counts<'a>(
    entries: impl Iterator<Item = &'a ManifestEntry>,
) -> std::result::Result<(), String> {
    let mut counts: HashMap<&BinaryRow, i32> = HashMap::new();
    for entry in entries.filter(|entry| entry.total_buckets > 0) {
        let known = *counts.entry(&entry.partition).or_insert(entry.total_buckets);
        if known != entry.total_buckets {
            return Err(format!(
                "files of a partition with {known} buckets met files for {}: it was rescaled, or rows came while it was",
                entry.total_buckets
            ));
        }
    }
    Ok(())
}

/// The live files after the changes.
pub(super) fn apply<'a>(
    changes: &'a Changes,
    live: &'a [Arc<ManifestEntry>],
) -> std::result::Result<Vec<&'a ManifestEntry>, String> {
    let mut names: HashSet<FileIdentifier<'a>> = live.iter().map(|entry| entry.identifier()).collect();
    for entry in &changes.entries {
        let file = &entry.file;
        match entry.kind {
            FileKind::Add if !names.insert(entry.identifier()) => {
                return Err(format!("file {} of bucket {} was added by another commit", file.file_name, entry.bucket));
            }
            FileKind::Delete if !names.remove(&entry.identifier()) => {
                return Err(format!(
                    "file {} of bucket {}, level {}, is no longer live: another commit replaced it",
                    file.file_name, entry.bucket, file.level
                ));
            }
            _ => {}
        }
    }
    let all = live.iter().map(|entry| &**entry).chain(&changes.entries);
    Ok(all.filter(|entry| entry.kind == FileKind::Add && names.contains(&entry.identifier())).collect())
}

/// Files of one level above 0 must not overlap, in the buckets that change.
fn check_levels(
    changes: &Changes,
    after: &[&ManifestEntry],
    key_types: &[DataType],
) -> Result<std::result::Result<(), String>> {
    let touched: BTreeSet<(&BinaryRow, i32)> =
        changes.entries.iter().map(|entry| (&entry.partition, entry.bucket)).collect();
    let mut levels: BTreeMap<(&BinaryRow, i32, i32), Vec<&DataFileMeta>> = BTreeMap::new();
    for entry in after.iter().filter(|entry| entry.file.level >= 1) {
        if touched.contains(&(&entry.partition, entry.bucket)) {
            levels.entry((&entry.partition, entry.bucket, entry.file.level)).or_default().push(&entry.file);
        }
    }
    for ((_, bucket, level), files) in levels {
        let mut ranges = Vec::with_capacity(files.len());
        for file in files {
            ranges.push((file.min_key.decode(key_types)?, file.max_key.decode(key_types)?, &file.file_name));
        }
        ranges.sort_by(|a, b| compare(&a.0, &b.0));
        if let Some(pair) = ranges.windows(2).find(|pair| compare(&pair[0].1, &pair[1].0).is_ge()) {
            return Ok(Err(format!(
                "files {} and {} of bucket {bucket}, level {level}, would overlap: two compactions met",
                pair[0].2, pair[1].2
            )));
        }
    }
    Ok(Ok(()))
}

fn compare(a: &[Datum], b: &[Datum]) -> std::cmp::Ordering {
    let unequal = a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
    unequal.unwrap_or(std::cmp::Ordering::Equal)
}
