//! A living table: `forebay write` streams updates, `forebay compact --watch` works beside it, both are killed at random
//! moments and started again. Rows and changelog are then those that an oracle wants, and Java, Flink SQL and pypaimon go
//! on with the table.
//!
//! `FOREBAY_LIVING_ROWS=3000000` makes it longer, `FOREBAY_LIVING_BINARY=target/release/forebay` takes another binary than
//! the one that is built here.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forebay::stream::Start;
use forebay::types::{Datum, RowKind};
use forebay_interop::{Engine, Op, Random, Row, Server, TableSpec, create, open, rows_of};
use serde_json::json;

use crate::flink::{sql, table};
use crate::support::{place, server_compact, server_write};

type Oracle = BTreeMap<i64, Row>;

fn rows() -> i64 {
    std::env::var("FOREBAY_LIVING_ROWS").map_or(15_000, |text| text.parse().unwrap())
}

/// The command line.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("FOREBAY_LIVING_BINARY") {
        return path.into();
    }
    let built = forebay_interop::binary();
    assert!(built.is_file(), "{}: make it by cargo build --bin forebay", built.display());
    built
}

fn row(id: i64, n: i64) -> Row {
    vec![Datum::BigInt(id), Datum::BigInt(n), Datum::String(format!("note {n}"))]
}

/// Writes the feed into a file: every tenth change takes a row away. Answers the rows that it leaves.
fn feed(path: &Path, rows: i64, random: &mut Random) -> Oracle {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut oracle = Oracle::new();
    for n in 0..rows {
        let id = random.below((rows / 20) as usize) as i64;
        let kind = if random.chance(10) { "-D" } else { "+U" };
        match kind {
            "-D" => drop(oracle.remove(&id)),
            _ => drop(oracle.insert(id, row(id, n))),
        }
        let line = json!({"kind": kind, "row": {"id": id, "n": n, "note": format!("note {n}")}});
        writeln!(out, "{line}").unwrap();
    }
    out.flush().unwrap();
    oracle
}

/// A process that is killed when this value goes.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(binary: &Path, words: &[&str], table: &Path) -> Child {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(table.with_extension("log")).unwrap();
    let mut command = Command::new(binary);
    command.arg(words[0]).arg(table).args(&words[1..]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

/// Streams the feed to its end, through kills of both processes. Answers how often each was killed.
fn live(binary: &Path, table: &Path, feed: &Path, every: i64, random: &mut Random) -> (u64, u64) {
    let every = every.to_string();
    let write =
        ["write", feed.to_str().unwrap(), "--format", "changes", "--commit-every", &every, "--commit-user", "feed"];
    let watch = ["compact", "--watch", "--interval", "100ms"];
    let (mut writer_kills, mut compactor_kills) = (0, 0);
    let mut compactor = Beside(spawn(binary, &watch, table));
    loop {
        let mut writer = Beside(spawn(binary, &write, table));
        // Later lives are longer, so that every machine comes to the end.
        let looks = 15 + random.below(75) as u64 + writer_kills * 15;
        for _ in 0..looks {
            if let Some(status) = writer.0.try_wait().unwrap() {
                let log = std::fs::read_to_string(table.with_extension("log")).unwrap();
                assert!(status.success(), "the writer failed after {writer_kills} kills: {log}");
                return (writer_kills, compactor_kills);
            }
            if let Some(status) = compactor.0.try_wait().unwrap() {
                let log = std::fs::read_to_string(table.with_extension("log")).unwrap();
                panic!("the compactor ended with {status} after {compactor_kills} kills: {log}");
            }
            if random.chance(3) {
                compactor = Beside(spawn(binary, &watch, table));
                compactor_kills += 1;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(writer);
        writer_kills += 1;
    }
}

/// Fails unless the table's rows are those wanted.
async fn check_rows(what: &str, path: &Path, wanted: &Oracle) {
    let table = open(path).await;
    let mut stream = table.scan().read().await.unwrap();
    let mut found = Oracle::new();
    while let Some(batch) = stream.next_batch().await.unwrap() {
        for row in rows_of(table.schema(), &batch) {
            let Datum::BigInt(id) = row[0] else { panic!("{what}: {row:?}") };
            assert!(found.insert(id, row).is_none(), "{what}: key {id} came twice");
        }
    }
    assert_eq!(found.len(), wanted.len(), "{what}: rows");
    assert!(found == *wanted, "{what}: other rows");
}

/// Fails unless the changelog replays to the rows wanted, each change being one of the state before.
async fn check_changes(what: &str, path: &Path, wanted: &Oracle) {
    let table = open(path).await;
    let mut stream = table.changes().from(Start::Earliest).read().await.unwrap();
    let mut rows = Oracle::new();
    while let Some(change) = stream.next().await.unwrap() {
        for (at, row) in rows_of(table.schema(), change.rows.rows()).into_iter().enumerate() {
            let Datum::BigInt(id) = row[0] else { panic!("{what}: {row:?}") };
            let kind = change.rows.kind(at);
            match kind {
                RowKind::Insert | RowKind::UpdateAfter => {
                    assert_eq!(rows.insert(id, row), None, "{what}: {kind:?} of key {id}, which was there");
                }
                RowKind::UpdateBefore | RowKind::Delete => {
                    assert_eq!(rows.remove(&id), Some(row), "{what}: {kind:?} of key {id}, which was not there");
                }
            }
        }
    }
    assert!(rows == *wanted, "{what}: the changelog gives {} other rows of {}", rows.len(), wanted.len());
}

#[tokio::test]
async fn a_table_lives_through_kills_and_other_engines_go_on_with_it() {
    let (binary, mut random) = (binary(), Random::new(std::process::id().into()));
    println!("seed {}", random.seed());
    let place = place();
    let path = table(place.path(), "t");
    let spec = TableSpec::of(&["id BIGINT", "n BIGINT", "note STRING"])
        .key(&["id"])
        .option("bucket", "2")
        .option("changelog-producer", "lookup")
        .option("write-only", "true");
    create(&path, &spec).await;
    let feed_file = place.path().join("feed.jsonl");
    let mut wanted = feed(&feed_file, rows(), &mut random);
    let (writer_kills, compactor_kills) = live(&binary, &path, &feed_file, (rows() / 40).max(1), &mut random);
    println!("{} changes; the writer was killed {writer_kills} times, the compactor {compactor_kills} times", rows());
    check_rows("after the stream", &path, &wanted).await;
    open(&path).await.compact().run().await.unwrap();
    check_rows("after a last compaction", &path, &wanted).await;
    check_changes("after the stream", &path, &wanted).await;

    // Java goes on.
    let mut java = Server::get(Engine::Java2x);
    let mut operations = Vec::new();
    for n in rows()..rows() + 300 {
        let id = random.below((rows() / 20) as usize) as i64;
        operations.push(Op::insert(row(id, n)));
        wanted.insert(id, row(id, n));
    }
    server_write(&mut java, &path, &spec, 1, &operations, "none");
    server_compact(&mut java, &path, &spec, false);
    check_rows("after Java went on", &path, &wanted).await;
    check_changes("after Java went on", &path, &wanted).await;
    server_compact(&mut java, &path, &spec, true);
    check_rows("after Java compacted", &path, &wanted).await;

    // The others read.
    let sum: i64 = wanted.values().map(|row| if let Datum::BigInt(n) = row[1] { n } else { 0 }).sum();
    let mut flink = Server::get(Engine::Flink);
    let answer = sql(&mut flink, place.path(), None, &["SELECT COUNT(*), SUM(n) FROM t".to_string()]);
    assert_eq!(answer["rows"], json!([[wanted.len(), sum]]), "{answer}");
    let mut python = Server::get(Engine::Python);
    let theirs = python.run("read", &path, json!({}));
    let theirs = theirs["rows"].as_array().unwrap();
    assert_eq!(theirs.len(), wanted.len());
    assert_eq!(theirs.iter().map(|row| row["n"].as_i64().unwrap()).sum::<i64>(), sum);
}
