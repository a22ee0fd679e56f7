use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    Bytes::from(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect::<Vec<_>>())
}

fn time(millis: i64, nanos: i32) -> Datum {
    Datum::Timestamp { millis, nanos }
}

/// The table of samples taken from Java: type, value, bytes, hash.
fn vectors() -> Vec<(&'static str, Datum, &'static str, i32)> {
    const P: &str = "00000001 0000000000000000 ";
    let text = |text: &str| Datum::String(text.to_string());
    let rows = vec![
        ("INT", Datum::Int(0), "0000000000000000", -300363099),
        ("INT", Datum::Int(1), "0100000000000000", 1465514398),
        ("BIGINT", Datum::BigInt(1), "0100000000000000", 1465514398),
        ("BOOLEAN", Datum::Boolean(true), "0100000000000000", 1465514398),
        ("INT", Datum::Int(-1), "ffffffff00000000", 1133687267),
        ("INT", Datum::Int(42), "2a00000000000000", 907821237),
        ("BIGINT", Datum::BigInt(-1), "ffffffffffffffff", -821098432),
        ("STRING", text(""), "0000000000000080", 302122119),
        ("STRING", text("a"), "6100000000000081", 943281246),
        ("STRING", text("1234567"), "3132333435363787", 199144172),
        ("STRING", text("12345678"), "0800000010000000 3132333435363738", -391021801),
        (
            "STRING",
            text("hello paimon 你好"),
            "1300000010000000 68656c6c6f207061696d6f6e20e4bda0e5a5bd0000000000",
            -1652980623,
        ),
        ("TINYINT", Datum::TinyInt(5), "0500000000000000", 260196596),
        ("SMALLINT", Datum::SmallInt(-5), "fbff000000000000", 1265127973),
        ("DOUBLE", Datum::Double(1.5), "000000000000f83f", 1860889473),
        ("FLOAT", Datum::Float(1.5), "0000c03f00000000", -173842779),
        ("DATE", Datum::Date(19723), "0b4d000000000000", -1439008885),
        ("DECIMAL(10, 2)", Datum::Decimal(1234), "d204000000000000", -1096042293),
        ("DECIMAL(20, 2)", Datum::Decimal(1234), "0200000010000000 04d20000000000000000000000000000", -531788649),
        ("DECIMAL(20, 2)", Datum::Decimal(-1234), "0200000010000000 fb2e0000000000000000000000000000", 809605724),
        ("TIMESTAMP(3)", time(1700000000123, 0), "7b68e5cf8b010000", -1285420957),
        ("TIMESTAMP(6)", time(1700000000123, 456000), "40f5060010000000 7b68e5cf8b010000", 1196670069),
        ("TIMESTAMP(9)", time(1700000000123, 456789), "55f8060010000000 7b68e5cf8b010000", -71831406),
        ("BYTES", Datum::Bytes(vec![1, 2, 3]), "0102030000000083", 1066645297),
    ];
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|(kind, value, bytes, hash)| (kind, value, &*format!("{P}{bytes}").leak(), hash))
        .collect();
    rows.push(("INT", Datum::Null, "00000001 0001000000000000 0000000000000000", -1748325344));
    rows.push(("STRING", Datum::Null, "00000001 0001000000000000 0000000000000000", -1748325344));
    rows.push((
        "DECIMAL(20, 2)",
        Datum::Null,
        "00000001 0001000000000000 0000000010000000 00000000000000000000000000000000",
        -1380280760,
    ));
    rows.push(("TIMESTAMP(6)", Datum::Null, "00000001 0001000000000000 0000000010000000 0000000000000000", -340882661));
    rows
}

#[test]
fn single_values_have_the_bytes_and_hashes_of_java() {
    for (kind, value, bytes, hash) in vectors() {
        let types = [kind.parse().unwrap()];
        let row = BinaryRow::encode(std::slice::from_ref(&value), &types).unwrap();
        assert_eq!(row.prefixed(), &hex(bytes), "{kind} {value:?}");
        assert_eq!(row.hash(), hash, "{kind} {value:?}");
        let read = BinaryRow::from_prefixed(hex(bytes)).unwrap();
        assert_eq!(read.decode(&types).unwrap(), [value]);
    }
}

#[test]
fn two_fields_share_one_variable_part() {
    let types = [DataType::INT, DataType::STRING];
    let values = [Datum::Int(7), Datum::String("abcdefgh".into())];
    let row = BinaryRow::encode(&values, &types).unwrap();
    assert_eq!(row.prefixed(), &hex("00000002 0000000000000000 0700000000000000 0800000018000000 6162636465666768"));
    assert_eq!(row.hash(), -231975178);
    assert_eq!(row.decode(&types).unwrap(), values);
}

#[test]
fn the_scalar_fields_of_a_row_with_nested_ones_are_found() {
    // ARRAY, MAP and ROW lie between arity and end; only their slots matter here.
    let row = BinaryRow::from_prefixed(hex(
        "00000003 0000000000000000 1800000020000000 3400000038000000 1000000070000000
         03000000 02000000 01000000 00000000 03000000 00000000
         10000000 01000000 00000000 05000000 00000000 01000000 00000000 0900000010000000 767676767676767676 00000000000000 00000000
         0000000000000000 0900000000000000",
    ))
    .unwrap();
    let nested = row.get(2, &TypeKind::BYTES).unwrap();
    let Datum::Bytes(nested) = nested else { panic!("bytes") };
    let nested = [&[0, 0, 0, 1], nested.as_slice()].concat();
    let nested = BinaryRow::from_prefixed(Bytes::from(nested)).unwrap();
    assert_eq!(nested.decode(&[DataType::INT]).unwrap(), [Datum::Int(9)]);
}

#[test]
fn the_empty_row_is_twelve_zero_bytes() {
    assert_eq!(BinaryRow::empty().prefixed().as_ref(), [0; 12]);
    assert_eq!(BinaryRow::encode(&[], &[]).unwrap(), BinaryRow::empty());
    assert_eq!(BinaryRow::encode_columns(&[], &[], 0).unwrap(), BinaryRow::empty());
    assert_eq!(BinaryRow::empty().arity(), 0);
}

#[test]
fn the_header_grows_behind_56_fields() {
    let types = vec![DataType::INT; 57];
    let mut values: Vec<Datum> = (0..57).map(Datum::Int).collect();
    values[0] = Datum::Null;
    values[56] = Datum::Null;
    let row = BinaryRow::encode(&values, &types).unwrap();
    assert_eq!(row.row_bytes().len(), 16 + 57 * 8);
    assert_eq!(&row.row_bytes()[..10], [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(row.decode(&types).unwrap(), values);
}

#[test]
fn lane_columns_give_the_same_rows_as_values() {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(7), None])),
        Arc::new(StringArray::from(vec![Some("a longer text"), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None])),
        Arc::new(Decimal128Array::from(vec![Some(-1), None]).with_precision_and_scale(38, 9).unwrap()),
        Arc::new(Int32Array::from(vec![Some(1), None])),
    ];
    let types: Vec<DataType> =
        ["BIGINT", "STRING", "TIMESTAMP(6)", "TIMESTAMP(9)", "INT"].map(|t| t.parse().unwrap()).into();
    let first =
        [Datum::BigInt(7), Datum::String("a longer text".into()), time(-1, 999_000), time(-1, 999_999), Datum::Int(1)];
    let nulls = vec![Datum::Null; 5];
    for (row, values) in [(0, first.as_slice()), (1, nulls.as_slice())] {
        let encoded = BinaryRow::encode_columns(&columns, &types, row).unwrap();
        assert_eq!(encoded, BinaryRow::encode(values, &types).unwrap());
        assert_eq!(encoded.decode(&types).unwrap(), values);
    }
    assert!(BinaryRow::encode_columns(&columns, &types, 2).is_err());
    assert!(BinaryRow::encode_columns(&columns[1..2], &types[..1], 0).is_err(), "a wrong lane");
}

#[test]
fn a_value_of_another_type_is_refused() {
    assert!(BinaryRow::encode(&[Datum::Int(1)], &[DataType::BIGINT]).is_err());
    assert!(BinaryRow::encode(&[Datum::Decimal(i128::MAX)], &[DataType::decimal(18, 0)]).is_err());
    assert!(BinaryRow::encode(&[time(0, 1_000_000)], &[DataType::timestamp(9)]).is_err());
    assert!(BinaryRow::encode(&[], &[DataType::INT]).is_err());
}

#[test]
fn damaged_bytes_are_errors_and_never_more() {
    for short in ["", "000000", "00000001 0000000000000000 00000000000000", "7fffffff 0000000000000000"] {
        assert!(matches!(BinaryRow::from_prefixed(hex(short)), Err(Error::Corrupt { .. })), "{short}");
    }
    for (kind, slot) in [
        ("STRING", "0800000010000000 31"),
        ("STRING", "ffffffffffffff7f"),
        ("STRING", "0000000000000088"),
        ("STRING", "ff00000000000081"),
        ("DECIMAL(20, 0)", "1100000010000000 0000000000000000 0000000000000000 0000000000000000"),
        ("DECIMAL(20, 0)", "0000000010000000"),
        ("TIMESTAMP(9)", "0000000010000000 00000000"),
        ("TIMESTAMP(9)", "40420f0010000000 0000000000000000"),
    ] {
        let row = BinaryRow::from_prefixed(hex(&format!("00000001 0000000000000000 {slot}"))).unwrap();
        let kind: DataType = kind.parse().unwrap();
        assert!(matches!(row.get(0, &kind.kind), Err(Error::Corrupt { .. })), "{kind} {slot}");
    }
    let one = BinaryRow::encode(&[Datum::Int(1)], &[DataType::INT]).unwrap();
    assert!(one.decode(&[DataType::INT, DataType::INT]).is_err());
    assert_eq!(one.get(5, &TypeKind::Int).unwrap(), Datum::Null);
}

fn any_value() -> impl Strategy<Value = (DataType, Datum)> {
    let nullable = prop_oneof![
        any::<bool>().prop_map(|v| ("BOOLEAN", Datum::Boolean(v))),
        any::<i8>().prop_map(|v| ("TINYINT", Datum::TinyInt(v))),
        any::<i16>().prop_map(|v| ("SMALLINT", Datum::SmallInt(v))),
        any::<i32>().prop_map(|v| ("TIME(3)", Datum::Time(v))),
        any::<i64>().prop_map(|v| ("BIGINT", Datum::BigInt(v))),
        (-1e30f64..1e30).prop_map(|v| ("DOUBLE", Datum::Double(v))),
        any::<i64>().prop_map(|v| ("DECIMAL(18, 3)", Datum::Decimal(v.into()))),
        any::<i128>().prop_map(|v| ("DECIMAL(38, 3)", Datum::Decimal(v))),
        ".{0,20}".prop_map(|v| ("STRING", Datum::String(v))),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|v| ("BYTES", Datum::Bytes(v))),
        any::<i64>().prop_map(|v| ("TIMESTAMP(3)", time(v, 0))),
        (any::<i64>(), 0..1_000_000).prop_map(|(v, n)| ("TIMESTAMP(9) WITH LOCAL TIME ZONE", time(v, n))),
    ];
    (nullable, any::<bool>())
        .prop_map(|((kind, value), null)| (kind.parse().unwrap(), if null { Datum::Null } else { value }))
}

proptest! {
    #[test]
    fn any_row_reads_back(fields in prop::collection::vec(any_value(), 0..70)) {
        let (types, values): (Vec<DataType>, Vec<Datum>) = fields.into_iter().unzip();
        let row = BinaryRow::encode(&values, &types).unwrap();
        prop_assert_eq!(row.row_bytes().len() % 8, 0);
        let read = BinaryRow::from_prefixed(row.prefixed().clone()).unwrap();
        prop_assert_eq!(read.decode(&types).unwrap(), values);
    }

    #[test]
    fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), arity in 0u8..5) {
        let bytes = [&[0, 0, 0, arity], bytes.as_slice()].concat();
        if let Ok(row) = BinaryRow::from_prefixed(Bytes::from(bytes)) {
            for kind in ["STRING", "DECIMAL(38, 0)", "TIMESTAMP(9)", "INT", "BYTES"] {
                let kind: DataType = kind.parse().unwrap();
                for index in 0..6 {
                    let _ = row.get(index, &kind.kind);
                }
            }
        }
    }
}
