//! Merged rows as a slab for the file writer.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int8Array};

use crate::error::Result;
use crate::files::{ColumnSource, Slab};
use crate::lsm::MergedBatch;

/// A merged batch, to be written.
pub struct MergedSlab(pub MergedBatch);

impl Slab for MergedSlab {
    fn rows(&self) -> usize {
        self.0.num_rows()
    }

    fn column(&self, source: ColumnSource, rows: Range<usize>) -> Result<ArrayRef> {
        Ok(match source {
            ColumnSource::Value(at) => self.0.columns[at].slice(rows.start, rows.len()),
            ColumnSource::Sequence => Arc::new(self.0.sequence.slice(rows.start, rows.len())),
            ColumnSource::Kind => match &self.0.kinds {
                Some(kinds) => Arc::new(kinds.slice(rows.start, rows.len())),
                None => Arc::new(Int8Array::from_value(0, rows.len())),
            },
        })
    }
}
