//! Schema files: `schema-<N>` as JSON.
//!
//! What is read is a schema this crate can work with: a column of a type it does not have is refused by name, duplicates
//! and keys that are no columns are corruption. Spec: `format-spec/schema.md`.

mod types;

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(super) use self::types::{FieldJson, check_depth, decode_field};
use super::json;
use crate::error::{Error, Result};
use crate::schema::{Field, Schema};
use crate::types::{DataType, MAX_FIELDS};

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

/// A schema as a catalog service and its clients tell it to each other: what a schema file says, but for its numbers.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToldSchema {
    fields: Vec<FieldJson>,
    #[serde(default)]
    partition_keys: Vec<String>,
    #[serde(default)]
    primary_keys: Vec<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

/// A schema without its numbers, as JSON of a catalog service. Spec: `format-spec/rest-catalog.md`.
///
/// # Errors
/// None but [`Error::Bug`].
pub fn encode_told_schema(schema: &Schema) -> Result<serde_json::Value> {
    let told = ToldSchema {
        fields: schema.fields.iter().map(FieldJson::of).collect(),
        partition_keys: schema.partition_keys.clone(),
        primary_keys: schema.primary_keys.clone(),
        options: schema.options.clone(),
        comment: schema.comment.clone(),
    };
    serde_json::to_value(&told).map_err(|error| Error::bug(format!("JSON: {error}")))
}

/// The schema with number 0 that such JSON tells of.
///
/// # Errors
/// As [`decode_schema`].
pub fn decode_told_schema(bytes: &[u8], file: &str) -> Result<Schema> {
    check_depth(bytes, file)?;
    let told: ToldSchema = json::decode_deep(bytes, file)?;
    let fields: Vec<Field> = told.fields.into_iter().map(|field| decode_field(field, file)).collect::<Result<_>>()?;
    let schema = Schema {
        id: 0,
        highest_field_id: highest_id(&fields),
        fields,
        partition_keys: told.partition_keys,
        primary_keys: told.primary_keys,
        options: told.options,
        comment: told.comment,
        time_millis: 0,
    };
    check_names(&schema, file)?;
    Ok(schema)
}

/// The highest id of columns and of the fields in their types.
fn highest_id(fields: &[Field]) -> i32 {
    let deep = |field: &Field| {
        let inner = field.data_type.row_fields().into_iter().map(|inner| highest_id(std::slice::from_ref(inner)));
        inner.max().map_or(field.id, |inner| inner.max(field.id))
    };
    fields.iter().map(deep).max().unwrap_or(-1)
}

/// A type as JSON.
///
/// # Errors
/// None but [`Error::Bug`].
pub fn encode_type(data_type: &DataType) -> Result<serde_json::Value> {
    types::to_json(data_type).map_err(|error| Error::bug(format!("JSON: {error}")))
}

/// The type that JSON tells of.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Unsupported`] for a type that this version does not have.
pub fn decode_type(json: &serde_json::Value) -> Result<DataType> {
    types::type_of(json, 0)
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
    let mut options = read.options;
    if version <= 1 {
        options.entry("bucket".to_string()).or_insert_with(|| "1".to_string());
    }
    if version <= 2 {
        options.entry("file.format".to_string()).or_insert_with(|| "orc".to_string());
    }
    let fields: Vec<Field> = read.fields.into_iter().map(|field| decode_field(field, file)).collect::<Result<_>>()?;
    let schema = Schema {
        id: read.id,
        fields,
        highest_field_id: read.highest_field_id,
        partition_keys: read.partition_keys,
        primary_keys: read.primary_keys,
        options,
        comment: read.comment,
        time_millis: read.time_millis,
    };
    check_names(&schema, file)?;
    Ok(schema)
}

/// Whether columns, ids and keys are each other's.
fn check_names(schema: &Schema, file: &str) -> Result<()> {
    let corrupt = |what: String| Error::corrupt(file, what);
    if schema.fields.is_empty() || schema.fields.len() > MAX_FIELDS {
        return Err(corrupt(format!("fields: {} columns, allowed are 1 to {MAX_FIELDS}", schema.fields.len())));
    }
    let mut names = HashSet::new();
    let mut ids = HashSet::new();
    for field in &schema.fields {
        if !names.insert(field.name.as_str()) {
            return Err(corrupt(format!("fields: two columns are named {:?}", field.name)));
        }
        check_ids(field, &mut ids, schema.highest_field_id).map_err(corrupt)?;
    }
    for (what, keys) in [("partitionKeys", &schema.partition_keys), ("primaryKeys", &schema.primary_keys)] {
        let mut seen = HashSet::new();
        for key in keys {
            if !names.contains(key.as_str()) || !seen.insert(key) {
                return Err(corrupt(format!("{what}: {key:?} is no column or is named twice")));
            }
        }
    }
    Ok(())
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
