//! Numbers among each other.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Decimal128Array, PrimitiveArray};

use super::super::{TypeKind, java_double};
use crate::error::{Error, Result};

/// Numbers below this take one more digit.
const MOST_DIGITS: i128 = 10_i128.pow(37);

/// Integers and floats among each other: integers keep their low bits, floats saturate into integers.
pub(super) fn narrow(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    Ok(match from {
        TypeKind::TinyInt => of_long(lane.as_primitive::<Int8Type>(), to, i64::from),
        TypeKind::SmallInt => of_long(lane.as_primitive::<Int16Type>(), to, i64::from),
        TypeKind::Int => of_long(lane.as_primitive::<Int32Type>(), to, i64::from),
        TypeKind::BigInt => of_long(lane.as_primitive::<Int64Type>(), to, |value| value),
        TypeKind::Float => of_double(lane.as_primitive::<Float32Type>(), to, f64::from),
        TypeKind::Double => of_double(lane.as_primitive::<Float64Type>(), to, |value| value),
        other => return Err(Error::bug(format!("{other} is no integer and no float"))),
    })
}

/// Integers as numbers of `to`.
fn of_long<T: ArrowPrimitiveType>(lane: &PrimitiveArray<T>, to: &TypeKind, long: fn(T::Native) -> i64) -> ArrayRef {
    match to {
        TypeKind::TinyInt => Arc::new(lane.unary::<_, Int8Type>(|value| long(value) as i8)),
        TypeKind::SmallInt => Arc::new(lane.unary::<_, Int16Type>(|value| long(value) as i16)),
        TypeKind::Int => Arc::new(lane.unary::<_, Int32Type>(|value| long(value) as i32)),
        TypeKind::Float => Arc::new(lane.unary::<_, Float32Type>(|value| long(value) as f32)),
        TypeKind::Double => Arc::new(lane.unary::<_, Float64Type>(|value| long(value) as f64)),
        _ => Arc::new(lane.unary::<_, Int64Type>(long)),
    }
}

/// Floats as numbers of `to`. The small integers are cut out of a saturated INT, as in Java.
fn of_double<T: ArrowPrimitiveType>(lane: &PrimitiveArray<T>, to: &TypeKind, double: fn(T::Native) -> f64) -> ArrayRef {
    match to {
        TypeKind::TinyInt => Arc::new(lane.unary::<_, Int8Type>(|value| double(value) as i32 as i8)),
        TypeKind::SmallInt => Arc::new(lane.unary::<_, Int16Type>(|value| double(value) as i32 as i16)),
        TypeKind::Int => Arc::new(lane.unary::<_, Int32Type>(|value| double(value) as i32)),
        TypeKind::BigInt => Arc::new(lane.unary::<_, Int64Type>(|value| double(value) as i64)),
        TypeKind::Float => Arc::new(lane.unary::<_, Float32Type>(|value| double(value) as f32)),
        _ => Arc::new(lane.unary::<_, Float64Type>(double)),
    }
}

pub(super) fn of_boolean(_from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    narrow(&TypeKind::TinyInt, to, &bits(lane))
}

/// Booleans as 0 and 1.
fn bits(lane: &ArrayRef) -> ArrayRef {
    let values = lane.as_boolean().iter().map(|value| value.map(i8::from));
    Arc::new(values.collect::<PrimitiveArray<Int8Type>>())
}

pub(super) fn is_not_zero(lane: &ArrayRef) -> Result<ArrayRef> {
    let zero = |from| narrow(from, &TypeKind::BigInt, lane);
    let longs = match lane.data_type() {
        arrow_schema::DataType::Int8 => zero(&TypeKind::TinyInt),
        arrow_schema::DataType::Int16 => zero(&TypeKind::SmallInt),
        arrow_schema::DataType::Int32 => zero(&TypeKind::Int),
        _ => zero(&TypeKind::BigInt),
    }?;
    let values = longs.as_primitive::<Int64Type>().iter().map(|value| value.map(|value| value != 0));
    Ok(Arc::new(values.collect::<BooleanArray>()))
}

/// Any number as a decimal, rounded half up; what has more digits than the type becomes NULL.
pub(super) fn to_decimal(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let TypeKind::Decimal { precision, scale } = *to else {
        return Err(Error::bug(format!("{to} is no decimal")));
    };
    let fit = |digits: Option<(i128, i32)>| digits.and_then(|(number, own)| rescale(number, own, precision, scale));
    let values: Decimal128Array = match *from {
        TypeKind::Decimal { scale: own, .. } => {
            let own = i32::from(own);
            lane.as_primitive::<Decimal128Type>().iter().map(|value| fit(value.map(|number| (number, own)))).collect()
        }
        TypeKind::Float | TypeKind::Double => {
            let doubles = narrow(from, &TypeKind::Double, lane)?;
            let parsed =
                doubles.as_primitive::<Float64Type>().iter().map(|value| value.map(of_java_double).transpose());
            parsed.map(|digits| digits.map(fit)).collect::<Result<_>>()?
        }
        _ => {
            let numbers = if *from == TypeKind::Boolean { bits(lane) } else { Arc::clone(lane) };
            let own = if *from == TypeKind::Boolean { &TypeKind::TinyInt } else { from };
            let longs = narrow(own, &TypeKind::BigInt, &numbers)?;
            longs.as_primitive::<Int64Type>().iter().map(|value| fit(value.map(|long| (i128::from(long), 0)))).collect()
        }
    };
    decimals(values, precision, scale)
}

pub(super) fn decimals(values: Decimal128Array, precision: u8, scale: u8) -> Result<ArrayRef> {
    let values = values.with_precision_and_scale(precision, scale as i8);
    Ok(Arc::new(values.map_err(|error| Error::bug(error.to_string()))?))
}

/// The digits that Java prints of a double, and how many of them stand behind the point.
fn of_java_double(value: f64) -> Result<(i128, i32)> {
    if !value.is_finite() {
        return Err(Error::invalid(format!("{} is no decimal", java_double(value))));
    }
    decimal_digits(&java_double(value)).ok_or_else(|| Error::invalid(format!("{value:e} has too many digits")))
}

/// A decimal text with an optional exponent as a number and the digits behind its point; `None` for any other text. Digits
/// that no decimal has place for are cut off.
pub(super) fn decimal_digits(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut number, mut behind) = (0_i128, 0_i32.checked_sub(exponent)?);
    for (at, digit) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = i128::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        let kept = number < MOST_DIGITS;
        if kept {
            number = number * 10 + digit;
        }
        // Digits that are not kept only shift what stands before them.
        match at < whole.len() {
            true if !kept => behind = behind.checked_sub(1)?,
            false if kept => behind = behind.checked_add(1)?,
            _ => {}
        }
    }
    Some((if negative { -number } else { number }, behind))
}

/// A number with `own` digits behind the point as one with `scale`, half up; `None` when it has more digits than `precision`.
pub(super) fn rescale(number: i128, own: i32, precision: u8, scale: u8) -> Option<i128> {
    let shift = i32::from(scale) - own;
    let rescaled = if shift >= 0 {
        if number == 0 { 0 } else { number.checked_mul(10_i128.checked_pow(shift as u32)?)? }
    } else {
        match 10_i128.checked_pow(shift.unsigned_abs()) {
            None => 0,
            Some(unit) => {
                let (quotient, rest) = (number / unit, (number % unit).unsigned_abs());
                let up = rest >= unit.unsigned_abs().div_ceil(2);
                if up { quotient + number.signum() } else { quotient }
            }
        }
    };
    (rescaled.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(rescaled)
}

/// Decimals as integers, cut at the point, or as floats.
pub(super) fn of_decimal(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let TypeKind::Decimal { precision, scale } = *from else {
        return Err(Error::bug(format!("{from} is no decimal")));
    };
    let lane = lane.as_primitive::<Decimal128Type>();
    let unit = 10_i128.pow(u32::from(scale));
    let double = |number: i128| match precision {
        0..=18 => number as f64 / unit as f64,
        _ => format!("{number}e-{scale}").parse().unwrap_or(f64::NAN),
    };
    Ok(match to {
        TypeKind::Float => Arc::new(lane.unary::<_, Float32Type>(|number| double(number) as f32)),
        TypeKind::Double => Arc::new(lane.unary::<_, Float64Type>(double)),
        _ => {
            let longs: ArrayRef = Arc::new(lane.unary::<_, Int64Type>(|number| (number / unit) as i64));
            narrow(&TypeKind::BigInt, to, &longs)?
        }
    })
}
