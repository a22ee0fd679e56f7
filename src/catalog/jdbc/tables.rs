//! The catalog's tables in the database, as Java makes them.

use super::address::Dialect;
use super::sql::{Database, Failure, Statement};
use crate::error::{Error, Result};

pub(super) const TABLES: &str = "paimon_tables";
pub(super) const DATABASE_PROPERTIES: &str = "paimon_database_properties";
pub(super) const TABLE_PROPERTIES: &str = "paimon_table_properties";
pub(super) const VIEWS: &str = "paimon_views";
pub(super) const LOCKS: &str = "paimon_distributed_locks";

/// The longest name, key and value that a column takes; SQLite does not count.
pub(super) const NAME_LENGTH: usize = 255;
pub(super) const VALUE_LENGTH: usize = 1000;

/// Each table with the statement that makes it. Java makes the table of locks where it locks; so do we.
fn statements(lock_key_length: Option<usize>) -> Vec<(&'static str, String)> {
    let name = |column: &str| format!("{column} VARCHAR(255) NOT NULL");
    let (key, database, table) = (name("catalog_key"), name("database_name"), name("table_name"));
    let mut all = vec![
        (TABLES, format!("({key}, {database}, {table}, PRIMARY KEY (catalog_key, database_name, table_name))")),
        (
            DATABASE_PROPERTIES,
            format!(
                "({key}, {database}, property_key VARCHAR(255), property_value VARCHAR(1000), \
                 PRIMARY KEY (catalog_key, database_name, property_key))"
            ),
        ),
        (
            TABLE_PROPERTIES,
            format!(
                "({key}, {database}, {table}, {}, property_value VARCHAR(1000), \
                 PRIMARY KEY (catalog_key, database_name, table_name, property_key))",
                name("property_key")
            ),
        ),
        (
            VIEWS,
            format!(
                "({key}, {database}, {}, view_schema TEXT NOT NULL, \
                 PRIMARY KEY (catalog_key, database_name, view_name))",
                name("view_name")
            ),
        ),
    ];
    if let Some(length) = lock_key_length {
        let columns = format!(
            "(lock_id VARCHAR({length}) NOT NULL, acquired_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL, \
             expire_time_seconds BIGINT DEFAULT 0 NOT NULL, PRIMARY KEY (lock_id))"
        );
        all.push((LOCKS, columns));
    }
    all
}

/// Makes the tables that are missing.
///
/// # Errors
/// [`Error::Invalid`] for what the database does not allow, [`Error::Storage`].
pub(super) async fn make(database: &Database, lock_key_length: Option<usize>) -> Result<()> {
    for (name, columns) in statements(lock_key_length) {
        if exists(database, name).await? {
            continue;
        }
        match database.execute(&Statement::new(format!("CREATE TABLE {name} {columns}"))).await {
            Ok(_) => {}
            // Another client makes them too.
            Err(failure) => match exists(database, name).await {
                Ok(true) => {}
                _ => return Err(failure.into()),
            },
        }
    }
    Ok(())
}

async fn exists(database: &Database, table: &str) -> Result<bool> {
    let sql = match database.dialect {
        Dialect::Postgres => "SELECT CAST(to_regclass(?) AS TEXT)",
        Dialect::MySql => {
            "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name = ?"
        }
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?",
    };
    Ok(!database.column(&Statement::new(sql).text(table)).await?.is_empty())
}

/// Refuses a text that the database would cut or refuse.
///
/// # Errors
/// [`Error::Invalid`] that says what is too long.
pub(super) fn check_length(dialect: Dialect, what: &str, text: &str, most: usize) -> Result<()> {
    let length = text.chars().count();
    match length > most && dialect != Dialect::Sqlite {
        true => Err(Error::invalid(format!("{what} has {length} characters; the catalog's tables take {most}"))),
        false => Ok(()),
    }
}

/// A row that is there already is as good as one that was put there.
pub(super) fn or_there(done: Result<u64, Failure>) -> Result<(), Failure> {
    match done {
        Ok(_) | Err(Failure::Duplicate(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}
