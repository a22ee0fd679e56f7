//! Column chunks as pages. The library's reader makes two zstd contexts for each column of each open file: 70 columns
//! of five runs took 10 MiB, and many pages took longer to begin than to inflate. Here pages are read as they are stored,
//! and inflated by contexts that all files share.
//! Spec: `format-spec/data-files.md`.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Compression;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::format::inflate_zstd;

/// The most bytes of a page: its head counts them in 31 bits.
const MAX_PAGE: usize = i32::MAX as usize;

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
    Ok(Box::new(Inflated(SerializedPageReader::new(source, &as_stored, rows, places)?)))
}

/// Pages that are inflated as they are read.
struct Inflated<R: ChunkReader>(SerializedPageReader<R>);

impl<R: ChunkReader> Iterator for Inflated<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<R: ChunkReader> PageReader for Inflated<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.0.get_next_page()? else { return Ok(None) };
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = inflated(buf, 0)?,
            Page::DataPageV2 { buf, is_compressed: true, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = def_levels_byte_len.checked_add(*rep_levels_byte_len).map(|length| length as usize);
                *buf = inflated(buf, levels.unwrap_or(usize::MAX))?;
            }
            Page::DataPageV2 { .. } => {}
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.0.at_record_boundary()
    }
}

/// A page whose first `plain` bytes are stored as they are; one without values may have no frame.
fn inflated(page: &Bytes, plain: usize) -> Result<Bytes> {
    let (levels, frame) = page
        .split_at_checked(plain)
        .ok_or_else(|| ParquetError::General(format!("a page of {} bytes with levels of {plain}", page.len())))?;
    if frame.is_empty() {
        return Ok(page.clone());
    }
    let wrong = |error| ParquetError::General(format!("a page's zstd frame: {error}"));
    let values = inflate_zstd(frame, MAX_PAGE - plain).map_err(wrong)?;
    Ok(match levels {
        [] => values.into(),
        levels => [levels, &values].concat().into(),
    })
}
