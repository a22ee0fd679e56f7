//! Tests of what is said, without a service.

use std::sync::Mutex;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::catalog::Catalog;
use crate::commit::CommitProperties;
use crate::format::{decode_told_schema, encode_told_schema};
use crate::schema::{Place, SchemaChange};
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
        (vec![("uri", "http://user:verysecret@h")], "uri"),
        (vec![("uri", "http://user:verysecret@")], "uri"),
        (vec![uri, ("token", "a\nb")], "token"),
    ] {
        let words = open(&options).unwrap_err().to_string();
        assert!(words.contains(named), "{options:?}: {words}");
        assert!(!words.contains("a\nb") && !words.contains("verysecret"), "a secret is shown");
    }
    assert!(Catalog::open("w", [("metastore", "hive")]).unwrap_err().to_string().contains("metastore=hive"));
    for secret in ["token", "s3.secret-key", "header.X-Api-Key", "fs.azure.account.key"] {
        let shown = format!("{:?}", open(&[uri, (secret, "verysecret")]).unwrap());
        assert!(!shown.contains("verysecret"), "{secret}: {shown}");
    }
    let elsewhere = Catalog::open("rest+http://127.0.0.1:1", [("metastore", "filesystem")]);
    assert!(elsewhere.unwrap_err().to_string().contains("metastore=filesystem"));
}

/// A service that answers each request by the first of these whose beginning fits, and keeps what it was asked.
async fn answering(answers: &'static [(&'static str, &'static str, String)]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !is_whole(&request) && client.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            let request = String::from_utf8_lossy(&request).into_owned();
            let (_, head, body) = answers.iter().find(|(beginning, ..)| request.starts_with(beginning)).unwrap();
            kept.lock().unwrap().push(request);
            let length = body.len();
            let answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (uri, asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.to_ascii_lowercase().lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}

#[tokio::test]
async fn a_redirect_is_no_success() {
    let elsewhere =
        [("GET /v1/config", "200 OK", "{}".to_string()), ("POST", "301 Moved\r\nlocation: /", String::new())];
    let (uri, asked) = answering(Vec::leak(elsewhere.into())).await;
    let catalog = Catalog::open(&format!("rest+{uri}"), [("warehouse", "a b")]).unwrap();
    let error = catalog.create_database("d").await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(words) if words.contains("301")), "{error}");
    let asked = asked.lock().unwrap();
    assert!(asked[0].starts_with("GET /v1/config?warehouse=a+b ") && asked.len() == 2, "{asked:?}");
}

#[tokio::test]
async fn new_tables_get_the_options_that_the_service_and_the_client_give_them() {
    let told = json!({
        "defaults": {"table-default.bucket": "4", "table-default.write-only": "true", "some.other": "x"},
        "overrides": {"table-default.snapshot.num-retained.min": "7"},
    });
    let answers = [
        ("GET /v1/config", "200 OK", told.to_string()),
        ("POST /v1/databases/d/tables ", "200 OK", String::new()),
        ("GET", "404 Not Found", "{}".to_string()),
    ];
    let (uri, asked) = answering(Vec::leak(answers.into())).await;
    let own = [("table-default.write-only", "false"), ("table-default.snapshot.num-retained.min", "5")];
    let catalog = Catalog::open(&format!("rest+{uri}"), own).unwrap();
    let schema = Schema::builder().column("k", DataType::BIGINT).option("bucket", "2").option("bucket-key", "k");
    drop(catalog.create_table(&"d.t".parse().unwrap(), schema.build().unwrap()).await);
    let asked = asked.lock().unwrap();
    let body = asked.iter().find_map(|request| request.starts_with("POST").then(|| request.split_once("\r\n\r\n")));
    let body: Value = serde_json::from_str(body.flatten().unwrap().1).unwrap();
    let wanted = json!({"bucket": "2", "bucket-key": "k", "write-only": "false", "snapshot.num-retained.min": "7"});
    assert_eq!(
        body["schema"]["options"], wanted,
        "the table's own first, then the service's overrides, the client's, the service's defaults"
    );
}

#[tokio::test]
async fn an_external_table_is_committed_to_by_its_files_and_altered_by_the_service() {
    let directory = tempfile::tempdir().unwrap();
    let schema = Schema::builder().column("k", DataType::BIGINT).build().unwrap();
    let path = directory.path().join("t");
    let location = path.to_str().unwrap();
    crate::Table::create(location, schema, []).await.unwrap();
    let told = json!({"id": "1", "path": location, "isExternal": true}).to_string();
    let answers = [
        ("GET /v1/config", "200 OK", "{}".to_string()),
        ("GET /v1/databases/d/tables/t ", "200 OK", told),
        ("POST /v1/databases/d/tables/t ", "200 OK", String::new()),
    ];
    let (uri, asked) = answering(Vec::leak(answers.into())).await;
    let catalog = Catalog::open(&format!("rest+{uri}"), [("", ""); 0]).unwrap();
    let name: TableName = "d.t".parse().unwrap();
    let table = catalog.table(&name).await.unwrap();
    let mut committer = table.committer("u").unwrap();
    let committed = committer.commit(1, Vec::new(), CommitProperties::default()).await.unwrap();
    assert_eq!(committed.snapshot_id().unwrap(), 1);
    let change = [SchemaChange::SetComment(Some("c".into()))];
    catalog.alter_table(&name, &change).await.unwrap();
    assert_eq!(table.history().schemas.ids().await.unwrap(), [0], "the service writes the schema");
    assert!(asked.lock().unwrap().last().unwrap().contains("updateComment"));
    assert!(matches!(table.drop().await, Err(Error::Unsupported(_))));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_a_storage_error() {
    let catalog = Catalog::open("rest+http://127.0.0.1:1", [("", ""); 0]).unwrap();
    assert!(matches!(catalog.list_databases().await, Err(Error::Storage { .. })));
}
