//! Schema files: `schema-<N>` as JSON.
//!
//! What is read is a schema this crate can work with: a column of a type it does not have is refused by name, duplicates
//! and keys that are no columns are corruption. Spec: `format-spec/schema.md`.

mod types;

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::types::{FieldJson, check_depth, decode_field};
use super::json;
use crate::error::{Error, Result};
use crate::schema::{Field, Schema};
use crate::types::MAX_FIELDS;

/// The version that is written, and the newest that is read.
const VERSION: i32 = 3;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaJson {
    version: Option<i32>,
    id: i64,
    fields: Vec<FieldJson>,
    highest_field_id: i32,
    // Every Paimon writes these three, be they empty. Without the key a table would read as one without merging.
    partition_keys: Vec<String>,
    primary_keys: Vec<String>,
    options: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default)]
    time_millis: i64,
}

/// The bytes of a schema file.
///
/// # Errors
/// None but [`Error::Bug`].
pub fn encode_schema(schema: &Schema) -> Result<Bytes> {
    json::encode(&SchemaJson {
        version: Some(VERSION),
        id: schema.id,
        fields: schema.fields.iter().map(FieldJson::of).collect(),
        highest_field_id: schema.highest_field_id,
        partition_keys: schema.partition_keys.clone(),
        primary_keys: schema.primary_keys.clone(),
        options: schema.options.clone(),
        comment: schema.comment.clone(),
        time_millis: schema.time_millis,
    })
}

/// The schema of a schema file.
///
/// # Errors
/// [`Error::Corrupt`] that names the file and the field, [`Error::Unsupported`] for a newer version or a column of a
/// type this crate does not have.
pub fn decode_schema(bytes: &[u8], file: &str) -> Result<Schema> {
    check_depth(bytes, file)?;
    let read: SchemaJson = json::decode_deep(bytes, file)?;
    let corrupt = |what: String| Error::corrupt(file, what);
    // A file without a version is one of the first.
    let version = read.version.unwrap_or(1);
    if version > VERSION {
        return Err(Error::unsupported(format!("schema version {version} of {file}")));
    }
    if read.id < 0 {
        return Err(corrupt(format!("id: {} is no schema id", read.id)));
    }
    if read.fields.is_empty() || read.fields.len() > MAX_FIELDS {
        return Err(corrupt(format!("fields: {} columns, allowed are 1 to {MAX_FIELDS}", read.fields.len())));
    }
    let mut options = read.options;
    if version <= 1 {
        options.entry("bucket".to_string()).or_insert_with(|| "1".to_string());
    }
    if version <= 2 {
        options.entry("file.format".to_string()).or_insert_with(|| "orc".to_string());
    }
    let fields: Vec<Field> = read.fields.into_iter().map(|field| decode_field(field, file)).collect::<Result<_>>()?;
    let mut names = HashSet::new();
    let mut ids = HashSet::new();
    for field in &fields {
        if !names.insert(field.name.as_str()) {
            return Err(corrupt(format!("fields: two columns are named {:?}", field.name)));
        }
        check_ids(field, &mut ids, read.highest_field_id).map_err(corrupt)?;
    }
    for (what, keys) in [("partitionKeys", &read.partition_keys), ("primaryKeys", &read.primary_keys)] {
        let mut seen = HashSet::new();
        for key in keys {
            if !names.contains(key.as_str()) || !seen.insert(key) {
                return Err(corrupt(format!("{what}: {key:?} is no column or is named twice")));
            }
        }
    }
    Ok(Schema {
        id: read.id,
        fields,
        highest_field_id: read.highest_field_id,
        partition_keys: read.partition_keys,
        primary_keys: read.primary_keys,
        options,
        comment: read.comment,
        time_millis: read.time_millis,
    })
}

/// Whether the ids of a column and of the fields in its type are its own.
fn check_ids(field: &Field, ids: &mut HashSet<i32>, highest: i32) -> Result<(), String> {
    if ids.len() >= MAX_FIELDS {
        return Err(format!("fields: more than {MAX_FIELDS}, those of rows counted"));
    }
    if !ids.insert(field.id) || !(0..=highest).contains(&field.id) {
        return Err(format!("fields: column {:?} has id {}, used or too high", field.name, field.id));
    }
    field.data_type.row_fields().into_iter().try_for_each(|inner| check_ids(inner, ids, highest))
}

#[cfg(test)]
mod tests;
