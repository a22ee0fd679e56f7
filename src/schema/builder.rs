//! Building the first schema of a table.

use std::collections::{BTreeMap, BTreeSet};

use super::default_value::default_lane;
use super::value::Schema;
use crate::error::{Error, Result};
use crate::types::{DataType, Field};

/// The reserved column names of Paimon (`format-spec/schema.md`).
const RESERVED: [&str; 5] = ["_SEQUENCE_NUMBER", "_VALUE_KIND", "_LEVEL", "rowkind", "_ROW_ID"];

/// Whether a column of the table may have a name, whichever way it comes in.
fn check_column_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("a column needs a name"));
    }
    if RESERVED.contains(&name) || name.starts_with("_KEY_") {
        return Err(Error::invalid(format!("column name {name:?} is reserved by the format")));
    }
    Ok(())
}

impl Schema {
    /// Refuses columns with names that no column may have. Those that an older schema has go on, so that they can be mended.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names one.
    pub(crate) fn check_names(&self, older: Option<&Self>) -> Result<()> {
        let known = |name: &str| older.is_some_and(|older| older.index_of(name).is_some());
        let names = self.fields.iter().map(|field| field.name.as_str());
        names.filter(|name| !known(name)).try_for_each(check_column_name)
    }
}

/// Collects columns, keys and options, and checks them together in [`SchemaBuilder::build`].
#[derive(Debug, Clone, Default)]
pub struct SchemaBuilder {
    fields: Vec<Field>,
    defaults: Vec<(String, String)>,
    partition_keys: Vec<String>,
    primary_keys: Vec<String>,
    options: BTreeMap<String, String>,
    comment: Option<String>,
}

impl SchemaBuilder {
    /// Adds a column.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, data_type: DataType) -> Self {
        self.fields.push(Field::new(0, name, data_type));
        self
    }

    /// Gives a column a default value: what rows hold that are written without a value for it. The text is one that can
    /// be cast to the column's type.
    #[must_use]
    pub fn default_value(mut self, column: impl Into<String>, text: impl Into<String>) -> Self {
        self.defaults.push((column.into(), text.into()));
        self
    }

    /// Sets the partition columns.
    #[must_use]
    pub fn partition_by<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.partition_keys = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the primary key.
    #[must_use]
    pub fn primary_key<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.primary_keys = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets an option.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.insert(key.into(), value.into());
        self
    }

    /// Sets the table's comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Checks columns and keys and makes schema 0. Options are checked when the table is created.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong.
    pub fn build(mut self) -> Result<Schema> {
        self.check_columns()?;
        for (column, text) in std::mem::take(&mut self.defaults) {
            let field = self.fields.iter_mut().find(|field| field.name == column);
            let field =
                field.ok_or_else(|| Error::invalid(format!("column {column:?} with a default is no column")))?;
            field.default_value = Some(text);
            default_lane(field)?;
        }
        for key in &self.primary_keys {
            if let Some(field) = self.fields.iter_mut().find(|field| field.name == *key) {
                field.data_type.nullable = false;
            }
        }
        let mut next_id = 0;
        let fields = self.fields.iter().map(|field| field.numbered_column(&mut next_id)).collect();
        Ok(Schema {
            id: 0,
            highest_field_id: next_id - 1,
            fields,
            partition_keys: self.partition_keys,
            primary_keys: self.primary_keys,
            options: self.options,
            comment: self.comment,
            time_millis: 0,
        })
    }

    fn check_columns(&self) -> Result<()> {
        if self.fields.is_empty() {
            return Err(Error::invalid("a table needs a column"));
        }
        let mut names = BTreeSet::new();
        for field in &self.fields {
            let name = field.name.as_str();
            check_column_name(name)?;
            if !names.insert(name) {
                return Err(Error::invalid(format!("column {name:?} is declared twice")));
            }
        }
        for (what, keys) in [("primary key", &self.primary_keys), ("partition key", &self.partition_keys)] {
            let mut seen = BTreeSet::new();
            for key in keys {
                if !names.contains(key.as_str()) {
                    return Err(Error::invalid(format!("{what} {key:?} is no column")));
                }
                if !seen.insert(key) {
                    return Err(Error::invalid(format!("{what} {key:?} is named twice")));
                }
            }
        }
        if !self.primary_keys.is_empty() && self.primary_keys.iter().all(|key| self.partition_keys.contains(key)) {
            return Err(Error::invalid("the primary key must have a column that is no partition column"));
        }
        Ok(())
    }
}
