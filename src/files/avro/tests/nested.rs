//! Nested columns: the schema they have, values of any depth, files of older schemas, and bytes that are none.

use super::*;
use crate::format::avro::{Encoder, container_header};
use crate::schema::SchemaBuilder;

fn table(columns: &[(&str, &str)]) -> Schema {
    let add = |builder: SchemaBuilder, (name, text): &(&str, &str)| {
        builder.column(*name, text.parse::<DataType>().unwrap_or_else(|error| panic!("{text}: {error}")))
    };
    columns.iter().fold(Schema::builder().column("k", DataType::INT.not_null()), add).build().unwrap()
}

fn schema_of(columns: &[(&str, &str)]) -> Result<String> {
    avro_schema(&FileLayout::of(&table(columns), false).unwrap())
}

fn lane(data_type: &DataType, values: &[Datum]) -> ArrayRef {
    let lanes: Vec<ArrayRef> = values.iter().map(|value| value.repeat(&data_type.kind, 1).unwrap()).collect();
    arrow_select::concat::concat(&lanes.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap()
}

/// A slab of a key and other columns.
fn slab(columns: Vec<ArrayRef>) -> Rows {
    let count = columns[0].len();
    let keys: ArrayRef = Arc::new(arrow_array::PrimitiveArray::<Int32Type>::from_iter_values(0..count as i32));
    Rows { columns: [vec![keys], columns].concat(), kinds: (0..count).map(|_| Some(0)).collect() }
}

fn append_plan(schema: &Schema, names: &[&str], rows: u64) -> ReadPlan {
    ReadPlan { versions: false, ..plan(schema, names, rows) }
}

/// One column of every shape.
fn shapes() -> Schema {
    table(&[
        ("a", "ARRAY<INT>"),
        ("n", "ARRAY<ARRAY<STRING NOT NULL> NOT NULL>"),
        ("m", "MAP<STRING, BIGINT NOT NULL>"),
        ("mi", "MAP<INT, ARRAY<TIMESTAMP(6)>>"),
        ("u", "MULTISET<STRING>"),
        ("ud", "MULTISET<DECIMAL(9, 2) NOT NULL>"),
        ("r", "ROW<x INT NOT NULL, y ROW<z BYTES, w MAP<STRING NOT NULL, ROW<q DOUBLE>>> NOT NULL>"),
        ("d", "ARRAY<MAP<DATE, ROW<l ARRAY<ROW<t TIME(3), s STRING>>>>>"),
    ])
}

fn value(kind: &TypeKind, seed: usize) -> Datum {
    let cell = |data_type: &DataType, seed: usize| match data_type.nullable && seed % 4 == 3 {
        true => Datum::Null,
        false => value(&data_type.kind, seed),
    };
    let count = seed % 4;
    match kind {
        TypeKind::Array(element) => Datum::Array((0..count).map(|at| cell(element, seed / 2 + at)).collect()),
        TypeKind::Map(map) => {
            let pair = |at| (value(&map.key.kind, 4 * at), cell(&map.value, seed / 3 + at));
            Datum::Map((0..count).map(pair).collect())
        }
        TypeKind::Multiset(element) => {
            Datum::Map((0..count).map(|at| (value(&element.kind, at), Datum::Int(1 + at as i32))).collect())
        }
        TypeKind::Row(fields) => {
            let fields = fields.iter().enumerate();
            Datum::Row(fields.map(|(at, field)| cell(&field.data_type, seed + at)).collect())
        }
        TypeKind::Int => Datum::Int(seed as i32 * 7919 - 40),
        TypeKind::BigInt => Datum::BigInt(seed as i64 - 3),
        TypeKind::Double => Datum::Double(seed as f64 / 4.0),
        TypeKind::Decimal { .. } => Datum::Decimal(seed as i128 * 100 - 150),
        TypeKind::Date => Datum::Date(seed as i32 - 10),
        TypeKind::Time(_) => Datum::Time(seed as i32),
        TypeKind::Timestamp(_) => Datum::Timestamp { millis: seed as i64 - 5, nanos: 7000 },
        TypeKind::VarBinary(_) => Datum::Bytes(vec![seed as u8; seed % 5]),
        _ => Datum::String("é".repeat(seed % 6) + &seed.to_string()),
    }
}

fn shaped(schema: &Schema, rows: usize) -> Rows {
    let column = |field: &crate::schema::Field| {
        let cell = |row| if row % 7 == 5 { Datum::Null } else { value(&field.data_type.kind, row) };
        lane(&field.data_type, &(0..rows).map(cell).collect::<Vec<_>>())
    };
    slab(schema.fields[1..].iter().map(column).collect())
}

#[test]
fn nested_types_are_spelled_as_java_spells_them() {
    let found = schema_of(&[
        ("ar", "ARRAY<INT>"),
        ("m", "MAP<STRING, BIGINT>"),
        ("mi", "MAP<INT NOT NULL, ROW<a INT>>"),
        ("ms", "MULTISET<STRING>"),
        ("md", "MULTISET<DATE>"),
        ("r", "ROW<a INT, b ARRAY<ROW<c STRING NOT NULL>> NOT NULL>"),
    ]);
    let wanted = [
        r#"{"type":"record","name":"record","namespace":"org.apache.paimon.avro.generated","fields":["#,
        r#"{"name":"k","type":"int"},"#,
        r#"{"name":"ar","type":["null",{"type":"array","items":["null","int"]}],"default":null},"#,
        r#"{"name":"m","type":["null",{"type":"map","values":["null","long"]}],"default":null},"#,
        r#"{"name":"mi","type":["null",{"type":"array","items":{"type":"record","name":"record_mi","fields":["#,
        r#"{"name":"key","type":"int"},{"name":"value","type":["null",{"type":"record","name":"record_mi_value","#,
        r#""fields":[{"name":"a","type":["null","int"],"default":null}]}],"default":null}]},"logicalType":"map"}],"#,
        r#""default":null},"#,
        r#"{"name":"ms","type":["null",{"type":"map","values":["null","int"]}],"default":null},"#,
        r#"{"name":"md","type":["null",{"type":"array","items":{"type":"record","name":"record_md","fields":["#,
        r#"{"name":"key","type":["null",{"type":"int","logicalType":"date"}]},"#,
        r#"{"name":"value","type":["null","int"],"default":null}]},"logicalType":"map"}],"default":null},"#,
        r#"{"name":"r","type":["null",{"type":"record","name":"record_r","fields":["#,
        r#"{"name":"a","type":["null","int"],"default":null},{"name":"b","type":{"type":"array","items":["null","#,
        r#"{"type":"record","name":"record_r_b","fields":[{"name":"c","type":"string"}]}]}}]}],"default":null}]}"#,
    ];
    assert_eq!(found.unwrap(), wanted.concat());
}

#[test]
fn two_paths_of_one_name_share_an_equal_record_and_others_are_refused() {
    let shared = schema_of(&[("a", "ROW<b ROW<x INT>>"), ("a_b", "ROW<x INT> NOT NULL")]).unwrap();
    assert!(shared.ends_with(r#"{"name":"a_b","type":"record_a_b"}]}"#), "{shared}");
    crate::format::avro::Schema::parse(shared.as_bytes()).unwrap();
    let error = schema_of(&[("a", "ROW<b ROW<x INT>>"), ("a_b", "ROW<x BIGINT>")]).unwrap_err();
    assert!(matches!(&error, crate::Error::Unsupported(text) if text.contains("record_a_b")), "{error}");
}

#[test]
fn parts_that_avro_cannot_hold_are_refused_by_the_name_of_their_column() {
    let deep = |levels: usize| format!("{}INT{}", "ARRAY<".repeat(levels), ">".repeat(levels));
    let text = schema_of(&[("c", &deep(55))]).unwrap();
    crate::format::avro::Schema::parse(text.as_bytes()).unwrap();
    for part in ["ARRAY<TIMESTAMP(7)>", "MAP<INT, ROW<t TIME(4)>>", "ROW<`two words` INT>", &deep(80)] {
        let error = schema_of(&[("c", part)]).unwrap_err();
        assert!(matches!(&error, crate::Error::Unsupported(text) if text.contains("column \"c\"")), "{part}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_values_read_as_they_were_written() {
    let schema = shapes();
    let rows = shaped(&schema, 700);
    let (bytes, stats) = file_of(&schema, &[&rows, &rows], Codec::Zstandard);
    let names: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    let batches = read(bytes.clone(), append_plan(&schema, &names, 1400)).await.unwrap();
    for (at, column) in rows.columns.iter().enumerate() {
        let twice = arrow_select::concat::concat(&[column, column]).unwrap();
        assert_eq!(&joined(&batches, at), &twice, "{}", names[at]);
    }
    assert_eq!((&stats[1].min, stats[1].null_count), (&Datum::Null, Some(200)));
    // Columns that are not wanted are passed over.
    let batches = read(bytes, append_plan(&schema, &["d", "k"], 1400)).await.unwrap();
    assert_eq!(joined(&batches, 0).slice(700, 700).as_ref(), rows.columns[8].as_ref());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_of_a_lane_is_written_as_it_stands() {
    let schema = shapes();
    let rows = shaped(&schema, 60);
    let part = Rows {
        columns: rows.columns.iter().map(|column| column.slice(13, 30)).collect(),
        kinds: rows.kinds.slice(13, 30),
    };
    let (bytes, _) = file_of(&schema, &[&part], Codec::Null);
    let names: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    let batches = read(bytes, append_plan(&schema, &names, 30)).await.unwrap();
    for (at, column) in part.columns.iter().enumerate() {
        assert_eq!(&joined(&batches, at), column, "{}", names[at]);
    }
}

#[test]
fn pages_give_nested_columns_too() {
    let schema = shapes();
    let rows = shaped(&schema, 3000);
    let (bytes, _) = file_of(&schema, &[&rows], Codec::Snappy);
    let mut index = AvroIndex::new("f", bytes.len() as u64);
    while let Some(wanted) = index.wanted() {
        index.feed(&bytes[wanted.start as usize..wanted.end as usize]).unwrap();
    }
    let pages = index.finish().unwrap();
    assert!(pages.pages().len() > 3);
    for (at, field) in schema.fields.iter().enumerate() {
        let leaf = pages.leaf(&field.name).unwrap();
        let column = PageColumn { leaf, name: field.name.clone(), kind: field.data_type.kind.clone() };
        for page in pages.pages() {
            let range = pages.range(&page).unwrap();
            let piece = bytes[range.start as usize..range.end as usize].to_vec();
            let found = pages.decode(&column, &page, &[(range.start, piece.into())]).unwrap();
            assert_eq!(&found, &rows.columns[at].slice(page.first_row as usize, page.rows as usize));
        }
    }
}

/// A file of a schema that no writer of ours makes, with one block.
fn foreign(fields: &str, rows: i64, records: &[u8]) -> Vec<u8> {
    let schema = format!(r#"{{"type":"record","name":"record","fields":[{fields}]}}"#);
    let mut file = Encoder { out: container_header(&schema, Codec::Null) };
    file.out.extend_from_slice(&[7; 16]);
    file.long(rows);
    file.bytes(records);
    file.out.extend_from_slice(&[7; 16]);
    file.out
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_records_are_found_by_name() {
    // Other fields between them, another order, unions the other way round, and lists of several blocks with a size.
    let row = r#"{"type":"record","name":"r","fields":[{"name":"z","type":"string"},{"name":"b","type":["string","null"]},
        {"name":"a","type":"int"}]}"#;
    let entry = r#"{"type":"record","name":"e","fields":[{"name":"value","type":"long"},{"name":"key","type":"int"}]}"#;
    let fields = format!(
        r#"{{"name":"r","type":{row}}},{{"name":"m","type":{{"type":"array","items":{entry}}}}},
        {{"name":"l","type":{{"type":"array","items":"int"}}}}"#
    );
    let mut record = Encoder::default();
    record.text("passed over");
    record.long(0);
    record.text("b");
    record.long(-5);
    for (value, key) in [(10, 1), (20, 2)] {
        [1, value, key].into_iter().for_each(|number| record.long(number)); // a block for each entry
    }
    record.long(0);
    [-2, 2, 3, 4, 0].into_iter().for_each(|number| record.long(number)); // two items in two bytes
    let schema = table(&[("r", "ROW<a INT, b STRING, c ARRAY<INT>>"), ("m", "MAP<INT, BIGINT>"), ("l", "ARRAY<INT>")]);
    let bytes = foreign(&fields, 1, &record.out);
    let batches = read(bytes, append_plan(&schema, &["r", "m", "l"], 1)).await.unwrap();
    let wanted = [
        Datum::Row(vec![Datum::Int(-5), Datum::String("b".to_string()), Datum::Null]),
        Datum::Map(vec![(Datum::Int(1), Datum::BigInt(10)), (Datum::Int(2), Datum::BigInt(20))]),
        Datum::Array(vec![Datum::Int(3), Datum::Int(4)]),
    ];
    for (at, wanted) in wanted.iter().enumerate() {
        assert_eq!(&joined(&batches, at), &lane(&schema.fields[at + 1].data_type, std::slice::from_ref(wanted)));
    }
}

async fn refusal(column: &str, stored: &str, record: &[i64]) -> crate::Error {
    let mut encoder = Encoder::default();
    record.iter().for_each(|number| encoder.long(*number));
    let bytes = foreign(&format!(r#"{{"name":"c","type":{stored}}}"#), 1, &encoder.out);
    let schema = table(&[("c", column)]);
    match read(bytes, append_plan(&schema, &["c"], 1)).await {
        Ok(_) => panic!("{stored} was read as {column}"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_value_of_a_nested_column_is_a_typed_error() {
    let entry = |key: &str| {
        let fields = format!(r#"[{{"name":"key","type":{key}}},{{"name":"value","type":"int"}}]"#);
        format!(r#"{{"type":"array","items":{{"type":"record","name":"e","fields":{fields}}}}}"#)
    };
    let ints = r#"{"type":"array","items":"int"}"#;
    let none = r#"{"type":"array","items":{"type":"record","name":"e","fields":[]}}"#;
    let twice = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#;
    let lone = r#"{"type":"record","name":"r","fields":[{"name":"b","type":"int"}]}"#;
    let itself = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"r"}]}"#;
    for (column, stored, record) in [
        ("ARRAY<INT>", r#""int""#, &[0][..]),
        ("ARRAY<STRING>", ints, &[0]),
        ("MAP<INT, INT>", r#"{"type":"map","values":"int"}"#, &[0]),
        ("MAP<STRING, INT>", ints, &[0]),
        ("MAP<INT, INT>", &lone.replace('b', "key"), &[0]),
        ("ROW<a INT>", twice, &[1, 2]),
        ("ROW<a INT NOT NULL>", lone, &[1]),
        ("ROW<a ROW<a ROW<a INT>>>", itself, &[1]),
        ("ARRAY<INT>", ints, &[1 << 40]),
        ("ARRAY<INT>", ints, &[i64::MIN]),
        ("ARRAY<INT>", ints, &[1, 2]),
        ("ARRAY<INT>", ints, &[1, 1 << 40, 0]),
        ("ARRAY<INT NOT NULL>", r#"{"type":"array","items":["null","int"]}"#, &[1, 0, 0]),
        ("ARRAY<ROW<a INT>>", none, &[1, 0]),
        ("MULTISET<INT>", &entry(r#""string""#), &[0]),
        ("ARRAY<INT>", r#"["null",{"type":"array","items":"int"}]"#, &[2]),
    ] {
        let error = refusal(column, stored, record).await;
        assert!(matches!(error, crate::Error::Corrupt { .. }), "{column} as {stored}: {error}");
    }
    let error = refusal("MAP<INT, INT>", &entry(r#"["null","int"]"#), &[1, 0, 5, 0]).await;
    assert!(matches!(&error, crate::Error::Unsupported(text) if text.contains("key that is NULL")), "{error}");
}

/// An item of one byte that stands for a row of many fields.
#[tokio::test(flavor = "multi_thread")]
async fn few_bytes_cannot_ask_for_any_memory() {
    let names: Vec<String> = (0..3000).map(|at| format!("f{at}")).collect();
    let field = |name: &String| format!(r#"{{"name":"{name}","type":["null","int"]}}"#);
    let fields: Vec<String> = names.iter().map(field).collect();
    let row = format!(r#"{{"type":"record","name":"r","fields":[{}]}}"#, fields.join(","));
    let stored = format!(r#"{{"name":"c","type":{{"type":"array","items":["null",{row}]}}}}"#);
    let mut record = Encoder::default();
    record.long(100_000);
    record.out.resize(record.out.len() + 100_000, 0);
    record.long(0);
    let data_type = DataType::array(DataType::row(names.into_iter().map(|name| (name, DataType::INT))));
    let schema = Schema::builder().column("c", data_type).build().unwrap();
    let error = read(foreign(&stored, 1, &record.out), append_plan(&schema, &["c"], 1)).await.unwrap_err();
    assert!(matches!(error, crate::Error::Exhausted(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_flipped_byte_of_nested_columns_makes_a_panic() {
    let schema = shapes();
    let (bytes, _) = file_of(&schema, &[&shaped(&schema, 8)], Codec::Null);
    let names: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
    for flip in [0x41, 0x80] {
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            let read = read(damaged, append_plan(&schema, &names, 8)).await;
            assert!(!matches!(read, Err(crate::Error::Bug(_))), "{at}: {read:?}");
        }
    }
    for length in 0..bytes.len() {
        let cut = read(bytes[..length].to_vec(), append_plan(&schema, &names, 8)).await;
        assert!(matches!(cut, Err(crate::Error::Corrupt { .. })), "{length}");
    }
}

#[test]
fn a_value_that_is_missing_where_none_may_be_is_refused_before_it_is_written() {
    let schema = shapes();
    let layout = Arc::new(FileLayout::of(&schema, false).unwrap());
    let codec = AvroCodec { codec: Codec::Null, zstd_level: 1 };
    let bounded = vec![false; layout.columns.len()];
    let mut writer = AvroWriter::new(layout, codec, "f", &bounded, Vec::new()).unwrap();
    let mut rows = shaped(&schema, 12);
    rows.columns[0] = arrow_array::new_null_array(&arrow_schema::DataType::Int32, 12);
    assert!(matches!(writer.write(&rows), Err(crate::Error::Invalid(text)) if text.contains("column k")));
}
