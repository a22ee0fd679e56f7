//! Index manifests: the complete list of index files of a snapshot.
//! Spec: `format-spec/index-manifest.md`.

use bytes::Bytes;

use super::avro::{Codec, Container, ContainerWriter, Cursor, Encoder, NodeId, Record, Schema};
use super::data_file::{FileCache, name_field};
use super::{BinaryRow, layout, schemas};
use crate::error::{Error, Result};

/// Where the deletion vector of one data file lies in its index file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionVectorRange {
    /// `f0`: the data file's name
    pub data_file: String,
    /// `f1`: offset of the vector
    pub offset: i32,
    /// `f2`: its length
    pub length: i32,
    /// `_CARDINALITY`: rows it masks
    pub cardinality: Option<i64>,
}

/// One index file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexManifestEntry {
    /// `_PARTITION`
    pub partition: BinaryRow,
    /// `_BUCKET`
    pub bucket: i32,
    /// `_INDEX_TYPE`: `DELETION_VECTORS`, `HASH` or a global index
    pub index_type: String,
    /// `_FILE_NAME`
    pub file_name: String,
    /// `_FILE_SIZE` in bytes
    pub file_size: i64,
    /// `_ROW_COUNT`
    pub row_count: i64,
    /// `_DELETIONS_VECTORS_RANGES`
    pub deletion_vectors: Option<Vec<DeletionVectorRange>>,
    /// `_EXTERNAL_PATH`
    pub external_path: Option<String>,
    /// `_GLOBAL_INDEX`: the Avro bytes of the six-field record, carried through
    pub global_index: Option<Bytes>,
}

impl IndexManifestEntry {
    /// The type of index files that hold deletion vectors.
    pub const DELETION_VECTORS: &str = "DELETION_VECTORS";
}

/// The record version that is read and written.
const VERSION: i64 = 1;

const FIELDS: [&str; 11] = [
    "_VERSION",
    "_KIND",
    "_PARTITION",
    "_BUCKET",
    "_INDEX_TYPE",
    "_FILE_NAME",
    "_FILE_SIZE",
    "_ROW_COUNT",
    "_DELETIONS_VECTORS_RANGES",
    "_EXTERNAL_PATH",
    "_GLOBAL_INDEX",
];
const RANGE_FIELDS: [&str; 4] = ["f0", "f1", "f2", "_CARDINALITY"];
const GLOBAL_FIELDS: [&str; 6] =
    ["_ROW_RANGE_START", "_ROW_RANGE_END", "_INDEX_FIELD_ID", "_EXTRA_FIELD_IDS", "_INDEX_META", "_SOURCE_META"];

/// The bytes of an index manifest.
///
/// # Errors
/// [`Error::Invalid`] when a global index is not what [`decode_index_manifest`] gave.
pub fn encode_index_manifest(entries: &[IndexManifestEntry], codec: Codec) -> Result<Bytes> {
    let mut writer = ContainerWriter::new(schemas::INDEX_MANIFEST, codec);
    for entry in entries {
        if let Some(global) = &entry.global_index {
            check_global_index(global)?;
        }
        writer.record(|encoder| encode_entry(encoder, entry))?;
    }
    writer.finish()
}

pub(super) fn encode_entry(encoder: &mut Encoder, entry: &IndexManifestEntry) {
    encoder.long(VERSION);
    encoder.int(0);
    encoder.bytes(entry.partition.prefixed());
    encoder.int(entry.bucket);
    encoder.text(&entry.index_type);
    encoder.text(&entry.file_name);
    encoder.long(entry.file_size);
    encoder.long(entry.row_count);
    encoder.optional(entry.deletion_vectors.as_ref(), |encoder, ranges| {
        encoder.array(ranges, |encoder, range| encoder.optional(Some(range), encode_range));
    });
    encoder.optional(entry.external_path.as_ref(), |encoder, path| encoder.text(path));
    encoder.optional(entry.global_index.as_ref(), |encoder, bytes| encoder.out.extend_from_slice(bytes));
}

fn encode_range(encoder: &mut Encoder, range: &DeletionVectorRange) {
    encoder.text(&range.data_file);
    encoder.int(range.offset);
    encoder.int(range.length);
    encoder.optional(range.cardinality, Encoder::long);
}

/// The index files of an index manifest, in order. Fields of a later Paimon are passed over.
///
/// # Errors
/// [`Error::Corrupt`] that names the file, the record and the field, [`Error::Unsupported`] for another version.
pub fn decode_index_manifest(bytes: &[u8], file: &str) -> Result<Vec<IndexManifestEntry>> {
    decode(bytes, false).map_err(|error| error.in_file(file))
}

/// The same for a commit that writes the list again: a field that would be lost is refused.
///
/// # Errors
/// As [`decode_index_manifest`], and [`Error::Unsupported`] that names an unknown field.
pub fn decode_index_manifest_for_rewrite(bytes: &[u8], file: &str) -> Result<Vec<IndexManifestEntry>> {
    decode(bytes, true).map_err(|error| error.in_file(file))
}

/// How an index manifest stores its entries.
pub(super) struct EntryPlan {
    entry: Record,
    range: Option<Record>,
    global: Option<Record>,
}

impl EntryPlan {
    pub(super) fn new(schema: &Schema, root: NodeId, strict: bool) -> Result<Self> {
        let entry = schema.record(root, "the entry", &FIELDS)?;
        let range = match schema.field(root, "_DELETIONS_VECTORS_RANGES").and_then(|node| schema.items(node)) {
            Some(node) => Some(schema.record(node, "_DELETIONS_VECTORS_RANGES", &RANGE_FIELDS)?),
            None => None,
        };
        let global = match schema.field(root, "_GLOBAL_INDEX") {
            Some(node) => Some(schema.record(node, "_GLOBAL_INDEX", &GLOBAL_FIELDS)?),
            None => None,
        };
        let records = [Some(&entry), range.as_ref(), global.as_ref()];
        if let Some(name) = records.into_iter().flatten().find_map(|record| record.unknown.first()).filter(|_| strict) {
            return Err(Error::unsupported(format!("index manifest field {name:?}")));
        }
        Ok(Self { entry, range, global })
    }

    /// One entry at the cursor.
    pub(super) fn read(&self, cursor: &mut Cursor<'_>, cache: &mut FileCache) -> Result<IndexManifestEntry> {
        read(cursor, self, cache)
    }
}

fn decode(bytes: &[u8], strict: bool) -> Result<Vec<IndexManifestEntry>> {
    let container = Container::open(bytes)?;
    let (root, _) = container.schema.root()?;
    let plan = EntryPlan::new(&container.schema, root, strict)?;
    let mut cache = FileCache::default();
    let mut entries = Vec::new();
    container.read(|cursor, _| {
        entries.push(plan.read(cursor, &mut cache)?);
        Ok(())
    })?;
    Ok(entries)
}

fn missing(field: &str) -> Error {
    Error::corrupt("", format!("{field} is missing"))
}

fn read(cursor: &mut Cursor<'_>, plan: &EntryPlan, cache: &mut FileCache) -> Result<IndexManifestEntry> {
    let mut numbers = [None; FIELDS.len()];
    let (mut partition, mut index_type, mut name, mut external_path) = (None, None, None, None);
    let (mut deletion_vectors, mut global_index) = (None, None);
    for (slot, node) in &plan.entry.steps {
        let named = |error| name_field(error, slot.map_or("", |slot| FIELDS[slot]));
        match slot {
            Some(2) => partition = cursor.bytes(*node).map_err(named)?,
            Some(4) => index_type = cursor.text(*node).map_err(named)?,
            Some(5) => name = cursor.text(*node).map_err(named)?,
            Some(8) => {
                let range = |cursor: &mut Cursor<'_>, item| read_range(cursor, item, plan.range.as_ref());
                deletion_vectors = cursor.array(*node, range).map_err(named)?;
            }
            Some(9) => external_path = cursor.text(*node).map_err(named)?,
            Some(10) => global_index = read_global(cursor, *node, plan.global.as_ref()).map_err(named)?,
            Some(slot) => numbers[*slot] = cursor.number(*node).map_err(named)?,
            None => cursor.skip(*node)?,
        }
    }
    let number = |slot: usize| numbers[slot].ok_or_else(|| missing(FIELDS[slot]));
    let wrong = |slot: usize, number: i64| Error::corrupt("", format!("{}: {number} is out of range", FIELDS[slot]));
    if number(0)? != VERSION {
        return Err(Error::unsupported(format!("index manifest entries of version {}", number(0)?)));
    }
    if number(1)? != 0 {
        return Err(wrong(1, number(1)?));
    }
    let count = |slot: usize| number(slot).and_then(|n| if n < 0 { Err(wrong(slot, n)) } else { Ok(n) });
    let file_name = name.ok_or_else(|| missing(FIELDS[5]))?.to_string();
    layout::check_name("index file", &file_name).map_err(|error| Error::corrupt("", error.to_string()))?;
    Ok(IndexManifestEntry {
        partition: cache.partition(partition.ok_or_else(|| missing(FIELDS[2]))?)?,
        bucket: i32::try_from(number(3)?).map_err(|_| wrong(3, number(3).unwrap_or(0)))?,
        index_type: index_type.ok_or_else(|| missing(FIELDS[4]))?.to_string(),
        file_name,
        file_size: count(6)?,
        row_count: count(7)?,
        deletion_vectors,
        external_path: external_path.map(str::to_string),
        global_index,
    })
}

fn read_range(cursor: &mut Cursor<'_>, node: NodeId, plan: Option<&Record>) -> Result<DeletionVectorRange> {
    let (true, Some(plan)) = (cursor.record(node)?, plan) else {
        return Err(missing("a range"));
    };
    let mut name = None;
    let mut numbers = [None; RANGE_FIELDS.len()];
    for (slot, node) in &plan.steps {
        match slot {
            Some(0) => name = cursor.text(*node)?,
            Some(slot) => numbers[*slot] = cursor.number(*node)?,
            None => cursor.skip(*node)?,
        }
    }
    let place = |slot: usize| {
        let number = numbers[slot].ok_or_else(|| missing(RANGE_FIELDS[slot]))?;
        i32::try_from(number)
            .ok()
            .filter(|number| *number >= 0)
            .ok_or_else(|| Error::corrupt("", format!("{}: {number} is out of range", RANGE_FIELDS[slot])))
    };
    Ok(DeletionVectorRange {
        data_file: name.ok_or_else(|| missing("f0"))?.to_string(),
        offset: place(1)?,
        length: place(2)?,
        cardinality: numbers[3],
    })
}

/// A global index in the six-field form that is written, whatever fields its file had.
fn read_global(cursor: &mut Cursor<'_>, node: NodeId, plan: Option<&Record>) -> Result<Option<Bytes>> {
    let (true, Some(plan)) = (cursor.record(node)?, plan) else {
        return Ok(None);
    };
    let mut numbers = [None; 3];
    let mut ids = None;
    let mut metas = [None; 2];
    for (slot, node) in &plan.steps {
        match slot {
            Some(slot @ 0..=2) => numbers[*slot] = cursor.number(*node)?,
            Some(3) => {
                ids = cursor.array(*node, |cursor, item| cursor.int(item)?.ok_or_else(|| missing("a field id")))?
            }
            Some(slot) => metas[*slot - 4] = cursor.bytes(*node)?,
            None => cursor.skip(*node)?,
        }
    }
    let mut encoder = Encoder::default();
    for (number, field) in numbers.into_iter().zip(GLOBAL_FIELDS) {
        encoder.long(number.ok_or_else(|| missing(field))?);
    }
    encoder.optional(ids.as_ref(), |encoder, ids| encoder.array(ids, |encoder, id| encoder.int(*id)));
    for meta in metas {
        encoder.optional(meta, Encoder::bytes);
    }
    Ok(Some(Bytes::from(encoder.out)))
}

/// Bytes that are not exactly one record would break the whole list.
fn check_global_index(bytes: &[u8]) -> Result<()> {
    let schema = Schema::parse(schemas::INDEX_MANIFEST.as_bytes())?;
    let (root, _) = schema.root()?;
    let node = schema.field(root, "_GLOBAL_INDEX").ok_or_else(|| Error::bug("index manifest schema"))?;
    // The union's second branch, as a reader would meet it.
    let framed = [&[2], bytes].concat();
    let mut cursor = Cursor::new(&schema, &framed);
    match cursor.skip(node) {
        Ok(()) if cursor.is_empty() => Ok(()),
        _ => Err(Error::invalid("a global index of an index manifest is no record")),
    }
}

#[cfg(test)]
mod tests;
