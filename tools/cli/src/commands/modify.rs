//! `forebay delete` and `forebay update`: rows for which a condition is true, in one commit.

use forebay::predicate::{parse, parse_assignment};
use forebay::table::{Means, Modified, Modify};
use forebay::{Env, Table};
use serde_json::json;

use super::truncate;
use crate::cli::{Common, Delete, Statement, Update};
use crate::failure::{Failure, Result};
use crate::output;

/// Deletes.
pub async fn delete(args: Delete, common: &Common) -> Result<()> {
    let table = open(&args.statement, common).await?;
    let modify = table.delete(filter(&args.statement, &table)?);
    run(modify, args.statement, ["delete", "deleted"], &table, common).await
}

/// Updates.
pub async fn update(args: Update, common: &Common) -> Result<()> {
    let table = open(&args.statement, common).await?;
    let set = |text: &String| {
        parse_assignment(text, table.schema()).map_err(|error| Failure::from(error).context(format!("--set {text}")))
    };
    let assignments = args.set.iter().map(set).collect::<Result<Vec<_>>>()?;
    let modify = table.update(assignments, filter(&args.statement, &table)?);
    run(modify, args.statement, ["update", "updated"], &table, common).await
}

async fn open(statement: &Statement, common: &Common) -> Result<Table> {
    let mut options = statement.options.clone();
    options.extend(statement.memory.iter().map(|bytes| ("write-buffer-size".to_string(), format!("{bytes} b"))));
    super::open_table(&statement.table, common, &options).await
}

fn filter(statement: &Statement, table: &Table) -> Result<forebay::predicate::Expr> {
    parse(&statement.filter, table.schema()).map_err(|error| Failure::from(error).context("--where"))
}

async fn run(mut modify: Modify, statement: Statement, verb: [&str; 2], table: &Table, common: &Common) -> Result<()> {
    if let Some(user) = statement.commit_user {
        modify = modify.commit_user(super::commit_user(user)?);
    }
    if statement.dry_run {
        modify = modify.dry_run();
    }
    let env = Env::system();
    let start = env.monotonic();
    let done = modify.run().await?;
    let seconds = (env.monotonic() - start).as_secs_f64();
    if common.json {
        let partitions =
            done.truncated.as_ref().map(|truncated| truncate::told(table.schema(), truncated)).transpose()?;
        return output::print_json(&json!({
            "means": word(done.means), "rows": done.rows, "files": done.files, "truncated": partitions,
            "snapshot": done.snapshot_id, "already": done.already, "seconds": (seconds * 1000.0).round() / 1000.0,
        }));
    }
    tell(&done, statement.dry_run, verb, table)?;
    Ok(())
}

fn word(means: Means) -> &'static str {
    match means {
        Means::Changes => "changes",
        Means::Vectors => "vectors",
        Means::Rewrite => "rewrite",
        Means::Partitions => "partitions",
    }
}

fn tell(done: &Modified, dry_run: bool, [would, did]: [&str; 2], table: &Table) -> Result<()> {
    if done.already {
        super::told_already(done.snapshot_id);
        return Ok(());
    }
    if let Some(truncated) = &done.truncated {
        for name in truncate::names(table.schema(), truncated)? {
            output::note(&name);
        }
        output::note(&truncate::words(truncated, dry_run));
        return Ok(());
    }
    let count = done.rows.unwrap_or(0);
    let rows = format!("{} {}", output::count(count), if count == 1 { "row" } else { "rows" });
    let files = format!("{} {}", output::count(done.files), if done.files == 1 { "file" } else { "files" });
    let how = match done.means {
        Means::Changes | Means::Partitions => String::new(),
        Means::Vectors => format!(" in {files}, by vectors"),
        Means::Rewrite => format!(" in {files}, which are written again"),
    };
    output::note(&match (dry_run, done.snapshot_id) {
        (true, _) => format!("would {would} {rows}{how}"),
        (false, Some(id)) => format!("{did} {rows}{how}: snapshot {id}"),
        (false, None) => "no row matches".to_string(),
    });
    Ok(())
}
