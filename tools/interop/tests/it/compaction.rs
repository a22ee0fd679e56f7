//! Java compacts our files into levels, and we read the result at every snapshot.

use std::sync::Arc;

use forebay::compact::CompactProgress;
use forebay_interop::{Engine, Model, Random, Server, Shape, TableSpec, create, open, seeds, write_once};

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

/// Files of Java and of ourselves with many row groups, of which our compactions copy those that nothing touched.
async fn copies(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    let (mut of_ours, mut of_java, mut tables) = (0, 0, 0);
    for seed in seeds {
        tables += 1;
        let mut random = Random::new(seed);
        let spec = TableSpec::random(&mut random, shape.with_key())
            .option("bucket", "1")
            .option("write-only", "true")
            .option("parquet.block.size", "20000")
            .option("parquet.page.size", "4000")
            .option("read.batch-size", "64");
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let rows = |random: &mut Random| random.pick(&[1, 2]);
        let mut commits = spec.operations_on(&mut random, 1, 2000, |_| 2500);
        commits.extend(spec.operations_on(&mut random, 1, 2000, |_| 2500));
        commits.extend(spec.operations_on(&mut random, 6, 2000, rows));
        let (mut newest, mut java_wrote) = (0, false);
        for (at, operations) in commits.iter().enumerate() {
            let snapshot = write_once(&path, "ours", at as i64 + 1, operations).await;
            model.commit(operations, newest + 1..=snapshot);
            newest = snapshot;
            if at == 0 {
                continue;
            }
            let by_java = at == 1 && seed.is_multiple_of(2) || at == 5;
            if by_java {
                newest = server_compact(&mut server, &path, &spec, true);
                model.stand(snapshot + 1..=newest);
            } else {
                let progress = Arc::new(CompactProgress::default());
                let compaction = open(&path).await.compact().full().threads(1).progress(Arc::clone(&progress));
                newest = compaction.run().await.unwrap().snapshots.last().copied().unwrap_or(snapshot);
                model.stand(snapshot + 1..=newest);
                *(if java_wrote { &mut of_java } else { &mut of_ours }) += progress.copied_rows();
            }
            java_wrote = by_java;
        }
        check(&format!("seed {seed}: {spec:?}"), model.view(), &mut server, &path).await;
    }
    // A seed that is replayed alone has one kind of them.
    assert!(
        tables == 1 || (of_ours > 0 && of_java > 0),
        "{of_ours} rows of our files and {of_java} of Java's were copied"
    );
}

#[tokio::test]
async fn row_groups_that_were_copied_read_the_same_in_java_2x() {
    copies(Engine::Java2x, Shape::ALL, seeds(6)).await;
}

#[tokio::test]
async fn row_groups_that_were_copied_read_the_same_in_java_1x() {
    copies(Engine::Java1x, Shape::JAVA_1X, seeds(4)).await;
}
