//! A writer that commits by itself.

use arrow_array::RecordBatch;

use crate::commit::{CommitOutcome, CommitProperties, Committer};
use crate::error::Result;
use crate::write::{ChangeBatch, StreamWriter};

/// Writes and commits as one. Nothing is visible before [`TableWriter::commit`].
pub struct TableWriter {
    writer: StreamWriter,
    committer: Committer,
    next_identifier: i64,
}

impl TableWriter {
    /// The committer's user must be new: identifiers count from 1.
    pub(super) fn new(writer: StreamWriter, committer: Committer) -> Self {
        Self { writer, committer, next_identifier: 1 }
    }

    /// Writes rows as `+I`.
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn upsert(&mut self, rows: &RecordBatch) -> Result<()> {
        self.writer.upsert(rows).await
    }

    /// Writes rows as `-D`.
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn delete(&mut self, rows: &RecordBatch) -> Result<()> {
        self.writer.delete(rows).await
    }

    /// Writes rows with their kinds.
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn write(&mut self, batch: &ChangeBatch) -> Result<()> {
        self.writer.write(batch).await
    }

    /// Makes everything written since the last commit visible at once.
    ///
    /// # Errors
    /// Errors before the snapshot was published: nothing of it is visible. What happened at publishing is the outcome.
    pub async fn commit(&mut self) -> Result<CommitOutcome> {
        let messages = self.writer.prepare_commit().await?;
        let identifier = self.next_identifier;
        self.next_identifier += 1;
        self.committer.commit(identifier, messages, CommitProperties::default()).await
    }

    /// Forgets what was not committed and deletes its files.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn abort(self) -> Result<()> {
        self.writer.abort().await
    }
}
