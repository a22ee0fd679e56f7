//! Compaction must not be seen: random operations with compactions at random moments against an oracle, crashes of a
//! compactor at every operation, two compactors, and a compactor beside a writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties};
use forebay::format::{CommitMessage, CompactTask, DataFileMeta};
use forebay::history::FileFilter;
use forebay::io::{Fault, FaultPlan, FaultyStore, Op, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::table::CompactReport;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{
    Changes, Random, Row, as_set, block_on, commit_changes, each_seed, faulty_over, files_of, read_at, seeded_env,
};

/// What a seed decides about a table.
pub fn schema(random: &mut Random) -> Schema {
    let mut builder = Schema::builder()
        .column("id", if random.chance(50) { DataType::BIGINT } else { DataType::STRING })
        .column("n", DataType::INT)
        .column("text", DataType::STRING)
        .column("day", DataType::DATE.not_null());
    let mut primary = vec!["id"];
    if random.chance(40) {
        builder = builder.partition_by(["day"]);
        primary.push("day");
    }
    for (key, value) in [
        ("bucket", *random.pick(&["1", "2"])),
        ("write-buffer-size", *random.pick(&["96 kb", "256 mb"])),
        ("num-sorted-run.compaction-trigger", *random.pick(&["1", "2", "3", "5"])),
        ("num-levels", *random.pick(&["2", "3", "6"])),
        ("target-file-row-num", *random.pick(&["7", "50", "1000000"])),
        // Files above 1 kb are large: they move without being rewritten.
        ("target-file-size", *random.pick(&["1500 b", "128 mb"])),
        ("compaction.force-rewrite-all-files", *random.pick(&["true", "false", "false"])),
        ("compaction.size-ratio", *random.pick(&["1", "200"])),
    ] {
        builder = builder.option(key, value);
    }
    if random.chance(40) {
        let form = *random.pick(&["true", "false"]);
        let options =
            [("deletion-vectors.enabled", "true"), ("deletion-vectors.bitmap64", form), ("write-only", "true")];
        builder = options.iter().fold(builder, |builder, (key, value)| builder.option(*key, *value));
    }
    builder.primary_key(primary).build().unwrap()
}

/// Beside deletion vectors level 0 is seen by whoever asks for it.
pub fn seeing_all(table: Table) -> Table {
    table.with_options([("deletion-vectors.merge-on-read", "true")]).unwrap()
}

pub fn changes(schema: &Schema, random: &mut Random, counter: &mut i32) -> Changes {
    let keys = *random.pick(&[20, 400]);
    let rows = 1 + random.below(80);
    (0..rows)
        .map(|_| {
            *counter += 1;
            let kind = *random.pick(&[RowKind::Insert, RowKind::UpdateAfter, RowKind::UpdateAfter, RowKind::Delete]);
            let of = random.below(keys) as i64;
            let id = match schema.fields[0].data_type == DataType::BIGINT.not_null() {
                true => Datum::BigInt(of - 10),
                false => Datum::String(format!("key {of}")),
            };
            let text = Datum::String(format!("{counter} {}", "x".repeat(random.below(30) as usize)));
            (kind, vec![id, Datum::Int(*counter), text, Datum::Date(random.below(2) as i32)])
        })
        .collect()
}

/// The newest row of every key.
pub struct Oracle {
    keys: Vec<usize>,
    rows: BTreeMap<String, Row>,
}

impl Oracle {
    pub fn new(schema: &Schema) -> Self {
        Self {
            keys: schema.primary_keys.iter().map(|name| schema.index_of(name).unwrap()).collect(),
            rows: BTreeMap::new(),
        }
    }

    pub fn apply(&mut self, changes: &Changes) {
        for (kind, row) in changes {
            let key = format!("{:?}", self.keys.iter().map(|at| &row[*at]).collect::<Vec<_>>());
            match kind.is_retract() {
                true => self.rows.remove(&key),
                false => self.rows.insert(key, row.clone()),
            };
        }
    }

    pub fn all(&self) -> Vec<String> {
        as_set(self.rows.values())
    }
}

pub async fn live_files(table: &Table) -> Vec<DataFileMeta> {
    let history = table.history();
    let snapshot = history.snapshots.latest().await.unwrap().unwrap();
    let entries = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
    entries.iter().map(|entry| (*entry.file).clone()).collect()
}

/// How many rows of each file are masked. Every vector must be of a live file.
pub async fn vectors(table: &Table) -> BTreeMap<String, i64> {
    let snapshot = table.history().snapshots.latest().await.unwrap().unwrap();
    let Some(name) = &snapshot.index_manifest else { return BTreeMap::new() };
    let live: Vec<String> = live_files(table).await.into_iter().map(|file| file.file_name).collect();
    let index = table.history().manifests.index(name).await.unwrap();
    let ranges = index.iter().flat_map(|entry| entry.deletion_vectors.iter().flatten());
    let masked: BTreeMap<_, _> = ranges.map(|range| (range.data_file.clone(), range.cardinality.unwrap())).collect();
    masked.keys().for_each(|name| assert!(live.contains(name), "a vector dangles: {name}"));
    masked
}

async fn latest_id(table: &Table) -> i64 {
    table.history().snapshots.latest_id().await.unwrap().unwrap()
}

async fn run(seed: u64) -> CompactReport {
    let mut random = Random(seed);
    let schema = schema(&mut random);
    let table = seeing_all(Table::create_store(TableStore::memory(&seeded_env(seed)), schema).await.unwrap());
    let mut oracle = Oracle::new(table.schema());
    let mut expected: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let (mut counter, mut sum) = (0, CompactReport::default());
    for identifier in 1..=8 + random.below(6) as i64 {
        let some = changes(table.schema(), &mut random, &mut counter);
        let id = commit_changes(&table, "writer", identifier, &some).await;
        oracle.apply(&some);
        expected.insert(id, oracle.all());
        if random.chance(50) {
            let full = random.chance(30);
            let memory = *random.pick(&[64 << 10, 512 << 20]);
            let compaction = table.compact().memory(memory).threads(random.below(3) as usize + 1);
            let report = if full { compaction.full() } else { compaction }.run().await.unwrap();
            assert_eq!(report.lost_tasks, 0);
            report.snapshots.iter().for_each(|id| drop(expected.insert(*id, oracle.all())));
            if full {
                let files = live_files(&table).await;
                let top = files.iter().map(|file| file.level).max().unwrap_or(0);
                assert!(files.iter().all(|file| file.level == top && file.delete_row_count == Some(0)), "{files:#?}");
                let masked: i64 = vectors(&table).await.values().sum();
                let rows = files.iter().map(|file| file.row_count).sum::<i64>();
                assert_eq!(rows - masked, oracle.rows.len() as i64);
            }
            let snapshot = table.history().snapshots.latest().await.unwrap().unwrap();
            let stored: i64 = live_files(&table).await.iter().map(|file| file.row_count).sum();
            assert_eq!(snapshot.total_record_count, Some(stored));
            sum.moved_files += report.moved_files;
            sum.files_before += report.files_before;
            sum.files_after += report.files_after;
        }
    }
    // Every snapshot shows what it showed when it was made: the inputs of compactions are still there.
    for (id, rows) in expected {
        assert_eq!(as_set(read_at(&table, At::Snapshot(id)).await.unwrap()), rows, "snapshot {id}");
    }
    sum
}

#[test]
fn compactions_at_random_moments_are_not_seen() {
    let mut sum = CompactReport::default();
    each_seed("compactions_at_random_moments", 30, |seed| {
        let report = block_on(run(seed));
        sum.moved_files += report.moved_files;
        sum.files_before += report.files_before;
        sum.files_after += report.files_after;
    });
    println!("{} files became {}, {} of them moved", sum.files_before, sum.files_after, sum.moved_files);
    assert!(sum.moved_files > 0 && sum.files_after > sum.moved_files);
}

/// A table of three commits on a store that fails, and its rows.
struct World {
    raw: Table,
    table: Table,
    faulty: FaultyStore,
    rows: Vec<String>,
}

async fn world(seed: u64, plan: FaultPlan) -> World {
    let env = seeded_env(seed);
    let raw = TableStore::memory(&env);
    let schema = Schema::builder()
        .column("id", DataType::BIGINT)
        .column("n", DataType::INT)
        .column("text", DataType::STRING)
        .column("day", DataType::DATE.not_null())
        .primary_key(["id"])
        .option("bucket", "1")
        .option("commit.max-retries", "5")
        .build()
        .unwrap();
    let table = Table::create_store(raw.clone(), schema).await.unwrap();
    let mut oracle = Oracle::new(table.schema());
    let (mut random, mut counter) = (Random(seed), 0);
    for identifier in 1..=3 {
        let some = changes(table.schema(), &mut random, &mut counter);
        commit_changes(&table, "writer", identifier, &some).await;
        oracle.apply(&some);
    }
    let (store, faulty) = faulty_over(&raw, &env, plan);
    faulty.revive();
    World { table: Table::open_store(store).await.unwrap_or(table.clone()), raw: table, faulty, rows: oracle.all() }
}

/// Whatever became of a compactor, the rows are those of before, at every snapshot.
async fn check(world: &World, what: &str) {
    let table = Table::open_store(world.raw.store().clone()).await.unwrap();
    for id in 3..=latest_id(&table).await {
        assert_eq!(as_set(read_at(&table, At::Snapshot(id)).await.unwrap()), world.rows, "{what}, snapshot {id}");
    }
}

#[test]
fn a_crash_of_a_compactor_at_any_operation_leaves_the_rows_as_they_were() {
    let trace = block_on(async {
        let world = world(7, FaultPlan::none()).await;
        let before = world.faulty.operations();
        world.table.compact().full().run().await.unwrap();
        world.faulty.trace().into_iter().skip(before as usize).map(|(op, ..)| op).collect::<Vec<Op>>()
    });
    assert!(trace.len() > 10, "{trace:?}");
    let afters = trace.iter().enumerate().filter(|(_, op)| op.mutates()).map(|(at, _)| (at, true));
    for (at, after_effect) in (0..trace.len()).map(|at| (at, false)).chain(afters) {
        block_on(async {
            let world = world(7, FaultPlan::none()).await;
            world.faulty.replan(FaultPlan::none().crash(at as u64, after_effect));
            let result = world.table.compact().full().run().await;
            world.faulty.revive();
            check(&world, &format!("crash at {at}, after its effect: {after_effect}, {result:?}")).await;
            // The next compactor does the work, or finds it done.
            world.raw.compact().full().run().await.unwrap();
            assert_eq!(live_files(&world.raw).await.len(), 1);
            check(&world, "compacted again").await;
        });
    }
}

#[test]
fn a_compactor_on_a_store_that_fails_by_chance_loses_no_row() {
    each_seed("a_compactor_on_a_store_that_fails", 20, |seed| {
        block_on(async {
            let world = world(seed, FaultPlan::none()).await;
            let mut random = Random(seed);
            for _ in 0..6 {
                let plan = FaultPlan::seeded(random.next())
                    .chance(0.03, Fault::FailBefore)
                    .chance(0.03, Fault::FailAfter)
                    .chance(0.1, Fault::LostAnswer)
                    .chance(0.02, Fault::WrongKind)
                    .chance(0.03, Fault::TornBody);
                world.faulty.replan(plan);
                let result = world.table.compact().full().run().await;
                world.faulty.revive();
                check(&world, &format!("{result:?}")).await;
            }
        });
    });
}

async fn commit(table: &Table, user: &str, messages: Vec<CommitMessage>) -> CommitOutcome {
    let mut committer = table.committer(user).unwrap();
    committer.commit(BATCH_COMMIT, messages, CommitProperties::default()).await.unwrap()
}

#[test]
fn of_two_compactors_one_wins_and_the_other_plans_again() {
    block_on(async {
        let world = world(3, FaultPlan::none()).await;
        let table = &world.raw;
        let compactor = table.compact().full().compactor().unwrap();
        let request = forebay::compact::CompactRequest { full: true, ..Default::default() };
        let tasks = compactor.plan(&request).await.unwrap();
        // Tasks travel as bytes, and so do their messages.
        let task = CompactTask::decode(&tasks[0].encode()).unwrap();
        let first = compactor.run(&task).await.unwrap();
        let second = CommitMessage::decode(&compactor.run(&task).await.unwrap().encode()).unwrap();
        assert!(matches!(commit(table, "one", vec![first]).await, CommitOutcome::Committed { .. }));
        assert!(matches!(commit(table, "two", vec![second.clone()]).await, CommitOutcome::Conflicted { .. }));
        let before = files_of(table.store()).await.len();
        let mut report = CompactReport::default();
        table.commit_compaction(vec![second], &mut report).await.unwrap();
        assert_eq!((report.lost_tasks, report.snapshots.len()), (1, 0));
        assert!(files_of(table.store()).await.len() < before, "the files of the lost compaction are deleted");
        assert!(compactor.plan(&request).await.unwrap().is_empty());
        check(&world, "two compactors").await;
    });
}

/// A table of four buckets, a few commits in each.
async fn four_buckets(seed: u64) -> (Table, Oracle) {
    let schema = Schema::builder()
        .column("id", DataType::BIGINT)
        .column("n", DataType::INT)
        .column("text", DataType::STRING)
        .column("day", DataType::DATE.not_null())
        .primary_key(["id"])
        .option("bucket", "4")
        .option("write-only", "true")
        .build()
        .unwrap();
    let table = Table::create_store(TableStore::memory(&seeded_env(seed)), schema).await.unwrap();
    let mut oracle = Oracle::new(table.schema());
    write_some(&table, &mut oracle, &mut Random(seed), (1, 4)).await;
    (table, oracle)
}

async fn write_some(table: &Table, oracle: &mut Oracle, random: &mut Random, (first, last): (i64, i64)) {
    let mut counter = 1_000 * first as i32;
    for identifier in first..=last {
        let mut some = changes(table.schema(), random, &mut counter);
        // Every bucket has a row of its own in each commit.
        some.extend((0..40).map(|id| {
            let row = vec![Datum::BigInt(id), Datum::Int(identifier as i32), Datum::Null, Datum::Date(0)];
            (RowKind::Insert, row)
        }));
        commit_changes(table, "writer", identifier, &some).await;
        oracle.apply(&some);
    }
}

/// After quiet the data files on disk are those that some snapshot names.
async fn no_orphans(table: &Table) {
    let mut named = std::collections::BTreeSet::new();
    for id in 1..=latest_id(table).await {
        let snapshot = table.history().snapshots.load(id).await.unwrap();
        let entries = table.history().manifests.delta_files(&snapshot, &FileFilter::default()).await.unwrap();
        named.extend(entries.iter().map(|entry| entry.file.file_name.clone()));
    }
    let there = table.store().list_recursive("").await.unwrap().into_iter().map(|file| file.name);
    let orphans: Vec<String> =
        there.filter(|path| path.ends_with(".parquet") && !named.contains(path.rsplit('/').next().unwrap())).collect();
    assert!(orphans.is_empty(), "{orphans:?}");
}

/// So many runs that their footers alone are more than the memory: level 0 is merged in parts onto local disk.
#[test]
fn a_bucket_of_hundreds_of_runs_is_compacted_in_parts() {
    for options in [
        vec![],
        vec![("merge-engine", "aggregation"), ("fields.n.aggregate-function", "sum")],
        vec![("changelog-producer", "lookup")],
        vec![("sequence.field", "n")],
    ] {
        block_on(async {
            let builder = Schema::builder()
                .column("id", DataType::BIGINT)
                .column("n", DataType::INT)
                .column("text", DataType::STRING)
                .primary_key(["id"])
                .option("bucket", "1")
                .option("write-only", "true");
            let schema = options.iter().fold(builder, |builder, (key, value)| builder.option(*key, *value));
            let store = TableStore::memory(&seeded_env(9));
            let table = Table::create_store(store, schema.build().unwrap()).await.unwrap();
            let mut expected: BTreeMap<i64, Row> = BTreeMap::new();
            let sums = options.iter().any(|(_, value)| *value == "aggregation");
            let mut random = Random(4);
            for commit in 0..300_i32 {
                let ids: std::collections::BTreeSet<i64> = (0..6).map(|_| random.below(90) as i64).collect();
                let some: Changes = ids
                    .iter()
                    .map(|id| {
                        (
                            RowKind::Insert,
                            vec![Datum::BigInt(*id), Datum::Int(commit), Datum::String(format!("{commit}"))],
                        )
                    })
                    .collect();
                commit_changes(&table, "writer", i64::from(commit) + 1, &some).await;
                for (_, row) in some {
                    let Datum::BigInt(id) = row[0] else { unreachable!("{row:?}") };
                    let old = expected.get(&id).map_or(0, |row| match row[1] {
                        Datum::Int(n) => n,
                        _ => 0,
                    });
                    let n = if sums { old + commit } else { commit };
                    expected.insert(id, vec![row[0].clone(), Datum::Int(n), row[2].clone()]);
                }
            }
            assert_eq!(live_files(&table).await.len(), 300);
            let report = table.compact().full().memory(1 << 20).run().await.unwrap();
            assert_eq!((report.files_before, live_files(&table).await.len()), (300, 1), "{options:?}");
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), as_set(expected.values()), "{options:?}");
            if options.contains(&("changelog-producer", "lookup")) {
                check_changelog(&table, "many runs").await;
            }
        });
    }
}

#[test]
fn of_many_buckets_only_those_that_lost_are_dropped() {
    block_on(async {
        let (table, oracle) = four_buckets(11).await;
        let compactor = table.compact().full().compactor().unwrap();
        let tasks =
            compactor.plan(&forebay::compact::CompactRequest { full: true, ..Default::default() }).await.unwrap();
        assert_eq!(tasks.len(), 4);
        let mut messages = Vec::new();
        for task in &tasks {
            messages.push(compactor.run(task).await.unwrap());
        }
        // Another compactor is faster in two buckets.
        let theirs = table.compact().full().bucket(1).bucket(2).run().await.unwrap();
        assert_eq!((theirs.snapshots.len(), theirs.lost_tasks), (1, 0));
        let mut report = CompactReport::default();
        table.commit_compaction(messages, &mut report).await.unwrap();
        assert_eq!((report.lost_tasks, report.snapshots.len()), (2, 1), "one snapshot for what is left");
        assert_eq!(report.files_after, 2);
        assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), oracle.all());
        assert_eq!(live_files(&table).await.len(), 4);
        no_orphans(&table).await;
    });
}

#[test]
fn compactors_that_race_beside_a_writer_lose_nothing_and_leave_nothing_behind() {
    let mut lost = 0;
    each_seed("compactors_that_race", 12, |seed| {
        lost += block_on(async {
            let (table, mut oracle) = four_buckets(seed).await;
            let mut random = Random(seed);
            let mut lost = 0;
            for round in 2..6 {
                let half = random.below(4) as i32;
                let writes = write_some(&table, &mut oracle, &mut random, (round * 3, round * 3 + 1));
                let (all, some, ()) = futures::join!(
                    table.compact().full().run(),
                    table.compact().full().bucket(half).bucket((half + 1) % 4).run(),
                    writes,
                );
                lost += all.unwrap().lost_tasks + some.unwrap().lost_tasks;
                assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), oracle.all());
            }
            no_orphans(&table).await;
            lost
        });
    });
    println!("{lost} tasks were lost");
    assert!(lost > 0);
}

#[test]
fn a_writer_commits_beside_a_compactor_and_neither_loses() {
    block_on(async {
        let world = world(5, FaultPlan::none()).await;
        let table = &world.raw;
        let compactor = table.compact().full().compactor().unwrap();
        let request = forebay::compact::CompactRequest { full: true, ..Default::default() };
        let task = compactor.plan(&request).await.unwrap().remove(0);
        let message = compactor.run(&task).await.unwrap();
        // New files of level 0 contradict nothing.
        let row = vec![Datum::BigInt(1_000), Datum::Int(1), Datum::Null, Datum::Date(0)];
        let id = commit_changes(table, "writer", 4, &[(RowKind::Insert, row.clone())]).await;
        let outcome = commit(table, "compactor", vec![message]).await;
        assert_eq!(outcome.snapshot_id().unwrap(), id + 1);
        let rows = as_set(read_at(table, At::Latest).await.unwrap());
        assert_eq!(rows.len(), world.rows.len() + 1);
        assert!(rows.contains(&format!("{row:?}")));
        assert_eq!(live_files(table).await.len(), 2);
    });
}

#[test]
fn a_compaction_that_cannot_read_its_input_leaves_no_file() {
    block_on(async {
        let world = world(9, FaultPlan::none()).await;
        let table = &world.raw;
        let victim = table.store().list_recursive("bucket-0").await.unwrap().remove(0).name;
        let path = if victim.starts_with("bucket-0") { victim } else { format!("bucket-0/{victim}") };
        table.store().replace(&path, bytes::Bytes::from_static(b"PAR1 no file PAR1")).await.unwrap();
        let before = files_of(table.store()).await.len();
        let error = table.compact().full().run().await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert_eq!(files_of(table.store()).await.len(), before);
    });
}

/// Random appends and compactions; rows of a bucket keep their order.
async fn append(seed: u64, bucketed: bool) -> usize {
    let mut random = Random(seed);
    let mut builder = Schema::builder().column("n", DataType::INT).column("text", DataType::STRING);
    let options = [
        ("target-file-size", *random.pick(&["900 b", "1500 b", "128 mb"])),
        ("target-file-row-num", *random.pick(&["7", "1000000"])),
        ("compaction.min.file-num", *random.pick(&["2", "5"])),
    ];
    for (key, value) in options {
        builder = builder.option(key, value);
    }
    if bucketed {
        builder = builder.option("bucket", "2").option("bucket-key", "n");
    }
    let table = Table::create_store(TableStore::memory(&seeded_env(seed)), builder.build().unwrap()).await.unwrap();
    let (mut all, mut expected, mut counter, mut joined) = (Vec::new(), BTreeMap::new(), 0, 0);
    for identifier in 1..=10 {
        let some: Changes = (0..1 + random.below(12))
            .map(|_| {
                counter += 1;
                let text = Datum::String("x".repeat(random.below(60) as usize));
                (RowKind::Insert, vec![Datum::Int(counter), text])
            })
            .collect();
        let id = commit_changes(&table, "writer", identifier, &some).await;
        all.extend(some.into_iter().map(|(_, row)| row));
        expected.insert(id, as_set(&all));
        if random.chance(50) {
            let compaction = table.compact();
            let compaction = if random.chance(50) { compaction.full() } else { compaction };
            let report = compaction.run().await.unwrap();
            joined += report.files_before - report.files_after;
            report.snapshots.iter().for_each(|id| drop(expected.insert(*id, as_set(&all))));
        }
    }
    for (id, rows) in expected {
        assert_eq!(as_set(read_at(&table, At::Snapshot(id)).await.unwrap()), rows, "snapshot {id}");
    }
    if bucketed {
        for split in table.scan().plan().await.unwrap().splits {
            let mut stream = table.scan().read_splits(vec![split]).await.unwrap();
            let mut last = 0;
            while let Some(batch) = stream.next_batch().await.unwrap() {
                for row in crate::support::rows_of(table.schema(), &batch) {
                    let Datum::Int(number) = row[0] else { panic!("{row:?}") };
                    assert!(number > last, "rows of a bucket stand in another order");
                    last = number;
                }
            }
        }
        // The numbers go on where they were.
        let files = live_files(&table).await;
        assert!(files.iter().all(|file| file.max_sequence_number - file.min_sequence_number + 1 == file.row_count));
    }
    joined
}

#[test]
fn appended_files_are_joined_in_their_order() {
    let mut joined = 0;
    each_seed("appended_files_are_joined", 12, |seed| joined += block_on(append(seed, seed % 2 == 0)));
    assert!(joined > 20, "{joined}");
}

/// A table whose writer compacts by itself.
fn compacting(random: &mut Random, options: &[(&str, &str)]) -> Schema {
    let mut builder = Schema::builder()
        .column("id", DataType::BIGINT)
        .column("n", DataType::INT)
        .column("text", DataType::STRING)
        .column("day", DataType::DATE.not_null())
        .primary_key(["id"])
        .option("bucket", *random.pick(&["1", "2"]))
        .option("num-sorted-run.compaction-trigger", *random.pick(&["2", "3", "5"]))
        .option("num-levels", *random.pick(&["3", "6"]))
        .option("target-file-row-num", *random.pick(&["15", "1000000"]))
        .option("target-file-size", *random.pick(&["1500 b", "128 mb"]));
    for (key, value) in options {
        builder = builder.option(*key, *value);
    }
    builder.build().unwrap()
}

/// Applies changes as a downstream system would that trusts them: nothing is added twice, and what goes is what was.
pub fn apply_strictly(keys: &[usize], rows: &mut BTreeMap<String, Row>, kind: RowKind, row: Row) {
    let key = format!("{:?}", keys.iter().map(|at| &row[*at]).collect::<Vec<_>>());
    let before = rows.get(&key);
    match kind {
        RowKind::Insert => assert_eq!(before, None, "+I of a key that is there"),
        RowKind::UpdateAfter => assert_eq!(before, None, "+U without its -U"),
        RowKind::UpdateBefore | RowKind::Delete => assert_eq!(before, Some(&row), "{kind:?} of another row"),
    }
    match kind.is_retract() {
        true => rows.remove(&key),
        false => rows.insert(key, row),
    };
}

/// Whether compactions have told followers all rows of a snapshot, with producer lookup or full-compaction.
pub async fn all_is_told(table: &Table, snapshot: i64) -> bool {
    let history = table.history();
    let snapshot = history.snapshots.load(snapshot).await.unwrap();
    let live = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
    let full = table.schema().option("changelog-producer") == Some("full-compaction");
    let top = forebay::schema::TableOptions::parse(table.schema()).unwrap().compaction.max_level();
    live.iter().all(|entry| if full { entry.file.level == top } else { entry.file.level > 0 })
}

/// Follows the changelog from the first snapshot to the last: wherever nothing waits for its compaction it has led to the
/// rows there are.
pub async fn check_changelog(table: &Table, what: &str) -> usize {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let keys = table.schema().positions(&table.schema().primary_keys).unwrap();
    let mut changes = crate::support::read_changes(table).await.unwrap().into_iter().peekable();
    let (mut count, mut checked) = (0, 0);
    for id in 1..=latest_id(table).await {
        while let Some((_, kind, row)) = changes.next_if(|(snapshot, ..)| *snapshot == id) {
            count += 1;
            // Updates come as pairs, in the order of the file.
            apply_strictly(&keys, &mut rows, kind, row);
        }
        // What waits for its compaction is told later.
        if all_is_told(table, id).await {
            checked += 1;
            let found = as_set(read_at(table, At::Snapshot(id)).await.unwrap());
            assert_eq!(as_set(rows.values()), found, "{what}: the changelog up to snapshot {id}");
        }
    }
    let may_wait = what.contains("gentle") || what.contains("(\"lookup-wait\", \"false\")");
    assert!(checked > 0 || may_wait, "{what}: the changelog was never complete");
    count
}

async fn follow(seed: u64) -> usize {
    let mut random = Random(seed);
    let engine = *random.pick(&["deduplicate", "deduplicate", "aggregation", "partial-update", "first-row"]);
    let mut options = vec![("merge-engine", engine)];
    let full = engine != "first-row" && random.chance(40);
    if full {
        options.push(("changelog-producer", "full-compaction"));
        if random.chance(70) {
            options.push(("full-compaction.delta-commits", *random.pick(&["1", "3"])));
        }
    } else {
        options.push(("changelog-producer", "lookup"));
        options.push(("lookup-compact", *random.pick(&["radical", "radical", "gentle"])));
        options.push(("lookup-wait", *random.pick(&["true", "true", "false"])));
    }
    if engine == "aggregation" {
        options.push(("fields.n.aggregate-function", "sum"));
        options.push(("fields.default-aggregate-function", "last_value"));
    }
    if random.chance(50) {
        options.push(("changelog-producer.row-deduplicate", "true"));
    }
    let what = format!("{options:?}");
    let schema = compacting(&mut random, &options);
    let table = Table::create_store(TableStore::memory(&seeded_env(seed)), schema).await.unwrap();
    let mut oracle = Oracle::new(table.schema());
    let (mut counter, deletes) = (0, engine == "deduplicate");
    let mut writer = table.stream_writer("writer").await.unwrap();
    let mut committer = table.committer("writer").unwrap();
    for identifier in 1..=10 {
        let mut some = changes(table.schema(), &mut random, &mut counter);
        some.retain(|(kind, _)| deletes || !kind.is_retract());
        if some.is_empty() {
            continue;
        }
        writer.write(&crate::support::batch(table.schema(), &some)).await.unwrap();
        oracle.apply(&some);
        let messages = writer.prepare_commit().await.unwrap();
        let outcome = committer.commit(identifier, messages, CommitProperties::default()).await.unwrap();
        let CommitOutcome::Committed { dropped_compactions, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(dropped_compactions, []);
        if !full && what.contains("(\"lookup-wait\", \"true\")") && !what.contains("gentle") {
            assert!(live_files(&table).await.iter().all(|file| file.level > 0), "{what}: level 0 after a commit");
        }
        if deletes {
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), oracle.all(), "{what}");
        }
    }
    writer.abort().await.unwrap();
    check_changelog(&table, &what).await
}

#[test]
fn the_changelog_that_a_writer_compacts_tells_every_change_once_and_truly() {
    let mut changes = 0;
    each_seed("the_changelog_that_a_writer_compacts", 24, |seed| changes += block_on(follow(seed)));
    println!("{changes} changes");
    assert!(changes > 1000);
}

/// Commits beside each other's preparation, as a pipeline does; compactions run in the background.
async fn pipelined(seed: u64, options: &[(&str, &str)]) {
    let mut random = Random(seed);
    let table = Table::create_store(TableStore::memory(&seeded_env(seed)), compacting(&mut random, options)).await;
    let table = table.unwrap();
    let stop = forebay::schema::TableOptions::parse(table.schema()).unwrap().compaction.stop_trigger;
    let mut oracle = Oracle::new(table.schema());
    let mut writer = table.stream_writer("writer").await.unwrap();
    let mut committer = table.committer("writer").unwrap();
    let (mut waiting, mut counter) = (std::collections::VecDeque::new(), 0);
    let mut dropped = 0;
    for identifier in 1..=24 {
        let some = changes(table.schema(), &mut random, &mut counter);
        writer.write(&crate::support::batch(table.schema(), &some)).await.unwrap();
        waiting.push_back((identifier, some, writer.prepare_commit().await.unwrap()));
        while waiting.len() > if identifier < 24 { random.below(3) as usize } else { 0 } {
            let (identifier, some, messages) = waiting.pop_front().unwrap();
            let outcome = committer.commit(identifier, messages, CommitProperties::default()).await.unwrap();
            let CommitOutcome::Committed { dropped_compactions, .. } = outcome else { panic!("{outcome:?}") };
            dropped += dropped_compactions.len();
            oracle.apply(&some);
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), oracle.all(), "commit {identifier}");
        }
    }
    assert_eq!(dropped, 0, "a writer's compaction contradicts its own");
    let flushed = live_files(&table).await.iter().filter(|file| file.level == 0).count();
    // Two buckets, and a flush may make six files in each.
    assert!(flushed <= 2 * (stop + 1 + 6), "{flushed} files of level 0, the writer stops at {stop}");
    writer.abort().await.unwrap();
    no_orphans(&table).await;
}

#[test]
fn a_writer_compacts_in_the_background_and_before_commits_that_need_it() {
    each_seed("a_writer_compacts_in_the_background", 8, |seed| {
        block_on(pipelined(seed, &[]));
        block_on(pipelined(seed, &[("commit.force-compact", "true")]));
    });
}

#[test]
fn a_write_only_writer_never_compacts() {
    block_on(async {
        let mut random = Random(1);
        let schema = compacting(&mut random, &[("write-only", "true"), ("commit.force-compact", "true")]);
        let table = Table::create_store(TableStore::memory(&seeded_env(1)), schema).await.unwrap();
        let mut counter = 0;
        for identifier in 1..=8 {
            let some = changes(table.schema(), &mut random, &mut counter);
            commit_changes(&table, "writer", identifier, &some).await;
        }
        assert_eq!(latest_id(&table).await, 8);
    });
}

/// Sorted runs of the fullest bucket at a snapshot: each file of level 0, and each other level that has files.
async fn most_runs(table: &Table, id: i64) -> usize {
    let history = table.history();
    let snapshot = history.snapshots.load(id).await.unwrap();
    let mut runs: BTreeMap<i32, (usize, std::collections::BTreeSet<i32>)> = BTreeMap::new();
    for entry in history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap() {
        let (flushed, levels) = runs.entry(entry.bucket).or_default();
        match entry.file.level {
            0 => *flushed += 1,
            level => drop(levels.insert(level)),
        }
    }
    runs.values().map(|(flushed, levels)| flushed + levels.len()).max().unwrap_or(0)
}

/// Many flushes for each commit, against a table that takes the same rows without compacting.
async fn hurried(seed: u64, options: &[(&str, &str)]) {
    let mut random = Random(seed);
    let (trigger, more) = (*random.pick(&[2_usize, 3, 5]), *random.pick(&[0_usize, 1, 3]));
    let stop = trigger + more;
    let deletes = options.is_empty();
    let schema = |written: &[(&str, &str)]| {
        let builder = Schema::builder()
            .column("id", DataType::BIGINT)
            .column("n", DataType::INT)
            .column("text", DataType::STRING)
            .column("day", DataType::DATE.not_null())
            .primary_key(["id"]);
        let all = options.iter().chain(written);
        all.fold(builder, |builder, (key, value)| builder.option(*key, *value)).build().unwrap()
    };
    let (trigger, stop_text, bucket) = (trigger.to_string(), stop.to_string(), *random.pick(&["1", "2"]));
    let spilling = *random.pick(&[("write-buffer-spillable", "false"), ("write-buffer-spill.max-disk-size", "1 kb")]);
    let written = [
        ("bucket", bucket),
        ("num-sorted-run.compaction-trigger", trigger.as_str()),
        ("num-sorted-run.stop-trigger", stop_text.as_str()),
        ("write-buffer-size", "64 kb"),
        spilling,
    ];
    let store = || TableStore::memory(&seeded_env(seed));
    let table = Table::create_store(store(), schema(&written)).await.unwrap();
    let plain = schema(&[("bucket", bucket), ("write-only", "true")]);
    let plain = Table::create_store(store(), plain).await.unwrap();
    let mut writer = table.stream_writer("writer").await.unwrap();
    let mut committer = table.committer("writer").unwrap();
    let (mut counter, mut flushes) = (0, 0);
    for identifier in 1..=5 {
        let mut all = Changes::new();
        for _ in 0..random.below(30) + 15 {
            let mut some = changes(table.schema(), &mut random, &mut counter);
            some.retain(|(kind, _)| deletes || !kind.is_retract());
            if !some.is_empty() {
                writer.write(&crate::support::batch(table.schema(), &some)).await.unwrap();
                all.extend(some);
            }
        }
        let messages = writer.prepare_commit().await.unwrap();
        flushes += all.len() * 100 / (16 << 10);
        committer.commit(identifier, messages, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
        commit_changes(&plain, "writer", identifier, &all).await;
        plain.compact().full().run().await.unwrap(); // before it no row of engine first-row is seen
        let expected = as_set(read_at(&plain, At::Latest).await.unwrap());
        let found = as_set(read_at(&table, At::Latest).await.unwrap());
        assert!(found == expected, "commit {identifier}, {options:?}: {} of {} rows", found.len(), expected.len());
    }
    assert!(flushes > stop, "{flushes} flushes");
    for id in 1..=latest_id(&table).await {
        let runs = most_runs(&table, id).await;
        assert!(runs <= stop + 1, "snapshot {id} has {runs} runs, the writer stops at {stop}: {options:?}");
    }
    writer.abort().await.unwrap();
    if options.iter().all(|(key, _)| *key != "changelog-producer") {
        no_orphans(&table).await; // which knows of data files alone
    }
}

/// Found by acceptance: the stop trigger counted at commits alone, and a commit brought as many runs as it had flushes.
#[test]
fn no_snapshot_of_a_writer_that_is_ahead_of_its_compactions_has_more_runs_than_it_may() {
    each_seed("no_snapshot_of_a_writer_that_is_ahead", 3, |seed| {
        for options in [
            &[][..],
            &[("deletion-vectors.enabled", "true"), ("deletion-vectors.merge-on-read", "true")],
            &[("changelog-producer", "lookup"), ("lookup-wait", "false")],
            &[("merge-engine", "aggregation"), ("fields.n.aggregate-function", "sum")],
            &[("merge-engine", "partial-update"), ("changelog-producer", "full-compaction")],
            &[("merge-engine", "first-row")],
            &[("sequence.field", "n"), ("changelog-producer", "input")],
        ] {
            block_on(hurried(seed, options));
        }
    });
}

/// Found by acceptance: of ten runs of the same keys a tenth was counted, the rows that came out.
#[test]
fn a_rate_limit_bounds_what_a_compaction_reads() {
    for options in [
        &[("bucket", "1")][..],
        &[("bucket", "1"), ("changelog-producer", "lookup")],
        &[("bucket", "1"), ("deletion-vectors.enabled", "true")],
        &[("bucket", "-2"), ("postpone.default-bucket-num", "1")],
    ] {
        block_on(async {
            let builder =
                Schema::builder().column("id", DataType::BIGINT).column("n", DataType::INT).primary_key(["id"]);
            let options = options.iter().chain(&[("write-only", "true")]);
            let schema = options.clone().fold(builder, |builder, (key, value)| builder.option(*key, *value));
            let table = Table::create_store(TableStore::memory(&seeded_env(5)), schema.build().unwrap()).await.unwrap();
            for commit in 1..=10 {
                let row = |id| (RowKind::Insert, vec![Datum::BigInt(id), Datum::Int(commit)]);
                commit_changes(&table, "writer", i64::from(commit), &(0..3_000).map(row).collect::<Vec<_>>()).await;
            }
            let live = |files: Vec<DataFileMeta>| files.iter().map(|file| file.file_size as u64).sum::<u64>();
            let (bytes, rate) = (live(live_files(&table).await), 10_000);
            let env = table.store().env().clone();
            let progress = Arc::new(forebay::compact::CompactProgress::default());
            let began = env.monotonic();
            let compaction = table.compact().full().bytes_per_second(rate).progress(Arc::clone(&progress));
            let report = compaction.run().await.unwrap();
            let took = (env.monotonic() - began).as_secs_f64();
            // A postponed row is read twice: when it is moved, and when it is compacted.
            let (least, most) = (bytes as f64 / rate as f64 - 0.01, (bytes + report.bytes_before) as f64 / rate as f64);
            assert!(took >= least && took <= most * 1.1, "{took} s for {bytes} bytes: {options:?}");
            assert_eq!(progress.bytes(), report.planned.iter().map(CompactTask::bytes).sum::<u64>(), "{options:?}");
        });
    }
}
