//! Rows that wait are moved once and told once, whoever moves them, dies or comes between.

use std::collections::BTreeMap;

use forebay::io::{Fault, FaultPlan, Op, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::compaction::{apply_strictly, live_files};
use crate::support::{
    Changes, Random, Row, as_set, block_on, commit_changes, each_seed, faulty_over, files_of, read_at, rows_of,
    seeded_env,
};

/// Producers whose compactions tell.
const TELLING: [&[(&str, &str)]; 3] = [
    &[("changelog-producer", "lookup")],
    &[("changelog-producer", "lookup"), ("lookup-compact", "gentle")],
    &[("changelog-producer", "full-compaction")],
];

fn schema(options: &[(&str, &str)]) -> Schema {
    let builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("day", DataType::INT.not_null())
        .column("n", DataType::INT)
        .column("text", DataType::STRING)
        .partition_by(["day"])
        .primary_key(["id", "day"])
        .option("bucket", "-2")
        .option("postpone.default-bucket-num", "2");
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

async fn create(seed: u64, options: &[(&str, &str)]) -> Table {
    Table::create_store(TableStore::memory(&seeded_env(seed)), schema(options)).await.unwrap()
}

async fn opened(table: &Table) -> Table {
    Table::open_store(table.history().store.clone()).await.unwrap()
}

fn row(id: i64, n: i32, text: &str) -> Row {
    vec![Datum::BigInt(id), Datum::Int((id % 2) as i32), Datum::Int(n), Datum::String(text.to_string())]
}

fn upserts(ids: impl IntoIterator<Item = i64>, text: &str) -> Changes {
    ids.into_iter().map(|id| (RowKind::UpdateAfter, row(id, 1, text))).collect()
}

async fn latest_id(table: &Table) -> i64 {
    table.history().snapshots.latest_id().await.unwrap().unwrap()
}

/// All that a stream delivers from a start on.
async fn followed(table: &Table, start: Start) -> Vec<(i64, RowKind, Row)> {
    let mut stream = table.changes().from(start).read().await.unwrap();
    let mut found = Vec::new();
    while let Some(change) = stream.next().await.unwrap() {
        assert!(change.bucket >= 0, "waiting rows are not told");
        for (at, row) in rows_of(table.schema(), change.rows.rows()).into_iter().enumerate() {
            found.push((change.snapshot_id, change.rows.kind(at), row));
        }
    }
    found
}

/// From the beginning and from every snapshot on, the changes lead to the rows of each snapshot. Gives how many there are.
async fn check_told(table: &Table, what: &str) -> usize {
    let (keys, newest) = (table.schema().positions(&table.schema().primary_keys).unwrap(), latest_id(table).await);
    let mut wanted = BTreeMap::new();
    for id in 1..=newest {
        wanted.insert(id, as_set(read_at(table, At::Snapshot(id)).await.unwrap()));
    }
    let mut told = 0;
    for from in 0..=newest {
        let start = if from == 0 { Start::Earliest } else { Start::SnapshotFull(from) };
        let mut changes = followed(table, start).await.into_iter().peekable();
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for id in from.max(1)..=newest {
            while let Some((_, kind, row)) = changes.next_if(|(snapshot, ..)| *snapshot == id) {
                told += usize::from(from == 0);
                apply_strictly(&keys, &mut rows, kind, row);
            }
            assert_eq!(as_set(rows.values()), wanted[&id], "{what}: from {from} up to snapshot {id}");
        }
        assert_eq!(changes.next(), None, "{what}: from {from}");
    }
    told
}

/// No file is in the store that no snapshot names.
async fn no_orphans(table: &Table, what: &str) {
    let mut named = std::collections::BTreeSet::new();
    for id in 1..=latest_id(table).await {
        let (history, all) = (table.history(), forebay::history::FileFilter::default());
        let snapshot = history.snapshots.load(id).await.unwrap();
        let live = history.manifests.live_files(&snapshot, &all).await.unwrap();
        let told = history.manifests.changelog_files(&snapshot, &all).await.unwrap();
        named.extend(live.iter().chain(&told).map(|entry| entry.file.file_name.clone()));
    }
    let files = files_of(table.store()).await;
    let data = files.keys().filter(|path| path.contains("bucket-"));
    let orphans: Vec<_> = data.filter(|path| !named.iter().any(|name| path.ends_with(name.as_str()))).collect();
    assert!(orphans.is_empty(), "{what}: {orphans:?}");
}

async fn waiting(table: &Table) -> usize {
    live_files(table).await.iter().filter(|file| file.min_sequence_number == -1).count()
}

/// A table with moved rows, and others that wait: every kind of change is among them.
async fn world(options: &[(&str, &str)]) -> Table {
    let table = create(7, options).await;
    commit_changes(&table, "a", 1, &upserts(0..12, "a")).await;
    table.move_postponed().run().await.unwrap();
    commit_changes(&table, "a", 2, &upserts(6..16, "b")).await;
    let gone = (0..3).map(|id| (RowKind::Delete, row(id, 1, "gone"))).collect::<Changes>();
    commit_changes(&table, "a", 3, &[gone, upserts(14..18, "c")].concat()).await;
    table
}

fn wanted() -> Vec<String> {
    let of = |(_, row): (RowKind, Row)| row;
    let all = [upserts(3..6, "a"), upserts(6..14, "b"), upserts(14..18, "c")].concat();
    as_set(all.into_iter().map(of))
}

#[test]
fn a_crash_of_a_move_at_any_operation_tells_every_change_once() {
    for options in TELLING {
        let trace = block_on(async {
            let world = world(options).await;
            let (store, faulty) = faulty_over(world.store(), &seeded_env(9), FaultPlan::none());
            faulty.revive();
            let table = Table::open_store(store).await.unwrap();
            let before = faulty.operations() as usize;
            table.move_postponed().run().await.unwrap();
            faulty.trace().into_iter().skip(before).map(|(op, ..)| op).collect::<Vec<Op>>()
        });
        assert!(trace.len() > 20, "{trace:?}");
        let afters = trace.iter().enumerate().filter(|(_, op)| op.mutates()).map(|(at, _)| (at, true));
        for (at, after_effect) in (0..trace.len()).map(|at| (at, false)).chain(afters) {
            block_on(async {
                let what = format!("{options:?}, crash at {at}, after its effect: {after_effect}");
                let world = world(options).await;
                let (store, faulty) = faulty_over(world.store(), &seeded_env(9), FaultPlan::none());
                faulty.revive();
                let table = Table::open_store(store).await.unwrap();
                faulty.replan(FaultPlan::none().crash(at as u64, after_effect));
                let _died = table.move_postponed().run().await;
                let next = opened(&world).await;
                check_told(&next, &what).await;
                next.move_postponed().run().await.unwrap();
                let rows = as_set(read_at(&next, At::Latest).await.unwrap());
                assert_eq!((rows, waiting(&next).await), (wanted(), 0), "{what}");
                // 12 came, 10 of them changed or went, and 6 are new.
                assert_eq!(check_told(&next, &what).await, 12 + 6 + 2 * 6 + 3, "{what}");
            });
        }
    }
}

#[test]
fn a_move_on_a_store_that_fails_by_chance_tells_every_change_once_and_leaves_no_file() {
    each_seed("a_move_on_a_store_that_fails_by_chance", 12, |seed| {
        block_on(async {
            let options = TELLING[seed as usize % TELLING.len()];
            let (world, mut random) = (world(options).await, Random(seed));
            for _ in 0..8 {
                let (store, faulty) = faulty_over(world.store(), &seeded_env(random.next()), FaultPlan::none());
                faulty.revive();
                let table = Table::open_store(store).await.unwrap();
                let plan = FaultPlan::seeded(random.next())
                    .chance(0.02, Fault::FailBefore)
                    .chance(0.02, Fault::FailAfter)
                    .chance(0.05, Fault::LostAnswer);
                faulty.replan(plan);
                let result = table.move_postponed().run().await;
                check_told(&opened(&world).await, &format!("seed {seed}, {result:?}")).await;
            }
            let next = opened(&world).await;
            next.move_postponed().run().await.unwrap();
            assert_eq!(as_set(read_at(&next, At::Latest).await.unwrap()), wanted(), "seed {seed}");
            check_told(&next, &format!("seed {seed}")).await;
        });
    });
}

/// Sums tell a row that came twice.
fn summing(producer: &'static str) -> Vec<(&'static str, &'static str)> {
    let sums = [("merge-engine", "aggregation"), ("fields.n.aggregate-function", "sum")];
    let rest = [("fields.default-aggregate-function", "last_value"), ("changelog-producer", producer)];
    [sums, rest].concat()
}

/// Found on the way: the one that lost left out the message that takes the waiting rows away, and brought them again.
#[test]
fn of_two_jobs_that_move_the_same_rows_one_does() {
    let mut raced = 0;
    each_seed("of_two_jobs_that_move_the_same_rows", 12, |seed| {
        block_on(async {
            let producer = ["none", "input", "lookup", "full-compaction"][seed as usize % 4];
            let table = create(seed, &summing(producer)).await;
            for commit in 1..=3 {
                commit_changes(&table, "a", commit, &upserts(0..40, "a")).await;
            }
            let (one, two) = (opened(&table).await, opened(&table).await);
            let (one, two) = tokio::join!(one.move_postponed().run(), two.move_postponed().run());
            let moved = [one.unwrap(), two.unwrap()].concat();
            raced += usize::from(moved.len() == 2);
            assert_eq!(moved.iter().map(|it| it.rows).sum::<i64>(), 120, "{producer}: {moved:?}");
            let table = opened(&table).await;
            let wanted = as_set((0..40).map(|id| row(id, 3, "a")));
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), wanted, "{producer}");
            no_orphans(&table, producer).await;
            if matches!(producer, "lookup" | "full-compaction") {
                check_told(&table, producer).await;
            }
        });
    });
    assert!(raced > 0);
}

/// Gives the changes told.
async fn at_random(seed: u64) -> usize {
    let mut random = Random(seed);
    let engine = *random.pick(&["deduplicate", "deduplicate", "aggregation", "partial-update", "first-row"]);
    let mut options = vec![("merge-engine", engine), ("target-file-row-num", *random.pick(&["7", "1000000"]))];
    options.push(("write-buffer-size", *random.pick(&["96 kb", "256 mb"])));
    options.push(("num-levels", *random.pick(&["2", "6"])));
    let telling = if engine == "first-row" { TELLING[0] } else { *random.pick(&TELLING) };
    options.extend(telling);
    if engine == "aggregation" {
        options.extend([("fields.n.aggregate-function", "sum"), ("fields.default-aggregate-function", "last_value")]);
    }
    if random.chance(40) {
        options.push(("changelog-producer.row-deduplicate", "true"));
    }
    if engine == "deduplicate" && random.chance(30) {
        options.push(("sequence.field", "n"));
    } else if engine == "deduplicate" && random.chance(40) {
        options.push(("deletion-vectors.enabled", "true"));
    }
    let what = format!("seed {seed}: {options:?}");
    let table = create(seed, &options).await;
    for commit in 1..=8 {
        let some = (0..1 + random.below(60)).map(|at| {
            let retracts = engine == "deduplicate" && random.chance(20);
            let kind = if retracts { RowKind::Delete } else { RowKind::UpdateAfter };
            (kind, row(random.below(40) as i64, random.below(9) as i32, &format!("{commit}/{at}")))
        });
        let some: Changes = some.collect();
        let user = *random.pick(&["a", "b"]);
        commit_changes(&table, user, commit, &some).await;
        let job = opened(&table).await;
        match random.below(5) {
            0 | 1 => drop(job.move_postponed().run().await.unwrap()),
            2 => drop(job.compact().run().await.unwrap()),
            3 if commit > 4 => drop(job.rescale(1 + random.below(3) as i32).run().await.unwrap()),
            _ => {}
        }
    }
    let table = opened(&table).await;
    table.compact().full().run().await.unwrap();
    assert_eq!(waiting(&table).await, 0, "{what}");
    no_orphans(&table, &what).await;
    check_told(&table, &what).await
}

#[test]
fn moved_rows_are_told_in_the_snapshot_that_shows_them() {
    let mut told = 0;
    each_seed("moved_rows_are_told_in_the_snapshot", 24, |seed| told += block_on(at_random(seed)));
    println!("{told} changes told");
    assert!(told > 1000);
}

#[test]
fn rows_that_become_the_changelog_are_told_when_they_are_moved() {
    block_on(async {
        let table = create(3, &[("changelog-producer", "input")]).await;
        let came = [upserts(0..4, "a"), vec![(RowKind::Delete, row(2, 1, "a"))]].concat();
        commit_changes(&table, "a", 1, &came).await;
        assert_eq!(followed(&table, Start::Earliest).await, []);
        let moved = table.move_postponed().run().await.unwrap();
        assert_eq!(moved.iter().map(|it| (it.rows, it.changelog_rows)).collect::<Vec<_>>(), [(3, 3), (2, 2)]);
        let told = followed(&table, Start::Earliest).await;
        assert_eq!(as_set(told.into_iter().map(|(_, kind, row)| (kind, row))), as_set(came));
        assert_eq!(followed(&table, Start::SnapshotFull(3)).await.len(), 3);
    });
}

#[test]
fn snapshot_ordering_beside_waiting_rows_is_refused() {
    block_on(async {
        let store = TableStore::memory(&seeded_env(4));
        let schema = schema(&[("sequence.snapshot-ordering", "true"), ("write-only", "true")]);
        let refused = Table::create_store(store, schema).await.err();
        assert!(
            matches!(&refused, Some(Error::Unsupported(text)) if text.contains("snapshot-ordering")),
            "{refused:?}"
        );
    });
}
