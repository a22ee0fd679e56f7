//! Writing one Parquet data file, its columns in parallel.
//!
//! Rows come as slabs. A column of a slab is gathered and encoded by one task; a `_KEY_` column and the value
//! column it repeats share the gathering. Encoded pages wait in memory until their row group is closed.
//! Spec: `format-spec/data-files.md`.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType as ArrowType, FieldRef};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::Int96Type;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;

use super::layout::{ColumnSource, FileLayout};
use super::packing::{PackedColumn, Packing};
use super::row_groups::{CREATED_BY, Copied, RowGroup, RowGroups};
use super::statistics::{FloatBounds, float_bounds, has_nan, widen_bounds};
use super::{int96, shred};
use crate::error::{Error, Result};
use crate::types::DataType;

/// Some rows to write.
pub trait Slab: Sync {
    /// How many.
    fn rows(&self) -> usize;
    /// The values of one column in a range of the rows, as a lane. Called from several threads.
    ///
    /// # Errors
    /// What gathering the column met.
    fn column(&self, source: ColumnSource, rows: Range<usize>) -> Result<ArrayRef>;
}

/// How a file is encoded.
#[derive(Debug, Clone)]
pub struct Encoding {
    /// The codec of its pages.
    pub compression: Compression,
    /// `false` forbids dictionaries; otherwise columns with few values get one.
    pub dictionary: bool,
    /// The same, decided by the user for single columns.
    pub dictionary_of: BTreeMap<String, bool>,
    /// Bytes of a dictionary, after which its column goes on without.
    pub dictionary_page_bytes: usize,
    /// Encoded bytes after which a row group is closed.
    pub row_group_bytes: usize,
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Rows of a page.
    pub page_rows: usize,
    /// Threads that encode.
    pub threads: usize,
}

/// A file being written.
pub(super) struct FileWriter<W: Write + Send> {
    layout: Arc<FileLayout>,
    encoding: Encoding,
    file: SerializedFileWriter<W>,
    factory: ArrowRowGroupWriterFactory,
    packing: Arc<Packing>,
    group: Option<Vec<Mutex<Slot>>>,
    groups: usize,
    closed_bytes: u64,
    rows: u64,
    float_bounds: Vec<FloatBounds>,
}

/// One column of the open row group.
struct Slot {
    /// One for each of its leaves.
    encoders: Vec<Encoder>,
    float_bounds: FloatBounds,
}

enum Encoder {
    Arrow(Box<ArrowColumnWriter>, PackedColumn),
    /// INT96 leaves wait beside the others: the Arrow writer cannot encode them.
    Int96(Vec<int96::Encoded>),
}

/// What a file begins with.
pub(super) enum First<'a> {
    Rows(&'a dyn Slab),
    /// A row group of another file.
    Group(&'a RowGroups, &'a RowGroup),
}

/// What a finished file tells.
pub(super) struct Finished {
    /// Its row groups, with the statistics of their columns.
    pub groups: Vec<RowGroupMetaData>,
    /// The bounds of each column of floats.
    pub float_bounds: Vec<FloatBounds>,
}

impl<W: Write + Send> FileWriter<W> {
    /// Begins a file; what comes first tells which columns are worth a dictionary.
    pub(super) fn new(layout: Arc<FileLayout>, encoding: Encoding, out: W, first: &First<'_>) -> Result<Self> {
        let properties = Arc::new(properties(&layout, &encoding, first)?);
        let root = layout.parquet.root_schema_ptr();
        let file = SerializedFileWriter::new(out, root, properties).map_err(write_error)?;
        let packing = Arc::new(Packing::new(encoding.compression));
        let factory = ArrowRowGroupWriterFactory::new(&file, layout.arrow.clone());
        let factory = factory.with_page_store_factory(Arc::<Packing>::clone(&packing));
        let float_bounds = vec![None; layout.columns.len()];
        Ok(Self {
            layout,
            encoding,
            file,
            factory,
            packing,
            group: None,
            groups: 0,
            closed_bytes: 0,
            rows: 0,
            float_bounds,
        })
    }

    /// Rows written.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Encoded bytes, those of the open row group estimated.
    pub(super) fn bytes(&self) -> u64 {
        self.closed_bytes + self.open_bytes() as u64
    }

    fn open_bytes(&self) -> usize {
        let size_of = |encoder: &Encoder| match encoder {
            Encoder::Arrow(writer, packed) => writer.get_estimated_total_bytes().saturating_sub(packed.saved()),
            Encoder::Int96(parts) => parts.iter().map(|part| part.definition.len() * 12).sum(),
        };
        let size = |slot: &Mutex<Slot>| -> usize {
            slot.lock().unwrap_or_else(PoisonError::into_inner).encoders.iter().map(size_of).sum()
        };
        self.group.as_ref().map_or(0, |slots| slots.iter().map(size).sum())
    }

    /// Writes a slab.
    pub(super) fn write(&mut self, slab: &dyn Slab) -> Result<()> {
        if self.group.is_none() {
            self.group = Some(self.open_group()?);
        }
        let Some(slots) = &self.group else { return Err(Error::bug("no open row group")) };
        encode_slab(&self.layout, slots, slab, self.encoding.threads)?;
        self.rows += slab.rows() as u64;
        if self.open_bytes() >= self.encoding.row_group_bytes {
            self.close_group()?;
        }
        Ok(())
    }

    /// Copies a row group of another file, which must fit the layout and the encoding, behind what was written.
    pub(super) fn pass(&mut self, file: &RowGroups, passed: &RowGroup) -> Result<()> {
        self.close_group()?;
        let mut group = self.file.next_row_group().map_err(write_error)?;
        for leaf in 0..self.layout.parquet.num_columns() {
            group.append_column(&Copied(file), file.chunk(passed, leaf)).map_err(write_error)?;
        }
        group.close().map_err(write_error)?;
        for (all, more) in self.float_bounds.iter_mut().zip(file.float_bounds(passed, &self.layout)) {
            widen_bounds(all, more);
        }
        self.rows += passed.rows;
        self.groups += 1;
        self.closed_bytes = self.file.bytes_written() as u64;
        Ok(())
    }

    fn open_group(&self) -> Result<Vec<Mutex<Slot>>> {
        let writers = self.factory.create_column_writers(self.groups).map_err(write_error)?;
        let packed = self.packing.columns();
        if packed.len() != writers.len() {
            return Err(Error::bug("columns without a place for their pages"));
        }
        let mut writers = writers.into_iter().zip(packed);
        let slots = self.layout.columns.iter().map(|column| {
            let leaves = shred::leaves(&column.data_type).into_iter().zip(&mut writers);
            let encoders = leaves.map(|(int96, (writer, packed))| match int96 {
                true => Encoder::Int96(Vec::new()),
                false => Encoder::Arrow(Box::new(writer), packed),
            });
            Mutex::new(Slot { encoders: encoders.collect(), float_bounds: None })
        });
        Ok(slots.collect())
    }

    fn close_group(&mut self) -> Result<()> {
        let Some(slots) = self.group.take() else { return Ok(()) };
        let mut group = self.file.next_row_group().map_err(write_error)?;
        for (at, slot) in slots.into_iter().enumerate() {
            let slot = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            widen_bounds(&mut self.float_bounds[at], slot.float_bounds.clone());
            for (encoder, leaf) in slot.encoders.into_iter().zip(self.layout.leaves[at].clone()) {
                match encoder {
                    Encoder::Arrow(writer, packed) => {
                        let mut chunk = writer.close().map_err(write_error)?;
                        let (bytes, mut closed) = packed.finish(chunk.close_mut()).map_err(write_error)?;
                        if has_nan(&slot.float_bounds) {
                            drop_bounds(&mut closed).map_err(write_error)?;
                        }
                        group.append_column(&bytes, closed).map_err(write_error)?;
                    }
                    Encoder::Int96(parts) => {
                        let column = group.next_column().map_err(write_error)?;
                        let mut column = column.ok_or_else(|| Error::bug("the row group has too few columns"))?;
                        let leaf = self.layout.parquet.column(leaf);
                        for part in &parts {
                            let definition = (leaf.max_def_level() > 0).then_some(part.definition.as_slice());
                            let repetition = (leaf.max_rep_level() > 0).then_some(part.repetition.as_slice());
                            let writer = column.typed::<Int96Type>();
                            writer.write_batch(&part.values, definition, repetition).map_err(write_error)?;
                        }
                        column.close().map_err(write_error)?;
                    }
                }
            }
        }
        group.close().map_err(write_error)?;
        self.groups += 1;
        self.closed_bytes = self.file.bytes_written() as u64;
        Ok(())
    }

    /// Writes the footer and gives the output back.
    pub(super) fn finish(mut self) -> Result<(W, Finished)> {
        self.close_group()?;
        let groups = self.file.flushed_row_groups().to_vec();
        let out = self.file.into_inner().map_err(write_error)?;
        Ok((out, Finished { groups, float_bounds: self.float_bounds }))
    }
}

/// Gathers and encodes every column of a slab, on up to `threads` threads.
fn encode_slab(layout: &FileLayout, slots: &[Mutex<Slot>], slab: &dyn Slab, threads: usize) -> Result<()> {
    let mut tasks: Vec<(ColumnSource, Vec<usize>)> = Vec::with_capacity(layout.columns.len());
    for (at, column) in layout.columns.iter().enumerate() {
        match tasks.iter_mut().find(|(source, _)| *source == column.source) {
            Some((_, places)) => places.push(at),
            None => tasks.push((column.source, vec![at])),
        }
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some((source, places)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let lane = slab.column(*source, 0..slab.rows())?;
            for at in places {
                let mut slot = slots[*at].lock().unwrap_or_else(PoisonError::into_inner);
                slot.write(&layout.columns[*at].data_type, &layout.arrow.fields()[*at], &lane)?;
            }
        }
        Ok(())
    };
    if threads <= 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(tasks.len())).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let join = |handle: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            handle.join().unwrap_or_else(|_| Err(Error::bug("an encoding thread panicked")))
        };
        others.into_iter().map(join).fold(mine, Result::and)
    })
}

impl Slot {
    fn write(&mut self, data_type: &DataType, field: &FieldRef, lane: &ArrayRef) -> Result<()> {
        widen_bounds(&mut self.float_bounds, float_bounds(lane));
        if let [Encoder::Int96(parts)] = self.encoders.as_mut_slice() {
            parts.push(int96::encode(data_type, lane, 0)?);
            return Ok(());
        }
        let leaves = compute_leaves(field, lane).map_err(write_error)?;
        for (at, (encoder, leaf)) in self.encoders.iter_mut().zip(leaves).enumerate() {
            match encoder {
                Encoder::Int96(parts) => parts.push(int96::encode(data_type, lane, at)?),
                Encoder::Arrow(writer, _) => writer.write(&leaf).map_err(write_error)?,
            }
        }
        Ok(())
    }
}

/// Takes the bounds of a column chunk and of its pages away; the number of NULLs stays. Parquet's bounds leave NaN out,
/// so a reader for whom NaN is the largest value, as it is for Java, would skip rows by them.
fn drop_bounds(chunk: &mut ColumnCloseResult) -> parquet::errors::Result<()> {
    let nulls = chunk.metadata.statistics().and_then(Statistics::null_count_opt);
    let unbounded = match chunk.metadata.column_type() {
        PhysicalType::FLOAT => Statistics::float(None, None, None, nulls, false),
        _ => Statistics::double(None, None, None, nulls, false),
    };
    chunk.metadata = chunk.metadata.clone().into_builder().set_statistics(unbounded).build()?;
    chunk.column_index = None;
    Ok(())
}

fn properties(layout: &FileLayout, encoding: &Encoding, first: &First<'_>) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_compression(Packing::codec_of_encoder(encoding.compression))
        .set_dictionary_enabled(encoding.dictionary)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(None)
        .set_data_page_size_limit(encoding.page_bytes)
        .set_data_page_row_count_limit(encoding.page_rows)
        .set_dictionary_page_size_limit(encoding.dictionary_page_bytes)
        .set_max_row_group_row_count(None)
        .set_created_by(format!("{CREATED_BY}{}", env!("CARGO_PKG_VERSION")));
    for (column, leaves) in layout.columns.iter().zip(&layout.leaves) {
        let decided = encoding.dictionary_of.get(&column.name).copied();
        let decided = decided.or_else(|| (!encoding.dictionary).then_some(false));
        let lanes = match (decided, first) {
            (None, First::Rows(rows)) => leaf_lanes(&rows.column(column.source, 0..rows.rows().min(SAMPLE))?),
            _ => Vec::new(),
        };
        for ((at, leaf), int96) in leaves.clone().enumerate().zip(shred::leaves(&column.data_type)) {
            if int96 {
                let path = layout.parquet.column(leaf).path().clone();
                builder = builder.set_column_compression(path, encoding.compression);
            }
            let dictionary = match (decided, first) {
                (Some(decided), _) => decided,
                (None, First::Rows(_)) => {
                    few_values(lanes.get(at).ok_or_else(|| Error::bug("a column with too few leaves"))?)?
                }
                (None, First::Group(file, group)) => {
                    file.metadata_of(group).column(leaf).dictionary_page_offset().is_some()
                }
            };
            builder = builder.set_column_dictionary_enabled(layout.parquet.column(leaf).path().clone(), dictionary);
        }
    }
    Ok(builder.build())
}

/// Rows looked at to decide on a dictionary, and the distinct values among them that speak for one.
const SAMPLE: usize = 1024;
const FEW: usize = SAMPLE / 8;

/// The leaves of a lane in Parquet's order.
fn leaf_lanes(lane: &ArrayRef) -> Vec<ArrayRef> {
    match lane.data_type() {
        ArrowType::List(_) => leaf_lanes(lane.as_list::<i32>().values()),
        ArrowType::Map(..) => lane.as_map().entries().columns().iter().flat_map(leaf_lanes).collect(),
        ArrowType::Struct(_) => lane.as_struct().columns().iter().flat_map(leaf_lanes).collect(),
        _ => vec![Arc::clone(lane)],
    }
}

/// Whether a column repeats few values, as far as its first rows tell. With many values a dictionary costs time
/// and, after compression, space too.
fn few_values(sample: &ArrayRef) -> Result<bool> {
    let sample = sample.slice(0, sample.len().min(SAMPLE));
    let converter = RowConverter::new(vec![SortField::new(sample.data_type().clone())]);
    let rows = converter.and_then(|converter| converter.convert_columns(&[sample]));
    let rows = rows.map_err(|error| Error::bug(error.to_string()))?;
    let distinct: HashSet<&[u8]> = rows.iter().map(|row| row.data()).collect();
    Ok(distinct.len() <= FEW)
}

/// An encoder's error as ours: the output's own error passes through.
fn write_error(error: parquet::errors::ParquetError) -> Error {
    match error {
        parquet::errors::ParquetError::External(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(inner) => match inner.downcast::<std::io::Error>() {
                Ok(error) => Error::from_io(*error),
                Err(other) => Error::bug(format!("parquet: {other}")),
            },
        },
        other => Error::bug(format!("parquet: {other}")),
    }
}
