//! Both engines change the schema of a table of ours by turns while both go on writing.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use forebay::schema::{Place, SchemaChange};
use forebay::types::{DataType, Datum, RowKind};
use forebay_interop::{Engine, Op, Random, Server, TableSpec, Writer, binary, create, open, seeds, write_once};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::{agreed, place, server_compact, server_write, server_write_as, storable};

async fn both_write(server: &mut Server, random: &mut Random, path: &Path, identifier: &mut i64) {
    let table = open(path).await;
    let spec = TableSpec::of_schema(table.schema());
    let mut commits = spec.operations_on(random, 2, 8, |random| random.between(3, 15) as usize);
    if table.schema().option("file.format").is_some_and(|format| format == "orc") {
        commits = commits.into_iter().map(|operations| storable(&spec, operations)).collect();
    }
    *identifier += 1;
    Writer::open(path, "ours").await.commit(*identifier, &commits.remove(0)).await;
    server_write_as(server, path, table.schema(), *identifier, &commits.remove(0), "none");
}

/// The same change by us.
async fn alter(path: &Path, change: &Value) {
    let text = |key: &str| change[key].as_str().unwrap().to_string();
    let path_of = |key: &str| match change[key].as_array() {
        Some(names) => names.iter().map(|name| name.as_str().unwrap().to_string()).collect(),
        None => vec![text(key)],
    };
    let data_type = || text("type").parse::<DataType>().unwrap();
    let change = if change.get("add").is_some() {
        let place = change.get("first").map(|_| Place::First);
        SchemaChange::AddColumn { path: path_of("add"), data_type: data_type(), comment: None, place }
    } else if change.get("drop").is_some() {
        SchemaChange::DropColumn(path_of("drop"))
    } else if change.get("rename").is_some() {
        SchemaChange::RenameColumn(path_of("rename"), text("to"))
    } else if change.get("retype").is_some() {
        SchemaChange::ChangeType(path_of("retype"), data_type().kind)
    } else {
        SchemaChange::SetOption(text("set"), text("value"))
    };
    open(path).await.alter(&[change]).await.unwrap();
}

/// What comes after a change of a column: a name that comes back is another column, a type changes once more.
fn after(change: &Value) -> Option<Value> {
    // Nothing is left of what old files hold.
    if let Some([.., last]) = change["add"].as_array().map(Vec::as_slice)
        && last == "b"
    {
        let mut path = change["add"].clone();
        path.as_array_mut().and_then(|path| path.last_mut()).map(|last| *last = json!("a"));
        return Some(json!([{"drop": path}]));
    }
    match (change.get("drop"), change["retype"].as_str(), change["type"].as_str()) {
        (Some(Value::String(_)), ..) => Some(json!([{"add": "b", "type": "INT"}])),
        (_, Some("a"), Some("BIGINT")) => Some(json!([{"retype": "a", "type": "STRING"}])),
        // Not DATE: times before 1970 become another day in 2.0.0 (decision 0013).
        (_, Some("t"), Some("TIMESTAMP(3)")) => Some(json!([{"retype": "t", "type": "TIMESTAMP(6)"}])),
        (_, Some("m"), Some("DECIMAL(12, 1)")) => Some(json!([{"retype": "m", "type": "DOUBLE"}])),
        _ => None,
    }
}

async fn evolve(engine: Engine, base: TableSpec, retypes: &[Value], seeds: impl Iterator<Item = u64>) {
    let mut server = Server::get(engine);
    for seed in seeds {
        let mut random = Random::new(seed);
        let place = place();
        let path = place.path().join("t");
        match base.options.contains_key("file.format") {
            true => base.create_by(&mut server, &path),
            false => drop(create(&path, &base).await),
        }
        let mut identifier = 0;
        both_write(&mut server, &mut random, &path, &mut identifier).await;
        // Avro knows no lz4.
        let avro = base.options.get("file.format").is_some_and(|format| format == "avro");
        let codec = if avro { "snappy" } else { "lz4" };
        let mut changes: Vec<Value> = vec![
            json!([{"add": "new", "type": "DECIMAL(12, 3)"}]),
            json!([{"drop": "b"}]),
            json!([{"rename": "c", "to": "renamed"}]),
            json!([{"add": "first", "type": "TIMESTAMP(6)", "first": true}]),
            json!([{"set": "file.compression", "value": codec}]),
        ];
        changes.extend(retypes.iter().cloned());
        for turn in 0.. {
            if changes.is_empty() {
                break;
            }
            let change = changes.remove(random.below(changes.len()));
            let what = format!("seed {seed}, after {change}");
            changes.extend(after(&change[0]));
            match random.chance(50) {
                true => alter(&path, &change[0]).await,
                false => drop(server.run("alter", &path, json!({"changes": change}))),
            }
            both_write(&mut server, &mut random, &path, &mut identifier).await;
            if random.chance(30) {
                server_compact(&mut server, &path, &base, turn % 2 == 0);
            }
            agreed(&what, &mut server, &path).await;
        }
    }
}

const COLUMNS: [&str; 6] = ["k INT", "a INT", "b STRING", "c DOUBLE", "d STRING", "p STRING"];

fn keyed() -> TableSpec {
    TableSpec::of(&COLUMNS).partition(&["p"]).key(&["k", "p"]).option("bucket", "2")
}

/// Columns whose types change, and the first change of each.
fn retyped() -> (Vec<&'static str>, [Value; 6]) {
    let scalars = ["t TIMESTAMP(6)", "m DECIMAL(10, 2)"];
    let nested = ["list ARRAY<INT>", "pairs MAP<STRING, BIGINT>", "row ROW<x INT, y ARRAY<STRING>>"];
    let columns = COLUMNS.into_iter().chain(scalars).chain(nested).collect();
    let changes = [
        ("a", "BIGINT"),
        ("t", "TIMESTAMP(3)"),
        ("m", "DECIMAL(12, 1)"),
        ("list", "STRING"),
        ("pairs", "STRING"),
        ("row", "STRING"),
    ];
    (columns, changes.map(|(column, to)| json!([{"retype": column, "type": to}])))
}

#[tokio::test]
async fn tables_with_a_key_evolve_beside_java_2x() {
    let (columns, retypes) = retyped();
    let spec = TableSpec::of(&columns).partition(&["p"]).key(&["k", "p"]).option("bucket", "2");
    evolve(Engine::Java2x, spec.option("changelog-producer", "input"), &retypes, seeds(3)).await;
}

#[tokio::test]
async fn tables_with_a_key_evolve_beside_java_1x() {
    evolve(Engine::Java1x, keyed(), &[], seeds(1)).await;
}

/// All files are ORC.
#[tokio::test]
async fn tables_of_orc_files_evolve_beside_java() {
    evolve(Engine::Java2x, keyed().option("file.format", "orc"), &retyped().1[..1], seeds(2)).await;
    evolve(Engine::Java1x, TableSpec::of(&COLUMNS).option("file.format", "orc"), &[], seeds(1)).await;
}

#[tokio::test]
async fn append_tables_evolve_beside_java_2x() {
    let (columns, retypes) = retyped();
    evolve(Engine::Java2x, TableSpec::of(&columns), &retypes, seeds(2)).await;
}

/// Fields inside of columns come, go and change, down to rows of which no file has a field that is left.
#[tokio::test]
async fn fields_inside_of_columns_evolve_beside_java() {
    let nested = [
        "r ROW<x INT, y ARRAY<ROW<p INT, q STRING>>, z STRING>",
        "m MAP<STRING, ROW<u INT, w DOUBLE>>",
        "lost ROW<a INT>",
        "list ARRAY<ROW<a INT>>",
        "deep ROW<i INT, in ROW<a STRING>>",
    ];
    let columns: Vec<&str> = COLUMNS.into_iter().chain(nested).collect();
    let changes = [
        json!([{"add": ["r", "n"], "type": "STRING"}]),
        json!([{"drop": ["r", "z"]}]),
        json!([{"retype": ["r", "x"], "type": "BIGINT"}]),
        json!([{"drop": ["r", "y", "element", "q"]}]),
        json!([{"add": ["r", "y", "element", "s"], "type": "DATE"}]),
        json!([{"rename": ["m", "value", "w"], "to": "v"}]),
        json!([{"drop": ["m", "value", "u"]}]),
        json!([{"add": ["lost", "b"], "type": "INT"}]),
        json!([{"add": ["list", "element", "b"], "type": "INT"}]),
        json!([{"add": ["deep", "in", "b"], "type": "INT"}]),
    ];
    let keyed = || TableSpec::of(&columns).partition(&["p"]).key(&["k", "p"]).option("bucket", "2");
    evolve(Engine::Java2x, keyed(), &changes, seeds(1)).await;
    evolve(Engine::Java1x, keyed(), &changes, seeds(1)).await;
    evolve(Engine::Java2x, TableSpec::of(&columns).option("file.format", "avro"), &changes, seeds(1)).await;
    evolve(Engine::Java2x, keyed().option("file.format", "orc"), &changes, seeds(1)).await;
}

/// A Parquet file with a wider `a` and a column `extra`, which our command line takes in.
fn wide_file(path: &Path) {
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("k", Arc::new(Int32Array::from(vec![1, 70_000])), false),
        ("a", Arc::new(Int64Array::from(vec![Some(5_000_000_000), None])), true),
        ("extra", Arc::new(StringArray::from(vec![Some("x"), None])), true),
        ("p", Arc::new(StringArray::from(vec!["p", "q"])), false),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// `forebay write --merge-schema` changes the table under a writer that is open, and then Java does; the writer goes on after both.
#[tokio::test]
async fn java_reads_what_merge_schema_added_and_an_open_writer_takes_up_what_java_altered() {
    for (engine, base) in [
        (Engine::Java2x, keyed().option("changelog-producer", "input")),
        (Engine::Java1x, keyed()),
        (Engine::Java2x, TableSpec::of(&COLUMNS)),
    ] {
        let (mut server, mut random) = (Server::get(engine), Random::new(1));
        let place = place();
        let (path, file) = (place.path().join("t"), place.path().join("wide.parquet"));
        create(&path, &base).await;
        let mut kept = Writer::open(&path, "kept").await;
        let mut commits = base.operations_on(&mut random, 4, 8, |_| 12).into_iter();
        kept.commit(1, &commits.next().unwrap()).await;
        wide_file(&file);
        let mut write = std::process::Command::new(binary());
        let told = write.arg("write").arg(&path).arg(&file).arg("--merge-schema").output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let table = open(&path).await;
        let columns: Vec<String> =
            table.schema().fields.iter().map(|it| format!("{} {}", it.name, it.data_type)).collect();
        assert!(
            columns.contains(&"a BIGINT".to_string()) && columns.contains(&"extra STRING".to_string()),
            "{columns:?}"
        );
        agreed(&format!("{engine:?}, merged: {base:?}"), &mut server, &path).await;
        // Rows of the old columns, before and after the writer took the new schema up.
        kept.commit(2, &commits.next().unwrap()).await;
        agreed(&format!("{engine:?}, the writer after the merge: {base:?}"), &mut server, &path).await;

        let changes = json!([{"add": "java", "type": "DECIMAL(12, 3)"}, {"rename": "c", "to": "renamed"}]);
        server.run("alter", &path, json!({"changes": changes}));
        // This commit was begun under the schema that it has; from then on it takes what Java added.
        kept.commit(3, &[]).await;
        let table = open(&path).await;
        kept.feed(table.schema());
        let rows = TableSpec::of_schema(table.schema()).operations_on(&mut random, 1, 8, |_| 30).remove(0);
        kept.commit(4, &rows).await;
        let view = agreed(&format!("{engine:?}, the writer after Java altered: {base:?}"), &mut server, &path).await;
        let newest = open(&path).await.history().snapshots.latest().await.unwrap().unwrap();
        assert_eq!(newest.schema_id, table.schema().id, "the writer wrote with Java's schema");
        assert!(
            view.rows.values().next_back().unwrap().iter().any(|row| row.contains("Decimal")),
            "values of Java's column"
        );
        server_write_as(&mut server, &path, table.schema(), 5, &rows[..5], "none");
        server_compact(&mut server, &path, &base, true);
        agreed(&format!("{engine:?}, compacted: {base:?}"), &mut server, &path).await;
    }
}

/// A change that nobody wrote with is taken back by one engine; the other reads, changes the schema and writes on.
async fn a_schema_is_rolled_back(engine: Engine, by_java: bool) {
    let mut server = Server::get(engine);
    let spec = TableSpec::of(&["k INT NOT NULL", "v INT"]).key(&["k"]).option("bucket", "1");
    let place = place();
    let path = place.path().join("t");
    create(&path, &spec).await;
    let row = |k: i32| Op { kind: RowKind::Insert, row: vec![Datum::Int(k), Datum::Int(k)] };
    server_write(&mut server, &path, &spec, 1, &[row(1)], "none");
    write_once(&path, "us", 2, &[row(2)]).await;
    for column in ["a", "b"] {
        server.run("alter", &path, json!({"changes": [{"add": column, "type": "INT"}]}));
    }
    let table = open(&path).await;
    assert_eq!(table.schema().id, 2);
    match by_java {
        true => assert_eq!(server.run("rollback_schema", &path, json!({"schema": 0}))["schemaId"], 0),
        false => assert_eq!(table.rollback_schema(0).await.unwrap().schema().id, 0),
    }
    let mut files: Vec<_> = std::fs::read_dir(path.join("schema")).unwrap().map(|it| it.unwrap().file_name()).collect();
    files.retain(|name| !name.to_str().unwrap().starts_with('.'));
    assert_eq!(files, ["schema-0"]);
    let what = format!("{engine:?}, by Java: {by_java}");
    agreed(&what, &mut server, &path).await;
    // The numbers are given anew, by the other one, and both write with it.
    let change = json!({"add": "c", "type": "STRING"});
    match by_java {
        // The handle remembers what was rolled back.
        true => {
            let path = vec!["c".to_string()];
            let add = SchemaChange::AddColumn { path, data_type: DataType::STRING, comment: None, place: None };
            assert_eq!(table.alter(&[add]).await.unwrap().schema().id, 1);
        }
        false => drop(server.run("alter", &path, json!({"changes": [change]}))),
    }
    let newest = open(&path).await;
    let names: Vec<_> = newest.schema().fields.iter().map(|field| &*field.name).collect();
    assert_eq!((newest.schema().id, names), (1, vec!["k", "v", "c"]));
    let row = |k: i32| vec![Datum::Int(k), Datum::Int(k), Datum::String(format!("c{k}"))];
    write_once(&path, "us", 3, &[Op { kind: RowKind::Insert, row: row(3) }]).await;
    let operations = [Op { kind: RowKind::Insert, row: row(4) }];
    server_write_as(&mut server, &path, newest.schema(), 4, &operations, "full");
    agreed(&what, &mut server, &path).await;
    // Each refuses what a snapshot names.
    let words = server.call(&json!({"command": "rollback_schema", "table": path, "schema": 0})).unwrap_err();
    assert!(words.contains("Cannot rollback to schema 0"), "{words}");
    let error = open(&path).await.rollback_schema(0).await.err().unwrap();
    assert!(matches!(&error, forebay::Error::Invalid(words) if words.contains("names schema 1")), "{error}");
}

#[tokio::test]
async fn a_schema_that_nobody_wrote_with_is_rolled_back_by_either_engine() {
    for engine in [Engine::Java2x, Engine::Java1x] {
        for by_java in [true, false] {
            a_schema_is_rolled_back(engine, by_java).await;
        }
    }
}
