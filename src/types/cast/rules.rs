//! Which changes of a column's type are allowed.

use super::super::{DataType, Datum, TypeKind};
use super::Family;

/// Whether a column may be given another type: every value must convert, and without `explicit` also keep what it says
/// (NULL stays allowed where it was).
pub fn may_change(from: &DataType, to: &DataType, explicit: bool) -> bool {
    if from.nullable && !to.nullable && !explicit {
        return false;
    }
    from.kind == to.kind || (super::can_cast(&from.kind, &to.kind) && (explicit || is_implicit(from, to)))
}

fn is_implicit(from: &DataType, to: &DataType) -> bool {
    use Family::{Approximate, Bytes, Date, Decimal, Integer, Text, Time, Timestamp};
    let (Some(source), Some(target)) = (Family::of(&from.kind), Family::of(&to.kind)) else { return false };
    match (source, target) {
        (Integer, Integer) => width(&from.kind) <= width(&to.kind),
        (Integer | Decimal, Approximate) => true,
        (Approximate, Approximate) => to.kind == TypeKind::Double,
        (Integer | Approximate | Decimal, Decimal) => true,
        (Text, Text) => matches!(to.kind, TypeKind::VarChar(_)) || matches!(from.kind, TypeKind::Char(_)),
        (Bytes, Bytes) => matches!(to.kind, TypeKind::VarBinary(_)) || matches!(from.kind, TypeKind::Binary(_)),
        (Timestamp, Date | Time) => matches!(from.kind, TypeKind::Timestamp(_)),
        (Date, Date) | (Time, Time) | (Timestamp, Timestamp) => true,
        _ => false,
    }
}

/// A bound of values of `from` as a bound of the same values read as `to`; `None` where order or values may differ.
pub fn widen(value: &Datum, from: &TypeKind, to: &TypeKind) -> Option<Datum> {
    if from == to {
        return Some(value.clone());
    }
    let number = match value {
        Datum::Null => return Some(Datum::Null),
        Datum::TinyInt(number) => i64::from(*number),
        Datum::SmallInt(number) => i64::from(*number),
        Datum::Int(number) => i64::from(*number),
        _ => return None,
    };
    match to {
        TypeKind::SmallInt => i16::try_from(number).ok().map(Datum::SmallInt),
        TypeKind::Int => i32::try_from(number).ok().map(Datum::Int),
        TypeKind::BigInt => Some(Datum::BigInt(number)),
        _ => None,
    }
}

fn width(kind: &TypeKind) -> u8 {
    match kind {
        TypeKind::TinyInt => 1,
        TypeKind::SmallInt => 2,
        TypeKind::Int => 4,
        _ => 8,
    }
}
