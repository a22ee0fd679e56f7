//! Buckets that fit the data: Java continues on our dynamic buckets and we on Java's, and on what we rescaled.

use forebay_interop::{Engine, Model, Random, Server, Shape, TableSpec, create, open, seeds, write_once};

use crate::support::{check, place, server_compact, server_write};

fn keyed(random: &mut Random, options: &[(&str, &str)]) -> Option<TableSpec> {
    let mut spec = TableSpec::random(random, Shape::ALL.with_key());
    for name in ["bucket", "bucket-key", "bucket-function.type"] {
        spec.options.remove(name);
    }
    for (name, value) in options {
        spec = spec.option(name, value);
    }
    // Otherwise keys would move between partitions.
    spec.partition_by.iter().all(|column| spec.primary_key.contains(column)).then_some(spec)
}

#[tokio::test]
async fn dynamic_buckets_are_continued_by_turns_with_java() {
    let mut server = Server::get(Engine::Java2x);
    let mut tried = 0;
    for seed in seeds(12) {
        let mut random = Random::new(seed);
        let options = [("bucket", "-1"), ("dynamic-bucket.target-row-num", "3")];
        let Some(spec) = keyed(&mut random, &options) else { continue };
        tried += 1;
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        match random.chance(50) {
            true => drop(create(&path, &spec).await),
            false => spec.create_by(&mut server, &path),
        }
        let (mut newest, mut turns) = (0, Vec::new());
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let ours = random.chance(50);
            turns.push(if ours { "we" } else { "java" });
            let snapshot = match ours {
                true => write_once(&path, &format!("fresh-{identifier}"), identifier, &operations).await,
                false => {
                    let compact = random.pick(&["none", "full"]);
                    server_write(&mut server, &path, &spec, identifier, &operations, compact)
                }
            };
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
            check(&format!("seed {seed}, after {turns:?}: {spec:?}"), model.view(), &mut server, &path).await;
        }
    }
    assert!(tried > 0, "no seed gave a table whose key holds its partition columns");
}

#[tokio::test]
async fn java_goes_on_with_what_we_rescaled() {
    let mut server = Server::get(Engine::Java2x);
    for seed in seeds(6) {
        let mut random = Random::new(seed);
        let Some(spec) = keyed(&mut random, &[("bucket", "2")]) else { continue };
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut server, &path);
        let mut newest = 0;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let snapshot = match identifier % 2 {
                0 => write_once(&path, &format!("fresh-{identifier}"), identifier, &operations).await,
                _ => server_write(&mut server, &path, &spec, identifier, &operations, "none"),
            };
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
            if identifier == 3 {
                open(&path).await.rescale(5).run().await.unwrap();
                let now = open(&path).await.history().snapshots.latest_id().await.unwrap().unwrap();
                model.stand(newest + 1..=now);
                newest = now;
            }
            check(&format!("seed {seed}, commit {identifier}: {spec:?}"), model.view(), &mut server, &path).await;
        }
        let compacted = server_compact(&mut server, &path, &spec, true);
        model.stand(newest + 1..=compacted);
        check(&format!("seed {seed}, compacted: {spec:?}"), model.view(), &mut server, &path).await;
    }
}
