//! Older schemas become the newest again.

use forebay::commit::CommitProperties;
use forebay::scan::At;
use forebay::schema::{Schema, SchemaChange};
use forebay::types::{DataType, Datum, RowKind};
use forebay::{CommitOutcome, Error, Table};

use crate::support::{Row, changes};

fn add(name: &str) -> SchemaChange {
    SchemaChange::AddColumn { path: vec![name.into()], data_type: DataType::INT, comment: None, place: None }
}

fn set(key: &str, value: &str) -> SchemaChange {
    SchemaChange::SetOption(key.into(), value.into())
}

async fn new_table(options: &[(&str, &str)]) -> Table {
    let schema = Schema::builder().column("id", DataType::INT).column("v", DataType::INT).primary_key(["id"]);
    let schema = schema.option("bucket", "1").option("snapshot.num-retained.min", "1");
    let schema = schema.option("snapshot.time-retained", "1 ms").option("write-only", "true");
    let schema = options.iter().fold(schema, |schema, (key, value)| schema.option(*key, *value)).build().unwrap();
    let store = forebay::io::TableStore::memory(&forebay::Env::system());
    Table::create_store(store, schema).await.unwrap()
}

/// As another process sees it.
async fn anew(table: &Table) -> Table {
    Table::open_store(table.store().clone()).await.unwrap()
}

async fn commit(table: &Table, id: i32) {
    let row: Row = table.schema().fields.iter().map(|_| Datum::Int(id)).collect();
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &[(RowKind::Insert, row)])).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

async fn schemas(table: &Table) -> Vec<String> {
    let files = table.store().list("schema").await.unwrap();
    let mut names: Vec<String> = files.into_iter().map(|file| file.name).collect();
    names.sort();
    names
}

async fn count(table: &Table, at: At) -> u64 {
    table.scan().at(at).count().await.unwrap()
}

#[tokio::test]
async fn schemas_that_nothing_names_go_and_their_numbers_are_given_anew() {
    let table = new_table(&[]).await;
    commit(&table, 1).await;
    let newer = table.alter(&[add("a")]).await.unwrap().alter(&[set("bucket", "2")]).await.unwrap();
    assert_eq!(newer.schema().id, 2);
    // A handle that remembers them does not bring them back.
    let remembers = anew(&table).await;
    assert_eq!(remembers.schema().id, 2);
    let back = newer.rollback_schema(0).await.unwrap();
    assert_eq!((back.schema().id, schemas(&table).await), (0, vec!["schema-0".to_string()]));
    assert_eq!((back.schema().fields.len(), back.schema().option("bucket")), (2, Some("1")));
    let other = remembers.alter(&[add("b")]).await.unwrap();
    assert_eq!((other.schema().id, other.schema().index_of("a")), (1, None));
    let fresh = anew(&table).await;
    assert_eq!(fresh.schema(), other.schema());
    commit(&fresh, 2).await;
    assert_eq!(count(&fresh, At::Latest).await, 2);
    // The newest one is where a rollback to it ends.
    assert_eq!(fresh.rollback_schema(1).await.unwrap().schema().id, 1);
    assert!(matches!(fresh.rollback_schema(9).await, Err(Error::NotFound(words)) if words.contains("schema 9")));
}

#[tokio::test]
async fn a_schema_that_a_snapshot_a_tag_or_a_changelog_names_stays() {
    let table = new_table(&[("changelog-producer", "input"), ("changelog.time-retained", "1 d")]).await;
    commit(&table, 1).await;
    let newer = table.alter(&[add("a")]).await.unwrap();
    commit(&newer, 2).await;
    let newest = newer.alter(&[add("b")]).await.unwrap();
    let refused = async |to: i64, who: &str| {
        let before = schemas(&table).await;
        let error = anew(&table).await.rollback_schema(to).await.err().unwrap();
        assert!(matches!(&error, Error::Invalid(words) if words.contains(who)), "{error}");
        assert_eq!(schemas(&table).await, before, "nothing is changed");
    };
    refused(0, "snapshot 2 names schema 1").await;
    assert_eq!(newest.rollback_schema(1).await.unwrap().schema().id, 1, "nothing names the newest");

    newer.create_tag("kept", &At::Latest, None).await.unwrap();
    // By an older writer, whose snapshot names the newest schema all the same.
    commit(&newer, 3).await;
    refused(0, "snapshot 2 names schema 1").await;
    table.store().env().sleep(std::time::Duration::from_millis(5)).await;
    newer.maintain().expire_snapshots().unwrap().retain_max(1).run().await.unwrap();
    // What is left names it one after another.
    let history = table.history();
    assert_eq!(history.snapshots.changelog_ids().await.unwrap(), [2]);
    refused(0, "names schema 1").await;
    let newest = history.snapshots.latest().await.unwrap().unwrap();
    let older = forebay::format::Snapshot { schema_id: 0, ..newest };
    // Forged: only files of the snapshot were written with schema 1.
    let path = forebay::format::layout::snapshot(older.id);
    table.store().replace(&path, older.encode().unwrap()).await.unwrap();
    refused(0, "changelog 2 names schema 1").await;
    table.store().delete("changelog/changelog-2").await.unwrap();
    refused(0, "tag \"kept\" names schema 1").await;
    table.store().delete("tag/tag-kept").await.unwrap();
    refused(0, "a file of snapshot 3 names schema 1").await;
}

#[tokio::test]
async fn a_writer_with_a_schema_that_was_rolled_back_is_told_so_and_its_files_go() {
    let table = new_table(&[]).await;
    commit(&table, 1).await;
    let newer = table.alter(&[add("a")]).await.unwrap();
    let mut writer = newer.stream_writer("sink").await.unwrap();
    let row: Row = vec![Datum::Int(2), Datum::Int(2), Datum::Int(2)];
    writer.write(&changes(newer.schema(), &[(RowKind::Insert, row)])).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    anew(&table).await.rollback_schema(0).await.unwrap();
    for changed_again in [false, true] {
        if changed_again {
            // The number is another schema's.
            anew(&table).await.alter(&[add("b")]).await.unwrap();
        }
        let mut committer = newer.committer("sink").unwrap();
        let outcome = committer.commit(1, messages.clone(), CommitProperties::default()).await.unwrap();
        let CommitOutcome::Conflicted { reason } = &outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("schema 1") && reason.contains("rolled back"), "{reason}");
        assert_eq!(count(&anew(&table).await, At::Latest).await, 1);
    }
    // A committer that only remembers the schema, and whose files know nothing of it, goes on with what is there.
    let idle = newer.committer("idle").unwrap();
    newer.rollback_schema(0).await.unwrap();
    drop(idle);
    let mut old = table.stream_writer("old").await.unwrap();
    let row: Row = vec![Datum::Int(3), Datum::Int(3)];
    old.write(&changes(table.schema(), &[(RowKind::Insert, row)])).await.unwrap();
    let messages = old.prepare_commit().await.unwrap();
    let mut committer = newer.committer("old").unwrap();
    committer.commit(1, messages, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
    let newest = anew(&table).await.history().snapshots.latest().await.unwrap().unwrap();
    assert_eq!((newest.id, newest.schema_id), (2, 0));
}

#[tokio::test]
async fn a_branch_has_schemas_of_its_own_to_roll_back() {
    let table = new_table(&[]).await;
    commit(&table, 1).await;
    let branch = table.create_branch("b", None).await.unwrap();
    let newer = branch.alter(&[add("a")]).await.unwrap();
    table.alter(&[add("c")]).await.unwrap();
    assert_eq!(newer.rollback_schema(0).await.unwrap().schema().id, 0);
    assert_eq!(schemas(&table).await, ["schema-0", "schema-1"]);
    assert_eq!(table.branch("b").await.unwrap().schema().id, 0);
}
