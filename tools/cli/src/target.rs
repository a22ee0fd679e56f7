//! Which table a name means: a location, or `db.table` in a warehouse.

use crate::cli::Common;
use crate::failure::{Failure, Result};

/// A table that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A directory or URL.
    Location(String),
    /// A table of a warehouse's database.
    Named {
        /// The warehouse's location.
        warehouse: String,
        /// The database.
        database: String,
        /// The table.
        table: String,
    },
}

impl Target {
    /// Reads a name. Whatever has a slash is a location; `db.table` needs a warehouse; another word is a directory when
    /// no warehouse is given.
    ///
    /// # Errors
    /// A wrong usage that says how to name a table.
    pub fn parse(text: &str, common: &Common) -> Result<Self> {
        let ways = "name a location (./dir, /dir, s3://bucket/dir), or db.table with --warehouse";
        if text.trim().is_empty() {
            return Err(Failure::usage("the table's name is empty").help(ways));
        }
        if text.contains(['/', '\\']) || text == "." || text == ".." {
            return Ok(Self::Location(text.to_string()));
        }
        let parts: Vec<&str> = text.split('.').collect();
        match (&common.warehouse, parts.as_slice()) {
            (Some(warehouse), [database, table]) if !database.is_empty() && !table.is_empty() => Ok(Self::Named {
                warehouse: warehouse.clone(),
                database: (*database).to_string(),
                table: (*table).to_string(),
            }),
            (Some(_), _) => Err(Failure::usage(format!("{text:?} names no table of the warehouse")).help(ways)),
            (None, [_]) => Ok(Self::Location(text.to_string())),
            (None, _) => Err(Failure::usage(format!("which warehouse is {text:?} in?"))
                .help(format!("{ways}; a directory of that name is ./{text}"))),
        }
    }

    /// The name for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Location(location) => location.clone(),
            Self::Named { database, table, .. } => format!("{database}.{table}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, warehouse: Option<&str>) -> Result<Target> {
        let common = Common { warehouse: warehouse.map(str::to_string), store: Vec::new(), json: false };
        Target::parse(text, &common)
    }

    #[test]
    fn a_slash_makes_a_location_and_a_dot_a_name() {
        let location = |text: &str| Target::Location(text.to_string());
        for text in ["./a.b", "/tmp/x", "s3://bucket/t", "dir/db.t", "."] {
            assert_eq!(parse(text, None).unwrap(), location(text));
            assert_eq!(parse(text, Some("/w")).unwrap(), location(text));
        }
        assert_eq!(parse("orders", None).unwrap(), location("orders"));
        let named = Target::Named { warehouse: "/w".into(), database: "shop".into(), table: "orders".into() };
        assert_eq!(parse("shop.orders", Some("/w")).unwrap(), named);
        for (text, warehouse) in
            [("shop.orders", None), ("orders", Some("/w")), ("a.b.c", Some("/w")), ("", None), (".t", Some("/w"))]
        {
            assert_eq!(parse(text, warehouse).unwrap_err().code(), 2, "{text}");
        }
    }
}
