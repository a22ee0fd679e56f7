//! What another schema of the table means for a writer that is open. Pure.
//! Spec: `format-spec/write.md`, another schema.

use std::collections::BTreeMap;

use arrow_array::{Array, RecordBatch};

use crate::error::{Error, Result};
use crate::schema::{Schema, TableOptions};

/// Names of columns that a writer had and the table has no more, and what became of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Gone(BTreeMap<String, String>);

impl Gone {
    /// What is gone too after one schema followed another.
    pub(super) fn after(&self, old: &Schema, new: &Schema) -> Self {
        let mut gone = self.0.clone();
        for field in old.fields.iter() {
            let what = match new.fields.iter().find(|it| it.id == field.id) {
                Some(same) if same.name == field.name => continue,
                Some(same) => format!("renamed to {:?}", same.name),
                None => "dropped".to_string(),
            };
            gone.insert(field.name.clone(), format!("{what} by schema {}", new.id));
        }
        // A name may have come back for another column.
        gone.retain(|name, _| new.index_of(name).is_none());
        Self(gone)
    }

    /// A batch without columns that are gone, which hold nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] that names a column that is gone and holds values.
    pub(super) fn without(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.0.is_empty() {
            return Ok(batch.clone());
        }
        let given = batch.schema();
        let mut kept = Vec::with_capacity(given.fields().len());
        for (at, field) in given.fields().iter().enumerate() {
            let column = batch.column(at);
            match self.0.get(field.name()) {
                None => kept.push(at),
                Some(_) if column.logical_null_count() == column.len() => {}
                Some(what) => {
                    return Err(Error::conflict(format!("column {:?} was {what} of the table", field.name())));
                }
            }
        }
        batch.project(&kept).map_err(|error| Error::bug(error.to_string()))
    }
}

/// Refuses a schema in which a writer that is open cannot go on: its rows would lie or merge in another way.
///
/// # Errors
/// [`Error::Conflict`] that names what changed.
pub(super) fn check_same(old: &Schema, new: &Schema, was: &TableOptions, is: &TableOptions) -> Result<()> {
    let refuse = |what: &str| {
        let words = "while this writer was open: open a new one";
        Err(Error::conflict(format!("schema {} of the table changed {what} {words}", new.id)))
    };
    let ids = |schema: &Schema, names: &[String]| -> Result<Vec<i32>> {
        let places = schema.positions(names)?;
        Ok(places.into_iter().map(|at| schema.fields[at].id).collect())
    };
    let keys =
        |schema: &Schema| Ok::<_, Error>((ids(schema, &schema.primary_keys)?, ids(schema, &schema.partition_keys)?));
    if keys(old)? != keys(new)? {
        return refuse("the keys");
    }
    if std::mem::discriminant(&was.bucket) != std::mem::discriminant(&is.bucket) {
        return refuse("option bucket");
    }
    if was.bucket_function != is.bucket_function || ids(old, &old.bucket_keys())? != ids(new, &new.bucket_keys())? {
        return refuse("how rows get their bucket");
    }
    if was.data_file_prefix != is.data_file_prefix && matches!(is.bucket, crate::schema::BucketMode::Postpone) {
        return refuse("option data-file.prefix");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int32Array};

    use super::*;
    use crate::schema::SchemaChange;
    use crate::types::DataType;

    fn path(name: &str) -> Vec<String> {
        vec![name.to_string()]
    }

    #[test]
    fn a_column_that_is_gone_may_hold_nothing_and_is_named_when_it_does() {
        let first = Schema::builder().column("a", DataType::INT).column("b", DataType::INT).column("c", DataType::INT);
        let first = first.build().unwrap();
        let renamed = SchemaChange::RenameColumn(path("b"), "bb".into());
        let second = first.changed(&[SchemaChange::DropColumn(path("a")), renamed], true).unwrap();
        let gone = Gone::default().after(&first, &second);
        let batch = |name: &str, values: Vec<Option<i32>>| {
            let column: ArrayRef = Arc::new(Int32Array::from(values));
            RecordBatch::try_from_iter_with_nullable([(name, column, true)]).unwrap()
        };
        assert_eq!(gone.without(&batch("c", vec![Some(1)])).unwrap().num_columns(), 1);
        let without = gone.without(&batch("a", vec![None, None])).unwrap();
        assert_eq!((without.num_columns(), without.num_rows()), (0, 2));
        for (name, word) in [("a", "dropped by schema 1"), ("b", "renamed to \"bb\" by schema 1")] {
            let error = gone.without(&batch(name, vec![None, Some(1)])).unwrap_err();
            assert!(matches!(&error, Error::Conflict(text) if text.contains(word)), "{error}");
        }
        let back = SchemaChange::AddColumn { path: path("a"), data_type: DataType::INT, comment: None, place: None };
        let third = second.changed(&[back], true).unwrap();
        assert!(gone.after(&second, &third).without(&batch("a", vec![Some(1)])).is_ok(), "another column of that name");
    }

    #[test]
    fn a_schema_that_lays_rows_elsewhere_is_refused_and_one_that_renames_keys_is_not() {
        let of = |options: &[(&str, &str)]| {
            let builder = Schema::builder().column("k", DataType::INT).column("a", DataType::INT).primary_key(["k"]);
            options.iter().fold(builder, |builder, (key, value)| builder.option(*key, *value)).build().unwrap()
        };
        let check = |old: &Schema, new: &Schema| {
            check_same(old, new, &TableOptions::parse(old).unwrap(), &TableOptions::parse(new).unwrap())
        };
        let first = of(&[("bucket", "2")]);
        let renamed = first.changed(&[SchemaChange::RenameColumn(path("k"), "kk".into())], true).unwrap();
        assert_eq!(check(&first, &renamed), Ok(()));
        assert_eq!(check(&first, &of(&[("bucket", "4")])), Ok(()), "new partitions get the new count");
        for other in [of(&[]), of(&[("bucket", "2"), ("bucket-function.type", "mod")])] {
            assert!(matches!(check(&first, &other), Err(Error::Conflict(_))));
        }
    }
}
