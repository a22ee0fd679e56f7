//! The warehouse: a directory of databases, each a directory of tables.
//!
//! ```text
//! <warehouse>/<database>.db/<table>/schema/schema-0
//! ```
//!
//! Invariants:
//! - a name is one plain path component, so that no name leads out of the warehouse;
//! - a table exists from the moment its `schema-0` does, which one creator wins;
//! - a drop deletes only below the table's root.
//!
//! Spec: `format-spec/layout.md`.

mod name;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
pub use name::{TableName, check_object_name};

use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::layout;
use crate::io::{TableStore, open_location};
use crate::schema::Schema;
use crate::table::{Table, delete_table, has_schema};

/// What a database's directory name ends with.
const DATABASE_SUFFIX: &str = ".db";
/// Keeps an empty database visible on object stores, which have no directories. Java ignores it.
const DATABASE_MARKER: &str = ".forebay-database";
/// Requests of a listing at one time.
const PARALLEL: usize = 8;

/// A warehouse directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    store: TableStore,
}

impl Catalog {
    /// Opens a warehouse by its location. Nothing is created and no request is made.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Unsupported`] as [`open_location`].
    pub fn open<K, V>(warehouse: &str, options: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let options: BTreeMap<String, String> =
            options.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        Ok(Self::of(open_location(warehouse, &options, &Env::system())?))
    }

    /// The warehouse at a store's root.
    pub fn of(store: TableStore) -> Self {
        Self { store }
    }

    /// The warehouse's files.
    pub fn store(&self) -> &TableStore {
        &self.store
    }

    /// The names of all databases, sorted.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn list_databases(&self) -> Result<Vec<String>> {
        let directories = self.store.list_dirs("").await?;
        let names = directories.iter().filter_map(|name| name.strip_suffix(DATABASE_SUFFIX));
        Ok(names.filter(|name| check_object_name("database", name).is_ok()).map(str::to_string).collect())
    }

    /// Whether a database is there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::Storage`].
    pub async fn database_exists(&self, database: &str) -> Result<bool> {
        let directory = database_directory(database)?;
        if let Some(root) = self.store.local_path() {
            let path = root.join(directory);
            return self.store.env().blocking(move || Ok(path.is_dir())).await;
        }
        let (files, directories) =
            futures::future::try_join(self.store.list(&directory), self.store.list_dirs(&directory)).await?;
        Ok(!files.is_empty() || !directories.is_empty())
    }

    /// Creates a database.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::AlreadyExists`], [`Error::Storage`].
    pub async fn create_database(&self, database: &str) -> Result<()> {
        let directory = database_directory(database)?;
        if self.database_exists(database).await? {
            return Err(Error::already_exists(format!("database {database:?}")));
        }
        if self.store.local_path().is_some() {
            return self.store.create_dir(&directory).await;
        }
        self.store.write(&format!("{directory}/{DATABASE_MARKER}"), Bytes::new()).await
    }

    /// Drops a database, with all its tables where `cascade` says so.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name or a database that has tables, [`Error::NotFound`], [`Error::Storage`].
    pub async fn drop_database(&self, database: &str, cascade: bool) -> Result<()> {
        let directory = database_directory(database)?;
        if !self.database_exists(database).await? {
            return Err(Error::not_found(format!("database {database:?}")));
        }
        let tables = self.list_tables(database).await?;
        if !cascade && !tables.is_empty() {
            return Err(Error::invalid(format!("database {database:?} has tables: {}", tables.join(", "))));
        }
        self.store.delete_dir(&directory).await
    }

    /// The names of a database's tables, sorted: its directories that have a schema.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name, [`Error::NotFound`], [`Error::Storage`].
    pub async fn list_tables(&self, database: &str) -> Result<Vec<String>> {
        let directory = database_directory(database)?;
        let directories = self.store.list_dirs(&directory).await?;
        if directories.is_empty() && !self.database_exists(database).await? {
            return Err(Error::not_found(format!("database {database:?}")));
        }
        let candidates = directories.into_iter().filter(|name| check_object_name("table", name).is_ok());
        let checks = candidates.map(|name| {
            let store = self.store.child(&format!("{directory}/{name}"));
            async move { Ok::<_, Error>(has_schema(&store?).await?.then_some(name)) }.boxed()
        });
        let found: Vec<Option<String>> =
            stream::iter(checks.collect::<Vec<_>>()).buffered(PARALLEL).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The files of a table, whether it is there or not. Its location is [`TableStore::location`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name.
    pub fn table_store(&self, table: &TableName) -> Result<TableStore> {
        self.store.child(&table.directory())
    }

    /// Where a table lies.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name.
    pub fn table_location(&self, table: &TableName) -> Result<String> {
        Ok(self.table_store(table)?.location().to_string())
    }

    /// Whether a table is there.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub async fn table_exists(&self, table: &TableName) -> Result<bool> {
        let store = self.table_store(table)?;
        match table.branch() {
            Some(branch) => has_schema(&store.child(&layout::branch(branch)?)?).await,
            None => has_schema(&store).await,
        }
    }

    /// The files of a table that must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`].
    pub async fn require_table(&self, table: &TableName) -> Result<TableStore> {
        let store = self.table_store(table)?;
        match has_schema(&store).await? {
            true => Ok(store),
            false => Err(Error::not_found(format!("table {table}"))),
        }
    }

    /// Opens a table, or the branch that is named.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of [`Table::open`].
    pub async fn table(&self, table: &TableName) -> Result<Table> {
        let found = Table::open_store(self.require_table(table).await?).await?;
        match table.branch() {
            Some(branch) => found.branch(branch).await,
            None => Ok(found),
        }
    }

    /// Creates a table. The database must be there.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database; those of [`Table::create`].
    pub async fn create_table(&self, table: &TableName, schema: Schema) -> Result<Table> {
        table.check_whole("creation (make it by Table::create_branch)")?;
        if !self.database_exists(table.database()).await? {
            return Err(Error::not_found(format!("database {:?}", table.database())));
        }
        Table::create_store(self.table_store(table)?, schema).await
    }

    /// Renames a table, also into another database. Only where directories can be renamed at once.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on object stores, [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::Storage`].
    pub async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<TableStore> {
        from.check_whole("a rename")?;
        to.check_whole("a rename")?;
        self.require_table(from).await?;
        if !self.database_exists(to.database()).await? {
            return Err(Error::not_found(format!("database {:?}", to.database())));
        }
        self.store.rename_dir(&from.directory(), &to.directory()).await?;
        self.table_store(to)
    }

    /// Drops a table with all its files.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Storage`]; part of the files may be gone then.
    pub async fn drop_table(&self, table: &TableName) -> Result<()> {
        table.check_whole("a drop (delete it by Table::delete_branch)")?;
        delete_table(&self.require_table(table).await?).await
    }
}

fn database_directory(database: &str) -> Result<String> {
    check_object_name("database", database)?;
    Ok(format!("{database}{DATABASE_SUFFIX}"))
}
