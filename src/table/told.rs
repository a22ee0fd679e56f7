//! What a changelog has told, and telling the rest before files are replaced.
//!
//! With producer lookup a row is told when its file leaves level 0, with full-compaction when it reaches the highest
//! level. Whoever puts merged rows on the highest level by other means than a compaction hides what was not told yet from
//! followers for ever, so it is compacted first. Spec: `format-spec/bucket.md`, rescaling.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer};
use crate::compact::{CompactLimits, Compactor, buckets_of, join_changelogs};
use crate::error::{Error, Result};
use crate::format::{ManifestEntry, Snapshot};
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
    let full = telling(&options) == Some(ChangelogProducer::FullCompaction);
    let put_off = options.compaction.lookup_max_interval; // a gentle compaction does not wait here
    let compactor = Compactor::new(history.clone(), Arc::clone(schema), options.clone(), CompactLimits::default())?;
    let vectors = Vectors::of(history, snapshot).await?;
    let now = Moment { local_millis: history.store.env().local_millis(), put_off };
    let mut tasks = Vec::new();
    for bucket in buckets_of(live) {
        tasks.extend(compactor.plan_live(bucket, snapshot.id, full, &vectors, &now)?);
    }
    let (mut messages, mut failed) = (Vec::new(), None);
    for result in Box::pin(compactor.run_all(&tasks)).await {
        match result {
            Ok(message) => messages.push(message),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
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
