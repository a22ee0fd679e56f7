//! Manifest lists: the manifests of a snapshot.
//! Spec: `format-spec/manifest.md`.

use bytes::Bytes;

use super::avro::{Codec, Container, ContainerWriter, Cursor, Encoder, Record};
use super::data_file::{FileCache, StatsPlan, encode_stats, name_field};
use super::{SimpleStats, layout, schemas};
use crate::error::{Error, Result};

/// One manifest, as a manifest list describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFileMeta {
    /// `_FILE_NAME`
    pub file_name: String,
    /// `_FILE_SIZE` in bytes
    pub file_size: i64,
    /// `_NUM_ADDED_FILES`
    pub num_added_files: i64,
    /// `_NUM_DELETED_FILES`
    pub num_deleted_files: i64,
    /// `_PARTITION_STATS` over the partition columns
    pub partition_stats: SimpleStats,
    /// `_SCHEMA_ID` the writer held
    pub schema_id: i64,
    /// `_MIN_BUCKET`: a hint for pruning
    pub min_bucket: Option<i32>,
    /// `_MAX_BUCKET`
    pub max_bucket: Option<i32>,
    /// `_MIN_LEVEL`
    pub min_level: Option<i32>,
    /// `_MAX_LEVEL`
    pub max_level: Option<i32>,
    /// `_MIN_ROW_ID` (row tracking)
    pub min_row_id: Option<i64>,
    /// `_MAX_ROW_ID`
    pub max_row_id: Option<i64>,
}

/// The record version that is read and written.
const VERSION: i32 = 2;

const FIELDS: [&str; 13] = [
    "_VERSION",
    "_FILE_NAME",
    "_FILE_SIZE",
    "_NUM_ADDED_FILES",
    "_NUM_DELETED_FILES",
    "_PARTITION_STATS",
    "_SCHEMA_ID",
    "_MIN_BUCKET",
    "_MAX_BUCKET",
    "_MIN_LEVEL",
    "_MAX_LEVEL",
    "_MIN_ROW_ID",
    "_MAX_ROW_ID",
];

/// The bytes of a manifest list.
///
/// # Errors
/// None but [`Error::Bug`].
pub fn encode_manifest_list(manifests: &[ManifestFileMeta], codec: Codec) -> Result<Bytes> {
    let mut writer = ContainerWriter::new(schemas::MANIFEST_LIST, codec);
    for manifest in manifests {
        writer.record(|encoder| {
            encoder.int(VERSION);
            encoder.text(&manifest.file_name);
            encoder.long(manifest.file_size);
            encoder.long(manifest.num_added_files);
            encoder.long(manifest.num_deleted_files);
            encode_stats(encoder, &manifest.partition_stats);
            encoder.long(manifest.schema_id);
            for number in [manifest.min_bucket, manifest.max_bucket, manifest.min_level, manifest.max_level] {
                encoder.optional(number, Encoder::int);
            }
            encoder.optional(manifest.min_row_id, Encoder::long);
            encoder.optional(manifest.max_row_id, Encoder::long);
        })?;
    }
    writer.finish()
}

/// The manifests of a manifest list, in order.
///
/// # Errors
/// [`Error::Corrupt`] that names the file, the record and the field, [`Error::Unsupported`] for another version.
pub fn decode_manifest_list(bytes: &[u8], file: &str) -> Result<Vec<ManifestFileMeta>> {
    decode(bytes).map_err(|error| error.in_file(file))
}

fn decode(bytes: &[u8]) -> Result<Vec<ManifestFileMeta>> {
    let container = Container::open(bytes)?;
    let schema = &container.schema;
    let (root, _) = schema.root()?;
    let record = schema.record(root, "the entry", &FIELDS)?;
    let stats = schema.field(root, "_PARTITION_STATS").ok_or_else(|| missing("_PARTITION_STATS"))?;
    let stats = StatsPlan::new(schema, stats, "_PARTITION_STATS")?;
    let mut cache = FileCache::default();
    let mut manifests = Vec::new();
    container.read(|cursor, _| {
        manifests.push(read(cursor, &record, &stats, &mut cache)?);
        Ok(())
    })?;
    Ok(manifests)
}

fn missing(field: &str) -> Error {
    Error::corrupt("", format!("{field} is missing"))
}

fn read(cursor: &mut Cursor<'_>, record: &Record, plan: &StatsPlan, cache: &mut FileCache) -> Result<ManifestFileMeta> {
    let mut numbers = [None; FIELDS.len()];
    let (mut name, mut stats) = (None, None);
    for (slot, node) in &record.steps {
        let named = |error| name_field(error, slot.map_or("", |slot| FIELDS[slot]));
        match slot {
            Some(1) => name = cursor.text(*node).map_err(named)?,
            Some(5) => stats = Some(plan.read(cursor, *node, cache).map_err(named)?),
            Some(slot) => numbers[*slot] = cursor.number(*node).map_err(named)?,
            None => cursor.skip(*node)?,
        }
    }
    let number = |slot: usize| numbers[slot].ok_or_else(|| missing(FIELDS[slot]));
    let count = |slot: usize| match number(slot)? {
        negative @ ..0 => Err(Error::corrupt("", format!("{}: {negative} is negative", FIELDS[slot]))),
        count => Ok(count),
    };
    let hint = |slot: usize| {
        let wide = |number| Error::corrupt("", format!("{}: {number} has more than 32 bits", FIELDS[slot]));
        numbers[slot].map(|number| i32::try_from(number).map_err(|_| wide(number))).transpose()
    };
    if number(0)? != i64::from(VERSION) {
        return Err(Error::unsupported(format!("manifest list entries of version {}", number(0)?)));
    }
    let file_name = name.ok_or_else(|| missing(FIELDS[1]))?.to_string();
    layout::check_name("manifest", &file_name).map_err(|error| Error::corrupt("", error.to_string()))?;
    Ok(ManifestFileMeta {
        file_name,
        file_size: count(2)?,
        num_added_files: count(3)?,
        num_deleted_files: count(4)?,
        partition_stats: stats.ok_or_else(|| missing(FIELDS[5]))?,
        schema_id: count(6)?,
        min_bucket: hint(7)?,
        max_bucket: hint(8)?,
        min_level: hint(9)?,
        max_level: hint(10)?,
        min_row_id: numbers[11],
        max_row_id: numbers[12],
    })
}

#[cfg(test)]
mod tests;
