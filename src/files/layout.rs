//! The columns of a data file: their order, names, field ids and Parquet types.
//! Spec: `format-spec/data-files.md`.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use super::parquet_type::parquet_type;
use crate::error::{Error, Result};
use crate::schema::{Field, Schema};
use crate::types::{DataType, lane_field};

/// `_KEY_<column>` has the id of its column plus this.
const KEY_ID_BASE: i32 = 1_073_741_823;
const SEQUENCE_ID: i32 = 2_147_483_646;
const KIND_ID: i32 = 2_147_483_645;

/// The name of the sequence number's column.
pub(crate) const SEQUENCE_NAME: &str = "_SEQUENCE_NUMBER";
/// The name of the row kind's column.
pub(crate) const KIND_NAME: &str = "_VALUE_KIND";

/// Where the values of a file's column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnSource {
    /// The table's column at this position.
    Value(usize),
    /// The sequence numbers.
    Sequence,
    /// The row kinds.
    Kind,
}

/// One column of a data file.
#[derive(Debug, Clone)]
pub struct FileColumn {
    /// Its name in the file.
    pub name: String,
    /// Its Parquet field id.
    pub id: i32,
    /// Its type.
    pub data_type: DataType,
    /// Where its values come from.
    pub source: ColumnSource,
}

/// The columns of the data files of a table.
#[derive(Debug, Clone)]
pub struct FileLayout {
    /// The columns in file order.
    pub columns: Vec<FileColumn>,
    /// The trimmed key's positions in the table.
    pub key_columns: Vec<usize>,
    /// The columns as Arrow lanes.
    pub arrow: SchemaRef,
    /// The columns as Parquet lays them out.
    pub parquet: SchemaDescPtr,
    /// The leaves of each column among those of the file: one for a scalar type, one for each scalar part of a nested one.
    pub leaves: Vec<Range<usize>>,
}

impl FileLayout {
    /// The layout of a table's files: with key, sequence number and kind for primary-key tables (without the
    /// `_KEY_` columns in thin mode), the bare columns for append tables.
    ///
    /// # Errors
    /// [`Error::Bug`] when Parquet refuses the columns.
    pub fn of(schema: &Schema, thin: bool) -> Result<Self> {
        let key_columns = schema.positions(&schema.trimmed_primary_keys())?;
        let mut columns = Vec::new();
        let column = |name: String, id: i32, field: &Field, at: usize| FileColumn {
            name,
            id,
            data_type: field.data_type.clone(),
            source: ColumnSource::Value(at),
        };
        if schema.has_primary_key() {
            for at in key_columns.iter().filter(|_| !thin) {
                let field = &schema.fields[*at];
                columns.push(column(format!("_KEY_{}", field.name), KEY_ID_BASE + field.id, field, *at));
            }
            let system = |name: &str, id, data_type: DataType, source| FileColumn {
                name: name.to_string(),
                id,
                data_type: data_type.not_null(),
                source,
            };
            columns.push(system(SEQUENCE_NAME, SEQUENCE_ID, DataType::BIGINT, ColumnSource::Sequence));
            columns.push(system(KIND_NAME, KIND_ID, DataType::TINYINT, ColumnSource::Kind));
        }
        for (at, field) in schema.fields.iter().enumerate() {
            columns.push(column(field.name.clone(), field.id, field, at));
        }
        let arrow = columns.iter().map(|column| lane_field(&column.name, &column.data_type)).collect::<Vec<_>>();
        let fields =
            columns.iter().map(|column| parquet_type(&column.name, &column.data_type, column.id).map(Arc::new));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let root = Type::group_type_builder("paimon_schema").with_fields(fields).build();
        let root = root.map_err(|error| Error::bug(format!("parquet schema: {error}")))?;
        let parquet = SchemaDescriptor::new(Arc::new(root));
        let leaves = (0..columns.len()).map(|at| leaves_of(&parquet, at)).collect();
        Ok(Self { columns, key_columns, arrow: Arc::new(ArrowSchema::new(arrow)), parquet: Arc::new(parquet), leaves })
    }
}

/// The leaves of a top-level column of a file.
pub(super) fn leaves_of(descriptor: &SchemaDescriptor, column: usize) -> Range<usize> {
    let of: Vec<usize> =
        (0..descriptor.num_columns()).filter(|leaf| descriptor.get_column_root_idx(*leaf) == column).collect();
    of.first().copied().unwrap_or(0)..of.last().map_or(0, |last| last + 1)
}

/// The leaves of the top-level column of a name.
pub(super) fn leaves_named(descriptor: &SchemaDescriptor, name: &str) -> Option<Range<usize>> {
    let root = descriptor.root_schema().get_fields().iter().position(|field| field.name() == name)?;
    Some(leaves_of(descriptor, root))
}
