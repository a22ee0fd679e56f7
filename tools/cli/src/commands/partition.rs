//! What `--partition` means.

use forebay::predicate::{self, Expr};
use forebay::schema::{Schema, TableOptions};

use crate::failure::{Failure, Result};

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

/// The condition that `day=2026-01-01,hour=7` means.
pub fn one(schema: &Schema, text: &str) -> Result<Expr> {
    let mut whole: Option<Expr> = None;
    for pair in text.split(',') {
        let Some((column, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--partition {text:?} is no COLUMN=VALUE")));
        };
        let one = equal(schema, column.trim(), value.trim())?;
        whole = Some(whole.map_or(one.clone(), |others| others.and(one)));
    }
    whole.ok_or_else(|| Failure::usage("--partition is empty"))
}

/// A partition column with a value. Paimon's default name is NULL, as in Java; an empty text is an empty value, though its
/// directory has the default name too.
fn equal(schema: &Schema, column: &str, value: &str) -> Result<Expr> {
    let is_null = value == TableOptions::parse(schema)?.partition_default_name;
    let expr = if is_null { predicate::col(column).is_null() } else { predicate::col(column).eq(value) };
    expr.bind(schema).map_err(|error| Failure::from(error).context("--partition"))
}
