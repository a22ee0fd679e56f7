//! Java Paimon with its own S3 file system and this engine on one table in an S3 server.

use std::collections::BTreeMap;

use forebay::Table;
use forebay::types::Datum;
use forebay_interop::{Engine, Row, Server, TableSpec, json_row, lanes, row_of, rows_at};
use serde_json::{Value, json};

use crate::servers::{Place, Store, place};

fn spec() -> TableSpec {
    TableSpec::of(&["day STRING", "id INT", "v STRING"])
        .partition(&["day"])
        .key(&["day", "id"])
        .option("bucket", "2")
        .option("file.format", "parquet")
}

fn row(commit: i32, id: i32) -> Row {
    let day = if id % 2 == 0 { "2024-01-01" } else { "a b/c" };
    vec![Datum::String(day.into()), Datum::Int(id), Datum::String(format!("commit {commit}"))]
}

/// Sends a command on the table of a place.
fn ask(java: &mut Server, place: &Place, command: &str, mut arguments: Value) -> Value {
    let store: BTreeMap<&str, &str> = place.options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    arguments["command"] = json!(command);
    arguments["table"] = json!(place.location);
    arguments["store"] = json!(store);
    java.call(&arguments).unwrap_or_else(|error| panic!("{command} by Java: {error}"))
}

fn java_writes(java: &mut Server, place: &Place, identifier: i32, ids: std::ops::Range<i32>, compact: &str) {
    let schema = spec().schema();
    let rows: Vec<Value> =
        ids.map(|id| json!({"kind": "+I", "row": json_row(&schema, &row(identifier, id))})).collect();
    ask(java, place, "write", json!({"user": "java", "identifier": identifier, "rows": rows, "compact": compact}));
}

async fn we_write(place: &Place, identifier: i32, ids: std::ops::Range<i32>) {
    let table = Table::open(&place.location, place.options.clone()).await.unwrap();
    let rows: Vec<Row> = ids.map(|id| row(identifier, id)).collect();
    let mut writer = table.writer().await.unwrap();
    writer.upsert(&lanes(table.schema(), &rows.iter().collect::<Vec<_>>())).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

fn sorted(rows: impl IntoIterator<Item = Row>) -> Vec<String> {
    let mut rows: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

async fn check(java: &mut Server, place: &Place, wanted: &[Row]) {
    let table = Table::open(&place.location, place.options.clone()).await.unwrap();
    let last = table.history().snapshots.ids().await.unwrap().last().copied().unwrap();
    let wanted = sorted(wanted.to_vec());
    assert_eq!(sorted(rows_at(&table, last).await.unwrap()), wanted, "read by forebay");
    let read = ask(java, place, "read", json!({}));
    let rows = read["rows"].as_array().unwrap().iter().map(|row| row_of(table.schema(), row));
    assert_eq!(sorted(rows), wanted, "read by Java");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_and_forebay_write_and_read_one_table_in_s3_by_turns() {
    let mut java = Server::get(Engine::Java1x);
    for ours_first in [true, false] {
        let place = place(Store::Moto);
        if ours_first {
            Table::create(&place.location, spec().schema(), place.options.clone()).await.unwrap();
            we_write(&place, 1, 0..40).await;
            check(&mut java, &place, &(0..40).map(|id| row(1, id)).collect::<Vec<_>>()).await;
        } else {
            ask(&mut java, &place, "create", spec().creation());
            java_writes(&mut java, &place, 1, 0..40, "none");
        }
        java_writes(&mut java, &place, 2, 30..60, "auto");
        we_write(&place, 3, 50..70).await;
        java_writes(&mut java, &place, 4, 69..71, "full");
        let commit = |id: i32| match id {
            0..30 => 1,
            30..50 => 2,
            50..69 => 3,
            _ => 4,
        };
        check(&mut java, &place, &(0..71).map(|id| row(commit(id), id)).collect::<Vec<_>>()).await;
    }
}
