//! Dates, times of day and timestamps among each other, and as seconds since the epoch.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Int64Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, Decimal128Array};

use super::super::TypeKind;
use super::numbers;
use crate::error::{Error, Result};

const NANOS_PER_MILLI: i128 = 1_000_000;
const NANOS_PER_SECOND: i128 = 1_000_000_000;
pub(super) const NANOS_PER_DAY: i128 = 86_400 * NANOS_PER_SECOND;

/// Nanoseconds since the epoch of a lane of dates, times of day (of the epoch's day) or timestamps.
pub(super) fn to_nanos(kind: &TypeKind, lane: &ArrayRef) -> Result<Decimal128Array> {
    Ok(match kind {
        TypeKind::Date => lane.as_primitive::<Date32Type>().unary(|days| i128::from(days) * NANOS_PER_DAY),
        TypeKind::Time(_) => {
            lane.as_primitive::<Time32MillisecondType>().unary(|millis| i128::from(millis) * NANOS_PER_MILLI)
        }
        TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => {
            lane.as_primitive::<TimestampMillisecondType>().unary(|millis| i128::from(millis) * NANOS_PER_MILLI)
        }
        TypeKind::Timestamp(4..=6) | TypeKind::TimestampLtz(4..=6) => {
            lane.as_primitive::<TimestampMicrosecondType>().unary(|micros| i128::from(micros) * 1000)
        }
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => lane.as_primitive::<Decimal128Type>().clone(),
        other => return Err(Error::bug(format!("{other} has no place in time"))),
    })
}

/// A lane of dates, times of day or timestamps from nanoseconds since the epoch.
pub(super) fn of_nanos(nanos: &Decimal128Array, kind: &TypeKind) -> Result<ArrayRef> {
    let of_day = |nanos: i128| (nanos.rem_euclid(NANOS_PER_DAY) / NANOS_PER_MILLI) as i32;
    Ok(match *kind {
        TypeKind::Date => Arc::new(nanos.unary::<_, Date32Type>(|nanos| nanos.div_euclid(NANOS_PER_DAY) as i32)),
        TypeKind::Time(_) => Arc::new(nanos.unary::<_, Time32MillisecondType>(of_day)),
        TypeKind::Timestamp(precision @ 0..=3) | TypeKind::TimestampLtz(precision @ 0..=3) => {
            let millis = nanos.unary::<_, TimestampMillisecondType>(|nanos| truncate(nanos, precision) as i64);
            Arc::new(millis.with_timezone_opt(zone(kind)))
        }
        TypeKind::Timestamp(precision @ 4..=6) | TypeKind::TimestampLtz(precision @ 4..=6) => {
            let unit = 10_i128.pow(u32::from(9 - precision));
            let micros = |nanos: i128| (nanos.div_euclid(unit) * unit).div_euclid(1000) as i64;
            Arc::new(nanos.unary::<_, TimestampMicrosecondType>(micros).with_timezone_opt(zone(kind)))
        }
        TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) => {
            let unit = 10_i128.pow(u32::from(9 - precision.min(9)));
            let cut: Decimal128Array = nanos.unary(|nanos| nanos.div_euclid(unit) * unit);
            numbers::decimals(cut, 38, 9)?
        }
        ref other => return Err(Error::bug(format!("{other} has no place in time"))),
    })
}

/// Milliseconds with `precision` digits of a second; they are cut towards the epoch, as Java does it.
fn truncate(nanos: i128, precision: u8) -> i128 {
    let unit = 10_i128.pow(u32::from(3 - precision.min(3)));
    nanos.div_euclid(NANOS_PER_MILLI) / unit * unit
}

fn zone(kind: &TypeKind) -> Option<&'static str> {
    matches!(kind, TypeKind::TimestampLtz(_)).then_some("UTC")
}

pub(super) fn convert(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    of_nanos(&to_nanos(from, lane)?, to)
}

/// Seconds since the epoch as timestamps.
pub(super) fn of_seconds(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let seconds = numbers::narrow(from, &TypeKind::BigInt, lane)?;
    let seconds = seconds.as_primitive::<Int64Type>();
    of_nanos(&seconds.unary(|seconds| i128::from(seconds) * NANOS_PER_SECOND), to)
}

/// Timestamps as whole seconds, cut towards the epoch.
pub(super) fn to_seconds(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let nanos = to_nanos(from, lane)?;
    let seconds: ArrayRef =
        Arc::new(nanos.unary::<_, Int64Type>(|nanos| (nanos.div_euclid(NANOS_PER_MILLI) / 1000) as i64));
    numbers::narrow(&TypeKind::BigInt, to, &seconds)
}
