//! Single values as lanes, so that Arrow's kernels can compare columns with them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float32Type, Float64Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, PrimitiveArray, StringArray, Time32MillisecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};

use arrow_schema::DataType as ArrowType;

use crate::error::{Error, Result};
use crate::types::{Datum, TypeKind};

/// Values of one type as a lane of it; NULL becomes NULL.
///
/// # Errors
/// [`Error::Bug`] for a value of another type.
pub fn datum_lane(kind: &TypeKind, values: &[&Datum]) -> Result<ArrayRef> {
    macro_rules! lane {
        ($array:ty, $pattern:pat => $value:expr) => {
            Arc::new(
                values
                    .iter()
                    .map(|value| match value {
                        Datum::Null => Ok(None),
                        $pattern => Ok(Some($value)),
                        other => Err(Error::bug(format!("{other:?} is no {kind}"))),
                    })
                    .collect::<Result<$array>>()?,
            )
        };
    }
    Ok(match kind {
        TypeKind::Boolean => lane!(BooleanArray, Datum::Boolean(it) => *it),
        TypeKind::TinyInt => lane!(Int8Array, Datum::TinyInt(it) => *it),
        TypeKind::SmallInt => lane!(Int16Array, Datum::SmallInt(it) => *it),
        TypeKind::Int => lane!(Int32Array, Datum::Int(it) => *it),
        TypeKind::BigInt => lane!(Int64Array, Datum::BigInt(it) => *it),
        TypeKind::Float => {
            let lane = lane!(PrimitiveArray<Float32Type>, Datum::Float(it) => canonical_f32(*it));
            lane as Arc<Float32Array>
        }
        TypeKind::Double => {
            let lane = lane!(PrimitiveArray<Float64Type>, Datum::Double(it) => canonical_f64(*it));
            lane as Arc<Float64Array>
        }
        TypeKind::Decimal { precision, scale } => {
            let lane = lane!(Decimal128Array, Datum::Decimal(it) => *it);
            decimal(&lane, *precision, *scale)?
        }
        TypeKind::Char(_) | TypeKind::VarChar(_) => lane!(StringArray, Datum::String(it) => it.as_str()),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => lane!(BinaryArray, Datum::Bytes(it) => it.as_slice()),
        TypeKind::Date => lane!(Date32Array, Datum::Date(it) => *it),
        TypeKind::Time(_) => lane!(Time32MillisecondArray, Datum::Time(it) => *it),
        TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) => {
            let zone = matches!(kind, TypeKind::TimestampLtz(_)).then_some("UTC");
            match p {
                0..=3 => {
                    let lane = lane!(TimestampMillisecondArray, Datum::Timestamp { millis, .. } => *millis);
                    Arc::new(lane.as_ref().clone().with_timezone_opt(zone))
                }
                4..=6 => {
                    let lane = lane!(TimestampMicrosecondArray,
                        Datum::Timestamp { millis, nanos } => millis.saturating_mul(1_000) + i64::from(*nanos) / 1_000);
                    Arc::new(lane.as_ref().clone().with_timezone_opt(zone))
                }
                _ => {
                    let lane = lane!(Decimal128Array,
                        Datum::Timestamp { millis, nanos } => i128::from(*millis) * 1_000_000 + i128::from(*nanos));
                    decimal(&lane, 38, 9)?
                }
            }
        }
        TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
            return Err(Error::bug(format!("single values of nested type {kind}")));
        }
    })
}

fn decimal(lane: &PrimitiveArray<Decimal128Type>, precision: u8, scale: u8) -> Result<ArrayRef> {
    let scale = i8::try_from(scale).map_err(|error| Error::bug(error.to_string()))?;
    let lane = lane.clone().with_precision_and_scale(precision, scale);
    Ok(Arc::new(lane.map_err(|error| Error::bug(error.to_string()))?))
}

/// Arrow orders NaNs by their bits; Java knows one NaN.
pub fn with_one_nan(lane: &ArrayRef) -> ArrayRef {
    match lane.data_type() {
        ArrowType::Float32 => {
            let floats = lane.as_primitive::<Float32Type>();
            match floats.values().iter().any(|value| value.is_nan()) {
                true => Arc::new(floats.unary::<_, Float32Type>(canonical_f32)),
                false => Arc::clone(lane),
            }
        }
        ArrowType::Float64 => {
            let floats = lane.as_primitive::<Float64Type>();
            match floats.values().iter().any(|value| value.is_nan()) {
                true => Arc::new(floats.unary::<_, Float64Type>(canonical_f64)),
                false => Arc::clone(lane),
            }
        }
        _ => Arc::clone(lane),
    }
}

/// Every NaN as the one that Arrow's total order puts last.
fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::NAN } else { value }
}

/// Every NaN as the one that Arrow's total order puts last.
fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value }
}
