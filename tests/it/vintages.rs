//! Tables that old releases of Apache Paimon wrote, with what those releases read in them: every snapshot and every change
//! reads the same, and the tables are written on. `tools/interop/vintages` makes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use forebay::scan::At;
use forebay::schema::{Schema, SchemaChange};
use forebay::stream::Start;
use forebay::types::{Datum, RowKind};
use forebay::{Error, Table};
use serde_json::Value;

use crate::goldens::{differ, open, snapshots};
use crate::support::{Row, all_rows, as_set, changes, copy, json_lines, row_of, rows_of};

/// Every table, by its release.
fn vintages() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vintages");
    let mut found = Vec::new();
    for release in std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()) {
        for dir in std::fs::read_dir(&release).unwrap().map(|entry| entry.unwrap().path()) {
            let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_string();
            found.push((format!("{}/{}", name(&release), name(&dir)), dir));
        }
    }
    found.sort();
    assert!(found.len() > 20, "{} tables in {}", found.len(), root.display());
    found
}

fn told(dir: &Path, snapshot: i64) -> Vec<Value> {
    let lines = json_lines(&dir.join("rows.jsonl")).into_iter();
    lines.filter(|line| line["snapshot"] == snapshot).map(|line| line["row"].clone()).collect()
}

async fn check_rows(dir: &Path) -> Result<(), Error> {
    let table = open(dir).await?;
    for snapshot in snapshots(dir) {
        let scan = table.scan().at(At::Snapshot(snapshot)).wide_timestamps();
        let schema = scan.plan().await?.schema;
        let found = as_set(all_rows(&schema, scan.read().await?).await?);
        let wanted = as_set(told(dir, snapshot).iter().map(|row| row_of(&schema, row)));
        differ(format!("snapshot {snapshot}"), &wanted, &found)?;
    }
    Ok(())
}

async fn check_changes(dir: &Path) -> Result<(), Error> {
    if !dir.join("changes.jsonl").exists() {
        return Ok(()); // the release tells them with other columns
    }
    let table = open(dir).await?;
    let schema = table.schema().clone();
    let mut stream = table.changes().from(Start::Earliest).wide_timestamps().read().await?;
    let mut found: BTreeMap<i64, Vec<(RowKind, Row)>> = BTreeMap::new();
    while let Some(change) = stream.next().await? {
        let rows = rows_of(&schema, change.rows.rows()).into_iter().enumerate();
        found.entry(change.snapshot_id).or_default().extend(rows.map(|(at, row)| (change.rows.kind(at), row)));
    }
    let mut wanted: BTreeMap<i64, Vec<(RowKind, Row)>> = BTreeMap::new();
    for line in json_lines(&dir.join("changes.jsonl")) {
        let kind = RowKind::from_short(line["kind"].as_str().unwrap()).unwrap();
        wanted.entry(line["snapshot"].as_i64().unwrap()).or_default().push((kind, row_of(&schema, &line["row"])));
    }
    let texts = |map: BTreeMap<i64, Vec<(RowKind, Row)>>| {
        as_set(map.into_iter().flat_map(|(snapshot, rows)| rows.into_iter().map(move |row| (snapshot, row))))
    };
    differ("changes".to_string(), &texts(wanted), &texts(found))
}

/// A row of a new key, with the values of another.
fn another(schema: &Schema, rows: &[Row]) -> Row {
    let mut row = rows[rows.len() / 2].clone();
    if let Some(at) = schema.index_of("k") {
        row[at] = Datum::Int(1000);
    }
    row
}

async fn newest(table: &Table) -> Result<Vec<Row>, Error> {
    all_rows(table.schema(), table.scan().wide_timestamps().read().await?).await
}

/// Neither is it written, nor can its options be changed so that it would be.
async fn refused_append(table: &Table) -> Result<(), Error> {
    let refused = table.stream_writer("w").await.err().ok_or_else(|| Error::Bug("it is written".into()))?;
    assert!(refused.to_string().contains("bucket-key"), "{refused}");
    let change = SchemaChange::SetOption("file.format".into(), "parquet".into());
    let refused = table.alter(&[change]).await.err().ok_or_else(|| Error::Bug("it is altered".into()))?;
    assert!(refused.to_string().contains("bucket-key"), "{refused}");
    Ok(())
}

/// Writes a row, reads it back, compacts everything and reads again.
async fn write_on(dir: &Path) -> Result<(), Error> {
    let place = tempfile::tempdir().unwrap();
    copy(dir, place.path());
    let table = open(place.path()).await?;
    // Releases up to 0.7 gave append tables one bucket, without a word on which rows go there.
    let has = |name: &str| table.schema().option(name).is_some();
    if !table.schema().has_primary_key() && has("bucket") && !has("bucket-key") {
        return refused_append(&table).await;
    }
    let mut wanted = newest(&table).await?;
    let row = another(table.schema(), &wanted);
    wanted.push(row.clone());
    let mut writer = table.writer().await?;
    writer.write(&changes(table.schema(), &[(RowKind::Insert, row)])).await?;
    writer.commit().await?.snapshot_id()?;
    writer.close().await?;
    let masks = table.schema().option("deletion-vectors.enabled").is_some_and(|it| it == "true");
    if !masks {
        differ("written on".to_string(), &as_set(wanted.clone()), &as_set(newest(&table).await?))?;
    }
    table.compact().full().run().await?;
    differ("compacted".to_string(), &as_set(wanted), &as_set(newest(&table).await?))
}

async fn each<F, Fut>(check: F)
where
    F: Fn(PathBuf) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let mut failed = Vec::new();
    for (name, dir) in vintages() {
        if let Err(error) = check(dir).await {
            failed.push(format!("{name}: {error}"));
        }
    }
    assert!(failed.is_empty(), "{} tables differ:\n{}", failed.len(), failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_snapshot_of_old_releases_reads_as_they_read_it() {
    each(|dir| async move { check_rows(&dir).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_old_releases_follows_as_they_deliver_it() {
    each(|dir| async move { check_changes(&dir).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_old_releases_are_written_on_or_refused_by_name() {
    each(|dir| async move { write_on(&dir).await }).await;
}
