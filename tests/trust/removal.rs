//! Overwrites, deletions, updates and dropped partitions on a store that fails: readers see the old rows or the new ones,
//! never neither and never both, and each statement is done once, however often its job starts again.

use forebay::commit::CommitOutcome;
use forebay::io::{Fault, FaultPlan, FaultyStore, Gate, Op, TableStore};
use forebay::predicate::{col, parse, parse_assignment};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{
    Changes, Random, Row, as_set, batch, block_on, commit_changes, each_seed, faulty_over, read_at, seeded_env,
};

/// A table of one kind, straight and behind a store that fails.
struct World {
    raw: TableStore,
    faulty: FaultyStore,
    store: TableStore,
}

const KINDS: [&[(&str, &str)]; 4] = [
    &[("key", ""), ("bucket", "1")],
    &[("key", ""), ("bucket", "-1")],
    &[("bucket", "-1")],
    &[("bucket", "-1"), ("deletion-vectors.enabled", "true")],
];

fn schema(options: &[(&str, &str)]) -> Schema {
    let mut builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("day", DataType::INT.not_null())
        .column("v", DataType::STRING)
        .partition_by(["day"])
        .option("write-only", "true")
        .option("commit.max-retries", "5");
    for (key, value) in options {
        builder = match *key {
            "key" => builder.primary_key(["id", "day"]),
            key => builder.option(key, *value),
        };
    }
    builder.build().unwrap()
}

fn row(id: i64, day: i32, v: &str) -> Row {
    vec![Datum::BigInt(id), Datum::Int(day), Datum::String(v.into())]
}

fn some(ids: std::ops::Range<i64>, days: &[i32], v: &str) -> Vec<Row> {
    days.iter().flat_map(|day| ids.clone().map(|id| row(id, *day, v))).collect()
}

fn inserts(rows: Vec<Row>) -> Changes {
    rows.into_iter().map(|row| (RowKind::Insert, row)).collect()
}

impl World {
    async fn new(seed: u64, options: &[(&str, &str)]) -> Self {
        let env = seeded_env(seed);
        let raw = TableStore::memory(&env);
        let (store, faulty) = faulty_over(&raw, &env, FaultPlan::none());
        let table = Table::create_store(raw.clone(), schema(options)).await.unwrap();
        commit_changes(&table, "first", 1, &inserts(some(0..9, &[1, 2, 3], "old"))).await;
        Self { raw, faulty, store }
    }

    async fn calm(&self) -> Table {
        Table::open_store(self.raw.clone()).await.unwrap()
    }

    /// The snapshots of the job's statements, in order.
    async fn done(&self) -> Vec<String> {
        let history = self.calm().await;
        let history = history.history();
        let mut users = Vec::new();
        for id in history.snapshots.ids().await.unwrap() {
            users.push(history.snapshots.load(id).await.unwrap().commit_user);
        }
        users.retain(|user| user.starts_with("step"));
        users
    }
}

const STEPS: usize = 5;

/// The rows after so many statements.
fn rows_after(steps: usize) -> Vec<Row> {
    let mut rows = some(0..9, &[1, 2, 3], "old");
    let day = |row: &Row| row[1].clone();
    for step in 0..steps {
        match step {
            0 => {
                rows.retain(|row| day(row) != Datum::Int(1));
                rows.extend(some(5..20, &[1], "new"));
            }
            1 => rows.retain(|row| !matches!(row[0], Datum::BigInt(id) if id < 6)),
            2 => rows.iter_mut().filter(|row| matches!(row[0], Datum::BigInt(id) if id > 7)).for_each(|row| {
                row[2] = Datum::String("set".into());
            }),
            3 => rows.retain(|row| day(row) != Datum::Int(2)),
            _ => rows = some(0..4, &[3], "last"),
        }
    }
    rows
}

async fn overwrite(table: &Table, user: &str, replaced: Option<i32>, rows: Vec<Row>) -> Result<(), Error> {
    let dynamic = [("dynamic-partition-overwrite", "false")];
    let mut overwrite = table.clone().with_options(dynamic)?.overwrite().commit_user(user);
    if let Some(day) = replaced {
        overwrite = overwrite.partitions(col("day").eq(day));
    }
    let mut writer = overwrite.writer().await?;
    if writer.committed().await?.is_some() {
        return Ok(());
    }
    writer.write(&batch(table.schema(), &inserts(rows))).await?;
    match writer.commit().await? {
        CommitOutcome::Unknown { reason } => Err(Error::storage(reason)),
        outcome => outcome.snapshot_id().map(drop),
    }
}

/// One life of the job. `acknowledged` counts the statements that it was told to be done.
async fn life(world: &World, acknowledged: &mut usize) -> Result<(), Error> {
    let table = Table::open_store(world.store.clone()).await?;
    for step in 0..STEPS {
        let user = format!("step {step}");
        match step {
            0 => overwrite(&table, &user, Some(1), some(5..20, &[1], "new")).await?,
            1 => drop(table.delete(parse("id < 6", table.schema())?).commit_user(user).run().await?),
            2 => {
                let set = [parse_assignment("v = 'set'", table.schema())?];
                table.update(set, parse("id > 7", table.schema())?).commit_user(user).run().await?;
            }
            3 => drop(table.delete(parse("day = 2", table.schema())?).commit_user(user).run().await?),
            _ => overwrite(&table, &user, None, some(0..4, &[3], "last")).await?,
        }
        *acknowledged = (*acknowledged).max(step + 1);
    }
    Ok(())
}

/// What is there is what so many statements make, each done once. Answers how many.
async fn check(world: &World, acknowledged: usize, what: &str) -> usize {
    let done = world.done().await;
    let wanted: Vec<String> = (0..done.len()).map(|step| format!("step {step}")).collect();
    assert_eq!(done, wanted, "{what}");
    assert!((acknowledged..=acknowledged + 1).contains(&done.len()), "{what}: {done:?}, {acknowledged} acknowledged");
    let table = world.calm().await;
    let rows = as_set(read_at(&table, At::Latest).await.unwrap());
    assert_eq!(rows, as_set(rows_after(done.len())), "{what}: after {done:?}");
    done.len()
}

#[test]
fn a_crash_at_any_operation_leaves_the_old_rows_or_the_new_ones() {
    for options in [KINDS[0], KINDS[2], KINDS[3]] {
        let operations: Vec<Op> = block_on(async {
            let world = World::new(1, options).await;
            life(&world, &mut 0).await.unwrap();
            assert_eq!(check(&world, STEPS, "calm").await, STEPS);
            world.faulty.trace().into_iter().map(|(op, ..)| op).collect()
        });
        assert!(operations.len() > 100, "{}", operations.len());
        let mut in_doubt = 0;
        // A read that fails is much like another one: every fifth of them, and all that write.
        let some = |(at, op): &(usize, &Op)| op.mutates() || at % 5 == 0;
        let befores = operations.iter().enumerate().filter(some).map(|(at, _)| (at, false));
        let afters = operations.iter().map(|op| op.mutates()).enumerate().filter(|(_, after)| *after);
        for (index, after_effect) in befores.chain(afters).map(|(index, after)| (index as u64, after)) {
            block_on(async {
                let what = format!("{options:?}, crash at {index}, after its effect: {after_effect}");
                let world = World::new(1, options).await;
                world.faulty.replan(FaultPlan::none().crash(index, after_effect));
                let mut acknowledged = 0;
                let first = life(&world, &mut acknowledged).await;
                world.faulty.revive();
                assert!(first.is_err() || acknowledged == STEPS, "{what}");
                in_doubt += check(&world, acknowledged, &what).await - acknowledged;
                life(&world, &mut acknowledged).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(check(&world, STEPS, &what).await, STEPS);
            });
        }
        assert!(in_doubt >= STEPS, "{in_doubt} statements in doubt");
    }
}

async fn troubled(seed: u64, options: &[(&str, &str)]) {
    let mut random = Random(seed);
    let world = World::new(seed, options).await;
    let mut acknowledged = 0;
    for lives in 0.. {
        assert!(lives < 500, "after {lives} lives {acknowledged} statements are acknowledged");
        let mut plan = FaultPlan::seeded(random.next())
            .chance(0.02, Fault::FailBefore)
            .chance(0.02, Fault::FailAfter)
            .chance(0.1, Fault::LostAnswer)
            .chance(0.01, Fault::WrongKind)
            .chance(0.02, Fault::TornBody);
        if random.chance(30) {
            plan = plan.crash(random.below(120), random.chance(50));
        }
        world.faulty.replan(plan);
        let outcome = life(&world, &mut acknowledged).await;
        let there = check(&world, acknowledged, &format!("{options:?}, life {lives}")).await;
        if outcome.is_ok() {
            break;
        }
        acknowledged = there;
    }
    assert_eq!(check(&world, STEPS, "the end").await, STEPS);
}

#[test]
fn faults_by_chance_do_each_statement_once() {
    each_seed("faults_by_chance_do_each_statement_once", 12, |seed| {
        block_on(troubled(seed, KINDS[seed as usize % KINDS.len()]));
    });
}

/// Rows come while an overwrite stands at any of its operations: they go with the others when their snapshot is below
/// that of the overwrite, and stay when it is above.
#[test]
fn rows_that_come_during_an_overwrite_go_or_stay_with_their_snapshot() {
    for options in KINDS {
        let (mut went, mut stayed, mut operation) = (0, 0, 0);
        loop {
            let more = block_on(async {
                let world = World::new(1, options).await;
                let gate = Gate::default();
                let table = Table::open_store(world.store.clone()).await.unwrap();
                world.faulty.replan(FaultPlan::none().at(operation, Fault::Pause(gate.clone())));
                let calm = world.calm().await;
                let overwriting = overwrite(&table, "step 0", Some(1), some(5..20, &[1], "new"));
                tokio::pin!(overwriting);
                tokio::select! {
                    result = &mut overwriting => { result.unwrap(); return false; }
                    () = gate.reached() => {}
                }
                let between = commit_changes(&calm, "between", 1, &inserts(some(30..33, &[1, 2], "between"))).await;
                gate.open();
                overwriting.await.unwrap();
                let history = calm.history();
                let mut own = 0;
                for id in history.snapshots.ids().await.unwrap() {
                    if history.snapshots.load(id).await.unwrap().commit_user == "step 0" {
                        own = id;
                    }
                }
                let days: &[i32] = if between < own { &[2] } else { &[1, 2] };
                *(if between < own { &mut went } else { &mut stayed }) += 1;
                let wanted = [rows_after(1), some(30..33, days, "between")].concat();
                let found = as_set(read_at(&calm, At::Latest).await.unwrap());
                assert_eq!(found, as_set(wanted), "{options:?}, at operation {operation}");
                true
            });
            if !more {
                break;
            }
            operation += 1;
        }
        assert!(went > 10 && stayed > 1, "{options:?}: {went} went, {stayed} stayed");
    }
}

/// Files are replaced while a statement stands at any of its operations: every row that matched is gone, no other is.
#[test]
fn a_statement_and_a_compaction_that_meet_lose_no_row_and_keep_none() {
    for options in [KINDS[2], KINDS[3]] {
        let mut operation = 0;
        loop {
            let more = block_on(async {
                let world = World::new(1, options).await;
                let calm = world.calm().await;
                for identifier in 2..8 {
                    commit_changes(&calm, "first", identifier, &inserts(some(0..9, &[1], "old"))).await;
                }
                let gate = Gate::default();
                let table = Table::open_store(world.store.clone()).await.unwrap();
                world.faulty.replan(FaultPlan::none().at(operation, Fault::Pause(gate.clone())));
                let deleting = table.delete(parse("id < 6", table.schema()).unwrap()).run();
                tokio::pin!(deleting);
                tokio::select! {
                    result = &mut deleting => { result.unwrap(); return false; }
                    () = gate.reached() => {}
                }
                calm.compact().full().run().await.unwrap();
                gate.open();
                let done = deleting.await.unwrap();
                assert_eq!(done.rows, Some(18 + 6 * 6), "{options:?}, at operation {operation}");
                let found = as_set(read_at(&calm, At::Latest).await.unwrap());
                let mut wanted = some(6..9, &[1, 2, 3], "old");
                (0..6).for_each(|_| wanted.extend(some(6..9, &[1], "old")));
                assert_eq!(found, as_set(wanted), "{options:?}, at operation {operation}");
                true
            });
            if !more {
                break;
            }
            operation += 1;
        }
        assert!(operation > 20, "{operation} operations");
    }
}
