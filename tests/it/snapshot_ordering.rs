//! `sequence.snapshot-ordering`: the later commit wins, whatever its writer counted.

use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{At, Table};

use crate::support::{Row, all_rows, changes};

async fn create(place: &tempfile::TempDir, options: &[(&str, &str)]) -> Table {
    let builder = Schema::builder().column("k", DataType::INT).column("v", DataType::INT).primary_key(["k"]);
    let builder = builder.option("bucket", "1").option("write-only", "true");
    let builder = builder.option("sequence.snapshot-ordering", "true");
    let builder = options.iter().fold(builder, |builder, (key, value)| builder.option(*key, *value));
    Table::create(place.path().join("t").to_str().unwrap(), builder.build().unwrap(), []).await.unwrap()
}

fn row(k: i32, v: i32) -> (RowKind, Row) {
    (RowKind::Insert, vec![Datum::Int(k), Datum::Int(v)])
}

async fn rows(table: &Table, at: At) -> Vec<(i32, i32)> {
    let rows = all_rows(table.schema(), table.scan().at(at).read().await.unwrap()).await.unwrap();
    let number = |datum: &Datum| match datum {
        Datum::Int(value) => *value,
        other => panic!("{other:?}"),
    };
    let mut rows: Vec<_> = rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect();
    rows.sort_unstable();
    rows
}

async fn looked_up(table: &Table, k: i32) -> Option<Row> {
    table.lookup().open().await.unwrap().get_one(&[Datum::Int(k)]).await.unwrap()
}

/// The first writer counted to 60, the other one to 2, and commits later.
async fn overtaken(table: &Table) {
    let (mut one, mut other) = (table.writer().await.unwrap(), table.writer().await.unwrap());
    let many: Vec<_> = (0..60).map(|n| row(n % 3, n)).collect();
    one.write(&changes(table.schema(), &many)).await.unwrap();
    other.write(&changes(table.schema(), &[row(1, 1000), (RowKind::Delete, row(2, 0).1)])).await.unwrap();
    one.commit().await.unwrap().snapshot_id().unwrap();
    other.commit().await.unwrap().snapshot_id().unwrap();
    one.close().await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn the_later_commit_wins_in_reads_lookups_and_compactions() {
    for options in [&[][..], &[("deletion-vectors.enabled", "true"), ("deletion-vectors.merge-on-read", "true")][..]] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        overtaken(&table).await;
        assert_eq!(rows(&table, At::Snapshot(1)).await, [(0, 57), (1, 58), (2, 59)]);
        for round in ["flushed", "compacted", "compacted again"] {
            assert_eq!(rows(&table, At::Latest).await, [(0, 57), (1, 1000)], "{round}, {options:?}");
            assert_eq!(looked_up(&table, 1).await, Some(row(1, 1000).1), "{round}, {options:?}");
            assert_eq!(looked_up(&table, 2).await, None, "{round}, {options:?}");
            table.compact().full().run().await.unwrap();
        }
        // A new row over what was compacted, by a writer that counts on from the snapshots' numbers.
        let mut writer = table.writer().await.unwrap();
        writer.write(&changes(table.schema(), &[row(0, -1)])).await.unwrap();
        writer.commit().await.unwrap().snapshot_id().unwrap();
        writer.close().await.unwrap();
        assert_eq!(rows(&table, At::Latest).await, [(0, -1), (1, 1000)], "{options:?}");
        table.compact().full().run().await.unwrap();
        assert_eq!(rows(&table, At::Latest).await, [(0, -1), (1, 1000)], "{options:?}");
    }
}

#[tokio::test]
async fn engines_that_fold_versions_fold_them_in_the_order_of_commits() {
    for (engine, function, wanted) in
        [("aggregation", "last_value", 1000), ("aggregation", "first_value", 1), ("first-row", "", 1)]
    {
        let place = tempfile::tempdir().unwrap();
        let mut options = vec![("merge-engine", engine)];
        if !function.is_empty() {
            options.push(("fields.v.aggregate-function", function));
        }
        let table = create(&place, &options).await;
        let (mut one, mut other) = (table.writer().await.unwrap(), table.writer().await.unwrap());
        let many: Vec<_> = (0..60).map(|n| row(n % 3, n)).collect();
        one.write(&changes(table.schema(), &many)).await.unwrap();
        other.write(&changes(table.schema(), &[row(1, 1000)])).await.unwrap();
        one.commit().await.unwrap().snapshot_id().unwrap();
        other.commit().await.unwrap().snapshot_id().unwrap();
        one.close().await.unwrap();
        other.close().await.unwrap();
        table.compact().full().run().await.unwrap();
        assert_eq!(rows(&table, At::Latest).await[1], (1, wanted), "{engine} {function}");
    }
}
