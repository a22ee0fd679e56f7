//! Snapshots and changelogs expire, by both engines on one table: what is kept reads alike, nothing is missing, and
//! Java's orphan clean finds nothing. Java accepts every state in the middle of an expiry of ours.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use forebay::io::{FaultPlan, FaultyStore, TableStore};
use forebay::{Env, Error, Table};
use forebay_interop::{Engine, Model, Random, Server, Shape, TableSpec, View, create, open, seeds, write_once};

use crate::care::orphans;
use crate::support::{agreed, place, server_compact, server_write};

/// Retentions: of snapshots only, and with changelogs that stay longer by number or by time.
const RETENTIONS: [&[(&str, &str)]; 4] = [
    &[],
    &[("changelog.num-retained.min", "4"), ("changelog.num-retained.max", "6"), ("changelog.time-retained", "10 d")],
    &[("changelog.num-retained.max", "5")],
    &[("changelog.time-retained", "1 d")],
];

fn spec(random: &mut Random, shape: Shape) -> TableSpec {
    let most = random.pick(&["1", "2", "3"]);
    let mut spec = expiring(TableSpec::random(random, shape.with_key()), most).option("write-only", "false");
    for (key, value) in RETENTIONS[random.below(RETENTIONS.len())] {
        spec = spec.option(key, value);
    }
    spec
}

/// A table whose commits expire all but so many snapshots.
pub fn expiring(spec: TableSpec, most: &str) -> TableSpec {
    spec.option("snapshot.num-retained.min", "1")
        .option("snapshot.num-retained.max", most)
        .option("snapshot.time-retained", "1 ms")
        // Compactions are asked for: a writer that compacts beside its commits has files that nobody names yet.
        .option("num-sorted-run.compaction-trigger", "1000")
        .option("num-sorted-run.stop-trigger", "2000")
}

/// What of a model's view is kept: rows of the snapshots, changes from the oldest changelog on.
async fn kept(path: &Path, all: &View) -> View {
    let snapshots = &open(path).await.history().snapshots.clone();
    let ids: BTreeSet<i64> = snapshots.ids().await.unwrap().into_iter().collect();
    let first = snapshots.changelog_ids().await.unwrap().into_iter().chain(ids.iter().copied()).min().unwrap();
    let mut part = all.clone();
    part.rows.retain(|snapshot, _| ids.contains(snapshot));
    part.changes.retain(|snapshot, _| *snapshot >= first);
    part
}

/// What was met while both engines worked on one table.
#[derive(Default)]
pub struct Met {
    pub changelogs: usize,
    pub expired_by_us: usize,
}

/// Both engines write, compact and expire a table by turns. After each turn both show what is kept, and nothing is left
/// over, as Java's orphan clean sees it.
pub async fn turns(
    server: &mut Server,
    random: &mut Random,
    spec: &TableSpec,
    path: &Path,
    commits: usize,
    met: &mut Met,
) {
    let (mut model, mut newest) = (Model::new(spec), 0);
    for (identifier, operations) in (1..).zip(spec.operations(random, commits)) {
        let what = format!("seed {}, commit {identifier}: {spec:?}", random.seed());
        // Both expire after their commits, as the table's options say.
        let snapshot = match random.chance(50) {
            true => write_once(path, &format!("fresh-{identifier}"), identifier, &operations).await,
            false => server_write(server, path, spec, identifier, &operations, "none"),
        };
        model.commit(&operations, newest + 1..=snapshot);
        newest = snapshot;
        if random.chance(40) {
            let snapshot = match random.chance(50) {
                true => {
                    open(path).await.compact().full().run().await.unwrap();
                    open(path).await.history().snapshots.latest_id().await.unwrap().unwrap()
                }
                false => server_compact(server, path, spec, random.chance(50)),
            };
            model.stand(newest + 1..=snapshot);
            newest = snapshot;
        }
        if random.chance(40) {
            let expire = open(path).await.maintain().expire_snapshots().unwrap();
            let report = expire.retain_max(random.between(1, 2)).run().await.unwrap();
            assert_eq!((report.failed, report.outside), (0, 0), "{what}: {report:?}");
            met.expired_by_us += report.snapshots.len();
        }
        assert_eq!(orphans(server, path), BTreeSet::new(), "{what}: orphans");
        let view = agreed(&what, server, path).await;
        assert_eq!(kept(path, model.view()).await, view, "{what}: what is kept");
        met.changelogs += open(path).await.history().snapshots.changelog_ids().await.unwrap().len();
    }
}

async fn by_turns(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let (mut server, mut met) = (Server::get(engine), Met::default());
    for seed in seeds {
        let mut random = Random::new(seed);
        let (spec, place) = (spec(&mut random, shape), place());
        let path = place.path().join("t");
        create(&path, &spec).await;
        turns(&mut server, &mut random, &spec, &path, 9, &mut met).await;
    }
    assert!(
        met.changelogs > 0 && met.expired_by_us > 0,
        "{} changelogs, {} snapshots",
        met.changelogs,
        met.expired_by_us
    );
}

#[tokio::test]
async fn java_2x_and_we_expire_by_turns() {
    by_turns(Engine::Java2x, Shape::ALL, seeds(8)).await;
}

#[tokio::test]
async fn java_1x_and_we_expire_by_turns() {
    by_turns(Engine::Java1x, Shape::JAVA_1X, seeds(5)).await;
}

/// An expiry of ours on a store that fails from an operation on.
async fn expire_until(path: &Path, crash: Option<u64>) -> (Result<u64, Error>, u64) {
    let env = Env::system();
    let mut faulty = None;
    let store = TableStore::local(path, &env).unwrap().wrapped(|inner| {
        let plan = crash.map_or_else(FaultPlan::none, |index| FaultPlan::none().crash(index, true));
        let wrapped = FaultyStore::new(inner, env.clone(), plan);
        faulty = Some(wrapped.clone());
        Arc::new(wrapped)
    });
    let table = Table::open_store(store).await;
    let done = match table {
        Ok(table) => {
            let expire = table.maintain().expire_snapshots().unwrap().retain_max(2);
            expire.run().await.map(|report| report.failed)
        }
        Err(error) => Err(error),
    };
    (done, faulty.unwrap().operations())
}

async fn accepted(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let mut spec = spec(&mut random, shape);
        spec.options.insert("write-only".to_string(), "true".to_string());
        for (key, value) in RETENTIONS[1] {
            spec = spec.option(key, value);
        }
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let mut newest = 0;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 7)) {
            let snapshot = write_once(&path, "ours", identifier, &operations).await;
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
            if identifier % 3 == 0 {
                let snapshot = server_compact(&mut server, &path, &spec, true);
                model.stand(newest + 1..=snapshot);
                newest = snapshot;
            }
        }
        let calm = place.path().join("calm");
        copy(&path, &calm);
        let (done, operations) = expire_until(&calm, None).await;
        assert_eq!(done.unwrap(), 0);
        for crash in (0..operations).filter(|crash| crash % 3 == seed % 3) {
            let what = format!("seed {seed}, crash at {crash} of {operations}: {spec:?}");
            let broken = place.path().join(format!("crash-{crash}"));
            copy(&path, &broken);
            drop(expire_until(&broken, Some(crash)).await);
            let view = agreed(&what, &mut server, &broken).await;
            assert_eq!(kept(&broken, model.view()).await, view, "{what}");
            let (done, _) = expire_until(&broken, None).await;
            assert_eq!(done.unwrap(), 0, "{what}");
            assert_eq!(orphans(&mut server, &broken), BTreeSet::new(), "{what}: orphans");
            std::fs::remove_dir_all(&broken).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[tokio::test]
async fn java_2x_accepts_every_state_of_an_expiry_that_died() {
    accepted(Engine::Java2x, Shape::ALL, seeds(2)).await;
}

#[tokio::test]
async fn java_1x_accepts_every_state_of_an_expiry_that_died() {
    accepted(Engine::Java1x, Shape::JAVA_1X, seeds(2)).await;
}
