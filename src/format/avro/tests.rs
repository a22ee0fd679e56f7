use super::*;
use crate::error::{Error, Result};

const SCHEMA: &str =
    r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}"#;

/// A container with any schema: what a foreign writer may have made.
fn container(schema: &str, codec: Codec, records: &[Vec<u8>]) -> Vec<u8> {
    let schema: &'static str = schema.to_string().leak();
    let mut writer = ContainerWriter::new(schema, codec);
    for record in records {
        writer.record(|encoder| encoder.out.extend_from_slice(record)).unwrap();
    }
    writer.finish().unwrap().to_vec()
}

fn record(write: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut encoder = Encoder::default();
    write(&mut encoder);
    encoder.out
}

/// Reads fields `a` and `b` of every record.
fn read(bytes: &[u8]) -> Result<Vec<(Option<i64>, Option<String>)>> {
    let container = Container::open(bytes)?;
    let (root, _) = container.schema.root()?;
    let plan = container.schema.record(root, "r", &["a", "b"])?;
    let mut rows = Vec::new();
    container.read(|cursor, _| {
        let (mut a, mut b) = (None, None);
        for (slot, node) in &plan.steps {
            match slot {
                Some(0) => a = cursor.number(*node)?,
                Some(_) => b = cursor.text(*node)?.map(str::to_string),
                None => cursor.skip(*node)?,
            }
        }
        rows.push((a, b));
        Ok(())
    })?;
    Ok(rows)
}

fn corrupt_text(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(Error::Corrupt { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_codec_reads_what_it_wrote() {
    let records: Vec<_> = (0..5000i64)
        .map(|at| {
            record(|encoder| {
                encoder.long(at - 2500);
                encoder.text(&format!("text {at} text {at} text"));
            })
        })
        .collect();
    for codec in [Codec::Null, Codec::Deflate, Codec::Snappy, Codec::Zstandard] {
        let bytes = container(SCHEMA, codec, &records);
        let rows = read(&bytes).unwrap();
        assert_eq!(rows.len(), 5000);
        assert_eq!(rows[4999], (Some(2499), Some("text 4999 text 4999 text".to_string())), "{codec:?}");
        assert_eq!(bytes, container(SCHEMA, codec, &records), "equal records give equal bytes");
    }
    assert_eq!(read(&container(SCHEMA, Codec::Zstandard, &[])).unwrap(), []);
}

#[test]
fn fields_are_found_by_name_and_unknown_ones_passed_over() {
    let schema = r#"{"type":"record","name":"r","fields":[
        {"name":"x","type":{"type":"map","values":{"type":"array","items":["null","double"]}}},
        {"name":"b","type":["null","string"]},
        {"name":"y","type":{"type":"fixed","name":"f","size":3}},
        {"name":"e","type":{"type":"enum","name":"g","symbols":["A"]}},
        {"name":"z","type":{"type":"record","name":"s","fields":[{"name":"q","type":"boolean"},{"name":"w","type":"float"}]}},
        {"name":"a","type":"int"}]}"#;
    let record = record(|encoder| {
        // A map in a block with its size, then one without.
        encoder.long(-1);
        encoder.long(13);
        encoder.text("k");
        encoder.long(1);
        encoder.long(1);
        encoder.out.extend_from_slice(&1.5f64.to_le_bytes());
        encoder.long(0);
        encoder.long(1);
        encoder.text("");
        encoder.long(2);
        encoder.long(0);
        encoder.long(0);
        encoder.long(0);
        encoder.long(0);
        encoder.long(1);
        encoder.text("here");
        encoder.out.extend_from_slice(&[1, 2, 3]);
        encoder.long(0);
        encoder.out.push(1);
        encoder.out.extend_from_slice(&2.5f32.to_le_bytes());
        encoder.long(-7);
    });
    let bytes = container(schema, Codec::Null, &[record]);
    assert_eq!(read(&bytes).unwrap(), [(Some(-7), Some("here".to_string()))]);
}

#[test]
fn the_root_may_be_a_union_with_null_and_a_missing_field_is_none() {
    let schema = r#"["null",{"type":"record","name":"r","fields":[{"name":"a","type":["null","long"]}]}]"#;
    let present = record(|encoder| {
        encoder.long(1);
        encoder.long(1);
        encoder.long(5);
    });
    assert_eq!(read(&container(schema, Codec::Null, &[present])).unwrap(), [(Some(5), None)]);
    let null = record(|encoder| encoder.long(0));
    assert!(corrupt_text(&container(schema, Codec::Null, &[null])).contains("null"));
}

#[test]
fn numbers_take_one_to_ten_bytes() {
    for number in [0, -1, 1, 63, -64, 64, i64::from(i32::MAX), i64::MAX, i64::MIN] {
        let bytes = record(|encoder| encoder.long(number));
        let schema = Schema::parse(b"\"long\"").unwrap();
        let mut cursor = Cursor::new(&schema, &bytes);
        assert_eq!(cursor.long().unwrap(), number);
        assert!(cursor.is_empty());
    }
    let schema = Schema::parse(b"\"long\"").unwrap();
    for endless in
        [&[0x80; 10][..], &[0xff; 20], &[0x80, 0x80], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
    {
        assert!(Cursor::new(&schema, endless).long().is_err());
    }
}

#[test]
fn lists_and_lengths_are_checked_before_memory_is_taken() {
    let lists = r#"{"type":"record","name":"r","fields":[{"name":"l","type":{"type":"array","items":"null"}}]}"#;
    let endless = record(|encoder| (0..1000).for_each(|_| encoder.long(500)));
    let what = corrupt_text(&container(lists, Codec::Null, &[endless]));
    assert!(what.contains("a list of 500 items"), "{what}");
    let long = record(|encoder| encoder.long(i64::MAX));
    assert!(corrupt_text(&container(lists, Codec::Null, &[long])).contains("longer than"));
    let negative = record(|encoder| encoder.long(i64::MIN));
    assert!(read(&container(lists, Codec::Null, &[negative])).is_err());
    let text = record(|encoder| {
        encoder.long(1);
        encoder.long(i64::MAX);
    });
    assert!(corrupt_text(&container(SCHEMA, Codec::Null, &[text])).contains("a length of"));
}

#[test]
fn a_schema_that_refers_to_itself_does_not_recurse_for_ever() {
    let schema =
        r#"{"type":"record","name":"r","fields":[{"name":"next","type":["null","r"]},{"name":"x","type":"r"}]}"#;
    let bytes = container(schema, Codec::Null, &[vec![2; 4000]]);
    assert!(corrupt_text(&bytes).contains("nested deeper"));
}

#[test]
fn bombs_and_foreign_codecs_are_refused() {
    let limit = 1 << 20;
    let zeros = vec![0u8; limit + 1];
    for codec in [Codec::Deflate, Codec::Zstandard, Codec::Snappy] {
        let packed = codec.compress(&zeros).unwrap();
        assert_eq!(codec.decompress(&packed).unwrap(), zeros);
        assert!(codec.decompress_within(&packed, limit).is_err(), "{codec:?}");
        assert!(codec.decompress(&packed[..packed.len() / 2]).is_err(), "{codec:?}");
        assert!(codec.decompress(&[]).is_err() || codec == Codec::Zstandard, "{codec:?}");
    }
    let mut torn = Codec::Snappy.compress(b"abc").unwrap();
    torn[2] ^= 1;
    assert!(Codec::Snappy.decompress(&torn).is_err(), "the checksum counts");
    let bytes = container(SCHEMA, Codec::Null, &[]);
    let text = String::from_utf8_lossy(&bytes).replace("null", "lzma");
    assert!(matches!(read(text.as_bytes()), Err(Error::Unsupported(_) | Error::Corrupt { .. })));
    assert!("lzma".parse::<Codec>().is_err());
}

#[test]
fn headers_and_sync_markers_are_checked() {
    let good = container(
        SCHEMA,
        Codec::Null,
        &[record(|encoder| {
            encoder.long(1);
            encoder.text("x");
        })],
    );
    assert!(read(&good).is_ok());
    let mut marker = good.clone();
    *marker.last_mut().unwrap() ^= 1;
    assert!(corrupt_text(&marker).contains("sync marker"));
    assert!(corrupt_text(b"PAR1").contains("Avro"));
    assert!(corrupt_text(b"Obj\x01\x00").contains("sync marker"));
    assert!(corrupt_text(&[b"Obj\x01\x00".as_slice(), &[0; 16]].concat()).contains("no avro.schema"));
    for schema in ["", "5", "{}", "[]", "\"r\"", r#"{"type":"array"}"#, r#"{"type":"record","name":"r"}"#, "\"long\""] {
        assert!(read(&container(schema, Codec::Null, &[])).is_err(), "{schema}");
    }
    let deep = format!("{}\"int\"{}", "[".repeat(5000), "]".repeat(5000));
    assert!(read(&container(&deep, Codec::Null, &[])).is_err());
}

#[test]
fn a_schema_that_many_files_spell_the_same_way_is_parsed_once() {
    let recent = super::schema::Recent::default();
    let parsed = |name: usize| {
        let text = format!(r#"{{"type": "record", "name": "r{name}", "fields": []}}"#);
        std::sync::Arc::as_ptr(&recent.get(text.as_bytes()).unwrap())
    };
    let first = parsed(0);
    assert_eq!(parsed(0), first);
    assert_ne!(parsed(1), first);
    assert_eq!(parsed(0), first);
    recent.get(b"{}").unwrap_err();
}
