//! What all catalogs read of their options alike. Pure.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::io::{is_own_option, is_store_option};
use crate::schema::Schema;

/// Options of a catalog, by their names.
pub(super) type Options = BTreeMap<String, String>;

/// What the names of options of new tables begin with.
const TABLE_DEFAULT: &str = "table-default.";
/// Options that change nothing here: they tune Java's caches, and what its engines list.
const HARMLESS: [&str; 7] = [
    "case-sensitive",
    "allow-upper-case",
    "cache-enabled",
    "io-cache.enabled",
    "format-table.enabled",
    "catalog-options-table.enabled",
    "file-io.allow-cache",
];
/// Beginnings of such options.
const HARMLESS_BEGINNINGS: [&str; 2] = ["cache.", "client."];

/// Options that a catalog gives to new tables which do not say otherwise (`table-default.KEY`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TableDefaults(Options);

impl TableDefaults {
    /// Takes them out of the options of a catalog.
    pub(super) fn take(options: &mut Options) -> Self {
        let (defaults, others): (Options, Options) =
            std::mem::take(options).into_iter().partition(|(key, _)| Self::names(key));
        *options = others;
        let key = |key: String| key.strip_prefix(TABLE_DEFAULT).map(str::to_string).unwrap_or_default();
        Self(defaults.into_iter().map(|(name, value)| (key(name), value)).collect())
    }

    /// Whether an option of a catalog is one of them.
    pub(super) fn names(option: &str) -> bool {
        option.starts_with(TABLE_DEFAULT)
    }

    /// The schema of a new table, with the options that it does not have.
    pub(super) fn given_to(&self, schema: &Schema) -> Schema {
        let mut schema = schema.clone();
        for (key, value) in &self.0 {
            schema.options.entry(key.clone()).or_insert_with(|| value.clone());
        }
        schema
    }
}

/// Takes away what changes nothing here. What is left are options of stores, and what this process may reach and keep.
///
/// # Errors
/// [`Error::Unsupported`] that names another option of a catalog of this kind.
pub(super) fn only_stores(options: &mut Options, kind: &str) -> Result<()> {
    match options.remove("table.type").as_deref() {
        None | Some("managed" | "MANAGED") => {}
        Some(other) => return Err(Error::unsupported(format!("option table.type={other} of a {kind} catalog"))),
    }
    if options.remove("resolving-file-io.enabled").is_some_and(|value| !value.trim().eq_ignore_ascii_case("false")) {
        return Err(Error::unsupported(format!("option resolving-file-io.enabled of a {kind} catalog")));
    }
    let harmless = |key: &str| HARMLESS.contains(&key) || HARMLESS_BEGINNINGS.iter().any(|it| key.starts_with(it));
    options.retain(|key, _| !harmless(key));
    match options.keys().find(|key| !is_store_option(key) && !is_own_option(key)) {
        Some(key) => Err(Error::unsupported(format!("option {key} of a {kind} catalog"))),
        None => Ok(()),
    }
}
