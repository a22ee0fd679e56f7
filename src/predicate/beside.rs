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
        BigInt, Binary, Char, Decimal, Double, Float, Int, SmallInt, Time, Timestamp, TimestampLtz, TinyInt, VarBinary,
        VarChar,
    };
    let kind = match (one, other) {
        (one, other) if one.is_nested() || other.is_nested() => return None,
        (one, other) if one == other => one.clone(),
        (Char(_) | VarChar(_), Char(_) | VarChar(_)) => TypeKind::STRING,
        (Binary(_) | VarBinary(_), Binary(_) | VarBinary(_)) => TypeKind::BYTES,
        (TinyInt | SmallInt | Int | BigInt, TinyInt | SmallInt | Int | BigInt) => BigInt,
        (TinyInt | SmallInt | Int | Float | Double, TinyInt | SmallInt | Int | Float | Double) => Double,
        (Time(one), Time(other)) => Time(*one.max(other)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::datum_lane;
    use crate::types::{DataType, Datum};

    #[test]
    fn values_of_types_that_differ_compare_exactly() {
        let text = |text: &str| Datum::String(text.into());
        let at = |millis, nanos| Datum::Timestamp { millis, nanos };
        for (one, small, other, large) in [
            ("TINYINT", Datum::TinyInt(-1), "BIGINT", Datum::BigInt(i64::MAX)),
            ("BIGINT", Datum::BigInt(i64::MAX - 1), "DECIMAL(21, 2)", Datum::Decimal(i128::from(i64::MAX) * 100)),
            ("DECIMAL(5, 3)", Datum::Decimal(-12_345), "DECIMAL(12, 0)", Datum::Decimal(-12)),
            ("SMALLINT", Datum::SmallInt(3), "FLOAT", Datum::Float(3.5)),
            ("FLOAT", Datum::Float(1.0), "DOUBLE", Datum::Double(f64::NAN)),
            ("CHAR(3)", text("abc"), "STRING", text("abd")),
            ("BINARY(1)", Datum::Bytes(vec![1]), "BYTES", Datum::Bytes(vec![1, 0])),
            ("TIME(0)", Datum::Time(1000), "TIME(3)", Datum::Time(1001)),
            ("TIMESTAMP(3)", at(5, 0), "TIMESTAMP(9)", at(5, 1)),
            ("TIMESTAMP_LTZ(6)", at(5, 1000), "TIMESTAMP_LTZ(9)", at(5, 1001)),
        ] {
            let kind = |text: &str| text.parse::<DataType>().unwrap().kind;
            let (one, other) = (kind(one), kind(other));
            let (left, right) = (datum_lane(&one, &[&small]).unwrap(), datum_lane(&other, &[&large]).unwrap());
            for (comparison, wanted) in [(Comparison::Lt, true), (Comparison::Eq, false), (Comparison::Ge, false)] {
                let found = beside(comparison, (&left, &one), (&right, &other)).unwrap();
                assert_eq!(found.value(0), wanted, "{one} {comparison:?} {other}");
                let found = beside(comparison.flipped(), (&right, &other), (&left, &one)).unwrap();
                assert_eq!(found.value(0), wanted, "{other} beside {one}");
            }
        }
        for (one, other) in
            [("BIGINT", "DOUBLE"), ("DATE", "TIMESTAMP(3)"), ("STRING", "INT"), ("DECIMAL(38, 0)", "DECIMAL(2, 1)")]
        {
            let kind = |text: &str| text.parse::<DataType>().unwrap().kind;
            assert_eq!(common(&kind(one), &kind(other)), None, "{one} and {other}");
        }
    }
}
