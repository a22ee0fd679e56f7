//! kill -9: real processes die at random moments and are started again until their work is done.
//!
//! The test runs itself: each child is this binary with one ignored test. More of it: `FOREBAY_KILL_ROUNDS=50`,
//! `FOREBAY_KILL_COMMITS=200`.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forebay::Table;
use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::format::CommitKind;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};

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
        let mut child = spawn(location, keyed);
        // Later lives are longer, so that every machine comes to the end.
        std::thread::sleep(Duration::from_millis(5 + random.below(150 + kills * 20)));
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
        if let Some(status) = ended {
            assert!(status.success(), "the process failed after {kills} kills");
            return (acknowledged, kills);
        }
    }
    unreachable!()
}

async fn check(location: &str, keyed: bool, acknowledged: &BTreeMap<i64, i64>) {
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
    let all = || (1..=commits()).flat_map(|id| changes_of(id, keyed).into_iter().map(move |change| (id, change)));
    let found = as_set(read_at(&table, At::Latest).await.unwrap());
    let wanted = if keyed {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for (_, (kind, row)) in all() {
            let key = format!("{:?}", &row[..2]);
            if kind.is_retract() {
                rows.remove(&key)
            } else {
                rows.insert(key, row)
            };
        }
        as_set(rows.into_values())
    } else {
        as_set(all().map(|(_, (_, row))| row))
    };
    assert_eq!(found, wanted);
    let changes = as_set(read_changes(&table).await.unwrap());
    assert_eq!(changes, as_set(all().map(|(id, (kind, row))| (appends[&id], kind, row))), "each change once");
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
