//! The schema of a table as a value: what `schema-<N>` says, parsed once.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::types::{DataType, Field};

/// The number of a schema file.
pub type SchemaId = i64;

/// The schema of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The number of its file.
    pub id: SchemaId,
    /// The columns in order.
    pub fields: Vec<Field>,
    /// The highest field id ever given out.
    pub highest_field_id: i32,
    /// The partition columns.
    pub partition_keys: Vec<String>,
    /// The primary key; empty for append tables.
    pub primary_keys: Vec<String>,
    /// The table's options as they are stored.
    pub options: BTreeMap<String, String>,
    /// A comment.
    pub comment: Option<String>,
    /// When the file was written, milliseconds since the epoch.
    pub time_millis: i64,
}

/// How rows find their bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketMode {
    /// `bucket = n`: by the hash of the bucket key.
    Fixed(i32),
    /// Append table with `bucket = -1`: everything in `bucket-0`.
    Unaware,
    /// Primary-key table with `bucket = -1`: by the hash index.
    Dynamic,
    /// Primary-key table with `bucket = -1` whose key lacks a partition column: by a key index.
    KeyDynamic,
    /// `bucket = -2`: rows wait in `bucket-postpone`.
    Postpone,
}

impl Schema {
    /// Begins a schema.
    pub fn builder() -> super::SchemaBuilder {
        super::SchemaBuilder::default()
    }

    /// Whether the table has a primary key.
    pub fn has_primary_key(&self) -> bool {
        !self.primary_keys.is_empty()
    }

    /// The position of a column.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The position of a column that must be there.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names it.
    pub fn require(&self, name: &str) -> Result<usize> {
        self.index_of(name).ok_or_else(|| Error::invalid(format!("the table has no column {name:?}")))
    }

    /// Positions of named columns.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is no column.
    pub fn positions<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Result<Vec<usize>> {
        names.into_iter().map(|name| self.require(name)).collect()
    }

    /// Names and types of all columns, in order.
    pub fn columns(&self) -> Vec<(&str, &DataType)> {
        self.fields.iter().map(|field| (field.name.as_str(), &field.data_type)).collect()
    }

    /// The primary key without the partition columns: what is unique inside a partition and sorts its files.
    pub fn trimmed_primary_keys(&self) -> Vec<String> {
        self.primary_keys.iter().filter(|key| !self.partition_keys.contains(key)).cloned().collect()
    }

    /// The columns whose hash decides the bucket: option `bucket-key`, else the trimmed primary key.
    pub fn bucket_keys(&self) -> Vec<String> {
        match self.options.get("bucket-key") {
            Some(keys) => keys.split(',').map(|key| key.trim().to_string()).filter(|key| !key.is_empty()).collect(),
            None => self.trimmed_primary_keys(),
        }
    }

    /// The types of named columns, in the order of the names.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is no column.
    pub fn types_of(&self, names: &[String]) -> Result<Vec<DataType>> {
        names.iter().map(|name| Ok(self.fields[self.require(name)?].data_type.clone())).collect()
    }

    /// An option's text.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    /// How rows find their bucket.
    ///
    /// # Errors
    /// [`Error::Invalid`] when option `bucket` is no number that Paimon knows.
    pub fn bucket_mode(&self) -> Result<BucketMode> {
        let text = self.option("bucket").unwrap_or("-1");
        let number: i32 =
            text.trim().parse().map_err(|_| Error::invalid(format!("option bucket: {text:?} is no number")))?;
        match (number, self.has_primary_key()) {
            (1.., _) => Ok(BucketMode::Fixed(number)),
            (-1, false) => Ok(BucketMode::Unaware),
            (-1, true) if self.partition_keys.iter().all(|key| self.primary_keys.contains(key)) => {
                Ok(BucketMode::Dynamic)
            }
            (-1, true) => Ok(BucketMode::KeyDynamic),
            (-2, true) => Ok(BucketMode::Postpone),
            _ => Err(Error::invalid(format!("option bucket: {number} is no bucket count"))),
        }
    }
}
