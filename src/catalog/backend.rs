//! What stands behind a [`super::Catalog`]: a directory of the warehouse, the same with its names in a database, or a
//! service.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::TableName;
use crate::commit::Publisher;
use crate::error::Result;
use crate::format::{View, ViewChange};
use crate::io::TableStore;
use crate::schema::Schema;

/// A database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Where its tables lie.
    pub location: String,
    /// Its options; `comment` is one of them.
    pub options: BTreeMap<String, String>,
}

/// A table that a catalog found: its files, and how its snapshots become visible.
#[derive(Debug, Clone)]
pub struct FoundTable {
    /// The files.
    pub store: TableStore,
    /// The door of its commits.
    pub publisher: Arc<dyn Publisher>,
}

/// Databases, tables and views by name.
///
/// Errors are the same for all: [`crate::Error::NotFound`] and [`crate::Error::AlreadyExists`] that name the thing,
/// [`crate::Error::Invalid`] for a bad name, [`crate::Error::Unsupported`] for what the backend cannot do,
/// [`crate::Error::Storage`]. Names are checked by whoever calls.
#[async_trait]
pub trait CatalogBackend: fmt::Debug + Send + Sync {
    /// The names of all databases, sorted.
    async fn list_databases(&self) -> Result<Vec<String>>;

    /// A database.
    async fn database(&self, name: &str) -> Result<Database>;

    /// Creates a database.
    async fn create_database(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()>;

    /// Sets options of a database, and takes others away.
    async fn alter_database(&self, name: &str, set: &BTreeMap<String, String>, remove: &[String]) -> Result<()>;

    /// Drops a database with all that is in it.
    async fn drop_database(&self, name: &str) -> Result<()>;

    /// The names of a database's tables, sorted.
    async fn list_tables(&self, database: &str) -> Result<Vec<String>>;

    /// A table that is there.
    async fn find_table(&self, table: &TableName) -> Result<FoundTable>;

    /// Creates a table.
    async fn create_table(&self, table: &TableName, schema: &Schema) -> Result<()>;

    /// Renames a table, also into another database.
    async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<()>;

    /// Drops a table with all its files.
    async fn drop_table(&self, table: &TableName) -> Result<()>;

    /// The names of a database's views, sorted.
    async fn list_views(&self, database: &str) -> Result<Vec<String>>;

    /// A view.
    async fn view(&self, name: &TableName) -> Result<View>;

    /// Creates a view.
    async fn create_view(&self, name: &TableName, view: &View) -> Result<()>;

    /// Changes a view.
    async fn alter_view(&self, name: &TableName, changes: &[ViewChange]) -> Result<()>;

    /// Drops a view.
    async fn drop_view(&self, name: &TableName) -> Result<()>;
}
