//! An Avro data file for lookups: its blocks are the pages of all its columns. Nothing in the file tells where they
//! lie, so that the numbers in front of each are read once, through windows that pass over the file.

use std::ops::Range;

use arrow_array::ArrayRef;
use bytes::Bytes;

use super::blocks::{BLOCK_HEAD, BlockHead, HEAD, MARKER, decompress};
use super::corrupt;
use super::reader::at_row;
use super::records::{Records, Wanted};
use crate::error::{Error, Result};
use crate::files::paged::{PageAt, PageColumn};
use crate::format::avro::{Cursor, Header, MAX_HEADER};

/// Bytes of the file looked through at once.
const WINDOW: u64 = 1 << 20;

/// Finds the blocks of a file: asks for pieces of it until all are found. Does no IO.
#[derive(Debug)]
pub struct AvroIndex {
    path: String,
    size: u64,
    header: Option<Header>,
    /// Where the next block, or the header, is looked for, and in how many bytes.
    next: Range<u64>,
    blocks: Vec<Block>,
    rows: u64,
}

/// A block behind its two numbers.
#[derive(Debug, Clone, Copy)]
struct Block {
    at: u64,
    size: u64,
    first_row: u64,
}

impl AvroIndex {
    /// An index of a file of a known size.
    pub fn new(path: &str, size: u64) -> Self {
        Self { path: path.to_string(), size, header: None, next: 0..HEAD.min(size), blocks: Vec::new(), rows: 0 }
    }

    /// The bytes that [`AvroIndex::feed`] must get next; `None` when all blocks are found.
    pub fn wanted(&self) -> Option<Range<u64>> {
        (self.header.is_none() || !self.next.is_empty()).then(|| self.next.clone())
    }

    /// Takes the wanted bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they are no part of an Avro file.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let fed = self.look_through(bytes);
        fed.map_err(|error| error.in_file(&self.path))
    }

    fn look_through(&mut self, bytes: &[u8]) -> Result<()> {
        let mut pos = 0;
        if self.header.is_none() {
            match Header::parse(bytes) {
                Ok(header) => {
                    pos = header.length;
                    self.header = Some(header);
                }
                // The header may end behind these bytes.
                Err(Error::Corrupt { .. }) if self.next.end < self.size && bytes.len() < MAX_HEADER => {
                    self.next.end = self.next.end.saturating_mul(4).min(self.size);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        let Some(header) = &self.header else { return Ok(()) };
        let (start, end) = (self.next.start, self.next.start + bytes.len() as u64);
        while pos < bytes.len() && (bytes.len() - pos >= BLOCK_HEAD || end == self.size) {
            let at = start + pos as u64;
            let head = BlockHead::parse(&header.schema, &bytes[pos..], self.size - at)?;
            let rows = self.rows.checked_add(head.records).ok_or_else(|| corrupt("more than 2^64 rows"))?;
            if head.records > 0 {
                let (at, size) = (at + head.head as u64, (head.size + MARKER) as u64);
                self.blocks.push(Block { at, size, first_row: self.rows });
            }
            self.rows = rows;
            pos += head.total();
        }
        let next = start + pos as u64;
        self.next = next..next.saturating_add(WINDOW).min(self.size);
        Ok(())
    }

    /// The file, when all blocks are found.
    ///
    /// # Errors
    /// [`Error::Bug`] when some are not.
    pub fn finish(self) -> Result<AvroPages> {
        let header = self.header.filter(|_| self.next.is_empty());
        let header = header.ok_or_else(|| Error::bug(format!("{}: not all blocks are found", self.path)))?;
        Ok(AvroPages { path: self.path, header, blocks: self.blocks, rows: self.rows })
    }
}

/// A file whose blocks are known.
#[derive(Debug)]
pub struct AvroPages {
    path: String,
    header: Header,
    blocks: Vec<Block>,
    rows: u64,
}

impl AvroPages {
    fn fields(&self) -> &[(String, usize)] {
        let root = self.header.schema.root().map_or(0, |(root, _)| root);
        self.header.schema.record_of(root).unwrap_or_default()
    }

    /// The place of a column, if the file has it.
    pub fn leaf(&self, name: &str) -> Option<usize> {
        self.fields().iter().position(|(field, _)| field == name)
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.blocks.len() * size_of::<Block>() + self.fields().len() * 200 + 500
    }

    /// The blocks, in order.
    pub fn pages(&self) -> Vec<PageAt> {
        (0..self.blocks.len()).filter_map(|at| self.page(at)).collect()
    }

    /// The block that holds a row.
    pub fn page_of(&self, row: u64) -> Option<PageAt> {
        self.page(self.blocks.partition_point(|block| block.first_row <= row).checked_sub(1)?)
    }

    fn page(&self, at: usize) -> Option<PageAt> {
        let first_row = self.blocks.get(at)?.first_row;
        let end = self.blocks.get(at + 1).map_or(self.rows, |next| next.first_row);
        Some(PageAt { group: 0, page: at, first_row, rows: end - first_row })
    }

    /// The bytes of a block.
    pub fn range(&self, at: &PageAt) -> Option<Range<u64>> {
        self.blocks.get(at.page).map(|block| block.at..block.at + block.size)
    }

    /// Bytes that one column of a block takes when it is decoded, roughly.
    pub fn weight(&self, at: &PageAt) -> u64 {
        let bytes = self.blocks.get(at.page).map_or(0, |block| block.size);
        bytes.saturating_mul(4) / self.fields().len().max(1) as u64 + at.rows * 4
    }

    /// The values of one column in a block, from its bytes. Blocks.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the file.
    pub fn decode(&self, column: &PageColumn, at: &PageAt, fetched: &[(u64, Bytes)]) -> Result<ArrayRef> {
        self.decode_block(column, at, fetched).map_err(|error| error.in_file(&self.path))
    }

    fn decode_block(&self, column: &PageColumn, at: &PageAt, fetched: &[(u64, Bytes)]) -> Result<ArrayRef> {
        let wanted = self.range(at).unwrap_or(0..0);
        let piece = fetched.iter().find(|(start, _)| *start == wanted.start);
        let bytes = piece.and_then(|(_, bytes)| bytes.get(..(wanted.end - wanted.start) as usize));
        let bytes = bytes.ok_or_else(|| corrupt(format!("bytes {wanted:?} are in no block that was asked for")))?;
        let block = decompress(&self.header, bytes)?;
        let (name, _) = self.fields().get(column.leaf).ok_or_else(|| corrupt(format!("no column {}", column.name)))?;
        let wanted = [Wanted { name: name.clone(), kind: column.kind.clone() }];
        let (mut records, _) = Records::of(&self.header.schema, &wanted)?;
        let mut cursor = Cursor::new(&self.header.schema, &block);
        for row in 0..at.rows {
            records.read(&mut cursor).map_err(|error| at_row(error, at.first_row + row))?;
        }
        if !cursor.is_empty() {
            return Err(corrupt(format!("{} bytes behind the last record of a block", cursor.left())));
        }
        records.finish()?.pop().ok_or_else(|| corrupt(format!("no column {}", column.name)))
    }
}
