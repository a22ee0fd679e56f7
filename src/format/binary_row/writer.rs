//! Writing one row, field by field, into a buffer that may be used again.

use bytes::Bytes;

use super::{BinaryRow, header_size};
use crate::error::{Error, Result};
use crate::types::{Datum, TypeKind};

/// Decimals of up to 18 digits are a 64-bit number in the slot.
pub(in crate::format) fn is_compact_decimal(precision: u8) -> bool {
    precision <= 18
}

/// Timestamps of up to 3 digits are milliseconds in the slot.
pub(in crate::format) fn is_compact_timestamp(precision: u8) -> bool {
    precision <= 3
}

/// Strings and bytes of up to 7 bytes lie in the slot.
pub(in crate::format) fn fits_inline(length: usize) -> bool {
    length <= 7
}

/// Writes the fields of one row in order: the variable part follows the order of the calls.
pub(in crate::format) struct RowWriter {
    /// Arity prefix, header, slots, variable part.
    buffer: Vec<u8>,
    slots: usize,
}

impl RowWriter {
    pub(in crate::format) fn new(arity: usize) -> Self {
        let slots = 4 + header_size(arity);
        let mut buffer = vec![0; slots + 8 * arity];
        buffer[..4].copy_from_slice(&(arity as u32).to_be_bytes());
        Self { buffer, slots }
    }

    pub(in crate::format) fn finish(self) -> BinaryRow {
        BinaryRow { bytes: Bytes::from(self.buffer) }
    }

    /// NULL; wide decimals and timestamps reserve their place all the same.
    pub(in crate::format) fn put_null(&mut self, index: usize, kind: &TypeKind) {
        let bit = index + 8;
        self.buffer[4 + bit / 8] |= 1 << (bit % 8);
        match kind {
            TypeKind::Decimal { precision, .. } if !is_compact_decimal(*precision) => self.put_part(index, 0, &[0; 16]),
            TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) if !is_compact_timestamp(*p) => {
                self.put_part(index, 0, &[0; 8]);
            }
            _ => {}
        }
    }

    /// The low bytes of a slot.
    pub(in crate::format) fn put_slot(&mut self, index: usize, bytes: &[u8]) {
        let start = self.slots + 8 * index;
        self.buffer[start..start + bytes.len()].copy_from_slice(bytes);
    }

    pub(in crate::format) fn put_bytes(&mut self, index: usize, bytes: &[u8]) {
        if fits_inline(bytes.len()) {
            self.put_slot(index, bytes);
            self.buffer[self.slots + 8 * index + 7] = 0x80 | bytes.len() as u8;
        } else {
            self.put_part(index, bytes.len() as u32, bytes);
        }
    }

    pub(in crate::format) fn put_decimal(&mut self, index: usize, unscaled: i128, precision: u8) -> Result<()> {
        if is_compact_decimal(precision) {
            let number = i64::try_from(unscaled)
                .map_err(|_| Error::invalid(format!("decimal {unscaled} has more than {precision} digits")))?;
            self.put_slot(index, &number.to_le_bytes());
        } else {
            let (digits, length) = wide_decimal(unscaled);
            self.put_part(index, length, &digits);
        }
        Ok(())
    }

    pub(in crate::format) fn put_timestamp(&mut self, index: usize, millis: i64, nanos: i32, precision: u8) {
        if is_compact_timestamp(precision) {
            self.put_slot(index, &millis.to_le_bytes());
        } else {
            self.put_part(index, nanos as u32, &millis.to_le_bytes());
        }
    }

    /// Any value.
    pub(in crate::format) fn put(&mut self, index: usize, value: &Datum, kind: &TypeKind) -> Result<()> {
        match (value, kind) {
            (Datum::Null, _) => self.put_null(index, kind),
            (Datum::Boolean(value), TypeKind::Boolean) => self.put_slot(index, &[u8::from(*value)]),
            (Datum::TinyInt(value), TypeKind::TinyInt) => self.put_slot(index, &value.to_le_bytes()),
            (Datum::SmallInt(value), TypeKind::SmallInt) => self.put_slot(index, &value.to_le_bytes()),
            (Datum::Int(value), TypeKind::Int)
            | (Datum::Date(value), TypeKind::Date)
            | (Datum::Time(value), TypeKind::Time(_)) => self.put_slot(index, &value.to_le_bytes()),
            (Datum::BigInt(value), TypeKind::BigInt) => self.put_slot(index, &value.to_le_bytes()),
            (Datum::Float(value), TypeKind::Float) => self.put_slot(index, &value.to_le_bytes()),
            (Datum::Double(value), TypeKind::Double) => self.put_slot(index, &value.to_le_bytes()),
            (Datum::Decimal(value), TypeKind::Decimal { precision, .. }) => {
                self.put_decimal(index, *value, *precision)?;
            }
            (Datum::String(value), TypeKind::Char(_) | TypeKind::VarChar(_)) => {
                self.put_bytes(index, value.as_bytes());
            }
            (Datum::Bytes(value), TypeKind::Binary(_) | TypeKind::VarBinary(_)) => self.put_bytes(index, value),
            (Datum::Timestamp { millis, nanos }, TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p)) => {
                if !(0..1_000_000).contains(nanos) {
                    return Err(Error::invalid(format!("{nanos} nanoseconds in a millisecond")));
                }
                self.put_timestamp(index, *millis, *nanos, *p);
            }
            (value, kind) => return Err(Error::invalid(format!("{value:?} is no {kind}"))),
        }
        Ok(())
    }

    /// Appends to the variable part, padded to 8 bytes, and points the slot there.
    fn put_part(&mut self, index: usize, low: u32, bytes: &[u8]) {
        let offset = (self.buffer.len() - 4) as u32;
        self.put_slot(index, &low.to_le_bytes());
        let start = self.slots + 8 * index + 4;
        self.buffer[start..start + 4].copy_from_slice(&offset.to_le_bytes());
        self.buffer.extend_from_slice(bytes);
        self.buffer.resize(4 + (self.buffer.len() - 4).next_multiple_of(8), 0);
    }
}

/// The shortest big-endian two's complement of a number at the front of 16 bytes, and its length.
pub(in crate::format) fn wide_decimal(unscaled: i128) -> ([u8; 16], u32) {
    let bytes = unscaled.to_be_bytes();
    let unused = if unscaled < 0 { unscaled.leading_ones() } else { unscaled.leading_zeros() };
    // One sign bit must stay.
    let skip = ((unused - 1) / 8) as usize;
    let skip = skip.min(15);
    let mut digits = [0; 16];
    digits[..16 - skip].copy_from_slice(&bytes[skip..]);
    (digits, (16 - skip) as u32)
}
