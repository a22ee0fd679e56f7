//! Lanes as the values of records: each column looked at once for a slab, its cells written row by row.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray};
use arrow_buffer::NullBuffer;

use super::schema::is_text;
use crate::error::{Error, Result};
use crate::files::layout::FileColumn;
use crate::format::avro::Encoder;
use crate::types::{DataType, TypeKind};

/// The cells of one column of a slab.
pub(super) struct Cells<'a> {
    /// `None` for a column that is never NULL; then its values have no union around them.
    nulls: Option<Nulls<'a>>,
    values: Values<'a>,
}

enum Nulls<'a> {
    None,
    Some(&'a NullBuffer),
}

enum Values<'a> {
    Boolean(&'a BooleanArray),
    TinyInt(&'a [i8]),
    SmallInt(&'a [i16]),
    Int(&'a [i32]),
    Long(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Decimal(&'a [i128]),
    /// Where the elements of each row end, and these.
    List(&'a [i32], Box<Cells<'a>>),
    /// Where the entries of each row end, their keys and their values.
    Map(&'a [i32], Box<[Cells<'a>; 2]>),
    Row(Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    /// Looks at a column.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a NULL in a column that allows none.
    pub(super) fn of(column: &FileColumn, lane: &'a ArrayRef) -> Result<Self> {
        Self::of_lane(&column.name, &column.data_type, lane, None)
    }

    /// Looks at a lane; `around` are the rows that are NULL themselves.
    fn of_lane(name: &str, data_type: &DataType, lane: &'a ArrayRef, around: Option<&NullBuffer>) -> Result<Self> {
        let nulls = lane.nulls().filter(|nulls| nulls.null_count() > 0);
        let covered = nulls.is_none_or(|nulls| around.is_some_and(|around| around.contains(nulls)));
        if !data_type.nullable && !covered {
            return Err(Error::invalid(format!("column {name} is NOT NULL and a row has no value for it")));
        }
        let values = match data_type.kind.is_nested() {
            true => parts_of(name, &data_type.kind, lane)?,
            false => values_of(&data_type.kind, lane),
        };
        let values = values.ok_or_else(|| Error::bug(format!("column {name}: {} is no lane", lane.data_type())))?;
        let nulls = data_type.nullable.then(|| lane.nulls().map_or(Nulls::None, Nulls::Some));
        Ok(Self { nulls, values })
    }

    /// Writes the cell of a row.
    #[inline]
    pub(super) fn write(&self, row: usize, out: &mut Encoder) {
        if let Some(nulls) = &self.nulls {
            let is_null = matches!(nulls, Nulls::Some(nulls) if nulls.is_null(row));
            out.out.push(if is_null { 0 } else { 2 }); // the branch of the union, as a zigzag number
            if is_null {
                return;
            }
        }
        match &self.values {
            Values::Boolean(lane) => out.out.push(u8::from(lane.value(row))),
            Values::TinyInt(lane) => out.long(i64::from(lane[row])),
            Values::SmallInt(lane) => out.long(i64::from(lane[row])),
            Values::Int(lane) => out.long(i64::from(lane[row])),
            Values::Long(lane) => out.long(lane[row]),
            Values::Float(lane) => out.out.extend_from_slice(&lane[row].to_le_bytes()),
            Values::Double(lane) => out.out.extend_from_slice(&lane[row].to_le_bytes()),
            Values::Text(lane) => out.text(lane.value(row)),
            Values::Bytes(lane) => out.bytes(lane.value(row)),
            Values::Decimal(lane) => out.bytes(shortest(&lane[row].to_be_bytes())),
            Values::List(..) | Values::Map(..) | Values::Row(_) => self.write_parts(row, out),
        }
    }

    fn write_parts(&self, row: usize, out: &mut Encoder) {
        match &self.values {
            Values::List(ends, elements) => {
                write_items(ends, row, out, |item, out| elements.write(item, out));
            }
            Values::Map(ends, entries) => {
                write_items(ends, row, out, |item, out| entries.iter().for_each(|cells| cells.write(item, out)));
            }
            Values::Row(fields) => fields.iter().for_each(|cells| cells.write(row, out)),
            _ => {}
        }
    }
}

/// One block of the items that a row has, and the empty one that ends them.
fn write_items(ends: &[i32], row: usize, out: &mut Encoder, item: impl Fn(usize, &mut Encoder)) {
    let items = ends[row] as usize..ends[row + 1] as usize;
    if !items.is_empty() {
        out.long(items.len() as i64);
    }
    items.for_each(|at| item(at, out));
    out.long(0);
}

/// The fewest bytes that hold a number with its sign, at least one, as Java's `BigInteger` gives them.
fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let mut from = 0;
    while from < 15 && matches!((bytes[from], bytes[from + 1] & 0x80), (0, 0) | (0xFF, 0x80)) {
        from += 1;
    }
    &bytes[from..]
}

fn values_of<'a>(kind: &TypeKind, lane: &'a ArrayRef) -> Option<Values<'a>> {
    Some(match kind {
        TypeKind::Boolean => Values::Boolean(lane.as_boolean_opt()?),
        TypeKind::TinyInt => Values::TinyInt(lane.as_primitive_opt::<Int8Type>()?.values()),
        TypeKind::SmallInt => Values::SmallInt(lane.as_primitive_opt::<Int16Type>()?.values()),
        TypeKind::Int => Values::Int(lane.as_primitive_opt::<Int32Type>()?.values()),
        TypeKind::BigInt => Values::Long(lane.as_primitive_opt::<Int64Type>()?.values()),
        TypeKind::Float => Values::Float(lane.as_primitive_opt::<Float32Type>()?.values()),
        TypeKind::Double => Values::Double(lane.as_primitive_opt::<Float64Type>()?.values()),
        TypeKind::Char(_) | TypeKind::VarChar(_) => Values::Text(lane.as_string_opt()?),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => Values::Bytes(lane.as_binary_opt()?),
        TypeKind::Date => Values::Int(lane.as_primitive_opt::<Date32Type>()?.values()),
        TypeKind::Time(_) => Values::Int(lane.as_primitive_opt::<Time32MillisecondType>()?.values()),
        TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => {
            Values::Long(lane.as_primitive_opt::<TimestampMillisecondType>()?.values())
        }
        TypeKind::Timestamp(4..=6) | TypeKind::TimestampLtz(4..=6) => {
            Values::Long(lane.as_primitive_opt::<TimestampMicrosecondType>()?.values())
        }
        TypeKind::Decimal { .. } => Values::Decimal(lane.as_primitive_opt::<Decimal128Type>()?.values()),
        _ => return None,
    })
}

/// The cells of the parts of nested values; `None` where the lane is of another shape.
fn parts_of<'a>(name: &str, kind: &TypeKind, lane: &'a ArrayRef) -> Result<Option<Values<'a>>> {
    let part = |part: &str, data_type: &DataType, lane: &'a ArrayRef| {
        Cells::of_lane(&format!("{name}.{part}"), data_type, lane, None)
    };
    let map = |key: &DataType, value: &DataType| {
        let Some(map) = lane.as_map_opt() else { return Ok(None) };
        // An Avro map has its keys without a union around them.
        let key = if is_text(&key.kind) { key.clone().not_null() } else { key.clone() };
        let entries = [part("key", &key, map.keys())?, part("value", value, map.values())?];
        Ok(Some(Values::Map(map.value_offsets(), Box::new(entries))))
    };
    match kind {
        TypeKind::Array(element) => {
            let Some(list) = lane.as_list_opt::<i32>() else { return Ok(None) };
            let elements = part("element", element, list.values())?;
            Ok(Some(Values::List(list.value_offsets(), Box::new(elements))))
        }
        TypeKind::Map(types) => map(&types.key, &types.value),
        TypeKind::Multiset(element) => map(element, &DataType::INT),
        TypeKind::Row(fields) => {
            let rows = lane.as_struct_opt().filter(|rows| rows.num_columns() == fields.len());
            let Some(rows) = rows else { return Ok(None) };
            let columns = fields.iter().zip(rows.columns()).map(|(field, column)| {
                Cells::of_lane(&format!("{name}.{}", field.name), &field.data_type, column, rows.nulls())
            });
            Ok(Some(Values::Row(columns.collect::<Result<_>>()?)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_take_the_fewest_bytes_with_their_sign() {
        let of = |number: i128| shortest(&number.to_be_bytes()).to_vec();
        assert_eq!(of(0), [0]);
        assert_eq!(of(-1), [0xFF]);
        assert_eq!(of(127), [0x7F]);
        assert_eq!(of(128), [0, 0x80]);
        assert_eq!(of(-128), [0x80]);
        assert_eq!(of(-129), [0xFF, 0x7F]);
        assert_eq!(of(i128::MIN).len(), 16);
    }
}
