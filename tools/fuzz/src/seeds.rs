//! The kept corpus: small files of the golden tables that Java wrote, files and values of tables made here, and texts.

use std::error::Error;
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat;
use forebay::Table;
use forebay::commit::CommitProperties;
use forebay::format::{BinaryRow, Consumer, ExpiryNote, GoingFile};
use forebay::predicate::parse_datum;
use forebay::schema::Schema;
use forebay::types::{Datum, RowKind, lane_schema};

use super::corpus;
use super::files::wide_schema;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Kept inputs of a target that come from golden tables, at most.
const OF_EACH: usize = 6;
/// Larger files are no seeds.
const LARGEST: usize = 12 << 10;

/// Texts by target.
const TEXTS: [(&str, &[&str]); 8] = [
    (
        "condition",
        &[
            "i = 5 and not (s like 'a_%' escape '\\' or d between 1.5 and 20)",
            "k in (1, -2, 3) or y >= '2024-01-31' and o is not null",
            "t < '2024-01-31 12:00:00.123' and n > cast('1969-12-31T23:59:59.999999999' as timestamp(9))",
            "\"s\" <> 'it''s' and b = x'00ff' and f >= 1e-300",
            "cast(i as string) like '1%' and cast(cast(s as double) as int) in (1, 2) or s[1].x = 2",
        ],
    ),
    ("order", &["s", "i desc", "k asc nulls last", "desc desc nulls first"]),
    (
        "view",
        &[
            r#"{"fields":[{"id":0,"name":"a","type":"INT NOT NULL"},{"id":1,"name":"r","type":{"type":"ROW","fields":[{"id":2,"name":"x","type":"STRING"}]}}],"query":"select 1","dialects":{"flink":"select 2"},"comment":"c","options":{"k":"v"}}"#,
        ],
    ),
    (
        "told-schema",
        &[
            r#"{"fields":[{"id":0,"name":"a","type":"BIGINT NOT NULL","description":"d"},{"id":1,"name":"m","type":{"type":"MAP","key":"STRING NOT NULL","value":{"type":"ARRAY","element":"DECIMAL(10, 2)"}}}],"partitionKeys":["a"],"primaryKeys":["a"],"options":{"bucket":"4"},"comment":"c"}"#,
        ],
    ),
    (
        "request-body",
        &[
            r#"{"changes":[{"action":"addColumn","fieldNames":["a","b"],"dataType":"INT","comment":"c","move":{"fieldName":"b","referenceFieldName":"x","type":"AFTER"}},{"action":"updateColumnType","fieldNames":["a"],"newDataType":"BIGINT","keepNullability":false},{"action":"setOption","key":"k","value":"v"}]}"#,
            r#"{"changes":[{"action":"updateColumnPosition","move":{"fieldName":"b","type":"FIRST"}},{"action":"renameColumn","fieldNames":["a"],"newName":"b"},{"action":"dropColumn","fieldNames":["c"]},{"action":"updateColumnDefaultValue","fieldNames":["a"],"newDefaultValue":"5"}]}"#,
            r#"{"changes":[{"action":"addDialect","dialect":"flink","query":"select 1"},{"action":"updateComment","comment":null},{"action":"dropDialect","dialect":"flink"}]}"#,
            r#"{"identifier":{"database":"d","object":"t$branch_b"},"schema":{"fields":[{"id":0,"name":"a","type":"INT"}],"partitionKeys":[],"primaryKeys":[],"options":{},"comment":null}}"#,
            r#"{"tableId":"1","baseSnapshotUuid":"u","snapshot":{"version":3,"id":1,"schemaId":0,"baseManifestList":"b","deltaManifestList":"d","commitUser":"u","commitIdentifier":1,"commitKind":"APPEND","timeMillis":1,"totalRecordCount":1,"deltaRecordCount":1},"statistics":[]}"#,
            r#"{"source":{"database":"d","object":"t"},"destination":{"database":"d","object":"u"}}"#,
            r#"{"name":"d","options":{"k":"v"},"removals":["a"],"updates":{"b":"c"}}"#,
        ],
    ),
    ("assignment", &["s = 'x'", "i = null", "d = 12.50", "k = i", "t = '2024-01-31 00:00:00'"]),
    (
        "value",
        &["12.345", "-9223372036854775808", "2024-02-29", "10000-01-01T00:00:00.000000001", "0xff", "NaN", "a.b"],
    ),
    (
        "option",
        &[
            "write-buffer-size=64 mb",
            "snapshot.time-retained=1 h",
            "bucket=4",
            "metadata.stats-mode=truncate(16)",
            "fields.s.aggregate-function=listagg",
            "file.format.per.level=0:avro,5:parquet",
            "sequence.field=i,k",
            "compaction.offpeak.start.hour=3",
        ],
    ),
];

/// Makes the corpus anew.
///
/// # Errors
/// What reading the golden tables, writing tables and writing the corpus met.
pub async fn seed() -> Outcome<()> {
    let (root, golden) = (corpus(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"));
    let mut old = Vec::new();
    if root.exists() {
        walk(&root, &mut old)?;
    }
    // What broke a target once is kept.
    for path in
        old.iter().filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("broke")))
    {
        std::fs::remove_file(path)?;
    }
    for (target, texts) in TEXTS {
        for (at, text) in texts.iter().enumerate() {
            keep(target, &format!("text-{at}"), text.as_bytes())?;
        }
    }
    let mut files = Vec::new();
    walk(&golden, &mut files)?;
    let mut counts = std::collections::BTreeMap::new();
    // From many tables rather than many of one.
    files.sort_by_key(|path| path.file_name().map(|name| name.to_owned()));
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(target) = target_of(name, &path) else { continue };
        let bytes = std::fs::read(&path)?;
        let bytes = if target == "deletion-vector" { first_vector(&bytes) } else { &bytes };
        let count: &mut usize = counts.entry(target).or_default();
        if bytes.len() <= LARGEST && *count < OF_EACH {
            keep(target, &format!("golden-{count}"), bytes)?;
            *count += 1;
        }
    }
    keep("hint", "plain", b"17")?;
    let going = GoingFile { path: "bucket-0/data-1.parquet".to_string(), last: 6, bytes: 1234 };
    let note = ExpiryNote { version: ExpiryNote::VERSION, changelogs: false, end: 7, files: vec![going] };
    keep("expiry-note", "plain", &note.encode()?)?;
    keep("consumer", "plain", &Consumer { next_snapshot: 7 }.encode()?)?;
    for (name, options) in [
        ("parquet", [("file.format", "parquet"), ("file.compression", "zstd")]),
        ("avro", [("file.format", "avro"), ("file.compression", "snappy")]),
    ] {
        tables(name, &options).await?;
    }
    Ok(())
}

fn keep(target: &str, name: &str, bytes: &[u8]) -> Outcome<()> {
    let directory = corpus().join(target);
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join(name), bytes)?;
    Ok(())
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) -> Outcome<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Which decoder reads a file of a table.
fn target_of(name: &str, path: &Path) -> Option<&'static str> {
    let within = |directory: &str| path.parent().is_some_and(|parent| parent.ends_with(directory));
    Some(match name {
        _ if name.starts_with("snapshot-") && within("snapshot") => "snapshot",
        _ if name.starts_with("schema-") && within("schema") => "schema",
        _ if name.starts_with("tag-") && within("tag") => "tag",
        _ if name.starts_with("manifest-list-") => "manifest-list",
        _ if name.starts_with("index-manifest-") => "index-manifest",
        _ if name.starts_with("manifest-") && within("manifest") => "manifest",
        _ if name.starts_with("index-") && within("index") => {
            let masks = path.iter().filter_map(|part| part.to_str()).any(|part| part.contains("dv_"));
            if masks { "deletion-vector" } else { "hash-index" }
        }
        _ if name.ends_with(".index") => "file-index",
        _ if name.ends_with(".orc") => "orc",
        _ => return None,
    })
}

/// The first vector of an index file, without its version, length and checksum.
fn first_vector(bytes: &[u8]) -> &[u8] {
    let length = bytes.get(1..5).and_then(|length| length.try_into().ok()).map_or(0, u32::from_be_bytes) as usize;
    bytes.get(5..5 + length).unwrap_or_default()
}

/// The values of a row, as text.
fn texts(row: usize) -> [String; 13] {
    let day = format!("2024-01-{:02}", row % 28 + 1);
    [
        row.to_string(),
        (row % 10).to_string(),
        format!("ab-{}", row % 7),
        format!("{row}.25"),
        format!("{row}123456789.000000001"),
        format!("{day} 12:30:00.125"),
        format!("{day} 12:30:00.123456"),
        format!("{row:04x}"),
        format!("{row}e-3"),
        row.is_multiple_of(3).to_string(),
        day,
        String::new(),
        String::new(),
    ]
}

fn rows(schema: &Schema, count: usize) -> Outcome<RecordBatch> {
    let rows: Vec<[String; 13]> = (0..count).map(texts).collect();
    let mut columns = Vec::new();
    for (at, field) in schema.fields.iter().enumerate() {
        let kind = &field.data_type.kind;
        let cell = |row: &[String; 13]| match at {
            11 | 12 => nested(at, row).repeat(kind, 1),
            _ => parse_datum(kind, &row[at])?.repeat(kind, 1),
        };
        let cells = rows.iter().map(cell).collect::<Result<Vec<_>, _>>()?;
        let cells: Vec<&dyn Array> = cells.iter().map(AsRef::as_ref).collect();
        columns.push(concat(&cells)?);
    }
    let fields = schema.fields.iter().map(|field| (field.name.as_str(), &field.data_type));
    Ok(RecordBatch::try_new(lane_schema(fields), columns)?)
}

fn nested(at: usize, row: &[String; 13]) -> Datum {
    let length = row[0].len() as i32;
    match at {
        11 => Datum::Array(vec![Datum::Int(length), Datum::Null]),
        _ => Datum::Map(vec![(Datum::String(row[2].clone()), Datum::Int(length))]),
    }
}

/// Data files of a table without and of one with a key, and what travels between their writer and committer.
async fn tables(format: &str, options: &[(&str, &str)]) -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    for keyed in [false, true] {
        let indexes = [
            ("file-index.bloom-filter.columns", "s"),
            ("file-index.bitmap.columns", "i,s"),
            ("file-index.bsi.columns", "i,k"),
            ("file-index.range-bitmap.columns", "i,s"),
            ("file-index.bloom-filter.s.items", "100"),
            ("file-index.in-manifest-threshold", "1 mb"),
        ];
        let all: Vec<_> = options.iter().copied().chain(indexes).collect();
        let mut schema = wide_schema(&all)?;
        if keyed {
            schema.primary_keys = vec!["k".to_string()];
            schema.options.insert("bucket".to_string(), "1".to_string());
        }
        let what = if keyed { "keyed" } else { "plain" };
        let location = directory.path().join(format!("{format}-{what}"));
        let table = Table::create(&location.to_string_lossy(), schema, []).await?;
        let mut writer = table.stream_writer("seeds").await?;
        writer.write(&forebay::ChangeBatch::of_kind(rows(table.schema(), 60)?, RowKind::Insert)).await?;
        let messages = writer.prepare_commit().await?;
        for (at, message) in messages.iter().enumerate() {
            keep("commit-message", &format!("{format}-{what}-{at}"), &message.encode())?;
            for file in message.new_files.iter() {
                keep("binary-row", &format!("{format}-{what}-{at}"), file.value_stats.max.prefixed())?;
                if let Some(index) = &file.embedded_file_index {
                    keep("file-index", &format!("{format}-{what}-{at}"), index)?;
                }
            }
        }
        table.committer("seeds")?.commit(1, messages, CommitProperties::default()).await?;
        for (at, split) in table.scan().plan().await?.splits.iter().enumerate() {
            keep("split", &format!("{format}-{what}-{at}"), &split.encode())?;
        }
        if keyed {
            for (at, task) in table.compact().full().plan().await?.iter().enumerate() {
                keep("compact-task", &format!("{format}-{what}-{at}"), &task.encode())?;
            }
        }
        let mut files = Vec::new();
        walk(&location, &mut files)?;
        for path in files {
            if path.extension().is_some_and(|extension| extension == format) {
                keep(format, what, &std::fs::read(&path)?)?;
            }
        }
    }
    keep("binary-row", "empty", BinaryRow::empty().prefixed())
}
