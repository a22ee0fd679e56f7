//! Java compacts our files into levels, and we read the result at every snapshot.

use forebay_interop::{Engine, Model, Random, Server, Shape, TableSpec, create, seeds, write_once};

use crate::support::{check, place, server_compact};

async fn compact(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        // Small files, so that runs of many files, several levels and upgrades without a rewrite come about.
        let spec = TableSpec::random(&mut random, shape.with_key())
            .option("num-sorted-run.compaction-trigger", random.pick(&["2", "3", "5"]))
            .option("num-levels", random.pick(&["3", "4", "6"]))
            .option("target-file-size", random.pick(&["20 kb", "60 kb", "1 mb"]));
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let keys = random.pick(&[10, 60, 600]);
        let mut newest = 0;
        for (identifier, operations) in
            (1..).zip(spec.operations_on(&mut random, 8, keys, |random| random.pick(&[20, 300, 1500])))
        {
            let snapshot = write_once(&path, "ours", identifier, &operations).await;
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
            if random.chance(60) {
                let snapshot = server_compact(&mut server, &path, &spec, random.chance(30));
                model.stand(newest + 1..=snapshot);
                newest = snapshot;
            }
        }
        check(&format!("seed {seed}: {spec:?}"), model.view(), &mut server, &path).await;
    }
}

#[tokio::test]
async fn what_java_2x_compacted_of_ours_reads_the_same() {
    compact(Engine::Java2x, Shape::ALL, seeds(4)).await;
}

#[tokio::test]
async fn what_java_1x_compacted_of_ours_reads_the_same() {
    compact(Engine::Java1x, Shape::JAVA_1X, seeds(2)).await;
}
