//! Murmur3 (x86, 32 bit) over BinaryRows, for one row's bytes and for columns.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef};

use crate::error::{Error, Result};
use crate::format::binary_row::{
    fits_inline, header_size, is_compact_decimal, is_compact_timestamp, split_micros, split_nanos, wide_decimal,
};
use crate::types::{DataType, TypeKind};

const SEED: u32 = 42;

fn mix(hash: u32, word: u32) -> u32 {
    let word = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn mix_slot(hash: u32, slot: u64) -> u32 {
    mix(mix(hash, slot as u32), (slot >> 32) as u32)
}

fn finish(hash: u32, length: u32) -> i32 {
    let mut hash = hash ^ length;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)) as i32
}

/// The hash of a row's bytes. A row is whole words; a shorter rest, which no writer makes, does not count.
pub(in crate::format) fn murmur(row: &[u8]) -> i32 {
    let (words, _) = row.as_chunks::<4>();
    let hash = words.iter().fold(SEED, |hash, word| mix(hash, u32::from_le_bytes(*word)));
    finish(hash, row.len() as u32)
}

/// The hash of the BinaryRow of each row of lane columns.
///
/// # Errors
/// [`Error::Bug`] when a column is no lane of its type or has another length.
pub fn bucket_hashes(columns: &[ArrayRef], types: &[DataType], rows: usize) -> Result<Vec<i32>> {
    if columns.len() != types.len() || columns.iter().any(|column| column.len() != rows) {
        return Err(Error::bug(format!("{} key columns for {} types and {rows} rows", columns.len(), types.len())));
    }
    let fixed = header_size(columns.len()) + 8 * columns.len();
    let mut states = States { hashes: headers(columns, rows), ends: Vec::new() };
    if types.iter().any(|t| has_variable_part(&t.kind)) {
        states.ends = vec![fixed as u32; rows];
    }
    for (column, data_type) in columns.iter().zip(types) {
        states.slots(column, &data_type.kind)?;
    }
    for (column, data_type) in columns.iter().zip(types).filter(|(_, t)| has_variable_part(&t.kind)) {
        states.variable_parts(column, &data_type.kind)?;
    }
    Ok(match states.ends.is_empty() {
        true => states.hashes.into_iter().map(|hash| finish(hash, fixed as u32)).collect(),
        false => states.hashes.into_iter().zip(states.ends).map(|(hash, end)| finish(hash, end)).collect(),
    })
}

fn has_variable_part(kind: &TypeKind) -> bool {
    match kind {
        TypeKind::Char(_) | TypeKind::VarChar(_) | TypeKind::Binary(_) | TypeKind::VarBinary(_) => true,
        TypeKind::Decimal { precision, .. } => !is_compact_decimal(*precision),
        TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) => !is_compact_timestamp(*p),
        _ => false,
    }
}

/// The state of each row after its header: row kind 0 and the null bits.
fn headers(columns: &[ArrayRef], rows: usize) -> Vec<u32> {
    let words = header_size(columns.len()) / 8;
    let plain = (0..words).fold(SEED, |hash, _| mix_slot(hash, 0));
    if columns.iter().all(|column| column.null_count() == 0) {
        return vec![plain; rows];
    }
    let mut hashes = vec![SEED; rows];
    for word in 0..words {
        for (row, hash) in hashes.iter_mut().enumerate() {
            let first = word * 64;
            let bits = (first.max(8)..first + 64).take_while(|bit| bit - 8 < columns.len());
            let bits = bits.filter(|bit| columns[bit - 8].is_null(row)).fold(0, |bits, bit| bits | 1 << (bit % 64));
            *hash = mix_slot(*hash, bits);
        }
    }
    hashes
}

struct States {
    /// The hash state of each row.
    hashes: Vec<u32>,
    /// The length of each row so far; empty when no column has a variable part.
    ends: Vec<u32>,
}

impl States {
    fn slots(&mut self, column: &ArrayRef, kind: &TypeKind) -> Result<()> {
        match kind {
            TypeKind::Boolean => {
                let values = column.as_boolean_opt().ok_or_else(|| no_lane(column, kind))?;
                for (row, hash) in self.hashes.iter_mut().enumerate() {
                    let slot = u64::from(!values.is_null(row) && values.value(row));
                    *hash = mix_slot(*hash, slot);
                }
                Ok(())
            }
            TypeKind::TinyInt => self.fixed::<Int8Type>(column, kind, |value| u64::from(value as u8)),
            TypeKind::SmallInt => self.fixed::<Int16Type>(column, kind, |value| u64::from(value as u16)),
            TypeKind::Int => self.fixed::<Int32Type>(column, kind, |value| u64::from(value as u32)),
            TypeKind::Date => self.fixed::<Date32Type>(column, kind, |value| u64::from(value as u32)),
            TypeKind::Time(_) => self.fixed::<Time32MillisecondType>(column, kind, |value| u64::from(value as u32)),
            TypeKind::BigInt => self.fixed::<Int64Type>(column, kind, |value| value as u64),
            TypeKind::Float => self.fixed::<Float32Type>(column, kind, |value| u64::from(value.to_bits())),
            TypeKind::Double => self.fixed::<Float64Type>(column, kind, f64::to_bits),
            TypeKind::Decimal { precision, .. } if is_compact_decimal(*precision) => {
                self.fixed::<Decimal128Type>(column, kind, |value| value as u64)
            }
            TypeKind::Timestamp(p) | TypeKind::TimestampLtz(p) if is_compact_timestamp(*p) => {
                self.fixed::<TimestampMillisecondType>(column, kind, |value| value as u64)
            }
            TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
                Err(Error::bug(format!("the hash of a value of nested type {kind}")))
            }
            TypeKind::Decimal { .. } => {
                let values = primitive::<Decimal128Type>(column, kind)?;
                self.pointers(16, |row| if values.is_null(row) { 0 } else { wide_decimal(values.value(row)).1 });
                Ok(())
            }
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                let parts = timestamps(column, kind)?;
                self.pointers(8, |row| parts[row].1 as u32);
                Ok(())
            }
            TypeKind::Char(_) | TypeKind::VarChar(_) | TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
                let bytes = Texts::of(column, kind)?;
                for (row, (hash, end)) in self.hashes.iter_mut().zip(&mut self.ends).enumerate() {
                    let slot = match bytes.get(row) {
                        None => 0,
                        Some(bytes) if fits_inline(bytes.len()) => inline(bytes),
                        Some(bytes) => {
                            let slot = u64::from(*end) << 32 | bytes.len() as u64;
                            *end = end.wrapping_add(bytes.len().next_multiple_of(8) as u32);
                            slot
                        }
                    };
                    *hash = mix_slot(*hash, slot);
                }
                Ok(())
            }
        }
    }

    fn fixed<T: ArrowPrimitiveType>(
        &mut self,
        column: &ArrayRef,
        kind: &TypeKind,
        slot: impl Fn(T::Native) -> u64,
    ) -> Result<()> {
        let values = primitive::<T>(column, kind)?;
        let pairs = self.hashes.iter_mut().zip(values.values());
        match values.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => pairs.for_each(|(hash, value)| *hash = mix_slot(*hash, slot(*value))),
            Some(nulls) => pairs.zip(nulls).for_each(|((hash, value), valid)| {
                *hash = mix_slot(*hash, if valid { slot(*value) } else { 0 });
            }),
        }
        Ok(())
    }

    /// Slots of values that always take `width` bytes of the variable part, NULL or not.
    fn pointers(&mut self, width: u32, low: impl Fn(usize) -> u32) {
        for (row, (hash, end)) in self.hashes.iter_mut().zip(&mut self.ends).enumerate() {
            *hash = mix_slot(*hash, u64::from(*end) << 32 | u64::from(low(row)));
            *end = end.wrapping_add(width);
        }
    }

    fn variable_parts(&mut self, column: &ArrayRef, kind: &TypeKind) -> Result<()> {
        match kind {
            TypeKind::Decimal { .. } => {
                let values = primitive::<Decimal128Type>(column, kind)?;
                for (row, hash) in self.hashes.iter_mut().enumerate() {
                    let digits = if values.is_null(row) { [0; 16] } else { wide_decimal(values.value(row)).0 };
                    *hash = mix_padded(*hash, &digits);
                }
            }
            TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
                for (hash, (millis, _)) in self.hashes.iter_mut().zip(timestamps(column, kind)?) {
                    *hash = mix_slot(*hash, millis as u64);
                }
            }
            _ => {
                let bytes = Texts::of(column, kind)?;
                for (row, hash) in self.hashes.iter_mut().enumerate() {
                    if let Some(bytes) = bytes.get(row).filter(|bytes| !fits_inline(bytes.len())) {
                        *hash = mix_padded(*hash, bytes);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Mixes bytes, padded with zeros to a multiple of 8.
fn mix_padded(hash: u32, bytes: &[u8]) -> u32 {
    let (slots, rest) = bytes.as_chunks::<8>();
    let hash = slots.iter().fold(hash, |hash, slot| mix_slot(hash, u64::from_le_bytes(*slot)));
    if rest.is_empty() {
        return hash;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix_slot(hash, u64::from_le_bytes(last))
}

/// The slot of at most 7 bytes.
fn inline(bytes: &[u8]) -> u64 {
    let mut slot = [0; 8];
    slot[..bytes.len()].copy_from_slice(bytes);
    slot[7] = 0x80 | bytes.len() as u8;
    u64::from_le_bytes(slot)
}

/// Milliseconds and nanoseconds of a timestamp lane of more than 3 digits; zeros for NULL.
fn timestamps(column: &ArrayRef, kind: &TypeKind) -> Result<Vec<(i64, i32)>> {
    if let Some(micros) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        return Ok(micros.iter().map(|value| value.map_or((0, 0), split_micros)).collect());
    }
    let nanos = primitive::<Decimal128Type>(column, kind)?;
    let too_far = || Error::invalid(format!("a value lies beyond a {kind}"));
    nanos.iter().map(|value| value.map_or(Ok((0, 0)), |n| split_nanos(n).ok_or_else(too_far))).collect()
}

enum Texts<'a> {
    Strings(&'a arrow_array::StringArray),
    Bytes(&'a arrow_array::BinaryArray),
}

impl<'a> Texts<'a> {
    fn of(column: &'a ArrayRef, kind: &TypeKind) -> Result<Self> {
        let strings = column.as_string_opt::<i32>().map(Self::Strings);
        strings.or_else(|| column.as_binary_opt::<i32>().map(Self::Bytes)).ok_or_else(|| no_lane(column, kind))
    }

    fn get(&self, row: usize) -> Option<&'a [u8]> {
        match self {
            Self::Strings(values) => (!values.is_null(row)).then(|| values.value(row).as_bytes()),
            Self::Bytes(values) => (!values.is_null(row)).then(|| values.value(row)),
        }
    }
}

fn primitive<'a, T: ArrowPrimitiveType>(
    column: &'a ArrayRef,
    kind: &TypeKind,
) -> Result<&'a arrow_array::PrimitiveArray<T>> {
    column.as_primitive_opt::<T>().ok_or_else(|| no_lane(column, kind))
}

fn no_lane(column: &ArrayRef, kind: &TypeKind) -> Error {
    Error::bug(format!("Arrow {} is no lane of {kind}", column.data_type()))
}
