use super::*;

fn orders() -> Schema {
    let builder = Schema::builder()
        .column("id", DataType::INT.not_null())
        .column("day", DataType::DATE.not_null())
        .column("a", DataType::INT)
        .column("r", "ROW<x INT, y STRING>".parse().unwrap())
        .column("l", "ARRAY<ROW<u INT>>".parse().unwrap());
    let builder = builder.partition_by(["day"]).primary_key(["id", "day"]).option("bucket", "2");
    builder.option("sequence.field", "a").option("fields.a.ignore-retract", "true").build().unwrap()
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_string).collect()
}

fn shown(schema: &Schema) -> String {
    let fields = schema.fields.iter().map(|field| format!("{}:{} {}", field.id, field.name, field.data_type));
    fields.collect::<Vec<_>>().join(", ")
}

#[test]
fn columns_keep_their_ids_and_new_ones_get_ids_never_given_out() {
    let add = |text: &str, data_type: &str, place| SchemaChange::AddColumn {
        path: path(text),
        data_type: data_type.parse().unwrap(),
        comment: None,
        place: Some(place),
    };
    let next = orders()
        .changed(
            &[
                add("x", "BIGINT", Place::After("id".to_string())),
                SchemaChange::DropColumn(path("x")),
                add("x", "ROW<p INT>", Place::First),
                add("r.z", "BIGINT", Place::Last),
                add("l.element.v", "STRING", Place::First),
                SchemaChange::RenameColumn(path("r.x"), "q".to_string()),
                SchemaChange::DropColumn(path("r.y")),
                SchemaChange::ChangeType(path("l.element.u"), TypeKind::BigInt),
                SchemaChange::RenameColumn(path("a"), "b".to_string()),
                SchemaChange::ChangeType(path("b"), TypeKind::BigInt),
                SchemaChange::MoveColumn(path("b"), Place::Before("day".to_string())),
            ],
            true,
        )
        .unwrap();
    assert_eq!(
        shown(&next),
        "9:x ROW<p INT>, 0:id INT NOT NULL, 2:b BIGINT, 1:day DATE NOT NULL, 3:r ROW<q INT, z BIGINT>, \
         6:l ARRAY<ROW<v STRING, u BIGINT>>"
    );
    assert_eq!((next.id, next.highest_field_id), (1, 12));
    assert_eq!(next.option("sequence.field"), Some("b"));
    assert_eq!(next.option("fields.b.ignore-retract"), Some("true"));
    assert_eq!(next.option("fields.a.ignore-retract"), None);
}

#[test]
fn a_renamed_key_column_stays_the_key() {
    let next = orders().changed(&[SchemaChange::RenameColumn(path("id"), "order".to_string())], true).unwrap();
    assert_eq!(next.primary_keys, ["order", "day"]);
}

/// Older versions let such names in.
#[test]
fn a_column_with_a_name_of_the_format_can_be_mended() {
    let mut odd = orders();
    let at = odd.index_of("a").unwrap();
    odd.fields[at].name = "_LEVEL".to_string();
    let mended = odd.changed(&[SchemaChange::RenameColumn(path("_LEVEL"), "level".to_string())], true).unwrap();
    assert_eq!(mended.fields[at].name, "level");
    odd.changed(&[SchemaChange::SetComment(Some("odd".to_string()))], true).unwrap();
}

#[test]
fn what_would_lose_rows_or_their_place_is_refused_by_name() {
    let set = |key: &str, value: &str| SchemaChange::SetOption(key.to_string(), value.to_string());
    let add = |name| SchemaChange::AddColumn { path: path(name), data_type: DataType::INT, comment: None, place: None };
    for (change, word) in [
        (SchemaChange::DropColumn(path("id")), "primary key column id"),
        (SchemaChange::RenameColumn(path("day"), "d".to_string()), "partition column day"),
        (SchemaChange::ChangeType(path("id"), TypeKind::BigInt), "primary key column id"),
        (SchemaChange::ChangeType(path("a"), TypeKind::Date), "INT cannot be read as DATE"),
        (SchemaChange::ChangeType(path("r"), TypeKind::Int), "by its path"),
        (SchemaChange::ChangeNullability(path("a"), false), "may hold NULL"),
        (SchemaChange::ChangeNullability(path("id"), true), "cannot allow NULL"),
        (SchemaChange::RenameColumn(path("a"), "r".to_string()), "column r"),
        (SchemaChange::RenameColumn(path("a"), "_KEY_a".to_string()), "reserved"),
        (SchemaChange::RenameColumn(path("a"), " ".to_string()), "a column needs a name"),
        (add("_ROW_ID"), "reserved"),
        (SchemaChange::DropColumn(path("l.element")), "fixed names"),
        (SchemaChange::DropColumn(path("r.nothing")), "r.nothing"),
        (SchemaChange::DropColumn(path("a.b")), "b"),
        (set("merge-engine", "first-row"), "merge-engine"),
        (set("bucket", "-1"), "option bucket"),
        (SchemaChange::RemoveOption("bucket".to_string()), "option bucket"),
        (set("deletion-vectors.enabled", "true"), "deletion-vectors.modifiable"),
        (set("partition.legacy-name", "false"), "directories"),
        (set("partition.default-name", "none"), "directories"),
    ] {
        let error = orders().changed(std::slice::from_ref(&change), true).unwrap_err().to_string();
        assert!(error.contains(word), "{change:?}: {error}");
    }
    assert!(orders().changed(&[set("merge-engine", "first-row"), set("bucket", "-1")], false).is_ok());
    assert!(orders().changed(&[set("bucket", "7"), set("bucket", "2")], true).is_ok());
    assert!(
        orders()
            .changed(&[set("deletion-vectors.enabled", "false"), set("partition.legacy-name", "true")], true)
            .is_ok()
    );
    let modifiable = [set("deletion-vectors.modifiable", "true"), set("deletion-vectors.enabled", "true")];
    assert!(orders().changed(&modifiable, true).is_ok());
    let ignoring = orders().changed(&[set("ignore-delete", "true")], true).unwrap();
    for back in [set("ignore-delete", "false"), SchemaChange::RemoveOption("ignore-delete".to_string())] {
        let error = ignoring.changed(&[back], true).unwrap_err().to_string();
        assert!(error.contains("from true to false"), "{error}");
    }
    let all = ["r", "l"].map(|name| SchemaChange::DropColumn(path(name)));
    assert!(orders().changed(&all, true).is_ok());
}

#[test]
fn the_tables_own_options_say_what_a_change_may_do() {
    let mut schema = orders();
    schema.options.insert("add-column-before-partition".to_string(), "true".to_string());
    schema.options.insert("disable-explicit-type-casting".to_string(), "true".to_string());
    schema.options.insert("alter-column-null-to-not-null.disabled".to_string(), "false".to_string());
    let add = SchemaChange::AddColumn { path: path("x"), data_type: DataType::INT, comment: None, place: None };
    let strict = SchemaChange::ChangeNullability(path("a"), false);
    let wider = SchemaChange::ChangeType(path("a"), TypeKind::BigInt);
    let next = schema.changed(&[add, strict, wider], true).unwrap();
    assert!(shown(&next).starts_with("0:id INT NOT NULL, 8:x INT, 1:day DATE NOT NULL, 2:a BIGINT NOT NULL"));
    let error = schema.changed(&[SchemaChange::ChangeType(path("a"), TypeKind::STRING)], true).unwrap_err().to_string();
    assert!(error.contains("disable-explicit-type-casting"), "{error}");
}

#[test]
fn keys_of_maps_keep_their_type() {
    let fields = [("m", "MAP<INT, ROW<x INT>>"), ("s", "MULTISET<INT>"), ("k", "MAP<ROW<x INT>, INT>")];
    let schema = fields
        .into_iter()
        .fold(Schema::builder(), |schema, (name, data_type)| schema.column(name, data_type.parse().unwrap()));
    let schema = schema.build().unwrap();
    let retype = |text: &str| SchemaChange::ChangeType(path(text), TypeKind::BigInt);
    for change in [
        retype("m.key"),
        retype("s.element"),
        retype("k.key.x"),
        SchemaChange::RenameColumn(path("k.key.x"), "y".into()),
    ] {
        let error = schema.changed(std::slice::from_ref(&change), true).unwrap_err().to_string();
        assert!(error.contains("keep their type"), "{change:?}: {error}");
    }
    let next = schema.changed(&[retype("m.value.x")], true).unwrap();
    assert!(shown(&next).contains("MAP<INT, ROW<x BIGINT>>"), "{}", shown(&next));
}

#[test]
fn options_of_one_call_are_those_that_a_table_with_rows_can_change() {
    let set = |key: &str, value: &str| orders().with_options([(key.to_string(), value.to_string())]);
    for (key, value) in [
        ("merge-engine", "aggregation"),
        ("bucket-key", "id"),
        ("bucket-function.type", "mod"),
        ("data-file.path-directory", "d"),
        ("rowkind.field", "a"),
        ("bucket", "-2"),
        ("deletion-vectors.enabled", "true"),
        ("partition.legacy-name", "false"),
    ] {
        let error = set(key, value).unwrap_err().to_string();
        assert!(error.contains(key), "{key}: {error}");
    }
    assert_eq!(set("write-buffer-size", "1 mb").unwrap().option("write-buffer-size"), Some("1 mb"));
    assert!(set("bucket", "2").is_ok());
}
