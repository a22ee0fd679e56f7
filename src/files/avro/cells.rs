//! Lanes as the values of records: each column looked at once for a slab, its cells written row by row.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray};
use arrow_buffer::NullBuffer;

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
}

impl<'a> Cells<'a> {
    /// Looks at a column.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a NULL in a column that allows none.
    pub(super) fn of(column: &FileColumn, lane: &'a ArrayRef) -> Result<Self> {
        Self::of_lane(&column.name, &column.data_type, lane)
    }

    fn of_lane(name: &str, data_type: &DataType, lane: &'a ArrayRef) -> Result<Self> {
        if !data_type.nullable && lane.null_count() > 0 {
            return Err(Error::invalid(format!("column {name} is NOT NULL and a row has no value for it")));
        }
        let values = values_of(&data_type.kind, lane);
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
        }
    }
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
