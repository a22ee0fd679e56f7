//! The column that tells a row's time, where rows expire (`record-level.*`).

use super::{Schema, TableOptions};
use crate::error::{Error, Result};
use crate::types::TypeKind;

/// The position of the column that tells when a row was made; `None` where rows do not expire. A column that is named
/// must be one, whether rows expire or not.
///
/// # Errors
/// [`Error::Invalid`] for a time column that is none or is not named, [`Error::Unsupported`] for a table without a primary
/// key.
pub(crate) fn time_column(schema: &Schema, options: &TableOptions) -> Result<Option<usize>> {
    let named = match schema.option("record-level.time-field") {
        Some(field) => Some(found(schema, field)?),
        None => None,
    };
    if options.compaction.record_expiry.is_none() {
        return Ok(None);
    }
    if !schema.has_primary_key() {
        return Err(Error::unsupported("option record-level.expire-time: a table without a primary key"));
    }
    let missing = || Error::invalid("option record-level.expire-time needs record-level.time-field");
    named.ok_or_else(missing).map(Some)
}

fn found(schema: &Schema, field: &str) -> Result<usize> {
    let column = schema.require(field);
    let column = column.map_err(|error| Error::invalid(format!("option record-level.time-field: {error}")))?;
    match &schema.fields[column].data_type.kind {
        TypeKind::Int | TypeKind::BigInt | TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => Ok(column),
        other => Err(Error::invalid(format!(
            "option record-level.time-field: column {field} is {other}, not INT, BIGINT or a timestamp"
        ))),
    }
}
