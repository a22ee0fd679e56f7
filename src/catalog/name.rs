//! Names of databases and tables.

use std::fmt;
use std::str::FromStr;

use super::filesystem::DATABASE_SUFFIX;
use crate::error::{Error, Result};
use crate::format::layout;

/// What a branch's name is put behind.
const BRANCH_MARK: &str = "$branch_";

/// `database.table`, or `database.table$branch_name` of a branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    database: String,
    table: String,
    branch: Option<String>,
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
        Ok(Self { database, table, branch: None })
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The branch, if one is named.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// The same table's branch; `main` is the table itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad name.
    pub fn with_branch(mut self, name: &str) -> Result<Self> {
        self.branch = match name {
            layout::MAIN_BRANCH => None,
            name => {
                layout::branch(name)?;
                Some(name.to_string())
            }
        };
        Ok(self)
    }

    /// # Errors
    /// [`Error::Unsupported`] that says what is done to tables only, for a branch.
    pub(super) fn check_whole(&self, what: &str) -> Result<()> {
        match &self.branch {
            None => Ok(()),
            Some(_) => Err(Error::unsupported(format!("{what} of a branch ({self})"))),
        }
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
            Some((database, table)) => match table.split_once(BRANCH_MARK) {
                Some((table, branch)) => Self::new(database, table)?.with_branch(branch),
                None => Self::new(database, table),
            },
            None => Err(Error::invalid(format!("table {text:?} must be named database.table"))),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)?;
        match &self.branch {
            Some(branch) => write!(f, "{BRANCH_MARK}{branch}"),
            None => Ok(()),
        }
    }
}
