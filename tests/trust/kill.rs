//! kill -9: real processes die at random moments and are started again until their work is done.
//!
//! The test runs itself: each child is this binary with one ignored test. More of it: `FOREBAY_KILL_ROUNDS=50`,
//! `FOREBAY_KILL_COMMITS=200`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use forebay::Table;
use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::format::CommitKind;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};

use crate::compaction::check_changelog;
use crate::expiry::referenced;
use crate::support::{Changes, Random, Row, as_set, batch, block_on, each_seed, number, read_at, read_changes};

fn commits() -> i64 {
    number("FOREBAY_KILL_COMMITS", 25) as i64
}

fn schema(keyed: bool) -> Schema {
    let mut builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("day", DataType::INT.not_null())
        .column("v", DataType::STRING)
        .partition_by(["day"]);
    if keyed {
        builder = builder.primary_key(["id", "day"]).option("bucket", "2").option("changelog-producer", "input");
    }
    builder.build().unwrap()
}

/// What the source sends between two checkpoints: always the same.
fn changes_of(identifier: i64, keyed: bool) -> Changes {
    let change = |n: i64| {
        let kind = if keyed && (n + identifier) % 5 == 0 { RowKind::Delete } else { RowKind::Insert };
        let row = vec![
            Datum::BigInt((identifier * 31 + n) % 97),
            Datum::Int((n % 2) as i32),
            Datum::String(format!("{identifier}/{n}")),
        ];
        (kind, row)
    };
    (0..40).map(change).collect()
}

async fn work(location: &str, keyed: bool) {
    let table = Table::open(location, []).await.unwrap();
    let mut committer = table.committer("sink").unwrap();
    let open = committer.filter_committed(&(1..=commits()).collect::<Vec<_>>()).await.unwrap();
    let mut writer = table.stream_writer("sink").await.unwrap();
    for identifier in open {
        writer.write(&batch(table.schema(), &changes_of(identifier, keyed))).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        match committer.commit(identifier, messages, CommitProperties::default()).await.unwrap() {
            CommitOutcome::Committed { snapshot_id, .. } => println!("acknowledged {identifier} {snapshot_id}"),
            other => panic!("{other:?}"),
        }
    }
}

/// Not a test of its own: one life of the process that is killed.
#[test]
#[ignore = "a child of the kill test"]
fn one_process_that_is_killed() {
    let Ok(location) = std::env::var("FOREBAY_KILL_TABLE") else { return };
    block_on(work(&location, std::env::var("FOREBAY_KILL_KEYED").is_ok()));
}

fn spawn(location: &str, keyed: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kill::one_process_that_is_killed", "--ignored", "--nocapture"]);
    command.env("FOREBAY_KILL_TABLE", location).stdout(Stdio::piped());
    if keyed {
        command.env("FOREBAY_KILL_KEYED", "1");
    }
    command.spawn().unwrap()
}

/// Starts and kills until the work is done. Answers what was acknowledged, and the number of kills.
fn run(location: &str, keyed: bool, random: &mut Random) -> (BTreeMap<i64, i64>, u64) {
    let mut acknowledged = BTreeMap::new();
    for kills in 0.. {
        let child = spawn(location, keyed);
        // Later lives are longer, so that every machine comes to the end.
        std::thread::sleep(Duration::from_millis(5 + random.below(150 + kills * 20)));
        if let Some(status) = end(child, &mut acknowledged) {
            assert!(status.success(), "the process failed after {kills} kills");
            return (acknowledged, kills);
        }
    }
    unreachable!()
}

/// Kills a writer, unless it has ended by itself: then that is the answer.
fn end(mut child: Child, acknowledged: &mut BTreeMap<i64, i64>) -> Option<ExitStatus> {
    let ended = child.try_wait().unwrap();
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        // The test harness prints the test's name on the same line first.
        let Some((_, words)) = line.split_once("acknowledged ") else { continue };
        let Some((identifier, snapshot)) = words.split_once(' ') else { continue };
        let before = acknowledged.insert(identifier.parse().unwrap(), snapshot.parse().unwrap());
        assert_eq!(before, None, "{identifier} was acknowledged twice");
    }
    ended
}

/// The rows are those of all commits, each of which is there once. Answers the snapshot of each.
async fn check_rows(location: &str, keyed: bool, acknowledged: &BTreeMap<i64, i64>) -> BTreeMap<i64, i64> {
    let table = Table::open(location, []).await.unwrap();
    let history = table.history();
    let (mut appends, mut of_snapshot) = (BTreeMap::new(), BTreeMap::new());
    for id in history.snapshots.ids().await.unwrap() {
        let snapshot = history.snapshots.load(id).await.unwrap();
        of_snapshot.insert(id, snapshot.commit_identifier);
        match snapshot.commit_kind {
            CommitKind::Append => assert_eq!(appends.insert(snapshot.commit_identifier, id), None, "committed twice"),
            kind => assert_eq!(kind, CommitKind::Compact),
        }
    }
    assert!(appends.keys().copied().eq(1..=commits()), "{appends:?}");
    for (identifier, snapshot) in acknowledged {
        assert_eq!(of_snapshot.get(snapshot), Some(identifier), "acknowledged in a snapshot that is not its own");
    }
    let found = as_set(read_at(&table, At::Latest).await.unwrap());
    let wanted = if keyed {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for (_, (kind, row)) in all_changes(keyed) {
            let key = format!("{:?}", &row[..2]);
            if kind.is_retract() {
                rows.remove(&key)
            } else {
                rows.insert(key, row)
            };
        }
        as_set(rows.into_values())
    } else {
        as_set(all_changes(keyed).map(|(_, (_, row))| row))
    };
    assert_eq!(found, wanted);
    appends
}

fn all_changes(keyed: bool) -> impl Iterator<Item = (i64, (RowKind, Row))> {
    (1..=commits()).flat_map(move |id| changes_of(id, keyed).into_iter().map(move |change| (id, change)))
}

async fn check(location: &str, keyed: bool, acknowledged: &BTreeMap<i64, i64>) {
    let appends = check_rows(location, keyed, acknowledged).await;
    let table = Table::open(location, []).await.unwrap();
    let changes = as_set(read_changes(&table).await.unwrap());
    let wanted = all_changes(keyed).map(|(id, (kind, row))| (appends[&id], kind, row));
    assert_eq!(changes, as_set(wanted), "each change once");
}

fn rounds(name: &str, keyed: bool) {
    let mut total = 0;
    each_seed(name, number("FOREBAY_KILL_ROUNDS", 2), |seed| {
        let directory = tempfile::tempdir().unwrap();
        let location = directory.path().join("t").to_str().unwrap().to_string();
        block_on(Table::create(&location, schema(keyed), [])).unwrap();
        let (acknowledged, kills) = run(&location, keyed, &mut Random(seed));
        println!("{kills} kills, {} of {} commits acknowledged", acknowledged.len(), commits());
        block_on(check(&location, keyed, &acknowledged));
        total += kills;
    });
    assert!(total > 0, "nobody was killed");
}

#[test]
fn a_killed_upsert_job_ends_with_every_change_once() {
    rounds("a_killed_upsert_job", true);
}

#[test]
fn a_killed_append_job_ends_with_every_row_once() {
    rounds("a_killed_append_job", false);
}

/// Compacts until it is killed.
async fn compact(location: &str) {
    for turn in 0.. {
        let table = Table::open(location, []).await.unwrap();
        let compaction = if turn % 4 == 3 { table.compact().full() } else { table.compact() };
        compaction.run().await.unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Not a test of its own: one life of the compactor that is killed.
#[test]
#[ignore = "a child of the kill test"]
fn one_compactor_that_is_killed() {
    let Ok(location) = std::env::var("FOREBAY_KILL_TABLE") else { return };
    block_on(compact(&location));
}

/// A compactor that is killed when this value goes.
struct Beside(Child);

impl Beside {
    fn new(location: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "kill::one_compactor_that_is_killed", "--ignored", "--nocapture"]);
        Self(command.env("FOREBAY_KILL_TABLE", location).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts and kills a writer and a compactor until the writer's work is done. Answers what was acknowledged, and how often
/// each was killed.
fn run_both(location: &str, random: &mut Random) -> (BTreeMap<i64, i64>, u64, u64) {
    let (mut acknowledged, mut compactor_kills) = (BTreeMap::new(), 0);
    let mut compactor = Beside::new(location);
    let mut compactor_left = 200;
    for writer_kills in 0.. {
        let mut child = spawn(location, true);
        let mut left = 20 + random.below(300 + writer_kills * 40);
        while left > 0 && child.try_wait().unwrap().is_none() {
            let nap = (5 + random.below(120)).min(left);
            std::thread::sleep(Duration::from_millis(nap));
            left -= nap;
            if let Some(status) = compactor.0.try_wait().unwrap() {
                panic!("the compactor ended with {status} after {compactor_kills} kills");
            }
            if compactor_left < nap {
                compactor = Beside::new(location);
                compactor_kills += 1;
                // Later lives are longer here, too.
                compactor_left = 50 + random.below(300 + compactor_kills * 100);
            }
            compactor_left = compactor_left.saturating_sub(nap);
        }
        if let Some(status) = end(child, &mut acknowledged) {
            assert!(status.success(), "the writer failed after {writer_kills} kills");
            return (acknowledged, writer_kills, compactor_kills);
        }
    }
    unreachable!()
}

/// Files that nothing names. Each lies where cleaners of orphan files look, and whatever is named is there.
async fn orphans(location: &str) -> BTreeSet<String> {
    let table = Table::open(location, []).await.unwrap();
    let named = referenced(&table).await;
    let there: BTreeSet<String> =
        table.store().list_recursive("").await.unwrap().into_iter().map(|file| file.name).collect();
    let missing: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty(), "something names {missing:?}");
    let pointer = |path: &str| {
        let name = path.rsplit('/').next().unwrap();
        !name.ends_with(".tmp") && ["snapshot/", "schema/"].iter().any(|of| path.starts_with(of))
    };
    let over: BTreeSet<String> = there.difference(&named).filter(|path| !pointer(path)).cloned().collect();
    let cleaned = |path: &&String| path.contains("/bucket-") || path.starts_with("manifest/") || path.ends_with(".tmp");
    let strange: Vec<_> = over.iter().filter(|path| !cleaned(path)).collect();
    assert!(strange.is_empty(), "no cleaner takes {strange:?}");
    over
}

/// Compactions that the job beside the writer has committed.
async fn compactions(location: &str) -> usize {
    let history = Table::open(location, []).await.unwrap().history().clone();
    let mut found = 0;
    for id in history.snapshots.ids().await.unwrap() {
        let snapshot = history.snapshots.load(id).await.unwrap();
        found += usize::from(snapshot.commit_kind == CommitKind::Compact && snapshot.commit_user != "sink");
    }
    found
}

/// What a process leaves behind that is killed in the middle of one commit: a data file and a changelog file in each of the
/// four buckets, and manifests with their lists, each perhaps under its temporary name.
const LEFT_BY_ONE: usize = 20;

/// The rows and the changelog are those of the oracle, and only the killed left files behind.
async fn check_both(location: &str, acknowledged: &BTreeMap<i64, i64>, kills: u64) {
    check_rows(location, true, acknowledged).await;
    let table = Table::open(location, []).await.unwrap();
    table.compact().full().run().await.unwrap();
    assert!(check_changelog(&table, "killed").await > 0);
    check_rows(location, true, acknowledged).await;
    let left = orphans(location).await;
    println!("{} orphans of {kills} kills", left.len());
    assert!(left.len() as u64 <= kills * LEFT_BY_ONE as u64, "{kills} kills left {left:#?}");
    // Nobody was killed since.
    let mut writer = table.stream_writer("later").await.unwrap();
    writer.write(&batch(table.schema(), &changes_of(1000, true))).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    let mut committer = table.committer("later").unwrap();
    committer.commit(1, messages, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
    table.compact().full().run().await.unwrap();
    assert_eq!(orphans(location).await, left, "who is not killed leaves nothing behind");
}

#[test]
fn a_killed_compactor_beside_a_killed_writer_leaves_rows_and_changelog_true() {
    let (mut writer_kills, mut compactor_kills, mut compacted) = (0, 0, 0);
    each_seed("a_killed_compactor", number("FOREBAY_KILL_ROUNDS", 2), |seed| {
        let directory = tempfile::tempdir().unwrap();
        let location = directory.path().join("t").to_str().unwrap().to_string();
        let producer = ["lookup", "full-compaction"][seed as usize % 2];
        let mut schema = schema(true);
        let options =
            [("changelog-producer", producer), ("write-only", "true"), ("num-sorted-run.compaction-trigger", "3")];
        schema.options.extend(options.map(|(name, value)| (name.to_string(), value.to_string())));
        block_on(Table::create(&location, schema, [])).unwrap();
        let (acknowledged, writer, compactor) = run_both(&location, &mut Random(seed));
        let done = block_on(compactions(&location));
        println!(
            "{producer}: the writer was killed {writer} times, the compactor {compactor} times, {done} compactions"
        );
        block_on(check_both(&location, &acknowledged, writer + compactor));
        (writer_kills, compactor_kills, compacted) =
            (writer_kills + writer, compactor_kills + compactor, compacted + done);
    });
    assert!(writer_kills > 0 && compactor_kills > 2 && compacted > 2, "nobody was killed, or nothing compacted");
}
