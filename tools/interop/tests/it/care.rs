//! Java expires snapshots of our tables and cleans orphans from them: nothing live goes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use forebay_interop::{
    Engine, Model, Random, Server, Shape, TableSpec, View, Writer, create, files_below, open, seeds, write_once,
};
use serde_json::json;

use crate::support::{agreed, check, place, server_compact};

pub fn orphans(server: &mut Server, path: &Path) -> BTreeSet<PathBuf> {
    let answer = server.run("orphan_clean", path, json!({}));
    answer["files"].as_array().unwrap().iter().map(|file| PathBuf::from(file.as_str().unwrap())).collect()
}

fn set_of(path: &Path) -> BTreeSet<PathBuf> {
    files_below(path).into_iter().collect()
}

/// A writer that lives on may have compacted files that its next commit will name; until then they are orphans.
fn without_compaction(mut spec: TableSpec) -> TableSpec {
    spec.options.insert("write-only".to_string(), "true".to_string());
    spec
}

async fn clean(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = without_compaction(TableSpec::random(&mut random, shape));
        let what = format!("seed {seed}: {spec:?}");
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let mut writer = Writer::open(&path, "ours").await;
        let mut operations = spec.operations(&mut random, 5);
        operations.iter_mut().for_each(|commit| commit.truncate(20));
        for (identifier, operations) in (1..).zip(&operations) {
            let snapshot = writer.commit(identifier, operations).await;
            model.commit(operations, snapshot..=snapshot);
        }
        let before = set_of(&path);
        assert_eq!(orphans(&mut server, &path), BTreeSet::new(), "{what}: orphans after clean commits");
        assert_eq!(set_of(&path), before, "{what}: files after a clean that found nothing");
        check(&format!("{what}: cleaned"), model.view(), &mut server, &path).await;

        let some = spec.operations_on(&mut random, 1, 5, |_| 12).remove(0);
        Writer::open(&path, "left").await.leave_uncommitted(&some).await;
        let left: BTreeSet<PathBuf> = set_of(&path).difference(&before).cloned().collect();
        assert!(!left.is_empty(), "{what}: nothing was left behind");
        assert_eq!(orphans(&mut server, &path), left, "{what}: orphans after an aborted write");
        check(&format!("{what}: cleaned after an aborted write"), model.view(), &mut server, &path).await;
    }
}

#[tokio::test]
async fn java_2x_finds_no_orphans_but_those_of_aborted_writes() {
    clean(Engine::Java2x, Shape::ALL, seeds(5)).await;
}

#[tokio::test]
async fn java_1x_finds_no_orphans_but_those_of_aborted_writes() {
    clean(Engine::Java1x, Shape::JAVA_1X, seeds(3)).await;
}

/// Expiry deletes files that compactions replaced; what is kept reads as before, and we go on writing.
async fn expire(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = without_compaction(TableSpec::random(&mut random, shape));
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let mut kept = Writer::open(&path, "kept").await;
        let mut newest = 0;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 9)) {
            let what = format!("seed {seed}, commit {identifier}: {spec:?}");
            let snapshot = match random.chance(50) {
                true => kept.commit(identifier, &operations).await,
                false => write_once(&path, &format!("fresh-{identifier}"), identifier, &operations).await,
            };
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
            if random.chance(40) {
                let snapshot = server_compact(&mut server, &path, &spec, random.chance(50));
                model.stand(newest + 1..=snapshot);
                newest = snapshot;
            }
            if random.chance(50) {
                let keep = random.between(1, 3);
                server.run("expire", &path, json!({"retainMax": keep, "retainMin": 1, "timeRetainedMillis": 0}));
                assert_eq!(orphans(&mut server, &path), BTreeSet::new(), "{what}: orphans after expiry");
                let view = agreed(&what, &mut server, &path).await;
                let wanted = of_kept(model.view(), &view);
                assert!(wanted.rows.len() as i64 <= keep, "{what}: {} snapshots are left", wanted.rows.len());
                assert_eq!(wanted, view, "{what}: what is left");
            }
        }
        let view = View::ours(&open(&path).await).await;
        assert_eq!(of_kept(model.view(), &view), view, "seed {seed}: at the end: {spec:?}");
    }
}

/// The part of a view that another one still has.
fn of_kept(all: &View, kept: &View) -> View {
    let mut part = all.clone();
    part.rows.retain(|snapshot, _| kept.rows.contains_key(snapshot));
    part.changes.retain(|snapshot, _| kept.rows.contains_key(snapshot));
    part
}

#[tokio::test]
async fn what_java_2x_leaves_after_expiry_reads_the_same() {
    expire(Engine::Java2x, Shape::ALL, seeds(5)).await;
}

#[tokio::test]
async fn what_java_1x_leaves_after_expiry_reads_the_same() {
    expire(Engine::Java1x, Shape::JAVA_1X, seeds(3)).await;
}
