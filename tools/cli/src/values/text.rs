//! Single values as text: dates, times, timestamps, numbers. Shared by JSON, CSV and the tables for people.
//!
//! Writing is exact (a timestamp has as many fraction digits as its type, a decimal as many as its scale) and
//! parsing is strict: what cannot be held without loss is refused with a reason, never rounded.

use std::num::FpCategory;

/// Why a text is not a value of a column's type.
pub type Reason = String;

const DAY_SECONDS: i64 = 86_400;
/// 0001-01-01 and 9999-12-31 in days since 1970-01-01: the years that every engine of the format can hold.
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;

/// Writes exactly two digits.
fn two(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

/// Year, month and day of a day number (Howard Hinnant's `civil_from_days`), proleptic Gregorian.
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// The day number of a civil date that exists.
fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = i64::from((month + 9) % 12);
    let doy = (153 * mp + 2) / 5 + i64::from(day) - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

fn month_length(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Writes `2024-01-01`.
pub fn write_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) {
        two(out, (year / 100) as u32);
        two(out, (year % 100) as u32);
    } else {
        // Outside of the years that Paimon promises, as ISO 8601 writes them: with a sign.
        out.push(if year < 0 { b'-' } else { b'+' });
        let digits = year.unsigned_abs();
        two(out, (digits / 100 % 100) as u32);
        two(out, (digits % 100) as u32);
        if digits > 9999 {
            out.truncate(out.len() - 4);
            write_integer(out, digits);
        }
    }
    out.push(b'-');
    two(out, month);
    out.push(b'-');
    two(out, day);
}

fn write_clock(out: &mut Vec<u8>, seconds: u32) {
    two(out, seconds / 3600);
    out.push(b':');
    two(out, seconds / 60 % 60);
    out.push(b':');
    two(out, seconds % 60);
}

/// Writes `.` and the first `digits` of nine fraction digits.
fn write_fraction(out: &mut Vec<u8>, nanos: u32, digits: u8) {
    if digits == 0 {
        return;
    }
    out.push(b'.');
    let mut unit = 100_000_000;
    for _ in 0..digits.min(9) {
        out.push(b'0' + (nanos / unit % 10) as u8);
        unit /= 10;
    }
}

/// Writes `01:02:03.004` of the milliseconds of a day.
pub fn write_time(out: &mut Vec<u8>, millis: i32) {
    let millis = millis.max(0) as u32;
    write_clock(out, millis / 1000);
    write_fraction(out, millis % 1000 * 1_000_000, 3);
}

/// Writes `2023-11-14T22:13:20.123456` with `digits` fraction digits and a `Z` for an instant.
pub fn write_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: u32, digits: u8, zoned: bool) {
    write_date(out, seconds.div_euclid(DAY_SECONDS));
    out.push(b'T');
    write_clock(out, seconds.rem_euclid(DAY_SECONDS) as u32);
    write_fraction(out, nanos, digits);
    if zoned {
        out.push(b'Z');
    }
}

/// Writes an integer.
pub fn write_integer<I: itoa::Integer>(out: &mut Vec<u8>, value: I) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes an unscaled number with its point `scale` digits from the right.
pub fn write_decimal(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(unscaled.unsigned_abs()) {
        Ok(small) => buffer.format(small),
        Err(_) => buffer.format(unscaled.unsigned_abs()),
    };
    if unscaled < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
        return;
    }
    match digits.len().checked_sub(scale) {
        Some(whole) if whole > 0 => {
            out.extend_from_slice(&digits.as_bytes()[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits.as_bytes()[whole..]);
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + scale - digits.len(), b'0');
            out.extend_from_slice(digits.as_bytes());
        }
    }
}

/// Writes a double in the shortest form that parses back; `NaN`, `Infinity` and `-Infinity` bare. Answers whether it was finite.
pub fn write_double(out: &mut Vec<u8>, value: f64) -> bool {
    match value.classify() {
        FpCategory::Nan | FpCategory::Infinite => out.extend_from_slice(not_finite(value.is_nan(), value > 0.0)),
        FpCategory::Subnormal => write_subnormal(out, zmij::Buffer::new().format_finite(value), &value),
        _ => out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes()),
    }
    value.is_finite()
}

/// As [`write_double`], shortest for a single.
pub fn write_float(out: &mut Vec<u8>, value: f32) -> bool {
    match value.classify() {
        FpCategory::Nan | FpCategory::Infinite => out.extend_from_slice(not_finite(value.is_nan(), value > 0.0)),
        FpCategory::Subnormal => write_subnormal(out, zmij::Buffer::new().format_finite(value), &value),
        _ => out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes()),
    }
    value.is_finite()
}

/// The smallest numbers have so few bits that one digit tells them apart. Java writes two, the nearest (`1.4E-45`, not
/// `1e-45`), and whoever compares our texts with Java's in a wider type should see the same number.
fn write_subnormal(out: &mut Vec<u8>, shortest: &str, value: &impl std::fmt::LowerExp) {
    match shortest.contains('.') {
        true => out.extend_from_slice(shortest.as_bytes()),
        false => out.extend_from_slice(format!("{value:.1e}").as_bytes()),
    }
}

fn not_finite(nan: bool, positive: bool) -> &'static [u8] {
    match (nan, positive) {
        (true, _) => b"NaN",
        (false, true) => b"Infinity",
        (false, false) => b"-Infinity",
    }
}

/// Parses a whole number. A fraction of nothing but zeros (`517.0`, as floating-point tools write integers) is accepted.
pub fn parse_integer(text: &[u8]) -> Result<i64, Reason> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let tail = &digits[whole..];
    let plain = tail.is_empty() || (tail.len() > 1 && tail[0] == b'.' && tail[1..].iter().all(|byte| *byte == b'0'));
    if whole == 0 || !plain {
        return Err("is no whole number".into());
    }
    let mut value: i64 = 0;
    for byte in &digits[..whole] {
        let digit = i64::from(byte - b'0');
        let next = value.checked_mul(10);
        let next =
            if negative { next.and_then(|n| n.checked_sub(digit)) } else { next.and_then(|n| n.checked_add(digit)) };
        value = next.ok_or("is out of range")?;
    }
    Ok(value)
}

/// Parses a decimal number, with or without exponent, to its unscaled value.
pub fn parse_decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, Reason> {
    let (negative, body) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (mantissa, exponent) = match body.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&body[..at], parse_exponent(&body[at + 1..])?),
        None => (body, 0),
    };
    let mut point = None;
    let mut value: i128 = 0;
    // Digits behind the point that are kept, and zeros seen since the last other digit: those may be cut.
    let mut behind: i32 = 0;
    let mut zeros: i32 = 0;
    let mut any = false;
    for byte in mantissa {
        match byte {
            b'.' if point.is_none() => point = Some(()),
            b'0'..=b'9' => {
                any = true;
                if point.is_some() && *byte == b'0' {
                    zeros += 1;
                    continue;
                }
                for _ in 0..zeros {
                    value = value.checked_mul(10).ok_or_else(|| too_long(precision, scale))?;
                }
                behind += zeros;
                zeros = 0;
                value = value
                    .checked_mul(10)
                    .and_then(|v| v.checked_add(i128::from(byte - b'0')))
                    .ok_or_else(|| too_long(precision, scale))?;
                behind += i32::from(point.is_some());
            }
            _ => return Err("is no decimal number".into()),
        }
    }
    if !any {
        return Err("is no decimal number".into());
    }
    if value == 0 {
        return Ok(0);
    }
    let shift = i32::from(scale) - behind + exponent;
    value = rescale(value, shift).ok_or_else(|| {
        if shift < 0 { format!("has more than {scale} digits behind the point") } else { too_long(precision, scale) }
    })?;
    if value.unsigned_abs() >= 10_u128.pow(u32::from(precision.min(38))) {
        return Err(too_long(precision, scale));
    }
    Ok(if negative { -value } else { value })
}

fn too_long(precision: u8, scale: u8) -> Reason {
    format!("has more than {} digits before the point", precision - scale.min(precision))
}

fn parse_exponent(text: &[u8]) -> Result<i32, Reason> {
    let exponent = parse_integer(text).ok().filter(|_| !text.contains(&b'.'));
    let exponent = exponent.ok_or("has an exponent that is no number")?;
    i32::try_from(exponent).ok().filter(|e| e.abs() < 1000).ok_or_else(|| "has an exponent out of range".into())
}

/// Multiplies by a power of ten; a negative power only when nothing is cut.
fn rescale(value: i128, shift: i32) -> Option<i128> {
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    if shift >= 0 {
        return value.checked_mul(power?);
    }
    let power = power?;
    (value % power == 0).then_some(value / power)
}

/// Parses a double. A text beyond the type's range is refused, not made infinite.
pub fn parse_double(text: &[u8]) -> Result<f64, Reason> {
    match special(text) {
        Some(value) => Ok(value),
        None => finite(number_text(text)?.parse::<f64>(), |value| value.is_finite()),
    }
}

/// As [`parse_double`], for a single.
pub fn parse_float(text: &[u8]) -> Result<f32, Reason> {
    match special(text) {
        Some(value) => Ok(value as f32),
        None => finite(number_text(text)?.parse::<f32>(), |value| value.is_finite()),
    }
}

/// The texts that stand for values which are no numbers.
pub fn special(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" | b"nan" => Some(f64::NAN),
        b"Infinity" | b"+Infinity" | b"inf" | b"+inf" => Some(f64::INFINITY),
        b"-Infinity" | b"-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The text of a number in digits: the standard parser also takes words, which only [`special`] may.
fn number_text(text: &[u8]) -> Result<&str, Reason> {
    let clean = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    std::str::from_utf8(text).ok().filter(|_| clean).ok_or_else(|| "is no number".into())
}

fn finite<T, E>(parsed: Result<T, E>, is_finite: impl Fn(&T) -> bool) -> Result<T, Reason> {
    let value = parsed.map_err(|_| "is no number")?;
    if is_finite(&value) { Ok(value) } else { Err("is out of range".into()) }
}

/// Parses `true` or `false`.
pub fn parse_boolean(text: &[u8]) -> Result<bool, Reason> {
    if text.eq_ignore_ascii_case(b"true") || text == b"1" {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"false") || text == b"0" {
        Ok(false)
    } else {
        Err("is neither true nor false".into())
    }
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0_u32, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

/// Parses `2024-01-01` to days since 1970-01-01; years beyond 0 to 9999 have a sign, as [`write_date`] gives it.
pub fn parse_date(text: &[u8]) -> Result<i32, Reason> {
    let bad = || "is no date like 2024-01-31".to_string();
    let (sign, unsigned) = match text {
        [b'-', unsigned @ ..] => (-1, unsigned),
        [b'+', unsigned @ ..] => (1, unsigned),
        unsigned => (1, unsigned),
    };
    let signed = unsigned.len() < text.len();
    let at = unsigned.len().checked_sub(6).filter(|at| *at == 4 || (signed && (4..=7).contains(at))).ok_or_else(bad)?;
    if unsigned[at] != b'-' || unsigned[at + 3] != b'-' {
        return Err(bad());
    }
    let parts = (digits(&unsigned[..at]), digits(&unsigned[at + 1..at + 3]), digits(&unsigned[at + 4..]));
    let (year, month, day) = match parts {
        (Some(year), Some(month), Some(day)) => (sign * i64::from(year), month, day),
        _ => return Err(bad()),
    };
    if !(1..=12).contains(&month) || day == 0 || day > month_length(year, month) {
        return Err("is a date that does not exist".into());
    }
    i32::try_from(days_of(year, month, day)).map_err(|_| "is beyond the dates of 32 bits".to_string())
}

/// Parses `01:02`, `01:02:03` or `01:02:03.004`, and gives seconds of the day and nanoseconds.
fn parse_clock(text: &[u8], precision: u8) -> Result<(u32, u32), Reason> {
    let bad = || "has no time like 01:02:03".to_string();
    if text.len() < 5 || text[2] != b':' {
        return Err(bad());
    }
    let hour = digits(&text[..2]).ok_or_else(bad)?;
    let minute = digits(&text[3..5]).ok_or_else(bad)?;
    let (second, fraction) = match &text[5..] {
        [] => (0, &[][..]),
        [b':', a, b] => (digits(&[*a, *b]).ok_or_else(bad)?, &[][..]),
        [b':', a, b, b'.', fraction @ ..] if !fraction.is_empty() => (digits(&[*a, *b]).ok_or_else(bad)?, fraction),
        _ => return Err(bad()),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return Err("is a time that does not exist".into());
    }
    let mut nanos = 0;
    let mut unit = 100_000_000;
    for (at, byte) in fraction.iter().enumerate() {
        if !byte.is_ascii_digit() {
            return Err(bad());
        }
        if at >= usize::from(precision) && *byte != b'0' {
            return Err(format!("has more than {precision} fraction digits"));
        }
        nanos += u32::from(byte - b'0') * unit;
        unit /= 10;
    }
    Ok((hour * 3600 + minute * 60 + second, nanos))
}

/// Parses a time of the day to milliseconds, which is all the format keeps.
pub fn parse_time(text: &[u8]) -> Result<i32, Reason> {
    let (seconds, nanos) = parse_clock(text, 3)?;
    Ok((seconds * 1000 + nanos / 1_000_000) as i32)
}

/// Parses `2023-11-14T22:13:20.123456` or with a blank in the middle, or a date alone. An instant needs a zone
/// (`Z` or `+01:00`), a timestamp without zone must not have one. Gives seconds since the epoch and nanoseconds.
pub fn parse_timestamp(text: &[u8], precision: u8, zoned: bool) -> Result<(i64, u32), Reason> {
    let bad = || "is no timestamp like 2023-11-14T22:13:20".to_string();
    let days = parse_date(text.get(..10).ok_or_else(bad)?)
        .map_err(|why| if why.starts_with("is no date") { bad() } else { why })?;
    let (clock, offset) = match &text[10..] {
        [] => (&b"00:00"[..], None),
        [b'T' | b't' | b' ', rest @ ..] => split_zone(rest)?,
        _ => return Err(bad()),
    };
    match (zoned, offset) {
        (true, None) => return Err("needs a zone (Z or an offset like +01:00)".into()),
        (false, Some(_)) => return Err("has a zone, but the column is a timestamp without one".into()),
        _ => {}
    }
    let (seconds, nanos) = parse_clock(clock, precision)?;
    let seconds = i64::from(days) * DAY_SECONDS + i64::from(seconds) - i64::from(offset.unwrap_or(0));
    if !(FIRST_DAY..=LAST_DAY).contains(&seconds.div_euclid(DAY_SECONDS)) {
        return Err("lies outside of the years 1 to 9999".into());
    }
    Ok((seconds, nanos))
}

/// Cuts `Z`, `+01:00`, `+0100` or `+01` from the end of a time.
fn split_zone(text: &[u8]) -> Result<(&[u8], Option<i32>), Reason> {
    if let [clock @ .., b'Z' | b'z'] = text {
        return Ok((clock, Some(0)));
    }
    let Some(at) = text.iter().position(|byte| matches!(byte, b'+' | b'-')) else {
        return Ok((text, None));
    };
    let sign = if text[at] == b'-' { -1 } else { 1 };
    let (hours, minutes) = match &text[at + 1..] {
        [a, b] => (digits(&[*a, *b]), Some(0)),
        [a, b, b':', c, d] | [a, b, c, d] => (digits(&[*a, *b]), digits(&[*c, *d])),
        _ => (None, None),
    };
    match (hours, minutes) {
        (Some(hours @ 0..=18), Some(minutes @ 0..=59)) => {
            Ok((&text[..at], Some(sign * (hours * 3600 + minutes * 60) as i32)))
        }
        _ => Err("has a zone that is no offset like +01:00".into()),
    }
}

#[cfg(test)]
mod tests;
