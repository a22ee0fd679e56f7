//! Snapshots that others prepared: published once, in their order, and found again when the answer was lost.

use super::support::*;
use crate::commit::CommitOutcome;
use crate::error::Error;
use crate::format::Snapshot;
use crate::io::{Fault, FaultPlan};

/// What a client would send after the newest snapshot: its manifests are those of the newest one.
async fn prepared(table: &Table, uuid: Option<&str>, user: &str) -> (Option<String>, Snapshot) {
    let newest = table.latest().await.unwrap();
    let snapshot = Snapshot {
        id: newest.id + 1,
        uuid: uuid.map(str::to_string),
        commit_user: user.to_string(),
        commit_identifier: newest.id,
        delta_record_count: Some(0),
        delta_manifest_list: newest.base_manifest_list.clone(),
        ..newest.clone()
    };
    (newest.uuid, snapshot)
}

async fn publish(table: &Table, base: Option<&str>, snapshot: &Snapshot) -> Result<CommitOutcome, Error> {
    table.committer(&snapshot.commit_user).publish_prepared(base, snapshot).await
}

fn is_committed(outcome: &CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Committed { .. })
}

#[tokio::test]
async fn a_prepared_snapshot_is_published_once_and_found_again() {
    let table = Table::new().await;
    must(&mut table.calm_committer("ours"), 1, append("a")).await;
    for uuid in [Some("u-1"), None] {
        let (base, snapshot) = prepared(&table, uuid, "theirs").await;
        let outcome = publish(&table, base.as_deref(), &snapshot).await.unwrap();
        assert!(is_committed(&outcome), "{outcome:?}");
        assert_eq!(table.latest().await.as_ref(), Some(&snapshot));
        let again = publish(&table, base.as_deref(), &snapshot).await.unwrap();
        assert_eq!(again, CommitOutcome::AlreadyCommitted { snapshot_id: snapshot.id });
        let other = Snapshot { commit_identifier: 77, ..snapshot.clone() };
        assert!(matches!(publish(&table, base.as_deref(), &other).await.unwrap(), CommitOutcome::Conflicted { .. }));
    }
    // Our own committer goes on behind it.
    assert_eq!(must(&mut table.calm_committer("ours"), 2, append("b")).await, 4);
}

#[tokio::test]
async fn a_snapshot_that_does_not_follow_the_newest_one_is_not_published() {
    let table = Table::new().await;
    must(&mut table.calm_committer("ours"), 1, append("a")).await;
    let (base, snapshot) = prepared(&table, Some("u"), "theirs").await;
    let conflicted = |outcome: CommitOutcome| matches!(outcome, CommitOutcome::Conflicted { .. });
    let later = Snapshot { id: 4, ..snapshot.clone() };
    assert!(conflicted(publish(&table, base.as_deref(), &later).await.unwrap()));
    for wrong in [None, Some("another")] {
        assert!(conflicted(publish(&table, wrong, &snapshot).await.unwrap()), "{wrong:?}");
    }
    must(&mut table.calm_committer("ours"), 2, append("b")).await;
    assert!(conflicted(publish(&table, base.as_deref(), &snapshot).await.unwrap()));
    // Of the first snapshot there is no base.
    let empty = Table::new().await;
    let first = Snapshot { id: 1, ..snapshot };
    assert!(matches!(publish(&empty, Some("u"), &first).await.unwrap(), CommitOutcome::Conflicted { .. }));
}

#[tokio::test]
async fn what_a_prepared_snapshot_names_must_be_there() {
    let table = Table::new().await;
    must(&mut table.calm_committer("ours"), 1, append("a")).await;
    let (base, snapshot) = prepared(&table, Some("u"), "theirs").await;
    let elsewhere = Snapshot { delta_manifest_list: "manifest-list-elsewhere".into(), ..snapshot.clone() };
    let no_schema = Snapshot { schema_id: 3, ..snapshot };
    for (broken, named) in [(elsewhere, "manifest-list-elsewhere"), (no_schema, "schema 3")] {
        match publish(&table, base.as_deref(), &broken).await {
            Err(Error::Invalid(words)) => assert!(words.contains(named), "{words}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(table.latest().await.unwrap().id, 1);
}

#[tokio::test]
async fn whatever_fails_a_snapshot_is_there_once_and_the_next_try_says_so() {
    let mut operation = 0;
    loop {
        for fault in [Fault::FailBefore, Fault::FailAfter] {
            let table = Table::new().await;
            must(&mut table.calm_committer("ours"), 1, append("a")).await;
            let (base, snapshot) = prepared(&table, Some("u"), "theirs").await;
            table.faulty.replan(FaultPlan::none().at(operation, fault));
            let outcome = publish(&table, base.as_deref(), &snapshot).await;
            let there = table.latest().await.as_ref() == Some(&snapshot);
            match &outcome {
                Ok(outcome) if is_committed(outcome) => assert!(there, "{operation}: told and not there"),
                Ok(CommitOutcome::AlreadyCommitted { .. }) => assert!(there),
                Ok(CommitOutcome::Unknown { .. }) => {}
                Ok(other) => panic!("{operation}: {other:?}"),
                Err(_) => assert!(!there, "{operation}: an error, and it is there"),
            }
            if table.faulty.operations() <= operation {
                return;
            }
            table.faulty.revive();
            let outcome = publish(&table, base.as_deref(), &snapshot).await.unwrap();
            let settled = is_committed(&outcome) || matches!(outcome, CommitOutcome::AlreadyCommitted { .. });
            assert!(settled, "{operation}: {outcome:?}");
        }
        operation += 1;
    }
}
