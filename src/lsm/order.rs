//! The order of the versions of one key: `sequence.field` first, then the sequence number.
//! Spec: `format-spec/merge-tree.md`, order.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::SortOptions;

use super::key::one_nan;
use crate::error::{Error, Result};
use crate::types::{DataType, lane_type};

/// The user's sequence columns as comparable rows. NULL is lowest in either direction.
#[derive(Debug, Clone)]
pub struct SequenceOrder {
    /// Positions of the sequence columns among the value columns.
    columns: Vec<usize>,
    converter: Arc<RowConverter>,
}

impl SequenceOrder {
    /// The order by value columns at `columns` with their `types`.
    ///
    /// # Errors
    /// [`Error::Bug`] when the row format refuses a scalar type.
    pub fn new(columns: Vec<usize>, types: &[DataType], descending: bool) -> Result<Self> {
        let options = SortOptions { descending, nulls_first: true };
        let fields = types.iter().map(|t| SortField::new_with_options(lane_type(&t.kind), options)).collect();
        let converter = RowConverter::new(fields).map_err(|error| Error::bug(error.to_string()))?;
        Ok(Self { columns, converter: Arc::new(converter) })
    }

    /// Positions of the sequence columns among the value columns.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The comparable rows of a batch's value columns.
    ///
    /// # Errors
    /// [`Error::Bug`] when a column has another type than told.
    pub fn encode(&self, values: &[ArrayRef]) -> Result<Rows> {
        let columns: Vec<ArrayRef> = self.columns.iter().map(|at| one_nan(&values[*at])).collect();
        self.converter.convert_columns(&columns).map_err(|error| Error::bug(error.to_string()))
    }
}
