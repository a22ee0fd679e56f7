//! Reading single values out of a column, as text or as JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch, StringArray};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use forebay::types::{DataType, TypeKind, to_lane};

use super::nested_out::NestedView;
use super::text;

/// A column of a batch, downcast once.
pub struct LaneView {
    array: ArrayRef,
    lane: Lane,
}

enum Lane {
    Boolean(BooleanArray),
    TinyInt(PrimitiveArray<Int8Type>),
    SmallInt(PrimitiveArray<Int16Type>),
    Int(PrimitiveArray<Int32Type>),
    BigInt(PrimitiveArray<Int64Type>),
    Float(PrimitiveArray<Float32Type>),
    Double(PrimitiveArray<Float64Type>),
    Decimal(PrimitiveArray<Decimal128Type>, u8),
    Text(StringArray),
    Bytes(BinaryArray),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time32MillisecondType>),
    Millis(PrimitiveArray<TimestampMillisecondType>, u8, bool),
    Micros(PrimitiveArray<TimestampMicrosecondType>, u8, bool),
    Wide(PrimitiveArray<Decimal128Type>, u8, bool),
    Nested(NestedView),
}

impl LaneView {
    /// A view of a column of a kind; the column may have any Arrow type that fits the kind.
    pub fn new(name: &str, kind: &TypeKind, array: &ArrayRef) -> forebay::Result<Self> {
        let array = to_lane(name, kind, array)?;
        let lane = match kind {
            TypeKind::Boolean => Lane::Boolean(array.as_boolean().clone()),
            TypeKind::TinyInt => Lane::TinyInt(array.as_primitive().clone()),
            TypeKind::SmallInt => Lane::SmallInt(array.as_primitive().clone()),
            TypeKind::Int => Lane::Int(array.as_primitive().clone()),
            TypeKind::BigInt => Lane::BigInt(array.as_primitive().clone()),
            TypeKind::Float => Lane::Float(array.as_primitive().clone()),
            TypeKind::Double => Lane::Double(array.as_primitive().clone()),
            TypeKind::Decimal { scale, .. } => Lane::Decimal(array.as_primitive().clone(), *scale),
            TypeKind::Char(_) | TypeKind::VarChar(_) => Lane::Text(array.as_string().clone()),
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Lane::Bytes(array.as_binary().clone()),
            TypeKind::Date => Lane::Date(array.as_primitive().clone()),
            TypeKind::Time(_) => Lane::Time(array.as_primitive().clone()),
            TypeKind::Timestamp(p) => Self::timestamp(&array, *p, false),
            TypeKind::TimestampLtz(p) => Self::timestamp(&array, *p, true),
            TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
                Lane::Nested(NestedView::new(name, kind, &array)?)
            }
        };
        Ok(Self { array, lane })
    }

    fn timestamp(array: &ArrayRef, precision: u8, zoned: bool) -> Lane {
        match precision {
            0..=3 => Lane::Millis(array.as_primitive().clone(), precision, zoned),
            4..=6 => Lane::Micros(array.as_primitive().clone(), precision, zoned),
            _ => Lane::Wide(array.as_primitive().clone(), precision, zoned),
        }
    }

    /// Views of all columns of a batch.
    pub fn of_batch(columns: &[(String, DataType)], batch: &RecordBatch) -> forebay::Result<Vec<Self>> {
        if columns.len() != batch.num_columns() {
            let found = batch.num_columns();
            return Err(forebay::Error::bug(format!("a batch of {found} columns for {} columns", columns.len())));
        }
        columns.iter().zip(batch.columns()).map(|((name, t), array)| Self::new(name, &t.kind, array)).collect()
    }

    /// Whether a row has no value.
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Whether the text of a value may need quotes in CSV: texts and bytes, which may be empty, and JSON.
    pub fn may_need_quotes(&self) -> bool {
        matches!(self.lane, Lane::Text(_) | Lane::Bytes(_) | Lane::Nested(_))
    }

    /// Whether the values are numbers, which people like to see on the right.
    pub fn is_number(kind: &TypeKind) -> bool {
        use TypeKind::{BigInt, Decimal, Double, Float, Int, SmallInt, TinyInt};
        matches!(kind, TinyInt | SmallInt | Int | BigInt | Float | Double | Decimal { .. })
    }

    /// Appends the bare text of a value that is not NULL. That of a nested type is JSON.
    pub fn write_text(&self, row: usize, out: &mut Vec<u8>) {
        match &self.lane {
            Lane::Boolean(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Lane::TinyInt(a) => text::write_integer(out, a.value(row)),
            Lane::SmallInt(a) => text::write_integer(out, a.value(row)),
            Lane::Int(a) => text::write_integer(out, a.value(row)),
            Lane::BigInt(a) => text::write_integer(out, a.value(row)),
            Lane::Float(a) => _ = text::write_float(out, a.value(row)),
            Lane::Double(a) => _ = text::write_double(out, a.value(row)),
            Lane::Decimal(a, scale) => text::write_decimal(out, a.value(row), *scale),
            Lane::Text(a) => out.extend_from_slice(a.value(row).as_bytes()),
            Lane::Bytes(a) => write_base64(out, a.value(row)),
            Lane::Date(a) => text::write_date(out, i64::from(a.value(row))),
            Lane::Time(a) => text::write_time(out, a.value(row)),
            Lane::Millis(a, precision, zoned) => {
                let millis = a.value(row);
                let nanos = millis.rem_euclid(1000) as u32 * 1_000_000;
                text::write_timestamp(out, millis.div_euclid(1000), nanos, *precision, *zoned);
            }
            Lane::Micros(a, precision, zoned) => {
                let micros = a.value(row);
                let nanos = micros.rem_euclid(1_000_000) as u32 * 1000;
                text::write_timestamp(out, micros.div_euclid(1_000_000), nanos, *precision, *zoned);
            }
            Lane::Wide(a, precision, zoned) => {
                let (seconds, nanos) = split_wide(a.value(row));
                text::write_timestamp(out, seconds, nanos, *precision, *zoned);
            }
            Lane::Nested(nested) => nested.write_json(row, out),
        }
    }

    /// Appends a value as JSON.
    pub fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.array.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.lane {
            Lane::Text(a) => super::json_out::write_string(out, a.value(row)),
            Lane::Float(a) if !a.value(row).is_finite() => self.write_quoted(row, out),
            Lane::Double(a) if !a.value(row).is_finite() => self.write_quoted(row, out),
            Lane::Bytes(_) | Lane::Date(_) | Lane::Time(_) => self.write_quoted(row, out),
            Lane::Millis(..) | Lane::Micros(..) | Lane::Wide(..) => self.write_quoted(row, out),
            _ => self.write_text(row, out),
        }
    }

    fn write_quoted(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        self.write_text(row, out);
        out.push(b'"');
    }
}

/// Seconds and nanoseconds of a wide timestamp. Arrow lets it hold more than a 64-bit count of seconds: such a value
/// lies beyond every year that the format knows, and shows as the last one that fits.
fn split_wide(nanos: i128) -> (i64, u32) {
    let seconds = nanos.div_euclid(1_000_000_000);
    let bound = i128::from(i64::MAX / 4);
    (seconds.clamp(-bound, bound) as i64, nanos.rem_euclid(1_000_000_000) as u32)
}

fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    // The slice has exactly the length of the encoding, so there is nothing to fail.
    let _ = BASE64.encode_slice(bytes, &mut out[start..]);
}
