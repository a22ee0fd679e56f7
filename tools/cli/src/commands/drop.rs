//! `forebay drop`: a table and all its files, or an empty database. Without `--yes` it says what would go.

use forebay::Error;
use forebay::catalog::TableName;
use serde_json::json;

use crate::cli::{Common, Drop};
use crate::failure::{Failure, Result};
use crate::output;
use crate::target::Target;

/// Drops it.
pub async fn run(args: Drop, common: &Common) -> Result<()> {
    if args.database {
        return database(&args, common).await;
    }
    let target = Target::parse(&args.table, common)?;
    let table = match super::open_table(&args.table, common, &[]).await {
        Err(failure) if args.if_exists && failure.is_not_found() => return told(common, &target.shown(), false),
        other => other?,
    };
    if !args.yes {
        let files = table.store().list_recursive("").await?;
        let files = output::count(files.len() as u64);
        return Err(refuse(&format!(
            "{} at {}: {files} files with all its snapshots",
            target.shown(),
            table.location()
        )));
    }
    let outside = table.schema().option("data-file.external-paths").map(str::to_string);
    match &target {
        Target::Location(_) => table.drop().await?,
        Target::Named { warehouse, database, table } => {
            super::open_catalog(warehouse, common)?.drop_table(&TableName::new(database, table)?).await?;
        }
    }
    if let Some(roots) = outside {
        output::note(&format!("files outside of the table stay where they are: {}", output::clean(&roots)));
    }
    told(common, &target.shown(), true)
}

async fn database(args: &Drop, common: &Common) -> Result<()> {
    let Some(warehouse) = &common.warehouse else {
        return Err(Failure::usage("which warehouse?").help("give --warehouse, or set FOREBAY_WAREHOUSE"));
    };
    let catalog = super::open_catalog(warehouse, common)?;
    let name = &args.table;
    let tables = match catalog.list_tables(name).await {
        Err(Error::NotFound(_)) if args.if_exists => return told(common, name, false),
        other => other?,
    };
    if !tables.is_empty() {
        return Err(
            Failure::new("invalid", format!("database {name} has {} tables", tables.len())).help("drop them first")
        );
    }
    if !args.yes {
        return Err(refuse(&format!("database {name}")));
    }
    catalog.drop_database(name, false).await?;
    told(common, name, true)
}

fn refuse(what: &str) -> Failure {
    Failure::usage(format!("this would drop {what}; nothing was dropped")).help("add --yes to do it")
}

fn told(common: &Common, name: &str, dropped: bool) -> Result<()> {
    if common.json {
        return output::print_json(&json!({"name": name, "dropped": dropped}));
    }
    output::note(&match dropped {
        true => format!("dropped {name}"),
        false => format!("there is no {name}"),
    });
    Ok(())
}
