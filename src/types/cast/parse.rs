//! Texts as values, by Java's rules for each type.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType, BooleanArray, Decimal128Array, PrimitiveArray, StringArray};

use super::super::TypeKind;
use super::numbers::{decimal_digits, decimals, rescale};
use super::times::{NANOS_PER_DAY, of_nanos};
use crate::error::{Error, Result};

pub(super) fn parse(_from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let texts = lane.as_string::<i32>();
    Ok(match *to {
        TypeKind::Boolean => Arc::new(each(texts, to, boolean)?.collect::<BooleanArray>()),
        TypeKind::TinyInt => primitive::<Int8Type>(texts, to, |text| integer(text)?.try_into().ok())?,
        TypeKind::SmallInt => primitive::<Int16Type>(texts, to, |text| integer(text)?.try_into().ok())?,
        TypeKind::Int => primitive::<Int32Type>(texts, to, |text| integer(text)?.try_into().ok())?,
        TypeKind::BigInt => primitive::<Int64Type>(texts, to, integer)?,
        TypeKind::Float => primitive::<Float32Type>(texts, to, |text| float(text, str::parse))?,
        TypeKind::Double => primitive::<Float64Type>(texts, to, |text| float(text, str::parse))?,
        TypeKind::Decimal { precision, scale } => {
            let values = each(texts, to, decimal_digits)?;
            let fit = |(number, own)| rescale(number, own, precision, scale);
            decimals(values.map(|digits| digits.and_then(fit)).collect::<Decimal128Array>(), precision, scale)?
        }
        TypeKind::Date => primitive::<Date32Type>(texts, to, date)?,
        TypeKind::Time(_) => primitive::<Time32MillisecondType>(texts, to, time)?,
        TypeKind::Timestamp(precision) => {
            let nanos = each(texts, to, |text| match is_count(text) {
                true => epoch(integer(text)?, precision),
                false => timestamp(text),
            })?;
            of_nanos(&floored(nanos, precision).collect(), to)?
        }
        TypeKind::TimestampLtz(precision) => of_nanos(&floored(each(texts, to, timestamp)?, precision).collect(), to)?,
        ref other => return Err(Error::unsupported(format!("reading STRING as {other}"))),
    })
}

/// Each text as a value; a text that is none is an error that shows it.
fn each<T>(
    texts: &StringArray,
    to: &TypeKind,
    value: impl Fn(&str) -> Option<T>,
) -> Result<impl Iterator<Item = Option<T>>> {
    let refused = |text: &str| Error::invalid(format!("{text:?} is no {to}"));
    let values = texts.iter().map(|text| text.map(|text| value(text).ok_or_else(|| refused(text))).transpose());
    Ok(values.collect::<Result<Vec<_>>>()?.into_iter())
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &StringArray,
    to: &TypeKind,
    value: impl Fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef> {
    Ok(Arc::new(each(texts, to, value)?.collect::<PrimitiveArray<T>>()))
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A sign, digits, and a fraction that is cut off.
fn integer(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let signed = whole.strip_prefix(['-', '+']).is_some();
    if text == "-" || text == "+" || text.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match whole.len() - usize::from(signed) {
        // Java takes ".5" for 0.
        0 => Some(0),
        _ => whole.parse().ok(),
    }
}

/// What Java parses as a float, but for hexadecimal digits.
fn float<T>(text: &str, parse: fn(&str) -> Result<T, std::num::ParseFloatError>) -> Option<T> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return parse(text).ok();
    }
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if plain { parse(digits).ok() } else { None }
}

fn is_numeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether Java takes a text for the number behind a date or a time.
fn is_count(text: &str) -> bool {
    is_numeric(text.strip_prefix('-').unwrap_or(text))
}

/// A number that consists of digits alone, with blanks around it.
fn digits(text: &str) -> Option<i32> {
    let text = text.trim();
    if is_numeric(text) { text.parse().ok() } else { None }
}

/// Days since the epoch: a number of them, or a year with month and day, of which the latter may be missing. What follows a
/// blank is passed over.
fn date(text: &str) -> Option<i32> {
    if is_count(text) {
        return text.parse().ok();
    }
    let text = match text.find(' ') {
        Some(blank) if blank > 0 => &text[..blank],
        _ => text,
    };
    let mut parts = text.splitn(3, '-').map(digits);
    let year = parts.next()??;
    let month = parts.next().unwrap_or(Some(1))?;
    let day = parts.next().unwrap_or(Some(1))?;
    days(year, month, day)
}

fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let (year, month, day) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = jiff::civil::Date::new(year, month, day).ok().filter(|date| date.year() >= 0)?;
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    date.since(epoch).ok().map(|span| span.get_days())
}

/// Milliseconds of the day: a number of them, or hours with minutes, seconds and a fraction, of which the latter may be
/// missing. An offset behind them moves the time.
fn time(text: &str) -> Option<i32> {
    if is_count(text) {
        return text.parse().ok();
    }
    let (clock, offset, direction) = match (text.find('-'), text.find('+')) {
        (Some(at), _) => (&text[..at], &text[at + 1..], -1),
        (None, Some(at)) => (&text[..at], &text[at + 1..], 1),
        _ => (text, "0", 1),
    };
    let (offset_hour, offset_minute) = match offset.split_once(':') {
        Some((hour, minute)) => (digits(hour)?, digits(minute)?),
        None => (digits(offset)?, 0),
    };
    let mut parts = clock.splitn(3, ':');
    let hour = digits(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), digits)?;
    let (second, millis) = match parts.next() {
        None => (0, 0),
        Some(second) => match second.split_once('.') {
            None => (digits(second)?, 0),
            Some((second, fraction)) => (digits(second)?, thousandths(fraction.trim())),
        },
    };
    let minutes = (hour + direction * offset_hour).checked_mul(60)?.checked_add(minute + direction * offset_minute)?;
    minutes.checked_mul(60)?.checked_add(second)?.checked_mul(1000)?.checked_add(millis)
}

/// The first three digits of a fraction, the third rounded by the fourth.
fn thousandths(fraction: &str) -> i32 {
    let digit =
        |at: usize| fraction.as_bytes().get(at).filter(|byte| byte.is_ascii_digit()).map_or(0, |b| i32::from(b - b'0'));
    let up = fraction.len() > 3 && digit(3) >= 5;
    digit(0) * 100 + digit(1) * 10 + digit(2) + i32::from(up)
}

/// A count of units of the type since the epoch, as nanoseconds. Java knows it for these types only.
fn epoch(number: i64, precision: u8) -> Option<i128> {
    matches!(precision, 0 | 3 | 6 | 9).then(|| i128::from(number) * 10_i128.pow(u32::from(9 - precision)))
}

/// `yyyy-M-d`, and behind a blank or `T` `H:m:s` with up to nine digits of a fraction; behind `T` the seconds may be missing.
fn timestamp(text: &str) -> Option<i128> {
    let (date, clock) = match text.split_once([' ', 'T']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let short = text.as_bytes().get(date.len()) == Some(&b'T');
    let mut parts = date.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() >= 4 && is_numeric(year))?;
    let month = two_digits(parts.next()?)?;
    let day = two_digits(parts.next()?)?;
    let days = days(year.parse().ok()?, month as i32, day as i32)?;
    let of_day = clock.map_or(Some(0), |clock| nanos_of_day(clock, short))?;
    Some(i128::from(days) * NANOS_PER_DAY + of_day)
}

fn nanos_of_day(clock: &str, seconds_may_lack: bool) -> Option<i128> {
    let mut parts = clock.splitn(3, ':');
    let hour = two_digits(parts.next()?).filter(|hour| *hour < 24)?;
    let minute = two_digits(parts.next()?).filter(|minute| *minute < 60)?;
    let (second, fraction) = match parts.next() {
        Some(second) => second.split_once('.').unwrap_or((second, "")),
        None if seconds_may_lack => ("0", ""),
        None => return None,
    };
    let second = two_digits(second).filter(|second| *second < 60)?;
    let fine = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: i128 = format!("{fraction:0<9}").parse().ok().filter(|_| fine)?;
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000_000 + fraction)
}

fn two_digits(text: &str) -> Option<i128> {
    if is_numeric(text) && text.len() <= 2 { text.parse().ok() } else { None }
}

/// Nanoseconds cut down to the digits of a type.
fn floored(nanos: impl Iterator<Item = Option<i128>>, precision: u8) -> impl Iterator<Item = Option<i128>> {
    let unit = 10_i128.pow(u32::from(9 - precision.min(9)));
    nanos.map(move |nanos| nanos.map(|nanos| nanos.div_euclid(unit) * unit))
}
