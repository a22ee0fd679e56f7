//! A data file of any format that is read page by page, for lookups.

use std::ops::Range;

use arrow_array::ArrayRef;
use bytes::Bytes;

use super::avro::AvroPages;
use super::paged::{PageAt, PageColumn, PagedFile};
use crate::error::Result;

/// An open file: which page holds a row, which bytes a page needs, and the page's values.
#[derive(Debug)]
pub enum Pages {
    /// Pages of each column by themselves, or its column chunks.
    Parquet(Box<PagedFile>),
    /// Blocks, which all columns share.
    Avro(Box<AvroPages>),
}

impl Pages {
    /// The place of a column, if the file has it.
    pub fn leaf(&self, name: &str) -> Option<usize> {
        match self {
            Self::Parquet(file) => file.leaf(name),
            Self::Avro(file) => file.leaf(name),
        }
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.rows(),
            Self::Avro(file) => file.rows(),
        }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        match self {
            Self::Parquet(file) => file.size(),
            Self::Avro(file) => file.size(),
        }
    }

    /// The pages of a column, in order.
    pub fn pages(&self, leaf: usize) -> Vec<PageAt> {
        match self {
            Self::Parquet(file) => file.pages(leaf),
            Self::Avro(file) => file.pages(),
        }
    }

    /// The page of a column that holds a row.
    #[inline]
    pub fn page_of(&self, leaf: usize, row: u64) -> Option<PageAt> {
        match self {
            Self::Parquet(file) => file.page_of(leaf, row),
            Self::Avro(file) => file.page_of(row),
        }
    }

    /// The bytes a page is decoded from.
    pub fn ranges(&self, leaf: usize, at: &PageAt) -> Vec<Range<u64>> {
        match self {
            Self::Parquet(file) => file.ranges(leaf, at),
            Self::Avro(file) => file.range(at).into_iter().collect(),
        }
    }

    /// Bytes that a page takes when it is decoded, roughly.
    pub fn weight(&self, leaf: usize, at: &PageAt) -> u64 {
        match self {
            Self::Parquet(file) => file.weight(leaf, at),
            Self::Avro(file) => file.weight(at),
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
        }
    }
}
