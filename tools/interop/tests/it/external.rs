//! Files outside of the table: written, compacted and expired by both engines by turns, found by both, and none left over.

use std::path::Path;

use forebay_interop::{Engine, Op, Random, Server, Shape, TableSpec, create, open, rows_at, seeds, write_once};

use forebay::predicate::parse;
use forebay::types::Datum;

use crate::retention::{Met, expiring, turns};
use crate::support::{agreed, place, server_compact, server_write};

const STRATEGIES: [&[(&str, &str)]; 4] = [
    &[("strategy", "round-robin")],
    &[("strategy", "specific-fs"), ("specific-fs", "file")],
    &[("strategy", "weight-robin"), ("weights", "3,1")],
    // Named, and not used.
    &[("strategy", "none")],
];

fn outside(spec: TableSpec, place: &Path, options: &[(&str, &str)]) -> TableSpec {
    let at = |name: &str| place.join(name).display().to_string();
    // Without a blank: Java's orphan clean does not pass over it, as its writers do.
    let spec = spec.option("data-file.external-paths", &format!("file:{},file://{}/", at("a"), at("b")));
    options.iter().fold(spec, |spec, (name, value)| spec.option(&format!("data-file.external-paths.{name}"), value))
}

fn data_files(below: &Path) -> usize {
    let mut found = 0;
    for entry in std::fs::read_dir(below).into_iter().flatten() {
        let path = entry.unwrap().path();
        let in_bucket = below.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("bucket-"));
        found += if path.is_dir() { data_files(&path) } else { usize::from(in_bucket) };
    }
    found
}

async fn by_turns(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let (mut server, mut met) = (Server::get(engine), Met::default());
    for seed in seeds {
        let mut random = Random::new(seed);
        let place = place();
        let strategy = STRATEGIES[seed as usize % STRATEGIES.len()];
        let spec = expiring(outside(TableSpec::random(&mut random, shape), place.path(), strategy), "3");
        let path = place.path().join("t");
        match random.chance(50) {
            true => drop(create(&path, &spec).await),
            false => spec.create_by(&mut server, &path),
        }
        // Java's orphan clean looks into the roots too.
        turns(&mut server, &mut random, &spec, &path, 7, &mut met).await;
        let (inside, beside) =
            (data_files(&path), data_files(&place.path().join("a")) + data_files(&place.path().join("b")));
        match strategy[0].1 {
            "none" => assert!(inside > 0 && beside == 0, "seed {seed}: {inside} inside, {beside} outside"),
            _ => assert!(inside == 0 && beside > 0, "seed {seed}: {inside} inside, {beside} outside"),
        }
    }
    assert!(met.expired_by_us > 0);
}

#[tokio::test]
async fn java_2x_and_we_write_outside_by_turns() {
    by_turns(Engine::Java2x, Shape::ALL, seeds(8)).await;
}

#[tokio::test]
async fn java_1x_and_we_write_outside_by_turns() {
    by_turns(Engine::Java1x, Shape::JAVA_1X, seeds(4)).await;
}

#[tokio::test]
async fn deletion_vectors_outside_are_read_by_each_other() {
    for engine in [Engine::Java1x, Engine::Java2x] {
        let mut server = Server::get(engine);
        let what = engine.name();
        // An append table: we mask rows.
        let place = place();
        let path = place.path().join("t");
        let plain = TableSpec::of(&["k INT", "v STRING"])
            .option("bucket", "-1")
            .option("deletion-vectors.enabled", "true")
            .option("index-file-in-data-file-dir", "true");
        let spec = outside(plain, place.path(), STRATEGIES[0]);
        spec.create_by(&mut server, &path);
        let rows = |from: i32| -> Vec<Op> {
            (from..from + 50).map(|k| Op::insert(vec![Datum::Int(k), Datum::String(format!("v{k}"))])).collect()
        };
        server_write(&mut server, &path, &spec, 1, &rows(0), "none");
        let table = open(&path).await;
        table.delete(parse("k < 10", table.schema()).unwrap()).run().await.unwrap();
        let view = agreed(&format!("{what}, masked by us"), &mut server, &path).await;
        assert_eq!(view.rows.values().last().unwrap().len(), 40);
        let vectors = |below: &str| {
            names_below(&place.path().join(below)).into_iter().filter(|it| it.starts_with("index-")).count()
        };
        assert!(vectors("t/index") == 0 && vectors("a") + vectors("b") == 1);
        // A key table: both compact, which masks what is replaced.
        let path = place.path().join("k");
        let keyed = TableSpec { options: Default::default(), ..TableSpec::of(&["k INT", "v STRING"]) }
            .key(&["k"])
            .option("bucket", "1")
            .option("deletion-vectors.enabled", "true")
            .option("index-file-in-data-file-dir", "true");
        let spec = outside(keyed, place.path(), STRATEGIES[0]);
        create(&path, &spec).await;
        for identifier in 1..=6 {
            let operations = rows(identifier as i32 * 10);
            match identifier % 2 {
                0 => drop(write_once(&path, "ours", identifier, &operations).await),
                _ => drop(server_write(&mut server, &path, &spec, identifier, &operations, "auto")),
            }
            match identifier % 3 {
                0 => drop(open(&path).await.compact().run().await.unwrap()),
                _ => drop(server_compact(&mut server, &path, &spec, false)),
            }
            agreed(&format!("{what}, commit {identifier}"), &mut server, &path).await;
        }
        let last = open(&path).await.history().snapshots.latest_id().await.unwrap().unwrap();
        assert_eq!(rows_at(&open(&path).await, last).await.unwrap().len(), 100);
    }
}

fn names_below(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let names = |path: std::path::PathBuf| match path.is_dir() {
        true => names_below(&path),
        false => vec![path.file_name().unwrap().to_str().unwrap().to_string()],
    };
    entries.flat_map(names).collect()
}

#[tokio::test]
async fn files_below_directories_of_javas_hash_are_read_and_not_written() {
    for engine in [Engine::Java1x, Engine::Java2x] {
        let mut server = Server::get(engine);
        let place = place();
        let path = place.path().join("t");
        let spec = TableSpec::of(&["k INT", "v STRING"]).key(&["k"]).option("bucket", "1");
        let spec = outside(spec, place.path(), &[("strategy", "entropy-inject")]);
        spec.create_by(&mut server, &path);
        let rows: Vec<Op> = (0..50).map(|k| Op::insert(vec![Datum::Int(k), Datum::String("v".into())])).collect();
        server_write(&mut server, &path, &spec, 1, &rows, "none");
        server_write(&mut server, &path, &spec, 2, &rows[..20], "none");
        agreed(engine.name(), &mut server, &path).await;
        let refused = open(&path).await.stream_writer("w").await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("data-file.external-paths.strategy"), "{refused}");
        // Below the table we compact them.
        let table = open(&path).await.with_options([("data-file.external-paths.strategy", "none")]).unwrap();
        table.compact().full().run().await.unwrap();
        let view = agreed(engine.name(), &mut server, &path).await;
        assert_eq!(view.rows.values().last().unwrap().len(), 50);
        assert!(data_files(&path) > 0);
    }
}
