//! What this engine writes is what Java writes for the same operations: schema, snapshots, manifests, file descriptions
//! with their statistics, directories, and the form of the data files.

use std::collections::BTreeMap;
use std::path::Path;

use forebay_interop::{
    Engine, Model, Random, Server, Shape, TableSpec, avro_forms, create, data_directories, difference, file_forms,
    manifest_forms, orc_forms, parquet_forms, schema_form, seeds, snapshot_forms, write_once,
};

use crate::support::{check, place, server_write, storable};

/// Fails unless two tables that had the same operations, one written by us and one by Java, are alike.
pub fn assert_alike(what: &str, server: &mut Server, spec: &TableSpec, ours: &Path, javas: &Path) {
    assert_eq!(schema_form(javas), schema_form(ours), "{what}: schema-0, Java's on the left");
    assert_eq!(data_directories(javas), data_directories(ours), "{what}: data directories, Java's on the left");
    if let Some(difference) = difference(&file_forms(server, javas, spec), &file_forms(server, ours, spec)) {
        panic!("{what}: data files, wanted as Java has them: {difference}");
    }
    assert_eq!(snapshot_forms(javas), snapshot_forms(ours), "{what}: snapshots, Java's on the left");
    let (wanted, found) = (manifest_forms(javas), manifest_forms(ours));
    assert_eq!(wanted.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{what}: manifest lists");
    for (list, metas) in wanted {
        assert_eq!(metas, found[&list], "{what}: manifest list {list:?}, Java's on the left");
    }
    let forms = |table: &Path| {
        let avro = avro_forms(table).into_iter().map(|(kind, forms)| (format!("{kind} (Avro)"), forms));
        let orc = orc_forms(table).into_iter().map(|(kind, forms)| (format!("{kind} (ORC)"), forms));
        parquet_forms(table).into_iter().chain(avro).chain(orc).collect::<BTreeMap<_, _>>()
    };
    let (wanted, found) = (forms(javas), forms(ours));
    assert_eq!(wanted.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{what}: kinds of data files");
    for (kind, forms) in wanted {
        assert!(
            forms == found[&kind],
            "{what}: form of {kind} files: Java's\n{}\nours\n{}",
            forms.join("\n"),
            found[&kind].join("\n")
        );
    }
}

async fn both_write(engine: Engine, shape: Shape, seeds: impl Iterator<Item = u64>, options: &[(&str, &str)]) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = TableSpec::random(&mut random, shape);
        let spec = options.iter().fold(spec, |spec, (name, value)| spec.option(name, value));
        let what = format!("seed {seed}: {spec:?}");
        let (place, mut model) = (place(), Model::new(&spec));
        let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
        create(&ours, &spec).await;
        spec.create_by(&mut server, &javas);
        let orc = options.contains(&ORC);
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 4)) {
            let operations = if orc { storable(&spec, operations) } else { operations };
            let snapshot = write_once(&ours, "ours", identifier, &operations).await;
            assert_eq!(server_write(&mut server, &javas, &spec, identifier, &operations, "none"), snapshot, "{what}");
            model.commit(&operations, snapshot..=snapshot);
        }
        assert_alike(&what, &mut server, &spec, &ours, &javas);
        check(&what, model.view(), &mut server, &javas).await;
    }
}

#[tokio::test]
async fn our_table_is_described_as_java_2x_describes_its_own() {
    both_write(Engine::Java2x, Shape::ALL, seeds(10), &[]).await;
}

#[tokio::test]
async fn our_table_is_described_as_java_1x_describes_its_own() {
    both_write(Engine::Java1x, Shape::JAVA_1X, seeds(6), &[]).await;
}

/// Statistics of Avro files are gathered by their writer, and by other rules.
#[tokio::test]
async fn our_avro_tables_are_described_as_java_describes_its_own() {
    let avro = ("file.format", "avro");
    let none = [avro, ("metadata.stats-mode", "none"), ("file.compression", "null")];
    let some = [avro, ("metadata.stats-keep-first-n-columns", "4"), ("file.compression", "deflate")];
    both_write(Engine::Java2x, Shape::ALL.in_avro(), seeds(8), &[avro]).await;
    both_write(Engine::Java1x, Shape::JAVA_1X.in_avro(), seeds(4), &[avro]).await;
    both_write(Engine::Java2x, Shape::ALL.in_avro(), seeds(3), &none).await;
    both_write(Engine::Java2x, Shape::ALL.in_avro(), seeds(3), &some).await;
    both_write(Engine::Java2x, Shape::ALL.in_avro().with_nested(), seeds(8), &[avro]).await;
    both_write(Engine::Java1x, Shape::JAVA_1X.in_avro().with_nested(), seeds(4), &[avro]).await;
    let thin = [avro, ("data-file.thin-mode", "true"), ("file.suffix.include.compression", "true")];
    both_write(Engine::Java2x, Shape::ALL.in_avro().with_key(), seeds(3), &thin).await;
}

const ORC: (&str, &str) = ("file.format", "orc");

#[tokio::test]
async fn our_orc_tables_are_described_as_java_describes_its_own() {
    let plain = [ORC, ("file.compression", "none")];
    both_write(Engine::Java2x, Shape::ALL, seeds(8), &plain).await;
    both_write(Engine::Java1x, Shape::JAVA_1X, seeds(4), &plain).await;
    both_write(Engine::Java2x, Shape::ALL.with_nested_but_variants(), seeds(6), &plain).await;
    let thin = [ORC, ("file.compression", "none"), ("data-file.thin-mode", "true")];
    both_write(Engine::Java2x, Shape::ALL.with_key(), seeds(3), &thin).await;
}
