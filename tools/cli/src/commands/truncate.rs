//! `forebay truncate`: all rows of a table, or those of whole partitions, in one commit.

use forebay::schema::Schema;
use forebay::table::Truncated;
use serde_json::{Value, json};

use super::partition::partitions;
use crate::cli::{Common, Truncate};
use crate::failure::Result;
use crate::output;

/// Truncates.
pub async fn run(args: Truncate, common: &Common) -> Result<()> {
    let table = super::open_table(&args.table, common, &args.options).await?;
    let mut truncate = table.truncate();
    if let Some(filter) = partitions(table.schema(), &args.partitions)? {
        truncate = truncate.partitions(filter);
    }
    if let Some(user) = args.commit_user {
        truncate = truncate.commit_user(super::commit_user(user)?);
    }
    if args.dry_run {
        truncate = truncate.dry_run();
    }
    let done = truncate.run().await?;
    if common.json {
        return output::print_json(&told(table.schema(), &done)?);
    }
    if done.already {
        super::told_already(done.snapshot_id);
        return Ok(());
    }
    for name in names(table.schema(), &done)? {
        output::note(&name);
    }
    output::note(&words(&done, args.dry_run));
    Ok(())
}

/// For machines.
pub fn told(schema: &Schema, done: &Truncated) -> Result<Value> {
    Ok(json!({
        "partitions": names(schema, done)?, "files": done.files, "bytes": done.bytes, "stored_rows": done.stored_rows,
        "snapshot": done.snapshot_id, "already": done.already,
    }))
}

/// For people.
pub fn words(done: &Truncated, dry_run: bool) -> String {
    let (rows, files) = (output::count(done.stored_rows), output::count(done.files));
    let bytes = indicatif::HumanBytes(done.bytes);
    match (dry_run, done.snapshot_id) {
        (false, Some(id)) => format!("took {files} files with {rows} stored rows away in snapshot {id}: {bytes}"),
        _ => format!("would take {files} files with {rows} stored rows away: {bytes}"),
    }
}

/// The directories of the partitions; none for a table without.
pub fn names(schema: &Schema, done: &Truncated) -> Result<Vec<String>> {
    if schema.partition_keys.is_empty() {
        return Ok(Vec::new());
    }
    done.partitions.iter().map(|partition| super::partition_name(schema, partition)).collect()
}
