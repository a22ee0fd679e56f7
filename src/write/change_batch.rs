//! Arrow rows with their kinds.

use arrow_array::{Int8Array, RecordBatch};

use crate::error::{Error, Result};
use crate::types::RowKind;

/// Arrow rows with their kinds.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    rows: RecordBatch,
    kinds: Option<Int8Array>,
}

impl ChangeBatch {
    /// Rows with the stored bytes of their kinds (`RowKind as i8`); `None` means all are `+I`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the lengths differ or a byte is no kind.
    pub fn new(rows: RecordBatch, kinds: Option<Int8Array>) -> Result<Self> {
        if let Some(kinds) = &kinds {
            if kinds.len() != rows.num_rows() {
                return Err(Error::invalid(format!("{} rows have {} kinds", rows.num_rows(), kinds.len())));
            }
            if kinds.iter().any(|kind| !matches!(kind, Some(0..=3))) {
                return Err(Error::invalid("a row kind is none of 0 (+I), 1 (-U), 2 (+U), 3 (-D)"));
            }
        }
        Ok(Self { rows, kinds })
    }

    /// Rows that are all of one kind.
    pub fn of_kind(rows: RecordBatch, kind: RowKind) -> Self {
        let kinds = (kind != RowKind::Insert).then(|| Int8Array::from_value(kind as i8, rows.num_rows()));
        Self { rows, kinds }
    }

    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The stored bytes of the kinds; `None` means all are `+I`.
    pub fn kinds(&self) -> Option<&Int8Array> {
        self.kinds.as_ref()
    }

    /// The kind of a row.
    pub fn kind(&self, row: usize) -> RowKind {
        self.kinds.as_ref().and_then(|kinds| RowKind::from_byte(kinds.value(row)).ok()).unwrap_or(RowKind::Insert)
    }

    /// Rows and kinds.
    pub fn into_parts(self) -> (RecordBatch, Option<Int8Array>) {
        (self.rows, self.kinds)
    }
}
