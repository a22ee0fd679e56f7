//! `forebay catalog serve` as a process, on a warehouse of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use forebay::Catalog;
use serde_json::{Value, json};

/// What its clients must show.
const TOKEN: &str = "no/secret+at=all";

/// The command line as it stands beside the tests: `cargo build --bin forebay` makes it.
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("the test's own path");
    here.parent().and_then(Path::parent).expect("target/debug").join("forebay")
}

/// A catalog service. It ends with this handle.
pub struct CatalogService {
    child: Child,
    uri: String,
    warehouse: tempfile::TempDir,
}

impl CatalogService {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let warehouse = tempfile::Builder::new().prefix("forebay-warehouse-").tempdir().expect("a directory");
        let binary = binary();
        let errors = || if std::env::var_os("INTEROP_LOG").is_some() { Stdio::inherit() } else { Stdio::null() };
        let child = Command::new(&binary)
            .args(["catalog", "serve", "--json", "--verbose", "--listen", "127.0.0.1:0", "--name", "interop"])
            .arg("--warehouse")
            .arg(warehouse.path())
            .env("FOREBAY_CATALOG_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors())
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{}: {error}; make it by cargo build --bin forebay", binary.display());
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a piped output")).read_line(&mut line).expect("a line");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("catalog serve: {error}: {line}"));
        assert_eq!((&told["warehouse"], &told["token"]), (&json!("interop"), &json!(true)));
        let uri = told["uri"].as_str().expect("an address").to_string();
        Self { child, uri, warehouse }
    }

    /// Where the tables lie.
    pub fn warehouse(&self) -> &Path {
        self.warehouse.path()
    }

    /// The options of a client.
    pub fn options(&self) -> Value {
        json!({
            "metastore": "rest", "uri": self.uri, "warehouse": "interop", "token.provider": "bear", "token": TOKEN,
        })
    }

    /// The address.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// This engine's client.
    pub fn client(&self) -> Catalog {
        let options = [("token.provider", "bear"), ("token", TOKEN)];
        Catalog::open(&format!("rest+{}", self.uri), options).expect("a catalog service's address")
    }
}

impl Drop for CatalogService {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
