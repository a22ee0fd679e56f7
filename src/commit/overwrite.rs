//! Overwrites: what they take away is read from the snapshot that each attempt is built on, so whatever came before the
//! overwrite goes, and whatever comes after it stays.
//!
//! ```text
//! base ─ its live files and index files in scope ─ DELETE ─┬─ one OVERWRITE snapshot
//!                                   new files ───── ADD ───┘
//! ```
//!
//! The rules are Paimon's: an overwrite of the partitions that get rows does nothing when there are none, any other one
//! makes a snapshot always; changelog is no part of it. Spec: `format-spec/commit.md`, overwrites.

use std::collections::BTreeSet;

use super::attempt::Attempt;
use super::changes::{Changes, Committable};
use super::committer::{Committer, Verdict};
use super::outcome::{CommitOutcome, CommitProperties};
use super::publish::{Base, Request};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitKind, CommitMessage, FileKind, IndexFile, ManifestEntry};
use crate::history::FileFilter;
use crate::scan::PartitionTest;
use crate::schema::BucketMode;

/// What an overwrite takes away before its own files come.
#[derive(Debug, Clone)]
pub enum Replaced {
    /// Everything.
    Table,
    /// The partitions for which a condition is true. New files must lie in them.
    Where(PartitionTest),
    /// The partitions that new files lie in.
    Written,
}

/// The same, once the new files are known.
#[derive(Debug)]
pub(super) enum Scope {
    Table,
    Where(PartitionTest),
    Partitions(BTreeSet<BinaryRow>),
}

impl Scope {
    fn of(replaced: &Replaced, changes: &Changes) -> Self {
        match replaced {
            Replaced::Table => Self::Table,
            Replaced::Where(test) => Self::Where(test.clone()),
            Replaced::Written => Self::Partitions(changes.partitions()),
        }
    }

    fn holds(&self, partition: &BinaryRow) -> Result<bool> {
        match self {
            Self::Table => Ok(true),
            Self::Where(test) => test.matches(partition),
            Self::Partitions(partitions) => Ok(partitions.contains(partition)),
        }
    }
}

impl Committer {
    /// Commits messages as an overwrite. They come from a writer that takes nothing of what is there into account, and
    /// have no changelog and no compaction.
    ///
    /// # Errors
    /// As [`Committer::commit`], and [`Error::Invalid`] for messages that have more than new files, or files in other
    /// partitions than those that are replaced.
    pub async fn overwrite(
        &mut self,
        identifier: i64,
        replaced: &Replaced,
        messages: Vec<CommitMessage>,
        properties: CommitProperties,
    ) -> Result<CommitOutcome> {
        self.require_safe_publishing().await?;
        if let Some(snapshot_id) = self.committed_before(identifier) {
            return Ok(CommitOutcome::AlreadyCommitted { snapshot_id });
        }
        let changes = new_files(&messages)?;
        if matches!(replaced, Replaced::Written) && changes.entries.is_empty() {
            return Ok(CommitOutcome::Empty);
        }
        let scope = Scope::of(replaced, &changes);
        for entry in &changes.entries {
            if !scope.holds(&entry.partition)? {
                return Err(Error::invalid("overwrite: a row lies in a partition that is not replaced"));
            }
        }
        let began = self.env().monotonic();
        let (changes, properties, replaces) = (&changes, &properties, Some(&scope));
        let request = Request { changes, identifier, properties, check: true, began, replaces };
        let verdict = Verdict::of(self.publish(request, Attempt::new(self), None).await?);
        Ok(self.settled(verdict, &messages).await)
    }

    /// The changes of an overwrite on a base: all that is in its scope goes first.
    pub(super) async fn replacing(&self, base: &Base, changes: &Changes, scope: &Scope) -> Result<Changes> {
        let manifests = &self.history.manifests;
        let live = match scope {
            Scope::Table => manifests.live_of(&base.manifests, &FileFilter::default()).await?,
            Scope::Where(test) => manifests.live_of(&base.manifests, &test.file_filter()).await?,
            Scope::Partitions(partitions) => manifests.live_in(&base.manifests, partitions.clone()).await?,
        };
        // Rows that wait in a table that no longer postpones its buckets stay, as in Paimon.
        let postpones = self.table_options.bucket == BucketMode::Postpone;
        let mut whole = Changes { entries: Vec::with_capacity(live.len() + changes.entries.len()), ..changes.clone() };
        for entry in live.iter().filter(|entry| entry.bucket >= 0 || postpones) {
            if scope.holds(&entry.partition)? {
                whole.entries.push(ManifestEntry { kind: FileKind::Delete, ..ManifestEntry::clone(entry) });
            }
        }
        whole.entries.extend(changes.entries.iter().cloned());
        if let Some(name) = base.snapshot.as_ref().and_then(|snapshot| snapshot.index_manifest.as_ref()) {
            for file in manifests.index_for_rewrite(name).await?.iter() {
                if scope.holds(&file.partition)? {
                    whole.index.deleted.push(IndexFile::clone(file));
                }
            }
        }
        Ok(whole)
    }
}

/// The new files of an overwrite's messages.
fn new_files(messages: &[CommitMessage]) -> Result<Changes> {
    for message in messages {
        let foreign = message.compacts() || !message.deleted_files.is_empty() || !message.deleted_index.is_empty();
        if foreign || !message.changelog_files.is_empty() || message.index_read.is_some() {
            return Err(Error::invalid("overwrite: a message has more than new files"));
        }
    }
    let Committable { append, .. } = Committable::of(messages)?;
    Ok(Changes { kind: CommitKind::Overwrite, counts_seen: None, ..append })
}
