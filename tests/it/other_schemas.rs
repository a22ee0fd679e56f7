//! Writers that are open while their table is altered: what they take up, what they keep, and what they refuse.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use forebay::commit::{CommitOutcome, CommitProperties, Committer};
use forebay::schema::{Place, Schema, SchemaBuilder, SchemaChange};
use forebay::types::{DataType, Datum, TypeKind};
use forebay::write::StreamWriter;
use forebay::{Error, Table};

use crate::support::{Row, all_rows};

fn batch(columns: &[(&str, &[i32])]) -> RecordBatch {
    let text =
        |values: &[i32]| Arc::new(StringArray::from_iter_values(values.iter().map(|n| n.to_string()))) as ArrayRef;
    let column = |(name, values): &(&str, &[i32])| match *name {
        "p" | "s" => (name.to_string(), text(values)),
        _ => (name.to_string(), Arc::new(Int32Array::from(values.to_vec())) as ArrayRef),
    };
    RecordBatch::try_from_iter(columns.iter().map(column)).unwrap()
}

fn path(name: &str) -> Vec<String> {
    vec![name.to_string()]
}

fn add(name: &str, data_type: DataType, place: Place) -> SchemaChange {
    SchemaChange::AddColumn { path: path(name), data_type, comment: None, place: Some(place) }
}

async fn commit(writer: &mut StreamWriter, committer: &mut Committer, identifier: i64) {
    let messages = writer.prepare_commit().await.unwrap();
    let outcome = committer.commit(identifier, messages, CommitProperties::default()).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
}

async fn newest(place: &std::path::Path) -> Table {
    Table::open(place.to_str().unwrap(), []).await.unwrap()
}

/// The rows of some columns, sorted.
async fn rows(place: &std::path::Path, columns: &[&str]) -> Vec<Row> {
    let table = newest(place).await;
    let found = all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap();
    let at: Vec<usize> = columns.iter().map(|name| table.schema().index_of(name).unwrap()).collect();
    let mut rows: Vec<Row> = found.iter().map(|row| at.iter().map(|at| row[*at].clone()).collect()).collect();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

fn base() -> SchemaBuilder {
    Schema::builder().column("k", DataType::INT).column("a", DataType::INT).column("p", DataType::STRING)
}

/// Every way in which rows find their bucket.
fn tables() -> Vec<(&'static str, Schema)> {
    let merges = |builder: SchemaBuilder| builder.option("num-sorted-run.compaction-trigger", "2");
    let keyed = || merges(base()).primary_key(["k", "p"]).partition_by(["p"]);
    vec![
        ("fixed", keyed().option("bucket", "2").build().unwrap()),
        ("lookup", keyed().option("bucket", "1").option("changelog-producer", "lookup").build().unwrap()),
        ("dynamic", keyed().build().unwrap()),
        ("keys that move", merges(base()).primary_key(["k"]).partition_by(["p"]).build().unwrap()),
        ("append", base().build().unwrap()),
        ("bucketed append", base().option("bucket", "2").option("bucket-key", "k").build().unwrap()),
    ]
}

#[tokio::test]
async fn a_writer_goes_on_with_added_columns_defaults_and_wider_types() {
    for (name, schema) in tables() {
        let place = tempfile::tempdir().unwrap();
        let table = Table::create(place.path().to_str().unwrap(), schema, []).await.unwrap();
        let mut writer = table.stream_writer("job").await.unwrap();
        let mut committer = table.committer("job").unwrap();
        for (identifier, key) in (1..).zip([1, 2]) {
            writer.upsert(&batch(&[("k", &[key]), ("a", &[10]), ("p", &[7])])).await.unwrap();
            commit(&mut writer, &mut committer, identifier).await;
        }
        let first = add("x", DataType::INT, Place::First);
        let fill = SchemaChange::SetDefault(path("x"), Some("5".into()));
        newest(place.path()).await.alter(&[first, fill]).await.unwrap();
        writer.upsert(&batch(&[("k", &[3]), ("a", &[10]), ("p", &[7]), ("x", &[1])])).await.unwrap();
        commit(&mut writer, &mut committer, 3).await;
        newest(place.path()).await.alter(&[SchemaChange::ChangeType(path("a"), TypeKind::BigInt)]).await.unwrap();
        writer.upsert(&batch(&[("k", &[4]), ("a", &[10]), ("p", &[7])])).await.unwrap();
        assert_eq!(writer.schema().id, 2, "{name}");
        commit(&mut writer, &mut committer, 4).await;
        for identifier in 5..8 {
            writer.upsert(&batch(&[("k", &[5]), ("a", &[11]), ("p", &[7])])).await.unwrap();
            commit(&mut writer, &mut committer, identifier).await;
        }
        writer.finish_compactions().await;
        let row =
            |k: i32, a: i64, x: Option<i32>| vec![Datum::Int(k), Datum::BigInt(a), x.map_or(Datum::Null, Datum::Int)];
        let mut wanted =
            vec![row(1, 10, None), row(2, 10, None), row(3, 10, Some(1)), row(4, 10, Some(5)), row(5, 11, Some(5))];
        if name.contains("append") {
            wanted.extend([row(5, 11, Some(5)), row(5, 11, Some(5))]);
        }
        assert_eq!(rows(place.path(), &["k", "a", "x"]).await, wanted, "{name}");
    }
}

#[tokio::test]
async fn a_writer_that_feeds_a_column_that_is_gone_is_told_which_and_may_go_on_without() {
    for (change, word) in [
        (SchemaChange::DropColumn(path("a")), "column \"a\" was dropped by schema 1"),
        (SchemaChange::RenameColumn(path("a"), "b".into()), "renamed to \"b\" by schema 1"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let schema = base().primary_key(["k"]).option("bucket", "1").build().unwrap();
        let table = Table::create(place.path().to_str().unwrap(), schema, []).await.unwrap();
        let mut writer = table.stream_writer("job").await.unwrap();
        let mut committer = table.committer("job").unwrap();
        let full = |key: i32| batch(&[("k", &[key]), ("a", &[10]), ("p", &[7])]);
        writer.upsert(&full(1)).await.unwrap();
        commit(&mut writer, &mut committer, 1).await;
        newest(place.path()).await.alter(&[change]).await.unwrap();
        for _ in 0..2 {
            let error = writer.upsert(&full(2)).await.unwrap_err();
            assert!(matches!(&error, Error::Conflict(text) if text.contains(word)), "{error}");
        }
        writer.upsert(&batch(&[("k", &[2]), ("p", &[7])])).await.unwrap();
        commit(&mut writer, &mut committer, 2).await;
        assert_eq!(rows(place.path(), &["k"]).await, [[Datum::Int(1)], [Datum::Int(2)]]);
    }
}

/// Rows that were taken in before the change keep their schema, also when they are committed after it, after a crash of
/// the job, and beside a writer that knows the new column: nothing of that column is lost in a compaction.
#[tokio::test]
async fn files_of_the_old_schema_stay_valid_and_old_writers_do_not_compact_newer_files() {
    for (name, schema) in tables().into_iter().filter(|(name, _)| !name.contains("move") && *name != "dynamic") {
        let place = tempfile::tempdir().unwrap();
        let table = Table::create(place.path().to_str().unwrap(), schema, []).await.unwrap();
        let mut old = table.stream_writer("old").await.unwrap();
        let mut committer = table.committer("old").unwrap();
        for identifier in 1..3 {
            old.upsert(&batch(&[("k", &[1]), ("a", &[10]), ("p", &[7])])).await.unwrap();
            commit(&mut old, &mut committer, identifier).await;
        }
        old.upsert(&batch(&[("k", &[2]), ("a", &[10]), ("p", &[7])])).await.unwrap();
        let change = add("x", DataType::INT, Place::Last);
        let altered = newest(place.path()).await.alter(&[change]).await.unwrap();
        let mut new = altered.writer().await.unwrap();
        new.upsert(&batch(&[("k", &[3]), ("a", &[10]), ("p", &[7]), ("x", &[8])])).await.unwrap();
        new.commit().await.unwrap();
        new.close().await.unwrap();
        let messages = old.prepare_commit().await.unwrap();
        drop(old);
        // The job begins again and commits what it had prepared, then writes on.
        let table = newest(place.path()).await;
        let mut committer = table.committer("old").unwrap();
        committer.commit(3, messages, CommitProperties::default()).await.unwrap();
        let mut again = table.stream_writer("old").await.unwrap();
        for identifier in 4..7 {
            again.upsert(&batch(&[("k", &[4]), ("a", &[10]), ("p", &[7]), ("x", &[9])])).await.unwrap();
            commit(&mut again, &mut committer, identifier).await;
        }
        again.finish_compactions().await;
        table.compact().full().run().await.unwrap();
        let mut found = rows(place.path(), &["k", "x"]).await;
        found.dedup();
        let row = |k: i32, x: Option<i32>| vec![Datum::Int(k), x.map_or(Datum::Null, Datum::Int)];
        assert_eq!(found, [row(1, None), row(2, None), row(3, Some(8)), row(4, Some(9))], "{name}");
    }
}

#[tokio::test]
async fn a_handle_with_an_old_schema_does_not_compact_newer_files() {
    let place = tempfile::tempdir().unwrap();
    let schema = base().primary_key(["k"]).option("bucket", "1").option("write-only", "true").build().unwrap();
    let table = Table::create(place.path().to_str().unwrap(), schema, []).await.unwrap();
    let altered = table.alter(&[add("x", DataType::INT, Place::Last)]).await.unwrap();
    for key in 0..3 {
        let mut writer = altered.writer().await.unwrap();
        writer.upsert(&batch(&[("k", &[key]), ("a", &[1]), ("p", &[7]), ("x", &[key])])).await.unwrap();
        writer.commit().await.unwrap();
    }
    let error = table.compact().full().run().await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(text) if text.contains("open the table again")), "{error}");
    altered.compact().full().run().await.unwrap();
    assert_eq!(rows(place.path(), &["x"]).await, [[Datum::Int(0)], [Datum::Int(1)], [Datum::Int(2)]]);
}
