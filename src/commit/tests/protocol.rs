//! What a commit does when nothing fails, and when others commit too.

use std::sync::Arc;
use std::time::Duration;

use super::support::*;
use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, DroppedCompaction};
use crate::error::Error;
use crate::format::{CommitKind, CommitMessage};
use crate::history::{FileFilter, History};
use crate::io::{CountingStore, Fault, FaultPlan, Gate, Op, PathClass};

#[tokio::test]
async fn commits_make_a_chain_of_snapshots() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    assert_eq!(must(&mut committer, 1, append("a")).await, 1);
    assert_eq!(must(&mut committer, 2, append("b")).await, 2);
    let latest = table.latest().await.unwrap();
    assert_eq!((latest.commit_kind, latest.commit_identifier), (CommitKind::Append, 2));
    assert_eq!((latest.total_record_count, latest.delta_record_count), (Some(20), Some(10)));
    assert_eq!(table.live().await.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(table.raw.read("snapshot/LATEST").await.unwrap(), "2");
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn an_identifier_commits_once() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    must(&mut committer, 5, append("a")).await;
    for identifier in [5, 4] {
        let outcome = committer.commit(identifier, append("b"), plain()).await.unwrap();
        assert_eq!(outcome, CommitOutcome::AlreadyCommitted { snapshot_id: 1 });
    }
    // A restarted sink and its surviving twin ask history, not memory.
    let mut restarted = table.committer("sink");
    let outcome = restarted.commit(5, append("b"), plain()).await.unwrap();
    assert_eq!(outcome, CommitOutcome::AlreadyCommitted { snapshot_id: 1 });
    must(&mut restarted, 6, append("c")).await;
    let outcome = committer.commit(6, append("d"), plain()).await.unwrap();
    assert_eq!(outcome, CommitOutcome::AlreadyCommitted { snapshot_id: 2 });
    table.assert_sound().await;
    table.assert_no_orphans().await;
    // Another user's identifiers are another's.
    must(&mut table.committer("other"), 5, append("e")).await;
}

#[tokio::test]
async fn a_committable_with_a_compaction_makes_two_snapshots() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, append("a")).await;
    let mut messages = append("b");
    messages[0].compact_before = vec![file("a", 0, 1, 10), file("b", 0, 1, 10)];
    messages[0].compact_after = vec![file("c", 5, 1, 10)];
    messages[0].compact_changelog = vec![file("changelog-1", 5, 1, 4)];
    let outcome = committer.commit(2, messages, marked("k")).await.unwrap();
    let expected =
        CommitOutcome::Committed { snapshot_id: 3, append: Some(2), compact: Some(3), dropped_compactions: vec![] };
    assert_eq!(outcome, expected);
    let history = table.history();
    let last = history.snapshots.load(3).await.unwrap();
    assert_eq!((last.commit_kind, last.commit_identifier), (CommitKind::Compact, 2));
    assert_eq!((last.total_record_count, last.delta_record_count), (Some(10), Some(-10)));
    assert_eq!(last.changelog_record_count, Some(4));
    assert!(last.properties.unwrap().contains_key("k"));
    let second = history.snapshots.load(2).await.unwrap();
    assert_eq!((second.changelog_manifest_list, second.changelog_record_count), (None, None));
    assert_eq!(table.live().await.into_iter().collect::<Vec<_>>(), ["c"]);
    table.assert_sound().await;
}

#[tokio::test]
async fn a_file_that_moves_to_another_level_stays_live() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, append("a")).await;
    must(&mut committer, 2, compact(vec![file("a", 0, 1, 10)], file("a", 5, 1, 10))).await;
    assert_eq!(table.live().await.into_iter().collect::<Vec<_>>(), ["a"]);
    table.assert_sound().await;
}

#[tokio::test]
async fn empty_commits_make_snapshots_for_streams_only() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    assert_eq!(committer.commit(BATCH_COMMIT, vec![], plain()).await.unwrap(), CommitOutcome::Empty);
    assert!(table.latest().await.is_none());
    must(&mut committer, 1, vec![]).await;
    must(&mut committer, 2, vec![message(1, 0)]).await;
    let latest = table.latest().await.unwrap();
    assert_eq!((latest.id, latest.delta_record_count, latest.total_record_count), (2, Some(0), Some(0)));
    for (option, batch_commits) in [("commit.force-create-snapshot", 1), ("snapshot.ignore-empty-commit", 0)] {
        let table = Table::with_options(&[(option, "true")]).await;
        let mut committer = table.committer("sink");
        committer.commit(BATCH_COMMIT, vec![], plain()).await.unwrap();
        let ids = table.history().snapshots.ids().await.unwrap();
        assert_eq!(ids.len(), batch_commits, "{option}");
        if option == "snapshot.ignore-empty-commit" {
            assert_eq!(committer.commit(1, vec![], plain()).await.unwrap(), CommitOutcome::Empty);
        }
    }
}

#[tokio::test]
async fn batch_commits_of_one_user_are_not_taken_for_each_other() {
    let table = Table::new().await;
    let mut committer = table.committer("batch");
    must(&mut committer, BATCH_COMMIT, append("a")).await;
    must(&mut committer, BATCH_COMMIT, append("b")).await;
    // Nor does a batch commit hide what a stream of the same user has yet to commit.
    must(&mut table.committer("batch"), 1, append("c")).await;
    assert_eq!(table.live().await.len(), 3);
}

#[tokio::test]
async fn the_watermark_never_falls() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    for (identifier, watermark, expected) in
        [(1, None, None), (2, Some(5), Some(5)), (3, Some(3), Some(5)), (4, None, Some(5))]
    {
        let properties = CommitProperties { watermark, ..plain() };
        committer.commit(identifier, vec![], properties).await.unwrap();
        assert_eq!(table.latest().await.unwrap().watermark, expected);
    }
}

#[tokio::test]
async fn committers_that_take_turns_lose_nothing() {
    let table = Table::new().await;
    let mut committers: Vec<_> = (0..4).map(|number| table.committer(&format!("sink-{number}"))).collect();
    for round in 0..20 {
        for (number, committer) in committers.iter_mut().enumerate() {
            must(committer, round, append(&format!("f-{number}-{round}"))).await;
        }
    }
    assert_eq!(table.live().await.len(), 80);
    assert_eq!(table.latest().await.unwrap().id, 80);
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn committers_that_race_in_threads_lose_nothing() {
    let table = Table::with_options(&[("commit.max-retries", "1000")]).await;
    let table = Arc::new(table);
    let tasks = (0..8).map(|number| {
        let table = Arc::clone(&table);
        tokio::spawn(async move {
            let mut committer = table.committer(&format!("sink-{number}"));
            for round in 0..15 {
                must(&mut committer, round, append(&format!("f-{number}-{round}"))).await;
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(table.live().await.len(), 8 * 15);
    assert_eq!(table.latest().await.unwrap().id, 8 * 15);
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn the_second_of_two_compactions_is_dropped_and_the_new_files_stay() {
    let table = Table::new().await;
    let mut first = table.committer("first");
    let mut second = table.committer("second");
    must(&mut first, 1, append("a")).await;
    must(&mut first, 2, append("b")).await;
    let inputs = || vec![file("a", 0, 1, 10), file("b", 0, 1, 10)];
    must(&mut first, 3, compact(inputs(), file("c", 5, 1, 10))).await;
    let mut messages = append("d");
    messages[0].compact_before = inputs();
    messages[0].compact_after = vec![file("e", 5, 1, 10)];
    match second.commit(1, messages, plain()).await.unwrap() {
        CommitOutcome::Committed { append: Some(_), compact: None, dropped_compactions, .. } => {
            let [DroppedCompaction { message: 0, reason }] = dropped_compactions.as_slice() else {
                panic!("{dropped_compactions:?}")
            };
            assert!(reason.contains("no longer live"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    // A compaction alone, without new files, is told as a conflict.
    match second.commit(BATCH_COMMIT, compact(inputs(), file("e", 5, 1, 10)), plain()).await.unwrap() {
        CommitOutcome::Conflicted { reason } => assert!(reason.contains("no longer live"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(table.live().await.into_iter().collect::<Vec<_>>(), ["c", "d"]);
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn a_remembered_base_does_not_cause_a_false_conflict() {
    let table = Table::new().await;
    let (mut first, mut second) = (table.committer("first"), table.committer("second"));
    must(&mut first, 1, append("a")).await;
    must(&mut second, 1, append("b")).await;
    // The first committer does not know of b yet.
    must(&mut first, BATCH_COMMIT, compact(vec![file("b", 0, 1, 10)], file("c", 5, 1, 10))).await;
    assert_eq!(table.live().await.into_iter().collect::<Vec<_>>(), ["a", "c"]);
}

#[tokio::test]
async fn a_restarted_sink_learns_what_is_committed() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    must(&mut committer, 3, append("a")).await;
    must(&mut table.committer("other"), 9, append("b")).await;
    let mut restarted = table.committer("sink");
    assert_eq!(restarted.filter_committed(&[2, 3, 4, 5]).await.unwrap(), [4, 5]);
    assert_eq!(restarted.last_committed().await.unwrap(), Some((3, 1)));
    restarted.resume(3, 1).await.unwrap();
    // What it commits now is checked: it may have been mistaken about a file.
    match restarted.commit(4, append("a"), plain()).await.unwrap() {
        CommitOutcome::Conflicted { reason } => assert!(reason.contains("added by another"), "{reason}"),
        other => panic!("{other:?}"),
    }
    must(&mut restarted, 4, append("c")).await;
}

#[tokio::test]
async fn a_sink_whose_history_is_gone_is_refused() {
    let table = Table::new().await;
    must(&mut table.committer("sink"), 3, append("a")).await;
    let mut other = table.committer("other");
    for round in 1..5 {
        must(&mut other, round, append(&format!("b-{round}"))).await;
    }
    table.expire_below(4).await;
    let error = table.committer("sink").resume(3, 1).await.unwrap_err();
    assert!(matches!(&error, Error::NotFound(text) if text.contains("4 to 5")), "{error}");
    let error = table.committer("other").resume(9, 9).await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(text) if text.contains("rolled back")), "{error}");
}

#[tokio::test]
async fn aborted_messages_leave_no_file_and_live_files_stay() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    let path = |name: &str| format!("day=1/bucket-0/{name}");
    for name in ["a", "b", "b.index", "c", "changelog-b"] {
        table.raw.write(&path(name), bytes::Bytes::from_static(b"x")).await.unwrap();
    }
    must(&mut committer, 1, append("a")).await;
    must(&mut committer, 2, compact(vec![file("a", 0, 1, 10)], file("c", 5, 1, 10))).await;
    let mut messages = append("b");
    messages[0].new_files[0].extra_files = vec!["b.index".into()];
    messages[0].changelog_files = vec![file("changelog-b", 0, 1, 1)];
    // A was replaced, yet snapshot 1 names it; c is live.
    messages.extend(append("a"));
    messages.extend(compact(vec![file("x", 0, 1, 2)], file("c", 5, 1, 10)));
    let deleted = committer.abort(&messages).await.unwrap();
    assert_eq!(deleted, [path("b"), path("b.index"), path("changelog-b")]);
    let there: Vec<String> = table.raw.list("day=1/bucket-0").await.unwrap().into_iter().map(|f| f.name).collect();
    assert_eq!(there, ["a", "c"]);
    let mut hostile = append("../../../x");
    assert!(committer.abort(&hostile).await.is_err());
    hostile[0].new_files[0].file_name = "ok".into();
    hostile[0].bucket = -9;
    assert!(committer.abort(&hostile).await.is_err());
}

#[tokio::test]
async fn hostile_messages_are_refused_before_a_byte_is_written() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    for name in ["", "..", "a/b", "a\nb"] {
        assert!(matches!(committer.commit(1, append(name), plain()).await, Err(Error::Invalid(_))), "{name:?}");
    }
    assert!(table.raw.list("manifest").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_steady_commit_costs_few_requests_and_never_lists() {
    let table = Table::new().await;
    let mut counting = None;
    let store = table.raw.wrapped(|inner| {
        let wrapped = CountingStore::new(inner);
        counting = Some(wrapped.clone());
        Arc::new(wrapped)
    });
    let counting = counting.unwrap();
    let options = crate::schema::TableOptions::parse(&table.schema).unwrap();
    let mut committer = crate::commit::Committer::new(History::new(store), &table.schema, &options, "sink").unwrap();
    must(&mut committer, 1, append("a")).await;
    for identifier in 2..100 {
        counting.reset();
        must(&mut committer, identifier, append(&format!("b-{identifier}"))).await;
        let counts = counting.counts();
        // Reads: the base before and after, our own snapshot, whether there is a next snapshot and a next schema.
        assert_eq!(counts.at(Op::Get, PathClass::Snapshot), 3, "{counts}");
        assert_eq!(counts.at(Op::Head, PathClass::Snapshot), 1, "{counts}");
        assert_eq!(counts.at(Op::Get, PathClass::Schema), 1, "{counts}");
        assert_eq!(counts.at(Op::Put, PathClass::ManifestList), 2, "{counts}");
        assert!(counts.at(Op::Put, PathClass::Manifest) <= 2, "{counts}");
        assert_eq!(counts.at(Op::Create, PathClass::Snapshot), 1, "{counts}");
        assert_eq!(counts.at(Op::Put, PathClass::Hint), 1, "{counts}");
        assert!(counts.total() <= 11 && counts.of(Op::List) == 0, "{counts}");
    }
}

#[tokio::test]
async fn the_files_of_a_commits_second_snapshot_are_written_while_its_first_is_created() {
    let table = Table::new().await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, append("a")).await;
    let before = table.faulty.trace().len();
    let mut both = append("b");
    both.extend(compact(vec![file("a", 0, 1, 10)], file("c", 5, 1, 10)));
    assert_eq!(must(&mut committer, 2, both).await, 3);
    let trace = table.faulty.trace().split_off(before);
    let read_back = trace.iter().rposition(|(op, path, _)| *op == Op::Get && path.ends_with("snapshot-2")).unwrap();
    let written: Vec<usize> = (0..trace.len()).filter(|at| trace[*at].1.contains("/manifest/")).collect();
    assert!(written.len() >= 6, "{trace:?}");
    let created = trace.iter().position(|(op, path, _)| *op == Op::Create && path.ends_with("snapshot-2")).unwrap();
    assert!(created < read_back && written.iter().all(|at| *at < read_back), "{trace:?}");
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

/// Counts the lists that a commit writes: one that has to begin again writes its base list twice.
#[tokio::test]
async fn where_others_commit_the_base_is_looked_at_before_files_are_written_for_it() {
    let table = Table::new().await;
    let (mut ours, mut other) = (table.committer("ours"), table.calm_committer("other"));
    must(&mut ours, 0, append("o-0")).await;
    for identifier in 1..40 {
        must(&mut other, identifier, append(&format!("other-{identifier}"))).await;
        let before = table.faulty.trace().len();
        must(&mut ours, identifier, append(&format!("ours-{identifier}"))).await;
        let trace = table.faulty.trace().split_off(before);
        let lists = trace.iter().filter(|(op, path, _)| *op == Op::Put && path.contains("manifest-list-")).count();
        assert_eq!(lists, if identifier == 1 { 3 } else { 2 }, "commit {identifier}");
    }
    table.assert_sound().await;
    table.assert_no_orphans().await;
}

/// Lets another commit each time before a fresh committer creates its snapshot, so that it loses every race.
async fn lose_races(option: (&str, &str)) -> Error {
    let table = Arc::new(Table::with_options(&[option]).await);
    let mut other = table.calm_committer("other");
    must(&mut other, 0, append("other-0")).await;
    must(&mut table.committer("probe"), BATCH_COMMIT, append("p")).await;
    let create = table.faulty.trace().iter().position(|(op, _, _)| *op == Op::Create).unwrap() as u64;
    let gate = Gate::default();
    table.faulty.replan(FaultPlan::none().at(create, Fault::Pause(gate.clone())));
    let mut loser = table.committer("loser");
    let losing = tokio::spawn(async move { loser.commit(BATCH_COMMIT, append("a"), plain()).await });
    gate.reached().await;
    must(&mut other, 1, append("other-1")).await;
    table.clock.pass(Duration::from_secs(5));
    gate.open();
    let error = losing.await.unwrap().unwrap_err();
    assert!(!table.live().await.contains("a"));
    table.assert_sound().await;
    table.assert_no_orphans().await;
    error
}

#[tokio::test]
async fn races_and_time_that_run_out_are_errors_that_leave_nothing() {
    for option in [("commit.max-retries", "0"), ("commit.timeout", "1 s")] {
        let error = lose_races(option).await;
        assert!(matches!(&error, Error::Exhausted(text) if text.contains(option.0)), "{error}");
    }
}

#[tokio::test]
async fn what_others_committed_between_two_commits_is_no_lost_race() {
    let table = Table::with_options(&[("commit.max-retries", "0")]).await;
    let (mut first, mut second) = (table.committer("first"), table.committer("second"));
    must(&mut first, 1, append("a")).await;
    must(&mut second, 1, append("b")).await;
    must(&mut first, 2, append("c")).await;
    must(&mut second, 2, append("d")).await;
    assert_eq!((first.stats().retries, second.stats().retries), (0, 0));
    table.assert_no_orphans().await;
}

#[tokio::test]
async fn a_full_merge_drops_what_was_deleted() {
    let table = Table::with_options(&[("manifest.full-compaction-threshold-size", "1 b")]).await;
    let mut committer = table.committer("sink");
    for identifier in 1..20 {
        must(&mut committer, identifier, append(&format!("a-{identifier}"))).await;
    }
    let before: Vec<_> = (1..20).map(|identifier| file(&format!("a-{identifier}"), 0, 1, 10)).collect();
    must(&mut committer, 20, compact(before, file("c", 5, 1, 10))).await;
    must(&mut committer, 21, append("d")).await;
    let latest = table.latest().await.unwrap();
    let history = table.history();
    let base = history.manifests.list(&latest.base_manifest_list).await.unwrap();
    assert_eq!(base.iter().map(|meta| (meta.num_added_files, meta.num_deleted_files)).collect::<Vec<_>>(), [(1, 0)]);
    let live = history.manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
    assert_eq!(live.len(), 2);
    table.assert_sound().await;
}

#[tokio::test]
async fn a_slow_committer_looks_again_before_it_creates() {
    let table = Table::with_options(&[("snapshot.time-retained", "1 min")]).await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, append("a")).await;
    table.clock.pass(Duration::from_secs(3600));
    must(&mut committer, 2, append("b")).await;
    let messages: Vec<CommitMessage> = append("c");
    must(&mut committer, 3, messages).await;
    table.assert_sound().await;
}
