//! Overwrites and truncation: what is replaced, what stays, and what a commit in between does.

use std::collections::BTreeMap;

use forebay::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties};
use forebay::format::{CommitKind, FileKind};
use forebay::history::FileFilter;
use forebay::predicate::{Expr, col};
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, changes};

/// Tables of every kind that can be overwritten, all partitioned by `day`.
const KINDS: [&[(&str, &str)]; 7] = [
    &[("key", "id,day"), ("bucket", "3")],
    &[("key", "id,day"), ("bucket", "-1")],
    &[("key", "id,day"), ("bucket", "2"), ("changelog-producer", "input")],
    &[("key", "id,day"), ("bucket", "2"), ("deletion-vectors.enabled", "true")],
    &[("key", "id,day"), ("bucket", "1"), ("merge-engine", "first-row")],
    &[("bucket", "-1")],
    &[("bucket", "2"), ("bucket-key", "id")],
];

fn schema(options: &[(&str, &str)]) -> Schema {
    let mut builder = Schema::builder()
        .column("id", DataType::BIGINT)
        .column("day", DataType::INT)
        .column("note", DataType::STRING)
        .partition_by(["day"]);
    for (key, value) in options {
        builder = match *key {
            "key" => builder.primary_key(value.split(',')),
            key => builder.option(key, *value),
        };
    }
    builder.build().unwrap()
}

async fn create(place: &tempfile::TempDir, options: &[(&str, &str)]) -> Table {
    Table::create(place.path().join("t").to_str().unwrap(), schema(options), []).await.unwrap()
}

fn row(id: i64, day: i32, note: &str) -> Row {
    vec![Datum::BigInt(id), Datum::Int(day), Datum::String(note.into())]
}

fn some(ids: std::ops::Range<i64>, days: &[i32], note: &str) -> Vec<Row> {
    days.iter().flat_map(|day| ids.clone().map(|id| row(id, *day, note))).collect()
}

async fn append(table: &Table, rows: &[Row]) {
    let rows: Vec<_> = rows.iter().map(|row| (RowKind::Insert, row.clone())).collect();
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

async fn overwrite(table: &Table, partitions: Option<Expr>, rows: &[Row]) -> Result<CommitOutcome, Error> {
    let mut overwrite = table.overwrite();
    if let Some(filter) = partitions {
        overwrite = overwrite.partitions(filter);
    }
    let mut writer = overwrite.writer().await?;
    if !rows.is_empty() {
        let rows: Vec<_> = rows.iter().map(|row| (RowKind::Insert, row.clone())).collect();
        writer.write(&changes(table.schema(), &rows)).await.unwrap();
    }
    match writer.commit().await {
        Ok(outcome) => {
            writer.close().await.unwrap();
            Ok(outcome)
        }
        Err(error) => {
            writer.abort().await.unwrap();
            Err(error)
        }
    }
}

async fn rows(table: &Table) -> Vec<String> {
    as_set(all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap())
}

fn all_of(parts: &[&[Row]]) -> Vec<String> {
    as_set(parts.iter().flat_map(|rows| rows.iter().cloned()))
}

/// The newest snapshot: its kind, and its total of rows counted from its live files.
async fn newest_kind(table: &Table) -> CommitKind {
    let latest = table.history().snapshots.latest().await.unwrap().unwrap();
    let live = table.history().manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
    let stored: i64 = live.iter().map(|entry| entry.file.row_count).sum();
    assert_eq!(latest.total_record_count, Some(stored));
    assert!(latest.changelog_manifest_list.is_none());
    latest.commit_kind
}

#[tokio::test]
async fn an_overwrite_replaces_the_partitions_that_get_rows() {
    for options in KINDS {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &some(0..50, &[1, 2, 3], "old")).await;
        append(&table, &some(20..30, &[1, 2], "newer")).await;
        let before = rows(&table).await;
        let new = some(10..40, &[2], "new");
        overwrite(&table, None, &new).await.unwrap().snapshot_id().unwrap();
        assert_eq!(newest_kind(&table).await, CommitKind::Overwrite, "{options:?}");
        let kept: Vec<String> = before.iter().filter(|row| !row.contains(", Int(2)")).cloned().collect();
        let mut wanted: Vec<String> = kept.into_iter().chain(all_of(&[&new])).collect();
        wanted.sort();
        assert_eq!(rows(&table).await, wanted, "{options:?}");
        // Rows that come later know the new ones.
        append(&table, &some(35..45, &[2], "later")).await;
        let count = rows(&table).await.iter().filter(|row| row.contains(", Int(2)")).count();
        assert_eq!(count, if table.schema().has_primary_key() { 35 } else { 40 }, "{options:?}");
        // Nothing comes: nothing goes, and no snapshot is made.
        let latest = table.history().snapshots.latest_id().await.unwrap();
        assert_eq!(overwrite(&table, None, &[]).await.unwrap(), CommitOutcome::Empty);
        assert_eq!(table.history().snapshots.latest_id().await.unwrap(), latest);
    }
}

#[tokio::test]
async fn an_overwrite_of_named_partitions_replaces_all_of_them() {
    for options in KINDS {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &some(0..20, &[1, 2, 3], "old")).await;
        let new = some(0..5, &[2], "new");
        let two_and_three = col("day").ge(2);
        overwrite(&table, Some(two_and_three.clone()), &new).await.unwrap().snapshot_id().unwrap();
        assert_eq!(rows(&table).await, all_of(&[&some(0..20, &[1], "old"), &new]), "{options:?}");
        // Rows elsewhere are refused, nothing becomes visible, and no file stays.
        let latest = table.history().snapshots.latest_id().await.unwrap();
        let files = table.store().list_recursive("").await.unwrap().len();
        let error = overwrite(&table, Some(two_and_three.clone()), &some(0..5, &[1], "wrong")).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("not replaced")), "{error}");
        assert_eq!(table.history().snapshots.latest_id().await.unwrap(), latest);
        assert_eq!(table.store().list_recursive("").await.unwrap().len(), files, "{options:?}");
        // Without rows they are emptied.
        overwrite(&table, Some(two_and_three), &[]).await.unwrap().snapshot_id().unwrap();
        assert_eq!(rows(&table).await, all_of(&[&some(0..20, &[1], "old")]), "{options:?}");
        assert_eq!(newest_kind(&table).await, CommitKind::Overwrite);
    }
}

#[tokio::test]
async fn an_overwrite_of_the_table_replaces_everything() {
    for options in KINDS {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &some(0..20, &[1, 2], "old")).await;
        let whole = table.clone().with_options([("dynamic-partition-overwrite", "false")]).unwrap();
        let new = some(5..9, &[3], "new");
        overwrite(&whole, None, &new).await.unwrap().snapshot_id().unwrap();
        assert_eq!(rows(&table).await, all_of(&[&new]), "{options:?}");
        overwrite(&whole, None, &[]).await.unwrap().snapshot_id().unwrap();
        assert_eq!(rows(&table).await, Vec::<String>::new(), "{options:?}");
    }
}

#[tokio::test]
async fn rows_that_came_before_the_overwrite_go_with_the_others() {
    for options in KINDS {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &some(0..10, &[1], "old")).await;
        let mut writer = table.overwrite().partitions(col("day").eq(1)).writer().await.unwrap();
        let new: Vec<_> = some(0..3, &[1], "new").into_iter().map(|row| (RowKind::Insert, row)).collect();
        writer.write(&changes(table.schema(), &new)).await.unwrap();
        append(&table, &some(3..6, &[1, 2], "between")).await;
        writer.commit().await.unwrap().snapshot_id().unwrap();
        writer.close().await.unwrap();
        let wanted = all_of(&[&some(0..3, &[1], "new"), &some(3..6, &[2], "between")]);
        assert_eq!(rows(&table).await, wanted, "{options:?}");
    }
}

#[tokio::test]
async fn sorted_files_of_an_overwrite_stand_on_the_highest_level() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, KINDS[0]).await;
    overwrite(&table, None, &some(0..100, &[1], "new")).await.unwrap().snapshot_id().unwrap();
    let levels = |table: Table| async move {
        let latest = table.history().snapshots.latest().await.unwrap().unwrap();
        let live = table.history().manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
        live.iter().map(|entry| entry.file.level).collect::<std::collections::BTreeSet<i32>>()
    };
    assert_eq!(levels(table.clone()).await, [5].into());
    let plain = table.clone().with_options([("overwrite-upgrade", "false"), ("write-only", "true")]).unwrap();
    overwrite(&plain, None, &some(0..100, &[1], "new")).await.unwrap().snapshot_id().unwrap();
    assert_eq!(levels(table).await, [0].into());
}

#[tokio::test]
async fn an_overwrite_may_change_the_bucket_count() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, KINDS[0]).await;
    append(&table, &some(0..40, &[1, 2], "old")).await;
    let wider = table.clone().with_options([("bucket", "7")]).unwrap();
    overwrite(&wider, None, &some(0..40, &[2], "new")).await.unwrap().snapshot_id().unwrap();
    let latest = table.history().snapshots.latest().await.unwrap().unwrap();
    let live = table.history().manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
    let mut counts: BTreeMap<Vec<u8>, i32> = BTreeMap::new();
    for entry in &live {
        counts.insert(entry.partition.prefixed().to_vec(), entry.total_buckets);
    }
    assert_eq!(counts.values().copied().collect::<Vec<_>>(), [3, 7]);
    assert_eq!(rows(&table).await, all_of(&[&some(0..40, &[1], "old"), &some(0..40, &[2], "new")]));
}

#[tokio::test]
async fn a_commit_user_overwrites_once() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, KINDS[0]).await;
    let rows_of = |note: &str| some(0..3, &[1], note).into_iter().map(|row| (RowKind::Insert, row)).collect::<Vec<_>>();
    let mut first = table.overwrite().commit_user("job 7").writer().await.unwrap();
    first.write(&changes(table.schema(), &rows_of("first"))).await.unwrap();
    let snapshot = first.commit().await.unwrap().snapshot_id().unwrap();
    first.close().await.unwrap();
    let mut again = table.overwrite().commit_user("job 7").writer().await.unwrap();
    assert_eq!(again.committed().await.unwrap(), Some(snapshot));
    again.write(&changes(table.schema(), &rows_of("again"))).await.unwrap();
    assert_eq!(again.commit().await.unwrap(), CommitOutcome::AlreadyCommitted { snapshot_id: snapshot });
    assert_eq!(rows(&table).await, all_of(&[&some(0..3, &[1], "first")]));
}

#[tokio::test]
async fn keys_that_move_are_overwritten_with_the_whole_table_only() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, &[("key", "id"), ("bucket", "-1")]).await;
    append(&table, &some(0..30, &[1], "old")).await;
    let error = overwrite(&table, None, &some(0..3, &[1], "new")).await.unwrap_err();
    assert!(matches!(&error, Error::Unsupported(_)), "{error}");
    let whole = table.clone().with_options([("dynamic-partition-overwrite", "false")]).unwrap();
    overwrite(&whole, None, &some(0..3, &[2], "new")).await.unwrap().snapshot_id().unwrap();
    assert_eq!(rows(&table).await, all_of(&[&some(0..3, &[2], "new")]));
    append(&table, &some(1..2, &[3], "moved")).await;
    let wanted = [row(0, 2, "new"), row(1, 3, "moved"), row(2, 2, "new")];
    assert_eq!(rows(&table).await, all_of(&[&wanted]));
}

#[tokio::test]
async fn truncation_takes_all_or_whole_partitions() {
    for options in KINDS {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &some(0..20, &[1, 2, 3], "old")).await;
        let planned = table.truncate().partitions(col("day").eq(2)).dry_run().run().await.unwrap();
        assert_eq!((planned.partitions.len(), planned.stored_rows, planned.snapshot_id), (1, 20, None), "{options:?}");
        let done = table.drop_partitions(col("day").eq(2)).await.unwrap();
        assert!(done.snapshot_id.is_some());
        assert_eq!((&done.partitions, done.files, done.stored_rows), (&planned.partitions, planned.files, 20));
        assert_eq!(rows(&table).await, all_of(&[&some(0..20, &[1, 3], "old")]), "{options:?}");
        let done = table.truncate().run().await.unwrap();
        assert_eq!(done.partitions.len(), 2);
        assert_eq!(rows(&table).await, Vec::<String>::new(), "{options:?}");
        assert_eq!(newest_kind(&table).await, CommitKind::Overwrite);
        let latest = table.history().snapshots.latest().await.unwrap().unwrap();
        assert_eq!((latest.total_record_count, latest.index_manifest), (Some(0), None), "{options:?}");
        append(&table, &some(0..2, &[2], "again")).await;
        assert_eq!(rows(&table).await, all_of(&[&some(0..2, &[2], "again")]), "{options:?}");
        let error = table.drop_partitions(col("id").eq(2)).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(_)), "{error}");
    }
}

#[tokio::test]
async fn waiting_rows_of_a_postponed_table_go_too() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, &[("key", "id,day"), ("bucket", "-2")]).await;
    append(&table, &some(0..20, &[1, 2], "old")).await;
    table.compact().run().await.unwrap();
    append(&table, &some(20..30, &[1, 2], "waiting")).await;
    overwrite(&table, None, &some(0..3, &[1], "new")).await.unwrap().snapshot_id().unwrap();
    table.compact().run().await.unwrap();
    let left = [some(0..20, &[2], "old"), some(20..30, &[2], "waiting"), some(0..3, &[1], "new")].concat();
    assert_eq!(rows(&table).await, all_of(&[&left]));
}

#[tokio::test]
async fn messages_that_are_more_than_new_files_are_no_overwrite() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, KINDS[2]).await;
    let mut writer = table.stream_writer("w").await.unwrap();
    let rows: Vec<_> = some(0..3, &[1], "x").into_iter().map(|row| (RowKind::Insert, row)).collect();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    assert!(messages.iter().any(|message| !message.changelog_files.is_empty()));
    let mut committer = table.committer("w").unwrap();
    let replaced = table.overwrite().replaced().unwrap();
    let error = committer.overwrite(BATCH_COMMIT, &replaced, messages, CommitProperties::default()).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("more than new files")), "{error}");
    assert_eq!(table.history().snapshots.latest_id().await.unwrap(), None);
}

#[tokio::test]
async fn an_overwrite_lists_what_goes_before_what_comes() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, KINDS[0]).await;
    append(&table, &some(0..20, &[1], "old")).await;
    overwrite(&table, None, &some(0..20, &[1], "new")).await.unwrap().snapshot_id().unwrap();
    let latest = table.history().snapshots.latest().await.unwrap().unwrap();
    let delta = table.history().manifests.delta_files(&latest, &FileFilter::default()).await.unwrap();
    let kinds: Vec<FileKind> = delta.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [[FileKind::Delete; 3], [FileKind::Add; 3]].concat());
    assert_eq!((latest.delta_record_count, latest.total_record_count), (Some(0), Some(20)));
}
