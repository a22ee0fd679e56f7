use arrow_array::cast::AsArray;
use arrow_array::{Array, new_null_array};

use super::*;
use crate::types::{DataType, Datum, lane_type};

/// A lane of one value.
fn lane(kind: &str, value: &Datum) -> ArrayRef {
    value.repeat(&kind.parse::<DataType>().unwrap().kind, 1).unwrap()
}

fn cast(from: &str, value: &Datum, to: &str) -> Result<ArrayRef> {
    let (source, target): (DataType, DataType) = (from.parse().unwrap(), to.parse().unwrap());
    cast_lane(&source.kind, &target.kind, &lane(from, value))
}

fn text(text: &str) -> Datum {
    Datum::String(text.to_string())
}

fn at(millis: i64, nanos: i32) -> Datum {
    Datum::Timestamp { millis, nanos }
}

#[test]
fn values_convert_as_java_converts_them() {
    for (from, value, to, expected) in [
        ("INT", Datum::Int(-7), "BIGINT", Datum::BigInt(-7)),
        ("INT", Datum::Int(383), "TINYINT", Datum::TinyInt(127)),
        ("INT", Datum::Int(42), "STRING", text("42")),
        ("INT", Datum::Int(12345), "VARCHAR(3)", text("123")),
        ("INT", Datum::Int(7), "CHAR(3)", text("7  ")),
        ("INT", Datum::Int(42), "DECIMAL(5, 2)", Datum::Decimal(4200)),
        ("INT", Datum::Int(12345), "DECIMAL(5, 2)", Datum::Null),
        ("INT", Datum::Int(2), "BOOLEAN", Datum::Boolean(true)),
        ("INT", Datum::Int(-1), "TIMESTAMP(3)", at(-1000, 0)),
        ("DOUBLE", Datum::Double(1e20), "INT", Datum::Int(i32::MAX)),
        ("DOUBLE", Datum::Double(1e20), "TINYINT", Datum::TinyInt(-1)),
        ("DOUBLE", Datum::Double(f64::NAN), "BIGINT", Datum::BigInt(0)),
        ("DOUBLE", Datum::Double(2.5), "DECIMAL(5, 0)", Datum::Decimal(3)),
        ("DOUBLE", Datum::Double(-2.5), "DECIMAL(5, 0)", Datum::Decimal(-3)),
        ("DOUBLE", Datum::Double(1e10), "STRING", text("1.0E10")),
        ("FLOAT", Datum::Float(0.1), "DOUBLE", Datum::Double(f64::from(0.1_f32))),
        ("FLOAT", Datum::Float(0.1), "STRING", text("0.1")),
        ("DECIMAL(12, 2)", Datum::Decimal(-1299), "INT", Datum::Int(-12)),
        ("DECIMAL(12, 2)", Datum::Decimal(1299), "DECIMAL(16, 4)", Datum::Decimal(129_900)),
        ("DECIMAL(12, 2)", Datum::Decimal(1295), "DECIMAL(5, 1)", Datum::Decimal(130)),
        ("DECIMAL(12, 2)", Datum::Decimal(1299), "DOUBLE", Datum::Double(12.99)),
        ("DECIMAL(38, 10)", Datum::Decimal(1), "STRING", text("0.0000000001")),
        ("DECIMAL(5, 2)", Datum::Decimal(-5), "STRING", text("-0.05")),
        ("BOOLEAN", Datum::Boolean(true), "DECIMAL(3, 1)", Datum::Decimal(10)),
        ("BOOLEAN", Datum::Boolean(false), "STRING", text("false")),
        ("DATE", Datum::Date(19723), "STRING", text("2024-01-01")),
        ("DATE", Datum::Date(-1), "TIMESTAMP(9)", at(-86_400_000, 0)),
        ("TIME(3)", Datum::Time(3_723_040), "STRING", text("01:02:03.04")),
        ("TIME(3)", Datum::Time(1), "TIMESTAMP(6)", at(1, 0)),
        ("TIMESTAMP(3)", at(1, 0), "TIMESTAMP(6)", at(1, 0)),
        ("TIMESTAMP(6)", at(-1, 999_000), "TIMESTAMP(3)", at(-1, 0)),
        ("TIMESTAMP(3)", at(-1, 0), "TIMESTAMP(0)", at(0, 0)),
        ("TIMESTAMP(9)", at(-1, 999_999), "TIMESTAMP(6)", at(-1, 999_000)),
        ("TIMESTAMP(6)", at(1_700_000_000_123, 0), "STRING", text("2023-11-14 22:13:20.123000")),
        ("TIMESTAMP(0)", at(-1000, 0), "DATE", Datum::Date(-1)),
        ("TIMESTAMP(3)", at(-1, 0), "TIME(3)", Datum::Time(86_399_999)),
        ("TIMESTAMP(3)", at(-1500, 0), "BIGINT", Datum::BigInt(-1)),
        ("STRING", text(" 1.50 "), "DOUBLE", Datum::Double(1.5)),
        ("STRING", text("-Infinity"), "FLOAT", Datum::Float(f32::NEG_INFINITY)),
        ("STRING", text("-12.9"), "INT", Datum::Int(-12)),
        ("STRING", text("1.255"), "DECIMAL(5, 2)", Datum::Decimal(126)),
        ("STRING", text("1e3"), "DECIMAL(5, 0)", Datum::Decimal(1000)),
        ("STRING", text("Yes"), "BOOLEAN", Datum::Boolean(true)),
        ("STRING", text("2024-1-1 09:30"), "DATE", Datum::Date(19723)),
        ("STRING", text("19723"), "DATE", Datum::Date(19723)),
        ("STRING", text("-7"), "DATE", Datum::Date(-7)),
        ("STRING", text("-1"), "TIMESTAMP(6)", at(-1, 999_000)),
        ("STRING", text("01:02:03.0405"), "TIME(3)", Datum::Time(3_723_041)),
        ("STRING", text("1000"), "TIMESTAMP(3)", at(1000, 0)),
        ("STRING", text("1970-01-01 00:00:01.123456789"), "TIMESTAMP(6)", at(1123, 456_000)),
        ("STRING", text("1970-1-2T3:4"), "TIMESTAMP(3) WITH LOCAL TIME ZONE", at(97_440_000, 0)),
        ("STRING", text("äbc"), "VARCHAR(2)", text("äb")),
        ("STRING", text("abc"), "BINARY(4)", Datum::Bytes(b"abc\0".to_vec())),
        ("BYTES", Datum::Bytes(b"abc".to_vec()), "VARBINARY(2)", Datum::Bytes(b"ab".to_vec())),
        ("BYTES", Datum::Bytes(b"abc".to_vec()), "STRING", text("abc")),
    ] {
        assert_eq!(
            cast(from, &value, to).unwrap().as_ref(),
            lane(to, &expected).as_ref(),
            "{value:?} of {from} as {to}"
        );
    }
}

#[test]
fn a_text_that_is_no_value_is_an_error_that_shows_it() {
    for (text, to) in [
        ("x", "INT"),
        ("300", "TINYINT"),
        ("", "BIGINT"),
        ("1.x", "INT"),
        ("inf", "DOUBLE"),
        ("perhaps", "BOOLEAN"),
        ("2024-13-01", "DATE"),
        ("24:00", "TIMESTAMP(3)"),
        ("1970-01-01 00:00", "TIMESTAMP(3)"),
        ("7", "TIMESTAMP(4)"),
        ("1..2", "DECIMAL(5, 2)"),
    ] {
        let error = cast("STRING", &Datum::String(text.to_string()), to).unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")), "{text} as {to}: {error}");
    }
    let error = cast("BYTES", &Datum::Bytes(vec![0xFF]), "STRING").unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    let error = cast("DOUBLE", &Datum::Double(f64::NAN), "DECIMAL(5, 2)").unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

/// Every pair either converts NULL and nothing else at once, or is refused by the names of both types.
#[test]
fn every_pair_of_types_converts_or_is_refused_by_name() {
    let types = [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(10, 2)",
        "DECIMAL(38, 4)",
        "CHAR(3)",
        "VARCHAR(3)",
        "STRING",
        "BINARY(3)",
        "BYTES",
        "DATE",
        "TIME(3)",
        "TIMESTAMP(0)",
        "TIMESTAMP(6)",
        "TIMESTAMP(9)",
        "TIMESTAMP(3) WITH LOCAL TIME ZONE",
        "TIMESTAMP(9) WITH LOCAL TIME ZONE",
    ];
    for from in types {
        for to in types {
            let (from, to): (DataType, DataType) = (from.parse().unwrap(), to.parse().unwrap());
            let nulls = new_null_array(&lane_type(&from.kind), 3);
            match cast_lane(&from.kind, &to.kind, &nulls) {
                Ok(lane) => {
                    assert!(from == to || can_cast(&from.kind, &to.kind), "{from} to {to}");
                    assert_eq!((lane.data_type(), lane.null_count()), (&lane_type(&to.kind), 3), "{from} to {to}");
                }
                Err(Error::Unsupported(text)) => {
                    assert!(!may_change(&from, &to, true), "{from} to {to}");
                    assert!(text.contains(&from.kind.to_string()) && text.contains(&to.kind.to_string()), "{text}");
                }
                Err(other) => unreachable!("{from} to {to}: {other}"),
            }
        }
    }
}

#[test]
fn what_may_lose_something_must_be_asked_for() {
    let may = |from: &str, to: &str, explicit| may_change(&from.parse().unwrap(), &to.parse().unwrap(), explicit);
    for (from, to) in [("INT", "BIGINT"), ("INT", "DOUBLE"), ("CHAR(3)", "STRING"), ("INT NOT NULL", "BIGINT")] {
        assert!(may(from, to, false), "{from} to {to}");
    }
    for (from, to) in [("BIGINT", "INT"), ("STRING", "INT"), ("INT", "STRING"), ("INT", "BIGINT NOT NULL")] {
        assert!(!may(from, to, false) && may(from, to, true), "{from} to {to}");
    }
    assert!(!may("DOUBLE", "TIMESTAMP(3)", true));
    assert!(!may("DATE", "INT", true));
}

#[test]
fn nested_values_are_printed_as_java_does() {
    let list = |values: &[Datum]| Datum::Array(values.to_vec());
    let row = Datum::Row(vec![Datum::Double(1.0), Datum::Null, list(&[text("q"), Datum::Null])]);
    let pairs = Datum::Map(vec![(Datum::Int(1), text("a")), (Datum::Int(2), Datum::Null)]);
    for (from, value, printed) in [
        ("ARRAY<INT>", list(&[Datum::Int(1), Datum::Null]), "[1, null]"),
        ("ARRAY<INT>", list(&[]), "[]"),
        ("MAP<INT, STRING>", pairs, "{1 -> a, 2 -> null}"),
        ("MAP<INT, STRING>", Datum::Map(vec![]), "{}"),
        ("ROW<a DOUBLE, b DATE, c ARRAY<STRING>>", row, "{1.0, null, [q, null]}"),
    ] {
        let kind = from.parse::<DataType>().unwrap().kind;
        for to in ["STRING", "VARCHAR(2)"] {
            let to = to.parse::<DataType>().unwrap().kind;
            // The second value of three, and a NULL.
            let lane = value.repeat(&kind, 3).unwrap().slice(1, 1);
            assert_eq!(cast_lane(&kind, &to, &lane).unwrap().as_string::<i32>().value(0), printed, "{from}");
            let null = new_null_array(&lane_type(&kind), 1);
            assert!(cast_lane(&kind, &to, &null).unwrap().is_null(0), "{from}");
        }
    }
    for (from, to) in [
        ("MULTISET<INT>", "STRING"),
        ("ARRAY<MULTISET<INT>>", "STRING"),
        ("ARRAY<INT>", "INT"),
        ("STRING", "ARRAY<INT>"),
    ] {
        let kind = |text: &str| text.parse::<DataType>().unwrap().kind;
        assert!(!can_cast(&kind(from), &kind(to)), "{from} to {to}");
    }
}
