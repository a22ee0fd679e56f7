//! Row groups of a Parquet file that go into another file as they are: their pages are copied, not decoded.
//!
//! That is done only where the new file would say the same: equal columns, codec and schema; no retraction; bounds of
//! sequence numbers and floats that the footer proves; an offset index, which lookups need.
//! Spec: `format-spec/compaction.md`, executing.

use std::io::Read;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_select::take::take;
use bytes::{Buf, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::basic::Compression;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::statistics::Statistics;
use tokio::runtime::Handle;

use super::bare::stored_lane;
use super::chunks::Chunks;
use super::format::{FileEncoding, format_of};
use super::layout::{ColumnSource, FileLayout};
use super::reader::contained;
use super::rolling::WriteSpec;
use super::source::FileSource;
use super::statistics::{FloatBounds, bounds_of_chunk};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, DataFileMeta};
use crate::io::TableStore;
use crate::schema::FileFormat;
use crate::types::{DataType, TypeKind};

/// The beginning of what Forebay's files say made them: only of those is known that their bounds of floats hold no NaN.
pub(super) const CREATED_BY: &str = "forebay version ";

/// Bytes fetched at once while a column chunk is copied.
const COPIED: u64 = 1 << 20;

/// A file of whose row groups some may be copied.
pub struct RowGroups {
    source: Arc<FileSource>,
    metadata: Arc<ParquetMetaData>,
    groups: Vec<RowGroup>,
    ends: Vec<ArrayRef>,
}

/// A row group.
#[derive(Debug, Clone)]
pub struct RowGroup {
    /// Its place in the file.
    pub place: usize,
    /// How many rows.
    pub rows: u64,
    /// Its bytes, compressed.
    pub bytes: u64,
    /// The keys of its first and its last row.
    pub keys: (BinaryRow, BinaryRow),
    /// Its least and largest sequence number, where it may be copied.
    pub copied: Option<(i64, i64)>,
}

impl RowGroups {
    /// Opens a data file. `None` where its row groups cannot be copied into files of the specification. Blocks.
    ///
    /// # Errors
    /// The store's errors; [`Error::Corrupt`] when the file is no Parquet file.
    pub fn open(
        store: &TableStore,
        runtime: &Handle,
        (path, file): (&str, &DataFileMeta),
        spec: &WriteSpec,
    ) -> Result<Option<Self>> {
        let FileEncoding::Parquet(encoding) = &spec.encoding else { return Ok(None) };
        let size = u64::try_from(file.file_size).map_err(|_| Error::corrupt(path, "_FILE_SIZE is negative"))?;
        if format_of(path)? != FileFormat::Parquet
            || file.schema_id != spec.schema_id
            || file.delete_row_count != Some(0)
            || spec.layout.key_columns.is_empty()
            || !spec.indexes.is_empty()
        // an index is made of rows, and those copied are not seen
        {
            return Ok(None);
        }
        let source = FileSource::open(store, runtime, path.to_string(), (0, size), COPIED)?;
        let opened = contained(path, || {
            let footer = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            let metadata = footer.parse_and_finish(&*source).map_err(|error| source.error(&error))?;
            let metadata = Arc::new(metadata);
            if !same_columns(&metadata, &spec.layout) {
                return Ok(None);
            }
            let proven = |place: usize| provable(&metadata, place, &spec.layout, encoding.compression);
            let Some(ends) = end_keys(path, &source, &metadata, &spec.layout)? else { return Ok(None) };
            let key = |row| BinaryRow::encode_columns(&ends, &key_types(&spec.layout), row);
            let mut groups = Vec::with_capacity(metadata.num_row_groups());
            for place in 0..metadata.num_row_groups() {
                let group = metadata.row_group(place);
                let number = |value: i64| u64::try_from(value).unwrap_or(0);
                let (rows, bytes) = (number(group.num_rows()), number(group.compressed_size()));
                let copied = sequence_of(group, &spec.layout).filter(|_| proven(place));
                let keys = (key(place * 2)?, key(place * 2 + 1)?);
                groups.push(RowGroup { place, rows, bytes, keys, copied });
            }
            Ok(Some(Self { source: Arc::clone(&source), metadata, groups, ends }))
        });
        opened.map_err(|error| source.failure().unwrap_or(error))
    }

    /// All of them, in their order.
    pub fn groups(&self) -> &[RowGroup] {
        &self.groups
    }

    /// The keys of the first and the last row of each group, two rows a group, as lanes of the trimmed key.
    pub fn ends(&self) -> &[ArrayRef] {
        &self.ends
    }

    pub(super) fn metadata_of(&self, group: &RowGroup) -> &RowGroupMetaData {
        self.metadata.row_group(group.place)
    }

    /// The chunk of a leaf, as its encoder would give it.
    pub(super) fn chunk(&self, group: &RowGroup, leaf: usize) -> ColumnCloseResult {
        let metadata: &ColumnChunkMetaData = self.metadata_of(group).column(leaf);
        let index = self.metadata.column_index().and_then(|index| index.get(group.place)?.get(leaf)).cloned();
        let offsets = self.metadata.offset_index().and_then(|index| index.get(group.place)?.get(leaf)).cloned();
        ColumnCloseResult {
            bytes_written: u64::try_from(metadata.compressed_size()).unwrap_or(0),
            rows_written: group.rows,
            metadata: metadata.clone(),
            bloom_filter: None,
            column_index: index,
            offset_index: offsets,
        }
    }

    /// The bounds of each column of floats in a group.
    pub(super) fn float_bounds(&self, group: &RowGroup, layout: &FileLayout) -> Vec<FloatBounds> {
        let of = |leaves: &std::ops::Range<usize>| {
            self.metadata_of(group).column(leaves.start).statistics().and_then(bounds_of_chunk)
        };
        layout.leaves.iter().map(of).collect()
    }
}

fn same_columns(metadata: &ParquetMetaData, layout: &FileLayout) -> bool {
    let fields = metadata.file_metadata().schema_descr().root_schema().get_fields();
    fields == layout.parquet.root_schema().get_fields()
}

/// Whether everything that the new file's description says of a group is in the footer.
fn provable(metadata: &ParquetMetaData, place: usize, layout: &FileLayout, codec: Compression) -> bool {
    let group = metadata.row_group(place);
    let has_offsets = metadata.offset_index().and_then(|index| index.get(place)).is_some_and(|index| {
        index.len() == group.num_columns() && index.iter().all(|chunk| !chunk.page_locations().is_empty())
    });
    let same_codec = |chunk: &ColumnChunkMetaData| {
        std::mem::discriminant(&chunk.compression()) == std::mem::discriminant(&codec) && chunk.file_path().is_none()
    };
    let ours = metadata.file_metadata().created_by().is_some_and(|maker| maker.starts_with(CREATED_BY));
    let bounded = |(at, data_type): (usize, &DataType)| {
        let Some(stats) = group.column(layout.leaves[at].start).statistics() else {
            return data_type.kind.is_nested();
        };
        match data_type.kind {
            TypeKind::Float | TypeKind::Double => {
                let all_null = stats.null_count_opt() == u64::try_from(group.num_rows()).ok();
                all_null || (ours && bounds_of_chunk(stats).is_some())
            }
            _ => true,
        }
    };
    group.num_rows() > 0
        && has_offsets
        && group.columns().iter().all(same_codec)
        && layout.columns.iter().map(|column| &column.data_type).enumerate().all(bounded)
}

fn sequence_of(group: &RowGroupMetaData, layout: &FileLayout) -> Option<(i64, i64)> {
    let at = layout.columns.iter().position(|column| column.source == ColumnSource::Sequence)?;
    match group.column(layout.leaves[at].start).statistics()? {
        Statistics::Int64(stats) => Some((*stats.min_opt()?, *stats.max_opt()?)),
        _ => None,
    }
}

/// The place of each column of the trimmed key in the layout.
fn key_places(layout: &FileLayout) -> Vec<usize> {
    let of = |key: &usize| layout.columns.iter().rposition(|column| column.source == ColumnSource::Value(*key));
    layout.key_columns.iter().filter_map(of).collect()
}

fn key_types(layout: &FileLayout) -> Vec<DataType> {
    key_places(layout).into_iter().map(|at| layout.columns[at].data_type.clone()).collect()
}

/// The keys of the first and the last row of each group; `None` where the reader cannot give them.
fn end_keys(
    path: &str,
    source: &Arc<FileSource>,
    metadata: &Arc<ParquetMetaData>,
    layout: &FileLayout,
) -> Result<Option<Vec<ArrayRef>>> {
    let (places, types) = (key_places(layout), key_types(layout));
    let int96 = |of: &DataType| matches!(of.kind, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..));
    let counts: Vec<usize> =
        metadata.row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).collect();
    if types.iter().any(int96) || counts.contains(&0) {
        return Ok(None);
    }
    let selected = counts.iter().flat_map(|rows| {
        let last = usize::from(*rows > 1);
        [RowSelector::select(1), RowSelector::skip(rows - 1 - last), RowSelector::select(last)]
    });
    let selected: Vec<RowSelector> = selected.collect();
    let mask = ProjectionMask::roots(metadata.file_metadata().schema_descr(), places.iter().copied());
    let chunks =
        Chunks { source: Arc::clone(source), metadata: Arc::clone(metadata), groups: (0..counts.len()).collect() };
    let selection = RowSelection::from(selected);
    let reader = chunks.batches(mask, counts.len().saturating_mul(2).max(1), Some(selection));
    let mut batches = reader.map_err(|error| source.error(&error))?;
    let Some(batch) = batches.next() else { return Ok(None) };
    let batch = batch.map_err(|error| source.error(&error))?;
    if batch.num_rows() != counts.iter().map(|rows| usize::from(*rows > 1) + 1).sum::<usize>() {
        return Err(Error::corrupt(path, "fewer rows than its footer tells"));
    }
    // Two rows for a group of one row, too.
    let mut next = 0..;
    let ends = counts.iter().flat_map(|rows| {
        let first = next.next().unwrap_or(0);
        [first, if *rows > 1 { next.next().unwrap_or(0) } else { first }]
    });
    let ends: UInt32Array = ends.collect::<Vec<u32>>().into();
    let mut in_batch = places.clone();
    in_batch.sort_unstable();
    let lane = |(at, data_type): (&usize, &DataType)| -> Result<ArrayRef> {
        let column = batch.column(in_batch.partition_point(|other| other < at));
        let lane =
            stored_lane("key", &data_type.kind, column).map_err(|error| Error::corrupt(path, error.to_string()))?;
        take(&lane, &ends, None).map_err(|error| Error::bug(error.to_string()))
    };
    places.iter().zip(&types).map(lane).collect::<Result<Vec<_>>>().map(Some)
}

/// A column chunk's bytes in their order.
pub(super) struct Copied<'a>(pub(super) &'a RowGroups);

impl Length for Copied<'_> {
    fn len(&self) -> u64 {
        self.0.source.len()
    }
}

impl ChunkReader for Copied<'_> {
    type T = Sequential;

    fn get_read(&self, start: u64) -> Result<Sequential, ParquetError> {
        Ok(Sequential { source: Arc::clone(&self.0.source), at: start, bytes: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.0.source.get_bytes(start, length)
    }
}

/// Reads on from a place, a window after another.
pub(super) struct Sequential {
    source: Arc<FileSource>,
    at: u64,
    bytes: Bytes,
}

impl Read for Sequential {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.bytes.is_empty() {
            let end = self.source.len().min(self.at.saturating_add(COPIED));
            self.bytes = self.source.fetch(self.at, end).map_err(std::io::Error::other)?;
            self.at = end;
        }
        let taken = out.len().min(self.bytes.len());
        out[..taken].copy_from_slice(&self.bytes[..taken]);
        self.bytes.advance(taken);
        Ok(taken)
    }
}
