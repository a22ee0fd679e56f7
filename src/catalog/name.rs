//! Names of databases and tables.

use std::fmt;
use std::str::FromStr;

use super::DATABASE_SUFFIX;
use crate::error::{Error, Result};
use crate::format::layout;

/// `database.table`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    database: String,
    table: String,
}

/// Checks a database's or a table's name: one plain path component, without `.` (it joins names), `$` (system tables
/// and branches) and `@`.
///
/// # Errors
/// [`Error::Invalid`] that says what the name is for.
pub fn check_object_name(what: &str, name: &str) -> Result<()> {
    layout::check_name(what, name)?;
    if name.trim() != name {
        return Err(Error::invalid(format!("{what} name {name:?} begins or ends with a blank")));
    }
    match name.chars().find(|c| ".$@".contains(*c)) {
        Some(c) => Err(Error::invalid(format!("{what} name {name:?} contains {c:?}"))),
        None => Ok(()),
    }
}

impl TableName {
    /// A table of a database.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Result<Self> {
        let (database, table) = (database.into(), table.into());
        check_object_name("database", &database)?;
        check_object_name("table", &table)?;
        Ok(Self { database, table })
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Its directory below the warehouse.
    pub(super) fn directory(&self) -> String {
        format!("{}{DATABASE_SUFFIX}/{}", self.database, self.table)
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('.') {
            Some((database, table)) => Self::new(database, table),
            None => Err(Error::invalid(format!("table {text:?} must be named database.table"))),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}
