//! Snapshots: the newest, the oldest, by id, by time, by committer.
//!
//! ```text
//! LATEST = 9, EARLIEST = 4        snapshot-4 .. snapshot-9        believed: 8 and 9 are there, 10 is not
//! LATEST = 3 (a paused writer)    snapshot-3   snapshot-91 ..     not believed: below EARLIEST, or 2 is missing
//! ```

use std::ops::RangeInclusive;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{try_join, try_join_all, try_join3};

use crate::error::{Error, Result};
use crate::format::{Snapshot, SnapshotId, decode_hint, layout};
use crate::io::TableStore;

/// Snapshots that a walk through history reads at once.
const READ_AHEAD: usize = 16;

/// The snapshots of a table. Cheap to clone; keeps no state.
#[derive(Debug, Clone)]
pub struct Snapshots {
    store: TableStore,
}

impl Snapshots {
    /// Of the table at the store's root.
    pub fn new(store: TableStore) -> Self {
        Self { store }
    }

    /// The newest snapshot; `None` for a table without commits.
    ///
    /// Two round trips where the hint is right, a few more where it lags; a listing otherwise. `LATEST` is believed
    /// only when its snapshot is there, the one before it is (a gap tells of a writer that woke up in a freed slot), and
    /// `EARLIEST` does not lie above it.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn latest(&self) -> Result<Option<Snapshot>> {
        let hints = try_join(self.hint(layout::LATEST), self.hint(layout::EARLIEST)).await?;
        if let (Some(latest), earliest) = hints
            && earliest.is_none_or(|earliest| earliest <= latest)
            && let Some(snapshot) = self.believed(latest).await?
        {
            return Ok(Some(snapshot));
        }
        self.latest_listed().await
    }

    /// The number of the newest snapshot.
    ///
    /// # Errors
    /// As [`Snapshots::latest`].
    pub async fn latest_id(&self) -> Result<Option<SnapshotId>> {
        Ok(self.latest().await?.map(|snapshot| snapshot.id))
    }

    async fn believed(&self, id: SnapshotId) -> Result<Option<Snapshot>> {
        let Some(after) = id.checked_add(1) else { return Ok(None) };
        let previous = async { if id > 1 { self.exists(id - 1).await } else { Ok(true) } };
        let (snapshot, next, previous) = try_join3(self.try_load(id), self.try_load(after), previous).await?;
        match (snapshot, next) {
            (Some(snapshot), None) if previous => Ok(Some(snapshot)),
            // The hint lags behind a commit that is under way; one that lags far is not worth following.
            (Some(_), Some(next)) if previous => self.end_of_chain(next).await,
            _ => Ok(None),
        }
    }

    /// The end of the chain that begins with a snapshot, if it is near.
    async fn end_of_chain(&self, mut newest: Snapshot) -> Result<Option<Snapshot>> {
        for _ in 0..READ_AHEAD {
            match self.try_load(newest.id.saturating_add(1)).await? {
                None => return Ok(Some(newest)),
                Some(next) => newest = next,
            }
        }
        Ok(None)
    }

    /// The newest by listing. An expiry between listing and reading cannot take the newest, but a rollback can.
    async fn latest_listed(&self) -> Result<Option<Snapshot>> {
        for _ in 0..3 {
            let Some(id) = self.ids().await?.last().copied() else { return Ok(None) };
            if let Some(snapshot) = self.try_load(id).await? {
                return Ok(Some(snapshot));
            }
        }
        Err(Error::storage("snapshot: the newest snapshot vanished three times while it was read"))
    }

    /// The number of the oldest snapshot.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn earliest_id(&self) -> Result<Option<SnapshotId>> {
        if let Some(hint) = self.hint(layout::EARLIEST).await?
            && self.exists(hint).await?
        {
            return Ok(Some(hint));
        }
        Ok(self.ids().await?.first().copied())
    }

    /// The numbers of the oldest and the newest snapshot.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn range(&self) -> Result<Option<RangeInclusive<SnapshotId>>> {
        let (earliest, latest) = try_join(self.earliest_id(), self.latest_id()).await?;
        Ok(earliest.zip(latest).map(|(earliest, latest)| earliest.min(latest)..=latest))
    }

    /// The numbers of all snapshots, sorted, by listing.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn ids(&self) -> Result<Vec<SnapshotId>> {
        numbered(&self.store, layout::SNAPSHOT_DIR, "snapshot-").await
    }

    /// Whether a snapshot is there.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn exists(&self, id: SnapshotId) -> Result<bool> {
        self.store.exists(&layout::snapshot(id)).await
    }

    /// A snapshot.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Storage`].
    pub async fn load(&self, id: SnapshotId) -> Result<Snapshot> {
        if let Some(snapshot) = self.try_load(id).await? {
            return Ok(snapshot);
        }
        Err(match self.earliest_id().await? {
            Some(earliest) if id < earliest => Error::not_found(format!(
                "snapshot {id}: it has expired, and the oldest one that is kept is {earliest} (snapshot.time-retained, \
                 snapshot.num-retained.min)"
            )),
            _ => Error::not_found(format!("snapshot {id}")),
        })
    }

    /// What a read of a snapshot (or of its changes) tells about a file that was not found: where the snapshot has expired
    /// meanwhile, that. Other errors stay as they are.
    pub async fn explain(&self, id: SnapshotId, changes: bool, error: Error) -> Error {
        let Error::NotFound(what) = &error else { return error };
        let kept = match self.exists(id).await {
            Ok(false) if changes => self.store.exists(&layout::changelog(id)).await,
            other => other,
        };
        let (of, options) = match changes {
            true => ("changes", "changelog.time-retained, changelog.num-retained.min"),
            false => ("rows", "snapshot.time-retained, snapshot.num-retained.min"),
        };
        match kept {
            Ok(false) => Error::not_found(format!(
                "the {of} of snapshot {id}: it expired while they were read, and {what} is gone; read again, or keep more \
                 ({options})"
            )),
            _ => error,
        }
    }

    /// A snapshot, or nothing where there is none: the one request of a poll.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn try_load(&self, id: SnapshotId) -> Result<Option<Snapshot>> {
        load_numbered(&self.store, layout::snapshot(id), id).await
    }

    /// A snapshot that expiry has kept for its changelog (`changelog/changelog-<id>`).
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn try_load_changelog(&self, id: SnapshotId) -> Result<Option<Snapshot>> {
        load_numbered(&self.store, layout::changelog(id), id).await
    }

    /// The numbers of the changelogs that outlived their snapshots, sorted, by listing.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn changelog_ids(&self) -> Result<Vec<SnapshotId>> {
        numbered(&self.store, layout::CHANGELOG_DIR, "changelog-").await
    }

    /// The newest snapshot of a commit user. Walks back through history, so ask once.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn latest_of_user(&self, user: &str) -> Result<Option<Snapshot>> {
        let Some(latest) = self.latest().await? else { return Ok(None) };
        self.newest_where(latest, |snapshot| snapshot.commit_user == user).await
    }

    /// The newest snapshot for which a test holds, from one on backwards to where the chain begins.
    ///
    /// # Errors
    /// As [`Snapshots::latest_of_user`].
    pub async fn newest_where(&self, from: Snapshot, test: impl Fn(&Snapshot) -> bool) -> Result<Option<Snapshot>> {
        let mut below = from.id - 1;
        if test(&from) {
            return Ok(Some(from));
        }
        let mut window = 1;
        while below >= 1 {
            let lowest = (below - window + 1).max(1);
            for snapshot in self.load_all((lowest..=below).rev()).await? {
                match snapshot {
                    None => return Ok(None),
                    Some(snapshot) if test(&snapshot) => return Ok(Some(snapshot)),
                    Some(_) => {}
                }
            }
            below = lowest - 1;
            window = (window * 2).min(READ_AHEAD as i64);
        }
        Ok(None)
    }

    /// The snapshots after `id` up to the end of the chain, oldest first.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn after(&self, id: SnapshotId) -> Result<Vec<Snapshot>> {
        let mut chain = Vec::new();
        let (mut next, mut window) = (id.saturating_add(1), 1);
        loop {
            let end = next.saturating_add(window);
            if end == next {
                return Ok(chain);
            }
            for snapshot in self.load_all(next..end).await? {
                match snapshot {
                    None => return Ok(chain),
                    Some(snapshot) => chain.push(snapshot),
                }
            }
            (next, window) = (end, (window * 2).min(READ_AHEAD as i64));
        }
    }

    /// The snapshots from one back to above `end`, oldest first, as far back as the chain reaches.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Storage`].
    pub async fn back_to(&self, from: Snapshot, end: SnapshotId) -> Result<Vec<Snapshot>> {
        let mut below = from.id - 1;
        let mut chain = vec![from];
        'walk: while below > end {
            let lowest = (below - READ_AHEAD as i64 + 1).max(end + 1);
            for snapshot in self.load_all((lowest..=below).rev()).await? {
                match snapshot {
                    None => break 'walk,
                    Some(snapshot) => chain.push(snapshot),
                }
            }
            below = lowest - 1;
        }
        chain.reverse();
        Ok(chain)
    }

    async fn load_all(&self, ids: impl Iterator<Item = SnapshotId>) -> Result<Vec<Option<Snapshot>>> {
        let loads: Vec<_> = ids.map(|id| self.try_load(id).boxed()).collect();
        try_join_all(loads).await
    }

    async fn hint(&self, name: &str) -> Result<Option<SnapshotId>> {
        let path = format!("{}/{name}", layout::SNAPSHOT_DIR);
        match self.store.try_read(&path).await {
            Ok(bytes) => Ok(bytes.and_then(|bytes: Bytes| decode_hint(&bytes))),
            // Java writes a hint in place, and who reads it in that moment gets less than its size. A listing tells, or fails too.
            Err(Error::Storage { retryable: true, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Numbers of a directory's files, sorted.
pub(super) async fn numbered(store: &TableStore, directory: &str, prefix: &str) -> Result<Vec<i64>> {
    let files = store.list(directory).await?;
    let mut numbers: Vec<i64> = files.iter().filter_map(|file| layout::number_of(&file.name, prefix)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

async fn load_numbered(store: &TableStore, path: String, id: SnapshotId) -> Result<Option<Snapshot>> {
    let Some(bytes) = store.try_read(&path).await? else { return Ok(None) };
    let snapshot = Snapshot::decode(&bytes, &path)?;
    if snapshot.id != id {
        return Err(Error::corrupt(path, format!("id: {} in the file of snapshot {id}", snapshot.id)));
    }
    Ok(Some(snapshot))
}
