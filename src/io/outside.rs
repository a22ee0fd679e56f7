//! Files outside of a table's root: where the caller allows them, and the stores they lie in.
//!
//! A manifest is somebody else's text. What it names outside of the table is looked at only below a location that whoever
//! opened the table named (`forebay.allow-external`, `FOREBAY_ALLOW_EXTERNAL`); whole segments count, and a path with
//! `..` is none. What may be read there may be written and expired there too: it belongs to the table.
//!
//! Spec: `format-spec/stores.md`, locations outside of a table.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;

use super::cache::LOCAL_CACHE;
use super::location::{Location, Service, open_parsed};
use super::path::{check_path, join};
use super::store::TableStore;
use crate::env::Env;
use crate::error::{Error, Result};

/// The option that allows locations, separated by commas, and the variable that stands in for it.
pub const ALLOW_EXTERNAL: &str = "forebay.allow-external";
const VARIABLE: &str = "FOREBAY_ALLOW_EXTERNAL";

/// Whether an option says what this process may reach and keep, whatever store is opened.
pub fn is_own_option(name: &str) -> bool {
    name == ALLOW_EXTERNAL || name.starts_with(LOCAL_CACHE)
}

/// What a path outside of the table begins like, behind its scheme. No path below a table has an empty segment.
const MARK: &str = "://";

/// The locations that are allowed beside a table's own.
#[derive(Default)]
pub(super) struct Outside {
    allowed: Vec<Location>,
    /// Settings of the stores there.
    options: BTreeMap<String, String>,
    /// The stores that were opened, by what their addresses begin with.
    opened: Mutex<HashMap<String, TableStore>>,
}

impl Outside {
    /// What the options allow, or where they are silent the environment.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub(super) fn of(options: &BTreeMap<String, String>) -> Result<Self> {
        let told = options.get(ALLOW_EXTERNAL).cloned().or_else(|| std::env::var(VARIABLE).ok()).unwrap_or_default();
        Self::allowing(told.split(','), options)
    }

    /// What a list allows.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub(super) fn allowing<'a>(
        locations: impl IntoIterator<Item = &'a str>,
        options: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let told = locations.into_iter().map(str::trim).filter(|text| !text.is_empty());
        let allowed = told.map(Location::parse).collect::<Result<_>>()?;
        Ok(Self { allowed, options: options.clone(), opened: Mutex::default() })
    }

    /// Whether a path is one of a file outside.
    pub(super) fn names(path: &str) -> bool {
        path.contains(MARK)
    }

    /// The location of a path outside, if it is allowed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path with relative segments, [`Error::Unsupported`] for one that is not allowed.
    pub(super) fn check(&self, path: &str) -> Result<Location> {
        let rest = path.split_once(MARK).map_or("", |(_, rest)| rest);
        check_path(rest.split_once('/').map_or("", |(_, rest)| rest))?;
        if path.trim() != path {
            return Err(Error::invalid(format!("path {path:?} begins or ends with a space")));
        }
        let location = Location::parse(path)?;
        if self.allowed.iter().any(|allowed| holds(allowed, &location)) {
            return Ok(location);
        }
        Err(Error::unsupported(format!(
            "{location} lies outside of the table, where no file is read or written unless its location is allowed: \
             option {ALLOW_EXTERNAL}, forebay --allow-external LOCATION, or {VARIABLE}"
        )))
    }

    /// The store of a path outside, and the path in it. Files in the table's own store are reached through `own`.
    ///
    /// # Errors
    /// As [`Outside::check`]; those of opening the store.
    pub(super) fn place(&self, path: &str, own: &TableStore) -> Result<(TableStore, Path)> {
        let location = self.check(path)?;
        let (address, inside) = parts(&location);
        let inside = join("", &inside)?;
        if own.parsed_location().is_some_and(|own| parts(&own).0 == address) {
            return Ok((own.at_top(&address), inside));
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match opened.get(&address) {
            Some(store) => store.clone(),
            None => {
                let store = self.open(&location, &address, own.env())?;
                opened.insert(address, store.clone());
                store
            }
        };
        Ok((store.with_env(own.env().clone()), inside))
    }

    fn open(&self, location: &Location, address: &str, env: &Env) -> Result<TableStore> {
        let top = match location.clone() {
            Location::Local(_) => return Ok(TableStore::local_disk(env).at_top(address)),
            Location::Remote { service, scheme, authority, .. } => {
                Location::Remote { service, scheme, authority, prefix: String::new() }
            }
            Location::Memory { name, .. } => Location::Memory { name, prefix: String::new() },
        };
        open_parsed(top, &self.options, &Arc::default(), env)
    }
}

/// The address of a store, the same for all spellings of one, and the path in it.
fn parts(location: &Location) -> (String, String) {
    match location {
        Location::Local(path) => ("file:///".to_string(), path.to_string_lossy().trim_matches('/').to_string()),
        Location::Memory { name, prefix } => (format!("memory://{name}/"), prefix.clone()),
        Location::Remote { service, scheme, authority, prefix } => {
            let scheme = match service {
                // What these schemes differ in the client does not see.
                Service::S3 => "s3",
                Service::Azure => "abfss",
                _ => scheme,
            };
            (format!("{scheme}://{authority}/"), prefix.clone())
        }
    }
}

/// Whether a location lies below another: in the same store, and below all of its segments.
fn holds(allowed: &Location, location: &Location) -> bool {
    let ((store, above), (other, path)) = (parts(allowed), parts(location));
    let below = match above.is_empty() {
        true => !path.is_empty(),
        false => path.strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with('/')),
    };
    store == other && below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allowed: &str, path: &str) -> bool {
        Outside::allowing(allowed.split(','), &BTreeMap::new()).unwrap().check(path).is_ok()
    }

    #[test]
    fn what_lies_below_an_allowed_location_is_allowed_segment_by_segment() {
        for (allowed, path) in [
            ("file:///data/x", "file:///data/x/bucket-0/f"),
            ("/data/x/", "file:///data/x/f"),
            ("s3://b/x", "s3://b/x/f"),
            ("s3a://b/x", "s3://b/x/f"),
            ("s3://b", "s3://b/x/f"),
            ("/elsewhere,s3://b/x", "s3://b/x/f"),
            ("/data/../data/x", "file:///data/x/f"),
            ("memory://m/x", "memory://m/x/f"),
        ] {
            assert!(allows(allowed, path), "{allowed} {path}");
        }
        for (allowed, path) in [
            ("", "file:///data/x/f"),
            ("/data/x", "file:///data/xy/f"),
            ("/data/x", "file:///data/x"),
            ("/data/x", "file:///data/x/../y/f"),
            ("/data/x", "file:///data/x/./f"),
            ("/data/x", "file:///data/x//f"),
            ("/data/x", "file:///data/x/f "),
            ("/data/x", "file:////data/x/f"),
            ("s3://b/x", "s3://c/x/f"),
            ("s3://b/x", "s3://b/xy/f"),
            ("s3://b/x", "gs://b/x/f"),
            ("http://h/x", "https://h/x/f"),
            ("/data/x", "s3://b/data/x/f"),
            ("memory://m/x", "memory://n/x/f"),
            ("/data/x", "nonsense://data/x/f"),
        ] {
            assert!(!allows(allowed, path), "{allowed} {path}");
        }
    }

    #[test]
    fn a_refusal_names_the_path_and_the_way_to_allow_it() {
        let error = Outside::default().check("file:///data/x/f").unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)));
        let text = error.to_string();
        for part in ["/data/x/f", "--allow-external", "forebay.allow-external", "FOREBAY_ALLOW_EXTERNAL"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
