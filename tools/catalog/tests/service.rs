//! This engine's client against its own service, in one process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Int64Array, RecordBatch};
use forebay::commit::Publisher;
use forebay::io::Secret;
use forebay::schema::{Schema, SchemaChange};
use forebay::types::DataType;
use forebay::{Catalog, CommitOutcome, Error, Table, TableName};
use forebay_catalog::{Service, listen, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    done: tokio::task::JoinHandle<std::io::Result<()>>,
    directory: tempfile::TempDir,
}

impl Running {
    async fn start(token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = directory.path().to_str().unwrap().to_string();
        let service = Service {
            catalog: Catalog::open(&location, [("", ""); 0]).unwrap(),
            name: "lake".into(),
            location,
            token: token.map(Secret::new),
            verbose: false,
        };
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(serve(service, listener, async move { drop(stopped.await) }));
        Self { address, stop: Some(stop), done, directory }
    }

    fn client(&self, options: &[(&str, &str)]) -> Catalog {
        client(self.address, options)
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.done.await.unwrap().unwrap();
    }
}

fn client(address: SocketAddr, options: &[(&str, &str)]) -> Catalog {
    Catalog::open(&format!("rest+http://{address}"), options.iter().copied()).unwrap()
}

fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

fn schema() -> Schema {
    Schema::builder().column("k", DataType::BIGINT).primary_key(["k"]).option("bucket", "1").build().unwrap()
}

fn batch(keys: std::ops::Range<i64>) -> RecordBatch {
    RecordBatch::try_from_iter([("k", Arc::new(Int64Array::from_iter_values(keys)) as _)]).unwrap()
}

async fn write(table: &Table, keys: std::ops::Range<i64>) -> CommitOutcome {
    let mut writer = table.writer().await.unwrap();
    writer.upsert(&batch(keys)).await.unwrap();
    let outcome = writer.commit().await.unwrap();
    writer.close().await.unwrap();
    outcome
}

async fn count(table: &Table) -> usize {
    let mut rows = table.scan().read().await.unwrap();
    let mut count = 0;
    while let Some(batch) = rows.next_batch().await.unwrap() {
        count += batch.num_rows();
    }
    count
}

#[tokio::test]
async fn names_and_schemas_are_those_of_the_warehouse() {
    let running = Running::start(None).await;
    let catalog = running.client(&[]);
    catalog.create_database("d").await.unwrap();
    assert!(matches!(catalog.create_database("d").await, Err(Error::AlreadyExists(_))));
    let table = catalog.create_table(&name("d.t"), schema()).await.unwrap();
    assert!(matches!(catalog.create_table(&name("d.t"), schema()).await, Err(Error::AlreadyExists(_))));
    assert!(matches!(catalog.create_table(&name("e.t"), schema()).await, Err(Error::NotFound(_))));
    let lance = Schema { options: [("file.format".to_string(), "lance".to_string())].into(), ..schema() };
    match catalog.create_table(&name("d.lance"), lance).await {
        Err(Error::Unsupported(words)) => assert!(words.contains("lance"), "{words}"),
        other => panic!("{:?}", other.err()),
    }
    write(&table, 0..10).await.snapshot_id().unwrap();
    let add =
        SchemaChange::AddColumn { path: vec!["v".into()], data_type: DataType::STRING, comment: None, place: None };
    let altered = table.alter(std::slice::from_ref(&add)).await.unwrap();
    assert_eq!((altered.schema().id, altered.schema().fields.len()), (1, 2));
    assert!(matches!(table.alter(std::slice::from_ref(&add)).await, Err(Error::AlreadyExists(_))));
    // Nothing names the new schema, until somebody commits.
    let back = altered.rollback_schema(0).await.unwrap();
    assert_eq!((back.schema().id, back.schema().fields.len()), (0, 1));
    assert!(matches!(back.rollback_schema(1).await, Err(Error::Invalid(words)) if words.contains("schema 1")));
    let altered = back.alter(&[add]).await.unwrap();
    write(&table, 0..10).await.snapshot_id().unwrap();
    let refused = altered.rollback_schema(0).await.err().unwrap();
    assert!(matches!(&refused, Error::Invalid(words) if words.contains("snapshot 2 names schema 1")), "{refused}");
    assert!(matches!(table.create_branch("b", None).await, Err(Error::Unsupported(_))));
    assert!(matches!(table.clone().drop().await, Err(Error::Unsupported(_))));
    table.create_tag("monday", &forebay::At::Latest, None).await.unwrap();
    // The same tables without the service.
    let beside = Catalog::open(running.directory.path().to_str().unwrap(), [("", ""); 0]).unwrap();
    assert_eq!(count(&beside.table(&name("d.t")).await.unwrap()).await, 10);
    catalog.rename_table(&name("d.t"), &name("d.u")).await.unwrap();
    assert_eq!(beside.list_tables("d").await.unwrap(), ["u"]);
    assert!(matches!(catalog.table(&name("d.t")).await, Err(Error::NotFound(_))));
    catalog.drop_table(&name("d.u")).await.unwrap();
    assert!(matches!(catalog.drop_table(&name("d.u")).await, Err(Error::NotFound(_))));
    catalog.drop_database("d", false).await.unwrap();
    assert!(catalog.list_databases().await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_token_is_asked_for_and_another_warehouse_is_not_served() {
    let running = Running::start(Some("right")).await;
    for options in [&[][..], &[("token", "wrong")], &[("token", "righ")]] {
        match running.client(options).list_databases().await {
            Err(Error::Invalid(words)) => assert!(words.contains("401") && !words.contains("right"), "{words}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(running.client(&[("token", "right")]).list_databases().await.unwrap().is_empty());
    let uri = format!("http://{}", running.address);
    for (warehouse, served) in [("lake", true), (running.directory.path().to_str().unwrap(), true), ("sea", false)] {
        let options = [("metastore", "rest"), ("uri", uri.as_str()), ("token", "right")];
        let catalog = Catalog::open(warehouse, options).unwrap();
        assert_eq!(catalog.list_databases().await.is_ok(), served, "{warehouse}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_commits_at_once_each_number_has_one_winner_and_none_is_lost() {
    let running = Running::start(None).await;
    let catalog = running.client(&[]);
    catalog.create_database("d").await.unwrap();
    catalog.create_table(&name("d.t"), schema()).await.unwrap();
    let mut tasks = Vec::new();
    for writer in 0..6 {
        let catalog = running.client(&[]);
        tasks.push(tokio::spawn(async move {
            let table = catalog.table(&name("d.t")).await.unwrap();
            let mut ids = Vec::new();
            for commit in 0..5 {
                let from = writer * 1000 + commit * 10;
                match write(&table, from..from + 10).await {
                    CommitOutcome::Committed { append, snapshot_id, .. } => ids.push(append.unwrap_or(snapshot_id)),
                    other => panic!("{other:?}"),
                }
            }
            ids
        }));
    }
    let mut won = BTreeSet::new();
    for task in tasks {
        for id in task.await.unwrap() {
            assert!(won.insert(id), "{id} has two winners");
        }
    }
    assert_eq!(won.len(), 30);
    assert_eq!(count(&catalog.table(&name("d.t")).await.unwrap()).await, 300);
}

/// Passes requests on to a service, and breaks off the first answers to commits after the service has given them. Tells
/// how many are left to be broken off.
async fn lossy(service: SocketAddr, losses: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicUsize::new(losses));
    let told = Arc::clone(&left);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let left = Arc::clone(&left);
            tokio::spawn(async move {
                let mut server = TcpStream::connect(service).await.unwrap();
                let (mut up, mut down) = (vec![0; 1 << 20], vec![0; 1 << 20]);
                let mut commits = false;
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => match read {
                            Ok(0) | Err(_) => return,
                            Ok(length) => {
                                commits |= up[..length].windows(8).any(|word| word == b"/commit ");
                                server.write_all(&up[..length]).await.unwrap();
                            }
                        },
                        read = server.read(&mut down) => match read {
                            Ok(0) | Err(_) => return,
                            Ok(length) => {
                                let spend = |left: usize| left.checked_sub(1);
                                let order = Ordering::SeqCst;
                                if std::mem::take(&mut commits) && left.fetch_update(order, order, spend).is_ok() {
                                    return;
                                }
                                client.write_all(&down[..length]).await.unwrap();
                            }
                        },
                    }
                }
            });
        }
    });
    (address, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_found_committed_once() {
    let running = Running::start(None).await;
    let catalog = running.client(&[]);
    catalog.create_database("d").await.unwrap();
    catalog.create_table(&name("d.t"), schema()).await.unwrap();
    let (address, left) = lossy(running.address, 2).await;
    let through = client(address, &[]);
    let table = through.table(&name("d.t")).await.unwrap();
    for commit in 0..4 {
        write(&table, commit * 10..commit * 10 + 10).await.snapshot_id().unwrap();
    }
    assert_eq!(table.history().snapshots.ids().await.unwrap().len(), 4);
    assert_eq!(count(&table).await, 40);
    assert_eq!(left.load(Ordering::SeqCst), 0, "no answer was lost");
}

#[tokio::test]
async fn the_same_snapshot_told_again_is_answered_as_the_first_time() {
    let running = Running::start(None).await;
    let catalog = running.client(&[]);
    catalog.create_database("d").await.unwrap();
    let table = catalog.create_table(&name("d.t"), schema()).await.unwrap();
    for keys in [0..1, 1..2] {
        write(&table, keys).await.snapshot_id().unwrap();
    }
    let found = catalog.find_table(&name("d.t")).await.unwrap();
    let (history, publisher): (_, Arc<dyn Publisher>) = (table.history(), found.publisher);
    let (first, second) = (history.snapshots.load(1).await.unwrap(), history.snapshots.load(2).await.unwrap());
    let again = publisher.publish(history, Some(&first), &second).await.unwrap();
    assert_eq!(again, forebay::io::Created::Won);
    let other = forebay::format::Snapshot { commit_identifier: 99, ..second };
    assert_eq!(publisher.publish(history, Some(&first), &other).await.unwrap(), forebay::io::Created::Exists);
    // The table was dropped and made again.
    catalog.drop_table(&name("d.t")).await.unwrap();
    // Its time tells it from the one before.
    forebay::Env::system().sleep(std::time::Duration::from_millis(5)).await;
    catalog.create_table(&name("d.t"), schema()).await.unwrap();
    assert!(matches!(publisher.publish(history, None, &first).await, Err(Error::NotFound(_))));
}
