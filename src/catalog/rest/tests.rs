//! Tests of what is said, without a service.

use super::*;
use crate::catalog::Catalog;
use crate::format::{decode_told_schema, encode_told_schema};
use crate::schema::Place;
use crate::types::{DataType, TypeKind};

fn path(name: &str) -> Vec<String> {
    name.split('.').map(str::to_string).collect()
}

#[test]
fn schema_changes_come_back_as_they_were_told() {
    let changes = [
        SchemaChange::SetOption("a".into(), "b".into()),
        SchemaChange::RemoveOption("a".into()),
        SchemaChange::SetComment(None),
        SchemaChange::SetComment(Some("c".into())),
        SchemaChange::AddColumn {
            path: path("r.x"),
            data_type: DataType::array(DataType::INT.not_null()),
            comment: Some("c".into()),
            place: Some(Place::After("y".into())),
        },
        SchemaChange::AddColumn { path: path("x"), data_type: DataType::BIGINT, comment: None, place: None },
        SchemaChange::RenameColumn(path("r.x"), "y".into()),
        SchemaChange::DropColumn(path("x")),
        SchemaChange::ChangeType(path("x"), TypeKind::BigInt),
        SchemaChange::ChangeNullability(path("x"), true),
        SchemaChange::SetColumnComment(path("x"), None),
        SchemaChange::SetDefault(path("x"), Some("5".into())),
        SchemaChange::MoveColumn(vec!["a.b".into()], Place::First),
        SchemaChange::MoveColumn(path("x"), Place::Before("y".into())),
    ];
    assert_eq!(decode_changes(&encode_changes(&changes).unwrap()).unwrap(), changes);
    let nested = [SchemaChange::MoveColumn(path("r.x"), Place::Last)];
    assert!(matches!(encode_changes(&nested), Err(Error::Unsupported(_))));
}

#[test]
fn changes_are_understood_in_javas_words() {
    let told = |text: &str| decode_changes(&[serde_json::from_str(text).unwrap()]);
    let retype =
        r#"{"action":"updateColumnType","fieldNames":["v"],"newDataType":"BIGINT NOT NULL","keepNullability":false}"#;
    let wanted =
        [SchemaChange::ChangeNullability(path("v"), false), SchemaChange::ChangeType(path("v"), TypeKind::BigInt)];
    assert_eq!(told(retype).unwrap(), wanted);
    let moved = r#"{"action":"updateColumnPosition","move":{"fieldName":"v","referenceFieldName":null,"type":"LAST"}}"#;
    assert_eq!(told(moved).unwrap(), [SchemaChange::MoveColumn(path("v"), Place::Last)]);
    match told(r#"{"action":"dropPrimaryKey"}"#) {
        Err(Error::Unsupported(words)) => assert!(words.contains("primary key")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(told(r#"{"action":"paint","key":"a"}"#), Err(Error::Invalid(words)) if words.contains("paint")));
    let geometry = r#"{"action":"addColumn","fieldNames":["v"],"dataType":"GEOMETRY","comment":null,"move":null}"#;
    assert!(told(geometry).is_err());
}

#[test]
fn a_schema_comes_back_but_for_its_numbers() {
    let schema = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("r", DataType::array(DataType::map(DataType::STRING.not_null(), DataType::INT)))
        .primary_key(["id"])
        .option("bucket", "2")
        .comment("c")
        .build()
        .unwrap();
    let told = encode_told_schema(&schema).unwrap();
    assert!(told.get("id").is_none() && told.get("highestFieldId").is_none());
    let back = decode_told_schema(told.to_string().as_bytes(), "s").unwrap();
    assert_eq!(back, Schema { id: 0, time_millis: 0, ..schema });
    let missing = r#"{"fields":[{"id":0,"name":"a","type":"INT"}],"primaryKeys":["b"]}"#;
    assert!(decode_told_schema(missing.as_bytes(), "s").is_err());
}

#[test]
fn options_that_a_client_does_not_honour_are_refused_by_name() {
    let open = |options: &[(&str, &str)]| {
        let told = options.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        Catalog::open("w", told.chain([("metastore".to_string(), "rest".to_string())]))
    };
    let uri = ("uri", "http://127.0.0.1:1");
    assert!(open(&[uri]).is_ok());
    assert!(open(&[uri, ("token.provider", "bear"), ("token", "t"), ("s3.region", "x"), ("prefix", "p")]).is_ok());
    for (options, named) in [
        (vec![], "uri"),
        (vec![uri, ("token.provider", "dlf")], "dlf"),
        (vec![uri, ("token.provider", "bear")], "token"),
        (vec![uri, ("dlf.region", "x")], "dlf.region"),
        (vec![("uri", "ftp://x")], "uri"),
        (vec![uri, ("token", "a\nb")], "token"),
    ] {
        let words = open(&options).unwrap_err().to_string();
        assert!(words.contains(named), "{options:?}: {words}");
        assert!(!words.contains("a\nb"), "a token is shown");
    }
    assert!(Catalog::open("w", [("metastore", "hive")]).unwrap_err().to_string().contains("metastore=hive"));
    let shown = format!("{:?}", open(&[uri, ("token", "verysecret")]).unwrap());
    assert!(!shown.contains("verysecret"), "{shown}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_a_storage_error() {
    let catalog = Catalog::open("rest+http://127.0.0.1:1", [("", ""); 0]).unwrap();
    assert!(matches!(catalog.list_databases().await, Err(Error::Storage { .. })));
}
