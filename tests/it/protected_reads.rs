//! Batch reads that a tag guards from expiry, and tags whose time is over.

use std::path::Path;
use std::time::Duration;

use forebay::read::RowStream;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::table::ScanBuilder;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{Row, changes};

const DAYS: i32 = 12;
const OPTION: &str = "scan.plan-auto-tag-for-read.time-retained";

/// A partition for each day, and a short life for snapshots.
fn schema() -> Schema {
    let schema = Schema::builder().column("day", DataType::INT).column("id", DataType::INT).partition_by(["day"]);
    schema
        .primary_key(["day", "id"])
        .option("bucket", "1")
        .option("write-only", "true")
        .option("snapshot.num-retained.min", "1")
        .option("snapshot.time-retained", "1 ms")
        .build()
        .unwrap()
}

async fn commit(table: &Table, days: std::ops::Range<i32>) {
    let rows = |day: i32| [1, 2].map(|id| (RowKind::Insert, vec![Datum::Int(day), Datum::Int(id)] as Row));
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &days.flat_map(rows).collect::<Vec<_>>())).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

async fn full(place: &Path) -> Table {
    let table = Table::create(place.join("t").to_str().unwrap(), schema(), []).await.unwrap();
    commit(&table, 0..DAYS).await;
    table
}

/// Everything that was there goes, and so does every snapshot but the newest.
async fn replace_all(table: &Table) {
    table.truncate().run().await.unwrap();
    commit(table, 0..1).await;
    table.history().store.env().sleep(Duration::from_millis(5)).await;
    let report = table.maintain().expire_snapshots().unwrap().retain_max(1).run().await.unwrap();
    assert_eq!((report.snapshots, report.failed), (vec![1, 2], 0));
}

fn data_files(table: &Path) -> usize {
    let days = std::fs::read_dir(table).unwrap().map(|entry| entry.unwrap().path());
    let days = days.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("day="));
    days.map(|day| std::fs::read_dir(day.join("bucket-0")).unwrap().count()).sum()
}

async fn tags(table: &Table) -> Vec<String> {
    table.history().tags.list().await.unwrap()
}

async fn rest(rows: &mut RowStream) -> Result<usize, Error> {
    let mut count = 0;
    while let Some(batch) = rows.next_batch().await? {
        count += batch.num_rows();
    }
    Ok(count)
}

/// Reads a batch, has everything replaced and expired, and reads on.
async fn slow_read(table: &Table, scan: ScanBuilder) -> Result<usize, Error> {
    let mut rows = scan.read().await.unwrap();
    let first = rows.next_batch().await.unwrap().unwrap().num_rows();
    replace_all(table).await;
    rest(&mut rows).await.map(|count| count + first)
}

#[tokio::test]
async fn a_slow_read_that_is_guarded_goes_on_to_its_end_while_its_snapshot_expires() {
    for how in ["by the call", "by the option", "in an order"] {
        let place = tempfile::tempdir().unwrap();
        let (table, path) = (full(place.path()).await, place.path().join("t"));
        let scan = match how {
            "by the call" => table.scan().protect(Duration::from_secs(3600)),
            "by the option" => table.clone().with_options([(OPTION, "1 h")]).unwrap().scan().at(At::Snapshot(1)),
            _ => {
                let (plan, guard) = table.scan().protect(Duration::from_secs(3600)).plan_guarded().await.unwrap();
                replace_all(&table).await;
                assert_eq!(data_files(&path), DAYS as usize + 1);
                let order = forebay::read::Sort::ascending("day");
                let scan = table.scan().order_by([order]).limit(1000);
                let mut rows = scan.read_guarded(plan.splits, guard).await.unwrap();
                assert_eq!(rest(&mut rows).await, Ok(2 * DAYS as usize));
                assert_eq!((tags(&table).await, data_files(&path)), (Vec::new(), 1), "{how}");
                continue;
            }
        };
        assert_eq!(slow_read(&table, scan).await, Ok(2 * DAYS as usize), "{how}");
        // With the last row the tag is gone, and what it alone kept.
        assert_eq!((tags(&table).await, data_files(&path)), (Vec::new(), 1), "{how}");
        assert!(!path.join("expiry").exists());
    }
}

#[tokio::test]
async fn a_slow_read_that_nothing_guards_is_told_that_its_snapshot_expired() {
    let place = tempfile::tempdir().unwrap();
    let table = full(place.path()).await;
    let error = slow_read(&table, table.scan()).await.unwrap_err();
    let told = "the rows of snapshot 1: it expired while they were read";
    assert!(matches!(&error, Error::NotFound(words) if words.contains(told)), "{error}");
    assert!(tags(&table).await.is_empty());
}

#[tokio::test]
async fn the_tag_tells_its_snapshot_and_its_time_and_is_there_before_files_are_read() {
    let place = tempfile::tempdir().unwrap();
    let table = full(place.path()).await.with_options([(OPTION, "2 h")]).unwrap();
    let rows = table.scan().read().await.unwrap();
    let [name] = tags(&table).await.try_into().unwrap();
    let unique = name.strip_prefix("batch-read-1-").unwrap();
    assert!(unique.len() == 8 && unique.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    let tag = table.history().tags.load(&name).await.unwrap();
    assert_eq!((tag.snapshot.id, tag.time_retained), (1, Some((7200, 0))));
    assert!(tag.create_time.is_some());
    rows.close().await;
    assert!(tags(&table).await.is_empty(), "a read that is closed early waits for its tag to go");
    // A plan makes none; neither does a table without snapshots, nor one that is only counted keep it.
    table.scan().plan().await.unwrap();
    assert_eq!(table.scan().count().await, Ok(2 * DAYS as u64));
    assert!(tags(&table).await.is_empty());
}

#[tokio::test]
async fn a_read_that_is_dropped_or_fails_leaves_no_tag() {
    let place = tempfile::tempdir().unwrap();
    let table = full(place.path()).await.with_options([(OPTION, "1 h")]).unwrap();
    let mut rows = table.scan().read().await.unwrap();
    rows.next_batch().await.unwrap().unwrap();
    assert_eq!(tags(&table).await.len(), 1);
    drop(rows);
    for _ in 0..500 {
        if tags(&table).await.is_empty() {
            break;
        }
        table.history().store.env().sleep(Duration::from_millis(10)).await;
    }
    assert!(tags(&table).await.is_empty(), "dropped");

    // A file that is gone ends the read, and the tag is gone before the error is told.
    let bucket = place.path().join("t/day=11/bucket-0");
    let file = std::fs::read_dir(&bucket).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(file).unwrap();
    let mut rows = table.scan().read().await.unwrap();
    rest(&mut rows).await.unwrap_err();
    assert!(tags(&table).await.is_empty(), "failed");
    assert_eq!(rows.next_batch().await, Ok(None));
    // So it is when the read does not begin.
    assert!(table.scan().select(["nothing"]).read().await.is_err());
    assert!(table.scan().at(At::Snapshot(9)).read().await.is_err());
    assert!(tags(&table).await.is_empty(), "not begun");
}

#[tokio::test]
async fn tags_past_their_time_go_with_what_they_alone_kept_and_a_dry_run_tells_so() {
    let place = tempfile::tempdir().unwrap();
    let (table, path) = (full(place.path()).await, place.path().join("t"));
    let short = Some(Duration::from_millis(1));
    table.create_tag("short", &At::Snapshot(1), short).await.unwrap();
    table.create_tag("as short", &At::Snapshot(1), short).await.unwrap();
    let still = table.clone().with_options([("tag.time-expire-enabled", "false")]).unwrap();
    replace_all(&still).await;
    table.create_tag("long", &At::Latest, Some(Duration::from_secs(3600))).await.unwrap();
    table.create_tag("endless", &At::Latest, None).await.unwrap();
    assert_eq!(tags(&table).await.len(), 4, "the option holds tags back");
    assert_eq!(data_files(&path), DAYS as usize + 1);

    let dry = table.maintain().expire_snapshots().unwrap().dry_run().run().await.unwrap();
    let mut would_go: Vec<String> = dry.would_go.into_iter().map(|file| file.path).collect();
    would_go.sort();
    assert_eq!(dry.tags, ["as short", "short"]);
    assert!(would_go.iter().all(|file| path.join(file).is_file()), "{would_go:?}");
    assert_eq!(would_go.iter().filter(|file| file.starts_with("day=")).count(), DAYS as usize);
    assert_eq!(tags(&table).await.len(), 4);

    let report = table.maintain().expire_snapshots().unwrap().run().await.unwrap();
    assert_eq!((report.tags, report.snapshots, report.failed), (dry.tags, Vec::new(), 0));
    assert_eq!(report.files, would_go.len() as u64);
    assert!(would_go.iter().all(|file| !path.join(file).exists()));
    assert_eq!(tags(&table).await, ["endless", "long"]);
    assert_eq!(data_files(&path), 1);
    // The tags that a read of the newest snapshot leaves behind are forgotten too, after commits.
    let table = table.with_options([("write-only", "false"), ("snapshot.num-retained.max", "1")]).unwrap();
    table.create_tag("short", &At::Latest, short).await.unwrap();
    table.history().store.env().sleep(Duration::from_millis(5)).await;
    commit(&table, 3..4).await;
    assert_eq!(tags(&table).await, ["endless", "long"]);
}

/// The decoder hands errors of the store on as texts; whoever reads must not take them for damage.
#[tokio::test]
async fn a_file_that_goes_while_it_is_read_is_missing_and_not_corrupt() {
    let place = tempfile::tempdir().unwrap();
    let schema = Schema::builder().column("id", DataType::INT).column("noise", DataType::STRING).build().unwrap();
    let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 32) as u32
    };
    let mut row = |id| {
        let text: String = (0..32).map(|_| char::from_u32(0x4E00 + noise() % 0x5000).unwrap()).collect();
        (RowKind::Insert, vec![Datum::Int(id), Datum::String(text)] as Row)
    };
    let rows: Vec<_> = (0..60_000).map(&mut row).collect();
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();

    let table = table.with_options([("read.batch-size", "100")]).unwrap();
    let mut stream = table.scan().read().await.unwrap();
    assert_eq!(stream.next_batch().await.unwrap().unwrap().num_rows(), 100);
    std::fs::remove_dir_all(place.path().join("t/bucket-0")).unwrap();
    let error = loop {
        match stream.next_batch().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the file is larger than what is fetched at once"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
}
