//! The life of a table in a store: written, committed by two at once, compacted, expired, followed and read.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay::io::{BlockCache, CacheOptions, CachedKind};
use forebay::types::Datum;
use forebay::{Start, Table};
use forebay_interop::{Row, TableSpec, changes_of, lanes, rows_at, rows_of};

use crate::servers::Place;

/// Commits of each of two writers.
const COMMITS: i32 = 6;

pub async fn a_table_lives_in_the_store(place: Place) {
    let spec = TableSpec::of(&["day STRING", "id INT", "v STRING"])
        .partition(&["day"])
        .key(&["day", "id"])
        .option("bucket", "2")
        .option("changelog-producer", "input")
        .option("num-sorted-run.compaction-trigger", "4")
        .option("snapshot.num-retained.min", "100")
        .option("snapshot.num-retained.max", "100")
        .option("snapshot.time-retained", "1 ms");
    let table = Table::create(&place.location, spec.schema(), place.options.clone()).await.unwrap();
    let mut stream = table.changes().from(Start::Earliest).follow().await.unwrap();
    let writers = ["one", "two"].map(|name| tokio::spawn(write(place.location.clone(), place.options.clone(), name)));
    for writer in writers {
        writer.await.unwrap();
    }
    let wanted = wanted();
    let table = open(&place).await;
    assert_eq!(shown(&table).await, wanted, "after the race");

    // Everything that was committed arrives, in order, at one who followed all the time.
    let mut followed = BTreeMap::new();
    let last = table.history().snapshots.ids().await.unwrap().last().copied().unwrap();
    while followed != wanted {
        let change = tokio::time::timeout(Duration::from_secs(60), stream.next()).await;
        let change = change.expect("changes in time").unwrap().expect("an endless stream");
        for row in rows_of(table.schema(), change.rows.rows()) {
            followed.insert((shown_text(&row[0]), int(&row[1])), shown_text(&row[2]));
        }
        assert!(change.snapshot_id <= last);
    }
    drop(stream);
    assert!(changes_of(&table).await.unwrap().len() >= wanted.len());

    // Compacted and expired, with nothing but one snapshot's files left.
    table.compact().full().run().await.unwrap();
    assert_eq!(shown(&table).await, wanted, "after the compaction");
    let before = table.store().list_recursive("").await.unwrap().len();
    let expiry =
        table.maintain().expire_snapshots().unwrap().retain_min(1).retain_max(1).older_than(Duration::from_millis(1));
    table.store().env().sleep(Duration::from_millis(20)).await;
    expiry.run().await.unwrap();
    let table = open(&place).await;
    assert_eq!(table.history().snapshots.ids().await.unwrap().len(), 1);
    assert!(table.store().list_recursive("").await.unwrap().len() < before);
    assert_eq!(shown(&table).await, wanted, "after the expiry");

    // What is dropped is gone.
    table.drop().await.unwrap();
    assert!(place.open().list_recursive("").await.unwrap().is_empty());
}

/// What one handle fetched, another one reads from the local disk: manifests and data are not asked for again.
pub async fn a_cached_table_is_fetched_once(mut place: Place) {
    let directory = tempfile::tempdir().unwrap();
    let options = [("enabled", "true"), ("max-size", "64 mb"), ("whitelist", "meta,data,bucket-index")];
    let dir = ("dir", directory.path().to_str().unwrap());
    let named =
        options.into_iter().chain([dir]).map(|(name, value)| (format!("local-cache.{name}"), value.to_string()));
    place.options.extend(named);
    let kinds = vec![CachedKind::Meta, CachedKind::Data, CachedKind::BucketIndex];
    let cache = BlockCache::open(CacheOptions { kinds, ..CacheOptions::new(directory.path(), 64 << 20) }).unwrap();
    let spec = TableSpec::of(&["day STRING", "id INT", "v STRING"])
        .partition(&["day"])
        .key(&["day", "id"])
        .option("bucket", "2");
    Table::create(&place.location, spec.schema(), place.options.clone()).await.unwrap();
    write(place.location.clone(), place.options.clone(), "one").await;
    let first = shown(&open(&place).await).await;
    let fetched = cache.counts();
    assert!(fetched.misses > 0 && !first.is_empty());
    assert_eq!(shown(&open(&place).await).await, first);
    assert_eq!(cache.counts().misses, fetched.misses, "something was fetched again");
    assert!(cache.counts().hits > fetched.hits);
    // New snapshots are seen.
    write(place.location.clone(), place.options.clone(), "two").await;
    assert_eq!(shown(&open(&place).await).await, wanted());
}

/// Commits rows of one writer's own, and rows of a key that both write.
async fn write(location: String, options: Vec<(String, String)>, name: &'static str) {
    let table = Table::open(&location, options).await.unwrap();
    let mut writer = table.writer().await.unwrap();
    for commit in 0..COMMITS {
        let rows: Vec<Row> = rows(name, commit);
        writer.upsert(&lanes(table.schema(), &rows.iter().collect::<Vec<_>>())).await.unwrap();
        writer.commit().await.unwrap().snapshot_id().unwrap();
    }
    writer.close().await.unwrap();
}

fn rows(name: &str, commit: i32) -> Vec<Row> {
    let row = |day: &str, id: i32| {
        vec![Datum::String(day.into()), Datum::Int(id), Datum::String(format!("{name} {commit} {id}"))]
    };
    let offset = if name == "one" { 0 } else { 1000 };
    // Every commit replaces half of the rows of the commit before.
    (0..20).map(|at| row(if at % 2 == 0 { "a/b c%" } else { "日本" }, offset + commit * 10 + at)).collect()
}

fn wanted() -> BTreeMap<(String, i32), String> {
    let mut all = BTreeMap::new();
    for name in ["one", "two"] {
        for commit in 0..COMMITS {
            for row in rows(name, commit) {
                all.insert((shown_text(&row[0]), int(&row[1])), shown_text(&row[2]));
            }
        }
    }
    all
}

fn shown_text(datum: &Datum) -> String {
    format!("{datum:?}")
}

fn int(datum: &Datum) -> i32 {
    match datum {
        Datum::Int(number) => *number,
        other => panic!("{other:?}"),
    }
}

async fn open(place: &Place) -> Table {
    Table::open(&place.location, place.options.clone()).await.unwrap()
}

async fn shown(table: &Table) -> BTreeMap<(String, i32), String> {
    let last = table.history().snapshots.ids().await.unwrap().last().copied().unwrap();
    let rows = rows_at(table, last).await.unwrap();
    rows.iter().map(|row| ((shown_text(&row[0]), int(&row[1])), shown_text(&row[2]))).collect()
}
