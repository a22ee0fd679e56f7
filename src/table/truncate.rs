//! Truncation: all rows go, or those of whole partitions, by an overwrite that brings none.
//!
//! Files stay until the snapshots that need them expire. Streams see nothing of it unless they read overwrites.
//! Spec: `format-spec/commit.md`, overwrites.

use std::collections::BTreeSet;

use super::Table;
use crate::commit::{BATCH_COMMIT, CommitProperties, Replaced};
use crate::error::Result;
use crate::format::{BinaryRow, FileKind, ManifestEntry, SnapshotId};
use crate::history::FileFilter;
use crate::predicate::Expr;
use crate::scan::PartitionTest;
use crate::schema::{BucketMode, TableOptions, Use, check_options};

/// What a truncation took away, or would take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truncated {
    /// Partitions that had files.
    pub partitions: Vec<BinaryRow>,
    /// Their files.
    pub files: u64,
    /// The bytes of these.
    pub bytes: u64,
    /// Rows stored in these: of a key as many as it has versions, masked rows and retractions too.
    pub stored_rows: u64,
    /// The snapshot that did it; `None` where it was only planned.
    pub snapshot_id: Option<SnapshotId>,
    /// Whether a commit of the same user was there already and nothing was done.
    pub already: bool,
}

impl Truncated {
    fn of<'a>(entries: impl Iterator<Item = &'a ManifestEntry>) -> Self {
        let mut truncated = Self::default();
        let mut partitions = BTreeSet::new();
        for entry in entries {
            partitions.insert(entry.partition.clone());
            truncated.files += 1;
            truncated.bytes += u64::try_from(entry.file.file_size).unwrap_or(0);
            truncated.stored_rows += u64::try_from(entry.file.row_count).unwrap_or(0);
        }
        truncated.partitions = partitions.into_iter().collect();
        truncated
    }
}

/// Takes all rows of a table away, or those of whole partitions.
#[derive(Clone)]
pub struct Truncate {
    table: Table,
    partitions: Option<Expr>,
    commit_user: Option<String>,
    dry_run: bool,
}

impl Truncate {
    pub(super) fn new(table: Table) -> Self {
        Self { table, partitions: None, commit_user: None, dry_run: false }
    }

    /// Only partitions for which this is true. It may speak of partition columns only.
    #[must_use]
    pub fn partitions(mut self, filter: Expr) -> Self {
        self.partitions = Some(filter);
        self
    }

    /// Commits in the name of this user, once: when a commit of this user is in the table, nothing is done.
    #[must_use]
    pub fn commit_user(mut self, user: impl Into<String>) -> Self {
        self.commit_user = Some(user.into());
        self
    }

    /// Only tells what would go.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Truncates: one commit, which takes all away that came before it.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a condition on other columns than those of partitions; [`crate::Error::Unsupported`]
    /// naming an option that forbids writing; the store's errors.
    pub async fn run(self) -> Result<Truncated> {
        let table = &self.table;
        check_options(&table.schema, Use::Write)?;
        let options = TableOptions::parse(&table.schema)?;
        let replaced = match &self.partitions {
            Some(filter) => Replaced::Where(PartitionTest::new(&table.schema, &options, filter)?),
            None => Replaced::Table,
        };
        if self.dry_run {
            return self.planned(&replaced, &options).await;
        }
        let user = self.commit_user.clone().unwrap_or_else(|| table.new_user(&options));
        let mut committer = table.committer(&user)?;
        let identifier = if self.commit_user.is_some() { 1 } else { BATCH_COMMIT };
        let before = if self.commit_user.is_some() { committer.last_committed().await? } else { None };
        if let Some((_, snapshot)) = before {
            return Ok(Truncated { snapshot_id: Some(snapshot), already: true, ..Truncated::default() });
        }
        let properties = CommitProperties::default();
        let outcome = committer.overwrite(identifier, &replaced, Vec::new(), properties).await?;
        let id = outcome.snapshot_id()?;
        committer.finish().await;
        let snapshot = table.history.snapshots.load(id).await?;
        let gone = table.history.manifests.delta_files(&snapshot, &FileFilter::default()).await?;
        let gone = gone.iter().map(|entry| &**entry).filter(|entry| entry.kind == FileKind::Delete);
        Ok(Truncated { snapshot_id: Some(id), ..Truncated::of(gone) })
    }

    async fn planned(&self, replaced: &Replaced, options: &TableOptions) -> Result<Truncated> {
        let history = &self.table.history;
        let Some(latest) = history.snapshots.latest().await? else { return Ok(Truncated::default()) };
        let filter = match replaced {
            Replaced::Where(test) => test.file_filter(),
            _ => FileFilter::default(),
        };
        let mut gone = Vec::new();
        for entry in history.manifests.live_files(&latest, &filter).await? {
            let within = match replaced {
                Replaced::Where(test) => test.matches(&entry.partition)?,
                _ => true,
            };
            if within && (entry.bucket >= 0 || options.bucket == BucketMode::Postpone) {
                gone.push(entry);
            }
        }
        Ok(Truncated::of(gone.iter().map(|entry| &**entry)))
    }
}
