//! Building the columns of a batch from parsed values, one value at a time.
//!
//! A [`LaneBuilder`] knows its column and refuses what the column cannot hold: a NULL in a NOT NULL column, a number out
//! of range, a text that is too long. It makes the engine's own Arrow types ([`lane_type`]), so that no cast follows.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay::types::{DataType, TypeKind, lane_schema, lane_type};

use super::json_cursor::Cursor;
use super::nested_in::NestedBuilder;
use super::text::{self, Reason};

/// Builds one column.
pub struct LaneBuilder {
    name: String,
    data_type: DataType,
    lane: Lane,
}

enum Lane {
    Boolean(BooleanBuilder),
    TinyInt(PrimitiveBuilder<Int8Type>),
    SmallInt(PrimitiveBuilder<Int16Type>),
    Int(PrimitiveBuilder<Int32Type>),
    BigInt(PrimitiveBuilder<Int64Type>),
    Float(PrimitiveBuilder<Float32Type>),
    Double(PrimitiveBuilder<Float64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>, u8, u8),
    Text(StringBuilder, u32),
    Bytes(BinaryBuilder, u32),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time32MillisecondType>),
    Millis(PrimitiveBuilder<TimestampMillisecondType>, u8, bool),
    Micros(PrimitiveBuilder<TimestampMicrosecondType>, u8, bool),
    Wide(PrimitiveBuilder<Decimal128Type>, u8, bool),
    Nested(Box<NestedBuilder>),
}

fn builder<T: ArrowPrimitiveType>(kind: &TypeKind) -> PrimitiveBuilder<T> {
    PrimitiveBuilder::new().with_data_type(lane_type(kind))
}

impl LaneBuilder {
    /// A builder for a column.
    pub fn new(name: &str, data_type: &DataType) -> Self {
        let kind = &data_type.kind;
        let lane = match kind {
            TypeKind::Boolean => Lane::Boolean(BooleanBuilder::new()),
            TypeKind::TinyInt => Lane::TinyInt(builder(kind)),
            TypeKind::SmallInt => Lane::SmallInt(builder(kind)),
            TypeKind::Int => Lane::Int(builder(kind)),
            TypeKind::BigInt => Lane::BigInt(builder(kind)),
            TypeKind::Float => Lane::Float(builder(kind)),
            TypeKind::Double => Lane::Double(builder(kind)),
            TypeKind::Decimal { precision, scale } => Lane::Decimal(builder(kind), *precision, *scale),
            TypeKind::Char(n) | TypeKind::VarChar(n) => Lane::Text(StringBuilder::new(), *n),
            TypeKind::Binary(n) | TypeKind::VarBinary(n) => Lane::Bytes(BinaryBuilder::new(), *n),
            TypeKind::Date => Lane::Date(builder(kind)),
            TypeKind::Time(_) => Lane::Time(builder(kind)),
            TypeKind::Timestamp(p) => Self::timestamp(kind, *p, false),
            TypeKind::TimestampLtz(p) => Self::timestamp(kind, *p, true),
            TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
                Lane::Nested(Box::new(NestedBuilder::new(name, kind)))
            }
        };
        Self { name: name.to_string(), data_type: data_type.clone(), lane }
    }

    fn timestamp(kind: &TypeKind, precision: u8, zoned: bool) -> Lane {
        match precision {
            0..=3 => Lane::Millis(builder(kind), precision, zoned),
            4..=6 => Lane::Micros(builder(kind), precision, zoned),
            _ => Lane::Wide(builder(kind), precision, zoned),
        }
    }

    /// The column's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The column's type.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether the column holds texts, for which an empty text is a value.
    pub fn is_text(&self) -> bool {
        matches!(self.lane, Lane::Text(..) | Lane::Bytes(..))
    }

    /// Appends NULL.
    pub fn push_null(&mut self) -> Result<(), Reason> {
        if !self.data_type.nullable {
            return Err("is NULL, but the column is NOT NULL".into());
        }
        self.push_hidden();
        Ok(())
    }

    /// Appends NULL whatever the column allows: for a field of a row that is NULL itself.
    pub fn push_hidden(&mut self) {
        match &mut self.lane {
            Lane::Boolean(b) => b.append_null(),
            Lane::TinyInt(b) => b.append_null(),
            Lane::SmallInt(b) => b.append_null(),
            Lane::Int(b) => b.append_null(),
            Lane::BigInt(b) => b.append_null(),
            Lane::Float(b) => b.append_null(),
            Lane::Double(b) => b.append_null(),
            Lane::Decimal(b, ..) | Lane::Wide(b, ..) => b.append_null(),
            Lane::Text(b, _) => b.append_null(),
            Lane::Bytes(b, _) => b.append_null(),
            Lane::Date(b) => b.append_null(),
            Lane::Time(b) => b.append_null(),
            Lane::Millis(b, ..) => b.append_null(),
            Lane::Micros(b, ..) => b.append_null(),
            Lane::Nested(b) => b.push_null(),
        }
    }

    /// The parts of a column of a nested type.
    pub fn nested(&mut self) -> Option<&mut NestedBuilder> {
        match &mut self.lane {
            Lane::Nested(nested) => Some(nested),
            _ => None,
        }
    }

    /// Appends a JSON `true` or `false`.
    pub fn push_bool(&mut self, value: bool) -> Result<(), Reason> {
        match &mut self.lane {
            Lane::Boolean(b) => b.append_value(value),
            _ => return Err(self.mismatch()),
        }
        Ok(())
    }

    /// Appends a JSON number, given by its text.
    pub fn push_number(&mut self, number: &[u8]) -> Result<(), Reason> {
        match &self.lane {
            Lane::TinyInt(_) | Lane::SmallInt(_) | Lane::Int(_) | Lane::BigInt(_) => {}
            Lane::Float(_) | Lane::Double(_) | Lane::Decimal(..) => {}
            _ => return Err(self.mismatch()),
        }
        self.push_text(number)
    }

    /// Appends a JSON string.
    pub fn push_string(&mut self, value: &str) -> Result<(), Reason> {
        match &self.lane {
            Lane::Boolean(_) | Lane::TinyInt(_) | Lane::SmallInt(_) | Lane::Int(_) => Err(self.mismatch()),
            Lane::BigInt(_) | Lane::Decimal(..) | Lane::Nested(_) => Err(self.mismatch()),
            Lane::Float(_) | Lane::Double(_) if text::special(value.as_bytes()).is_none() => Err(self.mismatch()),
            _ => self.push_text(value.as_bytes()),
        }
    }

    fn mismatch(&self) -> Reason {
        format!("is no {}", self.data_type.kind)
    }

    /// Appends a value given by its bare text, as a CSV field has it. That of a nested type is JSON.
    pub fn push_text(&mut self, value: &[u8]) -> Result<(), Reason> {
        match &mut self.lane {
            Lane::Boolean(b) => b.append_value(text::parse_boolean(value)?),
            Lane::TinyInt(b) => b.append_value(narrow(value)?),
            Lane::SmallInt(b) => b.append_value(narrow(value)?),
            Lane::Int(b) => b.append_value(narrow(value)?),
            Lane::BigInt(b) => b.append_value(text::parse_integer(value)?),
            Lane::Float(b) => b.append_value(text::parse_float(value)?),
            Lane::Double(b) => b.append_value(text::parse_double(value)?),
            Lane::Decimal(b, precision, scale) => b.append_value(text::parse_decimal(value, *precision, *scale)?),
            Lane::Text(b, longest) => {
                let value = std::str::from_utf8(value).map_err(|_| "is not UTF-8")?;
                if value.len() > *longest as usize && value.chars().count() > *longest as usize {
                    return Err(format!("has more than {longest} characters"));
                }
                b.append_value(value);
            }
            Lane::Bytes(b, longest) => {
                let bytes = BASE64.decode(value).map_err(|why| format!("is not base64 ({why})"))?;
                if bytes.len() > *longest as usize {
                    return Err(format!("has more than {longest} bytes"));
                }
                b.append_value(bytes);
            }
            Lane::Date(b) => b.append_value(text::parse_date(value)?),
            Lane::Time(b) => b.append_value(text::parse_time(value)?),
            Lane::Millis(b, precision, zoned) => {
                let (seconds, nanos) = text::parse_timestamp(value, *precision, *zoned)?;
                b.append_value(seconds * 1000 + i64::from(nanos / 1_000_000));
            }
            Lane::Micros(b, precision, zoned) => {
                let (seconds, nanos) = text::parse_timestamp(value, *precision, *zoned)?;
                b.append_value(seconds * 1_000_000 + i64::from(nanos / 1000));
            }
            Lane::Wide(b, precision, zoned) => {
                let (seconds, nanos) = text::parse_timestamp(value, *precision, *zoned)?;
                b.append_value(i128::from(seconds) * 1_000_000_000 + i128::from(nanos));
            }
            Lane::Nested(_) => return self.push_json(value),
        }
        Ok(())
    }

    fn push_json(&mut self, value: &[u8]) -> Result<(), Reason> {
        let mut cursor = Cursor::new(std::str::from_utf8(value).map_err(|_| "is not UTF-8")?);
        let pushed = cursor.value(self, &mut String::new()).and_then(|()| cursor.end());
        pushed.map_err(|error| match error.column {
            Some(part) if part != self.name => format!("{part}: {} {}", error.value.unwrap_or_default(), error.why),
            _ => error.why,
        })
    }

    /// Takes the column out.
    pub fn finish(&mut self) -> Result<ArrayRef, Reason> {
        Ok(match &mut self.lane {
            Lane::Boolean(b) => Arc::new(b.finish()),
            Lane::TinyInt(b) => Arc::new(b.finish()),
            Lane::SmallInt(b) => Arc::new(b.finish()),
            Lane::Int(b) => Arc::new(b.finish()),
            Lane::BigInt(b) => Arc::new(b.finish()),
            Lane::Float(b) => Arc::new(b.finish()),
            Lane::Double(b) => Arc::new(b.finish()),
            Lane::Decimal(b, ..) | Lane::Wide(b, ..) => Arc::new(b.finish()),
            Lane::Text(b, _) => Arc::new(b.finish()),
            Lane::Bytes(b, _) => Arc::new(b.finish()),
            Lane::Date(b) => Arc::new(b.finish()),
            Lane::Time(b) => Arc::new(b.finish()),
            Lane::Millis(b, ..) => Arc::new(b.finish()),
            Lane::Micros(b, ..) => Arc::new(b.finish()),
            Lane::Nested(b) => b.finish()?,
        })
    }
}

/// A whole number that fits the narrower type.
fn narrow<T: TryFrom<i64>>(value: &[u8]) -> Result<T, Reason> {
    T::try_from(text::parse_integer(value)?).map_err(|_| "is out of range".into())
}

/// Builders for all columns of a row.
pub fn builders(columns: &[(String, DataType)]) -> Vec<LaneBuilder> {
    columns.iter().map(|(name, data_type)| LaneBuilder::new(name, data_type)).collect()
}

/// Takes the batch that the builders hold.
pub fn finish(builders: &mut [LaneBuilder], rows: usize) -> Result<RecordBatch, Reason> {
    let schema = lane_schema(builders.iter().map(|lane| (lane.name.as_str(), &lane.data_type)));
    let lanes = builders.iter_mut().map(LaneBuilder::finish).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, lanes, &options).map_err(|error| error.to_string())
}
