//! The warehouse as a directory of databases, each a directory of tables.
//!
//! ```text
//! <warehouse>/<database>.db/<table>/schema/schema-0
//! <warehouse>/<database>.db/.forebay/database.json         options of the database
//! <warehouse>/<database>.db/.forebay/views/<view>.json     its views
//! ```
//!
//! Invariants:
//! - a name is one plain path component, so that no name leads out of the warehouse;
//! - a table exists from the moment its `schema-0` does, which one creator wins;
//! - a drop deletes only below the table's root.
//!
//! Spec: `format-spec/layout.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;

use super::backend::{CatalogBackend, Database, FoundTable};
use super::options::{Options, TableDefaults, only_stores};
use super::{TableName, check_object_name};
use crate::commit::PutIfAbsent;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{View, ViewChange};
use crate::io::{Created, TableStore, open_location};
use crate::schema::Schema;
use crate::table::{Table, delete_table, has_schema};

/// What a database's directory name ends with.
pub(super) const DATABASE_SUFFIX: &str = ".db";
/// Keeps an empty database visible on object stores, which have no directories, and holds its maker's id. Java ignores it.
const DATABASE_MARKER: &str = ".forebay-database";
/// What other engines do not look into: no table's name begins with a dot.
const OWN_DIRECTORY: &str = ".forebay";
/// Requests of a listing at one time.
const PARALLEL: usize = 8;

/// A warehouse directory.
#[derive(Debug)]
pub(super) struct Filesystem {
    store: TableStore,
    defaults: TableDefaults,
    /// Held while a file of this catalogue's own is changed, of which the last of two processes wins, and while a name is
    /// given that neither a table, a view nor a database may have.
    changing: Mutex<()>,
}

impl Filesystem {
    pub(super) fn new(store: TableStore) -> Self {
        Self { store, defaults: TableDefaults::default(), changing: Mutex::new(()) }
    }

    /// No request is made.
    ///
    /// # Errors
    /// As [`open_location`]; [`Error::Unsupported`] for an option that such a catalog does not honour.
    pub(super) fn open(warehouse: &str, mut options: Options, env: &Env) -> Result<Self> {
        let defaults = TableDefaults::take(&mut options);
        refuse_locks(&mut options)?;
        only_stores(&mut options, "filesystem")?;
        Ok(Self { defaults, ..Self::new(open_location(warehouse, &options, env)?) })
    }

    async fn exists(&self, database: &str) -> Result<bool> {
        let directory = directory_of(database);
        if let Some(root) = self.store.local_path() {
            let path = root.join(directory);
            return self.store.env().blocking(move || Ok(path.is_dir())).await;
        }
        let (files, directories) =
            futures::future::try_join(self.store.list(&directory), self.store.list_dirs(&directory)).await?;
        Ok(!files.is_empty() || !directories.is_empty())
    }

    async fn require(&self, database: &str) -> Result<()> {
        match self.exists(database).await? {
            true => Ok(()),
            false => Err(Error::not_found(format!("database {database:?}"))),
        }
    }

    /// A table may not have the name of a view.
    async fn check_no_view(&self, table: &TableName) -> Result<()> {
        match self.store.exists(&view_path(table)).await? {
            true => Err(Error::already_exists(format!("view {table}"))),
            false => Ok(()),
        }
    }

    async fn require_view(&self, name: &TableName) -> Result<(String, View)> {
        let path = view_path(name);
        match self.store.try_read(&path).await? {
            Some(bytes) => Ok((path.clone(), View::decode(&bytes, &path)?)),
            None => Err(Error::not_found(format!("view {name}"))),
        }
    }

    fn table_store(&self, table: &TableName) -> Result<TableStore> {
        self.store.child(&table.directory())
    }
}

#[async_trait]
impl CatalogBackend for Filesystem {
    async fn list_databases(&self) -> Result<Vec<String>> {
        let directories = self.store.list_dirs("").await?;
        let names = directories.iter().filter_map(|name| name.strip_suffix(DATABASE_SUFFIX));
        Ok(names.filter(|name| check_object_name("database", name).is_ok()).map(str::to_string).collect())
    }

    async fn database(&self, name: &str) -> Result<Database> {
        self.require(name).await?;
        let path = database_path(name);
        let options = match self.store.try_read(&path).await? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::corrupt(&path, format!("options of a database: {error}")))?,
            None => BTreeMap::new(),
        };
        let location = self.store.child(&directory_of(name))?.location().to_string();
        Ok(Database { name: name.to_string(), location, options })
    }

    async fn create_database(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        if options.contains_key("location") {
            return Err(Error::unsupported("option location of a database: it lies in the warehouse"));
        }
        let there = || Error::already_exists(format!("database {name:?}"));
        let _changing = self.changing.lock().await;
        if self.exists(name).await? {
            return Err(there());
        }
        let directory = directory_of(name);
        if self.store.local_path().is_some() {
            if !self.store.create_new_dir(&directory).await? {
                return Err(there());
            }
        } else {
            self.store.require_conditional_create().await?;
            let mine = Bytes::from(self.store.env().uuid().to_string());
            if !self.store.create_settled(&format!("{directory}/{DATABASE_MARKER}"), mine).await? {
                return Err(there());
            }
        }
        match options.is_empty() {
            true => Ok(()),
            false => self.store.replace(&database_path(name), encode(options)?).await,
        }
    }

    async fn alter_database(&self, name: &str, set: &BTreeMap<String, String>, remove: &[String]) -> Result<()> {
        let _changing = self.changing.lock().await;
        if set.contains_key("location") {
            return Err(Error::unsupported("option location of a database: it lies in the warehouse"));
        }
        let mut options = self.database(name).await?.options;
        options.retain(|key, _| !remove.contains(key));
        options.extend(set.clone());
        self.store.replace(&database_path(name), encode(&options)?).await
    }

    async fn drop_database(&self, name: &str) -> Result<()> {
        self.require(name).await?;
        self.store.delete_dir(&directory_of(name)).await
    }

    async fn list_tables(&self, database: &str) -> Result<Vec<String>> {
        let directory = directory_of(database);
        let directories = self.store.list_dirs(&directory).await?;
        if directories.is_empty() {
            self.require(database).await?;
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

    async fn find_table(&self, table: &TableName) -> Result<FoundTable> {
        let store = self.table_store(table)?;
        match has_schema(&store).await? {
            true => Ok(FoundTable { store, publisher: Arc::new(PutIfAbsent) }),
            false => Err(Error::not_found(format!("table {table}"))),
        }
    }

    async fn create_table(&self, table: &TableName, schema: &Schema) -> Result<()> {
        self.require(table.database()).await?;
        let _changing = self.changing.lock().await;
        self.check_no_view(table).await?;
        Table::create_store(self.table_store(table)?, self.defaults.given_to(schema)).await.map(drop)
    }

    async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<()> {
        self.find_table(from).await?;
        self.require(to.database()).await?;
        let _changing = self.changing.lock().await;
        self.check_no_view(to).await?;
        self.store.rename_dir(&from.directory(), &to.directory()).await
    }

    async fn drop_table(&self, table: &TableName) -> Result<()> {
        delete_table(&self.find_table(table).await?.store).await
    }

    async fn list_views(&self, database: &str) -> Result<Vec<String>> {
        let files = self.store.list(&format!("{}/{OWN_DIRECTORY}/views", directory_of(database))).await?;
        if files.is_empty() {
            self.require(database).await?;
        }
        let names = files.iter().filter_map(|file| file.name.strip_suffix(".json"));
        let names = names.filter(|name| check_object_name("view", name).is_ok());
        let mut names: Vec<String> = names.map(str::to_string).collect();
        names.sort();
        Ok(names)
    }

    async fn view(&self, name: &TableName) -> Result<View> {
        Ok(self.require_view(name).await?.1)
    }

    async fn create_view(&self, name: &TableName, view: &View) -> Result<()> {
        self.require(name.database()).await?;
        self.store.require_conditional_create().await?;
        let _changing = self.changing.lock().await;
        if has_schema(&self.table_store(name)?).await? {
            return Err(Error::already_exists(format!("table {name}")));
        }
        let (path, bytes) = (view_path(name), view.encode()?);
        match self.store.create(&path, bytes.clone()).await? {
            Created::Won => Ok(()),
            Created::Exists => Err(Error::already_exists(format!("view {name}"))),
            Created::Unknown(words) => match self.store.try_read(&path).await? {
                Some(found) if found == bytes => Ok(()),
                Some(_) => Err(Error::already_exists(format!("view {name}"))),
                None => Err(Error::storage(format!("create {path}: {words}"))),
            },
        }
    }

    async fn alter_view(&self, name: &TableName, changes: &[ViewChange]) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (path, view) = self.require_view(name).await?;
        self.store.replace(&path, view.changed(changes)?.encode()?).await
    }

    async fn drop_view(&self, name: &TableName) -> Result<()> {
        let (path, _) = self.require_view(name).await?;
        self.store.delete(&path).await
    }
}

/// Create-if-absent decides here. A lock that Java would take by an option is not taken, and others would rely on it.
fn refuse_locks(options: &mut Options) -> Result<()> {
    let off = options.remove("lock.enabled").is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
    for key in ["lock-check-max-sleep", "lock-acquire-timeout"] {
        options.remove(key);
    }
    match options.remove("lock.type").filter(|_| !off) {
        Some(kind) => Err(Error::unsupported(format!("option lock.type={kind} of a filesystem catalog"))),
        None => Ok(()),
    }
}

fn directory_of(database: &str) -> String {
    format!("{database}{DATABASE_SUFFIX}")
}

fn database_path(database: &str) -> String {
    format!("{}/{OWN_DIRECTORY}/database.json", directory_of(database))
}

fn view_path(name: &TableName) -> String {
    format!("{}/{OWN_DIRECTORY}/views/{}.json", directory_of(name.database()), name.table())
}

fn encode(options: &BTreeMap<String, String>) -> Result<Bytes> {
    serde_json::to_vec_pretty(options).map(Bytes::from).map_err(|error| Error::bug(format!("JSON: {error}")))
}
