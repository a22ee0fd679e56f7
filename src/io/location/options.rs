//! The options of one store: read under any of their names, and refused by name where nothing reads them.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::io::secret::Secret;

/// Options of one store, by what stands behind its prefix. Reading one takes it; [`StoreOptions::finish`] refuses the
/// rest.
#[derive(Debug)]
pub(super) struct StoreOptions<'a> {
    /// How the store is named in errors.
    store: &'static str,
    /// Rest of the name to (name as it was given, value). Values may be secrets.
    left: BTreeMap<String, (&'a str, Hidden<'a>)>,
    known: Vec<String>,
    secrets: Vec<Secret>,
}

/// A value of which it is not known yet whether it is a secret.
#[derive(PartialEq)]
struct Hidden<'a>(&'a str);

impl std::fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl<'a> StoreOptions<'a> {
    /// The options whose names begin with one of the prefixes, which all mean the same. Case does not count.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one option with two values under two prefixes.
    pub(super) fn of(
        store: &'static str,
        options: &'a BTreeMap<String, String>,
        prefixes: &[&'static str],
    ) -> Result<Self> {
        let mut left: BTreeMap<String, (&'a str, Hidden<'a>)> = BTreeMap::new();
        for (name, value) in options {
            let lower = name.to_ascii_lowercase();
            let Some(rest) = prefixes.iter().find_map(|prefix| lower.strip_prefix(prefix)) else { continue };
            let value = Hidden(value.trim());
            if let Some((other, _)) = left.get(rest).filter(|(_, known)| *known != value) {
                return Err(twice(other, name));
            }
            left.insert(rest.to_string(), (name.as_str(), value));
        }
        Ok(Self { store, left, known: Vec::new(), secrets: Vec::new() })
    }

    /// The value of an option that may have several names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for two values.
    pub(super) fn take(&mut self, names: &[&str]) -> Result<Option<&'a str>> {
        self.known.extend(names.first().map(|name| (*name).to_string()));
        let mut found: Option<(&str, &str)> = None;
        for name in names {
            let Some((given, Hidden(value))) = self.left.remove(*name) else { continue };
            match found {
                Some((other, known)) if known != value => return Err(twice(other, given)),
                _ => found = Some((given, value)),
            }
        }
        Ok(found.map(|(_, value)| value))
    }

    /// A value that is never shown.
    ///
    /// # Errors
    /// As [`StoreOptions::take`].
    pub(super) fn take_secret(&mut self, names: &[&str]) -> Result<Option<Secret>> {
        let secret = self.take(names)?.map(Secret::new);
        self.secrets.extend(secret.clone());
        Ok(secret)
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another text; as [`StoreOptions::take`].
    pub(super) fn take_bool(&mut self, names: &[&str]) -> Result<Option<bool>> {
        let Some(text) = self.take(names)? else { return Ok(None) };
        let name = names.first().copied().unwrap_or_default();
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(Error::invalid(format!("option {name} of {}: {text:?} is neither true nor false", self.store))),
        }
    }

    /// Passes over an option with the host of another account behind its name.
    pub(super) fn pass_over_hosts(&mut self, option: &str) {
        let beginning = format!("{option}.");
        self.left.retain(|name, _| !name.strip_prefix(&beginning).is_some_and(|host| host.contains(".core.")));
    }

    /// Passes over options that only tune another client.
    pub(super) fn pass_over(&mut self, names: &[&str]) {
        for name in names {
            self.left.remove(*name);
        }
    }

    /// Refuses what nothing read, and hands out the secrets among what was.
    ///
    /// # Errors
    /// [`Error::Unsupported`] that names the option.
    pub(super) fn finish(self) -> Result<Vec<Secret>> {
        match self.left.values().next() {
            None => Ok(self.secrets),
            Some((name, _)) => Err(Error::unsupported(format!(
                "option {name:?}: not honoured by {} (honoured: {})",
                self.store,
                self.known.join(", ")
            ))),
        }
    }
}

fn twice(one: &str, other: &str) -> Error {
    Error::invalid(format!("options {one:?} and {other:?} are one option with two values"))
}
