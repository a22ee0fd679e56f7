//! Building a batch read.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use crate::error::{Error, Result};
use crate::format::{Snapshot, Split};
use crate::history::History;
use crate::maintain::{Expirer, ReadTag, Retention};
use crate::predicate::Expr;
use crate::read::{ReadRequest, RowStream, SPLITS_AT_ONCE, Sort, SplitReader, check_order, check_read_memory};
use crate::scan::{At, Plan, ShownLevels, at_or_told, counted, plan, plan_found, schema_of, shown_schema};
use crate::schema::{ROW_ID, Schema, TableOptions, Use};

/// A batch read: what to show of which snapshot.
#[derive(Clone)]
pub struct ScanBuilder {
    history: History,
    schema: Arc<Schema>,
    select: Option<Vec<String>>,
    filter: Option<Expr>,
    at: Option<At>,
    levels: ShownLevels,
    limit: Option<usize>,
    order: Vec<Sort>,
    row_tracking: bool,
    wide_timestamps: bool,
    protect: Option<Duration>,
    memory: Option<u64>,
}

/// Looks for the newest snapshot while expiry takes one after another away before it has a tag.
const TRIES: u32 = 3;

impl ScanBuilder {
    pub(super) fn new(history: History, schema: Arc<Schema>) -> Self {
        Self {
            history,
            schema,
            select: None,
            filter: None,
            at: None,
            levels: ShownLevels::Visible,
            limit: None,
            order: Vec::new(),
            row_tracking: false,
            wide_timestamps: false,
            protect: None,
            memory: None,
        }
    }

    /// Shows these columns, in this order.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.select = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Shows only rows for which this is true.
    #[must_use]
    pub fn filter(mut self, filter: Expr) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Shows this point of the table's history, whatever the table's options say (`scan.mode` and those around it).
    #[must_use]
    pub fn at(mut self, at: At) -> Self {
        self.at = Some(at);
        self
    }

    /// Shows only what full compactions have made (`table$ro` in Paimon): rows that need no merging, without what was
    /// written since. Tables without a primary key are shown whole.
    #[must_use]
    pub fn read_optimized(mut self) -> Self {
        self.levels = ShownLevels::Top;
        self
    }

    /// Shows `_ROW_ID` and `_SEQUENCE_NUMBER` behind the other columns (`table$row_tracking` in Paimon): the id of each row,
    /// which compaction leaves it, and the snapshot that brought it. Of tables with `row-tracking.enabled`, whose
    /// selections and filters may name the two columns without this, too. A read of ids reads the files of new rows whole.
    #[must_use]
    pub fn row_tracking(mut self) -> Self {
        self.row_tracking = true;
        self
    }

    /// Shows so many rows at the most.
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Shows the first rows of an order, as many as the limit says, in that order: they are held in memory. Files whose
    /// statistics tell that none of their rows is among them are not read.
    #[must_use]
    pub fn order_by(mut self, order: impl IntoIterator<Item = Sort>) -> Self {
        self.order = order.into_iter().collect();
        self
    }

    /// Leaves `TIMESTAMP(7..9)` as `Decimal128(38, 9)` seconds since the epoch, which hold all years; Arrow's
    /// nanoseconds end in 2262.
    #[must_use]
    pub fn wide_timestamps(mut self) -> Self {
        self.wide_timestamps = true;
        self
    }

    /// Guards what is read from expiry: the snapshot gets a tag (`batch-read-..`) before files are looked for, which goes
    /// when the read ends or is dropped. A read that dies leaves the tag, and expiry takes it when this time is over, which
    /// must be longer than the read. Option `scan.plan-auto-tag-for-read.time-retained` does so for every read; then one
    /// that can make no tag goes on without, while this fails.
    #[must_use]
    pub fn protect(mut self, time_retained: Duration) -> Self {
        self.protect = Some(time_retained);
        self
    }

    /// The bytes that the read may hold in fetched pages, decoded batches and batches that wait, 32 MiB or more; the rows of
    /// an order are held beside them. Unless told, up to 384 MiB for each of two buckets that are read at once.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// The schema that rows come out in, whose columns filters and selections name: the newest one, or that of a look back.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for a snapshot that is not there.
    pub async fn schema(&self) -> Result<Arc<Schema>> {
        shown_schema(&self.history, &self.handle()?, &self.point()?).await
    }

    /// The schema, with the columns of row tracking where they are asked for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a table without them.
    fn handle(&self) -> Result<Arc<Schema>> {
        let enabled = self.schema.tracks(ROW_ID);
        if self.row_tracking && !enabled {
            return Err(Error::invalid("row ids of a table without option row-tracking.enabled = true"));
        }
        let selected = self.select.iter().flatten().any(|column| self.schema.tracks(column));
        let filtered = || self.filter.iter().flat_map(Expr::columns).any(|column| self.schema.tracks(&column));
        let ordered = self.order.iter().any(|sort| self.schema.tracks(&sort.column));
        match self.row_tracking || selected || ordered || filtered() {
            true => Ok(Arc::new(self.schema.with_row_tracking())),
            false => Ok(Arc::clone(&self.schema)),
        }
    }

    /// Plans the read. Its splits may be read by other processes, each with [`ScanBuilder::read_splits`]. No tag is made:
    /// [`ScanBuilder::plan_guarded`] does that.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] for a snapshot that is not there, [`crate::Error::Unsupported`] for a feature this version cannot
    /// read, [`crate::Error::Invalid`] for a filter that does not fit.
    pub async fn plan(&self) -> Result<Plan> {
        check_read_memory(self.memory)?;
        plan(&self.history, &self.handle()?, &self.point()?, self.levels, self.filter.as_ref()).await
    }

    /// Plans the read with the tag that guards it, where it is asked for. The tag goes when it is dropped or released, so
    /// keep it until all splits are read.
    ///
    /// # Errors
    /// As [`ScanBuilder::plan`]; those of [`crate::Table::create_tag`] where [`ScanBuilder::protect`] asks for the tag.
    pub async fn plan_guarded(&self) -> Result<(Plan, Option<ReadTag>)> {
        check_read_memory(self.memory)?;
        let (handle, at) = (self.handle()?, self.point()?);
        let options = TableOptions::checked(&handle, Use::Read)?;
        let mut tries = 1;
        let (found, guard) = loop {
            let Some(found) = at.find(&self.history, &options).await? else { break (None, None) };
            match self.guard(&found.snapshot, &options).await {
                Err(Error::NotFound(_)) if !found.looks_back && tries < TRIES => tries += 1,
                guard => break (Some(found), guard?),
            }
        };
        match plan_found(&self.history, &handle, found.as_ref(), self.levels, self.filter.as_ref()).await {
            Ok(plan) => Ok((plan, guard)),
            Err(error) => Err(released(guard, error).await),
        }
    }

    async fn guard(&self, snapshot: &Snapshot, options: &TableOptions) -> Result<Option<ReadTag>> {
        let Some(time_retained) = self.protect.or(options.read_tag) else { return Ok(None) };
        let retention = Retention::of(options);
        let expirer = Expirer::new(self.history.clone(), Arc::clone(&self.schema), options.clone(), retention);
        match expirer.tag_for_read(snapshot, time_retained).await {
            Ok(tag) => Ok(Some(tag)),
            // The snapshot expired: there is nothing left to read.
            Err(error @ Error::NotFound(_)) => Err(error),
            Err(error) if self.protect.is_some() => Err(error),
            Err(error) => {
                tracing::warn!(table = ?self.history.store, %error, "a read goes on without a tag that guards it");
                Ok(None)
            }
        }
    }

    fn point(&self) -> Result<At> {
        at_or_told(self.at.as_ref(), &self.schema, self.history.store.env())
    }

    /// Plans and reads.
    ///
    /// # Errors
    /// As [`ScanBuilder::plan`]; the stream's items carry errors of reading.
    pub async fn read(&self) -> Result<RowStream> {
        let (plan, guard) = self.plan_guarded().await?;
        match self.read_with(plan.schema, plan.filter, plan.splits).await {
            Ok(rows) => Ok(guarded(rows, guard)),
            Err(error) => Err(released(guard, error).await),
        }
    }

    /// How many rows the read shows, within its limit. Files that are read without merging tell it themselves, where no
    /// condition looks into them and their deletion vectors tell how many rows they mask; others are read, as few columns
    /// as it takes.
    ///
    /// # Errors
    /// As [`ScanBuilder::plan`]; the store's errors.
    pub async fn count(&self) -> Result<u64> {
        let (plan, guard) = self.plan_guarded().await?;
        let counted = self.count_planned(plan).await;
        if let Some(guard) = guard {
            drop(guard.release().await);
        }
        counted
    }

    async fn count_planned(&self, plan: Plan) -> Result<u64> {
        let most = self.limit.map_or(u64::MAX, |limit| limit as u64);
        let (mut rows, splits) = counted(&plan)?;
        if splits.is_empty() || rows >= most {
            return Ok(rows.min(most));
        }
        let limit = usize::try_from(most - rows).ok();
        let bare = Self { select: Some(Vec::new()), limit, order: Vec::new(), ..self.clone() };
        let mut batches = bare.read_with(plan.schema, plan.filter, splits).await?;
        while let Some(batch) = batches.next_batch().await? {
            rows += batch.num_rows() as u64;
        }
        Ok(rows)
    }

    /// Reads what [`ScanBuilder::plan_guarded`] gave. The tag goes with the last row, or when the rows are dropped.
    ///
    /// # Errors
    /// As [`ScanBuilder::read_splits`].
    pub async fn read_guarded(&self, splits: Vec<Split>, guard: Option<ReadTag>) -> Result<RowStream> {
        match self.read_splits(splits).await {
            Ok(rows) => Ok(guarded(rows, guard)),
            Err(error) => Err(released(guard, error).await),
        }
    }

    /// Reads splits that were planned by this process or another one.
    ///
    /// # Errors
    /// The store's errors; [`crate::Error::Invalid`] for a column that is not there.
    pub async fn read_splits(&self, splits: Vec<Split>) -> Result<RowStream> {
        let schema = match splits.first() {
            Some(split) => schema_of(&self.history, &self.handle()?, split.schema_id).await?,
            None => self.schema().await?,
        };
        let filter = self.filter.as_ref().map(|filter| filter.bind(&schema)).transpose()?;
        self.read_with(schema, filter, splits).await
    }

    async fn read_with(&self, schema: Arc<Schema>, filter: Option<Expr>, splits: Vec<Split>) -> Result<RowStream> {
        let select = match &self.select {
            Some(names) => schema.positions(names)?,
            None if self.row_tracking => (0..schema.fields.len()).collect(),
            None => (0..schema.fields.len()).filter(|at| !schema.tracks(&schema.fields[*at].name)).collect(),
        };
        let batch_rows = TableOptions::parse(&schema)?.read_batch_rows;
        let request = ReadRequest { schema, select, filter, batch_rows, wide_timestamps: self.wide_timestamps };
        if !self.order.is_empty() {
            return self.read_ordered(request, splits).await;
        }
        let reader = SplitReader::new(&self.history, request, &splits).await?.within(self.memory, SPLITS_AT_ONCE)?;
        Ok(RowStream::new(reader, splits, self.limit))
    }

    async fn read_ordered(&self, shown: ReadRequest, splits: Vec<Split>) -> Result<RowStream> {
        check_order(&self.order, &shown.schema)?;
        let limit =
            self.limit.ok_or_else(|| Error::invalid("an order needs a limit: the first rows of it are shown"))?;
        let mut ordered = ReadRequest { wide_timestamps: true, ..shown.clone() };
        for sort in &self.order {
            let at = shown.schema.require(&sort.column)?;
            if !ordered.select.contains(&at) {
                ordered.select.push(at);
            }
        }
        let reader = SplitReader::new(&self.history, ordered, &splits).await?.within(self.memory, SPLITS_AT_ONCE)?;
        let rows = reader.first_rows(splits, &self.order, limit).await?;
        let columns: Vec<usize> = (0..shown.select.len()).collect();
        let rows = rows.project(&columns).map_err(|error| Error::bug(error.to_string()))?;
        Ok(RowStream::of_rows(reader, &shown.show(rows)?, shown.batch_rows))
    }
}

/// Rows whose tag goes behind the last one.
fn guarded(rows: RowStream, guard: Option<ReadTag>) -> RowStream {
    match guard {
        None => rows,
        Some(tag) => rows.released_by(Box::new(move || async move { drop(tag.release().await) }.boxed())),
    }
}

/// The error of a read that came to nothing, when its tag is gone.
async fn released(guard: Option<ReadTag>, error: Error) -> Error {
    if let Some(guard) = guard {
        drop(guard.release().await);
    }
    error
}
