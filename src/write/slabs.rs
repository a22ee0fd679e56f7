//! Sorted and merged rows as slabs for the file writer: values are gathered when a column is encoded, once.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int8Array, Int64Array};

use crate::error::Result;
use crate::files::{ColumnSource, Slab};
use crate::lsm::{ColumnFrom, Merged, merge};

/// Rows that lie scattered over input batches.
pub(super) struct Scattered<'a> {
    /// The value columns of each batch.
    pub batches: &'a [&'a [ArrayRef]],
    /// The kinds of each batch.
    pub kinds: &'a [Option<&'a [i8]>],
    /// Batch and row of each row of the slab.
    pub places: Vec<(usize, usize)>,
    /// Their sequence numbers.
    pub sequence: Vec<i64>,
    /// What the merge function made of the versions.
    pub merged: Merged,
    /// Batch and row of all those versions.
    pub rows: Vec<(u32, u32)>,
}

impl Slab for Scattered<'_> {
    fn rows(&self) -> usize {
        self.places.len()
    }

    fn column(&self, source: ColumnSource, rows: Range<usize>) -> Result<ArrayRef> {
        let places = &self.places[rows.clone()];
        Ok(match source {
            ColumnSource::Value(at) => match self.merged.columns.iter().find(|(merged, _)| *merged == at) {
                Some((_, ColumnFrom::Computed(lane))) => lane.slice(rows.start, rows.len()),
                Some((_, ColumnFrom::Picks(picks))) => merge::gather_picks(self.batches, at, &self.rows, &picks[rows])?,
                None => merge::gather(self.batches, at, places)?,
            },
            ColumnSource::Sequence => Arc::new(Int64Array::from(self.sequence[rows].to_vec())),
            ColumnSource::Kind => {
                if let Some(kinds) = &self.merged.kinds {
                    return Ok(Arc::new(Int8Array::from_iter_values(kinds[rows].iter().copied())));
                }
                let kind = |(batch, row): &(usize, usize)| self.kinds[*batch].map_or(0, |kinds| kinds[*row]);
                Arc::new(Int8Array::from_iter_values(places.iter().map(kind)))
            }
        })
    }
}
