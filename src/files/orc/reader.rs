//! Reading an ORC data file as batches of lanes.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBufferBuilder;
use arrow_schema::{Field, Schema, SchemaRef};
use bytes::Bytes;
use orc_rust::array_decoder::NaiveStripeDecoder;
use orc_rust::projection::ProjectionMask;
use orc_rust::reader::metadata::FileMetadata;
use orc_rust::schema::RootDataType;
use tokio::runtime::Handle;

use super::lanes::{Times, decoded_type, lane, nulls};
use super::stripes::{Pieces, footer, footer_range, ranges, stripe};
use super::{corrupt, undecoded};
use crate::error::Result;
use crate::files::layout::{KIND_NAME, SEQUENCE_NAME};
use crate::files::reader::{FileBatch, ReadPlan, contained};
use crate::files::system::{kinds_of, sequence_of};
use crate::io::TableStore;
use crate::types::TypeKind;

/// A file of this size or less is read at once; of others this much of the end.
const WHOLE: u64 = 512 << 10;
const TAIL: u64 = 64 << 10;
/// A stripe of this size or less is read at once.
const WHOLE_STRIPE: u64 = 1 << 20;

/// The batches of one file.
pub(in crate::files) struct OrcReader {
    path: String,
    store: TableStore,
    runtime: Handle,
    plan: ReadPlan,
    metadata: FileMetadata,
    columns: Columns,
    /// The end of the file.
    tail: Pieces,
    /// The next stripe.
    next: usize,
    stripe: Option<(NaiveStripeDecoder, Times)>,
    /// Rows passed in the file.
    row: u64,
    done: bool,
}

/// The columns that are decoded of a file.
struct Columns {
    stored: RootDataType,
    decoded: SchemaRef,
    /// For each column out its place among them.
    places: Vec<Option<usize>>,
    /// The places of sequence numbers and kinds, if asked for.
    versions: Option<(usize, usize)>,
}

impl Columns {
    fn find(metadata: &FileMetadata, plan: &ReadPlan) -> Result<Self> {
        let named = plan.columns.iter().filter_map(|column| Some((column.in_file.as_deref()?, &column.data_type.kind)));
        let system = [(SEQUENCE_NAME, &TypeKind::BigInt), (KIND_NAME, &TypeKind::TinyInt)];
        let wanted: Vec<(&str, &TypeKind)> = named.chain(system.into_iter().filter(|_| plan.versions)).collect();
        let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
        let root = metadata.root_data_type();
        let stored = root.project(&ProjectionMask::named_roots(root, &names));
        let mut fields = Vec::with_capacity(stored.children().len());
        for column in stored.children() {
            let mut decoded = None;
            for (name, kind) in wanted.iter().filter(|(name, _)| *name == column.name()) {
                decoded = Some(decoded_type(name, Some(kind), column.data_type())?);
            }
            let decoded = decoded.ok_or_else(|| corrupt(format!("column {} is not asked for", column.name())))?;
            fields.push(Field::new(column.name(), decoded, true));
        }
        let place = |name: &str| stored.children().iter().position(|column| column.name() == name);
        let places = plan.columns.iter().map(|column| place(column.in_file.as_deref()?)).collect();
        let system =
            |name: &str| place(name).ok_or_else(|| corrupt(format!("a primary-key table's file has no column {name}")));
        let versions = if plan.versions { Some((system(SEQUENCE_NAME)?, system(KIND_NAME)?)) } else { None };
        Ok(Self { stored, decoded: Arc::new(Schema::new(fields)), places, versions })
    }
}

impl OrcReader {
    /// Opens a file. Blocks: call it on the blocking pool.
    ///
    /// # Errors
    /// The store's errors; [`crate::Error::Corrupt`] when the file is no ORC file of these columns.
    pub(in crate::files) fn open(
        store: &TableStore,
        runtime: &Handle,
        path: &str,
        size: u64,
        plan: ReadPlan,
    ) -> Result<Self> {
        let open = || Self::open_file(store, runtime, path, size, plan).map_err(|error| error.in_file(path));
        contained(path, open)
    }

    fn open_file(store: &TableStore, runtime: &Handle, path: &str, size: u64, plan: ReadPlan) -> Result<Self> {
        let fetch = |range: Range<u64>| {
            let (from, to) = (plan.start.saturating_add(range.start), plan.start.saturating_add(range.end));
            let bytes = runtime.block_on(store.read_range(path, from..to))?;
            match bytes.len() as u64 == range.end - range.start {
                true => Ok((range.start, bytes)),
                false => Err(corrupt(format!("the file is shorter than the {size} bytes its manifest tells"))),
            }
        };
        let begin = if size <= WHOLE { 0 } else { size - TAIL };
        let mut tail = Pieces(vec![fetch(begin..size)?]);
        let metadata = loop {
            match footer(size, &tail)? {
                Ok(metadata) => break metadata,
                Err(missing) => tail.0.push(fetch(missing)?),
            }
        };
        if metadata.number_of_rows() != plan.rows {
            let rows = metadata.number_of_rows();
            return Err(corrupt(format!("{rows} rows, not the {} that its manifest tells", plan.rows)));
        }
        if let Some(last) = plan.masked.as_ref().and_then(|vector| vector.last()).filter(|last| *last >= plan.rows) {
            return Err(corrupt(format!("its deletion vector masks row {last} of {}", plan.rows)));
        }
        let columns = Columns::find(&metadata, &plan)?;
        let (path, store, runtime) = (path.to_string(), store.clone(), runtime.clone());
        Ok(Self { path, store, runtime, plan, metadata, columns, tail, next: 0, stripe: None, row: 0, done: false })
    }

    fn next_batch(&mut self) -> Result<Option<FileBatch>> {
        loop {
            let Some((decoder, times)) = &mut self.stripe else {
                if !self.next_stripe()? {
                    return Ok(None);
                }
                continue;
            };
            let times = *times;
            match decoder.next() {
                Some(batch) => {
                    let batch = batch.map_err(undecoded)?;
                    return self.batch(&batch, times).map(Some);
                }
                None => self.stripe = None,
            }
        }
    }

    /// Goes on to the next stripe that has rows.
    fn next_stripe(&mut self) -> Result<bool> {
        let all = self.metadata.stripe_metadatas();
        let Some(at) = (self.next..all.len()).find(|at| all[*at].number_of_rows() > 0) else {
            self.next = all.len();
            return Ok(false);
        };
        self.next = at + 1;
        let info = &all[at];
        let end = footer_range(info).end;
        let mut pieces = Pieces::default();
        if self.tail.get(&footer_range(info)).is_none() {
            let whole = end - info.offset() <= WHOLE_STRIPE;
            pieces = self.fetch(&[if whole { info.offset()..end } else { footer_range(info) }])?;
        }
        let found = |range: &Range<u64>, pieces: &Pieces| pieces.get(range).or_else(|| self.tail.get(range));
        let told = found(&footer_range(info), &pieces).ok_or_else(|| corrupt("a stripe without a footer"))?;
        let needed = ranges(&self.metadata, &self.columns.stored, info, &told)?;
        let missing: Vec<Range<u64>> = needed.iter().filter(|range| found(range, &pieces).is_none()).cloned().collect();
        let fetched = if missing.is_empty() { Pieces::default() } else { self.fetch(&missing)? };
        let of = |range: &Range<u64>| Some((range.start, found(range, &pieces).or_else(|| fetched.get(range))?));
        let streams = Pieces(needed.iter().filter_map(of).collect::<Vec<(u64, Bytes)>>());
        let opened = stripe(&self.metadata, &self.columns.stored, info, &told, &streams)?;
        let times = Times::of(opened.writer_tz(), self.plan.zoned_digits);
        let schema = Arc::clone(&self.columns.decoded);
        let decoder = NaiveStripeDecoder::new(opened, schema, self.plan.batch_rows.clamp(1, 1 << 20));
        self.stripe = Some((decoder.map_err(undecoded)?, times));
        Ok(true)
    }

    fn fetch(&self, ranges: &[Range<u64>]) -> Result<Pieces> {
        let start = self.plan.start;
        let asked: Vec<Range<u64>> = ranges.iter().map(|range| start + range.start..start + range.end).collect();
        let bytes = self.runtime.block_on(self.store.read_ranges(&self.path, &asked))?;
        Ok(Pieces(ranges.iter().map(|range| range.start).zip(bytes).collect()))
    }

    fn batch(&mut self, decoded: &RecordBatch, times: Times) -> Result<FileBatch> {
        let rows = decoded.num_rows();
        let column = |at: usize| -> Result<&ArrayRef> {
            decoded.columns().get(at).ok_or_else(|| corrupt("a batch without one of its columns"))
        };
        let lanes = self.plan.columns.iter().zip(&self.columns.places).map(|(planned, place)| match place {
            Some(at) => {
                let stored = self.columns.stored.children()[*at].data_type();
                lane(&planned.name, &planned.data_type.kind, stored, column(*at)?, times)
            }
            None => Ok(nulls(&planned.data_type, rows)),
        });
        let columns = lanes.collect::<Result<Vec<_>>>()?;
        let (mut sequence, mut kinds) = (None, None);
        if let Some((numbers, kind)) = self.columns.versions {
            sequence = Some(sequence_of(column(numbers)?)?);
            kinds = kinds_of(column(kind)?)?;
        }
        let batch = FileBatch { columns, sequence, kinds, rows };
        let first = self.row;
        self.row += rows as u64;
        self.unmasked(batch, first)
    }

    /// Drops masked rows.
    fn unmasked(&self, batch: FileBatch, first: u64) -> Result<FileBatch> {
        let Some(vector) = &self.plan.masked else { return Ok(batch) };
        let end = first + batch.rows as u64;
        let mut masked = vector.ranges_from(first).take_while(|range| range.start < end).peekable();
        if masked.peek().is_none() {
            return Ok(batch);
        }
        let mut keep = BooleanBufferBuilder::new(batch.rows);
        keep.append_n(batch.rows, true);
        for range in masked {
            (range.start.max(first)..range.end.min(end)).for_each(|row| keep.set_bit((row - first) as usize, false));
        }
        batch.filter(&BooleanArray::new(keep.finish(), None))
    }
}

impl Iterator for OrcReader {
    type Item = Result<FileBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let path = self.path.clone();
        let batch = contained(&path, || self.next_batch().map_err(|error| error.in_file(&path))).transpose();
        self.done = !matches!(batch, Some(Ok(_)));
        batch
    }
}
