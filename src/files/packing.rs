//! Pages on their way from the encoder to the file. The library's encoder has a zstd context for each column of each
//! open file, 300 KB and more; here pages leave it as they are and are packed by contexts that all files share.
//!
//! ```text
//! encoder ── head, values ──> packed, head told the new length ── row group closed ──> dictionary, pages ──> file
//! ```
//!
//! Spec: `format-spec/data-files.md`.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use parquet::arrow::arrow_writer::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use parquet::basic::Compression;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::page_head::PageHead;
use crate::format::pack_zstd;

/// Makes the stores of a row group's columns, one after the other.
#[derive(Debug)]
pub(super) struct Packing {
    codec: Compression,
    columns: Mutex<Vec<PackedColumn>>,
}

/// The pages of a column that its encoder gave so far.
#[derive(Debug, Clone)]
pub(super) struct PackedColumn(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Page {
    head: Bytes,
    values: Bytes,
}

impl Page {
    fn len(&self) -> usize {
        self.head.len() + self.values.len()
    }
}

#[derive(Debug)]
struct Pages {
    codec: Compression,
    /// The head of a page whose values come next.
    head: Option<Bytes>,
    dictionary: Option<Page>,
    pages: Vec<Page>,
    /// Bytes of all of them: as the encoder gave them, as they are here, and as they will be once they are inflated.
    given: usize,
    packed: usize,
    inflated: usize,
}

impl Packing {
    /// Packs with zstd; what other codecs make comes from the encoder.
    pub(super) fn new(codec: Compression) -> Self {
        Self { codec, columns: Mutex::default() }
    }

    /// The codec that the encoder has to use.
    pub(super) fn codec_of_encoder(codec: Compression) -> Compression {
        if matches!(codec, Compression::ZSTD(_)) { Compression::UNCOMPRESSED } else { codec }
    }

    /// The columns that were made since the last time.
    pub(super) fn columns(&self) -> Vec<PackedColumn> {
        std::mem::take(&mut *self.columns.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PageStoreFactory for Packing {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        let pages = Pages {
            codec: self.codec,
            head: None,
            dictionary: None,
            pages: Vec::new(),
            given: 0,
            packed: 0,
            inflated: 0,
        };
        let column = PackedColumn(Arc::new(Mutex::new(pages)));
        self.columns.lock().unwrap_or_else(PoisonError::into_inner).push(column.clone());
        Ok(Box::new(column))
    }
}

impl PackedColumn {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By how much packing made the column smaller so far.
    pub(super) fn saved(&self) -> usize {
        let pages = self.pages();
        pages.given.saturating_sub(pages.packed)
    }

    /// The column's bytes, and what its encoder told at its end, as it is true of them.
    pub(super) fn finish(self, told: &mut ColumnCloseResult) -> Result<(Blobs, ColumnCloseResult)> {
        let mut pages = self.pages();
        if pages.head.is_some() {
            return Err(odd("a head without values"));
        }
        let dictionary = pages.dictionary.take();
        let first = dictionary.as_ref().map_or(0, Page::len);
        let data = std::mem::take(&mut pages.pages);
        let mut offset_index = told.offset_index.take();
        if let Some(index) = &mut offset_index {
            if index.page_locations.len() != data.len() {
                return Err(odd("an index of other pages"));
            }
            let mut offset = first as i64;
            for (place, page) in index.page_locations.iter_mut().zip(&data) {
                place.compressed_page_size = i32::try_from(page.len())?;
                place.offset = offset;
                offset += i64::from(place.compressed_page_size);
            }
        }
        let mut metadata = told.metadata.clone().into_builder().set_compression(pages.codec);
        if matches!(pages.codec, Compression::ZSTD(_)) {
            metadata = metadata.set_total_uncompressed_size(pages.inflated as i64);
        }
        let metadata = metadata
            .set_total_compressed_size(pages.packed as i64)
            .set_dictionary_page_offset(dictionary.is_some().then_some(0))
            .set_data_page_offset(first as i64)
            .build()?;
        let closed = ColumnCloseResult {
            bytes_written: pages.packed as u64,
            rows_written: told.rows_written,
            metadata,
            bloom_filter: told.bloom_filter.take(),
            column_index: told.column_index.take(),
            offset_index,
        };
        let blobs = dictionary.into_iter().chain(data).flat_map(|page| [page.head, page.values]);
        Ok((Blobs(Mutex::new(blobs.collect())), closed))
    }
}

impl PageStore for PackedColumn {
    /// Takes a page's head and its values by turns.
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let mut pages = self.pages();
        pages.given += value.len();
        let Some(head) = pages.head.take() else {
            pages.head = Some(value);
            return Ok(PageKey::new(0));
        };
        let told = PageHead::of(&head)?;
        let page = match pages.codec {
            Compression::ZSTD(level) => {
                // Were there a checksum in the head, it would be of the plain bytes: the library writes none.
                let values_as_stored = pack_zstd(&value, level.compression_level(), Bytes::copy_from_slice)?;
                let head = told.with_stored(&head, i32::try_from(values_as_stored.len())?);
                pages.inflated += head.len() + value.len();
                Page { head: head.into(), values: values_as_stored }
            }
            _ => Page { head, values: value },
        };
        pages.packed += page.len();
        match told.kind {
            PageHead::DATA => pages.pages.push(page),
            PageHead::DICTIONARY if pages.dictionary.is_none() => pages.dictionary = Some(page),
            other => return Err(odd(&format!("a page of kind {other}"))),
        }
        Ok(PageKey::new(0))
    }

    fn take(&mut self, _: PageKey) -> Result<Bytes> {
        Err(odd("a page that is asked for by key"))
    }

    fn memory_size(&self) -> usize {
        self.pages().packed
    }
}

fn odd(what: &str) -> ParquetError {
    ParquetError::General(format!("the encoder's pages: {what}"))
}

/// The bytes of a column chunk, which are read once and go as they are.
pub(super) struct Blobs(Mutex<Vec<Bytes>>);

impl Blobs {
    fn taken(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Length for Blobs {
    fn len(&self) -> u64 {
        self.taken().iter().map(|blob| blob.len() as u64).sum()
    }
}

impl ChunkReader for Blobs {
    type T = BlobReader;

    fn get_read(&self, start: u64) -> Result<BlobReader> {
        match start {
            0 => Ok(BlobReader { left: std::mem::take(&mut *self.taken()).into_iter(), current: Bytes::new() }),
            _ => Err(odd(&format!("bytes from {start} on"))),
        }
    }

    fn get_bytes(&self, start: u64, _: usize) -> Result<Bytes> {
        Err(odd(&format!("some bytes at {start}")))
    }
}

/// Reads a column chunk from its beginning.
pub(super) struct BlobReader {
    left: std::vec::IntoIter<Bytes>,
    current: Bytes,
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            let Some(next) = self.left.next() else { return Ok(0) };
            self.current = next;
        }
        let taken = out.len().min(self.current.len());
        self.current.copy_to_slice(&mut out[..taken]);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, compute_leaves};
    use parquet::basic::ZstdLevel;
    use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
    use parquet::file::writer::SerializedFileWriter;

    /// Columns with a dictionary, with one that overflows, and without; pages of 500 rows, and some values are NULL.
    fn rows() -> (RecordBatch, WriterPropertiesBuilder) {
        let number = |row: i64| row.wrapping_mul(2_654_435_761) % 1000;
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3000));
        let few = StringArray::from_iter((0..3000).map(|row| (row % 5 > 0).then(|| format!("value {}", row % 40))));
        let many = StringArray::from_iter((0..3000).map(|row| (row % 7 > 0).then(|| format!("{}", number(row)))));
        let rows = [("id", ids), ("few", Arc::new(few)), ("many", Arc::new(many))];
        let properties = WriterProperties::builder()
            .set_column_dictionary_enabled("id".into(), false)
            .set_dictionary_page_size_limit(2000)
            .set_data_page_row_count_limit(500)
            .set_write_batch_size(100);
        (RecordBatch::try_from_iter(rows).unwrap(), properties)
    }

    /// The same rows in two row groups, as [`crate::files::RollingWriter`] has them packed.
    fn packed(codec: Compression) -> Vec<u8> {
        let (rows, properties) = rows();
        let properties = Arc::new(properties.set_compression(Packing::codec_of_encoder(codec)).build());
        let plain = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
        let (plain, _) = plain.into_serialized_writer().unwrap();
        let root = plain.schema_descr().root_schema_ptr();
        let mut file = SerializedFileWriter::new(Vec::new(), root, properties).unwrap();
        let packing = Arc::new(Packing::new(codec));
        let factory = ArrowRowGroupWriterFactory::new(&file, rows.schema());
        let factory = factory.with_page_store_factory(Arc::<Packing>::clone(&packing));
        for group in 0..2 {
            let writers = factory.create_column_writers(group).unwrap();
            let columns = packing.columns();
            assert!(packing.columns().is_empty());
            let mut open = file.next_row_group().unwrap();
            for (at, (mut writer, packed)) in writers.into_iter().zip(columns).enumerate() {
                let lane = rows.column(at).slice(group * 1500, 1500);
                for leaf in compute_leaves(rows.schema().field(at), &lane).unwrap() {
                    writer.write(&leaf).unwrap();
                }
                let mut chunk = writer.close().unwrap();
                let (blobs, closed) = packed.finish(chunk.close_mut()).unwrap();
                assert_eq!(blobs.len(), closed.bytes_written);
                open.append_column(&blobs, closed).unwrap();
            }
            open.close().unwrap();
        }
        file.into_inner().unwrap()
    }

    #[test]
    fn files_are_what_the_library_would_make_of_them() {
        for codec in [Compression::ZSTD(ZstdLevel::default()), Compression::SNAPPY, Compression::UNCOMPRESSED] {
            let (rows, properties) = rows();
            let properties = properties.set_compression(codec).set_max_row_group_row_count(Some(1500)).build();
            let options = parquet::arrow::arrow_writer::ArrowWriterOptions::new()
                .with_properties(properties)
                .with_skip_arrow_metadata(true);
            let mut library = ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options).unwrap();
            library.write(&rows).unwrap();
            assert!(library.into_inner().unwrap() == packed(codec), "{codec:?}");
        }
    }
}
