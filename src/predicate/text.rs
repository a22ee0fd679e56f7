//! Values as text and back: the spelling of literals, and of values shown to people.
//!
//! DATE `2024-01-01`, TIME `01:02:03.004`, TIMESTAMP `2023-11-14 22:13:20.123456` (`T` for the blank is fine),
//! with `Z` or an offset for the local-time-zone kind; numbers exactly; bytes in hexadecimal.

use std::fmt::Write;

use jiff::civil::Date;

use crate::error::{Error, Result};
use crate::types::{Datum, TypeKind};

/// Day 0.
const EPOCH: Date = Date::constant(1970, 1, 1);

/// The value of a type that a text spells.
///
/// # Errors
/// [`Error::Invalid`] when the text is no value of the type, or has more digits than the type holds.
pub fn parse_datum(kind: &TypeKind, text: &str) -> Result<Datum> {
    let bad = || Error::invalid(format!("{text:?} is no {kind}"));
    let trimmed = text.trim();
    Ok(match kind {
        TypeKind::Boolean if trimmed.eq_ignore_ascii_case("true") => Datum::Boolean(true),
        TypeKind::Boolean if trimmed.eq_ignore_ascii_case("false") => Datum::Boolean(false),
        TypeKind::Boolean => return Err(bad()),
        TypeKind::TinyInt => Datum::TinyInt(integer(trimmed).ok_or_else(bad)?),
        TypeKind::SmallInt => Datum::SmallInt(integer(trimmed).ok_or_else(bad)?),
        TypeKind::Int => Datum::Int(integer(trimmed).ok_or_else(bad)?),
        TypeKind::BigInt => Datum::BigInt(integer(trimmed).ok_or_else(bad)?),
        TypeKind::Float => Datum::Float(float(trimmed).ok_or_else(bad)?),
        TypeKind::Double => Datum::Double(float(trimmed).ok_or_else(bad)?),
        TypeKind::Decimal { precision, scale } => {
            let bound = 10_u128.checked_pow(u32::from(*precision));
            let unscaled = unscaled(trimmed, *scale);
            let fitting = unscaled.filter(|it| bound.is_some_and(|bound| it.unsigned_abs() < bound));
            Datum::Decimal(fitting.ok_or_else(bad)?)
        }
        TypeKind::Char(_) | TypeKind::VarChar(_) => Datum::String(text.to_string()),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => Datum::Bytes(hex(trimmed).ok_or_else(bad)?),
        TypeKind::Date => Datum::Date(days(date(trimmed).ok_or_else(bad)?)),
        TypeKind::Time(_) => Datum::Time(time_millis(trimmed).ok_or_else(bad)?),
        TypeKind::Timestamp(p) => timestamp(trimmed, *p).ok_or_else(bad)?,
        TypeKind::TimestampLtz(p) => instant(trimmed, *p)
            .ok_or_else(|| Error::invalid(format!("{text:?} is no {kind}, which ends in Z or an offset")))?,
        TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
            return Err(Error::unsupported(format!("a value of nested type {kind} as a text")));
        }
    })
}

/// A value as text, as [`parse_datum`] reads it; `NULL` for NULL.
pub fn datum_text(kind: &TypeKind, value: &Datum) -> String {
    match value {
        Datum::Null => "NULL".to_string(),
        Datum::Boolean(it) => it.to_string(),
        Datum::TinyInt(it) => it.to_string(),
        Datum::SmallInt(it) => it.to_string(),
        Datum::Int(it) => it.to_string(),
        Datum::BigInt(it) => it.to_string(),
        Datum::Float(it) => float_text(it.is_infinite(), f64::from(*it), format!("{it:?}")),
        Datum::Double(it) => float_text(it.is_infinite(), *it, format!("{it:?}")),
        Datum::Decimal(unscaled) => match kind {
            TypeKind::Decimal { scale, .. } => decimal_text(*unscaled, *scale),
            _ => unscaled.to_string(),
        },
        Datum::String(it) => it.clone(),
        Datum::Bytes(bytes) => bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
        Datum::Date(days) => date_text(i64::from(*days)),
        Datum::Time(millis) => time_text(i64::from(*millis), 0, 3),
        Datum::Timestamp { millis, nanos } => {
            let (precision, zone) = match kind {
                TypeKind::TimestampLtz(p) => (*p, "Z"),
                TypeKind::Timestamp(p) => (*p, ""),
                _ => (9, ""),
            };
            let (day, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
            format!("{} {}{zone}", date_text(day), time_text(rest, *nanos, precision))
        }
        Datum::Array(_) | Datum::Map(_) | Datum::Row(_) => nested_text(kind, value),
    }
}

/// A value of a nested type, for people: `[1, 2]`, `{a=1}`, `(1, NULL)`.
fn nested_text(kind: &TypeKind, value: &Datum) -> String {
    let list = |texts: Vec<String>| texts.join(", ");
    let pairs = |pairs: &[(Datum, Datum)], key: &TypeKind, value: &TypeKind| {
        list(pairs.iter().map(|(k, v)| format!("{}={}", datum_text(key, k), datum_text(value, v))).collect())
    };
    match (kind, value) {
        (TypeKind::Array(element), Datum::Array(values)) => {
            format!("[{}]", list(values.iter().map(|value| datum_text(&element.kind, value)).collect()))
        }
        (TypeKind::Map(map), Datum::Map(entries)) => format!("{{{}}}", pairs(entries, &map.key.kind, &map.value.kind)),
        (TypeKind::Multiset(element), Datum::Map(entries)) => {
            format!("{{{}}}", pairs(entries, &element.kind, &TypeKind::Int))
        }
        (TypeKind::Row(fields), Datum::Row(cells)) => {
            let cells = fields.iter().zip(cells).map(|(field, cell)| datum_text(&field.data_type.kind, cell));
            format!("({})", list(cells.collect()))
        }
        (TypeKind::Variant, Datum::Row(cells)) => match cells.first() {
            Some(Datum::Bytes(value)) => format!("VARIANT of {} bytes", value.len()),
            _ => format!("{value:?}"),
        },
        _ => format!("{value:?}"),
    }
}

fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    T::try_from(unscaled(text, 0)?).ok()
}

/// The nearest float; only numbers that it can hold and the three words.
fn float<T: std::str::FromStr + Copy + Into<f64>>(text: &str) -> Option<T> {
    let word = matches!(text, "NaN" | "Infinity" | "-Infinity");
    let finite = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let value: T = if word || finite { text.parse().ok()? } else { return None };
    (word || value.into().is_finite()).then_some(value)
}

/// A decimal number times ten to the power of `scale`, when that is whole and fits.
fn unscaled(text: &str, scale: u8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|it| it.abs() <= 100)?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: String = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) || all.len() > 200 {
        return None;
    }
    let shift = exponent + i32::from(scale) - i32::try_from(fraction.len()).ok()?;
    let significant = all.trim_start_matches('0');
    let kept = if shift < 0 {
        let cut = significant.len().saturating_sub(usize::try_from(-shift).ok()?);
        let (kept, lost) = significant.split_at(cut);
        if lost.bytes().any(|byte| byte != b'0') {
            return None;
        }
        kept.to_string()
    } else if significant.is_empty() {
        String::new()
    } else {
        format!("{significant}{}", "0".repeat(usize::try_from(shift).ok()?))
    };
    let number: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    Some(if negative { -number } else { number })
}

/// The shortest digits that read back as the same number, and Java's words for infinity.
fn float_text(infinite: bool, value: f64, digits: String) -> String {
    match (infinite, value > 0.0) {
        (true, true) => "Infinity".to_string(),
        (true, false) => "-Infinity".to_string(),
        (false, _) => digits,
    }
}

fn decimal_text(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let value = |digit: u8| (digit as char).to_digit(16);
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(value(*high)? * 16 + value(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

/// `YYYY-MM-DD`, or with a sign before it: years -9999 to 9999.
fn date(text: &str) -> Option<Date> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = unsigned.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        (part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<i16>().ok())?
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() {
        return None;
    }
    Date::new(sign * year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn days(date: Date) -> i32 {
    EPOCH.until(date).map_or(0, |span| span.get_days())
}

/// `HH:MM`, `HH:MM:SS` or with up to nine digits of fraction: seconds of the day and nanoseconds.
fn time(text: &str) -> Option<(i64, i64)> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts = clock.split(':').collect::<Vec<_>>();
    let seconds_given = parts.len() == 3;
    if !(seconds_given || parts.len() == 2 && !text.contains('.')) || text.ends_with('.') {
        return None;
    }
    let two = |part: &&str, bound: i64| {
        let fine = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        fine.then(|| part.parse::<i64>().ok()).flatten().filter(|it| *it < bound)
    };
    let (hour, minute) = (two(&parts[0], 24)?, two(&parts[1], 60)?);
    let second = if seconds_given { two(&parts[2], 60)? } else { 0 };
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse::<i64>().ok()?;
    Some((hour * 3_600 + minute * 60 + second, nanos))
}

fn time_millis(text: &str) -> Option<i32> {
    let (seconds, nanos) = time(text)?;
    if nanos % 1_000_000 != 0 {
        return None;
    }
    i32::try_from(seconds * 1_000 + nanos / 1_000_000).ok()
}

/// A date, or a date and a time, with no more digits than the precision.
fn timestamp(text: &str, precision: u8) -> Option<Datum> {
    let (day, clock) = match text.split_once([' ', 'T']) {
        Some((day, clock)) => (day, Some(clock)),
        None => (text, None),
    };
    let (seconds, nanos) = clock.map_or(Some((0, 0)), |clock| time(clock.trim_start()))?;
    let step = 10_i64.checked_pow(9_u32.checked_sub(u32::from(precision))?)?;
    if nanos % step != 0 {
        return None;
    }
    let day = date(day).filter(|day| day.year() > 0)?;
    let millis = i64::from(days(day)) * 86_400_000 + seconds * 1_000 + nanos / 1_000_000;
    Some(Datum::Timestamp { millis, nanos: i32::try_from(nanos % 1_000_000).ok()? })
}

/// A timestamp with `Z` or an offset like `+02:00`.
fn instant(text: &str, precision: u8) -> Option<Datum> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return timestamp(local.trim_end(), precision);
    }
    let at = text.len().checked_sub(6)?;
    let (local, offset) = (text.get(..at)?, text.get(at..)?);
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (seconds, _) = time(offset.get(1..)?)?;
    match timestamp(local.trim_end(), precision)? {
        Datum::Timestamp { millis, nanos } => Some(Datum::Timestamp { millis: millis - sign * seconds * 1_000, nanos }),
        _ => None,
    }
}

fn date_text(days: i64) -> String {
    let span = jiff::Span::new().try_days(days);
    match span.and_then(|span| EPOCH.checked_add(span)) {
        Ok(date) if date.year() < 0 => format!("-{:04}-{:02}-{:02}", -date.year(), date.month(), date.day()),
        Ok(date) => format!("{date}"),
        Err(_) => format!("day {days}"),
    }
}

/// The time of a day with as many digits of fraction as the precision.
fn time_text(millis: i64, nanos: i32, precision: u8) -> String {
    let seconds = millis / 1_000;
    let fraction = format!("{:09}", (millis % 1_000) * 1_000_000 + i64::from(nanos));
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match fraction.get(..usize::from(precision)) {
        Some(digits) if !digits.is_empty() => format!("{clock}.{digits}"),
        _ => clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roundtrip(kind: &TypeKind, text: &str) {
        let value = parse_datum(kind, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(datum_text(kind, &value), text);
    }

    #[test]
    fn a_value_prints_as_it_is_read() {
        let decimal = TypeKind::Decimal { precision: 38, scale: 2 };
        for (kind, text) in [
            (TypeKind::Boolean, "true"),
            (TypeKind::Date, "0000-12-30"),
            (TypeKind::Date, "-0044-03-15"),
            (TypeKind::TinyInt, "-128"),
            (TypeKind::BigInt, "-9223372036854775808"),
            (TypeKind::Double, "-0.5"),
            (TypeKind::Float, "NaN"),
            (decimal.clone(), "-0.05"),
            (decimal, "999999999999999999999999999999999999.99"),
            (TypeKind::STRING, " it's "),
            (TypeKind::BYTES, "00ff"),
            (TypeKind::Date, "0001-01-01"),
            (TypeKind::Date, "9999-12-31"),
            (TypeKind::Date, "1969-12-31"),
            (TypeKind::Time(0), "23:59:59.999"),
            (TypeKind::Timestamp(0), "2024-02-29 12:00:00"),
            (TypeKind::Timestamp(9), "1969-12-31 23:59:59.999999999"),
            (TypeKind::TimestampLtz(6), "0001-01-01 00:00:00.000001Z"),
        ] {
            roundtrip(&kind, text);
        }
    }

    #[test]
    fn other_spellings_of_the_same_value_are_read() {
        for (kind, text, same) in [
            (TypeKind::Int, "5.0", "5"),
            (TypeKind::Int, "1e3", "1000"),
            (TypeKind::Decimal { precision: 5, scale: 2 }, "1.5", "1.50"),
            (TypeKind::Decimal { precision: 5, scale: 2 }, "1.5000", "1.50"),
            (TypeKind::Timestamp(3), "2024-01-01", "2024-01-01 00:00:00.000"),
            (TypeKind::Timestamp(3), "2024-01-01T01:02", "2024-01-01 01:02:00.000"),
            (TypeKind::Timestamp(3), "2024-01-01 01:02:03.500000000", "2024-01-01 01:02:03.500"),
            (TypeKind::TimestampLtz(0), "2024-01-01T01:00:00+02:00", "2023-12-31 23:00:00Z"),
            (TypeKind::TimestampLtz(0), "2024-01-01 01:00:00 Z", "2024-01-01 01:00:00Z"),
        ] {
            assert_eq!(parse_datum(&kind, text).unwrap(), parse_datum(&kind, same).unwrap(), "{text}");
        }
    }

    #[test]
    fn what_the_type_cannot_hold_exactly_is_refused() {
        for (kind, text) in [
            (TypeKind::TinyInt, "128"),
            (TypeKind::Int, "1.5"),
            (TypeKind::Int, "1e100"),
            (TypeKind::Int, ""),
            (TypeKind::Int, "-"),
            (TypeKind::Int, "0x1"),
            (TypeKind::Double, "inf"),
            (TypeKind::Double, "1_0"),
            (TypeKind::Decimal { precision: 4, scale: 2 }, "100"),
            (TypeKind::Decimal { precision: 4, scale: 2 }, "1.005"),
            (TypeKind::Date, "2023-02-29"),
            (TypeKind::Date, "2023-2-9"),
            (TypeKind::Date, "10000-01-01"),
            (TypeKind::Timestamp(3), "0000-01-01"),
            (TypeKind::Timestamp(3), "-0001-01-01"),
            (TypeKind::Time(3), "24:00:00"),
            (TypeKind::Time(3), "01:02:03.0001"),
            (TypeKind::Timestamp(3), "2024-01-01 00:00:00.0001"),
            (TypeKind::Timestamp(3), "2024-01-01Z"),
            (TypeKind::TimestampLtz(3), "2024-01-01 00:00:00"),
            (TypeKind::Boolean, "1"),
            (TypeKind::BYTES, "0"),
        ] {
            assert!(matches!(parse_datum(&kind, text), Err(Error::Invalid(_))), "{kind} {text}");
        }
    }
}
