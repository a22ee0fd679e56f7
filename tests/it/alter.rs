//! Schemas that change while rows come: the same changes as Java made, and what becomes of old rows.

use std::collections::BTreeMap;

use forebay::commit::CommitProperties;
use forebay::predicate::col;
use forebay::scan::At;
use forebay::schema::{Place, Schema, SchemaChange};
use forebay::types::{DataType, Datum, RowKind, TypeKind};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, changes, golden_dirs, json_lines, row_of};

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_string).collect()
}

fn add(column: &str, data_type: &str, place: Place) -> SchemaChange {
    SchemaChange::AddColumn {
        path: path(column),
        data_type: data_type.parse().unwrap(),
        comment: None,
        place: Some(place),
    }
}

fn rename(column: &str, name: &str) -> SchemaChange {
    SchemaChange::RenameColumn(path(column), name.to_string())
}

fn retype(column: &str, data_type: &str) -> SchemaChange {
    SchemaChange::ChangeType(path(column), data_type.parse::<DataType>().unwrap().kind)
}

/// What the `alter ..` lines of a golden's operations say.
fn altered(golden: &str, commit: i64) -> Option<Vec<SchemaChange>> {
    let drop = |column: &str| SchemaChange::DropColumn(path(column));
    Some(match (golden, commit) {
        ("evo_add_drop", 2) => vec![add("x", "BIGINT", Place::Last)],
        ("evo_add_drop", 3) => vec![drop("s")],
        ("evo_add_drop", 4) => vec![add("s", "STRING", Place::Last)],
        ("evo_append", 2) => vec![add("x", "INT", Place::After("a".to_string()))],
        ("evo_append", 3) => vec![drop("b")],
        ("evo_append", 4) => vec![rename("x", "b")],
        ("evo_lookup", 3) => vec![add("x", "INT", Place::Last), rename("s", "s2")],
        ("evo_nested", 2) => vec![add("r.z", "BIGINT", Place::Last), add("ar.element.y", "STRING", Place::Last)],
        ("evo_nested", 3) => vec![rename("r.a", "q")],
        ("evo_nested", 4) => vec![drop("r.b"), retype("r.c", "BIGINT")],
        ("evo_rename_retype", 2) => vec![rename("a", "b")],
        ("evo_rename_retype", 3) => vec![retype("b", "BIGINT"), retype("d", "DECIMAL(16,2)")],
        ("evo_rename_retype", 4) => vec![SchemaChange::MoveColumn(path("d"), Place::First)],
        ("evo_retype_casts", 3) => vec![
            retype("a", "STRING"),
            retype("i2", "DOUBLE"),
            retype("t", "TIMESTAMP(6)"),
            retype("da", "STRING"),
            retype("f", "DOUBLE"),
        ],
        ("evo_swap_names", 3) => vec![rename("a", "tmp"), rename("b", "a"), rename("tmp", "b")],
        _ => return None,
    })
}

/// The columns, as far as both engines decide about them.
fn shown(schema: &Schema) -> (Vec<String>, i32) {
    let columns = schema.fields.iter().map(|field| format!("{} {} {:?}", field.id, field.name, field.data_type));
    (columns.collect(), schema.highest_field_id)
}

#[tokio::test]
async fn schemas_changed_as_java_changed_them_are_javas_and_rows_read_alike() {
    let mut passed = 0;
    for dir in golden_dirs() {
        let name = dir.file_name().unwrap().to_str().unwrap().to_string();
        let lines = json_lines(&dir.join("ops.jsonl"));
        if !name.starts_with("evo_") || lines.iter().all(|line| line.get("action").is_none()) {
            continue;
        }
        let golden = Table::open(dir.join("table").to_str().unwrap(), []).await.unwrap();
        let first = golden.history().schemas.load(0).await.unwrap();
        let place = tempfile::tempdir().unwrap();
        let mut table = Table::create(place.path().to_str().unwrap(), first.as_ref().clone(), []).await.unwrap();
        let mut committer = table.committer("writer-1").unwrap();
        let mut commits: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        for line in lines {
            commits.entry(line["commit"].as_i64().unwrap()).or_default().push(line);
        }
        let wanted = json_lines(&dir.join("rows.jsonl"));
        let told: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(dir.join("schema.json")).unwrap()).unwrap();
        for (commit, lines) in commits {
            if lines.iter().any(|line| line.get("action").is_some()) {
                let changes = altered(&name, commit);
                let changes =
                    changes.unwrap_or_else(|| panic!("{name}: what commit {commit} altered is not in the test"));
                table = table.alter(&changes).await.unwrap();
            }
            let row = |line: &serde_json::Value| {
                let kind = RowKind::from_short(line["kind"].as_str()?).unwrap();
                Some((kind, row_of(table.schema(), &line["row"])))
            };
            let rows: Vec<_> = lines.iter().filter_map(row).collect();
            let mut writer = table.stream_writer("writer-1").await.unwrap();
            writer.write(&changes(table.schema(), &rows)).await.unwrap();
            let messages = writer.prepare_commit().await.unwrap();
            committer.commit(commit, messages, CommitProperties::default()).await.unwrap();

            let of_commit = |snapshot: &&serde_json::Value| snapshot["commit"].as_i64() == Some(commit);
            let snapshot = told["snapshots"].as_array().unwrap().iter().rfind(of_commit).unwrap();
            let java = golden.history().schemas.load(snapshot["schemaId"].as_i64().unwrap()).await.unwrap();
            assert_eq!(shown(table.schema()), shown(&java), "{name}, commit {commit}");
            let wanted = wanted.iter().filter(|line| line["snapshot"] == snapshot["snapshot"]);
            let wanted = as_set(wanted.map(|line| row_of(&java, &line["row"])));
            let found = all_rows(&java, table.scan().wide_timestamps().read().await.unwrap()).await.unwrap();
            assert_eq!(as_set(found), wanted, "{name}, commit {commit}");
        }
        passed += 1;
    }
    assert!(passed > 0);
}

async fn numbers(place: &std::path::Path) -> Table {
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("a", DataType::INT)
        .column("s", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "1")
        .build()
        .unwrap();
    let table = Table::create(place.to_str().unwrap(), schema, []).await.unwrap();
    write(&table, (0..1000).map(|n| vec![Datum::Int(n), Datum::Int(n % 100), Datum::String(format!("{n}"))])).await;
    table
}

async fn write(table: &Table, rows: impl Iterator<Item = Row>) {
    let rows: Vec<_> = rows.map(|row| (RowKind::Insert, row)).collect();
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

/// Bounds in old files are of the old type: a condition on the new one must neither miss a row nor compare apples.
#[tokio::test]
async fn conditions_on_changed_columns_find_the_rows_of_old_and_new_files() {
    for (data_type, value) in [("BIGINT", Datum::BigInt(7)), ("STRING", Datum::String("7".into()))] {
        let place = tempfile::tempdir().unwrap();
        let table = numbers(place.path()).await.alter(&[retype("a", data_type)]).await.unwrap();
        write(&table, [vec![Datum::Int(5000), value.clone(), Datum::Null]].into_iter()).await;
        let before = all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap();
        let expected = before.iter().filter(|row| row[1] == value).count();
        assert_eq!((before.len(), expected), (1001, 11));
        let condition = || match &value {
            Datum::BigInt(number) => col("a").eq(*number),
            _ => col("a").eq("7"),
        };
        let found = table.scan().filter(condition()).read().await.unwrap();
        assert_eq!(all_rows(table.schema(), found).await.unwrap().len(), expected, "{data_type}, two runs");
        table.compact().full().run().await.unwrap();
        let found = table.scan().filter(condition()).read().await.unwrap();
        assert_eq!(all_rows(table.schema(), found).await.unwrap().len(), expected, "{data_type}, compacted");
        // A look back shows the old type.
        let old = table.scan().at(At::Snapshot(1));
        assert_eq!(old.plan().await.unwrap().schema.fields[1].data_type.kind, TypeKind::Int);
    }
}

#[tokio::test]
async fn a_lookup_sees_old_rows_in_the_new_type() {
    let place = tempfile::tempdir().unwrap();
    let table = numbers(place.path()).await;
    let changes = [retype("a", "STRING"), retype("s", "BIGINT"), add("x", "ROW<y INT>", Place::First)];
    let table = table.alter(&changes).await.unwrap();
    let lookup = table.lookup().open().await.unwrap();
    let row = lookup.get_one(&[Datum::Int(305)]).await.unwrap();
    let expected = vec![Datum::Null, Datum::Int(305), Datum::String("5".into()), Datum::BigInt(305)];
    assert_eq!(row, Some(expected.clone()));
    assert_eq!(lookup.get_one(&[Datum::Int(305)]).await.unwrap(), Some(expected), "with its pages in memory");
}

/// Avro files have their own schemas: parts of rows are found by the names they had, at any depth.
#[tokio::test]
async fn fields_of_rows_in_avro_files_change_under_scans_and_lookups() {
    let place = tempfile::tempdir().unwrap();
    let column = |text: &str| text.parse::<DataType>().unwrap();
    let schema = Schema::builder()
        .column("id", DataType::INT.not_null())
        .column("r", column("ROW<a INT, b STRING>"))
        .column("m", column("MAP<INT, ROW<c INT, d ARRAY<ROW<e INT>>>>"))
        .primary_key(["id"])
        .option("bucket", "1")
        .option("file.format", "avro")
        .option("write-only", "true");
    let table = Table::create(place.path().to_str().unwrap(), schema.build().unwrap(), []).await.unwrap();
    let ints = |values: &[i32]| Datum::Row(values.iter().map(|value| Datum::Int(*value)).collect());
    let old = |id: i32| {
        let inner = Datum::Row(vec![Datum::Int(id + 2), Datum::Array(vec![ints(&[id]), Datum::Null])]);
        let text = Datum::String(format!("b{id}"));
        vec![Datum::Int(id), Datum::Row(vec![Datum::Int(id + 1), text]), Datum::Map(vec![(Datum::Int(7), inner)])]
    };
    write(&table, (0..100).map(old)).await;
    let changes = [
        rename("r.a", "tmp"),
        rename("r.b", "a"),
        rename("r.tmp", "b"),
        retype("r.b", "BIGINT"),
        add("m.value.d.element.f", "DOUBLE", Place::First),
        SchemaChange::DropColumn(path("m.value.c")),
    ];
    let mut table = table;
    for change in changes {
        table = table.alter(&[change]).await.unwrap();
    }
    let new = |id: i32| {
        let inner = Datum::Array(vec![Datum::Row(vec![Datum::Null, Datum::Int(id)]), Datum::Null]);
        let r = Datum::Row(vec![Datum::BigInt(i64::from(id) + 1), Datum::String(format!("b{id}"))]);
        vec![Datum::Int(id), r, Datum::Map(vec![(Datum::Int(7), Datum::Row(vec![inner]))])]
    };
    let later = |id: i32| {
        let inner = Datum::Array(vec![Datum::Row(vec![Datum::Double(0.5), Datum::Null])]);
        let r = Datum::Row(vec![Datum::BigInt(1 << 40), Datum::Null]);
        vec![Datum::Int(id), r, Datum::Map(vec![(Datum::Int(8), Datum::Row(vec![inner]))])]
    };
    write(&table, (50..60).map(later)).await;
    let row = |id: i32| if (50..60).contains(&id) { later(id) } else { new(id) };
    let wanted = as_set((0..100).map(row));
    assert_eq!(as_set(all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap()), wanted);
    let lookup = table.lookup().open().await.unwrap();
    for id in [0, 49, 50, 99] {
        assert_eq!(lookup.get_one(&[Datum::Int(id)]).await.unwrap(), Some(row(id)));
    }
    table.compact().full().run().await.unwrap();
    assert_eq!(as_set(all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap()), wanted);
}

#[tokio::test]
async fn a_value_that_is_none_of_the_new_type_is_an_error_with_column_and_value() {
    let place = tempfile::tempdir().unwrap();
    let table = numbers(place.path()).await;
    write(&table, [vec![Datum::Int(1), Datum::Null, Datum::String("seven".into())]].into_iter()).await;
    let table = table.alter(&[retype("s", "INT")]).await.unwrap();
    let read = all_rows(table.schema(), table.scan().read().await.unwrap()).await;
    let error = read.unwrap_err().to_string();
    assert!(error.contains("\"s\"") && error.contains("\"seven\""), "{error}");
}

#[tokio::test]
async fn two_changers_both_succeed_and_a_refused_change_leaves_the_table_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let table = numbers(place.path()).await;
    let (one, two) = ([add("x", "INT", Place::Last)], [add("y", "INT", Place::Last)]);
    let (one, two) = tokio::join!(table.alter(&one), table.alter(&two));
    let newest = one.unwrap().schema().id.max(two.unwrap().schema().id);
    let table = Table::open(place.path().to_str().unwrap(), []).await.unwrap();
    assert_eq!((table.schema().id, newest, table.schema().fields.len()), (2, 2, 5));
    let same = table.alter(&[SchemaChange::SetOption("bucket".into(), "1".into())]).await.unwrap();
    assert_eq!(same.schema().id, 2, "nothing changed");
    for (change, invalid) in [
        (SchemaChange::SetOption("no-such-option".into(), "1".into()), true),
        (SchemaChange::SetOption("row-tracking.enabled".into(), "true".into()), true),
        (SchemaChange::SetDefault(path("id"), Some("x".into())), true),
        (SchemaChange::SetOption("file.format".into(), "lance".into()), false),
        (retype("id", "BIGINT"), true),
    ] {
        let error = table.alter(std::slice::from_ref(&change)).await.map(|_| ()).unwrap_err();
        assert_eq!(matches!(error, Error::Invalid(_)), invalid, "{change:?}: {error}");
        assert_eq!(table.history().schemas.latest().await.unwrap().unwrap().id, 2, "{change:?}");
    }
}
