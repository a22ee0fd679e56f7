//! Hive's bucket hash: `h = 31 * h + hash(field)`, NULL is 0.

use arrow_array::ArrayRef;

use crate::error::{Error, Result};
use crate::format::datum_at;
use crate::types::{DataType, Datum, TypeKind};

/// Whether Java's function takes a key of this kind.
pub(super) fn hashes(kind: &TypeKind) -> bool {
    !matches!(kind, TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_))
}

/// The hash of each row.
pub(super) fn hashes_of(columns: &[ArrayRef], types: &[DataType], rows: usize) -> Result<Vec<i32>> {
    let mut hashes = vec![0i32; rows];
    for (column, data_type) in columns.iter().zip(types) {
        for (row, hash) in hashes.iter_mut().enumerate() {
            let field = hash_of(&datum_at(column, &data_type.kind, row)?, &data_type.kind)?;
            *hash = hash.wrapping_mul(31).wrapping_add(field);
        }
    }
    Ok(hashes)
}

fn hash_of(value: &Datum, kind: &TypeKind) -> Result<i32> {
    Ok(match value {
        Datum::Null => 0,
        Datum::Boolean(value) => i32::from(*value),
        Datum::TinyInt(value) => i32::from(*value),
        Datum::SmallInt(value) => i32::from(*value),
        Datum::Int(value) | Datum::Date(value) | Datum::Time(value) => *value,
        Datum::BigInt(value) => fold(*value),
        // Java's canonical NaN; both zeros are 0.
        Datum::Float(value) if value.is_nan() => 0x7fc0_0000,
        Datum::Float(value) if *value == 0.0 => 0,
        Datum::Float(value) => value.to_bits() as i32,
        Datum::Double(value) if value.is_nan() => fold(0x7ff8_0000_0000_0000),
        Datum::Double(value) if *value == 0.0 => 0,
        Datum::Double(value) => fold(value.to_bits() as i64),
        Datum::String(value) => bytes(value.as_bytes()),
        Datum::Bytes(value) => bytes(value),
        Datum::Decimal(value) => match kind {
            TypeKind::Decimal { scale, .. } => decimal(*value, *scale),
            _ => return Err(Error::bug(format!("a decimal in a column of {kind}"))),
        },
        Datum::Timestamp { .. } => return Err(Error::unsupported("bucket-function.type hive with a timestamp key")),
        Datum::Array(_) | Datum::Map(_) | Datum::Row(_) => {
            return Err(Error::bug(format!("the hash of a value of nested type {kind}")));
        }
    })
}

fn fold(value: i64) -> i32 {
    (value ^ ((value as u64) >> 32) as i64) as i32
}

fn bytes(bytes: &[u8]) -> i32 {
    bytes.iter().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(i32::from(*byte as i8)))
}

/// Java's `BigDecimal.hashCode` of the number without trailing zeros behind the point.
fn decimal(mut unscaled: i128, mut scale: u8) -> i32 {
    if unscaled == 0 {
        return 0;
    }
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    let words = unscaled.unsigned_abs().to_be_bytes();
    let (words, _) = words.as_chunks::<4>();
    let magnitude = words.iter().fold(0i32, |hash, word| hash.wrapping_mul(31).wrapping_add(i32::from_be_bytes(*word)));
    let number = if unscaled < 0 { magnitude.wrapping_neg() } else { magnitude };
    number.wrapping_mul(31).wrapping_add(i32::from(scale))
}
