//! Schema files: `schema-<N>` as JSON.
//!
//! What is read is a schema this crate can work with: a column of a nested type is refused by name, duplicates and keys
//! that are no columns are corruption. Spec: `format-spec/schema.md`.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::json;
use crate::error::{Error, Result};
use crate::schema::{Field, Schema};
use crate::types::DataType;

/// The version that is written, and the newest that is read.
const VERSION: i32 = 3;
/// The most columns of a table.
const MAX_FIELDS: usize = 10_000;

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

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldJson {
    id: i32,
    name: String,
    #[serde(rename = "type")]
    data_type: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_value: Option<String>,
}

/// The bytes of a schema file.
///
/// # Errors
/// None but [`Error::Bug`].
pub fn encode_schema(schema: &Schema) -> Result<Bytes> {
    let fields = schema.fields.iter().map(|field| FieldJson {
        id: field.id,
        name: field.name.clone(),
        data_type: Value::String(field.data_type.to_string()),
        description: field.description.clone(),
        default_value: field.default_value.clone(),
    });
    json::encode(&SchemaJson {
        version: Some(VERSION),
        id: schema.id,
        fields: fields.collect(),
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
    let read: SchemaJson = json::decode(bytes, file)?;
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
        if !ids.insert(field.id) || !(0..=read.highest_field_id).contains(&field.id) {
            return Err(corrupt(format!("fields: column {:?} has id {}, used or too high", field.name, field.id)));
        }
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

fn decode_field(field: FieldJson, file: &str) -> Result<Field> {
    let name = field.name;
    let data_type = match &field.data_type {
        Value::String(text) => text.parse::<DataType>().map_err(|error| match error {
            Error::Unsupported(what) => Error::unsupported(format!("column {name:?} of {file}: {what}")),
            other => Error::corrupt(file, format!("fields: column {name:?}: {other}")),
        })?,
        Value::Object(object) => {
            let kind = object.get("type").and_then(Value::as_str).unwrap_or("nested");
            return Err(Error::unsupported(format!("column {name:?} of {file}: type {kind}")));
        }
        other => return Err(Error::corrupt(file, format!("fields: column {name:?}: {other} is no type"))),
    };
    Ok(Field { id: field.id, name, data_type, description: field.description, default_value: field.default_value })
}

#[cfg(test)]
mod tests;
