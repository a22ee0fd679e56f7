//! Many processes commit to one table on the local disk: every acknowledged commit is in the chain, once.
//!
//! The test runs itself: each child is this binary with one ignored test. More of it:
//! `FOREBAY_RACE_PROCESSES=8 FOREBAY_RACE_COMMITS=1000 FOREBAY_RACE_KILL=20 cargo test --release --test commit_race`.
//! `FOREBAY_RACE_LOCATION=s3://bucket/key` with the `AWS_*` environment races on a bucket.
#![allow(clippy::unwrap_used, clippy::panic)] // a test: its helpers are outside of `#[test]` functions

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use forebay::Env;
use forebay::Table;
use forebay::commit::{CommitOutcome, CommitProperties, Committer};
use forebay::format::{BinaryRow, CommitMessage, DataFileMeta, FileSource, SimpleStats};
use forebay::history::{FileFilter, History};
use forebay::io::{TableStore, open_location};
use forebay::schema::{Schema, TableOptions};
use forebay::types::DataType;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn file(name: String) -> DataFileMeta {
    DataFileMeta {
        file_name: name,
        file_size: 1,
        row_count: 1,
        min_key: BinaryRow::empty(),
        max_key: BinaryRow::empty(),
        key_stats: SimpleStats::empty(),
        value_stats: SimpleStats::empty(),
        min_sequence_number: 0,
        max_sequence_number: 0,
        schema_id: 0,
        level: 0,
        extra_files: vec![],
        creation_time: Some(0),
        delete_row_count: Some(0),
        embedded_file_index: None,
        file_source: Some(FileSource::Append),
        value_stats_cols: Some(vec![]),
        external_path: None,
        first_row_id: None,
        write_cols: None,
        write_cols_sequences: None,
    }
}

fn message(name: String) -> CommitMessage {
    CommitMessage { new_files: vec![file(name)], ..CommitMessage::new(BinaryRow::empty(), 0, -1) }
}

fn schema() -> Schema {
    let builder = Schema::builder().column("id", DataType::BIGINT);
    builder.option("commit.max-retries", "100000").option("commit.max-retry-wait", "50 ms").build().unwrap()
}

fn open(table: &str) -> TableStore {
    open_location(table, &BTreeMap::new(), &Env::system()).unwrap()
}

async fn commit_all(table: &str, user: &str, commits: i64) {
    let store = open(table);
    let schema = schema();
    let options = TableOptions::parse(&schema).unwrap();
    let mut committer = Committer::new(History::new(store), &schema, &options, user).unwrap();
    let identifiers: Vec<i64> = (0..commits).collect();
    for identifier in committer.filter_committed(&identifiers).await.unwrap() {
        let messages = vec![message(format!("data-{user}-{identifier}"))];
        match committer.commit(identifier, messages, CommitProperties::default()).await.unwrap() {
            CommitOutcome::Committed { snapshot_id, .. } => println!("acknowledged {user} {identifier} {snapshot_id}"),
            other => panic!("{user} {identifier}: {other:?}"),
        }
    }
}

/// Not a test of its own: one process of the race.
#[test]
#[ignore = "a child of the race"]
fn one_process_of_the_race() {
    let Ok(table) = std::env::var("FOREBAY_RACE_TABLE") else { return };
    let user = std::env::var("FOREBAY_RACE_USER").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(commit_all(&table, &user, number("FOREBAY_RACE_COMMITS", 1) as i64));
}

fn spawn(table: &str, user: &str, commits: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_process_of_the_race", "--ignored", "--nocapture"])
        .env("FOREBAY_RACE_TABLE", table)
        .env("FOREBAY_RACE_USER", user)
        .env("FOREBAY_RACE_COMMITS", commits.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs one user's process to its end, killing it a few times where that is asked for. Answers its acknowledgements.
fn run(table: &str, user: &str, commits: u64, kills: u64) -> String {
    let env = Env::system();
    let mut output = String::new();
    for _ in 0..kills {
        let mut child = spawn(table, user, commits);
        std::thread::sleep(std::time::Duration::from_millis(20 + env.random_u64() % 400));
        let _ = child.kill();
        output += &String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    }
    let done = spawn(table, user, commits).wait_with_output().unwrap();
    output += &String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{user}: {output}");
    output
}

async fn check(table: &str, processes: u64, commits: u64, kills: u64, output: &str) {
    let history = History::new(open(table));
    let ids = history.snapshots.ids().await.unwrap();
    assert_eq!(ids, (1..=(processes * commits) as i64).collect::<Vec<_>>());
    let mut chain = BTreeMap::new();
    for id in ids {
        let snapshot = history.snapshots.load(id).await.unwrap();
        assert_eq!(snapshot.total_record_count, Some(id));
        assert!(chain.insert((snapshot.commit_user, snapshot.commit_identifier), id).is_none(), "committed twice");
    }
    let mut acknowledged = 0;
    for line in output.lines() {
        // The test harness prints the test's name on the same line first.
        let Some((_, line)) = line.split_once("acknowledged ") else { continue };
        let words: Vec<&str> = line.split(' ').collect();
        let [user, identifier, snapshot] = words[..] else { continue };
        let key = (user.to_string(), identifier.parse().unwrap());
        assert_eq!(chain.get(&key).map(ToString::to_string).as_deref(), Some(snapshot), "{line} is lost");
        acknowledged += 1;
    }
    assert!(acknowledged > 0);
    let latest = history.snapshots.latest().await.unwrap().unwrap();
    let live = history.manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
    assert_eq!(live.len() as u64, processes * commits);
    let left = history.store.list("snapshot").await.unwrap();
    assert!(kills > 0 || left.iter().all(|file| !file.name.ends_with(".tmp")), "{left:?}");
}

fn race(processes: u64, commits: u64, kills: u64) {
    let directory = tempfile::tempdir().unwrap();
    let root = std::env::var("FOREBAY_RACE_LOCATION").unwrap_or(directory.path().to_str().unwrap().to_string());
    let table = format!("{root}/{}", Env::system().uuid());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Table::create_store(open(&table), schema())).unwrap();
    let output = std::thread::scope(|scope| {
        let users: Vec<_> = (0..processes)
            .map(|process| {
                let table = &table;
                scope.spawn(move || run(table, &format!("user-{process}"), commits, kills))
            })
            .collect();
        users.into_iter().map(|user| user.join().unwrap()).collect::<String>()
    });
    runtime.block_on(check(&table, processes, commits, kills, &output));
}

#[test]
fn processes_that_race_lose_nothing_and_double_nothing() {
    race(number("FOREBAY_RACE_PROCESSES", 4), number("FOREBAY_RACE_COMMITS", 12), 0);
}

#[test]
fn killed_processes_go_on_where_they_were() {
    let kills = number("FOREBAY_RACE_KILL", 2);
    race(number("FOREBAY_RACE_PROCESSES", 3), number("FOREBAY_RACE_COMMITS", 12), kills);
}

/// Figures, not a check: `cargo test --release --test commit_race -- --ignored --nocapture figures`.
#[test]
#[ignore = "prints figures"]
fn figures_of_small_commits_and_of_plans() {
    let directory = tempfile::tempdir_in(std::env::var("FOREBAY_RACE_DIR").unwrap_or("target".into())).unwrap();
    let env = Env::system();
    let store = TableStore::local(directory.path(), &env).unwrap();
    let schema = schema();
    let options = TableOptions::parse(&schema).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        Table::create_store(store.clone(), schema.clone()).await.unwrap();
        let mut committer = Committer::new(History::new(store.clone()), &schema, &options, "figures").unwrap();
        let commits = number("FOREBAY_RACE_COMMITS", 1000) as i64;
        let mut times = Vec::new();
        for identifier in 0..commits {
            let began = env.monotonic();
            let messages = vec![message(format!("data-{identifier}"))];
            committer.commit(identifier, messages, CommitProperties::default()).await.unwrap();
            times.push((env.monotonic() - began).as_micros());
            if times.len() == 200 {
                times.sort_unstable();
                println!("commits to {identifier:>6}: p50 {:>6} us, p99 {:>6} us", times[100], times[198]);
                times.clear();
            }
        }
        let messages =
            (0..10_000).map(|bucket| CommitMessage { bucket, ..message(format!("wide-{bucket}")) }).collect();
        let began = env.monotonic();
        committer.commit(commits, messages, CommitProperties::default()).await.unwrap();
        println!("commit of 10000 files: {:?}", env.monotonic() - began);
        let history = History::new(store);
        for round in 0..4 {
            let began = env.monotonic();
            let latest = history.snapshots.latest().await.unwrap().unwrap();
            let live = history.manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
            println!("plan of {} files, round {round}: {:?}", live.len(), env.monotonic() - began);
        }
    });
}
