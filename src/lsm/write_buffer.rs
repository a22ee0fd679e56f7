//! The rows a writer holds in memory: input batches as they came, one list of places for each bucket.
//!
//! Rows are never copied into buckets. A bucket's rows are sorted by their keys when it is flushed, and gathered
//! once, straight into the columns of its file.

use arrow_array::{Array, ArrayRef, Int8Array};
use arrow_row::Rows;

use super::sort::{radix_or_pairs, sort_long_keys};
use super::{KeyEncoder, Keys, SequenceOrder};
use crate::error::Result;

/// An input batch with what its rows are sorted by.
#[derive(Debug)]
struct Buffered {
    columns: Vec<ArrayRef>,
    kinds: Option<Int8Array>,
    keys: Keys,
    order: Option<Rows>,
}

/// Input batches in arrival order.
#[derive(Debug)]
pub struct WriteBuffer {
    encoder: KeyEncoder,
    key_columns: Vec<usize>,
    order: Option<SequenceOrder>,
    batches: Vec<Buffered>,
    bytes: usize,
    rows: usize,
}

/// The rows of a bucket in merge order.
#[derive(Debug)]
pub struct Sorted {
    /// For each version the index into the bucket's rows, which is its arrival number.
    pub arrivals: Vec<u32>,
    /// Where each key's versions end in `arrivals`.
    pub ends: Vec<u32>,
}

impl Sorted {
    /// Rows that stay as they came, each a version of its own.
    pub fn in_arrival_order(rows: usize) -> Self {
        Self { arrivals: (0..rows as u32).collect(), ends: (1..=rows as u32).collect() }
    }
}

impl WriteBuffer {
    /// An empty buffer for rows whose key stands in `key_columns`.
    pub fn new(encoder: KeyEncoder, key_columns: Vec<usize>, order: Option<SequenceOrder>) -> Self {
        Self { encoder, key_columns, order, batches: Vec::new(), bytes: 0, rows: 0 }
    }

    /// An empty buffer for the same rows.
    #[must_use]
    pub fn like(&self) -> Self {
        Self::new(self.encoder.clone(), self.key_columns.clone(), self.order.clone())
    }

    /// Takes a batch in and gives its number.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a NULL in a key column.
    pub fn push(&mut self, columns: Vec<ArrayRef>, kinds: Option<Int8Array>, rows: usize) -> Result<u32> {
        let keys: Vec<ArrayRef> = self.key_columns.iter().map(|at| columns[*at].clone()).collect();
        let keys = self.encoder.encode(&keys, rows)?;
        let order = self.order.as_ref().map(|order| order.encode(&columns)).transpose()?;
        self.bytes += columns.iter().map(held_bytes).sum::<usize>();
        self.bytes += keys.size() + order.as_ref().map_or(0, Rows::size) + kinds.as_ref().map_or(0, Array::len);
        self.rows += rows;
        self.batches.push(Buffered { columns, kinds, keys, order });
        Ok(self.batches.len() as u32 - 1)
    }

    /// Bytes of all batches with their keys.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Rows of all batches.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether nothing was taken in.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The value columns of each batch.
    pub fn columns(&self) -> Vec<&[ArrayRef]> {
        self.batches.iter().map(|batch| batch.columns.as_slice()).collect()
    }

    /// The kinds of each batch; `None` for a batch of `+I` only.
    pub fn kinds(&self) -> Vec<Option<&[i8]>> {
        self.batches.iter().map(|batch| batch.kinds.as_ref().map(|kinds| kinds.values().as_ref())).collect()
    }

    /// Lets everything go.
    pub fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
        self.rows = 0;
    }

    /// Sorts a bucket's rows (batch and row, in arrival order) by key, sequence columns and arrival.
    pub fn sort(&self, rows: &[(u32, u32)]) -> Sorted {
        match self.batches.first().map(|batch| &batch.keys) {
            None => Sorted { arrivals: Vec::new(), ends: Vec::new() },
            Some(Keys::Narrow(_)) => {
                let keys: Vec<u64> = rows.iter().map(|(batch, row)| self.narrow(*batch)[*row as usize]).collect();
                let arrivals = radix_or_pairs(&keys);
                self.group(rows, arrivals, |a, b| keys[a as usize] == keys[b as usize])
            }
            Some(Keys::Wide(_)) => {
                let keys: Vec<u128> = rows.iter().map(|(batch, row)| self.wide(*batch)[*row as usize]).collect();
                let mut pairs: Vec<(u128, u32)> = keys.iter().copied().zip(0..).collect();
                pairs.sort_unstable();
                let arrivals = pairs.into_iter().map(|(_, at)| at).collect();
                self.group(rows, arrivals, |a, b| keys[a as usize] == keys[b as usize])
            }
            Some(Keys::Rows(_)) => {
                let key = |at: u32| {
                    let (batch, row) = rows[at as usize];
                    self.long(batch, row)
                };
                let arrivals = sort_long_keys(rows.len(), key);
                self.group(rows, arrivals, |a, b| key(a) == key(b))
            }
        }
    }

    /// Finds where keys end, and puts the versions of a key in the order of their sequence columns.
    fn group(&self, rows: &[(u32, u32)], mut arrivals: Vec<u32>, same: impl Fn(u32, u32) -> bool) -> Sorted {
        let mut ends = Vec::with_capacity(arrivals.len());
        let mut start = 0;
        for at in 1..=arrivals.len() {
            if at == arrivals.len() || !same(arrivals[at - 1], arrivals[at]) {
                if self.order.is_some() && at - start > 1 {
                    arrivals[start..at].sort_by(|a, b| self.version(rows, *a).cmp(&self.version(rows, *b)));
                }
                ends.push(at as u32);
                start = at;
            }
        }
        Sorted { arrivals, ends }
    }

    fn version(&self, rows: &[(u32, u32)], arrival: u32) -> (Option<&[u8]>, u32) {
        let (batch, row) = rows[arrival as usize];
        let order = self.batches[batch as usize].order.as_ref();
        (order.map(|order| order.row(row as usize).data()), arrival)
    }

    fn narrow(&self, batch: u32) -> &[u64] {
        if let Keys::Narrow(keys) = &self.batches[batch as usize].keys { keys } else { &[] }
    }

    fn wide(&self, batch: u32) -> &[u128] {
        if let Keys::Wide(keys) = &self.batches[batch as usize].keys { keys } else { &[] }
    }

    fn long(&self, batch: u32, row: u32) -> &[u8] {
        if let Keys::Rows(keys) = &self.batches[batch as usize].keys { keys.row(row as usize).data() } else { &[] }
    }
}

/// The bytes an array's rows take; a slice counts its own rows only.
fn held_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}
