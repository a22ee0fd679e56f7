//! Reading an object container: header, then blocks of records.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::codec::Codec;
use super::corrupt;
use super::cursor::Cursor;
use super::schema::Schema;
use crate::error::{Error, Result};

pub(super) const MAGIC: &[u8; 4] = b"Obj\x01";

/// The most bytes all blocks of one file may decompress to.
const MAX_FILE: usize = 1 << 30;

/// The longest schema text.
const MAX_SCHEMA: usize = 4 << 20;

/// The most bytes a header is looked for in.
pub(crate) const MAX_HEADER: usize = MAX_SCHEMA + (1 << 20);

/// What stands before the blocks of a container.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) schema: Arc<Schema>,
    /// The schema as the file spells it.
    #[cfg(test)]
    pub(crate) schema_text: Vec<u8>,
    pub(crate) codec: Codec,
    /// What every block ends with.
    pub(crate) sync: [u8; 16],
    /// The bytes it takes.
    pub(crate) length: usize,
}

impl Header {
    /// Reads a header from the first bytes of a file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        // The header is Avro itself: a map of bytes.
        let header = Schema::shared(b"\"bytes\"")?;
        let mut cursor = Cursor::new(&header, bytes);
        if cursor.take(4).ok() != Some(MAGIC.as_slice()) {
            return Err(corrupt("no Avro container: it does not begin with `Obj 1`"));
        }
        let (mut schema, mut codec) = (None, Codec::Null);
        loop {
            let mut entries = cursor.long()?;
            if entries == 0 {
                break;
            }
            if entries < 0 {
                cursor.long()?;
                entries = entries.checked_neg().unwrap_or(i64::MAX);
            }
            for _ in 0..entries {
                let missing = || corrupt("header: a key or a value is missing");
                let key = cursor.bytes(0)?.ok_or_else(missing)?;
                let value = cursor.bytes(0)?.ok_or_else(missing)?;
                match key {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = Codec::of_avro_name(value)?,
                    _ => {}
                }
            }
        }
        let sync = cursor.take(16).ok().and_then(|sync| sync.try_into().ok());
        let sync = sync.ok_or_else(|| corrupt("header: it ends before the sync marker"))?;
        let schema = schema.ok_or_else(|| corrupt("header: no avro.schema"))?;
        if schema.len() > MAX_SCHEMA {
            return Err(corrupt(format!("avro.schema: {} bytes, more than {MAX_SCHEMA}", schema.len())));
        }
        Ok(Self {
            schema: Schema::shared(schema)?,
            #[cfg(test)]
            schema_text: schema.to_vec(),
            codec,
            sync,
            length: bytes.len() - cursor.left(),
        })
    }
}

/// Blocks of a container that are read by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockRange {
    /// Where they lie behind the header.
    place: Range<usize>,
    /// The records in front of them.
    first_record: usize,
    /// The most bytes they may decompress to.
    limit: usize,
}

/// An opened container: its header is decoded, its blocks are not.
pub(crate) struct Container<'a> {
    pub(crate) schema: Arc<Schema>,
    /// The schema as the file spells it.
    #[cfg(test)]
    pub(crate) schema_text: Vec<u8>,
    codec: Codec,
    sync: [u8; 16],
    blocks: &'a [u8],
}

impl<'a> Container<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self> {
        let header = Header::parse(bytes)?;
        Ok(Self {
            schema: header.schema,
            #[cfg(test)]
            schema_text: header.schema_text,
            codec: header.codec,
            sync: header.sync,
            blocks: &bytes[header.length..],
        })
    }

    /// The bytes of all records.
    #[cfg(test)]
    pub(crate) fn raw(&self) -> Vec<u8> {
        let mut cursor = Cursor::new(&self.schema, self.blocks);
        let mut raw = Vec::new();
        while !cursor.is_empty() {
            cursor.long().unwrap();
            let size = cursor.long().unwrap() as usize;
            raw.extend(self.codec.decompress(cursor.take(size).unwrap()).unwrap());
            cursor.take(16).unwrap();
        }
        raw
    }

    /// All blocks, cut into ranges of `least` compressed bytes or more.
    pub(crate) fn ranges(&self, least: usize) -> Result<Vec<BlockRange>> {
        let mut cursor = Cursor::new(&self.schema, self.blocks);
        let (mut ranges, mut start, mut first_record, mut records) = (Vec::new(), 0, 0, 0_usize);
        while !cursor.is_empty() {
            let (count, _) = self.frame(&mut cursor)?;
            records = records.saturating_add(usize::try_from(count).unwrap_or(0));
            let end = self.blocks.len() - cursor.left();
            if end - start >= least || cursor.is_empty() {
                ranges.push(BlockRange { place: start..end, first_record, limit: MAX_FILE });
                (start, first_record) = (end, records);
            }
        }
        let count = ranges.len().max(1);
        ranges.iter_mut().for_each(|range| range.limit = MAX_FILE / count);
        Ok(ranges)
    }

    /// The next block: how many records it tells, and its compressed bytes.
    fn frame<'b>(&self, cursor: &mut Cursor<'b>) -> Result<(i64, &'b [u8])> {
        let (count, size) = (cursor.long()?, cursor.long()?);
        let size = usize::try_from(size).map_err(|_| corrupt(format!("a block of {size} bytes")))?;
        let compressed = cursor.take(size)?;
        match cursor.take(16)? == self.sync {
            true => Ok((count, compressed)),
            false => Err(corrupt("a block does not end with the file's sync marker")),
        }
    }

    /// Reads every record with `record`, which must take exactly its bytes and sees the block they lie in.
    pub(crate) fn read<F>(&self, record: F) -> Result<()>
    where
        F: FnMut(&mut Cursor<'_>, &Bytes) -> Result<()>,
    {
        let all = BlockRange { place: 0..self.blocks.len(), first_record: 0, limit: MAX_FILE };
        self.read_range(&all, record)
    }

    /// The same for some blocks.
    pub(crate) fn read_range<F>(&self, range: &BlockRange, mut record: F) -> Result<()>
    where
        F: FnMut(&mut Cursor<'_>, &Bytes) -> Result<()>,
    {
        let (root, optional) = self.schema.root()?;
        let blocks = self.blocks.get(range.place.clone()).ok_or_else(|| corrupt("blocks behind its end"))?;
        let mut cursor = Cursor::new(&self.schema, blocks);
        let mut decompressed = 0;
        let mut number = range.first_record;
        while !cursor.is_empty() {
            let (count, compressed) = self.frame(&mut cursor)?;
            let block = Bytes::from(self.codec.decompress(compressed)?);
            decompressed += block.len();
            if decompressed > range.limit {
                return Err(Error::exhausted(format!("an Avro file of more than {MAX_FILE} bytes uncompressed")));
            }
            if usize::try_from(count).map_or(true, |count| count > block.len()) {
                return Err(corrupt(format!("{count} records in {} bytes", block.len())));
            }
            let mut records = Cursor::new(&self.schema, &block);
            for _ in 0..count {
                let present = !optional || records.record(root)?;
                if !present {
                    return Err(corrupt(format!("record {number} is null")));
                }
                record(&mut records, &block).map_err(|error| match error {
                    Error::Corrupt { file, what } => Error::Corrupt { file, what: format!("record {number}: {what}") },
                    other => other,
                })?;
                number += 1;
            }
            if !records.is_empty() {
                return Err(corrupt(format!("{} bytes behind the last record of a block", records.left())));
            }
        }
        Ok(())
    }
}
