//! Deletion vectors: both engines write, compact and mask by turns on one table, and read alike after each turn.

use forebay::Table;
use forebay::format::CommitKind;
use forebay_interop::{
    Engine, Model, Random, Server, Shape, TableSpec, View, Writer, assert_same, create, open, seeds,
};

use crate::support::{masked_rows, place, server_compact, server_write, storable};

/// No texts as partitions where Java compacts: its lookup makes temporary files of that name and fails on a slash.
const PARTITIONS: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15];

/// Rows are seen when they are compacted: a snapshot of new files shows what the one before it showed.
async fn note(table: &Table, expected: &mut View, all: &[String], snapshots: std::ops::RangeInclusive<i64>) {
    for id in snapshots {
        let snapshot = table.history().snapshots.load(id).await.unwrap();
        let rows = match snapshot.commit_kind {
            CommitKind::Append => expected.rows.get(&(id - 1)).cloned().unwrap_or_default(),
            _ => all.to_vec(),
        };
        expected.rows.insert(id, rows);
    }
}

async fn by_turns(engine: Engine, shape: Shape, turns: &[&str], seeds: impl Iterator<Item = u64>) {
    by_turns_in("parquet", engine, shape, turns, seeds).await;
}

/// The same with a file format of the table.
async fn by_turns_in(format: &str, engine: Engine, shape: Shape, turns: &[&str], seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    let mut sum = 0;
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = TableSpec::random(&mut random, shape.with_key())
            .option("deletion-vectors.enabled", "true")
            .option("deletion-vectors.bitmap64", random.pick(&["true", "false"]))
            .option("index-file-in-data-file-dir", random.pick(&["true", "false"]))
            .option("write-only", "true")
            .option("file.format", format)
            .option("num-levels", random.pick(&["3", "4", "6"]))
            .option("target-file-size", random.pick(&["20 kb", "1 mb"]));
        let (place, mut model, mut expected) = (place(), Model::new(&spec), View::default());
        let path = place.path().join("t");
        match random.chance(50) {
            true => drop(create(&path, &spec).await),
            false => spec.create_by(&mut server, &path),
        }
        let keys = random.pick(&[30, 400]);
        let mut newest = 0;
        let mut done = Vec::new();
        let operations = spec.operations_on(&mut random, 14, keys, |random| random.pick(&[5, 60, 300]));
        for (identifier, operations) in (1..).zip(operations) {
            let turn = if newest == 0 { "we write" } else { random.pick(turns) };
            let operations = if format == "orc" { storable(&spec, operations) } else { operations };
            done.push(turn);
            let full = random.chance(20);
            let snapshot = match turn {
                "we write" => {
                    let user = format!("ours-{identifier}");
                    Writer::of(&open(&path).await, &user).await.commit(identifier, &operations).await
                }
                "they write" => server_write(&mut server, &path, &spec, identifier, &operations, "none"),
                "they compact" => server_compact(&mut server, &path, &spec, full),
                _ => {
                    let table = open(&path).await;
                    let compaction = if full { table.compact().full() } else { table.compact() };
                    let report = compaction.run().await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                    report.snapshots.last().copied().unwrap_or(newest)
                }
            };
            match turn {
                "we write" | "they write" => model.commit(&operations, newest + 1..=snapshot),
                _ => model.stand(newest + 1..=snapshot),
            }
            let table = open(&path).await;
            let all = model.view().rows.get(&snapshot).cloned().unwrap_or_default();
            note(&table, &mut expected, &all, newest + 1..=snapshot).await;
            newest = snapshot;
            sum += masked_rows(&table).await;
        }
        expected.changes.clone_from(&model.view().changes);
        let table = open(&path).await;
        let what = format!("seed {seed}, {done:?}: {spec:?}");
        assert_same(&format!("{what}, read by forebay"), &expected, &View::ours(&table).await);
        let theirs = View::of(&mut server, &table, &path).await;
        assert_same(&format!("{what}, read by {}", engine.name()), &expected, &theirs);
    }
    println!("{sum} masked rows were read");
    assert!(sum > 0, "nothing was masked");
}

#[tokio::test]
async fn java_2x_reads_what_we_masked() {
    by_turns(Engine::Java2x, Shape::ALL, &["we write", "we write", "we compact"], seeds(6)).await;
}

#[tokio::test]
async fn we_read_what_java_2x_masked() {
    let shape = Shape { partitions: PARTITIONS, ..Shape::ALL };
    by_turns(Engine::Java2x, shape, &["they write", "they write", "they compact"], seeds(4)).await;
}

#[tokio::test]
async fn java_2x_and_we_mask_by_turns() {
    let turns = ["we write", "they write", "we write", "we compact", "they compact"];
    by_turns(Engine::Java2x, Shape { partitions: PARTITIONS, ..Shape::ALL }, &turns, seeds(8)).await;
}

/// Rows of the ORC files of each are masked by both.
#[tokio::test]
async fn java_2x_and_we_mask_rows_of_orc_files() {
    let turns = ["they write", "they write", "they compact", "we compact", "we write"];
    by_turns_in("orc", Engine::Java2x, Shape { partitions: PARTITIONS, ..Shape::ALL }, &turns, seeds(6)).await;
}

#[tokio::test]
async fn java_1x_and_we_mask_by_turns() {
    let turns = ["we write", "they write", "we compact", "they compact"];
    by_turns(Engine::Java1x, Shape { partitions: PARTITIONS, ..Shape::JAVA_1X }, &turns, seeds(4)).await;
}
