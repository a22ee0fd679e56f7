//! Databases, tables, views and their properties as rows. Every row belongs to one catalog by its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::sql::{Database, Failure, Statement};
use super::tables::{self, DATABASE_PROPERTIES, NAME_LENGTH, TABLE_PROPERTIES, TABLES, VALUE_LENGTH, VIEWS};
use crate::catalog::TableName;
use crate::error::{Error, Result};

/// The property that keeps a database without any other visible.
const EXISTS: &str = "exists";
/// The property that tells where a database lies; its tables lie in the warehouse whatever it says.
const LOCATION: &str = "location";
const OF_DATABASE: &str = "WHERE catalog_key = ? AND database_name = ?";
const OF_TABLE: &str = "WHERE catalog_key = ? AND database_name = ? AND table_name = ?";
const OF_VIEW: &str = "WHERE catalog_key = ? AND database_name = ? AND view_name = ?";

/// Properties of a database or a table.
pub(super) type Properties = BTreeMap<String, String>;

/// The rows of one catalog.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) database: Arc<Database>,
    key: String,
    lock_key_length: Option<usize>,
    made: OnceCell<()>,
}

impl Rows {
    /// No request is made.
    pub(super) fn new(database: Arc<Database>, key: String, lock_key_length: Option<usize>) -> Self {
        Self { database, key, lock_key_length, made: OnceCell::new() }
    }

    /// Makes the tables of the catalog where they are missing, once.
    pub(super) async fn ready(&self) -> Result<&Database> {
        self.made.get_or_try_init(|| tables::make(&self.database, self.lock_key_length)).await?;
        Ok(&self.database)
    }

    fn of_database(&self, sql: &str, name: &str) -> Statement {
        Statement::new(format!("{sql} {OF_DATABASE}")).texts([self.key.as_str(), name])
    }

    fn of_table(&self, sql: &str, name: &TableName) -> Statement {
        Statement::new(format!("{sql} {OF_TABLE}")).texts([self.key.as_str(), name.database(), name.table()])
    }

    fn of_view(&self, sql: &str, name: &TableName) -> Statement {
        Statement::new(format!("{sql} {OF_VIEW}")).texts([self.key.as_str(), name.database(), name.table()])
    }

    /// All databases that anything is known of, sorted.
    pub(super) async fn databases(&self) -> Result<Vec<String>> {
        let database = self.ready().await?;
        let mut names = BTreeSet::new();
        for table in [TABLES, DATABASE_PROPERTIES, VIEWS] {
            let sql = format!("SELECT DISTINCT database_name FROM {table} WHERE catalog_key = ?");
            names.extend(database.column(&Statement::new(sql).text(&self.key)).await?);
        }
        Ok(names.into_iter().collect())
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub(super) async fn require_database(&self, name: &str) -> Result<()> {
        let database = self.ready().await?;
        for table in [DATABASE_PROPERTIES, TABLES, VIEWS] {
            let sql = format!("SELECT database_name FROM {table}");
            let one = Statement::new(format!("{sql} {OF_DATABASE} LIMIT 1")).texts([self.key.as_str(), name]);
            if !database.column(&one).await?.is_empty() {
                return Ok(());
            }
        }
        Err(Error::not_found(format!("database {name:?}")))
    }

    /// The properties of a database that are its users'.
    pub(super) async fn properties(&self, name: &str) -> Result<Properties> {
        let sql = format!("SELECT property_key, property_value FROM {DATABASE_PROPERTIES}");
        let rows = self.ready().await?.rows(&self.of_database(&sql, name)).await?;
        let pair = |row: Vec<Option<String>>| {
            let mut cells = row.into_iter();
            Some((cells.next()??, cells.next()?.unwrap_or_default()))
        };
        let own = |(key, _): &(String, String)| key != EXISTS && key != LOCATION;
        Ok(rows.into_iter().filter_map(pair).filter(own).collect())
    }

    /// Refuses properties that are the catalog's own, and those that its tables do not take.
    fn check(&self, properties: &Properties) -> Result<()> {
        for (key, value) in properties {
            match key.as_str() {
                LOCATION => {
                    return Err(Error::unsupported("option location of a database: it lies in the warehouse"));
                }
                EXISTS => return Err(Error::invalid("option exists of a database is the catalog's own")),
                key => self.check_property("a database", key, value)?,
            }
        }
        Ok(())
    }

    fn check_property(&self, of: &str, key: &str, value: &str) -> Result<()> {
        let dialect = self.database.dialect;
        tables::check_length(dialect, &format!("the name of option {key} of {of}"), key, NAME_LENGTH)?;
        tables::check_length(dialect, &format!("option {key} of {of}"), value, VALUE_LENGTH)
    }

    /// Refuses names that the catalog's tables do not take.
    pub(super) fn check_name(&self, what: &str, name: &str) -> Result<()> {
        tables::check_length(self.database.dialect, &format!("the name of {what} {name:?}"), name, NAME_LENGTH)
    }

    fn insert_database_properties(&self, name: &str, properties: &Properties) -> Statement {
        let values = vec!["(?,?,?,?)"; properties.len()].join(", ");
        let columns = "catalog_key, database_name, property_key, property_value";
        let statement = Statement::new(format!("INSERT INTO {DATABASE_PROPERTIES} ({columns}) VALUES {values}"));
        properties.iter().fold(statement, |it, (key, value)| it.texts([self.key.as_str(), name, key, value]))
    }

    /// # Errors
    /// [`Error::AlreadyExists`].
    pub(super) async fn create_database(&self, name: &str, location: &str, properties: &Properties) -> Result<()> {
        self.check(properties)?;
        self.check_name("database", name)?;
        let there = || Error::already_exists(format!("database {name:?}"));
        match self.require_database(name).await {
            Ok(()) => return Err(there()),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let mut all = properties.clone();
        all.insert(EXISTS.to_string(), "true".to_string());
        all.insert(LOCATION.to_string(), location.to_string());
        match self.database.execute(&self.insert_database_properties(name, &all)).await {
            Err(Failure::Duplicate(_)) => Err(there()),
            done => Ok(done.map(drop)?),
        }
    }

    /// Sets properties and takes others away, all or none.
    pub(super) async fn alter_database(&self, name: &str, set: &Properties, remove: &[String]) -> Result<()> {
        self.check(set)?;
        if let Some(key) = remove.iter().find(|key| [EXISTS, LOCATION].contains(&key.as_str())) {
            return Err(Error::invalid(format!("option {key} of a database is the catalog's own")));
        }
        self.require_database(name).await?;
        let gone: BTreeSet<&str> = set.keys().chain(remove).map(String::as_str).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let places = vec!["?"; gone.len()].join(",");
        let sql = format!("DELETE FROM {DATABASE_PROPERTIES} {OF_DATABASE} AND property_key IN ({places})");
        let mut statements = vec![Statement::new(sql).texts([self.key.as_str(), name]).texts(gone)];
        if !set.is_empty() {
            statements.push(self.insert_database_properties(name, set));
        }
        self.database.together(&statements).await?;
        Ok(())
    }

    /// Forgets a database, its tables and its views.
    pub(super) async fn drop_database(&self, name: &str) -> Result<()> {
        let all = [TABLES, DATABASE_PROPERTIES, TABLE_PROPERTIES, VIEWS];
        let statements = all.map(|table| self.of_database(&format!("DELETE FROM {table}"), name));
        self.ready().await?.together(&statements).await?;
        Ok(())
    }

    /// The names of a database's tables, sorted.
    pub(super) async fn tables(&self, database: &str) -> Result<Vec<String>> {
        let statement = self.of_database(&format!("SELECT table_name FROM {TABLES}"), database);
        self.names(database, &statement).await
    }

    /// The names of a database's views, sorted.
    pub(super) async fn views(&self, database: &str) -> Result<Vec<String>> {
        let statement = self.of_database(&format!("SELECT view_name FROM {VIEWS}"), database);
        self.names(database, &statement).await
    }

    async fn names(&self, database: &str, statement: &Statement) -> Result<Vec<String>> {
        let mut names = self.ready().await?.column(statement).await?;
        if names.is_empty() {
            self.require_database(database).await?;
        }
        names.sort();
        Ok(names)
    }

    pub(super) async fn has_table(&self, name: &TableName) -> Result<bool> {
        let statement = self.of_table(&format!("SELECT table_name FROM {TABLES}"), name);
        Ok(!self.ready().await?.column(&statement).await?.is_empty())
    }

    /// # Errors
    /// [`Error::AlreadyExists`] for a table or a view of this name.
    pub(super) async fn require_free(&self, name: &TableName) -> Result<()> {
        if self.has_table(name).await? {
            return Err(Error::already_exists(format!("table {name}")));
        }
        match self.view(name).await? {
            Some(_) => Err(Error::already_exists(format!("view {name}"))),
            None => Ok(()),
        }
    }

    /// Puts a table's row there; one that is there already is as good.
    pub(super) async fn insert_table(&self, name: &TableName) -> Result<(), Failure> {
        let sql = format!("INSERT INTO {TABLES} (catalog_key, database_name, table_name) VALUES (?,?,?)");
        let statement = Statement::new(sql).texts([self.key.as_str(), name.database(), name.table()]);
        tables::or_there(self.database.execute(&statement).await)
    }

    /// Refuses a table whose properties the catalog's tables do not take.
    pub(super) fn check_table_properties(&self, properties: &Properties) -> Result<()> {
        properties.iter().try_for_each(|(key, value)| self.check_property("a table", key, value))
    }

    /// Puts the properties of a table in the place of those that are there.
    pub(super) async fn set_table_properties(&self, name: &TableName, properties: &Properties) -> Result<()> {
        let mut statements = vec![self.of_table(&format!("DELETE FROM {TABLE_PROPERTIES}"), name)];
        if !properties.is_empty() {
            let values = vec!["(?,?,?,?,?)"; properties.len()].join(", ");
            let columns = "catalog_key, database_name, table_name, property_key, property_value";
            let insert = Statement::new(format!("INSERT INTO {TABLE_PROPERTIES} ({columns}) VALUES {values}"));
            let (database, table) = (name.database(), name.table());
            let row = |it: Statement, (key, value): (&String, &String)| {
                it.texts([self.key.as_str(), database, table, key, value])
            };
            statements.push(properties.iter().fold(insert, row));
        }
        self.database.together(&statements).await?;
        Ok(())
    }

    /// Gives a table another name.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::AlreadyExists`].
    pub(super) async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<()> {
        let renamed = |table: &str| {
            let sql = format!("UPDATE {table} SET database_name = ?, table_name = ? {OF_TABLE}");
            let names = [to.database(), to.table(), self.key.as_str(), from.database(), from.table()];
            Statement::new(sql).texts(names)
        };
        // What an earlier table of the new name left.
        let left = self.of_table(&format!("DELETE FROM {TABLE_PROPERTIES}"), to);
        match self.database.together(&[renamed(TABLES), left, renamed(TABLE_PROPERTIES)]).await {
            Ok(counts) if counts.first() == Some(&0) => Err(Error::not_found(format!("table {from}"))),
            Err(Failure::Duplicate(_)) => Err(Error::already_exists(format!("table {to}"))),
            done => Ok(done.map(drop)?),
        }
    }

    /// Forgets a table.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(super) async fn drop_table(&self, name: &TableName) -> Result<()> {
        let statements = [TABLES, TABLE_PROPERTIES].map(|table| self.of_table(&format!("DELETE FROM {table}"), name));
        match self.ready().await?.together(&statements).await?.first() {
            Some(0) => Err(Error::not_found(format!("table {name}"))),
            _ => Ok(()),
        }
    }

    /// The JSON of a view.
    pub(super) async fn view(&self, name: &TableName) -> Result<Option<String>> {
        let statement = self.of_view(&format!("SELECT view_schema FROM {VIEWS}"), name);
        Ok(self.ready().await?.column(&statement).await?.into_iter().next())
    }

    /// # Errors
    /// [`Error::AlreadyExists`].
    pub(super) async fn insert_view(&self, name: &TableName, json: &str) -> Result<()> {
        let columns = "catalog_key, database_name, view_name, view_schema";
        let insert = Statement::new(format!("INSERT INTO {VIEWS} ({columns}) VALUES (?,?,?,?)"));
        let insert = insert.texts([self.key.as_str(), name.database(), name.table(), json]);
        match self.database.execute(&insert).await {
            Err(Failure::Duplicate(_)) => Err(Error::already_exists(format!("view {name}"))),
            done => Ok(done.map(drop)?),
        }
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub(super) async fn update_view(&self, name: &TableName, json: &str) -> Result<()> {
        let update = Statement::new(format!("UPDATE {VIEWS} SET view_schema = ? {OF_VIEW}"));
        let update = update.texts([json, self.key.as_str(), name.database(), name.table()]);
        match self.database.execute(&update).await? {
            0 => Err(Error::not_found(format!("view {name}"))),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub(super) async fn drop_view(&self, name: &TableName) -> Result<()> {
        let delete = self.of_view(&format!("DELETE FROM {VIEWS}"), name);
        match self.ready().await?.execute(&delete).await? {
            0 => Err(Error::not_found(format!("view {name}"))),
            _ => Ok(()),
        }
    }
}
