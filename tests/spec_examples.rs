//! Every example block of `format-spec/` is decoded and encoded back. A block is fenced as ```` ```example <kind> ````;
//! a kind without a check below fails, and so does a chapter that lost its examples.

// Every function here is part of a test.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::StringArray;
use bytes::Bytes;
use forebay::format::{
    BinaryRow, Codec, ColumnStats, CommitMessage, Consumer, DEFAULT_PARTITION, DataFileMeta, DeletionVector,
    DeletionVectorRange, ExpiryNote, FileIndex, FileIndexBuilder, FileKind, FileSource, HeadRead, IndexManifestEntry,
    IndexedColumn, ManifestEntry, ManifestFileMeta, ManifestFilter, SimpleStats, Snapshot, Split, Tag, VectorForm,
    assign, decode_deletion_vectors, decode_hint, decode_index_manifest, decode_manifest, decode_manifest_list,
    decode_schema, encode_deletion_vectors, encode_hint, encode_index_manifest, encode_manifest, encode_manifest_list,
    encode_schema, layout, partition_path, reduce_stats,
};
use forebay::schema::{BucketFunction, FileIndexKind, StatsMode};
use forebay::types::{DataType, Datum, TypeKind};

/// The chapters that must hold examples, and how many at the least.
const CHAPTERS: [(&str, usize); 17] = [
    ("avro.md", 1),
    ("binary-row.md", 8),
    ("bucket.md", 3),
    ("commit-message.md", 1),
    ("deletion-vectors.md", 2),
    ("expiry.md", 1),
    ("file-index.md", 1),
    ("hints-tags-consumers.md", 3),
    ("index-manifest.md", 1),
    ("layout.md", 1),
    ("manifest.md", 2),
    ("partition.md", 5),
    ("schema.md", 1),
    ("snapshot.md", 1),
    ("split.md", 1),
    ("statistics.md", 3),
    ("types.md", 1),
];

#[test]
fn every_example_of_the_spec_decodes_and_encodes_back() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("format-spec");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let chapter = path.file_name().unwrap().to_str().unwrap().to_string();
        for (line, kind, text) in examples(&std::fs::read_to_string(&path).unwrap()) {
            println!("{chapter}:{line} {kind}");
            check(&kind, &text);
            *counts.entry(chapter.clone()).or_default() += 1;
        }
    }
    for (chapter, least) in CHAPTERS {
        let found = counts.get(chapter).copied().unwrap_or(0);
        assert!(found >= least, "{chapter}: {found} examples, {least} are the least");
    }
}

/// Line, kind and text of each example block.
fn examples(chapter: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut lines = chapter.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```example ") else { continue };
        let text: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        found.push((number + 1, kind.trim().to_string(), text.join("\n")));
    }
    found
}

fn check(kind: &str, text: &str) {
    match kind {
        "binary-row" => binary_row(&Fields::parse(text)),
        "bucket" => bucket(&Fields::parse(text)),
        "partition" => partition(&Fields::parse(text)),
        "statistics" => statistics(&Fields::parse(text)),
        "layout" => paths(text),
        "types" => text.lines().for_each(data_type),
        "snapshot" => assert_eq!(Snapshot::decode(text.as_bytes(), "x").unwrap().encode().unwrap(), text),
        "schema" => assert_eq!(encode_schema(&decode_schema(text.as_bytes(), "x").unwrap()).unwrap(), text),
        "tag" => assert_eq!(Tag::decode(text.as_bytes(), "x").unwrap().encode().unwrap(), text),
        "consumer" => assert_eq!(Consumer::decode(text.as_bytes(), "x").unwrap().encode().unwrap(), text),
        "expiry-note" => {
            assert_eq!(ExpiryNote::decode(text.as_bytes(), "x").unwrap().encode().unwrap(), text);
        }
        "hint" => assert_eq!(encode_hint(decode_hint(text.as_bytes()).unwrap()), text),
        "avro" => avro(text),
        "manifest" => manifest(text),
        "manifest-list" => manifest_list(text),
        "index-manifest" => index_manifest(text),
        "deletion-vectors" => deletion_vectors(&hex(text)),
        "file-index" => file_index(&hex(text)),
        "commit-message" => {
            let bytes = hex(text);
            let message = CommitMessage::decode(&bytes).unwrap();
            assert_eq!(message, the_message());
            assert_eq!(message.encode(), bytes);
        }
        "split" => {
            let bytes = hex(text);
            let split = Split::decode(&bytes).unwrap();
            assert_eq!(split, the_split());
            assert_eq!(split.encode(), bytes);
        }
        other => panic!("no check for examples of kind {other:?}"),
    }
}

/// `name: value` lines.
struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.trim(), value.trim()))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> &'a str {
        self.0.get(name).unwrap_or_else(|| panic!("the example lacks {name:?}"))
    }

    /// `type = value` parts of a line, divided by `|`.
    fn values(&self, name: &str) -> (Vec<DataType>, Vec<Datum>) {
        let parts = self.get(name).split('|').filter(|part| !part.trim().is_empty());
        parts
            .map(|part| {
                let (kind, value) = part.split_once('=').unwrap();
                let data_type: DataType = kind.trim().parse().unwrap();
                let value = datum(value.trim(), &data_type.kind);
                (data_type, value)
            })
            .unzip()
    }
}

fn datum(text: &str, kind: &TypeKind) -> Datum {
    if text == "NULL" {
        return Datum::Null;
    }
    match kind {
        TypeKind::Boolean => Datum::Boolean(text.parse().unwrap()),
        TypeKind::TinyInt => Datum::TinyInt(text.parse().unwrap()),
        TypeKind::SmallInt => Datum::SmallInt(text.parse().unwrap()),
        TypeKind::Int => Datum::Int(text.parse().unwrap()),
        TypeKind::BigInt => Datum::BigInt(text.parse().unwrap()),
        TypeKind::Float => Datum::Float(text.parse().unwrap()),
        TypeKind::Double => Datum::Double(text.parse().unwrap()),
        TypeKind::Date => Datum::Date(text.parse().unwrap()),
        TypeKind::Time(_) => Datum::Time(text.parse().unwrap()),
        TypeKind::Decimal { scale, .. } => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            assert_eq!(fraction.len(), usize::from(*scale), "write all digits of the scale");
            Datum::Decimal(format!("{whole}{fraction}").parse().unwrap())
        }
        TypeKind::Char(_) | TypeKind::VarChar(_) => Datum::String(serde_json::from_str(text).unwrap()),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => Datum::Bytes(hex(text).to_vec()),
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
            let (millis, nanos) = text.split_once('+').unwrap_or((text, "0 ns"));
            let number = |text: &str, unit: &str| text.trim().strip_suffix(unit).unwrap().trim().to_string();
            Datum::Timestamp {
                millis: number(millis, "ms").parse().unwrap(),
                nanos: number(nanos, "ns").parse().unwrap(),
            }
        }
        nested => panic!("{nested} has no single text"),
    }
}

/// Hex digits; blanks and comments behind `#` do not count.
fn hex(text: &str) -> Bytes {
    let digits: Vec<u32> = text
        .lines()
        .map(|line| line.split('#').next().unwrap())
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap_or_else(|| panic!("{c:?} is no hex digit")))
        .collect();
    assert_eq!(digits.len() % 2, 0, "half a byte");
    Bytes::from(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect::<Vec<_>>())
}

fn binary_row(fields: &Fields<'_>) {
    let (types, values) = fields.values("row");
    let bytes = hex(fields.get("bytes"));
    let row = BinaryRow::encode(&values, &types).unwrap();
    assert_eq!(row.prefixed(), &bytes);
    assert_eq!(BinaryRow::from_prefixed(bytes).unwrap().decode(&types).unwrap(), values);
    if let Some(hash) = fields.0.get("hash") {
        assert_eq!(row.hash(), hash.parse::<i32>().unwrap());
    }
}

fn bucket(fields: &Fields<'_>) {
    let (types, values) = fields.values("key");
    let function = match fields.get("function") {
        "default" => BucketFunction::Default,
        "mod" => BucketFunction::Mod,
        "hive" => BucketFunction::Hive,
        other => panic!("bucket function {other}"),
    };
    let columns: Vec<_> = values.iter().map(column).collect();
    let buckets = assign(function, &columns, &types, fields.get("buckets").parse().unwrap(), 1).unwrap();
    assert_eq!(buckets, [fields.get("bucket").parse::<i32>().unwrap()]);
}

fn column(value: &Datum) -> arrow_array::ArrayRef {
    use std::sync::Arc;
    match value {
        Datum::Int(value) => Arc::new(arrow_array::Int32Array::from(vec![*value])),
        Datum::BigInt(value) => Arc::new(arrow_array::Int64Array::from(vec![*value])),
        Datum::String(value) => Arc::new(arrow_array::StringArray::from(vec![value.as_str()])),
        other => panic!("no column of {other:?}"),
    }
}

fn partition(fields: &Fields<'_>) {
    let (types, values) = fields.values("value");
    let row = BinaryRow::encode(&values, &types).unwrap();
    for (name, legacy) in [("legacy", true), ("plain", false)] {
        let path = partition_path(&["k".to_string()], &types, &row, legacy, DEFAULT_PARTITION).unwrap();
        assert_eq!(path, fields.get(name));
    }
}

fn statistics(fields: &Fields<'_>) {
    let (types, bounds) = fields.values("bounds");
    let [min, max] = bounds.try_into().unwrap();
    let mode = StatsMode::parse(fields.get("mode")).unwrap();
    let kept = reduce_stats(mode, &ColumnStats { data_type: types[0].clone(), min, max, null_count: Some(1) }).unwrap();
    let (_, expected) = fields.values("kept");
    assert_eq!([kept.min.clone(), kept.max.clone()], expected.as_slice());
    assert_eq!(SimpleStats::of(std::slice::from_ref(&kept)).unwrap().columns(&types[..1]).unwrap(), [kept]);
}

fn paths(text: &str) {
    for line in text.lines() {
        let (what, path) = line.split_once(" = ").unwrap();
        let words: Vec<&str> = what.split_whitespace().collect();
        let found = match words.as_slice() {
            ["snapshot", id] => layout::snapshot(id.parse().unwrap()),
            ["schema", id] => layout::schema(id.parse().unwrap()),
            ["changelog", id] => layout::changelog(id.parse().unwrap()),
            ["tag", name] => layout::tag(name).unwrap(),
            ["consumer", name] => layout::consumer(name).unwrap(),
            ["branch", name] => layout::branch(name).unwrap(),
            ["manifest", name] => layout::manifest(name).unwrap(),
            ["bucket", bucket] => layout::bucket_dir(None, "", bucket.parse().unwrap()).unwrap(),
            ["bucket", partition, bucket] => layout::bucket_dir(None, partition, bucket.parse().unwrap()).unwrap(),
            other => panic!("no path for {other:?}"),
        };
        assert_eq!(found, path.trim());
    }
}

fn data_type(line: &str) {
    let (text, canonical) = line.split_once("->").unwrap_or((line, line));
    assert_eq!(text.trim().parse::<DataType>().unwrap().to_string(), canonical.trim());
}

/// The shortest container.
fn avro(text: &str) {
    let bytes = hex(text);
    assert_eq!(decode_index_manifest(&bytes, "x").unwrap(), []);
    // Another writer's header may be shorter, as this one is: ours holds the whole schema.
    let ours = encode_index_manifest(&[], Codec::Null).unwrap();
    assert_eq!(ours[..4], bytes[..4]);
}

/// The bytes of one record lie in the file that is written, and the file reads back.
fn manifest(text: &str) {
    let bytes = encode_manifest(&[the_entry()], Codec::Null).unwrap();
    assert_contains(&bytes, &hex(text));
    assert_eq!(decode_manifest(&bytes, "x", &ManifestFilter::ALL).unwrap(), [the_entry()]);
}

fn manifest_list(text: &str) {
    let manifest = ManifestFileMeta {
        file_name: "manifest-a".into(),
        file_size: 1500,
        num_added_files: 1,
        num_deleted_files: 0,
        partition_stats: SimpleStats::empty(),
        schema_id: 0,
        min_bucket: Some(2),
        max_bucket: Some(2),
        min_level: Some(0),
        max_level: Some(0),
        min_row_id: None,
        max_row_id: None,
    };
    let bytes = encode_manifest_list(std::slice::from_ref(&manifest), Codec::Null).unwrap();
    assert_contains(&bytes, &hex(text));
    assert_eq!(decode_manifest_list(&bytes, "x").unwrap(), [manifest]);
}

fn index_manifest(text: &str) {
    let entry = the_index_file();
    let bytes = encode_index_manifest(std::slice::from_ref(&entry), Codec::Null).unwrap();
    assert_contains(&bytes, &hex(text));
    assert_eq!(decode_index_manifest(&bytes, "x").unwrap(), [entry]);
}

fn the_index_file() -> IndexManifestEntry {
    let range = DeletionVectorRange { data_file: "data-a".into(), offset: 1, length: 26, cardinality: Some(3) };
    IndexManifestEntry {
        partition: BinaryRow::empty(),
        bucket: 0,
        index_type: "DELETION_VECTORS".into(),
        file_name: "index-a".into(),
        file_size: 35,
        row_count: 1,
        deletion_vectors: Some(vec![range]),
        external_path: None,
        global_index: None,
    }
}

fn deletion_vectors(bytes: &[u8]) {
    let masked: DeletionVector = [5, 7, 9].into_iter().collect();
    let form = if bytes[5] == 0xd1 { VectorForm::Bits64 } else { VectorForm::Bits32 };
    let (written, ranges) = encode_deletion_vectors([("data-a", &masked)], form).unwrap();
    assert_eq!(written, bytes);
    assert_eq!(decode_deletion_vectors(bytes, &ranges, "x").unwrap(), [masked]);
}

/// A bitmap index of the rows x, y, x, NULL.
fn file_index(bytes: &[u8]) {
    let index = IndexedColumn {
        name: "c".into(),
        column: 0,
        key: None,
        values: TypeKind::STRING,
        index: FileIndexKind::Bitmap { version: 2, block_bytes: 16384 },
    };
    let mut builder = FileIndexBuilder::new(&[index]).unwrap();
    let rows = StringArray::from(vec![Some("x"), Some("y"), Some("x"), None]);
    builder.add(|_| Ok(Arc::new(rows.clone()))).unwrap();
    assert_eq!(builder.finish().unwrap(), bytes);
    let HeadRead::Whole(head) = FileIndex::decode(bytes, "x").unwrap() else { panic!("a head beyond its file") };
    assert_eq!(head.shown().collect::<Vec<_>>(), [("c", "bitmap", 85)]);
}

fn assert_contains(file: &[u8], record: &[u8]) {
    let found = file.windows(record.len()).any(|window| window == record);
    assert!(found, "the record is not in the file: {file:02x?}");
}

/// One flushed file of keys 1 to 9, as the chapters describe it.
fn the_file() -> DataFileMeta {
    let key = |key| BinaryRow::encode(&[Datum::Int(key)], &[DataType::INT]).unwrap();
    DataFileMeta {
        file_name: "data-a-0.parquet".into(),
        file_size: 1000,
        row_count: 3,
        min_key: key(1),
        max_key: key(9),
        key_stats: SimpleStats { min: key(1), max: key(9), null_counts: [Some(0)].into() },
        value_stats: SimpleStats::empty(),
        min_sequence_number: 0,
        max_sequence_number: 2,
        schema_id: 0,
        level: 0,
        extra_files: vec![],
        creation_time: Some(1_700_000_000_123),
        delete_row_count: Some(1),
        embedded_file_index: None,
        file_source: Some(FileSource::Append),
        value_stats_cols: Some(vec![]),
        external_path: None,
        first_row_id: None,
        write_cols: None,
        write_cols_sequences: None,
    }
}

fn the_entry() -> ManifestEntry {
    ManifestEntry {
        kind: FileKind::Add,
        partition: BinaryRow::empty(),
        bucket: 2,
        total_buckets: 4,
        file: the_file().into(),
    }
}

fn the_message() -> CommitMessage {
    CommitMessage {
        partition: BinaryRow::empty(),
        bucket: 2,
        total_buckets: 4,
        new_files: vec![the_file()],
        changelog_files: vec![],
        compact_before: vec![],
        compact_after: vec![],
        compact_changelog: vec![],
        ..CommitMessage::new(BinaryRow::empty(), 0, 0)
    }
}

fn the_split() -> Split {
    Split {
        snapshot_id: 7,
        schema_id: 0,
        partition: BinaryRow::empty(),
        bucket: 2,
        files: vec![the_file().into()],
        vectors: vec![the_index_file()],
        raw: true,
        changes: false,
    }
}
