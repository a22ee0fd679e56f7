//! What a snapshot's number gives the files that it brings: row ids, and the order of versions. Pure.
//!
//! Both depend on the base of an attempt, so that an attempt on another base numbers its files anew.
//! Spec: `format-spec/row-tracking.md`.

use std::sync::Arc;

use super::changes::Changes;
use crate::error::{Error, Result};
use crate::format::{CommitKind, DataFileMeta, FileKind, FileSource, ManifestEntry, Snapshot, SnapshotId};
use crate::schema::TableOptions;

/// Changes with what the snapshot's number decides about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) changes: Changes,
    /// The first row id that is left.
    pub(super) next_row_id: Option<i64>,
}

/// The changes as the snapshot after `base` holds them, where its number decides something about them.
///
/// # Errors
/// [`Error::Unsupported`] for a base that does not tell the next row id; [`Error::Exhausted`] when there is none.
pub(super) fn numbered(changes: &Changes, base: Option<&Snapshot>, options: &TableOptions) -> Result<Option<Numbered>> {
    let snapshot = base.map_or(0, |base| base.id).saturating_add(1);
    if options.row_tracking {
        let first = next_row_id(base)?;
        return with_row_ids(changes, snapshot, first, options.row_ids_by_partition).map(Some);
    }
    if options.snapshot_ordering && changes.kind != CommitKind::Compact {
        let next_row_id = base.and_then(|base| base.next_row_id);
        return Ok(Some(Numbered { changes: in_order(changes, snapshot), next_row_id }));
    }
    Ok(None)
}

fn next_row_id(base: Option<&Snapshot>) -> Result<i64> {
    match base {
        None => Ok(0),
        Some(Snapshot { next_row_id: Some(next), .. }) => Ok(*next),
        Some(base) => Err(Error::unsupported(format!(
            "option row-tracking.enabled: snapshot {} does not tell the next row id, so its writer does not know of row ids",
            base.id
        ))),
    }
}

/// Rows of new files get the ids from `first` on; files that a compaction wrote have them as a column.
fn with_row_ids(changes: &Changes, snapshot: SnapshotId, first: i64, by_partition: bool) -> Result<Numbered> {
    let mut whole = changes.clone();
    if by_partition {
        whole.entries.sort_by(|a, b| a.partition.cmp(&b.partition)); // stable: the order inside a partition stays
    }
    let mut next = first;
    for entry in &mut whole.entries {
        let file = &entry.file;
        if entry.kind == FileKind::Delete {
            continue;
        }
        let mut file = stamped(file, snapshot);
        if file.file_source == Some(FileSource::Append) && file.first_row_id.is_none() && !file.holds_row_ids() {
            file.first_row_id = Some(next);
            let end = next.checked_add(file.row_count);
            next = end.ok_or_else(|| Error::exhausted("row ids: the table has used up all of them"))?;
        }
        *entry = ManifestEntry { file: Arc::new(file), ..entry.clone() };
    }
    Ok(Numbered { changes: whole, next_row_id: Some(next) })
}

/// A file of new rows is the snapshot's; one that has rows of older snapshots keeps their range.
fn stamped(file: &DataFileMeta, snapshot: SnapshotId) -> DataFileMeta {
    let mut file = file.clone();
    let new = file.file_source == Some(FileSource::Append) && !file.holds_row_ids();
    if new || file.min_sequence_number == 0 {
        (file.min_sequence_number, file.max_sequence_number) = (snapshot, snapshot);
    } else if file.max_sequence_number == 0 {
        file.max_sequence_number = snapshot;
    }
    file
}

/// Every version in a new file is as new as the snapshot.
fn in_order(changes: &Changes, snapshot: SnapshotId) -> Changes {
    let mut whole = changes.clone();
    let new =
        |entry: &&mut ManifestEntry| entry.kind == FileKind::Add && entry.file.file_source == Some(FileSource::Append);
    for entry in whole.entries.iter_mut().filter(new) {
        let file = DataFileMeta {
            min_sequence_number: snapshot,
            max_sequence_number: snapshot,
            ..DataFileMeta::clone(&entry.file)
        };
        *entry = ManifestEntry { file: Arc::new(file), ..entry.clone() };
    }
    whole
}
