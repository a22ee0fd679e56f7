//! Data files in Avro: written by either engine, level by level beside Parquet, compacted by either, read by all.
//! Data files in ORC: the same, and looked up here.

use std::path::Path;

use forebay::types::{Datum, RowKind, TypeKind};
use forebay_interop::{
    Engine, Model, Op, Random, Server, Shape, TableSpec, Writer, assert_same_rows, create, open, seeds, write_once,
};

use crate::support::{agreed, check, place, random_compaction, server_compact, server_write, storable};

/// The ways in which a table's files may be Avro.
const FORMATS: [&[(&str, &str)]; 5] = [
    &[("file.format", "avro")],
    &[("file.format.per.level", "0:avro,5:parquet")],
    &[("file.format", "avro"), ("file.format.per.level", "0:parquet"), ("file.compression", "snappy")],
    &[("changelog-file.format", "avro"), ("changelog-file.compression", "null")],
    &[
        ("file.format", "avro"),
        ("changelog-file.format", "parquet"),
        ("changelog-file.compression", "gzip"),
        ("file.compression.per.level", "0:deflate,5:zstd"),
    ],
];

fn with(mut spec: TableSpec, options: &[(&str, &str)]) -> TableSpec {
    for (name, value) in options {
        spec = spec.option(name, value);
    }
    spec
}

/// Both engines write, and both compact, by turns.
async fn by_turns(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = with(TableSpec::random(&mut random, shape), FORMATS[seed as usize % FORMATS.len()]);
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
            turns.push(["fresh writer", "kept writer", "server writes", "server compacts", "we compact"][turn]);
            let snapshot = match turn {
                0 => write_once(&path, &format!("fresh-{identifier}"), identifier, &operations).await,
                1 => kept.commit(identifier, &operations).await,
                2 => server_write(&mut server, &path, &spec, identifier, &operations, compact),
                _ if newest == 0 => continue,
                3 => server_compact(&mut server, &path, &spec, random.chance(50)),
                _ => {
                    let table = open(&path).await;
                    let compaction = table.compact();
                    let compaction = if random.chance(50) { compaction.full() } else { compaction };
                    compaction.run().await.unwrap_or_else(|error| panic!("seed {seed}, {turns:?}: {error}"));
                    table.history().snapshots.latest_id().await.unwrap().unwrap()
                }
            };
            match turn {
                0..=2 => model.commit(&operations, newest + 1..=snapshot),
                _ => model.stand(newest + 1..=snapshot),
            }
            newest = snapshot;
            check(&format!("seed {seed}, after {turns:?}: {spec:?}"), model.view(), &mut server, &path).await;
        }
    }
}

#[tokio::test]
async fn avro_tables_are_written_and_compacted_by_turns_with_java_2x() {
    by_turns(Engine::Java2x, Shape::ALL.in_avro(), seeds(10)).await;
}

#[tokio::test]
async fn avro_tables_are_written_and_compacted_by_turns_with_java_1x() {
    by_turns(Engine::Java1x, Shape::JAVA_1X.in_avro(), seeds(5)).await;
}

#[tokio::test]
async fn nested_columns_in_avro_are_written_and_compacted_by_turns_with_java_2x() {
    by_turns(Engine::Java2x, Shape::ALL.in_avro().with_nested(), seeds(8)).await;
}

#[tokio::test]
async fn nested_columns_in_avro_are_written_and_compacted_by_turns_with_java_1x() {
    by_turns(Engine::Java1x, Shape::JAVA_1X.in_avro().with_nested(), seeds(6)).await;
}

#[tokio::test]
async fn pypaimon_reads_our_avro_files() {
    python_reads(Shape::PYTHON.in_avro(), seeds(4)).await;
}

#[tokio::test]
async fn pypaimon_reads_the_nested_columns_of_our_avro_files() {
    python_reads(Shape::PYTHON.in_avro().with_nested_but_multisets(), seeds(4)).await;
}

#[tokio::test]
async fn pypaimon_reads_our_orc_files() {
    // Nested fields that are NOT NULL it cannot cast, since ORC files do not tell that of theirs.
    python_reads_in(ORC[0], Shape::PYTHON, seeds(10)).await;
}

/// pyarrow reads times of ORC files as 64 bits of nanoseconds, and wraps those that have more.
fn within_nanoseconds(op: Op) -> Op {
    let cell = |value: Datum| match value {
        Datum::Timestamp { millis, .. } if millis.unsigned_abs() > 9_000_000_000_000 => {
            Datum::Timestamp { millis: 0, nanos: 0 }
        }
        other => other,
    };
    Op { kind: op.kind, row: op.row.into_iter().map(cell).collect() }
}

/// Whole seconds before 1970: Java's reader fails on fractions that pyarrow wrote there.
fn whole_before_1970(op: Op) -> Op {
    let cell = |value: Datum| match value {
        Datum::Timestamp { millis, .. } if millis < 0 => {
            Datum::Timestamp { millis: millis.div_euclid(1000) * 1000, nanos: 0 }
        }
        other => other,
    };
    Op { kind: op.kind, row: op.row.into_iter().map(cell).collect() }
}

/// Their stripes name the zone GMT, and hold times of all years. Of every other table Java is asked too.
#[tokio::test]
async fn we_and_java_read_the_orc_files_of_pypaimon() {
    let (mut python, mut java) = (Server::get(Engine::Python), Server::get(Engine::Java2x));
    for seed in seeds(6) {
        let java_too = seed % 2 == 0;
        let mut random = Random::new(seed);
        let mut spec = with(TableSpec::random(&mut random, Shape::PYTHON), ORC[0]);
        // It fails to order partitions of NULL.
        let partitions = spec.partition_by.clone();
        let in_partition = spec.columns.iter_mut().filter(|(name, _)| partitions.contains(name));
        in_partition.for_each(|(_, it)| it.nullable = false);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut python, &path);
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 4)) {
            // It writes no other kinds, and makes no snapshot of nothing.
            let mut operations = storable(&spec, operations);
            if java_too {
                operations = operations.into_iter().map(whole_before_1970).collect();
            }
            operations.iter_mut().for_each(|op| op.kind = RowKind::Insert);
            if operations.is_empty() {
                continue;
            }
            let snapshot = server_write(&mut python, &path, &spec, identifier, &operations, "none");
            model.commit(&operations, snapshot..=snapshot);
        }
        let table = open(&path).await;
        let what = format!("seed {seed}, written by pypaimon: {spec:?}");
        if java_too {
            let theirs = forebay_interop::View::rows_of(&mut java, &table, &path).await;
            assert_same_rows(&what, model.view(), &theirs);
        }
        assert_same_rows(&what, model.view(), &forebay_interop::View::ours(&table).await);
    }
}

async fn python_reads(shape: Shape, seeds: impl Iterator<Item = u64>) {
    python_reads_in(FORMATS[0], shape, seeds).await;
}

/// It reads a format, and does not compact.
async fn python_reads_in(options: &[(&str, &str)], shape: Shape, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(Engine::Python);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = with(TableSpec::random(&mut random, shape), options);
        // pyarrow shows the blanks that fill CHAR up.
        if options == ORC[0] && spec.columns.iter().any(|(_, column)| matches!(column.kind, TypeKind::Char(_))) {
            continue;
        }
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        create(&path, &spec).await;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 3)) {
            let operations = match options == ORC[0] {
                true => storable(&spec, operations).into_iter().map(within_nanoseconds).collect(),
                false => operations,
            };
            let snapshot = write_once(&path, "ours", identifier, &operations).await;
            model.commit(&operations, snapshot..=snapshot);
        }
        let table = open(&path).await;
        let theirs = forebay_interop::View::rows_of(&mut server, &table, &path).await;
        assert_same_rows(&format!("seed {seed}, read by pypaimon: {spec:?}"), model.view(), &theirs);
    }
}

/// Every file of level 0 is read on its way up, and leaves its format there.
#[tokio::test]
async fn levels_of_two_formats_under_lookup_read_alike() {
    let mut server = Server::get(Engine::Java2x);
    // No texts as partitions: Java's lookup makes temporary files of that name and fails on a slash.
    let shape =
        Shape { partitions: &[0, 1, 2, 3, 4, 5, 6, 7, 12, 14, 15], ..Shape::ALL.with_key().in_avro().with_nested() };
    for seed in seeds(6) {
        let mut random = Random::new(seed);
        let options = [("changelog-producer", "lookup"), ("file.format.per.level", "0:avro")];
        let spec = with(TableSpec::random(&mut random, shape), &options);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        spec.create_by(&mut server, &path);
        let mut newest = 0;
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 6)) {
            let snapshot = match random.chance(50) {
                true => {
                    write_once(&path, &format!("fresh-{identifier}"), identifier, &operations).await;
                    let table = open(&path).await;
                    table.compact().run().await.unwrap();
                    table.history().snapshots.latest_id().await.unwrap().unwrap()
                }
                false => server_write(&mut server, &path, &spec, identifier, &operations, "auto"),
            };
            model.commit(&operations, newest + 1..=snapshot);
            newest = snapshot;
        }
        let what = format!("seed {seed}: {spec:?}");
        let theirs = agreed(&what, &mut server, &path).await;
        assert_same_rows(&what, model.view(), &theirs);
        for file in open(&path).await.scan().plan().await.unwrap().splits.iter().flat_map(|split| &split.files) {
            let ending = if file.level == 0 { ".avro" } else { ".parquet" };
            assert!(file.file_name.ends_with(ending), "{what}: {} in level {}", file.file_name, file.level);
        }
    }
}

/// The ways in which a table's files may be ORC.
const ORC: [&[(&str, &str)]; 6] = [
    &[("file.format", "orc")],
    &[("file.format", "orc"), ("file.compression", "snappy")],
    &[("file.format.per.level", "0:orc,5:parquet"), ("file.compression", "lz4")],
    &[("file.format", "orc"), ("file.compression", "none"), ("orc.timestamp-ltz.legacy.type", "false")],
    &[("changelog-file.format", "orc"), ("file.format", "orc"), ("file.compression", "zlib")],
    &[("file.format.per.level", "5:orc"), ("changelog-file.format", "orc")],
];

/// Both write, and both compact, by turns.
async fn orc_by_turns(engine: Engine, shape: Shape, more: &[(&str, &str)], seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = with(TableSpec::random(&mut random, shape), ORC[seed as usize % ORC.len()]);
        let spec = with(spec, more);
        let (place, mut model) = (place(), Model::new(&spec));
        let path = place.path().join("t");
        match random.chance(50) {
            true => drop(create(&path, &spec).await),
            false => spec.create_by(&mut server, &path),
        }
        let (mut newest, mut turns) = (0, Vec::new());
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 7)) {
            let operations = storable(&spec, operations);
            let compact = random_compaction(&mut random, &spec);
            let turn = random.pick(&[0, 0, 1, 2, 3, 3, 3]);
            turns.push(["server writes", "server compacts", "we compact", "we write"][turn]);
            let snapshot = match turn {
                0 => server_write(&mut server, &path, &spec, identifier, &operations, compact),
                3 => Writer::open(&path, "ours").await.commit(identifier, &operations).await,
                _ if newest == 0 => continue,
                1 => server_compact(&mut server, &path, &spec, random.chance(50)),
                _ => {
                    let table = open(&path).await;
                    let compaction = table.compact();
                    let compaction = if random.chance(50) { compaction.full() } else { compaction };
                    compaction.run().await.unwrap_or_else(|error| panic!("seed {seed}, {turns:?}: {error}"));
                    table.history().snapshots.latest_id().await.unwrap().unwrap()
                }
            };
            match turn {
                0 | 3 => model.commit(&operations, newest + 1..=snapshot),
                _ => model.stand(newest + 1..=snapshot),
            }
            newest = snapshot;
        }
        check(&format!("seed {seed}, after {turns:?}: {spec:?}"), model.view(), &mut server, &path).await;
        looked_up(&format!("seed {seed}, after {turns:?}: {spec:?}"), &path).await;
    }
}

/// Every row is found by its key.
async fn looked_up(what: &str, path: &Path) {
    let table = open(path).await;
    if !table.schema().has_primary_key() {
        return;
    }
    let schema = std::sync::Arc::clone(table.schema());
    let newest = *forebay_interop::snapshots_of(&table).await.last().unwrap();
    let lookup = table.lookup().wide_timestamps().open().await.unwrap();
    let keys = schema.positions(&schema.primary_keys).unwrap();
    for row in forebay_interop::rows_at(&table, newest).await.unwrap() {
        let key: Vec<Datum> = keys.iter().map(|at| row[*at].clone()).collect();
        let found = lookup.get_one(&key).await.unwrap_or_else(|error| panic!("{what}: {key:?}: {error}"));
        let found: Option<Vec<Datum>> = found.map(|found| {
            let cells = found.into_iter().zip(&schema.fields);
            cells.map(|(cell, field)| forebay_interop::comparable(&schema, &field.name, cell)).collect()
        });
        assert_eq!(format!("{:?}", found.as_ref()), format!("{:?}", Some(&row)), "{what}: {key:?}");
    }
}

#[tokio::test]
async fn orc_tables_are_written_compacted_and_looked_up_by_turns_with_java_2x() {
    orc_by_turns(Engine::Java2x, Shape::ALL, &[], seeds(10)).await;
}

#[tokio::test]
async fn orc_tables_are_written_compacted_and_looked_up_by_turns_with_java_1x() {
    orc_by_turns(Engine::Java1x, Shape::JAVA_1X, &[], seeds(5)).await;
}

#[tokio::test]
async fn nested_columns_in_orc_are_written_and_compacted_by_turns_with_java() {
    orc_by_turns(Engine::Java2x, Shape::ALL.with_nested_but_variants(), &[], seeds(8)).await;
    orc_by_turns(Engine::Java1x, Shape::JAVA_1X.with_nested_but_variants(), &[], seeds(6)).await;
}
