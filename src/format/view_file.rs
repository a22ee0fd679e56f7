//! Views: a query under a name, with the columns it gives and its text in other dialects.
//!
//! The JSON is that of Paimon's catalog service; where the file lies is this catalogue's own.
//! Spec: `format-spec/rest-catalog.md`, views.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::json;
use super::schema_file::{FieldJson, check_depth, decode_field};
use crate::error::{Error, Result};
use crate::types::Field;

/// A view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The columns it gives.
    pub fields: Vec<Field>,
    /// The query.
    pub query: String,
    /// Its text in other dialects, by their names (`flink`, `spark`, ..).
    pub dialects: BTreeMap<String, String>,
    /// A comment.
    pub comment: Option<String>,
    /// Free texts.
    pub options: BTreeMap<String, String>,
}

/// One change of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum ViewChange {
    /// Sets an option.
    SetOption {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    },
    /// Takes an option away.
    RemoveOption {
        /// Its name.
        key: String,
    },
    /// Sets the comment, or takes it away.
    UpdateComment {
        /// The comment.
        comment: Option<String>,
    },
    /// Adds a dialect that is not there.
    AddDialect {
        /// Its name.
        dialect: String,
        /// The query in it.
        query: String,
    },
    /// Changes the query of a dialect that is there.
    UpdateDialect {
        /// Its name.
        dialect: String,
        /// The query in it.
        query: String,
    },
    /// Takes a dialect away.
    DropDialect {
        /// Its name.
        dialect: String,
    },
}

#[derive(Serialize, Deserialize)]
struct ViewJson {
    fields: Vec<FieldJson>,
    query: String,
    #[serde(default)]
    dialects: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

impl View {
    /// The file's bytes, which are JSON.
    ///
    /// # Errors
    /// None but [`Error::Bug`].
    pub fn encode(&self) -> Result<Bytes> {
        json::encode(&ViewJson {
            fields: self.fields.iter().map(FieldJson::of).collect(),
            query: self.query.clone(),
            dialects: self.dialects.clone(),
            comment: self.comment.clone(),
            options: self.options.clone(),
        })
    }

    /// The value of a file's bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the file and the field; [`Error::Unsupported`] for a column of a type that this
    /// version does not have.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self> {
        check_depth(bytes, file)?;
        let read: ViewJson = json::decode_deep(bytes, file)?;
        Ok(Self {
            fields: read.fields.into_iter().map(|field| decode_field(field, file)).collect::<Result<_>>()?,
            query: read.query,
            dialects: read.dialects,
            comment: read.comment,
            options: read.options,
        })
    }

    /// The view after some changes.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] and [`Error::NotFound`] that name a dialect.
    pub fn changed(&self, changes: &[ViewChange]) -> Result<Self> {
        let mut next = self.clone();
        let missing = |dialect: &str| Error::not_found(format!("dialect {dialect}"));
        for change in changes {
            match change {
                ViewChange::SetOption { key, value } => drop(next.options.insert(key.clone(), value.clone())),
                ViewChange::RemoveOption { key } => drop(next.options.remove(key)),
                ViewChange::UpdateComment { comment } => next.comment.clone_from(comment),
                ViewChange::AddDialect { dialect, query } => {
                    if next.dialects.insert(dialect.clone(), query.clone()).is_some() {
                        return Err(Error::already_exists(format!("dialect {dialect}")));
                    }
                }
                ViewChange::UpdateDialect { dialect, query } => {
                    let known = next.dialects.get_mut(dialect).ok_or_else(|| missing(dialect))?;
                    known.clone_from(query);
                }
                ViewChange::DropDialect { dialect } => {
                    next.dialects.remove(dialect).ok_or_else(|| missing(dialect))?;
                }
            }
        }
        Ok(next)
    }
}
