//! `forebay rescale`: the rows of partitions, moved into another number of buckets.

use forebay::predicate::{self, Expr};
use forebay::schema::{Schema, TableOptions};
use serde_json::json;

use crate::cli::{Common, Rescale};
use crate::failure::{Failure, Result};
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

/// `column=value` pairs of one partition, or several partitions: those of one column are alternatives.
pub fn partitions(schema: &Schema, pairs: &[(String, String)]) -> Result<Option<Expr>> {
    let mut filters = Vec::new();
    for key in &schema.partition_keys {
        let values = pairs.iter().filter(|(column, _)| column == key).map(|(_, value)| value);
        let mut one: Option<Expr> = None;
        for value in values {
            let expr = equal(schema, key, value)?;
            one = Some(one.map_or(expr.clone(), |before| before.or(expr)));
        }
        filters.extend(one);
    }
    match pairs.iter().find(|(column, _)| !schema.partition_keys.contains(column)) {
        Some((column, _)) => Err(Failure::usage(format!("--partition: {column:?} is no partition column"))),
        None => Ok(Expr::all_of(filters)),
    }
}

/// A partition column with a value. Paimon's default name is NULL, as in Java; an empty text is an empty value, though its
/// directory has the default name too.
pub(super) fn equal(schema: &Schema, column: &str, value: &str) -> Result<Expr> {
    let is_null = value == TableOptions::parse(schema)?.partition_default_name;
    let expr = if is_null { predicate::col(column).is_null() } else { predicate::col(column).eq(value) };
    expr.bind(schema).map_err(|error| Failure::from(error).context("--partition"))
}
