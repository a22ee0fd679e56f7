//! Reading a Parquet data file as batches of lanes.
//! Spec: `format-spec/data-files.md`.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int8Array, Int64Array, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_select::filter::filter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::basic::Type as Physical;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::SchemaDescriptor;
use tokio::runtime::Handle;

use super::bare::stored_lane;
use super::chunks::Chunks;
use super::int96::Int96Reader;
use super::layout::{KIND_NAME, SEQUENCE_NAME, leaves_of};
use super::mask;
use super::prune::Pruning;
use super::shred::splice;
use super::source::FileSource;
use crate::error::{Error, Result};
use crate::format::DeletionVector;
use crate::io::TableStore;
use crate::predicate::Expr;
use crate::types::{DataType, RowKind, TypeKind, lane_type, to_lane};

/// What to read of a file.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// Where the file begins in what has its path: not at 0 where it is a part of another file.
    pub start: u64,
    /// The columns out.
    pub columns: Vec<PlannedColumn>,
    /// Whether sequence numbers and kinds are read too.
    pub versions: bool,
    /// Rows that cannot match may be left out. Speaks of the table's columns.
    pub filter: Option<Expr>,
    /// Rows that are left out.
    pub masked: Option<Arc<DeletionVector>>,
    /// The row groups that are read, rising; `None` means all. Only of Parquet files.
    pub groups: Option<Vec<usize>>,
    /// How many rows the file must have.
    pub rows: u64,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// Bytes fetched at once for each column.
    pub window: u64,
    /// Whether ORC files hold the digits of local-zoned timestamps as times of their writer's zone.
    pub zoned_digits: bool,
}

/// A column to read.
#[derive(Debug, Clone)]
pub struct PlannedColumn {
    /// Its name in the table.
    pub name: String,
    /// Its name in the file; `None` where the file does not have it (all NULL).
    pub in_file: Option<String>,
    /// Its type in the table.
    pub data_type: DataType,
}

/// A batch of a file.
#[derive(Debug)]
pub struct FileBatch {
    /// The columns of the plan, as lanes.
    pub columns: Vec<ArrayRef>,
    /// Sequence numbers, if asked for.
    pub sequence: Option<Int64Array>,
    /// Row kinds, if asked for; `None` when all are `+I`.
    pub kinds: Option<Int8Array>,
    /// How many rows.
    pub rows: usize,
}

impl FileBatch {
    /// The rows for which `keep` is true.
    ///
    /// # Errors
    /// [`Error::Bug`] for a test of other rows.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self> {
        let kept = |lane: &dyn Array| filter(lane, keep).map_err(|error| Error::bug(error.to_string()));
        let columns = self.columns.iter().map(|lane| kept(lane)).collect::<Result<Vec<_>>>()?;
        let sequence = self.sequence.as_ref().map(|lane| kept(lane)).transpose()?;
        let kinds = self.kinds.as_ref().map(|lane| kept(lane)).transpose()?;
        Ok(FileBatch {
            columns,
            sequence: sequence.map(|lane| lane.as_primitive::<Int64Type>().clone()),
            kinds: kinds.map(|lane| lane.as_primitive::<Int8Type>().clone()),
            rows: keep.true_count(),
        })
    }
}

/// The batches of one file.
pub struct FileReader {
    path: String,
    source: Arc<FileSource>,
    plan: ReadPlan,
    /// Reads the file's other columns; gives row counts alone when all columns are INT96.
    batches: ParquetRecordBatchReader,
    /// For each column out, where it comes from.
    origins: Vec<Origin>,
    int96: Vec<Int96Reader<FileSource>>,
    /// For each column of the Arrow reader: the INT96 leaves in it.
    spliced: Vec<Vec<Option<usize>>>,
    /// With INT96 columns: the rows that are not masked, one bit for each row read, and how many were read.
    left: Option<(BooleanBuffer, usize)>,
    sequence: Option<usize>,
    kinds: Option<usize>,
}

enum Origin {
    Missing,
    Arrow(usize),
    Int96(usize),
}

impl FileReader {
    /// Opens a file. Blocks: call it on the blocking pool.
    ///
    /// # Errors
    /// The store's errors; [`Error::Corrupt`] when the file is no Parquet file of these columns.
    pub fn open(store: &TableStore, runtime: &Handle, path: &str, size: u64, plan: ReadPlan) -> Result<Self> {
        let source = FileSource::open(store, runtime, path.to_string(), (plan.start, size), plan.window)?;
        let opened = contained(path, || Self::open_file(Arc::clone(&source), path, plan));
        // The decoder may have panicked over what the store met.
        opened.map_err(|error| source.failure().unwrap_or(error))
    }

    fn open_file(source: Arc<FileSource>, path: &str, plan: ReadPlan) -> Result<Self> {
        let pages = plan.filter.is_some() || plan.masked.as_deref().is_some_and(mask::may_mask_pages);
        let policy = if pages { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
        let footer = ParquetMetaDataReader::new().with_page_index_policy(policy).parse_and_finish(&*source);
        let metadata = Arc::new(footer.map_err(|error| source.error(&error))?);
        let rows = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        let rows = rows.fold(0_u64, u64::saturating_add);
        if rows != plan.rows {
            return Err(Error::corrupt(path, format!("{rows} rows, not the {} that its manifest tells", plan.rows)));
        }
        let (mask, slots) = Slots::find(path, &metadata, &plan)?;
        let groups = plan.groups.clone().unwrap_or_else(|| (0..metadata.num_row_groups()).collect());
        let mut pruning = match &plan.filter {
            Some(filter) => Pruning::plan(path, &metadata, &plan.columns, filter, groups)?,
            None => Pruning { groups, pages: None },
        };
        if !slots.int96.is_empty() {
            pruning.pages = None; // these columns are read row group by row group, in step with the others
        }
        let left = match &plan.masked {
            Some(vector) => Some(mask::unmasked(path, &metadata, &mut pruning, vector)?),
            None => None,
        };
        source.expect(chunk_ranges(&metadata, &slots.leaves, &pruning.groups));
        let int96 = slots
            .int96
            .iter()
            .map(|leaf| Int96Reader::new(Arc::clone(&source), Arc::clone(&metadata), *leaf, pruning.groups.clone()));
        let int96 = int96.collect();
        let selection = match (left.as_ref().filter(|_| slots.int96.is_empty()), pruning.pages) {
            (Some(left), _) => Some(mask::selection(left)),
            (None, pages) => pages,
        };
        let chunks = Chunks { source: Arc::clone(&source), metadata, groups: pruning.groups };
        let batches = chunks.batches(mask, plan.batch_rows.max(1), selection);
        let batches = batches.map_err(|error| source.error(&error))?;
        Ok(Self {
            path: path.to_string(),
            source,
            plan,
            batches,
            origins: slots.origins,
            int96,
            spliced: slots.spliced,
            left: left.filter(|_| !slots.int96.is_empty()).map(|left| (left, 0)),
            sequence: slots.sequence,
            kinds: slots.kinds,
        })
    }

    fn next_batch(&mut self) -> Result<Option<FileBatch>> {
        match self.batches.next() {
            None => Ok(None),
            Some(Ok(batch)) => self.convert(&batch).and_then(|batch| self.unmasked(batch)).map(Some),
            Some(Err(error)) => Err(self.source.error(&error)),
        }
    }

    fn convert(&mut self, batch: &arrow_array::RecordBatch) -> Result<FileBatch> {
        let rows = batch.num_rows();
        let mut columns_in = batch.columns().to_vec();
        let nested: Vec<usize> = self.spliced.iter().flatten().flatten().copied().collect();
        let mut int96 = Vec::with_capacity(self.int96.len());
        let mut values = vec![None; self.int96.len()];
        for (at, reader) in self.int96.iter_mut().enumerate() {
            if nested.contains(&at) {
                values[at] = Some(reader.read_values(rows).map_err(|error| self.source.error(&error))?);
            } else {
                int96.push(reader.read(rows).map_err(|error| self.source.error(&error))?);
            }
        }
        for (column, places) in columns_in.iter_mut().zip(&self.spliced).filter(|(_, places)| !places.is_empty()) {
            let mut leaves = places.iter().map(|place| place.and_then(|at| values[at].take()));
            *column = splice(column, &mut leaves).map_err(|what| Error::corrupt(&self.path, what))?;
        }
        let mut columns = Vec::with_capacity(self.origins.len());
        for (origin, planned) in self.origins.iter().zip(&self.plan.columns) {
            let lane = match origin {
                Origin::Missing => new_null_array(&lane_type(&planned.data_type.kind), rows),
                Origin::Int96(at) => int96[*at].clone(),
                Origin::Arrow(at) => stored_lane(&planned.name, &planned.data_type.kind, &columns_in[*at])
                    .map_err(|error| Error::corrupt(&self.path, error.to_string()))?,
            };
            columns.push(lane);
        }
        let wrong = |name: &str| Error::corrupt(&self.path, format!("column {name} has the wrong type"));
        let sequence = self.sequence.map(|at| {
            let lane = batch.column(at).as_primitive_opt::<Int64Type>().filter(|lane| lane.null_count() == 0);
            lane.cloned().ok_or_else(|| wrong(SEQUENCE_NAME))
        });
        let kinds = self.kinds.map(|at| self.kinds_of(batch.column(at)));
        Ok(FileBatch { columns, sequence: sequence.transpose()?, kinds: kinds.transpose()?.flatten(), rows })
    }

    /// Drops masked rows where the Arrow reader could not.
    fn unmasked(&mut self, batch: FileBatch) -> Result<FileBatch> {
        let Some((left, read)) = &mut self.left else { return Ok(batch) };
        if left.len() < *read + batch.rows {
            return Err(Error::corrupt(&self.path, "more rows than its footer tells"));
        }
        let keep = BooleanArray::new(left.slice(*read, batch.rows), None);
        *read += batch.rows;
        batch.filter(&keep)
    }

    fn kinds_of(&self, column: &ArrayRef) -> Result<Option<Int8Array>> {
        let lane = to_lane(KIND_NAME, &TypeKind::TinyInt, column)
            .map_err(|error| Error::corrupt(&self.path, error.to_string()))?;
        let kinds = lane.as_primitive::<Int8Type>();
        if let Some(bad) = kinds.iter().find(|kind| !matches!(kind, Some(0..=3))) {
            return Err(Error::corrupt(&self.path, format!("column {KIND_NAME}: {bad:?} is no row kind")));
        }
        Ok(kinds.values().iter().any(|kind| *kind != RowKind::Insert as i8).then(|| kinds.clone()))
    }
}

impl Iterator for FileReader {
    type Item = Result<FileBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let path = self.path.clone();
        let batch = contained(&path, || self.next_batch());
        batch.map_err(|error| self.source.failure().unwrap_or(error)).transpose()
    }
}

/// Runs the decoder. Damaged bytes make it panic in a few places; that is the file's fault and no bug of ours.
pub(super) fn contained<T>(path: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
        Err(Error::corrupt(path, format!("its decoder gave up: {}", text.unwrap_or("no reason given"))))
    })
}

/// Where the planned columns stand in a file.
struct Slots {
    origins: Vec<Origin>,
    /// Leaves read as INT96.
    int96: Vec<usize>,
    /// For each column that the Arrow reader gives: which of `int96` its leaves are, if it is nested and has such.
    spliced: Vec<Vec<Option<usize>>>,
    /// All leaves that are read.
    leaves: Vec<usize>,
    sequence: Option<usize>,
    kinds: Option<usize>,
}

impl Slots {
    fn find(path: &str, metadata: &ParquetMetaData, plan: &ReadPlan) -> Result<(ProjectionMask, Self)> {
        let descriptor = metadata.file_metadata().schema_descr();
        let root = |name: &str| descriptor.root_schema().get_fields().iter().position(|field| field.name() == name);
        // Columns of the file that the Arrow reader reads, and those that are a single INT96 leaf.
        let (mut arrow, mut flat) = (Vec::new(), Vec::new());
        let mut wanted = Vec::with_capacity(plan.columns.len());
        for planned in &plan.columns {
            let Some(name) = &planned.in_file else {
                wanted.push(None);
                continue;
            };
            // A column that the file's schema has but the file has not is NULL, as Java reads it.
            let found = root(name);
            if let Some(root) = found {
                let leaves = leaves_of(descriptor, root);
                check_leaves(path, descriptor, leaves.clone(), name, &planned.data_type.kind)?;
                let single = is_flat_int96(descriptor, leaves.start);
                let list = if single { &mut flat } else { &mut arrow };
                if !list.contains(&root) {
                    list.push(root);
                }
            }
            wanted.push(found);
        }
        let system = |name: &str| {
            root(name).ok_or_else(|| Error::corrupt(path, format!("a primary-key table's file has no column {name}")))
        };
        let versions = if plan.versions { Some((system(SEQUENCE_NAME)?, system(KIND_NAME)?)) } else { None };
        if let Some((sequence, kind)) = versions {
            arrow.extend([sequence, kind]);
        }
        arrow.sort_unstable();
        arrow.dedup();
        let place = |root: usize| arrow.iter().position(|other| *other == root);
        let origins = wanted.into_iter().map(|root| {
            let of = |root| place(root).map(Origin::Arrow);
            let rare = |root| flat.iter().position(|other| *other == root).map(Origin::Int96);
            root.and_then(|root| of(root).or_else(|| rare(root))).unwrap_or(Origin::Missing)
        });
        let origins = origins.collect();
        let mut int96: Vec<usize> = flat.iter().map(|root| leaves_of(descriptor, *root).start).collect();
        let spliced = arrow.iter().map(|root| {
            let leaves = leaves_of(descriptor, *root);
            let place = |leaf: usize| {
                is_int96(descriptor, leaf).then(|| {
                    int96.push(leaf);
                    int96.len() - 1
                })
            };
            let places: Vec<Option<usize>> = leaves.map(place).collect();
            if places.iter().any(Option::is_some) { places } else { Vec::new() }
        });
        let spliced = spliced.collect();
        let mask = ProjectionMask::roots(descriptor, arrow.iter().copied());
        let leaves = arrow.iter().chain(&flat).flat_map(|root| leaves_of(descriptor, *root)).collect();
        let (sequence, kinds) = (versions.and_then(|(at, _)| place(at)), versions.and_then(|(_, at)| place(at)));
        Ok((mask, Self { origins, int96, spliced, leaves, sequence, kinds }))
    }
}

fn is_int96(descriptor: &SchemaDescriptor, leaf: usize) -> bool {
    leaf < descriptor.num_columns() && descriptor.column(leaf).physical_type() == Physical::INT96
}

/// Whether a leaf is an INT96 column of its own.
pub(super) fn is_flat_int96(descriptor: &SchemaDescriptor, leaf: usize) -> bool {
    is_int96(descriptor, leaf) && descriptor.column(leaf).path().parts().len() == 1
}

/// INT96 is for timestamps of nanoseconds alone: elsewhere the Arrow reader would make numbers of it that have wrapped.
pub(super) fn check_leaves(
    path: &str,
    descriptor: &SchemaDescriptor,
    leaves: Range<usize>,
    name: &str,
    kind: &TypeKind,
) -> Result<()> {
    let holds = kind.any(&|kind| matches!(kind, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..)));
    if !holds && leaves.clone().any(|leaf| is_int96(descriptor, leaf)) {
        let what = format!("column {name} is stored as INT96, which is no {kind}");
        return Err(Error::corrupt(path, what));
    }
    let shredded = |leaf: usize| descriptor.column(leaf).path().parts().iter().skip(1).any(|part| part == TYPED_VALUE);
    if kind.any(&|kind| *kind == TypeKind::Variant) && leaves.into_iter().any(shredded) {
        return Err(Error::unsupported(format!("{path}: column {name} has VARIANT values that are shredded")));
    }
    Ok(())
}

/// The field of a shredded VARIANT that holds what was pulled out of it.
const TYPED_VALUE: &str = "typed_value";

fn chunk_ranges(metadata: &ParquetMetaData, leaves: &[usize], groups: &[usize]) -> Vec<(u64, u64)> {
    let ranges = groups.iter().flat_map(|group| {
        leaves.iter().map(|leaf| {
            let (start, length) = metadata.row_group(*group).column(*leaf).byte_range();
            (start, start.saturating_add(length))
        })
    });
    ranges.collect()
}
