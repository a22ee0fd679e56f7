//! How columns look in Arrow: inside the engine ("lanes") and outside.
//!
//! The two differ in one place. Arrow's nanosecond timestamps end in the year 2262, Paimon's
//! `TIMESTAMP(7..9)` go from year 1 to 9999, so the lane of such a column is `Decimal128(38, 9)`:
//! seconds since the epoch with nine digits. It becomes `Timestamp(Nanosecond)` at the door, where a value
//! that does not fit is an error and never a wrapped number. That holds at any depth: `nested.rs` walks the parts.

use std::borrow::Borrow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, Int8Array, RecordBatch, Scalar, TimestampNanosecondArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType as ArrowType, Field, Schema as ArrowSchema, SchemaRef, TimeUnit};
use arrow_select::zip::zip;

use super::nested::{nested_to_external, nested_to_lane, nested_type};
use super::{DataType, RowKind, TypeKind};
use crate::error::{Error, Result};

/// The Arrow type of a column inside the engine.
pub fn lane_type(kind: &TypeKind) -> ArrowType {
    match kind {
        TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..) => ArrowType::Decimal128(38, 9),
        nested if nested.is_nested() => nested_type(nested, lane_type),
        other => external_type(other),
    }
}

/// The Arrow type of a column as callers see it.
pub fn external_type(kind: &TypeKind) -> ArrowType {
    match kind {
        TypeKind::Boolean => ArrowType::Boolean,
        TypeKind::TinyInt => ArrowType::Int8,
        TypeKind::SmallInt => ArrowType::Int16,
        TypeKind::Int => ArrowType::Int32,
        TypeKind::BigInt => ArrowType::Int64,
        TypeKind::Float => ArrowType::Float32,
        TypeKind::Double => ArrowType::Float64,
        TypeKind::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale as i8),
        TypeKind::Char(_) | TypeKind::VarChar(_) => ArrowType::Utf8,
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => ArrowType::Binary,
        TypeKind::Date => ArrowType::Date32,
        TypeKind::Time(_) => ArrowType::Time32(TimeUnit::Millisecond),
        TypeKind::Timestamp(p) => ArrowType::Timestamp(unit(*p), None),
        TypeKind::TimestampLtz(p) => ArrowType::Timestamp(unit(*p), Some("UTC".into())),
        nested => nested_type(nested, external_type),
    }
}

fn unit(precision: u8) -> TimeUnit {
    match precision {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// The Arrow field of a column inside the engine.
pub fn lane_field(name: &str, data_type: &DataType) -> Field {
    Field::new(name, lane_type(&data_type.kind), data_type.nullable)
}

/// The Arrow field of a column as callers see it.
pub fn external_field(name: &str, data_type: &DataType) -> Field {
    Field::new(name, external_type(&data_type.kind), data_type.nullable)
}

/// The Arrow schema of columns inside the engine.
pub fn lane_schema<'a>(columns: impl IntoIterator<Item = (&'a str, impl Borrow<DataType>)>) -> SchemaRef {
    Arc::new(ArrowSchema::new(columns.into_iter().map(|(name, t)| lane_field(name, t.borrow())).collect::<Vec<_>>()))
}

/// The Arrow schema of columns as callers see it.
pub fn external_schema<'a>(columns: impl IntoIterator<Item = (&'a str, impl Borrow<DataType>)>) -> SchemaRef {
    Arc::new(ArrowSchema::new(
        columns.into_iter().map(|(name, t)| external_field(name, t.borrow())).collect::<Vec<_>>(),
    ))
}

/// A column of one kind as a lane: the same array when the type fits, a lossless cast otherwise.
///
/// # Errors
/// [`Error::Invalid`] when the array cannot become the column's type without loss; names the column.
pub fn to_lane(name: &str, kind: &TypeKind, array: &ArrayRef) -> Result<ArrayRef> {
    let wanted = lane_type(kind);
    let found = array.data_type();
    if *found == wanted {
        return Ok(Arc::clone(array));
    }
    let refuse = || Error::invalid(format!("column {name}: Arrow type {found} does not fit {kind}"));
    if kind.is_nested() && *found != ArrowType::Null {
        return nested_to_lane(name, kind, array).and_then(|lane| lane.ok_or_else(refuse));
    }
    if matches!(kind, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..)) {
        let zoned = matches!(kind, TypeKind::TimestampLtz(_));
        if !matches!(found, ArrowType::Timestamp(_, zone) if zone.is_some() == zoned) {
            return Err(refuse());
        }
        return widen_timestamp(array).ok_or_else(refuse);
    }
    let acceptable = match (&wanted, found) {
        (_, ArrowType::Dictionary(_, values)) => **values == wanted,
        (_, ArrowType::Null) => true,
        (ArrowType::Utf8, ArrowType::LargeUtf8 | ArrowType::Utf8View) => true,
        (ArrowType::Binary, ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_)) => true,
        (ArrowType::Decimal128(_, s), ArrowType::Decimal32(_, t) | ArrowType::Decimal64(_, t)) => s >= t,
        (ArrowType::Decimal128(_, s), ArrowType::Decimal128(_, t) | ArrowType::Decimal256(_, t)) => s >= t,
        (ArrowType::Timestamp(_, to), ArrowType::Timestamp(_, from)) => to.is_some() == from.is_some(),
        (ArrowType::Time32(_), ArrowType::Time32(_) | ArrowType::Time64(_)) => true,
        (to, from) => widens(from, to),
    };
    if !acceptable {
        return Err(refuse());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let lane = cast_with_options(array, &wanted, &options)
        .map_err(|error| Error::invalid(format!("column {name}: {error}")))?;
    let finer = matches!((&wanted, found), (ArrowType::Timestamp(to, _), ArrowType::Timestamp(from, _)) if from > to)
        || matches!(found, ArrowType::Time64(_));
    if finer {
        let back = cast_with_options(&lane, found, &options)
            .map_err(|error| Error::invalid(format!("column {name}: {error}")))?;
        if back.as_ref() != array.as_ref() {
            return Err(Error::invalid(format!("column {name}: a value is finer than {kind} can hold")));
        }
    }
    Ok(lane)
}

/// Whether every value of an integer or float type fits another.
fn widens(from: &ArrowType, to: &ArrowType) -> bool {
    use ArrowType::{Float32, Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32};
    matches!(
        (from, to),
        (Int8, Int16 | Int32 | Int64)
            | (Int16, Int32 | Int64)
            | (Int32, Int64)
            | (UInt8, Int16 | Int32 | Int64)
            | (UInt16, Int32 | Int64)
            | (UInt32, Int64)
            | (Float32, Float64)
    )
}

/// Any Arrow timestamp as seconds with nine digits.
fn widen_timestamp(array: &ArrayRef) -> Option<ArrayRef> {
    let ArrowType::Timestamp(unit, _) = array.data_type() else {
        return None;
    };
    let factor: i128 = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let numbers = cast_with_options(array, &ArrowType::Int64, &CastOptions::default()).ok()?;
    let numbers = numbers.as_primitive::<arrow_array::types::Int64Type>();
    let wide = numbers.unary::<_, Decimal128Type>(|value| i128::from(value) * factor);
    Some(Arc::new(wide.with_precision_and_scale(38, 9).ok()?))
}

/// A lane as callers see it.
///
/// # Errors
/// [`Error::Invalid`] when a timestamp lies outside of Arrow's nanosecond range (years 1677 to 2262).
pub fn to_external(name: &str, kind: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let zone = match kind {
        TypeKind::Timestamp(7..) => None,
        TypeKind::TimestampLtz(7..) => Some("UTC"),
        nested if nested.is_nested() => return nested_to_external(name, nested, lane),
        _ => return Ok(Arc::clone(lane)),
    };
    let narrow = lane.as_primitive::<Decimal128Type>().try_unary::<_, TimestampNanosecondType, Error>(|nanos| {
        i64::try_from(nanos).map_err(|_| {
            Error::invalid(format!("column {name}: a {kind} lies outside of Arrow's nanosecond range (1677 to 2262); read it with wide timestamps"))
        })
    })?;
    let narrow: TimestampNanosecondArray = narrow.with_timezone_opt(zone);
    Ok(Arc::new(narrow))
}

/// A caller's batch as lanes of `columns`, found by name. A missing nullable column is NULL.
///
/// # Errors
/// [`Error::Invalid`] for an unknown or repeated column, a missing or NULL value in a NOT NULL column, or a type that does not fit.
pub fn accept_batch(columns: &[(&str, &DataType)], batch: &RecordBatch) -> Result<RecordBatch> {
    accept_filled(columns, &[], batch)
}

/// The same with the columns' default values, each a lane of one row, in the place of NULL and of missing columns.
///
/// # Errors
/// As [`accept_batch`].
pub fn accept_filled(
    columns: &[(&str, &DataType)],
    defaults: &[Option<ArrayRef>],
    batch: &RecordBatch,
) -> Result<RecordBatch> {
    let given = batch.schema();
    for (at, field) in given.fields().iter().enumerate() {
        if !columns.iter().any(|(name, _)| name == field.name()) {
            return Err(Error::invalid(format!("the table has no column {:?}", field.name())));
        }
        if given.fields()[..at].iter().any(|earlier| earlier.name() == field.name()) {
            return Err(Error::invalid(format!("column {:?} is given twice", field.name())));
        }
    }
    let mut lanes = Vec::with_capacity(columns.len());
    for (at, (name, data_type)) in columns.iter().enumerate() {
        let lane = match batch.column_by_name(name) {
            Some(array) => to_lane(name, &data_type.kind, array)?,
            None => arrow_array::new_null_array(&lane_type(&data_type.kind), batch.num_rows()),
        };
        let lane = match (defaults.get(at).and_then(Option::as_ref), lane.nulls()) {
            (Some(default), Some(given)) if given.null_count() > 0 => {
                let given = BooleanArray::new(given.inner().clone(), None);
                let filled = zip(&given, &lane, &Scalar::new(Arc::clone(default)));
                filled.map_err(|error| Error::bug(format!("column {name}: its default value: {error}")))?
            }
            _ => lane,
        };
        if !data_type.nullable && lane.null_count() > 0 {
            return Err(Error::invalid(format!("column {name} is NOT NULL and a row has no value for it")));
        }
        lanes.push(lane);
    }
    let schema = lane_schema(columns.iter().copied());
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, lanes, &options).map_err(|error| Error::invalid(error.to_string()))
}

/// Row kinds as the bytes that are stored.
pub fn kinds_array(kinds: impl IntoIterator<Item = RowKind>) -> Int8Array {
    Int8Array::from_iter_values(kinds.into_iter().map(|kind| kind as i8))
}
