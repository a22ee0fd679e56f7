//! Compaction beside a writer: what becomes of it when its commit, or the writer, ends otherwise than planned.

use std::collections::BTreeSet;

use forebay::Table;
use forebay::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties};
use forebay::format::{CommitKind, CommitMessage};
use forebay::history::FileFilter;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};

use crate::support::{Row, all_rows, as_set, changes, rows_of};

fn sums(options: &[(&str, &str)]) -> Schema {
    let mut schema = Schema::builder().column("k", DataType::INT).column("v", DataType::BIGINT).primary_key(["k"]);
    for (key, value) in [("bucket", "1"), ("merge-engine", "aggregation"), ("fields.v.aggregate-function", "sum")] {
        schema = schema.option(key, value);
    }
    options.iter().fold(schema, |schema, (key, value)| schema.option(*key, *value)).build().unwrap()
}

fn row(key: i32, value: i64) -> Row {
    vec![Datum::Int(key), Datum::BigInt(value)]
}

async fn rows(table: &Table) -> Vec<String> {
    as_set(all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap())
}

/// What the compaction of a message did is left out, as when it was lost to another commit.
fn without_compaction(message: CommitMessage) -> CommitMessage {
    CommitMessage { compact_before: Vec::new(), compact_after: Vec::new(), compact_changelog: Vec::new(), ..message }
}

#[tokio::test]
async fn nothing_rests_on_a_compaction_that_was_lost() {
    for told in [false, true] {
        let place = tempfile::tempdir().unwrap();
        let schema = sums(&[("changelog-producer", "lookup")]);
        let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
        let some = |keys, value| {
            changes(table.schema(), &(0..keys).map(|key| (RowKind::Insert, row(key, value))).collect::<Vec<_>>())
        };
        let mut writer = table.stream_writer("w").await.unwrap();
        let mut committer = table.committer("w").unwrap();
        let mut wanted = [0_i64; 3000];
        let mut lost = 0;
        for commit in 1..=24 {
            let drop = matches!(commit, 3 | 14);
            // What is lost is larger than what comes then, so that it is not taken again with it.
            let keys = if commit == 1 {
                3000
            } else if drop {
                300
            } else {
                2
            };
            wanted[..keys as usize].iter_mut().for_each(|sum| *sum += commit);
            writer.write(&some(keys, commit)).await.unwrap();
            let mut messages = writer.prepare_commit().await.unwrap();
            if drop {
                lost += messages.iter().filter(|message| !message.compact_before.is_empty()).count();
                messages = messages.into_iter().map(without_compaction).collect();
            }
            let outcome = committer.commit(commit, messages, CommitProperties::default()).await.unwrap();
            assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
            if drop && told {
                writer.compaction_was_dropped();
            }
            let sums = wanted.iter().enumerate().map(|(key, sum)| row(key as i32, *sum));
            assert_eq!(rows(&table).await, as_set(sums), "after commit {commit}, told: {told}");
        }
        assert_eq!(lost, 2, "the test must lose compactions");
        // What was taken up late is told late, and nothing is told twice.
        table.compact().full().run().await.unwrap();
        let mut replayed = [None; 3000];
        let mut stream = table.changes().from(Start::Earliest).read().await.unwrap();
        while let Some(change) = stream.next().await.unwrap() {
            for (at, row) in rows_of(table.schema(), change.rows.rows()).into_iter().enumerate() {
                let (Datum::Int(key), Datum::BigInt(value)) = (&row[0], &row[1]) else { panic!("{row:?}") };
                let old = &mut replayed[*key as usize];
                match change.rows.kind(at) {
                    RowKind::Insert => assert_eq!(old.replace(*value), None, "+I of {row:?}"),
                    RowKind::UpdateBefore => assert_eq!(old.take(), Some(*value), "-U of {row:?}"),
                    RowKind::UpdateAfter => assert_eq!(old.replace(*value), None, "+U of {row:?}"),
                    RowKind::Delete => assert_eq!(old.take(), Some(*value), "-D of {row:?}"),
                }
            }
        }
        assert_eq!(replayed, wanted.map(Some));
    }
}

#[tokio::test]
async fn short_writers_compact_too_and_leave_no_file_behind() {
    let place = tempfile::tempdir().unwrap();
    let table = Table::create(place.path().join("t").to_str().unwrap(), sums(&[]), []).await.unwrap();
    for round in 0..12 {
        let mut writer = table.writer().await.unwrap();
        writer.write(&changes(table.schema(), &[(RowKind::Insert, row(round % 2, 1))])).await.unwrap();
        writer.commit().await.unwrap();
        writer.close().await.unwrap();
    }
    assert_eq!(rows(&table).await, as_set([row(0, 6), row(1, 6)]));
    let history = table.history();
    let mut named = BTreeSet::new();
    for id in history.snapshots.ids().await.unwrap() {
        let snapshot = history.snapshots.load(id).await.unwrap();
        let live = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
        if id == history.snapshots.latest_id().await.unwrap().unwrap() {
            assert!(live.len() < 6, "{} sorted runs are left", live.len());
        }
        assert!(snapshot.delta_record_count != Some(0) || snapshot.commit_kind == CommitKind::Compact, "{id} is empty");
        named.extend(live.iter().map(|entry| entry.file.file_name.clone()));
    }
    let there = std::fs::read_dir(place.path().join("t/bucket-0")).unwrap();
    let there: BTreeSet<String> = there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, named);
}

#[tokio::test]
async fn a_writer_whose_commits_nobody_can_tell_of_says_so() {
    let place = tempfile::tempdir().unwrap();
    let table = Table::create(place.path().join("t").to_str().unwrap(), sums(&[]), []).await.unwrap();
    let mut writer = table.stream_writer("w").await.unwrap();
    let mut committer = table.committer("w").unwrap();
    for commit in 1..=3 {
        writer.write(&changes(table.schema(), &[(RowKind::Insert, row(1, 1))])).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        committer.commit(commit, messages, CommitProperties::default()).await.unwrap();
    }
    // Another one replaces all files, and the snapshots between expire.
    table.compact().full().run().await.unwrap();
    std::fs::remove_file(place.path().join("t/snapshot/snapshot-3")).unwrap();
    writer.write(&changes(table.schema(), &[(RowKind::Insert, row(1, 1))])).await.unwrap();
    let error = writer.prepare_commit().await.unwrap_err().to_string();
    assert!(error.contains("open a new writer"), "{error}");
}

#[tokio::test]
async fn a_stream_goes_on_when_only_a_compaction_was_lost() {
    let place = tempfile::tempdir().unwrap();
    let schema = sums(&[("write-only", "true"), ("snapshot.ignore-empty-commit", "true")]);
    let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
    let mut writer = table.writer().await.unwrap();
    for value in 0..3 {
        writer.write(&changes(table.schema(), &[(RowKind::Insert, row(1, value))])).await.unwrap();
        writer.commit().await.unwrap();
    }
    let builder = table.compact().full();
    let task = builder.plan().await.unwrap().remove(0);
    let lost = builder.compactor().unwrap().run(&task).await.unwrap();
    let file = place.path().join("t/bucket-0").join(&lost.compact_after[0].file_name);
    assert!(file.exists());
    builder.run().await.unwrap();
    // No row of the stream is in it, so nothing of the stream is refused, and its next commit comes.
    let mut committer = table.committer("sink").unwrap();
    let outcome = committer.commit(1, vec![lost], CommitProperties::default()).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Empty), "{outcome:?}");
    assert!(!file.exists(), "the files of the lost compaction stay behind");
    assert_eq!(rows(&table).await, as_set([row(1, 3)]));
}

#[tokio::test]
async fn a_compaction_beside_the_writer_that_fails_costs_no_commit_and_is_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let schema = sums(&[("num-sorted-run.compaction-trigger", "2"), ("num-sorted-run.stop-trigger", "100")]);
    let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
    let mut writer = table.stream_writer("w").await.unwrap();
    let mut committer = table.committer("w").unwrap();
    let (bucket, away) = (place.path().join("t/bucket-0"), place.path().join("away"));
    let mut first = None;
    for commit in 1..=5 {
        if commit == 5 {
            std::fs::rename(&away, first.as_ref().unwrap()).unwrap();
        }
        writer.write(&changes(table.schema(), &[(RowKind::Insert, row(1, 1))])).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        if commit == 1 {
            let path = bucket.join(&messages[0].new_files[0].file_name);
            std::fs::rename(&path, &away).unwrap();
            first = Some(path);
        }
        committer.commit(commit, messages, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
        let done = writer.finish_compactions().await;
        assert_eq!(done.len(), usize::from(commit == 5), "what cannot be read cannot be compacted, commit {commit}");
        if commit < 5 {
            let there = std::fs::read_dir(&bucket).unwrap().count();
            assert_eq!(there as i64, commit - 1, "a failed compaction leaves no file behind");
        } else {
            assert_eq!(done[0].compact_before.len(), 5);
            committer.commit(BATCH_COMMIT, done, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
        }
    }
    assert_eq!(rows(&table).await, as_set([row(1, 5)]));
    writer.abort().await.unwrap();
}
