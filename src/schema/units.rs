//! The texts of option values: sizes, times, maps and statistics modes, as Paimon reads them.
//! Spec: `format-spec/options.md`.

use std::time::Duration;

use crate::error::{Error, Result};

/// Bytes of a text like `128 mb`, `64kb`, `1 g` or `4096`. Units count in steps of 1024.
///
/// # Errors
/// [`Error::Invalid`] for no number, an unknown unit or more than 2^63 - 1 bytes.
pub fn parse_memory_size(text: &str) -> Result<u64> {
    let (number, unit) = split_number(text).ok_or_else(|| Error::invalid(format!("{text:?} is no size")))?;
    let step: u64 = match unit.as_str() {
        "" | "b" | "bytes" => 1,
        "k" | "kb" | "kibibytes" => 1 << 10,
        "m" | "mb" | "mebibytes" => 1 << 20,
        "g" | "gb" | "gibibytes" => 1 << 30,
        "t" | "tb" | "tebibytes" => 1 << 40,
        other => return Err(Error::invalid(format!("size {text:?}: unit {other:?} is none of b, kb, mb, gb, tb"))),
    };
    number
        .checked_mul(step)
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| Error::invalid(format!("size {text:?} is more than 64 bits hold")))
}

/// Time of a text like `10 min`, `1 h`, `1d` or `100`: milliseconds when no unit is given.
///
/// # Errors
/// [`Error::Invalid`] for no number, an unknown unit or a time beyond 64 bits of seconds.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let (number, unit) = split_number(text).ok_or_else(|| Error::invalid(format!("{text:?} is no duration")))?;
    let seconds = |step: u64| {
        number
            .checked_mul(step)
            .map(Duration::from_secs)
            .ok_or_else(|| Error::invalid(format!("duration {text:?} is more than 64 bits hold")))
    };
    match unit.as_str() {
        "d" | "day" | "days" => seconds(86_400),
        "h" | "hour" | "hours" => seconds(3_600),
        "m" | "min" | "minute" | "minutes" => seconds(60),
        "s" | "sec" | "secs" | "second" | "seconds" => seconds(1),
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => Ok(Duration::from_millis(number)),
        "µs" | "micro" | "micros" | "microsecond" | "microseconds" => Ok(Duration::from_micros(number)),
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => Ok(Duration::from_nanos(number)),
        other => Err(Error::invalid(format!("duration {text:?}: unit {other:?} is none of d, h, min, s, ms, µs, ns"))),
    }
}

/// A number of at most 63 bits and the lower-case unit behind it.
fn split_number(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse::<i64>().ok()?;
    Some((u64::try_from(number).ok()?, text[end..].trim().to_lowercase()))
}

/// The pairs of a text like `0:lz4,5:zstd`, or `None` when a part has no colon or more than one.
pub(super) fn parse_map(text: &str) -> Option<Vec<(&str, &str)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once(':')?;
            (!value.contains(':')).then_some((key.trim(), value.trim()))
        })
        .collect()
}

/// How much of a column's values a file's metadata keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsMode {
    /// Nothing.
    None,
    /// How many values are NULL.
    Counts,
    /// That, and bounds of strings and bytes cut to so many characters or bytes.
    Truncate(usize),
    /// That, and whole bounds.
    Full,
}

impl StatsMode {
    /// The mode of a text: `none`, `counts`, `truncate(16)` or `full`, in any case.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let lower = text.to_lowercase();
        let length = lower.strip_prefix("truncate(").and_then(|rest| rest.strip_suffix(')'));
        match (lower.as_str(), length.map(str::parse::<u32>)) {
            ("none", _) => Ok(Self::None),
            ("counts", _) => Ok(Self::Counts),
            ("full", _) => Ok(Self::Full),
            (_, Some(Ok(length))) if length > 0 && i32::try_from(length).is_ok() => Ok(Self::Truncate(length as usize)),
            _ => Err(Error::invalid(format!("{text:?} is none of none, counts, truncate(n), full"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024_and_none_means_bytes() {
        for (text, bytes) in [
            ("128 mb", 128 << 20),
            ("64kb", 64 << 10),
            ("1 G", 1 << 30),
            ("2 tebibytes", 2 << 40),
            (" 4096 ", 4096),
            ("0 bytes", 0),
            ("9223372036854775807 bytes", i64::MAX as u64),
        ] {
            assert_eq!(parse_memory_size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "mb", "-1 kb", "1.5 gb", "1 pb", "9223372036854775807 kb", "9223372036854775808"] {
            assert!(matches!(parse_memory_size(text), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn durations_have_units_and_none_means_milliseconds() {
        for (text, millis) in [
            ("10 min", 600_000),
            ("1 h", 3_600_000),
            ("1d", 86_400_000),
            ("100 ms", 100),
            ("100", 100),
            ("2 Days", 172_800_000),
            ("3 s", 3_000),
            ("1000 micros", 1),
            ("1000000 ns", 1),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "h", "-1 s", "1 week", "1.5 h", "9223372036854775807 d"] {
            assert!(matches!(parse_duration(text), Err(Error::Invalid(_))), "{text}");
        }
    }

    #[test]
    fn maps_are_pairs_with_one_colon() {
        assert_eq!(parse_map("0:lz4, 5 : zstd"), Some(vec![("0", "lz4"), ("5", "zstd")]));
        assert_eq!(parse_map(""), Some(vec![]));
        assert_eq!(parse_map("0"), None);
        assert_eq!(parse_map("0:a:b"), None);
    }

    #[test]
    fn statistics_modes_are_read_in_any_case() {
        assert_eq!(StatsMode::parse("TRUNCATE(16)").unwrap(), StatsMode::Truncate(16));
        assert_eq!(StatsMode::parse("Full").unwrap(), StatsMode::Full);
        for text in ["truncate(0)", "truncate(x)", "truncate(16", "", "some", "truncate(4294967296)"] {
            assert!(StatsMode::parse(text).is_err(), "{text}");
        }
    }
}
