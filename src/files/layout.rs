//! The columns of a data file: their order, names, field ids and Parquet types.
//! Spec: `format-spec/data-files.md`.

use std::sync::Arc;

use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use parquet::basic::{
    DecimalType, IntType, LogicalType, Repetition, TimeType, TimeUnit, TimestampType, Type as Physical,
};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use crate::error::{Error, Result};
use crate::schema::{Field, Schema};
use crate::types::{DataType, TypeKind, lane_field};

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
            data_type: field.data_type,
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
        let arrow = columns.iter().map(|column| lane_field(&column.name, column.data_type)).collect::<Vec<_>>();
        let fields = columns.iter().map(|column| parquet_type(column).map(Arc::new)).collect::<Result<Vec<_>>>()?;
        let root = Type::group_type_builder("paimon_schema").with_fields(fields).build();
        let root = root.map_err(|error| Error::bug(format!("parquet schema: {error}")))?;
        Ok(Self {
            columns,
            key_columns,
            arrow: Arc::new(ArrowSchema::new(arrow)),
            parquet: Arc::new(SchemaDescriptor::new(Arc::new(root))),
        })
    }
}

fn parquet_type(column: &FileColumn) -> Result<Type> {
    let repetition = if column.data_type.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let integer = |bit_width| Some(LogicalType::Integer(IntType { bit_width, is_signed: true }));
    let timestamp = |unit, zoned| Some(LogicalType::Timestamp(TimestampType { is_adjusted_to_u_t_c: zoned, unit }));
    let (physical, logical) = match column.data_type.kind {
        TypeKind::Boolean => (Physical::BOOLEAN, None),
        TypeKind::TinyInt => (Physical::INT32, integer(8)),
        TypeKind::SmallInt => (Physical::INT32, integer(16)),
        TypeKind::Int => (Physical::INT32, None),
        TypeKind::BigInt => (Physical::INT64, None),
        TypeKind::Float => (Physical::FLOAT, None),
        TypeKind::Double => (Physical::DOUBLE, None),
        TypeKind::Char(_) | TypeKind::VarChar(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => (Physical::BYTE_ARRAY, None),
        TypeKind::Date => (Physical::INT32, Some(LogicalType::Date)),
        TypeKind::Time(_) => {
            (Physical::INT32, Some(LogicalType::Time(TimeType { is_adjusted_to_u_t_c: true, unit: TimeUnit::MILLIS })))
        }
        TypeKind::Timestamp(0..=3) => (Physical::INT64, timestamp(TimeUnit::MILLIS, false)),
        TypeKind::Timestamp(4..=6) => (Physical::INT64, timestamp(TimeUnit::MICROS, false)),
        TypeKind::TimestampLtz(0..=3) => (Physical::INT64, timestamp(TimeUnit::MILLIS, true)),
        TypeKind::TimestampLtz(4..=6) => (Physical::INT64, timestamp(TimeUnit::MICROS, true)),
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => (Physical::INT96, None),
        TypeKind::Decimal { precision, scale } => {
            let logical =
                LogicalType::Decimal(DecimalType { scale: i32::from(scale), precision: i32::from(precision) });
            let physical = match precision {
                0..=9 => Physical::INT32,
                10..=18 => Physical::INT64,
                _ => Physical::FIXED_LEN_BYTE_ARRAY,
            };
            (physical, Some(logical))
        }
    };
    let mut builder = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(repetition)
        .with_id(Some(column.id))
        .with_logical_type(logical);
    if let TypeKind::Decimal { precision, scale } = column.data_type.kind {
        builder = builder.with_precision(i32::from(precision)).with_scale(i32::from(scale));
        if physical == Physical::FIXED_LEN_BYTE_ARRAY {
            builder = builder.with_length(decimal_bytes(precision));
        }
    }
    builder.build().map_err(|error| Error::bug(format!("parquet type of {}: {error}", column.name)))
}

/// The fewest bytes that hold every number of `precision` digits with its sign.
fn decimal_bytes(precision: u8) -> i32 {
    let largest = 10_i128.pow(u32::from(precision)) - 1;
    let bits = 128 - largest.leading_zeros() + 1;
    bits.div_ceil(8) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_take_the_fewest_bytes() {
        assert_eq!([19, 20, 21, 38].map(decimal_bytes), [9, 9, 9, 16]);
        assert_eq!(decimal_bytes(22), 10);
    }
}
