//! Values for tests.

use arrow_array::ArrayRef;
use bytes::Bytes;

use crate::format::*;
use crate::types::{DataType, Datum, TypeKind};

/// A lane column of one row.
pub(in crate::format) fn lane(value: &Datum, data_type: &DataType) -> ArrayRef {
    use std::sync::Arc;

    use arrow_array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
        Int32Array, Int64Array, StringArray, Time32MillisecondArray, TimestampMicrosecondArray,
        TimestampMillisecondArray, new_null_array,
    };
    match (value.clone(), &data_type.kind) {
        (Datum::Null, kind) => new_null_array(&crate::types::lane_type(kind), 1),
        (Datum::Boolean(v), _) => Arc::new(BooleanArray::from(vec![v])),
        (Datum::TinyInt(v), _) => Arc::new(Int8Array::from(vec![v])),
        (Datum::SmallInt(v), _) => Arc::new(Int16Array::from(vec![v])),
        (Datum::Int(v), _) => Arc::new(Int32Array::from(vec![v])),
        (Datum::BigInt(v), _) => Arc::new(Int64Array::from(vec![v])),
        (Datum::Float(v), _) => Arc::new(Float32Array::from(vec![v])),
        (Datum::Double(v), _) => Arc::new(Float64Array::from(vec![v])),
        (Datum::Decimal(v), _) => Arc::new(Decimal128Array::from(vec![v])),
        (Datum::String(v), _) => Arc::new(StringArray::from(vec![v])),
        (Datum::Bytes(v), _) => Arc::new(BinaryArray::from(vec![v.as_slice()])),
        (Datum::Date(v), _) => Arc::new(Date32Array::from(vec![v])),
        (Datum::Time(v), _) => Arc::new(Time32MillisecondArray::from(vec![v])),
        (Datum::Timestamp { millis, nanos }, TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p)) => match p {
            0..=3 => Arc::new(TimestampMillisecondArray::from(vec![millis])),
            4..=6 => Arc::new(TimestampMicrosecondArray::from(vec![millis * 1000 + i64::from(nanos / 1000)])),
            _ => Arc::new(Decimal128Array::from(vec![i128::from(millis) * 1_000_000 + i128::from(nanos)])),
        },
        (other, kind) => panic!("{other:?} is no {kind}"),
    }
}

/// A row of one INT.
pub(in crate::format) fn int_row(value: i32) -> BinaryRow {
    BinaryRow::encode(&[Datum::Int(value)], &[DataType::INT]).unwrap()
}

/// A data file of level 0 with one row, without keys and statistics.
pub(crate) fn data_file(name: &str, size: i64) -> DataFileMeta {
    DataFileMeta {
        file_name: name.to_string(),
        file_size: size,
        row_count: 1,
        min_key: BinaryRow::empty(),
        max_key: BinaryRow::empty(),
        key_stats: SimpleStats::empty(),
        value_stats: SimpleStats::empty(),
        min_sequence_number: 0,
        max_sequence_number: 0,
        schema_id: 0,
        level: 0,
        extra_files: Vec::new(),
        creation_time: Some(0),
        delete_row_count: Some(0),
        embedded_file_index: None,
        file_source: Some(FileSource::Append),
        value_stats_cols: None,
        external_path: None,
        first_row_id: None,
        write_cols: None,
        write_cols_sequences: None,
    }
}

/// A data file in which every field has a value.
pub(in crate::format) fn full_file(name: &str) -> DataFileMeta {
    DataFileMeta {
        file_name: name.to_string(),
        file_size: 1 << 40,
        row_count: 1000,
        min_key: int_row(1),
        max_key: int_row(9),
        key_stats: SimpleStats { min: int_row(1), max: int_row(9), null_counts: [Some(0)].into() },
        value_stats: SimpleStats { min: int_row(-5), max: int_row(5), null_counts: [None].into() },
        min_sequence_number: 0,
        max_sequence_number: i64::MAX,
        schema_id: 3,
        level: 5,
        extra_files: vec![format!("{name}.index"), "日本".to_string()],
        creation_time: Some(1_700_000_000_123),
        delete_row_count: Some(7),
        embedded_file_index: Some(Bytes::from_static(&[0, 1, 255])),
        file_source: Some(FileSource::Compact),
        value_stats_cols: Some(vec!["a".to_string()]),
        external_path: Some("file:/elsewhere/x".to_string()),
        first_row_id: Some(12),
        write_cols: Some(vec![]),
        write_cols_sequences: None,
    }
}

/// A data file as a writer flushes it.
pub(in crate::format) fn plain_file(name: &str) -> DataFileMeta {
    DataFileMeta {
        level: 0,
        extra_files: vec![],
        delete_row_count: Some(0),
        embedded_file_index: None,
        file_source: Some(FileSource::Append),
        value_stats_cols: None,
        external_path: None,
        first_row_id: None,
        write_cols: None,
        ..full_file(name)
    }
}

pub(in crate::format) fn entry(kind: FileKind, file: DataFileMeta) -> ManifestEntry {
    ManifestEntry { kind, partition: int_row(7), bucket: 2, total_buckets: 4, file: file.into() }
}
