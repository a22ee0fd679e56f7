//! Tables written by Apache Paimon (Java) read as Java reads them: every snapshot, and every change.
//!
//! `tests/golden` holds a few of them with a catalogue; `FOREBAY_GOLDENS` names a directory with more.

use std::collections::BTreeMap;
use std::path::Path;

use forebay::scan::At;
use forebay::stream::Start;
use forebay::types::RowKind;
use forebay::{Error, Table};
use serde_json::Value;

use crate::support::{Row, all_rows, as_set, golden_dirs, json_lines, row_of, rows_of};

/// Keys of `two_writers_overlap` whose newest version is undefined (two adds of one sequence number).
const UNDEFINED: [(&str, i32); 1] = [("two_writers_overlap", 37)];

/// Goldens whose rows depend on the order of Java's hash maps: what a flush of theirs merged comes out in that order, and
/// `count-limit` takes the first new keys of it. They are read, not replayed.
pub const HASH_DECIDES: [&str; 1] = ["agg_nested_count_limit"];

pub fn defined(golden: &str, row: &Row) -> bool {
    !UNDEFINED.iter().any(|(name, key)| *name == golden && row[0] == forebay::types::Datum::Int(*key))
}

pub async fn open(dir: &Path) -> Result<Table, Error> {
    Table::open(dir.join("table").to_str().unwrap(), []).await
}

/// Runs a check on every golden; a table that is refused by name is counted and listed.
pub async fn each_golden<F, Fut>(what: &str, check: F)
where
    F: Fn(String, std::path::PathBuf) -> Fut,
    Fut: Future<Output = Result<(), Error>>,
{
    let (mut passed, mut refused, mut failed) = (0, Vec::new(), Vec::new());
    for dir in golden_dirs() {
        let name = dir.file_name().unwrap().to_str().unwrap().to_string();
        match check(name.clone(), dir).await {
            Ok(()) => passed += 1,
            Err(Error::Unsupported(feature)) => refused.push(format!("{name}: {feature}")),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    println!("{what}: {passed} goldens equal, {} refused by name:\n  {}", refused.len(), refused.join("\n  "));
    assert!(failed.is_empty(), "{} goldens differ:\n{}", failed.len(), failed.join("\n"));
    assert!(passed > 0, "no golden was checked");
}

pub fn differ(what: String, expected: &[String], found: &[String]) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let missing: Vec<_> = expected.iter().filter(|row| !found.contains(row)).take(3).collect();
    let extra: Vec<_> = found.iter().filter(|row| !expected.contains(row)).take(3).collect();
    Err(Error::Bug(format!(
        "{what}: {} rows, not {}; missing {missing:#?}, too many {extra:#?}",
        found.len(),
        expected.len()
    )))
}

#[tokio::test]
async fn every_snapshot_reads_as_java_reads_it() {
    each_golden("rows", |name, dir| async move {
        let table = open(&dir).await?;
        let mut expected: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for line in json_lines(&dir.join("rows.jsonl")) {
            expected.entry(line["snapshot"].as_i64().unwrap()).or_default().push(line["row"].clone());
        }
        for snapshot in snapshots(&dir) {
            let scan = table.scan().at(At::Snapshot(snapshot)).wide_timestamps();
            let schema = scan.plan().await?.schema;
            let found = all_rows(&schema, scan.read().await?).await?;
            let wanted = expected.remove(&snapshot).unwrap_or_default();
            let wanted = as_set(wanted.iter().map(|row| row_of(&schema, row)).filter(|row| defined(&name, row)));
            let found = as_set(found.into_iter().filter(|row| defined(&name, row)));
            differ(format!("snapshot {snapshot}"), &wanted, &found)?;
        }
        Ok(())
    })
    .await;
}

pub fn snapshots(dir: &Path) -> Vec<i64> {
    let text = std::fs::read_to_string(dir.join("schema.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    value["snapshots"].as_array().unwrap().iter().map(|entry| entry["snapshot"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn every_change_follows_as_java_delivers_it() {
    each_golden("changes", |name, dir| async move {
        let table = open(&dir).await?;
        let schema = table.schema().clone();
        let mut stream = table.changes().from(Start::Earliest).wide_timestamps().read().await?;
        let mut found = Vec::new();
        while let Some(change) = stream.next().await? {
            for (at, row) in rows_of(&schema, change.rows.rows()).into_iter().enumerate() {
                found.push((change.snapshot_id, change.rows.kind(at), row));
            }
        }
        let wanted = json_lines(&dir.join("changes.jsonl")).into_iter().map(|line| {
            let kind = RowKind::from_short(line["kind"].as_str().unwrap()).unwrap();
            (line["snapshot"].as_i64().unwrap(), kind, row_of(&schema, &line["row"]))
        });
        let wanted = as_set(wanted.filter(|(_, _, row)| defined(&name, row)));
        let found = as_set(found.into_iter().filter(|(_, _, row)| defined(&name, row)));
        differ("changes".to_string(), &wanted, &found)
    })
    .await;
}
