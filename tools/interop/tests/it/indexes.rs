//! File indexes: their bytes are Java's, and each engine skips files and rows by those of the other.

use std::path::Path;
use std::sync::Arc;

use forebay::Table;
use forebay::format::DataFileMeta;
use forebay::history::FileFilter;
use forebay::predicate::parse;
use forebay::scan::At;
use forebay::schema::FileIndexKind;
use forebay::types::{DataType, Datum, TypeKind};
use forebay_interop::{
    Engine, Op, Random, Row, Server, Shape, TableSpec, create, difference, open, random_kind, random_value, row_of,
    rows_at, rows_of, seeds, snapshots_of, write_once,
};
use serde_json::json;

use crate::filters::{random_condition, texts};
use crate::support::{place, server_compact, server_write};

const ENGINES: [Engine; 2] = [Engine::Java1x, Engine::Java2x];
const KINDS: [FileIndexKind; 4] = [
    FileIndexKind::Bloom { items: 1000, fpp: 0.1 },
    FileIndexKind::Bitmap { version: 2, block_bytes: 16384 },
    FileIndexKind::BitSlice,
    FileIndexKind::RangeBitmap { chunk_bytes: None },
];

/// Whether both engines make the index of the type, and answer by it what is true: nanoseconds are cut off in an index,
/// which Java takes for equality; decimals have a range-bitmap in later versions only.
fn is_shared(kind: FileIndexKind, data_type: &TypeKind) -> bool {
    let fine = matches!(data_type, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..));
    let decimal = matches!(data_type, TypeKind::Decimal { .. });
    kind.takes(data_type) && !fine && !(decimal && matches!(kind, FileIndexKind::RangeBitmap { .. }))
}

async fn files(table: &Table) -> Vec<Arc<DataFileMeta>> {
    let snapshot = table.history().snapshots.latest().await.unwrap().unwrap();
    let entries = table.history().manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
    entries.iter().map(|entry| Arc::clone(&entry.file)).collect()
}

/// A value that a bsi index can hold: Java fails on the lowest BIGINT.
fn value(random: &mut Random, kind: &TypeKind) -> Datum {
    loop {
        let value = random_value(random, kind);
        if value != Datum::BigInt(i64::MIN) && !is_nan(&value) {
            return value;
        }
    }
}

fn is_nan(value: &Datum) -> bool {
    matches!(value, Datum::Float(value) if value.is_nan()) || matches!(value, Datum::Double(value) if value.is_nan())
}

fn single(kind: FileIndexKind, data_type: &DataType) -> TableSpec {
    let word = kind.word();
    let spec = TableSpec { columns: vec![("c".to_string(), data_type.clone())], ..TableSpec::default() };
    let spec = spec.option("bucket", "1").option("bucket-key", "c").option("file-index.in-manifest-threshold", "9 mb");
    let spec = spec.option("metadata.stats-mode", "none").option("write-only", "true");
    match kind {
        FileIndexKind::Bloom { .. } => spec.option("file-index.bloom-filter.c.items", "1000"),
        _ => spec,
    }
    .option(&format!("file-index.{word}.columns"), "c")
}

#[tokio::test]
async fn the_bytes_of_an_index_are_those_that_java_writes() {
    for engine in ENGINES {
        let mut server = Server::get(engine);
        for seed in seeds(2) {
            let mut random = Random::new(seed);
            for which in 0..forebay_interop::ALL_KINDS {
                let data_type = DataType { kind: random_kind(&mut random, which), nullable: true };
                for kind in KINDS.iter().filter(|kind| is_shared(**kind, &data_type.kind)) {
                    // Java keeps the values of a bitmap in the order of its hashes: one value has one order.
                    let most = if matches!(kind, FileIndexKind::Bitmap { .. }) { 1 } else { 40 };
                    let pool: Vec<Datum> = (0..most).map(|_| value(&mut random, &data_type.kind)).collect();
                    let cell = |random: &mut Random| {
                        if random.chance(20) { Datum::Null } else { random.one_of(&pool).clone() }
                    };
                    let rows: Vec<Op> = (0..300).map(|_| Op::insert(vec![cell(&mut random)])).collect();
                    let (place, spec) = (place(), single(*kind, &data_type));
                    let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
                    create(&ours, &spec).await;
                    spec.create_by(&mut server, &javas);
                    write_once(&ours, "ours", 1, &rows).await;
                    server_write(&mut server, &javas, &spec, 1, &rows, "none");
                    let what = format!("{}, seed {seed}: {} of {data_type}", engine.name(), kind.word());
                    let (ours, javas) = (files(&open(&ours).await).await, files(&open(&javas).await).await);
                    let wanted = javas[0].embedded_file_index.clone();
                    assert!(wanted.is_some() && javas.len() == 1, "{what}");
                    assert!(
                        ours[0].embedded_file_index == wanted,
                        "{what}\nours  {:02x?}\njavas {wanted:02x?}",
                        ours[0]
                    );
                }
            }
        }
    }
}

/// Adds random indexes to a table.
fn with_indexes(random: &mut Random, mut spec: TableSpec) -> TableSpec {
    for kind in KINDS {
        let fits = |(_, data_type): &&(String, DataType)| {
            let lowest = data_type.kind == TypeKind::BigInt && kind == FileIndexKind::BitSlice;
            is_shared(kind, &data_type.kind) && !lowest
        };
        let columns: Vec<String> =
            spec.columns.iter().filter(fits).filter(|_| random.chance(70)).map(|(name, _)| name.clone()).collect();
        if columns.is_empty() {
            continue;
        }
        for column in columns.iter().filter(|_| matches!(kind, FileIndexKind::Bloom { .. })) {
            spec = spec.option(&format!("file-index.bloom-filter.{column}.items"), "50");
        }
        spec = spec.option(&format!("file-index.{}.columns", kind.word()), &columns.join(","));
    }
    spec.option("file-index.in-manifest-threshold", random.pick(&["0 B", "500 B", "9 mb"]))
        .option("metadata.stats-mode", random.pick(&["none", "full"]))
}

#[tokio::test]
async fn indexes_hide_no_row_from_either_engine() {
    for engine in ENGINES {
        let mut server = Server::get(engine);
        for seed in seeds(8) {
            let mut random = Random::new(seed);
            let shape = if engine == Engine::Java1x { Shape::JAVA_1X } else { Shape::ALL };
            let spec = TableSpec::random(&mut random, shape);
            let vectors = !spec.primary_key.is_empty() && random.chance(40);
            let spec = with_indexes(&mut random, spec);
            let spec = if vectors { spec.option("deletion-vectors.enabled", "true") } else { spec };
            let place = place();
            let path = place.path().join("t");
            create(&path, &spec).await;
            for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
                match random.chance(50) {
                    true => write_once(&path, &format!("ours-{identifier}"), identifier, &operations).await,
                    false => server_write(&mut server, &path, &spec, identifier, &operations, "none"),
                };
                if random.chance(30) {
                    server_compact(&mut server, &path, &spec, random.chance(50));
                }
            }
            let table = open(&path).await;
            table.compact().full().run().await.unwrap();
            let table = open(&path).await;
            let snapshot = *snapshots_of(&table).await.last().unwrap();
            let (schema, rows) = (table.schema().clone(), rows_at(&table, snapshot).await.unwrap());
            if rows.is_empty() {
                continue;
            }
            for _ in 0..25 {
                let condition = random_condition(&mut random, &schema, &rows, 2);
                let what = format!("{}, seed {seed}: where {}", engine.name(), condition.theirs);
                let wanted = texts(rows.iter().filter(|row| (condition.holds)(row)));
                let scan = table.scan().at(At::Snapshot(snapshot)).filter(condition.ours).wide_timestamps();
                let mut stream = scan.read().await.unwrap();
                let mut found = Vec::new();
                while let Some(batch) = stream.next_batch().await.unwrap() {
                    found.extend(rows_of(&schema, &batch));
                }
                if let Some(difference) = difference(&wanted, &texts(&found)) {
                    panic!("{what}, read by forebay: {difference}\n{spec:?}");
                }
                let mut read = |options: serde_json::Value| {
                    let arguments = json!({"filter": condition.theirs, "snapshot": snapshot, "options": options});
                    let answer = server.run("read", &path, arguments);
                    let rows: Vec<Row> =
                        answer["rows"].as_array().unwrap().iter().map(|row| row_of(&schema, row)).collect();
                    rows
                };
                // Java 1.x orders bytes, and floats, in its own way: what it shows without indexes is wanted.
                let wanted = match engine {
                    Engine::Java1x => texts(&read(json!({"file-index.read.enabled": "false"}))),
                    _ => wanted,
                };
                let found = read(json!({}));
                if let Some(difference) = difference(&wanted, &texts(&found)) {
                    panic!("{what}, read by {}: {difference}\n{spec:?}", engine.name());
                }
            }
        }
    }
}

/// A file is opened by nobody who has skipped it: it may as well be gone.
#[tokio::test]
async fn both_engines_skip_files_by_each_others_indexes() {
    for engine in ENGINES {
        let mut server = Server::get(engine);
        for (ours_writes, threshold) in [(true, "9 mb"), (true, "0 B"), (false, "9 mb"), (false, "0 B")] {
            for kind in KINDS {
                let place = place();
                let path = place.path().join("t");
                let spec = single(kind, &DataType::INT).option("file-index.in-manifest-threshold", threshold);
                create(&path, &spec).await;
                let rows: Vec<Op> = (0..50).map(|number| Op::insert(vec![Datum::Int(number * 2)])).collect();
                match ours_writes {
                    true => write_once(&path, "writer", 1, &rows).await,
                    false => server_write(&mut server, &path, &spec, 1, &rows, "none"),
                };
                let what = format!("{} {}, we write: {ours_writes}, {threshold}", engine.name(), kind.word());
                let equals = |number: i32| json!({"column": "c", "op": "=", "value": number});
                // Half of the rows between two that are there are told apart by an index of rows.
                if kind != KINDS[0] {
                    let found = server.run("read", &path, json!({"filter": equals(10), "exact": false}));
                    assert_eq!(found["count"], 1, "{what}: rows that Java selects");
                }
                remove_data(&path);
                let table = open(&path).await;
                // 41 hashes to bits of the filter that no value has.
                assert_eq!(count(&table, "c = 4111").await.unwrap(), 0, "{what}");
                let found = server.run("read", &path, json!({"filter": equals(4111)}));
                assert_eq!(found["count"], 0, "{what}: read by Java");
                assert!(count(&table, "c = 10").await.is_err(), "{what}: the file was needed");
                let blind = table.with_options([("file-index.read.enabled", "false")]).unwrap();
                assert!(count(&blind, "c = 4111").await.is_err(), "{what}: the index was needed");
            }
        }
    }
}

/// An index of nanoseconds has microseconds: Java takes what is equal there for equal, and misses rows.
#[tokio::test]
async fn java_misses_rows_that_differ_by_nanoseconds_alone() {
    for engine in ENGINES {
        let mut server = Server::get(engine);
        let place = place();
        let path = place.path().join("t");
        let spec = single(KINDS[1], &"TIMESTAMP(9)".parse().unwrap());
        create(&path, &spec).await;
        let rows = [1, 2].map(|nanos| Op::insert(vec![Datum::Timestamp { millis: 5, nanos }]));
        write_once(&path, "writer", 1, &rows).await;
        let other = json!({"column": "c", "op": "<>", "value": "1970-01-01T00:00:00.005000001"});
        let found = server.run("read", &path, json!({"filter": other}));
        assert_eq!(found["count"], 0, "{}", engine.name());
        let table = open(&path).await;
        assert_eq!(count(&table, "c <> '1970-01-01 00:00:00.005000001'").await.unwrap(), 1);
        assert_eq!(count(&table, "c = '1970-01-01 00:00:00.005000002'").await.unwrap(), 1);
    }
}

async fn count(table: &Table, condition: &str) -> Result<usize, forebay::Error> {
    let filter = parse(condition, table.schema())?;
    let mut stream = table.scan().filter(filter).read().await?;
    let mut rows = 0;
    while let Some(batch) = stream.next_batch().await? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

fn remove_data(table: &Path) {
    let data: Vec<_> = forebay_interop::files_below(table)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    assert!(!data.is_empty());
    data.iter().for_each(|path| std::fs::remove_file(path).unwrap());
}
