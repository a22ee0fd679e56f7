//! What a changelog has told, and telling the rest before files are replaced.
//!
//! With producer lookup a row is told when its file leaves level 0, with full-compaction when it reaches the highest
//! level. Whoever puts merged rows on the highest level by other means than a compaction hides what was not told yet from
//! followers for ever, so it is compacted first. Rows that a compaction brings from elsewhere are compacted and told in the
//! commit that brings them. Spec: `format-spec/bucket.md`, rescaling and postponed buckets.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer};
use crate::compact::{BucketFiles, CompactLimits, Compactor, buckets_of, join_changelogs};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitMessage, CompactTask, DataFileMeta, ManifestEntry, Snapshot};
use crate::history::History;
use crate::lsm::Moment;
use crate::scan::Vectors;
use crate::schema::{ChangelogProducer, Schema, TableOptions};

/// The producer whose compactions tell what changed, if the table has such a one.
pub(super) fn telling(options: &TableOptions) -> Option<ChangelogProducer> {
    let producer = options.changelog_producer;
    matches!(producer, ChangelogProducer::Lookup | ChangelogProducer::FullCompaction).then_some(producer)
}

/// Whether followers know every row of these live files of one partition.
pub(super) fn all_is_told(live: &[Arc<ManifestEntry>], options: &TableOptions) -> bool {
    let Some(producer) = telling(options) else { return true };
    let mut highest: BTreeMap<i32, i32> = BTreeMap::new();
    for entry in live {
        let level = highest.entry(entry.bucket).or_insert(options.compaction.max_level());
        *level = entry.file.level.max(*level);
    }
    live.iter().all(|entry| match producer {
        ChangelogProducer::FullCompaction => highest.get(&entry.bucket) == Some(&entry.file.level),
        _ => entry.file.level > 0,
    })
}

/// Compacts the live files of a partition so far that all of their rows are told. Whoever calls looks again afterwards:
/// other commits may have brought rows, or may have been first.
///
/// # Errors
/// As a compaction.
pub(super) async fn tell(
    history: &History,
    schema: &Arc<Schema>,
    snapshot: &Snapshot,
    live: Vec<Arc<ManifestEntry>>,
    committer: &mut Committer,
) -> Result<()> {
    let options = TableOptions::parse(schema)?;
    let compactor = Compactor::new(history.clone(), Arc::clone(schema), options.clone(), CompactLimits::default())?;
    let tasks = due(&compactor, history, &options, snapshot, buckets_of(live)).await?;
    let (mut messages, failed) = done(&compactor, &tasks).await;
    if let Some(error) = failed {
        committer.abort(&messages).await?;
        return Err(error);
    }
    join_changelogs(&history.store, schema, &options, &mut messages).await?;
    match committer.commit(BATCH_COMMIT, messages.clone(), CommitProperties::default()).await? {
        CommitOutcome::Conflicted { reason } => {
            tracing::info!(%reason, "a compaction that was to tell followers was lost to another commit");
            committer.abort(&messages).await.map(|_| ())
        }
        CommitOutcome::Unknown { reason } => Err(Error::Storage {
            what: format!("the outcome of the compaction that was to tell followers is unknown: {reason}"),
            retryable: false,
        }),
        _ => Ok(()),
    }
}

/// Compacts what some messages are about to bring to level 0 of their buckets together with what is there, so far that
/// the commit of these messages tells all of it. Only where compactions tell. After an error the messages are to be
/// aborted.
///
/// # Errors
/// As a compaction.
pub(super) async fn tell_with(
    history: &History,
    schema: &Arc<Schema>,
    limits: CompactLimits,
    (snapshot, live): (&Snapshot, Vec<Arc<ManifestEntry>>),
    messages: &mut [CommitMessage],
) -> Result<()> {
    let options = TableOptions::parse(schema)?;
    if telling(&options).is_none() {
        return Ok(());
    }
    let mut files: BTreeMap<(BinaryRow, i32), Vec<DataFileMeta>> =
        buckets_of(live).into_iter().map(|it| ((it.partition, it.bucket), it.files)).collect();
    let buckets = messages.iter().map(|message| {
        let place = (message.partition.clone(), message.bucket);
        let mut files = files.remove(&place).unwrap_or_default();
        files.extend(message.compact_after.iter().cloned());
        BucketFiles { partition: place.0, bucket: place.1, total_buckets: message.total_buckets, files }
    });
    let compactor = Compactor::new(history.clone(), Arc::clone(schema), options.clone(), limits)?;
    let tasks = due(&compactor, history, &options, snapshot, buckets.collect()).await?;
    let (compacted, failed) = done(&compactor, &tasks).await;
    for one in compacted {
        match messages.iter_mut().find(|it| (&it.partition, it.bucket) == (&one.partition, one.bucket)) {
            Some(message) => compactor.absorb(message, one).await,
            None => return Err(Error::bug("a compaction of a bucket that nothing was brought to")),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => join_changelogs(&history.store, schema, &options, messages).await,
    }
}

/// The tasks that tell what is in some buckets.
async fn due(
    compactor: &Compactor,
    history: &History,
    options: &TableOptions,
    snapshot: &Snapshot,
    buckets: Vec<BucketFiles>,
) -> Result<Vec<CompactTask>> {
    let full = telling(options) == Some(ChangelogProducer::FullCompaction);
    let put_off = options.compaction.lookup_max_interval; // a gentle compaction does not wait here
    let vectors = Vectors::of(history, snapshot).await?;
    let now = Moment { local_millis: history.store.env().local_millis(), put_off };
    let mut tasks = Vec::new();
    for bucket in buckets {
        tasks.extend(compactor.plan_live(bucket, snapshot.id, full, &vectors, &now)?);
    }
    Ok(tasks)
}

/// What the tasks did, and the first error of those that failed.
async fn done(compactor: &Compactor, tasks: &[CompactTask]) -> (Vec<CommitMessage>, Option<Error>) {
    let (mut messages, mut failed) = (Vec::new(), None);
    for result in Box::pin(compactor.run_all(tasks)).await {
        match result {
            Ok(message) => messages.push(message),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    (messages, failed)
}
