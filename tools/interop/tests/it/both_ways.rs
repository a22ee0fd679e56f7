//! One engine writes, the other reads: rows of every snapshot and changes of every snapshot.

use forebay::Error;
use forebay::types::{DataType, Datum, RowKind};
use forebay_interop::{
    Engine, Model, Op, Random, Server, Shape, TableSpec, View, Writer, assert_same_rows, create, open, seeds,
    write_once,
};

use crate::support::{agreed, check, place, random_compaction, server_write};

/// Writes random commits with this engine and lets a server read them.
async fn we_write(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = TableSpec::random(&mut random, shape);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        create(&path, &spec).await;
        let mut writer = Writer::open(&path, "ours").await;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 4)) {
            // One writer for all commits, or a fresh one for each: their sequence numbers must go on alike.
            let snapshot = match random.chance(50) {
                true => writer.commit(identifier, &operations).await,
                false => write_once(&path, &format!("ours-{identifier}"), identifier, &operations).await,
            };
            model.commit(&operations, snapshot..=snapshot);
        }
        match engine {
            Engine::Python => check_rows(&format!("seed {seed}: {spec:?}"), model.view(), &mut server, &path).await,
            _ => check(&format!("seed {seed}: {spec:?}"), model.view(), &mut server, &path).await,
        }
    }
}

/// Lets a server write random commits and reads them with this engine.
async fn we_read(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = TableSpec::random(&mut random, shape);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut server, &path);
        let mut newest = 0;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let compact = random_compaction(&mut random, &spec);
            let snapshot = server_write(&mut server, &path, &spec, identifier, &operations, compact);
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
        }
        check(&format!("seed {seed}: {spec:?}"), model.view(), &mut server, &path).await;
    }
}

/// As `check` for a server that does not follow changes.
async fn check_rows(what: &str, wanted: &View, server: &mut Server, path: &std::path::Path) {
    let table = open(path).await;
    assert_same_rows(&format!("{what}, read by forebay"), wanted, &View::ours(&table).await);
    assert_same_rows(
        &format!("{what}, read by {}", server.engine().name()),
        wanted,
        &View::rows_of(server, &table, path).await,
    );
}

#[tokio::test]
async fn java_2x_reads_what_we_write() {
    we_write(Engine::Java2x, Shape::ALL, seeds(12)).await;
}

#[tokio::test]
async fn java_1x_reads_what_we_write() {
    we_write(Engine::Java1x, Shape::JAVA_1X, seeds(8)).await;
}

#[tokio::test]
async fn java_2x_reads_the_nested_columns_that_we_write() {
    we_write(Engine::Java2x, Shape::ALL.with_nested(), seeds(8)).await;
}

#[tokio::test]
async fn java_1x_reads_the_nested_columns_that_we_write() {
    we_write(Engine::Java1x, Shape::JAVA_1X.with_nested(), seeds(6)).await;
}

#[tokio::test]
async fn we_read_the_nested_columns_that_java_2x_writes() {
    we_read(Engine::Java2x, Shape::ALL.with_nested(), seeds(8)).await;
}

#[tokio::test]
async fn we_read_the_nested_columns_that_java_1x_writes() {
    we_read(Engine::Java1x, Shape::JAVA_1X.with_nested(), seeds(6)).await;
}

#[tokio::test]
async fn pypaimon_reads_what_we_write() {
    we_write(Engine::Python, Shape::PYTHON, seeds(6)).await;
}

#[tokio::test]
async fn we_read_what_java_2x_writes() {
    we_read(Engine::Java2x, Shape::ALL, seeds(12)).await;
}

#[tokio::test]
async fn we_read_what_java_1x_writes() {
    we_read(Engine::Java1x, Shape::JAVA_1X, seeds(8)).await;
}

#[tokio::test]
async fn pypaimon_reads_the_nested_columns_that_we_write() {
    we_write(Engine::Python, Shape::PYTHON.with_nested_but_multisets(), seeds(6)).await;
}

#[tokio::test]
async fn we_read_what_pypaimon_writes() {
    let mut server = Server::get(Engine::Python);
    for seed in seeds(6) {
        let mut random = Random::new(seed);
        let mut spec = TableSpec::random(&mut random, Shape::PYTHON);
        // It fails to order partitions of NULL.
        spec.columns
            .iter_mut()
            .filter(|(name, _)| spec.partition_by.contains(name))
            .for_each(|(_, it)| it.nullable = false);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut server, &path);
        for (identifier, mut operations) in (1..).zip(spec.operations(&mut random, 4)) {
            // It writes no other kinds, and makes no snapshot of nothing.
            operations.iter_mut().for_each(|op| op.kind = RowKind::Insert);
            if operations.is_empty() {
                continue;
            }
            let snapshot = server_write(&mut server, &path, &spec, identifier, &operations, "none");
            model.commit(&operations, snapshot..=snapshot);
        }
        check_rows(&format!("seed {seed}: {spec:?}"), model.view(), &mut server, &path).await;
    }
}

/// Changelogs of producers that this engine does not write itself.
#[tokio::test]
async fn we_follow_every_changelog_that_java_makes() {
    let mut server = Server::get(Engine::Java2x);
    // No texts as partitions: Java's lookup makes temporary files of that name and fails on a slash.
    let shape = Shape { partitions: &[0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15], ..Shape::ALL.with_key() };
    for seed in seeds(8) {
        let mut random = Random::new(seed);
        let producer = random.pick(&["lookup", "full-compaction"]);
        let spec = TableSpec::random(&mut random, shape).option("changelog-producer", producer);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut server, &path);
        let mut newest = 0;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let snapshot =
                server_write(&mut server, &path, &spec, identifier, &operations, random.pick(&["auto", "full"]));
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
        }
        let what = format!("seed {seed}: {spec:?}");
        let theirs = agreed(&what, &mut server, &path).await;
        assert_same_rows(&what, model.view(), &theirs);
    }
}

/// What is pulled out of the values stands in columns of its own, which this engine does not put together.
#[tokio::test]
async fn a_variant_that_java_shredded_is_refused_by_name() {
    let mut server = Server::get(Engine::Java2x);
    let fields = r#"{"type":"ROW","fields":[{"id":0,"name":"v","type":{"type":"ROW","fields":[{"id":1,"name":"a","type":"INT"}]}}]}"#;
    let spec = TableSpec {
        columns: vec![("k".to_string(), DataType::INT.not_null()), ("v".to_string(), DataType::VARIANT)],
        primary_key: vec!["k".to_string()],
        ..TableSpec::default()
    };
    let spec = spec.option("bucket", "1").option("parquet.variant.shreddingSchema", fields);
    let place = place();
    let path = place.path().join("t");
    spec.create_by(&mut server, &path);
    let object = Datum::Row(vec![Datum::Bytes(vec![2, 1, 0, 0, 2, 12, 5]), Datum::Bytes(vec![1, 1, 0, 1, b'a'])]);
    let operations = [Op { kind: RowKind::Insert, row: vec![Datum::Int(1), object] }];
    server_write(&mut server, &path, &spec, 1, &operations, "none");
    let mut rows = open(&path).await.scan().read().await.unwrap();
    let refused = rows.next_batch().await.map(drop).unwrap_err();
    assert!(matches!(&refused, Error::Unsupported(what) if what.contains("shredded")), "{refused}");
}
