//! Tables of old releases, written on by us and then read by the newest Java.

use std::path::Path;

use forebay::schema::SchemaChange;
use forebay_interop::{Engine, Random, Server, TableSpec, View, Writer, assert_same_rows, open};

use crate::support::{agreed, place, server_write_as, storable};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Both engines read a table of an old release alike, before and after both have written to it and we compacted it.
#[tokio::test]
async fn the_newest_java_reads_old_tables_after_we_wrote_to_them() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/vintages");
    let mut server = Server::get(Engine::Java2x);
    for (seed, name) in
        (1..).zip(["0.4.0-incubating/pk_default", "0.4.0-incubating/evo", "0.9.0/pk_parquet", "0.9.0/evo", "0.8.2/dv"])
    {
        let place = place();
        let path = place.path().join("t");
        copy(&goldens.join(name).join("table"), &path);
        let old = agreed(&format!("{name} as it was"), &mut server, &path).await;
        let table = open(&path).await;
        let set = |name: &str, value: &str| SchemaChange::SetOption(name.to_string(), value.to_string());
        // The old snapshots are older than any expiry waits.
        table.alter(&[set("snapshot.num-retained.min", "100")]).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let spec = TableSpec::of_schema(open(&path).await.schema());
        let mut random = Random::new(seed);
        let commits = spec.operations_on(&mut random, 3, 8, |random| random.between(3, 15) as usize);
        for (identifier, operations) in (101..).zip(commits) {
            let operations = storable(&spec, operations);
            let table = open(&path).await;
            match identifier {
                102 => drop(server_write_as(&mut server, &path, table.schema(), identifier, &operations, "none")),
                _ => drop(Writer::of(&table, "ours").await.commit(identifier, &operations).await),
            }
        }
        open(&path).await.compact().full().run().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let new = agreed(&format!("{name} written on"), &mut server, &path).await;
        let before = View {
            rows: new.rows.into_iter().filter(|(id, _)| old.rows.contains_key(id)).collect(),
            ..View::default()
        };
        assert_same_rows(&format!("{name}: its old snapshots"), &old, &before);
    }
}
