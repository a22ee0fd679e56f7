//! Where a stream of changes begins.

use crate::error::{Error, Result};
use crate::format::SnapshotId;
use crate::history::History;

/// Where a stream of changes begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// The changes of the first snapshot that is not older than this (milliseconds since the epoch), and those after it.
    Timestamp(i64),
    /// The changes of the oldest snapshot (or changelog) that is kept, and those after it.
    Earliest,
}

/// A start as the stream runs it: a snapshot to show whole, if any, and the one whose changes come next.
pub(super) struct FirstStep {
    pub full: Option<SnapshotId>,
    pub next: SnapshotId,
}

impl Start {
    pub(super) async fn resolve(&self, history: &History) -> Result<FirstStep> {
        let snapshots = &history.snapshots;
        let latest = snapshots.latest_id().await?;
        Ok(match self {
            Self::LatestFull => FirstStep { full: latest, next: latest.map_or(1, |id| id.saturating_add(1)) },
            Self::Latest => FirstStep { full: None, next: latest.map_or(1, |id| id + 1) },
            Self::Earliest => FirstStep { full: None, next: earliest(history).await?.unwrap_or(1) },
            Self::Snapshot(id) => {
                check_kept(history, *id).await?;
                if let Some(latest) = latest.filter(|latest| *id > latest.saturating_add(1)) {
                    let what = format!("snapshot {id}: it does not exist yet, the newest one is {latest}");
                    return Err(Error::not_found(what));
                }
                FirstStep { full: None, next: *id }
            }
            Self::SnapshotFull(id) => {
                snapshots.load(*id).await?;
                FirstStep { full: Some(*id), next: id.saturating_add(1) }
            }
            Self::Timestamp(millis) => FirstStep { full: None, next: first_since(history, *millis).await? },
        })
    }
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
