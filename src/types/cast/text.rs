//! Values as the text that Java prints of them, and texts as bytes.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type, Time32MillisecondType};
use arrow_array::{Array, ArrayRef, StringArray};

use super::super::TypeKind;
use super::super::java_text::{calendar_text, date_text, decimal_text, java_double, java_float, time_text};
use super::numbers;
use super::times::to_nanos;
use crate::error::{Error, Result};

/// Scalars as texts. `CHAR(n)` is filled up with blanks, longer texts are cut.
pub(super) fn print(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let texts = match from {
        TypeKind::Char(_) | TypeKind::VarChar(_) => lane.as_string::<i32>().clone(),
        TypeKind::Boolean => lane.as_boolean().iter().map(|value| value.map(|value| value.to_string())).collect(),
        TypeKind::Float => lane.as_primitive::<Float32Type>().iter().map(|value| value.map(java_float)).collect(),
        TypeKind::Double => lane.as_primitive::<Float64Type>().iter().map(|value| value.map(java_double)).collect(),
        TypeKind::Decimal { scale, .. } => {
            let numbers = lane.as_primitive::<Decimal128Type>().iter();
            numbers.map(|value| value.map(|number| decimal_text(number, *scale))).collect()
        }
        TypeKind::Date => {
            let days = lane.as_primitive::<Date32Type>().iter();
            days.map(|days| days.map(|days| date_text(days).ok_or_else(far)).transpose()).collect::<Result<_>>()?
        }
        TypeKind::Time(precision) => {
            let times = lane.as_primitive::<Time32MillisecondType>().iter();
            times.map(|millis| millis.map(|millis| time_text(millis, *precision))).collect()
        }
        TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) => timestamps(from, *precision, lane)?,
        _ => {
            let longs = numbers::narrow(from, &TypeKind::BigInt, lane)?;
            longs.as_primitive::<Int64Type>().iter().map(|value| value.map(|value| value.to_string())).collect()
        }
    };
    Ok(Arc::new(fit(texts, to)))
}

/// The four digits of a year have no place for others than 0 to 9999.
fn far() -> Error {
    Error::unsupported("the text of a date outside of the years 0 to 9999")
}

fn timestamps(from: &TypeKind, precision: u8, lane: &ArrayRef) -> Result<StringArray> {
    let text = |nanos: i128| {
        let (millis, nanos) = (nanos.div_euclid(1_000_000) as i64, nanos.rem_euclid(1_000_000) as i32);
        calendar_text(millis, nanos, precision).ok_or_else(far)
    };
    to_nanos(from, lane)?.iter().map(|nanos| nanos.map(text).transpose()).collect()
}

fn fit(texts: StringArray, to: &TypeKind) -> StringArray {
    let (most, least) = match to {
        TypeKind::Char(length) => (*length as usize, *length as usize),
        TypeKind::VarChar(length) if to != &TypeKind::STRING => (*length as usize, 0),
        _ => return texts,
    };
    let mut fitted = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
    for text in &texts {
        let Some(text) = text else {
            fitted.append_null();
            continue;
        };
        let (length, end) = text.char_indices().take(most).fold((0, 0), |(n, _), (at, c)| (n + 1, at + c.len_utf8()));
        // The builder takes a value in pieces.
        let _ = fitted.write_str(&text[..end]);
        (length..least).for_each(|_| {
            let _ = fitted.write_char(' ');
        });
        fitted.append_value("");
    }
    fitted.finish()
}

/// Texts and bytes as bytes: cut to the length of the type; `BINARY(n)` is filled up with zeros.
pub(super) fn to_bytes(_from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let bytes = match lane.data_type() {
        arrow_schema::DataType::Utf8 => arrow_array::BinaryArray::from(lane.as_string::<i32>().clone()),
        _ => lane.as_binary::<i32>().clone(),
    };
    let (most, least) = match to {
        TypeKind::Binary(length) => (*length as usize, *length as usize),
        TypeKind::VarBinary(length) => (*length as usize, 0),
        other => return Err(Error::bug(format!("{other} holds no bytes"))),
    };
    let mut fitted = BinaryBuilder::with_capacity(bytes.len(), bytes.value_data().len());
    let mut value = Vec::new();
    for bytes in &bytes {
        let Some(bytes) = bytes else {
            fitted.append_null();
            continue;
        };
        value.clear();
        value.extend_from_slice(&bytes[..bytes.len().min(most)]);
        value.resize(value.len().max(least), 0);
        fitted.append_value(&value);
    }
    Ok(Arc::new(fitted.finish()))
}

/// Bytes as texts, which they must be.
pub(super) fn of_bytes(lane: &ArrayRef) -> Result<ArrayRef> {
    let bytes = lane.as_binary::<i32>().clone();
    let texts = StringArray::try_from_binary(bytes);
    Ok(Arc::new(texts.map_err(|error| Error::invalid(format!("bytes that are no UTF-8 text: {error}")))?))
}
