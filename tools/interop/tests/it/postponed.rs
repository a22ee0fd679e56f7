//! Rows that wait, and keys that move between partitions: Java writes and we go on, we write and Java's job goes on.

use std::collections::BTreeMap;
use std::path::Path;

use forebay::types::{Datum, RowKind};
use forebay_interop::{
    Engine, Model, Op, Random, Server, Shape, TableSpec, View, create, files_below, open, seeds, write_once,
};

use crate::flink::{sql, table};
use crate::support::{agreed, place, server_write};

/// A table whose rows wait, with partitions of some kinds.
fn postponed(random: &mut Random, partitions: &'static [usize]) -> Option<TableSpec> {
    let mut spec = TableSpec::random(random, Shape { partitions, ..Shape::ALL.with_key().in_avro().with_nested() });
    for name in ["bucket", "bucket-key", "bucket-function.type", "changelog-producer"] {
        spec.options.remove(name);
    }
    let spec = spec.option("bucket", "-2").option("postpone.default-bucket-num", "2");
    spec.partition_by.iter().all(|column| spec.primary_key.contains(column)).then_some(spec)
}

fn waiting_files(path: &Path) -> Vec<String> {
    let name = |file: &std::path::PathBuf| {
        let waits = file.components().any(|part| part.as_os_str() == "bucket-postpone");
        let name = file.file_name()?.to_str()?;
        (waits && !name.ends_with(".crc")).then(|| name.to_string())
    };
    files_below(path).iter().filter_map(name).collect()
}

/// A commit of ours or of Java's; the number of its snapshot.
async fn commit_by(
    ours: bool,
    server: &mut Server,
    (path, spec): (&Path, &TableSpec),
    identifier: i64,
    operations: &[Op],
) -> i64 {
    match ours {
        true => write_once(path, "ours", identifier, operations).await,
        false => server_write(server, path, spec, identifier, operations, "none"),
    }
}

/// Rows wait unseen while streams deliver them; after the move batch reads show them.
#[tokio::test]
async fn we_move_what_java_and_we_left_waiting() {
    let mut server = Server::get(Engine::Java2x);
    let mut tried = 0;
    for seed in seeds(10) {
        let mut random = Random::new(seed);
        let Some(spec) = postponed(&mut random, Shape::ALL.partitions) else { continue };
        tried += 1;
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut server, &path);
        let (mut newest, mut turns) = (0, Vec::new());
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let ours = random.chance(50);
            turns.push(if ours { "we" } else { "java" });
            newest = commit_by(ours, &mut server, (&path, &spec), identifier, &operations).await;
            model.commit(&operations, newest..=newest);
            let what = format!("seed {seed}, after {turns:?}: {spec:?}");
            agreed(&what, &mut server, &path).await;
            if identifier % 3 == 0 {
                open(&path).await.move_postponed().run().await.unwrap();
                let moved = agreed(&format!("{what}, moved"), &mut server, &path).await;
                assert_eq!(moved.rows.values().next_back(), model.view().rows.values().next_back(), "{what}: rows");
            }
        }
        assert!(newest > 0);
        let names = waiting_files(&path);
        assert!(!names.is_empty() && names.iter().all(|name| name.ends_with(".avro")), "seed {seed}: {names:?}");
    }
    assert!(tried > 0, "no seed gave a table whose key holds its partition columns");
}

#[tokio::test]
async fn java_moves_what_we_left_waiting() {
    let (mut flink, mut java) = (Server::get(Engine::Flink), Server::get(Engine::Java2x));
    let mut tried = 0;
    for seed in seeds(4) {
        let mut random = Random::new(seed);
        // Java's job names partitions by texts: it passes over the rows of an empty one, and fails on timestamps.
        let Some(spec) = postponed(&mut random, &[1, 2, 3, 4, 12]) else { continue };
        tried += 1;
        let (place, mut model) = (place(), Model::new(&spec));
        let path = table(place.path(), "t");
        create(&path, &spec).await;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let snapshot = write_once(&path, "ours", identifier, &operations).await;
            model.commit(&operations, snapshot..=snapshot);
            if identifier % 3 == 0 {
                // The procedure answers before its job has ended, unless it is told to wait.
                let call = ["SET 'table.dml-sync' = 'true'", "CALL sys.compact(`table` => 'default.t')"];
                sql(&mut flink, place.path(), None, &call.map(str::to_string));
                let what = format!("seed {seed}, commit {identifier}: {spec:?}");
                let moved = agreed(&what, &mut java, &path).await;
                assert_eq!(moved.rows.values().next_back(), model.view().rows.values().next_back(), "{what}: rows");
            }
        }
    }
    assert!(tried > 0, "no seed gave a table whose key holds its partition columns");
}

/// Fails unless the changes lead to the rows of every snapshot.
fn leads_to_the_rows(what: &str, view: &View) {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for (snapshot, rows) in &view.rows {
        for change in view.changes.get(snapshot).into_iter().flatten() {
            let (kind, row) = change.trim_matches(['(', ')']).split_once(", ").unwrap();
            let count = if ["UpdateBefore", "Delete"].contains(&kind) { -1 } else { 1 };
            *counts.entry(row.to_string()).or_default() += count;
        }
        counts.retain(|_, count| *count != 0);
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        for row in rows {
            *wanted.entry(row.trim_matches(['(', ')']).to_string()).or_default() += 1;
        }
        assert_eq!(counts, wanted, "{what}: the changes up to snapshot {snapshot}");
    }
}

/// What waits is not told; the move tells it in its own snapshot, and Java follows it.
#[tokio::test]
async fn we_move_and_tell_what_java_and_we_left_waiting() {
    let mut server = Server::get(Engine::Java2x);
    let mut tried = 0;
    for seed in seeds(9) {
        let mut random = Random::new(seed);
        let producer = ["lookup", "full-compaction", "input"][seed as usize % 3];
        let Some(spec) = postponed(&mut random, Shape::ALL.partitions) else { continue };
        let spec = spec.option("changelog-producer", producer);
        tried += 1;
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut server, &path);
        let (mut newest, mut turns) = (0, Vec::new());
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let ours = random.chance(50);
            turns.push(if ours { "we" } else { "java" });
            newest = commit_by(ours, &mut server, (&path, &spec), identifier, &operations).await;
            model.commit(&operations, newest..=newest);
            if identifier % 2 == 0 {
                open(&path).await.move_postponed().run().await.unwrap();
                let what = format!("seed {seed}, after {turns:?}: {spec:?}");
                let moved = agreed(&what, &mut server, &path).await;
                assert_eq!(moved.rows.values().next_back(), model.view().rows.values().next_back(), "{what}: rows");
                if producer == "input" {
                    let told = |view: &View| view.changes.values().map(Vec::len).sum::<usize>();
                    assert_eq!(told(&moved), told(model.view()), "{what}: changes");
                } else {
                    leads_to_the_rows(&what, &moved);
                }
            }
        }
        assert!(newest > 0);
    }
    assert!(tried > 0, "no seed gave a table whose key holds its partition columns");
}

/// A row of a table of two columns as Flink's statement writes it.
fn values(rows: impl IntoIterator<Item = (i32, &'static str)>) -> String {
    let rows: Vec<_> = rows.into_iter().map(|(k, v)| format!("({k}, '{v}')")).collect();
    format!("INSERT INTO t VALUES {}", rows.join(", "))
}

/// Java's job moves what we left and we move what it left; what its batch writers put into real buckets at once waits for
/// the next compaction there. Followers are told all of it once.
#[tokio::test]
async fn java_and_we_move_and_tell_by_turns() {
    let (mut flink, mut java) = (Server::get(Engine::Flink), Server::get(Engine::Java2x));
    for at_once in ["true", "false"] {
        let spec = TableSpec::of(&["k INT", "v STRING"]).key(&["k"]).option("bucket", "-2");
        let spec = spec.option("changelog-producer", "lookup").option("postpone.default-bucket-num", "2");
        let spec = spec.option("postpone.batch-write-fixed-bucket", at_once);
        let place = place();
        let path = table(place.path(), "t");
        create(&path, &spec).await;
        let op = |kind, k, v: &str| Op { kind, row: vec![Datum::Int(k), Datum::String(v.to_string())] };
        let call = ["SET 'table.dml-sync' = 'true'", "CALL sys.compact(`table` => 'default.t')"].map(str::to_string);
        let ours = |from: i32, v: &'static str| (from..from + 4).map(move |k| op(RowKind::Insert, k, v));
        let insert = |from: i32, v| values((from..from + 4).map(move |k| (k, v)));
        write_once(&path, "ours", 1, &ours(0, "a").collect::<Vec<_>>()).await;
        sql(&mut flink, place.path(), None, &call);
        sql(&mut flink, place.path(), None, &[insert(2, "b")]);
        open(&path).await.compact().run().await.unwrap();
        write_once(&path, "ours", 2, &[op(RowKind::Delete, 0, "a"), op(RowKind::Insert, 3, "c")]).await;
        sql(&mut flink, place.path(), None, &[insert(8, "d")]);
        open(&path).await.compact().run().await.unwrap();
        write_once(&path, "ours", 3, &ours(4, "e").collect::<Vec<_>>()).await;
        sql(&mut flink, place.path(), None, &call);
        let what = format!("fixed buckets at once: {at_once}");
        let view = agreed(&what, &mut java, &path).await;
        assert_eq!(view.rows.values().next_back().map(Vec::len), Some(11), "{what}");
        let newest = *view.rows.keys().next_back().unwrap();
        // What batch writers put into real buckets is told behind its snapshot.
        let told: Vec<String> = view.changes.into_values().flatten().collect();
        let rows = BTreeMap::from([(newest, view.rows[&newest].clone())]);
        leads_to_the_rows(&what, &View { rows, changes: BTreeMap::from([(newest, told)]) });
    }
}

/// A table whose keys may move between partitions.
fn moving(options: &[(&str, &str)]) -> TableSpec {
    let spec = TableSpec::of(&["p INT", "k INT", "v STRING"]).partition(&["p"]).key(&["k"]);
    let spec = spec.option("bucket", "-1").option("dynamic-bucket.target-row-num", "3");
    let mut spec = options.iter().fold(spec, |spec, (name, value)| spec.option(name, value));
    spec.columns[0].1.nullable = false;
    spec
}

fn moving_ops(random: &mut Random, rows: usize, deletes: bool) -> Vec<Op> {
    let op = |random: &mut Random| {
        let kind = if deletes && random.chance(20) { RowKind::Delete } else { RowKind::Insert };
        let (p, k) = (random.between(1, 3) as i32, random.between(1, 14) as i32);
        let v = format!("v{}", random.between(0, 999));
        Op { kind, row: vec![Datum::Int(p), Datum::Int(k), Datum::String(v)] }
    };
    (0..rows).map(|_| op(random)).collect()
}

/// Flink's statement for rows; it upserts.
fn insert(operations: &[Op]) -> String {
    let row = |op: &Op| match op.row.as_slice() {
        [Datum::Int(p), Datum::Int(k), Datum::String(v)] => format!("({p}, {k}, '{v}')"),
        other => panic!("{other:?}"),
    };
    format!("INSERT INTO t VALUES {}", operations.iter().map(row).collect::<Vec<_>>().join(", "))
}

/// Java's job and we write by turns; each finds the keys where the other left them. Flink keeps no order between the
/// rows of one statement, so that a key is in it once.
#[tokio::test]
async fn keys_move_between_partitions_by_turns_with_java() {
    let (mut flink, mut java) = (Server::get(Engine::Flink), Server::get(Engine::Java2x));
    let cases: [&[(&str, &str)]; 3] =
        [&[], &[("changelog-producer", "lookup")], &[("file.format", "avro"), ("changelog-producer", "input")]];
    for (options, seed) in cases.iter().zip(seeds(3)) {
        let mut random = Random::new(seed);
        let spec = moving(options);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = table(place.path(), "t");
        create(&path, &spec).await;
        let mut newest = 0;
        for turn in 1..=6 {
            let mut operations = moving_ops(&mut random, 12, turn % 2 == 1);
            let what = format!("seed {seed}, turn {turn}: {spec:?}");
            if turn % 2 == 1 {
                write_once(&path, &format!("ours-{turn}"), turn, &operations).await;
            } else {
                let mut seen = std::collections::BTreeSet::new();
                operations.retain(|op| seen.insert(format!("{:?}", op.row[1])));
                sql(&mut flink, place.path(), None, &[insert(&operations)]);
            }
            let snapshot = open(&path).await.history().snapshots.latest_id().await.unwrap().unwrap();
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
            let view = agreed(&what, &mut java, &path).await;
            assert_eq!(view.rows.values().next_back(), model.view().rows.values().next_back(), "{what}: rows");
        }
    }
}
