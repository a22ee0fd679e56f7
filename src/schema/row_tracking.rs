//! The two columns that every row of a table with `row-tracking.enabled` has beside those of its schema.
//! Spec: `format-spec/row-tracking.md`.

use super::Schema;
use crate::types::{DataType, Field};

/// The column of row ids.
pub const ROW_ID: &str = "_ROW_ID";
/// The column of the snapshots that brought the rows.
pub const ROW_SEQUENCE: &str = "_SEQUENCE_NUMBER";

const ROW_ID_FIELD: i32 = 2_147_483_642;
const ROW_SEQUENCE_FIELD: i32 = 2_147_483_646;

impl Schema {
    /// The same schema with `_ROW_ID` and `_SEQUENCE_NUMBER` behind its columns, both BIGINT. A file may have them as
    /// columns; where it has not, its description tells them.
    #[must_use]
    pub fn with_row_tracking(&self) -> Self {
        let mut tracked = self.clone();
        if !self.has_row_tracking() {
            let columns = [(ROW_ID_FIELD, ROW_ID), (ROW_SEQUENCE_FIELD, ROW_SEQUENCE)];
            tracked.fields.extend(columns.map(|(id, name)| Field::new(id, name, DataType::BIGINT.not_null())));
        }
        tracked
    }

    /// Whether it is one of [`Schema::with_row_tracking`].
    pub fn has_row_tracking(&self) -> bool {
        self.fields.iter().any(|field| field.id == ROW_ID_FIELD)
    }

    /// Whether a name is one of the two columns, in a table that has them.
    pub fn tracks(&self, column: &str) -> bool {
        let enabled = self.option("row-tracking.enabled").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        enabled && (column == ROW_ID || column == ROW_SEQUENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_columns_stand_behind_the_others_and_once() {
        let schema = Schema::builder().column("a", DataType::INT).option("row-tracking.enabled", "true").build();
        let schema = schema.unwrap();
        assert!(!schema.has_row_tracking() && schema.tracks(ROW_ID) && !schema.tracks("a"));
        let tracked = schema.with_row_tracking();
        assert!(tracked.has_row_tracking());
        let names: Vec<&str> = tracked.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["a", ROW_ID, ROW_SEQUENCE]);
        assert_eq!(tracked.with_row_tracking(), tracked);
        assert_eq!(tracked.highest_field_id, schema.highest_field_id);
    }
}
