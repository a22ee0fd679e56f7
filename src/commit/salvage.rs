//! Compactions of many buckets in one commit: those that lost to other commits are left out, the others count.
//!
//! ```text
//! messages   [b0] [b1] [b2] ─ all at once ─ contradiction ─ which? ─ [b0] [b2] ─ all at once ─ ..
//!                                                              └─ [b1] lost: its files go last
//! ```
//!
//! Each message is held against the files of its own bucket, after the messages of that bucket before it: what rests on
//! a compaction that lost is lost with it. Every attempt is checked as a whole again, so this choice can only be too
//! careful. Spec: `format-spec/commit.md`, compactions that lose.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::attempt::Attempt;
use super::changes::{Changes, Committable};
use super::check::{apply, check};
use super::committer::Committer;
use super::index::{check_masks, next_index};
use super::outcome::{CommitProperties, DroppedCompaction};
use super::publish::{Base, Published, Request};
use crate::error::Result;
use crate::format::{BinaryRow, CommitMessage, IndexFile, ManifestEntry};
use crate::schema::BucketMode;
use crate::types::DataType;

/// What became of the compactions of a commit.
pub(super) struct Salvaged {
    /// What became of those that are left.
    pub(super) published: Result<Published>,
    /// Those that lost before.
    pub(super) lost: Vec<DroppedCompaction>,
    /// Whether no earlier attempt, which named the lost ones, can still become visible.
    pub(super) certain: bool,
}

/// What surrounds the compactions.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) identifier: i64,
    pub(super) properties: &'a CommitProperties,
    pub(super) began: Duration,
}

impl<'a> Around<'a> {
    pub(super) fn request(self, changes: &'a Changes) -> Request<'a> {
        let Self { identifier, properties, began } = self;
        Request { changes, identifier, properties, check: true, began, replaces: None }
    }
}

impl Committer {
    /// Publishes the compactions of messages in one snapshot, without those that contradict other commits.
    pub(super) async fn publish_compactions(
        &mut self,
        messages: &[CommitMessage],
        changes: &Changes,
        around: Around<'_>,
        mut attempt: Attempt,
    ) -> Salvaged {
        let mut left: Vec<usize> = (0..messages.len()).filter(|at| messages[*at].compacts()).collect();
        let (mut lost, mut certain) = (Vec::new(), true);
        let mut fewer: Option<Changes> = None;
        loop {
            let changes = fewer.as_ref().unwrap_or(changes);
            let published =
                self.publish(around.request(changes), std::mem::replace(&mut attempt, Attempt::new(self)), None).await;
            let Ok(Published::Conflicted { certain: this_certain, .. }) = &published else {
                return Salvaged { published, lost, certain };
            };
            if self.whole {
                return Salvaged { published, lost, certain };
            }
            certain &= this_certain;
            match self.part(messages, &left).await {
                Ok(losers) if !losers.is_empty() && losers.len() < left.len() => {
                    left.retain(|at| losers.iter().all(|loser| loser.message != *at));
                    lost.extend(losers);
                }
                // Nothing is left, or what contradicts others is none of them alone.
                Ok(_) => return Salvaged { published, lost, certain },
                Err(error) => return Salvaged { published: Err(error), lost, certain },
            }
            let kept: Vec<CommitMessage> = left.iter().map(|at| messages[*at].clone()).collect();
            match Committable::of(&kept) {
                Ok(committable) => fewer = Some(committable.compact),
                Err(error) => return Salvaged { published: Err(error), lost, certain },
            }
        }
    }

    /// Those of the messages that contradict the newest snapshot.
    async fn part(&mut self, messages: &[CommitMessage], left: &[usize]) -> Result<Vec<DroppedCompaction>> {
        let base = self.load_base().await?;
        let found = self.losers(messages, left, &base).await;
        self.base = Some(base);
        found
    }

    async fn losers(&self, messages: &[CommitMessage], left: &[usize], base: &Base) -> Result<Vec<DroppedCompaction>> {
        let partitions: BTreeSet<BinaryRow> = left.iter().map(|at| messages[*at].partition.clone()).collect();
        let files = self.history.manifests.live_in(&base.manifests, partitions).await?;
        let index = match base.snapshot.as_ref().and_then(|snapshot| snapshot.index_manifest.as_ref()) {
            Some(name) => self.history.manifests.index(name).await?,
            None => Arc::default(),
        };
        let rules = Rules { key_types: &self.key_types, by_file: self.table_options.bucket == BucketMode::Unaware };
        losers(messages, left, &files, &index, rules)
    }
}

/// What messages are held against besides files.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// Types of the trimmed primary key; empty for append tables.
    pub(super) key_types: &'a [DataType],
    /// Whether a partition may have many files of vectors.
    pub(super) by_file: bool,
}

/// A bucket after the messages that were taken.
#[derive(Default)]
struct Bucket {
    files: Vec<Arc<ManifestEntry>>,
    index: Vec<IndexFile>,
}

/// Those of the messages whose compaction contradicts the live files and index files, with the reason. Pure.
///
/// # Errors
/// [`crate::Error::Corrupt`] for a key that cannot be decoded.
pub(super) fn losers(
    messages: &[CommitMessage],
    left: &[usize],
    live: &[Arc<ManifestEntry>],
    index: &[IndexFile],
    rules: Rules<'_>,
) -> Result<Vec<DroppedCompaction>> {
    let mut buckets: HashMap<(&BinaryRow, i32), Bucket> = HashMap::new();
    let mut counts: HashMap<&BinaryRow, i32> = HashMap::new();
    for entry in live {
        buckets.entry((&entry.partition, entry.bucket)).or_default().files.push(Arc::clone(entry));
        if entry.total_buckets > 0 {
            counts.insert(&entry.partition, entry.total_buckets);
        }
    }
    for file in index {
        buckets.entry((&file.partition, file.bucket)).or_default().index.push(file.clone());
    }
    let mut lost = Vec::new();
    for at in left {
        let message = &messages[*at];
        let changes = Committable::of(std::slice::from_ref(message))?.compact;
        let rescaled = counts.get(&message.partition).is_some_and(|count| *count != message.total_buckets);
        let bucket = buckets.entry((&message.partition, message.bucket)).or_default();
        let taken = match rescaled && message.total_buckets > 0 {
            true => Err(format!("the partition of bucket {} was rescaled", message.bucket)),
            false => bucket.take(&changes, rules)?,
        };
        if let Err(reason) = taken {
            lost.push(DroppedCompaction { message: *at, reason });
        }
    }
    Ok(lost)
}

impl Bucket {
    /// Follows the changes, or says what they contradict.
    fn take(&mut self, changes: &Changes, rules: Rules<'_>) -> Result<std::result::Result<(), String>> {
        if let Err(reason) = check(changes, &self.files, rules.key_types)? {
            return Ok(Err(reason));
        }
        let next = match next_index(&self.index, &changes.index, rules.by_file) {
            Ok(next) => next,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Err(reason) = check_masks(changes, &self.files, &next) {
            return Ok(Err(reason));
        }
        let after: Vec<ManifestEntry> = match apply(changes, &self.files) {
            Ok(after) => after.into_iter().cloned().collect(),
            Err(reason) => return Ok(Err(reason)),
        };
        self.files = after.into_iter().map(Arc::new).collect();
        self.index = next;
        Ok(Ok(()))
    }
}
