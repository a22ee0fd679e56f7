//! Values of lane columns (see `types::lane_type`).

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef};

use super::RowWriter;
use crate::error::{Error, Result};
use crate::types::{Datum, TypeKind};

/// Microseconds as milliseconds, rounded down, and nanoseconds within the millisecond.
pub(in crate::format) fn split_micros(micros: i64) -> (i64, i32) {
    (micros.div_euclid(1000), (micros.rem_euclid(1000) * 1000) as i32)
}

/// Nanoseconds (the lane of `TIMESTAMP(7..9)`) likewise; `None` beyond 64-bit milliseconds.
pub(in crate::format) fn split_nanos(nanos: i128) -> Option<(i64, i32)> {
    let millis = i64::try_from(nanos.div_euclid(1_000_000)).ok()?;
    Some((millis, nanos.rem_euclid(1_000_000) as i32))
}

fn no_lane(array: &dyn Array, kind: &TypeKind) -> Error {
    Error::bug(format!("Arrow {} is no lane of {kind}", array.data_type()))
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef, kind: &TypeKind, row: usize) -> Result<T::Native> {
    let values = array.as_primitive_opt::<T>().ok_or_else(|| no_lane(array, kind))?;
    values.values().get(row).copied().ok_or_else(|| Error::bug(format!("row {row} of {} rows", array.len())))
}

/// Milliseconds and nanoseconds of a timestamp lane.
fn timestamp(array: &ArrayRef, kind: &TypeKind, precision: u8, row: usize) -> Result<(i64, i32)> {
    Ok(match precision {
        0..=3 => (primitive::<TimestampMillisecondType>(array, kind, row)?, 0),
        4..=6 => split_micros(primitive::<TimestampMicrosecondType>(array, kind, row)?),
        _ => {
            let nanos = primitive::<Decimal128Type>(array, kind, row)?;
            split_nanos(nanos).ok_or_else(|| Error::invalid(format!("{nanos} ns since 1970 is beyond a {kind}")))?
        }
    })
}

/// The value of one row of a lane column.
///
/// # Errors
/// [`Error::Bug`] when the array is no lane of the kind or has no such row.
pub fn datum_at(array: &ArrayRef, kind: &TypeKind, row: usize) -> Result<Datum> {
    if row >= array.len() {
        return Err(Error::bug(format!("row {row} of {} rows", array.len())));
    }
    if array.is_null(row) {
        return Ok(Datum::Null);
    }
    Ok(match kind {
        TypeKind::Boolean => Datum::Boolean(array.as_boolean_opt().ok_or_else(|| no_lane(array, kind))?.value(row)),
        TypeKind::TinyInt => Datum::TinyInt(primitive::<Int8Type>(array, kind, row)?),
        TypeKind::SmallInt => Datum::SmallInt(primitive::<Int16Type>(array, kind, row)?),
        TypeKind::Int => Datum::Int(primitive::<Int32Type>(array, kind, row)?),
        TypeKind::BigInt => Datum::BigInt(primitive::<Int64Type>(array, kind, row)?),
        TypeKind::Float => Datum::Float(primitive::<Float32Type>(array, kind, row)?),
        TypeKind::Double => Datum::Double(primitive::<Float64Type>(array, kind, row)?),
        TypeKind::Decimal { .. } => Datum::Decimal(primitive::<Decimal128Type>(array, kind, row)?),
        TypeKind::Char(_) | TypeKind::VarChar(_) => {
            let values = array.as_string_opt::<i32>().ok_or_else(|| no_lane(array, kind))?;
            Datum::String(values.value(row).to_string())
        }
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
            let values = array.as_binary_opt::<i32>().ok_or_else(|| no_lane(array, kind))?;
            Datum::Bytes(values.value(row).to_vec())
        }
        TypeKind::Date => Datum::Date(primitive::<Date32Type>(array, kind, row)?),
        TypeKind::Time(_) => Datum::Time(primitive::<Time32MillisecondType>(array, kind, row)?),
        TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) => {
            let (millis, nanos) = timestamp(array, kind, *p, row)?;
            Datum::Timestamp { millis, nanos }
        }
        TypeKind::Array(element) => {
            let list = array.as_list_opt::<i32>().ok_or_else(|| no_lane(array, kind))?;
            let range = list.value_offsets()[row] as usize..list.value_offsets()[row + 1] as usize;
            Datum::Array(range.map(|at| datum_at(list.values(), &element.kind, at)).collect::<Result<_>>()?)
        }
        TypeKind::Map(map) => pairs(array, kind, &map.key.kind, &map.value.kind, row)?,
        TypeKind::Multiset(element) => pairs(array, kind, &element.kind, &TypeKind::Int, row)?,
        TypeKind::Row(_) | TypeKind::Variant => {
            let fields = kind.stored_fields().unwrap_or_default();
            let rows = array.as_struct_opt().ok_or_else(|| no_lane(array, kind))?;
            let cells = fields.iter().zip(rows.columns());
            Datum::Row(cells.map(|(field, cell)| datum_at(cell, &field.data_type.kind, row)).collect::<Result<_>>()?)
        }
    })
}

fn pairs(array: &ArrayRef, kind: &TypeKind, key: &TypeKind, value: &TypeKind, row: usize) -> Result<Datum> {
    let map = array.as_map_opt().ok_or_else(|| no_lane(array, kind))?;
    let range = map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
    let pairs = range.map(|at| Ok((datum_at(map.keys(), key, at)?, datum_at(map.values(), value, at)?)));
    Ok(Datum::Map(pairs.collect::<Result<_>>()?))
}

/// Writes one value of a lane column into a row.
pub(super) fn put(writer: &mut RowWriter, index: usize, array: &ArrayRef, kind: &TypeKind, row: usize) -> Result<()> {
    if row >= array.len() {
        return Err(Error::bug(format!("row {row} of {} rows", array.len())));
    }
    if array.is_null(row) {
        writer.put_null(index, kind);
        return Ok(());
    }
    match kind {
        TypeKind::Int => writer.put_slot(index, &primitive::<Int32Type>(array, kind, row)?.to_le_bytes()),
        TypeKind::BigInt => writer.put_slot(index, &primitive::<Int64Type>(array, kind, row)?.to_le_bytes()),
        TypeKind::Char(_) | TypeKind::VarChar(_) => {
            let values = array.as_string_opt::<i32>().ok_or_else(|| no_lane(array, kind))?;
            writer.put_bytes(index, values.value(row).as_bytes());
        }
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
            let values = array.as_binary_opt::<i32>().ok_or_else(|| no_lane(array, kind))?;
            writer.put_bytes(index, values.value(row));
        }
        _ => writer.put(index, &datum_at(array, kind, row)?, kind)?,
    }
    Ok(())
}
