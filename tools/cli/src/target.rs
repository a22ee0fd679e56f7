//! Which table a name means: a location, or `db.table` in a warehouse.

use crate::cli::Common;
use crate::failure::{Failure, Result};

/// What a branch's name is put behind, and what stands behind a table whose highest level alone is shown, or whose rows
/// are shown with their ids.
const BRANCH_MARK: &str = "$branch_";
const READ_OPTIMIZED: &str = "$ro";
const ROW_TRACKING: &str = "$row_tracking";

/// Other tables of Paimon's that stand behind a name.
const SYSTEM_TABLES: [&str; 17] = [
    "snapshots",
    "schemas",
    "options",
    "audit_log",
    "binlog",
    "files",
    "manifests",
    "partitions",
    "buckets",
    "tags",
    "branches",
    "consumers",
    "aggregation_fields",
    "statistics",
    "read_optimized",
    "table_indexes",
    "file_key_ranges",
];

/// A table that was named, with what stands behind its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The table.
    pub target: Target,
    /// Its branch.
    pub branch: Option<String>,
    /// What of it is shown.
    pub shown: Shown,
}

/// What of a table a name shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Its rows.
    Rows,
    /// Its highest level.
    ReadOptimized,
    /// Its rows with their ids and snapshots.
    RowTracking,
}

impl Address {
    /// Reads a name that may have `$branch_NAME` and `$ro` or `$row_tracking` behind it.
    ///
    /// # Errors
    /// As [`Target::parse`]; two different branches.
    pub fn parse(text: &str, common: &Common) -> Result<Self> {
        let marks = [(READ_OPTIMIZED, Shown::ReadOptimized), (ROW_TRACKING, Shown::RowTracking)];
        let marked = marks.into_iter().find_map(|(mark, shown)| Some((text.strip_suffix(mark)?, shown)));
        let (text, shown) = marked.unwrap_or((text, Shown::Rows));
        let (text, named) = match text.rsplit_once(BRANCH_MARK) {
            Some((text, branch)) if !branch.contains(['/', '\\']) => (text, Some(branch.to_string())),
            _ => (text, None),
        };
        let branch = match (named, common.branch.clone()) {
            (Some(named), Some(told)) if named != told => {
                return Err(Failure::usage(format!("which branch: {named:?} of the name, or {told:?} of --branch?")));
            }
            (named, told) => named.or(told),
        };
        Ok(Self { target: Target::parse(text, common)?, branch, shown })
    }
}

/// Whether a name has a branch behind it.
pub fn names_branch(text: &str) -> bool {
    text.rsplit_once(BRANCH_MARK).is_some_and(|(_, branch)| !branch.contains(['/', '\\']))
}

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
        if let Some((table, view)) = text.rsplit_once('$').filter(|(_, view)| SYSTEM_TABLES.contains(view)) {
            let help = match view {
                "audit_log" | "binlog" => format!("forebay changes {table} tells changes with their kinds"),
                _ => format!("forebay inspect {table} shows what Paimon's system tables show"),
            };
            return Err(Failure::usage(format!("{text:?} is a system table, which no name opens")).help(help));
        }
        if names_branch(text) {
            let help = "a branch is read, followed, written, altered and inspected; see forebay help branch";
            return Err(Failure::usage(format!("{text:?} is a branch, and this is done to tables")).help(help));
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

    fn common(branch: Option<&str>) -> Common {
        Common {
            warehouse: Some("/w".into()),
            catalog: None,
            store: Vec::new(),
            allow_external: Vec::new(),
            json: false,
            branch: branch.map(str::to_string),
        }
    }

    fn parse(text: &str, warehouse: Option<&str>) -> Result<Target> {
        let common = Common { warehouse: warehouse.map(str::to_string), ..common(None) };
        Target::parse(text, &common)
    }

    #[test]
    fn a_branch_and_the_highest_level_stand_behind_the_name() {
        for (text, told, wanted) in [
            ("shop.orders", None, ("shop.orders", None, Shown::Rows)),
            ("shop.orders$branch_v1.2", None, ("shop.orders", Some("v1.2"), Shown::Rows)),
            ("./t$branch_dev$ro", None, ("./t", Some("dev"), Shown::ReadOptimized)),
            ("./t$ro", Some("dev"), ("./t", Some("dev"), Shown::ReadOptimized)),
            ("./t$branch_dev$row_tracking", None, ("./t", Some("dev"), Shown::RowTracking)),
            ("./t$branch_dev", Some("dev"), ("./t", Some("dev"), Shown::Rows)),
            ("./x$branch_a/t", None, ("./x$branch_a/t", None, Shown::Rows)),
        ] {
            let address = Address::parse(text, &common(told)).unwrap();
            assert_eq!((&*address.target.shown(), address.branch.as_deref(), address.shown), wanted, "{text}");
        }
        assert_eq!(Address::parse("./t$branch_a", &common(Some("b"))).unwrap_err().code(), 2);
        assert_eq!(parse("./t$branch_a", None).unwrap_err().code(), 2);
        assert!(parse("./t$audit_log", None).unwrap_err().message().contains("is a system table"));
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
