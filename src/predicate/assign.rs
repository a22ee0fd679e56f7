//! What an update sets: columns to literals, to NULL or to other columns, as text `column = value`.

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_select::zip::zip;

use super::literal::Literal;
use crate::error::{Error, Result};
use crate::schema::Schema;
use crate::types::{Datum, TypeKind};

/// A column and what it is set to.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The column's name.
    pub column: String,
    /// Its new value.
    pub value: Assigned,
}

/// What a column is set to.
#[derive(Debug, Clone, PartialEq)]
pub enum Assigned {
    /// A value of the column's type, once bound.
    Literal(Literal),
    /// NULL.
    Null,
    /// What another column of the row holds.
    Column(String),
}

impl Assignment {
    /// The same with a literal that is a value of the column's type.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column that is not there, a value of another type, and NULL where there must be none.
    pub fn bind(&self, schema: &Schema) -> Result<Self> {
        let target = &schema.fields[schema.require(&self.column)?];
        let value = match &self.value {
            Assigned::Literal(literal) => {
                let named = |error: Error| match error {
                    Error::Invalid(text) => Error::invalid(format!("column {}: {text}", self.column)),
                    other => other,
                };
                Assigned::Literal(Literal::Datum(literal.to_datum(&target.data_type.kind).map_err(named)?))
            }
            Assigned::Null if !target.data_type.nullable => {
                return Err(Error::invalid(format!("column {} takes no NULL", self.column)));
            }
            Assigned::Null => Assigned::Null,
            Assigned::Column(name) => {
                let source = &schema.fields[schema.require(name)?].data_type;
                if !holds(&target.data_type.kind, &source.kind) {
                    let (to, from) = (&target.data_type, source);
                    return Err(Error::invalid(format!("column {} of {to} takes no {from} of {name}", self.column)));
                }
                Assigned::Column(name.clone())
            }
        };
        Ok(Self { column: self.column.clone(), value })
    }

    fn lane(&self, schema: &Schema, rows: &RecordBatch) -> Result<ArrayRef> {
        let kind = &schema.fields[schema.require(&self.column)?].data_type.kind;
        match &self.value {
            Assigned::Literal(Literal::Datum(value)) => value.repeat(kind, rows.num_rows()),
            Assigned::Literal(_) => Err(Error::bug("an assignment that is not bound")),
            Assigned::Null => Datum::Null.repeat(kind, rows.num_rows()),
            Assigned::Column(name) => column(rows, name).cloned(),
        }
    }
}

/// Whether a column takes another one's values as they are; lengths of texts and bytes are checked when they are written.
fn holds(target: &TypeKind, source: &TypeKind) -> bool {
    use TypeKind::{Binary, Char, VarBinary, VarChar};
    match (target, source) {
        (Char(_) | VarChar(_), Char(_) | VarChar(_)) | (Binary(_) | VarBinary(_), Binary(_) | VarBinary(_)) => true,
        (target, source) => target == source,
    }
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    rows.column_by_name(name).ok_or_else(|| Error::bug(format!("no column {name} to assign")))
}

/// Rows of lanes with new values, in those rows for which `which` is true, or in all. Every value is taken from the rows
/// as they were.
///
/// # Errors
/// [`Error::Bug`] for assignments that are not bound or a column that is missing.
pub fn assign(
    assignments: &[Assignment],
    schema: &Schema,
    rows: &RecordBatch,
    which: Option<&BooleanArray>,
) -> Result<RecordBatch> {
    let bug = |error: arrow_schema::ArrowError| Error::bug(error.to_string());
    let mut columns = rows.columns().to_vec();
    for assignment in assignments {
        let at = rows.schema().index_of(&assignment.column).map_err(bug)?;
        let new = assignment.lane(schema, rows)?;
        columns[at] = match which {
            Some(which) => zip(which, &new, rows.column(at)).map_err(bug)?,
            None => new,
        };
    }
    // A NULL in a column that takes none is told by the writer.
    let fields =
        rows.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(std::sync::Arc::new(arrow_schema::Schema::new(fields)), columns, &options)
        .map_err(bug)
}
