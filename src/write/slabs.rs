//! Sorted and merged rows as slabs for the file writer: values are gathered when a column is encoded, once.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int8Array, Int64Array};
use arrow_select::interleave::interleave;

use crate::error::{Error, Result};
use crate::files::{ColumnSource, Slab};

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
    /// Value columns that were computed, with their positions.
    pub computed: Vec<(usize, ArrayRef)>,
}

impl Slab for Scattered<'_> {
    fn rows(&self) -> usize {
        self.places.len()
    }

    fn column(&self, source: ColumnSource, rows: Range<usize>) -> Result<ArrayRef> {
        let places = &self.places[rows.clone()];
        Ok(match source {
            ColumnSource::Value(at) => {
                if let Some((_, lane)) = self.computed.iter().find(|(computed, _)| *computed == at) {
                    return Ok(lane.slice(rows.start, rows.len()));
                }
                let arrays: Vec<&dyn Array> = self.batches.iter().map(|batch| batch[at].as_ref()).collect();
                interleave(&arrays, places).map_err(|error| Error::bug(error.to_string()))?
            }
            ColumnSource::Sequence => Arc::new(Int64Array::from(self.sequence[rows].to_vec())),
            ColumnSource::Kind => {
                let kind = |(batch, row): &(usize, usize)| self.kinds[*batch].map_or(0, |kinds| kinds[*row]);
                Arc::new(Int8Array::from_iter_values(places.iter().map(kind)))
            }
        })
    }
}
