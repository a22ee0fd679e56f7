//! Columns with default values, set by either engine and filled in by both.

use forebay::schema::{Schema, SchemaChange};
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};
use forebay_interop::{Engine, Op, Server, View, open, schema_form, write_once};
use serde_json::{Value, json};

use crate::support::{agreed, place, server_write_as};

/// A type, a text and another one that Java refuses, where there is one.
const DEFAULTS: [(&str, &str, Option<&str>); 14] = [
    ("BOOLEAN", "true", Some("perhaps")),
    ("TINYINT", "-7", Some("1000")),
    ("INT", "5", Some("x")),
    ("BIGINT", "'12345678901'", Some("1.5x")),
    ("DOUBLE", "1.25", Some("one")),
    ("DECIMAL(10, 2)", "1.005", Some("many")),
    ("STRING", "it's", None),
    ("STRING", "'quoted'", None),
    ("STRING", "", None),
    ("VARCHAR(3)", "abcdef", None),
    ("DATE", "2024-02-29", Some("soon")),
    ("TIME(3)", "01:02:03.004", Some("noon")),
    ("TIMESTAMP(6)", "2024-01-01 01:02:03.000004", Some("then")),
    ("TIMESTAMP(9)", "2024-01-01 01:02:03.000000004", None),
];

fn columns() -> Vec<(String, DataType, Option<&'static str>)> {
    let key = [("k".to_string(), DataType::INT.not_null(), None), ("p".to_string(), DataType::STRING, Some("here"))];
    let others = DEFAULTS.iter().enumerate();
    let others = others.map(|(at, (data_type, text, _))| (format!("c{at}"), data_type.parse().unwrap(), Some(*text)));
    key.into_iter().chain(others).collect()
}

fn schema() -> Schema {
    let builder = Schema::builder().primary_key(["k", "p"]).partition_by(["p"]).option("bucket", "1");
    let builder = columns().into_iter().fold(builder, |builder, (name, data_type, text)| {
        let builder = builder.column(&name, data_type);
        text.into_iter().fold(builder, |builder, text| builder.default_value(&name, text))
    });
    builder.build().unwrap()
}

/// Rows whose values are NULL wherever a default stands, but for the partition: Java's writer wants the key whole.
fn nulls(schema: &Schema, keys: std::ops::Range<i32>, kind: RowKind) -> Vec<Op> {
    let row = |key: i32| {
        let rest = schema.fields.iter().skip(2).map(|_| Datum::Null);
        [Datum::Int(key), Datum::String("there".into())].into_iter().chain(rest).collect()
    };
    keys.map(|key| Op { kind, row: row(key) }).collect()
}

async fn filled_alike(engine: Engine) {
    let mut server = Server::get(engine);
    let (place, wanted) = (place(), schema());
    let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
    Table::create(ours.to_str().unwrap(), wanted.clone(), []).await.unwrap();
    let columns = columns()
        .into_iter()
        .map(|(name, data_type, text)| json!({"name": name, "type": data_type.to_string(), "default": text}));
    let columns: Vec<Value> = columns.collect();
    let options = json!({"bucket": "1"});
    let arguments = json!({"columns": columns, "partitionBy": ["p"], "primaryKey": ["k", "p"], "options": options});
    server.run("create", &javas, arguments);
    assert_eq!(schema_form(&javas), schema_form(&ours), "Java's schema on the left");

    let (first, second) = (nulls(&wanted, 0..3, RowKind::Insert), nulls(&wanted, 2..4, RowKind::UpdateAfter));
    let mut views = Vec::new();
    for (turn, path) in [&ours, &javas].into_iter().enumerate() {
        let order = if turn == 0 { [&first, &second] } else { [&second, &first] };
        write_once(path, "ours", 1, order[0]).await;
        server_write_as(&mut server, path, &wanted, 1, order[1], "none");
        views.push(agreed(&format!("turn {turn}"), &mut server, path).await);
    }
    assert_eq!(newest(&views[0]), newest(&views[1]), "which engine filled a row does not show");
    assert!(newest(&views[0]).iter().all(|row| !row.contains("Null")), "{:?}", newest(&views[0]));
}

fn newest(view: &View) -> &[String] {
    view.rows.values().next_back().unwrap()
}

#[tokio::test]
async fn java_2x_and_we_fill_the_same_values_into_the_same_rows() {
    filled_alike(Engine::Java2x).await;
}

#[tokio::test]
async fn java_1x_and_we_fill_the_same_values_into_the_same_rows() {
    filled_alike(Engine::Java1x).await;
}

/// What one engine sets or takes away, the other one obeys; what is no value of the column is refused by both.
#[tokio::test]
async fn defaults_are_altered_by_java_2x_and_by_us() {
    let mut server = Server::get(Engine::Java2x);
    let place = place();
    let path = place.path().join("t");
    let builder = DEFAULTS.iter().enumerate().fold(Schema::builder(), |builder, (at, (data_type, ..))| {
        builder.column(format!("c{at}"), data_type.parse::<DataType>().unwrap())
    });
    let builder = builder.column("k", DataType::INT).column("p", DataType::STRING);
    let mut table = Table::create(path.to_str().unwrap(), builder.build().unwrap(), []).await.unwrap();
    for (at, (data_type, text, bad)) in DEFAULTS.iter().enumerate() {
        let column = format!("c{at}");
        if let Some(bad) = bad {
            let set = SchemaChange::SetDefault(vec![column.clone()], Some(bad.to_string()));
            assert!(matches!(table.alter(&[set]).await, Err(Error::Invalid(_))), "{data_type} {bad}");
            let change = json!([{"default": column, "value": bad}]);
            let call = json!({"command": "alter", "table": path.to_str().unwrap(), "changes": change});
            assert!(server.call(&call).is_err(), "{data_type} {bad}");
        }
        match at % 2 {
            0 => drop(server.run("alter", &path, json!({"changes": [{"default": column, "value": text}]}))),
            _ => drop(table.alter(&[SchemaChange::SetDefault(vec![column], Some(text.to_string()))]).await.unwrap()),
        }
    }
    table = open(&path).await;
    let row = |schema: &Schema| vec![Op { kind: RowKind::Insert, row: vec![Datum::Null; schema.fields.len()] }];
    write_once(&path, "ours", 1, &row(table.schema())).await;
    server_write_as(&mut server, &path, table.schema(), 1, &row(table.schema()), "none");
    let view = agreed("all defaults are set", &mut server, &path).await;
    let rows = newest(&view);
    assert_eq!((rows.len(), &rows[0]), (2, &rows[1]), "both filled the same row");

    server.run("alter", &path, json!({"changes": [{"default": "c1"}]}));
    table = open(&path).await.alter(&[SchemaChange::SetDefault(vec!["c0".into()], None)]).await.unwrap();
    write_once(&path, "ours", 2, &row(table.schema())).await;
    server_write_as(&mut server, &path, table.schema(), 2, &row(table.schema()), "none");
    let view = agreed("two were taken away", &mut server, &path).await;
    let without = newest(&view).iter().filter(|row| row.starts_with("[Null, Null, Int(5)"));
    assert_eq!((newest(&view).len(), without.count()), (4, 2), "{:?}", newest(&view));
}
