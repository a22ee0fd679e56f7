//! The columns of an ORC file as lanes.
//!
//! The decoder is told the Arrow type of every column. Timestamps are decoded as seconds of nine digits, which none of them
//! leaves, and take the form of their precision here.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowTimestampType, Decimal128Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StringArray, StructArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType as ArrowType, Field, FieldRef, TimeUnit};
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use orc_rust::schema::DataType as OrcType;

use super::{corrupt, undecoded};
use crate::error::{Error, Result};
use crate::types::{DataType, TypeKind, lane_type, to_lane};

/// Seconds with nine digits.
const WIDE: ArrowType = ArrowType::Decimal128(38, 9);

/// The Arrow type that a column of the file is decoded as, for a kind that is wanted or for none.
///
/// # Errors
/// [`Error::Corrupt`] when the file stores something else under this name.
pub(super) fn decoded_type(name: &str, kind: Option<&TypeKind>, stored: &OrcType) -> Result<ArrowType> {
    let fits = kind.is_none_or(|kind| fits(kind, stored));
    if !fits {
        let kind = kind.map(ToString::to_string).unwrap_or_default();
        return Err(corrupt(format!("column {name} is stored as {stored}, which is no {kind}")));
    }
    let part = |name: &str, kind: Option<&TypeKind>, stored: &OrcType| -> Result<Field> {
        Ok(Field::new(name, decoded_type(name, kind, stored)?, true))
    };
    Ok(match stored {
        OrcType::Boolean { .. } => ArrowType::Boolean,
        OrcType::Byte { .. } => ArrowType::Int8,
        OrcType::Short { .. } => ArrowType::Int16,
        OrcType::Int { .. } => ArrowType::Int32,
        OrcType::Long { .. } => ArrowType::Int64,
        OrcType::Float { .. } => ArrowType::Float32,
        OrcType::Double { .. } => ArrowType::Float64,
        OrcType::String { .. } | OrcType::Varchar { .. } | OrcType::Char { .. } => ArrowType::Utf8,
        OrcType::Binary { .. } => ArrowType::Binary,
        OrcType::Date { .. } => ArrowType::Date32,
        OrcType::Timestamp { .. } | OrcType::TimestampWithLocalTimezone { .. } => WIDE,
        OrcType::Decimal { precision, scale, .. } => match (u8::try_from(*precision), i8::try_from(*scale)) {
            (Ok(precision @ 1..=38), Ok(scale)) => ArrowType::Decimal128(precision, scale),
            _ => return Err(corrupt(format!("column {name} is stored as {stored}"))),
        },
        OrcType::List { child, .. } => {
            let element = match kind {
                Some(TypeKind::Array(element)) => Some(&element.kind),
                _ => None,
            };
            ArrowType::List(Arc::new(part("element", element, child)?))
        }
        OrcType::Map { key, value, .. } => {
            let (of_key, of_value) = entry_kinds(kind);
            // Arrow's maps have no NULL keys, and the decoder makes Arrow's maps.
            let keys = Field::new("key", decoded_type("key", of_key, key)?, false);
            let entries = vec![keys, part("value", of_value, value)?];
            let entries = Field::new("entries", ArrowType::Struct(entries.into()), false);
            ArrowType::Map(Arc::new(entries), false)
        }
        OrcType::Struct { children, .. } => {
            let fields = children.iter().map(|child| {
                let wanted = match kind {
                    Some(TypeKind::Row(fields)) => fields.iter().find(|field| field.name == child.name()),
                    _ => None,
                };
                part(child.name(), wanted.map(|field| &field.data_type.kind), child.data_type())
            });
            ArrowType::Struct(fields.collect::<Result<Vec<_>>>()?.into())
        }
        OrcType::Union { .. } => return Err(Error::unsupported(format!("column {name}: a union in an ORC file"))),
    })
}

/// The kinds of keys and values.
fn entry_kinds(kind: Option<&TypeKind>) -> (Option<&TypeKind>, Option<&TypeKind>) {
    match kind {
        Some(TypeKind::Map(map)) => (Some(&map.key.kind), Some(&map.value.kind)),
        Some(TypeKind::Multiset(element)) => (Some(&element.kind), Some(&TypeKind::Int)),
        _ => (None, None),
    }
}

/// Whether a column is stored as Paimon stores its kind. Parts are asked for themselves.
fn fits(kind: &TypeKind, stored: &OrcType) -> bool {
    match (kind, stored) {
        (TypeKind::Boolean, OrcType::Boolean { .. })
        | (TypeKind::TinyInt, OrcType::Byte { .. })
        | (TypeKind::SmallInt, OrcType::Short { .. })
        | (TypeKind::Int | TypeKind::Time(_), OrcType::Int { .. })
        | (TypeKind::BigInt, OrcType::Long { .. })
        | (TypeKind::Float, OrcType::Float { .. })
        | (TypeKind::Double, OrcType::Double { .. })
        | (TypeKind::Date, OrcType::Date { .. })
        | (
            TypeKind::Char(_) | TypeKind::VarChar(_),
            OrcType::Char { .. } | OrcType::Varchar { .. } | OrcType::String { .. },
        )
        | (TypeKind::Binary(_) | TypeKind::VarBinary(_), OrcType::Binary { .. })
        | (TypeKind::Timestamp(_), OrcType::Timestamp { .. })
        // Releases up to 0.6 store the digits of both alike.
        | (TypeKind::TimestampLtz(_), OrcType::TimestampWithLocalTimezone { .. } | OrcType::Timestamp { .. })
        | (TypeKind::Array(_), OrcType::List { .. })
        | (TypeKind::Map(_) | TypeKind::Multiset(_), OrcType::Map { .. })
        | (TypeKind::Row(_), OrcType::Struct { .. }) => true,
        (TypeKind::Decimal { scale, .. }, OrcType::Decimal { scale: stored, .. }) => u32::from(*scale) == *stored,
        _ => false,
    }
}

/// Whether a zone is UTC under one of its names, as Java and pyarrow (`GMT`) spell it.
fn is_utc(zone: Tz) -> bool {
    let name = zone.name();
    let name = name.strip_prefix("Etc/").unwrap_or(name);
    matches!(name, "UTC" | "UCT" | "GMT" | "GMT0" | "GMT+0" | "GMT-0" | "Greenwich" | "Universal" | "Zulu")
}

/// How a file's times are to be understood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The zone of the JVM that wrote the stripe, where it tells one that is not UTC.
    written_in: Option<Tz>,
    /// The same, where local-zoned timestamps go by it.
    zone: Option<Tz>,
}

impl Times {
    /// Of a stripe's zone; `zoned_digits` as in [`crate::files::ReadPlan`].
    pub(super) fn of(zone: Option<Tz>, zoned_digits: bool) -> Self {
        let written_in = zone.filter(|zone| !is_utc(*zone));
        Self { written_in, zone: written_in.filter(|_| zoned_digits) }
    }
}

/// A decoded column as a lane of its kind.
///
/// # Errors
/// [`Error::Corrupt`] for values that are none of the kind.
pub(super) fn lane(
    name: &str,
    kind: &TypeKind,
    stored: &OrcType,
    decoded: &ArrayRef,
    times: Times,
) -> Result<ArrayRef> {
    let parts = converted(kind, stored, decoded, times)?;
    to_lane(name, kind, &parts).map_err(|error| match error {
        Error::Invalid(what) => corrupt(what),
        other => other,
    })
}

/// The array with each scalar part as the lane of its kind.
fn converted(kind: &TypeKind, stored: &OrcType, array: &ArrayRef, times: Times) -> Result<ArrayRef> {
    let wrong = |error: ArrowError| undecoded(error);
    let field =
        |name: &str, array: &ArrayRef| -> FieldRef { Arc::new(Field::new(name, array.data_type().clone(), true)) };
    Ok(match (kind, stored) {
        (TypeKind::Timestamp(precision), _) => {
            known(array, times)?;
            timestamp(*precision, array, None, None)?
        }
        (TypeKind::TimestampLtz(precision), OrcType::Timestamp { .. }) => {
            known(array, times)?;
            timestamp(*precision, array, None, Some("UTC"))?
        }
        (TypeKind::TimestampLtz(precision), _) => {
            known(array, times)?;
            timestamp(*precision, array, times.zone, Some("UTC"))?
        }
        (TypeKind::Time(_), _) => cast(array, &ArrowType::Time32(TimeUnit::Millisecond)).map_err(wrong)?,
        (TypeKind::Char(_), _) => Arc::new(trimmed(array.as_string::<i32>())),
        (TypeKind::Array(element), OrcType::List { child, .. }) => {
            let list = array.as_list::<i32>();
            let values = converted(&element.kind, child, list.values(), times)?;
            let field = field("element", &values);
            Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned()).map_err(wrong)?)
        }
        (TypeKind::Map(_) | TypeKind::Multiset(_), OrcType::Map { key: of_keys, value: of_values, .. }) => {
            let map = array.as_map();
            let (Some(key), Some(value)) = entry_kinds(Some(kind)) else {
                return Err(Error::bug(format!("{kind} is no map")));
            };
            let keys = converted(key, of_keys, map.keys(), times)?;
            let values = converted(value, of_values, map.values(), times)?;
            let fields = vec![Arc::new(Field::new("key", keys.data_type().clone(), false)), field("value", &values)];
            let entries = StructArray::try_new(fields.into(), vec![keys, values], None).map_err(wrong)?;
            let field = Arc::new(Field::new("key_value", entries.data_type().clone(), false));
            let nulls = map.nulls().cloned();
            Arc::new(MapArray::try_new(field, map.offsets().clone(), entries, nulls, false).map_err(wrong)?)
        }
        (TypeKind::Row(fields), OrcType::Struct { children, .. }) => {
            let rows = array.as_struct();
            let mut columns = Vec::with_capacity(fields.len());
            for part in fields.iter() {
                // A field that the file has not is NULL, as Java reads it.
                let Some(at) = children.iter().position(|child| child.name() == part.name) else { continue };
                let column = rows.columns().get(at).ok_or_else(|| corrupt("a struct without one of its fields"))?;
                let column = converted(&part.data_type.kind, children[at].data_type(), column, times)?;
                columns.push((field(&part.name, &column), column));
            }
            let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            let nulls = rows.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.into(), columns, nulls, rows.len()).map_err(wrong)?)
        }
        _ => Arc::clone(array),
    })
}

/// CHAR is stored with blanks up to its length; a value's own trailing blanks cannot be told from them.
pub(super) fn trimmed(texts: &StringArray) -> StringArray {
    match texts.iter().flatten().any(|text| text.ends_with(' ')) {
        true => texts.iter().map(|text| text.map(|text| text.trim_end_matches(' '))).collect(),
        false => texts.clone(),
    }
}

/// From 1901 to 2098, in nanoseconds: where the rules of zones at hand are those of Java. Java has no others before 1900,
/// and goes on with the last ones for ever.
const KNOWN: std::ops::Range<i128> = -2_177_452_800_000_000_000..4_070_908_800_000_000_000;

/// Refuses times of a zone whose rules are not known, which would be read by an hour or some minutes wrong.
fn known(wide: &ArrayRef, times: Times) -> Result<()> {
    let Some(zone) = times.written_in else { return Ok(()) };
    match wide.as_primitive::<Decimal128Type>().iter().flatten().all(|nanos| KNOWN.contains(&nanos)) {
        true => Ok(()),
        false => Err(Error::unsupported(format!("times before 1901 or after 2098 in an ORC file written in {zone}"))),
    }
}

/// Seconds of nine digits as a timestamp's lane. What is finer than its precision is cut off.
fn timestamp(precision: u8, wide: &ArrayRef, zone: Option<Tz>, utc: Option<&str>) -> Result<ArrayRef> {
    let wide = wide.as_primitive::<Decimal128Type>();
    let shifted = zone.map(|zone| wide.try_unary::<_, Decimal128Type, Error>(|nanos| local(nanos, zone)));
    let shifted = shifted.transpose()?;
    let wide = shifted.as_ref().unwrap_or(wide);
    match precision {
        0..=3 => narrowed::<TimestampMillisecondType>(wide, 1_000_000, utc),
        4..=6 => narrowed::<TimestampMicrosecondType>(wide, 1000, utc),
        _ => Ok(Arc::new(wide.clone().with_precision_and_scale(38, 9).map_err(undecoded)?)),
    }
}

fn narrowed<T: ArrowTimestampType>(
    wide: &arrow_array::Decimal128Array,
    factor: i128,
    zone: Option<&str>,
) -> Result<ArrayRef> {
    let fit =
        |nanos: i128| i64::try_from(nanos.div_euclid(factor)).map_err(|_| corrupt(format!("{nanos} ns are no time")));
    let narrow = wide.try_unary::<_, T, Error>(fit)?;
    Ok(Arc::new(narrow.with_timezone_opt(zone)))
}

/// Java's default is to store the digits of a time in UTC as the time at which the clocks of its own zone show them.
fn local(nanos: i128, zone: Tz) -> Result<i128> {
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok();
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    let time = time.ok_or_else(|| corrupt(format!("{nanos} ns are no time")))?;
    let offset = zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc();
    Ok(nanos + i128::from(offset) * 1_000_000_000)
}

/// A lane of NULLs.
pub(super) fn nulls(data_type: &DataType, rows: usize) -> ArrayRef {
    arrow_array::new_null_array(&lane_type(&data_type.kind), rows)
}
