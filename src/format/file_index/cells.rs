//! Values of an indexed column as numbers or bytes whose order is Paimon's.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, StringArray};
use arrow_buffer::NullBuffer;

use crate::error::{Error, Result};
use crate::types::{Datum, TypeKind};

/// How values are stored in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellKind {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Bytes,
}

impl CellKind {
    /// How values of a type are stored; `None` for a type that no index has.
    pub(super) fn of(kind: &TypeKind) -> Option<Self> {
        Some(match kind {
            TypeKind::Boolean => Self::Boolean,
            TypeKind::TinyInt => Self::Int8,
            TypeKind::SmallInt => Self::Int16,
            TypeKind::Int | TypeKind::Date | TypeKind::Time(_) => Self::Int32,
            TypeKind::BigInt | TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => Self::Int64,
            TypeKind::Decimal { precision: ..=18, .. } => Self::Int64,
            TypeKind::Float => Self::Float32,
            TypeKind::Double => Self::Float64,
            TypeKind::Char(_) | TypeKind::VarChar(_) | TypeKind::Binary(_) | TypeKind::VarBinary(_) => Self::Bytes,
            _ => return None,
        })
    }

    /// Bytes of a value.
    pub(super) fn size(self, cell: CellRef<'_>) -> usize {
        match (self, cell) {
            (Self::Boolean | Self::Int8, _) => 1,
            (Self::Int16, _) => 2,
            (Self::Int32 | Self::Float32, _) => 4,
            (Self::Int64 | Self::Float64, _) => 8,
            (Self::Bytes, CellRef::Bytes(bytes)) => 4 + bytes.len(),
            (Self::Bytes, CellRef::Number(_)) => 4,
        }
    }

    /// Writes a value.
    pub(super) fn put(self, out: &mut Vec<u8>, cell: CellRef<'_>) {
        match cell {
            CellRef::Bytes(bytes) => {
                out.extend((bytes.len() as u32).to_be_bytes());
                out.extend(bytes);
            }
            CellRef::Number(number) => match self {
                Self::Boolean | Self::Int8 | Self::Bytes => out.push(number as u8),
                Self::Int16 => out.extend((number as i16).to_be_bytes()),
                Self::Int32 => out.extend((number as i32).to_be_bytes()),
                Self::Int64 => out.extend(number.to_be_bytes()),
                Self::Float32 => out.extend(float_bits(number).to_be_bytes()),
                Self::Float64 => out.extend(double_bits(number).to_be_bytes()),
            },
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cell {
    Number(i64),
    Bytes(Vec<u8>),
}

/// A value of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CellRef<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

impl Cell {
    /// A float as a number of the same order; every NaN is the one above all numbers.
    pub(super) fn of_float(value: f32) -> Self {
        let bits = if value.is_nan() { f32::NAN } else { value }.to_bits() as i32;
        Self::Number(i64::from(bits ^ (((bits >> 31) as u32) >> 1) as i32))
    }

    pub(super) fn of_double(value: f64) -> Self {
        let bits = if value.is_nan() { f64::NAN } else { value }.to_bits() as i64;
        Self::Number(bits ^ (((bits >> 63) as u64) >> 1) as i64)
    }

    /// A literal; `None` when it is NULL or no value that an index could have.
    pub(super) fn of_datum(value: &Datum, kind: &TypeKind) -> Option<Self> {
        if value.is_of_old_days() {
            return None; // readers of ORC files see other days there
        }
        let number = match value {
            Datum::Boolean(value) => i64::from(*value),
            Datum::TinyInt(value) => i64::from(*value),
            Datum::SmallInt(value) => i64::from(*value),
            Datum::Int(value) | Datum::Date(value) | Datum::Time(value) => i64::from(*value),
            Datum::BigInt(value) => *value,
            Datum::Decimal(unscaled) => i64::try_from(*unscaled).ok()?,
            Datum::Float(value) => return Some(Self::of_float(*value)),
            Datum::Double(value) => return Some(Self::of_double(*value)),
            Datum::String(text) => return Some(Self::Bytes(text.as_bytes().to_vec())),
            Datum::Bytes(bytes) => return Some(Self::Bytes(bytes.clone())),
            Datum::Timestamp { millis, nanos } => match kind {
                TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => *millis,
                _ => millis.checked_mul(1000)?.checked_add(i64::from(*nanos / 1000))?,
            },
            Datum::Null | Datum::Array(_) | Datum::Map(_) | Datum::Row(_) => return None,
        };
        Some(Self::Number(number))
    }

    pub(super) fn borrow(&self) -> CellRef<'_> {
        match self {
            Self::Number(number) => CellRef::Number(*number),
            Self::Bytes(bytes) => CellRef::Bytes(bytes),
        }
    }
}

/// The bits of a float, from the number of its order.
pub(super) fn float_bits(number: i64) -> i32 {
    let number = number as i32;
    number ^ (((number >> 31) as u32) >> 1) as i32
}

pub(super) fn double_bits(number: i64) -> i64 {
    number ^ (((number >> 63) as u64) >> 1) as i64
}

/// The values of some rows.
pub(super) enum Cells {
    Numbers(Vec<i64>, Option<NullBuffer>),
    Text(StringArray),
    Bytes(BinaryArray),
}

impl Cells {
    /// The values of a lane.
    pub(super) fn of(kind: &TypeKind, lane: &ArrayRef) -> Result<Self> {
        fn numbers<T: ArrowPrimitiveType>(lane: &ArrayRef, number: impl Fn(T::Native) -> i64) -> Option<Vec<i64>> {
            Some(lane.as_primitive_opt::<T>()?.values().iter().map(|value| number(*value)).collect())
        }
        let number = |cell| match cell {
            Cell::Number(number) => number,
            Cell::Bytes(_) => 0,
        };
        let numbers = match kind {
            TypeKind::Char(_) | TypeKind::VarChar(_) => {
                return lane.as_string_opt().cloned().map(Self::Text).ok_or_else(|| wrong(kind, lane));
            }
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
                return lane.as_binary_opt().cloned().map(Self::Bytes).ok_or_else(|| wrong(kind, lane));
            }
            TypeKind::Boolean => lane.as_boolean_opt().map(|lane| lane.values().iter().map(i64::from).collect()),
            TypeKind::TinyInt => numbers::<Int8Type>(lane, i64::from),
            TypeKind::SmallInt => numbers::<Int16Type>(lane, i64::from),
            TypeKind::Int => numbers::<Int32Type>(lane, i64::from),
            TypeKind::BigInt => numbers::<Int64Type>(lane, |value| value),
            TypeKind::Date => numbers::<Date32Type>(lane, i64::from),
            TypeKind::Time(_) => numbers::<Time32MillisecondType>(lane, i64::from),
            TypeKind::Float => numbers::<Float32Type>(lane, |value| number(Cell::of_float(value))),
            TypeKind::Double => numbers::<Float64Type>(lane, |value| number(Cell::of_double(value))),
            TypeKind::Decimal { precision: ..=18, .. } => numbers::<Decimal128Type>(lane, |value| value as i64),
            TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => {
                numbers::<TimestampMillisecondType>(lane, |value| value)
            }
            TypeKind::Timestamp(4..=6) | TypeKind::TimestampLtz(4..=6) => {
                numbers::<TimestampMicrosecondType>(lane, |value| value)
            }
            // Seconds with nine digits; what is finer than a microsecond is not in the index.
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                numbers::<Decimal128Type>(lane, |value| value.div_euclid(1000) as i64)
            }
            _ => None,
        };
        Ok(Self::Numbers(numbers.ok_or_else(|| wrong(kind, lane))?, lane.nulls().cloned()))
    }

    /// Each value in order, `None` for NULL.
    pub(super) fn for_each(&self, mut take: impl FnMut(Option<CellRef<'_>>)) {
        match self {
            Self::Numbers(numbers, None) => numbers.iter().for_each(|number| take(Some(CellRef::Number(*number)))),
            Self::Numbers(numbers, Some(nulls)) => {
                for (number, valid) in numbers.iter().zip(nulls.iter()) {
                    take(valid.then_some(CellRef::Number(*number)));
                }
            }
            Self::Text(lane) => lane.iter().for_each(|text| take(text.map(|text| CellRef::Bytes(text.as_bytes())))),
            Self::Bytes(lane) => lane.iter().for_each(|bytes| take(bytes.map(CellRef::Bytes))),
        }
    }
}

fn wrong(kind: &TypeKind, lane: &ArrayRef) -> Error {
    Error::bug(format!("an index of {kind} over a lane of {}", lane.data_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_and_their_bits() {
        let values = [f32::NEG_INFINITY, -1.5, -0.0, 0.0, 1.5, f32::INFINITY, f32::NAN];
        let cells: Vec<Cell> = values.into_iter().map(Cell::of_float).collect();
        assert!(cells.is_sorted() && cells[2] != cells[3]);
        for (value, cell) in values.iter().zip(&cells) {
            let mut out = Vec::new();
            CellKind::Float32.put(&mut out, cell.borrow());
            assert_eq!(out, value.to_be_bytes());
            let mut out = Vec::new();
            CellKind::Float64.put(&mut out, Cell::of_double(f64::from(*value)).borrow());
            assert_eq!(out, f64::from(*value).to_be_bytes());
        }
        assert_eq!(Cell::of_double(-f64::NAN), Cell::of_double(f64::NAN));
    }
}
