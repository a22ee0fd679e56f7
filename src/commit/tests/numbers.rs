//! What a snapshot's number gives its files: row ids and the order of versions, also after a lost race.

use super::support::*;
use crate::error::Error;
use crate::format::{CommitMessage, DataFileMeta, FileSource, Snapshot};
use crate::history::FileFilter;

const TRACKED: [(&str, &str); 1] = [("row-tracking.enabled", "true")];

/// Rows that were told to come from a writer.
fn new(name: &str, rows: i64) -> DataFileMeta {
    DataFileMeta { file_source: Some(FileSource::Append), ..file(name, 0, 1, rows) }
}

fn written(day: i32, files: Vec<DataFileMeta>) -> CommitMessage {
    CommitMessage { new_files: files, ..message(day, 0) }
}

/// Name, first row id and sequence numbers of the files of a snapshot's delta, in its order.
async fn delta(table: &Table, id: i64) -> Vec<(String, Option<i64>, (i64, i64))> {
    let history = table.history();
    let snapshot = history.snapshots.load(id).await.unwrap();
    let files = history.manifests.delta_files(&snapshot, &FileFilter::default()).await.unwrap();
    let told = |file: &DataFileMeta| {
        (file.file_name.clone(), file.first_row_id, (file.min_sequence_number, file.max_sequence_number))
    };
    files.iter().map(|entry| told(&entry.file)).collect()
}

#[tokio::test]
async fn new_rows_get_the_ids_that_follow_partition_by_partition() {
    let table = Table::with_options(&TRACKED).await;
    let mut committer = table.committer("sink");
    let messages = vec![written(2, vec![new("a", 5)]), written(1, vec![new("b", 3)]), written(2, vec![new("c", 2)])];
    must(&mut committer, 1, messages.clone()).await;
    let one = (1, 1);
    let found = delta(&table, 1).await;
    assert_eq!(found, [("b".into(), Some(0), one), ("a".into(), Some(3), one), ("c".into(), Some(8), one)]);
    assert_eq!(table.latest().await.unwrap().next_row_id, Some(10));

    let table = Table::with_options(&[TRACKED[0], ("row-tracking.partition-group-on-commit", "false")]).await;
    must(&mut table.committer("sink"), 1, messages).await;
    let found = delta(&table, 1).await;
    assert_eq!(found, [("a".into(), Some(0), one), ("b".into(), Some(5), one), ("c".into(), Some(8), one)]);
}

#[tokio::test]
async fn a_lost_race_numbers_the_files_anew_and_no_id_is_given_twice() {
    let table = Table::with_options(&TRACKED).await;
    let (mut one, mut other) = (table.committer("one"), table.committer("other"));
    must(&mut one, 1, vec![written(1, vec![new("a", 4)])]).await;
    must(&mut other, 1, vec![written(1, vec![new("b", 6)])]).await;
    // Its remembered base is old by now.
    must(&mut one, 2, vec![written(1, vec![new("c", 1)])]).await;
    assert_eq!(delta(&table, 2).await, [("b".into(), Some(4), (2, 2))]);
    assert_eq!(delta(&table, 3).await, [("c".into(), Some(10), (3, 3))]);
    assert_eq!(table.latest().await.unwrap().next_row_id, Some(11));
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn a_compacted_file_keeps_the_numbers_of_its_rows_and_takes_no_ids() {
    let table = Table::with_options(&TRACKED).await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, vec![written(1, vec![new("a", 4)])]).await;
    must(&mut committer, 2, vec![written(1, vec![new("b", 6)])]).await;
    let history = table.history();
    let live = history.manifests.live_files(&table.latest().await.unwrap(), &FileFilter::default()).await.unwrap();
    let before: Vec<DataFileMeta> = live.iter().map(|entry| DataFileMeta::clone(&entry.file)).collect();
    let after = DataFileMeta {
        file_source: Some(FileSource::Compact),
        write_cols: Some(vec!["id".into(), "day".into(), "_ROW_ID".into(), "_SEQUENCE_NUMBER".into()]),
        min_sequence_number: 1,
        max_sequence_number: 2,
        ..file("c", 0, 1, 10)
    };
    let id = must(&mut committer, 3, compact(before, after)).await;
    assert_eq!(delta(&table, id).await.last(), Some(&("c".into(), None, (1, 2))));
    assert_eq!(table.latest().await.unwrap().next_row_id, Some(10));
}

/// A writer that does not know of row ids came between: from there on ids would be given twice.
#[tokio::test]
async fn a_base_that_does_not_tell_the_next_row_id_is_refused() {
    let table = Table::with_options(&TRACKED).await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, vec![written(1, vec![new("a", 4)])]).await;
    let latest = table.latest().await.unwrap();
    let stranger = Snapshot { id: 2, next_row_id: None, uuid: Some("stranger".into()), ..latest };
    let bytes = stranger.encode().unwrap();
    table.raw.write("snapshot/snapshot-2", bytes).await.unwrap();
    let refused = committer.commit(2, vec![written(1, vec![new("b", 6)])], plain()).await;
    assert!(matches!(refused, Err(Error::Unsupported(text)) if text.contains("row-tracking.enabled")));
}

#[tokio::test]
async fn where_snapshots_order_versions_new_files_have_the_snapshots_number() {
    let table = Table::with_options(&[("sequence.snapshot-ordering", "true"), ("write-only", "true")]).await;
    let (mut one, mut other) = (table.committer("one"), table.committer("other"));
    must(&mut one, 1, vec![written(1, vec![new("a", 4)])]).await;
    must(&mut other, 1, vec![written(1, vec![new("b", 4)])]).await;
    must(&mut one, 2, vec![written(1, vec![new("c", 4)])]).await;
    let mut numbers = Vec::new();
    for id in 1..=3 {
        numbers.extend(delta(&table, id).await.into_iter().map(|(_, first, numbers)| (first, numbers)));
    }
    assert_eq!(numbers, [(None, (1, 1)), (None, (2, 2)), (None, (3, 3))]);
}
