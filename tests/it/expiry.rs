//! Expiry as a table's options ask for it, beside commits.

use std::path::Path;

use forebay::Table;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};

use crate::support::{Row, changes};

/// Two snapshots stay, and old ones go at once.
fn schema(options: &[(&str, &str)]) -> Schema {
    let schema = Schema::builder()
        .column("day", DataType::INT)
        .column("id", DataType::INT)
        .partition_by(["day"])
        .primary_key(["day", "id"])
        .option("bucket", "1")
        .option("snapshot.num-retained.min", "1")
        .option("snapshot.num-retained.max", "2")
        .option("snapshot.time-retained", "1 ms");
    options.iter().fold(schema, |schema, (name, value)| schema.option(*name, *value)).build().unwrap()
}

fn row(day: i32, id: i32) -> Row {
    vec![Datum::Int(day), Datum::Int(id)]
}

async fn commit(table: &Table, kind: RowKind, day: i32) {
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &[(kind, row(day, 1)), (kind, row(day, 2))])).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

fn exists(table: &Path, directory: &str) -> bool {
    table.join(directory).is_dir()
}

#[tokio::test]
async fn directories_that_expiry_empties_go_where_the_table_asks_for_it() {
    for clean in ["false", "true"] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t");
        let schema = schema(&[("snapshot.clean-empty-directories", clean), ("write-only", "true")]);
        let table = Table::create(path.to_str().unwrap(), schema, []).await.unwrap();
        commit(&table, RowKind::Insert, 1).await;
        commit(&table, RowKind::Insert, 2).await;
        commit(&table, RowKind::Delete, 1).await;
        // The rows of day 1 cancel out, and its files leave with this.
        table.compact().full().run().await.unwrap();
        for _ in 0..3 {
            commit(&table, RowKind::Insert, 2).await;
        }
        table.maintain().expire_snapshots().unwrap().run().await.unwrap();
        assert_eq!(exists(&path, "day=1"), clean == "false", "clean {clean}");
        assert_eq!(exists(&path, "day=1/bucket-0"), clean == "false", "clean {clean}");
        assert!(exists(&path, "day=2/bucket-0"), "a directory with files stays");
        assert!(
            !path.join("day=1/bucket-0").is_dir()
                || std::fs::read_dir(path.join("day=1/bucket-0")).unwrap().count() == 0
        );
    }
}

#[tokio::test]
async fn expiry_in_the_background_is_over_when_its_writer_closes() {
    for mode in ["sync", "async"] {
        let place = tempfile::tempdir().unwrap();
        let schema = schema(&[("snapshot.expire.execution-mode", mode)]);
        let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
        let mut writer = table.writer().await.unwrap();
        for day in 0..12 {
            writer.write(&changes(table.schema(), &[(RowKind::Insert, row(day % 3, day))])).await.unwrap();
            writer.commit().await.unwrap();
            table.history().store.env().sleep(std::time::Duration::from_millis(5)).await;
        }
        writer.close().await.unwrap();
        let ids = table.history().snapshots.ids().await.unwrap();
        assert!(ids.len() <= 4 && ids[0] > 8, "{mode}: {ids:?}");
        let mut rows = table.scan().read().await.unwrap();
        let mut count = 0;
        while let Some(batch) = rows.next_batch().await.unwrap() {
            count += batch.num_rows();
        }
        assert_eq!(count, 12, "{mode}");
    }
}

#[tokio::test]
async fn a_consumer_that_stands_still_holds_snapshots_until_its_time_is_over() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    let table = Table::create(path.to_str().unwrap(), schema(&[("write-only", "true")]), []).await.unwrap();
    for day in 0..6 {
        commit(&table, RowKind::Insert, day).await;
    }
    let consumers = &table.history().consumers;
    consumers.store("idle", 2).await.unwrap();
    consumers.store("moving", 5).await.unwrap();
    let file = std::fs::File::options().write(true).open(path.join("consumer/consumer-idle")).unwrap();
    let now = u64::try_from(table.history().store.env().now_millis()).unwrap();
    let three_hours_ago = std::time::Duration::from_millis(now - 3 * 3_600_000);
    file.set_modified(std::time::UNIX_EPOCH + three_hours_ago).unwrap();
    let expire = |limit: &str| {
        let table = table.clone().with_options([("consumer.expiration-time", limit)]).unwrap();
        table.maintain().expire_snapshots().unwrap()
    };
    let report = expire("4 h").run().await.unwrap();
    assert_eq!((report.consumers.len(), report.snapshots), (0, vec![1]));
    let report = expire("2 h").dry_run().run().await.unwrap();
    assert_eq!((report.consumers, report.snapshots), (vec!["idle".to_string()], vec![2, 3, 4]));
    assert_eq!(consumers.load("idle").await.unwrap(), Some(2), "a dry run takes nothing");
    let report = expire("2 h").run().await.unwrap();
    assert_eq!((report.consumers, report.snapshots), (vec!["idle".to_string()], vec![2, 3, 4]));
    assert_eq!(consumers.list().await.unwrap(), [("moving".to_string(), 5)]);
}
