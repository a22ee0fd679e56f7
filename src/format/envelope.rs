//! The bytes of values that travel between machines: magic, version, Avro-encoded body, checksum.
//! Spec: `format-spec/commit-message.md`, `format-spec/split.md`.

use std::borrow::Borrow;
use std::ops::RangeInclusive;

use bytes::Bytes;

use super::avro::{Cursor, Encoder, NodeId, Schema};
use super::data_file::{FileCache, FilePlan, encode_file};
use super::index_manifest::{EntryPlan, IndexManifestEntry, encode_entry};
use super::{BinaryRow, DataFileMeta, schemas};
use crate::error::{Error, Result};

/// Begins an envelope.
pub(super) fn begin(magic: [u8; 4], version: u8) -> Encoder {
    Encoder { out: [magic.as_slice(), &[version]].concat() }
}

/// Ends it with its checksum.
pub(super) fn finish(mut encoder: Encoder) -> Bytes {
    let sum = crc32(&encoder.out);
    encoder.out.extend_from_slice(&sum.to_be_bytes());
    Bytes::from(encoder.out)
}

pub(super) fn put_files<F: Borrow<DataFileMeta>>(encoder: &mut Encoder, files: &[F]) {
    encoder.array(files, |encoder, file| encode_file(encoder, file.borrow(), true));
}

pub(super) fn put_index_files(encoder: &mut Encoder, files: &[IndexManifestEntry]) {
    encoder.array(files, encode_entry);
}

/// The checksum of zip and of deletion vectors.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The schema that the bodies are made of: the fields are read by hand, one node of each kind.
pub(super) struct BodySchema {
    schema: Schema,
    file: NodeId,
    files: NodeId,
    plan: FilePlan,
    index_files: NodeId,
    index_plan: EntryPlan,
    texts: NodeId,
}

impl BodySchema {
    pub(super) fn new() -> Result<Self> {
        let field =
            |name: &str, items: &str| format!(r#"{{"name":"{name}","type":{{"type":"array","items":{items}}}}}"#);
        let text = format!(
            r#"{{"type":"record","name":"body","fields":[{{"name":"n","type":"long"}},{{"name":"b","type":"bytes"}},{},{},{}]}}"#,
            field("f", schemas::DATA_FILE),
            field("i", schemas::INDEX_MANIFEST),
            field("t", r#""string""#),
        );
        let schema = Schema::parse(text.as_bytes())?;
        let (root, _) = schema.root()?;
        let wrong = || Error::bug("the schema of messages");
        let array = |name| schema.field(root, name).ok_or_else(wrong);
        let (files, index_files, texts) = (array("f")?, array("i")?, array("t")?);
        let file = schema.items(files).ok_or_else(wrong)?;
        let plan = FilePlan::new(&schema, file)?;
        let index_plan = EntryPlan::new(&schema, schema.items(index_files).ok_or_else(wrong)?, true)?;
        Ok(Self { file, files, plan, index_files, index_plan, texts, schema })
    }

    /// The body of an envelope, its frame checked.
    pub(super) fn open<'a>(
        &'a self,
        bytes: &'a [u8],
        magic: [u8; 4],
        versions: RangeInclusive<u8>,
        what: &'static str,
    ) -> Result<Body<'a>> {
        let corrupt = |why: &str| Error::corrupt(what, why);
        let (framed, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| corrupt("too short"))?;
        let (found, body) = framed.split_first_chunk::<5>().ok_or_else(|| corrupt("too short"))?;
        if found[..4] != magic {
            return Err(corrupt("the first bytes are others"));
        }
        if crc32(framed) != u32::from_be_bytes(*sum) {
            return Err(corrupt("the checksum is another"));
        }
        if !versions.contains(&found[4]) {
            return Err(Error::unsupported(format!("{what} of version {}", found[4])));
        }
        let cursor = Cursor::new(&self.schema, body);
        Ok(Body { cursor, schema: self, version: found[4], what, cache: FileCache::default() })
    }
}

/// Reads the fields of a body in order.
pub(super) struct Body<'a> {
    cursor: Cursor<'a>,
    schema: &'a BodySchema,
    version: u8,
    what: &'static str,
    cache: FileCache,
}

impl Body<'_> {
    pub(super) fn version(&self) -> u8 {
        self.version
    }

    pub(super) fn long(&mut self) -> Result<i64> {
        self.cursor.long().map_err(|error| error.in_file(self.what))
    }

    pub(super) fn int(&mut self) -> Result<i32> {
        let number = self.long()?;
        i32::try_from(number).map_err(|_| Error::corrupt(self.what, format!("{number} has more than 32 bits")))
    }

    pub(super) fn flag(&mut self) -> Result<bool> {
        match self.long()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::corrupt(self.what, format!("{other} is neither yes nor no"))),
        }
    }

    pub(super) fn row(&mut self) -> Result<BinaryRow> {
        let mut read = || {
            let length = usize::try_from(self.cursor.long()?).map_err(|_| Error::corrupt("", "a negative length"))?;
            self.cache.row(Some(self.cursor.take(length)?), "partition")
        };
        read().map_err(|error| error.in_file(self.what))
    }

    pub(super) fn files(&mut self) -> Result<Vec<DataFileMeta>> {
        let (schema, cache) = (self.schema, &mut self.cache);
        let files = self
            .cursor
            .array(schema.files, |cursor, _| schema.plan.scan(cursor, schema.file, cache)?.materialise(cache));
        Ok(files.map_err(|error| error.in_file(self.what))?.unwrap_or_default())
    }

    pub(super) fn index_files(&mut self) -> Result<Vec<IndexManifestEntry>> {
        let (schema, cache) = (self.schema, &mut self.cache);
        let files = self.cursor.array(schema.index_files, |cursor, _| schema.index_plan.read(cursor, cache));
        Ok(files.map_err(|error| error.in_file(self.what))?.unwrap_or_default())
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>> {
        let text = |cursor: &mut Cursor<'_>, item| {
            cursor.text(item)?.map(str::to_string).ok_or_else(|| Error::corrupt("", "a text is missing"))
        };
        let texts = self.cursor.array(self.schema.texts, text).map_err(|error| error.in_file(self.what))?;
        Ok(texts.unwrap_or_default())
    }

    pub(super) fn end(self) -> Result<()> {
        match self.cursor.is_empty() {
            true => Ok(()),
            false => Err(Error::corrupt(self.what, format!("{} bytes too many", self.cursor.left()))),
        }
    }
}
