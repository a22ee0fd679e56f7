//! A batch write whose rows take the place of what is there: of the whole table, of the partitions for which a condition
//! is true, or of the partitions that get rows.
//!
//! It is one commit: readers see the old rows or the new ones. Spec: `format-spec/commit.md`, overwrites.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::Table;
use super::rescale::upgrade;
use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer, Replaced};
use crate::error::{Error, Result};
use crate::format::{CommitMessage, SnapshotId};
use crate::predicate::Expr;
use crate::scan::PartitionTest;
use crate::schema::{BucketMode, Schema, TableOptions, Use, check_options};
use crate::types::RowKind;
use crate::write::{ChangeBatch, Channel, StreamWriter};

/// What an overwrite replaces, before its writer is opened.
#[derive(Clone)]
pub struct Overwrite {
    table: Table,
    partitions: Option<Expr>,
    commit_user: Option<String>,
}

impl Overwrite {
    pub(super) fn new(table: Table) -> Self {
        Self { table, partitions: None, commit_user: None }
    }

    /// Replaces the partitions for which this is true, and no other ones, also when no row comes. It may speak of
    /// partition columns only. Without it a partitioned table's partitions that get rows are replaced, and nothing when
    /// none comes, unless option `dynamic-partition-overwrite` is off: then the whole table, as one without partitions.
    #[must_use]
    pub fn partitions(mut self, filter: Expr) -> Self {
        self.partitions = Some(filter);
        self
    }

    /// Commits in the name of this user, once: when a commit of this user is in the table, another one is not made.
    #[must_use]
    pub fn commit_user(mut self, user: impl Into<String>) -> Self {
        self.commit_user = Some(user.into());
        self
    }

    /// What is replaced.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a condition that does not fit; [`Error::Unsupported`] where keys may move between
    /// partitions and not all of them are replaced.
    pub fn replaced(&self) -> Result<Replaced> {
        let schema = &self.table.schema;
        let options = TableOptions::parse(schema)?;
        let replaced = match &self.partitions {
            Some(filter) => Replaced::Where(PartitionTest::new(schema, &options, filter)?),
            None if !schema.partition_keys.is_empty() && options.dynamic_partition_overwrite => Replaced::Written,
            None => Replaced::Table,
        };
        if options.bucket == BucketMode::KeyDynamic && !matches!(replaced, Replaced::Table) {
            return Err(Error::unsupported(
                "overwriting some partitions of a table whose keys may move between partitions (the whole table, with \
                 option dynamic-partition-overwrite=false, can be)",
            ));
        }
        Ok(replaced)
    }

    /// Opens the writer.
    ///
    /// # Errors
    /// As [`Overwrite::replaced`]; [`Error::Unsupported`] or [`Error::Invalid`] naming an option that forbids writing.
    pub async fn writer(self) -> Result<OverwriteWriter> {
        let replaced = self.replaced()?;
        let table = self.table;
        check_options(&table.schema, Use::Write)?;
        let options = TableOptions::parse(&table.schema)?;
        let once = self.commit_user.is_some();
        let user = match self.commit_user {
            Some(user) => user,
            None => table.new_user(&options),
        };
        let committer = table.committer(&user)?;
        let schema = Arc::new(without_changelog(&table.schema));
        let mut written = TableOptions::parse(&schema)?;
        // One commit replaces whole buckets; compactions come later.
        written.compaction.write_only = true;
        let spill = table.spill_directory.clone();
        let writer = StreamWriter::new(table.history.clone(), schema, written, &user, Channel::ONLY, spill)?.anew();
        Ok(OverwriteWriter { table, options, replaced, writer, committer, once, pending: None, loose: false })
    }
}

/// Overwrites bring no changelog.
fn without_changelog(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    schema.options.insert("changelog-producer".to_string(), "none".to_string());
    schema
}

/// Writes the rows of an overwrite and commits them, once. Nothing is visible before [`OverwriteWriter::commit`].
pub struct OverwriteWriter {
    table: Table,
    options: TableOptions,
    replaced: Replaced,
    writer: StreamWriter,
    committer: Committer,
    once: bool,
    /// What was prepared and is not known to be committed.
    pending: Option<Vec<CommitMessage>>,
    /// Whether files of it are not in order and want a compaction.
    loose: bool,
}

impl OverwriteWriter {
    /// The identifier of its commit.
    fn identifier(&self) -> i64 {
        if self.once { 1 } else { BATCH_COMMIT }
    }

    /// The snapshot in which this user committed already, for an overwrite with a user of its own.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn committed(&mut self) -> Result<Option<SnapshotId>> {
        Ok(if self.once { self.committer.last_committed().await?.map(|(_, snapshot)| snapshot) } else { None })
    }

    /// Writes rows as `+I`.
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn insert(&mut self, rows: &RecordBatch) -> Result<()> {
        self.write(&ChangeBatch::of_kind(rows.clone(), RowKind::Insert)).await
    }

    /// Writes rows with their kinds.
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn write(&mut self, batch: &ChangeBatch) -> Result<()> {
        self.writer.write(batch).await
    }

    /// Puts the written rows in the place of what is there, at once. When it fails, or its outcome is unknown, the next
    /// call commits the same files again.
    ///
    /// # Errors
    /// As [`Committer::overwrite`]: [`Error::Invalid`] for rows outside of the partitions that are replaced.
    pub async fn commit(&mut self) -> Result<CommitOutcome> {
        let messages = match self.pending.take() {
            Some(messages) => messages,
            None => self.prepare().await?,
        };
        self.pending = Some(messages.clone());
        let properties = CommitProperties::default();
        let outcome = self.committer.overwrite(self.identifier(), &self.replaced, messages, properties).await?;
        if !matches!(outcome, CommitOutcome::Conflicted { .. } | CommitOutcome::Unknown { .. }) {
            self.pending = None;
        }
        Ok(outcome)
    }

    async fn prepare(&mut self) -> Result<Vec<CommitMessage>> {
        let messages = self.writer.prepare_commit().await?;
        let mut messages: Vec<_> =
            messages.into_iter().map(|message| CommitMessage { index_read: None, ..message }).collect();
        if self.options.bucket == BucketMode::Postpone {
            return Ok(messages);
        }
        if self.options.overwrite_upgrade {
            upgrade(&self.table.schema, self.options.compaction.num_levels, &mut messages)?;
        }
        let low = messages.iter().flat_map(|message| &message.new_files).any(|file| file.level == 0);
        self.loose = low && self.table.schema.has_primary_key();
        Ok(messages)
    }

    /// Ends the writer after its commit: compacts what the commit could not bring in order, unless the table is
    /// `write-only`.
    ///
    /// # Errors
    /// The store's errors; what was committed stays.
    pub async fn close(mut self) -> Result<()> {
        if self.pending.is_some() {
            return Err(Error::invalid("close: the outcome of the overwrite is not settled"));
        }
        Box::pin(self.committer.finish()).await;
        if self.loose && !self.options.compaction.write_only {
            Box::pin(self.table.compact().run()).await?;
        }
        Ok(())
    }

    /// Forgets what was not committed and deletes its files, except where the commit's outcome is unknown.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn abort(mut self) -> Result<()> {
        let pending = self.pending.take().unwrap_or_default();
        let prepared = self.committer.abort(&pending).await.map(|_| ());
        self.writer.abort().await.and(prepared)
    }
}
