//! Where a stream of changes begins.
//! Spec: `format-spec/stream.md`, start.

use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{Snapshot, SnapshotId};
use crate::history::History;
use crate::scan::compacted;
use crate::schema::{ScanPoint, TableOptions};

/// Where a stream of changes begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// The rows of the newest snapshot as `+I`, then the changes after it.
    #[default]
    LatestFull,
    /// The changes after the newest snapshot.
    Latest,
    /// The changes of this snapshot, and those after it.
    Snapshot(SnapshotId),
    /// The rows of this snapshot as `+I`, then the changes after it.
    SnapshotFull(SnapshotId),
    /// The rows of the snapshot that a tag keeps as `+I`, then the changes after it, which must be kept.
    TagFull(String),
    /// The rows of the newest snapshot that a compaction made as `+I`, then the changes after it; without such a snapshot
    /// as [`Start::LatestFull`].
    CompactedFull,
    /// The changes of the first snapshot that is not older than this (milliseconds since the epoch), and those after it.
    Timestamp(i64),
    /// The rows of the newest snapshot's files that were made since (milliseconds since the epoch) as `+I`, then the
    /// changes after it.
    FilesSince(i64),
    /// As [`Start::Timestamp`] where the changes from then on are kept and there are any, else as [`Start::FilesSince`].
    Since(i64),
    /// The changes of the oldest snapshot (or changelog) that is kept, and those after it.
    Earliest,
}

/// A start as the stream runs it: a snapshot to show whole, if any, and the one whose changes come next.
pub(super) struct FirstStep {
    pub full: Option<FirstRows>,
    pub next: SnapshotId,
}

/// The rows that a stream begins with.
pub(super) struct FirstRows {
    pub snapshot: Snapshot,
    /// Only files made since are shown.
    pub since: Option<i64>,
}

impl FirstStep {
    fn changes(next: SnapshotId) -> Self {
        Self { full: None, next }
    }

    /// A table without a snapshot begins with its first changes.
    fn rows(snapshot: Option<Snapshot>, since: Option<i64>) -> Self {
        match snapshot {
            Some(snapshot) => {
                let next = snapshot.id.saturating_add(1);
                Self { full: Some(FirstRows { snapshot, since }), next }
            }
            None => Self::changes(1),
        }
    }
}

impl Start {
    /// What the options of a table say of streams.
    ///
    /// # Errors
    /// [`Error::Invalid`] for points that only a batch read can stand at.
    pub(crate) fn of_options(options: &TableOptions, env: &Env) -> Result<Self> {
        let no_stream = |what: &str| Err(Error::invalid(format!("a stream cannot begin at {what} (table options)")));
        match &options.scan.point {
            ScanPoint::LatestFull => Ok(Self::LatestFull),
            ScanPoint::Latest => Ok(Self::Latest),
            ScanPoint::CompactedFull => Ok(Self::CompactedFull),
            ScanPoint::Timestamp(millis) => Ok(Self::Timestamp(*millis)),
            ScanPoint::LocalTimestamp(local) => Ok(Self::Timestamp(env.instant_of_local(*local))),
            ScanPoint::CreationTimestamp(millis) => Ok(Self::Since(*millis)),
            ScanPoint::FileCreationTime(millis) => Ok(Self::FilesSince(*millis)),
            ScanPoint::Snapshot(id) => Ok(Self::Snapshot(*id)),
            ScanPoint::SnapshotFull(id) => Ok(Self::SnapshotFull(*id)),
            ScanPoint::Tag(_) => no_stream("scan.tag-name"),
            ScanPoint::Watermark(_) => no_stream("scan.watermark"),
            ScanPoint::Version(_) => no_stream("scan.version"),
            ScanPoint::LatestDelta => no_stream("scan.mode = latest-delta"),
            ScanPoint::Incremental(_) => no_stream("the two ends of an incremental read"),
        }
    }

    pub(super) async fn resolve(&self, history: &History, options: &TableOptions) -> Result<FirstStep> {
        let snapshots = &history.snapshots;
        Ok(match self {
            Self::LatestFull => FirstStep::rows(snapshots.latest().await?, None),
            Self::Latest => FirstStep::changes(snapshots.latest_id().await?.map_or(1, |id| id + 1)),
            Self::Earliest => FirstStep::changes(earliest(history).await?.unwrap_or(1)),
            Self::Snapshot(id) => {
                let id = &(*id).max(1); // numbers begin with 1
                check_kept(history, *id).await?;
                let latest = snapshots.latest_id().await?;
                if let Some(latest) = latest.filter(|latest| *id > latest.saturating_add(1)) {
                    let what = format!("snapshot {id}: it does not exist yet, the newest one is {latest}");
                    return Err(Error::not_found(what));
                }
                FirstStep::changes(*id)
            }
            Self::SnapshotFull(id) => FirstStep::rows(Some(snapshots.load(*id).await?), None),
            Self::TagFull(name) => {
                let snapshot = history.tags.load(name).await?.snapshot;
                check_kept(history, snapshot.id.saturating_add(1)).await?;
                FirstStep::rows(Some(snapshot), None)
            }
            Self::CompactedFull => FirstStep::rows(compacted(history, options).await?, None),
            Self::Timestamp(millis) => FirstStep::changes(first_since(history, *millis).await?),
            Self::FilesSince(millis) => FirstStep::rows(snapshots.latest().await?, Some(*millis)),
            Self::Since(millis) => match all_since(history, *millis).await? {
                Some(first) => FirstStep::changes(first),
                None => FirstStep::rows(snapshots.latest().await?, Some(*millis)),
            },
        })
    }
}

/// The first id whose changes are not older than `millis`, where an older one is kept too, so that none is missing, and
/// there is one.
async fn all_since(history: &History, millis: i64) -> Result<Option<SnapshotId>> {
    let snapshots = &history.snapshots;
    let Some(oldest) = earliest(history).await? else { return Ok(None) };
    let first = match snapshots.try_load(oldest).await? {
        Some(snapshot) => Some(snapshot),
        None => snapshots.try_load_changelog(oldest).await?,
    };
    if first.is_none_or(|first| first.time_millis >= millis) {
        return Ok(None);
    }
    let found = first_since(history, millis).await?;
    Ok(snapshots.latest_id().await?.filter(|latest| found <= *latest).map(|_| found))
}

/// The oldest id whose changes are kept, as a snapshot or as a changelog that outlived its snapshot.
pub(super) async fn earliest(history: &History) -> Result<Option<SnapshotId>> {
    let snapshot = history.snapshots.earliest_id().await?;
    let changelog = history.snapshots.changelog_ids().await?.into_iter().min();
    Ok(match (snapshot, changelog) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    })
}

/// The oldest snapshot behind `id` that is kept.
pub(super) async fn oldest_after(history: &History, id: SnapshotId) -> Result<SnapshotId> {
    let (changelogs, ids) = (history.snapshots.changelog_ids().await?, history.snapshots.ids().await?);
    Ok(changelogs.into_iter().chain(ids).filter(|kept| *kept > id).min().unwrap_or(id.saturating_add(1)))
}

/// # Errors
/// [`Error::NotFound`] when the changes of `id` were expired.
pub(super) async fn check_kept(history: &History, id: SnapshotId) -> Result<()> {
    match earliest(history).await? {
        Some(earliest) if id < earliest => Err(expired(id, earliest)),
        _ => Ok(()),
    }
}

pub(super) fn expired(id: SnapshotId, earliest: SnapshotId) -> Error {
    Error::not_found(format!(
        "the changes of snapshot {id}: history before snapshot {earliest} has expired (changelog.time-retained, \
         snapshot.time-retained), so changes would be missed; start again from the rows of a snapshot or from the earliest \
         changes"
    ))
}

/// The first id whose changes are not older than `millis`.
async fn first_since(history: &History, millis: i64) -> Result<SnapshotId> {
    let snapshots = &history.snapshots;
    let changelogs = snapshots.changelog_ids().await?;
    let (mut low, mut high) = (0, changelogs.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        match snapshots.try_load_changelog(changelogs[middle]).await? {
            Some(changelog) if changelog.time_millis >= millis => high = middle,
            // Older, or expired meanwhile.
            _ => low = middle + 1,
        }
    }
    if let Some(id) = changelogs.get(low) {
        return Ok(*id);
    }
    match snapshots.at_time(millis.saturating_sub(1)).await? {
        Some(before) => Ok(before.id.saturating_add(1)),
        None => Ok(snapshots.earliest_id().await?.unwrap_or(1)),
    }
}
