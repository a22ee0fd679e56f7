//! Java Paimon, which replaces what is there on S3, and this engine on one table there at once: only the lock of their JDBC
//! catalog keeps Java's commits from losing others'.

use forebay::schema::Schema;
use forebay::types::DataType;
use forebay::{Catalog, TableName};
use forebay_interop::catalogs::{batch, count, does, rows, told, upsert};
use forebay_interop::{Engine, JdbcPlace, Server, Sql};
use serde_json::json;

use crate::servers::{Store, place};

/// Commits of each of the writers.
const COMMITS: i64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_and_forebay_write_at_once_in_s3_under_the_lock_and_lose_no_commit() {
    let store = place(Store::Moto);
    let directory = tempfile::Builder::new().prefix("forebay-jdbc-").tempdir().unwrap();
    let mut jdbc = JdbcPlace::with_warehouse(Sql::Sqlite, directory, &store.location);
    // On an object store the lock is on unless an option says otherwise, for Java and for us.
    jdbc.options.retain(|(key, _)| key != "lock.enabled");
    jdbc.options.extend(store.options.iter().cloned());
    let ours = jdbc.client();
    let name: TableName = "d.t".parse().unwrap();
    ours.create_database("d").await.unwrap();
    let builder = Schema::builder().column("k", DataType::BIGINT).column("v", DataType::STRING).primary_key(["k"]);
    let schema = builder.option("bucket", "1").option("write-only", "true").build().unwrap();
    ours.create_table(&name, schema).await.unwrap();
    let threads: Vec<_> = (0..2)
        .map(|at| {
            let catalog = jdbc.json();
            std::thread::spawn(move || {
                let mut java = Server::get(Engine::Java1x);
                for identifier in 1..=COMMITS {
                    let from = at * 1000 + identifier * 10;
                    let (user, rows) = (format!("java-{at}"), rows(from..from + 10, "j"));
                    let write = json!({
                        "table": "d.t", "user": user, "identifier": identifier, "rows": rows, "compact": "none",
                    });
                    told(&mut java, &catalog, "write", write);
                }
            })
        })
        .collect();
    let tasks = (100..102).map(|at| {
        let catalog = Catalog::open(&store.location, jdbc.options.clone()).unwrap();
        let name = name.clone();
        tokio::spawn(async move {
            let table = catalog.table(&name).await.unwrap();
            for commit in 1..=COMMITS {
                let from = at * 1000 + commit * 10;
                upsert(&table, &batch(from..from + 10, "f")).await;
            }
        })
    });
    for task in futures::future::join_all(tasks.collect::<Vec<_>>()).await {
        task.unwrap();
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let table = ours.table(&name).await.unwrap();
    assert_eq!(table.history().snapshots.ids().await.unwrap(), (1..=4 * COMMITS).collect::<Vec<_>>());
    assert_eq!(count(&table).await, 4 * COMMITS * 10);
    let mut java = Server::get(Engine::Java1x);
    let locks = json!({"sql": "SELECT lock_id FROM paimon_distributed_locks"});
    assert_eq!(does(&mut java, &jdbc.json(), "sql", locks)["rows"], json!([]));
}
