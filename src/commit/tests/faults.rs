//! What a commit does when the store fails, the process dies, or it sleeps: at every single operation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::support::*;
use crate::commit::{BATCH_COMMIT, CommitOutcome, Committer};
use crate::error::Error;
use crate::format::{CommitKind, CommitMessage};
use crate::io::{Fault, FaultPlan, Gate, Op};

/// The canonical run: a sink's three committables, between commits of others.
fn steps() -> Vec<(i64, Vec<CommitMessage>)> {
    let mut second = append("b");
    second[0].compact_before = vec![file("a", 0, 1, 10), file("b", 0, 1, 10)];
    second[0].compact_after = vec![file("c", 5, 1, 10)];
    let mut third = append("d");
    third[0].changelog_files = vec![file("changelog-d", 0, 1, 10)];
    vec![(1, append("a")), (2, second), (3, third)]
}

async fn is_committed(table: &Table, identifier: i64) -> bool {
    let history = table.history();
    for id in history.snapshots.ids().await.unwrap() {
        let snapshot = history.snapshots.load(id).await.unwrap();
        let ours = snapshot.commit_user == "sink" && snapshot.commit_identifier == identifier;
        if ours && snapshot.commit_kind == CommitKind::Append {
            return true;
        }
    }
    false
}

/// Commits a step as a careful sink does: after an error again, after an unknown outcome by a new committer that asks
/// first. Answers the committer to go on with.
async fn drive(
    table: &Table,
    mut committer: Committer,
    step: &(i64, Vec<CommitMessage>),
    note: &mut Notes,
) -> Committer {
    for _ in 0..4 {
        match committer.commit(step.0, step.1.clone(), plain()).await {
            Ok(CommitOutcome::Committed { .. } | CommitOutcome::AlreadyCommitted { .. }) => {
                assert!(is_committed(table, step.0).await, "acknowledged and not there");
                return committer;
            }
            Ok(CommitOutcome::Unknown { .. }) => {
                note.unknown += 1;
                assert!(committer.abort(&step.1).await.is_err(), "files of an unknown outcome must stay");
                committer = table.committer("sink");
                match committer.filter_committed(&[step.0]).await {
                    Ok(open) if open.is_empty() => return committer,
                    _ => {}
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {
                note.errors += 1;
                assert!(!is_committed(table, step.0).await, "an error says that nothing became visible");
            }
        }
    }
    panic!("four tries did not commit {}", step.0);
}

#[derive(Default)]
struct Notes {
    unknown: u32,
    errors: u32,
}

async fn canonical_run(table: &Table, note: &mut Notes) {
    let mut committer = table.committer("sink");
    let mut other = table.calm_committer("other");
    for (round, step) in steps().iter().enumerate() {
        committer = drive(table, committer, step, note).await;
        must(&mut other, round as i64, append(&format!("other-{round}"))).await;
    }
}

async fn assert_all_committed(table: &Table) {
    table.assert_sound().await;
    for identifier in 1..=3 {
        assert!(is_committed(table, identifier).await, "{identifier} is lost");
    }
    let live = table.live().await;
    let others = ["other-0", "other-1", "other-2"];
    assert!(others.iter().all(|name| live.contains(*name)), "{live:?}");
    let ours: Vec<&str> = live.iter().map(String::as_str).filter(|name| !others.contains(name)).collect();
    assert!(ours == ["a", "b", "d"] || ours == ["c", "d"], "{ours:?}");
}

#[tokio::test]
async fn one_fault_anywhere_loses_nothing_and_doubles_nothing() {
    let calm = Table::new().await;
    canonical_run(&calm, &mut Notes::default()).await;
    let operations = calm.faulty.operations();
    assert!(operations > 30);
    assert_all_committed(&calm).await;
    calm.assert_no_orphans().await;
    let faults = [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::LostAnswer,
        Fault::WrongKind,
        Fault::TornBody,
        Fault::StaleList,
        Fault::Delay(Duration::from_secs(60)),
    ];
    let mut total = Notes::default();
    for fault in faults {
        for index in 0..operations {
            let table = Table::new().await;
            table.faulty.replan(FaultPlan::none().at(index, fault.clone()));
            let mut note = Notes::default();
            canonical_run(&table, &mut note).await;
            assert_all_committed(&table).await;
            let hit = table.faulty.trace()[usize::try_from(index).unwrap()].0;
            if note.unknown == 0 && hit != Op::Delete {
                table.assert_no_orphans().await;
            }
            total.unknown += note.unknown;
            total.errors += note.errors;
        }
    }
    // One fault is never enough for an unknown outcome: the slot can be read back.
    assert_eq!(total.unknown, 0);
    assert!(total.errors > 20, "{} errors", total.errors);
}

#[tokio::test]
async fn a_crash_anywhere_loses_nothing_and_doubles_nothing() {
    let calm = Table::new().await;
    canonical_run(&calm, &mut Notes::default()).await;
    for index in 0..calm.faulty.operations() {
        for after_effect in [false, true] {
            let table = Table::new().await;
            table.faulty.replan(FaultPlan::none().crash(index, after_effect));
            let mut other = table.calm_committer("other");
            let mut committer = table.committer("sink");
            let mut rest = steps().into_iter().enumerate().peekable();
            while let Some((round, step)) = rest.peek() {
                match committer.commit(step.0, step.1.clone(), plain()).await {
                    Ok(CommitOutcome::Committed { .. }) => assert!(is_committed(&table, step.0).await),
                    Ok(CommitOutcome::Unknown { .. }) => break,
                    Ok(other) => panic!("{other:?}"),
                    Err(_) => {
                        assert!(!is_committed(&table, step.0).await, "an error says that nothing became visible");
                        break;
                    }
                }
                must(&mut other, *round as i64, append(&format!("other-{round}"))).await;
                rest.next();
            }
            table.faulty.revive();
            let mut restarted = table.committer("sink");
            let open = restarted.filter_committed(&[1, 2, 3]).await.unwrap();
            for (round, step) in rest {
                if open.contains(&step.0) {
                    must_or_dropped(&mut restarted, &step).await;
                }
                must(&mut other, round as i64, append(&format!("other-{round}"))).await;
            }
            assert_all_committed(&table).await;
        }
    }
}

async fn must_or_dropped(committer: &mut Committer, step: &(i64, Vec<CommitMessage>)) {
    match committer.commit(step.0, step.1.clone(), plain()).await.unwrap() {
        CommitOutcome::Committed { .. } => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn many_faults_by_chance_lose_nothing_and_double_nothing() {
    let seeds: u64 = std::env::var("FOREBAY_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let first: u64 = std::env::var("FOREBAY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut unknown = 0;
    for seed in first..first + seeds {
        let table = Table::with_options(&[("commit.max-retries", "3")]).await;
        table.faulty.replan(
            FaultPlan::seeded(seed)
                .chance(0.06, Fault::FailBefore)
                .chance(0.06, Fault::FailAfter)
                .chance(0.1, Fault::LostAnswer)
                .chance(0.02, Fault::WrongKind)
                .chance(0.05, Fault::TornBody)
                .chance(0.02, Fault::Delay(Duration::from_secs(1))),
        );
        let mut other = table.calm_committer("other");
        let mut note = Notes::default();
        for (round, step) in steps().iter().enumerate() {
            let mut committer = table.committer("sink");
            let (mut done, mut doubt) = (false, false);
            for _ in 0..200 {
                match committer.commit(step.0, step.1.clone(), plain()).await {
                    Ok(CommitOutcome::Committed { .. } | CommitOutcome::AlreadyCommitted { .. }) => {
                        done = true;
                        break;
                    }
                    Ok(CommitOutcome::Unknown { .. }) => {
                        note.unknown += 1;
                        doubt = true;
                        committer = table.committer("sink");
                    }
                    Ok(other) => panic!("seed {seed}: {other:?}; FOREBAY_SEED={seed} FOREBAY_SEEDS=1"),
                    Err(_) => {
                        // What an earlier call left in doubt may be there.
                        let there = is_committed(&table, step.0).await && !doubt;
                        assert!(!there, "seed {seed}: an error and yet visible; FOREBAY_SEED={seed} FOREBAY_SEEDS=1");
                    }
                }
            }
            assert!(done, "seed {seed}: identifier {} was never committed", step.0);
            must(&mut other, round as i64, append(&format!("other-{round}"))).await;
        }
        table.faulty.revive();
        assert_all_committed(&table).await;
        unknown += note.unknown;
    }
    assert!(unknown > 0 || seeds < 60, "the chance of an unknown outcome was never met");
}

/// The live files, and the one that was compacted for the one it became.
async fn rows(table: &Table) -> BTreeSet<String> {
    let mut live = table.live().await;
    if live.remove("c") {
        live.insert("a".to_string());
    }
    live
}

/// Others commit and the oldest snapshots expire while a writer sleeps at one operation of its commit, which brings a
/// compaction or none.
async fn sleep_at(index: u64, retained: &str, asleep: Duration, compacts: bool) -> Option<CommitOutcome> {
    let table = Arc::new(Table::with_options(&[("snapshot.time-retained", retained)]).await);
    let mut other = table.calm_committer("other");
    let mut committer = table.committer("sink");
    must(&mut committer, 1, append("a")).await;
    must(&mut other, 0, append("other-0")).await;
    let gate = Gate::default();
    table.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
    let mut messages = append("b");
    if compacts {
        messages[0].compact_before = vec![file("a", 0, 1, 10)];
        messages[0].compact_after = vec![file("c", 5, 1, 10)];
    }
    let sleeper = tokio::spawn(async move { (committer.commit(2, messages, plain()).await, committer) });
    tokio::select! {
        () = gate.reached() => {}
        () = async { while !sleeper.is_finished() { tokio::task::yield_now().await } } => {
            // The commit has fewer operations than that.
            sleeper.await.unwrap().0.unwrap();
            return None;
        }
    }
    let mut visible = rows(&table).await;
    for round in 1..=8 {
        must(&mut other, round, append(&format!("other-{round}"))).await;
        let live = rows(&table).await;
        assert!(live.is_superset(&visible), "operation {index}: rows vanished");
        visible = live;
    }
    let newest = table.latest().await.unwrap().id;
    table.expire_below(newest - 1).await;
    table.clock.pass(asleep);
    assert!(rows(&table).await.is_superset(&visible), "operation {index}: rows vanished");
    gate.open();
    let (outcome, mut committer) = sleeper.await.unwrap();
    let outcome = outcome.unwrap();
    let live = rows(&table).await;
    assert!(live.is_superset(&visible), "operation {index}: {outcome:?} took rows away");
    table.assert_sound().await;
    match &outcome {
        CommitOutcome::Committed { .. } => {
            // Either its file is live, or it was committed before it slept and others built on it.
            assert!(live.contains("b"), "operation {index}: acknowledged and lost");
        }
        CommitOutcome::Conflicted { reason } => {
            assert!(!live.contains("b"), "operation {index}: refused and live");
            assert!(reason.contains("slept"), "{reason}");
            // A refused commit is simply made again.
            must(&mut committer, 2, append("b")).await;
            assert!(rows(&table).await.contains("b"));
        }
        CommitOutcome::Unknown { .. } => {}
        other => panic!("operation {index}: {other:?}"),
    }
    if asleep == Duration::ZERO {
        return Some(outcome);
    }
    // Readers that trust the hint, as Java's do, see the newest rows too. (Only a clock tells that one slept.)
    let hint = table.raw.read("snapshot/LATEST").await.unwrap();
    let hinted: i64 = std::str::from_utf8(&hint).unwrap().parse().unwrap();
    assert_eq!(Some(hinted), table.latest().await.map(|latest| latest.id), "operation {index}: {outcome:?}");
    Some(outcome)
}

#[tokio::test]
async fn a_writer_that_sleeps_anywhere_takes_no_rows_away() {
    let pauses = [("1 h", 0), ("1 h", 7200), ("1 s", 0)];
    for ((retained, asleep), compacts) in pauses.into_iter().flat_map(|pause| [(pause, false), (pause, true)]) {
        let mut outcomes = BTreeSet::new();
        let mut index = 0;
        while let Some(outcome) = sleep_at(index, retained, Duration::from_secs(asleep), compacts).await {
            outcomes.insert(format!("{outcome:?}").split(' ').next().unwrap().to_string());
            index += 1;
        }
        assert!(index > 10, "{index} operations");
        // It slept between its last look and its create at least once, and after its create.
        assert!(outcomes.contains("Conflicted") && outcomes.contains("Committed"), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_snapshot_that_a_careless_neighbour_replaced_is_not_acknowledged() {
    let table = Arc::new(Table::new().await);
    let mut committer = table.committer("sink");
    must(&mut committer, 1, append("a")).await;
    must(&mut committer, 2, append("b")).await;
    // A fresh committer's operation after its create: the same for the probe and the one that follows.
    table.faulty.revive();
    let before = table.faulty.trace().len();
    must(&mut table.committer("probe"), BATCH_COMMIT, append("p")).await;
    let create = table.faulty.trace()[before..].iter().position(|(op, _, _)| *op == Op::Create).unwrap();
    let gate = Gate::default();
    table.faulty.replan(FaultPlan::none().at(create as u64 + 1, Fault::Pause(gate.clone())));
    let mut fresh = table.committer("fresh");
    let sleeper = tokio::spawn(async move { fresh.commit(BATCH_COMMIT, append("c"), plain()).await });
    gate.reached().await;
    let theirs = table.history().snapshots.load(3).await.unwrap();
    let replaced = crate::format::Snapshot { id: 4, uuid: Some("theirs".into()), commit_user: "java".into(), ..theirs };
    table.raw.write("snapshot/snapshot-4", replaced.encode().unwrap()).await.unwrap();
    gate.open();
    match sleeper.await.unwrap().unwrap() {
        CommitOutcome::Conflicted { reason } => assert!(reason.contains("java"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_store_that_keeps_failing_gives_an_unknown_outcome_and_keeps_the_files() {
    let table = Table::with_options(&[("commit.max-retries", "2")]).await;
    let mut committer = table.committer("sink");
    must(&mut committer, 1, append("a")).await;
    table.faulty.revive();
    must(&mut committer, 2, append("b")).await;
    let trace = table.faulty.trace();
    let create = trace.iter().rposition(|(op, _, _)| *op == Op::Create).unwrap() as u64;
    let start = trace.len() as u64 - table.faulty.operations();
    table.faulty.replan(FaultPlan::none().crash(create - start, true));
    match committer.commit(3, append("c"), plain()).await.unwrap() {
        CommitOutcome::Unknown { .. } => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(committer.abort(&append("c")).await, Err(Error::Invalid(_))));
    table.faulty.revive();
    assert!(table.live().await.contains("c"));
    let outcome = committer.commit(3, append("c"), plain()).await.unwrap();
    assert_eq!(outcome, CommitOutcome::AlreadyCommitted { snapshot_id: 3 });
    table.assert_sound().await;
}
