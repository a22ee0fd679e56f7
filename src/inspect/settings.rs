//! The options that a table sets, and what this version makes of each.

use arrow_array::RecordBatch;

use super::columns::Columns;
use crate::error::Result;
use crate::history::History;
use crate::schema::{ENGINE_PREFIXES, find_option};

/// The options of the newest schema, by name.
///
/// # Errors
/// [`crate::Error::NotFound`] where there is no table, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn options(history: &History) -> Result<RecordBatch> {
    let schema = history.schemas.require_latest().await?;
    let each = || schema.options.iter();
    let key = |name: &String| find_option(name);
    Columns::default()
        .text("option", each().map(|(name, _)| Some(name)))
        .text("value", each().map(|(_, value)| Some(value)))
        .text("default", each().map(|(name, _)| key(name).and_then(|key| key.default)))
        .text("here", each().map(|(name, _)| Some(key(name).map_or_else(|| unknown(name), |key| key.stance_text()))))
        .text("for", each().map(|(name, _)| key(name).map(|key| key.about)))
        .batch()
}

fn unknown(name: &str) -> String {
    match ENGINE_PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        Some((_, why)) => format!("reading: harmless; writing: refused (not known; {why})"),
        None => "refused (not known)".to_string(),
    }
}
