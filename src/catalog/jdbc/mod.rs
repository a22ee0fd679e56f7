//! A catalog whose names stand in PostgreSQL, MySQL or SQLite: Paimon's JDBC catalog.
//!
//! ```text
//! names, options of databases, copies of table options, views, locks ── rows of the database
//! schemas, snapshots, everything else ── <warehouse>/<database>.db/<table>, as in a warehouse without a catalog
//! ```
//!
//! Invariants:
//! - a table exists from the moment its row does; its files are made before and deleted after;
//! - the lock is beside create-if-absent, never in its place.
//!
//! Spec: `format-spec/jdbc-catalog.md`.

mod address;
mod connect;
mod lock;
mod publisher;
mod rows;
mod settings;
mod sql;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use self::lock::{Held, Locks};
use self::publisher::{JdbcPublisher, properties_of};
use self::rows::Rows;
use self::settings::Settings;
use self::sql::{Database as SqlDatabase, Failure};
use super::backend::{CatalogBackend, Database, FoundTable};
use super::filesystem::DATABASE_SUFFIX;
use super::options::TableDefaults;
use super::{TableName, check_object_name};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{View, ViewChange};
use crate::io::{TableStore, open_location};
use crate::schema::Schema;
use crate::table::{Table, delete_table};

/// Tries to put a table's row there while the database's answers are lost.
const TRIES: u32 = 4;

/// A warehouse whose names stand in a database.
#[derive(Debug)]
pub(super) struct JdbcCatalog {
    rows: Arc<Rows>,
    locks: Option<Arc<Locks>>,
    store: TableStore,
    sync_properties: bool,
    table_defaults: TableDefaults,
}

impl JdbcCatalog {
    /// No request is made.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad address or option; [`Error::Unsupported`] for databases and options that this version
    /// does not have; as [`open_location`].
    pub(super) fn open(uri: &str, warehouse: &str, options: BTreeMap<String, String>, env: &Env) -> Result<Self> {
        let settings = Settings::of(uri, warehouse, options)?;
        let database = Arc::new(SqlDatabase::open(&settings, env)?);
        let lock_key_length = settings.lock.as_ref().map(|lock| lock.key_length);
        let rows = Arc::new(Rows::new(database, settings.catalog_key.clone(), lock_key_length));
        let locks = settings.lock.map(|lock| Arc::new(Locks::new(Arc::clone(&rows), settings.catalog_key, lock)));
        Ok(Self {
            rows,
            locks,
            store: open_location(warehouse, &settings.store, env)?,
            sync_properties: settings.sync_properties,
            table_defaults: settings.table_defaults,
        })
    }

    fn table_store(&self, table: &TableName) -> Result<TableStore> {
        self.store.child(&table.directory())
    }

    /// The lock of a table or view, where the catalog takes locks.
    async fn lock(&self, name: &TableName) -> Result<Option<Held>> {
        match &self.locks {
            Some(locks) => locks.take(name.database(), name.table()).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create_locked(&self, name: &TableName, schema: Schema) -> Result<()> {
        self.rows.require_free(name).await?;
        let store = self.table_store(name)?;
        let created = match Table::create_store(store.clone(), schema).await {
            Err(Error::AlreadyExists(_)) => {
                return Err(Error::already_exists(format!(
                    "files of a table at {}, which the catalog does not know: move them away, or let an engine repair it",
                    store.location()
                )));
            }
            created => created?,
        };
        self.register(name).await?;
        if !self.sync_properties {
            return Ok(());
        }
        let copied = self.rows.set_table_properties(name, &properties_of(created.schema())).await;
        copied.map_err(|error| {
            Error::storage(format!("table {name} is there; the copy of its options in the catalog is not ({error})"))
        })
    }

    /// Puts the row of a table there whose files were just made.
    async fn register(&self, name: &TableName) -> Result<()> {
        let mut round = 0;
        loop {
            match self.rows.insert_table(name).await {
                Ok(()) => return Ok(()),
                Err(Failure::Doubt(_)) if round + 1 < TRIES => {}
                Err(Failure::Doubt(words)) => {
                    let words = format!("the files of table {name} are there, and its row may be: {words}");
                    return Err(Error::storage(words));
                }
                Err(failure) => {
                    // Nobody was told of the table.
                    delete_table(&self.table_store(name)?).await?;
                    return Err(failure.into());
                }
            }
            let env = self.store.env();
            env.sleep(std::time::Duration::from_millis(100) * 4_u32.pow(round)).await;
            round += 1;
        }
    }

    async fn rename_locked(&self, from: &TableName, to: &TableName) -> Result<()> {
        if !self.rows.has_table(from).await? {
            return Err(Error::not_found(format!("table {from}")));
        }
        self.rows.require_database(to.database()).await?;
        self.rows.require_free(to).await?;
        self.rows.rename_table(from, to).await?;
        let Err(error) = self.move_files(from, to).await else { return Ok(()) };
        match self.rows.rename_table(to, from).await {
            Ok(()) => Err(error),
            Err(other) => {
                let words =
                    format!("table {to} has its name, and its files are still those of {from}: {error}; {other}");
                Err(Error::storage(words))
            }
        }
    }

    async fn move_files(&self, from: &TableName, to: &TableName) -> Result<()> {
        self.store.create_dir(&directory_of(to.database())).await?;
        self.store.rename_dir(&from.directory(), &to.directory()).await
    }

    async fn require_view(&self, name: &TableName) -> Result<View> {
        match self.rows.view(name).await? {
            Some(json) => View::decode(json.as_bytes(), &format!("view {name}")),
            None => Err(Error::not_found(format!("view {name}"))),
        }
    }

    async fn alter_view_locked(&self, name: &TableName, changes: &[ViewChange]) -> Result<()> {
        let changed = self.require_view(name).await?.changed(changes)?;
        self.rows.update_view(name, &json_of(&changed)?).await
    }
}

/// Gives a lock back, if there is one, whatever was done under it.
async fn released<T>(held: Option<Held>, done: Result<T>) -> Result<T> {
    if let Some(held) = held {
        held.release().await;
    }
    done
}

#[async_trait]
impl CatalogBackend for JdbcCatalog {
    async fn list_databases(&self) -> Result<Vec<String>> {
        let mut names = self.rows.databases().await?;
        names.retain(|name| check_object_name("database", name).is_ok());
        Ok(names)
    }

    async fn database(&self, name: &str) -> Result<Database> {
        self.rows.require_database(name).await?;
        let location = self.store.child(&directory_of(name))?.location().to_string();
        Ok(Database { name: name.to_string(), location, options: self.rows.properties(name).await? })
    }

    async fn create_database(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        let location = self.store.child(&directory_of(name))?.location().to_string();
        self.rows.create_database(name, &location, options).await
    }

    async fn alter_database(&self, name: &str, set: &BTreeMap<String, String>, remove: &[String]) -> Result<()> {
        self.rows.alter_database(name, set, remove).await
    }

    async fn drop_database(&self, name: &str) -> Result<()> {
        let tables = self.list_tables(name).await?;
        self.store.require_writable()?;
        self.rows.drop_database(name).await?;
        for table in tables {
            delete_table(&self.table_store(&TableName::new(name, table)?)?).await?;
        }
        if let Some(directory) = self.store.local_path().map(|_| directory_of(name)) {
            self.store.remove_empty_dir(&directory).await?;
        }
        Ok(())
    }

    async fn list_tables(&self, database: &str) -> Result<Vec<String>> {
        let mut names = self.rows.tables(database).await?;
        names.retain(|name| check_object_name("table", name).is_ok());
        Ok(names)
    }

    async fn find_table(&self, table: &TableName) -> Result<FoundTable> {
        if !self.rows.has_table(table).await? {
            return Err(Error::not_found(format!("table {table}")));
        }
        let whole = TableName::new(table.database(), table.table())?;
        let (rows, locks) = (Arc::clone(&self.rows), self.locks.clone());
        let publisher = Arc::new(JdbcPublisher::new(rows, locks, whole, self.sync_properties));
        Ok(FoundTable { store: self.table_store(table)?, publisher })
    }

    async fn create_table(&self, table: &TableName, schema: &Schema) -> Result<()> {
        self.rows.check_name("table", table.table())?;
        self.rows.require_database(table.database()).await?;
        let schema = self.table_defaults.given_to(schema);
        if self.sync_properties {
            self.rows.check_table_properties(&properties_of(&schema))?;
        }
        let held = self.lock(table).await?;
        let created = self.create_locked(table, schema).await;
        released(held, created).await
    }

    async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<()> {
        self.rows.check_name("table", to.table())?;
        if self.store.local_path().is_none() {
            return Err(Error::unsupported(format!("renaming a table of {}", self.store.location())));
        }
        if from == to {
            return Err(Error::already_exists(format!("table {to}")));
        }
        // Both in one order, so that two renames do not wait for each other.
        let (first, second) = if from < to { (from, to) } else { (to, from) };
        let outer = self.lock(first).await?;
        let renamed = match self.lock(second).await {
            Ok(inner) => released(inner, self.rename_locked(from, to).await).await,
            Err(error) => Err(error),
        };
        released(outer, renamed).await
    }

    async fn drop_table(&self, table: &TableName) -> Result<()> {
        self.store.require_writable()?;
        self.rows.drop_table(table).await?;
        delete_table(&self.table_store(table)?).await
    }

    async fn list_views(&self, database: &str) -> Result<Vec<String>> {
        let mut names = self.rows.views(database).await?;
        names.retain(|name| check_object_name("view", name).is_ok());
        Ok(names)
    }

    async fn view(&self, name: &TableName) -> Result<View> {
        self.require_view(name).await
    }

    async fn create_view(&self, name: &TableName, view: &View) -> Result<()> {
        self.rows.check_name("view", name.table())?;
        self.rows.require_database(name.database()).await?;
        let json = json_of(view)?;
        let held = self.lock(name).await?;
        let created = match self.rows.require_free(name).await {
            Ok(()) => self.rows.insert_view(name, &json).await,
            Err(error) => Err(error),
        };
        released(held, created).await
    }

    async fn alter_view(&self, name: &TableName, changes: &[ViewChange]) -> Result<()> {
        let held = self.lock(name).await?;
        let altered = self.alter_view_locked(name, changes).await;
        released(held, altered).await
    }

    async fn drop_view(&self, name: &TableName) -> Result<()> {
        let held = self.lock(name).await?;
        let dropped = self.rows.drop_view(name).await;
        released(held, dropped).await
    }
}

fn directory_of(database: &str) -> String {
    format!("{database}{DATABASE_SUFFIX}")
}

fn json_of(view: &View) -> Result<String> {
    String::from_utf8(view.encode()?.to_vec()).map_err(|error| Error::bug(format!("JSON: {error}")))
}
