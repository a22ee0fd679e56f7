//! The blocks of a container one after another, fetched through one window that moves over the file.

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;

use super::corrupt;
use crate::error::{Error, Result};
use crate::format::avro::{Cursor, Header, MAX_HEADER, Schema};
use crate::io::TableStore;

/// The most bytes a block may decompress to: a block ends with the row that reaches 64 KB, and a row is as long as it
/// is.
pub(super) const MAX_BLOCK: usize = 1 << 30;

/// The bytes that are read for the header at first.
pub(super) const HEAD: u64 = 64 << 10;

/// Two numbers in front of a block, of ten bytes at most each.
pub(super) const BLOCK_HEAD: usize = 20;

/// What a sync marker takes.
pub(super) const MARKER: usize = 16;

/// A block's records and where its bytes lie behind the two numbers that tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHead {
    pub records: u64,
    /// Bytes of the two numbers.
    pub head: usize,
    /// Compressed bytes, without the marker behind them.
    pub size: usize,
}

impl BlockHead {
    /// Reads the numbers of a block that has `left` bytes of its file, of which the first are given.
    pub(super) fn parse(schema: &Schema, bytes: &[u8], left: u64) -> Result<Self> {
        let mut cursor = Cursor::new(schema, &bytes[..bytes.len().min(BLOCK_HEAD)]);
        let given = cursor.left();
        let (records, size) = (cursor.long()?, cursor.long()?);
        let head = given - cursor.left();
        let records = u64::try_from(records).map_err(|_| corrupt(format!("a block of {records} records")))?;
        let fits = |size: &usize| (*size as u64).saturating_add((head + MARKER) as u64) <= left;
        let size = usize::try_from(size).ok().filter(fits);
        let size = size.ok_or_else(|| corrupt(format!("a block that is longer than the {left} bytes left")))?;
        Ok(Self { records, head, size })
    }

    /// All bytes of the block.
    pub(super) fn total(&self) -> usize {
        self.head + self.size + MARKER
    }
}

/// The records of a compressed block.
pub(super) fn decompress(header: &Header, block: &[u8]) -> Result<Vec<u8>> {
    let Some((compressed, marker)) = block.split_last_chunk::<MARKER>() else {
        return Err(corrupt("a block ends before its marker"));
    };
    if *marker != header.sync {
        return Err(corrupt("a block does not end with the file's sync marker"));
    }
    header.codec.decompress_within(compressed, MAX_BLOCK)
}

/// A file behind its window.
pub(super) struct Blocks {
    store: TableStore,
    runtime: Handle,
    path: String,
    /// Where the file begins in what has its path.
    start: u64,
    size: u64,
    window: u64,
    /// Where in the file `bytes` begin.
    at: u64,
    bytes: Bytes,
}

impl Blocks {
    /// Opens a file of a known size, which begins at `start` of what has its path, and reads its header. Blocks.
    pub(super) fn open(
        store: &TableStore,
        runtime: &Handle,
        path: &str,
        (start, size): (u64, u64),
        window: u64,
    ) -> Result<(Self, Header)> {
        let (store, runtime, path) = (store.clone(), runtime.clone(), path.to_string());
        let mut blocks =
            Self { store, runtime, path, start, size, window: window.max(HEAD), at: 0, bytes: Bytes::new() };
        let mut wanted = blocks.window.min(size);
        let header = loop {
            blocks.need(usize::try_from(wanted).unwrap_or(usize::MAX))?;
            match Header::parse(&blocks.bytes) {
                Ok(header) => break header,
                // The header may end behind the window.
                Err(Error::Corrupt { .. }) if wanted < size && wanted < MAX_HEADER as u64 => {
                    wanted = wanted.saturating_mul(4).min(size);
                }
                Err(error) => return Err(error),
            }
        };
        blocks.pass(header.length);
        Ok((blocks, header))
    }

    fn pass(&mut self, bytes: usize) {
        drop(self.bytes.split_to(bytes));
        self.at += bytes as u64;
    }

    /// Sees to it that so many bytes are at hand, as far as the file has them.
    fn need(&mut self, bytes: usize) -> Result<()> {
        let held = self.at + self.bytes.len() as u64;
        if self.bytes.len() >= bytes || held >= self.size {
            return Ok(());
        }
        let upto = self.at.saturating_add(bytes as u64).max(held.saturating_add(self.window)).min(self.size);
        let fetched = self.runtime.block_on(self.store.read_range(&self.path, self.start + held..self.start + upto))?;
        if fetched.len() as u64 != upto - held {
            return Err(corrupt(format!("the file is shorter than the {} bytes its manifest tells", self.size)));
        }
        self.bytes = if self.bytes.is_empty() {
            fetched
        } else {
            let mut joined = BytesMut::with_capacity(self.bytes.len() + fetched.len());
            joined.extend_from_slice(&self.bytes);
            joined.extend_from_slice(&fetched);
            joined.freeze()
        };
        Ok(())
    }

    /// The next block: the number of its records, and these.
    pub(super) fn next(&mut self, header: &Header) -> Result<Option<(u64, Vec<u8>)>> {
        self.need(BLOCK_HEAD)?;
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let head = BlockHead::parse(&header.schema, &self.bytes, self.size - self.at)?;
        self.need(head.total())?;
        let records = decompress(header, &self.bytes[head.head..head.total()])?;
        self.pass(head.total());
        Ok(Some((head.records, records)))
    }
}
