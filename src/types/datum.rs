//! One value, for keys, partitions, statistics and predicates: never for the rows of a batch. Values of nested types are
//! for looking at a cell; no key, bound or condition has one.

use std::cmp::Ordering;

/// A value of a column, or NULL. Two data compare only within one type; decimals and
/// timestamps compare as numbers of their column's scale.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// SQL NULL
    Null,
    /// BOOLEAN
    Boolean(bool),
    /// TINYINT
    TinyInt(i8),
    /// SMALLINT
    SmallInt(i16),
    /// INT
    Int(i32),
    /// BIGINT
    BigInt(i64),
    /// FLOAT
    Float(f32),
    /// DOUBLE
    Double(f64),
    /// DECIMAL: the unscaled number
    Decimal(i128),
    /// CHAR, VARCHAR, STRING
    String(String),
    /// BINARY, VARBINARY, BYTES
    Bytes(Vec<u8>),
    /// DATE: days since 1970-01-01
    Date(i32),
    /// TIME: milliseconds of the day
    Time(i32),
    /// TIMESTAMP and its local-zoned kind
    Timestamp {
        /// Milliseconds since the epoch, rounded down
        millis: i64,
        /// Nanoseconds within the millisecond, 0 to 999 999
        nanos: i32,
    },
    /// ARRAY: its elements
    Array(Vec<Datum>),
    /// MAP and MULTISET: keys and values as they are stored
    Map(Vec<(Datum, Datum)>),
    /// ROW: the fields in order
    Row(Vec<Datum>),
}

/// Milliseconds of 1583-01-01.
const OLD_DAYS: i64 = -12_212_553_600_000;

impl Datum {
    /// Whether this is a timestamp before 1583. In ORC files such times pass through Java's calendar of old, and what
    /// stands beside their rows (statistics, indexes, buckets) tells other days than readers see.
    pub fn is_of_old_days(&self) -> bool {
        matches!(self, Self::Timestamp { millis, .. } if *millis < OLD_DAYS)
    }

    /// Whether the value is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Bytes held, roughly.
    pub fn size(&self) -> usize {
        let held = match self {
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Array(values) | Self::Row(values) => values.iter().map(Self::size).sum(),
            Self::Map(pairs) => pairs.iter().map(|(key, value)| key.size() + value.size()).sum(),
            _ => 0,
        };
        size_of::<Self>() + held
    }

    /// Paimon's order within one type: NULL first, strings and bytes by unsigned bytes, floats by Java's
    /// `compare` (-0.0 below 0.0, NaN largest). Values of different types compare as equal kinds never do: by kind.
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::TinyInt(a), Self::TinyInt(b)) => a.cmp(b),
            (Self::SmallInt(a), Self::SmallInt(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) | (Self::Date(a), Self::Date(b)) | (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::BigInt(a), Self::BigInt(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => canonical_f32(*a).total_cmp(&canonical_f32(*b)),
            (Self::Double(a), Self::Double(b)) => canonical_f64(*a).total_cmp(&canonical_f64(*b)),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Timestamp { millis: a, nanos: x }, Self::Timestamp { millis: b, nanos: y }) => (a, x).cmp(&(b, y)),
            (Self::Array(a), Self::Array(b)) | (Self::Row(a), Self::Row(b)) => in_order(a.iter(), b.iter()),
            (Self::Map(a), Self::Map(b)) => {
                let flat = |(key, value): &'_ (Datum, Datum)| [key.clone(), value.clone()];
                let (a, b): (Vec<_>, Vec<_>) = (a.iter().flat_map(flat).collect(), b.iter().flat_map(flat).collect());
                in_order(a.iter(), b.iter())
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::TinyInt(_) => 2,
            Self::SmallInt(_) => 3,
            Self::Int(_) => 4,
            Self::BigInt(_) => 5,
            Self::Float(_) => 6,
            Self::Double(_) => 7,
            Self::Decimal(_) => 8,
            Self::String(_) => 9,
            Self::Bytes(_) => 10,
            Self::Date(_) => 11,
            Self::Time(_) => 12,
            Self::Timestamp { .. } => 13,
            Self::Array(_) => 14,
            Self::Map(_) => 15,
            Self::Row(_) => 16,
        }
    }
}

/// The order of the first parts that differ, else of the lengths.
fn in_order<'a>(one: impl Iterator<Item = &'a Datum>, other: impl Iterator<Item = &'a Datum>) -> Ordering {
    let (one, other): (Vec<_>, Vec<_>) = (one.collect(), other.collect());
    let parts = one.iter().zip(&other).map(|(a, b)| a.total_cmp(b));
    parts.fold(Ordering::Equal, Ordering::then).then(one.len().cmp(&other.len()))
}

/// Every NaN as the one positive NaN, which `total_cmp` puts last.
fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value }
}

/// Every NaN as the one positive NaN, which `total_cmp` puts last.
fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, StringArray, Time32MillisecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, new_null_array,
};

use super::{TypeKind, lane_type};
use crate::error::{Error, Result};

impl Datum {
    /// A lane that repeats the value.
    ///
    /// # Errors
    /// [`Error::Bug`] when the value is not of the kind.
    pub fn repeat(&self, kind: &TypeKind, rows: usize) -> Result<ArrayRef> {
        let zone = matches!(kind, TypeKind::TimestampLtz(_)).then_some("UTC");
        Ok(match (self, kind) {
            (Self::Null, _) => new_null_array(&lane_type(kind), rows),
            (Self::Boolean(v), TypeKind::Boolean) => Arc::new(BooleanArray::from(vec![*v; rows])),
            (Self::TinyInt(v), TypeKind::TinyInt) => Arc::new(Int8Array::from_value(*v, rows)),
            (Self::SmallInt(v), TypeKind::SmallInt) => Arc::new(Int16Array::from_value(*v, rows)),
            (Self::Int(v), TypeKind::Int) => Arc::new(Int32Array::from_value(*v, rows)),
            (Self::BigInt(v), TypeKind::BigInt) => Arc::new(Int64Array::from_value(*v, rows)),
            (Self::Float(v), TypeKind::Float) => Arc::new(Float32Array::from_value(*v, rows)),
            (Self::Double(v), TypeKind::Double) => Arc::new(Float64Array::from_value(*v, rows)),
            (Self::Date(v), TypeKind::Date) => Arc::new(Date32Array::from_value(*v, rows)),
            (Self::Time(v), TypeKind::Time(_)) => Arc::new(Time32MillisecondArray::from_value(*v, rows)),
            (Self::String(v), TypeKind::Char(_) | TypeKind::VarChar(_)) => {
                Arc::new(StringArray::from_iter_values(std::iter::repeat_n(v, rows)))
            }
            (Self::Bytes(v), TypeKind::Binary(_) | TypeKind::VarBinary(_)) => {
                Arc::new(BinaryArray::from_iter_values(std::iter::repeat_n(v, rows)))
            }
            (Self::Decimal(v), TypeKind::Decimal { precision, scale }) => {
                let array = Decimal128Array::from_value(*v, rows).with_precision_and_scale(*precision, *scale as i8);
                Arc::new(array.map_err(|error| Error::bug(error.to_string()))?)
            }
            (Self::Timestamp { millis, .. }, TypeKind::Timestamp(..=3) | TypeKind::TimestampLtz(..=3)) => {
                Arc::new(TimestampMillisecondArray::from_value(*millis, rows).with_timezone_opt(zone))
            }
            (Self::Timestamp { millis, nanos }, TypeKind::Timestamp(..=6) | TypeKind::TimestampLtz(..=6)) => {
                let micros = millis.checked_mul(1000).and_then(|m| m.checked_add(i64::from(*nanos) / 1000));
                let micros = micros.ok_or_else(|| Error::invalid(format!("{self:?} does not fit {kind}")))?;
                Arc::new(TimestampMicrosecondArray::from_value(micros, rows).with_timezone_opt(zone))
            }
            (Self::Timestamp { millis, nanos }, TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_)) => {
                let wide = i128::from(*millis) * 1_000_000 + i128::from(*nanos);
                let array = Decimal128Array::from_value(wide, rows).with_precision_and_scale(38, 9);
                Arc::new(array.map_err(|error| Error::bug(error.to_string()))?)
            }
            (Self::Array(_) | Self::Map(_) | Self::Row(_), nested) => super::nested::repeat(self, nested, rows)?,
            _ => return Err(Error::bug(format!("{self:?} is no {kind}"))),
        })
    }
}
