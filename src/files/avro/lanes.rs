//! Lanes made from the values of records.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time32MillisecondBuilder, TimestampMicrosecondBuilder,
    TimestampMillisecondBuilder,
};

use super::corrupt;
use super::nested::{NestedLane, Room};
use crate::error::Result;
use crate::format::avro::{Cursor, Logical, Node, NodeId, Schema};
use crate::types::{TypeKind, lane_type};

/// Reads one column's values into a lane.
pub(super) struct Lane {
    /// How the file tells NULL: the branches of the union, where there is one.
    union: Option<Branches>,
    values: Values,
}

#[derive(Clone, Copy)]
struct Branches {
    null: i64,
    value: i64,
}

enum Values {
    Boolean(BooleanBuilder),
    TinyInt(Int8Builder),
    SmallInt(Int16Builder),
    Int(Int32Builder),
    BigInt(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Text(StringBuilder),
    /// With the size of a value where all have one.
    Bytes(BinaryBuilder, Option<usize>),
    Date(Date32Builder),
    Time(Time32MillisecondBuilder),
    Millis(TimestampMillisecondBuilder),
    /// With the microseconds of what the file counts.
    Micros(TimestampMicrosecondBuilder, i64),
    /// With the nanoseconds of what the file counts.
    Nanos(Decimal128Builder, i128),
    Decimal(Decimal128Builder, Option<usize>),
    Nested(Box<NestedLane>),
}

impl Lane {
    /// A lane of a kind from the values of a node.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when the file stores something else under this name.
    pub(super) fn of(name: &str, kind: &TypeKind, schema: &Schema, node: NodeId) -> Result<Self> {
        let wrong = || corrupt(format!("column {name} is stored as {:?}, which is no {kind}", schema.node(node)));
        let (union, value) = match schema.node(node) {
            Node::Union(branches) => {
                let is_null = |id: &NodeId| matches!(schema.node(*id), Node::Null);
                let null = branches.iter().position(is_null);
                let value = branches.iter().position(|id| !is_null(id));
                match (branches.len(), null, value) {
                    (2, Some(null), Some(value)) => {
                        (Some(Branches { null: null as i64, value: value as i64 }), branches[value])
                    }
                    (1, None, Some(0)) => (Some(Branches { null: -1, value: 0 }), branches[0]),
                    _ => return Err(wrong()),
                }
            }
            _ => (None, node),
        };
        let values = match kind.is_nested() {
            true => NestedLane::of(name, kind, schema, value)?.map(|lane| Values::Nested(Box::new(lane))),
            false => Values::of(kind, schema, value),
        };
        Ok(Self { union, values: values.ok_or_else(wrong)? })
    }

    /// A lane of the keys of Avro's own maps.
    pub(super) fn of_map_keys() -> Self {
        Self { union: None, values: Values::Text(StringBuilder::new()) }
    }

    /// Takes a NULL, whatever comes next in the file.
    pub(super) fn append_null(&mut self) {
        self.values.append_null();
    }

    /// Reads the next value. The parts of nested ones take from the room.
    #[inline]
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, room: &mut Room) -> Result<()> {
        if let Some(union) = self.union {
            let branch = cursor.long()?;
            if branch == union.null {
                self.values.append_null();
                return Ok(());
            }
            if branch != union.value {
                return Err(corrupt(format!("branch {branch} of a union")));
            }
        }
        self.values.read(cursor, room)
    }

    /// Bytes held beside one value of a fixed width for each row: offsets of text end at 2 GiB.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.values {
            Values::Text(lane) => lane.values_slice().len(),
            Values::Bytes(lane, _) => lane.values_slice().len(),
            Values::Nested(lane) => lane.bytes(),
            _ => 0,
        }
    }

    /// The values read since the last call, as a lane of the kind.
    pub(super) fn finish(&mut self, kind: &TypeKind) -> Result<ArrayRef> {
        self.values.finish(kind)
    }
}

fn fixed_size(schema: &Schema, node: NodeId) -> Option<Option<usize>> {
    match schema.node(node) {
        Node::Bytes => Some(None),
        Node::Fixed(size) => Some(Some(*size)),
        _ => None,
    }
}

impl Values {
    fn of(kind: &TypeKind, schema: &Schema, node: NodeId) -> Option<Self> {
        let stored = schema.node(node);
        let whole = matches!(stored, Node::Int | Node::Long);
        Some(match kind {
            TypeKind::Boolean if matches!(stored, Node::Boolean) => Self::Boolean(BooleanBuilder::new()),
            TypeKind::TinyInt if whole => Self::TinyInt(Int8Builder::new()),
            TypeKind::SmallInt if whole => Self::SmallInt(Int16Builder::new()),
            TypeKind::Int if whole => Self::Int(Int32Builder::new()),
            TypeKind::BigInt if whole => Self::BigInt(Int64Builder::new()),
            TypeKind::Float if matches!(stored, Node::Float) => Self::Float(Float32Builder::new()),
            TypeKind::Double if matches!(stored, Node::Double) => Self::Double(Float64Builder::new()),
            TypeKind::Char(_) | TypeKind::VarChar(_) if matches!(stored, Node::Bytes) => {
                Self::Text(StringBuilder::new())
            }
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
                Self::Bytes(BinaryBuilder::new(), fixed_size(schema, node)?)
            }
            TypeKind::Date if whole => Self::Date(Date32Builder::new()),
            TypeKind::Time(_) if whole => Self::Time(Time32MillisecondBuilder::new()),
            TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision) if whole => {
                match (precision, schema.logical(node)?) {
                    (0..=3, Logical::Millis) => Self::Millis(TimestampMillisecondBuilder::new()),
                    (4..=6, Logical::Millis) => Self::Micros(TimestampMicrosecondBuilder::new(), 1000),
                    (4..=6, Logical::Micros) => Self::Micros(TimestampMicrosecondBuilder::new(), 1),
                    (7.., Logical::Millis) => Self::Nanos(Decimal128Builder::new(), 1_000_000),
                    (7.., Logical::Micros) => Self::Nanos(Decimal128Builder::new(), 1000),
                    _ => return None,
                }
            }
            TypeKind::Decimal { scale, .. } => match schema.logical(node)? {
                Logical::Decimal { scale: stored } if stored == i32::from(*scale) => {
                    Self::Decimal(Decimal128Builder::new(), fixed_size(schema, node)?)
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    fn append_null(&mut self) {
        match self {
            Self::Boolean(lane) => lane.append_null(),
            Self::TinyInt(lane) => lane.append_null(),
            Self::SmallInt(lane) => lane.append_null(),
            Self::Int(lane) => lane.append_null(),
            Self::BigInt(lane) => lane.append_null(),
            Self::Float(lane) => lane.append_null(),
            Self::Double(lane) => lane.append_null(),
            Self::Text(lane) => lane.append_null(),
            Self::Bytes(lane, _) => lane.append_null(),
            Self::Date(lane) => lane.append_null(),
            Self::Time(lane) => lane.append_null(),
            Self::Millis(lane) => lane.append_null(),
            Self::Micros(lane, _) => lane.append_null(),
            Self::Nanos(lane, _) | Self::Decimal(lane, _) => lane.append_null(),
            Self::Nested(lane) => lane.append_null(),
        }
    }

    #[inline]
    fn read(&mut self, cursor: &mut Cursor<'_>, room: &mut Room) -> Result<()> {
        match self {
            Self::Boolean(lane) => lane.append_value(cursor.take(1)?[0] != 0),
            Self::TinyInt(lane) => lane.append_value(narrow(cursor)?),
            Self::SmallInt(lane) => lane.append_value(narrow(cursor)?),
            Self::Int(lane) => lane.append_value(narrow(cursor)?),
            Self::BigInt(lane) => lane.append_value(cursor.long()?),
            Self::Float(lane) => lane.append_value(f32::from_le_bytes(array(cursor)?)),
            Self::Double(lane) => lane.append_value(f64::from_le_bytes(array(cursor)?)),
            Self::Text(lane) => {
                let text = std::str::from_utf8(sized(cursor, None)?);
                lane.append_value(text.map_err(|error| corrupt(error.to_string()))?);
            }
            Self::Bytes(lane, size) => lane.append_value(sized(cursor, *size)?),
            Self::Date(lane) => lane.append_value(narrow(cursor)?),
            Self::Time(lane) => lane.append_value(narrow(cursor)?),
            Self::Millis(lane) => lane.append_value(cursor.long()?),
            Self::Micros(lane, factor) => {
                let micros = cursor.long()?.checked_mul(*factor);
                lane.append_value(micros.ok_or_else(|| corrupt("a timestamp has more than 64 bits"))?);
            }
            Self::Nanos(lane, factor) => lane.append_value(i128::from(cursor.long()?) * *factor),
            Self::Decimal(lane, size) => lane.append_value(unscaled(sized(cursor, *size)?)?),
            Self::Nested(lane) => lane.read(cursor, room)?,
        }
        Ok(())
    }

    fn finish(&mut self, kind: &TypeKind) -> Result<ArrayRef> {
        let wrong = |error: arrow_schema::ArrowError| corrupt(error.to_string());
        let zone = matches!(kind, TypeKind::TimestampLtz(_)).then_some("UTC");
        Ok(match self {
            Self::Boolean(lane) => Arc::new(lane.finish()),
            Self::TinyInt(lane) => Arc::new(lane.finish()),
            Self::SmallInt(lane) => Arc::new(lane.finish()),
            Self::Int(lane) => Arc::new(lane.finish()),
            Self::BigInt(lane) => Arc::new(lane.finish()),
            Self::Float(lane) => Arc::new(lane.finish()),
            Self::Double(lane) => Arc::new(lane.finish()),
            Self::Text(lane) => Arc::new(lane.finish()),
            Self::Bytes(lane, _) => Arc::new(lane.finish()),
            Self::Date(lane) => Arc::new(lane.finish()),
            Self::Time(lane) => Arc::new(lane.finish()),
            Self::Millis(lane) => Arc::new(lane.finish().with_timezone_opt(zone)),
            Self::Micros(lane, _) => Arc::new(lane.finish().with_timezone_opt(zone)),
            Self::Nanos(lane, _) => Arc::new(lane.finish().with_precision_and_scale(38, 9).map_err(wrong)?),
            Self::Decimal(lane, _) => {
                let arrow_schema::DataType::Decimal128(precision, scale) = lane_type(kind) else {
                    return Err(crate::Error::bug(format!("{kind} has no decimal lane")));
                };
                let lane = lane.finish().with_precision_and_scale(precision, scale).map_err(wrong)?;
                lane.validate_decimal_precision(precision).map_err(wrong)?;
                Arc::new(lane)
            }
            Self::Nested(lane) => return lane.finish(kind),
        })
    }
}

#[inline]
fn narrow<T: TryFrom<i64>>(cursor: &mut Cursor<'_>) -> Result<T> {
    let number = cursor.long()?;
    T::try_from(number).map_err(|_| corrupt(format!("{number} does not fit its column")))
}

fn array<const N: usize>(cursor: &mut Cursor<'_>) -> Result<[u8; N]> {
    cursor.take(N)?.try_into().map_err(|_| corrupt("a number ends early"))
}

/// The bytes of a value, whose length is told by the schema or in front of it.
#[inline]
fn sized<'a>(cursor: &mut Cursor<'a>, size: Option<usize>) -> Result<&'a [u8]> {
    match size {
        Some(size) => cursor.take(size),
        None => {
            let length = cursor.long()?;
            cursor.take(usize::try_from(length).map_err(|_| corrupt(format!("a length of {length}")))?)
        }
    }
}

fn unscaled(bytes: &[u8]) -> Result<i128> {
    let Some(first) = bytes.first() else { return Err(corrupt("a decimal without digits")) };
    let fill = if first & 0x80 == 0 { 0 } else { 0xFF };
    let extra = bytes.len().saturating_sub(16);
    if bytes[..extra].iter().any(|byte| *byte != fill) || (bytes[extra] ^ fill) & 0x80 != 0 {
        return Err(corrupt(format!("a decimal of {} bytes", bytes.len())));
    }
    let mut wide = [fill; 16];
    wide[16 - (bytes.len() - extra)..].copy_from_slice(&bytes[extra..]);
    Ok(i128::from_be_bytes(wide))
}
