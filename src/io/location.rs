//! The text that names a table or a warehouse, turned into a store and a root.
//!
//! `/abs/path`, `relative/path`, `file:///abs/path`, `file:/abs/path`, `s3://bucket/key` (`s3a://` too) and
//! `memory://name/path` (one store for each name and process, for tests). Paths are taken as they are written:
//! a percent sign is a percent sign. S3 settings come from options named as Paimon names them and, where those are
//! silent, from the `AWS_*` environment. Secrets print as stars.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Component, Path as FsPath, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::memory::InMemory;

use super::local::LocalStore;
use super::path::check_path;
use super::store::{Kind, TableStore};
use crate::env::Env;
use crate::error::{Error, Result};

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A parsed location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A directory of the local disk, absolute.
    Local(PathBuf),
    /// A bucket and the key prefix in it.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, without slashes around it; may be empty.
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
    /// [`Error::Invalid`] for a malformed text, [`Error::Unsupported`] for a scheme that this version cannot open.
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
            "s3" | "s3a" => {
                let (bucket, prefix) = authority(text, rest)?;
                Ok(Self::S3 { bucket, prefix })
            }
            "memory" => {
                let (name, prefix) = rest.strip_prefix("//").unwrap_or(rest).split_once('/').unwrap_or((rest, ""));
                Ok(Self::Memory { name: name.trim_matches('/').to_string(), prefix: checked_prefix(prefix)? })
            }
            other => Err(Error::unsupported(format!("location scheme {other:?} (known: file, s3, s3a, memory)"))),
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
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Memory { name, prefix } => write!(f, "memory://{name}/{prefix}"),
        }
    }
}

/// Opens the store of a location. Nothing is created and no request is made.
///
/// # Errors
/// As [`Location::parse`]; [`Error::Invalid`] for an unknown or malformed `s3.` option.
pub fn open_location(text: &str, options: &BTreeMap<String, String>, env: &Env) -> Result<TableStore> {
    let location = Location::parse(text)?;
    let shown = location.to_string();
    let (store, root, kind): (Arc<dyn ObjectStore>, String, Kind) = match location {
        Location::Local(path) => {
            let root = path.to_string_lossy().trim_matches('/').to_string();
            (Arc::new(LocalStore::new(env.clone())), root, Kind::Local)
        }
        Location::S3 { bucket, prefix } => {
            let kind = Kind::Remote { bucket: format!("s3://{bucket}") };
            (S3Options::parse(options)?.build(&bucket)?, prefix, kind)
        }
        Location::Memory { name, prefix } => (memory_store(&name), prefix, Kind::Memory),
    };
    Ok(TableStore::assemble(store, root, shown, kind, env.clone()))
}

fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    // `a:b/c` is a file name; a scheme is followed by a slash.
    (letters && rest.starts_with('/')).then(|| (scheme.to_ascii_lowercase(), rest))
}

fn authority(text: &str, rest: &str) -> Result<(String, String)> {
    let after = rest
        .strip_prefix("//")
        .ok_or_else(|| Error::invalid(format!("location {text:?}: a bucket is written s3://bucket/key")))?;
    let (bucket, prefix) = after.split_once('/').unwrap_or((after, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if bucket.is_empty() || !bucket.chars().all(plain) {
        return Err(Error::invalid(format!("location {text:?}: {bucket:?} is no bucket name")));
    }
    Ok((bucket.to_string(), checked_prefix(prefix)?))
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

fn memory_store(name: &str) -> Arc<dyn ObjectStore> {
    static STORES: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(stores.entry(name.to_string()).or_default()) as Arc<dyn ObjectStore>
}

#[derive(Debug, Default)]
struct S3Options {
    endpoint: Option<String>,
    region: Option<String>,
    access_key: Option<Secret>,
    secret_key: Option<Secret>,
    session_token: Option<Secret>,
    path_style: Option<bool>,
}

impl S3Options {
    fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let mut parsed = Self::default();
        for (key, value) in options.iter().filter(|(key, _)| key.starts_with("s3.")) {
            let value = value.trim().to_string();
            match key.as_str() {
                "s3.endpoint" => parsed.endpoint = Some(value),
                "s3.region" | "s3.endpoint.region" => parsed.region = Some(value),
                "s3.access-key" | "s3.access.key" => parsed.access_key = Some(Secret(value)),
                "s3.secret-key" | "s3.secret.key" => parsed.secret_key = Some(Secret(value)),
                "s3.session-token" | "s3.session.token" => parsed.session_token = Some(Secret(value)),
                "s3.path.style.access" | "s3.path-style-access" => {
                    parsed.path_style =
                        Some(value.parse().map_err(|_| {
                            Error::invalid(format!("option {key}: {value:?} is neither true nor false"))
                        })?);
                }
                other => return Err(Error::invalid(format!("option {other:?} is not known"))),
            }
        }
        Ok(parsed)
    }

    fn build(self, bucket: &str) -> Result<Arc<dyn ObjectStore>> {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(endpoint) = &self.endpoint {
            let endpoint = if endpoint.contains("://") { endpoint.clone() } else { format!("https://{endpoint}") };
            builder = builder.with_allow_http(endpoint.starts_with("http://"));
            builder = match (self.path_style, endpoint.split_once("://")) {
                (Some(false), Some((scheme, host))) => builder
                    .with_virtual_hosted_style_request(true)
                    .with_endpoint(format!("{scheme}://{bucket}.{}", host.trim_end_matches('/'))),
                _ => builder.with_virtual_hosted_style_request(false).with_endpoint(endpoint),
            };
        } else if let Some(path_style) = self.path_style {
            builder = builder.with_virtual_hosted_style_request(!path_style);
        }
        if let Some(region) = self.region {
            builder = builder.with_region(region);
        }
        match (&self.access_key, &self.secret_key) {
            (Some(access), Some(secret)) => {
                builder = builder.with_access_key_id(access.expose()).with_secret_access_key(secret.expose());
            }
            (None, None) => {}
            _ => return Err(Error::invalid("options s3.access-key and s3.secret-key go together")),
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose());
        }
        let store = builder.build().map_err(|error| Error::invalid(format!("S3 settings: {error}")))?;
        Ok(Arc::new(store))
    }
}
