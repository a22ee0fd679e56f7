//! The stores of these tests, and the servers behind them: one process for each kind, which all tests share.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use forebay::Env;
use forebay::io::{TableStore, open_location};

/// Where a test's files may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    Memory,
    Local,
    /// S3, by moto
    Moto,
    /// S3, by the Versity gateway over a directory
    Versitygw,
    /// Azure Blob Storage, by Azurite
    Azurite,
    /// Google Cloud Storage, by fake-gcs-server
    Gcs,
    /// HDFS, by Hadoop's own cluster in one process
    #[cfg(feature = "services")]
    Hdfs,
}

/// An empty prefix of a store.
pub struct Place {
    pub location: String,
    pub options: Vec<(String, String)>,
    _directory: Option<tempfile::TempDir>,
}

impl Place {
    /// Its files.
    pub fn open(&self) -> TableStore {
        let options = self.options.iter().cloned().collect();
        open_location(&self.location, &options, &Env::system()).unwrap()
    }
}

/// Azurite's own account, as its documentation prints it.
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A place of its own in a store.
pub fn place(store: Store) -> Place {
    let name = Env::system().uuid();
    let options = |options: &[(&str, String)]| -> Vec<(String, String)> {
        options.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect()
    };
    let s3 = |kind: &str, access: &str, secret: &str| {
        options(&[
            ("s3.endpoint", format!("http://127.0.0.1:{}", port(kind))),
            ("s3.region", "us-east-1".into()),
            ("s3.access-key", access.into()),
            ("s3.secret-key", secret.into()),
            ("s3.path.style.access", "true".into()),
        ])
    };
    let (location, options) = match store {
        Store::Memory => (format!("memory://stores/{name}"), Vec::new()),
        Store::Local => {
            let directory = tempfile::Builder::new().prefix("forebay-stores-").tempdir().unwrap();
            let location = directory.path().join("t").to_str().unwrap().to_string();
            return Place { location, options: Vec::new(), _directory: Some(directory) };
        }
        Store::Moto => (format!("s3://forebay/{name}"), s3("moto", "forebay-access", "forebay-secret")),
        Store::Versitygw => (format!("s3://forebay/{name}"), s3("versitygw", "forebay-access", "forebay-secret")),
        Store::Azurite => (
            format!("abfss://forebay@devstoreaccount1.dfs.core.windows.net/{name}"),
            options(&[
                ("azure.endpoint", format!("http://127.0.0.1:{}/devstoreaccount1", port("azurite"))),
                ("fs.azure.account.key.devstoreaccount1.dfs.core.windows.net", AZURITE_KEY.into()),
            ]),
        ),
        #[cfg(feature = "services")]
        Store::Hdfs => (format!("hdfs://127.0.0.1:{}/{name}", port("hdfs")), Vec::new()),
        Store::Gcs => (
            format!("gs://forebay/{name}"),
            options(&[
                ("fs.gs.storage.root.url", format!("http://127.0.0.1:{}", port("gcs"))),
                ("fs.gs.auth.type", "UNAUTHENTICATED".into()),
            ]),
        ),
    };
    Place { location, options, _directory: None }
}

/// The port of a server, which is started when it is asked for first.
fn port(kind: &str) -> u16 {
    ports(kind)[0]
}

/// The ports of a server. It ends with this program, because its input ends then.
pub fn ports(kind: &str) -> Vec<u16> {
    type Running = HashMap<String, (Vec<u16>, Child)>;
    static RUNNING: OnceLock<Mutex<Running>> = OnceLock::new();
    let mut running = RUNNING.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((ports, _)) = running.get(kind) {
        return ports.clone();
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("stores/serve");
    let mut command = Command::new(&serve);
    command.args([kind, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", serve.display()));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let own =
        line.trim().strip_prefix("ready").unwrap_or_else(|| panic!("{kind} did not start: run tools/interop/setup"));
    let mut ports: Vec<u16> = own.split_whitespace().map(|port| port.parse().unwrap()).collect();
    if ports.is_empty() {
        ports.push(port);
    }
    running.insert(kind.to_string(), (ports.clone(), child));
    ports
}
