//! Reading one split.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int8Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use arrow_select::filter::{filter as keep_rows, filter_record_batch};
use tokio::runtime::Handle;

use super::columns::{Origin, PartitionValues, WorkColumns};
use super::fan_in::{Parts, Room, Spilling, parts, spilled_rows};
use super::index::IndexOf;
use super::row_ids::RowIds;
use super::spill::SpillFormat;
use crate::error::{Error, Result};
use crate::files::{FileBatch, ReadPlan, format_of, known_format, read_ahead, read_file};
use crate::format::{CompactedChangelog, DataFileMeta, Selection, Split, bucket_directory, data_file_path};
use crate::history::History;
use crate::lsm::merge::Deduplicate;
use crate::lsm::{
    CompactMerge, Compacted, KeepAll, KeyBound, KeyEncoder, MergeFunction, MergedBatch, Ranged, RunBatch, RunReader,
    SequenceOrder, age, compact_runs, merge, merge_runs, sections,
};
use crate::predicate::{Expr, evaluate};
use crate::scan::{FileVectors, load_vectors};
use crate::schema::{FileFormat, Schema, TableOptions};
use crate::types::{external_schema, lane_schema, to_external};

/// Bytes that all open columns of a merge may hold as fetched windows.
const WINDOW_BUDGET: u64 = 128 << 20;
const WINDOW: (u64, u64) = (16 << 10, 2 << 20);

/// Bytes that the decoded batches of all runs of a merge may hold, or those of a file that is read alone.
const BATCH_BUDGET: u64 = 256 << 20;
/// The fewest rows of such a batch, unless they are more than so many bytes in the file.
const LEAST_ROWS: u64 = 64;
const LEAST_BYTES: u64 = 256 << 10;
/// Batches of a run that are decoded at once, and how much larger than in the file a row may be in memory.
const BATCHES_OF_RUN: u64 = 4;
const EXPANSION: u64 = 4;

/// Splits that a stream reads at once.
pub(crate) const SPLITS_AT_ONCE: usize = 2;

/// The least memory of a read: a merge of many runs does not go below it.
pub const LEAST_READ_MEMORY: u64 = 32 << 20;

/// Checks the memory that a read is given.
///
/// # Errors
/// [`Error::Invalid`] for less than [`LEAST_READ_MEMORY`].
pub(crate) fn check_read_memory(memory: Option<u64>) -> Result<()> {
    match memory {
        Some(bytes) if bytes < LEAST_READ_MEMORY => {
            let least = LEAST_READ_MEMORY >> 20;
            Err(Error::invalid(format!("a memory of {bytes} bytes for reading: at least {least} mb are needed")))
        }
        _ => Ok(()),
    }
}

/// What rows come out, and how.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// The schema rows come out in.
    pub schema: Arc<Schema>,
    /// The columns shown, in order.
    pub select: Vec<usize>,
    /// Only rows for which this is true.
    pub filter: Option<Expr>,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Leave `TIMESTAMP(7..9)` as `Decimal128(38, 9)` seconds, which hold all years.
    pub wide_timestamps: bool,
}

impl ReadRequest {
    /// The columns of the batches.
    pub fn shown_schema(&self) -> SchemaRef {
        let fields = self.select.iter().map(|at| &self.schema.fields[*at]);
        let columns = fields.map(|field| (field.name.as_str(), &field.data_type));
        if self.wide_timestamps { lane_schema(columns) } else { external_schema(columns) }
    }

    /// Lanes of the shown columns as they come out.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time that Arrow's nanoseconds do not reach.
    pub fn show(&self, lanes: RecordBatch) -> Result<RecordBatch> {
        if self.wide_timestamps {
            return Ok(lanes);
        }
        let fields = self.select.iter().map(|at| &self.schema.fields[*at]);
        let columns = fields.zip(lanes.columns());
        let columns = columns.map(|(field, lane)| to_external(&field.name, &field.data_type.kind, lane));
        let options = RecordBatchOptions::new().with_row_count(Some(lanes.num_rows()));
        RecordBatch::try_new_with_options(self.shown_schema(), columns.collect::<Result<_>>()?, &options)
            .map_err(|error| Error::bug(error.to_string()))
    }
}

/// Reads splits of one table.
#[derive(Clone)]
pub struct SplitReader {
    history: History,
    runtime: Handle,
    pub(super) request: ReadRequest,
    options: TableOptions,
    work: WorkColumns,
    pub(super) key_places: Vec<usize>,
    pub(super) encoder: KeyEncoder,
    order: Option<SequenceOrder>,
    function: Arc<dyn MergeFunction>,
    /// The schemas of all files that are read.
    schemas: BTreeMap<i64, Arc<Schema>>,
    /// Bytes of fetched windows, and of decoded batches.
    budgets: (u64, u64),
    /// Splits that a stream reads at once.
    pub(super) at_once: usize,
    /// Decides by a working column which rows of a file are read.
    row_test: Option<(usize, RowTest)>,
    /// Told of all that is read.
    pace: Option<Pace>,
}

/// The rows of a batch of a file that are read, by the values of one column; `None` means all.
pub type RowTest = Arc<dyn Fn(&DataFileMeta, &ArrayRef) -> Result<Option<BooleanArray>> + Send + Sync>;

/// Told, on the thread that decodes them, of so many rows of a file that were read; it may make the thread wait.
pub type Pace = Arc<dyn Fn(&DataFileMeta, u64) -> Result<()> + Send + Sync>;

/// A batch out: rows and, for changes, their kinds.
pub type Rows = (RecordBatch, Option<Int8Array>);
pub(super) type Batches = Box<dyn Iterator<Item = Result<Rows>> + Send>;
pub(super) type MergedBatches = Box<dyn Iterator<Item = Result<MergedBatch>> + Send>;
/// The batches of a compaction.
pub type CompactedBatches = Box<dyn Iterator<Item = Result<Compacted>> + Send>;

impl SplitReader {
    /// A reader for splits whose files follow the schemas of `splits`. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The store's errors when a schema is loaded; [`Error::Unsupported`] for a merge engine this version lacks.
    pub async fn new(history: &History, request: ReadRequest, splits: &[Split]) -> Result<Self> {
        Self::with_columns(history, request, splits, &[]).await
    }

    /// The same reader, which works on more columns than it shows.
    pub(super) async fn with_columns(
        history: &History,
        request: ReadRequest,
        splits: &[Split],
        others: &[usize],
    ) -> Result<Self> {
        let schema = Arc::clone(&request.schema);
        let options = TableOptions::parse(&schema)?;
        let keys = schema.positions(&schema.trimmed_primary_keys())?;
        let sequence = schema.positions(&options.sequence_fields)?;
        let merges = splits.iter().any(|split| !split.raw);
        let mut work = WorkColumns::new(Arc::clone(&schema), &request.select, request.filter.as_ref(), others)?;
        let mut function: Arc<dyn MergeFunction> = Arc::new(KeepAll);
        if merges {
            let mut versions: Vec<usize> = keys.iter().chain(&sequence).copied().collect();
            versions.extend(others);
            versions.extend(merge::columns_for(&schema, &options, &work.positions)?);
            work = WorkColumns::new(Arc::clone(&schema), &request.select, request.filter.as_ref(), &versions)?;
            function = merge::of(&schema, &options, &work.positions)?;
        }
        let order = if sequence.is_empty() || !merges {
            None
        } else {
            let types = schema.types_of(&options.sequence_fields)?;
            Some(SequenceOrder::new(work.places(&sequence), &types, options.sequence_descending)?)
        };
        let mut schemas = BTreeMap::from([(schema.id, Arc::clone(&schema))]);
        for file in splits.iter().flat_map(|split| &split.files) {
            if let Entry::Vacant(missing) = schemas.entry(file.schema_id) {
                let schema = history.schemas.load(file.schema_id).await?;
                missing.insert(match request.schema.has_row_tracking() {
                    true => Arc::new(schema.with_row_tracking()),
                    false => schema,
                });
            }
        }
        Ok(Self {
            history: history.clone(),
            runtime: Handle::current(),
            key_places: work.places(&keys),
            encoder: KeyEncoder::new(&schema.types_of(&schema.trimmed_primary_keys())?)?,
            function,
            request,
            options,
            work,
            order,
            schemas,
            budgets: (WINDOW_BUDGET, BATCH_BUDGET),
            at_once: SPLITS_AT_ONCE,
            row_test: None,
            pace: None,
        })
    }

    /// The same reader, which passes over rows of files before they are merged. The column must be one that is shown.
    ///
    /// # Errors
    /// [`Error::Bug`] for another column.
    pub fn with_row_test(mut self, column: usize, test: RowTest) -> Result<Self> {
        let place = self.work.positions.iter().position(|position| *position == column);
        self.row_test = Some((place.ok_or_else(|| Error::bug("the tested column is not read"))?, test));
        Ok(self)
    }

    /// The same reader, which tells how far it is.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// The same reader, whose merges hold so many bytes.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.budgets = (bytes / 3, bytes / 3 * 2);
        self
    }

    /// The same reader, all of whose splits together hold so many bytes, those that wait to be taken included; none for
    /// what fits most machines. No more than `at_once` of them are read side by side.
    ///
    /// # Errors
    /// [`Error::Invalid`] for less than [`LEAST_READ_MEMORY`].
    pub fn within(self, memory: Option<u64>, at_once: usize) -> Result<Self> {
        check_read_memory(memory)?;
        let Some(bytes) = memory else { return Ok(self) };
        let at_once = if bytes >= 2 * LEAST_READ_MEMORY { at_once } else { 1 };
        // A quarter is for rows that are ready.
        Ok(Self { at_once, ..self.with_memory(bytes / 4 * 3 / at_once as u64) })
    }

    pub(super) fn with_half_of_memory(mut self) -> Self {
        self.budgets = (self.budgets.0 / 2, self.budgets.1 / 2);
        self
    }

    /// The schemas of all files that are read.
    pub(super) fn schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.schemas.values()
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A file that is not there any more because its snapshot expired is told as that. Blocks.
    pub(super) fn explain(&self, split: &Split, error: Error) -> Error {
        self.runtime.block_on(self.history.snapshots.explain(split.snapshot_id, split.changes, error))
    }

    /// The columns of the batches.
    pub fn shown_schema(&self) -> SchemaRef {
        self.request.shown_schema()
    }

    /// The rows of a split, decoded ahead of the caller. Blocks while it is iterated: use it on the blocking pool.
    ///
    /// # Errors
    /// The items carry the store's errors and [`Error::Corrupt`] with the file.
    pub fn read(&self, split: &Split) -> Result<Batches> {
        let files = self.files_of(split)?;
        if split.raw {
            return Ok(self.read_raw(files, split.changes));
        }
        self.read_merged(files)
    }

    /// The files of a split as sorted runs for whoever merges them: all working columns, versions and retractions
    /// included. Blocks.
    ///
    /// # Errors
    /// The store's errors; [`Error::Corrupt`] for damaged deletion vectors.
    pub fn bucket(&self, split: &Split) -> Result<BucketReader> {
        Ok(BucketReader { located: self.files_of(split)?, reader: self.clone() })
    }

    pub(super) fn files_of(&self, split: &Split) -> Result<Arc<Located>> {
        let directory = bucket_directory(&self.request.schema, &self.options, &split.partition, split.bucket)?;
        let partition = PartitionValues::of(&self.request.schema, &split.partition)?;
        let vectors = load_vectors(&self.history.store, &self.request.schema, &self.options, &split.vectors);
        let vectors = self.runtime.block_on(vectors)?;
        Ok(Arc::new(Located { directory, partition, files: split.files.clone(), vectors, groups: HashMap::new() }))
    }

    /// A reader of one file, mapped to the working columns. Runs on a thread of its own.
    fn open(
        &self,
        located: &Arc<Located>,
        file: &Arc<DataFileMeta>,
        versions: bool,
        bounds: Bounds,
    ) -> Box<dyn Iterator<Item = Result<FileBatch>> + Send> {
        let (this, located, file) = (self.clone(), Arc::clone(located), Arc::clone(file));
        let path = shown_path(&located.directory, &file);
        read_ahead(&self.runtime, path, move || this.open_here(&located, &file, versions, bounds))
    }

    fn open_here(
        self,
        located: &Arc<Located>,
        file: &DataFileMeta,
        versions: bool,
        Bounds { window, batch_rows }: Bounds,
    ) -> Result<Box<dyn Iterator<Item = Result<FileBatch>> + Send>> {
        let Place { path, start, size, format } = located.place(file)?;
        let path = path.as_str();
        let schema = self.schemas.get(&file.schema_id);
        let schema = schema.ok_or_else(|| Error::bug(format!("schema {} was not loaded", file.schema_id)))?;
        let rows = u64::try_from(file.row_count).map_err(|_| Error::corrupt(path, "_ROW_COUNT is negative"))?;
        let mut masked = located.vectors.get(&file.file_name).filter(|vector| !vector.is_empty()).cloned();
        let mut row_ids = RowIds::of(&self.request.schema, &self.work, file)?;
        let counts = row_ids.as_mut().is_some_and(|ids| ids.count(&mut masked));
        let selection = if counts { Selection::All } else { self.indexed(located, file, schema, versions)? };
        if selection.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        let origins = self.work.in_files_of(schema)?;
        // Bounds inside the file are of the type that was stored.
        let as_stored = |column: &str| {
            let same = |origin: &Origin| matches!(origin, Origin::File(planned) if planned.name == column);
            origins.iter().any(same)
        };
        let filter = if counts { None } else { self.pushed_filter(versions) };
        let filter = filter.and_then(|filter| filter.split_by(as_stored).0);
        let order_of_all = if versions && self.options.snapshot_ordering { file.order_of_all()? } else { None };
        let plan = ReadPlan {
            start,
            columns: origins.iter().filter_map(Origin::planned).cloned().collect(),
            versions,
            filter,
            masked: selection.masked(rows, masked),
            groups: located.groups.get(&file.file_name).cloned(),
            rows,
            batch_rows,
            window,
            zoned_digits: self.options.formats.orc_zoned_digits,
        };
        let whole = plan.groups.is_none();
        let batches = read_file(&self.history.store, &self.runtime, &format, (path, size), plan)?;
        let batches = Paced { batches, pace: self.pace, file: file.clone(), left: rows, whole };
        let (located, file, row_test) = (Arc::clone(located), file.clone(), self.row_test.clone());
        let batches = batches.map(move |batch| {
            let mut batch = batch?;
            let mut read = std::mem::take(&mut batch.columns).into_iter();
            for origin in &origins {
                batch.columns.push(match origin {
                    Origin::Partition(key, data_type) => located.partition.lane(*key, data_type, batch.rows)?,
                    file => file.lane(read.next().ok_or_else(|| Error::bug("a column was not read"))?)?,
                });
            }
            if let Some(row_ids) = &mut row_ids {
                batch = row_ids.fill(batch)?;
            }
            if let Some(number) = order_of_all {
                batch.sequence = Some(Int64Array::from_value(number, batch.rows));
            }
            match &row_test {
                Some((place, test)) => match test(&file, &batch.columns[*place])? {
                    Some(keep) => batch.filter(&keep),
                    None => Ok(batch),
                },
                None => Ok(batch),
            }
        });
        Ok(Box::new(batches.filter(|batch| batch.as_ref().map_or(true, |batch| batch.rows > 0))))
    }

    /// The rows of a file that its index leaves. Where versions are merged all of them are needed.
    fn indexed(&self, located: &Located, file: &DataFileMeta, schema: &Schema, versions: bool) -> Result<Selection> {
        let condition = if versions || !self.options.file_index.read { None } else { self.pushed_filter(false) };
        let Some(condition) = condition else { return Ok(Selection::All) };
        let index = IndexOf {
            store: &self.history.store,
            runtime: &self.runtime,
            directory: &located.directory,
            file,
            schemas: (schema, &self.request.schema),
        };
        index.select(&condition)
    }

    /// The filter that may drop rows inside a file: all of it in raw reads, the part on keys where versions are merged
    /// (a row of another version may match where this one does not).
    fn pushed_filter(&self, versions: bool) -> Option<Expr> {
        let keys = self.request.schema.trimmed_primary_keys();
        let partitions = &self.request.schema.partition_keys;
        let usable = |column: &str| {
            let in_partition = partitions.iter().any(|key| key == column);
            let told_besides = self.request.schema.tracks(column);
            !in_partition && !told_besides && (!versions || keys.iter().any(|key| key == column))
        };
        self.request.filter.clone().and_then(|filter| filter.split_by(usable).0)
    }

    fn read_raw(&self, located: Arc<Located>, changes: bool) -> Batches {
        let this = self.clone();
        let versions = changes && self.request.schema.has_primary_key();
        let window = (self.budgets.0 / 2 / self.work.positions.len().max(1) as u64).clamp(WINDOW.0, WINDOW.1);
        let directory = located.directory.clone();
        let files = located.files.clone();
        let batches = files.into_iter().flat_map({
            let this = this.clone();
            move |file| {
                let batch_rows = this.batch_rows(1, [&file]);
                this.open(&located, &file, versions, Bounds { window, batch_rows })
            }
        });
        Box::new(batches.map(move |batch| {
            let batch = batch?;
            this.finish(batch.columns, batch.kinds, batch.rows).map_err(|error| error.in_file(&directory))
        }))
    }

    fn read_merged(&self, located: Arc<Located>) -> Result<Batches> {
        let this = self.clone();
        let merged = self.sections_of(&located)?.into_iter().flat_map(move |runs| -> Batches {
            this.merge_section(&located, runs).unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
        });
        Ok(Box::new(merged))
    }

    /// The runs of each section of overlapping files, in key order.
    pub(super) fn sections_of(&self, located: &Located) -> Result<Vec<Vec<Vec<Arc<DataFileMeta>>>>> {
        let types = self.request.schema.types_of(&self.request.schema.trimmed_primary_keys())?;
        let mut ranged = Vec::with_capacity(located.files.len());
        for file in &located.files {
            let (min, max) = (KeyBound::of(&file.min_key, &types)?, KeyBound::of(&file.max_key, &types)?);
            ranged.push(Ranged { min, max, item: Arc::clone(file) });
        }
        let files = |run: Vec<Ranged<Arc<DataFileMeta>>>| run.into_iter().map(|ranged| ranged.item).collect();
        Ok(sections(ranged).into_iter().map(|section| section.into_iter().map(files).collect()).collect())
    }

    fn merge_section(&self, located: &Arc<Located>, runs: Vec<Vec<Arc<DataFileMeta>>>) -> Result<Batches> {
        let merged = self.merge_runs_of(located, runs)?;
        let directory = located.directory.clone();
        let this = self.clone();
        Ok(Box::new(merged.map(move |batch| {
            let batch = batch?.without_retractions()?;
            let rows = batch.num_rows();
            this.finish(batch.columns, None, rows).map_err(|error| error.in_file(&directory))
        })))
    }

    pub(super) fn merge_runs_of(
        &self,
        located: &Arc<Located>,
        runs: Vec<Vec<Arc<DataFileMeta>>>,
    ) -> Result<MergedBatches> {
        let (readers, batch_rows) = self.readers(located, runs, &self.function)?;
        merge_runs(readers, self.order.clone(), Arc::clone(&self.function), batch_rows)
    }

    /// A reader for each run, the oldest first, and the rows of their batches, which merged batches must not exceed
    /// either. Where the runs are too many to be open at once, those of level 0 are merged in parts before, by a function
    /// that may leave out versions only where it says that this changes nothing.
    fn readers(
        &self,
        located: &Arc<Located>,
        runs: Vec<Vec<Arc<DataFileMeta>>>,
        early: &Arc<dyn MergeFunction>,
    ) -> Result<(Vec<RunReader>, usize)> {
        // The other half is for larger windows and batches, which have budgets of their own.
        let room = Room {
            memory: (self.budgets.0 + self.budgets.1) / 2,
            columns: self.work.positions.len(),
            expansion: EXPANSION,
            least_batches,
        };
        let ages = Ages::of(&runs);
        if room.holds(&runs) {
            return Ok(self.open_runs(located, runs, &ages));
        }
        let key_types = self.request.schema.types_of(&self.request.schema.trimmed_primary_keys())?;
        let spilling = Spilling {
            format: SpillFormat::new(&self.work.lanes, self.encoder.clone(), self.key_places.clone()),
            order: self.order.clone(),
            function: Arc::clone(early),
            room,
        };
        let rows = spilled_rows(runs.iter().flatten());
        let Parts { upper, parts } = parts(runs, &key_types, &room)?;
        let mut merged = Vec::with_capacity(parts.len());
        for part in parts {
            let newest = part.iter().map(|file| ages.of_file(file)).max().unwrap_or(0);
            let (files, most) = self.open_runs(located, part.into_iter().map(|file| vec![file]).collect(), &ages);
            merged.push((newest, spilling.merge(files, rows.min(most), newest)?));
        }
        let flushed = spilling.merge_rest(merged, rows)?;
        let (mut readers, batch_rows) = self.open_runs(located, upper, &ages);
        readers.extend(flushed);
        Ok((readers, batch_rows))
    }

    /// A reader for each run, and the rows of their batches.
    fn open_runs(
        &self,
        located: &Arc<Located>,
        mut runs: Vec<Vec<Arc<DataFileMeta>>>,
        ages: &Ages,
    ) -> (Vec<RunReader>, usize) {
        // Older files first: the newer of two equal versions wins.
        runs.sort_by_cached_key(|run| run.iter().map(|file| ages.of_file(file)).max());
        let columns = (runs.len() * (self.work.positions.len() + 2)).max(1) as u64;
        let window = (self.budgets.0 / columns).clamp(WINDOW.0, WINDOW.1);
        let batch_rows = self.batch_rows(runs.len(), runs.iter().flatten());
        let bounds = Bounds { window, batch_rows };
        let aged = |run: Vec<Arc<DataFileMeta>>| run.into_iter().map(|file| (ages.of_file(&file), file)).collect();
        (runs.into_iter().map(|run| self.run(located, aged(run), bounds)).collect(), batch_rows)
    }

    /// Rows of a batch of each run, so that those of all runs stay within their budget.
    fn batch_rows<'a>(&self, runs: usize, files: impl IntoIterator<Item = &'a Arc<DataFileMeta>>) -> usize {
        rows_within(self.budgets.1, runs, files.into_iter().map(AsRef::as_ref)).min(self.request.batch_rows)
    }

    /// The files of one sorted run, one after another.
    fn run(&self, located: &Arc<Located>, files: Vec<(u32, Arc<DataFileMeta>)>, bounds: Bounds) -> RunReader {
        let open = {
            let (this, located) = (self.clone(), Arc::clone(located));
            move |(age, file): (u32, Arc<DataFileMeta>)| {
                let batches = this.open(&located, &file, true, bounds);
                batches.map(move |batch| batch.map(|batch| (age, Arc::clone(&file), batch)))
            }
        };
        let mut files = files.into_iter();
        // The first files of all runs are opened side by side, the others when they are reached.
        let at_once = !self.history.store.env().is_seeded();
        let first = if at_once { files.next().map(&open) } else { None };
        let batches = first.into_iter().chain(files.map(open)).flatten();
        let encode = self.clone();
        Box::new(batches.map(move |batch| {
            let (age, file, batch) = batch?;
            let keys: Vec<ArrayRef> = encode.key_places.iter().map(|at| batch.columns[*at].clone()).collect();
            let keys = encode.encoder.encode(&keys, batch.rows).map_err(|error| match error {
                Error::Invalid(what) => Error::corrupt(&file.file_name, what),
                other => other,
            })?;
            Ok(RunBatch {
                keys,
                sequence: batch.sequence.ok_or_else(|| Error::bug("a run without sequence numbers"))?,
                kinds: batch.kinds,
                columns: batch.columns,
                age,
                level: file.level,
            })
        }))
    }

    /// Filters working columns and turns them into what is shown.
    pub(super) fn finish(&self, columns: Vec<ArrayRef>, kinds: Option<Int8Array>, rows: usize) -> Result<Rows> {
        let mut batch = self.work.batch(columns, rows)?;
        let mut kinds = kinds;
        if let Some(filter) = &self.request.filter {
            let keep = evaluate(filter, &batch)?;
            if keep.true_count() < rows {
                batch = filter_record_batch(&batch, &keep).map_err(|error| Error::bug(error.to_string()))?;
                kinds = match kinds {
                    Some(kinds) => {
                        let kept = keep_rows(&kinds, &keep).map_err(|error| Error::bug(error.to_string()))?;
                        Some(Int8Array::from(kept.to_data()))
                    }
                    None => None,
                };
            }
        }
        Ok((self.show(&batch)?, kinds))
    }

    fn show(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let shown = batch.project(&self.work.shown).map_err(|error| Error::bug(error.to_string()))?;
        self.request.show(shown)
    }
}

/// Rows of a batch of each of so many runs, so that those of all runs take so many bytes. A file that fits into its
/// run's share as a whole does not count, however long its rows are.
fn rows_within<'a>(bytes: u64, runs: usize, files: impl Iterator<Item = &'a DataFileMeta>) -> usize {
    let share = bytes / (runs.max(1) as u64 * BATCHES_OF_RUN * EXPANSION);
    let of_file = |file: &DataFileMeta| {
        let size = file.file_size.max(0) as u64;
        let row = (size / file.row_count.max(1) as u64).max(1);
        (size > share).then(|| (share / row).max((LEAST_BYTES / row).clamp(1, LEAST_ROWS)))
    };
    usize::try_from(files.filter_map(of_file).min().unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}

/// Bytes of the batches of a run that no budget makes smaller.
fn least_batches(file: &DataFileMeta) -> u64 {
    let size = file.file_size.max(0) as u64;
    let row = (size / file.row_count.max(1) as u64).max(1);
    row.saturating_mul(LEAST_ROWS).min(LEAST_BYTES).min(size) * BATCHES_OF_RUN * EXPANSION
}

/// The places of the files of a merge from old to new.
struct Ages(HashMap<String, u32>);

impl Ages {
    fn of(runs: &[Vec<Arc<DataFileMeta>>]) -> Self {
        let mut files: Vec<&Arc<DataFileMeta>> = runs.iter().flatten().collect();
        files.sort_by_cached_key(|file| age(file));
        Self((0..).zip(files).map(|(place, file)| (file.file_name.clone(), place)).collect())
    }

    fn of_file(&self, file: &DataFileMeta) -> u32 {
        self.0.get(&file.file_name).copied().unwrap_or(0)
    }
}

/// The files of one bucket, to be merged by somebody else.
#[derive(Clone)]
pub struct BucketReader {
    reader: SplitReader,
    located: Arc<Located>,
}

impl BucketReader {
    /// The table's merge function.
    pub fn function(&self) -> &Arc<dyn MergeFunction> {
        &self.reader.function
    }

    /// The same reader, which reads of the files named only these row groups.
    #[must_use]
    pub fn within(&self, groups: HashMap<String, Vec<usize>>) -> Self {
        let located = Arc::new(Located { groups, ..self.located.as_ref().clone() });
        Self { reader: self.reader.clone(), located }
    }

    /// The rows of sorted runs as a compaction merges them, together with old rows from elsewhere, which are older than
    /// those of all the runs. Blocks while it is iterated.
    ///
    /// # Errors
    /// The items carry the store's errors and [`Error::Corrupt`] with the file.
    pub fn compact(
        &self,
        old: Option<RunReader>,
        runs: Vec<Vec<Arc<DataFileMeta>>>,
        merge: CompactMerge,
    ) -> Result<CompactedBatches> {
        // What is told of versions needs all of them.
        let all: Arc<dyn MergeFunction> = Arc::new(KeepAll);
        let early = if merge.changelog { &all } else { &merge.function };
        let (readers, batch_rows) = self.reader.readers(&self.located, runs, early)?;
        let readers = old.into_iter().chain(readers).collect();
        compact_runs(readers, self.reader.order.clone(), merge, batch_rows)
    }

    /// The keys of sorted runs, each once, as columns of the trimmed key, for a reader that selects these.
    ///
    /// # Errors
    /// As [`BucketReader::compact`].
    pub fn keys(
        &self,
        runs: Vec<Vec<Arc<DataFileMeta>>>,
    ) -> Result<impl Iterator<Item = Result<Vec<ArrayRef>>> + Send + use<>> {
        let any: Arc<dyn MergeFunction> = Arc::new(Deduplicate { ignore_delete: false });
        let (readers, batch_rows) = self.reader.readers(&self.located, runs, &any)?;
        let places = self.reader.key_places.clone();
        let merged = merge_runs(readers, None, any, batch_rows)?;
        Ok(merged.map(move |batch| {
            let batch = batch?;
            Ok(places.iter().map(|at| Arc::clone(&batch.columns[*at])).collect())
        }))
    }
}

/// What one open file may take.
#[derive(Clone, Copy)]
struct Bounds {
    /// Bytes fetched at once for each column.
    window: u64,
    /// Rows of a batch.
    batch_rows: usize,
}

/// The batches of a file, told to whoever keeps a pace.
struct Paced<I> {
    batches: I,
    pace: Option<Pace>,
    file: DataFileMeta,
    /// Rows that were not told yet.
    left: u64,
    /// All row groups are read: at the end the rows were passed over that did not come.
    whole: bool,
}

impl<I: Iterator<Item = Result<FileBatch>>> Iterator for Paced<I> {
    type Item = Result<FileBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next();
        let Some(pace) = &self.pace else { return batch };
        let rows = match &batch {
            Some(Ok(batch)) => (batch.rows as u64).min(self.left),
            None if self.whole => self.left,
            _ => 0,
        };
        self.left -= rows;
        match if rows > 0 { pace(&self.file, rows) } else { Ok(()) } {
            Ok(()) => batch,
            Err(error) => Some(Err(error)),
        }
    }
}

/// A split's files with what its bucket tells.
#[derive(Clone)]
pub(super) struct Located {
    pub(super) directory: String,
    partition: PartitionValues,
    files: Vec<Arc<DataFileMeta>>,
    vectors: FileVectors,
    /// Of the files named here only these row groups are read.
    groups: HashMap<String, Vec<usize>>,
}

/// Where the bytes of a data file are.
struct Place {
    path: String,
    start: u64,
    size: u64,
    format: FileFormat,
}

impl Located {
    fn place(&self, file: &DataFileMeta) -> Result<Place> {
        let path = data_file_path(&self.directory, file)?;
        match CompactedChangelog::of_name(&file.file_name)? {
            Some(told) => {
                let format = known_format(&shown_path(&self.directory, file), &told.format)?;
                Ok(Place { path, start: told.start, size: told.length, format })
            }
            None => {
                let size =
                    u64::try_from(file.file_size).map_err(|_| Error::corrupt(&path, "_FILE_SIZE is negative"))?;
                let format = format_of(&path)?;
                Ok(Place { path, start: 0, size, format })
            }
        }
    }
}

/// The path of a data file by its own name, for errors.
fn shown_path(directory: &str, file: &DataFileMeta) -> String {
    file.external_path.clone().unwrap_or_else(|| format!("{directory}/{}", file.file_name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::data_file;

    /// Text columns end at 2 GiB: 8192 rows of 300 KB do not fit into one.
    #[test]
    fn batches_of_long_rows_are_short() {
        let file = |rows: i64, row: i64| DataFileMeta { row_count: rows, ..data_file("f.parquet", rows * row) };
        let rows = |bytes, runs, files: &[DataFileMeta]| rows_within(bytes, runs, files.iter());
        let short = file(1_000_000, 100);
        assert_eq!(rows(BATCH_BUDGET, 1, &[file(10_000, 300 << 10)]), 54);
        assert_eq!(rows(BATCH_BUDGET, 1, &[file(40, 64 << 20)]), 1);
        assert!(rows(BATCH_BUDGET, 1, std::slice::from_ref(&short)) > 100_000);
        assert_eq!(rows(1 << 20, 1, std::slice::from_ref(&short)), 655);
        assert_eq!(rows(1 << 20, 10, std::slice::from_ref(&short)), 65);
        assert_eq!(rows(1 << 20, 100, std::slice::from_ref(&short)), 64);
        // The longest rows decide, unless their file is small as a whole.
        assert_eq!(rows(BATCH_BUDGET, 2, &[short.clone(), file(1000, 1 << 20)]), 8);
        assert_eq!(rows(1 << 20, 2, &[short.clone(), file(1, 20 << 10)]), 327);
        // A file that lies about itself is no reason to fail.
        assert_eq!(rows(BATCH_BUDGET, 1, &[file(0, 1), file(-1, 1)]), usize::MAX);
    }
}
