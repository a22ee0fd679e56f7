//! The `_FILE` record: scanned without taking memory, so that a filter can refuse the entry, then materialised.

use std::sync::Arc;

use bytes::Bytes;

use super::{DataFileMeta, FileSource};
use crate::error::{Error, Result};
use crate::format::avro::{Cursor, Encoder, NodeId, Record, Schema};
use crate::format::{BinaryRow, SimpleStats, layout};

/// How a field of `_FILE` is read.
#[derive(Clone, Copy)]
enum Shape {
    Number,
    Bytes,
    /// Of keys first, then of values.
    Stats(usize),
    /// Left where it is until the entry is wanted.
    List,
}

/// The fields of `_FILE`, in the order in which they are written.
const FIELDS: [(&str, Shape); 21] = {
    use Shape::{Bytes, List, Number, Stats};
    [
        ("_FILE_NAME", Bytes),
        ("_FILE_SIZE", Number),
        ("_ROW_COUNT", Number),
        ("_MIN_KEY", Bytes),
        ("_MAX_KEY", Bytes),
        ("_KEY_STATS", Stats(0)),
        ("_VALUE_STATS", Stats(1)),
        ("_MIN_SEQUENCE_NUMBER", Number),
        ("_MAX_SEQUENCE_NUMBER", Number),
        ("_SCHEMA_ID", Number),
        ("_LEVEL", Number),
        ("_EXTRA_FILES", List),
        ("_CREATION_TIME", Number),
        ("_DELETE_ROW_COUNT", Number),
        ("_EMBEDDED_FILE_INDEX", Bytes),
        ("_FILE_SOURCE", Number),
        ("_VALUE_STATS_COLS", List),
        ("_EXTERNAL_PATH", Bytes),
        ("_FIRST_ROW_ID", Number),
        ("_WRITE_COLS", List),
        ("_WRITE_COLS_SEQUENCES", List),
    ]
};

const NAMES: [&str; FIELDS.len()] = {
    let mut names = [""; FIELDS.len()];
    let mut slot = 0;
    while slot < FIELDS.len() {
        names[slot] = FIELDS[slot].0;
        slot += 1;
    }
    names
};

const STATS_FIELDS: [&str; 3] = ["_MIN_VALUES", "_MAX_VALUES", "_NULL_COUNTS"];

/// Names the field in an error about it.
pub(in crate::format) fn name_field(error: Error, field: &str) -> Error {
    match error {
        Error::Corrupt { file, what } => Error::Corrupt { file, what: format!("{field}: {what}") },
        other => other,
    }
}

fn missing(field: &str) -> Error {
    Error::corrupt("", format!("{field} is missing"))
}

/// How a file stores a statistics record.
pub(in crate::format) struct StatsPlan {
    record: Record,
}

#[derive(Default)]
struct RawStats<'a> {
    min: Option<&'a [u8]>,
    max: Option<&'a [u8]>,
    null_counts: NullCounts,
}

impl StatsPlan {
    pub(in crate::format) fn new(schema: &Schema, node: NodeId, what: &str) -> Result<Self> {
        Ok(Self { record: schema.record(node, what, &STATS_FIELDS)? })
    }

    pub(in crate::format) fn read(
        &self,
        cursor: &mut Cursor<'_>,
        node: NodeId,
        cache: &mut FileCache,
    ) -> Result<SimpleStats> {
        self.scan(cursor, node, cache, 0)?.materialise(cache)
    }

    fn scan<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        node: NodeId,
        cache: &mut FileCache,
        which: usize,
    ) -> Result<RawStats<'a>> {
        if !cursor.record(node)? {
            return Err(missing("the statistics record"));
        }
        let mut raw = RawStats::default();
        for (slot, node) in &self.record.steps {
            match slot {
                Some(0) => raw.min = cursor.bytes(*node)?,
                Some(1) => raw.max = cursor.bytes(*node)?,
                Some(2) => raw.null_counts = cache.null_counts(cursor, *node, which)?,
                _ => cursor.skip(*node)?,
            }
        }
        Ok(raw)
    }
}

impl RawStats<'_> {
    fn materialise(&self, cache: &FileCache) -> Result<SimpleStats> {
        Ok(SimpleStats {
            min: cache.row(self.min, "_MIN_VALUES")?,
            max: cache.row(self.max, "_MAX_VALUES")?,
            null_counts: Arc::clone(&self.null_counts),
        })
    }
}

pub(in crate::format) fn encode_stats(encoder: &mut Encoder, stats: &SimpleStats) {
    encoder.bytes(stats.min.prefixed());
    encoder.bytes(stats.max.prefixed());
    encoder.optional(Some(&stats.null_counts), |encoder, counts| {
        encoder.array(counts, |encoder, count| encoder.optional(*count, Encoder::long));
    });
}

/// The NULLs of each column.
type NullCounts = Arc<[Option<i64>]>;

/// Saves memory and time: what repeats from entry to entry is stored once, and rows may be slices of a block.
#[derive(Default)]
pub(in crate::format) struct FileCache {
    last_partition: Option<BinaryRow>,
    /// Of keys and of values: node, bytes and meaning.
    last_null_counts: [(NodeId, Vec<u8>, NullCounts); 2],
    block: Bytes,
}

impl FileCache {
    /// Lets the bytes that follow share this block, if they lie in it.
    pub(in crate::format) fn share(&mut self, block: &Bytes) {
        if self.block.as_ptr() != block.as_ptr() {
            self.block = block.clone();
        }
    }

    fn bytes(&self, bytes: &[u8]) -> Bytes {
        let within = self.block.as_ptr_range();
        let shared = within.contains(&bytes.as_ptr()) && bytes.as_ptr_range().end <= within.end;
        if shared { self.block.slice_ref(bytes) } else { Bytes::copy_from_slice(bytes) }
    }

    pub(in crate::format) fn row(&self, bytes: Option<&[u8]>, field: &str) -> Result<BinaryRow> {
        let bytes = bytes.ok_or_else(|| missing(field))?;
        let empty = BinaryRow::empty();
        if bytes == empty.prefixed().as_ref() {
            return Ok(empty);
        }
        BinaryRow::from_prefixed(self.bytes(bytes)).map_err(|error| name_field(error, field))
    }

    /// The counts that follow, most often those of the file before: the same bytes.
    fn null_counts(&mut self, cursor: &mut Cursor<'_>, node: NodeId, which: usize) -> Result<NullCounts> {
        let (of, bytes, counts) = &self.last_null_counts[which];
        if *of == node && !bytes.is_empty() && cursor.pass(bytes) {
            return Ok(Arc::clone(counts));
        }
        let before = *cursor;
        let counts: NullCounts = cursor.array(node, |cursor, item| cursor.number(item))?.unwrap_or_default().into();
        self.last_null_counts[which] = (node, before.up_to(cursor).to_vec(), Arc::clone(&counts));
        Ok(counts)
    }

    /// The partition of an entry, most often that of the entry before.
    pub(in crate::format) fn partition(&mut self, bytes: &[u8]) -> Result<BinaryRow> {
        if let Some(last) = self.last_partition.as_ref().filter(|last| last.prefixed().as_ref() == bytes) {
            return Ok(last.clone());
        }
        let row = self.row(Some(bytes), "_PARTITION")?;
        self.last_partition = Some(row.clone());
        Ok(row)
    }
}

/// How a file stores `_FILE`.
pub(in crate::format) struct FilePlan {
    record: Record,
    /// The node of each wanted field that the file has.
    nodes: [NodeId; FIELDS.len()],
    stats: [StatsPlan; 2],
}

/// The fields of `_FILE` as they lie in the file: no memory was taken for them.
pub(in crate::format) struct RawFile<'p, 'a> {
    plan: &'p FilePlan,
    start: Cursor<'a>,
    values: [RawValue<'a>; FIELDS.len()],
    stats: [Option<RawStats<'a>>; 2],
    pub(in crate::format) level: i32,
}

#[derive(Clone, Copy)]
enum RawValue<'a> {
    /// Neither has every vintage every field, nor every file a value.
    Absent,
    Number(i64),
    Bytes(&'a [u8]),
    /// So far behind the start of the record.
    At(usize),
}

impl FilePlan {
    pub(in crate::format) fn new(schema: &Schema, node: NodeId) -> Result<Self> {
        let stats = |name: &str| {
            let plan = schema.field(node, name).map(|node| StatsPlan::new(schema, node, name)).transpose();
            plan?.ok_or_else(|| missing(name))
        };
        let record = schema.record(node, "_FILE", &NAMES)?;
        let mut nodes = [0; FIELDS.len()];
        for (slot, node) in &record.steps {
            if let Some(slot) = slot {
                nodes[*slot] = *node;
            }
        }
        Ok(Self { record, nodes, stats: [stats("_KEY_STATS")?, stats("_VALUE_STATS")?] })
    }

    /// Passes over one record and takes its fields as they lie there.
    pub(in crate::format) fn scan<'a>(
        &self,
        cursor: &mut Cursor<'a>,
        node: NodeId,
        cache: &mut FileCache,
    ) -> Result<RawFile<'_, 'a>> {
        if !cursor.record(node)? {
            return Err(missing("_FILE"));
        }
        let values = [RawValue::Absent; FIELDS.len()];
        let mut raw = RawFile { plan: self, start: *cursor, values, stats: [None, None], level: 0 };
        for (slot, node) in &self.record.steps {
            match slot {
                Some(slot) => {
                    raw.take(*slot, cursor, *node, cache).map_err(|error| name_field(error, NAMES[*slot]))?;
                }
                None => cursor.skip(*node)?,
            }
        }
        raw.level = raw.int(10)?.ok_or_else(|| missing("_LEVEL"))?;
        Ok(raw)
    }
}

fn string(cursor: &mut Cursor<'_>, node: NodeId) -> Result<String> {
    Ok(cursor.text(node)?.ok_or_else(|| missing("a text"))?.to_string())
}

impl<'a> RawFile<'_, 'a> {
    fn take(&mut self, slot: usize, cursor: &mut Cursor<'a>, node: NodeId, cache: &mut FileCache) -> Result<()> {
        match FIELDS[slot].1 {
            Shape::Number => self.values[slot] = cursor.number(node)?.map_or(RawValue::Absent, RawValue::Number),
            Shape::Bytes => self.values[slot] = cursor.bytes(node)?.map_or(RawValue::Absent, RawValue::Bytes),
            Shape::Stats(which) => self.stats[which] = Some(self.plan.stats[which].scan(cursor, node, cache, which)?),
            Shape::List => {
                self.values[slot] = RawValue::At(self.start.left() - cursor.left());
                cursor.skip(node)?;
            }
        }
        Ok(())
    }

    /// `_FILE_NAME`
    pub(in crate::format) fn file_name(&self) -> Result<&'a str> {
        self.text(0)?.ok_or_else(|| missing(NAMES[0]))
    }

    /// The value of a scanned record.
    pub(in crate::format) fn materialise(&self, cache: &FileCache) -> Result<DataFileMeta> {
        let file_name = self.file_name()?.to_string();
        layout::check_name("data file", &file_name).map_err(|error| Error::corrupt("", error.to_string()))?;
        let extra_files: Vec<String> = self.list(11, string)?.unwrap_or_default();
        for name in &extra_files {
            layout::check_name("extra file", name).map_err(|error| Error::corrupt("", error.to_string()))?;
        }
        let file_source = self
            .int(15)?
            .map(|number| {
                FileSource::from_number(number)
                    .ok_or_else(|| Error::corrupt("", format!("_FILE_SOURCE: {number} is no source")))
            })
            .transpose()?;
        Ok(DataFileMeta {
            file_name,
            file_size: self.count(1)?,
            row_count: self.count(2)?,
            min_key: cache.row(self.bytes(3), NAMES[3])?,
            max_key: cache.row(self.bytes(4), NAMES[4])?,
            key_stats: self.stats(0, 5, cache)?,
            value_stats: self.stats(1, 6, cache)?,
            min_sequence_number: self.required(7)?,
            max_sequence_number: self.required(8)?,
            schema_id: self.count(9)?,
            level: self.level,
            extra_files,
            creation_time: self.number(12),
            delete_row_count: self.number(13),
            embedded_file_index: self.bytes(14).map(|bytes| cache.bytes(bytes)),
            file_source,
            value_stats_cols: self.list(16, string)?,
            external_path: self.text(17)?.map(str::to_string),
            first_row_id: self.number(18),
            write_cols: self.list(19, string)?,
            write_cols_sequences: self
                .list(20, |cursor, item| cursor.number(item)?.ok_or_else(|| missing("a number")))?,
        })
    }

    fn number(&self, slot: usize) -> Option<i64> {
        match self.values[slot] {
            RawValue::Number(number) => Some(number),
            _ => None,
        }
    }

    fn bytes(&self, slot: usize) -> Option<&'a [u8]> {
        match self.values[slot] {
            RawValue::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn text(&self, slot: usize) -> Result<Option<&'a str>> {
        let utf8 = |error: std::str::Utf8Error| Error::corrupt("", format!("{}: {error}", NAMES[slot]));
        self.bytes(slot).map(|bytes| std::str::from_utf8(bytes).map_err(utf8)).transpose()
    }

    /// A number of 32 bits.
    fn int(&self, slot: usize) -> Result<Option<i32>> {
        let wide = |number: i64| {
            let what = || Error::corrupt("", format!("{}: {number} has more than 32 bits", NAMES[slot]));
            i32::try_from(number).map_err(|_| what())
        };
        self.number(slot).map(wide).transpose()
    }

    fn required(&self, slot: usize) -> Result<i64> {
        self.number(slot).ok_or_else(|| missing(NAMES[slot]))
    }

    /// A number that is not negative.
    fn count(&self, slot: usize) -> Result<i64> {
        let number = self.required(slot)?;
        match number {
            0.. => Ok(number),
            _ => Err(Error::corrupt("", format!("{}: {number} is negative", NAMES[slot]))),
        }
    }

    fn list<T>(&self, slot: usize, item: impl FnMut(&mut Cursor<'a>, NodeId) -> Result<T>) -> Result<Option<Vec<T>>> {
        let RawValue::At(place) = self.values[slot] else { return Ok(None) };
        let mut cursor = self.start.ahead(place);
        cursor.array(self.plan.nodes[slot], item).map_err(|error| name_field(error, NAMES[slot]))
    }

    fn stats(&self, which: usize, slot: usize, cache: &FileCache) -> Result<SimpleStats> {
        let raw = self.stats[which].as_ref().ok_or_else(|| missing(NAMES[slot]))?;
        raw.materialise(cache).map_err(|error| name_field(error, NAMES[slot]))
    }
}

/// Writes `_FILE`: 20 fields, and `_WRITE_COLS_SEQUENCES` where the schema has it.
pub(in crate::format) fn encode_file(encoder: &mut Encoder, file: &DataFileMeta, sequences: bool) {
    encoder.text(&file.file_name);
    encoder.long(file.file_size);
    encoder.long(file.row_count);
    encoder.bytes(file.min_key.prefixed());
    encoder.bytes(file.max_key.prefixed());
    encode_stats(encoder, &file.key_stats);
    encode_stats(encoder, &file.value_stats);
    encoder.long(file.min_sequence_number);
    encoder.long(file.max_sequence_number);
    encoder.long(file.schema_id);
    encoder.int(file.level);
    encoder.array(&file.extra_files, |encoder, name| encoder.text(name));
    encoder.optional(file.creation_time, Encoder::long);
    encoder.optional(file.delete_row_count, Encoder::long);
    encoder.optional(file.embedded_file_index.as_ref(), |encoder, index| encoder.bytes(index));
    encoder.optional(file.file_source, |encoder, source| encoder.int(source as i32));
    let names = |encoder: &mut Encoder, names: &Vec<String>| encoder.array(names, |encoder, name| encoder.text(name));
    encoder.optional(file.value_stats_cols.as_ref(), names);
    encoder.optional(file.external_path.as_ref(), |encoder, path| encoder.text(path));
    encoder.optional(file.first_row_id, Encoder::long);
    encoder.optional(file.write_cols.as_ref(), names);
    if sequences {
        encoder.optional(file.write_cols_sequences.as_ref(), |encoder, numbers| {
            encoder.array(numbers, |encoder, number| encoder.long(*number));
        });
    }
}
