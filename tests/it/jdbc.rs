//! A catalog whose names stand in a database file: databases, tables, views, and writers with the lock.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use forebay::format::{View, ViewChange};
use forebay::schema::{Schema, SchemaChange};
use forebay::types::DataType;
use forebay::{Catalog, Error, Table, TableName};

/// A warehouse and a database beside it.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("w")).unwrap();
    place
}

fn open(place: &Path, more: &[(&str, &str)]) -> Catalog {
    let uri = format!("jdbc:sqlite:{}", place.join("catalog.db").display());
    let options = [("metastore", "jdbc"), ("uri", &*uri), ("lock.enabled", "true"), ("lock-check-max-sleep", "50 ms")];
    Catalog::open(place.join("w").to_str().unwrap(), options.iter().chain(more).copied()).unwrap()
}

fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

fn schema() -> Schema {
    Schema::builder().column("k", DataType::BIGINT).primary_key(["k"]).option("bucket", "1").build().unwrap()
}

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
}

async fn write(table: &Table, keys: std::ops::Range<i64>) {
    let batch = RecordBatch::try_from_iter([("k", Arc::new(Int64Array::from_iter_values(keys)) as _)]).unwrap();
    let mut writer = table.writer().await.unwrap();
    writer.upsert(&batch).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

async fn count(table: &Table) -> usize {
    let mut rows = table.scan().read().await.unwrap();
    let mut count = 0;
    while let Some(batch) = rows.next_batch().await.unwrap() {
        count += batch.num_rows();
    }
    count
}

#[tokio::test]
async fn databases_and_tables_come_and_go_by_their_rows() {
    let place = place();
    let catalog = open(place.path(), &[("table-default.snapshot.num-retained.min", "3")]);
    assert!(catalog.list_databases().await.unwrap().is_empty());
    assert!(matches!(catalog.list_tables("shop").await, Err(Error::NotFound(_))));
    assert!(matches!(catalog.create_table(&name("shop.t"), schema()).await, Err(Error::NotFound(_))));
    catalog.create_database_with("shop", &options(&[("comment", "c"), ("a", "1")])).await.unwrap();
    assert!(matches!(catalog.create_database("shop").await, Err(Error::AlreadyExists(_))));
    catalog.alter_database("shop", &options(&[("a", "2"), ("b", "3")]), &["comment".into()]).await.unwrap();
    let shop = catalog.database("shop").await.unwrap();
    assert_eq!(shop.options, options(&[("a", "2"), ("b", "3")]));
    assert!(shop.location.ends_with("/w/shop.db"), "{}", shop.location);
    for key in ["location", "exists"] {
        assert!(catalog.alter_database("shop", &options(&[(key, "x")]), &[]).await.is_err());
        assert!(catalog.alter_database("shop", &options(&[]), &[key.to_string()]).await.is_err());
    }
    let table = catalog.create_table(&name("shop.t"), schema()).await.unwrap();
    assert_eq!(table.schema().option("snapshot.num-retained.min"), Some("3"));
    assert!(matches!(catalog.create_table(&name("shop.t"), schema()).await, Err(Error::AlreadyExists(_))));
    write(&table, 0..10).await;
    // Another key is another catalog on the same files.
    let stranger = open(place.path(), &[("catalog-key", "other")]);
    assert!(stranger.list_databases().await.unwrap().is_empty());
    assert!(matches!(stranger.table(&name("shop.t")).await, Err(Error::NotFound(_))));
    stranger.create_database("shop").await.unwrap();
    let error = stranger.create_table(&name("shop.t"), schema()).await.err().unwrap();
    assert!(matches!(&error, Error::AlreadyExists(words) if words.contains("does not know")), "{error}");
    assert!(stranger.list_tables("shop").await.unwrap().is_empty());

    catalog.create_database("b").await.unwrap();
    catalog.create_table(&name("b.taken"), schema()).await.unwrap();
    assert!(matches!(catalog.rename_table(&name("shop.t"), &name("b.taken")).await, Err(Error::AlreadyExists(_))));
    assert!(matches!(catalog.rename_table(&name("shop.t"), &name("nope.t")).await, Err(Error::NotFound(_))));
    catalog.rename_table(&name("shop.t"), &name("b.u")).await.unwrap();
    assert!(matches!(catalog.table(&name("shop.t")).await, Err(Error::NotFound(_))));
    let renamed = catalog.table(&name("b.u")).await.unwrap();
    assert_eq!(count(&renamed).await, 10);
    assert!(matches!(renamed.clone().drop().await, Err(Error::Unsupported(_))));
    // Files in the way: the table keeps its name.
    std::fs::create_dir_all(place.path().join("w/shop.db/t")).unwrap();
    assert!(matches!(catalog.rename_table(&name("b.u"), &name("shop.t")).await, Err(Error::AlreadyExists(_))));
    assert_eq!(count(&catalog.table(&name("b.u")).await.unwrap()).await, 10);

    catalog.drop_table(&name("b.u")).await.unwrap();
    assert!(!place.path().join("w/b.db/u").exists());
    assert!(matches!(catalog.drop_table(&name("b.u")).await, Err(Error::NotFound(_))));
    assert!(matches!(catalog.drop_database("b", false).await, Err(Error::Invalid(_))));
    catalog.drop_database("b", true).await.unwrap();
    assert!(!place.path().join("w/b.db").exists());
    assert_eq!(catalog.list_databases().await.unwrap(), ["shop"]);
}

#[tokio::test]
async fn views_are_rows_and_share_their_names_with_tables() {
    let place = place();
    let catalog = open(place.path(), &[]);
    catalog.create_database("d").await.unwrap();
    let view = View { query: "SELECT 1".into(), ..View::default() };
    catalog.create_view(&name("d.v"), &view).await.unwrap();
    assert!(matches!(catalog.create_view(&name("d.v"), &view).await, Err(Error::AlreadyExists(_))));
    assert!(matches!(catalog.create_table(&name("d.v"), schema()).await, Err(Error::AlreadyExists(_))));
    catalog.create_table(&name("d.t"), schema()).await.unwrap();
    assert!(matches!(catalog.create_view(&name("d.t"), &view).await, Err(Error::AlreadyExists(_))));
    let added = [ViewChange::AddDialect { dialect: "spark".into(), query: "SELECT 2".into() }];
    catalog.alter_view(&name("d.v"), &added).await.unwrap();
    assert!(matches!(catalog.alter_view(&name("d.v"), &added).await, Err(Error::AlreadyExists(_))));
    assert_eq!(catalog.view(&name("d.v")).await.unwrap().dialects, options(&[("spark", "SELECT 2")]));
    assert_eq!(catalog.list_views("d").await.unwrap(), ["v"]);
    assert_eq!(catalog.list_tables("d").await.unwrap(), ["t"]);
    catalog.drop_view(&name("d.v")).await.unwrap();
    assert!(matches!(catalog.drop_view(&name("d.v")).await, Err(Error::NotFound(_))));
    assert!(matches!(catalog.view(&name("d.v")).await, Err(Error::NotFound(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_creators_one_wins_with_the_lock_and_without() {
    let place = place();
    open(place.path(), &[]).create_database("d").await.unwrap();
    for (table, lock) in [("d.a", "true"), ("d.b", "false")] {
        let rivals = (0..6).map(|rival| {
            let catalog = open(place.path(), &[("lock.enabled", lock)]);
            let schema = Schema { comment: Some(format!("rival {rival}")), ..schema() };
            tokio::spawn(async move { catalog.create_table(&name(table), schema).await })
        });
        let outcomes = futures::future::join_all(rivals).await.into_iter().map(|done| done.unwrap());
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.partition(|outcome| outcome.is_ok());
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|it| matches!(it, Err(Error::AlreadyExists(_)))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_with_the_lock_lose_no_commit_beside_one_that_knows_nothing_of_it() {
    const COMMITS: i64 = 5;
    let place = place();
    let catalog = open(place.path(), &[]);
    catalog.create_database("d").await.unwrap();
    let made = catalog.create_table(&name("d.t"), schema()).await.unwrap();
    let beside = Table::open(made.location(), []).await.unwrap();
    let mut tables = vec![made.clone(), beside];
    for _ in 0..2 {
        tables.push(open(place.path(), &[]).table(&name("d.t")).await.unwrap());
    }
    let tasks = (0..).zip(tables).map(|(at, table)| {
        tokio::spawn(async move {
            for commit in 0..COMMITS {
                let from = at * 1000 + commit * 10;
                write(&table, from..from + 10).await;
            }
        })
    });
    let changes = tokio::spawn({
        let catalog = open(place.path(), &[]);
        async move {
            for value in ["2", "3"] {
                let set = SchemaChange::SetOption("snapshot.num-retained.min".into(), value.into());
                catalog.alter_table(&name("d.t"), &[set]).await.unwrap();
            }
        }
    });
    for done in futures::future::join_all(tasks.chain([changes])).await {
        done.unwrap();
    }
    let table = catalog.table(&name("d.t")).await.unwrap();
    assert_eq!(count(&table).await as i64, 4 * COMMITS * 10);
    let mut commits = 0;
    for id in table.history().snapshots.ids().await.unwrap() {
        let snapshot = table.history().snapshots.load(id).await.unwrap();
        commits += i64::from(snapshot.commit_kind == forebay::format::CommitKind::Append);
    }
    assert_eq!(commits, 4 * COMMITS);
}
