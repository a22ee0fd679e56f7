//! Databases of JDBC catalogs: a file, or servers as processes, one of each kind that all tests share.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use forebay::Catalog;
use serde_json::{Value, json};

/// What the servers are started with.
pub const PASSWORD: &str = "CANARY-Passwort/1";

/// The kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sql {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
    /// MariaDB, by MySQL's protocol.
    MySql,
}

/// A warehouse with a catalog of its own in a database.
pub struct JdbcPlace {
    /// The options of its clients, as Java names them.
    pub options: Vec<(String, String)>,
    directory: tempfile::TempDir,
    clients: AtomicU64,
}

impl JdbcPlace {
    /// A warehouse on the local disk.
    pub fn new(sql: Sql) -> Self {
        let directory = tempfile::Builder::new().prefix("forebay-jdbc-").tempdir().expect("a directory");
        let warehouse = directory.path().join("w");
        std::fs::create_dir(&warehouse).expect("a directory");
        let warehouse = warehouse.to_str().expect("a path of this test is a text").to_string();
        Self::with_warehouse(sql, directory, &warehouse)
    }

    /// A warehouse anywhere, whose database may lie in a directory.
    pub fn with_warehouse(sql: Sql, directory: tempfile::TempDir, warehouse: &str) -> Self {
        let uri = match sql {
            // Java leaves statements open, which would lock its own writers out without a log.
            Sql::Sqlite => format!("jdbc:sqlite:{}?journal_mode=WAL", directory.path().join("catalog.db").display()),
            Sql::Postgres => format!("jdbc:postgresql://127.0.0.1:{}/paimon", port("postgres")),
            Sql::MySql => format!("jdbc:mysql://127.0.0.1:{}/paimon?sslMode=DISABLED", port("mysql")),
        };
        let key = forebay::Env::system().uuid();
        let options = [
            ("metastore", "jdbc"),
            ("uri", &uri),
            ("warehouse", warehouse),
            ("jdbc.user", "forebay"),
            ("jdbc.password", PASSWORD),
            ("catalog-key", &key),
            ("lock.enabled", "true"),
            ("lock-check-max-sleep", "100 ms"),
            ("lock-acquire-timeout", "60 s"),
            ("client-pool-size", "1"),
            // Java must see what others changed.
            ("cache-enabled", "false"),
        ];
        let options = options.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
        Self { options, directory, clients: AtomicU64::new(0) }
    }

    /// The same place with other options.
    pub fn but(&self, options: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all = self.options.clone();
        all.retain(|(key, _)| !options.iter().any(|(other, _)| key == other));
        all.extend(options.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())));
        all
    }

    /// An option.
    pub fn option(&self, key: &str) -> &str {
        let found = self.options.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str()).expect("an option of every place")
    }

    /// The directory of a database or table.
    pub fn path(&self, below: &str) -> std::path::PathBuf {
        self.directory.path().join("w").join(below)
    }

    /// The options of Java's client as an object: of a file each time those of a client of its own, because one that left a
    /// statement open goes on to see the file as it was then.
    pub fn json(&self) -> Value {
        let mut options = Self::json_of(&self.options);
        if self.option("uri").starts_with("jdbc:sqlite:") {
            options["client"] = json!(self.clients.fetch_add(1, Ordering::Relaxed).to_string());
        }
        options
    }

    /// Options as an object.
    pub fn json_of(options: &[(String, String)]) -> Value {
        options.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into()
    }

    /// This engine's catalog.
    pub fn client(&self) -> Catalog {
        Catalog::open(self.option("warehouse"), self.options.iter().cloned()).expect("a catalog's options")
    }
}

/// The port of a server, which is started when it is asked for first. It ends with this program, because its input ends
/// then.
fn port(kind: &'static str) -> u16 {
    type Running = HashMap<&'static str, (u16, Child)>;
    static RUNNING: OnceLock<Mutex<Running>> = OnceLock::new();
    let mut running = RUNNING.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((port, _)) = running.get(kind) {
        return *port;
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("databases/serve");
    let mut command = Command::new(&serve);
    command.args([kind, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", serve.display()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a piped output")).read_line(&mut line).expect("a line");
    assert_eq!(line.trim(), "ready", "{kind} did not start: run tools/interop/setup");
    running.insert(kind, (port, child));
    port
}
