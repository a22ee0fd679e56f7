//! Java changes the schema of a table of ours while both go on writing.

use std::path::Path;

use forebay::Error;
use forebay_interop::{Engine, Random, Server, TableSpec, create, open, rows_at, seeds, write_once};
use serde_json::{Value, json};

use crate::support::{agreed, place, server_compact, server_write_as};

async fn both_write(server: &mut Server, random: &mut Random, path: &Path, identifier: &mut i64) {
    let table = open(path).await;
    let spec = TableSpec::of_schema(table.schema());
    let mut commits = spec.operations_on(random, 2, 8, |random| random.between(3, 15) as usize);
    *identifier += 1;
    write_once(path, "ours", *identifier, &commits.remove(0)).await;
    server_write_as(server, path, table.schema(), *identifier, &commits.remove(0), "none");
}

async fn evolve(engine: Engine, base: TableSpec, seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let place = place();
        let path = place.path().join("t");
        create(&path, &base).await;
        let mut identifier = 0;
        both_write(&mut server, &mut random, &path, &mut identifier).await;
        let mut changes: Vec<Value> = vec![
            json!([{"add": "new", "type": "DECIMAL(12, 3)"}]),
            json!([{"drop": "b"}]),
            json!([{"rename": "c", "to": "renamed"}]),
            json!([{"add": "first", "type": "TIMESTAMP(6)", "first": true}]),
            json!([{"set": "file.compression", "value": "lz4"}]),
        ];
        for turn in 0.. {
            if changes.is_empty() {
                break;
            }
            let change = changes.remove(random.below(changes.len()));
            let what = format!("seed {seed}, after {change}");
            // A name that comes back is another column.
            let again = change[0].get("drop").map(|_| json!([{"add": "b", "type": "INT"}]));
            changes.extend(again);
            server.run("alter", &path, json!({"changes": change}));
            both_write(&mut server, &mut random, &path, &mut identifier).await;
            if random.chance(30) {
                server_compact(&mut server, &path, turn % 2 == 0);
            }
            agreed(&what, &mut server, &path).await;
        }
    }
}

const COLUMNS: [&str; 6] = ["k INT", "a INT", "b STRING", "c DOUBLE", "d STRING", "p STRING"];

fn keyed() -> TableSpec {
    TableSpec::of(&COLUMNS).partition(&["p"]).key(&["k", "p"]).option("bucket", "2")
}

#[tokio::test]
async fn tables_with_a_key_evolve_under_java_2x() {
    evolve(Engine::Java2x, keyed().option("changelog-producer", "input"), seeds(2)).await;
}

#[tokio::test]
async fn tables_with_a_key_evolve_under_java_1x() {
    evolve(Engine::Java1x, keyed(), seeds(1)).await;
}

#[tokio::test]
async fn append_tables_evolve_under_java_2x() {
    evolve(Engine::Java2x, TableSpec::of(&COLUMNS), seeds(1)).await;
}

/// Changed types are not cast yet: such a table is refused by name, and its older snapshots read as before.
#[tokio::test]
async fn a_changed_type_is_refused_by_name() {
    let mut server = Server::get(Engine::Java2x);
    let place = place();
    let path = place.path().join("t");
    create(&path, &keyed()).await;
    both_write(&mut server, &mut Random::new(1), &path, &mut 0).await;
    let older = rows_at(&open(&path).await, 2).await.unwrap();
    server.run("alter", &path, json!({"changes": [{"retype": "a", "type": "BIGINT"}]}));
    both_write(&mut server, &mut Random::new(2), &path, &mut 1).await;
    let table = open(&path).await;
    assert_eq!(rows_at(&table, 2).await.unwrap(), older);
    match table.scan().read().await.map(drop) {
        Err(Error::Unsupported(what)) => assert!(what.contains("\"a\" was INT"), "{what}"),
        other => panic!("{other:?}"),
    }
}
