//! What has to change in a table so that rows with other columns, or with wider ones, can be written. Pure.
//! Spec: `format-spec/schema.md`, merged columns.

use super::{Schema, SchemaChange};
use crate::error::{Error, Result};
use crate::types::{DataType, TypeKind, may_change};

impl Schema {
    /// The changes after which rows of these columns can be written: columns that are missing are added and allow NULL,
    /// columns that are too narrow become wider. Columns that the rows lack stay as they are.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names a column whose values the table's column cannot become wide enough for,
    /// [`Error::Unsupported`] for a nested column that is there with another type.
    pub fn merging(&self, columns: &[(String, DataType)]) -> Result<Vec<SchemaChange>> {
        let mut changes = Vec::new();
        for (name, given) in columns {
            let Some(at) = self.index_of(name) else {
                changes.push(SchemaChange::AddColumn {
                    path: vec![name.clone()],
                    data_type: DataType { nullable: true, ..given.clone() },
                    comment: None,
                    place: None,
                });
                continue;
            };
            let has = &self.fields[at].data_type.kind;
            if has == &given.kind {
                continue;
            }
            if has.is_nested() || given.kind.is_nested() {
                let words = "nested columns are not merged";
                return Err(Error::unsupported(format!(
                    "column {name} of {has} and rows with {}: {words}",
                    given.kind
                )));
            }
            if holds(has, &given.kind) {
                continue;
            }
            let free = |kind: &TypeKind| DataType { kind: kind.clone(), nullable: true };
            let wider = holds(&given.kind, has) && may_change(&free(has), &free(&given.kind), false);
            let wider = if wider { Some(given.kind.clone()) } else { both(has, &given.kind) };
            let wider = wider.ok_or_else(|| {
                Error::invalid(format!("column {name} of {has} cannot become wide enough for rows with {}", given.kind))
            })?;
            changes.push(SchemaChange::ChangeType(vec![name.clone()], wider));
        }
        Ok(changes)
    }
}

/// Whether every value of one kind is one of another, as a writer takes it. The lengths of texts and bytes are no part of
/// Arrow's types: they are looked at value by value.
fn holds(to: &TypeKind, from: &TypeKind) -> bool {
    use TypeKind::{
        BigInt, Binary, Char, Decimal, Double, Float, Int, SmallInt, Time, Timestamp, TimestampLtz, TinyInt,
    };
    use TypeKind::{VarBinary, VarChar};
    match (from, to) {
        (TinyInt, SmallInt | Int | BigInt) | (SmallInt, Int | BigInt) | (Int, BigInt) | (Float, Double) => true,
        (Decimal { precision: p, scale: s }, Decimal { precision: q, scale: t }) => s == t && p <= q,
        (Timestamp(p), Timestamp(q)) | (TimestampLtz(p), TimestampLtz(q)) => p <= q,
        (Char(_) | VarChar(_), Char(_) | VarChar(_)) | (Time(_), Time(_)) => true,
        (Binary(_) | VarBinary(_), Binary(_) | VarBinary(_)) => true,
        _ => from == to,
    }
}

/// A kind that holds two others of which neither holds the other.
fn both(one: &TypeKind, other: &TypeKind) -> Option<TypeKind> {
    use TypeKind::{Double, Float, Int, SmallInt, TinyInt};
    match (one, other) {
        // A float's digits do not hold an INT.
        (TinyInt | SmallInt | Int, Double | Float) => Some(Double),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(has: &str, given: &str) -> Result<String> {
        let data_type: DataType = has.parse()?;
        let schema = Schema::builder().column("a", data_type).build()?;
        let given = vec![("a".to_string(), given.parse()?)];
        let changes = schema.merging(&given)?;
        let next = schema.changed(&changes, true)?;
        assert_eq!(next.merging(&given)?, [], "merged once, nothing is left to do");
        Ok(next.fields[0].data_type.to_string())
    }

    #[test]
    fn columns_become_wider_and_never_narrower() {
        for (has, given, wanted) in [
            ("INT", "BIGINT NOT NULL", "BIGINT"),
            ("INT NOT NULL", "BIGINT", "BIGINT NOT NULL"),
            ("BIGINT", "INT", "BIGINT"),
            ("FLOAT", "DOUBLE", "DOUBLE"),
            ("SMALLINT", "DOUBLE", "DOUBLE"),
            ("DECIMAL(10, 2)", "DECIMAL(12, 2)", "DECIMAL(12, 2)"),
            ("DECIMAL(12, 2)", "DECIMAL(10, 2)", "DECIMAL(12, 2)"),
            ("TIMESTAMP(3)", "TIMESTAMP(6)", "TIMESTAMP(6)"),
            ("TIMESTAMP(9)", "TIMESTAMP(6)", "TIMESTAMP(9)"),
            ("VARCHAR(10)", "STRING", "VARCHAR(10)"),
            ("ARRAY<INT>", "ARRAY<INT>", "ARRAY<INT>"),
        ] {
            assert_eq!(merged(has, given).unwrap(), wanted, "{has} and {given}");
        }
    }

    #[test]
    fn what_cannot_be_merged_is_refused_with_the_columns_name() {
        for (has, given) in [
            ("INT", "STRING"),
            ("STRING", "INT"),
            ("BIGINT", "DOUBLE"),
            ("DECIMAL(10, 2)", "DECIMAL(10, 3)"),
            ("TIMESTAMP(6)", "TIMESTAMP_LTZ(6)"),
            ("TIMESTAMP(6)", "DATE"),
        ] {
            let error = merged(has, given).unwrap_err();
            assert!(matches!(&error, Error::Invalid(text) if text.contains("column a of")), "{has}, {given}: {error}");
        }
        assert!(matches!(merged("ARRAY<INT>", "ARRAY<BIGINT>"), Err(Error::Unsupported(_))));
    }

    #[test]
    fn missing_columns_are_added_and_allow_null() {
        let schema = Schema::builder().column("a", DataType::INT).build().unwrap();
        let changes = schema.merging(&[("b".to_string(), DataType::INT.not_null())]).unwrap();
        let next = schema.changed(&changes, true).unwrap();
        assert_eq!((next.fields[1].name.as_str(), next.fields[1].data_type.nullable), ("b", true));
    }
}
