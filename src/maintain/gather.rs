//! Reading what the plan of an expiry needs: what each snapshot, or changelog, that goes alone names.
//!
//! A list or manifest that is not there was taken by an expiry that died before it took the snapshot (Java's takes files
//! first); what it named went before it. Then nothing is known of that one list, and nothing of it goes. Anything else
//! that cannot be read ends the run before it begins.

use std::collections::HashSet;
use std::sync::Arc;

use super::files::{GoingFiles, Leavers};
use super::roots;
use crate::error::{Error, Result};
use crate::format::{GoingFile, Snapshot, SnapshotId};
use crate::history::{FileFilter, History, Manifests};
use crate::schema::{ChangelogProducer, Schema, TableOptions};

/// The files of a plan.
pub(super) struct Gathered {
    pub(super) files: Vec<GoingFile>,
    /// Files outside of the table's root that may not be reached.
    pub(super) outside: u64,
}

impl Gathered {
    fn of(files: GoingFiles<'_>) -> Self {
        let outside = files.outside;
        if outside > 0 {
            tracing::warn!(
                outside,
                "expiry: files outside of the table, in locations that are not allowed, stay behind"
            );
        }
        Self { outside, files: files.into_files() }
    }
}

/// Reads for one table.
pub(super) struct Gather<'a> {
    pub(super) history: &'a History,
    pub(super) schema: &'a Schema,
    pub(super) options: &'a TableOptions,
}

fn if_there<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound(what)) => {
            tracing::debug!(%what, "expiry: an earlier one took this already");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Gather<'_> {
    fn manifests(&self) -> &Manifests {
        &self.history.manifests
    }

    fn without_producer(&self) -> bool {
        self.options.changelog_producer == ChangelogProducer::None
    }

    /// What goes with snapshots: `chain` are those that go, oldest first, and the one that stays behind them.
    /// `decoupled` tells that their changelogs stay.
    pub(super) async fn snapshots(
        &self,
        chain: &[Snapshot],
        decoupled: bool,
        mut kept: HashSet<String>,
    ) -> Result<Gathered> {
        let Some((end, going)) = chain.split_last() else { return Err(Error::bug("expiry without a snapshot")) };
        roots::metadata(self.manifests(), end, &mut kept).await?;
        let reaches = |path: &str| self.history.store.reaches(path);
        let mut files = GoingFiles::new(self.schema, self.options, &kept, &reaches);
        let keeps_deltas = decoupled && self.without_producer();
        let leavers = if keeps_deltas { Leavers::Compacted } else { Leavers::All };
        for snapshot in chain.iter().skip(1) {
            let delta = self.manifests().delta_files(snapshot, &FileFilter::default()).await;
            let delta = if snapshot.id == end.id { Some(delta?) } else { if_there(delta)? };
            files.left(&delta.unwrap_or_default(), snapshot.id - 1, leavers)?;
        }
        for snapshot in going {
            if !keeps_deltas {
                self.state_lists(&mut files, snapshot).await?;
            }
            if !decoupled {
                self.changelog(&mut files, snapshot).await?;
            }
            if let Some(name) = &snapshot.index_manifest
                && let Some(entries) = if_there(self.manifests().index(name).await)?
            {
                files.index(name, &entries, snapshot.id)?;
            }
            files.statistics(snapshot)?;
        }
        Ok(Gathered::of(files))
    }

    /// What goes with changelogs. `stays` is the changelog or snapshot behind them, `earliest` the oldest snapshot.
    pub(super) async fn changelogs(
        &self,
        going: &[Snapshot],
        stays: &Snapshot,
        earliest: &Snapshot,
        mut kept: HashSet<String>,
    ) -> Result<Gathered> {
        roots::metadata(self.manifests(), earliest, &mut kept).await?;
        if stays.id != earliest.id {
            self.lists_of(stays, &mut kept).await?;
        }
        let reaches = |path: &str| self.history.store.reaches(path);
        let mut files = GoingFiles::new(self.schema, self.options, &kept, &reaches);
        for changelog in going {
            if changelog.changelog_manifest_list.is_some() {
                self.changelog(&mut files, changelog).await?;
                continue;
            }
            let delta = self.manifests().delta_files(changelog, &FileFilter::default()).await;
            files.left(&if_there(delta)?.unwrap_or_default(), changelog.id, Leavers::Flushed)?;
            self.state_lists(&mut files, changelog).await?;
        }
        // Where no changelog stays, nobody else will ask what the oldest snapshot took out.
        if stays.id == earliest.id && self.without_producer() {
            let delta = self.manifests().delta_files(earliest, &FileFilter::default()).await?;
            files.left(&delta, earliest.id - 1, Leavers::Flushed)?;
        }
        Ok(Gathered::of(files))
    }

    /// What goes with a tag whose snapshot has expired; `earliest` is the oldest snapshot. Of what was taken already
    /// nothing goes.
    pub(super) async fn tag(
        &self,
        tagged: &Snapshot,
        earliest: &Snapshot,
        mut kept: HashSet<String>,
    ) -> Result<Gathered> {
        roots::state(self.manifests(), earliest, &mut kept).await?;
        roots::changelogs(self.history, self.manifests(), &mut kept).await?;
        let reaches = |path: &str| self.history.store.reaches(path);
        let mut files = GoingFiles::new(self.schema, self.options, &kept, &reaches);
        let live = self.manifests().live_files(tagged, &FileFilter::default()).await;
        files.live(&if_there(live)?.unwrap_or_default(), tagged.id)?;
        self.state_lists(&mut files, tagged).await?;
        if let Some(name) = &tagged.index_manifest
            && let Some(entries) = if_there(self.manifests().index(name).await)?
        {
            files.index(name, &entries, tagged.id)?;
        }
        files.statistics(tagged)?;
        Ok(Gathered::of(files))
    }

    async fn state_lists(&self, files: &mut GoingFiles<'_>, snapshot: &Snapshot) -> Result<()> {
        let lists = [
            (&snapshot.base_manifest_list, snapshot.base_manifest_list_size),
            (&snapshot.delta_manifest_list, snapshot.delta_manifest_list_size),
        ];
        for (name, size) in lists {
            if let Some(manifests) = if_there(self.manifests().list(name).await)? {
                files.list(name, size, &manifests, snapshot.id)?;
            }
        }
        Ok(())
    }

    async fn changelog(&self, files: &mut GoingFiles<'_>, snapshot: &Snapshot) -> Result<()> {
        let Some(name) = &snapshot.changelog_manifest_list else { return Ok(()) };
        let Some(manifests) = if_there(self.manifests().list(name).await)? else { return Ok(()) };
        let entries = self.manifests().changelog_files(snapshot, &FileFilter::default()).await;
        let entries: Vec<Arc<_>> = if_there(entries)?.unwrap_or_default();
        files.changelog(&entries, snapshot.id)?;
        files.list(name, snapshot.changelog_manifest_list_size, &manifests, snapshot.id)
    }

    /// The lists of a changelog, as far as they are there.
    async fn lists_of(&self, changelog: &Snapshot, kept: &mut HashSet<String>) -> Result<()> {
        let mut lists = vec![changelog.base_manifest_list.clone(), changelog.delta_manifest_list.clone()];
        lists.extend(changelog.changelog_manifest_list.clone());
        for name in lists {
            if let Some(manifests) = if_there(self.manifests().list(&name).await)? {
                kept.extend(manifests.iter().map(|meta| meta.file_name.clone()));
            }
            kept.insert(name);
        }
        Ok(())
    }
}

/// The chain of snapshots from `begin` to `end`, both included; `None` when the last one is gone.
///
/// # Errors
/// As `Snapshots::try_load`.
pub(super) async fn chain(history: &History, begin: SnapshotId, end: SnapshotId) -> Result<Option<Vec<Snapshot>>> {
    let Some(last) = history.snapshots.try_load(end).await? else { return Ok(None) };
    // From the end back: an expiry beside this one takes the oldest.
    history.snapshots.back_to(last, begin.saturating_sub(1)).await.map(Some)
}
