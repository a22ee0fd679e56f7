//! Which columns a read needs, and where they come from in files of any schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{FieldRef, SchemaRef};

use crate::error::{Error, Result};
use crate::files::PlannedColumn;
use crate::format::BinaryRow;
use crate::predicate::Expr;
use crate::schema::{Schema, column_mapping};
use crate::types::{DataType, Datum, TypeKind, cast_lane, lane_schema};

/// The columns a read works on: those it shows, those its filter looks at, and those that order versions.
#[derive(Debug, Clone)]
pub(crate) struct WorkColumns {
    schema: Arc<Schema>,
    /// Positions in the schema, rising.
    pub positions: Vec<usize>,
    /// For each column shown its place in `positions`.
    pub shown: Vec<usize>,
    /// The working columns as lanes.
    pub lanes: SchemaRef,
}

impl WorkColumns {
    pub(crate) fn new(schema: Arc<Schema>, shown: &[usize], filter: Option<&Expr>, others: &[usize]) -> Result<Self> {
        let mut needed: BTreeSet<usize> = shown.iter().chain(others).copied().collect();
        for name in filter.map(Expr::columns).unwrap_or_default() {
            needed.insert(schema.require(&name)?);
        }
        let positions: Vec<usize> = needed.into_iter().collect();
        let place = |position: &usize| positions.iter().position(|other| other == position).unwrap_or(0);
        let shown = shown.iter().map(place).collect();
        let fields = positions.iter().map(|at| (schema.fields[*at].name.as_str(), &schema.fields[*at].data_type));
        let lanes = lane_schema(fields);
        Ok(Self { schema, positions, shown, lanes })
    }

    /// The places of columns of the schema among the working columns.
    pub(crate) fn places(&self, positions: &[usize]) -> Vec<usize> {
        positions.iter().filter_map(|at| self.positions.iter().position(|other| other == at)).collect()
    }

    /// How to find the working columns in files of `file_schema`.
    pub(crate) fn in_files_of(&self, file_schema: &Schema) -> Result<Vec<Origin>> {
        let mapping = column_mapping(file_schema, &self.schema)?;
        let origin = |at: &usize| {
            let field = &self.schema.fields[*at];
            if let Some(key) = self.schema.partition_keys.iter().position(|key| *key == field.name) {
                return Origin::Partition(key, field.data_type.clone());
            }
            let stored = mapping.get(*at).copied().flatten().map(|there| &file_schema.fields[there]);
            let planned = |data_type: &DataType| PlannedColumn {
                name: field.name.clone(),
                in_file: stored.map(|stored| stored.name.clone()),
                data_type: data_type.clone(),
            };
            match stored.filter(|stored| stored.data_type.kind != field.data_type.kind) {
                Some(stored) => Origin::Changed(planned(&stored.data_type), field.data_type.kind.clone()),
                None => Origin::File(planned(&field.data_type)),
            }
        };
        Ok(self.positions.iter().map(origin).collect())
    }

    /// The working columns of a batch as a record batch. The caller names where its rows lie.
    pub(crate) fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        typed_batch(&self.lanes, columns, rows)
    }
}

/// Columns as a record batch. The caller names where its rows lie.
///
/// # Errors
/// [`Error::Corrupt`] for rows that break their column's type; it names a NOT NULL column that holds NULL.
pub(crate) fn typed_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let holds_null = |(field, lane): &(&FieldRef, &ArrayRef)| !field.is_nullable() && lane.null_count() > 0;
    if let Some((field, _)) = schema.fields().iter().zip(&columns).find(holds_null) {
        let words =
            "is NOT NULL and holds NULL; if it was made so over such rows, they are seen once it allows NULL again";
        return Err(Error::corrupt("", format!("column {} {words}", field.name())));
    }
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| Error::corrupt("", format!("a row breaks its column's type: {error}")))
}

/// Where a working column comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// From the manifest's partition, whatever the file holds.
    Partition(usize, DataType),
    /// From the file.
    File(PlannedColumn),
    /// From the file, where it has another type than this one.
    Changed(PlannedColumn, TypeKind),
}

impl Origin {
    /// What is read of the file.
    pub(crate) fn planned(&self) -> Option<&PlannedColumn> {
        match self {
            Self::Partition(..) => None,
            Self::File(planned) | Self::Changed(planned, _) => Some(planned),
        }
    }

    /// A lane as it was read, as the table has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value that is none of the table's type; names the column.
    pub(crate) fn lane(&self, read: ArrayRef) -> Result<ArrayRef> {
        let Self::Changed(stored, kind) = self else { return Ok(read) };
        cast_lane(&stored.data_type.kind, kind, &read).map_err(|error| match error {
            Error::Invalid(text) => Error::invalid(format!("column {:?}, read as {kind}: {text}", stored.name)),
            other => other,
        })
    }
}

/// The constant lanes of a partition.
#[derive(Clone)]
pub(crate) struct PartitionValues(Vec<Datum>);

impl PartitionValues {
    pub(crate) fn of(schema: &Schema, partition: &BinaryRow) -> Result<Self> {
        partition.decode(&schema.types_of(&schema.partition_keys)?).map(Self)
    }

    pub(crate) fn lane(&self, key: usize, data_type: &DataType, rows: usize) -> Result<ArrayRef> {
        self.0.get(key).unwrap_or(&Datum::Null).repeat(&data_type.kind, rows)
    }
}
