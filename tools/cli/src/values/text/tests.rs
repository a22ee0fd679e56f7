//! Values as text and back, and what is refused.

use super::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_day_of_the_years_1_to_9999_is_written_and_parses_back() {
    assert_eq!(i64::from(parse_date(b"0001-01-01").unwrap()), FIRST_DAY);
    assert_eq!(i64::from(parse_date(b"9999-12-31").unwrap()), LAST_DAY);
    for day in FIRST_DAY..=LAST_DAY {
        let text = written(|out| write_date(out, day));
        assert_eq!(parse_date(text.as_bytes()).map(i64::from), Ok(day), "{text}");
    }
    for day in [FIRST_DAY - 1, FIRST_DAY - 367, LAST_DAY + 1, i32::MIN.into(), i32::MAX.into()] {
        let text = written(|out| write_date(out, day));
        assert_eq!(parse_date(text.as_bytes()).map(i64::from), Ok(day), "{text}");
    }
    assert!(parse_date(b"+9999999-01-01").unwrap_err().contains("32 bits"));
    assert_eq!(written(|out| write_date(out, 0)), "1970-01-01");
    assert_eq!(written(|out| write_date(out, -1)), "1969-12-31");
    assert_eq!(written(|out| write_date(out, LAST_DAY + 1)), "+10000-01-01");
    assert_eq!(written(|out| write_date(out, FIRST_DAY - 367)), "-0001-12-31");
}

#[test]
fn a_date_that_does_not_exist_is_refused() {
    for text in ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "2024-04-31"] {
        assert!(parse_date(text.as_bytes()).unwrap_err().contains("does not exist"), "{text}");
    }
    for text in [
        "",
        "2024-1-1",
        "20240101",
        "2024/01/01",
        "2024-01-01 ",
        "x024-01-01",
        "10000-01-01",
        "-44-03-15",
        "+99999999-01-01",
    ] {
        assert!(parse_date(text.as_bytes()).unwrap_err().contains("no date"), "{text}");
    }
}

#[test]
fn a_timestamp_has_as_many_fraction_digits_as_its_type() {
    let at = |digits, zoned| written(|out| write_timestamp(out, 1_700_000_000, 123_456_789, digits, zoned));
    assert_eq!(at(0, false), "2023-11-14T22:13:20");
    assert_eq!(at(6, false), "2023-11-14T22:13:20.123456");
    assert_eq!(at(9, true), "2023-11-14T22:13:20.123456789Z");
    assert_eq!(written(|out| write_timestamp(out, -1, 999_000_000, 3, true)), "1969-12-31T23:59:59.999Z");
}

#[test]
fn a_timestamp_is_parsed_strictly() {
    let ok = |text: &str, p, zoned| parse_timestamp(text.as_bytes(), p, zoned).unwrap();
    assert_eq!(ok("2023-11-14T22:13:20.123456", 6, false), (1_700_000_000, 123_456_000));
    assert_eq!(ok("2023-11-14 22:13:20", 0, false), (1_700_000_000, 0));
    assert_eq!(ok("2023-11-14 22:13", 0, false), (1_699_999_980, 0));
    assert_eq!(ok("2023-11-14", 0, false), (1_699_920_000, 0));
    assert_eq!(ok("2023-11-14T23:13:20+01:00", 3, true), (1_700_000_000, 0));
    assert_eq!(ok("2023-11-14T22:13:20.5000Z", 1, true), (1_700_000_000, 500_000_000));
    let bad = |text: &str, p, zoned| parse_timestamp(text.as_bytes(), p, zoned).unwrap_err();
    assert!(bad("2023-11-14T22:13:20.1234", 3, false).contains("more than 3 fraction digits"));
    assert!(bad("2023-11-14T22:13:20", 3, true).contains("needs a zone"));
    assert!(bad("2023-11-14T22:13:20Z", 3, false).contains("has a zone"));
    assert!(bad("2023-11-14T24:00:00", 3, false).contains("does not exist"));
    assert!(bad("0001-01-01T00:00:00+01:00", 3, true).contains("outside"));
    for text in ["", "yesterday", "2023-11-14X10:00:00", "2023-11-14T1:00:00", "2023-11-14T22:13:20.", "2023-11-14Té"]
    {
        assert!(parse_timestamp(text.as_bytes(), 3, false).is_err(), "{text}");
    }
}

#[test]
fn a_decimal_keeps_its_scale_and_refuses_loss() {
    for (unscaled, scale, text) in [
        (12_340, 3, "12.340"),
        (-5, 2, "-0.05"),
        (0, 2, "0.00"),
        (7, 0, "7"),
        (10_i128.pow(38) - 1, 38, "0.99999999999999999999999999999999999999"),
        (-(10_i128.pow(38) - 1), 10, "-9999999999999999999999999999.9999999999"),
    ] {
        assert_eq!(written(|out| write_decimal(out, unscaled, scale)), text);
        assert_eq!(parse_decimal(text.as_bytes(), 38, scale), Ok(unscaled));
    }
    assert_eq!(parse_decimal(b"1.5e3", 10, 2), Ok(150_000));
    assert_eq!(parse_decimal(b"15E-1", 10, 1), Ok(15));
    assert_eq!(parse_decimal(b"1.500000000000000000000000000000000000000000", 10, 1), Ok(15));
    assert_eq!(parse_decimal(b"0E-50", 10, 2), Ok(0));
    assert!(parse_decimal(b"1.234", 10, 2).unwrap_err().contains("more than 2 digits behind"));
    assert!(parse_decimal(b"1000", 5, 2).unwrap_err().contains("more than 3 digits before"));
    assert!(parse_decimal(b"1e999", 5, 2).unwrap_err().contains("more than 3 digits before"));
    for text in ["", ".", "-", "1.2.3", "abc", "1e", "1e5000", "1e1.0", "NaN"] {
        assert!(parse_decimal(text.as_bytes(), 10, 2).is_err(), "{text}");
    }
}

#[test]
fn an_integer_is_exact_or_refused() {
    assert_eq!(parse_integer(b"-9223372036854775808"), Ok(i64::MIN));
    assert_eq!(parse_integer(b"9223372036854775807"), Ok(i64::MAX));
    assert_eq!(parse_integer(b"517.0"), Ok(517));
    assert!(parse_integer(b"9223372036854775808").unwrap_err().contains("out of range"));
    for text in ["", "-", "1.5", "1.", "1e3", "0x10", " 1", "1_000"] {
        assert!(parse_integer(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_float_is_shortest_and_never_becomes_infinite() {
    assert_eq!(written(|out| assert!(write_float(out, 0.1))), "0.1");
    assert_eq!(written(|out| assert!(write_double(out, -0.0))), "-0.0");
    assert_eq!(written(|out| assert!(write_float(out, f32::from_bits(1)))), "1.4e-45");
    assert_eq!(written(|out| assert!(write_double(out, -5e-324))), "-4.9e-324");
    for bits in 1..5000 {
        let text = written(|out| assert!(write_float(out, f32::from_bits(bits))));
        assert_eq!(parse_float(text.as_bytes()).unwrap().to_bits(), bits, "{text}");
    }
    assert_eq!(written(|out| assert!(!write_double(out, f64::NEG_INFINITY))), "-Infinity");
    for value in [f64::MIN_POSITIVE, f64::MAX, 5e-324, 1e23, 123_456_789.123_456_79] {
        let text = written(|out| assert!(write_double(out, value)));
        assert_eq!(parse_double(text.as_bytes()).unwrap().to_bits(), value.to_bits(), "{text}");
    }
    assert!(parse_double(b"NaN").unwrap().is_nan());
    assert!(parse_float(b"1e39").unwrap_err().contains("out of range"));
    assert!(parse_double(b"1e400").unwrap_err().contains("out of range"));
    for text in ["", "infinity", "1e", "--1", "0x1p3", "1,5"] {
        assert!(parse_double(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_time_of_day_has_milliseconds() {
    assert_eq!(parse_time(b"01:02:03.004"), Ok(3_723_004));
    assert_eq!(written(|out| write_time(out, 3_723_004)), "01:02:03.004");
    assert!(parse_time(b"01:02:03.0004").unwrap_err().contains("more than 3"));
    assert!(parse_time(b"25:00:00").is_err());
}
