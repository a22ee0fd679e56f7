//! Manifests: the ADD and DELETE entries of data files.
//!
//! A manifest is decoded entry by entry: the whole entry is scanned without taking memory, then the filter sees its
//! head, and only what passes is materialised. Spec: `format-spec/manifest.md`.

use std::sync::Arc;

use bytes::Bytes;

use super::avro::{BlockRange, Codec, Container, ContainerWriter, Cursor, NodeId, Record, Schema};
use super::data_file::{FileCache, FilePlan, RawFile, encode_file};
use super::{BinaryRow, DataFileMeta, schemas};
use crate::error::{Error, Result};

mod merge;

pub use merge::{FileIdentifier, apply_entries, cancel_entries, merge_entries};

/// The record version that is read and written.
const VERSION: i32 = 2;

/// Whether an entry adds or deletes its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum FileKind {
    /// The file belongs to the table from this commit on.
    Add = 0,
    /// The file leaves the table with this commit.
    Delete = 1,
}

/// One entry of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// `_KIND`
    pub kind: FileKind,
    /// `_PARTITION`: the truth about the partition of the file's rows.
    pub partition: BinaryRow,
    /// `_BUCKET`
    pub bucket: i32,
    /// `_TOTAL_BUCKETS`: the bucket count the partition was written with.
    pub total_buckets: i32,
    /// `_FILE`; shared, because plans over cached manifests hand it on.
    pub file: Arc<DataFileMeta>,
}

/// What a filter sees of an entry.
#[derive(Debug, Clone, Copy)]
pub struct EntryHead<'a> {
    /// `_KIND`
    pub kind: FileKind,
    /// `_PARTITION`
    pub partition: &'a BinaryRow,
    /// `_BUCKET`
    pub bucket: i32,
    /// `_TOTAL_BUCKETS`
    pub total_buckets: i32,
    /// `_LEVEL` of the file
    pub level: i32,
    /// `_FILE_NAME` of the file
    pub file_name: &'a str,
}

/// Decides which entries are decoded.
#[derive(Clone, Copy, Default)]
pub struct ManifestFilter<'a> {
    keep: Option<&'a (dyn Fn(&EntryHead<'_>) -> bool + Sync)>,
}

impl<'a> ManifestFilter<'a> {
    /// Keeps every entry.
    pub const ALL: ManifestFilter<'static> = ManifestFilter { keep: None };

    /// Keeps the entries for which the function says so.
    pub fn new(keep: &'a (dyn Fn(&EntryHead<'_>) -> bool + Sync)) -> Self {
        Self { keep: Some(keep) }
    }

    fn keeps(&self, head: &EntryHead<'_>) -> bool {
        self.keep.is_none_or(|keep| keep(head))
    }
}

/// The bytes of a manifest with these entries, in their order.
///
/// # Errors
/// None but [`Error::Bug`].
pub fn encode_manifest<'a>(
    entries: impl IntoIterator<Item = &'a ManifestEntry> + Clone,
    codec: Codec,
) -> Result<Bytes> {
    // Only tables with data evolution have write sequences; everything else stays readable as 2.0 wrote it.
    let sequences = entries.clone().into_iter().any(|entry| entry.file.write_cols_sequences.is_some());
    encode_with(entries, codec, sequences)
}

pub(super) fn encode_with<'a>(
    entries: impl IntoIterator<Item = &'a ManifestEntry>,
    codec: Codec,
    sequences: bool,
) -> Result<Bytes> {
    let schema = if sequences { schemas::MANIFEST_WITH_SEQUENCES } else { schemas::MANIFEST };
    let mut writer = ContainerWriter::new(schema, codec);
    for entry in entries {
        writer.record(|encoder| {
            encoder.int(VERSION);
            encoder.int(entry.kind as i32);
            encoder.bytes(entry.partition.prefixed());
            encoder.int(entry.bucket);
            encoder.int(entry.total_buckets);
            encode_file(encoder, &entry.file, sequences);
        })?;
    }
    writer.finish()
}

/// The entries of a manifest that the filter keeps, in the file's order.
///
/// # Errors
/// [`Error::Corrupt`] that names the file, the record and the field, [`Error::Unsupported`] for another version.
pub fn decode_manifest(bytes: &[u8], file: &str, filter: &ManifestFilter<'_>) -> Result<Vec<ManifestEntry>> {
    decode(bytes, None, filter).map_err(|error| error.in_file(file))
}

/// A part of a manifest that is decoded by itself, beside the others.
#[derive(Debug, Clone)]
pub struct ManifestPart(BlockRange);

/// The parts of a manifest, in the order of their entries; a small one is one part.
///
/// # Errors
/// [`Error::Corrupt`] that names the file.
pub fn manifest_parts(bytes: &[u8], file: &str) -> Result<Vec<ManifestPart>> {
    let ranges = Container::open(bytes).and_then(|container| container.ranges(LEAST_PART));
    Ok(ranges.map_err(|error| error.in_file(file))?.into_iter().map(ManifestPart).collect())
}

/// The entries of a part of a manifest that the filter keeps, in the file's order.
///
/// # Errors
/// As [`decode_manifest`].
pub fn decode_manifest_part(
    bytes: &[u8],
    part: &ManifestPart,
    file: &str,
    filter: &ManifestFilter<'_>,
) -> Result<Vec<ManifestEntry>> {
    decode(bytes, Some(&part.0), filter).map_err(|error| error.in_file(file))
}

/// Compressed bytes of a part: some thousand entries.
const LEAST_PART: usize = 256 << 10;

fn decode(bytes: &[u8], part: Option<&BlockRange>, filter: &ManifestFilter<'_>) -> Result<Vec<ManifestEntry>> {
    let container = Container::open(bytes)?;
    let plan = Plan::new(&container.schema)?;
    let mut cache = FileCache::default();
    let mut entries = Vec::new();
    let read = |cursor: &mut Cursor<'_>, block: &Bytes| {
        // Where all entries stay, their rows may as well be slices of the block.
        if filter.keep.is_none() {
            cache.share(block);
        }
        entries.extend(plan.read(cursor, filter, &mut cache)?);
        Ok(())
    };
    match part {
        Some(part) => container.read_range(part, read)?,
        None => container.read(read)?,
    }
    Ok(entries)
}

const FIELDS: [&str; 6] = ["_VERSION", "_KIND", "_PARTITION", "_BUCKET", "_TOTAL_BUCKETS", "_FILE"];

/// How a manifest stores its entries.
struct Plan {
    record: Record,
    file: FilePlan,
}

#[derive(Default)]
struct RawEntry<'p, 'a> {
    numbers: [Option<i32>; 5],
    partition: Option<&'a [u8]>,
    file: Option<RawFile<'p, 'a>>,
}

impl Plan {
    fn new(schema: &Schema) -> Result<Self> {
        let (root, _) = schema.root()?;
        let file: NodeId = schema
            .field(root, "_FILE")
            .ok_or_else(|| Error::corrupt("", "avro.schema: no manifest, it lacks _FILE"))?;
        Ok(Self { record: schema.record(root, "the entry", &FIELDS)?, file: FilePlan::new(schema, file)? })
    }

    fn read(
        &self,
        cursor: &mut Cursor<'_>,
        filter: &ManifestFilter<'_>,
        cache: &mut FileCache,
    ) -> Result<Option<ManifestEntry>> {
        let mut raw = RawEntry::default();
        for (slot, node) in &self.record.steps {
            match slot {
                Some(2) => raw.partition = cursor.bytes(*node)?,
                Some(5) => raw.file = Some(self.file.scan(cursor, *node, cache)?),
                Some(slot) => raw.numbers[*slot] = cursor.int(*node)?,
                None => cursor.skip(*node)?,
            }
        }
        let missing = |slot: usize| Error::corrupt("", format!("{} is missing", FIELDS[slot]));
        let number = |slot: usize| raw.numbers[slot].ok_or_else(|| missing(slot));
        match number(0)? {
            VERSION => {}
            other => return Err(Error::unsupported(format!("manifest entries of version {other}"))),
        }
        let kind = match number(1)? {
            0 => FileKind::Add,
            1 => FileKind::Delete,
            other => return Err(Error::corrupt("", format!("_KIND: {other} is no kind"))),
        };
        let partition = cache.partition(raw.partition.ok_or_else(|| missing(2))?)?;
        let (bucket, total_buckets) = (number(3)?, number(4)?);
        let file = raw.file.as_ref().ok_or_else(|| missing(5))?;
        let (level, file_name) = (file.level, file.file_name()?);
        if !filter.keeps(&EntryHead { kind, partition: &partition, bucket, total_buckets, level, file_name }) {
            return Ok(None);
        }
        let file = Arc::new(file.materialise(cache)?);
        Ok(Some(ManifestEntry { kind, partition, bucket, total_buckets, file }))
    }
}

#[cfg(test)]
mod tests;
