//! Streams of changes: what consumers get again, and where streams begin and end.

use forebay::Table;
use forebay::schema::Schema;
use forebay::stream::{Change, ChangeStream, Start};
use forebay::types::{DataType, Datum};

use crate::support::{Row, lanes, rows_of};

/// A table of two buckets with three commits, of which each is shown in many batches.
async fn written(place: &tempfile::TempDir) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("note", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "2")
        .option("read.batch-size", "3")
        .option("write-only", "true")
        .build()
        .unwrap();
    let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
    for commit in 0..3 {
        write(&table, commit * 5..commit * 5 + 10).await;
    }
    table
}

async fn write(table: &Table, ids: std::ops::Range<i32>) {
    let row = |id: i32| vec![Datum::Int(id), Datum::String(format!("note {id}"))];
    let mut writer = table.writer().await.unwrap();
    writer.upsert(&lanes(table.schema(), &ids.map(row).collect::<Vec<Row>>())).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
}

type Told = (i64, i32, Vec<Row>);

fn told(table: &Table, change: &Change) -> Told {
    (change.snapshot_id, change.bucket, rows_of(table.schema(), change.rows.rows()))
}

async fn rest(table: &Table, mut stream: ChangeStream) -> Vec<Told> {
    let mut rest = Vec::new();
    while let Some(change) = stream.next().await.unwrap() {
        rest.push(told(table, &change));
    }
    rest
}

/// The loop of the README: each change is handled, then acknowledged.
#[tokio::test]
async fn a_reader_that_dies_gets_no_snapshot_again_that_it_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let table = written(&place).await;
    for start in [Start::Earliest, Start::Snapshot(2), Start::LatestFull, Start::SnapshotFull(1)] {
        let all = rest(&table, table.changes().from(start.clone()).read().await.unwrap()).await;
        assert!(all.len() > 4, "{start:?}: {} changes show little", all.len());
        for handled in 0..=all.len() {
            let open = || {
                table.changes().from(start.clone()).consumer(format!("{start:?}-{handled}").replace(['(', ')'], "-"))
            };
            let mut stream = open().read().await.unwrap();
            for wanted in &all[..handled] {
                assert_eq!(&told(&table, &stream.next().await.unwrap().unwrap()), wanted);
                stream.ack().await.unwrap();
            }
            drop(stream);
            // Only a snapshot that was not handled to its end comes again.
            let of_last = all[..handled].last().map_or(0, |last| last.0);
            let inside = all.get(handled).is_some_and(|next| next.0 == of_last);
            let first = if inside { all.iter().position(|change| change.0 == of_last).unwrap() } else { handled };
            let again = rest(&table, open().read().await.unwrap()).await;
            assert_eq!(again, all[first..], "{start:?}, {handled} handled");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_loses_no_change() {
    let place = tempfile::tempdir().unwrap();
    let table = written(&place).await;
    let all = rest(&table, table.changes().from(Start::Earliest).read().await.unwrap()).await;
    let mut stream = table.changes().from(Start::Earliest).read().await.unwrap();
    let mut found = Vec::new();
    // Each call is polled a few times only, and then asked anew.
    for polls in (0..4).cycle() {
        let mut call = Box::pin(stream.next());
        let mut answer = None;
        for _ in 0..=polls {
            match futures::poll!(call.as_mut()) {
                std::task::Poll::Ready(ready) => {
                    answer = Some(ready.unwrap());
                    break;
                }
                std::task::Poll::Pending => tokio::task::yield_now().await,
            }
        }
        match answer {
            Some(Some(change)) => found.push(told(&table, &change)),
            Some(None) => break,
            None => {}
        }
        drop(call);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(found, all);
}

/// Found by review: the rows of snapshot 3 were shown by a stream that ends with 2.
#[tokio::test]
async fn the_rows_of_a_snapshot_behind_the_last_one_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let table = written(&place).await;
    for start in [Start::LatestFull, Start::SnapshotFull(3)] {
        let refused = table.changes().from(start.clone()).to(2).read().await.map(|_| ()).unwrap_err();
        assert!(matches!(&refused, forebay::Error::Invalid(_)) && refused.to_string().contains('2'), "{refused}");
        let whole = rest(&table, table.changes().from(start.clone()).to(3).read().await.unwrap()).await;
        assert!(whole.iter().all(|change| change.0 == 3) && !whole.is_empty());
    }
    assert_eq!(rest(&table, table.changes().from(Start::Latest).to(2).read().await.unwrap()).await, []);
}

#[tokio::test]
async fn a_stream_that_begins_beyond_the_newest_snapshot_is_told_so() {
    let place = tempfile::tempdir().unwrap();
    let table = written(&place).await;
    let refused = table.changes().from(Start::Snapshot(100)).read().await.map(|_| ()).unwrap_err();
    assert!(matches!(&refused, forebay::Error::NotFound(_)), "{refused}");
    assert!(refused.to_string().contains("does not exist yet, the newest one is 3"), "{refused}");
    // The next one may come at any time.
    let mut next = table.changes().from(Start::Snapshot(4)).read().await.unwrap();
    assert!(next.next().await.unwrap().is_none());
    write(&table, 0..5).await;
    assert_eq!(next.next().await.unwrap().unwrap().snapshot_id, 4);
}

#[tokio::test]
async fn the_changes_of_a_snapshot_are_held_back_until_it_has_an_age() {
    let place = tempfile::tempdir().unwrap();
    let table = written(&place).await;
    let delayed = |delay: &str| table.clone().with_options([("streaming.read.snapshot.delay", delay)]).unwrap();
    let slow = delayed("1 h");
    assert_eq!(rest(&slow, slow.changes().from(Start::Earliest).read().await.unwrap()).await, []);
    let whole = rest(&slow, slow.changes().from(Start::LatestFull).read().await.unwrap()).await;
    assert!(!whole.is_empty() && whole.iter().all(|change| change.0 == 3), "the rows of the beginning are shown");
    table.history().store.env().sleep(std::time::Duration::from_millis(30)).await;
    let quick = delayed("20 ms");
    let all = rest(&table, table.changes().from(Start::Earliest).read().await.unwrap()).await;
    assert_eq!(rest(&quick, quick.changes().from(Start::Earliest).read().await.unwrap()).await, all);
}

/// What a Flink job with `precommit-compact` makes of the changelog files of a commit: one file, which the entries of all
/// buckets point into.
#[tokio::test]
async fn changelog_files_that_buckets_share_are_read() {
    let place = tempfile::tempdir().unwrap();
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("note", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "3")
        .option("changelog-producer", "input")
        .option("write-only", "true")
        .build()
        .unwrap();
    let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
    let row = |id: i32| vec![Datum::Int(id), Datum::String(format!("note {id}"))];
    let rows: Vec<Row> = (0..50).map(row).collect();
    let mut writer = table.stream_writer("w").await.unwrap();
    writer.upsert(&lanes(table.schema(), &rows)).await.unwrap();
    let mut messages = writer.prepare_commit().await.unwrap();
    assert_eq!(messages.len(), 3);
    let (mut whole, mut real) = (Vec::new(), String::new());
    for message in &mut messages {
        let file = &mut message.changelog_files[0];
        let path = place.path().join(format!("t/bucket-{}/{}", message.bucket, file.file_name));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        if real.is_empty() {
            real = format!("compacted-changelog-U-1${}-{}", message.bucket, bytes.len());
            file.file_name = format!("{real}.cc-parquet");
        } else {
            file.file_name = format!("{real}-{}-{}.cc-parquet", whole.len(), bytes.len());
        }
        whole.extend(bytes);
    }
    let path = place.path().join(format!("t/bucket-{}/{real}.cc-parquet", messages[0].bucket));
    std::fs::write(path, whole).unwrap();
    let mut committer = table.committer("w").unwrap();
    committer.commit(1, messages, forebay::commit::CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
    let told = rest(&table, table.changes().from(Start::Earliest).read().await.unwrap()).await;
    let mut found: Vec<Row> = told.into_iter().flat_map(|(_, _, rows)| rows).collect();
    found.sort_by_key(|row| format!("{:>9?}", row[0]));
    let mut expected = rows;
    expected.sort_by_key(|row| format!("{:>9?}", row[0]));
    assert_eq!(found, expected);
}

/// The names of the files below a table's buckets that begin so.
fn named(place: &std::path::Path, prefix: &str) -> Vec<String> {
    let buckets = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    let buckets = buckets.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("bucket-"));
    let files = buckets.flat_map(|bucket| std::fs::read_dir(bucket).unwrap());
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

fn joining(producer: &str, options: &[(&str, &str)]) -> Schema {
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("note", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "4")
        .option("changelog-producer", producer)
        .option("precommit-compact", "true");
    options.iter().fold(schema, |schema, (name, value)| schema.option(*name, *value)).build().unwrap()
}

/// One snapshot stays.
const SHORT: [(&str, &str); 3] =
    [("snapshot.num-retained.min", "1"), ("snapshot.num-retained.max", "1"), ("snapshot.time-retained", "1 ms")];

fn noted(ids: std::ops::Range<i32>, note: &str) -> Vec<Row> {
    ids.map(|id| vec![Datum::Int(id), Datum::String(format!("{note} {id}"))]).collect()
}

#[tokio::test]
async fn small_changelog_files_of_a_commit_are_one_file() {
    for producer in ["input", "lookup", "full-compaction"] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t");
        let schema = joining(producer, &SHORT);
        let table = Table::create(path.to_str().unwrap(), schema, []).await.unwrap();
        for note in ["a", "b"] {
            let mut writer = table.writer().await.unwrap();
            writer.upsert(&lanes(table.schema(), &noted(0..100, note))).await.unwrap();
            writer.commit().await.unwrap();
            writer.close().await.unwrap();
            if producer == "full-compaction" {
                table.compact().full().run().await.unwrap();
            }
        }
        let told = rest(&table, table.changes().from(Start::Earliest).read().await.unwrap()).await;
        let is_last = |row: &&Row| matches!(&row[1], Datum::String(note) if note.starts_with('b'));
        let last: Vec<_> = told.iter().flat_map(|(_, _, rows)| rows).filter(is_last).collect();
        assert_eq!(last.len(), 100, "{producer}");
        assert_eq!(named(&path, "changelog-"), Vec::<String>::new(), "{producer}");
        let shared = named(&path, "compacted-changelog-");
        assert!((1..=2).contains(&shared.len()), "{producer}: {shared:?}");
        // What no snapshot names any more goes, and with it the shared file.
        let mut writer = table.writer().await.unwrap();
        writer.upsert(&lanes(table.schema(), &noted(0..1, "c"))).await.unwrap();
        writer.commit().await.unwrap();
        writer.close().await.unwrap();
        table.maintain().expire_snapshots().unwrap().run().await.unwrap();
        let left = named(&path, "compacted-changelog-");
        assert!(
            left.iter().all(|name| !shared.contains(name)) || producer == "full-compaction",
            "{producer}: {left:?}"
        );
        rest(&table, table.changes().from(Start::Earliest).read().await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_shared_changelog_file_stays_while_one_bucket_needs_it() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    let schema = joining("lookup", &SHORT);
    let table = Table::create(path.to_str().unwrap(), schema, []).await.unwrap();
    let only = table.clone().with_options([("write-only", "true")]).unwrap();
    let mut first = only.writer().await.unwrap();
    first.upsert(&lanes(table.schema(), &noted(0..100, "a"))).await.unwrap();
    first.commit().await.unwrap();

    // The writer's compactions of all buckets share a file, whose owner is bucket 0, and the one of bucket 0 comes too late.
    let mut writer = table.stream_writer("w").await.unwrap();
    writer.upsert(&lanes(table.schema(), &noted(0..100, "b"))).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    let shared = named(&path, "compacted-changelog-");
    assert_eq!((shared.len(), shared[0].contains("$0-")), (1, true), "{shared:?}");
    table.compact().bucket(0).run().await.unwrap();
    let mut committer = table.committer("w").unwrap();
    let outcome = committer.commit(1, messages, forebay::commit::CommitProperties::default()).await.unwrap();
    let forebay::commit::CommitOutcome::Committed { dropped_compactions, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(dropped_compactions.len(), 1);
    assert!(named(&path, "compacted-changelog-").contains(&shared[0]), "three buckets need it");
    let told = rest(&table, table.changes().from(Start::Earliest).read().await.unwrap()).await;
    let told = told.iter().filter(|(_, _, rows)| rows.iter().any(|row| format!("{row:?}").contains("b 7"))).count();
    assert_eq!(told, 3, "the rows of the three buckets are told");

    // Its last entries go, and it goes with them, although the bucket that holds it never named it.
    for note in ["c", "d"] {
        let mut writer = table.writer().await.unwrap();
        writer.upsert(&lanes(table.schema(), &noted(0..100, note))).await.unwrap();
        writer.commit().await.unwrap();
        writer.close().await.unwrap();
    }
    table.maintain().expire_snapshots().unwrap().run().await.unwrap();
    assert!(!named(&path, "compacted-changelog-").contains(&shared[0]));
}

#[tokio::test]
async fn messages_that_are_given_up_take_their_shared_changelog_file_along() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    let table = Table::create(path.to_str().unwrap(), joining("input", &[]), []).await.unwrap();
    let mut writer = table.stream_writer("w").await.unwrap();
    writer.upsert(&lanes(table.schema(), &noted(0..100, "a"))).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    assert_eq!(named(&path, "compacted-changelog-").len(), 1);
    table.committer("w").unwrap().abort(&messages).await.unwrap();
    assert_eq!(named(&path, ""), Vec::<String>::new());
}
