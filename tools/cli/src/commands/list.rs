//! `forebay list`: the databases and tables of a warehouse.

use serde_json::json;

use crate::cli::{Common, List};
use crate::failure::{Failure, Result};
use crate::output;

/// Lists them.
pub async fn run(args: List, common: &Common) -> Result<()> {
    let Some(warehouse) = &common.warehouse else {
        return Err(Failure::usage("which warehouse?").help("give --warehouse, or set FOREBAY_WAREHOUSE"));
    };
    let catalog = super::open_catalog(warehouse, common)?;
    let databases = match args.database {
        Some(database) => vec![database],
        None => catalog.list_databases().await?,
    };
    let mut found = Vec::new();
    for database in databases {
        let tables = catalog.list_tables(&database).await?;
        found.push((database, tables));
    }
    if common.json {
        let databases = found.iter().map(|(database, tables)| json!({"database": database, "tables": tables}));
        return output::print_json(&json!(databases.collect::<Vec<_>>()));
    }
    let mut table = output::table(&["database", "table"]);
    for (database, tables) in &found {
        if tables.is_empty() {
            table.add_row([output::clean(database), String::new()]);
        }
        for name in tables {
            table.add_row([output::clean(database), output::clean(name)]);
        }
    }
    output::print(&output::drawn(&table))
}
