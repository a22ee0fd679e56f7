//! What tags and branches still name. Their files stay, whatever the chain says.

use std::collections::HashSet;

use futures::future::try_join;

use crate::error::{Error, Result};
use crate::format::{FileSource, Snapshot, SnapshotId, holding_name, layout};
use crate::history::{FileFilter, History, Manifests};
use crate::io::FileStatus;

/// Name, size and modification time.
type Listed = (String, u64, i64);

/// Tags and branches as listings show them: when they are the same, so is what they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    tags: Vec<Listed>,
    branches: Vec<(String, Vec<Listed>)>,
}

fn sorted(files: Vec<FileStatus>) -> Vec<Listed> {
    let mut files: Vec<_> = files.into_iter().map(|file| (file.name, file.size, file.modified_millis)).collect();
    files.sort();
    files
}

impl Listing {
    pub(super) async fn load(history: &History) -> Result<Self> {
        let (tags, names) = try_join(history.store.list(layout::TAG_DIR), history.branches.list()).await?;
        let mut branches = Vec::new();
        for name in names {
            let mut files = Vec::new();
            for directory in [layout::SNAPSHOT_DIR, layout::TAG_DIR, layout::CHANGELOG_DIR] {
                files.extend(history.store.list(&format!("{}/{directory}", layout::branch(&name)?)).await?);
            }
            branches.push((name, sorted(files)));
        }
        Ok(Self { tags: sorted(tags), branches })
    }

    fn tag_names(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().filter_map(|(name, ..)| name.strip_prefix("tag-"))
    }
}

/// Names of files that branches need, and tags but for those that go, when everything in `begin..end` goes.
///
/// # Errors
/// Whatever cannot be read: it may name anything, so nothing may go.
pub(super) async fn named(
    history: &History,
    listing: &Listing,
    without: &[String],
    begin: SnapshotId,
    end: SnapshotId,
) -> Result<HashSet<String>> {
    let mut names = HashSet::new();
    let mut tagged = Vec::new();
    for name in listing.tag_names().filter(|name| !without.iter().any(|gone| gone == name)) {
        match history.tags.load(name).await {
            Ok(tag) => tagged.push(tag.snapshot),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    for snapshot in overlapping(tagged, begin, end) {
        state(&history.manifests, &snapshot, &mut names).await?;
    }
    for (branch, _) in &listing.branches {
        of_branch(history, branch, &mut names).await?;
    }
    Ok(names)
}

/// The tags that can name a file which leaves the chain in `begin..=end`: those inside, and the nearest one before.
fn overlapping(mut tagged: Vec<Snapshot>, begin: SnapshotId, end: SnapshotId) -> Vec<Snapshot> {
    tagged.sort_by_key(|snapshot| snapshot.id);
    let before = tagged.iter().rfind(|snapshot| snapshot.id <= begin).map(|snapshot| snapshot.id);
    let lowest = before.unwrap_or(begin);
    tagged.retain(|snapshot| (lowest..end).contains(&snapshot.id));
    tagged
}

/// The metadata of a snapshot's state: lists, manifests, index files, statistics. Its changelog is not part of it.
pub(super) async fn metadata(manifests: &Manifests, snapshot: &Snapshot, names: &mut HashSet<String>) -> Result<()> {
    names.extend([snapshot.base_manifest_list.clone(), snapshot.delta_manifest_list.clone()]);
    names.extend(manifests.of(snapshot).await?.into_iter().map(|meta| meta.file_name));
    if let Some(index) = &snapshot.index_manifest {
        names.extend(manifests.index(index).await?.iter().map(|entry| entry.file_name.clone()));
        names.insert(index.clone());
    }
    names.extend(snapshot.statistics.clone());
    Ok(())
}

/// A snapshot's state with its data files.
pub(super) async fn state(manifests: &Manifests, snapshot: &Snapshot, names: &mut HashSet<String>) -> Result<()> {
    metadata(manifests, snapshot, names).await?;
    for entry in manifests.live_files(snapshot, &FileFilter::default()).await? {
        names.insert(holding_name(&entry.file.file_name)?);
        names.extend(entry.file.extra_files.iter().cloned());
    }
    Ok(())
}

/// A snapshot's changelog: its own files, or without a producer those of its delta.
async fn changes(manifests: &Manifests, snapshot: &Snapshot, names: &mut HashSet<String>) -> Result<()> {
    let all = FileFilter::default();
    let entries = match &snapshot.changelog_manifest_list {
        Some(list) => {
            names.insert(list.clone());
            names.extend(manifests.list(list).await?.iter().map(|meta| meta.file_name.clone()));
            manifests.changelog_files(snapshot, &all).await?
        }
        None => {
            names.insert(snapshot.delta_manifest_list.clone());
            let list = manifests.list(&snapshot.delta_manifest_list).await?;
            names.extend(list.iter().map(|meta| meta.file_name.clone()));
            // What compactions made is no change; files of releases that did not tell may be either.
            let mut entries = manifests.delta_files(snapshot, &all).await?;
            entries.retain(|entry| entry.file.file_source != Some(FileSource::Compact));
            entries
        }
    };
    for entry in entries {
        names.insert(holding_name(&entry.file.file_name)?);
        names.extend(entry.file.extra_files.iter().cloned());
    }
    Ok(())
}

/// Everything that a branch names: the state of its oldest snapshot and what each snapshot brought, its tags, its
/// changelogs.
async fn of_branch(history: &History, branch: &str, names: &mut HashSet<String>) -> Result<()> {
    let (pointers, manifests) = (history.on_branch(branch)?, &history.manifests);
    let mut oldest = true;
    for id in pointers.snapshots.ids().await? {
        // One that its own expiry took meanwhile is passed over.
        let Some(snapshot) = pointers.snapshots.try_load(id).await? else { continue };
        if std::mem::take(&mut oldest) {
            state(manifests, &snapshot, names).await?;
        } else {
            metadata(manifests, &snapshot, names).await?;
            for entry in manifests.delta_files(&snapshot, &FileFilter::default()).await? {
                names.insert(holding_name(&entry.file.file_name)?);
                names.extend(entry.file.extra_files.iter().cloned());
            }
        }
        if snapshot.changelog_manifest_list.is_some() {
            lenient(changes(manifests, &snapshot, names).await)?;
        }
    }
    for tag in pointers.tags.list().await? {
        match pointers.tags.load(&tag).await {
            Ok(tag) => state(manifests, &tag.snapshot, names).await?,
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    changelogs(&pointers, manifests, names).await
}

/// What the changelogs need that outlived their snapshots.
pub(super) async fn changelogs(pointers: &History, manifests: &Manifests, names: &mut HashSet<String>) -> Result<()> {
    for id in pointers.snapshots.changelog_ids().await? {
        if let Some(changelog) = pointers.snapshots.try_load_changelog(id).await? {
            names.insert(changelog.base_manifest_list.clone());
            if let Ok(base) = manifests.list(&changelog.base_manifest_list).await {
                names.extend(base.iter().map(|meta| meta.file_name.clone()));
            }
            lenient(changes(manifests, &changelog, names).await)?;
        }
    }
    Ok(())
}

/// A branch that was made from a tag begins with a snapshot whose changelog may have gone long ago, by Java's expiry.
fn lenient(read: Result<()>) -> Result<()> {
    match read {
        Err(Error::NotFound(_)) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn only_tags_around_what_goes_can_name_it() {
        let tagged = |ids: &[i64]| ids.iter().map(|id| super::super::tests::snapshot(*id)).collect::<Vec<_>>();
        let ids = |tags: Vec<Snapshot>| tags.iter().map(|tag| tag.id).collect::<Vec<_>>();
        assert_eq!(ids(overlapping(tagged(&[9, 1, 3, 5, 7]), 4, 7)), [3, 5]);
        assert_eq!(ids(overlapping(tagged(&[1, 4, 5]), 4, 5)), [4]);
        assert_eq!(ids(overlapping(tagged(&[6, 8]), 4, 6)), [0_i64; 0]);
        assert_eq!(ids(overlapping(tagged(&[2]), 4, 6)), [2]);
    }
}
