//! Whatever the handles do can be done in a task of its own (`tokio::spawn`).

use std::pin::Pin;

use forebay::Table;
use forebay::commit::CommitProperties;
use forebay::predicate::col;
use forebay::scan::At;
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};

/// The most bytes of what a handle does.
const LARGEST: usize = 36 << 10;

/// Boxed: the test's own stack would not hold all of them.
#[track_caller]
fn spawnable<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    let size = std::mem::size_of_val(&future);
    assert!(size <= LARGEST, "{size} bytes: box what it waits for, a caller's stack has to hold it many times over");
    Box::pin(future)
}

#[tokio::test]
async fn every_handle_works_in_a_task_of_its_own() {
    let place = tempfile::tempdir().unwrap();
    let schema = forebay::schema::Schema::builder().column("id", DataType::INT).primary_key(["id"]).build().unwrap();
    let location = place.path().join("t").to_str().unwrap().to_string();
    let table = spawnable(Table::create(&location, schema, [])).await.unwrap();
    let rows = crate::support::changes(table.schema(), &[(RowKind::Insert, vec![Datum::Int(1)])]);
    let mut writer = spawnable(table.writer()).await.unwrap();
    spawnable(writer.write(&rows)).await.unwrap();
    spawnable(writer.commit()).await.unwrap();
    spawnable(writer.close()).await.unwrap();
    let mut writer = spawnable(table.stream_writer("w")).await.unwrap();
    spawnable(writer.write(&rows)).await.unwrap();
    let messages = spawnable(writer.prepare_commit()).await.unwrap();
    let mut committer = table.committer("w").unwrap();
    spawnable(committer.commit(1, messages, CommitProperties::default())).await.unwrap();
    spawnable(committer.abort(&[])).await.unwrap();
    let mut rows = spawnable(table.scan().read()).await.unwrap();
    assert!(spawnable(rows.next_batch()).await.unwrap().is_some());
    let mut changes = spawnable(table.changes().from(Start::Earliest).read()).await.unwrap();
    assert!(spawnable(changes.next()).await.unwrap().is_some());
    spawnable(table.compact().full().run()).await.unwrap();
    spawnable(table.maintain().expire_snapshots().unwrap().run()).await.unwrap();
    spawnable(table.delete(col("id").eq(1)).run()).await.unwrap();
    spawnable(table.truncate().run()).await.unwrap();
    let mut overwrite = spawnable(table.overwrite().writer()).await.unwrap();
    spawnable(overwrite.commit()).await.unwrap();
    spawnable(overwrite.close()).await.unwrap();
    let lookup = spawnable(table.lookup().open()).await.unwrap();
    assert!(spawnable(lookup.get_one(&[Datum::Int(1)])).await.unwrap().is_none());
    spawnable(lookup.refresh()).await.unwrap();
    spawnable(table.create_tag("one", &At::Latest, None)).await.unwrap();
    spawnable(table.create_branch("b", Some("one"))).await.unwrap();
    spawnable(table.delete_branch("b")).await.unwrap();
    spawnable(table.delete_tag("one")).await.unwrap();
}
