//! The statistics of a file's columns, taken from its footer: the encoder saw every value already.
//! Spec: `format-spec/statistics.md`.

use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::layout::FileLayout;
use crate::format::ColumnStats;
use crate::types::{DataType, Datum, TypeKind};

/// The statistics of each column of a file just written. `nan` tells the columns whose bounds do not hold
/// because a NaN was written.
pub(super) fn from_footer(layout: &FileLayout, groups: &[RowGroupMetaData], nan: &[bool]) -> Vec<ColumnStats> {
    let column = |(at, column): (usize, &super::FileColumn)| {
        let mut stats = of_column(column.data_type, groups, at);
        if nan[at] {
            (stats.min, stats.max) = (Datum::Null, Datum::Null);
        }
        stats
    };
    layout.columns.iter().enumerate().map(column).collect()
}

fn of_column(data_type: DataType, groups: &[RowGroupMetaData], column: usize) -> ColumnStats {
    let mut all = ColumnStats { data_type, min: Datum::Null, max: Datum::Null, null_count: Some(0) };
    let mut bounded = true;
    for group in groups {
        let chunk = group.column(column);
        let Some(stats) = chunk.statistics() else {
            return ColumnStats { data_type, min: Datum::Null, max: Datum::Null, null_count: None };
        };
        let nulls = stats.null_count_opt().and_then(|count| i64::try_from(count).ok());
        all.null_count = all.null_count.zip(nulls).map(|(a, b)| a + b);
        match bounds(data_type.kind, stats) {
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

fn bounds(kind: TypeKind, stats: &Statistics) -> Option<(Datum, Datum)> {
    match stats {
        Statistics::Boolean(s) => Some((Datum::Boolean(*s.min_opt()?), Datum::Boolean(*s.max_opt()?))),
        Statistics::Int32(s) => Some((of_i64(kind, (*s.min_opt()?).into())?, of_i64(kind, (*s.max_opt()?).into())?)),
        Statistics::Int64(s) => Some((of_i64(kind, *s.min_opt()?)?, of_i64(kind, *s.max_opt()?)?)),
        Statistics::Float(s) => Some((Datum::Float(*s.min_opt()?), Datum::Float(*s.max_opt()?))),
        Statistics::Double(s) => Some((Datum::Double(*s.min_opt()?), Datum::Double(*s.max_opt()?))),
        Statistics::ByteArray(s) => {
            Some((of_bytes(kind, s.min_opt()?.as_ref())?, of_bytes(kind, s.max_opt()?.as_ref())?))
        }
        Statistics::FixedLenByteArray(s) => {
            Some((of_bytes(kind, s.min_opt()?.as_ref())?, of_bytes(kind, s.max_opt()?.as_ref())?))
        }
        Statistics::Int96(_) => None,
    }
}

fn of_i64(kind: TypeKind, value: i64) -> Option<Datum> {
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

fn of_bytes(kind: TypeKind, bytes: &[u8]) -> Option<Datum> {
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
