//! Row ids and snapshots of rows: what a file does not hold as columns is told by its place and its description.
//! Spec: `format-spec/row-tracking.md`.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array};

use super::columns::WorkColumns;
use crate::error::{Error, Result};
use crate::files::FileBatch;
use crate::format::{DataFileMeta, DeletionVector};
use crate::schema::{ROW_ID, ROW_SEQUENCE, Schema};

/// Fills the two columns of the batches of one file, which come in order.
pub(super) struct RowIds {
    file: String,
    /// Their places among the working columns.
    id: Option<usize>,
    sequence: Option<usize>,
    /// The id of the file's first row.
    first: Option<i64>,
    /// The snapshot of rows that do not tell theirs.
    newest: i64,
    /// Rows seen, where rows are counted.
    seen: Option<u64>,
    masked: Option<Arc<DeletionVector>>,
}

impl RowIds {
    /// `None` where a read shows neither column.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a file whose last row has no id.
    pub(super) fn of(schema: &Schema, work: &WorkColumns, file: &DataFileMeta) -> Result<Option<Self>> {
        let place = |name: &str| {
            let column = schema.index_of(name).filter(|_| schema.has_row_tracking())?;
            work.positions.iter().position(|at| *at == column)
        };
        let (id, sequence) = (place(ROW_ID), place(ROW_SEQUENCE));
        let none_left = |first: &i64| *first < 0 || first.checked_add(file.row_count).is_none();
        if let Some(first) = file.first_row_id.filter(|first| id.is_some() && none_left(first)) {
            let what = format!("_FIRST_ROW_ID is {first}, and it has {} rows", file.row_count);
            return Err(Error::corrupt(&file.file_name, what));
        }
        Ok((id.is_some() || sequence.is_some()).then(|| Self {
            file: file.file_name.clone(),
            id,
            sequence,
            first: file.first_row_id,
            newest: file.max_sequence_number,
            seen: id.filter(|_| !file.holds_row_ids()).map(|_| 0),
            masked: None,
        }))
    }

    /// Whether rows are counted: then the file is read whole, and the rows that are masked are left out here.
    pub(super) fn count(&mut self, masked: &mut Option<Arc<DeletionVector>>) -> bool {
        if self.seen.is_some() {
            self.masked = masked.take();
        }
        self.seen.is_some()
    }

    pub(super) fn fill(&mut self, mut batch: FileBatch) -> Result<FileBatch> {
        let begin = self.seen.unwrap_or(0);
        if let Some(at) = self.id {
            let first = self.first.map(|first| move |row: usize| first + begin as i64 + row as i64);
            batch.columns[at] = self.filled(&batch.columns[at], ROW_ID, first)?;
        }
        if let Some(at) = self.sequence {
            let newest = self.newest;
            batch.columns[at] = self.filled(&batch.columns[at], ROW_SEQUENCE, Some(|_| newest))?;
        }
        let Some(seen) = &mut self.seen else { return Ok(batch) };
        *seen += batch.rows as u64;
        match &self.masked {
            Some(masked) => {
                let keep = (0..batch.rows as u64).map(|row| Some(!masked.is_masked(begin + row)));
                batch.filter(&BooleanArray::from_iter(keep))
            }
            None => Ok(batch),
        }
    }

    fn filled(&self, lane: &ArrayRef, column: &str, of: Option<impl Fn(usize) -> i64>) -> Result<ArrayRef> {
        if lane.null_count() == 0 {
            return Ok(Arc::clone(lane));
        }
        let corrupt = || Error::corrupt(&self.file, format!("neither the file nor its manifest tells column {column}"));
        let of = of.ok_or_else(corrupt)?;
        let told = lane.as_primitive_opt::<Int64Type>().ok_or_else(corrupt)?;
        let values = told.iter().enumerate().map(|(row, value)| value.unwrap_or_else(|| of(row)));
        Ok(Arc::new(Int64Array::from_iter_values(values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::data_file;
    use crate::types::DataType;

    #[test]
    fn a_file_whose_rows_have_no_ids_left_is_corrupt() {
        let schema =
            Schema::builder().column("a", DataType::INT).option("row-tracking.enabled", "true").build().unwrap();
        let schema = Arc::new(schema.with_row_tracking());
        let work = WorkColumns::new(Arc::clone(&schema), &[0, 1, 2], None, &[]).unwrap();
        for (first, rows, good) in [(0, 5, true), (i64::MAX - 5, 5, true), (i64::MAX - 4, 5, false), (-1, 1, false)] {
            let file = DataFileMeta { first_row_id: Some(first), row_count: rows, ..data_file("f", 10) };
            match RowIds::of(&schema, &work, &file) {
                Ok(found) => assert!(good && found.is_some(), "{first}"),
                Err(error) => assert!(!good && matches!(error, Error::Corrupt { .. }), "{first}: {error}"),
            }
        }
    }
}
