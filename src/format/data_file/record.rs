//! The `_FILE` record: scanned without taking memory, so that a filter can refuse the entry, then materialised.

use bytes::Bytes;

use super::{DataFileMeta, FileSource};
use crate::error::{Error, Result};
use crate::format::avro::{Cursor, Encoder, NodeId, Record, Schema};
use crate::format::{BinaryRow, SimpleStats, layout};

/// The fields of `_FILE`, in the order in which they are written.
const FIELDS: [&str; 21] = [
    "_FILE_NAME",
    "_FILE_SIZE",
    "_ROW_COUNT",
    "_MIN_KEY",
    "_MAX_KEY",
    "_KEY_STATS",
    "_VALUE_STATS",
    "_MIN_SEQUENCE_NUMBER",
    "_MAX_SEQUENCE_NUMBER",
    "_SCHEMA_ID",
    "_LEVEL",
    "_EXTRA_FILES",
    "_CREATION_TIME",
    "_DELETE_ROW_COUNT",
    "_EMBEDDED_FILE_INDEX",
    "_FILE_SOURCE",
    "_VALUE_STATS_COLS",
    "_EXTERNAL_PATH",
    "_FIRST_ROW_ID",
    "_WRITE_COLS",
    "_WRITE_COLS_SEQUENCES",
];

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
    null_counts: Option<Vec<Option<i64>>>,
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
        if !cursor.record(node)? {
            return Err(missing("the statistics record"));
        }
        let mut raw = RawStats::default();
        for (slot, node) in &self.record.steps {
            match slot {
                Some(0) => raw.min = cursor.bytes(*node)?,
                Some(1) => raw.max = cursor.bytes(*node)?,
                Some(2) => raw.null_counts = cursor.array(*node, |cursor, item| cursor.number(item))?,
                _ => cursor.skip(*node)?,
            }
        }
        Ok(SimpleStats {
            min: cache.row(raw.min, "_MIN_VALUES")?,
            max: cache.row(raw.max, "_MAX_VALUES")?,
            null_counts: raw.null_counts.unwrap_or_default(),
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

/// Saves memory: rows that repeat from entry to entry are stored once, and rows may be slices of a block.
#[derive(Default)]
pub(in crate::format) struct FileCache {
    last_partition: Option<BinaryRow>,
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
    key_stats: Option<StatsPlan>,
    value_stats: Option<StatsPlan>,
}

/// Where the value of each field of `_FILE` begins, and the level.
pub(in crate::format) struct RawFile<'p, 'a> {
    plan: &'p FilePlan,
    start: Cursor<'a>,
    /// For each field its distance from the start, or [`ABSENT`].
    places: [usize; FIELDS.len()],
    pub(in crate::format) level: i32,
}

const ABSENT: usize = usize::MAX;

impl FilePlan {
    pub(in crate::format) fn new(schema: &Schema, node: NodeId) -> Result<Self> {
        let stats = |name: &str| schema.field(node, name).map(|node| StatsPlan::new(schema, node, name)).transpose();
        let record = schema.record(node, "_FILE", &FIELDS)?;
        let mut nodes = [0; FIELDS.len()];
        for (slot, node) in &record.steps {
            if let Some(slot) = slot {
                nodes[*slot] = *node;
            }
        }
        Ok(Self { record, nodes, key_stats: stats("_KEY_STATS")?, value_stats: stats("_VALUE_STATS")? })
    }

    /// Passes over one record and remembers where its fields are.
    pub(in crate::format) fn scan<'a>(&self, cursor: &mut Cursor<'a>, node: NodeId) -> Result<RawFile<'_, 'a>> {
        if !cursor.record(node)? {
            return Err(missing("_FILE"));
        }
        let mut raw = RawFile { plan: self, start: *cursor, places: [ABSENT; FIELDS.len()], level: 0 };
        let mut level = None;
        for (slot, node) in &self.record.steps {
            match slot {
                Some(10) => level = cursor.int(*node).map_err(|error| name_field(error, "_LEVEL"))?,
                Some(slot) => {
                    raw.places[*slot] = raw.start.left() - cursor.left();
                    cursor.skip(*node).map_err(|error| name_field(error, FIELDS[*slot]))?;
                }
                None => cursor.skip(*node)?,
            }
        }
        raw.level = level.ok_or_else(|| missing("_LEVEL"))?;
        Ok(raw)
    }
}

fn string(cursor: &mut Cursor<'_>, node: NodeId) -> Result<String> {
    Ok(cursor.text(node)?.ok_or_else(|| missing("a text"))?.to_string())
}

impl<'a> RawFile<'_, 'a> {
    /// `_FILE_NAME`
    pub(in crate::format) fn file_name(&self) -> Result<&'a str> {
        self.required(0, Cursor::text)
    }

    /// The value of a scanned record.
    pub(in crate::format) fn materialise(&self, cache: &mut FileCache) -> Result<DataFileMeta> {
        let file_name = self.file_name()?.to_string();
        layout::check_name("data file", &file_name).map_err(|error| Error::corrupt("", error.to_string()))?;
        let strings = |slot| self.optional(slot, |cursor, node| cursor.array(node, string));
        let extra_files: Vec<String> = strings(11)?.unwrap_or_default();
        for name in &extra_files {
            layout::check_name("extra file", name).map_err(|error| Error::corrupt("", error.to_string()))?;
        }
        let source = self.optional(15, Cursor::int)?;
        let file_source = source
            .map(|number| {
                FileSource::from_number(number)
                    .ok_or_else(|| Error::corrupt("", format!("_FILE_SOURCE: {number} is no source")))
            })
            .transpose()?;
        Ok(DataFileMeta {
            file_name,
            file_size: self.count(1)?,
            row_count: self.count(2)?,
            min_key: cache.row(self.optional(3, Cursor::bytes)?, FIELDS[3])?,
            max_key: cache.row(self.optional(4, Cursor::bytes)?, FIELDS[4])?,
            key_stats: self.stats(5, self.plan.key_stats.as_ref(), cache)?,
            value_stats: self.stats(6, self.plan.value_stats.as_ref(), cache)?,
            min_sequence_number: self.required(7, Cursor::number)?,
            max_sequence_number: self.required(8, Cursor::number)?,
            schema_id: self.count(9)?,
            level: self.level,
            extra_files,
            creation_time: self.optional(12, Cursor::number)?,
            delete_row_count: self.optional(13, Cursor::number)?,
            embedded_file_index: self.optional(14, Cursor::bytes)?.map(|bytes| cache.bytes(bytes)),
            file_source,
            value_stats_cols: strings(16)?,
            external_path: self.optional(17, Cursor::text)?.map(str::to_string),
            first_row_id: self.optional(18, Cursor::number)?,
            write_cols: strings(19)?,
            write_cols_sequences: self.optional(20, |cursor, node| {
                cursor.array(node, |cursor, item| cursor.number(item)?.ok_or_else(|| missing("a number")))
            })?,
        })
    }

    fn optional<T>(
        &self,
        slot: usize,
        read: impl FnOnce(&mut Cursor<'a>, NodeId) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        match self.places[slot] {
            ABSENT => Ok(None),
            place => read(&mut self.start.ahead(place), self.plan.nodes[slot])
                .map_err(|error| name_field(error, FIELDS[slot])),
        }
    }

    fn required<T>(&self, slot: usize, read: impl FnOnce(&mut Cursor<'a>, NodeId) -> Result<Option<T>>) -> Result<T> {
        self.optional(slot, read)?.ok_or_else(|| missing(FIELDS[slot]))
    }

    /// A number that is not negative.
    fn count(&self, slot: usize) -> Result<i64> {
        let number = self.required(slot, Cursor::number)?;
        match number {
            0.. => Ok(number),
            _ => Err(Error::corrupt("", format!("{}: {number} is negative", FIELDS[slot]))),
        }
    }

    fn stats(&self, slot: usize, plan: Option<&StatsPlan>, cache: &mut FileCache) -> Result<SimpleStats> {
        let read = |cursor: &mut Cursor<'a>, node| plan.map(|plan| plan.read(cursor, node, cache)).transpose();
        self.required(slot, read)
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
