//! Key tables: rows that match are read merged, and written as changes.

use arrow_array::{Array, RecordBatch};

use super::{Means, Modified, Run, Tried};
use crate::error::{Error, Result};
use crate::format::Snapshot;
use crate::predicate::{Assigned, Assignment, assign};
use crate::read::{ReadRequest, RowStream, SplitReader};
use crate::scan::{Shown, plan_snapshot};
use crate::schema::{ChangelogProducer, MergeEngine};
use crate::table::CompactReport;
use crate::types::RowKind;
use crate::write::{ChangeBatch, StreamWriter};

impl Run {
    /// The rows of a snapshot that match, merged, also those that batch reads do not show yet.
    async fn matching(&self, snapshot: &Snapshot) -> Result<RowStream> {
        let (history, schema) = (&self.table.history, &self.table.schema);
        let plan = plan_snapshot(history, schema, snapshot, Some(&self.filter), Shown::EVERYTHING).await?;
        let request = ReadRequest {
            schema: schema.clone(),
            select: if self.dry_run { Vec::new() } else { (0..schema.fields.len()).collect() },
            filter: plan.filter,
            batch_rows: self.options.read_batch_rows,
            wide_timestamps: true,
        };
        let reader = SplitReader::new(history, request, &plan.splits).await?;
        Ok(RowStream::new(reader, plan.splits, None))
    }

    pub(super) async fn change_keys(&mut self, snapshot: &Snapshot) -> Result<Tried> {
        let mut rows = self.matching(snapshot).await?;
        let mut done = Modified::new(Means::Changes);
        if self.dry_run {
            while let Some(batch) = rows.next_batch().await? {
                done.rows = done.rows.map(|rows| rows + batch.num_rows() as u64);
            }
            return Ok(Tried::Done(done));
        }
        let mut writer = Box::new(self.writing(snapshot).stream_writer(&self.user).await?.keeping_nulls());
        let prepared = match self.write_changes(&mut rows, &mut writer).await {
            Ok(count) => {
                done.rows = Some(count);
                writer.prepare_commit().await
            }
            Err(error) => Err(error),
        };
        let messages = match prepared {
            Ok(messages) => messages,
            Err(error) => {
                if let Err(second) = writer.abort().await {
                    tracing::warn!(%second, "files of a statement that failed stay behind");
                }
                return Err(error);
            }
        };
        let tried = Box::pin(self.commit(messages, done)).await?;
        let compactions = Box::pin(writer.finish_compactions()).await;
        let mut report = CompactReport::default();
        if let Err(error) = Box::pin(self.table.commit_compaction(compactions, &mut report)).await {
            tracing::warn!(%error, "the statement is committed, the compaction behind it is not");
        }
        Ok(tried)
    }

    async fn write_changes(&self, rows: &mut RowStream, writer: &mut StreamWriter) -> Result<u64> {
        // A changelog made of the input must tell what was before.
        let tells_before = self.options.changelog_producer == ChangelogProducer::Input
            && self.options.merge_engine == MergeEngine::Deduplicate;
        let mut count = 0;
        while let Some(old) = rows.next_batch().await? {
            count += old.num_rows() as u64;
            let Some(assignments) = &self.assignments else {
                writer.write(&ChangeBatch::of_kind(old, RowKind::Delete)).await?;
                continue;
            };
            let new = assign(assignments, &self.table.schema, &old, None)?;
            self.check_partial(assignments, &new)?;
            if tells_before {
                writer.write(&ChangeBatch::of_kind(old, RowKind::UpdateBefore)).await?;
            }
            writer.write(&ChangeBatch::of_kind(new, RowKind::UpdateAfter)).await?;
        }
        Ok(count)
    }

    /// A NULL that would change nothing is no update.
    fn check_partial(&self, assignments: &[Assignment], new: &RecordBatch) -> Result<()> {
        if self.options.merge_engine != MergeEngine::PartialUpdate {
            return Ok(());
        }
        for Assignment { column, value } in assignments {
            let nulls = new.column_by_name(column).is_some_and(|lane| lane.null_count() > 0);
            if let Assigned::Column(from) = value
                && nulls
            {
                return Err(Error::unsupported(format!(
                    "setting column {column} to a NULL of {from} under merge engine partial-update, where NULL changes \
                     nothing"
                )));
            }
        }
        Ok(())
    }
}
