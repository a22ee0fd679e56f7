//! Reads that a tag guards, beside expiry of the other engine, and tags whose time is over.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use forebay::read::RowStream;
use forebay::scan::At;
use forebay::types::{Datum, RowKind};
use forebay::{Env, Table};
use forebay_interop::{Engine, Op, Server, TableSpec, create, open, rows_of, snapshots_of, write_once};
use serde_json::json;

use crate::care::orphans;
use crate::support::{place, server_write};

const PARTITIONS: i32 = 12;
const OPTION: &str = "scan.plan-auto-tag-for-read.time-retained";

fn spec() -> TableSpec {
    let spec = TableSpec::of(&["p INT NOT NULL", "k INT NOT NULL", "v INT"]).key(&["p", "k"]).partition(&["p"]);
    // Expiry of each is asked for, and keeps what it is told to.
    spec.option("bucket", "1").option("write-only", "true").option("snapshot.time-retained", "1 ms")
}

fn all(v: i32) -> Vec<Op> {
    let row = |p: i32| vec![Datum::Int(p), Datum::Int(1), Datum::Int(v)];
    (0..PARTITIONS).map(|p| Op { kind: RowKind::Insert, row: row(p) }).collect()
}

async fn rest(table: &Table, rows: &mut RowStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    while let Some(batch) = rows.next_batch().await.unwrap() {
        found.extend(rows_of(table.schema(), &batch).iter().map(|row| format!("{row:?}")));
    }
    found
}

fn wanted(v: i32) -> BTreeSet<String> {
    all(v).iter().map(|op| format!("{:?}", op.row)).collect()
}

/// Replaces all rows by full compactions, so that an expiry takes the files of the first snapshot.
async fn go_on(server: &mut Server, path: &Path, spec: &TableSpec) {
    write_once(path, "us", 2, &all(2)).await;
    open(path).await.compact().full().run().await.unwrap();
    server_write(server, path, spec, 3, &all(3), "none");
    Env::system().sleep(Duration::from_millis(20)).await;
}

async fn ours_beside_theirs(engine: Engine) {
    let (mut server, place, spec) = (Server::get(engine), place(), spec());
    let path = place.path().join("t");
    create(&path, &spec).await;
    write_once(&path, "us", 1, &all(1)).await;
    let table = open(&path).await;
    let mut rows = table.scan().protect(Duration::from_secs(3600)).wide_timestamps().read().await.unwrap();
    let first = rows.next_batch().await.unwrap().unwrap();
    let tags = server.run("snapshots", &path, json!({}))["tags"].clone();
    let (name, snapshot) = tags.as_object().unwrap().iter().next().unwrap();
    assert!(name.starts_with("batch-read-1-") && *snapshot == json!(1), "{tags}");
    go_on(&mut server, &path, &spec).await;
    server.run("expire", &path, json!({"retainMax": 1, "retainMin": 1, "timeRetainedMillis": 0}));
    assert!(!snapshots_of(&table).await.contains(&1));
    let found = rest(&table, &mut rows).await;
    let first = rows_of(table.schema(), &first).into_iter().map(|row| format!("{row:?}"));
    assert_eq!(first.chain(found).collect::<BTreeSet<_>>(), wanted(1));
    assert_eq!(server.run("snapshots", &path, json!({}))["tags"], json!({}));
    assert_eq!(orphans(&mut server, &path), BTreeSet::new(), "what the tag kept went with it");

    // A read that died leaves its tag. Java's commits delete it when its time is over.
    let guard = table.scan().protect(Duration::from_millis(300)).plan_guarded().await.unwrap().1.unwrap();
    let left = guard.name().to_string();
    std::mem::forget(guard);
    Env::system().sleep(Duration::from_millis(500)).await;
    let arguments = json!({
        "user": "java", "identifier": 9, "rows": [], "compact": "auto", "ignoreEmpty": false,
        "options": {"write-only": "false", "snapshot.num-retained.min": "1"},
    });
    server.run("write", &path, arguments);
    assert_eq!(server.run("snapshots", &path, json!({}))["tags"].get(&left), None, "Java expired it");
    assert_eq!(orphans(&mut server, &path), BTreeSet::new());
}

#[tokio::test]
async fn java_2x_lets_a_read_of_ours_go_on_and_expires_what_it_left() {
    ours_beside_theirs(Engine::Java2x).await;
}

#[tokio::test]
async fn java_1x_lets_a_read_of_ours_go_on_and_expires_what_it_left() {
    ours_beside_theirs(Engine::Java1x).await;
}

/// Paimon 1.4 does not tag what it reads. In 2.0 whoever asked for the plan deletes the tag, or its time does.
#[tokio::test]
async fn a_tag_of_a_java_read_holds_our_expiry_back_until_its_time_is_over() {
    let (mut server, place, spec) = (Server::get(Engine::Java2x), place(), spec());
    let path = place.path().join("t");
    create(&path, &spec).await;
    server_write(&mut server, &path, &spec, 1, &all(1), "none");
    server.run("read", &path, json!({"options": {OPTION: "5 s"}}));
    let table = open(&path).await;
    let [name] = table.history().tags.list().await.unwrap().try_into().unwrap();
    let tag = table.history().tags.load(&name).await.unwrap();
    assert!(name.starts_with("batch-read-1-") && tag.time_retained == Some((5, 0)), "{name}: {tag:?}");
    // Ours says the same of the same snapshot, but for when it was made.
    let guard = table.scan().protect(Duration::from_secs(5)).plan_guarded().await.unwrap().1.unwrap();
    let form = |name: &str| {
        let text = std::fs::read_to_string(path.join(format!("tag/tag-{name}"))).unwrap();
        text.lines().filter(|line| !line.contains("tagCreateTime")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(form(guard.name()), form(&name));
    assert_eq!(guard.name().len(), name.len());
    guard.release().await.unwrap();

    go_on(&mut server, &path, &spec).await;
    let expire = async || {
        let expire = table.maintain().expire_snapshots().unwrap().retain_min(1).retain_max(1);
        expire.run().await.unwrap()
    };
    let report = expire().await;
    assert!(report.snapshots.contains(&1) && report.tags.is_empty(), "{report:?}");
    let mut rows = table.scan().at(At::Tag(name.clone())).wide_timestamps().read().await.unwrap();
    assert_eq!(rest(&table, &mut rows).await, wanted(1), "what Java reads is there");
    assert_eq!(server.run("read", &path, json!({"tag": name}))["rows"].as_array().unwrap().len(), PARTITIONS as usize);
    Env::system().sleep(Duration::from_secs(5)).await;
    let report = expire().await;
    assert_eq!((report.tags, report.failed), (vec![name], 0));
    assert!(report.files > PARTITIONS as u64);
    assert_eq!(orphans(&mut server, &path), BTreeSet::new());
}
