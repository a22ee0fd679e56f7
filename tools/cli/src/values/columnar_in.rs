//! Rows from Parquet files and from Arrow IPC files and streams. Types are matched when the rows are written.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::arrow_types::typed_columns;
use super::{InputError, PIECE_BYTES, Piece, Rows, arrow_frames};

/// The most rows of a decoded batch.
const BATCH_ROWS: usize = 8 << 10;

/// A file's batches, cut to the sizes that are asked for.
pub struct Batches {
    file: String,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>,
    rest: Option<RecordBatch>,
}

impl Batches {
    /// The rows of a Parquet file.
    pub fn parquet(file: File, name: &str) -> Result<Self, InputError> {
        let bad = |error: parquet::errors::ParquetError| InputError::of_file(name, plain(&error.to_string()));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(bad)?;
        let rows = batch_rows(reader.metadata());
        let reader = reader.with_batch_size(rows).build().map_err(bad)?;
        Ok(Self { file: name.to_string(), batches: Box::new(reader), rest: None })
    }

    /// The rows of an Arrow IPC stream, or of a file, which contains one.
    pub fn arrow(file: File, name: &str) -> Result<Self, InputError> {
        let reader = arrow_stream(file, name)?;
        // Nothing nested is decoded only to be refused.
        typed_columns(&reader.schema()).map_err(|error| InputError::of_file(name, error))?;
        Ok(Self { file: name.to_string(), batches: Box::new(reader), rest: None })
    }
}

fn arrow_stream(mut file: File, name: &str) -> Result<StreamReader<BufReader<File>>, InputError> {
    arrow_frames::check(&mut file).map_err(|why| InputError::of_file(name, why))?;
    let input = BufReader::with_capacity(1 << 20, file);
    StreamReader::try_new(input, None).map_err(|error| InputError::of_file(name, plain(&error.to_string())))
}

impl Rows for Batches {
    fn next(&mut self, most: usize) -> Result<Option<Piece>, InputError> {
        let batch = loop {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.batches.next() {
                    Some(batch) => batch.map_err(|error| InputError::of_file(&self.file, plain(&error.to_string())))?,
                    None => return Ok(None),
                },
            };
            if batch.num_rows() > 0 {
                break batch;
            }
        };
        if batch.num_rows() <= most {
            return Ok(Some(Piece { batch, kinds: None }));
        }
        self.rest = Some(batch.slice(most, batch.num_rows() - most));
        Ok(Some(Piece { batch: batch.slice(0, most), kinds: None }))
    }
}

/// Rows that make a batch of about the size of a piece, by what the footer says about the largest row group's rows.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let bytes_of_row = |group: &RowGroupMetaData| group.total_byte_size() / group.num_rows().max(1);
    let widest = metadata.row_groups().iter().map(bytes_of_row).max().unwrap_or(0);
    usize::try_from(widest.max(1)).map_or(1, |bytes| PIECE_BYTES / bytes).clamp(64, BATCH_ROWS)
}

/// The Arrow schema of a Parquet or Arrow file.
pub fn schema_of(mut file: File, name: &str) -> Result<SchemaRef, InputError> {
    let failed = |error: std::io::Error| InputError::of_file(name, error);
    if starts_with(&mut file, b"PAR1").map_err(failed)? {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file);
        let reader = reader.map_err(|error| InputError::of_file(name, plain(&error.to_string())))?;
        return Ok(reader.schema().clone());
    }
    Ok(arrow_stream(file, name)?.schema())
}

/// Copies an input that cannot seek to a temporary file.
pub fn spool(mut input: impl Read) -> std::io::Result<File> {
    let mut file = tempfile::tempfile()?;
    std::io::copy(&mut input, &mut file)?;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn starts_with(file: &mut File, magic: &[u8]) -> std::io::Result<bool> {
    let mut begin = Vec::with_capacity(magic.len());
    Read::take(&mut *file, magic.len() as u64).read_to_end(&mut begin)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(begin == magic)
}

/// A decoder's words without its prefix.
fn plain(text: &str) -> String {
    let text = text.trim_start_matches("Parquet error: ").trim_start_matches("Parquet argument error: ");
    text.replace("Io error: failed to fill whole buffer", "ends too early")
}
