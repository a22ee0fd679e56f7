//! The indexes of one data file while it is written. What is held does not grow with the width of rows: a bloom filter
//! has its size from the start, the other kinds take a few bytes for each row and hold each distinct value once.

use arrow_array::ArrayRef;

use super::bitmap::BitmapBuilder;
use super::bloom::BloomBuilder;
use super::cells::{CellKind, Cells};
use super::container::{Built, encode};
use super::distinct::Distinct;
use super::numbers::NumbersBuilder;
use super::range_bitmap::RangeBitmapBuilder;
use crate::error::{Error, Result};
use crate::predicate::value_of_key;
use crate::schema::{ColumnIndex, FileIndexKind, Schema};
use crate::types::{Datum, TypeKind};

/// One index to write.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedColumn {
    /// The name in the index file.
    pub name: String,
    /// The column's place in the table.
    pub column: usize,
    /// Of a MAP the key whose values are indexed.
    pub key: Option<String>,
    /// The type of the values.
    pub values: TypeKind,
    /// What is kept.
    pub index: FileIndexKind,
}

impl IndexedColumn {
    /// The indexes that a table's files have.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column that is not there.
    pub fn of(schema: &Schema, columns: &[ColumnIndex]) -> Result<Vec<Self>> {
        let of = |column: &ColumnIndex| {
            Ok(Self {
                name: column.name(),
                column: schema.require(&column.column)?,
                key: column.key.clone(),
                values: column.values(schema)?.kind,
                index: column.index,
            })
        };
        columns.iter().map(of).collect()
    }
}

/// Builds the indexes of one file.
pub struct FileIndexBuilder {
    columns: Vec<(IndexedColumn, Body)>,
}

enum Body {
    Bloom(BloomBuilder),
    Bitmap(BitmapBuilder),
    Numbers(Box<NumbersBuilder>),
    RangeBitmap(RangeBitmapBuilder),
}

impl FileIndexBuilder {
    /// Indexes without a row.
    ///
    /// # Errors
    /// [`Error::Bug`] for a type that the index cannot have: the options were checked.
    pub fn new(columns: &[IndexedColumn]) -> Result<Self> {
        let begin = |column: &IndexedColumn| {
            let kind = CellKind::of(&column.values).filter(|_| column.index.takes(&column.values));
            let kind = kind.ok_or_else(|| Error::bug(format!("an index of {} of {}", column.name, column.values)))?;
            let body = match column.index {
                FileIndexKind::Bloom { items, fpp } => Body::Bloom(BloomBuilder::new(kind, items, fpp)),
                FileIndexKind::Bitmap { version, block_bytes } => {
                    Body::Bitmap(BitmapBuilder { kind, version, block_bytes, distinct: Distinct::default() })
                }
                FileIndexKind::BitSlice => Body::Numbers(Box::default()),
                FileIndexKind::RangeBitmap { chunk_bytes } => {
                    Body::RangeBitmap(RangeBitmapBuilder { kind, chunk_bytes, distinct: Distinct::default() })
                }
            };
            Ok((column.clone(), body))
        };
        Ok(Self { columns: columns.iter().map(begin).collect::<Result<_>>()? })
    }

    /// Adds rows to every index; `lane_of` gives the lane of a column of the table.
    ///
    /// # Errors
    /// What `lane_of` met; [`Error::Bug`] for a lane of another type.
    pub fn add(&mut self, lane_of: impl Fn(usize) -> Result<ArrayRef>) -> Result<()> {
        let mut last: Option<(usize, Option<String>, Cells)> = None;
        for (column, body) in &mut self.columns {
            let known = last.take().filter(|(at, key, _)| *at == column.column && *key == column.key);
            let cells = match known {
                Some((_, _, cells)) => cells,
                None => {
                    let lane = lane_of(column.column)?;
                    let lane = match &column.key {
                        Some(key) => value_of_key(&lane, &TypeKind::STRING, &Datum::String(key.clone()))?,
                        None => lane,
                    };
                    Cells::of(&column.values, &lane)?
                }
            };
            match body {
                Body::Bloom(body) => body.add(&cells),
                Body::Bitmap(body) => body.add(&cells),
                Body::Numbers(body) => body.add(&cells),
                Body::RangeBitmap(body) => body.add(&cells),
            }
            last = Some((column.column, column.key.clone(), cells));
        }
        Ok(())
    }

    /// The bytes of the container. A column whose values an index cannot hold has none of that kind.
    ///
    /// # Errors
    /// [`Error::Exhausted`] beyond 2 GiB or 2^31 rows.
    pub fn finish(self) -> Result<Vec<u8>> {
        let mut columns: Vec<Built> = Vec::new();
        for (column, body) in self.columns {
            let body = match body {
                Body::Bloom(body) => Some(body.finish()),
                Body::Bitmap(body) => Some(body.finish()?),
                Body::Numbers(body) => body.finish()?,
                Body::RangeBitmap(body) => Some(body.finish()?),
            };
            let Some(body) = body else { continue };
            match columns.last_mut().filter(|(name, _)| *name == column.name) {
                Some((_, bodies)) => bodies.push((column.index.word(), body)),
                None => columns.push((column.name, vec![(column.index.word(), body)])),
            }
        }
        encode(&columns)
    }
}
