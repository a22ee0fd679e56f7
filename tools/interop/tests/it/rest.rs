//! The REST catalogs of Java, Flink and pypaimon against `forebay catalog serve`, and this engine's client beside them.

use std::sync::Arc;

use forebay::{Catalog, Table, TableName};
use forebay_interop::catalogs::{self, batch, count, rows, upsert};
use forebay_interop::{CatalogService, Engine, Server};
use serde_json::{Value, json};

fn ask(server: &mut Server, service: &CatalogService, command: &str, arguments: Value) -> Result<Value, String> {
    catalogs::ask(server, &service.options(), command, arguments)
}

fn told(server: &mut Server, service: &CatalogService, command: &str, arguments: Value) -> Value {
    catalogs::told(server, &service.options(), command, arguments)
}

fn catalog(server: &mut Server, service: &CatalogService, word: &str, arguments: Value) -> Value {
    catalogs::does(server, &service.options(), word, arguments)
}

fn refused(server: &mut Server, service: &CatalogService, word: &str, arguments: Value) -> String {
    catalogs::refuses(server, &service.options(), word, arguments)
}

fn create(server: &mut Server, service: &CatalogService, table: &str, options: Value) {
    catalogs::create(server, &service.options(), table, options);
}

async fn ours(catalog: &Catalog, table: &str) -> Table {
    catalog.table(&table.parse::<TableName>().unwrap()).await.unwrap()
}

async fn one_table_is_made_written_read_and_altered(engine: Engine) {
    let service = CatalogService::start();
    let mut java = Server::get(engine);
    let client = service.client();
    catalog(&mut java, &service, "create_database", json!({"database": "shop", "options": {"comment": "c"}}));
    assert!(refused(&mut java, &service, "create_database", json!({"database": "shop"})).contains("AlreadyExist"));
    create(&mut java, &service, "shop.t", json!({"bucket": "2"}));
    assert_eq!(catalog(&mut java, &service, "snapshot", json!({"table": "shop.t"}))["id"], Value::Null);
    for (identifier, keys) in [(1, 0..10), (2, 5..15)] {
        let write = json!({"table": "shop.t", "user": "u", "identifier": identifier, "rows": rows(keys, "j")});
        told(&mut java, &service, "write", write);
    }
    assert_eq!(told(&mut java, &service, "read", json!({"table": "shop.t"}))["count"], 15);
    // Ours reads it, writes it and is read.
    let table = ours(&client, "shop.t").await;
    assert_eq!(count(&table).await, 15);
    upsert(&table, &batch(100..120, "f")).await;
    assert_eq!(told(&mut java, &service, "read", json!({"table": "shop.t"}))["count"], 35);
    // Both change the schema.
    let changes =
        json!([{"add": "w", "type": "INT", "after": "k"}, {"set": "snapshot.num-retained.min", "value": "5"}]);
    told(&mut java, &service, "alter", json!({"table": "shop.t", "changes": changes}));
    let add = forebay::schema::SchemaChange::AddColumn {
        path: vec!["x".into()],
        data_type: forebay::types::DataType::DOUBLE,
        comment: Some("ours".into()),
        place: None,
    };
    let altered = ours(&client, "shop.t").await.alter(&[add]).await.unwrap();
    assert_eq!(altered.schema().fields.iter().map(|field| &*field.name).collect::<Vec<_>>(), ["k", "w", "v", "x"]);
    let row = json!([{"kind": "+I", "row": {"k": 1, "v": "new", "w": 7, "x": 0.5}}]);
    told(&mut java, &service, "write", json!({"table": "shop.t", "user": "u", "identifier": 3, "rows": row}));
    let one = json!({"table": "shop.t", "filter": {"column": "k", "op": "=", "value": 1}});
    assert_eq!(told(&mut java, &service, "read", one)["rows"], json!([{"k": 1, "w": 7, "v": "new", "x": 0.5}]));
    assert_eq!(count(&ours(&client, "shop.t").await).await, 35);
    let again = json!({"table": "shop.t", "changes": [{"add": "w", "type": "INT"}]});
    assert!(ask(&mut java, &service, "alter", again).unwrap_err().contains("ColumnAlreadyExist"));
    let missing = json!({"table": "shop.t", "changes": [{"drop": "nope"}]});
    assert!(ask(&mut java, &service, "alter", missing).unwrap_err().contains("ColumnNotExist"));
    // A change that no commit took up is taken back, by either; one that a snapshot names is not.
    for by_java in [true, false] {
        let set = json!([{"set": "snapshot.num-retained.min", "value": "7"}]);
        told(&mut java, &service, "alter", json!({"table": "shop.t", "changes": set}));
        let newest = ours(&client, "shop.t").await;
        assert_eq!(newest.schema().id, 3);
        match by_java {
            true => {
                let back = told(&mut java, &service, "rollback_schema", json!({"table": "shop.t", "schema": 2}));
                assert_eq!(back["schemaId"], 2);
            }
            false => assert_eq!(newest.rollback_schema(2).await.unwrap().schema().id, 2),
        }
        let table = ours(&client, "shop.t").await;
        assert_eq!((table.schema().id, table.schema().option("snapshot.num-retained.min")), (2, Some("5")));
        let back = ask(&mut java, &service, "rollback_schema", json!({"table": "shop.t", "schema": 1})).unwrap_err();
        assert!(back.contains("names schema 2"), "{back}");
        let back = ask(&mut java, &service, "rollback_schema", json!({"table": "shop.t", "schema": 9})).unwrap_err();
        assert!(back.contains("schema 9"), "{back}");
    }
    // A wrong token, and a table that is not there.
    let mut options = service.options();
    options["token"] = json!("wrong");
    let words = java.call(&json!({"command": "catalog", "do": "databases", "catalog": options})).unwrap_err();
    assert!(words.contains("Not authorized"), "{words}");
    assert!(refused(&mut java, &service, "drop", json!({"table": "shop.nope"})).contains("TableNotExist"));
    assert!(refused(&mut java, &service, "rollback", json!({"table": "shop.t"})).contains("rollback"));
    catalog(&mut java, &service, "rename", json!({"table": "shop.t", "to": "shop.u"}));
    assert_eq!(told(&mut java, &service, "read", json!({"table": "shop.u"}))["count"], 35);
    catalog(&mut java, &service, "drop", json!({"table": "shop.u"}));
    assert_eq!(catalog(&mut java, &service, "tables", json!({"database": "shop"}))["names"], json!([]));
    catalog(&mut java, &service, "drop_database", json!({"database": "shop"}));
    assert_eq!(catalog(&mut java, &service, "databases", json!({}))["names"], json!([]));
}

#[tokio::test]
async fn java_2x_makes_writes_reads_and_alters_through_the_service() {
    one_table_is_made_written_read_and_altered(Engine::Java2x).await;
}

#[tokio::test]
async fn java_1x_makes_writes_reads_and_alters_through_the_service() {
    one_table_is_made_written_read_and_altered(Engine::Java1x).await;
}

#[tokio::test]
async fn java_lists_pages_partitions_tags_branches_and_views() {
    let service = CatalogService::start();
    let mut java = Server::get(Engine::Java2x);
    catalog(&mut java, &service, "create_database", json!({"database": "d", "options": {"comment": "c", "o": "1"}}));
    catalog(&mut java, &service, "alter_database", json!({"database": "d", "options": {"o": "2"}}));
    let options = catalog(&mut java, &service, "database", json!({"database": "d"}))["options"].clone();
    assert_eq!((&options["comment"], &options["o"]), (&json!("c"), &json!("2")));
    let columns = json!([{"name": "k", "type": "BIGINT NOT NULL"}, {"name": "p", "type": "STRING NOT NULL"}]);
    for table in ["d.a1", "d.a2", "d.a3", "d.b"] {
        let arguments = json!({"table": table, "columns": columns, "partitionBy": ["p"]});
        told(&mut java, &service, "create", arguments);
    }
    let page = |token: Value| json!({"database": "d", "most": 2, "token": token, "pattern": "a%"});
    let first = catalog(&mut java, &service, "page", page(Value::Null));
    assert_eq!(first["names"], json!(["a1", "a2"]));
    let second = catalog(&mut java, &service, "page", page(first["next"].clone()));
    assert_eq!((&second["names"], &second["next"]), (&json!(["a3"]), &Value::Null));
    let row = |k: i64, p: &str| json!({"kind": "+I", "row": {"k": k, "p": p}});
    let rows = json!([row(1, "x"), row(2, "x"), row(3, "y/z")]);
    told(&mut java, &service, "write", json!({"table": "d.b", "user": "u", "rows": rows}));
    let partitions = catalog(&mut java, &service, "partitions", json!({"table": "d.b"}))["partitions"].clone();
    assert_eq!(partitions, json!([{"p": "x", "rows": 2, "files": 1}, {"p": "y/z", "rows": 1, "files": 1}]));
    for (version, id) in [("LATEST", json!(1)), ("EARLIEST", json!(1)), ("1", json!(1)), ("2", Value::Null)] {
        let answer = catalog(&mut java, &service, "snapshot", json!({"table": "d.b", "version": version}));
        assert_eq!(answer["id"], id, "{version}");
    }
    catalog(&mut java, &service, "create_tag", json!({"table": "d.b", "name": "monday"}));
    assert!(
        refused(&mut java, &service, "create_tag", json!({"table": "d.b", "name": "monday"})).contains("AlreadyExist")
    );
    assert_eq!(catalog(&mut java, &service, "tag", json!({"table": "d.b", "name": "monday"}))["id"], 1);
    catalog(&mut java, &service, "delete_tag", json!({"table": "d.b", "name": "monday"}));
    assert!(refused(&mut java, &service, "tag", json!({"table": "d.b", "name": "monday"})).contains("TagNotExist"));
    catalog(&mut java, &service, "create_branch", json!({"table": "d.b", "name": "dev"}));
    assert_eq!(catalog(&mut java, &service, "branches", json!({"table": "d.b"}))["names"], json!(["dev"]));
    let on_branch = json!({"table": "d.b$branch_dev", "user": "u", "rows": [row(9, "x")]});
    told(&mut java, &service, "write", on_branch);
    assert_eq!(told(&mut java, &service, "read", json!({"table": "d.b$branch_dev"}))["count"], 1);
    assert_eq!(told(&mut java, &service, "read", json!({"table": "d.b"}))["count"], 3);
    let client = service.client();
    assert_eq!(count(&ours(&client, "d.b$branch_dev").await).await, 1);
    catalog(&mut java, &service, "drop_branch", json!({"table": "d.b", "name": "dev"}));
    catalog(&mut java, &service, "create_view", json!({"table": "d.v"}));
    assert!(refused(&mut java, &service, "create_view", json!({"table": "d.v"})).contains("AlreadyExist"));
    catalog(&mut java, &service, "alter_view", json!({"table": "d.v"}));
    assert!(refused(&mut java, &service, "alter_view", json!({"table": "d.v"})).contains("Dialect"));
    let view = catalog(&mut java, &service, "view", json!({"table": "d.v"}));
    assert_eq!((&view["query"], &view["comment"]), (&json!("SELECT 1 AS k"), &json!("one")));
    assert_eq!(view["dialects"], json!({"spark": "SELECT 1 k", "flink": "SELECT 1 AS `k`"}));
    assert_eq!(catalog(&mut java, &service, "views", json!({"database": "d"}))["names"], json!(["v"]));
    let seen = client.view(&"d.v".parse().unwrap()).await.unwrap();
    assert_eq!((seen.query.as_str(), seen.dialects.len()), ("SELECT 1 AS k", 2));
    catalog(&mut java, &service, "drop_view", json!({"table": "d.v"}));
    assert!(refused(&mut java, &service, "view", json!({"table": "d.v"})).contains("ViewNotExist"));
    assert!(refused(&mut java, &service, "drop_database", json!({"database": "d"})).contains("NotEmpty"));
    catalog(&mut java, &service, "drop_database", json!({"database": "d", "cascade": true}));
}

/// Commits of each of the writers.
const COMMITS: i64 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_all_engines_at_once_lose_no_commit() {
    let service = Arc::new(CatalogService::start());
    let client = service.client();
    client.create_database("d").await.unwrap();
    let mut first = Server::get(Engine::Java2x);
    create(&mut first, &service, "d.t", json!({"bucket": "1", "write-only": "true"}));
    drop(first);
    let mut threads = Vec::new();
    let ready = Arc::new(std::sync::Barrier::new(4));
    for (at, engine) in (0..).zip([Engine::Java2x, Engine::Java2x, Engine::Java1x, Engine::Python]) {
        let (service, ready) = (Arc::clone(&service), Arc::clone(&ready));
        threads.push(std::thread::spawn(move || {
            let mut server = Server::get(engine);
            // It has started when it answers.
            server.call(&json!({"command": "version"})).unwrap();
            ready.wait();
            for identifier in 1..=COMMITS {
                let from = at * 1000 + identifier * 10;
                let user = format!("{}-{at}", engine.name());
                let rows = rows(from..from + 10, "s");
                let write =
                    json!({"table": "d.t", "user": user, "identifier": identifier, "rows": rows, "compact": "none"});
                told(&mut server, &service, "write", write);
            }
        }));
    }
    // Two of ours through the service, and one that knows nothing of it.
    let beside = Table::open(service.warehouse().join("d.db/t").to_str().unwrap(), []).await.unwrap();
    let tables = [ours(&client, "d.t").await, ours(&service.client(), "d.t").await, beside];
    let mut tasks = Vec::new();
    for (at, table) in (100..).zip(tables) {
        tasks.push(tokio::spawn(async move {
            for commit in 1..=COMMITS {
                let from = at * 1000 + commit * 10;
                upsert(&table, &batch(from..from + 10, "f")).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let table = ours(&client, "d.t").await;
    let commits = 7 * COMMITS;
    assert_eq!(table.history().snapshots.ids().await.unwrap(), (1..=commits).collect::<Vec<_>>());
    assert_eq!(count(&table).await, commits * 10);
    let mut java = Server::get(Engine::Java2x);
    assert_eq!(told(&mut java, &service, "read", json!({"table": "d.t"}))["count"], commits * 10);
    let mut users = std::collections::BTreeMap::new();
    for id in 1..=commits {
        let snapshot = table.history().snapshots.load(id).await.unwrap();
        assert!(users.insert((snapshot.commit_user, snapshot.commit_identifier), id).is_none(), "{id} is there twice");
    }
}

#[tokio::test]
async fn pypaimon_writes_and_reads_through_the_service() {
    let service = CatalogService::start();
    let client = service.client();
    client.create_database("d").await.unwrap();
    let mut python = Server::get(Engine::Python);
    create(&mut python, &service, "d.t", json!({"bucket": "1"}));
    let write = json!({"table": "d.t", "user": "p", "identifier": 1, "rows": rows(0..10, "p")});
    told(&mut python, &service, "write", write);
    let table = ours(&client, "d.t").await;
    assert_eq!(count(&table).await, 10);
    upsert(&table, &batch(5..20, "f")).await;
    assert_eq!(told(&mut python, &service, "read", json!({"table": "d.t"}))["count"], 20);
}

#[tokio::test]
async fn flink_sql_makes_fills_reads_and_drops_through_the_service() {
    let service = CatalogService::start();
    let mut flink = Server::get(Engine::Flink);
    let options = service.options();
    let option = |key: &str| format!("'{key}'='{}'", options[key].as_str().unwrap());
    let keys = ["metastore", "uri", "warehouse", "token.provider", "token"].map(option).join(",");
    let begin = [format!("CREATE CATALOG p WITH ('type'='paimon',{keys})"), "USE CATALOG p".to_string()];
    let mut sql = |statements: &[&str]| {
        let all: Vec<&str> = begin.iter().map(String::as_str).chain(statements.iter().copied()).collect();
        let answer = flink.call(&json!({"command": "sql", "statements": all}));
        answer.unwrap_or_else(|error| panic!("{statements:?}: {error}"))["rows"].clone()
    };
    let columns = "k INT, v STRING, p STRING, PRIMARY KEY (k, p) NOT ENFORCED";
    let create = format!("CREATE TABLE d.t ({columns}) PARTITIONED BY (p) WITH ('bucket'='1')");
    sql(&["CREATE DATABASE d", &create, "INSERT INTO d.t VALUES (1,'a','x'),(2,'b','y')"]);
    let rows = sql(&["INSERT INTO d.t VALUES (1,'c','x')", "SELECT * FROM d.t ORDER BY k"]);
    assert_eq!(rows, json!([[1, "c", "x"], [2, "b", "y"]]));
    sql(&["CREATE VIEW d.v AS SELECT k FROM p.d.t WHERE k > 1"]);
    assert_eq!(sql(&["SELECT * FROM d.v"]), json!([[2]]));
    assert_eq!(sql(&["SHOW PARTITIONS d.t"]), json!([["p=x"], ["p=y"]]));
    assert_eq!(sql(&["ALTER TABLE d.t ADD w INT", "SELECT w FROM d.t"]), json!([[null], [null]]));
    let table = ours(&service.client(), "d.t").await;
    assert_eq!((count(&table).await, table.schema().fields.len()), (2, 4));
    sql(&["CALL sys.create_tag('d.t', 'monday')", "DROP VIEW d.v", "DROP TABLE d.t", "DROP DATABASE d"]);
    assert!(service.client().database("d").await.is_err());
}
