//! Columns of a system table, collected row by row: these tables are small.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};

use crate::error::{Error, Result};

/// Names and columns.
#[derive(Default)]
pub(super) struct Columns(Vec<(&'static str, ArrayRef)>);

impl Columns {
    pub(super) fn text<T: AsRef<str>>(mut self, name: &'static str, values: impl Iterator<Item = Option<T>>) -> Self {
        self.0.push((name, Arc::new(values.collect::<StringArray>())));
        self
    }

    pub(super) fn int(mut self, name: &'static str, values: impl Iterator<Item = Option<i32>>) -> Self {
        self.0.push((name, Arc::new(values.collect::<Int32Array>())));
        self
    }

    pub(super) fn long(mut self, name: &'static str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.0.push((name, Arc::new(values.collect::<Int64Array>())));
        self
    }

    /// An instant.
    pub(super) fn instant(mut self, name: &'static str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.0.push((name, Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone("UTC"))));
        self
    }

    /// The wall clock of a writer, whose zone is not known.
    pub(super) fn wall_clock(mut self, name: &'static str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.0.push((name, Arc::new(values.collect::<TimestampMillisecondArray>())));
        self
    }

    pub(super) fn batch(self) -> Result<RecordBatch> {
        let columns = self.0.into_iter().map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| Error::bug(error.to_string()))
    }
}
