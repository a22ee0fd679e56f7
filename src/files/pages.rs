//! A data file of any format that is read page by page, for lookups.

use std::ops::Range;

use arrow_array::ArrayRef;
use bytes::Bytes;

use super::avro::{AvroIndex, AvroPages};
use super::orc::{OrcIndex, OrcPages};
use super::paged::{PageAt, PageColumn, PagedFile};
use crate::error::Result;
use crate::schema::FileFormat;

/// Finds the pages of a file that has no index of them. Does no IO.
#[derive(Debug)]
pub enum PageIndex {
    /// Passes over the file from block to block.
    Avro(AvroIndex),
    /// Asks for the footers of the file and of its stripes.
    Orc(Box<OrcIndex>),
}

impl PageIndex {
    /// An index of a file of a known size, if its format takes one; `zoned_digits` as in [`crate::files::ReadPlan`].
    pub fn of(format: &FileFormat, path: &str, size: u64, zoned_digits: bool) -> Option<Self> {
        match format {
            FileFormat::Avro => Some(Self::Avro(AvroIndex::new(path, size))),
            FileFormat::Orc => Some(Self::Orc(Box::new(OrcIndex::new(path, size, zoned_digits)))),
            FileFormat::Parquet | FileFormat::Other(_) => None,
        }
    }

    /// The bytes that [`PageIndex::feed`] must get next; `None` when all pages are found.
    pub fn wanted(&self) -> Option<Range<u64>> {
        match self {
            Self::Avro(index) => index.wanted(),
            Self::Orc(index) => index.wanted(),
        }
    }

    /// Takes the wanted bytes.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when they are no part of such a file.
    pub fn feed(&mut self, bytes: &Bytes) -> Result<()> {
        match self {
            Self::Avro(index) => index.feed(bytes),
            Self::Orc(index) => index.feed(bytes),
        }
    }

    /// The file, when all pages are found.
    ///
    /// # Errors
    /// [`crate::Error::Bug`] when some are not.
    pub fn finish(self) -> Result<Pages> {
        Ok(match self {
            Self::Avro(index) => Pages::Avro(Box::new(index.finish()?)),
            Self::Orc(index) => Pages::Orc(Box::new(index.finish()?)),
        })
    }
}

/// An open file: which page holds a row, which bytes a page needs, and the page's values.
#[derive(Debug)]
pub enum Pages {
    /// Pages of each column by themselves, or its column chunks.
    Parquet(Box<PagedFile>),
    /// Blocks, which all columns share.
    Avro(Box<AvroPages>),
    /// Columns of stripes.
    Orc(Box<OrcPages>),
}

impl Pages {
    /// The place of a column, if the file has it.
    pub fn leaf(&self, name: &str) -> Option<usize> {
        match self {
            Self::Parquet(file) => file.leaf(name),
            Self::Avro(file) => file.leaf(name),
            Self::Orc(file) => file.leaf(name),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.rows(),
            Self::Avro(file) => file.rows(),
            Self::Orc(file) => file.rows(),
        }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        match self {
            Self::Parquet(file) => file.size(),
            Self::Avro(file) => file.size(),
            Self::Orc(file) => file.size(),
        }
    }

    /// The pages of a column, in order.
    pub fn pages(&self, leaf: usize) -> Vec<PageAt> {
        match self {
            Self::Parquet(file) => file.pages(leaf),
            Self::Avro(file) => file.pages(),
            Self::Orc(file) => file.pages(),
        }
    }

    /// The page of a column that holds a row.
    #[inline]
    pub fn page_of(&self, leaf: usize, row: u64) -> Option<PageAt> {
        match self {
            Self::Parquet(file) => file.page_of(leaf, row),
            Self::Avro(file) => file.page_of(row),
            Self::Orc(file) => file.page_of(row),
        }
    }

    /// The bytes a page is decoded from.
    pub fn ranges(&self, leaf: usize, at: &PageAt) -> Vec<Range<u64>> {
        match self {
            Self::Parquet(file) => file.ranges(leaf, at),
            Self::Avro(file) => file.range(at).into_iter().collect(),
            Self::Orc(file) => file.ranges(leaf, at),
        }
    }

    /// Bytes that a page takes when it is decoded, roughly.
    pub fn weight(&self, leaf: usize, at: &PageAt) -> u64 {
        match self {
            Self::Parquet(file) => file.weight(leaf, at),
            Self::Avro(file) => file.weight(at),
            Self::Orc(file) => file.weight(leaf, at),
        }
    }

    /// The values of a page, from its fetched ranges. Blocks.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] with the file.
    pub fn decode(&self, column: &PageColumn, at: &PageAt, fetched: Vec<(u64, Bytes)>) -> Result<ArrayRef> {
        match self {
            Self::Parquet(file) => file.decode(column, at, fetched),
            Self::Avro(file) => file.decode(column, at, &fetched),
            Self::Orc(file) => file.decode(column, at, fetched),
        }
    }
}
