//! Which partitions a condition is true for: exactly, where a plan is content with those it may be true for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{RecordBatch, RecordBatchOptions};

use super::partition_filter;
use crate::error::{Error, Result};
use crate::format::BinaryRow;
use crate::history::FileFilter;
use crate::predicate::{Expr, evaluate};
use crate::schema::{Schema, TableOptions};
use crate::types::{DataType, lane_schema};

/// A condition on partition columns alone. Remembers its answers; clones share them.
#[derive(Clone)]
pub struct PartitionTest {
    schema: Arc<Schema>,
    types: Vec<DataType>,
    filter: Arc<Expr>,
    files: FileFilter,
    known: Arc<Mutex<HashMap<BinaryRow, bool>>>,
}

impl fmt::Debug for PartitionTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartitionTest({:?})", self.filter)
    }
}

impl PartitionTest {
    /// # Errors
    /// [`Error::Invalid`] for a condition that does not fit or speaks of columns that are no partition columns.
    pub fn new(schema: &Arc<Schema>, options: &TableOptions, filter: &Expr) -> Result<Self> {
        Ok(Self {
            files: partition_filter(schema, options, filter)?,
            filter: Arc::new(filter.bind(schema)?),
            types: schema.types_of(&schema.partition_keys)?,
            schema: Arc::clone(schema),
            known: Arc::default(),
        })
    }

    /// Whether a condition speaks of partition columns alone, and of one at the least.
    pub fn fits(schema: &Schema, filter: &Expr) -> bool {
        let columns = filter.columns();
        !columns.is_empty() && columns.iter().all(|column| schema.partition_keys.contains(column))
    }

    /// Which live files may lie in these partitions; [`PartitionTest::matches`] tells which do.
    pub fn file_filter(&self) -> FileFilter {
        self.files.clone()
    }

    /// Whether the condition is true for a partition.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a partition that cannot be decoded.
    pub fn matches(&self, partition: &BinaryRow) -> Result<bool> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(partition) {
            return Ok(*known);
        }
        let matches = is_true_for(&self.filter, &self.schema, &self.types, partition)?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(partition.clone(), matches);
        Ok(matches)
    }
}

/// Whether a bound condition on partition columns alone is true for a partition, whose columns have these types.
///
/// # Errors
/// [`Error::Corrupt`] for a partition that cannot be decoded.
pub(super) fn is_true_for(filter: &Expr, schema: &Schema, types: &[DataType], partition: &BinaryRow) -> Result<bool> {
    let values = partition.decode(types)?;
    let lanes = values.iter().zip(types).map(|(value, it)| value.repeat(&it.kind, 1)).collect::<Result<_>>()?;
    let names = schema.partition_keys.iter().map(String::as_str);
    let fields = lane_schema(names.zip(types.iter().map(|it| it.clone().nullable())));
    // A table without partitions has one of no columns.
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(fields, lanes, &options);
    let row = row.map_err(|error| Error::bug(error.to_string()))?;
    Ok(evaluate(filter, &row)?.true_count() == 1)
}
