//! The columns of a file that are the engine's own: sequence numbers and row kinds.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int8Array, Int64Array};

use super::layout::{KIND_NAME, SEQUENCE_NAME};
use crate::error::{Error, Result};
use crate::types::RowKind;

fn no_value(name: &str) -> Error {
    Error::corrupt("", format!("column {name} has no value in a row"))
}

/// Sequence numbers of a lane.
///
/// # Errors
/// [`Error::Corrupt`] when a row has none.
pub(super) fn sequence_of(lane: &ArrayRef) -> Result<Int64Array> {
    let numbers = lane.as_primitive_opt::<Int64Type>().filter(|lane| lane.null_count() == 0);
    numbers.cloned().ok_or_else(|| no_value(SEQUENCE_NAME))
}

/// Row kinds of a lane; `None` when all are `+I`.
///
/// # Errors
/// [`Error::Corrupt`] when a row has none.
pub(super) fn kinds_of(lane: &ArrayRef) -> Result<Option<Int8Array>> {
    let kinds = lane.as_primitive_opt::<Int8Type>().filter(|kinds| kinds.null_count() == 0);
    let kinds = kinds.ok_or_else(|| no_value(KIND_NAME))?;
    if let Some(bad) = kinds.values().iter().find(|kind| !matches!(kind, 0..=3)) {
        return Err(Error::corrupt("", format!("column {KIND_NAME}: {bad} is no row kind")));
    }
    Ok(kinds.values().iter().any(|kind| *kind != RowKind::Insert as i8).then(|| kinds.clone()))
}
