//! Java's JDBC catalogs and this engine's on one database: in SQLite, PostgreSQL and MariaDB, with the lock of both.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use forebay::format::{View, ViewChange};
use forebay::schema::{Schema, SchemaChange};
use forebay::types::DataType;
use forebay::{Catalog, Error, Table, TableName};
use forebay_interop::catalogs::{self, ask, batch, rows, told, upsert};
use forebay_interop::{Engine, JdbcPlace, Server, Sql};
use serde_json::{Value, json};

/// Asks Java's catalog to do something.
fn java(server: &mut Server, place: &JdbcPlace, word: &str, arguments: Value) -> Value {
    catalogs::does(server, &place.json(), word, arguments)
}

fn refused(server: &mut Server, place: &JdbcPlace, word: &str, arguments: Value) -> String {
    catalogs::refuses(server, &place.json(), word, arguments)
}

/// What stands in the database, by Java's driver.
fn sql(server: &mut Server, place: &JdbcPlace, statement: &str) -> Value {
    let statement = statement.replace("KEY", &format!("catalog_key = '{}'", place.option("catalog-key")));
    java(server, place, "sql", json!({"sql": statement}))["rows"].clone()
}

fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

fn schema() -> Schema {
    let builder = Schema::builder().column("k", DataType::BIGINT).column("v", DataType::STRING);
    builder.primary_key(["k"]).option("bucket", "2").build().unwrap()
}

fn create(server: &mut Server, place: &JdbcPlace, table: &str) {
    catalogs::create(server, &place.json(), table, json!({"bucket": "2"}));
}

async fn write(table: &Table, keys: std::ops::Range<i64>) {
    upsert(table, &batch(keys, "f")).await;
}

async fn count(catalog: &Catalog, table: &str) -> i64 {
    catalogs::count(&catalog.table(&name(table)).await.unwrap()).await
}

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
}

/// Columns of the rows that describe a table, without its name.
const PROPERTIES: &str = "SELECT property_key, property_value FROM paimon_table_properties WHERE KEY AND table_name = ";

async fn databases_are_both_sides(server: &mut Server, place: &JdbcPlace, ours: &Catalog) {
    java(server, place, "create_database", json!({"database": "shop", "options": {"comment": "c", "o": "1"}}));
    assert!(matches!(ours.create_database("shop").await, Err(Error::AlreadyExists(_))));
    ours.create_database_with("b", &options(&[("x", "y")])).await.unwrap();
    assert!(refused(server, place, "create_database", json!({"database": "b"})).contains("AlreadyExist"));
    assert_eq!(ours.list_databases().await.unwrap(), ["b", "shop"]);
    let mut listed = java(server, place, "databases", json!({}))["names"].as_array().unwrap().clone();
    listed.sort_by_key(ToString::to_string);
    assert_eq!(json!(listed), json!(["b", "shop"]));
    // Our row of a database is described as Java describes its own.
    let described = "SELECT database_name, property_key FROM paimon_database_properties WHERE KEY ORDER BY 1, 2";
    let wanted = json!([
        ["b", "exists"],
        ["b", "location"],
        ["b", "x"],
        ["shop", "comment"],
        ["shop", "exists"],
        ["shop", "location"],
        ["shop", "o"],
    ]);
    assert_eq!(sql(server, place, described), wanted);
    let told = java(server, place, "database", json!({"database": "b"}))["options"].clone();
    assert_eq!((&told["x"], &told["exists"]), (&json!("y"), &Value::Null));
    assert!(told["location"].as_str().unwrap().ends_with("/w/b.db"), "{told}");
    java(server, place, "alter_database", json!({"database": "b", "options": {"x": "z", "n": "1"}, "remove": []}));
    ours.alter_database("shop", &options(&[("o", "2"), ("p", "3")]), &["comment".into()]).await.unwrap();
    assert_eq!(ours.database("b").await.unwrap().options, options(&[("n", "1"), ("x", "z")]));
    let told = java(server, place, "database", json!({"database": "shop"}))["options"].clone();
    assert_eq!((&told["o"], &told["p"], &told["comment"]), (&json!("2"), &json!("3"), &Value::Null));
}

async fn tables_are_both_sides(server: &mut Server, place: &JdbcPlace, ours: &Catalog) {
    create(server, place, "shop.j");
    let made = ours.create_table(&name("shop.f"), schema()).await.unwrap();
    assert!(matches!(ours.create_table(&name("shop.j"), schema()).await, Err(Error::AlreadyExists(_))));
    assert_eq!(ours.list_tables("shop").await.unwrap(), ["f", "j"]);
    assert_eq!(java(server, place, "tables", json!({"database": "shop"}))["names"], json!(["f", "j"]));
    // Both wrote the same properties.
    let of = |table: &str| format!("{PROPERTIES} '{table}' ORDER BY 1");
    let wanted = json!([["bucket", "2"], ["bucket-key", "k"], ["primary-key", "k"]]);
    assert_eq!((sql(server, place, &of("j")), sql(server, place, &of("f"))), (wanted.clone(), wanted));

    // Each writes the other's table.
    for (identifier, keys) in [(1, 0..10), (2, 5..15)] {
        let arguments = json!({"table": "shop.f", "user": "u", "identifier": identifier, "rows": rows(keys, "j")});
        told(server, &place.json(), "write", arguments);
    }
    write(&made, 100..110).await;
    write(&ours.table(&name("shop.j")).await.unwrap(), 0..7).await;
    told(
        server,
        &place.json(),
        "write",
        json!({"table": "shop.j", "user": "u", "identifier": 1, "rows": rows(5..9, "j")}),
    );
    assert_eq!((count(ours, "shop.f").await, count(ours, "shop.j").await), (25, 9));
    assert_eq!(told(server, &place.json(), "read", json!({"table": "shop.f"}))["count"], 25);
    assert_eq!(told(server, &place.json(), "read", json!({"table": "shop.j"}))["count"], 9);

    // Each changes the other's schema.
    let min = "snapshot.num-retained.min";
    let changes = json!([{"add": "w", "type": "INT", "after": "k"}, {"set": min, "value": "5"}]);
    told(server, &place.json(), "alter", json!({"table": "shop.f", "changes": changes}));
    assert_eq!(ours.table(&name("shop.f")).await.unwrap().schema().fields[1].name, "w");
    let set = SchemaChange::SetOption(min.into(), "5".into());
    let add = SchemaChange::AddColumn { path: vec!["w".into()], data_type: DataType::INT, comment: None, place: None };
    ours.alter_table(&name("shop.j"), &[add.clone(), set]).await.unwrap();
    assert!(matches!(ours.alter_table(&name("shop.j"), &[add]).await, Err(Error::AlreadyExists(_))));
    let row = json!([{"kind": "+I", "row": {"k": 1, "v": "new", "w": 7}}]);
    told(server, &place.json(), "write", json!({"table": "shop.j", "user": "u", "identifier": 2, "rows": row}));
    let one = json!({"table": "shop.j", "filter": {"column": "k", "op": "=", "value": 1}});
    assert_eq!(told(server, &place.json(), "read", one)["rows"], json!([{"k": 1, "v": "new", "w": 7}]));
    let wanted = json!([["bucket", "2"], ["bucket-key", "k"], ["primary-key", "k"], [min, "5"]]);
    assert_eq!((sql(server, place, &of("j")), sql(server, place, &of("f"))), (wanted.clone(), wanted));
    ours.alter_table(&name("shop.f"), &[SchemaChange::RemoveOption(min.into())]).await.unwrap();
    told(server, &place.json(), "alter", json!({"table": "shop.f", "changes": [{"rename": "v", "to": "x"}]}));

    // Each renames and drops the other's.
    ours.rename_table(&name("shop.j"), &name("b.k")).await.unwrap();
    assert_eq!(told(server, &place.json(), "read", json!({"table": "b.k"}))["count"], 9);
    assert!(matches!(ours.rename_table(&name("b.k"), &name("shop.f")).await, Err(Error::AlreadyExists(_))));
    assert!(refused(server, place, "rename", json!({"table": "b.k", "to": "shop.f"})).contains("AlreadyExist"));
    java(server, place, "rename", json!({"table": "b.k", "to": "b.l"}));
    java(server, place, "rename", json!({"table": "shop.f", "to": "shop.g"}));
    assert_eq!((count(ours, "b.l").await, count(ours, "shop.g").await), (9, 25));
    assert_eq!(sql(server, place, &of("k")), json!([]));
    assert_eq!(sql(server, place, &of("l")).as_array().unwrap().len(), 4);
    assert!(refused(server, place, "drop", json!({"table": "b.k"})).contains("NotExist"));
    java(server, place, "drop", json!({"table": "shop.g"}));
    assert!(matches!(ours.table(&name("shop.g")).await, Err(Error::NotFound(_))));
    ours.drop_table(&name("b.l")).await.unwrap();
    assert_eq!(java(server, place, "tables", json!({"database": "b"}))["names"], json!([]));
    assert!(!place.path("b.db/l").exists() && !place.path("shop.db/g").exists());
    // A name that is free again.
    create(server, place, "b.l");
    assert_eq!(count(ours, "b.l").await, 0);
}

async fn views_are_both_sides(server: &mut Server, place: &JdbcPlace, ours: &Catalog) {
    java(server, place, "create_view", json!({"table": "shop.v"}));
    assert_eq!(ours.view(&name("shop.v")).await.unwrap().query, "SELECT 1 AS k");
    assert!(matches!(ours.create_table(&name("shop.v"), schema()).await, Err(Error::AlreadyExists(_))));
    let added = ViewChange::AddDialect { dialect: "trino".into(), query: "SELECT 3".into() };
    ours.alter_view(&name("shop.v"), &[added]).await.unwrap();
    java(server, place, "alter_view", json!({"table": "shop.v"}));
    let view = java(server, place, "view", json!({"table": "shop.v"}));
    assert_eq!(view["dialects"], json!({"spark": "SELECT 1 k", "flink": "SELECT 1 AS `k`", "trino": "SELECT 3"}));
    let own = View { query: "SELECT 2".into(), comment: Some("two".into()), ..View::default() };
    ours.create_view(&name("shop.w"), &own).await.unwrap();
    assert!(refused(server, place, "create_view", json!({"table": "shop.w"})).contains("AlreadyExist"));
    assert_eq!(java(server, place, "view", json!({"table": "shop.w"}))["comment"], "two");
    assert_eq!(java(server, place, "views", json!({"database": "shop"}))["names"], json!(["v", "w"]));
    java(server, place, "drop_view", json!({"table": "shop.w"}));
    ours.drop_view(&name("shop.v")).await.unwrap();
    assert!(ours.list_views("shop").await.unwrap().is_empty());
}

async fn everything_is_made_and_used_by_both(engine: Engine, database: Sql) {
    let place = JdbcPlace::new(database);
    let mut server = Server::get(engine);
    let ours = place.client();
    databases_are_both_sides(&mut server, &place, &ours).await;
    tables_are_both_sides(&mut server, &place, &ours).await;
    // 1.x knows no views in a database.
    if engine == Engine::Java2x {
        views_are_both_sides(&mut server, &place, &ours).await;
    }
    assert!(refused(&mut server, &place, "drop_database", json!({"database": "b"})).contains("NotEmpty"));
    assert!(matches!(ours.drop_database("b", false).await, Err(Error::Invalid(_))));
    ours.drop_database("b", true).await.unwrap();
    java(&mut server, &place, "drop_database", json!({"database": "shop"}));
    assert!(ours.list_databases().await.unwrap().is_empty());
    for table in ["paimon_tables", "paimon_database_properties", "paimon_table_properties", "paimon_views"] {
        assert_eq!(
            sql(&mut server, &place, &format!("SELECT catalog_key FROM {table} WHERE KEY")),
            json!([]),
            "{table}"
        );
    }
    assert_eq!(sql(&mut server, &place, &locks(&place)), json!([]));
}

fn locks(place: &JdbcPlace) -> String {
    format!("SELECT lock_id FROM paimon_distributed_locks WHERE lock_id LIKE '{}.%'", place.option("catalog-key"))
}

#[tokio::test]
async fn java_2x_and_forebay_share_a_catalog_in_sqlite() {
    everything_is_made_and_used_by_both(Engine::Java2x, Sql::Sqlite).await;
}

#[tokio::test]
async fn java_1x_and_forebay_share_a_catalog_in_sqlite() {
    everything_is_made_and_used_by_both(Engine::Java1x, Sql::Sqlite).await;
}

#[tokio::test]
async fn java_2x_and_forebay_share_a_catalog_in_postgresql() {
    everything_is_made_and_used_by_both(Engine::Java2x, Sql::Postgres).await;
}

#[tokio::test]
async fn java_1x_and_forebay_share_a_catalog_in_postgresql() {
    everything_is_made_and_used_by_both(Engine::Java1x, Sql::Postgres).await;
}

#[tokio::test]
async fn java_2x_and_forebay_share_a_catalog_in_mariadb() {
    everything_is_made_and_used_by_both(Engine::Java2x, Sql::MySql).await;
}

/// The lock of one side keeps the other away, a row that is too old keeps nobody, and a young one everybody.
async fn the_lock_is_honoured(engine: Engine, database: Sql) {
    let env = forebay::Env::system();
    assert_eq!(env.local_millis() / 60_000, env.now_millis() / 60_000, "run with TZ=UTC, as the servers do");
    let place = JdbcPlace::new(database);
    let mut server = Server::get(engine);
    let ours = place.client();
    ours.create_database("d").await.unwrap();
    let table = ours.create_table(&name("d.t"), schema()).await.unwrap();
    // Java holds it: the commit waits for it. Whoever looks has started before.
    let mut looks = Server::get(engine);
    assert_eq!(sql(&mut looks, &place, &locks(&place)), json!([]));
    java(&mut server, &place, "tables", json!({"database": "d"}));
    let held = std::thread::spawn({
        let catalog = place.json();
        move || {
            let hold = json!({"do": "hold", "table": "d.t", "millis": 3000});
            told(&mut server, &catalog, "catalog", hold);
            server
        }
    });
    for round in 0.. {
        if sql(&mut looks, &place, &locks(&place)) != json!([]) {
            break;
        }
        assert!(round < 1000, "Java holds no lock");
        env.sleep(Duration::from_millis(5)).await;
    }
    let began = env.monotonic();
    write(&table, 0..10).await;
    assert!(env.monotonic() - began > Duration::from_millis(700), "{:?}", env.monotonic() - began);
    let mut server = held.join().unwrap();
    // A row of a writer that died: both wait in vain while it is young, and clear it when it is old.
    let id = format!("{}.d.t", place.option("catalog-key"));
    let insert = format!("INSERT INTO paimon_distributed_locks (lock_id, expire_time_seconds) VALUES ('{id}', 3600)");
    sql(&mut server, &place, &insert);
    let impatient = place.but(&[("lock-acquire-timeout", "1 s")]);
    let client = Catalog::open(place.option("warehouse"), impatient.clone()).unwrap();
    let set = SchemaChange::SetOption("snapshot.num-retained.min".into(), "5".into());
    match client.alter_table(&name("d.t"), std::slice::from_ref(&set)).await {
        Err(Error::Exhausted(words)) => assert!(words.contains("lock-acquire-timeout"), "{words}"),
        other => panic!("{other:?}"),
    }
    let hold = json!({"do": "hold", "table": "d.t", "millis": 0});
    let words = ask(&mut server, &JdbcPlace::json_of(&impatient), "catalog", hold.clone()).unwrap_err();
    assert!(words.contains("Acquire lock failed"), "{words}");
    assert_eq!(sql(&mut server, &place, &locks(&place)), json!([[id]]));
    let old = format!("UPDATE paimon_distributed_locks SET expire_time_seconds = 0 WHERE lock_id = '{id}'");
    sql(&mut server, &place, &old);
    client.alter_table(&name("d.t"), &[set]).await.unwrap();
    sql(&mut server, &place, &insert);
    sql(&mut server, &place, &old);
    env.sleep(Duration::from_millis(1100)).await;
    told(&mut server, &place.json(), "catalog", hold);
    assert_eq!(sql(&mut server, &place, &locks(&place)), json!([]));
}

#[tokio::test]
async fn the_lock_is_honoured_by_java_2x_in_sqlite() {
    the_lock_is_honoured(Engine::Java2x, Sql::Sqlite).await;
}

#[tokio::test]
async fn the_lock_is_honoured_by_java_1x_in_postgresql() {
    the_lock_is_honoured(Engine::Java1x, Sql::Postgres).await;
}

#[tokio::test]
async fn the_lock_is_honoured_by_java_2x_in_mariadb() {
    the_lock_is_honoured(Engine::Java2x, Sql::MySql).await;
}

/// Commits of each of the writers.
const COMMITS: i64 = 6;

async fn writers_at_once_lose_no_commit(database: Sql) {
    let place = Arc::new(JdbcPlace::new(database));
    let ours = place.client();
    ours.create_database("d").await.unwrap();
    let write_only =
        Schema { options: options(&[("bucket", "1"), ("write-only", "true")]).into_iter().collect(), ..schema() };
    ours.create_table(&name("d.t"), write_only).await.unwrap();
    let ready = Arc::new(Barrier::new(2));
    let threads = (0..).zip([Engine::Java2x, Engine::Java1x]).map(|(at, engine)| {
        let (place, ready) = (Arc::clone(&place), Arc::clone(&ready));
        std::thread::spawn(move || {
            let mut server = Server::get(engine);
            // It has started when it answers.
            server.call(&json!({"command": "version"})).unwrap();
            ready.wait();
            for identifier in 1..=COMMITS {
                let from = at * 1000 + identifier * 10;
                let rows = rows(from..from + 10, "j");
                let user = format!("java-{at}");
                let write =
                    json!({"table": "d.t", "user": user, "identifier": identifier, "rows": rows, "compact": "none"});
                told(&mut server, &place.json(), "write", write);
            }
        })
    });
    let threads: Vec<_> = threads.collect();
    let tasks = (100..103).map(|at| {
        let catalog = place.client();
        tokio::spawn(async move {
            let table = catalog.table(&name("d.t")).await.unwrap();
            for commit in 1..=COMMITS {
                let from = at * 1000 + commit * 10;
                write(&table, from..from + 10).await;
            }
        })
    });
    for task in futures::future::join_all(tasks.collect::<Vec<_>>()).await {
        task.unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let commits = 5 * COMMITS;
    let table = ours.table(&name("d.t")).await.unwrap();
    assert_eq!(table.history().snapshots.ids().await.unwrap(), (1..=commits).collect::<Vec<_>>());
    assert_eq!(count(&ours, "d.t").await, commits * 10);
    let mut server = Server::get(Engine::Java2x);
    assert_eq!(told(&mut server, &place.json(), "read", json!({"table": "d.t"}))["count"], commits * 10);
    assert_eq!(sql(&mut server, &place, &locks(&place)), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_both_at_once_lose_no_commit_with_the_lock_in_sqlite() {
    writers_at_once_lose_no_commit(Sql::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_both_at_once_lose_no_commit_with_the_lock_in_postgresql() {
    writers_at_once_lose_no_commit(Sql::Postgres).await;
}

#[tokio::test]
async fn tables_of_a_catalog_that_java_made_alone_are_found_and_no_error_shows_the_password() {
    let place = JdbcPlace::new(Sql::Postgres);
    let mut server = Server::get(Engine::Java1x);
    java(&mut server, &place, "create_database", json!({"database": "d"}));
    create(&mut server, &place, "d.t");
    let ours = place.client();
    assert_eq!(count(&ours, "d.t").await, 0);
    // A table that lost its row is no table; Java's repair gives it back.
    sql(&mut server, &place, "DELETE FROM paimon_tables WHERE KEY");
    assert!(matches!(ours.table(&name("d.t")).await, Err(Error::NotFound(_))));
    assert!(matches!(ours.create_table(&name("d.t"), schema()).await, Err(Error::AlreadyExists(_))));
    java(&mut server, &place, "repair", json!({"table": "d.t"}));
    assert_eq!(count(&ours, "d.t").await, 0);
    for wrong in [&[("jdbc.password", "CANARY-wrong")][..], &[("jdbc.user", "nobody")]] {
        let client = Catalog::open(place.option("warehouse"), place.but(wrong)).unwrap();
        let error = client.list_databases().await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
    }
}
