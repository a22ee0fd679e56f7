//! The bytes of values that travel between machines: magic, version, Avro-encoded body, checksum.
//! Spec: `format-spec/commit-message.md`, `format-spec/split.md`.

use std::borrow::Borrow;

use bytes::Bytes;

use super::avro::{Cursor, Encoder, NodeId, Schema};
use super::data_file::{FileCache, FilePlan, encode_file};
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

fn crc32(bytes: &[u8]) -> u32 {
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
}

impl BodySchema {
    pub(super) fn new() -> Result<Self> {
        let text = format!(
            r#"{{"type":"record","name":"body","fields":[{{"name":"n","type":"long"}},{{"name":"b","type":"bytes"}},{{"name":"f","type":{{"type":"array","items":{}}}}}]}}"#,
            schemas::DATA_FILE
        );
        let schema = Schema::parse(text.as_bytes())?;
        let (root, _) = schema.root()?;
        let files = schema.field(root, "f").ok_or_else(|| Error::bug("the schema of messages"))?;
        let file = schema.items(files).ok_or_else(|| Error::bug("the schema of messages"))?;
        let plan = FilePlan::new(&schema, file)?;
        Ok(Self { schema, file, files, plan })
    }

    /// The body of an envelope, its frame checked.
    pub(super) fn open<'a>(
        &'a self,
        bytes: &'a [u8],
        magic: [u8; 4],
        version: u8,
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
        if found[4] != version {
            return Err(Error::unsupported(format!("{what} of version {}", found[4])));
        }
        Ok(Body { cursor: Cursor::new(&self.schema, body), schema: self, what, cache: FileCache::default() })
    }
}

/// Reads the fields of a body in order.
pub(super) struct Body<'a> {
    cursor: Cursor<'a>,
    schema: &'a BodySchema,
    what: &'static str,
    cache: FileCache,
}

impl Body<'_> {
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
        let files =
            self.cursor.array(schema.files, |cursor, _| schema.plan.scan(cursor, schema.file)?.materialise(cache));
        Ok(files.map_err(|error| error.in_file(self.what))?.unwrap_or_default())
    }

    pub(super) fn end(self) -> Result<()> {
        match self.cursor.is_empty() {
            true => Ok(()),
            false => Err(Error::corrupt(self.what, format!("{} bytes too many", self.cursor.left()))),
        }
    }
}
