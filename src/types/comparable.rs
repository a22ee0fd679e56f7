//! Nested values in a form whose bytes tell whether they are equal.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, UInt32Array};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType as ArrowType};

/// The values of columns as rows of bytes: equal values have equal bytes, and bytes are ordered as values are, NULL first.
/// The entries of a map have no order, so they are sorted by key.
///
/// # Errors
/// Arrow's, for a type without a row form.
pub fn comparable_rows(columns: &[ArrayRef]) -> Result<Rows, ArrowError> {
    let columns = columns.iter().map(sorted).collect::<Result<Vec<_>, _>>()?;
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    RowConverter::new(fields)?.convert_columns(&columns)
}

fn has_map(data_type: &ArrowType) -> bool {
    match data_type {
        ArrowType::Map(..) => true,
        ArrowType::List(element) => has_map(element.data_type()),
        ArrowType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}

/// The same values with the entries of every map in the order of their keys.
fn sorted(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        other if !has_map(other) => Ok(Arc::clone(array)),
        ArrowType::List(field) => {
            let list = array.as_list::<i32>();
            let values = sorted(list.values())?;
            let nulls = list.nulls().cloned();
            Ok(Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, nulls)?))
        }
        ArrowType::Struct(fields) => {
            let rows = array.as_struct();
            let columns = rows.columns().iter().map(sorted).collect::<Result<Vec<_>, _>>()?;
            let nulls = rows.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows.len())?))
        }
        ArrowType::Map(field, flag) => {
            let map = array.as_map();
            let entries = map.entries();
            let columns = entries.columns().iter().map(sorted).collect::<Result<Vec<_>, _>>()?;
            let keys = comparable_rows(&columns[..1])?;
            let mut order: Vec<u32> = (0..entries.len() as u32).collect();
            for ends in map.value_offsets().windows(2) {
                order[ends[0] as usize..ends[1] as usize].sort_by_key(|at| keys.row(*at as usize));
            }
            let order = UInt32Array::from(order);
            let columns = columns.iter().map(|column| arrow_select::take::take(column, &order, None));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let entries = StructArray::try_new(entries.fields().clone(), columns, None)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *flag)?))
        }
        _ => Ok(Arc::clone(array)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DataType, Datum};

    #[test]
    fn maps_are_equal_whatever_the_order_of_their_entries() {
        let kind = "ARRAY<MAP<STRING, INT>>".parse::<DataType>().unwrap().kind;
        let map = |pairs: &[(&str, i32)]| {
            let pair = |(key, value): &(&str, i32)| (Datum::String((*key).into()), Datum::Int(*value));
            Datum::Array(vec![Datum::Map(pairs.iter().map(pair).collect())])
        };
        let values = [map(&[("a", 1), ("b", 2)]), map(&[("b", 2), ("a", 1)]), map(&[("a", 2), ("b", 1)]), Datum::Null];
        let lanes: Vec<ArrayRef> = values.iter().map(|value| value.repeat(&kind, 1).unwrap()).collect();
        let lane = arrow_select::concat::concat(&lanes.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap();
        let rows = comparable_rows(&[lane]).unwrap();
        assert!(rows.row(0) == rows.row(1) && rows.row(0) != rows.row(2) && rows.row(3) < rows.row(0));
    }
}
