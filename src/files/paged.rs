//! A data file that is read page by page, for lookups: which page holds a row, which bytes a page needs, and the
//! page's values as a lane. Fetching is the caller's: nothing here does IO.
//!
//! ```text
//! row 25 317 ─ row group 0 ─ page 3 of the column: rows 24 576.. ─ bytes of its dictionary and of the page ─ lane
//! ```
//!
//! A file without a page index, or with one that contradicts itself, has one page for each column chunk.
//! Spec: `format-spec/data-files.md`.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_schema};
use parquet::basic::Type as Physical;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};

use super::bare::stored_lane;
use super::chunks::Chunks;
use super::int96;
use super::layout::{leaves_named, leaves_of};
use super::reader::{check_leaves, contained, is_flat_int96};
use super::shred::splice;
use crate::error::{Error, Result};
use crate::types::TypeKind;

/// The footer and the page index of a data file.
#[derive(Debug)]
pub struct PagedFile {
    path: String,
    /// Without the bounds of pages, which [`PagedFile::bounds`] gave when the file was opened.
    metadata: Arc<ParquetMetaData>,
    /// The first row of each row group, and the number of all rows.
    starts: Vec<u64>,
}

/// The smallest and the largest value of each page of a column, as lanes.
pub type PageBounds = (ArrayRef, ArrayRef);

/// What became of parsing the end of a file.
#[derive(Debug)]
pub enum Opened {
    /// The file, and the bounds that were asked for, if they can be trusted.
    Done(Box<PagedFile>, Option<PageBounds>),
    /// So many bytes of the file's end are needed.
    More(u64),
}

/// A page of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageAt {
    /// The row group.
    pub group: usize,
    /// Its number in the column chunk.
    pub page: usize,
    /// Its first row, counted in the file.
    pub first_row: u64,
    /// How many rows it has.
    pub rows: u64,
}

/// A column to decode.
#[derive(Debug, Clone)]
pub struct PageColumn {
    /// Its place in the file.
    pub leaf: usize,
    /// Its name, for errors.
    pub name: String,
    /// Its type in the table.
    pub kind: TypeKind,
}

impl PagedFile {
    /// Parses the last bytes of a file of `size` bytes, with the page bounds of one column.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn open(path: &str, size: u64, tail: &Bytes, bounds_of: Option<(&str, &TypeKind)>) -> Result<Opened> {
        contained(path, || {
            let parsed = |reader: &mut ParquetMetaDataReader, result| match result {
                Ok(()) => reader.finish().map(Ok),
                Err(ParquetError::NeedMoreData(needed)) if needed as u64 > tail.len() as u64 => Ok(Err(needed as u64)),
                Err(error) => Err(error),
            };
            let mut footer = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
            let result = footer.try_parse_sized(tail, size);
            let metadata = match parsed(&mut footer, result).map_err(|error| undecoded(path, &error))? {
                Ok(metadata) => with_bounds_of(metadata, bounds_of.map(|(column, _)| column)),
                Err(needed) => return Ok(Opened::More(needed)),
            };
            let metadata = metadata.map_err(|error| undecoded(path, &error))?;
            let mut indexes =
                ParquetMetaDataReader::new_with_metadata(metadata).with_page_index_policy(PageIndexPolicy::Optional);
            let result = indexes.read_page_indexes_sized(tail, size);
            match parsed(&mut indexes, result).map_err(|error| undecoded(path, &error))? {
                Ok(metadata) => Self::of(path, size, metadata, bounds_of),
                Err(needed) => Ok(Opened::More(needed)),
            }
        })
    }

    fn of(path: &str, size: u64, metadata: ParquetMetaData, bounds_of: Option<(&str, &TypeKind)>) -> Result<Opened> {
        let mut starts = vec![0_u64];
        for group in metadata.row_groups() {
            let rows = u64::try_from(group.num_rows()).ok();
            let end = rows.and_then(|rows| starts.last().and_then(|start| start.checked_add(rows)));
            starts.push(end.ok_or_else(|| Error::corrupt(path, format!("a row group of {} rows", group.num_rows())))?);
        }
        for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
            // Asked here, where a panic of the footer's own checks is told as damage.
            let (start, length) = chunk.byte_range();
            if start.checked_add(length).is_none_or(|end| end > size) {
                let what = format!("column {} lies at {start}, {length} bytes", chunk.column_descr().name());
                return Err(Error::corrupt(path, what));
            }
        }
        let usable = offsets_are_usable(&metadata, size);
        let bounds = match bounds_of {
            Some((column, kind)) if usable => page_bounds(&metadata, column, kind),
            _ => None,
        };
        let lean = metadata.into_builder().set_column_index(None);
        let lean = if usable { lean } else { lean.set_offset_index(None) };
        let file = Self { path: path.to_string(), metadata: Arc::new(lean.build()), starts };
        Ok(Opened::Done(Box::new(file), bounds))
    }

    /// The place of a column, if the file has it: its first leaf, whose pages are those of the column.
    pub fn leaf(&self, name: &str) -> Option<usize> {
        leaves_named(self.metadata.file_metadata().schema_descr(), name).map(|leaves| leaves.start)
    }

    /// All leaves of the column that a leaf is the first of.
    fn leaves(&self, leaf: usize) -> Range<usize> {
        let descriptor = self.metadata.file_metadata().schema_descr();
        leaves_of(descriptor, descriptor.get_column_root_idx(leaf))
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.metadata.memory_size() + self.starts.len() * 8
    }

    /// The pages of a column, in order.
    pub fn pages(&self, leaf: usize) -> Vec<PageAt> {
        let groups = 0..self.starts.len().saturating_sub(1);
        let counts = groups.map(|group| (group, self.locations(group, leaf).map_or(1, <[PageLocation]>::len)));
        let pages = counts.flat_map(|(group, count)| (0..count).map(move |page| (group, page)));
        pages.filter_map(|(group, page)| self.page(leaf, group, page)).filter(|page| page.rows > 0).collect()
    }

    /// The page of a column that holds a row.
    pub fn page_of(&self, leaf: usize, row: u64) -> Option<PageAt> {
        let group = self.starts.partition_point(|start| *start <= row).checked_sub(1)?;
        let inside = i64::try_from(row - self.starts[group]).ok()?;
        let page = match self.locations(group, leaf) {
            Some(pages) => pages.partition_point(|page| page.first_row_index <= inside).checked_sub(1)?,
            None => 0,
        };
        self.page(leaf, group, page)
    }

    fn page(&self, leaf: usize, group: usize, page: usize) -> Option<PageAt> {
        let (start, end) = (*self.starts.get(group)?, *self.starts.get(group + 1)?);
        let Some(pages) = self.locations(group, leaf) else {
            return Some(PageAt { group, page: 0, first_row: start, rows: end - start });
        };
        let first_row = start + u64::try_from(pages.get(page)?.first_row_index).ok()?;
        let next = pages.get(page + 1).and_then(|next| u64::try_from(next.first_row_index).ok());
        Some(PageAt { group, page, first_row, rows: next.map_or(end, |next| start + next).checked_sub(first_row)? })
    }

    fn locations(&self, group: usize, leaf: usize) -> Option<&[PageLocation]> {
        let column = self.metadata.offset_index()?.get(group)?.get(leaf)?;
        Some(column.page_locations().as_slice()).filter(|pages| !pages.is_empty())
    }

    /// The bytes a page is decoded from: its dictionary's, where the column has one, and its own. Of a nested column the
    /// pages of all leaves that hold the page's rows.
    pub fn ranges(&self, leaf: usize, at: &PageAt) -> Vec<Range<u64>> {
        self.leaves(leaf).flat_map(|leaf| self.leaf_ranges(leaf, at)).collect()
    }

    fn leaf_ranges(&self, leaf: usize, at: &PageAt) -> Vec<Range<u64>> {
        let (start, length) = self.metadata.row_group(at.group).column(leaf).byte_range();
        let whole = start..start.saturating_add(length);
        let Some(pages) = self.locations(at.group, leaf) else { return Vec::from([whole]) };
        let begin = |page: &PageLocation| page.offset as u64;
        let inside = at.first_row - self.starts[at.group];
        let row = |page: &PageLocation| u64::try_from(page.first_row_index).unwrap_or(0);
        let first = pages.partition_point(|page| row(page) <= inside).saturating_sub(1);
        let last = pages.partition_point(|page| row(page) < inside + at.rows).max(first + 1).min(pages.len());
        let dictionary = start..begin(&pages[0]);
        let own = pages[first..last].iter().map(|page| begin(page)..begin(page) + page.compressed_page_size as u64);
        std::iter::once(dictionary).filter(|range| !range.is_empty()).chain(own).collect()
    }

    /// Bytes that a page takes when it is decoded, roughly.
    pub fn weight(&self, leaf: usize, at: &PageAt) -> u64 {
        let group = self.metadata.row_group(at.group);
        let size = |leaf| u64::try_from(group.column(leaf).uncompressed_size()).unwrap_or(0);
        let bytes = self.leaves(leaf).map(size).fold(0, u64::saturating_add);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        // Dictionaries make this an underestimate; a row takes a few bytes at the least.
        (u128::from(bytes) * u128::from(at.rows) / u128::from(rows)) as u64 + at.rows * 4
    }

    /// The values of a page, from its fetched ranges. Blocks.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the file.
    pub fn decode(&self, column: &PageColumn, at: &PageAt, fetched: Vec<(u64, Bytes)>) -> Result<ArrayRef> {
        contained(&self.path, || {
            let source = Sparse { pieces: fetched, size: u64::MAX };
            let descriptor = self.metadata.file_metadata().schema_descr();
            let before = usize::try_from(at.first_row - self.starts[at.group]).unwrap_or(usize::MAX);
            let rows = usize::try_from(at.rows).unwrap_or(usize::MAX);
            let leaves = self.leaves(column.leaf);
            check_leaves(&self.path, descriptor, leaves.clone(), &column.name, &column.kind)?;
            let int96 = |leaf: usize| descriptor.column(leaf).physical_type() == Physical::INT96;
            if is_flat_int96(descriptor, column.leaf) {
                let read = int96::read_page(source, &self.metadata, column.leaf, at.group, before, rows);
                return read.map_err(|error| undecoded(&self.path, &error));
            }
            let values = leaves.clone().map(|leaf| {
                let read = |source| int96::read_page_values(source, &self.metadata, leaf, at.group, before, rows);
                int96(leaf).then(|| read(source.clone())).transpose()
            });
            let values = values.collect::<Result<Vec<_>, _>>().map_err(|error| undecoded(&self.path, &error))?;
            let selection = RowSelection::from(vec![RowSelector::skip(before), RowSelector::select(rows)]);
            let chunks =
                Chunks { source: Arc::new(source), metadata: Arc::clone(&self.metadata), groups: vec![at.group] };
            let reader = chunks.batches(ProjectionMask::leaves(descriptor, leaves), rows, Some(selection));
            let reader = reader.map_err(|error| undecoded(&self.path, &error))?;
            let batches: Result<Vec<RecordBatch>, _> = reader.collect();
            let batches = batches.map_err(|error| undecoded(&self.path, &error))?;
            let lanes: Vec<ArrayRef> = batches.iter().map(|batch| batch.column(0).clone()).collect();
            let lane = match lanes.as_slice() {
                [lane] if lane.len() == rows => lane,
                _ => {
                    let found: usize = lanes.iter().map(|lane| lane.len()).sum();
                    let what = format!("column {}: a page of {found} rows, not {rows}", column.name);
                    return Err(Error::corrupt(&self.path, what));
                }
            };
            let lane = match values.iter().any(Option::is_some) {
                true => &splice(lane, &mut values.into_iter()).map_err(|what| Error::corrupt(&self.path, what))?,
                false => lane,
            };
            stored_lane(&column.name, &column.kind, lane).map_err(|error| undecoded(&self.path, &error))
        })
    }
}

/// The decoder's error as the file's fault: the bytes were fetched before.
fn undecoded(path: &str, error: &impl ToString) -> Error {
    Error::corrupt(path, error.to_string())
}

/// Whether every page lies in its file and begins behind the one before it.
fn offsets_are_usable(metadata: &ParquetMetaData, size: u64) -> bool {
    let Some(groups) = metadata.offset_index() else { return false };
    if groups.len() != metadata.num_row_groups() {
        return false;
    }
    groups.iter().zip(metadata.row_groups()).all(|(columns, group)| {
        columns.len() == group.num_columns()
            && columns.iter().zip(group.columns()).all(|(column, chunk)| {
                let pages = column.page_locations();
                let inside = |page: &PageLocation| {
                    let start = u64::try_from(page.offset).ok().filter(|start| *start >= chunk.byte_range().0);
                    let length = u64::try_from(page.compressed_page_size).ok();
                    let end = start.zip(length).and_then(|(start, length)| start.checked_add(length));
                    end.is_some_and(|end| end <= size)
                };
                let rising = pages
                    .windows(2)
                    .all(|pair| pair[0].first_row_index < pair[1].first_row_index && pair[0].offset < pair[1].offset);
                group.num_rows() == 0
                    || pages.first().is_some_and(|page| page.first_row_index == 0)
                        && pages.last().is_some_and(|page| page.first_row_index < group.num_rows())
                        && rising
                        && pages.iter().all(inside)
            })
    })
}

/// The footer without the page bounds of any column but this one: those of a wide table take long to decode.
fn with_bounds_of(footer: ParquetMetaData, column: Option<&str>) -> parquet::errors::Result<ParquetMetaData> {
    let mut footer = footer.into_builder();
    let chunk = |chunk: ColumnChunkMetaData| {
        let wanted = chunk.column_path().parts().first().map(String::as_str) == column;
        match wanted {
            true => Ok(chunk),
            false => chunk.into_builder().set_column_index_offset(None).set_column_index_length(None).build(),
        }
    };
    let group = |group: RowGroupMetaData| {
        let mut group = group.into_builder();
        let chunks: Vec<ColumnChunkMetaData> = group.take_columns().into_iter().map(chunk).collect::<Result<_, _>>()?;
        group.set_column_metadata(chunks).build()
    };
    let groups: Vec<RowGroupMetaData> = footer.take_row_groups().into_iter().map(group).collect::<Result<_, _>>()?;
    Ok(footer.set_row_groups(groups).build())
}

/// The bounds of all pages of a column; `None` where one has none, or where its order is not Paimon's.
fn page_bounds(footer: &ParquetMetaData, column: &str, kind: &TypeKind) -> Option<PageBounds> {
    // INT96 has no order in Parquet, and the bounds of floats leave NaN out.
    let bad =
        matches!(kind, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..) | TypeKind::Float | TypeKind::Double);
    if bad || kind.is_nested() {
        return None;
    }
    let (index, offsets) = (footer.column_index()?, footer.offset_index()?);
    let descriptor = footer.file_metadata().schema_descr();
    let schema = parquet_to_arrow_schema(descriptor, None).ok()?;
    let converter = StatisticsConverter::try_new(column, &schema, descriptor).ok()?;
    let groups: Vec<usize> = (0..footer.num_row_groups()).collect();
    let lane = |array: ArrayRef| stored_lane(column, kind, &array).ok().filter(|lane| lane.null_count() == 0);
    let min = lane(converter.data_page_mins(index, offsets, &groups).ok()?)?;
    let max = lane(converter.data_page_maxes(index, offsets, &groups).ok()?)?;
    Some((min, max))
}

/// The fetched pieces of a file.
#[derive(Clone)]
struct Sparse {
    pieces: Vec<(u64, Bytes)>,
    size: u64,
}

impl Sparse {
    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let holds = |(at, bytes): &&(u64, Bytes)| (*at..*at + bytes.len() as u64).contains(&start);
        let piece = self.pieces.iter().find(holds);
        let (at, bytes) =
            piece.ok_or_else(|| ParquetError::EOF(format!("byte {start} is in no page that was asked for")))?;
        Ok(bytes.slice((start - at) as usize..))
    }
}

impl Length for Sparse {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Sparse {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        self.from(start).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start}")));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    /// 5000 rows in row groups of 1200 and, where there is an index, pages of 100 rows.
    fn file(indexed: bool) -> (RecordBatch, Bytes) {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((0..5000).map(|row| row * 3)));
        let names = (0..5000).map(|row| (row % 5 > 0).then(|| format!("{}", row % 40)));
        let names: ArrayRef = Arc::new(StringArray::from_iter(names));
        let rows = RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(1200))
            .set_data_page_row_count_limit(100)
            .set_write_batch_size(50)
            .set_statistics_enabled(if indexed { EnabledStatistics::Page } else { EnabledStatistics::None })
            .set_offset_index_disabled(!indexed);
        let mut out = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), Some(properties.build())).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        (rows, out.into())
    }

    fn open(bytes: &Bytes) -> (PagedFile, Option<PageBounds>) {
        let size = bytes.len() as u64;
        let mut length = 8;
        loop {
            let tail = bytes.slice(bytes.len() - length as usize..);
            match PagedFile::open("f", size, &tail, Some(("id", &TypeKind::BigInt))).unwrap() {
                Opened::Done(file, bounds) => return (*file, bounds),
                Opened::More(needed) => {
                    assert!(needed > length, "{needed} bytes asked of {length}");
                    length = needed;
                }
            }
        }
    }

    #[test]
    fn every_page_of_every_column_reads_as_its_rows() {
        for (indexed, pages) in [(true, 50), (false, 5)] {
            let (rows, bytes) = file(indexed);
            let (file, bounds) = open(&bytes);
            assert_eq!((file.rows(), bounds.is_some()), (5000, indexed));
            for (name, kind) in [("id", TypeKind::BigInt), ("name", TypeKind::VarChar(9))] {
                let column = PageColumn { leaf: file.leaf(name).unwrap(), name: name.to_string(), kind };
                let all = file.pages(column.leaf);
                assert_eq!(all.len(), pages, "{name}");
                let mut next = 0;
                for page in all {
                    assert_eq!(page.first_row, next);
                    next += page.rows;
                    assert_eq!(file.page_of(column.leaf, page.first_row), Some(page));
                    assert_eq!(file.page_of(column.leaf, next - 1), Some(page));
                    let fetch =
                        |range: Range<u64>| (range.start, bytes.slice(range.start as usize..range.end as usize));
                    let fetched = file.ranges(column.leaf, &page).into_iter().map(fetch).collect();
                    let lane = file.decode(&column, &page, fetched).unwrap();
                    let wanted = rows.column_by_name(name).unwrap().slice(page.first_row as usize, page.rows as usize);
                    assert_eq!(&lane, &wanted);
                }
                assert_eq!(next, 5000);
                assert_eq!(file.page_of(column.leaf, 5000), None);
            }
            if let Some((min, _)) = bounds {
                assert_eq!(min.len(), pages);
            }
        }
    }

    #[test]
    fn bytes_that_were_not_fetched_are_an_error() {
        let (_, bytes) = file(true);
        let (file, _) = open(&bytes);
        let column = PageColumn { leaf: 0, name: "id".to_string(), kind: TypeKind::BigInt };
        let page = file.pages(0)[3];
        assert!(matches!(file.decode(&column, &page, Vec::new()), Err(Error::Corrupt { .. })));
    }
}
