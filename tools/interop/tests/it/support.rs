//! What the tests share.

use std::path::Path;

use forebay::Table;
use forebay::schema::Schema;
use forebay::types::{Datum, TypeKind};
use forebay_interop::{Op, Random, Server, TableSpec, View, assert_same, json_row, open};
use serde_json::{Value, json};

/// A directory for the tables of one seed. `FOREBAY_INTEROP_KEEP` keeps it and tells where it is.
pub fn place() -> tempfile::TempDir {
    let mut place = tempfile::Builder::new().prefix("forebay-interop-").tempdir().unwrap();
    if std::env::var_os("FOREBAY_INTEROP_KEEP").is_some() {
        place.disable_cleanup(true);
        println!("tables are kept in {}", place.path().display());
    }
    place
}

/// Lets a server commit operations; answers its newest snapshot. An empty commit makes a snapshot, as ours does.
pub fn server_write(
    server: &mut Server,
    path: &Path,
    spec: &TableSpec,
    identifier: i64,
    operations: &[Op],
    compact: &str,
) -> i64 {
    server_write_as(server, path, &spec.schema(), identifier, operations, compact)
}

/// The same for rows of a schema.
pub fn server_write_as(
    server: &mut Server,
    path: &Path,
    schema: &Schema,
    identifier: i64,
    operations: &[Op],
    compact: &str,
) -> i64 {
    let row = |op: &Op| json!({"kind": op.kind.short(), "row": json_row(schema, &op.row)});
    let rows: Vec<Value> = operations.iter().map(row).collect();
    // Beyond ten buckets Java's append writer writes what it holds again, and gives the rows new sequence numbers.
    let options = json!({"write-max-writers-to-spill": "1000"});
    let arguments = json!({
        "options": options, "user": server.engine().name(), "identifier": identifier, "rows": rows, "compact": compact, "ignoreEmpty": false,
    });
    server.run("write", path, arguments)["snapshot"].as_i64().unwrap()
}

/// Fails unless this engine and a Java server show what is wanted.
pub async fn check(what: &str, wanted: &View, server: &mut Server, path: &Path) {
    let table = open(path).await;
    assert_same(&format!("{what}, read by forebay"), wanted, &View::ours(&table).await);
    let name = server.engine().name();
    assert_same(&format!("{what}, read by {name}"), wanted, &View::of(server, &table, path).await);
}

/// How much a server compacts when it writes. Append tables without buckets are compacted by a job of their own only.
pub fn random_compaction(random: &mut Random, spec: &TableSpec) -> &'static str {
    let bucketed = spec.options.contains_key("bucket");
    random.pick(if bucketed { &["none", "auto", "full"] as &[&str] } else { &["none", "auto"] })
}

/// Lets a server compact the whole table; answers its newest snapshot.
pub fn server_compact(server: &mut Server, path: &Path, spec: &TableSpec, full: bool) -> i64 {
    // Append tables without buckets are left alone below a number of files. With buckets so low a number lets Java 1.x
    // compact twice in one commit, which contradicts itself.
    let least = if spec.options.contains_key("bucket") { "5" } else { "2" };
    let options = json!({"compaction.min.file-num": least, "write-max-writers-to-spill": "1000"});
    server.run("compact", path, json!({"user": "compactor", "full": full, "options": options}))["snapshot"]
        .as_i64()
        .unwrap()
}

/// Fails unless this engine reads a table as a Java server does; answers what both show.
pub async fn agreed(what: &str, server: &mut Server, path: &Path) -> View {
    let table = open(path).await;
    let theirs = View::of(server, &table, path).await;
    assert_same(
        &format!("{what}, read by forebay and wanted as {} has it", server.engine().name()),
        &theirs,
        &View::ours(&table).await,
    );
    theirs
}

/// A value that Java reads in ORC as it wrote it: it loses trailing blanks of CHAR, a second of times just before 1970, and
/// days of times before 1582.
fn kept(value: Datum, kind: &TypeKind) -> Datum {
    match (value, kind) {
        (Datum::String(text), TypeKind::Char(_)) => Datum::String(text.trim_end_matches(' ').to_string()),
        (Datum::Timestamp { millis, nanos }, _) => match millis {
            -1000..0 => Datum::Timestamp { millis: 0, nanos: 0 },
            ..-12_000_000_000_000 => Datum::Timestamp { millis: -11_000_000_000_000, nanos: 0 },
            _ => Datum::Timestamp { millis, nanos },
        },
        (Datum::Array(values), TypeKind::Array(element)) => {
            Datum::Array(values.into_iter().map(|value| kept(value, &element.kind)).collect())
        }
        (Datum::Map(pairs), TypeKind::Map(map)) => once(pairs, &map.key.kind, &map.value.kind),
        (Datum::Map(pairs), TypeKind::Multiset(element)) => once(pairs, &element.kind, &TypeKind::Int),
        (Datum::Row(values), TypeKind::Row(fields)) => Datum::Row(
            values.into_iter().zip(fields.iter()).map(|(it, field)| kept(it, &field.data_type.kind)).collect(),
        ),
        (other, _) => other,
    }
}

/// Keys that became equal are one.
fn once(pairs: Vec<(Datum, Datum)>, key: &TypeKind, value: &TypeKind) -> Datum {
    let mut all: Vec<(Datum, Datum)> = Vec::new();
    for (of, it) in pairs {
        let of = kept(of, key);
        if !all.iter().any(|(other, _)| format!("{other:?}") == format!("{of:?}")) {
            all.push((of, kept(it, value)));
        }
    }
    Datum::Map(all)
}

/// Operations whose values Java reads in ORC as it wrote them.
pub fn storable(spec: &TableSpec, operations: Vec<Op>) -> Vec<Op> {
    let cells = |row: Vec<Datum>| row.into_iter().zip(&spec.columns).map(|(it, (_, column))| kept(it, &column.kind));
    operations.into_iter().map(|op| Op { kind: op.kind, row: cells(op.row).collect() }).collect()
}

/// Rows that the newest snapshot's deletion vectors mask.
pub async fn masked_rows(table: &Table) -> i64 {
    let snapshot = table.history().snapshots.latest().await.unwrap().unwrap();
    let Some(name) = snapshot.index_manifest else { return 0 };
    let index = table.history().manifests.index(&name).await.unwrap();
    let ranges = index.iter().flat_map(|entry| entry.deletion_vectors.iter().flatten());
    ranges.map(|range| range.cardinality.unwrap_or(1)).sum()
}
