//! Paimon's types as Parquet spells them, with the field ids that Java gives every named node.
//!
//! ```text
//! column 27 ARRAY<MAP<INT, ..>>   optional group (LIST) id 27
//!                                   repeated group list
//!                                     optional group element (MAP) id base + 1024 * 27 + 1
//!                                       repeated group key_value (MAP_KEY_VALUE)
//!                                         required int32 key id base - 1024 * 27 - 2
//! ```
//! Spec: `format-spec/data-files.md`.

use std::sync::Arc;

use parquet::basic::{
    ConvertedType, DecimalType, IntType, LogicalType, Repetition, TimeType, TimeUnit, TimestampType, Type as Physical,
};
use parquet::schema::types::Type;

use crate::error::{Error, Result};
use crate::types::{DataType, TypeKind};

/// The ids of nodes without a field of their own lie around this.
const ANONYMOUS_BASE: i32 = 536_870_911;
/// Such ids of one field have this distance to those of the next.
const ANONYMOUS_STEP: i32 = 1024;

/// A column of a file, or a field of a row.
pub(super) fn parquet_type(name: &str, data_type: &DataType, id: i32) -> Result<Type> {
    Node { field: id, depth: 0 }.of(name, data_type, id)
}

/// A place below a field: the ids of what has no name of its own are made of the field's id and the depth.
#[derive(Clone, Copy)]
struct Node {
    field: i32,
    depth: i32,
}

/// The ids of what has no name of its own so many levels below a field: of elements and values, and of keys.
pub(super) fn ids_below(field: i32, depth: i32) -> (i32, i32) {
    let offset = field.wrapping_mul(ANONYMOUS_STEP).wrapping_add(depth);
    (ANONYMOUS_BASE.wrapping_add(offset), ANONYMOUS_BASE.wrapping_sub(offset))
}

impl Node {
    fn of(self, name: &str, data_type: &DataType, id: i32) -> Result<Type> {
        let below = Node { depth: self.depth + 1, ..self };
        let (above_base, below_base) = ids_below(below.field, below.depth);
        let (logical, fields) = match &data_type.kind {
            TypeKind::Array(element) => {
                let element = below.of("element", element, above_base)?;
                let list = group("list", Repetition::REPEATED, vec![element]).build();
                (Some(LogicalType::List), vec![built("list", list)?])
            }
            TypeKind::Map(map) => {
                let key = below.of("key", &map.key.clone().not_null(), below_base)?;
                let value = below.of("value", &map.value, above_base)?;
                (Some(LogicalType::Map), vec![entries(key, value)?])
            }
            TypeKind::Multiset(element) => {
                let key = below.of("key", &element.as_ref().clone().not_null(), below_base)?;
                let value = below.of("value", &DataType::INT.not_null(), above_base)?;
                (Some(LogicalType::Map), vec![entries(key, value)?])
            }
            kind => match kind.stored_fields() {
                Some(fields) => {
                    let fields = fields.iter().map(|field| parquet_type(&field.name, &field.data_type, field.id));
                    (None, fields.collect::<Result<_>>()?)
                }
                None => return scalar(name, data_type, id),
            },
        };
        let group = group(name, repetition(data_type), fields).with_id(Some(id)).with_logical_type(logical);
        built(name, group.build())
    }
}

/// The repeated group of a map.
fn entries(key: Type, value: Type) -> Result<Type> {
    let group = group("key_value", Repetition::REPEATED, vec![key, value]);
    built("key_value", group.with_converted_type(ConvertedType::MAP_KEY_VALUE).build())
}

fn group(name: &str, repetition: Repetition, fields: Vec<Type>) -> parquet::schema::types::GroupTypeBuilder<'_> {
    let fields = fields.into_iter().map(Arc::new).collect();
    Type::group_type_builder(name).with_repetition(repetition).with_fields(fields)
}

fn built(name: &str, found: parquet::errors::Result<Type>) -> Result<Type> {
    found.map_err(|error| Error::bug(format!("parquet type of {name}: {error}")))
}

fn repetition(data_type: &DataType) -> Repetition {
    if data_type.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED }
}

fn scalar(name: &str, data_type: &DataType, id: i32) -> Result<Type> {
    let integer = |bit_width| Some(LogicalType::Integer(IntType { bit_width, is_signed: true }));
    let timestamp = |unit, zoned| Some(LogicalType::Timestamp(TimestampType { is_adjusted_to_u_t_c: zoned, unit }));
    let (physical, logical) = match &data_type.kind {
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
                LogicalType::Decimal(DecimalType { scale: i32::from(*scale), precision: i32::from(*precision) });
            let physical = match precision {
                0..=9 => Physical::INT32,
                10..=18 => Physical::INT64,
                _ => Physical::FIXED_LEN_BYTE_ARRAY,
            };
            (physical, Some(logical))
        }
        TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
            return Err(Error::bug(format!("{data_type} is not scalar")));
        }
    };
    let mut builder = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition(data_type))
        .with_id(Some(id))
        .with_logical_type(logical);
    if let TypeKind::Decimal { precision, scale } = data_type.kind {
        builder = builder.with_precision(i32::from(precision)).with_scale(i32::from(scale));
        if physical == Physical::FIXED_LEN_BYTE_ARRAY {
            builder = builder.with_length(decimal_bytes(precision));
        }
    }
    built(name, builder.build())
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

    fn ids(node: &Type, found: &mut Vec<(String, Option<i32>)>) {
        let info = node.get_basic_info();
        found.push((info.name().to_string(), info.has_id().then(|| info.id())));
        if node.is_group() {
            node.get_fields().iter().for_each(|field| ids(field, found));
        }
    }

    #[test]
    fn nodes_without_a_field_have_java_s_ids() {
        let data_type: DataType = "ARRAY<MAP<INT, ARRAY<INT>>>".parse().unwrap();
        let mut found = Vec::new();
        ids(&parquet_type("a", &data_type, 27).unwrap(), &mut found);
        let wanted = [
            ("a", Some(27)),
            ("list", None),
            ("element", Some(536_898_560)),
            ("key_value", None),
            ("key", Some(536_843_261)),
            ("value", Some(536_898_561)),
            ("list", None),
            ("element", Some(536_898_562)),
        ];
        assert_eq!(found, wanted.map(|(name, id)| (name.to_string(), id)));
    }

    #[test]
    fn nested_types_are_groups_as_java_writes_them() {
        let data_type: DataType = "ROW<a ARRAY<INT NOT NULL> NOT NULL, m MULTISET<STRING>>".parse().unwrap();
        let mut text = Vec::new();
        parquet::schema::printer::print_schema(&mut text, &parquet_type("r", &data_type, 5).unwrap());
        let text = String::from_utf8(text).unwrap();
        let wanted = "\
OPTIONAL group r [5] {
  REQUIRED group a [0] (LIST) {
    REPEATED group list {
      REQUIRED INT32 element [536870912];
    }
  }
  OPTIONAL group m [1] (MAP) {
    REPEATED group key_value (MAP_KEY_VALUE) {
      REQUIRED BYTE_ARRAY key [536869886] (STRING);
      REQUIRED INT32 value [536871936];
    }
  }
}";
        assert_eq!(text.trim(), wanted);
    }

    #[test]
    fn a_variant_is_a_group_of_two_binaries() {
        let mut text = Vec::new();
        parquet::schema::printer::print_schema(&mut text, &parquet_type("v", &DataType::VARIANT, 3).unwrap());
        let wanted = "\
OPTIONAL group v [3] {
  REQUIRED BYTE_ARRAY value [0];
  REQUIRED BYTE_ARRAY metadata [1];
}";
        assert_eq!(String::from_utf8(text).unwrap().trim(), wanted);
    }
}
