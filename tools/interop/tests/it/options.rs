//! One option after another: both engines write the same operations, and all of them read both tables alike, before and
//! after Java compacts ours.

use forebay::types::{Datum, RowKind};
use forebay_interop::{Engine, Op, Operations, Random, Server, TableSpec, View, assert_same, create, open, write_once};

use crate::form::assert_alike;
use crate::support::{agreed, place, server_compact, server_write};

/// Writes operations with both engines, and compares what is written and what is read.
async fn alike(name: &str, spec: TableSpec, operations: Operations) {
    let (mut java, mut older) = (Server::get(Engine::Java2x), Server::get(Engine::Java1x));
    let place = place();
    let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
    create(&ours, &spec).await;
    spec.create_by(&mut java, &javas);
    for (identifier, operations) in (1..).zip(&operations) {
        let snapshot = write_once(&ours, "ours", identifier, operations).await;
        assert_eq!(server_write(&mut java, &javas, &spec, identifier, operations, "none"), snapshot, "{name}");
    }
    assert_alike(name, &mut java, &spec, &ours, &javas);
    let view = agreed(&format!("{name}: Java's table"), &mut java, &javas).await;
    assert!(view.rows.values().any(|rows| !rows.is_empty()), "{name}: no row to compare");
    assert_same(&format!("{name}: our table"), &view, &agreed(&format!("{name}: our table"), &mut java, &ours).await);
    let table = open(&ours).await;
    assert_same(&format!("{name}: our table, read by java-1x"), &view, &View::of(&mut older, &table, &ours).await);
    server_compact(&mut java, &ours, &spec, true);
    let compacted = agreed(&format!("{name}: our table, compacted"), &mut java, &ours).await;
    assert_eq!(compacted.rows.values().next_back(), view.rows.values().next_back(), "{name}: rows after a compaction");
}

/// Two key columns and values of several types.
fn keyed() -> TableSpec {
    const COLUMNS: [&str; 8] =
        ["k1 INT", "k2 STRING", "a BIGINT", "b DOUBLE", "c STRING", "d DECIMAL(20, 4)", "e TIMESTAMP(3)", "f BYTES"];
    TableSpec::of(&COLUMNS).key(&["k1", "k2"]).option("bucket", "2")
}

fn random_operations(spec: &TableSpec) -> Operations {
    spec.operations(&mut Random::new(7), 4)
}

async fn each(cases: &[(&str, &str)], base: &TableSpec) {
    for (option, value) in cases {
        let spec = base.clone().option(option, value);
        let operations = random_operations(&spec);
        alike(&format!("{option} = {value}"), spec, operations).await;
    }
}

#[tokio::test]
async fn codecs_and_names_of_files() {
    let base = keyed().option("changelog-producer", "input");
    let codecs = ["zstd", "lz4", "snappy", "gzip", "none"].map(|codec| ("file.compression", codec));
    each(&codecs, &base).await;
    let others = [
        ("file.compression.per.level", "0:lz4,5:none"),
        ("changelog-file.compression", "gzip"),
        ("data-file.prefix", "d-"),
        ("changelog-file.prefix", "c-"),
        ("file.suffix.include.compression", "true"),
        ("data-file.path-directory", "data"),
        ("data-file.thin-mode", "true"),
        ("manifest.compression", "null"),
        ("manifest.compression", "snappy"),
        ("manifest.compression", "deflate"),
        ("parquet.enable.dictionary", "false"),
        ("changelog-file.stats-mode", "full"),
    ];
    each(&others, &base).await;
}

#[tokio::test]
async fn statistics_modes() {
    let cases = [
        ("metadata.stats-mode", "none"),
        ("metadata.stats-mode", "counts"),
        ("metadata.stats-mode", "truncate(3)"),
        ("metadata.stats-mode", "full"),
        ("metadata.stats-dense-store", "false"),
        ("metadata.stats-keep-first-n-columns", "3"),
        ("fields.c.stats-mode", "none"),
        ("metadata.stats-mode.per.level", "0:none"),
    ];
    each(&cases, &keyed()).await;
    each(
        &[("metadata.stats-mode", "none"), ("fields.c.stats-mode", "full")],
        &keyed().option("data-file.thin-mode", "true"),
    )
    .await;
    each(&[("metadata.stats-mode", "none")], &keyed().option("metadata.stats-dense-store", "false")).await;
}

#[tokio::test]
async fn buckets() {
    each(&[("bucket-key", "k2"), ("bucket-key", "k1"), ("bucket-key", "k2,k1")], &keyed().option("bucket", "3")).await;
    for column in ["k INT", "k BIGINT"] {
        let spec = TableSpec::of(&[column, "v STRING"]).key(&["k"]).option("bucket", "5");
        each(&[("bucket-function.type", "mod")], &spec).await;
    }
    for kind in [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(5, 2)",
        "DECIMAL(30, 9)",
        "CHAR(6)",
        "STRING",
        "BYTES",
        "BINARY(4)",
        "DATE",
    ] {
        let column = format!("k {kind}");
        // An append table: 1.x has no order for floats as keys.
        let spec = TableSpec::of(&[&column, "v STRING"]).option("bucket", "5").option("bucket-key", "k");
        each(&[("bucket-function.type", "hive")], &spec).await;
    }
    let spec = TableSpec::of(&["a STRING", "v INT", "b DATE"]).option("bucket", "4").option("bucket-key", "b,a");
    each(&[("bucket-function.type", "hive"), ("bucket-function.type", "default")], &spec).await;
}

#[tokio::test]
async fn sequence_fields() {
    let cases =
        [("sequence.field", "a"), ("sequence.field", "e"), ("sequence.field", "d,c"), ("sequence.field", "b,a")];
    each(&cases, &keyed()).await;
    each(&cases, &keyed().option("sequence.field.sort-order", "descending")).await;
    each(&cases[..1], &keyed().option("changelog-producer", "input")).await;
}

#[tokio::test]
async fn row_kinds() {
    let cases = [("ignore-delete", "true"), ("ignore-update-before", "true")];
    each(&cases, &keyed()).await;
    each(&cases, &keyed().option("changelog-producer", "input")).await;
    let mut spec = keyed().option("rowkind.field", "kind");
    spec.columns.push(("kind".to_string(), "STRING NOT NULL".parse().unwrap()));
    let told = |op: Op| {
        let mut row = op.row;
        *row.last_mut().unwrap() = Datum::String(op.kind.short().to_string());
        Op { kind: RowKind::Insert, row }
    };
    for producer in ["none", "input"] {
        let spec = spec.clone().option("changelog-producer", producer);
        let operations =
            random_operations(&spec).into_iter().map(|commit| commit.into_iter().map(told).collect()).collect();
        alike(&format!("rowkind.field with changelog-producer {producer}"), spec, operations).await;
    }
}

#[tokio::test]
async fn partitions() {
    const COLUMNS: [&str; 7] =
        ["day DATE", "k INT", "v STRING", "region STRING", "at TIMESTAMP(3)", "flag BOOLEAN", "n DECIMAL(6, 2)"];
    for by in [&["day", "region"] as &[&str], &["at"], &["region", "flag", "n"]] {
        for legacy in ["true", "false"] {
            let mut key = by.to_vec();
            key.push("k");
            let keyed = TableSpec::of(&COLUMNS).partition(by).key(&key).option("bucket", "2");
            each(&[("partition.legacy-name", legacy)], &keyed).await;
            let append = TableSpec::of(&COLUMNS).partition(by);
            each(&[("partition.legacy-name", legacy), ("partition.default-name", "nothing here")], &append).await;
        }
    }
}

#[tokio::test]
async fn append_tables() {
    const COLUMNS: [&str; 5] = ["a INT", "b STRING", "c DOUBLE", "d TIMESTAMP(9)", "e DECIMAL(38, 10)"];
    each(
        &[("file.compression", "zstd"), ("file.compression", "none"), ("metadata.stats-mode", "full")],
        &TableSpec::of(&COLUMNS),
    )
    .await;
    let bucketed = TableSpec::of(&COLUMNS).option("bucket", "3");
    each(&[("bucket-key", "a"), ("bucket-key", "b,d")], &bucketed).await;
}
