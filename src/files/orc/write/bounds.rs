//! What a file tells of its columns: in its footer, for readers of ORC, and in its manifest entry, as Java takes it from there.
//! Spec: `format-spec/statistics.md`.

use orc_rust::proto::{
    ColumnStatistics, DateStatistics, DecimalStatistics, DoubleStatistics, IntegerStatistics, StringStatistics,
};

use crate::format::ColumnStats;
use crate::types::{Datum, TypeKind};

/// Longer texts are no bounds in footers.
const LONGEST: usize = 1024;

/// Adds the bounds of a column to what its footer tells. Times have none there, and neither have floats among which NaN is:
/// each reader has an order of its own for it.
pub(super) fn add_bounds(told: &mut ColumnStatistics, of: &ColumnStats) {
    let integers = |min: i64, max: i64| IntegerStatistics { minimum: Some(min), maximum: Some(max), sum: None };
    let doubles = |min: f64, max: f64| DoubleStatistics { minimum: Some(min), maximum: Some(max), sum: None };
    match (&of.data_type.kind, &of.min, &of.max) {
        (_, Datum::TinyInt(min), Datum::TinyInt(max)) => {
            told.int_statistics = Some(integers((*min).into(), (*max).into()));
        }
        (_, Datum::SmallInt(min), Datum::SmallInt(max)) => {
            told.int_statistics = Some(integers((*min).into(), (*max).into()));
        }
        (_, Datum::Int(min), Datum::Int(max)) | (_, Datum::Time(min), Datum::Time(max)) => {
            told.int_statistics = Some(integers((*min).into(), (*max).into()));
        }
        (_, Datum::BigInt(min), Datum::BigInt(max)) => told.int_statistics = Some(integers(*min, *max)),
        (_, Datum::Float(min), Datum::Float(max)) if !max.is_nan() => {
            told.double_statistics = Some(doubles((*min).into(), (*max).into()));
        }
        (_, Datum::Double(min), Datum::Double(max)) if !max.is_nan() => {
            told.double_statistics = Some(doubles(*min, *max));
        }
        (_, Datum::Date(min), Datum::Date(max)) => {
            told.date_statistics = Some(DateStatistics { minimum: Some(*min), maximum: Some(*max) });
        }
        (TypeKind::VarChar(_), Datum::String(min), Datum::String(max)) if min.len().max(max.len()) <= LONGEST => {
            let (minimum, maximum) = (Some(min.clone()), Some(max.clone()));
            told.string_statistics = Some(StringStatistics { minimum, maximum, ..StringStatistics::default() });
        }
        (TypeKind::Decimal { scale, .. }, Datum::Decimal(min), Datum::Decimal(max)) => {
            let (minimum, maximum) = (Some(decimal_text(*min, *scale)), Some(decimal_text(*max, *scale)));
            told.decimal_statistics = Some(DecimalStatistics { minimum, maximum, sum: None });
        }
        _ => {}
    }
}

fn decimal_text(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    match fraction {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

/// What the manifest entry has of these statistics: Java takes no bounds of bytes from an ORC file, and none of texts that
/// are longer than footers have.
pub(super) fn kept(mut stats: ColumnStats) -> ColumnStats {
    let unknown = |bound: &Datum| match bound {
        Datum::Bytes(_) => true,
        Datum::String(text) => text.len() > LONGEST,
        _ => false,
    };
    if unknown(&stats.min) || unknown(&stats.max) {
        (stats.min, stats.max) = (Datum::Null, Datum::Null);
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_spelled_with_their_scale() {
        let spelled = [(0, 0), (7, 0), (-7, 2), (1234, 2), (-1234, 4), (i128::from(i64::MIN), 3)];
        let spelled = spelled.map(|(unscaled, scale)| decimal_text(unscaled, scale));
        assert_eq!(spelled, ["0", "7", "-0.07", "12.34", "-0.1234", "-9223372036854775.808"]);
    }
}
