//! Compactions of many buckets in one commit: those that lost are left out, and only they.

use std::sync::Arc;

use super::support::*;
use crate::commit::salvage::{Rules, losers};
use crate::commit::{BATCH_COMMIT, CommitOutcome, Committer, DroppedCompaction};
use crate::format::{
    CommitMessage, DataFileMeta, DeletionVectorRange, FileKind, IndexFile, IndexManifestEntry, ManifestEntry,
};
use crate::io::{Fault, FaultPlan, Op};
use crate::types::DataType;

fn live(day: i32, bucket: i32, file: DataFileMeta) -> Arc<ManifestEntry> {
    let partition = partition(day);
    Arc::new(ManifestEntry { kind: FileKind::Add, partition, bucket, total_buckets: 2, file: Arc::new(file) })
}

/// A compaction of a bucket: one file of level 0 becomes one of level 5.
fn merged(day: i32, bucket: i32, before: &str, after: &str) -> CommitMessage {
    CommitMessage {
        compact_before: vec![file(before, 0, 1, 10)],
        compact_after: vec![file(after, 5, 1, 10)],
        ..message(day, bucket)
    }
}

fn vectors(bucket: i32, name: &str, of: &str) -> IndexFile {
    let range = DeletionVectorRange { data_file: of.into(), offset: 1, length: 9, cardinality: Some(1) };
    IndexFile {
        partition: partition(1),
        bucket,
        index_type: IndexManifestEntry::DELETION_VECTORS.into(),
        file_name: name.into(),
        file_size: 8,
        row_count: 1,
        deletion_vectors: Some(vec![range]),
        external_path: None,
        global_index: None,
    }
}

/// Which messages lose against files `a` and `b` in buckets 0 and 1 of day 1 and `c` in bucket 0 of day 2.
fn lost(messages: Vec<CommitMessage>, index: &[IndexFile], key_types: &[DataType]) -> Vec<(usize, String)> {
    let files = [live(1, 0, file("a", 0, 1, 10)), live(1, 1, file("b", 0, 1, 10)), live(2, 0, file("c", 0, 1, 10))];
    let all: Vec<usize> = (0..messages.len()).collect();
    let rules = Rules { key_types, by_file: key_types.is_empty() };
    let lost = losers(&messages, &all, &files, index, rules).unwrap();
    lost.into_iter().map(|lost| (lost.message, lost.reason)).collect()
}

/// What is tried, against which index files, and which messages lose for what reason.
type Case = (&'static str, Vec<CommitMessage>, Vec<IndexFile>, Vec<(usize, &'static str)>);

#[test]
fn each_bucket_is_held_against_its_own_files() {
    let keyed = [DataType::BIGINT.not_null()];
    let rescaled = CommitMessage { total_buckets: 4, ..merged(1, 1, "b", "y") };
    let overlapping =
        CommitMessage { compact_after: vec![file("x", 5, 1, 10), file("z", 5, 10, 12)], ..merged(1, 0, "a", "x") };
    let masked = CommitMessage {
        compact_new_index: vec![vectors(1, "v2", "y")],
        compact_deleted_index: vec![vectors(1, "v1", "b")],
        ..merged(1, 1, "b", "y")
    };
    let cases: Vec<Case> = vec![
        ("all live", vec![merged(1, 0, "a", "x"), merged(1, 1, "b", "y"), merged(2, 0, "c", "z")], vec![], vec![]),
        (
            "one input gone",
            vec![merged(1, 0, "a", "x"), merged(1, 1, "gone", "y"), merged(2, 0, "c", "z")],
            vec![],
            vec![(1, "no longer live")],
        ),
        ("an input of another bucket", vec![merged(1, 0, "b", "x")], vec![], vec![(0, "no longer live")]),
        ("one rescaled", vec![merged(1, 0, "a", "x"), rescaled], vec![], vec![(1, "rescaled")]),
        ("one overlaps", vec![overlapping, merged(2, 0, "c", "z")], vec![], vec![(0, "overlap")]),
        (
            "two of one bucket take one file",
            vec![merged(1, 0, "a", "x"), merged(1, 0, "a", "y")],
            vec![],
            vec![(1, "no longer live")],
        ),
        (
            "one masked since",
            vec![merged(1, 0, "a", "x"), merged(1, 1, "b", "y")],
            vec![vectors(1, "v1", "b")],
            vec![(1, "masked since")],
        ),
        ("one replaces its vectors", vec![masked.clone()], vec![vectors(1, "v1", "b")], vec![]),
        ("one replaces vectors that are gone", vec![masked], vec![vectors(1, "v9", "b")], vec![(0, "no longer live")]),
    ];
    for (name, messages, index, expected) in cases {
        let found = lost(messages, &index, &keyed);
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for ((at, reason), (expected, part)) in found.iter().zip(expected) {
            assert!(*at == expected && reason.contains(part), "{name}: {found:?}");
        }
    }
}

#[test]
fn what_rests_on_a_lost_compaction_is_lost_and_other_tasks_of_a_bucket_are_not() {
    let second = |before: &str| CommitMessage {
        compact_before: vec![file(before, 5, 1, 10)],
        compact_after: vec![file("y", 5, 1, 10)],
        ..message(1, 0)
    };
    let numbers = |found: Vec<(usize, String)>| found.into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(numbers(lost(vec![merged(1, 0, "a", "x"), second("x")], &[], &[])), [0; 0]);
    assert_eq!(numbers(lost(vec![merged(1, 0, "gone", "x"), second("x"), merged(1, 0, "a", "z")], &[], &[])), [0, 1]);
}

/// A file for each of two buckets of a day.
fn both(name: &str) -> Vec<CommitMessage> {
    let one =
        |bucket| CommitMessage { new_files: vec![file(&format!("{name}{bucket}"), 0, 1, 10)], ..message(1, bucket) };
    vec![one(0), one(1)]
}

/// Two buckets with a file each, of which another compactor took the second; the bytes of our outputs are there.
async fn half_lost() -> (Table, Vec<CommitMessage>) {
    let table = Table::new().await;
    let mut other = table.calm_committer("other");
    must(&mut other, 1, both("a")).await;
    must(&mut other, 2, vec![merged(1, 1, "a1", "theirs")]).await;
    for path in ["day=1/bucket-0/x", "day=1/bucket-1/y"] {
        table.raw.write(path, bytes::Bytes::from_static(b"x")).await.unwrap();
    }
    (table, vec![merged(1, 0, "a0", "x"), merged(1, 1, "a1", "y")])
}

async fn data_files(table: &Table) -> Vec<String> {
    let files = table.raw.list_recursive("day=1").await.unwrap();
    files.into_iter().map(|file| file.name.rsplit('/').next().unwrap_or_default().to_string()).collect()
}

fn dropped(outcome: &CommitOutcome) -> &[DroppedCompaction] {
    match outcome {
        CommitOutcome::Committed { dropped_compactions, .. } => dropped_compactions,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_compaction_of_many_buckets_drops_those_that_lost_and_deletes_their_files() {
    for with_rows in [false, true] {
        let (table, mut messages) = half_lost().await;
        if with_rows {
            messages.iter_mut().zip(both("n")).for_each(|(message, rows)| message.new_files = rows.new_files);
        }
        let mut ours = table.committer("ours");
        let outcome = ours.commit(if with_rows { 1 } else { BATCH_COMMIT }, messages, plain()).await.unwrap();
        let [lost] = dropped(&outcome) else { panic!("{outcome:?}") };
        assert!(lost.message == 1 && lost.reason.contains("no longer live"), "{lost:?}");
        let live: Vec<String> = table.live().await.into_iter().collect();
        assert_eq!(live, if with_rows { vec!["n0", "n1", "theirs", "x"] } else { vec!["theirs", "x"] });
        assert_eq!(data_files(&table).await, ["x"]);
        table.assert_sound().await;
        table.assert_no_orphans().await;
    }
}

#[tokio::test]
async fn when_all_buckets_lost_a_batch_is_a_conflict_and_a_stream_goes_on() {
    let (table, mut messages) = half_lost().await;
    messages.remove(0);
    let mut ours = table.committer("ours");
    let outcome = ours.commit(BATCH_COMMIT, messages.clone(), plain()).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Conflicted { .. }), "{outcome:?}");
    // The files of a conflict are its caller's to give up.
    assert_eq!(data_files(&table).await, ["x", "y"]);
    let outcome = ours.commit(1, messages, plain()).await.unwrap();
    assert_eq!(dropped(&outcome).len(), 1);
    assert_eq!(data_files(&table).await, ["x"]);
}

/// At every single operation a store that fails, dies or delays: the half that did not lose is committed or not, and no
/// file is deleted that may be live.
#[tokio::test]
async fn one_fault_anywhere_in_a_salvage_deletes_nothing_that_may_be_live() {
    let (calm, messages) = half_lost().await;
    calm.committer("ours").commit(BATCH_COMMIT, messages, plain()).await.unwrap();
    let operations = calm.faulty.operations();
    assert!(operations > 10);
    let (mut committed, mut unknown, mut failed) = (0, 0, 0);
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::LostAnswer, Fault::TornBody, Fault::StaleList] {
        for at in 0..operations {
            let (table, messages) = half_lost().await;
            table.faulty.replan(FaultPlan::none().at(at, fault.clone()));
            let mut ours: Committer = table.committer("ours");
            match ours.commit(BATCH_COMMIT, messages, plain()).await {
                Ok(outcome @ CommitOutcome::Committed { .. }) => {
                    committed += 1;
                    assert_eq!(dropped(&outcome).len(), 1);
                    assert!(table.live().await.contains("x"), "{fault:?} at {at}");
                }
                Ok(CommitOutcome::Unknown { .. }) => {
                    unknown += 1;
                    assert_eq!(data_files(&table).await, ["x", "y"], "{fault:?} at {at}");
                }
                Ok(other) => panic!("{fault:?} at {at}: {other:?}"),
                Err(_) => {
                    failed += 1;
                    assert!(!table.live().await.contains("x"), "{fault:?} at {at}");
                    assert_eq!(data_files(&table).await, ["x", "y"], "{fault:?} at {at}");
                }
            }
            assert!(data_files(&table).await.contains(&"x".to_string()));
            table.assert_sound().await;
        }
    }
    assert!(committed > 0 && failed > 0, "{committed} committed, {unknown} unknown, {failed} failed");
}

/// One fault or two anywhere in a commit of rows with a compaction: what of it is not visible leaves no file behind, its
/// index files included, and what is visible keeps them. The second fault meets what tries again after the first.
#[tokio::test]
async fn files_of_a_compaction_whose_publish_failed_are_deleted() {
    let written = ["day=1/bucket-0/x", "index/v"];
    let prepare = || async {
        let table = Table::new().await;
        must(&mut table.calm_committer("other"), 1, both("a")).await;
        for path in written {
            table.raw.write(path, bytes::Bytes::from_static(b"x")).await.unwrap();
        }
        let mut message = merged(1, 0, "a0", "x");
        message.new_files = vec![file("n", 0, 1, 10)];
        message.compact_new_index = vec![vectors(0, "v", "x")];
        (table, vec![message])
    };
    let (calm, messages) = prepare().await;
    must(&mut calm.committer("ours"), 1, messages).await;
    let (mut dropped_ones, mut kept_ones) = (0, 0);
    let faults = (0..calm.faulty.operations()).flat_map(|at| (at..at + 6).map(move |again| (at, again)));
    for (at, again) in faults {
        let (table, messages) = prepare().await;
        table.faulty.replan(FaultPlan::none().at(at, Fault::FailBefore).at(again, Fault::FailBefore));
        let outcome = table.committer("ours").commit(1, messages, plain()).await;
        let visible = table.live().await.contains("x");
        // The clean-up itself may fail, or its look at what is live: then files stay.
        let cleans = |op: Op| matches!(op, Op::Delete | Op::List);
        let kept_by_fault = table.faulty.trace().iter().any(|(op, _, fault)| cleans(*op) && fault.is_some());
        let mut there = Vec::new();
        for path in written {
            there.push(table.raw.exists(path).await.unwrap());
        }
        match outcome {
            Ok(outcome) if !dropped(&outcome).is_empty() => {
                dropped_ones += 1;
                assert!(!visible, "faults at {at} and {again}");
                assert!(kept_by_fault || there == [false, false], "faults at {at} and {again}: {there:?}");
            }
            // The same messages may be committed again.
            Err(_) => assert_eq!((visible, there), (false, vec![true, true]), "faults at {at} and {again}"),
            Ok(_) => {
                kept_ones += 1;
                assert_eq!((visible, there), (true, vec![true, true]), "faults at {at} and {again}");
            }
        }
        table.assert_sound().await;
    }
    assert!(dropped_ones > 10 && kept_ones > 10, "{dropped_ones} dropped, {kept_ones} kept");
}
