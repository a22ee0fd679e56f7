use std::sync::Arc;

use arrow_array::{BooleanArray, Decimal128Array, Float64Array, Int8Array, Int32Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::*;
use crate::format::{BinaryRow, datum_at};
use crate::types::Datum;

fn types(texts: &[&str]) -> Vec<DataType> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What the rows themselves say.
fn row_hashes(columns: &[ArrayRef], types: &[DataType], rows: usize) -> Vec<i32> {
    (0..rows).map(|row| BinaryRow::encode_columns(columns, types, row).unwrap().hash()).collect()
}

#[test]
fn buckets_are_those_of_java() {
    let longs: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1, -1]))];
    assert_eq!(assign(BucketFunction::Default, &longs, &types(&["BIGINT"]), 4, 2).unwrap(), [2, 0]);
    let ints: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![Some(0), Some(1), Some(-1), Some(42), None]))];
    assert_eq!(assign(BucketFunction::Default, &ints, &types(&["INT"]), 4, 5).unwrap(), [3, 2, 3, 1, 0]);
    let texts: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from(vec!["", "a", "1234567", "12345678", "hello paimon 你好"]))];
    assert_eq!(assign(BucketFunction::Default, &texts, &types(&["STRING"]), 4, 5).unwrap(), [3, 2, 0, 1, 3]);
}

#[test]
fn one_bucket_needs_no_hash_and_none_is_a_bug() {
    assert_eq!(assign(BucketFunction::Default, &[], &[], 1, 3).unwrap(), [0, 0, 0]);
    assert!(assign(BucketFunction::Default, &[], &[], 0, 3).is_err());
}

#[test]
fn mod_takes_the_floor_and_null_as_zero() {
    let keys: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![Some(17), Some(-3), Some(5), None, Some(i64::MIN)]))];
    assert_eq!(assign(BucketFunction::Mod, &keys, &types(&["BIGINT"]), 5, 5).unwrap(), [2, 2, 0, 0, 2]);
    let keys: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![17, -3]))];
    assert_eq!(assign(BucketFunction::Mod, &keys, &types(&["INT"]), 5, 2).unwrap(), [2, 2]);
    assert!(check_bucket_keys(BucketFunction::Mod, &types(&["STRING"])).is_err());
    assert!(check_bucket_keys(BucketFunction::Mod, &types(&["INT", "INT"])).is_err());
}

#[test]
fn hive_hashes_field_after_field() {
    let hash = |column: ArrayRef, kind: &str| hive::hashes_of(&[column], &types(&[kind]), 1).unwrap()[0];
    assert_eq!(hash(Arc::new(BooleanArray::from(vec![true])), "BOOLEAN"), 1);
    assert_eq!(hash(Arc::new(Int8Array::from(vec![-5])), "TINYINT"), -5);
    assert_eq!(hash(Arc::new(Int64Array::from(vec![-1])), "BIGINT"), 0);
    assert_eq!(hash(Arc::new(Int64Array::from(vec![1 << 32])), "BIGINT"), 1);
    // Java: "abc".hashCode() for ASCII.
    assert_eq!(hash(Arc::new(StringArray::from(vec!["abc"])), "STRING"), 96354);
    assert_eq!(hash(Arc::new(Float64Array::from(vec![-0.0])), "DOUBLE"), 0);
    // Java: Double.hashCode(1.5) = 1073217536.
    assert_eq!(hash(Arc::new(Float64Array::from(vec![1.5])), "DOUBLE"), 1_073_217_536);
    // Java: new BigDecimal("1.2").hashCode() = 31 * 12 + 1, and 1.20 counts as 1.2.
    let decimal = |unscaled| Decimal128Array::from(vec![unscaled]).with_precision_and_scale(20, 2).unwrap();
    assert_eq!(hash(Arc::new(decimal(120)), "DECIMAL(20, 2)"), 373);
    assert_eq!(hash(Arc::new(decimal(-120)), "DECIMAL(20, 2)"), -371);
    assert_eq!(hash(Arc::new(decimal(0)), "DECIMAL(20, 2)"), 0);
    let two: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![3])), Arc::new(StringArray::from(vec![None::<&str>]))];
    assert_eq!(hive::hashes_of(&two, &types(&["INT", "STRING"]), 1).unwrap(), [93]);
    assert!(matches!(check_bucket_keys(BucketFunction::Hive, &types(&["TIMESTAMP(3)"])), Err(Error::Unsupported(_))));
}

#[test]
fn a_wrong_column_is_an_error() {
    let keys: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1]))];
    assert!(bucket_hashes(&keys, &types(&["INT"]), 1).is_err());
    assert!(bucket_hashes(&keys, &types(&["BIGINT"]), 2).is_err());
    assert!(bucket_hashes(&keys, &[], 1).is_err());
}

/// Any lane column of `rows` rows.
fn any_column(rows: usize) -> impl Strategy<Value = (DataType, ArrayRef)> {
    let kinds = [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DATE",
        "TIME(3)",
        "DECIMAL(18, 2)",
        "DECIMAL(38, 2)",
        "STRING",
        "BYTES",
        "TIMESTAMP(3)",
        "TIMESTAMP(6)",
        "TIMESTAMP(9) WITH LOCAL TIME ZONE",
    ];
    let kind = prop::sample::select(kinds.to_vec());
    (kind, prop::collection::vec(prop::option::weighted(0.8, any::<i64>()), rows)).prop_map(|(kind, values)| {
        use arrow_array::*;
        let data_type: DataType = kind.parse().unwrap();
        let texts: Vec<Option<String>> = values
            .iter()
            .map(|v| v.map(|v| "é".repeat((v as usize) % 7) + &v.to_string()[..(v as usize) % 2]))
            .collect();
        let column: ArrayRef = match &data_type.kind {
            TypeKind::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|v| v.map(|v| v > 0)))),
            TypeKind::TinyInt => Arc::new(Int8Array::from_iter(values.iter().map(|v| v.map(|v| v as i8)))),
            TypeKind::SmallInt => Arc::new(Int16Array::from_iter(values.iter().map(|v| v.map(|v| v as i16)))),
            TypeKind::Int => Arc::new(Int32Array::from_iter(values.iter().map(|v| v.map(|v| v as i32)))),
            TypeKind::Date => Arc::new(Date32Array::from_iter(values.iter().map(|v| v.map(|v| v as i32)))),
            TypeKind::Time(_) => {
                Arc::new(Time32MillisecondArray::from_iter(values.iter().map(|v| v.map(|v| v as i32))))
            }
            TypeKind::BigInt => Arc::new(Int64Array::from_iter(values)),
            TypeKind::Float => Arc::new(Float32Array::from_iter(values.iter().map(|v| v.map(|v| v as f32)))),
            TypeKind::Double => Arc::new(Float64Array::from_iter(values.iter().map(|v| v.map(|v| v as f64)))),
            TypeKind::Decimal { precision: 38, .. } => {
                Arc::new(Decimal128Array::from_iter(values.iter().map(|v| v.map(|v| i128::from(v) << (v & 63)))))
            }
            TypeKind::Decimal { .. } => Arc::new(Decimal128Array::from_iter(values.iter().map(|v| v.map(i128::from)))),
            TypeKind::Char(_) | TypeKind::VarChar(_) => Arc::new(StringArray::from_iter(texts)),
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Arc::new(BinaryArray::from_iter(texts)),
            TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => {
                Arc::new(TimestampMillisecondArray::from_iter(values))
            }
            TypeKind::Timestamp(4..=6) | TypeKind::TimestampLtz(4..=6) => {
                Arc::new(TimestampMicrosecondArray::from_iter(values))
            }
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                Arc::new(Decimal128Array::from_iter(values.iter().map(|v| v.map(|v| i128::from(v) * 1000))))
            }
            nested => unreachable!("{nested} is no key"),
        };
        (data_type, column)
    })
}

proptest! {
    #[test]
    fn hashing_columns_is_hashing_rows(columns in prop::collection::vec(any_column(5), 1..6)) {
        let (types, columns): (Vec<DataType>, Vec<ArrayRef>) = columns.into_iter().unzip();
        prop_assert_eq!(bucket_hashes(&columns, &types, 5).unwrap(), row_hashes(&columns, &types, 5));
    }

    #[test]
    fn a_row_of_a_column_is_its_value(columns in prop::collection::vec(any_column(3), 1..4)) {
        for (data_type, column) in columns {
            for row in 0..3 {
                let value = datum_at(&column, &data_type.kind, row).unwrap();
                let encoded = BinaryRow::encode_columns(std::slice::from_ref(&column), std::slice::from_ref(&data_type), row).unwrap();
                prop_assert_eq!(encoded, BinaryRow::encode(std::slice::from_ref(&value), std::slice::from_ref(&data_type)).unwrap());
                prop_assert_eq!(value == Datum::Null, arrow_array::Array::is_null(&column, row));
            }
        }
    }
}

#[test]
fn more_than_56_key_columns_hash_like_their_rows() {
    let columns: Vec<ArrayRef> =
        (0..60).map(|at| Arc::new(Int32Array::from(vec![Some(at), (at % 3 > 0).then_some(at)])) as ArrayRef).collect();
    let types = vec![DataType::INT; 60];
    assert_eq!(bucket_hashes(&columns, &types, 2).unwrap(), row_hashes(&columns, &types, 2));
}
