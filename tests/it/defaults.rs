//! Columns with default values: what a writer puts in the place of NULL, and what stays NULL.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use forebay::Table;
use forebay::predicate::{col, parse_assignment};
use forebay::schema::{Schema, SchemaChange};
use forebay::types::{DataType, Datum, RowKind};
use forebay::write::ChangeBatch;

use crate::support::{Row, all_rows};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn ints(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

async fn rows(table: &Table) -> Vec<Row> {
    let mut rows = all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

fn row(id: i32, a: Option<i32>, p: &str) -> Row {
    vec![Datum::Int(id), a.map_or(Datum::Null, Datum::Int), Datum::String(p.into())]
}

#[tokio::test]
async fn null_and_missing_columns_get_their_default_also_keys_and_partitions() {
    let place = tempfile::tempdir().unwrap();
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("a", DataType::INT.not_null())
        .column("p", DataType::STRING)
        .default_value("a", "5")
        .default_value("p", "'x y'")
        .primary_key(["id", "p"])
        .partition_by(["p"])
        .option("bucket", "1")
        .option("changelog-producer", "input")
        .build()
        .unwrap();
    let table = Table::create(place.path().to_str().unwrap(), schema, []).await.unwrap();
    let mut writer = table.writer().await.unwrap();
    writer.upsert(&batch(vec![("id", ints(&[Some(1)]))])).await.unwrap();
    let given = vec![
        ("id", ints(&[Some(2), Some(3), Some(4)])),
        ("a", ints(&[None, Some(7), Some(8)])),
        ("p", texts(&[Some("q"), None, Some("q")])),
    ];
    writer.upsert(&batch(given)).await.unwrap();
    writer.commit().await.unwrap();
    let wanted = [row(1, Some(5), "x y"), row(2, Some(5), "q"), row(3, Some(7), "x y"), row(4, Some(8), "q")];
    assert_eq!(rows(&table).await, wanted);

    // Rows of every kind: a -D finds its partition by the default.
    writer.delete(&batch(vec![("id", ints(&[Some(3)]))])).await.unwrap();
    let told = writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
    assert_eq!(rows(&table).await, [wanted[0].clone(), wanted[1].clone(), wanted[3].clone()]);
    let mut changes = table.changes().from(forebay::Start::Snapshot(told)).read().await.unwrap();
    let change = changes.next().await.unwrap().unwrap();
    assert_eq!(change.rows.kind(0), RowKind::Delete);
    assert_eq!(crate::support::rows_of(table.schema(), change.rows.rows()), [row(3, Some(5), "x y")]);
}

async fn old_and_new(place: &std::path::Path, keyed: bool) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("a", DataType::INT)
        .column("p", DataType::STRING)
        .option("bucket", "1")
        .option("bucket-key", "id");
    let schema = if keyed { schema.primary_key(["id"]) } else { schema };
    let table = Table::create(place.to_str().unwrap(), schema.build().unwrap(), []).await.unwrap();
    write(&table, 1).await;
    let change = SchemaChange::SetDefault(vec!["a".into()], Some("9".into()));
    let table = table.alter(&[change]).await.unwrap();
    write(&table, 2).await;
    assert_eq!(rows(&table).await, [row(1, None, "x"), row(2, Some(9), "x")]);
    table
}

async fn write(table: &Table, id: i32) {
    let mut writer = table.writer().await.unwrap();
    let rows = batch(vec![("id", ints(&[Some(id)])), ("p", texts(&[Some("x")]))]);
    writer.write(&ChangeBatch::of_kind(rows, RowKind::Insert)).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

/// Whoever writes rows of the table again, and not rows that came in, leaves NULL as it is.
#[tokio::test]
async fn rows_that_are_there_stay_null_when_they_are_written_again() {
    for keyed in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let table = old_and_new(place.path(), keyed).await;
        table.compact().full().run().await.unwrap();
        assert_eq!(rows(&table).await, [row(1, None, "x"), row(2, Some(9), "x")], "keyed {keyed}");
        let set = parse_assignment("p = 'y'", table.schema()).unwrap();
        table.update([set], col("id").gt(0)).run().await.unwrap();
        assert_eq!(rows(&table).await, [row(1, None, "y"), row(2, Some(9), "y")], "keyed {keyed}");
        if keyed {
            table.rescale(3).run().await.unwrap();
            assert_eq!(rows(&table).await, [row(1, None, "y"), row(2, Some(9), "y")]);
        }
    }
}
