//! Compacting a table: plan, run, commit, and plan again what somebody else's commit undid.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer};
use crate::compact::{CompactLimits, CompactProgress, CompactRequest, Compactor, join_changelogs};
use crate::error::{Error, Result};
use crate::format::{CommitMessage, CompactTask, SnapshotId};
use crate::lookup::LookupCache;
use crate::predicate::{Expr, col};
use crate::schema::{BucketMode, ChangelogProducer, TableOptions};
use crate::table::{MovePostponed, Table, expiring};

/// Rounds of plan, run and commit: after a round more may be due, or be due again.
const MOST_ROUNDS: usize = 64;

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// The tasks that were planned. With `dry_run` none of them was run.
    pub planned: Vec<CompactTask>,
    /// The snapshots it made.
    pub snapshots: Vec<SnapshotId>,
    /// Files that were replaced, and their bytes.
    pub files_before: usize,
    /// Bytes of those.
    pub bytes_before: u64,
    /// Files that took their place; those that only moved to another level count too.
    pub files_after: usize,
    /// Bytes of those.
    pub bytes_after: u64,
    /// Files that moved to another level without being rewritten.
    pub moved_files: usize,
    /// Rows of changelog.
    pub changelog_rows: u64,
    /// Tasks whose work was lost to another commit.
    pub lost_tasks: usize,
    /// Rows that waited in `bucket-postpone` and were moved into real buckets.
    pub postponed_rows: u64,
}

impl CompactReport {
    fn add(&mut self, message: &CommitMessage) {
        let bytes =
            |files: &[crate::format::DataFileMeta]| files.iter().map(|file| file.file_size.max(0) as u64).sum::<u64>();
        let before: BTreeSet<&str> = message.compact_before.iter().map(|file| file.file_name.as_str()).collect();
        let moved = message.compact_after.iter().filter(|file| before.contains(file.file_name.as_str()));
        self.moved_files += moved.count();
        self.files_before += message.compact_before.len();
        self.files_after += message.compact_after.len();
        self.bytes_before += bytes(&message.compact_before);
        self.bytes_after += bytes(&message.compact_after);
        self.changelog_rows += message.compact_changelog.iter().map(|file| file.row_count.max(0) as u64).sum::<u64>();
    }
}

/// A compaction: what of a table, how, and within which limits.
#[derive(Clone)]
pub struct CompactBuilder {
    table: Table,
    request: CompactRequest,
    limits: CompactLimits,
    dry_run: bool,
    progress: Option<Arc<CompactProgress>>,
    lookups: Option<LookupCache>,
}

impl CompactBuilder {
    pub(super) fn new(table: Table) -> Self {
        let (request, limits) = (CompactRequest::default(), CompactLimits::default());
        Self { table, request, limits, dry_run: false, progress: None, lookups: None }
    }

    /// Everything into the highest level; otherwise only what the table's options say is due. With changelog-producer
    /// full-compaction every bucket with rows below the highest level is due, and is compacted fully.
    #[must_use]
    pub fn full(mut self) -> Self {
        self.request.full = true;
        self
    }

    /// Only partitions with this value in a partition column.
    #[must_use]
    pub fn partition(self, column: &str, value: &str) -> Self {
        self.filter(col(column).eq(value))
    }

    /// Only partitions for which this is true. It may speak of partition columns alone.
    #[must_use]
    pub fn filter(mut self, filter: Expr) -> Self {
        self.request.partitions = Some(match self.request.partitions.take() {
            Some(other) => other.and(filter),
            None => filter,
        });
        self
    }

    /// Only this bucket; may be repeated.
    #[must_use]
    pub fn bucket(mut self, bucket: i32) -> Self {
        self.request.buckets.insert(bucket);
        self
    }

    /// The memory that all tasks together may take.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// The threads that merge and encode.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.limits.threads = threads.max(1);
        self
    }

    /// The bytes of data files read in a second: the input, what is read beside it in higher levels, and postponed rows.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.limits.bytes_per_second = Some(bytes);
        self
    }

    /// Only plans.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Counts here what was done so far, for whoever shows it.
    #[must_use]
    pub fn progress(mut self, progress: Arc<CompactProgress>) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Shares the memory in which other compactions keep what they looked up of old rows, instead of a cache of its own of a
    /// quarter of [`CompactBuilder::memory`].
    #[must_use]
    pub fn lookups(mut self, cache: &LookupCache) -> Self {
        self.lookups = Some(cache.clone());
        self
    }

    /// The compactor alone, for whoever runs tasks elsewhere and commits them.
    ///
    /// # Errors
    /// [`Error::Unsupported`] or [`Error::Invalid`] naming an option that forbids compacting.
    pub fn compactor(&self) -> Result<Compactor> {
        if self.limits.bytes_per_second == Some(0) {
            return Err(Error::invalid("a compaction that may read 0 bytes in a second"));
        }
        if self.limits.memory == 0 {
            return Err(Error::invalid("a compaction that may take 0 bytes of memory"));
        }
        let mut compactor = self.table.compactor(self.limits)?;
        if let Some(lookups) = &self.lookups {
            compactor = compactor.with_lookups(lookups);
        }
        Ok(match &self.progress {
            Some(progress) => compactor.with_progress(Arc::clone(progress)),
            None => compactor,
        })
    }

    /// The tasks that are due in the newest snapshot, the most urgent first.
    ///
    /// # Errors
    /// As [`CompactBuilder::run`].
    pub async fn plan(&self) -> Result<Vec<CompactTask>> {
        self.compactor()?.plan(&self.request).await
    }

    /// Rows that wait in `bucket-postpone` for [`CompactBuilder::run`] to move them; 0 where one bucket is asked for.
    ///
    /// # Errors
    /// As [`CompactBuilder::run`].
    pub async fn waiting_rows(&self) -> Result<u64> {
        match self.postponed()? {
            Some(postponed) => postponed.waiting_rows().await,
            None => Ok(0),
        }
    }

    /// What moves the waiting rows of a table that postpones its buckets.
    fn postponed(&self) -> Result<Option<MovePostponed>> {
        let postpones = TableOptions::parse(self.table.schema())?.bucket == BucketMode::Postpone;
        if !postpones || !self.request.buckets.is_empty() {
            return Ok(None);
        }
        let mut postponed = self.table.move_postponed().memory(self.limits.memory).threads(self.limits.threads);
        if let Some(rate) = self.limits.bytes_per_second {
            postponed = postponed.bytes_per_second(rate);
        }
        Ok(Some(match &self.request.partitions {
            Some(filter) => postponed.filter(filter.clone()),
            None => postponed,
        }))
    }

    /// Moves rows that wait in `bucket-postpone` into real buckets, and compacts until nothing is due. A task whose files somebody else replaced meanwhile is dropped and planned again;
    /// nobody else's commit ever fails for it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] or [`Error::Invalid`] naming an option that forbids compacting, [`Error::Invalid`] for a
    /// filter on columns that are no partition columns; the store's errors. What was committed before stays.
    pub async fn run(self) -> Result<CompactReport> {
        let compactor = self.compactor()?;
        let producer = TableOptions::parse(self.table.schema())?.changelog_producer;
        let full = self.request.full || producer == ChangelogProducer::FullCompaction;
        let mut report = CompactReport::default();
        if let Some(postponed) = self.postponed()?.filter(|_| !self.dry_run) {
            for moved in Box::pin(postponed.run()).await? {
                report.postponed_rows += u64::try_from(moved.rows).unwrap_or(0);
                report.changelog_rows += u64::try_from(moved.changelog_rows).unwrap_or(0);
                report.snapshots.push(moved.snapshot_id);
            }
        }
        for _ in 0..MOST_ROUNDS {
            let tasks = compactor.plan(&self.request).await?;
            report.planned.extend(tasks.iter().cloned());
            if tasks.is_empty() || self.dry_run {
                break;
            }
            let (tasks, held_back) = one_for_each_index_file(tasks);
            let (mut messages, mut failed) = (Vec::new(), None);
            for result in Box::pin(compactor.run_all(&tasks)).await {
                match result {
                    Ok(message) => messages.push(message),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            messages.retain(|message| !message.is_empty());
            let (store, schema) = (&self.table.history().store, self.table.schema());
            join_changelogs(store, schema, &TableOptions::parse(schema)?, &mut messages).await?;
            let lost = report.lost_tasks;
            let idle = messages.is_empty();
            // What succeeded is worth its commit although something else failed.
            Box::pin(self.table.commit_compaction(messages, &mut report)).await?;
            if let Some(error) = failed {
                return Err(error);
            }
            if idle || (full && report.lost_tasks == lost && !held_back) {
                break;
            }
        }
        Ok(report)
    }
}

/// The tasks that may be committed together, and whether others wait: each replaces the index files of its vectors whole.
fn one_for_each_index_file(mut tasks: Vec<CompactTask>) -> (Vec<CompactTask>, bool) {
    let all = tasks.len();
    let mut taken: HashSet<String> = HashSet::new();
    tasks.retain(|task| {
        let names = || task.vectors.iter().map(|entry| entry.file_name.clone());
        // Tasks of one bucket of a primary-key table are one, and its vectors are nobody else's.
        let free = names().all(|name| !taken.contains(&name));
        if free {
            taken.extend(names());
        }
        free
    });
    let held_back = tasks.len() < all;
    (tasks, held_back)
}

impl Table {
    /// A compaction of this table, of what its options say is due unless told otherwise.
    pub fn compact(&self) -> CompactBuilder {
        CompactBuilder::new(self.clone())
    }

    /// Commits the messages of compactions at once, without those that contradict other commits, whose files are deleted.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn commit_compaction(&self, messages: Vec<CommitMessage>, report: &mut CompactReport) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut committer = self.compaction_committer()?;
        let outcome = committer.commit(BATCH_COMMIT, messages.clone(), CommitProperties::default()).await?;
        committer.finish().await; // whoever compacts may end with this call
        match outcome {
            CommitOutcome::Committed { compact, snapshot_id, dropped_compactions, .. } => {
                report.snapshots.push(compact.unwrap_or(snapshot_id));
                for dropped in &dropped_compactions {
                    tracing::info!(reason = %dropped.reason, "a compaction was lost to another commit");
                }
                report.lost_tasks += dropped_compactions.len();
                let lost: BTreeSet<usize> = dropped_compactions.iter().map(|dropped| dropped.message).collect();
                let kept = (0..).zip(&messages).filter(|(at, _)| !lost.contains(at));
                kept.for_each(|(_, message)| report.add(message));
                Ok(())
            }
            CommitOutcome::AlreadyCommitted { .. } | CommitOutcome::Empty => Ok(()),
            CommitOutcome::Conflicted { reason } => {
                tracing::info!(%reason, "compactions were lost to another commit");
                report.lost_tasks += messages.len();
                committer.abort(&messages).await.map(|_| ())
            }
            CommitOutcome::Unknown { reason } => Err(Error::Storage {
                what: format!("the outcome of the compaction's commit is unknown: {reason}"),
                retryable: false,
            }),
        }
    }

    /// Batch commits of one user are not told apart: each has a user of its own. Writers with `write-only` leave expiry, too,
    /// to the job that compacts.
    fn compaction_committer(&self) -> Result<Committer> {
        let unique = self.history().store.env().uuid();
        let prefix = TableOptions::parse(self.schema())?.commit.user_prefix;
        let user = prefix.map_or(unique.clone(), |prefix| format!("{prefix}_{unique}"));
        expiring(self.committer(&user)?, self.history(), self.schema())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{BinaryRow, IndexManifestEntry};

    fn task(bucket: i32, index_files: &[&str]) -> CompactTask {
        let entry = |name: &&str| IndexManifestEntry {
            partition: BinaryRow::empty(),
            bucket,
            index_type: IndexManifestEntry::DELETION_VECTORS.to_string(),
            file_name: (*name).to_string(),
            file_size: 1,
            row_count: 1,
            deletion_vectors: None,
            external_path: None,
            global_index: None,
        };
        CompactTask {
            snapshot_id: 1,
            schema_id: 0,
            partition: BinaryRow::empty(),
            bucket,
            total_buckets: -1,
            output_level: 0,
            max_level: 0,
            drops_deletes: false,
            files: Vec::new(),
            upper: Vec::new(),
            vectors: index_files.iter().map(entry).collect(),
        }
    }

    #[test]
    fn tasks_that_replace_one_index_file_go_one_after_another() {
        let tasks = vec![task(0, &["a"]), task(1, &["a", "b"]), task(2, &["b"]), task(3, &[]), task(4, &["c"])];
        let buckets = |tasks: &[CompactTask]| tasks.iter().map(|task| task.bucket).collect::<Vec<_>>();
        let (now, held_back) = one_for_each_index_file(tasks);
        assert_eq!((buckets(&now), held_back), (vec![0, 2, 3, 4], true));
        let (now, held_back) = one_for_each_index_file(vec![task(0, &["a"]), task(1, &["b"])]);
        assert_eq!((buckets(&now), held_back), (vec![0, 1], false));
    }
}
