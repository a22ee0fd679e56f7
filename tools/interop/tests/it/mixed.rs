//! Both engines write to one table by turns, and Java compacts in between.

use forebay_interop::{Engine, Model, Random, Server, Shape, TableSpec, Writer, create, seeds, write_once};

use crate::support::{check, place, random_compaction, server_compact, server_write};

async fn by_turns(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = TableSpec::random(&mut random, shape);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        match random.chance(50) {
            true => drop(create(&path, &spec).await),
            false => spec.create_by(&mut server, &path),
        }
        let mut kept = Writer::open(&path, "kept").await;
        let (mut newest, mut turns) = (0, Vec::new());
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 7)) {
            let compact = random_compaction(&mut random, &spec);
            let turn = random.below(5);
            turns.push(["fresh writer", "kept writer", "server writes", "server writes", "server compacts"][turn]);
            let snapshot = match turn {
                0 => write_once(&path, &format!("fresh-{identifier}"), identifier, &operations).await,
                1 => kept.commit(identifier, &operations).await,
                2 | 3 => server_write(&mut server, &path, &spec, identifier, &operations, compact),
                _ if newest == 0 => continue,
                _ => server_compact(&mut server, &path, random.chance(50)),
            };
            match turn {
                0..=3 => model.commit(&operations, newest + 1..=snapshot),
                _ => model.stand(newest + 1..=snapshot),
            }
            newest = snapshot;
            check(&format!("seed {seed}, after {turns:?}: {spec:?}"), model.view(), &mut server, &path).await;
        }
    }
}

#[tokio::test]
async fn commits_by_turns_with_java_2x_read_alike_after_each() {
    by_turns(Engine::Java2x, Shape::ALL, seeds(10)).await;
}

#[tokio::test]
async fn commits_by_turns_with_java_1x_read_alike_after_each() {
    by_turns(Engine::Java1x, Shape::JAVA_1X, seeds(5)).await;
}
