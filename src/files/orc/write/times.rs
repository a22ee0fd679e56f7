//! Timestamps as the format has them: seconds from 2015 on, and nanoseconds with their zeros counted.
//!
//! A second before 1970 with a fraction of a millisecond or more is stored as the next one, as Java divides; readers undo
//! that. They cannot in the last second before 1970 (ORC-763), whose times are refused.

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampMicrosecondType, TimestampMillisecondType};

use crate::error::{Error, Result};

/// Seconds from 1970 to 2015.
const BASE: i64 = 1_420_070_400;
/// Readers take a second away where a time before 1970 has more nanoseconds.
const KEPT: i64 = 999_999;

/// Whole seconds, and the nanoseconds above them.
pub(super) struct Seconds {
    seconds: Vec<i64>,
    nanos: Vec<i64>,
}

impl Seconds {
    /// Of a lane of a precision without NULLs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time out of reach.
    pub(super) fn of(name: &str, precision: u8, lane: &ArrayRef) -> Result<Self> {
        let units = |values: &[i64], unit: i64| Self {
            seconds: values.iter().map(|value| value.div_euclid(unit)).collect(),
            nanos: values.iter().map(|value| value.rem_euclid(unit) * (1_000_000_000 / unit)).collect(),
        };
        Ok(match precision {
            0..=3 => units(lane.as_primitive::<TimestampMillisecondType>().values(), 1000),
            4..=6 => units(lane.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000),
            _ => {
                let values = lane.as_primitive::<Decimal128Type>().values();
                let seconds = |value: &i128| {
                    let seconds = i64::try_from(value.div_euclid(1_000_000_000));
                    seconds.map_err(|_| Error::invalid(format!("column {name}: {value} ns are no time")))
                };
                Self {
                    seconds: values.iter().map(seconds).collect::<Result<_>>()?,
                    nanos: values.iter().map(|value| value.rem_euclid(1_000_000_000) as i64).collect(),
                }
            }
        })
    }
}

/// The numbers of the two streams.
pub(super) struct Encoded {
    pub(super) seconds: Vec<i64>,
    pub(super) nanos: Vec<i64>,
}

/// Encodes times.
///
/// # Errors
/// [`Error::Unsupported`] for times that readers would move by a second; [`Error::Invalid`] for one out of reach.
pub(super) fn encode_seconds(name: &str, times: Seconds) -> Result<Encoded> {
    let Seconds { mut seconds, mut nanos } = times;
    if let Some((_, nanos)) = seconds.iter().zip(&nanos).find(|(second, nanos)| **second == -1 && **nanos > KEPT) {
        return Err(unheld(name, i128::from(*nanos) - 1_000_000_000));
    }
    for (second, nanos) in seconds.iter_mut().zip(&nanos) {
        let next = i64::from(*second < 0 && *nanos > KEPT);
        let moved = (*second + next).checked_sub(BASE);
        *second = moved.ok_or_else(|| Error::invalid(format!("column {name}: {second} s are no time")))?;
    }
    nanos.iter_mut().for_each(|nanos| *nanos = counted_zeros(*nanos));
    Ok(Encoded { seconds, nanos })
}

/// The error of a time in the last second before 1970, in nanoseconds since then.
pub(super) fn unheld(name: &str, nanos: i128) -> Error {
    let fraction = format!("{:09}", nanos + 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    Error::unsupported(format!(
        "column {name}: the time 1969-12-31 23:59:59.{fraction} is in the last second before 1970, which ORC files do not \
         hold (ORC-763)"
    ))
}

/// Two to eight zeros at the end are counted in the lowest three bits.
fn counted_zeros(nanos: i64) -> i64 {
    if nanos == 0 || nanos % 100 != 0 {
        return nanos << 3;
    }
    let (mut left, mut zeros) = (nanos / 100, 1);
    while left % 10 == 0 && zeros < 7 {
        left /= 10;
        zeros += 1;
    }
    left << 3 | zeros
}
