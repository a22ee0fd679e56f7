//! The rows of a bucket's files that an earlier state of the bucket does not have as they are.
//! Spec: `format-spec/read.md`, incremental reads.

use std::sync::Arc;

use arrow_array::ArrayRef;

use super::split_reader::{Batches, Located, SplitReader};
use super::{ReadRequest, SplitBatches};
use crate::error::{Error, Result};
use crate::format::Split;
use crate::history::History;
use crate::lsm::{LATER, MergedBatch, RunBatch, RunReader, diff_runs};

/// Two states of some keys of one bucket.
#[derive(Debug, Clone)]
pub struct DiffSplit {
    /// The files of the earlier state; `None` where it had none.
    pub before: Option<Split>,
    /// The files of the later one.
    pub after: Split,
}

impl SplitReader {
    /// A reader of differences that holds so many bytes. All columns are compared, whichever are shown.
    ///
    /// # Errors
    /// As [`SplitReader::new`] and [`SplitReader::within`].
    pub async fn of_diffs(
        history: &History,
        request: ReadRequest,
        splits: &[DiffSplit],
        memory: Option<u64>,
    ) -> Result<Self> {
        let all: Vec<Split> =
            splits.iter().flat_map(|split| split.before.iter().chain([&split.after])).cloned().collect();
        let columns: Vec<usize> = (0..request.schema.fields.len()).collect();
        // Two merges run side by side.
        Ok(Self::with_columns(history, request, &all, &columns).await?.within(memory, 1)?.with_half_of_memory())
    }

    /// Begins to compare on the blocking pool.
    pub fn start_diff(&self, split: DiffSplit) -> SplitBatches {
        let reader = self.clone();
        self.start_with(split.after.clone(), move || reader.read_diff(&split))
    }

    fn read_diff(&self, split: &DiffSplit) -> Result<Batches> {
        let after = self.files_of(&split.after)?;
        let directory = after.directory.clone();
        let after = self.merged(after)?;
        let told: Box<dyn Iterator<Item = Result<MergedBatch>> + Send> = match &split.before {
            None => after,
            Some(before) => {
                let before = self.merged(self.files_of(before)?)?;
                diff_runs(vec![self.as_run(before, 0), self.as_run(after, LATER)], self.request.batch_rows)?
            }
        };
        let this = self.clone();
        Ok(Box::new(told.map(move |batch| {
            let batch = batch?;
            let rows = batch.num_rows();
            this.finish(batch.columns, batch.kinds, rows).map_err(|error| error.in_file(&directory))
        })))
    }

    /// The merged rows of files in key order, without retractions.
    fn merged(&self, located: Arc<Located>) -> Result<Box<dyn Iterator<Item = Result<MergedBatch>> + Send>> {
        let sections = self.sections_of(&located)?;
        let this = self.clone();
        let merged = sections.into_iter().flat_map(move |runs| {
            let merged = this.merge_runs_of(&located, runs);
            merged.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
        });
        Ok(Box::new(merged.map(|batch| batch?.without_retractions())))
    }

    fn as_run(&self, merged: Box<dyn Iterator<Item = Result<MergedBatch>> + Send>, level: i32) -> RunReader {
        let this = self.clone();
        Box::new(merged.map(move |batch| {
            let batch = batch?;
            let keys: Vec<ArrayRef> = this.key_places.iter().map(|at| Arc::clone(&batch.columns[*at])).collect();
            let keys = this.encoder.encode(&keys, batch.num_rows()).map_err(|error| match error {
                Error::Invalid(what) => Error::corrupt("", what),
                other => other,
            })?;
            let age = u32::from(level == LATER);
            Ok(RunBatch { keys, sequence: batch.sequence, kinds: batch.kinds, columns: batch.columns, age, level })
        }))
    }
}
