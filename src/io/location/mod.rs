//! The text that names a table or a warehouse, turned into a store and a root.
//!
//! `/abs/path`, `relative/path`, `file:///abs/path`, `file:/abs/path`; the services of [`Service`] by their schemes
//! (`s3://bucket/key`, `gs://bucket/key`, `abfss://container@account.dfs.core.windows.net/path`, ..) and
//! `memory://name/path` (one store for each name and process, for tests). Paths are taken as they are written: a
//! percent sign is a percent sign. Settings come from options named as Paimon names them and, where those are silent,
//! from the environment. Spec: `format-spec/stores.md`.

mod azure;
mod gcs;
#[cfg(feature = "hdfs")]
mod hdfs;
mod http;
#[cfg(any(feature = "oss", feature = "cos", feature = "obs", feature = "webhdfs"))]
mod opendal;
mod options;
mod s3;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use url::Url;

pub use text::{Location, Service};

use super::cache::{BlockCache, CacheOptions};
use super::local::LocalStore;
use super::outside::Outside;
use super::remote::RemoteStore;
use super::secret::{Secret, Secrets};
use super::store::{DELETES_AT_ONCE, Kind, TableStore};
use crate::env::Env;
use crate::error::{Error, Result};

/// What the names of options of all stores begin with, in lower case.
const STORE_OPTIONS: [&str; 8] = ["s3.", "s3a.", "fs.", "gs.", "azure.", "hadoop.", "http.", "https."];

/// Whether an option is one of a store, whichever it is: [`open_location`] looks at no others.
pub fn is_store_option(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    STORE_OPTIONS.iter().any(|beginning| name.starts_with(beginning))
}

/// Opens the store of a location. Nothing is created and no request is made. Options of other stores are passed over.
///
/// # Errors
/// As [`Location::parse`]; [`Error::Unsupported`] for a service that this build leaves out and for an option of the
/// service that is not honoured, by name; [`Error::Invalid`] for a malformed option.
pub fn open_location(text: &str, options: &BTreeMap<String, String>, env: &Env) -> Result<TableStore> {
    open_parsed(Location::parse(text)?, options, &Arc::new(Outside::of(options)?), env)
}

/// The store of a location, from which files outside of it are reached where they are allowed.
pub(super) fn open_parsed(
    location: Location,
    options: &BTreeMap<String, String>,
    outside: &Arc<Outside>,
    env: &Env,
) -> Result<TableStore> {
    let shown = location.to_string();
    let cache = CacheOptions::of(options)?;
    let cached = |store: Arc<dyn ObjectStore>, address: &str| -> Result<Arc<dyn ObjectStore>> {
        match cache {
            Some(cache) => Ok(BlockCache::open(cache)?.wrap(store, address, env)),
            None => Ok(store),
        }
    };
    match location {
        Location::Local(path) => {
            let root = path.to_string_lossy().trim_matches('/').to_string();
            let store = Arc::new(LocalStore::new(env.clone()));
            Ok(TableStore::assemble(store, root, shown, Kind::Local, env.clone()).reaching(outside))
        }
        Location::Memory { name, prefix } => {
            let store = cached(memory_store(&name), &format!("memory://{name}"))?;
            let store = TableStore::assemble(store, prefix, shown, Kind::Memory, env.clone());
            Ok(store.reaching(outside))
        }
        Location::Remote { service, scheme, authority, prefix } => {
            let opened = open_service(service, scheme, &authority, options)?;
            let address = format!("{scheme}://{authority}");
            let store = Arc::new(RemoteStore::new(opened.store, address.clone(), opened.walked));
            let bucket = format!("{address} at {}", opened.endpoint.unwrap_or_default());
            let store = cached(store, &bucket)?;
            let (read_only, deletes_at_once) = (opened.read_only, opened.deletes_at_once);
            let kind = Kind::Remote { bucket, read_only, deletes_at_once };
            let store = TableStore::assemble(store, prefix, shown, kind, env.clone());
            Ok(store.keeping(opened.secrets).reaching(outside))
        }
    }
}

/// A service's store, with what is known about it.
struct Opened {
    store: Arc<dyn ObjectStore>,
    secrets: Secrets,
    /// Where it answers, when that is not told by the location.
    endpoint: Option<String>,
    /// Why it cannot be written to.
    read_only: Option<&'static str>,
    /// What is below a directory is listed directory by directory.
    walked: bool,
    /// Files of one request to delete.
    deletes_at_once: usize,
}

impl Opened {
    /// With the secrets of the options, and those of the environment by the beginnings of their names.
    fn new(store: Arc<dyn ObjectStore>, secrets: Vec<Secret>, environment: &[&str]) -> Self {
        let secrets = Secrets::gather(&secrets, environment);
        Self { store, secrets, endpoint: None, read_only: None, walked: false, deletes_at_once: DELETES_AT_ONCE }
    }

    fn at(self, endpoint: Option<String>) -> Self {
        Self { endpoint, ..self }
    }
}

fn open_service(service: Service, scheme: &str, authority: &str, options: &BTreeMap<String, String>) -> Result<Opened> {
    match service {
        Service::S3 => s3::open(authority, options),
        Service::Gcs => gcs::open(authority, options),
        Service::Azure => azure::open(authority, options),
        Service::Http => http::open(scheme, authority, options),
        #[cfg(feature = "oss")]
        Service::Oss => opendal::oss(authority, options),
        #[cfg(feature = "cos")]
        Service::Cos => opendal::cos(authority, options),
        #[cfg(feature = "obs")]
        Service::Obs => opendal::obs(authority, options),
        #[cfg(feature = "webhdfs")]
        Service::WebHdfs => opendal::webhdfs(scheme == "swebhdfs", authority, options),
        #[cfg(feature = "hdfs")]
        Service::Hdfs => hdfs::open(authority, options),
        #[cfg(not(all(feature = "oss", feature = "cos", feature = "obs", feature = "webhdfs", feature = "hdfs")))]
        left_out => {
            let feature = format!("{left_out:?}").to_lowercase();
            Err(Error::unsupported(format!(
                "location scheme {scheme}: this build leaves it out; build forebay with feature {feature:?}"
            )))
        }
    }
}

/// A percent-encoded text as it was.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let hex = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Variables of the environment whose names begin like this and that say something, the names in lower case.
fn environment(prefix: &'static str) -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(move |(name, value)| {
        let name = name.to_str().filter(|name| name.starts_with(prefix))?;
        let value = value.into_string().ok().filter(|value| !value.is_empty())?;
        Some((name.to_ascii_lowercase(), value))
    })
}

fn is_plain_http(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}

/// The address of a service: a URL with a host and without anything to be escaped, which clients take for granted.
///
/// # Errors
/// [`Error::Invalid`] that names the option, and not the address, which may hold a password.
fn check_endpoint(option: &str, endpoint: &str) -> Result<Url> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    let url = Url::parse(endpoint).ok().filter(|_| endpoint.bytes().all(plain));
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Error::invalid(format!("option {option} is no address of a server like https://host:port")))
}

/// What is sent with a request: clients take for granted that it may be.
///
/// # Errors
/// [`Error::Invalid`] that names the option, and not its value.
fn check_sendable(option: &str, value: Option<&str>) -> Result<()> {
    match value.is_none_or(|value| value.bytes().all(|byte| (b' '..0x7f).contains(&byte))) {
        true => Ok(()),
        false => {
            Err(Error::invalid(format!("option {option}: it holds a line break or another sign that cannot be sent")))
        }
    }
}

/// A client that could not be made of its settings.
fn settings(store: &str, error: &object_store::Error, secrets: &[Secret]) -> Error {
    let words = Secrets::gather(secrets, &[]).scrub(&error.to_string());
    Error::invalid(format!("settings of {store}: {words}"))
}

fn memory_store(name: &str) -> Arc<dyn ObjectStore> {
    static STORES: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(stores.entry(name.to_string()).or_default()) as Arc<dyn ObjectStore>
}

#[cfg(test)]
mod tests;
