//! Tests of addresses, options, statements and the lock, on a database in a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use super::JdbcCatalog;
use super::address::{Address, Dialect};
use super::lock::Locks;
use super::publisher::{JdbcPublisher, object_of, properties_of};
use super::rows::Rows;
use super::settings::Settings;
use super::sql::{Database as SqlDatabase, Statement};
use super::tables;
use crate::catalog::backend::CatalogBackend;
use crate::catalog::options::TableDefaults;
use crate::catalog::{Catalog, TableName};
use crate::commit::Publisher;
use crate::env::{Clock, Env};
use crate::error::Error;
use crate::format::{Snapshot, encode_schema, layout};
use crate::history::History;
use crate::io::{Created, Fault, FaultPlan, FaultyStore, Gate, Op, TableStore};
use crate::schema::{Schema, SchemaChange};
use crate::types::DataType;

fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
}

#[test]
fn addresses_are_read_as_javas_drivers_read_them() {
    for (uri, dialect, host, port, database, shown) in [
        ("jdbc:postgresql://h/d", Dialect::Postgres, "h", None, "d", "jdbc:postgresql://h/d"),
        ("jdbc:postgresql://[::1]:5433/a%20b?x=1", Dialect::Postgres, "::1", Some(5433), "a b", ""),
        ("jdbc:mysql://h.x:3307/d?useSSL=false", Dialect::MySql, "h.x", Some(3307), "d", "jdbc:mysql://h.x:3307/d"),
        ("jdbc:mariadb://h/d", Dialect::MySql, "h", None, "d", "jdbc:mysql://h/d"),
        ("jdbc:sqlite:/tmp/a b.db", Dialect::Sqlite, "", None, "/tmp/a b.db", "jdbc:sqlite:/tmp/a b.db"),
        ("jdbc:sqlite:file:x.db?busy_timeout=5", Dialect::Sqlite, "", None, "x.db", "jdbc:sqlite:x.db"),
    ] {
        let address = Address::parse(uri).unwrap();
        assert_eq!((address.dialect, address.host.as_str(), address.port), (dialect, host, port), "{uri}");
        assert_eq!(address.database, database);
        assert!(shown.is_empty() || address.shown() == shown, "{}", address.shown());
    }
    for (uri, word) in [
        ("postgresql://h/d", "jdbc:postgresql"),
        ("jdbc:oracle:thin:@x", "jdbc:oracle"),
        ("jdbc:postgresql:d", "//HOST"),
        ("jdbc:postgresql://h", "no database"),
        ("jdbc:postgresql://a:1,b:2/d", "several hosts"),
        ("jdbc:mysql:loadbalance://h/d", "//HOST"),
        ("jdbc:sqlite::memory:", "memory"),
        ("jdbc:sqlite:", "memory"),
    ] {
        let words = Address::parse(uri).unwrap_err().to_string();
        assert!(words.contains(word), "{uri}: {words}");
    }
    let words = Address::parse("jdbc:mysql://u:CANARY@h/d").unwrap_err().to_string();
    assert!(!words.contains("CANARY") && words.contains("jdbc.password"), "{words}");
}

fn settings(uri: &str, warehouse: &str, pairs: &[(&str, &str)]) -> crate::error::Result<Settings> {
    Settings::of(uri, warehouse, options(pairs))
}

#[test]
fn options_are_javas_and_what_is_not_honoured_is_refused_by_name() {
    let uri = "jdbc:postgresql://h/d?user=told";
    let pairs = [
        ("jdbc.user", "passed over"),
        ("jdbc.password", "CANARY"),
        ("catalog-key", "k"),
        ("lock.type", "jdbc"),
        ("lock-acquire-timeout", "5 s"),
        ("lock-check-max-sleep", "100 ms"),
        ("table-default.bucket", "3"),
        ("sync-all-properties", "false"),
        ("s3.endpoint", "http://e"),
        ("cache.expiration-interval", "1 min"),
    ];
    let read = settings(uri, "s3://bucket/w", &pairs).unwrap();
    assert_eq!((read.user.as_deref(), read.catalog_key.as_str()), (Some("told"), "k"));
    assert_eq!(read.store, options(&[("s3.endpoint", "http://e")]));
    assert_eq!(read.table_defaults, TableDefaults::take(&mut options(&[("table-default.bucket", "3")])));
    assert!(!read.sync_properties);
    let lock = read.lock.as_ref().unwrap();
    assert_eq!((lock.timeout, lock.max_sleep), (Duration::from_secs(5), Duration::from_millis(100)));
    assert!(!format!("{read:?}").contains("CANARY"));
    let keys = settings(uri, "/w", &[("s3.secret-key", "CANARY"), ("fs.azure.account.key", "CANARY")]).unwrap();
    assert!(!format!("{keys:?}").contains("CANARY"), "{keys:?}");
    // Object stores are locked unless an option says otherwise; a disk is not.
    for (warehouse, pairs, wanted) in [
        ("oss://b/w", &[][..], true),
        ("s3a://b/w", &[("lock.enabled", "false")], false),
        ("hdfs://n/w", &[], false),
        ("/w", &[], false),
        ("file:///w", &[("lock.enabled", "true")], true),
        ("/w", &[("lock.type", "zookeeper")], false),
    ] {
        assert_eq!(settings(uri, warehouse, pairs).unwrap().lock.is_some(), wanted, "{warehouse} {pairs:?}");
    }
    for (key, value) in [
        ("lock.enabled", "maybe"),
        ("table.type", "external"),
        ("resolving-file-io.enabled", "true"),
        ("colour", "blue"),
        ("client-pool-size", "many"),
        ("lock-acquire-timeout", "soon"),
        ("lock-acquire-timeout", "999 ms"),
    ] {
        let words = settings(uri, "/w", &[(key, value)]).unwrap_err().to_string();
        assert!(words.contains(key), "{words}");
    }
    let words = settings(uri, "/w", &[("lock.enabled", "true"), ("lock.type", "hive")]).unwrap_err().to_string();
    assert!(words.contains("lock.type=hive"), "{words}");
    for (uri, key) in [
        ("jdbc:postgresql://h/d?sslmode=CANARY", "sslmode"),
        ("jdbc:postgresql://h/d?targetServerType=CANARY", "targetServerType"),
        ("jdbc:mysql://h/d?useSSL=CANARY", "useSSL"),
        ("jdbc:sqlite:x.db?cipher=CANARY", "cipher"),
        ("jdbc:postgresql://h/d?readOnly=true", "readOnly"),
    ] {
        let read = settings(uri, "/w", &[("jdbc.password", "CANARY2")]).unwrap();
        let words = SqlDatabase::open(&read, &Env::system()).unwrap_err().to_string();
        assert!(words.contains(key) && !words.contains("CANARY"), "{words}");
    }
}

#[tokio::test]
async fn a_table_whose_options_could_not_be_copied_is_told_to_be_there() {
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("jdbc:sqlite:{}", directory.path().join("c.db").display());
    let warehouse = directory.path().join("w");
    std::fs::create_dir(&warehouse).unwrap();
    let catalog = JdbcCatalog::open(&uri, warehouse.to_str().unwrap(), options(&[]), &Env::system()).unwrap();
    catalog.create_database("d", &options(&[])).await.unwrap();
    catalog.rows.database.execute(&Statement::new("DROP TABLE paimon_table_properties")).await.unwrap();
    let name: TableName = "d.t".parse().unwrap();
    let error = catalog.create_table(&name, &schema()).await.unwrap_err();
    assert!(matches!(&error, Error::Storage { .. }) && error.to_string().contains("table d.t is there"), "{error}");
    assert!(catalog.find_table(&name).await.is_ok());
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let place = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(
        place.path().to_str().unwrap(),
        [
            ("metastore", "jdbc"),
            ("uri", "jdbc:mysql://127.0.0.1:1/d?password=CANARY-in-address"),
            ("jdbc.user", "u"),
            ("jdbc.password", "CANARY-option"),
        ],
    )
    .unwrap();
    let error = catalog.list_databases().await.unwrap_err();
    let words = format!("{error} {error:?} {catalog:?}");
    assert!(words.contains("jdbc:mysql://127.0.0.1:1/d") && !words.contains("CANARY"), "{words}");
}

/// A clock that passes when it is waited for.
#[derive(Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst) as i64
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn local_offset_seconds(&self, _: i64) -> i32 {
        -3600
    }
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.0.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
        Box::pin(tokio::task::yield_now())
    }
}

/// A database in a file, with a clock of the test's own on our side.
struct Place {
    rows: Arc<Rows>,
    locks: Arc<Locks>,
    _directory: tempfile::TempDir,
}

impl Place {
    async fn new(lock: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let uri = format!("jdbc:sqlite:{}", directory.path().join("c.db").display());
        let pairs = [&[("lock.enabled", "true")], lock].concat();
        let settings = settings(&uri, "/w", &pairs).unwrap();
        let clock = Arc::new(Hands::default());
        let env = Env::seeded(3, clock);
        let database = Arc::new(SqlDatabase::open(&settings, &env).unwrap());
        let lock = settings.lock.unwrap();
        let rows = Arc::new(Rows::new(database, settings.catalog_key.clone(), Some(lock.key_length)));
        let locks = Arc::new(Locks::new(Arc::clone(&rows), settings.catalog_key, lock));
        rows.ready().await.unwrap();
        Self { rows, locks, _directory: directory }
    }

    async fn column(&self, sql: &str) -> Vec<String> {
        self.rows.database.column(&Statement::new(sql)).await.unwrap()
    }

    async fn run(&self, sql: &str) {
        self.rows.database.execute(&Statement::new(sql)).await.unwrap();
    }

    async fn locked(&self) -> Vec<String> {
        self.column("SELECT lock_id FROM paimon_distributed_locks ORDER BY lock_id").await
    }
}

#[tokio::test]
async fn the_tables_are_those_that_java_makes_and_are_made_once() {
    let place = Place::new(&[("lock-key-max-length", "300")]).await;
    let made = place.column("SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY name").await;
    // Java's text, but for blanks.
    let java = [
        "CREATE TABLE paimon_database_properties(catalog_key VARCHAR(255) NOT NULL,database_name VARCHAR(255) NOT \
         NULL,property_key VARCHAR(255),property_value VARCHAR(1000),PRIMARY KEY (catalog_key, database_name, \
         property_key))",
        "CREATE TABLE paimon_distributed_locks(lock_id VARCHAR(300) NOT NULL,acquired_at TIMESTAMP DEFAULT \
         CURRENT_TIMESTAMP NOT NULL,expire_time_seconds BIGINT DEFAULT 0 NOT NULL,PRIMARY KEY (lock_id))",
        "CREATE TABLE paimon_table_properties(catalog_key VARCHAR(255) NOT NULL,database_name VARCHAR(255) NOT \
         NULL,table_name VARCHAR(255) NOT NULL,property_key VARCHAR(255) NOT NULL,property_value \
         VARCHAR(1000),PRIMARY KEY (catalog_key, database_name, table_name, property_key))",
        "CREATE TABLE paimon_tables(catalog_key VARCHAR(255) NOT NULL,database_name VARCHAR(255) NOT \
         NULL,table_name VARCHAR(255) NOT NULL, PRIMARY KEY (catalog_key, database_name, table_name))",
        "CREATE TABLE paimon_views(catalog_key VARCHAR(255) NOT NULL,database_name VARCHAR(255) NOT NULL,view_name \
         VARCHAR(255) NOT NULL,view_schema TEXT NOT NULL, PRIMARY KEY (catalog_key, database_name, view_name))",
    ];
    let plain = |text: &str| text.replace(' ', "");
    assert_eq!(made.iter().map(|it| plain(it)).collect::<Vec<_>>(), java.map(plain));
    tables::make(&place.rows.database, Some(255)).await.unwrap();
}

#[tokio::test]
async fn a_lock_is_held_by_one_and_waited_for() {
    let place = Place::new(&[("lock-acquire-timeout", "20 s"), ("lock-check-max-sleep", "1 s")]).await;
    let held = place.locks.take("d", "t").await.unwrap();
    assert_eq!(place.locked().await, ["jdbc.d.t"]);
    assert_eq!(place.column("SELECT CAST(expire_time_seconds AS TEXT) FROM paimon_distributed_locks").await, ["20"]);
    let other = place.locks.take("d", "u").await.unwrap();
    // On the test's clock the time is over soon; on the database's the row is young.
    let error = place.locks.take("d", "t").await.unwrap_err();
    assert!(matches!(&error, Error::Exhausted(words) if words.contains("jdbc.d.t")), "{error}");
    drop(other.kept());
    assert_eq!(place.locked().await, ["jdbc.d.t", "jdbc.d.u"]);
    // Its time is over by our clock: it may be another's by now, and is left alone.
    assert!(!held.holds());
    assert!(!held.release().await);
    assert_eq!(place.locked().await, ["jdbc.d.t", "jdbc.d.u"]);
}

#[tokio::test]
async fn a_row_that_is_too_old_is_anybodys() {
    let place = Place::new(&[]).await;
    for (age, seconds) in [(481, 480), (3, 1), (100_000, 60)] {
        place
            .run(&format!(
                "INSERT INTO paimon_distributed_locks VALUES ('jdbc.d.t', datetime('now', '-{age} seconds'), {seconds})"
            ))
            .await;
        let held = place.locks.take("d", "t").await.unwrap();
        assert!(held.release().await);
        assert!(place.locked().await.is_empty());
    }
}

#[tokio::test]
async fn only_the_own_row_is_released() {
    let place = Place::new(&[]).await;
    let held = place.locks.take("d", "t").await.unwrap();
    // Java gave back a lock that it had lost, and a third one took it.
    place.run("UPDATE paimon_distributed_locks SET acquired_at = datetime('now', '-5 seconds')").await;
    assert!(!held.release().await);
    assert_eq!(place.locked().await, ["jdbc.d.t"]);
    place.run("DELETE FROM paimon_distributed_locks").await;
    drop(place.locks.take("d", "t").await.unwrap());
    for _ in 0..200 {
        if place.locked().await.is_empty() {
            return;
        }
    }
    panic!("a lock that was dropped is still there");
}

#[tokio::test]
async fn a_name_that_no_lock_takes_is_refused() {
    let place = Place::new(&[("lock-key-max-length", "10")]).await;
    let error = place.locks.take("database", "table").await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(words) if words.contains("lock-key-max-length")), "{error}");
}

fn schema() -> Schema {
    let builder = Schema::builder().column("k", DataType::BIGINT.not_null()).column("p", DataType::INT.not_null());
    builder.primary_key(["k", "p"]).partition_by(["p"]).option("bucket", "2").build().unwrap()
}

#[test]
fn the_properties_of_a_table_are_its_options_and_its_keys() {
    let wanted = options(&[("bucket", "2"), ("bucket-key", "k"), ("partition", "p"), ("primary-key", "k,p")]);
    assert_eq!(properties_of(&schema()), wanted);
    let name: TableName = "d.t".parse().unwrap();
    assert_eq!((object_of(&name, None), object_of(&name, Some("b"))), ("t".into(), "t$branch_b".into()));
}

/// A table in memory behind a store that fails, and its door.
async fn door(place: &Place) -> (FaultyStore, History, JdbcPublisher) {
    let env = &place.rows.database.env;
    let raw = TableStore::memory(env);
    raw.write(&layout::schema(0), encode_schema(&schema()).unwrap()).await.unwrap();
    let mut faulty = None;
    let store = raw.wrapped(|inner| {
        let wrapped = FaultyStore::new(inner, env.clone(), FaultPlan::none());
        faulty = Some(wrapped.clone());
        Arc::new(wrapped)
    });
    let name = "d.t".parse().unwrap();
    let publisher = JdbcPublisher::new(Arc::clone(&place.rows), Some(Arc::clone(&place.locks)), name, true);
    (faulty.unwrap(), History::new(store), publisher)
}

fn snapshot(user: &str) -> Snapshot {
    let text = format!(
        r#"{{"version": 3, "id": 1, "schemaId": 0, "baseManifestList": "a", "deltaManifestList": "b",
            "commitUser": "{user}", "commitIdentifier": 1, "commitKind": "APPEND", "timeMillis": 5}}"#
    );
    Snapshot::decode(text.as_bytes(), "a test").unwrap()
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_settled_before_the_lock_is_given_back() {
    let place = Place::new(&[]).await;
    let (faulty, history, publisher) = door(&place).await;
    faulty.replan(FaultPlan::seeded(1).at(0, Fault::FailAfter));
    // The second try finds the file, which the committer reads back.
    assert_eq!(publisher.publish(&history, None, &snapshot("u")).await.unwrap(), Created::Exists);
    assert_eq!(history.snapshots.load(1).await.unwrap(), snapshot("u"));
    assert!(place.locked().await.is_empty());
}

#[tokio::test]
async fn a_lock_stays_while_a_create_is_in_doubt_and_serves_the_next_try() {
    let place = Place::new(&[]).await;
    let (faulty, history, publisher) = door(&place).await;
    faulty.replan((0..4).fold(FaultPlan::seeded(1), |plan, at| plan.at(at, Fault::FailBefore)));
    assert!(matches!(publisher.publish(&history, None, &snapshot("u")).await, Ok(Created::Unknown(_))));
    assert_eq!(place.locked().await, ["jdbc.d.t"]);
    assert_eq!(publisher.publish(&history, None, &snapshot("u")).await.unwrap(), Created::Won);
    assert!(place.locked().await.is_empty());
    let creates = faulty.trace().iter().filter(|(op, _, _)| *op == Op::Create).count();
    assert_eq!(creates, 5);
}

#[tokio::test]
async fn a_win_under_a_lock_that_was_lost_counts_after_the_lock_was_taken_again() {
    let place = Place::new(&[("lock-acquire-timeout", "10 s")]).await;
    // While the create is under way the row goes; then nobody has the lock, or somebody who keeps it.
    let others = "INSERT INTO paimon_distributed_locks VALUES ('jdbc.d.t', datetime('now', '-1 seconds'), 480)";
    for (then, proved) in [("DELETE FROM paimon_distributed_locks", true), (others, false)] {
        let (faulty, history, publisher) = door(&place).await;
        let gate = Gate::default();
        faulty.replan(FaultPlan::seeded(1).at(0, Fault::Pause(gate.clone())));
        let first = snapshot("u");
        let meanwhile = async {
            gate.reached().await;
            place.run("DELETE FROM paimon_distributed_locks").await;
            place.run(then).await;
            gate.open();
        };
        let (outcome, ()) = futures::future::join(publisher.publish(&history, None, &first), meanwhile).await;
        match outcome.unwrap() {
            Created::Won => assert!(proved),
            Created::Unknown(words) => assert!(!proved && words.contains("lock was lost"), "{words}"),
            Created::Exists => panic!("nobody else made the snapshot"),
        }
        assert_eq!(place.locked().await.is_empty(), proved);
    }
}

#[tokio::test]
async fn a_schema_is_changed_under_the_lock_and_its_options_are_copied() {
    let place = Place::new(&[]).await;
    let (_, history, publisher) = door(&place).await;
    let set = SchemaChange::SetOption("snapshot.num-retained.min".into(), "5".into());
    assert!(publisher.change_schema(&history, &[set]).await.unwrap());
    assert!(place.locked().await.is_empty());
    let copied = place.column("SELECT property_value FROM paimon_table_properties ORDER BY property_key").await;
    assert_eq!(copied, ["2", "k", "p", "k,p", "5"]);
    assert!(publisher.rollback_schema(&history, 0).await.unwrap());
    assert!(place.locked().await.is_empty());
    let copied = place.column("SELECT property_value FROM paimon_table_properties ORDER BY property_key").await;
    assert_eq!(copied, ["2", "k", "p", "k,p"]);
    assert!(matches!(publisher.rollback_schema(&history, 7).await, Err(Error::NotFound(_))));
    assert!(place.locked().await.is_empty(), "a refused one gives the lock back too");
    assert!(matches!(publisher.check_drop(), Err(Error::Unsupported(_))));
    assert!(publisher.check_own("making a branch").is_ok());
}
