//! The default values of columns: texts of a schema file that a writer puts in the place of NULL.
//! Spec: `format-spec/schema.md`, default values.

use arrow_array::{Array, ArrayRef, StringArray};

use super::Schema;
use crate::error::{Error, Result};
use crate::types::{Field, TypeKind, can_cast, cast_lane};

/// A column's default value as a lane of one row; `None` where it has none.
///
/// # Errors
/// [`Error::Invalid`] for a text that is no value of the column's type, [`Error::Unsupported`] for a type that no text
/// becomes; both name the column.
pub fn default_lane(field: &Field) -> Result<Option<ArrayRef>> {
    let Some(text) = &field.default_value else { return Ok(None) };
    let kind = &field.data_type.kind;
    let what = format!("default value {text:?} of column {:?}", field.name);
    if !can_cast(&TypeKind::STRING, kind) {
        return Err(Error::unsupported(format!("{what}: no text becomes a {kind}")));
    }
    let refuse = |why: &str| Error::invalid(format!("{what}: {why}"));
    // As in SQL, quotes around a text are no part of it.
    let bare = text.strip_prefix('\'').map_or(Some(text.as_str()), |rest| match rest {
        "" => None,
        rest => Some(rest.strip_suffix('\'').unwrap_or(text)),
    });
    let bare = bare.ok_or_else(|| refuse("a quote is not closed"))?;
    let lane: ArrayRef = std::sync::Arc::new(StringArray::from(vec![bare]));
    let lane = cast_lane(&TypeKind::STRING, kind, &lane).map_err(|error| match error {
        Error::Invalid(why) => refuse(&why),
        other => other,
    })?;
    match lane.is_null(0) {
        true => Err(refuse(&format!("does not fit {kind}"))),
        false => Ok(Some(lane)),
    }
}

impl Schema {
    /// The default values of all columns, in their order, each a lane of one row.
    ///
    /// # Errors
    /// As [`default_lane`].
    pub fn default_lanes(&self) -> Result<Vec<Option<ArrayRef>>> {
        self.fields.iter().map(default_lane).collect()
    }
}

#[cfg(test)]
mod tests;
