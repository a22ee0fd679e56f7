//! Numbers and times as Java prints them.

use std::fmt::{LowerExp, Write};
use std::str::FromStr;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// Java's `Double.toString` (JDK 19 and later: the shortest text that parses back).
pub fn java_double(value: f64) -> String {
    java_number(value.is_nan(), value.is_infinite(), value.is_sign_negative(), value.abs(), value == 0.0)
}

/// Java's `Float.toString`.
pub fn java_float(value: f32) -> String {
    java_number(value.is_nan(), value.is_infinite(), value.is_sign_negative(), value.abs(), value == 0.0)
}

/// Digits as they are between 10^-3 and 10^7, with an exponent outside, always with a digit behind the point.
fn java_number<T>(nan: bool, infinite: bool, negative: bool, magnitude: T, zero: bool) -> String
where
    T: LowerExp + FromStr + PartialEq,
{
    if nan {
        return "NaN".to_string();
    }
    let sign = if negative { "-" } else { "" };
    if infinite {
        return format!("{sign}Infinity");
    }
    if zero {
        return format!("{sign}0.0");
    }
    let (digits, exponent) = shortest(&magnitude);
    let or_zero = |text: &str| if text.is_empty() { "0".to_string() } else { text.to_string() };
    match exponent {
        -3..=-1 => format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize)),
        0..=6 => {
            let digits = format!("{digits:0<width$}", width = exponent as usize + 1);
            let (whole, fraction) = digits.split_at(exponent as usize + 1);
            format!("{sign}{whole}.{}", or_zero(fraction))
        }
        _ => format!("{sign}{}.{}E{exponent}", &digits[..1], or_zero(&digits[1..])),
    }
}

/// The digits and the exponent of a positive number: as few digits as parse back, at least two where two come nearer,
/// and of two equally near texts the one with an even last digit.
fn shortest<T: LowerExp + FromStr + PartialEq>(magnitude: &T) -> (String, i32) {
    let parts = |text: &str| {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        (digits, exponent.parse().unwrap_or(0))
    };
    let text = format!("{magnitude:e}");
    let behind_point = parts(&text).0.len().max(2) - 1;
    // Rounded to so many digits, ties go to the even one.
    let nearest = format!("{magnitude:.behind_point$e}");
    let (digits, exponent) = match nearest.parse::<T>() {
        Ok(parsed) if parsed == *magnitude => parts(&nearest),
        _ => parts(&text),
    };
    let kept = digits.trim_end_matches('0').len().max(1);
    (digits[..kept].to_string(), exponent)
}

/// A decimal with exactly its scale's digits behind the point.
pub(crate) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::from(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Java's `LocalDateTime.toString`: no seconds when they and the fraction are zero, the fraction in groups of three digits.
pub(crate) fn local_date_time(millis: i64, nanos: i32) -> String {
    let (year, month, day) = civil(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let year = match year {
        10_000.. => format!("+{year}"),
        0..=9999 => format!("{year:04}"),
        _ => format!("-{:04}", -year),
    };
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    let mut text = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}");
    let fraction = of_day % 1000 * 1_000_000 + i64::from(nanos);
    if second > 0 || fraction > 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, ":{second:02}");
    }
    if fraction > 0 {
        let digits = format!("{fraction:09}");
        let keep = if fraction % 1_000_000 == 0 {
            3
        } else if fraction % 1000 == 0 {
            6
        } else {
            9
        };
        text.push('.');
        text.push_str(&digits[..keep]);
    }
    text
}

/// `yyyy-MM-dd`; `None` outside of the years 0 to 9999, whose four digits would lie.
pub(crate) fn date_text(days: i32) -> Option<String> {
    let (year, month, day) = civil(i64::from(days));
    (0..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// `HH:mm:ss`, and with a precision a fraction of at least one digit, without zeros at its end.
pub(crate) fn time_text(millis: i32, precision: u8) -> String {
    let millis = i64::from(millis).rem_euclid(MILLIS_PER_DAY);
    let mut text = format!("{:02}:{:02}:{:02}", millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    if precision > 0 {
        let digits = format!("{:03}", millis % 1000);
        let digits = &digits[..usize::from(precision.min(3))];
        let kept = digits.trim_end_matches('0');
        text.push('.');
        text.push_str(if kept.is_empty() { "0" } else { kept });
    }
    text
}

/// `yyyy-MM-dd HH:mm:ss` and a fraction of at least `precision` digits, more where they are not zero.
pub(crate) fn calendar_text(millis: i64, nanos: i32, precision: u8) -> Option<String> {
    let date = date_text(i32::try_from(millis.div_euclid(MILLIS_PER_DAY)).ok()?)?;
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let time = time_text((of_day / 1000 * 1000) as i32, 0);
    let fraction = format!("{:09}", of_day % 1000 * 1_000_000 + i64::from(nanos));
    let keep = fraction.trim_end_matches('0').len().max(usize::from(precision));
    let point = if keep > 0 { "." } else { "" };
    Some(format!("{date} {time}{point}{}", &fraction[..keep]))
}

/// Year, month and day of days since 1970-01-01 in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Days since 0000-03-01; years begin in March, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
