//! Which column of a file is which column of the table, when the two were written under different schemas.
//!
//! Columns are matched by field id and never by name: a renamed column keeps its rows, and a column that was
//! dropped and added again under the same name does not get the old ones.
//! Spec: `format-spec/schema.md`.

use super::Schema;
use crate::error::{Error, Result};
use crate::types::{can_cast, is_lost};

/// For each column of the table the position of its column among those of the file's schema, or `None` when
/// the file was written before the column was added, or has nothing of it that is left: such a column is NULL in every row.
///
/// # Errors
/// [`Error::Unsupported`] that names a column whose old values cannot be read as its new type.
pub fn column_mapping(file_schema: &Schema, table_schema: &Schema) -> Result<Vec<Option<usize>>> {
    table_schema
        .fields
        .iter()
        .map(|column| {
            let Some(position) = file_schema.fields.iter().position(|field| field.id == column.id) else {
                return Ok(None);
            };
            let (stored, wanted) = (&file_schema.fields[position].data_type.kind, &column.data_type.kind);
            if can_cast(stored, wanted) {
                let lost = column.data_type.nullable && is_lost(stored, wanted);
                return Ok((!lost).then_some(position));
            }
            Err(Error::unsupported(format!(
                "column {:?} was {stored} in schema {} and is {wanted} in schema {}: reading the one as the other",
                column.name, file_schema.id, table_schema.id
            )))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DataType, Field, TypeKind};

    fn schema(id: i64, columns: &[(i32, &str, DataType)]) -> Schema {
        let mut schema = columns
            .iter()
            .fold(Schema::builder(), |builder, (_, name, data_type)| builder.column(*name, data_type.clone()))
            .build()
            .unwrap();
        schema.id = id;
        for (field, (id, _, data_type)) in schema.fields.iter_mut().zip(columns) {
            (field.id, field.data_type) = (*id, data_type.clone()); // the builder numbers them anew
        }
        schema
    }

    #[test]
    fn columns_are_matched_by_id_so_names_may_change_and_swap() {
        let file = schema(0, &[(0, "a", DataType::INT), (1, "b", DataType::STRING), (2, "c", DataType::INT)]);
        let table =
            schema(1, &[(1, "a", DataType::STRING), (3, "c", DataType::INT), (0, "b", DataType::INT.not_null())]);
        assert_eq!(column_mapping(&file, &table).unwrap(), vec![Some(1), None, Some(0)]);
    }

    #[test]
    fn what_nothing_is_left_of_is_null() {
        let types = |id| {
            let row = DataType { kind: TypeKind::Row([Field::new(id, "x", DataType::INT)].into()), nullable: true };
            [row.clone(), DataType::array(row.clone()), DataType::multiset(row.not_null())]
        };
        let [one, list, set] = types(9);
        let file = schema(0, &[(0, "r", one.clone()), (1, "l", list), (2, "s", set), (3, "n", one.not_null())]);
        let [other, list, set] = types(10);
        let table = schema(1, &[(0, "r", other.clone()), (1, "l", list), (2, "s", set), (3, "n", other.not_null())]);
        let kept = |table: &Schema| column_mapping(&file, table).unwrap();
        assert_eq!(kept(&table), [None, None, Some(2), Some(3)]);
        assert_eq!(kept(&file), [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_changed_type_that_old_values_do_not_fit_is_refused_by_the_columns_name() {
        let file = schema(0, &[(0, "a", DataType::INT)]);
        let table = schema(1, &[(0, "amount", DataType::BIGINT)]);
        assert_eq!(column_mapping(&file, &table).unwrap(), [Some(0)]);
        let table = schema(1, &[(0, "amount", DataType::DATE)]);
        let error = column_mapping(&file, &table).unwrap_err().to_string();
        assert!(error.contains("\"amount\"") && error.contains("INT") && error.contains("DATE"), "{error}");
    }
}
