use super::*;

fn path(kind: &str, value: Datum, legacy: bool) -> Result<String> {
    let types = [kind.parse().unwrap()];
    let row = BinaryRow::encode(&[value], &types).unwrap();
    partition_path(&["k".to_string()], &types, &row, legacy, DEFAULT_PARTITION)
}

fn both(kind: &str, value: Datum) -> (String, String) {
    (path(kind, value.clone(), true).unwrap(), path(kind, value, false).unwrap())
}

fn pair(legacy: &str, cast: &str) -> (String, String) {
    (format!("k={legacy}"), format!("k={cast}"))
}

fn text(text: &str) -> Datum {
    Datum::String(text.to_string())
}

#[test]
fn values_are_spelled_as_java_spells_them() {
    let time = |millis, nanos| Datum::Timestamp { millis, nanos };
    assert_eq!(both("DATE", Datum::Date(19723)), pair("19723", "2024-01-01"));
    assert_eq!(both("TIME(3)", Datum::Time(3_600_000)), pair("3600000", "01%3A00%3A00.0"));
    assert_eq!(both("TIME(3)", Datum::Time(3_600_120)), pair("3600120", "01%3A00%3A00.12"));
    assert_eq!(both("TIME(0)", Datum::Time(3_600_000)), pair("3600000", "01%3A00%3A00"));
    assert_eq!(
        both("TIMESTAMP(3)", time(1_700_000_000_123, 0)),
        pair("2023-11-14T22%3A13%3A20.123", "2023-11-14 22%3A13%3A20.123")
    );
    assert_eq!(
        both("TIMESTAMP(3)", time(1_700_000_000_000 - 800_000, 0)),
        pair("2023-11-14T22%3A00", "2023-11-14 22%3A00%3A00.000")
    );
    assert_eq!(both("TIMESTAMP(3)", time(-1, 0)), pair("1969-12-31T23%3A59%3A59.999", "1969-12-31 23%3A59%3A59.999"));
    assert_eq!(
        both("TIMESTAMP(9)", time(1_700_000_000_000, 1)),
        pair("2023-11-14T22%3A13%3A20.000000001", "2023-11-14 22%3A13%3A20.000000001")
    );
    assert_eq!(
        both("TIMESTAMP(6) WITH LOCAL TIME ZONE", time(1_700_000_000_000, 1000)),
        pair("2023-11-14T22%3A13%3A20.000001", "2023-11-14 22%3A13%3A20.000001")
    );
    assert_eq!(both("DOUBLE", Datum::Double(1e10)), pair("1.0E10", "1.0E10"));
    assert_eq!(both("DECIMAL(5, 2)", Datum::Decimal(120)), pair("1.20", "1.20"));
    assert_eq!(both("DECIMAL(5, 2)", Datum::Decimal(-5)), pair("-0.05", "-0.05"));
    assert_eq!(both("DECIMAL(38, 0)", Datum::Decimal(i128::MIN)).0, format!("k={}", i128::MIN));
    assert_eq!(both("BOOLEAN", Datum::Boolean(true)), pair("true", "true"));
    assert_eq!(both("BIGINT", Datum::BigInt(-5)), pair("-5", "-5"));
}

#[test]
fn only_the_listed_characters_are_escaped() {
    for (value, escaped) in [
        ("a/b=c d", "a%2Fb%3Dc d"),
        ("tab\tx", "tab%09x"),
        ("x:y?*#%\"'[]{}^\\", "x%3Ay%3F%2A%23%25%22%27%5B%5D%7B%7D%5E%5C"),
        ("日本", "日本"),
        ("..", ".."),
        ("\u{7f}\u{80}", "%7F\u{80}"),
        ("a+b&c~`|<>;,@!$()", "a+b&c~`|<>;,@!$()"),
    ] {
        assert_eq!(path("STRING", text(value), true).unwrap(), format!("k={escaped}"));
    }
    let types = [DataType::INT];
    let row = BinaryRow::encode(&[Datum::Int(1)], &types).unwrap();
    assert_eq!(partition_path(&["a/b".into()], &types, &row, true, DEFAULT_PARTITION).unwrap(), "a%2Fb=1");
}

#[test]
fn null_and_blank_share_the_default_directory() {
    for blank in [Datum::Null, text(""), text(" \t"), text("\u{2003}\u{1c}")] {
        assert_eq!(path("STRING", blank.clone(), true).unwrap(), "k=__DEFAULT_PARTITION__", "{blank:?}");
        assert_eq!(path("STRING", blank, false).unwrap(), "k=__DEFAULT_PARTITION__");
    }
    assert_eq!(path("STRING", text("\u{a0}"), true).unwrap(), "k=\u{a0}");
    assert_eq!(path("DATE", Datum::Null, false).unwrap(), "k=__DEFAULT_PARTITION__");
}

#[test]
fn several_keys_are_several_directories() {
    let types = [DataType::INT, DataType::STRING];
    let row = BinaryRow::encode(&[Datum::Int(1), text("x")], &types).unwrap();
    let keys = ["a".to_string(), "b".to_string()];
    assert_eq!(partition_path(&keys, &types, &row, true, DEFAULT_PARTITION).unwrap(), "a=1/b=x");
    assert_eq!(partition_path(&[], &[], &BinaryRow::empty(), true, DEFAULT_PARTITION).unwrap(), "");
    assert!(partition_path(&keys, &types, &BinaryRow::empty(), true, DEFAULT_PARTITION).is_err());
}

#[test]
fn texts_that_java_does_not_define_are_refused_by_name() {
    let refused = path("BYTES", Datum::Bytes(vec![1]), true).unwrap_err();
    assert!(matches!(&refused, Error::Unsupported(what) if what.contains("column k")), "{refused}");
    assert_eq!(path("BYTES", Datum::Bytes(b"ab".to_vec()), false).unwrap(), "k=ab");
    assert!(path("DATE", Datum::Date(i32::MAX), false).is_err());
    let far = Datum::Timestamp { millis: i64::MAX, nanos: 0 };
    assert!(path("TIMESTAMP(3)", far.clone(), false).is_err());
    assert_eq!(path("TIMESTAMP(3)", far, true).unwrap(), "k=+292278994-08-17T07%3A12%3A55.807");
    let early = Datum::Timestamp { millis: -62_167_219_200_001, nanos: 0 };
    assert_eq!(path("TIMESTAMP(3)", early, true).unwrap(), "k=-0001-12-31T23%3A59%3A59.999");
}

#[test]
fn numbers_print_as_in_java() {
    for (number, text) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (0.001, "0.001"),
        (0.012, "0.012"),
        (0.0001, "1.0E-4"),
        (0.00012345, "1.2345E-4"),
        (1e6, "1000000.0"),
        (1234567.5, "1234567.5"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (1.25e10, "1.25E10"),
        (f64::MAX, "1.7976931348623157E308"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
        (100.25, "100.25"),
    ] {
        assert_eq!(java_double(number), text);
    }
    assert_eq!(java_float(1.1), "1.1");
    assert_eq!(java_float(3.4028235e38), "3.4028235E38");
    assert_eq!(java_float(16_777_216.0), "1.6777216E7");
    // Two digits where they come nearer than one, and the even one of two texts that are equally near.
    assert_eq!(
        (java_double(f64::from_bits(1)).as_str(), java_float(f32::from_bits(1)).as_str()),
        ("4.9E-324", "1.4E-45")
    );
    assert_eq!((java_double(2e23), java_double(2e-3)), ("2.0E23".to_string(), "0.002".to_string()));
    assert_eq!(
        (java_float(-147_719.125_f64 as f32), java_float(147_719.375_f64 as f32)),
        ("-147719.12".to_string(), "147719.38".to_string())
    );
}
