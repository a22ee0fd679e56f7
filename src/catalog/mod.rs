//! Databases, tables and views by name: in a directory of the warehouse, in a database, or at a catalog service.
//!
//! [`Catalog`] is the handle; [`CatalogBackend`] is what stands behind it, and hands out each table with its files and
//! with the [`crate::commit::Publisher`] that makes its snapshots visible.
//!
//! Spec: `format-spec/layout.md`, `format-spec/rest-catalog.md`, `format-spec/jdbc-catalog.md`.

mod backend;
mod filesystem;
#[cfg(feature = "jdbc")]
mod jdbc;
mod name;
mod options;
pub mod rest;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use backend::{CatalogBackend, Database, FoundTable};
pub use name::{TableName, check_object_name};

use self::filesystem::Filesystem;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{View, ViewChange, layout};
use crate::history::History;
use crate::io::TableStore;
use crate::schema::{Schema, SchemaChange};
use crate::table::{Table, change_schema, has_schema};

/// The database in which Paimon shows its system tables.
const SYSTEM_DATABASE: &str = "sys";

/// A warehouse. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    backend: Arc<dyn CatalogBackend>,
}

impl Catalog {
    /// Opens a warehouse: by its location; with option `metastore=jdbc`, by its location and the database at option `uri`
    /// that knows its names; or, where option `metastore` is `rest` or the location begins with `rest+http://` or
    /// `rest+https://`, at a catalog service. Nothing is created and no request is made.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Unsupported`] as [`crate::io::open_location`]; the same for an option of the service or
    /// the database, and for one that no catalog of this kind honours.
    pub fn open<K, V>(warehouse: &str, options: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let mut options: BTreeMap<String, String> =
            options.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        if let Some(uri) = rest::uri_of(warehouse) {
            if let Some(other) = options.remove("metastore").filter(|told| told != "rest") {
                return Err(Error::invalid(format!("metastore={other}, and the warehouse is a catalog service's")));
            }
            let name = options.remove("warehouse");
            return Ok(Self::behind(Arc::new(rest::RestCatalog::open(uri, name, options, &Env::system())?)));
        }
        let metastore = options.remove("metastore");
        if options.remove("warehouse").is_some_and(|told| told != warehouse) {
            return Err(Error::invalid("option warehouse names another one than the warehouse that is opened"));
        }
        match metastore.as_deref() {
            None | Some("filesystem") => {
                Ok(Self::behind(Arc::new(Filesystem::open(warehouse, options, &Env::system())?)))
            }
            Some("rest") => {
                let uri = options.remove("uri").ok_or_else(|| Error::invalid("metastore=rest needs option uri"))?;
                let warehouse = Some(warehouse.to_string());
                Ok(Self::behind(Arc::new(rest::RestCatalog::open(&uri, warehouse, options, &Env::system())?)))
            }
            Some("jdbc") => {
                let uri = options.remove("uri").ok_or_else(|| Error::invalid("metastore=jdbc needs option uri"))?;
                Self::open_jdbc(&uri, warehouse, options)
            }
            Some(other) => Err(Error::unsupported(format!("metastore={other} (known: filesystem, jdbc, rest)"))),
        }
    }

    #[cfg(feature = "jdbc")]
    fn open_jdbc(uri: &str, warehouse: &str, options: BTreeMap<String, String>) -> Result<Self> {
        Ok(Self::behind(Arc::new(jdbc::JdbcCatalog::open(uri, warehouse, options, &Env::system())?)))
    }

    #[cfg(not(feature = "jdbc"))]
    fn open_jdbc(_: &str, _: &str, _: BTreeMap<String, String>) -> Result<Self> {
        Err(Error::unsupported("metastore=jdbc: this build leaves it out; build forebay with feature \"jdbc\""))
    }

    /// The warehouse at a store's root.
    pub fn of(store: TableStore) -> Self {
        Self::behind(Arc::new(Filesystem::new(store)))
    }

    /// The warehouse that a backend knows.
    pub fn behind(backend: Arc<dyn CatalogBackend>) -> Self {
        Self { backend }
    }

    /// The names of all databases, sorted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_databases(&self) -> Result<Vec<String>> {
        self.backend.list_databases().await
    }

    /// A database.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::NotFound`], [`Error::Storage`].
    pub async fn database(&self, name: &str) -> Result<Database> {
        check_object_name("database", name)?;
        self.backend.database(name).await
    }

    /// Whether a database is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::Storage`].
    pub async fn database_exists(&self, name: &str) -> Result<bool> {
        match self.database(name).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates a database.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name and for `sys`, [`Error::AlreadyExists`], [`Error::Storage`].
    pub async fn create_database(&self, name: &str) -> Result<()> {
        self.create_database_with(name, &BTreeMap::new()).await
    }

    /// Creates a database with options.
    ///
    /// # Errors
    /// As [`Catalog::create_database`]; [`Error::Unsupported`] for option `location`.
    pub async fn create_database_with(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        check_object_name("database", name)?;
        if name == SYSTEM_DATABASE {
            return Err(Error::invalid(format!(
                "database {name} is Paimon's own, of system tables: nobody could see yours"
            )));
        }
        self.backend.create_database(name, options).await
    }

    /// Sets options of a database, and takes others away.
    ///
    /// # Errors
    /// As [`Catalog::create_database_with`]; [`Error::NotFound`].
    pub async fn alter_database(&self, name: &str, set: &BTreeMap<String, String>, remove: &[String]) -> Result<()> {
        check_object_name("database", name)?;
        self.backend.alter_database(name, set, remove).await
    }

    /// Drops a database, with all its tables and views where `cascade` says so.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name or a database that has tables or views, [`Error::NotFound`], [`Error::Storage`].
    pub async fn drop_database(&self, name: &str, cascade: bool) -> Result<()> {
        check_object_name("database", name)?;
        if !cascade {
            let (tables, views) = (self.list_tables(name).await?, self.list_views(name).await?);
            for (what, names) in [("tables", tables), ("views", views)] {
                if !names.is_empty() {
                    return Err(Error::invalid(format!("database {name:?} has {what}: {}", names.join(", "))));
                }
            }
        }
        self.backend.drop_database(name).await
    }

    /// The names of a database's tables, sorted: its directories that have a schema.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::NotFound`], [`Error::Storage`].
    pub async fn list_tables(&self, database: &str) -> Result<Vec<String>> {
        check_object_name("database", database)?;
        self.backend.list_tables(database).await
    }

    /// A table's files and the door of its commits, whether this version can read its rows or not.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn find_table(&self, table: &TableName) -> Result<FoundTable> {
        self.backend.find_table(table).await
    }

    /// The files of a table that must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn require_table(&self, table: &TableName) -> Result<TableStore> {
        Ok(self.find_table(table).await?.store)
    }

    /// Whether a table, or the branch that is named, is there.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn table_exists(&self, table: &TableName) -> Result<bool> {
        let store = match self.find_table(table).await {
            Err(Error::NotFound(_)) => return Ok(false),
            found => found?.store,
        };
        match table.branch() {
            Some(branch) => has_schema(&store.child(&layout::branch(branch)?)?).await,
            None => Ok(true),
        }
    }

    /// Opens a table, or the branch that is named.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of [`Table::open`].
    pub async fn table(&self, table: &TableName) -> Result<Table> {
        let found = self.find_table(table).await?;
        let opened = Table::open_store(found.store).await?.published_by(found.publisher);
        match table.branch() {
            Some(branch) => opened.branch(branch).await,
            None => Ok(opened),
        }
    }

    /// Creates a table. The database must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database; those of [`Table::create`].
    pub async fn create_table(&self, table: &TableName, schema: Schema) -> Result<Table> {
        table.check_whole("creation (make it by Table::create_branch)")?;
        schema.check_names(None)?;
        self.backend.create_table(table, &schema).await?;
        self.table(table).await
    }

    /// Changes a table's schema, or that of the branch that is named, whether this version can read its rows or not.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of [`Table::alter`].
    pub async fn alter_table(&self, table: &TableName, changes: &[SchemaChange]) -> Result<()> {
        let found = self.find_table(table).await?;
        let history = History::new(found.store);
        let history = match table.branch() {
            Some(branch) => history.on_branch(branch)?,
            None => history,
        };
        if found.publisher.change_schema(&history, changes).await? {
            return Ok(());
        }
        change_schema(&history, changes).await.map(drop)
    }

    /// Renames a table, also into another database. Only where directories can be renamed at once.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on object stores, [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::Storage`].
    pub async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<TableStore> {
        from.check_whole("a rename")?;
        to.check_whole("a rename")?;
        self.backend.rename_table(from, to).await?;
        self.require_table(to).await
    }

    /// Drops a table with all files of its directory. Those outside of it (`data-file.external-paths`) stay.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`]; part of the files may be gone then.
    pub async fn drop_table(&self, table: &TableName) -> Result<()> {
        table.check_whole("a drop (delete it by Table::delete_branch)")?;
        self.backend.drop_table(table).await
    }

    /// The names of a database's views, sorted.
    ///
    /// # Errors
    /// As [`Catalog::list_tables`].
    pub async fn list_views(&self, database: &str) -> Result<Vec<String>> {
        check_object_name("database", database)?;
        self.backend.list_views(database).await
    }

    /// A view.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`], [`Error::Storage`].
    pub async fn view(&self, name: &TableName) -> Result<View> {
        name.check_whole("a view")?;
        self.backend.view(name).await
    }

    /// Creates a view. No table may have its name.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database, [`Error::AlreadyExists`], [`Error::Storage`].
    pub async fn create_view(&self, name: &TableName, view: &View) -> Result<()> {
        name.check_whole("a view")?;
        self.backend.create_view(name, view).await
    }

    /// Changes a view.
    ///
    /// # Errors
    /// As [`Catalog::view`] and [`View::changed`].
    pub async fn alter_view(&self, name: &TableName, changes: &[ViewChange]) -> Result<()> {
        name.check_whole("a view")?;
        self.backend.alter_view(name, changes).await
    }

    /// Drops a view.
    ///
    /// # Errors
    /// As [`Catalog::view`].
    pub async fn drop_view(&self, name: &TableName) -> Result<()> {
        name.check_whole("a view")?;
        self.backend.drop_view(name).await
    }
}
