//! BinaryRow: the encoding of keys, partitions and statistics, and what is hashed for a bucket.
//!
//! ```text
//! file bytes = int32 BE arity | row
//! row (LE)   = header (row kind, null bits) | 8 bytes for each field | variable part, padded to 8
//! ```
//! A value is never longer than its row, offsets are checked at each access, and encoding is a function of the
//! values: equal values give equal bytes. Spec: `format-spec/binary-row.md`.

use std::sync::LazyLock;

use arrow_array::ArrayRef;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::types::{DataType, Datum, TypeKind};

mod lane;
mod writer;

pub use lane::datum_at;
pub(super) use lane::{split_micros, split_nanos};
use writer::RowWriter;
pub(super) use writer::{fits_inline, is_compact_decimal, is_compact_timestamp, wide_decimal};

/// The most fields a row may have, as for a schema.
pub(super) const MAX_ARITY: usize = 10_000;

/// A row in Paimon's binary form, with its arity prefix as files store it: `int32 big-endian arity | little-endian row`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BinaryRow {
    bytes: Bytes,
}

static EMPTY: LazyLock<Bytes> = LazyLock::new(|| Bytes::from_static(&[0; 12]));

/// Bytes of the header with its null bits.
pub(super) fn header_size(arity: usize) -> usize {
    (arity + 8).div_ceil(64) * 8
}

impl BinaryRow {
    /// The row without fields: partition of an unpartitioned table, key of an append file.
    pub fn empty() -> Self {
        Self { bytes: EMPTY.clone() }
    }

    /// A row from the bytes of a file.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are too short for their arity; the caller names the file.
    pub fn from_prefixed(bytes: Bytes) -> Result<Self> {
        let Some(prefix) = bytes.first_chunk::<4>() else {
            return Err(corrupt(format!("{} bytes, too short for an arity", bytes.len())));
        };
        let arity = u32::from_be_bytes(*prefix) as usize;
        if arity > MAX_ARITY {
            return Err(corrupt(format!("an arity of {arity}, more than {MAX_ARITY}")));
        }
        let needed = 4 + header_size(arity) + 8 * arity;
        if bytes.len() < needed {
            return Err(corrupt(format!("{} bytes, but {arity} fields take {needed}", bytes.len())));
        }
        Ok(Self { bytes })
    }

    /// A row of values.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a value does not fit its type or the counts differ.
    pub fn encode(values: &[Datum], types: &[DataType]) -> Result<Self> {
        if values.len() != types.len() {
            return Err(Error::invalid(format!("{} values for {} columns", values.len(), types.len())));
        }
        if values.is_empty() {
            return Ok(Self::empty());
        }
        let mut writer = RowWriter::new(values.len());
        for (index, (value, data_type)) in values.iter().zip(types).enumerate() {
            writer.put(index, value, &data_type.kind)?;
        }
        Ok(writer.finish())
    }

    /// One row of lane columns (see `types::lane_type`).
    ///
    /// # Errors
    /// [`Error::Bug`] when a column is no lane of its type or has no such row.
    pub fn encode_columns(columns: &[ArrayRef], types: &[DataType], row: usize) -> Result<Self> {
        if columns.is_empty() {
            return Ok(Self::empty());
        }
        let mut writer = RowWriter::new(columns.len());
        for (index, (column, data_type)) in columns.iter().zip(types).enumerate() {
            lane::put(&mut writer, index, column, &data_type.kind, row)?;
        }
        Ok(writer.finish())
    }

    /// The bytes as files store them.
    pub fn prefixed(&self) -> &Bytes {
        &self.bytes
    }

    /// The row without its arity prefix: what is hashed.
    pub fn row_bytes(&self) -> &[u8] {
        &self.bytes[4..]
    }

    /// The number of fields.
    pub fn arity(&self) -> usize {
        self.bytes.first_chunk::<4>().map_or(0, |prefix| u32::from_be_bytes(*prefix) as usize)
    }

    /// Whether a field is NULL; so are fields that the row does not have.
    pub fn is_null(&self, index: usize) -> bool {
        let bit = index + 8;
        index >= self.arity() || self.row_bytes().get(bit / 8).is_none_or(|byte| byte & (1 << (bit % 8)) != 0)
    }

    /// All fields.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the arity is not the number of types or a field's bytes are wrong.
    pub fn decode(&self, types: &[DataType]) -> Result<Vec<Datum>> {
        if self.arity() != types.len() {
            return Err(corrupt(format!("{} fields where {} are expected", self.arity(), types.len())));
        }
        types.iter().enumerate().map(|(index, data_type)| self.get(index, &data_type.kind)).collect()
    }

    /// One field; NULL when the row does not have it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the field's bytes are wrong.
    pub fn get(&self, index: usize, kind: &TypeKind) -> Result<Datum> {
        if self.is_null(index) {
            return Ok(Datum::Null);
        }
        let slot = self.slot(index)?;
        let int = i32::from_le_bytes([slot[0], slot[1], slot[2], slot[3]]);
        Ok(match kind {
            TypeKind::Boolean => Datum::Boolean(slot[0] != 0),
            TypeKind::TinyInt => Datum::TinyInt(slot[0] as i8),
            TypeKind::SmallInt => Datum::SmallInt(i16::from_le_bytes([slot[0], slot[1]])),
            TypeKind::Int => Datum::Int(int),
            TypeKind::Date => Datum::Date(int),
            TypeKind::Time(_) => Datum::Time(int),
            TypeKind::BigInt => Datum::BigInt(i64::from_le_bytes(slot)),
            TypeKind::Float => Datum::Float(f32::from_bits(int as u32)),
            TypeKind::Double => Datum::Double(f64::from_le_bytes(slot)),
            TypeKind::Char(_) | TypeKind::VarChar(_) => {
                let text = std::str::from_utf8(self.variable(index, slot)?)
                    .map_err(|error| corrupt(format!("field {index}: {error}")))?;
                Datum::String(text.to_string())
            }
            TypeKind::Binary(_) | TypeKind::VarBinary(_) => Datum::Bytes(self.variable(index, slot)?.to_vec()),
            TypeKind::Decimal { precision, .. } if is_compact_decimal(*precision) => {
                Datum::Decimal(i128::from(i64::from_le_bytes(slot)))
            }
            TypeKind::Decimal { .. } => {
                let digits = self.part(index, slot, None)?;
                let (true, Some(first)) = (digits.len() <= 16, digits.first()) else {
                    return Err(corrupt(format!("field {index}: a decimal of {} bytes", digits.len())));
                };
                let sign = if first & 0x80 == 0 { 0 } else { -1 };
                Datum::Decimal(digits.iter().fold(sign, |number: i128, byte| (number << 8) | i128::from(*byte)))
            }
            TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) if is_compact_timestamp(*p) => {
                Datum::Timestamp { millis: i64::from_le_bytes(slot), nanos: 0 }
            }
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                if !(0..1_000_000).contains(&int) {
                    return Err(corrupt(format!("field {index}: {int} nanoseconds in a millisecond")));
                }
                let bytes = self.part(index, slot, Some(8))?;
                let millis = bytes.first_chunk::<8>().map_or(0, |bytes| i64::from_le_bytes(*bytes));
                Datum::Timestamp { millis, nanos: int }
            }
            TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
                return Err(corrupt(format!("field {index}: a value of nested type {kind}")));
            }
        })
    }

    /// Murmur3 (seed 42) of the row without its arity prefix: decides the bucket.
    pub fn hash(&self) -> i32 {
        super::bucket::murmur(self.row_bytes())
    }

    fn slot(&self, index: usize) -> Result<[u8; 8]> {
        let start = header_size(self.arity()) + 8 * index;
        self.row_bytes()
            .get(start..)
            .and_then(|rest| rest.first_chunk::<8>())
            .copied()
            .ok_or_else(|| corrupt(format!("field {index}: the row ends before it")))
    }

    /// Bytes in the slot itself (at most 7) or where the slot points.
    fn variable(&self, index: usize, slot: [u8; 8]) -> Result<&[u8]> {
        if slot[7] & 0x80 == 0 {
            return self.part(index, slot, None);
        }
        let length = usize::from(slot[7] & 0x7f);
        let start = header_size(self.arity()) + 8 * index;
        if length > 7 {
            return Err(corrupt(format!("field {index}: {length} bytes inside a slot")));
        }
        self.row_bytes().get(start..start + length).ok_or_else(|| corrupt(format!("field {index}: beyond the row")))
    }

    /// Bytes in the variable part: the slot's high half is the offset, its low half the length unless one is given.
    fn part(&self, index: usize, slot: [u8; 8], length: Option<usize>) -> Result<&[u8]> {
        let low = u32::from_le_bytes([slot[0], slot[1], slot[2], slot[3]]) as usize;
        let offset = u32::from_le_bytes([slot[4], slot[5], slot[6], slot[7]]) as usize;
        let length = length.unwrap_or(low);
        offset
            .checked_add(length)
            .and_then(|end| self.row_bytes().get(offset..end))
            .ok_or_else(|| corrupt(format!("field {index}: {length} bytes at {offset} lie beyond the row")))
    }
}

fn corrupt(what: String) -> Error {
    Error::corrupt("", format!("binary row: {what}"))
}

#[cfg(test)]
mod tests;
