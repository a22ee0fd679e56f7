//! Giving up messages that were not committed: their files are deleted.
//!
//! A file is deleted only when no snapshot, tag or changelog that the table keeps names it, only below the table's
//! root, and never when its commit's outcome is unknown. Whatever cannot be read keeps every file.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::committer::Committer;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitMessage, ManifestEntry, Snapshot, holding_name, written_paths};
use crate::history::{EntryTest, FileFilter};

impl Committer {
    /// Deletes what compactions wrote that are not visible, for certain. What cannot be deleted is an orphan.
    pub(super) async fn discard_compactions(&mut self, messages: &[CommitMessage]) {
        let compaction = |message: &CommitMessage| CommitMessage {
            new_files: Vec::new(),
            changelog_files: Vec::new(),
            new_index: Vec::new(),
            ..message.clone()
        };
        let compactions: Vec<CommitMessage> = messages.iter().map(compaction).collect();
        if let Err(error) = self.abort(&compactions).await {
            tracing::warn!(%error, "files of compactions that lost stay behind");
        }
    }

    /// Deletes the files of messages that will not be committed, and answers the paths.
    ///
    /// # Errors
    /// [`Error::Invalid`] for messages whose commit has an unknown outcome; [`Error::Storage`], [`Error::Corrupt`].
    pub async fn abort(&mut self, messages: &[CommitMessage]) -> Result<Vec<String>> {
        if let Some(name) = self.unsettled_of(messages) {
            return Err(Error::invalid(format!(
                "abort: the outcome of the commit of {name} is unknown; its files may be live"
            )));
        }
        let named = self.named_files(messages.iter().map(|message| message.partition.clone()).collect()).await?;
        let mut paths = Vec::new();
        for message in messages {
            let kept = |name: &str| named.contains(name);
            paths.extend(written_paths(&self.schema, &self.table_options, message, kept)?);
        }
        paths.sort();
        paths.dedup();
        let store = &self.history.store;
        let delete = |path: String| async move { store.delete(&path).await }.boxed();
        let deletes: Vec<_> = paths.clone().into_iter().map(delete).collect();
        stream::iter(deletes).buffered(8).try_collect::<Vec<()>>().await?;
        Ok(paths)
    }

    /// A file of these messages whose commit has an unknown outcome.
    fn unsettled_of<'a>(&self, messages: &'a [CommitMessage]) -> Option<&'a str> {
        let data = messages.iter().flat_map(CommitMessage::written_files).map(|file| &file.file_name);
        let index = messages.iter().flat_map(CommitMessage::written_index_files).map(|file| &file.file_name);
        data.chain(index).find(|name| self.unsettled.contains(*name)).map(String::as_str)
    }

    /// Names of all files in these partitions that any kept snapshot, tag or changelog speaks of.
    async fn named_files(&self, partitions: BTreeSet<BinaryRow>) -> Result<HashSet<String>> {
        let history = &self.history;
        let test: EntryTest = Arc::new(move |head| partitions.contains(head.partition));
        let filter = FileFilter { entry: Some(test), ..FileFilter::default() };
        let mut names = HashSet::new();
        let mut keep = |entries: Vec<Arc<ManifestEntry>>| -> Result<()> {
            entries.iter().try_for_each(|entry| {
                names.insert(holding_name(&entry.file.file_name)?);
                Ok(())
            })
        };
        let mut whole: Vec<Snapshot> = Vec::new();
        let mut indexes = BTreeSet::new();
        let ids = history.snapshots.ids().await?;
        for id in &ids {
            // An expiry may take the oldest meanwhile; then the next one is the oldest.
            let Some(snapshot) = history.snapshots.try_load(*id).await? else { continue };
            keep(history.manifests.delta_files(&snapshot, &filter).await?)?;
            keep(history.manifests.changelog_files(&snapshot, &filter).await?)?;
            indexes.extend(snapshot.index_manifest.clone());
            if whole.is_empty() || Some(id) == ids.last() {
                whole.push(snapshot);
            }
        }
        for name in history.tags.list().await? {
            whole.push(history.tags.load(&name).await?.snapshot);
        }
        for snapshot in &whole {
            indexes.extend(snapshot.index_manifest.clone());
            keep(history.manifests.live_files(snapshot, &filter).await?)?;
        }
        for id in history.snapshots.changelog_ids().await? {
            let Some(changelog) = history.snapshots.try_load_changelog(id).await? else { continue };
            keep(history.manifests.changelog_files(&changelog, &filter).await?)?;
        }
        for name in indexes {
            names.extend(history.manifests.index(&name).await?.iter().map(|file| file.file_name.clone()));
        }
        Ok(names)
    }
}
