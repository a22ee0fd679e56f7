//! Column chunks as pages. The library's reader makes two zstd contexts for each column of each open file: 70 columns
//! of five runs took 10 MiB, and many pages took longer to begin than to inflate. Here pages are read as they are stored,
//! and inflated by contexts that all files share.
//! Spec: `format-spec/data-files.md`.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Compression;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::page_head::PageHead;
use crate::format::inflate_zstd_behind;

/// Some row groups of a file.
pub(super) struct Chunks<R> {
    pub source: Arc<R>,
    pub metadata: Arc<ParquetMetaData>,
    /// Their places in the file, in the order in which they are read.
    pub groups: Vec<usize>,
}

impl<R: ChunkReader + 'static> Chunks<R> {
    /// The rows of some columns as Arrow batches.
    pub(super) fn batches(
        &self,
        columns: ProjectionMask,
        batch_rows: usize,
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader> {
        let levels = parquet_to_arrow_field_levels(self.metadata.file_metadata().schema_descr(), columns, None)?;
        // What is told of a batch is taken at once.
        let batch_rows = batch_rows.min(self.num_rows());
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, self, batch_rows, selection)
    }
}

impl<R: ChunkReader + 'static> RowGroups for Chunks<R> {
    fn num_rows(&self) -> usize {
        self.row_groups().map(rows_of).fold(0, usize::saturating_add)
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let (source, metadata) = (Arc::clone(&self.source), Arc::clone(&self.metadata));
        Ok(Box::new(ColumnChunks { source, metadata, column, groups: self.groups.clone().into_iter() }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(self.groups.iter().map(|group| self.metadata.row_group(*group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

fn rows_of(group: &RowGroupMetaData) -> usize {
    usize::try_from(group.num_rows()).unwrap_or(0)
}

/// The chunks of one column.
struct ColumnChunks<R> {
    source: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    groups: std::vec::IntoIter<usize>,
}

impl<R: ChunkReader + 'static> Iterator for ColumnChunks<R> {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(pages_of(&self.source, &self.metadata, self.groups.next()?, self.column))
    }
}

impl<R: ChunkReader + 'static> PageIterator for ColumnChunks<R> {}

/// The pages of one column chunk, by the file's index of them where the metadata has it.
pub(super) fn pages_of<R: ChunkReader + 'static>(
    source: &Arc<R>,
    metadata: &ParquetMetaData,
    group: usize,
    column: usize,
) -> Result<Box<dyn PageReader>> {
    let source = Arc::clone(source);
    let row_group = metadata.row_group(group);
    let (chunk, rows) = (row_group.column(column), rows_of(row_group));
    let index = metadata.offset_index().and_then(|groups| groups.get(group)).and_then(|columns| columns.get(column));
    let places = index.map(|index| index.page_locations().clone());
    if !matches!(chunk.compression(), Compression::ZSTD(_)) {
        return Ok(Box::new(SerializedPageReader::new(source, chunk, rows, places)?));
    }
    let as_stored = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
    let heads = Arc::new(Heads { source, by_index: places.is_some(), last: Arc::default() });
    let pages = SerializedPageReader::new(Arc::clone(&heads), &as_stored, rows, places)?;
    Ok(Box::new(Inflated { pages, heads }))
}

/// Pages that are inflated as they are read.
struct Inflated<R: ChunkReader> {
    pages: SerializedPageReader<Heads<R>>,
    heads: Arc<Heads<R>>,
}

impl<R: ChunkReader> Iterator for Inflated<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<R: ChunkReader> PageReader for Inflated<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.pages.get_next_page()? else { return Ok(None) };
        let length = || -> Result<usize> { Ok(usize::try_from(PageHead::of(&self.heads.last())?.length)?) };
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = inflated(buf, 0, length()?)?,
            Page::DataPageV2 { buf, is_compressed: true, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = def_levels_byte_len.checked_add(*rep_levels_byte_len).map(|length| length as usize);
                *buf = inflated(buf, levels.unwrap_or(usize::MAX), length()?)?;
            }
            Page::DataPageV2 { .. } => {}
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// A page of `length` bytes, of which the first `plain` are stored as they are; one without values may have no frame.
fn inflated(page: &Bytes, plain: usize, length: usize) -> Result<Bytes> {
    let told = || ParquetError::General(format!("a page of {length} bytes with levels of {plain}"));
    let (levels, frame) = page.split_at_checked(plain).ok_or_else(told)?;
    let values = length.checked_sub(plain).ok_or_else(told)?;
    let mut whole = Vec::with_capacity(levels.len());
    whole.extend_from_slice(levels);
    if values > 0 {
        let wrong = |error| ParquetError::General(format!("a page's zstd frame: {error}"));
        inflate_zstd_behind(frame, values, &mut whole).map_err(wrong)?;
    }
    Ok(whole.into())
}

/// A file's bytes, of which it notes how the head that was read last begins: the library keeps the length of a page that it
/// does not inflate to itself.
struct Heads<R> {
    source: Arc<R>,
    /// Whether pages are read with their heads at once.
    by_index: bool,
    last: Arc<Mutex<Vec<u8>>>,
}

impl<R> Heads<R> {
    fn last(&self) -> MutexGuard<'_, Vec<u8>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: ChunkReader> Length for Heads<R> {
    fn len(&self) -> u64 {
        self.source.len()
    }
}

impl<R: ChunkReader> ChunkReader for Heads<R> {
    type T = HeadReader<R::T>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(HeadReader { source: self.source.get_read(start)?, last: Arc::clone(&self.last), begun: false })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.source.get_bytes(start, length)?;
        if self.by_index {
            let mut last = self.last();
            last.clear();
            last.extend_from_slice(&bytes[..bytes.len().min(PageHead::MOST)]);
        }
        Ok(bytes)
    }
}

/// Reads a head. One that is not read from, because the head is known already, notes nothing.
struct HeadReader<T> {
    source: T,
    last: Arc<Mutex<Vec<u8>>>,
    begun: bool,
}

impl<T: Read> Read for HeadReader<T> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(out)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut self.begun, true) {
            last.clear();
        }
        let room = PageHead::MOST - last.len();
        last.extend_from_slice(&out[..read.min(room)]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use arrow_select::concat::concat_batches;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::RowSelector;
    use parquet::basic::ZstdLevel;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::{WriterProperties, WriterVersion};

    /// Texts with a dictionary and many NULLs, numbers, lists, and a column without a value.
    fn rows() -> RecordBatch {
        let texts = StringArray::from_iter((0..4000).map(|row| (row % 3 > 0).then(|| format!("text {}", row % 50))));
        let numbers = Float64Array::from_iter_values((0..4000).map(|row| f64::from(row) / 7.0));
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in 0..4000 {
            lists.append_value((0..row % 4).map(|at| (at > 0).then(|| format!("{row}"))));
        }
        let nothing = StringArray::from_iter((0..4000).map(|_| None::<&str>));
        let columns: [(&str, ArrayRef); 4] = [
            ("texts", Arc::new(texts)),
            ("numbers", Arc::new(numbers)),
            ("lists", Arc::new(lists.finish())),
            ("nothing", Arc::new(nothing)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, lane)| (name, lane, true))).unwrap()
    }

    fn file(version: WriterVersion, codec: Compression) -> Bytes {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(codec)
            .set_max_row_group_row_count(Some(1500))
            .set_write_batch_size(100)
            .set_data_page_row_count_limit(300);
        let mut writer = ArrowWriter::try_new(Vec::new(), rows().schema(), Some(properties.build())).unwrap();
        writer.write(&rows()).unwrap();
        writer.into_inner().unwrap().into()
    }

    fn read(file: &Bytes, index: PageIndexPolicy, selection: Option<RowSelection>) -> Result<RecordBatch> {
        let metadata = ParquetMetaDataReader::new().with_page_index_policy(index).parse_and_finish(file)?;
        let groups = (0..metadata.num_row_groups()).collect();
        let chunks = Chunks { source: Arc::new(file.clone()), metadata: Arc::new(metadata), groups };
        let batches = chunks.batches(ProjectionMask::all(), 170, selection)?.collect::<Result<Vec<_>, _>>()?;
        Ok(concat_batches(&rows().schema(), &batches)?)
    }

    #[test]
    fn pages_of_both_versions_are_read_with_an_index_and_without() {
        let zstd = Compression::ZSTD(ZstdLevel::default());
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for codec in [zstd, Compression::SNAPPY, Compression::UNCOMPRESSED] {
                let file = file(version, codec);
                for index in [PageIndexPolicy::Skip, PageIndexPolicy::Required] {
                    assert_eq!(read(&file, index, None).unwrap(), rows(), "{version:?} {codec:?} {index:?}");
                    let (skip, select) = (RowSelector::skip, RowSelector::select);
                    let some = RowSelection::from(vec![skip(700), select(5), skip(1000), select(900), skip(1395)]);
                    let found = read(&file, index, Some(some)).unwrap();
                    let wanted = [rows().slice(700, 5), rows().slice(1705, 900)];
                    assert_eq!(found, concat_batches(&rows().schema(), &wanted).unwrap(), "{version:?} {codec:?}");
                }
            }
        }
    }

    /// A frame without a checksum may inflate to anything: the head tells how much it has to be.
    #[test]
    fn a_page_of_another_length_than_its_head_tells_is_damage() {
        let plain = b"a page's values".repeat(20);
        let frame = zstd::stream::encode_all(&plain[..], 1).unwrap();
        let page = Bytes::from([b"lev".as_slice(), &frame].concat());
        assert_eq!(inflated(&page, 3, plain.len() + 3).unwrap(), [b"lev".as_slice(), &plain].concat());
        assert_eq!(inflated(&page, 3, 3).unwrap(), b"lev".as_slice());
        for (levels, length) in [(3, plain.len() + 2), (3, plain.len() + 4), (3, 2), (page.len() + 1, 1 << 20)] {
            assert!(inflated(&page, levels, length).is_err(), "{levels} {length}");
        }
        assert!(inflated(&page.slice(..page.len() - 1), 3, plain.len() + 3).is_err());
    }

    /// Java's pages have checksums, of what is stored.
    #[test]
    fn a_bit_that_fell_over_in_a_page_of_java_is_told_by_its_checksum() {
        let path =
            "tests/golden/ignore_update_before/table/bucket-0/data-d606ed77-d57e-40d2-86a4-2fc479f3be26-3.parquet";
        let healthy = std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(healthy.clone())).unwrap();
        for chunk in footer.row_group(0).columns() {
            let (start, length) = chunk.byte_range();
            let mut damaged = healthy.clone();
            damaged[(start + length) as usize - 1] ^= 1;
            for index in [PageIndexPolicy::Skip, PageIndexPolicy::Optional] {
                let read = |bytes: &[u8]| {
                    let source = Bytes::copy_from_slice(bytes);
                    let metadata = ParquetMetaDataReader::new().with_page_index_policy(index).parse_and_finish(&source);
                    let chunks = Chunks { source: Arc::new(source), metadata: Arc::new(metadata?), groups: vec![0] };
                    let batches = chunks.batches(ProjectionMask::all(), 100, None)?.collect::<Result<Vec<_>, _>>();
                    batches.map_err(|error| ParquetError::General(error.to_string()))
                };
                read(&healthy).unwrap();
                let error = read(&damaged).unwrap_err().to_string();
                assert!(error.contains("CRC"), "{}: {error}", chunk.column_path());
            }
        }
    }
}
