//! Values of one type as values of another: how a column reads whose type was changed after its files were written.
//!
//! The conversions are Paimon's own, column by column on lanes. Where Java converts in the time zone of its process,
//! the zone here is UTC, so that one table reads the same everywhere.
//! Spec: `format-spec/schema.md`, changed types.

mod nested;
mod numbers;
mod parse;
mod rules;
mod text;
mod times;

use std::sync::Arc;

use arrow_array::ArrayRef;

use super::TypeKind;
use crate::error::{Error, Result};

pub use nested::is_lost;
pub use rules::{may_change, widen};

/// What the conversions distinguish about a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Boolean,
    Integer,
    Approximate,
    Decimal,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
}

impl Family {
    /// `None` for nested types, whose parts convert.
    fn of(kind: &TypeKind) -> Option<Self> {
        Some(match kind {
            TypeKind::Boolean => Self::Boolean,
            TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int | TypeKind::BigInt => Self::Integer,
            TypeKind::Float | TypeKind::Double => Self::Approximate,
            TypeKind::Decimal { .. } => Self::Decimal,
            TypeKind::Char(_) | TypeKind::VarChar(_) => Self::Text,
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Self::Bytes,
            TypeKind::Date => Self::Date,
            TypeKind::Time(_) => Self::Time,
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => Self::Timestamp,
            TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
                return None;
            }
        })
    }
}

/// Whether values of `from` can be read as values of `to`. Fields of rows are matched by their ids.
pub fn can_cast(from: &TypeKind, to: &TypeKind) -> bool {
    from == to || nested::can_cast(from, to).unwrap_or_else(|| conversion(from, to).is_some())
}

/// A lane of kind `from` as a lane of kind `to`. A number that does not fit a decimal becomes NULL; integers wrap and
/// floats saturate, as in Java.
///
/// # Errors
/// [`Error::Unsupported`] when there is no such conversion; [`Error::Invalid`] for a text that is no value of the type.
/// The caller names the column.
pub fn cast_lane(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    if from == to {
        return Ok(Arc::clone(lane));
    }
    if from.is_nested() && to.is_nested() {
        return nested::cast(from, to, lane);
    }
    if from.is_nested() && can_cast(from, to) {
        return nested::print(from, lane);
    }
    let run = conversion(from, to).ok_or_else(|| Error::unsupported(format!("reading {from} as {to}")))?;
    run(from, to, lane)
}

type Conversion = fn(&TypeKind, &TypeKind, &ArrayRef) -> Result<ArrayRef>;

fn conversion(from: &TypeKind, to: &TypeKind) -> Option<Conversion> {
    use Family::{Approximate, Boolean, Bytes, Date, Decimal, Integer, Text, Time, Timestamp};
    let seconds = |kind: &TypeKind| matches!(kind, TypeKind::Int | TypeKind::BigInt);
    Some(match (Family::of(from)?, Family::of(to)?) {
        (Integer | Approximate, Integer | Approximate) => numbers::narrow,
        (Boolean, Integer | Approximate) => numbers::of_boolean,
        (Integer, Boolean) => |_, _, lane| numbers::is_not_zero(lane),
        (Boolean | Integer | Approximate | Decimal, Decimal) => numbers::to_decimal,
        (Decimal, Integer | Approximate) => numbers::of_decimal,
        (Boolean | Integer | Approximate | Decimal | Text, Text) => text::print,
        // Java has these for STRING alone, not for CHAR(n) and VARCHAR(n).
        (Date | Time | Timestamp, Text) if to == &TypeKind::STRING => text::print,
        (Text | Bytes, Bytes) => text::to_bytes,
        (Bytes, Text) => |_, _, lane| text::of_bytes(lane),
        (Text, _) => parse::parse,
        (Date, Timestamp) | (Time, Timestamp) | (Timestamp, Date | Time | Timestamp) => times::convert,
        (Integer, Timestamp) if seconds(from) => times::of_seconds,
        (Timestamp, Integer) if seconds(to) => times::to_seconds,
        (Boolean, Boolean) | (Date, Date) | (Time, Time) => |_, _, lane| Ok(Arc::clone(lane)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
