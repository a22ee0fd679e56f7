//! The bounds and NULLs of a column, gathered from its lanes as they are written: for formats whose files keep none.
//! Spec: `format-spec/statistics.md`.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};

use super::statistics::{FloatBounds, float_bounds, widen_bounds};
use crate::error::Result;
use crate::format::{ColumnStats, datum_at};
use crate::types::{DataType, Datum, TypeKind};

/// What was seen of a column.
pub(super) struct LaneBounds {
    data_type: DataType,
    bounds: FloatBounds,
    nulls: i64,
}

impl LaneBounds {
    /// Nothing seen.
    pub(super) fn new(data_type: &DataType) -> Self {
        Self { data_type: data_type.clone(), bounds: None, nulls: 0 }
    }

    /// Takes more values in.
    pub(super) fn widen(&mut self, lane: &ArrayRef) -> Result<()> {
        self.nulls += lane.null_count() as i64;
        let more = match lane.data_type() {
            arrow_schema::DataType::Float32 | arrow_schema::DataType::Float64 => float_bounds(lane),
            _ => match ends(&self.data_type.kind, lane) {
                Some((min, max)) => {
                    let value = |row| datum_at(lane, &self.data_type.kind, row);
                    Some((value(min)?, value(max)?))
                }
                None => None,
            },
        };
        widen_bounds(&mut self.bounds, more);
        Ok(())
    }

    /// The statistics.
    pub(super) fn finish(self) -> ColumnStats {
        let (min, max) = self.bounds.unwrap_or((Datum::Null, Datum::Null));
        ColumnStats { data_type: self.data_type, min, max, null_count: Some(self.nulls) }
    }

    /// The statistics of a column that was not looked at.
    pub(super) fn unknown(data_type: &DataType) -> ColumnStats {
        ColumnStats { data_type: data_type.clone(), min: Datum::Null, max: Datum::Null, null_count: None }
    }
}

/// The rows of the smallest and the largest value; `None` where all are NULL or the kind has no order.
fn ends(kind: &TypeKind, lane: &ArrayRef) -> Option<(usize, usize)> {
    match kind {
        TypeKind::Boolean => of_values(lane.as_boolean().iter()),
        TypeKind::TinyInt => of_numbers(lane.as_primitive::<Int8Type>()),
        TypeKind::SmallInt => of_numbers(lane.as_primitive::<Int16Type>()),
        TypeKind::Int => of_numbers(lane.as_primitive::<Int32Type>()),
        TypeKind::BigInt => of_numbers(lane.as_primitive::<Int64Type>()),
        TypeKind::Date => of_numbers(lane.as_primitive::<Date32Type>()),
        TypeKind::Time(_) => of_numbers(lane.as_primitive::<Time32MillisecondType>()),
        TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => {
            of_numbers(lane.as_primitive::<TimestampMillisecondType>())
        }
        TypeKind::Timestamp(4..=6) | TypeKind::TimestampLtz(4..=6) => {
            of_numbers(lane.as_primitive::<TimestampMicrosecondType>())
        }
        TypeKind::Decimal { .. } | TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
            of_numbers(lane.as_primitive::<Decimal128Type>())
        }
        TypeKind::Char(_) | TypeKind::VarChar(_) => of_values(lane.as_string::<i32>().iter()),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => of_values(lane.as_binary::<i32>().iter()),
        _ => None,
    }
}

fn of_numbers<T: ArrowPrimitiveType>(lane: &PrimitiveArray<T>) -> Option<(usize, usize)>
where
    T::Native: Ord,
{
    of_values(lane.iter())
}

fn of_values<V: Ord + Copy>(values: impl Iterator<Item = Option<V>>) -> Option<(usize, usize)> {
    let mut ends: Option<((V, usize), (V, usize))> = None;
    for (row, value) in values.enumerate().filter_map(|(row, value)| Some((row, value?))) {
        match &mut ends {
            None => ends = Some(((value, row), (value, row))),
            Some((min, _)) if value < min.0 => *min = (value, row),
            Some((_, max)) if value > max.0 => *max = (value, row),
            Some(_) => {}
        }
    }
    ends.map(|((_, min), (_, max))| (min, max))
}
