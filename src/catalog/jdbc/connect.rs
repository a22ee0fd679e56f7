//! Connections: what Java's drivers read of an address and of `jdbc.` options, told to ours.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Database};

use super::address::Dialect;
use super::settings::Settings;
use super::sql::Pool;
use crate::error::{Error, Result};

/// How long a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How long a writer of SQLite waits for another one.
const BUSY: Duration = Duration::from_secs(10);

/// Parameters that only tune Java's drivers.
const TUNING: [&str; 28] = [
    "ApplicationName",
    "allowPublicKeyRetrieval",
    "assumeMinServerVersion",
    "autoReconnect",
    "cachePrepStmts",
    "characterEncoding",
    "charSet",
    "connectTimeout",
    "connectionTimeZone",
    "date_class",
    "defaultRowFetchSize",
    "driver",
    "loginTimeout",
    "nullCatalogMeansCurrent",
    "prepStmtCacheSize",
    "prepStmtCacheSqlLimit",
    "prepareThreshold",
    "reWriteBatchedInserts",
    "rewriteBatchedStatements",
    "serverTimezone",
    "socketTimeout",
    "stringtype",
    "tcpKeepAlive",
    "useLegacyDatetimeCode",
    "useServerPrepStmts",
    "useUnicode",
    "tcpNoDelay",
    "zeroDateTimeBehavior",
];

/// How a database is reached.
pub(super) enum Connect {
    Postgres(Box<PgConnectOptions>),
    MySql(Box<MySqlConnectOptions>),
    Sqlite(Box<SqliteConnectOptions>),
}

impl Connect {
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Unsupported`] that name a parameter, and never its value.
    pub(super) fn of(settings: &Settings) -> Result<Self> {
        let mut parameters = Parameters(settings.address.parameters.clone());
        if parameters.flag("readOnly")? == Some(true) {
            let what = "option jdbc.readOnly, or readOnly of the address: a catalog changes its rows";
            return Err(Error::unsupported(what));
        }
        let connect = match settings.address.dialect {
            Dialect::Postgres => Self::Postgres(Box::new(postgres(settings, &mut parameters)?)),
            Dialect::MySql => Self::MySql(Box::new(mysql(settings, &mut parameters)?)),
            Dialect::Sqlite => Self::Sqlite(Box::new(sqlite(settings, &mut parameters)?)),
        };
        parameters.finish()?;
        Ok(connect)
    }

    /// A pool whose connections are made when they are needed. Wants a runtime.
    pub(super) fn pool(&self, connections: u32) -> Pool {
        match self {
            Self::Postgres(options) => {
                Pool::Postgres(pooled(connections).connect_lazy_with(PgConnectOptions::clone(options)))
            }
            Self::MySql(options) => {
                Pool::MySql(pooled(connections).connect_lazy_with(MySqlConnectOptions::clone(options)))
            }
            Self::Sqlite(options) => {
                Pool::Sqlite(pooled(connections).connect_lazy_with(SqliteConnectOptions::clone(options)))
            }
        }
    }
}

fn pooled<DB: Database>(connections: u32) -> PoolOptions<DB> {
    PoolOptions::new().max_connections(connections).acquire_timeout(CONNECT)
}

fn postgres(settings: &Settings, parameters: &mut Parameters) -> Result<PgConnectOptions> {
    let address = &settings.address;
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&address.host)
        .port(address.port.unwrap_or(5432))
        .database(&address.database)
        .application_name("forebay")
        .disable_statement_logging();
    if let Some(user) = &settings.user {
        options = options.username(user);
    }
    if let Some(password) = &settings.password {
        options = options.password(password.expose());
    }
    if parameters.flag("ssl")? == Some(true) {
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if let Some(mode) = parameters.take("sslmode") {
        options = options.ssl_mode(mode.parse().map_err(|_| Parameters::wrong("sslmode"))?);
    }
    if let Some(file) = parameters.take("sslrootcert") {
        options = options.ssl_root_cert(file);
    }
    if let Some(file) = parameters.take("sslcert") {
        options = options.ssl_client_cert(file);
    }
    if let Some(file) = parameters.take("sslkey") {
        options = options.ssl_client_key(file);
    }
    if let Some(schema) = parameters.take("currentSchema") {
        options = options.options([("search_path", schema)]);
    }
    Ok(options)
}

fn mysql(settings: &Settings, parameters: &mut Parameters) -> Result<MySqlConnectOptions> {
    let address = &settings.address;
    let mut options = MySqlConnectOptions::new()
        .host(&address.host)
        .port(address.port.unwrap_or(3306))
        .database(&address.database)
        .disable_statement_logging();
    if let Some(user) = &settings.user {
        options = options.username(user);
    }
    if let Some(password) = &settings.password {
        options = options.password(password.expose());
    }
    if let Some(wanted) = parameters.flag("useSSL")? {
        options = options.ssl_mode(if wanted { MySqlSslMode::Required } else { MySqlSslMode::Disabled });
    }
    if let Some(mode) = parameters.take("sslMode") {
        // MariaDB's driver writes them with hyphens.
        let mode = mode.to_ascii_uppercase().replace('-', "_");
        options = options.ssl_mode(match mode.as_str() {
            "DISABLED" | "DISABLE" => MySqlSslMode::Disabled,
            "PREFERRED" => MySqlSslMode::Preferred,
            "REQUIRED" | "TRUST" => MySqlSslMode::Required,
            "VERIFY_CA" => MySqlSslMode::VerifyCa,
            "VERIFY_IDENTITY" | "VERIFY_FULL" => MySqlSslMode::VerifyIdentity,
            _ => return Err(Parameters::wrong("sslMode")),
        });
    }
    if let Some(file) = parameters.take("serverSslCert") {
        options = options.ssl_ca(file);
    }
    Ok(options)
}

fn sqlite(settings: &Settings, parameters: &mut Parameters) -> Result<SqliteConnectOptions> {
    let busy = match parameters.take("busy_timeout") {
        Some(text) => Duration::from_millis(text.parse().map_err(|_| Parameters::wrong("busy_timeout"))?),
        None => BUSY,
    };
    let options = SqliteConnectOptions::new()
        .filename(&settings.address.database)
        .create_if_missing(true)
        .busy_timeout(busy)
        .disable_statement_logging();
    match parameters.take("journal_mode") {
        Some(mode) => {
            Ok(options.journal_mode(mode.to_ascii_lowercase().parse().map_err(|_| Parameters::wrong("journal_mode"))?))
        }
        None => Ok(options),
    }
}

/// What stands behind the question mark of an address, and `jdbc.` options.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        match self.take(key).map(|value| value.to_ascii_lowercase()).as_deref() {
            None => Ok(None),
            Some("true" | "") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Self::wrong(key)),
        }
    }

    fn wrong(key: &str) -> Error {
        Error::invalid(format!("option jdbc.{key}, or {key} of the address: no value of it"))
    }

    /// # Errors
    /// [`Error::Unsupported`] that names a parameter that nothing read.
    fn finish(self) -> Result<()> {
        match self.0.keys().find(|key| !TUNING.contains(&key.as_str())) {
            Some(key) => Err(Error::unsupported(format!("option jdbc.{key}, or {key} of the address"))),
            None => Ok(()),
        }
    }
}
