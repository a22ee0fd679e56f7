//! Flink SQL reads our tables, follows them and writes into them.

use std::path::{Path, PathBuf};

use forebay::types::{DataType, Datum, RowKind};
use forebay_interop::{
    Engine, Op, Random, Row, Server, TableSpec, View, changes_of, create, datum_of, difference, open, rows_at, seeds,
    snapshots_of, write_once,
};
use serde_json::{Value, json};

use crate::support::{agreed, place};

/// All types as Flink has them: its TIME has milliseconds at the most.
fn all_types() -> TableSpec {
    const COLUMNS: [&str; 24] = [
        "k1 INT",
        "k2 STRING",
        "v1 BOOLEAN",
        "v2 TINYINT",
        "v3 SMALLINT",
        "v4 INT",
        "v5 BIGINT",
        "v6 FLOAT",
        "v7 DOUBLE",
        "v8 DECIMAL(9, 4)",
        "v9 DECIMAL(18, 0)",
        "v10 DECIMAL(38, 18)",
        "v11 CHAR(5)",
        "v12 VARCHAR(9)",
        "v13 STRING",
        "v14 BYTES",
        "v15 VARBINARY(9)",
        "v16 DATE",
        "v17 TIME(0)",
        "v18 TIME(3)",
        "v19 TIMESTAMP(3)",
        "v20 TIMESTAMP(9)",
        "v21 TIMESTAMP(6) WITH LOCAL TIME ZONE",
        "v22 TIMESTAMP(0) WITH LOCAL TIME ZONE",
    ];
    TableSpec::of(&COLUMNS).key(&["k1", "k2"]).option("bucket", "2")
}

/// Runs statements in a session of its own and answers the last result.
pub fn sql(flink: &mut Server, warehouse: &Path, streaming: Option<usize>, statements: &[String]) -> Value {
    let mut all = vec![
        format!("CREATE CATALOG p WITH ('type'='paimon','warehouse'='{}')", warehouse.display()),
        "USE CATALOG p".to_string(),
    ];
    all.extend(statements.iter().cloned());
    let mut command = json!({"command": "sql", "statements": all});
    if let Some(rows) = streaming {
        command["mode"] = json!("streaming");
        command["limit"] = json!(rows);
        command["timeoutMillis"] = json!(120_000);
    }
    flink.call(&command).unwrap_or_else(|error| panic!("flink: {error} at {statements:?}"))
}

/// The rows of a batch query. Some come as +U, as they were stored.
fn batch_rows(answer: &Value, columns: &[(String, DataType)]) -> Vec<String> {
    let rows = rows_of(answer, columns).into_iter().map(|text| text.replacen("\"+U\"", "\"+I\"", 1));
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

/// Flink's rows with their kinds, by the columns' types.
fn rows_of(answer: &Value, columns: &[(String, DataType)]) -> Vec<String> {
    let kinds = answer["kinds"].as_array().unwrap();
    let row = |row: &Value| {
        columns.iter().zip(row.as_array().unwrap()).map(|((_, it), cell)| datum_of(cell, it)).collect::<Row>()
    };
    let mut texts: Vec<String> = answer["rows"]
        .as_array()
        .unwrap()
        .iter()
        .zip(kinds)
        .map(|(it, kind)| format!("{kind} {:?}", row(it)))
        .collect();
    texts.sort();
    texts
}

fn texts<'a>(rows: impl Iterator<Item = (RowKind, &'a Row)>) -> Vec<String> {
    let mut texts: Vec<String> = rows.map(|(kind, row)| format!("{:?} {row:?}", kind.short())).collect();
    texts.sort();
    texts
}

async fn newest(path: &Path) -> Vec<Row> {
    let table = open(path).await;
    let snapshot = *snapshots_of(&table).await.last().unwrap();
    rows_at(&table, snapshot).await.unwrap()
}

fn assert_equal(what: &str, wanted: &[String], found: &[String]) {
    if let Some(difference) = difference(wanted, found) {
        panic!("{what}: {difference}");
    }
}

pub fn table(warehouse: &Path, name: &str) -> PathBuf {
    warehouse.join("default.db").join(name)
}

#[tokio::test]
async fn flink_reads_our_table_and_copies_it_into_another_of_ours() {
    let mut flink = Server::get(Engine::Flink);
    for seed in seeds(1) {
        let mut random = Random::new(seed);
        let place = place();
        let spec = all_types();
        let (from, to) = (table(place.path(), "a"), table(place.path(), "b"));
        create(&from, &spec).await;
        create(&to, &spec).await;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 3)) {
            write_once(&from, "ours", identifier, &operations).await;
        }
        let rows = newest(&from).await;
        let wanted = texts(rows.iter().map(|row| (RowKind::Insert, row)));
        assert!(!wanted.is_empty());
        let answer = sql(&mut flink, place.path(), None, &["SELECT * FROM a".to_string()]);
        assert_equal(&format!("seed {seed}: Flink's rows"), &wanted, &batch_rows(&answer, &spec.columns));
        sql(&mut flink, place.path(), None, &["INSERT INTO b SELECT * FROM a".to_string()]);
        let copied = newest(&to).await;
        assert_equal(
            &format!("seed {seed}: the copy"),
            &wanted,
            &texts(copied.iter().map(|row| (RowKind::Insert, row))),
        );
    }
}

#[tokio::test]
async fn flink_follows_our_changelog() {
    let mut flink = Server::get(Engine::Flink);
    for (seed, joined) in seeds(1).flat_map(|seed| [(seed, "false"), (seed, "true")]) {
        let mut random = Random::new(seed);
        let place = place();
        let spec = all_types().option("changelog-producer", "input").option("precommit-compact", joined);
        let path = table(place.path(), "t");
        create(&path, &spec).await;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 3)) {
            write_once(&path, "ours", identifier, &operations).await;
        }
        let buckets = [0, 1].map(|bucket| std::fs::read_dir(path.join(format!("bucket-{bucket}"))).unwrap());
        let names = buckets.into_iter().flatten().map(|file| file.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.into_iter().any(|name| name.starts_with("compacted-changelog-")), joined == "true");
        let changes = changes_of(&open(&path).await).await.unwrap();
        let wanted = texts(changes.iter().map(|(_, kind, row)| (*kind, row)));
        let hint = "'scan.mode'='from-snapshot','scan.snapshot-id'='1','continuous.discovery-interval'='100ms'";
        let select = format!("SELECT * FROM t /*+ OPTIONS({hint}) */");
        let answer = sql(&mut flink, place.path(), Some(wanted.len()), &[select]);
        assert_equal(
            &format!("seed {seed}, joined {joined}: Flink's changes"),
            &wanted,
            &rows_of(&answer, &spec.columns),
        );
    }
}

#[tokio::test]
async fn flink_inserts_updates_and_deletes_between_our_commits() {
    let mut flink = Server::get(Engine::Flink);
    let mut java = Server::get(Engine::Java2x);
    let place = place();
    let spec = TableSpec::of(&["k INT", "v STRING", "n BIGINT"])
        .key(&["k"])
        .option("bucket", "2")
        .option("changelog-producer", "input");
    let path = table(place.path(), "t");
    create(&path, &spec).await;
    let row = |k: i32, v: &str, n: i64| vec![Datum::Int(k), Datum::String(v.to_string()), Datum::BigInt(n)];
    let ours: Vec<Op> = (0..6).map(|k| Op::insert(row(k, "ours", 0))).collect();
    write_once(&path, "ours", 1, &ours).await;
    let statements = [
        "INSERT INTO t VALUES (4, 'flink', 1), (5, 'flink', 1), (6, 'flink', 1)",
        "UPDATE t SET n = n + 10 WHERE k <= 1",
        "DELETE FROM t WHERE k = 2",
    ];
    sql(&mut flink, place.path(), None, &statements.map(str::to_string));
    write_once(
        &path,
        "ours",
        2,
        &[Op::insert(row(5, "ours", 2)), Op { kind: RowKind::Delete, row: row(0, "ours", 10) }],
    )
    .await;
    let wanted = [row(1, "ours", 10), row(3, "ours", 0), row(4, "flink", 1), row(5, "ours", 2), row(6, "flink", 1)];
    let wanted = texts(wanted.iter().map(|row| (RowKind::Insert, row)));
    let rows = newest(&path).await;
    assert_equal("our rows", &wanted, &texts(rows.iter().map(|row| (RowKind::Insert, row))));
    let answer = sql(&mut flink, place.path(), None, &["SELECT * FROM t".to_string()]);
    assert_equal("Flink's rows", &wanted, &batch_rows(&answer, &spec.columns));
    let view: View = agreed("after Flink's statements", &mut java, &path).await;
    assert!(!view.changes.is_empty());
}
