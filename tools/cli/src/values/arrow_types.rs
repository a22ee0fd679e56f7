//! The table column that fits an Arrow column: for `create --like`, and to show Arrow batches to people.

use arrow_schema::{DataType as ArrowType, Field, Schema, TimeUnit};
use forebay::types::{DataType, TypeKind};
use forebay::{Error, Result};

use super::Columns;

/// The kind that holds every value of an Arrow type.
///
/// # Errors
/// [`Error::Unsupported`] when there is none; names the column.
pub fn kind_of(name: &str, arrow: &ArrowType) -> Result<TypeKind> {
    let digits = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    Ok(match arrow {
        ArrowType::Boolean => TypeKind::Boolean,
        ArrowType::Int8 => TypeKind::TinyInt,
        ArrowType::Int16 | ArrowType::UInt8 => TypeKind::SmallInt,
        ArrowType::Int32 | ArrowType::UInt16 => TypeKind::Int,
        ArrowType::Int64 | ArrowType::UInt32 => TypeKind::BigInt,
        ArrowType::Float32 => TypeKind::Float,
        ArrowType::Float64 => TypeKind::Double,
        ArrowType::Decimal32(p, s) | ArrowType::Decimal64(p, s) | ArrowType::Decimal128(p, s)
            if (1..=38).contains(p) && (0..=*p as i8).contains(s) =>
        {
            TypeKind::Decimal { precision: *p, scale: *s as u8 }
        }
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => TypeKind::STRING,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => TypeKind::BYTES,
        ArrowType::FixedSizeBinary(n) if *n > 0 => TypeKind::Binary(*n as u32),
        ArrowType::Date32 => TypeKind::Date,
        ArrowType::Time32(_) | ArrowType::Time64(_) => TypeKind::Time(3),
        ArrowType::Timestamp(unit, None) => TypeKind::Timestamp(digits(unit)),
        ArrowType::Timestamp(unit, Some(_)) => TypeKind::TimestampLtz(digits(unit)),
        ArrowType::List(element) | ArrowType::LargeList(element) | ArrowType::FixedSizeList(element, _) => {
            DataType::array(column_of(element)?.1).kind
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(pair) if pair.len() == 2 => {
                DataType::map(column_of(&pair[0])?.1, column_of(&pair[1])?.1).kind
            }
            other => return Err(Error::unsupported(format!("column {name:?}: a map of Arrow type {other}"))),
        },
        ArrowType::Struct(fields) => {
            DataType::row(fields.iter().map(|field| column_of(field)).collect::<Result<Vec<_>>>()?).kind
        }
        ArrowType::Dictionary(_, values) => kind_of(name, values)?,
        ArrowType::Null => {
            return Err(Error::unsupported(format!(
                "column {name:?} of Arrow type Null, which does not tell its type"
            )));
        }
        other => return Err(Error::unsupported(format!("column {name:?} of Arrow type {other}"))),
    })
}

/// The column that fits an Arrow field.
pub fn column_of(field: &Field) -> Result<(String, DataType)> {
    let kind = kind_of(field.name(), field.data_type())?;
    Ok((field.name().clone(), DataType { kind, nullable: field.is_nullable() }))
}

/// The columns that fit an Arrow schema, and the names of those that have no type, or a part without one: there they hold
/// NULLs alone, or nothing.
pub fn typed_columns(schema: &Schema) -> Result<(Columns, Vec<String>)> {
    let (untyped, typed): (Vec<_>, Vec<_>) = schema.fields().iter().partition(|field| lacks_type(field.data_type()));
    let columns = typed.into_iter().map(|field| column_of(field)).collect::<Result<_>>()?;
    Ok((columns, untyped.into_iter().map(|field| field.name().clone()).collect()))
}

fn lacks_type(arrow: &ArrowType) -> bool {
    match arrow {
        ArrowType::Null => true,
        ArrowType::Dictionary(_, values) => lacks_type(values),
        ArrowType::List(part)
        | ArrowType::LargeList(part)
        | ArrowType::FixedSizeList(part, _)
        | ArrowType::Map(part, _) => lacks_type(part.data_type()),
        ArrowType::Struct(fields) => fields.iter().any(|field| lacks_type(field.data_type())),
        _ => false,
    }
}

/// The columns that fit an Arrow schema.
pub fn columns_of(schema: &Schema) -> Result<Columns> {
    schema.fields().iter().map(|field| column_of(field)).collect()
}
