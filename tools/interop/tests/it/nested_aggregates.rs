//! Aggregates over nested columns: both engines write one table by turns, with retractions, and both read it alike.

use forebay::types::{Datum, RowKind};
use forebay_interop::{Engine, Op, Operations, Random, Row, Server, TableSpec, write_once};

use crate::support::{agreed, place, server_write};

const ROWS: &str = "ARRAY<ROW<id INT, s INT, v STRING>>";

/// The columns and the options of each.
fn sample(random: &mut Random) -> TableSpec {
    let columns = [
        "k INT".to_string(),
        "c ARRAY<INT>".to_string(),
        "d ARRAY<STRING>".to_string(),
        "r ARRAY<ROW<a INT, m MAP<STRING, INT>>>".to_string(),
        "m MAP<STRING, INT>".to_string(),
        "t MAP<INT, ROW<v INT, t STRING>>".to_string(),
        format!("n {ROWS}"),
        format!("u {ROWS}"),
        format!("p {ROWS}"),
    ];
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let functions = [
        ("c", "collect"),
        ("d", "collect"),
        ("r", "collect"),
        ("m", "merge_map"),
        ("t", "merge_map_with_keytime"),
        ("n", "nested_update"),
        ("u", "nested_update"),
        ("p", "nested_partial_update"),
    ];
    let spec = TableSpec::of(&columns).key(&["k"]).option("bucket", "1").option("merge-engine", "aggregation");
    let spec = functions
        .iter()
        .fold(spec, |spec, (column, function)| spec.option(&format!("fields.{column}.aggregate-function"), function));
    let spec = ["t", "p"].iter().fold(spec, |spec, it| spec.option(&format!("fields.{it}.ignore-retract"), "true"));
    let spec = ["n", "p"].iter().fold(spec, |spec, it| spec.option(&format!("fields.{it}.nested-key"), "id"));
    let strategy = random.pick(&["merge", "ignore"]);
    let spec = spec.option("fields.n.nested-key-null-strategy", strategy);
    let spec = if random.chance(50) { spec.option("fields.n.nested-sequence-field", "s") } else { spec };
    let spec = if random.chance(50) { spec.option("fields.u.count-limit", "4") } else { spec };
    // Java 2.0 cannot take rows back from a collection that is not distinct: its rows do not compare.
    let spec = ["d", "r"].iter().fold(spec, |spec, it| spec.option(&format!("fields.{it}.distinct"), "true"));
    match random.below(3) {
        0 => spec.option("changelog-producer", "lookup"),
        1 => spec.option("changelog-producer", "full-compaction"),
        _ => spec,
    }
}

fn number(random: &mut Random) -> Datum {
    if random.chance(15) { Datum::Null } else { Datum::Int(random.between(0, 4) as i32) }
}

fn text(random: &mut Random) -> Datum {
    if random.chance(15) {
        Datum::Null
    } else {
        Datum::String(random.pick(&["a", "b", "é", "\u{FFFF}", "🦀"]).to_string())
    }
}

fn array(random: &mut Random, element: impl Fn(&mut Random) -> Datum) -> Datum {
    match random.chance(15) {
        true => Datum::Null,
        false => Datum::Array((0..random.below(4)).map(|_| element(random)).collect()),
    }
}

/// A map of the keys 0 to 3, or `a` to `d`.
fn map(random: &mut Random, key: fn(i32) -> Datum, value: impl Fn(&mut Random) -> Datum) -> Datum {
    if random.chance(15) {
        return Datum::Null;
    }
    let keys: Vec<i32> = (0..4).filter(|_| random.chance(40)).collect();
    Datum::Map(keys.into_iter().map(|at| (key(at), value(random))).collect())
}

fn row(random: &mut Random) -> Row {
    let letter = |at: i32| Datum::String(["a", "b", "c", "d"][at as usize].to_string());
    let nested = |random: &mut Random| match random.chance(10) {
        true => Datum::Null,
        false => Datum::Row(vec![number(random), number(random), text(random)]),
    };
    let timed = |random: &mut Random| match random.chance(15) {
        true => Datum::Null,
        false => Datum::Row(vec![number(random), text(random)]),
    };
    vec![
        Datum::Int(random.between(1, 6) as i32),
        array(random, number),
        array(random, text),
        // To Java's generated code two maps that hold a NULL value are never equal.
        array(random, |random| {
            Datum::Row(vec![number(random), map(random, letter, |it| Datum::Int(it.between(0, 4) as i32))])
        }),
        map(random, letter, number),
        map(random, Datum::Int, timed),
        array(random, nested),
        array(random, nested),
        array(random, nested),
    ]
}

fn operations(random: &mut Random, commits: usize) -> Operations {
    let kinds = [RowKind::Insert, RowKind::Insert, RowKind::UpdateAfter, RowKind::UpdateBefore, RowKind::Delete];
    let op = |random: &mut Random| Op { kind: random.pick(&kinds), row: row(random) };
    (0..commits).map(|_| (0..random.between(1, 20)).map(|_| op(random)).collect()).collect()
}

#[tokio::test]
async fn both_write_nested_aggregates_by_turns() {
    let mut java = Server::get(Engine::Java2x);
    for seed in forebay_interop::seeds(12) {
        let mut random = Random::new(seed);
        let spec = sample(&mut random);
        let what = format!("seed {seed}: {spec:?}");
        let place = place();
        let path = place.path().join("t");
        spec.create_by(&mut java, &path);
        for (identifier, operations) in (1..).zip(operations(&mut random, 6)) {
            if random.chance(50) {
                write_once(&path, &format!("ours-{identifier}"), identifier, &operations).await;
            } else {
                let compact = random.pick(&["none", "auto", "full"]);
                server_write(&mut java, &path, &spec, identifier, &operations, compact);
            }
        }
        agreed(&what, &mut java, &path).await;
    }
}
