//! Files written and read again: every type at its ends, random values of any depth, stripes and codecs; and what is refused.

mod random;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int8Array, Int64Array};
use arrow_select::concat::concat;
use orc_rust::proto::Footer;
use prost::Message;

use super::*;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::files::layout::{ColumnSource, FileLayout};
use crate::files::read_file;
use crate::files::reader::{FileBatch, PlannedColumn, ReadPlan};
use crate::files::writer::Slab;
use crate::format::ColumnStats;
use crate::io::TableStore;
use crate::schema::{FileFormat, Schema, SchemaBuilder};
use crate::types::{DataType, Datum, TypeKind};

const PLAIN: OrcEncoding = OrcEncoding { codec: OrcCodec::None, stripe_bytes: 1 << 20, stripe_rows: u64::MAX };

/// An append table of columns `c0`, `c1`, ..
fn table(types: &[&str]) -> Schema {
    let add = |builder: SchemaBuilder, (at, text): (usize, &&str)| {
        let data_type = text.parse::<DataType>().unwrap_or_else(|error| panic!("{text}: {error}"));
        builder.column(format!("c{at}"), data_type)
    };
    types.iter().enumerate().fold(Schema::builder(), add).build().unwrap()
}

struct Rows(Vec<ArrayRef>);

impl Slab for Rows {
    fn rows(&self) -> usize {
        self.0.first().map_or(0, |column| column.len())
    }

    fn column(&self, source: ColumnSource, rows: Range<usize>) -> Result<ArrayRef> {
        Ok(match source {
            ColumnSource::Value(at) => self.0[at].slice(rows.start, rows.len()),
            ColumnSource::Kind => Arc::new(Int8Array::from_iter_values(rows.map(|row| (row % 4) as i8))),
            ColumnSource::Sequence => Arc::new(Int64Array::from_iter_values(rows.map(|row| row as i64 * 3))),
        })
    }
}

fn lane(data_type: &DataType, values: &[Datum]) -> ArrayRef {
    let lanes: Vec<ArrayRef> = values.iter().map(|value| value.repeat(&data_type.kind, 1).unwrap()).collect();
    concat(&lanes.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap()
}

/// One column of values.
fn rows(schema: &Schema, values: &[Datum]) -> Rows {
    Rows(vec![lane(&schema.fields[0].data_type, values)])
}

fn write(schema: &Schema, encoding: &OrcEncoding, slabs: &[Rows]) -> Result<(Vec<u8>, Vec<ColumnStats>)> {
    let layout = Arc::new(FileLayout::of(schema, false).unwrap());
    let mut writer = OrcWriter::new(layout, encoding.clone(), Vec::new())?;
    for slab in slabs {
        writer.write(slab)?;
        assert!(writer.bytes() >= 3, "what a file begins with counts");
    }
    assert_eq!(writer.rows(), slabs.iter().map(|slab| slab.rows() as u64).sum::<u64>());
    writer.finish()
}

fn footer(bytes: &[u8]) -> Footer {
    let end = bytes.len() - 1 - usize::from(bytes[bytes.len() - 1]);
    let told = orc_rust::proto::PostScript::decode(&bytes[end..bytes.len() - 1]).unwrap();
    Footer::decode(&bytes[end - told.footer_length() as usize..end]).unwrap()
}

async fn read(schema: &Schema, bytes: Vec<u8>, rows: usize) -> Result<Vec<ArrayRef>> {
    let store = TableStore::memory(&Env::system());
    let size = bytes.len() as u64;
    store.write("data-0.orc", bytes.into()).await?;
    let column = |field: &crate::schema::Field| {
        let (name, data_type) = (field.name.clone(), field.data_type.clone());
        PlannedColumn { in_file: Some(name.clone()), name, data_type }
    };
    let plan = ReadPlan {
        start: 0,
        columns: schema.fields.iter().map(column).collect(),
        versions: schema.has_primary_key(),
        filter: None,
        masked: None,
        groups: None,
        rows: rows as u64,
        batch_rows: 777,
        window: 1,
        zoned_digits: true,
    };
    let runtime = tokio::runtime::Handle::current();
    let read = move || -> Result<Vec<FileBatch>> {
        read_file(&store, &runtime, &FileFormat::Orc, ("data-0.orc", size), plan)?.collect()
    };
    let batches = tokio::task::spawn_blocking(read).await.unwrap()?;
    let joined = |at: usize| {
        let lanes: Vec<&dyn Array> = batches.iter().map(|batch| batch.columns[at].as_ref()).collect();
        concat(&lanes).unwrap()
    };
    Ok((0..schema.fields.len()).map(joined).collect())
}

async fn same(schema: &Schema, encoding: &OrcEncoding, slabs: Vec<Rows>, what: &str) {
    let wanted: Vec<ArrayRef> = (0..schema.fields.len())
        .map(|at| concat(&slabs.iter().map(|slab| slab.0[at].as_ref()).collect::<Vec<_>>()).unwrap())
        .collect();
    let (bytes, _) = write(schema, encoding, &slabs).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = read(schema, bytes, wanted[0].len()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    for ((found, wanted), field) in found.iter().zip(&wanted).zip(&schema.fields) {
        assert_eq!(found, wanted, "{what}: {}", field.data_type);
    }
}

fn time(seconds: i64, nanos: i64) -> Datum {
    Datum::Timestamp { millis: seconds * 1000 + nanos / 1_000_000, nanos: (nanos % 1_000_000) as i32 }
}

/// Values at the ends of each type.
fn ends() -> Vec<(&'static str, Vec<Datum>)> {
    let most = 10_i128.pow(38) - 1;
    let millis = |all: &[i64]| all.iter().map(|millis| Datum::Timestamp { millis: *millis, nanos: 0 }).collect();
    let times = vec![
        time(0, 0),
        time(-1, 0),
        time(-1, 999_999),
        time(-2, 1_000_000),
        time(-2, 999_999_999),
        time(-2, 999_999),
        time(1, 1),
        time(1, 120),
        time(1, 1200),
        time(1, 999_999_999),
        time(1, 100_000_000),
        time(-62_135_596_800, 500_000_000),
        time(253_402_300_799, 999_999_999),
    ];
    let micros: Vec<Datum> = [time(-2, 999_999_000), time(-62_135_596_800, 1000), time(5, 10_000)].into();
    vec![
        ("BOOLEAN", vec![Datum::Boolean(true), Datum::Boolean(false)]),
        ("TINYINT", [i8::MIN, -1, 0, 1, i8::MAX].map(Datum::TinyInt).into()),
        ("SMALLINT", [i16::MIN, -1, 0, 1, i16::MAX].map(Datum::SmallInt).into()),
        ("INT", [i32::MIN, -1, 0, 1, i32::MAX].map(Datum::Int).into()),
        ("BIGINT", [i64::MIN, i64::MAX, 0, -1, 1, i64::MAX, i64::MIN, i64::MIN].map(Datum::BigInt).into()),
        ("FLOAT", [f32::MIN, -0.0, 0.0, f32::NAN, f32::INFINITY].map(Datum::Float).into()),
        ("DOUBLE", [f64::MIN, -0.0, 0.0, f64::NAN, f64::NEG_INFINITY].map(Datum::Double).into()),
        ("STRING", ["", "é", "a longer one", "\u{10FFFF}"].map(|it| Datum::String(it.into())).into()),
        ("VARCHAR(3)", ["", "ééé", "abc"].map(|it| Datum::String(it.into())).into()),
        ("CHAR(4)", ["", "é", "abcd"].map(|it| Datum::String(it.into())).into()),
        ("CHAR(1000)", ["", "é", "abcd"].map(|it| Datum::String(it.into())).into()),
        ("BYTES", vec![Datum::Bytes(vec![]), Datum::Bytes(vec![0, 255])]),
        ("BINARY(2)", vec![Datum::Bytes(vec![1, 2])]),
        ("DATE", [i32::MIN, -719_162, 0, 2_932_896].map(Datum::Date).into()),
        ("TIME(3)", [0, 86_399_999].map(Datum::Time).into()),
        ("TIMESTAMP(3)", millis(&[i64::MIN + 1_000_000_000_000, -1001, -1000, 0, 1, i64::MAX])),
        ("TIMESTAMP(6)", micros.clone()),
        ("TIMESTAMP(9)", times.clone()),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", millis(&[-1001, -1000, 0, 1, i64::MAX])),
        ("TIMESTAMP(6) WITH LOCAL TIME ZONE", micros),
        ("TIMESTAMP(9) WITH LOCAL TIME ZONE", times),
        ("DECIMAL(5, 2)", [-99_999, -1, 0, 100, 99_999].map(Datum::Decimal).into()),
        ("DECIMAL(38, 0)", [-most, most, 0, 1, i128::from(i64::MAX) + 1].map(Datum::Decimal).into()),
        ("DECIMAL(38, 38)", [-most, most].map(Datum::Decimal).into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_reads_as_it_was_written_at_its_ends_and_among_nulls() {
    for (text, values) in ends() {
        let schema = table(&[text]);
        let nulls = |count: usize| vec![Datum::Null; count];
        let mixed: Vec<Datum> = values.iter().flat_map(|value| [Datum::Null, value.clone(), value.clone()]).collect();
        let long: Vec<Datum> = values.iter().flat_map(|value| vec![value.clone(); 1100]).collect();
        for values in [values.clone(), mixed.clone(), nulls(5), nulls(2000), long] {
            same(&schema, &PLAIN, vec![rows(&schema, &values)], text).await;
        }
        let slabs = vec![rows(&schema, &mixed), rows(&schema, &values), rows(&schema, &nulls(9))];
        same(&schema, &PLAIN, slabs, text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slab_of_no_rows_changes_nothing_and_a_file_may_have_none() {
    let schema = table(&["BIGINT", "ARRAY<STRING>"]);
    let columns = || {
        schema.fields.iter().map(|field| arrow_array::new_empty_array(&crate::types::lane_type(&field.data_type.kind)))
    };
    let (bytes, _) = write(&schema, &PLAIN, &[Rows(columns().collect())]).unwrap();
    assert_eq!((footer(&bytes).number_of_rows(), footer(&bytes).stripes.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_of_every_shape_come_back() {
    type Shape = (&'static str, fn(i64) -> i64);
    let shapes: Vec<Shape> = vec![
        ("one value", |_| 7),
        ("rising", |row| row * 3 - 1000),
        ("falling", |row| 1000 - row * 3),
        ("rising by more and more", |row| row * row),
        ("falling by more and more", |row| -row * row * row),
        ("rising by one bit", |row| row + row / 2),
        ("resting, then rising", |row| (row.max(1) - 1) * 3),
        ("resting first", |row| if row < 2 { 5 } else { -row }),
        ("runs of all lengths", |row| ((row as f64) * 2.0).sqrt() as i64),
        ("far away", |row| if row % 2 == 0 { i64::MIN + row } else { i64::MAX - row }),
        ("steps of an end", |row| if row % 3 == 0 { i64::MAX } else { 0 }),
        ("bits", |row| (row.wrapping_mul(0x5851_F42D_4C95_7F2D) >> 60) & 1),
        ("widths", |row| (row.wrapping_mul(0x5851_F42D_4C95_7F2D)) >> (row % 64)),
        ("short repeats", |row| row / 5 * 1_000_003),
        ("repeats among others", |row| if row % 40 < 12 { 4 } else { row * 77 % 1000 }),
    ];
    let schema = table(&["BIGINT", "BIGINT"]);
    for (what, value) in shapes {
        let numbers = |count: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..count).map(value))) };
        let gaps = |count: i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter((0..count).map(|row| (row % 7 != 0).then(|| value(row)))))
        };
        let slabs = [1, 2, 3, 511, 512, 513, 1500].map(|count| Rows(vec![numbers(count), gaps(count)]));
        same(&schema, &PLAIN, slabs.into(), what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_end_at_their_size_and_at_their_rows_with_every_codec() {
    let schema = table(&["BIGINT", "STRING", "ARRAY<INT>", "BOOLEAN"]);
    let of = |row: usize| -> Vec<Datum> {
        let number = (row as i64).wrapping_mul(0x5851_F42D_4C95_7F2D);
        let text = Datum::String(format!("{number:x}").repeat(row % 9));
        let array = Datum::Array(vec![Datum::Int(row as i32); row % 4]);
        vec![
            Datum::BigInt(number),
            text,
            if row.is_multiple_of(11) { Datum::Null } else { array },
            Datum::Boolean(row.is_multiple_of(3)),
        ]
    };
    let all: Vec<Vec<Datum>> = (0..30_000).map(of).collect();
    let column = |at: usize| {
        let values: Vec<Datum> = all.iter().map(|row| row[at].clone()).collect();
        lane(&schema.fields[at].data_type, &values)
    };
    let columns: Vec<ArrayRef> = (0..4).map(column).collect();
    let codecs =
        [OrcCodec::None, OrcCodec::Zlib, OrcCodec::Snappy, OrcCodec::Lz4, OrcCodec::Zstd(1), OrcCodec::Zstd(19)];
    let mut sizes = Vec::new();
    for codec in codecs {
        for (stripe_bytes, stripe_rows) in
            [(300_000, u64::MAX), (usize::MAX, 7000), (usize::MAX, u64::MAX), (1, 100_000)]
        {
            let encoding = OrcEncoding { codec, stripe_bytes, stripe_rows };
            let slabs = || {
                vec![
                    Rows(columns.iter().map(|it| it.slice(0, 9000)).collect()),
                    Rows(columns.iter().map(|it| it.slice(9000, 21_000)).collect()),
                ]
            };
            same(&schema, &encoding, slabs(), &format!("{encoding:?}")).await;
            let (bytes, _) = write(&schema, &encoding, &slabs()).unwrap();
            if codec == OrcCodec::None {
                let rows: Vec<u64> = footer(&bytes).stripes.iter().map(|stripe| stripe.number_of_rows()).collect();
                match (stripe_bytes, stripe_rows) {
                    (_, 7000) => assert_eq!(rows, [7000, 7000, 7000, 7000, 2000]),
                    (1, _) => assert_eq!(rows, [4096, 4096, 808, 4096, 4096, 4096, 4096, 4096, 520]),
                    (300_000, _) => assert!((3..12).contains(&rows.len()), "{rows:?}"),
                    _ => assert_eq!(rows, [30_000]),
                }
            }
            sizes.push(bytes.len());
        }
    }
    assert!(sizes[4..].iter().all(|size| *size < sizes[2]), "compressed files are smaller: {sizes:?}");
}

#[test]
fn types_have_ids_and_lengths_as_java_notes_them() {
    let text = "ROW<x VARCHAR(7), y MAP<CHAR(2), ARRAY<DECIMAL(9, 2)>>>";
    let schema = table(&["BIGINT", text, "MULTISET<STRING>", "VARBINARY(3)"]);
    let layout = FileLayout::of(&schema, false).unwrap();
    let types = orc_types(&layout).unwrap();
    let spelled = |at: &orc_rust::proto::Type| {
        let id = at.attributes.first().map_or("-", |it| it.value());
        let size = (at.maximum_length, at.precision, at.scale);
        format!("{} {id} {:?} {:?} {size:?}", at.kind().as_str_name(), at.field_names, at.subtypes)
    };
    let found: Vec<String> = types.iter().map(spelled).collect();
    let field = |at: usize| schema.fields[at].id;
    let inner = |at: usize| match &schema.fields[1].data_type.kind {
        TypeKind::Row(fields) => fields[at].id,
        other => panic!("{other}"),
    };
    let below = |id: i32, depth: i32| (536_870_911 + 1024 * id + depth, 536_870_911 - 1024 * id - depth);
    let wanted = [
        r#"STRUCT - ["c0", "c1", "c2", "c3"] [1, 2, 8, 11] (None, None, None)"#.to_string(),
        format!("LONG {} [] [] (None, None, None)", field(0)),
        format!(r#"STRUCT {} ["x", "y"] [3, 4] (None, None, None)"#, field(1)),
        format!("VARCHAR {} [] [] (Some(7), None, None)", inner(0)),
        format!("MAP {} [] [5, 6] (None, None, None)", inner(1)),
        format!("CHAR {} [] [] (Some(2), None, None)", below(inner(1), 1).1),
        format!("LIST {} [] [7] (None, None, None)", below(inner(1), 1).0),
        format!("DECIMAL {} [] [] (None, Some(9), Some(2))", below(inner(1), 2).0),
        format!("MAP {} [] [9, 10] (None, None, None)", field(2)),
        format!("STRING {} [] [] (None, None, None)", below(field(2), 1).1),
        format!("INT {} [] [] (None, None, None)", below(field(2), 1).0),
        format!("BINARY {} [] [] (None, None, None)", field(3)),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn footers_and_entries_tell_what_java_s_tell() {
    let schema = table(&["INT", "STRING", "DECIMAL(9, 2)", "DOUBLE", "BYTES", "ARRAY<INT>", "TIMESTAMP(9)", "DOUBLE"]);
    let columns = [
        vec![Datum::Int(5), Datum::Null, Datum::Int(-3)],
        vec![Datum::String("b".into()), Datum::String("a".into()), Datum::Null],
        vec![Datum::Decimal(150), Datum::Decimal(-7), Datum::Decimal(0)],
        vec![Datum::Double(1.5), Datum::Double(-0.0), Datum::Null],
        vec![Datum::Bytes(vec![1]), Datum::Null, Datum::Null],
        vec![Datum::Array(vec![Datum::Int(1), Datum::Null]), Datum::Null, Datum::Array(vec![])],
        vec![time(5, 1), time(-7, 0), Datum::Null],
        vec![Datum::Double(1.5), Datum::Double(f64::NAN), Datum::Null],
    ];
    let lanes = columns.iter().zip(&schema.fields).map(|(values, field)| lane(&field.data_type, values)).collect();
    let (bytes, stats) = write(&schema, &PLAIN, &[Rows(lanes)]).unwrap();
    let told = footer(&bytes).statistics;
    assert_eq!(told.len(), 10, "the root, eight columns and an element");
    assert_eq!((told[1].number_of_values(), told[1].has_null()), (2, true));
    let ints = told[1].int_statistics.as_ref().unwrap();
    assert_eq!((ints.minimum(), ints.maximum(), ints.sum), (-3, 5, None));
    let texts = told[2].string_statistics.as_ref().unwrap();
    assert_eq!((texts.minimum(), texts.maximum()), ("a", "b"));
    let decimals = told[3].decimal_statistics.as_ref().unwrap();
    assert_eq!((decimals.minimum(), decimals.maximum()), ("-0.07", "1.50"));
    assert_eq!((told[3].number_of_values(), told[3].has_null()), (3, false));
    assert_eq!(told[4].double_statistics.as_ref().unwrap().maximum(), 1.5);
    assert_eq!((told[6].number_of_values(), told[7].number_of_values(), told[7].has_null()), (2, 1, true));
    assert!(told[8].timestamp_statistics.is_none() && told[9].double_statistics.is_none());
    let bounds = |at: usize| (stats[at].min.clone(), stats[at].max.clone(), stats[at].null_count);
    assert_eq!(bounds(0), (Datum::Int(-3), Datum::Int(5), Some(1)));
    assert_eq!(bounds(4), (Datum::Null, Datum::Null, Some(2)));
    assert_eq!(bounds(5), (Datum::Null, Datum::Null, Some(1)));
    assert_eq!(bounds(6), (time(-7, 0), time(5, 1), Some(1)));
    let long = rows(&table(&["STRING"]), &[Datum::String("x".repeat(2000))]);
    let (bytes, stats) = write(&table(&["STRING"]), &PLAIN, &[long]).unwrap();
    assert!(footer(&bytes).statistics[1].string_statistics.is_none());
    assert_eq!((&stats[0].min, stats[0].null_count), (&Datum::Null, Some(0)));
}

#[test]
fn what_no_reader_would_give_back_is_refused_by_name() {
    let text = |text: &str| Datum::String(text.into());
    for (of, value, why) in [
        ("TIMESTAMP(3)", time(-1, 1_000_000), "ORC-763"),
        ("TIMESTAMP(9) WITH LOCAL TIME ZONE", time(-1, 999_999_999), "ORC-763"),
        ("TIMESTAMP(3)", Datum::Timestamp { millis: -1, nanos: 0 }, "ORC-763"),
        ("VARCHAR(2)", text("abc"), "a text of 3 characters"),
        ("CHAR(2)", text("éab"), "a text of 3 characters"),
        ("ARRAY<VARCHAR(2)>", Datum::Array(vec![text("abc")]), "a text of 3 characters"),
        ("INT NOT NULL", Datum::Null, "NOT NULL"),
    ] {
        let schema = table(&[of]);
        let error = write(&schema, &PLAIN, &[rows(&schema, &[value])]).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::Invalid(_) | Error::Unsupported(_)), "{of}: {error}");
        assert!(error.to_string().contains(why) && error.to_string().contains("c0"), "{of}: {error}");
    }
    let variant = FileLayout::of(&table(&["ARRAY<VARIANT>"]), false).unwrap();
    let error = orc_types(&variant).unwrap_err();
    assert!(matches!(&error, Error::Unsupported(text) if text.contains("c0") && text.contains("VARIANT")), "{error}");
}

/// Trailing blanks of CHAR are no part of a value, so that a key may have none.
#[tokio::test(flavor = "multi_thread")]
async fn blanks_at_the_end_of_a_char_are_cut_off_and_refused_in_keys() {
    let schema = table(&["CHAR(5)"]);
    let blanks = rows(&schema, &[Datum::String("ab  ".into()), Datum::String("   ".into())]);
    let (bytes, stats) = write(&schema, &PLAIN, &[blanks]).unwrap();
    assert_eq!((&stats[0].min, &stats[0].max), (&Datum::String(String::new()), &Datum::String("ab".into())));
    let found = read(&schema, bytes, 2).await.unwrap();
    let wanted = rows(&schema, &[Datum::String("ab".into()), Datum::String(String::new())]);
    assert_eq!(&found[0], &wanted.0[0]);
    let keyed = Schema::builder().column("k", "CHAR(5) NOT NULL".parse::<DataType>().unwrap()).primary_key(["k"]);
    let keyed = keyed.option("bucket", "1").build().unwrap();
    let error = write(&keyed, &PLAIN, &[rows(&keyed, &[Datum::String("a ".into())])]).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("_KEY_k") && error.to_string().contains("blank"), "{error}");
    let (bytes, _) = write(&keyed, &PLAIN, &[rows(&keyed, &[Datum::String("a".into())])]).unwrap();
    assert_eq!(read(&keyed, bytes, 1).await.unwrap()[0].len(), 1);
}
