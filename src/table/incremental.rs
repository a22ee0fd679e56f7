//! Building an incremental read: the changes between two points of a table's history.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Result;
use crate::format::{BinaryRow, SnapshotId, Split};
use crate::history::History;
use crate::predicate::Expr;
use crate::read::{DiffSplit, ReadRequest, SplitBatches, SplitReader, check_read_memory};
use crate::scan::{Between, BetweenPart, BetweenPlan, plan_between};
use crate::schema::{BetweenMode, Schema, TableOptions};
use crate::stream::Change;
use crate::write::ChangeBatch;

/// An incremental read: between which points, of which kind. Rows come with their kinds, in the newest schema.
#[derive(Clone)]
pub struct IncrementalBuilder {
    history: History,
    schema: Arc<Schema>,
    between: Between,
    mode: Option<BetweenMode>,
    select: Option<Vec<String>>,
    filter: Option<Expr>,
    wide_timestamps: bool,
    memory: Option<u64>,
}

impl IncrementalBuilder {
    pub(super) fn new(history: History, schema: Arc<Schema>, between: Between) -> Self {
        Self { history, schema, between, mode: None, select: None, filter: None, wide_timestamps: false, memory: None }
    }

    /// Shows these changes; unless told, what option `incremental-between-scan-mode` says, and of two tags the difference.
    #[must_use]
    pub fn mode(mut self, mode: BetweenMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Shows these columns, in this order.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.select = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Shows only changes of rows for which this is true.
    #[must_use]
    pub fn filter(mut self, filter: Expr) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Leaves `TIMESTAMP(7..9)` as `Decimal128(38, 9)` seconds since the epoch.
    #[must_use]
    pub fn wide_timestamps(mut self) -> Self {
        self.wide_timestamps = true;
        self
    }

    /// The bytes that the read may hold, 32 MiB or more; unless told, up to 384 MiB.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Plans the read.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for a point that is not there (any more); [`crate::Error::Invalid`] for ends in the wrong
    /// order, texts that are neither tags nor snapshots, and buckets that were rescaled between two states that are
    /// compared.
    pub async fn plan(&self) -> Result<BetweenPlan> {
        check_read_memory(self.memory)?;
        plan_between(&self.history, &self.schema, &self.between, self.mode, self.filter.as_ref()).await
    }

    /// Plans and reads.
    ///
    /// # Errors
    /// As [`IncrementalBuilder::plan`]; what comes out carries errors of reading.
    pub async fn read(&self) -> Result<IncrementalRows> {
        let plan = self.plan().await?;
        let schema = plan.schema;
        let select = match &self.select {
            Some(names) => schema.positions(names)?,
            None => (0..schema.fields.len()).collect(),
        };
        let batch_rows = TableOptions::parse(&schema)?.read_batch_rows;
        let wide_timestamps = self.wide_timestamps;
        let request = ReadRequest { schema, select, filter: plan.filter, batch_rows, wide_timestamps };
        let (history, memory) = (self.history.clone(), self.memory);
        Ok(IncrementalRows { history, request, memory, waiting: plan.parts.into(), open: None })
    }
}

/// The changes of an incremental read, one batch after another. Dropping it ends the work behind it.
pub struct IncrementalRows {
    history: History,
    request: ReadRequest,
    memory: Option<u64>,
    waiting: VecDeque<BetweenPart>,
    open: Option<Open>,
}

struct Open {
    snapshot_id: SnapshotId,
    partition: BinaryRow,
    bucket: i32,
    batches: SplitBatches,
}

impl Open {
    fn new(split: &Split, batches: SplitBatches) -> Self {
        Self { snapshot_id: split.snapshot_id, partition: split.partition.clone(), bucket: split.bucket, batches }
    }
}

impl IncrementalRows {
    /// The next changes; `None` at the end. Those of a difference belong to the later snapshot.
    ///
    /// # Errors
    /// The store's errors and [`crate::Error::Corrupt`] with the file.
    pub async fn next(&mut self) -> Result<Option<Change>> {
        loop {
            if let Some(open) = &mut self.open {
                let Some((rows, kinds)) = open.batches.next().await? else {
                    self.open = None;
                    continue;
                };
                if rows.num_rows() == 0 {
                    continue;
                }
                return Ok(Some(Change {
                    snapshot_id: open.snapshot_id,
                    partition: open.partition.clone(),
                    bucket: open.bucket,
                    rows: ChangeBatch::new(rows, kinds)?,
                }));
            }
            // Taken only when it is open, so that a call dropped half-way loses nothing.
            let Some(part) = self.waiting.front().cloned() else { return Ok(None) };
            let request = self.request.clone();
            let open = match part {
                BetweenPart::Changes(split) => {
                    let reader = SplitReader::new(&self.history, request, std::slice::from_ref(&split)).await?;
                    Open::new(&split, reader.within(self.memory, 1)?.start(split.clone()))
                }
                BetweenPart::Diff(before, after) => {
                    let split = DiffSplit { before, after: after.clone() };
                    let reader =
                        SplitReader::of_diffs(&self.history, request, std::slice::from_ref(&split), self.memory)
                            .await?;
                    Open::new(&after, reader.start_diff(split))
                }
            };
            self.waiting.pop_front();
            self.open = Some(open);
        }
    }
}
