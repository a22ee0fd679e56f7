//! After the snapshot file was created: does the commit count?
//!
//! Snapshot numbers are slots that expiry frees. A committer that slept between its last look at its base and its create
//! may have won a slot that was used and freed in the meantime; then nobody builds on its snapshot and the table's rows
//! would roll back for whoever believes it. Expiry frees slots from the oldest up, so as long as the base is still
//! there, unchanged, the slot after it was never used before: two small reads prove a commit. Only where the base is
//! gone the chain itself is asked.

use futures::future::try_join;

use super::publish::Base;
use crate::error::Result;
use crate::format::{FileKind, Snapshot, SnapshotId};
use crate::history::{FileFilter, History};

/// What reading back says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verified {
    /// The chain contains the snapshot.
    Counts,
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

/// Reads back a snapshot that this committer created.
pub(super) async fn verify(history: &History, base: &Base, ours: &Snapshot) -> Result<Verified> {
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
        None => return Ok(Verified::Replaced(format!("snapshot {} vanished after it was created", ours.id))),
    }
    let base_intact = base.snapshot.is_some() && below == base.snapshot;
    if base_intact {
        return Ok(Verified::Counts);
    }
    let ids = snapshots.ids().await?;
    if base.snapshot.is_none() && ids.first() == Some(&ours.id) && place(ours.id, &ids, false) == Place::Head {
        return Ok(Verified::Counts);
    }
    let shown = base.snapshot.as_ref().map_or(0, |base| base.id);
    match place(ours.id, &ids, base_intact) {
        Place::Head => Ok(Verified::Counts),
        Place::Beside => Ok(Verified::Void(format!(
            "the history moved on while this committer slept: its base, snapshot {shown}, is gone, and snapshot {} lies \
             beside the chain that ends at {}",
            ours.id,
            ids.last().copied().unwrap_or(0)
        ))),
        Place::Followed => child_of(history, ours, shown).await,
    }
}

/// Whether the next snapshot was built on ours: its base must hold our files.
async fn child_of(history: &History, ours: &Snapshot, base: SnapshotId) -> Result<Verified> {
    let Some(next) = history.snapshots.try_load(ours.id.saturating_add(1)).await? else {
        return Ok(Verified::Unclear(format!("the snapshot after {} vanished while it was read", ours.id)));
    };
    let manifests = &history.manifests;
    let (inherited, delta) =
        try_join(manifests.list(&next.base_manifest_list), manifests.list(&ours.delta_manifest_list)).await?;
    let names =
        |meta: &crate::format::ManifestFileMeta| inherited.iter().any(|other| other.file_name == meta.file_name);
    if !delta.is_empty() && delta.iter().all(names) {
        return Ok(Verified::Counts);
    }
    if delta.is_empty() {
        return Ok(Verified::Unclear(format!(
            "snapshot {} is empty and its base, snapshot {base}, is gone: its successor does not tell whether it was \
             built on it",
            ours.id
        )));
    }
    let added = manifests.delta_files(ours, &FileFilter::default()).await?;
    let partitions = added.iter().map(|entry| entry.partition.clone()).collect();
    let live = manifests.live_in(&inherited, partitions).await?;
    let held = added.iter().filter(|entry| entry.kind == FileKind::Add).all(|entry| {
        live.iter().any(|other| other.bucket == entry.bucket && other.file.file_name == entry.file.file_name)
    });
    if held {
        Ok(Verified::Counts)
    } else {
        Ok(Verified::Void(format!(
            "the history moved on while this committer slept: snapshot {} was not built on its snapshot {}",
            next.id, ours.id
        )))
    }
}
