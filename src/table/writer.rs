//! A writer that commits by itself.

use arrow_array::RecordBatch;

use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer};
use crate::error::{Error, Result};
use crate::format::CommitMessage;
use crate::write::{ChangeBatch, StreamWriter};

/// Writes and commits as one. Nothing is visible before [`TableWriter::commit`].
pub struct TableWriter {
    writer: StreamWriter,
    committer: Committer,
    next_identifier: i64,
    /// What was prepared and is not known to be committed.
    pending: Option<Vec<CommitMessage>>,
}

impl TableWriter {
    /// The committer's user must be new: identifiers count from 1.
    pub(super) fn new(writer: StreamWriter, committer: Committer) -> Self {
        Self { writer, committer, next_identifier: 1, pending: None }
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

    /// Makes everything written since the last commit visible at once. When it fails, or its outcome is a conflict or
    /// unknown, the next call commits the same files under the same identifier again.
    ///
    /// # Errors
    /// Errors before the snapshot was published: nothing of it is visible. What happened at publishing is the outcome.
    pub async fn commit(&mut self) -> Result<CommitOutcome> {
        let messages = match self.pending.take() {
            Some(messages) => messages,
            None => self.writer.prepare_commit().await?,
        };
        let compacted = messages.iter().any(|message| !message.compact_before.is_empty());
        self.pending = Some(messages.clone());
        let outcome = self.committer.commit(self.next_identifier, messages, CommitProperties::default()).await?;
        if !matches!(outcome, CommitOutcome::Conflicted { .. } | CommitOutcome::Unknown { .. }) {
            self.pending = None;
            self.next_identifier += 1;
        }
        match &outcome {
            CommitOutcome::Committed { dropped_compactions, .. } if !dropped_compactions.is_empty() => {
                self.writer.compaction_was_dropped();
            }
            CommitOutcome::Empty if compacted => self.writer.compaction_was_dropped(),
            _ => {}
        }
        Ok(outcome)
    }

    /// As [`StreamWriter::stalled`].
    pub fn stalled(&self) -> std::time::Duration {
        self.writer.stalled()
    }

    /// Ends the writer after its last commit: waits for the compactions beside it and commits them.
    ///
    /// # Errors
    /// [`Error::Invalid`] while a commit is not settled; the store's errors. A compaction that is lost to another commit
    /// is none.
    pub async fn close(mut self) -> Result<()> {
        if self.pending.is_some() {
            return Err(Error::invalid("close: the outcome of the last commit is not settled"));
        }
        let messages = Box::pin(self.writer.finish_compactions()).await;
        if !messages.is_empty() {
            // No commit of rows: it has no number among them, and makes no empty snapshot.
            let properties = CommitProperties::default();
            let outcome = Box::pin(self.committer.commit(BATCH_COMMIT, messages.clone(), properties)).await?;
            if matches!(outcome, CommitOutcome::Conflicted { .. }) {
                Box::pin(self.committer.abort(&messages)).await?;
            }
        }
        Box::pin(self.committer.finish()).await;
        Ok(())
    }

    /// Forgets what was not committed and deletes its files, except where a commit's outcome is unknown.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn abort(mut self) -> Result<()> {
        let pending = self.pending.take().unwrap_or_default();
        let prepared = self.committer.abort(&pending).await.map(|_| ());
        self.writer.abort().await.and(prepared)
    }
}
