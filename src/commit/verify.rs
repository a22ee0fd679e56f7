//! After the snapshot file was created: does the commit count?
//!
//! Snapshot numbers are slots that expiry frees. A committer that slept between its last look at its base and its create
//! may have won a slot that was used and freed in the meantime; then nobody builds on its snapshot and the table's rows
//! would roll back for whoever believes it. Expiry frees slots from the oldest up, so as long as the base is still
//! there, unchanged, the slot after it was never used before: two small reads prove a commit. Only where the base is
//! gone the chain itself is asked.

use std::collections::HashSet;

use futures::future::try_join;

use super::publish::Base;
use crate::error::Result;
use crate::format::{FileKind, ManifestFileMeta, Snapshot, SnapshotId};
use crate::history::{FileFilter, History};

/// What reading back says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verified {
    /// The chain contains the snapshot.
    Counts,
    /// The chain contains it, and ends at a later one.
    CountsBelow(SnapshotId),
    /// Another file stands in its place, or nothing.
    Replaced(String),
    /// It lies beside the chain: nobody may build on it.
    Void(String),
    /// Nothing can be proved.
    Unclear(String),
}

/// What the listing of snapshots says about one of them. Pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the newest and the chain reaches it, or nothing else is there.
    Head,
    /// The next number follows: it tells who its parent is.
    Followed,
    /// There is a gap above it, or below it while its base should be there.
    Beside,
}

/// Places a snapshot among the numbers found. `base_intact` tells whether the snapshot below is the one it was built on.
pub(super) fn place(id: SnapshotId, sorted: &[SnapshotId], base_intact: bool) -> Place {
    let above = sorted.iter().any(|other| *other > id);
    let below = sorted.iter().any(|other| *other < id);
    let followed = sorted.binary_search(&id.saturating_add(1)).is_ok();
    match (above, followed) {
        (true, true) => Place::Followed,
        (true, false) => Place::Beside,
        // A rollback took the base away and older snapshots stayed: building on it would bring it back.
        (false, _) if below && !base_intact => Place::Beside,
        (false, _) => Place::Head,
    }
}

/// Reads back a snapshot that this committer created. `in_time` tells that it did so soon after it saw its base.
pub(super) async fn verify(history: &History, base: &Base, ours: &Snapshot, in_time: bool) -> Result<Verified> {
    let snapshots = &history.snapshots;
    let below = async {
        match &base.snapshot {
            Some(base) => snapshots.try_load(base.id).await,
            None => Ok(None),
        }
    };
    let (found, below) = try_join(snapshots.try_load(ours.id), below).await?;
    match &found {
        Some(found) if found.uuid == ours.uuid && found == ours => {}
        Some(found) => {
            return Ok(Verified::Replaced(format!(
                "snapshot {} was replaced by a commit of user {:?} after this commit created it; that writer does not \
                 create snapshots safely on this store",
                ours.id, found.commit_user
            )));
        }
        None => return vanished(history, ours).await,
    }
    let base_intact = base.snapshot.is_some() && below == base.snapshot;
    if base_intact {
        return Ok(Verified::Counts);
    }
    let ids = snapshots.ids().await?;
    let newest = ids.last().copied().unwrap_or(ours.id);
    // A listing is no single moment: an expiry that ran through it took ours before what follows ours.
    if snapshots.try_load(ours.id).await?.as_ref() != Some(ours) {
        return vanished(history, ours).await;
    }
    match place(ours.id, &ids, base_intact) {
        Place::Head => Ok(Verified::Counts),
        Place::Beside => Ok(Verified::Void(format!(
            "the history moved on while this committer slept: its base is gone, and snapshot {} lies beside the chain \
             that ends at {newest}",
            ours.id
        ))),
        Place::Followed => child_of(history, ours, newest, in_time).await,
    }
}

/// Expiry took it while this committer slept, or a rollback. The newest snapshot tells, if it holds our files.
async fn vanished(history: &History, ours: &Snapshot) -> Result<Verified> {
    let unclear = || Verified::Unclear(format!("snapshot {} vanished after it was created", ours.id));
    let Some(newest) = history.snapshots.latest().await? else { return Ok(unclear()) };
    let manifests = history.manifests.of(&newest).await?;
    let held = holds(history, &manifests, ours).await? == Some(true) && newest.id > ours.id;
    Ok(if held { Verified::CountsBelow(newest.id) } else { unclear() })
}

/// Whether the next snapshot was built on ours.
async fn child_of(history: &History, ours: &Snapshot, newest: SnapshotId, in_time: bool) -> Result<Verified> {
    let Some(next) = history.snapshots.try_load(ours.id.saturating_add(1)).await? else {
        return Ok(Verified::Unclear(format!("the snapshot after {} vanished while it was read", ours.id)));
    };
    let inherited = history.manifests.list(&next.base_manifest_list).await?;
    Ok(match holds(history, &inherited, ours).await? {
        Some(true) => Verified::CountsBelow(newest),
        Some(false) => Verified::Void(format!(
            "the history moved on while this committer slept: snapshot {} was not built on its snapshot {}",
            next.id, ours.id
        )),
        // It adds no file that would tell. Within the time in which no slot is freed it can only be its parent.
        None if in_time => Verified::CountsBelow(newest),
        None => Verified::Unclear(format!(
            "snapshot {} adds no file and its base is gone: its successor does not tell whether it was built on it",
            ours.id
        )),
    })
}

/// Whether manifests hold what a snapshot added; `None` when it added nothing.
async fn holds(history: &History, manifests: &[ManifestFileMeta], ours: &Snapshot) -> Result<Option<bool>> {
    let delta = history.manifests.list(&ours.delta_manifest_list).await?;
    let named = |meta: &ManifestFileMeta| manifests.iter().any(|other| other.file_name == meta.file_name);
    if !delta.is_empty() && delta.iter().all(named) {
        return Ok(Some(true));
    }
    // Merged away, perhaps: then the files themselves tell.
    let mut added = history.manifests.delta_files(ours, &FileFilter::default()).await?;
    added.retain(|entry| entry.kind == FileKind::Add);
    if added.is_empty() {
        return Ok(None);
    }
    let partitions = added.iter().map(|entry| entry.partition.clone()).collect();
    let live = history.manifests.live_in(manifests, partitions).await?;
    let live: HashSet<_> = live.iter().map(|entry| entry.identifier()).collect();
    Ok(Some(added.iter().all(|entry| live.contains(&entry.identifier()))))
}
