//! Files of several stripes read whole, by their pages and with masked rows, and bytes that are no file. The decoder's own
//! writer makes them; what Java writes is read by the golden tables.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Decimal128Array, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType as ArrowType, TimeUnit};
use arrow_select::concat::concat;
use arrow_select::filter::filter;
use bytes::Bytes;
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;
use orc_rust::schema::DataType as OrcType;

use super::*;
use crate::env::Env;
use crate::error::Result;
use crate::files::reader::{FileBatch, PlannedColumn, ReadPlan};
use crate::files::{PageAt, PageColumn, PageIndex, Pages, read_file};
use crate::format::DeletionVector;
use crate::io::TableStore;
use crate::schema::FileFormat;
use crate::types::{TypeKind, lane_type};

const ROWS: i64 = 3000;

/// The columns, and how each of them looks in the file.
fn columns() -> Vec<(&'static str, TypeKind, ArrowType)> {
    let micros = ArrowType::Timestamp(TimeUnit::Microsecond, None);
    let zoned = ArrowType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    vec![
        ("_KEY_k", TypeKind::BigInt, ArrowType::Int64),
        ("_SEQUENCE_NUMBER", TypeKind::BigInt, ArrowType::Int64),
        ("_VALUE_KIND", TypeKind::TinyInt, ArrowType::Int8),
        ("bo", TypeKind::Boolean, ArrowType::Boolean),
        ("ti", TypeKind::TinyInt, ArrowType::Int8),
        ("si", TypeKind::SmallInt, ArrowType::Int16),
        ("i", TypeKind::Int, ArrowType::Int32),
        ("f", TypeKind::Float, ArrowType::Float32),
        ("d", TypeKind::Double, ArrowType::Float64),
        ("s", TypeKind::STRING, ArrowType::Utf8),
        ("by", TypeKind::BYTES, ArrowType::Binary),
        ("da", TypeKind::Date, ArrowType::Date32),
        ("t6", TypeKind::Timestamp(6), micros),
        ("z9", TypeKind::TimestampLtz(9), zoned),
    ]
}

/// Numbers cast to each column's type: keys rise, every fifth value of another column is NULL.
fn stored() -> RecordBatch {
    let column = |(at, (name, _, stored)): (usize, (&'static str, TypeKind, ArrowType))| {
        let number = |row: i64| match name {
            "_KEY_k" | "_SEQUENCE_NUMBER" => Some(row),
            "_VALUE_KIND" => Some(row % 4),
            _ if (row + at as i64) % 5 == 0 => None,
            "ti" | "si" => Some(row % 200 - 100),
            // Whole seconds before 1970: the format itself loses a second of some others.
            "z9" => Some((row - 50) * 1_000_000_000),
            _ => Some((row - 50) * 1_000_000),
        };
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..ROWS).map(number)));
        let column = match &stored {
            ArrowType::Binary => cast(&cast(&numbers, &ArrowType::Utf8).unwrap(), &stored).unwrap(),
            ArrowType::Date32 => cast(&cast(&numbers, &ArrowType::Int32).unwrap(), &stored).unwrap(),
            _ => cast(&numbers, &stored).unwrap(),
        };
        (name, column)
    };
    RecordBatch::try_from_iter(columns().into_iter().enumerate().map(column)).unwrap()
}

fn file_of(rows: &RecordBatch, codec: Option<CompressionType>) -> Bytes {
    let mut out = Vec::new();
    let builder = ArrowWriterBuilder::new(&mut out, rows.schema()).with_batch_size(100).with_stripe_byte_size(20_000);
    let builder = match codec {
        Some(codec) => builder.with_compression(codec),
        None => builder,
    };
    let mut writer = builder.try_build().unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    out.into()
}

fn lane_of(kind: &TypeKind, stored: &ArrayRef) -> ArrayRef {
    crate::types::to_lane("c", kind, stored).unwrap()
}

fn plan(names: &[&str], rows: i64) -> ReadPlan {
    let column = |name: &&str| {
        let kind = columns().into_iter().find(|(other, ..)| other == name).map_or(TypeKind::Int, |(_, kind, _)| kind);
        let (name, data_type) = ((*name).to_string(), crate::types::DataType { kind, nullable: true });
        PlannedColumn { in_file: Some(name.clone()), name, data_type }
    };
    let columns = names.iter().map(column).collect();
    ReadPlan {
        start: 10,
        columns,
        versions: true,
        filter: None,
        masked: None,
        groups: None,
        rows: rows as u64,
        batch_rows: 300,
        window: 1,
        zoned_digits: true,
    }
}

/// Reads a file that lies behind other bytes.
async fn read(bytes: &[u8], plan: ReadPlan) -> Result<Vec<FileBatch>> {
    let store = TableStore::memory(&Env::system());
    let size = bytes.len() as u64;
    let bytes = [b"of another", bytes].concat();
    store.write("bucket-0/data-0.orc", bytes.into()).await?;
    let runtime = tokio::runtime::Handle::current();
    let read = move || read_file(&store, &runtime, &FileFormat::Orc, ("bucket-0/data-0.orc", size), plan)?.collect();
    tokio::task::spawn_blocking(read).await.unwrap()
}

fn joined(batches: &[FileBatch], column: usize) -> ArrayRef {
    let lanes: Vec<&dyn Array> = batches.iter().map(|batch| batch.columns[column].as_ref()).collect();
    concat(&lanes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_reads_as_it_was_written_with_every_codec() {
    let rows = stored();
    let codecs = [CompressionType::Zlib, CompressionType::Snappy, CompressionType::Lz4, CompressionType::Zstd];
    for codec in codecs.into_iter().map(Some).chain([None]) {
        let names: Vec<&str> = columns().iter().map(|(name, ..)| *name).collect();
        let batches = read(&file_of(&rows, codec), plan(&names, ROWS)).await.unwrap();
        assert!(batches.len() > 10 && batches.iter().all(|batch| batch.rows <= 300));
        for (at, (name, kind, _)) in columns().iter().enumerate() {
            assert_eq!(&joined(&batches, at), &lane_of(kind, rows.column(at)), "{name} with {codec:?}");
            assert_eq!(joined(&batches, at).data_type(), &lane_type(kind));
        }
        let sequence: Vec<i64> =
            batches.iter().flat_map(|batch| batch.sequence.as_ref().unwrap().values().to_vec()).collect();
        assert_eq!(sequence, (0..ROWS).collect::<Vec<i64>>());
        assert_eq!(batches[0].kinds.as_ref().unwrap().values()[..6], [0, 1, 2, 3, 0, 1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_columns_are_read_missing_ones_are_null_and_masked_rows_are_gone() {
    let rows = stored();
    let bytes = file_of(&rows, Some(CompressionType::Zstd));
    let masked: Vec<u64> = (0..ROWS as u64).filter(|row| row % 3 == 0 || (400..1200).contains(row)).collect();
    let keep: BooleanArray = (0..ROWS as u64).map(|row| Some(!masked.contains(&row))).collect();
    let mut vector = DeletionVector::new();
    masked.iter().for_each(|row| drop(vector.mask(*row)));
    let plan = ReadPlan { masked: Some(Arc::new(vector.clone())), ..plan(&["s", "elsewhere", "_KEY_k"], ROWS) };
    let batches = read(&bytes, plan.clone()).await.unwrap();
    assert_eq!(&joined(&batches, 0), &filter(rows.column(9), &keep).unwrap());
    assert_eq!(joined(&batches, 1).null_count(), keep.true_count());
    assert_eq!(&joined(&batches, 2), &filter(rows.column(0), &keep).unwrap());
    drop(vector.mask(ROWS as u64));
    let error = read(&bytes, ReadPlan { masked: Some(Arc::new(vector)), ..plan }).await.unwrap_err();
    assert!(error.to_string().contains("masks row 3000 of 3000"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_counted_without_a_column() {
    let plan = ReadPlan { versions: false, ..plan(&[], ROWS) };
    let batches = read(&file_of(&stored(), None), plan).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.rows).sum::<usize>(), ROWS as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_rows_or_another_type_than_told_is_an_error() {
    let bytes = file_of(&stored(), Some(CompressionType::Zlib));
    for told in [0, ROWS - 1, ROWS + 1] {
        let error = read(&bytes, plan(&["i"], told)).await.unwrap_err();
        assert!(matches!(&error, crate::Error::Corrupt { file, .. } if file == "bucket-0/data-0.orc"), "{error}");
    }
    let mut other = plan(&["s"], ROWS);
    other.columns[0].data_type = crate::types::DataType::BIGINT;
    let error = read(&bytes, other).await.unwrap_err();
    assert!(error.to_string().contains("column s is stored as") && error.to_string().contains("BIGINT"), "{error}");
}

fn open(bytes: &Bytes) -> Result<Pages> {
    let mut index = PageIndex::of(&FileFormat::Orc, "f", bytes.len() as u64, true).unwrap();
    while let Some(wanted) = index.wanted() {
        index.feed(&bytes.slice(wanted.start as usize..wanted.end as usize))?;
    }
    index.finish()
}

fn fetch(bytes: &Bytes, ranges: Vec<Range<u64>>) -> Vec<(u64, Bytes)> {
    let piece = |range: Range<u64>| (range.start, bytes.slice(range.start as usize..range.end as usize));
    ranges.into_iter().map(piece).collect()
}

#[test]
fn every_page_of_every_column_reads_as_its_rows() {
    let rows = stored();
    let bytes = file_of(&rows, Some(CompressionType::Lz4));
    let file = open(&bytes).unwrap();
    assert_eq!(file.rows(), ROWS as u64);
    for (at, (name, kind, _)) in columns().into_iter().enumerate() {
        let column = PageColumn { leaf: file.leaf(name).unwrap(), name: name.to_string(), kind };
        let pages = file.pages(column.leaf);
        assert!(pages.len() > 3, "{} stripes", pages.len());
        let mut next = 0;
        for page in pages {
            assert_eq!(page.first_row, next);
            assert_eq!(file.page_of(column.leaf, page.first_row), Some(page));
            next += page.rows;
            assert_eq!(file.page_of(column.leaf, next - 1), Some(page));
            let fetched = fetch(&bytes, file.ranges(column.leaf, &page));
            let lane = file.decode(&column, &page, fetched).unwrap();
            let wanted = lane_of(&column.kind, &rows.column(at).slice(page.first_row as usize, page.rows as usize));
            assert_eq!(&lane, &wanted, "{name}");
            assert!(file.weight(column.leaf, &page) > 0 && file.size() > 0);
        }
        assert_eq!((next, file.page_of(column.leaf, ROWS as u64)), (ROWS as u64, None));
    }
    // A page that is a part of its stripe.
    let column = PageColumn { leaf: 9, name: "s".to_string(), kind: TypeKind::STRING };
    let stripe = file.pages(9)[1];
    let part = PageAt { first_row: stripe.first_row + 17, rows: 40, ..stripe };
    let lane = file.decode(&column, &part, fetch(&bytes, file.ranges(9, &stripe))).unwrap();
    assert_eq!(&lane, &rows.column(9).slice(part.first_row as usize, 40));
    let missing = file.decode(&column, &stripe, Vec::new()).unwrap_err();
    assert!(matches!(missing, crate::Error::Corrupt { .. }), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cut_file_reads_as_a_whole_one_and_no_flipped_byte_makes_a_panic() {
    let rows = stored().slice(0, 40);
    let bytes = file_of(&rows, Some(CompressionType::Zstd));
    let names: Vec<&str> = columns().iter().map(|(name, ..)| *name).collect();
    for length in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..length], plan(&names, 40)).await.is_err(), "{length} of {} bytes", bytes.len());
    }
    for at in 0..bytes.len() {
        let mut other = bytes.to_vec();
        other[at] ^= 1 << (at % 8);
        drop(read(&other, plan(&names, 40)).await);
        let other = Bytes::from(other);
        let Ok(file) = open(&other) else { continue };
        let Some(leaf) = file.leaf("s") else { continue };
        for page in file.pages(leaf) {
            let column = PageColumn { leaf, name: "s".to_string(), kind: TypeKind::STRING };
            drop(file.decode(&column, &page, fetch(&other, file.ranges(leaf, &page))));
        }
    }
}

#[test]
fn times_are_cut_to_their_precision_and_local_ones_are_moved_to_the_zone_that_wrote_them() {
    let wide = |nanos: &[i128]| -> ArrayRef {
        Arc::new(Decimal128Array::from(nanos.to_vec()).with_precision_and_scale(38, 9).unwrap())
    };
    let utc = lanes::Times::of(Some(chrono_tz::UTC), true);
    let far = |times| {
        lanes::lane("t", &TypeKind::Timestamp(9), &OrcType::Timestamp { column_index: 1 }, &wide(&[1 << 63]), times)
    };
    for zone in [chrono_tz::GMT, chrono_tz::Etc::UCT, chrono_tz::Etc::GMT0, chrono_tz::Zulu] {
        assert_eq!(&far(lanes::Times::of(Some(zone), true)).unwrap(), &far(utc).unwrap(), "{zone}");
    }
    let berlin = lanes::Times::of(Some(chrono_tz::Europe::Berlin), true);
    let (clock, instant) =
        (OrcType::Timestamp { column_index: 1 }, OrcType::TimestampWithLocalTimezone { column_index: 1 });
    let instants = lanes::Times::of(Some(chrono_tz::Europe::Berlin), false);
    let millis = lanes::lane("t", &TypeKind::Timestamp(3), &clock, &wide(&[-1, 1_999_999]), utc).unwrap();
    assert_eq!(cast(&millis, &ArrowType::Int64).unwrap().as_primitive::<Int64Type>().values()[..], [-1, 1]);
    for old in [-3_000_000_000_000_000_000_i128, 5_000_000_000_000_000_000] {
        assert!(lanes::lane("t", &TypeKind::Timestamp(9), &clock, &wide(&[old]), utc).is_ok());
        let refused = lanes::lane("t", &TypeKind::Timestamp(9), &clock, &wide(&[old]), berlin).unwrap_err();
        assert!(matches!(&refused, crate::Error::Unsupported(text) if text.contains("Berlin")), "{refused}");
    }
    // 2024-01-01 and 2024-07-01, one and two hours away.
    let times = [1_704_067_200_000_000_000_i128, 1_719_792_000_000_000_000];
    for (times_of, hours) in [(utc, [0, 0]), (berlin, [1, 2]), (instants, [0, 0])] {
        let moved = lanes::lane("t", &TypeKind::TimestampLtz(9), &instant, &wide(&times), times_of).unwrap();
        let moved = moved.as_primitive::<Decimal128Type>();
        for at in 0..2 {
            assert_eq!(moved.value(at), times[at] + hours[at] * 3_600_000_000_000);
        }
        for kind in [TypeKind::Timestamp(9), TypeKind::TimestampLtz(9)] {
            let still = lanes::lane("t", &kind, &clock, &wide(&times), times_of).unwrap();
            assert_eq!(still.as_primitive::<Decimal128Type>().values()[..], times);
        }
    }
}

#[test]
fn texts_of_char_lose_the_blanks_that_fill_them() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a  "), None, Some(" b"), Some("   ")]));
    let times = lanes::Times::of(None, true);
    let stored = OrcType::Char { column_index: 1, max_length: 3 };
    let trimmed = lanes::lane("c", &TypeKind::Char(3), &stored, &texts, times).unwrap();
    assert_eq!(trimmed.as_string::<i32>(), &StringArray::from(vec![Some("a"), None, Some(" b"), Some("")]));
    assert_eq!(&lanes::lane("c", &TypeKind::VarChar(3), &stored, &texts, times).unwrap(), &texts);
}

#[test]
fn kinds_that_are_none_are_an_error() {
    let kinds: ArrayRef = Arc::new(Int8Array::from(vec![0, 4]));
    assert!(crate::files::system::kinds_of(&kinds).unwrap_err().to_string().contains("4 is no row kind"));
}
