//! Where rows go: the bytes and hashes of rows of all types, and the directory names of partitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use forebay::format::{BinaryRow, bucket_hashes};
use forebay::types::{DataType, Datum, TypeKind};
use forebay_interop::{
    ALL_KINDS, Engine, Op, Random, Row, Server, TableSpec, create, data_directories, json_of, lanes, random_kind,
    random_value, seeds, write_once,
};
use serde_json::{Value, json};

use crate::support::{place, server_write};

fn hashes_of(engine: Engine, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        // The first types come one by one, so that each is hashed alone too.
        let count = if (seed as usize) <= ALL_KINDS { 1 } else { random.between(2, 5) as usize };
        let types: Vec<DataType> = (0..count)
            .map(|_| {
                let which = if count == 1 { seed as usize - 1 } else { random.below(ALL_KINDS) };
                DataType { kind: random_kind(&mut random, which), nullable: true }
            })
            .collect();
        let value =
            |random: &mut Random, kind| if random.chance(10) { Datum::Null } else { random_value(random, kind) };
        let rows: Vec<Row> = (0..25).map(|_| types.iter().map(|it| value(&mut random, &it.kind)).collect()).collect();
        let schema = types
            .iter()
            .enumerate()
            .fold(forebay::schema::Schema::builder(), |it, (at, kind)| it.column(format!("c{at}"), kind.clone()));
        let batch = lanes(&schema.build().unwrap(), &rows.iter().collect::<Vec<_>>());
        let hashes = bucket_hashes(batch.columns(), &types, rows.len()).unwrap();
        for (row, hash) in rows.iter().zip(hashes) {
            let values: Vec<Value> = row.iter().zip(&types).map(|(datum, it)| json_of(datum, &it.kind)).collect();
            let names: Vec<String> = types.iter().map(ToString::to_string).collect();
            let answer =
                server.call(&json!({"command": "hash", "types": names, "values": values, "buckets": 7})).unwrap();
            let bytes = BinaryRow::encode(row, &types).unwrap();
            let hex: String = bytes.prefixed().iter().map(|byte| format!("{byte:02x}")).collect();
            let what = format!("seed {seed}: {row:?} of {types:?}");
            assert_eq!(answer["bytes"].as_str().unwrap(), hex, "{what}: bytes");
            assert_eq!(answer["hash"].as_i64().unwrap(), i64::from(hash), "{what}: hash of columns");
            assert_eq!(hash, bytes.hash(), "{what}: hash of the row");
            assert_eq!(answer["bucket"].as_i64().unwrap(), i64::from(hash % 7).abs(), "{what}: bucket");
        }
    }
}

#[test]
fn rows_of_all_types_have_java_2x_s_bytes_and_hashes() {
    hashes_of(Engine::Java2x, seeds(60));
}

#[test]
fn rows_of_all_types_have_java_1x_s_bytes_and_hashes() {
    hashes_of(Engine::Java1x, seeds(30));
}

async fn directories(engine: Engine, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        for which in 0..ALL_KINDS {
            let kind = random_kind(&mut random, which);
            let bytes = matches!(kind, TypeKind::Binary(_) | TypeKind::VarBinary(_));
            for legacy in [true, false] {
                // Legacy names print the identity of a byte array: no two processes agree.
                if bytes && legacy {
                    continue;
                }
                let mut spec =
                    TableSpec::default().partition(&["p"]).option("partition.legacy-name", &legacy.to_string());
                spec.columns = vec![
                    ("p".to_string(), DataType { kind: kind.clone(), nullable: true }),
                    ("v".to_string(), DataType::INT),
                ];
                let mut values: Vec<Datum> = (0..12).map(|_| partition_value(&mut random, &kind)).collect();
                values.push(Datum::Null);
                let operations: Vec<Op> =
                    values.iter().map(|value| Op::insert(vec![value.clone(), Datum::Int(1)])).collect();
                let place = place();
                let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
                create(&ours, &spec).await;
                write_once(&ours, "ours", 1, &operations).await;
                spec.create_by(&mut server, &javas);
                server_write(&mut server, &javas, &spec, 1, &operations, "none");
                let what = format!("seed {seed}: legacy {legacy}, {kind}: {values:?}");
                let (mut wanted, mut found) = (data_directories(&javas), data_directories(&ours));
                if matches!(kind, TypeKind::Float | TypeKind::Double) {
                    forgive_old_jdks(&mut wanted, &mut found);
                }
                assert_eq!(wanted, found, "{what}, Java's on the left");
            }
        }
    }
}

/// Until JDK 19 Java spelled some numbers with more digits than they need. Takes the directories away that mean the
/// same number and of which Java's has the longer name.
fn forgive_old_jdks(javas: &mut BTreeMap<PathBuf, usize>, ours: &mut BTreeMap<PathBuf, usize>) {
    let number = |path: &Path| path.to_str()?.strip_prefix("p=")?.split('/').next()?.parse::<f64>().ok();
    let (only_javas, only_ours): (Vec<_>, Vec<_>) = (
        javas.keys().filter(|path| !ours.contains_key(*path)).cloned().collect(),
        ours.keys().filter(|path| !javas.contains_key(*path)).cloned().collect(),
    );
    for (long, short) in only_javas.iter().flat_map(|long| only_ours.iter().map(move |short| (long, short))) {
        let (Some(one), Some(other)) = (number(long), number(short)) else { continue };
        // As single precision they may be one number and two as double.
        if (one as f32).to_bits() == (other as f32).to_bits() && long.as_os_str().len() > short.as_os_str().len() {
            javas.remove(long);
            ours.remove(short);
        }
    }
}

/// Values that have a name: bytes must be a text.
fn partition_value(random: &mut Random, kind: &TypeKind) -> Datum {
    match (random_value(random, kind), kind) {
        (Datum::Bytes(_), TypeKind::Binary(most) | TypeKind::VarBinary(most)) => {
            match random_value(random, &TypeKind::Char((*most).clamp(1, 9) / 4 + 1)) {
                Datum::String(text) if text.len() <= *most as usize => Datum::Bytes(text.into_bytes()),
                _ => Datum::Bytes(b"x".to_vec()),
            }
        }
        (other, _) => other,
    }
}

#[tokio::test]
async fn partitions_lie_where_java_2x_puts_them() {
    directories(Engine::Java2x, seeds(2)).await;
}

#[tokio::test]
async fn partitions_lie_where_java_1x_puts_them() {
    directories(Engine::Java1x, seeds(1)).await;
}
