//! Two values of one row beside each other: `delivered > ordered`.

use arrow_array::{ArrayRef, BooleanArray};

use super::evaluate::compare;
use super::expr::Comparison;
use super::lane::with_one_nan;
use crate::error::{Error, Result};
use crate::types::{TypeKind, cast_lane};

/// How the values of two lanes compare, row by row.
///
/// # Errors
/// [`Error::Bug`] for types that are not bound.
pub(super) fn beside(
    comparison: Comparison,
    (one, kind): (&ArrayRef, &TypeKind),
    (other, other_kind): (&ArrayRef, &TypeKind),
) -> Result<BooleanArray> {
    let common = common(kind, other_kind).ok_or_else(|| Error::bug(format!("{kind} beside {other_kind}")))?;
    let one = with_one_nan(&cast_lane(kind, &common, one)?);
    let other = with_one_nan(&cast_lane(other_kind, &common, other)?);
    compare(comparison, &one, &other)
}

/// The type in which values of two types compare and none loses anything; `None` where there is none.
pub(super) fn common(one: &TypeKind, other: &TypeKind) -> Option<TypeKind> {
    use TypeKind::{
        BigInt, Binary, Char, Decimal, Double, Float, Int, SmallInt, Timestamp, TimestampLtz, TinyInt, VarBinary,
        VarChar,
    };
    let kind = match (one, other) {
        (one, other) if one.is_nested() || other.is_nested() => return None,
        (one, other) if one == other => one.clone(),
        (Char(_) | VarChar(_), Char(_) | VarChar(_)) => TypeKind::STRING,
        (Binary(_) | VarBinary(_), Binary(_) | VarBinary(_)) => TypeKind::BYTES,
        (TinyInt | SmallInt | Int | BigInt, TinyInt | SmallInt | Int | BigInt) => BigInt,
        (TinyInt | SmallInt | Int | Float | Double, TinyInt | SmallInt | Int | Float | Double) => Double,
        (Timestamp(one), Timestamp(other)) => Timestamp(*one.max(other)),
        (TimestampLtz(one), TimestampLtz(other)) => TimestampLtz(*one.max(other)),
        (one, other) => {
            let ((whole, scale), (other_whole, other_scale)) = (digits(one)?, digits(other)?);
            let scale = scale.max(other_scale);
            let precision = whole.max(other_whole) + scale;
            Decimal { precision: Some(precision).filter(|precision| *precision <= 38)?, scale }
        }
    };
    Some(kind)
}

/// The digits before and behind the point.
fn digits(kind: &TypeKind) -> Option<(u8, u8)> {
    Some(match kind {
        TypeKind::TinyInt => (3, 0),
        TypeKind::SmallInt => (5, 0),
        TypeKind::Int => (10, 0),
        TypeKind::BigInt => (19, 0),
        TypeKind::Decimal { precision, scale } => (precision - scale, *scale),
        _ => return None,
    })
}
