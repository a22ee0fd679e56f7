//! Sketches and 64-bit bitmaps that Java made: united alike by both, and read by each where the other united them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forebay::types::Datum;
use forebay_interop::{Engine, Op, Operations, Random, Server, TableSpec, create, open, rows_at, seeds, write_once};
use serde_json::json;

use crate::support::{place, server_compact, server_write};

pub const FUNCTIONS: [&str; 3] = ["rbm64", "hll_sketch", "theta_sketch"];

/// A sketch of a few numbers or of very many, as Java makes it.
fn made(server: &mut Server, random: &mut Random, function: &str) -> Vec<u8> {
    let range = |random: &mut Random| {
        let first = random.pick(&[0, 0, 70_000, 1 << 32, -5, i64::MIN, i64::MAX - (1 << 40)]) + random.between(0, 300);
        let step = random.pick(&[1, 1, 2, 3, 700, 65_536, 65_537, 1 << 20, 1 << 30]);
        json!([first, step, random.pick(&[1, 1, 3, 8, 30, 70, 250, 5000, 20_000])])
    };
    let ranges: Vec<_> = (0..random.between(0, 3)).map(|_| range(random)).collect();
    let arguments = json!({
        "command": "sketch", "function": function, "ranges": ranges,
        "lgK": random.pick(&[12, 12, 12, 5, 8, 11, 14]),
        "registers": random.pick(&["HLL_4", "HLL_4", "HLL_6", "HLL_8"]),
    });
    bytes_of(&server.call(&arguments).unwrap())
}

fn bytes_of(answer: &serde_json::Value) -> Vec<u8> {
    STANDARD.decode(answer["bytes"].as_str().unwrap()).unwrap()
}

/// One of some hundred sketches, the same in every test and run.
pub fn random_sketch(random: &mut Random, function: &str) -> Vec<u8> {
    static MADE: OnceLock<BTreeMap<&str, Vec<Vec<u8>>>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let mut server = Server::get(Engine::Java2x);
        let mut random = Random::new(1);
        let mut of = |function| (0..120).map(|_| made(&mut server, &mut random, function)).collect();
        FUNCTIONS.into_iter().map(|function| (function, of(function))).collect()
    });
    random.one_of(&made[function]).clone()
}

fn table(function: &str) -> TableSpec {
    let spec = TableSpec::of(&["k INT", "v BYTES"]).key(&["k"]).option("bucket", "1");
    spec.option("merge-engine", "aggregation").option("fields.v.aggregate-function", function)
}

/// Commits that bring each key a sketch more, now and then none.
fn operations(random: &mut Random, function: &str, commits: usize) -> Operations {
    let mut one = |key| match random.chance(90) {
        true => Op::insert(vec![Datum::Int(key), Datum::Bytes(random_sketch(random, function))]),
        false => Op::insert(vec![Datum::Int(key), Datum::Null]),
    };
    (0..commits).map(|_| (0..12).map(&mut one).collect()).collect()
}

#[tokio::test]
async fn unions_have_the_bytes_that_java_gives_them() {
    let mut java = Server::get(Engine::Java2x);
    for seed in seeds(12) {
        let mut random = Random::new(seed);
        for function in FUNCTIONS {
            let place = place();
            let path = place.path().join("t");
            create(&path, &table(function).option("write-only", "true")).await;
            let all = operations(&mut random, function, 4);
            for (identifier, operations) in (1..).zip(&all) {
                write_once(&path, "ours", identifier, operations).await;
            }
            let mut rows = rows_at(&open(&path).await, 4).await.unwrap();
            rows.sort_by_key(|row| format!("{:>5?}", row[0]));
            for row in rows {
                let of: Vec<String> = all
                    .iter()
                    .flatten()
                    .filter(|op| op.row[0] == row[0])
                    .filter_map(|op| match &op.row[1] {
                        Datum::Bytes(bytes) => Some(STANDARD.encode(bytes)),
                        _ => None,
                    })
                    .collect();
                let what = format!("seed {seed}: {function} of key {:?}: {of:?}", row[0]);
                let Datum::Bytes(found) = &row[1] else {
                    assert!(of.is_empty(), "{what}");
                    continue;
                };
                let wanted =
                    bytes_of(&java.call(&json!({"command": "unite", "function": function, "of": of})).unwrap());
                let (found, wanted) = (told(function, found.clone()), told(function, wanted));
                assert!(
                    found == wanted,
                    "{what}:\nours   {}\nJava's {}",
                    STANDARD.encode(&found),
                    STANDARD.encode(&wanted)
                );
            }
        }
    }
}

#[tokio::test]
async fn unions_are_read_alike_where_both_write_and_compact() {
    let mut java = Server::get(Engine::Java2x);
    for seed in seeds(6) {
        let mut random = Random::new(seed);
        for function in FUNCTIONS {
            let spec = table(function);
            let place = place();
            let path = place.path().join("t");
            spec.create_by(&mut java, &path);
            for (identifier, operations) in (1..).zip(operations(&mut random, function, 6)) {
                if random.chance(50) {
                    write_once(&path, &format!("ours-{identifier}"), identifier, &operations).await;
                } else {
                    server_write(&mut java, &path, &spec, identifier, &operations, random.pick(&["none", "full"]));
                }
                if random.chance(30) {
                    open(&path).await.compact().full().run().await.unwrap();
                }
                let what = format!("seed {seed}: {function} after commit {identifier}");
                assert_eq!(ours(&path, function).await, javas(&mut java, &path, function), "{what}");
            }
            server_compact(&mut java, &path, &spec, true);
            assert_eq!(ours(&path, function).await, javas(&mut java, &path, function), "seed {seed}: {function}");
        }
    }
}

/// What is in a table: keys and sketches.
async fn ours(path: &Path, function: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let table = open(path).await;
    let newest = table.history().snapshots.latest_id().await.unwrap().unwrap();
    let row = |row: forebay_interop::Row| match &row[1] {
        Datum::Bytes(bytes) => (format!("{:?}", row[0]), Some(told(function, bytes.clone()))),
        _ => (format!("{:?}", row[0]), None),
    };
    rows_at(&table, newest).await.unwrap().into_iter().map(row).collect()
}

fn javas(server: &mut Server, path: &Path, function: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let answer = server.run("read", path, json!({}));
    let row = |row: &serde_json::Value| {
        let bytes = row["v"].as_str().map(|text| told(function, STANDARD.decode(text).unwrap()));
        (format!("Int({})", row["k"]), bytes)
    };
    answer["rows"].as_array().unwrap().iter().map(row).collect()
}

/// What bytes tell. An HLL sketch whose registers came out of order has an estimate by history that nobody uses:
/// Java's library adds to it on and on, ours leaves it 0.
fn told(function: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let (flags, mode) = (5, 7);
    if function == "hll_sketch" && bytes[mode] & 3 == 2 && bytes[flags] & 16 != 0 {
        bytes[8..16].fill(0);
    }
    bytes
}
