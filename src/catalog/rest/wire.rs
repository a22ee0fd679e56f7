//! What a catalog service and its clients say to each other, as JSON. Spec: `format-spec/rest-catalog.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::TableName;
use crate::error::{Error, Result};

/// An error's body; the status is in it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorAnswer {
    /// What is missing or there already: `DATABASE`, `TABLE`, `SNAPSHOT`, ..
    pub resource_type: Option<String>,
    /// Its name.
    pub resource_name: Option<String>,
    /// For people.
    #[serde(default)]
    pub message: Option<String>,
    /// The status.
    pub code: Option<u16>,
}

/// What a client is told first: options that it takes where it has none, and others that it takes whatever it has.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ConfigAnswer {
    /// The weaker ones.
    #[serde(default)]
    pub defaults: BTreeMap<String, Option<String>>,
    /// The stronger ones.
    #[serde(default)]
    pub overrides: BTreeMap<String, Option<String>>,
}

/// The name of a table or a view; a branch stands behind it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identifier {
    /// The database.
    pub database: String,
    /// The object, with its branch.
    pub object: String,
}

impl Identifier {
    /// Of a table.
    pub fn of(name: &TableName) -> Self {
        Self { database: name.database().to_string(), object: object_of(name) }
    }

    /// The table that is named.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name.
    pub fn table(&self) -> Result<TableName> {
        table_name(&self.database, &self.object)
    }
}

/// The last part of a table's name, with its branch.
pub fn object_of(name: &TableName) -> String {
    match name.branch() {
        Some(branch) => format!("{}$branch_{branch}", name.table()),
        None => name.table().to_string(),
    }
}

/// The table that two parts name.
///
/// # Errors
/// [`Error::Invalid`] for a bad name.
pub fn table_name(database: &str, object: &str) -> Result<TableName> {
    match object.split_once("$branch_") {
        Some((table, branch)) => TableName::new(database, table)?.with_branch(branch),
        None => TableName::new(database, object),
    }
}

/// A new database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateDatabase {
    /// Its name.
    pub name: String,
    /// Its options.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// Changes of a database's options.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AlterDatabase {
    /// Those that go.
    #[serde(default)]
    pub removals: Vec<String>,
    /// Those that are set.
    #[serde(default)]
    pub updates: BTreeMap<String, String>,
}

/// A database.
#[derive(Debug, Clone, Deserialize)]
pub struct DatabaseAnswer {
    /// Its name.
    pub name: String,
    /// Where its tables lie.
    #[serde(default)]
    pub location: Option<String>,
    /// Its options.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// A new table, or a new view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateObject {
    /// Its name.
    pub identifier: Identifier,
    /// Its schema.
    pub schema: Value,
}

/// A table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableAnswer {
    /// Tells it from one that had its name before.
    #[serde(default)]
    pub id: Option<String>,
    /// Where it lies.
    pub path: String,
    /// Whether the service only knows where it is.
    #[serde(default)]
    pub is_external: bool,
}

/// Another name for a table or a view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rename {
    /// The old name.
    pub source: Identifier,
    /// The new one.
    pub destination: Identifier,
}

/// Changes, each with its `action`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changes<T> {
    /// In order.
    pub changes: Vec<T>,
}

/// An older schema that is to be the newest again.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackSchema {
    /// Its number.
    pub schema_id: i64,
}

/// A commit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitTable {
    /// The table as the client knew it.
    #[serde(default)]
    pub table_id: Option<String>,
    /// The snapshot that this one was built on, by its uuid; clients of 1.x do not tell.
    #[serde(default)]
    pub base_snapshot_uuid: Option<String>,
    /// The snapshot.
    pub snapshot: Value,
    /// What the commit changes in each partition, for services that keep count.
    #[serde(default)]
    pub statistics: Value,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CommitAnswer {
    /// `false`: somebody else's snapshot has the number, or the base is not the newest.
    pub success: bool,
}

/// A page of names under the key that the endpoint gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// Where the next page begins; none after the last.
    #[serde(default)]
    pub next_page_token: Option<String>,
    /// The names, and whatever else the service says.
    #[serde(flatten)]
    pub lists: BTreeMap<String, Value>,
}

impl Page {
    /// The names under a key.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for anything but texts.
    pub fn names(&self, key: &str) -> Result<Vec<String>> {
        match self.lists.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(list) => serde_json::from_value(list.clone())
                .map_err(|error| Error::corrupt("the catalog's answer", format!("{key}: {error}"))),
        }
    }
}
