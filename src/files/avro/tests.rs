//! Files written and read again, whole and by their pages, and bytes that are no file.

mod nested;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int8Array, Int64Array};
use arrow_cast::cast;
use arrow_select::filter::filter;

use super::*;
use crate::env::Env;
use crate::error::Result;
use crate::files::layout::{ColumnSource, FileLayout};
use crate::files::reader::{FileBatch, PlannedColumn, ReadPlan};
use crate::files::writer::Slab;
use crate::files::{PageAt, PageColumn, read_file};
use crate::format::{Codec, ColumnStats, DeletionVector};
use crate::io::TableStore;
use crate::schema::{FileFormat, Schema};
use crate::types::{DataType, Datum, TypeKind, lane_type};

/// Every scalar type that Avro holds.
fn schema() -> Schema {
    let columns = [
        ("bo", DataType::BOOLEAN),
        ("ti", DataType::TINYINT),
        ("si", DataType::SMALLINT),
        ("i", DataType::INT),
        ("l", DataType::BIGINT),
        ("f", DataType::FLOAT),
        ("d", DataType::DOUBLE),
        ("s", DataType::STRING),
        ("by", DataType::BYTES),
        ("da", DataType::DATE),
        ("t3", DataType::timestamp(3)),
        ("t6", DataType::timestamp(6)),
        ("z3", DataType::timestamp_ltz(3)),
        ("z6", DataType::timestamp_ltz(6)),
        ("d5", DataType::decimal(5, 2)),
        ("d38", DataType::decimal(38, 10)),
    ];
    let builder = Schema::builder().column("k", DataType::INT.not_null()).primary_key(["k"]).option("bucket", "1");
    columns.into_iter().fold(builder, |builder, (name, kind)| builder.column(name, kind)).build().unwrap()
}

/// Rows whose columns are numbers cast to their types, every fifth of them NULL; keys rise.
struct Rows {
    columns: Vec<ArrayRef>,
    kinds: Int8Array,
}

fn rows(schema: &Schema, count: i32) -> Rows {
    let column = |(at, field): (usize, &crate::schema::Field)| {
        let number = |row: i32| match &field.data_type.kind {
            _ if at == 0 => Some(row),
            _ if (row + at as i32) % 5 == 0 => None,
            TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Decimal { .. } => Some(row % 200 - 100),
            _ => Some((row - 50) * 7919),
        };
        let numbers: ArrayRef = Arc::new(arrow_array::PrimitiveArray::<Int32Type>::from_iter((0..count).map(number)));
        match &field.data_type.kind {
            TypeKind::VarBinary(_) => {
                cast(&cast(&numbers, &lane_type(&TypeKind::STRING)).unwrap(), &lane_type(&field.data_type.kind))
                    .unwrap()
            }
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                let wide = cast(&numbers, &arrow_schema::DataType::Int64).unwrap();
                cast(&wide, &lane_type(&field.data_type.kind)).unwrap()
            }
            kind => cast(&numbers, &lane_type(kind)).unwrap(),
        }
    };
    let columns = schema.fields.iter().enumerate().map(column).collect();
    Rows { columns, kinds: (0..count).map(|row| Some((row % 4) as i8)).collect() }
}

impl Slab for Rows {
    fn rows(&self) -> usize {
        self.kinds.len()
    }

    fn column(&self, source: ColumnSource, rows: Range<usize>) -> Result<ArrayRef> {
        Ok(match source {
            ColumnSource::Value(at) => self.columns[at].slice(rows.start, rows.len()),
            ColumnSource::Kind => Arc::new(self.kinds.slice(rows.start, rows.len())),
            ColumnSource::Sequence => Arc::new(Int64Array::from_iter_values(rows.map(|row| row as i64 + 1000))),
        })
    }
}

fn file_of(schema: &Schema, slabs: &[&Rows], codec: Codec) -> (Vec<u8>, Vec<ColumnStats>) {
    let layout = Arc::new(FileLayout::of(schema, false).unwrap());
    let bounded = vec![true; layout.columns.len()];
    let codec = AvroCodec { codec, zstd_level: 1 };
    let mut writer = AvroWriter::new(layout, codec, "data-0.avro", &bounded, Vec::new()).unwrap();
    slabs.iter().for_each(|slab| writer.write(*slab).unwrap());
    writer.finish().unwrap()
}

fn plan(schema: &Schema, names: &[&str], rows: u64) -> ReadPlan {
    let column = |name: &&str| PlannedColumn {
        name: (*name).to_string(),
        in_file: Some((*name).to_string()),
        data_type: schema
            .fields
            .iter()
            .find(|field| field.name == **name)
            .map_or(DataType::INT, |it| it.data_type.clone()),
    };
    let columns = names.iter().map(column).collect();
    ReadPlan {
        columns,
        start: 0,
        versions: true,
        filter: None,
        masked: None,
        groups: None,
        rows,
        batch_rows: 300,
        window: 1,
        zoned_digits: true,
    }
}

/// Reads a file from a store that holds it, behind other bytes.
async fn read(bytes: Vec<u8>, plan: ReadPlan) -> Result<Vec<FileBatch>> {
    let store = TableStore::memory(&Env::system());
    let size = bytes.len() as u64;
    let bytes = [b"of another".to_vec(), bytes].concat();
    let plan = ReadPlan { start: 10, ..plan };
    store.write("bucket-0/data-0.avro", bytes.into()).await?;
    let runtime = tokio::runtime::Handle::current();
    let read = move || read_file(&store, &runtime, &FileFormat::Avro, ("bucket-0/data-0.avro", size), plan)?.collect();
    tokio::task::spawn_blocking(read).await.unwrap()
}

fn joined(batches: &[FileBatch], column: usize) -> ArrayRef {
    let lanes: Vec<&dyn Array> = batches.iter().map(|batch| batch.columns[column].as_ref()).collect();
    arrow_select::concat::concat(&lanes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_reads_as_it_was_written_with_every_codec() {
    let schema = schema();
    let rows = rows(&schema, 2000);
    for codec in [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Zstandard] {
        let (bytes, _) = file_of(&schema, &[&rows], codec);
        let names: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
        let batches = read(bytes, plan(&schema, &names, 2000)).await.unwrap();
        assert!(batches.iter().all(|batch| batch.rows <= 300) && batches.len() == 7);
        for (at, column) in rows.columns.iter().enumerate() {
            assert_eq!(&joined(&batches, at), column, "{} with {codec:?}", names[at]);
        }
        let sequence: Vec<i64> =
            batches.iter().flat_map(|batch| batch.sequence.as_ref().unwrap().values().to_vec()).collect();
        assert_eq!(sequence, (1000..3000).collect::<Vec<i64>>());
        assert_eq!(batches[0].kinds.as_ref().unwrap().values()[..6], [0, 1, 2, 3, 0, 1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_columns_are_read_and_missing_ones_are_null() {
    let schema = schema();
    let rows = rows(&schema, 1000);
    let (bytes, _) = file_of(&schema, &[&rows, &rows], Codec::Zstandard);
    let batches = read(bytes, plan(&schema, &["d38", "elsewhere", "k"], 2000)).await.unwrap();
    let twice = arrow_select::concat::concat(&[&rows.columns[16], &rows.columns[16]]).unwrap();
    assert_eq!(&joined(&batches, 0), &twice);
    assert_eq!(joined(&batches, 1).null_count(), 2000);
    assert_eq!(joined(&batches, 2).as_primitive::<Int32Type>().value(1999), 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_rows_are_gone() {
    let schema = schema();
    let rows = rows(&schema, 2000);
    let (bytes, _) = file_of(&schema, &[&rows], Codec::Snappy);
    let masked: Vec<u64> = (0..2000).filter(|row| row % 3 == 0 || (400..1200).contains(row)).collect();
    let keep: BooleanArray = (0..2000_u64).map(|row| Some(!masked.contains(&row))).collect();
    let mut vector = DeletionVector::new();
    masked.iter().for_each(|row| drop(vector.mask(*row)));
    let plan = ReadPlan { masked: Some(Arc::new(vector.clone())), ..plan(&schema, &["k", "s"], 2000) };
    let batches = read(bytes.clone(), plan.clone()).await.unwrap();
    for (at, column) in [(0, 0), (1, 8)] {
        assert_eq!(&joined(&batches, at), &filter(&rows.columns[column], &keep).unwrap());
    }
    drop(vector.mask(2000));
    let error = read(bytes, ReadPlan { masked: Some(Arc::new(vector)), ..plan }).await.unwrap_err();
    assert!(error.to_string().contains("masks row 2000 of 2000"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_rows_than_the_manifest_tells_is_an_error() {
    let schema = schema();
    let (bytes, _) = file_of(&schema, &[&rows(&schema, 900)], Codec::Zstandard);
    for told in [0, 899, 901] {
        let error = read(bytes.clone(), plan(&schema, &["k"], told)).await.unwrap_err();
        assert!(matches!(&error, crate::Error::Corrupt { file, .. } if file == "bucket-0/data-0.avro"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cut_file_reads_as_a_whole_one_and_no_flipped_byte_makes_a_panic() {
    let schema = schema();
    let (bytes, _) = file_of(&schema, &[&rows(&schema, 40)], Codec::Deflate);
    let names: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    for length in 0..bytes.len() {
        let cut = read(bytes[..length].to_vec(), plan(&schema, &names, 40)).await;
        assert!(matches!(cut, Err(crate::Error::Corrupt { .. })), "{length}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        // The header's spelling has slack (a record's name, a namespace); nothing else may pass with other values.
        let read = read(damaged, plan(&schema, &names, 40)).await;
        assert!(!matches!(read, Err(crate::Error::Bug(_))), "{at}: {read:?}");
    }
}

#[test]
fn the_columns_of_a_file_tell_their_bounds_and_nulls() {
    let schema = schema();
    let (_, stats) = file_of(&schema, &[&rows(&schema, 10), &rows(&schema, 100)], Codec::Null);
    let of = |name: &str| {
        let at = schema.fields.iter().position(|field| field.name == name).unwrap();
        let found = &stats[at + 3]; // behind the key, the sequence number and the kind
        (found.min.clone(), found.max.clone(), found.null_count)
    };
    assert_eq!(of("k"), (Datum::Int(0), Datum::Int(99), Some(0)));
    assert_eq!(of("ti"), (Datum::TinyInt(-100), Datum::TinyInt(-1), Some(22)));
    let texts: Vec<String> =
        rows(&schema, 100).columns[8].as_string::<i32>().iter().flatten().map(String::from).collect();
    let text = |found: Option<&String>| Datum::String(found.unwrap().clone());
    assert_eq!(of("s"), (text(texts.iter().min()), text(texts.iter().max()), Some(22)));
}

#[test]
fn blocks_are_found_in_any_pieces_and_are_the_pages_of_every_column() {
    let schema = schema();
    let rows = rows(&schema, 3000);
    let (bytes, _) = file_of(&schema, &[&rows], Codec::Zstandard);
    let mut index = AvroIndex::new("f", bytes.len() as u64);
    while let Some(wanted) = index.wanted() {
        index.feed(&bytes[wanted.start as usize..wanted.end as usize]).unwrap();
    }
    let pages = index.finish().unwrap();
    assert_eq!(pages.rows(), 3000);
    assert!(pages.pages().len() > 3);
    for (name, at) in [("k", 0), ("s", 8), ("d38", 16)] {
        let kind = schema.fields[at].data_type.kind.clone();
        let column = PageColumn { leaf: pages.leaf(name).unwrap(), name: name.to_string(), kind };
        let mut next = 0;
        for page in pages.pages() {
            let PageAt { first_row, rows: count, .. } = page;
            assert_eq!(
                (first_row, pages.page_of(first_row), pages.page_of(first_row + count - 1)),
                (next, Some(page), Some(page))
            );
            let range = pages.range(&page).unwrap();
            let piece = bytes[range.start as usize..range.end as usize].to_vec();
            let lane = pages.decode(&column, &page, &[(range.start, piece.into())]).unwrap();
            assert_eq!(&lane, &rows.columns[at].slice(first_row as usize, count as usize));
            next += count;
        }
        assert_eq!((next, pages.page_of(3000).map(|page| page.first_row + page.rows)), (3000, Some(3000)));
        assert!(pages.decode(&column, &pages.pages()[0], &[]).is_err());
    }
}

#[test]
fn columns_that_avro_cannot_hold_are_refused_by_name() {
    let of = |name: &str, data_type| {
        let schema = Schema::builder().column(name, data_type).build().unwrap();
        avro_schema(&FileLayout::of(&schema, false).unwrap())
    };
    assert!(of("_größe1", DataType::timestamp(6)).is_ok());
    for (name, data_type) in [
        ("a", DataType::timestamp(7)),
        ("a", DataType::timestamp_ltz(9)),
        ("1a", DataType::INT),
        ("a b", DataType::INT),
    ] {
        assert!(matches!(of(name, data_type), Err(crate::Error::Unsupported(text)) if text.contains(name)));
    }
}
