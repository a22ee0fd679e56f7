//! Options that decide when a bucket is compacted and what its changelog leaves out, seen at tables: the files that a writer
//! or a job leaves, the rows, and what followers are told.
//! Spec: `format-spec/compaction.md`, picking.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use forebay::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties};
use forebay::history::FileFilter;
use forebay::io::TableStore;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Clock, Env, Table};
use futures::future::BoxFuture;

use crate::support::{Row, all_rows, as_set, changes, rows_of};

/// Noon of a day in UTC, in milliseconds.
const NOON: i64 = 1_700_000_000_000 / 86_400_000 * 86_400_000 + 12 * HOUR;
const HOUR: i64 = 3_600_000;

/// A clock that stands still, in a zone.
struct Hands {
    millis: AtomicI64,
    offset_seconds: i32,
}

impl Hands {
    fn at(millis: i64, offset_hours: i32) -> Arc<Self> {
        Arc::new(Self { millis: AtomicI64::new(millis), offset_seconds: offset_hours * 3600 })
    }

    fn pass(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now_millis(&self) -> i64 {
        self.millis.load(Ordering::SeqCst)
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now_millis() as u64)
    }
    fn local_offset_seconds(&self, _: i64) -> i32 {
        self.offset_seconds
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.pass(duration.as_millis() as i64);
        Box::pin(tokio::task::yield_now())
    }
}

fn schema(options: &[(&str, &str)]) -> Schema {
    let builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("n", DataType::INT)
        .column("text", DataType::STRING)
        .column("note", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "1");
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

fn row(id: i64, n: i32, text: &str) -> Row {
    vec![Datum::BigInt(id), Datum::Int(n), Datum::String(text.to_string()), Datum::Null]
}

/// A table, its clock and the rows it must show.
struct World {
    table: Table,
    clock: Arc<Hands>,
    commits: i64,
    rows: BTreeMap<i64, Row>,
}

impl World {
    async fn new(options: &[(&str, &str)], clock: Arc<Hands>) -> Self {
        let store = TableStore::memory(&Env::seeded(1, clock.clone()));
        let table = Table::create_store(store, schema(options)).await.unwrap();
        Self { table, clock, commits: 0, rows: BTreeMap::new() }
    }

    fn some(&mut self, count: i64) -> Vec<(RowKind, Row)> {
        self.commits += 1;
        let text = |id: i64| format!("{} of {}", id * 7919 % 10_007, self.commits);
        let some: Vec<_> =
            (0..count).map(|id| (RowKind::UpdateAfter, row(id, self.commits as i32, &text(id)))).collect();
        self.rows.extend((0..count).zip(some.iter().map(|(_, row)| row.clone())));
        some
    }

    async fn commit(&mut self, count: i64) {
        let some = self.some(count);
        write(&self.table, self.commits, &some).await;
    }

    async fn compact(&self) {
        self.table.compact().run().await.unwrap();
    }

    /// The level of every file, and whether the rows are those wanted.
    async fn levels(&self) -> Vec<i32> {
        let found = all_rows(self.table.schema(), self.table.scan().read().await.unwrap()).await.unwrap();
        assert_eq!(as_set(found), as_set(self.rows.values().cloned()));
        let history = self.table.history();
        let snapshot = history.snapshots.latest().await.unwrap().unwrap();
        let live = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
        let mut levels: Vec<i32> = live.iter().map(|entry| entry.file.level).collect();
        levels.sort_unstable();
        levels
    }
}

async fn write(table: &Table, identifier: i64, rows: &[(RowKind, Row)]) {
    let mut writer = table.stream_writer("w").await.unwrap();
    writer.write(&changes(table.schema(), rows)).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    let mut committer = table.committer("w").unwrap();
    committer.commit(identifier, messages, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
    writer.abort().await.unwrap();
}

/// How many files of level 0 there are after each commit of a writer that compacts. Each commit is smaller than the one
/// before it, so that no size asks for a compaction. Those that `wait` are looked at when what runs beside the writer is done.
async fn flushed(options: &[(&str, &str)], wait: bool) -> Vec<usize> {
    let common = [
        ("num-sorted-run.compaction-trigger", "5"),
        ("num-levels", "6"),
        ("compaction.size-ratio", "0"),
        ("compaction.max-size-amplification-percent", "1000000"),
    ];
    let all: Vec<_> = common.iter().chain(options).copied().collect();
    let mut world = World::new(&all, Hands::at(NOON, 0)).await;
    let mut writer = world.table.stream_writer("w").await.unwrap();
    let mut committer = world.table.committer("w").unwrap();
    let mut found = Vec::new();
    for count in [2000, 1250, 750, 450, 250, 120, 50] {
        let some = world.some(count);
        writer.write(&changes(world.table.schema(), &some)).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        let outcome = committer.commit(world.commits, messages, CommitProperties::default()).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
        if wait {
            let done = writer.finish_compactions().await;
            if !done.is_empty() {
                committer.commit(BATCH_COMMIT, done, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
            }
        }
        found.push(world.levels().await.iter().filter(|level| **level == 0).count());
    }
    writer.abort().await.unwrap();
    found
}

#[tokio::test]
async fn level_0_is_compacted_when_the_options_say_so() {
    let gentle =
        |interval| [("force-lookup", "true"), ("lookup-compact", "gentle"), ("lookup-compact.max-interval", interval)];
    // Nothing asks for it until there are more runs than five.
    assert_eq!(flushed(&[], true).await, [1, 2, 3, 4, 5, 0, 1]);
    assert_eq!(flushed(&[("compaction.force-up-level-0", "true")], true).await, [0; 7]);
    // A commit waits for it.
    assert_eq!(flushed(&[("force-lookup", "true")], false).await, [0; 7]);
    assert_eq!(flushed(&[("force-lookup", "true"), ("lookup-wait", "false")], true).await, [0; 7]);
    assert_eq!(flushed(&gentle("5"), false).await, [1, 2, 3, 4, 0, 1, 2]);
    assert_eq!(flushed(&gentle("7"), false).await, [1, 2, 3, 4, 5, 0, 1]);
}

#[tokio::test]
async fn radical_and_gentle_lookups_tell_the_same_changes() {
    let mut told = Vec::new();
    for options in
        [&[("lookup-compact", "radical")][..], &[("lookup-compact", "gentle"), ("lookup-compact.max-interval", "6")]]
    {
        let mut all = vec![("changelog-producer", "lookup"), ("num-sorted-run.compaction-trigger", "6")];
        all.extend(options);
        let mut world = World::new(&all, Hands::at(NOON, 0)).await;
        let mut writer = world.table.stream_writer("w").await.unwrap();
        let mut committer = world.table.committer("w").unwrap();
        let mut waited = 0;
        for count in [40, 30, 20, 30, 10, 5] {
            let some = world.some(count);
            writer.write(&changes(world.table.schema(), &some)).await.unwrap();
            let messages = writer.prepare_commit().await.unwrap();
            committer
                .commit(world.commits, messages, CommitProperties::default())
                .await
                .unwrap()
                .snapshot_id()
                .unwrap();
            waited += usize::from(world.levels().await.contains(&0));
        }
        writer.abort().await.unwrap();
        world.compact().await;
        world.table.compact().full().run().await.unwrap();
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        let changes = changes_of(&world.table).await;
        told.push((waited, changes.len()));
        for (_, kind, row) in changes {
            let key = format!("{:?}", row[0]);
            match kind.is_retract() {
                true => assert_eq!(rows.remove(&key), Some(row)),
                false => assert_eq!(rows.insert(key, row), None),
            }
        }
        assert_eq!(as_set(rows.into_values()), as_set(world.rows.values().cloned()));
    }
    let [(radical, every), (gentle, some)] = told[..] else { panic!("{told:?}") };
    assert!(radical == 0 && gentle > 2, "{told:?}");
    // What waits together is told once.
    assert!(some < every, "{told:?}");
}

/// Six levels, and no number of runs or their sizes asks for anything.
const QUIET: [(&str, &str); 5] = [
    ("write-only", "true"),
    ("num-levels", "6"),
    ("num-sorted-run.compaction-trigger", "100"),
    ("compaction.size-ratio", "0"),
    ("compaction.max-size-amplification-percent", "1000000"),
];

fn quiet(options: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    QUIET.iter().chain(options).copied().collect()
}

#[tokio::test]
async fn a_bucket_is_compacted_fully_as_long_as_it_is_small() {
    for (threshold, small, large) in [("20 kb", [5].as_slice(), [0, 0, 5].as_slice()), ("1 b", &[0, 0], &[0, 0, 0])] {
        let mut world = World::new(&quiet(&[("compaction.total-size-threshold", threshold)]), Hands::at(NOON, 0)).await;
        world.commit(20).await;
        world.commit(20).await;
        world.compact().await;
        assert_eq!(world.levels().await, small, "{threshold}");
        if threshold == "1 b" {
            continue;
        }
        world.commit(9000).await;
        world.commit(20).await;
        world.compact().await;
        assert_eq!(world.levels().await, large, "{threshold}");
    }
}

#[tokio::test]
async fn a_bucket_is_compacted_fully_when_much_lies_above_its_highest_level() {
    let mut world = World::new(&quiet(&[("compaction.incremental-size-threshold", "20 kb")]), Hands::at(NOON, 0)).await;
    world.commit(9000).await;
    world.table.compact().full().run().await.unwrap();
    assert_eq!(world.levels().await, [5]);
    world.commit(20).await;
    world.commit(20).await;
    world.compact().await;
    assert_eq!(world.levels().await, [0, 0, 5]);
    world.commit(5000).await;
    world.compact().await;
    assert_eq!(world.levels().await, [5]);
}

#[tokio::test]
async fn a_bucket_is_compacted_fully_after_the_optimization_interval() {
    for zone in [0, 9, -8] {
        let mut world = World::new(&quiet(&[("compaction.optimization-interval", "1 h")]), Hands::at(NOON, zone)).await;
        world.commit(20).await;
        world.commit(20).await;
        // It never was.
        world.compact().await;
        assert_eq!(world.levels().await, [5]);
        for (minutes, levels) in
            [(10, [0, 5].as_slice()), (40, &[0, 0, 5]), (9, &[0, 0, 0, 5]), (2, &[5]), (30, &[0, 5])]
        {
            world.clock.pass(minutes * 60_000);
            world.commit(20).await;
            world.compact().await;
            assert_eq!(world.levels().await, levels, "{minutes} minutes later, zone {zone}");
        }
    }
}

#[tokio::test]
async fn quiet_hours_compact_what_is_less_alike() {
    let options = [
        ("num-sorted-run.compaction-trigger", "2"),
        ("compaction.offpeak.start.hour", "22"),
        ("compaction.offpeak.end.hour", "6"),
        ("compaction.offpeak-ratio", "3000"),
    ];
    // Hours of the day where the clock is, quiet over midnight.
    for (zone, hours, quiet_then) in [
        (0, 0, false),
        (0, 9, false),
        (0, 10, true),
        (0, 17, true),
        (0, 18, false),
        (9, 0, false),
        (9, 1, true),
        (-8, 1, true),
        (-8, 2, false),
    ] {
        let mut world = World::new(&quiet(&options), Hands::at(NOON + hours * HOUR, zone)).await;
        world.commit(3000).await;
        world.table.compact().full().run().await.unwrap();
        world.commit(400).await;
        world.compact().await;
        let wanted = if quiet_then { [5].as_slice() } else { &[0, 5] };
        assert_eq!(world.levels().await, wanted, "{hours} hours after noon in UTC, zone {zone}");
    }
}

async fn changes_of(table: &Table) -> Vec<(i64, RowKind, Row)> {
    let mut stream = table.changes().from(Start::Earliest).read().await.unwrap();
    let mut found = Vec::new();
    while let Some(change) = stream.next().await.unwrap() {
        for (at, row) in rows_of(table.schema(), change.rows.rows()).into_iter().enumerate() {
            found.push((change.snapshot_id, change.rows.kind(at), row));
        }
    }
    found
}

/// Two versions that differ in ignored columns alone are no change, although readers see the newer one.
#[tokio::test]
async fn rows_that_differ_in_ignored_columns_alone_are_not_told() {
    use RowKind::{Delete as D, Insert as I, UpdateAfter as A, UpdateBefore as B};
    let ignoring = [
        ("changelog-producer.row-deduplicate", "true"),
        ("changelog-producer.row-deduplicate-ignore-fields", "text,note"),
    ];
    let noted = |id, n, text: &str, note: &str| {
        let mut row = row(id, n, text);
        row[3] = Datum::String(note.to_string());
        row
    };
    let told = |deduplicates: usize| {
        let equal = [(B, row(1, 10, "a")), (A, row(1, 10, "a"))];
        let ignored = [(B, row(2, 20, "b")), (A, noted(2, 20, "B", "new"))];
        let changed = [(B, row(3, 30, "c")), (A, noted(3, 31, "c", "new"))];
        let second = match deduplicates {
            0 => [equal.to_vec(), ignored.to_vec(), changed.to_vec()].concat(),
            1 => [ignored.to_vec(), changed.to_vec()].concat(),
            _ => changed.to_vec(),
        };
        let first = vec![(I, row(1, 10, "a")), (I, row(2, 20, "b")), (I, row(3, 30, "c"))];
        // What was before is what the table held, told or not.
        let third = vec![(D, row(1, 10, "a")), (B, noted(2, 20, "B", "new")), (A, row(2, 21, "B"))];
        [first, second, third]
    };
    for producer in ["lookup", "full-compaction"] {
        for write_only in [false, true] {
            for deduplicates in 0..=2 {
                let what = format!("{producer}, write-only: {write_only}, options: {deduplicates}");
                let mut options = vec![("changelog-producer", producer)];
                options.extend(&ignoring[..deduplicates]);
                if write_only {
                    options.push(("write-only", "true"));
                }
                let mut world = World::new(&options, Hands::at(NOON, 0)).await;
                let commits = [
                    vec![(I, row(1, 10, "a")), (I, row(2, 20, "b")), (I, row(3, 30, "c"))],
                    vec![(A, row(1, 10, "a")), (A, noted(2, 20, "B", "new")), (A, noted(3, 31, "c", "new"))],
                    vec![(D, row(1, 10, "a")), (A, row(2, 21, "B"))],
                ];
                let mut of_commit = Vec::new();
                for (identifier, some) in (1..).zip(&commits) {
                    write(&world.table, identifier, some).await;
                    if write_only {
                        world.compact().await;
                    }
                    of_commit.push(world.table.history().snapshots.latest_id().await.unwrap().unwrap());
                    for (kind, row) in some {
                        let Datum::BigInt(id) = row[0] else { panic!("{row:?}") };
                        match kind.is_retract() {
                            true => drop(world.rows.remove(&id)),
                            false => drop(world.rows.insert(id, row.clone())),
                        }
                    }
                    // Readers see what followers are not told.
                    world.levels().await;
                }
                let found = changes_of(&world.table).await;
                for (at, wanted) in told(deduplicates).into_iter().enumerate() {
                    let from = if at == 0 { 0 } else { of_commit[at - 1] };
                    let some = found.iter().filter(|(id, ..)| (from + 1..=of_commit[at]).contains(id));
                    let some: Vec<_> = some.map(|(_, kind, row)| (*kind, row.clone())).collect();
                    assert_eq!(as_set(some), as_set(wanted), "{what}: commit {}", at + 1);
                }
            }
        }
    }
}
