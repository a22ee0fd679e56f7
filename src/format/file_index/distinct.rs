//! The distinct values of a column while a file is written, and the value of each row.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use super::cells::{Cell, CellRef, Cells};
use crate::error::{Error, Result};

/// The value of a row that has none.
const NULL: u32 = u32::MAX;

/// Four bytes for each row, and each value once.
#[derive(Default)]
pub(super) struct Distinct {
    numbers: HashMap<i64, u32>,
    bytes: HashMap<Vec<u8>, u32>,
    rows: Vec<u32>,
}

/// The values in their order, and of each row the place of its value among them.
pub(super) struct Ranked {
    pub(super) values: Vec<Cell>,
    rows: Vec<u32>,
}

impl Distinct {
    pub(super) fn add(&mut self, cells: &Cells) {
        cells.for_each(|cell| {
            let id = match cell {
                None => NULL,
                Some(CellRef::Number(number)) => {
                    let next = self.numbers.len() as u32;
                    *self.numbers.entry(number).or_insert(next)
                }
                Some(CellRef::Bytes(bytes)) => match self.bytes.get(bytes) {
                    Some(id) => *id,
                    None => {
                        let next = self.bytes.len() as u32;
                        self.bytes.insert(bytes.to_vec(), next);
                        next
                    }
                },
            };
            self.rows.push(id);
        });
    }

    pub(super) fn ranked(self) -> Result<Ranked> {
        if self.rows.len() > i32::MAX as usize {
            return Err(Error::exhausted(format!("an index of {} rows, more than 2^31", self.rows.len())));
        }
        let numbers = self.numbers.into_iter().map(|(number, id)| (Cell::Number(number), id));
        let bytes = self.bytes.into_iter().map(|(bytes, id)| (Cell::Bytes(bytes), id));
        let mut values: Vec<(Cell, u32)> = numbers.chain(bytes).collect();
        values.sort_unstable();
        let mut ranks = vec![0_u32; values.len()];
        for (rank, (_, id)) in (0..).zip(&values) {
            ranks[*id as usize] = rank;
        }
        let mut rows = self.rows;
        for row in &mut rows {
            *row = ranks.get(*row as usize).copied().unwrap_or(NULL);
        }
        Ok(Ranked { values: values.into_iter().map(|(cell, _)| cell).collect(), rows })
    }
}

impl Ranked {
    /// How many rows.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The place of each row's value.
    pub(super) fn ranks(&self) -> impl Iterator<Item = Option<u32>> + '_ {
        self.rows.iter().map(|rank| (*rank != NULL).then_some(*rank))
    }

    /// The rows without a value, then those of each value in order.
    pub(super) fn bitmaps(&self) -> (RoaringBitmap, impl Iterator<Item = RoaringBitmap>) {
        // Rows are sorted by value, so that one bitmap at a time is made.
        let mut ends = vec![0_usize; self.values.len() + 1];
        self.ranks().flatten().for_each(|rank| ends[rank as usize + 1] += 1);
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let mut next = ends.clone();
        let mut sorted = vec![0_u32; ends.last().copied().unwrap_or(0)];
        let mut nulls = RoaringBitmap::new();
        for (row, rank) in (0_u32..).zip(self.ranks()) {
            match rank {
                Some(rank) => {
                    sorted[next[rank as usize]] = row;
                    next[rank as usize] += 1;
                }
                None => push(&mut nulls, row),
            }
        }
        let of_value = move |rank: usize| sorted[ends[rank]..ends[rank + 1]].iter().copied().collect();
        (nulls, (0..self.values.len()).map(of_value))
    }
}

/// Adds a row behind all others.
pub(super) fn push(bitmap: &mut RoaringBitmap, row: u32) {
    bitmap.insert(row);
}

/// The bytes of a bitmap as Java writes them.
pub(super) fn encode_bitmap(mut bitmap: RoaringBitmap) -> Result<Vec<u8>> {
    bitmap.remove_run_compression();
    bitmap.optimize();
    let mut out = Vec::with_capacity(bitmap.serialized_size());
    bitmap.serialize_into(&mut out).map_err(|error| Error::bug(format!("a bitmap: {error}")))?;
    Ok(out)
}

/// A length or place of an index.
pub(super) fn int(number: usize) -> Result<[u8; 4]> {
    let number = i32::try_from(number).map_err(|_| Error::exhausted("a file index of more than 2 GiB"))?;
    Ok(number.to_be_bytes())
}
