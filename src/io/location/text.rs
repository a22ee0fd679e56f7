//! The text of a location, parsed: a directory, a service with an address and a prefix, or a store in memory.

use std::fmt;
use std::path::{Component, Path as FsPath, PathBuf};

use crate::error::{Error, Result};
use crate::io::path::check_path;

/// The services that hold tables, apart from the local disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Amazon S3, and what speaks like it
    S3,
    /// Google Cloud Storage
    Gcs,
    /// Azure Blob Storage, and Data Lake Storage by its blob endpoint
    Azure,
    /// Aliyun OSS
    Oss,
    /// Tencent COS
    Cos,
    /// Huawei OBS
    Obs,
    /// HDFS by its own protocol
    Hdfs,
    /// HDFS by HTTP
    WebHdfs,
    /// Files of a web server
    Http,
}

/// The schemes, and the service behind each.
const SCHEMES: [(&str, Service); 15] = [
    ("s3", Service::S3),
    ("s3a", Service::S3),
    ("gs", Service::Gcs),
    ("abfs", Service::Azure),
    ("abfss", Service::Azure),
    ("wasb", Service::Azure),
    ("wasbs", Service::Azure),
    ("oss", Service::Oss),
    ("cosn", Service::Cos),
    ("obs", Service::Obs),
    ("hdfs", Service::Hdfs),
    ("webhdfs", Service::WebHdfs),
    ("swebhdfs", Service::WebHdfs),
    ("http", Service::Http),
    ("https", Service::Http),
];

/// A parsed location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory of the local disk, absolute.
    Local(PathBuf),
    /// A place in a service.
    Remote {
        /// The service.
        service: Service,
        /// The scheme as it was written.
        scheme: &'static str,
        /// What stands before the first slash: a bucket, `container@account.dfs.core.windows.net`, a host with its port.
        authority: String,
        /// The prefix of keys, without slashes around it; may be empty.
        prefix: String,
    },
    /// A store in memory and the prefix in it.
    Memory {
        /// The store's name.
        name: String,
        /// The prefix.
        prefix: String,
    },
}

impl Location {
    /// Reads a location's text.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed text, [`Error::Unsupported`] for a scheme that this version does not know.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Error::invalid("a location must not be empty"));
        }
        let Some((scheme, rest)) = split_scheme(text) else { return Self::local(text) };
        match scheme.as_str() {
            "file" => {
                let path = match rest.strip_prefix("//") {
                    Some(after) if after.starts_with('/') => after,
                    Some(after) => match after.strip_prefix("localhost/") {
                        Some(_) => &after["localhost".len()..],
                        None => return Err(Error::invalid(format!("location {text:?}: a file has no host"))),
                    },
                    None => rest,
                };
                Self::local(path)
            }
            "memory" => {
                let (name, prefix) = rest.strip_prefix("//").unwrap_or(rest).split_once('/').unwrap_or((rest, ""));
                Ok(Self::Memory { name: name.trim_matches('/').to_string(), prefix: checked_prefix(prefix)? })
            }
            scheme => match SCHEMES.iter().find(|(known, _)| *known == scheme) {
                Some((scheme, service)) => Self::remote(*service, scheme, rest),
                None => {
                    let known: Vec<&str> = SCHEMES.iter().map(|(scheme, _)| *scheme).collect();
                    let known = known.join(", ");
                    Err(Error::unsupported(format!("location scheme {scheme:?} (known: file, {known}, memory)")))
                }
            },
        }
    }

    fn local(text: &str) -> Result<Self> {
        let absolute = std::path::absolute(text).map_err(|error| Error::invalid(format!("path {text:?}: {error}")))?;
        let path = without_parents(&absolute)?;
        let shown = path.to_str().ok_or_else(|| Error::invalid(format!("path {path:?} is not UTF-8")))?;
        if shown.trim_matches('/').is_empty() {
            return Err(Error::invalid("the root of the disk is no place for a table"));
        }
        check_path(shown.trim_matches('/'))?;
        Ok(Self::Local(path))
    }

    /// The text after the scheme. What is wrong is told without the text itself: it may have a password in it.
    fn remote(service: Service, scheme: &'static str, rest: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::invalid(format!("a location of scheme {scheme}: {what}")));
        let Some(after) = rest.strip_prefix("//") else {
            return wrong(&format!("it is written {scheme}://{}/path", service.example()));
        };
        let (authority, prefix) = after.split_once('/').unwrap_or((after, ""));
        let container = authority.split_once('@');
        if container.is_some() && service != Service::Azure {
            return wrong("a user or password in it would be shown; credentials are options of the store");
        }
        if service == Service::Http && prefix.contains(['?', '#']) {
            return wrong("a query or fragment in it is not part of a table's place");
        }
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        let fine = match (service, container) {
            (Service::Azure, Some((container, host))) => {
                !container.is_empty() && plain(container) && plain(host) && host.contains('.')
            }
            (Service::Azure, None) => false,
            (Service::Hdfs, _) if authority.is_empty() => true,
            (Service::Hdfs | Service::WebHdfs | Service::Http, _) => is_host(authority),
            _ => !authority.is_empty() && plain(authority),
        };
        if !fine {
            return wrong(&format!("{authority:?} is no {}", service.example()));
        }
        Ok(Self::Remote { service, scheme, authority: authority.to_string(), prefix: checked_prefix(prefix)? })
    }
}

impl Service {
    /// What stands between the scheme and the first slash.
    fn example(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs | Self::Oss | Self::Cos | Self::Obs => "bucket",
            Self::Azure => "container@account.dfs.core.windows.net",
            Self::Hdfs | Self::WebHdfs | Self::Http => "host:port",
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Remote { scheme, authority, prefix, .. } => write!(f, "{scheme}://{authority}/{prefix}"),
            Self::Memory { name, prefix } => write!(f, "memory://{name}/{prefix}"),
        }
    }
}

/// A host name, an address of version 4 or one of version 6 in brackets, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port),
        _ => (text, "0"),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let six = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fine = match six {
        Some(six) => six.chars().all(|c| c.is_ascii_hexdigit() || c == ':'),
        None => host.chars().all(plain),
    };
    !host.is_empty() && fine && port.parse::<u16>().is_ok()
}

fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    // `a:b/c` is a file name; a scheme is followed by a slash.
    (letters && rest.starts_with('/')).then(|| (scheme.to_ascii_lowercase(), rest))
}

fn checked_prefix(prefix: &str) -> Result<String> {
    let prefix = prefix.trim_matches('/');
    if !prefix.is_empty() {
        check_path(prefix)?;
    }
    Ok(prefix.to_string())
}

/// Resolves `..` through the file system, because a symbolic link may stand before it.
fn without_parents(path: &FsPath) -> Result<PathBuf> {
    if !path.components().any(|part| part == Component::ParentDir) {
        return Ok(path.components().collect());
    }
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if let Ok(real) = std::fs::canonicalize(&resolved) {
                    resolved = real;
                }
                resolved.pop();
            }
            other => resolved.push(other),
        }
    }
    Ok(resolved)
}
