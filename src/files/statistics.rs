//! The statistics of a file's columns, taken from its footer: the encoder saw every value already. Only the bounds of
//! floats are gathered here, because Parquet's leave NaN out.
//! Spec: `format-spec/statistics.md`.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType as ArrowType;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::layout::FileLayout;
use crate::format::ColumnStats;
use crate::types::{DataType, Datum, TypeKind};

/// The smallest and the largest value of a column of floats in Paimon's order; `None` without any.
pub(super) type FloatBounds = Option<(Datum, Datum)>;

/// The bounds of a lane of floats. Parquet's own leave NaN out and make zeros -0.0 and 0.0; Paimon keeps every value
/// in its order, where NaN is the largest and -0.0 lies below 0.0.
pub(super) fn float_bounds(lane: &ArrayRef) -> FloatBounds {
    match lane.data_type() {
        ArrowType::Float32 => {
            let canonical = |value: f32| if value.is_nan() { f32::NAN } else { value };
            let values = || lane.as_primitive::<Float32Type>().iter().flatten().map(canonical);
            values()
                .min_by(f32::total_cmp)
                .zip(values().max_by(f32::total_cmp))
                .map(|(a, b)| (Datum::Float(a), Datum::Float(b)))
        }
        ArrowType::Float64 => {
            let canonical = |value: f64| if value.is_nan() { f64::NAN } else { value };
            let values = || lane.as_primitive::<Float64Type>().iter().flatten().map(canonical);
            values()
                .min_by(f64::total_cmp)
                .zip(values().max_by(f64::total_cmp))
                .map(|(a, b)| (Datum::Double(a), Datum::Double(b)))
        }
        _ => None,
    }
}

/// The bounds of a chunk of floats that holds no NaN.
pub(super) fn bounds_of_chunk(stats: &Statistics) -> FloatBounds {
    match stats {
        Statistics::Float(s) => Some((Datum::Float(*s.min_opt()?), Datum::Float(*s.max_opt()?))),
        Statistics::Double(s) => Some((Datum::Double(*s.min_opt()?), Datum::Double(*s.max_opt()?))),
        _ => None,
    }
}

/// Whether a NaN is among the values.
pub(super) fn has_nan(bounds: &FloatBounds) -> bool {
    match bounds {
        Some((_, Datum::Float(max))) => max.is_nan(),
        Some((_, Datum::Double(max))) => max.is_nan(),
        _ => false,
    }
}

/// Takes more values of a column in.
pub(super) fn widen_bounds(bounds: &mut FloatBounds, more: FloatBounds) {
    *bounds = match (bounds.take(), more) {
        (Some((min, max)), Some((low, high))) => Some((
            if low.total_cmp(&min).is_lt() { low } else { min },
            if high.total_cmp(&max).is_gt() { high } else { max },
        )),
        (one, other) => one.or(other),
    };
}

/// The statistics of each column of a file just written, with the bounds of its columns of floats.
pub(super) fn from_footer(
    layout: &FileLayout,
    groups: &[RowGroupMetaData],
    floats: &[FloatBounds],
) -> Vec<ColumnStats> {
    let column = |(at, column): (usize, &super::FileColumn)| {
        let mut stats = of_column(&column.data_type, groups, layout.leaves[at].start);
        if matches!(&column.data_type.kind, TypeKind::Float | TypeKind::Double) {
            (stats.min, stats.max) = floats[at].clone().unwrap_or((Datum::Null, Datum::Null));
        }
        stats
    };
    layout.columns.iter().enumerate().map(column).collect()
}

fn of_column(data_type: &DataType, groups: &[RowGroupMetaData], column: usize) -> ColumnStats {
    if data_type.kind.is_nested() {
        // Java has neither bounds nor a count of NULLs for what is no leaf of its own.
        return ColumnStats { data_type: data_type.clone(), min: Datum::Null, max: Datum::Null, null_count: None };
    }
    let mut all = ColumnStats { data_type: data_type.clone(), min: Datum::Null, max: Datum::Null, null_count: Some(0) };
    let mut bounded = true;
    for group in groups {
        let chunk = group.column(column);
        let Some(stats) = chunk.statistics() else {
            return ColumnStats { data_type: data_type.clone(), min: Datum::Null, max: Datum::Null, null_count: None };
        };
        let nulls = stats.null_count_opt().and_then(|count| i64::try_from(count).ok());
        all.null_count = all.null_count.zip(nulls).map(|(a, b)| a + b);
        match bounds(&data_type.kind, stats) {
            Some((min, max)) => widen(&mut all, min, max),
            // A group of NULLs has no bounds and changes none.
            None => bounded &= nulls == Some(group.num_rows()),
        }
    }
    if !bounded {
        (all.min, all.max) = (Datum::Null, Datum::Null);
    }
    all
}

fn widen(all: &mut ColumnStats, min: Datum, max: Datum) {
    if all.min.is_null() || min.total_cmp(&all.min).is_lt() {
        all.min = min;
    }
    if all.max.is_null() || max.total_cmp(&all.max).is_gt() {
        all.max = max;
    }
}

fn bounds(kind: &TypeKind, stats: &Statistics) -> Option<(Datum, Datum)> {
    match stats {
        Statistics::Boolean(s) => Some((Datum::Boolean(*s.min_opt()?), Datum::Boolean(*s.max_opt()?))),
        Statistics::Int32(s) => Some((of_i64(kind, (*s.min_opt()?).into())?, of_i64(kind, (*s.max_opt()?).into())?)),
        Statistics::Int64(s) => Some((of_i64(kind, *s.min_opt()?)?, of_i64(kind, *s.max_opt()?)?)),
        Statistics::ByteArray(s) => {
            Some((of_bytes(kind, s.min_opt()?.as_ref())?, of_bytes(kind, s.max_opt()?.as_ref())?))
        }
        Statistics::FixedLenByteArray(s) => {
            Some((of_bytes(kind, s.min_opt()?.as_ref())?, of_bytes(kind, s.max_opt()?.as_ref())?))
        }
        Statistics::Float(_) | Statistics::Double(_) | Statistics::Int96(_) => None,
    }
}

fn of_i64(kind: &TypeKind, value: i64) -> Option<Datum> {
    Some(match kind {
        TypeKind::TinyInt => Datum::TinyInt(i8::try_from(value).ok()?),
        TypeKind::SmallInt => Datum::SmallInt(i16::try_from(value).ok()?),
        TypeKind::Int => Datum::Int(i32::try_from(value).ok()?),
        TypeKind::BigInt => Datum::BigInt(value),
        TypeKind::Date => Datum::Date(i32::try_from(value).ok()?),
        TypeKind::Time(_) => Datum::Time(i32::try_from(value).ok()?),
        TypeKind::Decimal { .. } => Datum::Decimal(value.into()),
        TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => Datum::Timestamp { millis: value, nanos: 0 },
        TypeKind::Timestamp(4..=6) | TypeKind::TimestampLtz(4..=6) => {
            Datum::Timestamp { millis: value.div_euclid(1000), nanos: value.rem_euclid(1000) as i32 * 1000 }
        }
        _ => return None,
    })
}

fn of_bytes(kind: &TypeKind, bytes: &[u8]) -> Option<Datum> {
    Some(match kind {
        TypeKind::Char(_) | TypeKind::VarChar(_) => Datum::String(std::str::from_utf8(bytes).ok()?.to_string()),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => Datum::Bytes(bytes.to_vec()),
        TypeKind::Decimal { .. } if (1..=16).contains(&bytes.len()) => {
            let fill = if bytes[0] & 0x80 == 0 { 0 } else { 0xFF };
            let mut wide = [fill; 16];
            wide[16 - bytes.len()..].copy_from_slice(bytes);
            Datum::Decimal(i128::from_be_bytes(wide))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Float64Array;

    use super::*;

    fn bounds(batches: &[&[Option<f64>]]) -> String {
        let mut all = None;
        for batch in batches {
            let lane: ArrayRef = Arc::new(Float64Array::from(batch.to_vec()));
            widen_bounds(&mut all, float_bounds(&lane));
        }
        format!("{all:?}")
    }

    #[test]
    fn bounds_of_floats_hold_every_value_in_java_s_order() {
        assert_eq!(bounds(&[&[Some(1.0), None, Some(-2.5)]]), "Some((Double(-2.5), Double(1.0)))");
        assert_eq!(bounds(&[&[Some(0.0)], &[Some(5.0)]]), "Some((Double(0.0), Double(5.0)))");
        assert_eq!(bounds(&[&[Some(0.0), Some(-0.0)]]), "Some((Double(-0.0), Double(0.0)))");
        let negative_nan = f64::from_bits(0xFFF8_0000_0000_0001);
        assert_eq!(bounds(&[&[Some(f64::INFINITY)], &[Some(negative_nan)]]), "Some((Double(inf), Double(NaN)))");
        assert_eq!(bounds(&[&[None], &[]]), "None");
    }
}
