//! Row ids: given at the commit, kept by compaction, shown and asked for.

use std::collections::BTreeMap;

use forebay::predicate::{self, Expr, col, parse_assignment};
use forebay::schema::{ROW_ID, ROW_SEQUENCE, Schema, SchemaChange};
use forebay::table::ScanBuilder;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{At, Error, Table};

use crate::support::{Row, all_rows, changes};

const TRACKED: (&str, &str) = ("row-tracking.enabled", "true");

fn schema(options: &[(&str, &str)]) -> Schema {
    let builder = Schema::builder().column("n", DataType::INT).column("day", DataType::INT).partition_by(["day"]);
    options.iter().fold(builder, |builder, (key, value)| builder.option(*key, *value)).build().unwrap()
}

async fn create(place: &tempfile::TempDir, options: &[(&str, &str)]) -> Table {
    Table::create(place.path().join("t").to_str().unwrap(), schema(options), []).await.unwrap()
}

async fn append(table: &Table, numbers: std::ops::Range<i32>) {
    let row = |n: i32| {
        let mut row: Row = vec![Datum::Null; table.schema().fields.len()];
        (row[0], row[1]) = (Datum::Int(n), Datum::Int(n % 2));
        (RowKind::Insert, row)
    };
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &numbers.map(row).collect::<Vec<_>>())).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

/// The id and the snapshot of each row by its number.
async fn ids(scan: ScanBuilder) -> BTreeMap<i32, (i64, i64)> {
    let columns = schema(&[]).with_row_tracking();
    let rows = all_rows(&columns, scan.select(["n", ROW_ID, ROW_SEQUENCE]).read().await.unwrap()).await.unwrap();
    let count = rows.len();
    let number = |datum: &Datum| match datum {
        Datum::Int(value) => i64::from(*value),
        Datum::BigInt(value) => *value,
        other => panic!("{other:?}"),
    };
    let rows = rows.into_iter().map(|row| (number(&row[0]) as i32, (number(&row[1]), number(&row[2]))));
    let rows: BTreeMap<_, _> = rows.collect();
    assert_eq!(rows.len(), count, "a row is there twice");
    let distinct: std::collections::BTreeSet<_> = rows.values().map(|(id, _)| id).collect();
    assert_eq!(distinct.len(), count, "an id is given twice");
    rows
}

fn filter(text: &str, table: &Table) -> Expr {
    predicate::parse(text, &table.schema().with_row_tracking()).unwrap()
}

#[tokio::test]
async fn rows_keep_their_ids_through_masks_and_compactions() {
    for format in ["parquet", "avro", "orc"] {
        let place = tempfile::tempdir().unwrap();
        let options = [TRACKED, ("deletion-vectors.enabled", "true"), ("file.format", format)];
        let table = create(&place, &options).await;
        for commit in 0..4 {
            append(&table, commit * 10..commit * 10 + 10).await;
        }
        let mut known = ids(table.scan()).await;
        assert_eq!(known.len(), 40);
        // Partition by partition, the rows of a partition in their order.
        assert_eq!((known[&0], known[&2], known[&1], known[&10]), ((0, 1), (1, 1), (5, 1), (10, 2)), "{format}");
        table.delete(col("n").lt(7)).run().await.unwrap();
        known.retain(|n, _| *n >= 7);
        assert_eq!(ids(table.scan()).await, known, "{format}, masked");
        table.compact().full().run().await.unwrap();
        assert_eq!(ids(table.scan()).await, known, "{format}, compacted");
        append(&table, 40..50).await;
        let all = ids(table.scan()).await;
        assert_eq!((all[&40], all[&41]), ((40, 7), (45, 7)), "{format}: a compaction takes no id");
        known.extend((40..50).map(|n| (n, all[&n])));
        table.delete(col("n").eq(45)).run().await.unwrap();
        known.remove(&45);
        // Files that a compaction wrote, and new ones, written together once more.
        table.compact().full().run().await.unwrap();
        assert_eq!(ids(table.scan()).await, known, "{format}, compacted twice");
        assert_eq!(ids(table.scan().at(At::Snapshot(2))).await.len(), 20, "{format}, a look back");
    }
}

#[tokio::test]
async fn conditions_on_row_ids_find_their_rows() {
    let place = tempfile::tempdir().unwrap();
    let table =
        create(&place, &[TRACKED, ("deletion-vectors.enabled", "true"), ("file-index.bitmap.columns", "n")]).await;
    append(&table, 0..10).await;
    append(&table, 10..20).await;
    for compacted in [false, true] {
        let known = ids(table.scan()).await;
        for (text, wanted) in [
            ("_ROW_ID = 12", known.iter().filter(|(_, (id, _))| *id == 12).count()),
            ("_ROW_ID >= 5 and _ROW_ID < 15 and n > 3", {
                known.iter().filter(|(n, (id, _))| (5..15).contains(id) && **n > 3).count()
            }),
            ("_SEQUENCE_NUMBER = 2", known.values().filter(|(_, snapshot)| *snapshot == 2).count()),
            ("n = 3 or _ROW_ID = 0", known.iter().filter(|(n, (id, _))| **n == 3 || *id == 0).count()),
            ("_ROW_ID > 1000", 0),
        ] {
            let scan = table.scan().filter(filter(text, &table));
            assert_eq!(scan.count().await.unwrap(), wanted as u64, "{text}, compacted: {compacted}");
            assert_eq!(ids(scan.clone()).await.len(), wanted, "{text}, compacted: {compacted}");
            let shown = all_rows(table.schema(), scan.read().await.unwrap()).await.unwrap();
            assert_eq!(shown.len(), wanted);
            assert!(shown.iter().all(|row| row.len() == 2), "a condition shows no column");
        }
        let pruned = table.scan().filter(filter("_ROW_ID = 12", &table)).plan().await.unwrap();
        let files: usize = pruned.splits.iter().map(|split| split.files.len()).sum();
        assert!(compacted || files == 1, "{files} files may hold one row id");
        table.compact().full().run().await.unwrap();
    }
    let rows = table.scan().row_tracking().read().await.unwrap();
    let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["n", "day", ROW_ID, ROW_SEQUENCE]);
}

#[tokio::test]
async fn row_ids_outlive_changes_of_the_columns() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, &[TRACKED]).await;
    append(&table, 0..6).await;
    let change =
        SchemaChange::AddColumn { path: vec!["more".into()], data_type: DataType::STRING, comment: None, place: None };
    let table = table.alter(&[change]).await.unwrap();
    append(&table, 6..12).await;
    let known = ids(table.scan()).await;
    assert_eq!((known.len(), known[&6]), (12, (6, 2)));
    table.compact().full().run().await.unwrap();
    assert_eq!(ids(table.scan()).await, known);
    assert_eq!(ids(table.scan().at(At::Snapshot(1))).await.len(), 6);
}

#[tokio::test]
async fn an_overwrite_gives_new_ids_and_a_truncation_none_back() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, &[TRACKED]).await;
    append(&table, 0..4).await;
    table.truncate().run().await.unwrap();
    append(&table, 0..4).await;
    let known = ids(table.scan()).await;
    assert_eq!(known.values().map(|(id, _)| *id).collect::<std::collections::BTreeSet<_>>(), (4..8).collect());
}

#[tokio::test]
async fn what_would_give_rows_other_ids_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, &[TRACKED]).await;
    append(&table, 0..4).await;
    let assignments = [parse_assignment("n = 1", table.schema()).unwrap()];
    let update = table.update(assignments, col("n").eq(2)).run().await;
    let delete = table.delete(col("n").eq(2)).run().await;
    for refused in [update, delete] {
        assert!(
            matches!(&refused, Err(Error::Unsupported(text)) if text.contains("row-tracking.enabled")),
            "{refused:?}"
        );
    }
    // Whole partitions go without a row written again.
    table.delete(col("day").eq(1)).run().await.unwrap();
    assert_eq!(ids(table.scan()).await.keys().copied().collect::<Vec<_>>(), [0, 2]);

    let plain = tempfile::tempdir().unwrap();
    let plain = create(&plain, &[]).await;
    assert!(matches!(plain.scan().row_tracking().read().await, Err(Error::Invalid(_))));
    assert!(matches!(plain.scan().select([ROW_ID]).read().await, Err(Error::Invalid(_))));
}
