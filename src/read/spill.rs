//! Sorted runs on local disk, for rows that do not fit the memory budget.
//!
//! One file for each spill, one Arrow stream in it for each bucket. The files have no name and vanish with the process.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{ArrayRef, Int8Array, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType as ArrowType, Field, Schema as ArrowSchema, SchemaRef};

use crate::error::{Error, Result};
use crate::files::{ColumnSource, Slab};
use crate::lsm::{KeyEncoder, RunBatch};

/// Where a bucket's rows lie in a spill.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: u64,
    end: u64,
}

/// A spill: the sorted rows of many buckets.
#[derive(Debug)]
pub(crate) struct Spill {
    file: Arc<File>,
    segments: HashMap<u32, Segment>,
    bytes: u64,
}

impl Spill {
    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it has rows of a bucket.
    pub(crate) fn holds(&self, target: u32) -> bool {
        self.segments.contains_key(&target)
    }

    /// The rows of a bucket as a sorted run.
    pub(crate) fn run(&self, target: u32, reader: &SpillFormat) -> Result<Option<SpilledRun>> {
        let Some(segment) = self.segments.get(&target) else { return Ok(None) };
        let bytes = SegmentReader { file: Arc::clone(&self.file), at: segment.start, end: segment.end };
        let stream = StreamReader::try_new(BufReader::with_capacity(64 << 10, bytes), None).map_err(disk)?;
        Ok(Some(SpilledRun { stream, format: reader.clone() }))
    }
}

/// What spilled rows look like.
#[derive(Debug, Clone)]
pub(crate) struct SpillFormat {
    schema: SchemaRef,
    values: usize,
    encoder: KeyEncoder,
    key_columns: Vec<usize>,
}

impl SpillFormat {
    /// Rows of these lanes, with the key in `key_columns`.
    pub(crate) fn new(lanes: &SchemaRef, encoder: KeyEncoder, key_columns: Vec<usize>) -> Self {
        let mut fields: Vec<Field> = lanes.fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.push(Field::new("_SEQUENCE_NUMBER", ArrowType::Int64, false));
        fields.push(Field::new("_VALUE_KIND", ArrowType::Int8, false));
        let values = lanes.fields().len();
        Self { schema: Arc::new(ArrowSchema::new(fields)), values, encoder, key_columns }
    }

    /// A batch with its keys, from value columns, sequence numbers and kinds.
    pub(crate) fn run_batch(&self, columns: Vec<ArrayRef>, sequence: &ArrayRef, kinds: &ArrayRef) -> Result<RunBatch> {
        let keys: Vec<ArrayRef> = self.key_columns.iter().map(|at| columns[*at].clone()).collect();
        let keys = self.encoder.encode(&keys, sequence.len())?;
        let kinds: &Int8Array = kinds.as_primitive::<Int8Type>();
        let plain = kinds.values().iter().all(|kind| *kind == 0);
        Ok(RunBatch {
            keys,
            sequence: sequence.as_primitive::<Int64Type>().clone(),
            kinds: (!plain).then(|| kinds.clone()),
            columns,
            age: 0,
            level: 0,
        })
    }
}

/// Writes one spill.
pub(crate) struct SpillWriter {
    format: SpillFormat,
    out: BufWriter<File>,
    segments: HashMap<u32, Segment>,
}

impl SpillWriter {
    /// A spill in `directory`, or in the system's directory for temporary files.
    pub(crate) fn new(directory: Option<&Path>, format: SpillFormat) -> Result<Self> {
        let file = match directory {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        };
        let file = file.map_err(|error| Error::storage(format!("spill file: {error}")))?;
        Ok(Self { format, out: BufWriter::with_capacity(256 << 10, file), segments: HashMap::new() })
    }

    /// Writes the sorted rows of a bucket.
    pub(crate) fn write<'s>(
        &mut self,
        target: u32,
        slabs: impl Iterator<Item = Result<Box<dyn Slab + 's>>>,
    ) -> Result<()> {
        let start = self.position()?;
        let options =
            IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(disk)?;
        let mut stream =
            StreamWriter::try_new_with_options(&mut self.out, &self.format.schema, options).map_err(disk)?;
        for slab in slabs {
            let slab = slab?;
            let sources =
                (0..self.format.values).map(ColumnSource::Value).chain([ColumnSource::Sequence, ColumnSource::Kind]);
            let columns = sources.map(|source| slab.column(source, 0..slab.rows())).collect::<Result<Vec<_>>>()?;
            let batch = RecordBatch::try_new(self.format.schema.clone(), columns).map_err(disk)?;
            stream.write(&batch).map_err(disk)?;
        }
        stream.finish().map_err(disk)?;
        drop(stream);
        let end = self.position()?;
        self.segments.insert(target, Segment { start, end });
        Ok(())
    }

    fn position(&mut self) -> Result<u64> {
        let position = self.out.flush().and_then(|()| self.out.get_mut().stream_position());
        position.map_err(|error| Error::storage(format!("spill file: {error}")))
    }

    /// Ends the spill.
    pub(crate) fn finish(mut self) -> Result<Spill> {
        let bytes = self.position()?;
        let file = self.out.into_inner().map_err(|error| Error::storage(format!("spill file: {error}")))?;
        Ok(Spill { file: Arc::new(file), segments: self.segments, bytes })
    }
}

/// The batches of one bucket of a spill.
pub(crate) struct SpilledRun {
    stream: StreamReader<BufReader<SegmentReader>>,
    format: SpillFormat,
}

impl Iterator for SpilledRun {
    type Item = Result<RunBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.stream.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(disk(error))),
        };
        let mut columns = batch.columns().to_vec();
        let kinds = columns.pop();
        let sequence = columns.pop();
        Some(match (sequence, kinds) {
            (Some(sequence), Some(kinds)) => self.format.run_batch(columns, &sequence, &kinds),
            _ => Err(Error::bug("a spill without sequence numbers")),
        })
    }
}

struct SegmentReader {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for SegmentReader {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let room = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(out.len());
        let read = self.file.read_at(&mut out[..room], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn disk(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(text, _) => Error::storage(format!("spill file: {text}")),
        other => Error::bug(format!("spill: {other}")),
    }
}
