//! `forebay rescale`: the rows of partitions, moved into another number of buckets.

use serde_json::json;

use super::partition::partitions;
use crate::cli::{Common, Rescale};
use crate::failure::Result;
use crate::output;

/// Rescales.
pub async fn run(args: Rescale, common: &Common) -> Result<()> {
    let table = super::open_table(&args.table, common, &args.options).await?;
    let schema = table.schema();
    let mut rescale = table.rescale(args.buckets);
    if let Some(filter) = partitions(schema, &args.partitions)? {
        rescale = rescale.partitions(filter);
    }
    for done in rescale.run().await? {
        let name = super::partition_name(schema, &done.partition)?;
        if common.json {
            output::print_json(&json!({
                "partition": name, "buckets_before": done.buckets_before, "buckets": done.buckets, "rows": done.rows,
                "snapshot": done.snapshot_id,
            }))?;
            continue;
        }
        let name = if name.is_empty() { "the table".to_string() } else { name };
        output::note(&match done.snapshot_id {
            Some(id) => format!(
                "{name}: {} rows from {} to {} buckets in snapshot {id}",
                output::count(done.rows.unsigned_abs()),
                done.buckets_before,
                done.buckets
            ),
            None => format!("{name}: has {} buckets already", done.buckets),
        });
    }
    Ok(())
}
