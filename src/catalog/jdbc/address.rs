//! `jdbc:` addresses as Java's drivers read them. An address may carry a password: it is shown by [`Address::shown`] only.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// The kinds of database servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    Sqlite,
}

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) dialect: Dialect,
    /// Empty for SQLite.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Its name; a file for SQLite.
    pub(super) database: String,
    /// What stands behind the question mark. May hold secrets.
    pub(super) parameters: BTreeMap<String, String>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Address {
    /// # Errors
    /// [`Error::Invalid`] that does not repeat the address; [`Error::Unsupported`] for other databases, several hosts and
    /// databases in memory.
    pub(super) fn parse(uri: &str) -> Result<Self> {
        let ways = "write jdbc:postgresql://HOST/DATABASE, jdbc:mysql://HOST/DATABASE or jdbc:sqlite:FILE";
        let parts = uri.trim().strip_prefix("jdbc:").and_then(|rest| rest.split_once(':'));
        let Some((protocol, rest)) = parts else { return Err(Error::invalid(format!("option uri: {ways}"))) };
        match protocol {
            "postgresql" => Self::server(Dialect::Postgres, rest),
            "mysql" | "mariadb" => Self::server(Dialect::MySql, rest),
            "sqlite" => Self::file(rest),
            other => Err(Error::unsupported(format!("option uri: jdbc:{other} ({ways})"))),
        }
    }

    fn server(dialect: Dialect, rest: &str) -> Result<Self> {
        let bad = |what: &str| Err(Error::invalid(format!("option uri: {what}")));
        if !rest.starts_with("//") {
            return bad("behind the name of the database comes //HOST[:PORT]/DATABASE");
        }
        let authority = rest.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return bad("user and password do not stand before the host: give jdbc.user and jdbc.password");
        }
        if authority.contains([',', '(']) {
            return Err(Error::unsupported("option uri: several hosts, one of which would be chosen"));
        }
        let Ok(url) = url::Url::parse(&format!("jdbc:{rest}")) else { return bad("no address of a server") };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else { return bad("it names no host") };
        let database = decoded(url.path().trim_matches('/'));
        if database.is_empty() {
            return bad("it names no database");
        }
        Ok(Self {
            dialect,
            host: host.trim_matches(['[', ']']).to_string(),
            port: url.port(),
            database,
            parameters: url.query_pairs().into_owned().collect(),
        })
    }

    fn file(rest: &str) -> Result<Self> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = path.strip_prefix("file:").unwrap_or(path);
        if path.is_empty() || path.starts_with(':') {
            return Err(Error::unsupported("option uri: a database in memory, which nobody else would see"));
        }
        Ok(Self {
            dialect: Dialect::Sqlite,
            host: String::new(),
            port: None,
            database: path.to_string(),
            parameters: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        })
    }

    /// The address without parameters.
    pub(super) fn shown(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match self.dialect {
            Dialect::Postgres => format!("jdbc:postgresql://{}{port}/{}", self.host, self.database),
            Dialect::MySql => format!("jdbc:mysql://{}{port}/{}", self.host, self.database),
            Dialect::Sqlite => format!("jdbc:sqlite:{}", self.database),
        }
    }
}

/// A percent-encoded text as it was.
fn decoded(text: &str) -> String {
    let pair = format!("d={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).collect()
}
