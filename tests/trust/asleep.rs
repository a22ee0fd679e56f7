//! A compaction's commit that sleeps at one of its operations while others commit, compact and let snapshots expire:
//! when it goes on it takes no rows away and tells no change twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forebay::Table;
use forebay::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties};
use forebay::compact::CompactRequest;
use forebay::format::CommitKind;
use forebay::io::{Fault, FaultPlan, Gate, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};

use crate::compaction::{all_is_told, apply_strictly, seeing_all, vectors};
use crate::support::{Changes, Row, as_set, block_on, commit_changes, faulty_over, read_at, read_changes, seeded_env};

/// What compactions of a table do besides merging.
const TABLES: [&[(&str, &str)]; 4] = [
    &[],
    &[("changelog-producer", "lookup")],
    &[("changelog-producer", "full-compaction")],
    &[("deletion-vectors.enabled", "true"), ("changelog-producer", "lookup")],
];

/// What others do meanwhile.
#[derive(Debug, Clone, Copy)]
struct Meanwhile {
    /// They compact the same files.
    compact: bool,
    /// So long that the snapshot on which the commit rests expires.
    long: bool,
}

fn schema(options: &[(&str, &str)]) -> Schema {
    let builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("n", DataType::INT)
        .primary_key(["id"])
        .option("bucket", "1")
        .option("write-only", "true")
        .option("snapshot.time-retained", "1 h")
        .option("snapshot.num-retained.min", "1")
        .option("changelog.time-retained", "9 d")
        .option("changelog.num-retained.min", "1000");
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

/// A table and its rows by the snapshot that brought them.
struct World {
    table: Table,
    commits: i64,
    rows: BTreeMap<i64, Row>,
    expected: BTreeMap<i64, Vec<String>>,
}

impl World {
    async fn commit(&mut self) {
        self.commits += 1;
        let kind = |id: i64| if (id + self.commits) % 5 == 0 { RowKind::Delete } else { RowKind::UpdateAfter };
        let row = |id: i64| vec![Datum::BigInt(id), Datum::Int(self.commits as i32)];
        let some: Changes = (self.commits..self.commits + 10).map(|id| (kind(id), row(id))).collect();
        for ((kind, row), id) in some.iter().zip(self.commits..) {
            match kind.is_retract() {
                true => drop(self.rows.remove(&id)),
                false => drop(self.rows.insert(id, row.clone())),
            }
        }
        let snapshot = commit_changes(&self.table, "other", self.commits, &some).await;
        self.expected.insert(snapshot, as_set(self.rows.values()));
    }

    /// Every snapshot shows the rows of the newest commit it has, and the changelog replays to them.
    async fn check(&self, what: &str) -> usize {
        let table = seeing_all(Table::open_store(self.table.store().clone()).await.unwrap());
        let ids = table.history().snapshots.ids().await.unwrap();
        assert_eq!(ids, (ids[0]..=*ids.last().unwrap()).collect::<Vec<_>>(), "{what}: a gap");
        let made = table.schema().option("changelog-producer").is_some();
        let (mut changes, mut told, mut complete) =
            (read_changes(&table).await.unwrap().into_iter().peekable(), BTreeMap::new(), 0);
        for id in ids {
            let found = as_set(read_at(&table, At::Snapshot(id)).await.unwrap());
            let (_, wanted) = self.expected.range(..=id).next_back().unwrap();
            assert_eq!(&found, wanted, "{what}: snapshot {id}");
            while let Some((_, kind, row)) = changes.next_if(|(of, ..)| made && *of <= id) {
                apply_strictly(&[0], &mut told, kind, row);
            }
            if made && all_is_told(&table, id).await {
                complete += 1;
                assert_eq!(&as_set(told.values()), wanted, "{what}: the changelog up to snapshot {id}");
            }
        }
        vectors(&table).await;
        complete
    }
}

/// The outcome of a commit that slept at its operation of this number, if it has so many.
async fn sleep_at(index: u64, options: &[(&str, &str)], meanwhile: Meanwhile) -> Option<CommitOutcome> {
    let what = format!("{options:?}, {meanwhile:?}, asleep at operation {index}");
    let env = seeded_env(11);
    let raw = TableStore::memory(&env);
    let (store, faulty) = faulty_over(&raw, &env, FaultPlan::none());
    let table = seeing_all(Table::create_store(raw.clone(), schema(options)).await.unwrap());
    let mut world = World { table, commits: 0, rows: BTreeMap::new(), expected: BTreeMap::new() };
    world.commit().await;
    world.table.compact().full().run().await.unwrap();
    for _ in 0..3 {
        world.commit().await;
    }
    let base = world.table.history().snapshots.latest_id().await.unwrap().unwrap();
    let slow = Table::open_store(store).await.unwrap();
    let compactor = slow.compact().full().compactor().unwrap();
    let request = CompactRequest { full: true, ..CompactRequest::default() };
    let message = compactor.run(&compactor.plan(&request).await.unwrap()[0]).await.unwrap();
    assert!(message.new_files.is_empty() && !message.compact_after.is_empty(), "{message:?}");

    let mut committer = slow.committer("sleeper").unwrap();
    let gate = Gate::default();
    faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
    let messages = vec![message.clone()];
    let sleeper = tokio::spawn(async move {
        let outcome = committer.commit(BATCH_COMMIT, messages, CommitProperties::default()).await;
        (outcome, committer)
    });
    tokio::select! {
        () = gate.reached() => {}
        () = async { while !sleeper.is_finished() { tokio::task::yield_now().await } } => {
            let (outcome, _) = sleeper.await.unwrap();
            assert!(matches!(outcome, Ok(CommitOutcome::Committed { .. })), "{what}: {outcome:?}");
            return None;
        }
    }
    for round in 0..3 {
        world.commit().await;
        if meanwhile.compact && round == 1 {
            world.table.compact().full().run().await.unwrap();
        }
        if meanwhile.long {
            env.sleep(Duration::from_secs(3600)).await;
        }
    }
    let expired = world.table.maintain().expire_snapshots().unwrap().run().await.unwrap().snapshots;
    assert_eq!(expired.contains(&base), meanwhile.long, "{what}: expired {expired:?} of base {base}");
    gate.open();
    let (outcome, mut committer) = sleeper.await.unwrap();
    let outcome = outcome.unwrap_or_else(|error| panic!("{what}: {error}"));
    world.check(&format!("{what}: {outcome:?}")).await;
    match &outcome {
        CommitOutcome::Committed { compact: Some(snapshot), .. } => {
            // It may have been taken by the expiry, when it slept behind its create.
            if let Ok(snapshot) = world.table.history().snapshots.load(*snapshot).await {
                assert_eq!(
                    (snapshot.commit_kind, snapshot.commit_user.as_str()),
                    (CommitKind::Compact, "sleeper"),
                    "{what}"
                );
            }
        }
        CommitOutcome::Conflicted { .. } => drop(committer.abort(&[message]).await.unwrap()),
        other => panic!("{what}: {other:?}"),
    }
    world.commit().await;
    world.table.compact().full().run().await.unwrap();
    let complete = world.check(&format!("{what}: {outcome:?}, and compacted again")).await;
    assert!(complete > 0 || world.table.schema().option("changelog-producer").is_none(), "{what}: never all was told");
    Some(outcome)
}

#[test]
fn a_compaction_whose_commit_sleeps_anywhere_takes_no_rows_away_and_tells_nothing_twice() {
    let (long, compacts) = (Meanwhile { compact: false, long: true }, Meanwhile { compact: true, long: false });
    let cases = [
        (TABLES[0], long),
        (TABLES[1], long),
        (TABLES[1], compacts),
        (TABLES[2], compacts),
        (TABLES[3], long),
        (TABLES[3], compacts),
    ];
    for (options, meanwhile) in cases {
        let (mut outcomes, mut index) = (BTreeSet::new(), 0);
        while let Some(outcome) = block_on(sleep_at(index, options, meanwhile)) {
            outcomes.insert(format!("{outcome:?}").split(' ').next().unwrap().to_string());
            index += 1;
        }
        println!("{options:?}, {meanwhile:?}: {outcomes:?} over {index} operations");
        assert!(index > 8, "{index} operations");
        // It slept before the others' commits and behind its create.
        assert!(outcomes.contains("Committed"), "{options:?}, {meanwhile:?}: {outcomes:?}");
        assert!(outcomes.contains("Conflicted"), "{options:?}, {meanwhile:?}: {outcomes:?}");
    }
}
