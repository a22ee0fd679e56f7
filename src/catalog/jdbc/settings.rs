//! The options of a JDBC catalog, as Java names them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::address::Address;
use crate::catalog::options::{TableDefaults, only_stores};
use crate::error::{Error, Result};
use crate::io::Secret;
use crate::schema::parse_duration;

/// How locations of stores begin on which Java locks unless it is told not to.
const OBJECT_STORES: [&str; 9] = ["s3", "emr", "oss", "wasb", "abfs", "gs", "cosn", "obs", "http"];

/// How the lock is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockSettings {
    /// How long is waited for it, and how long it is held at the most.
    pub(super) timeout: Duration,
    /// The longest pause between two looks.
    pub(super) max_sleep: Duration,
    /// The longest name of a lock.
    pub(super) key_length: usize,
}

/// What the options say.
pub(super) struct Settings {
    pub(super) address: Address,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    /// Under which key the rows of this catalog stand.
    pub(super) catalog_key: String,
    /// None where no lock is taken.
    pub(super) lock: Option<LockSettings>,
    /// Connections at the most.
    pub(super) connections: u32,
    /// Whether the options of tables are copied into the database.
    pub(super) sync_properties: bool,
    /// Options of new tables that do not say otherwise.
    pub(super) table_defaults: TableDefaults,
    /// Options of the store, keys of it among them.
    pub(super) store: BTreeMap<String, String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({:?}, {:?})", self.address, self.catalog_key)
    }
}

impl Settings {
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Unsupported`] that name the option.
    pub(super) fn of(uri: &str, warehouse: &str, options: BTreeMap<String, String>) -> Result<Self> {
        let mut address = Address::parse(uri)?;
        let mut options = Options(options);
        // Java's drivers let the address speak first.
        let driver: Vec<(String, String)> = options.beginning("jdbc.");
        for (key, value) in driver {
            address.parameters.entry(key).or_insert(value);
        }
        let settings = Self {
            user: address.parameters.remove("user"),
            password: address.parameters.remove("password").map(Secret::new),
            catalog_key: options.take("catalog-key").unwrap_or_else(|| "jdbc".to_string()),
            lock: options.lock(warehouse)?,
            connections: options.number("client-pool-size", 2)?.max(1),
            sync_properties: options.flag("sync-all-properties")?.unwrap_or(true),
            table_defaults: TableDefaults::take(&mut options.0),
            store: BTreeMap::new(),
            address,
        };
        only_stores(&mut options.0, "JDBC")?;
        Ok(Self { store: options.0, ..settings })
    }
}

/// Options that were not looked at.
struct Options(BTreeMap<String, String>);

impl Options {
    fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key).map(|value| value.trim().to_string())
    }

    fn beginning(&mut self, prefix: &str) -> Vec<(String, String)> {
        let keys: Vec<String> = self.0.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        keys.iter().filter_map(|key| Some((key.strip_prefix(prefix)?.to_string(), self.0.remove(key)?))).collect()
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        match self.take(key).map(|value| value.to_ascii_lowercase()).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Error::invalid(format!("option {key}: {other:?} is neither true nor false"))),
        }
    }

    fn number(&mut self, key: &str, default: u32) -> Result<u32> {
        let Some(text) = self.take(key) else { return Ok(default) };
        text.parse().map_err(|_| Error::invalid(format!("option {key}: {text:?} is no number")))
    }

    fn duration(&mut self, key: &str, default: Duration) -> Result<Duration> {
        let Some(text) = self.take(key) else { return Ok(default) };
        parse_duration(&text).map_err(|error| Error::invalid(format!("option {key}: {error}")))
    }

    /// Whether and how the lock is taken: on object stores unless an option says otherwise, as Java does.
    fn lock(&mut self, warehouse: &str) -> Result<Option<LockSettings>> {
        let settings = LockSettings {
            timeout: self.duration("lock-acquire-timeout", Duration::from_secs(8 * 60))?,
            max_sleep: self.duration("lock-check-max-sleep", Duration::from_secs(8))?,
            key_length: self.number("lock-key-max-length", 255)? as usize,
        };
        if settings.timeout < Duration::from_secs(1) {
            // Java tells it to the database in whole seconds: such a row would hold for none.
            let what = "option lock-acquire-timeout: less than a second, which is how long a lock would hold";
            return Err(Error::invalid(what));
        }
        let scheme = warehouse.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
        let default = OBJECT_STORES.iter().any(|beginning| scheme.starts_with(beginning));
        let enabled = self.flag("lock.enabled")?.unwrap_or(default);
        match self.take("lock.type").as_deref() {
            Some(other) if enabled && other != "jdbc" => {
                Err(Error::unsupported(format!("option lock.type={other} (known: jdbc)")))
            }
            _ => Ok(enabled.then_some(settings)),
        }
    }
}
