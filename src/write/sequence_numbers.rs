//! Where the sequence numbers of a bucket go on.
//! Spec: `format-spec/write.md`, sequence numbers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::format::{BinaryRow, DataFileMeta, FileKind, ManifestEntry, Snapshot, SnapshotId};
use crate::history::{FileFilter, History};

/// The highest sequence number of every bucket and the bucket count of every partition, as of a snapshot.
#[derive(Default)]
pub(super) struct SequenceNumbers {
    /// The last snapshot that was taken in; 0 when there was none.
    seen: Option<SnapshotId>,
    newest: Option<Snapshot>,
    highest: HashMap<(BinaryRow, i32), i64>,
    totals: HashMap<BinaryRow, i32>,
    /// Files of earlier messages that no snapshot showed yet.
    awaited: HashSet<String>,
}

impl SequenceNumbers {
    /// Takes in what was committed since the last call, by whomever. Two writers that flush at the same time still
    /// get overlapping numbers; only `sequence.field` orders their rows.
    ///
    /// # Errors
    /// The store's errors; [`Error::Conflict`] when nobody can tell any more whether an earlier message was committed.
    pub(super) async fn refresh(&mut self, history: &History) -> Result<()> {
        let Some(latest) = history.snapshots.latest_id().await? else {
            self.seen = Some(0);
            return Ok(());
        };
        // What is awaited may be gone from the newest snapshot, and only the way there tells that it was visible.
        let most = if self.awaited.is_empty() { 16 } else { 1000 };
        let since = self.seen.filter(|seen| *seen <= latest && latest - seen <= most);
        let mut newest = self.newest.take();
        let mut complete = since.is_some();
        for id in since.map_or(1, |seen| seen + 1)..=latest {
            if !complete {
                break;
            }
            match history.snapshots.try_load(id).await? {
                Some(snapshot) => {
                    self.take(&history.manifests.delta_files(&snapshot, &FileFilter::default()).await?);
                    newest = Some(snapshot);
                }
                None => complete = false,
            }
        }
        if !complete {
            let snapshot = history.snapshots.load(latest).await?;
            self.take(&history.manifests.live_files(&snapshot, &FileFilter::default()).await?);
            newest = Some(snapshot);
            if !self.awaited.is_empty() {
                return Err(Error::conflict(format!(
                    "snapshots between {} and {latest} are gone, and with them what became of this writer's commits: \
                     open a new writer",
                    self.seen.unwrap_or(0)
                )));
            }
        }
        self.seen = Some(latest);
        self.newest = newest;
        Ok(())
    }

    /// Waits for files to become visible.
    pub(super) fn expect(&mut self, files: &[DataFileMeta]) {
        self.awaited.extend(files.iter().map(|file| file.file_name.clone()));
    }

    /// Whether any is not visible yet.
    pub(super) fn awaits_any(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Whether a file of an earlier message is not visible yet.
    pub(super) fn awaits(&self, file_name: &str) -> bool {
        self.awaited.contains(file_name)
    }

    /// The newest snapshot as of the last call.
    pub(super) fn newest(&self) -> Option<&Snapshot> {
        self.newest.as_ref()
    }

    fn take(&mut self, entries: &[Arc<ManifestEntry>]) {
        for entry in entries.iter().filter(|entry| entry.kind == FileKind::Add) {
            self.raise(&entry.partition, entry.bucket, entry.file.max_sequence_number);
            self.awaited.remove(&entry.file.file_name);
            if entry.total_buckets > 0 {
                self.totals.insert(entry.partition.clone(), entry.total_buckets);
            }
        }
    }

    /// The snapshot that was taken in last; 0 where there was none.
    pub(super) fn seen(&self) -> SnapshotId {
        self.seen.unwrap_or(0)
    }

    /// The next number of a bucket.
    pub(super) fn next(&self, partition: &BinaryRow, bucket: i32) -> Result<i64> {
        let highest = self.highest.get(&(partition.clone(), bucket)).copied().unwrap_or(-1);
        highest.checked_add(1).ok_or_else(|| Error::exhausted("the sequence numbers of a bucket"))
    }

    /// The bucket count that a partition was written with.
    pub(super) fn total_buckets(&self, partition: &BinaryRow) -> Option<i32> {
        self.totals.get(partition).copied()
    }

    /// Notes that a number is taken.
    pub(super) fn raise(&mut self, partition: &BinaryRow, bucket: i32, number: i64) {
        let highest = self.highest.entry((partition.clone(), bucket)).or_insert(number);
        *highest = number.max(*highest);
    }
}
