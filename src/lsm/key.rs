//! Normalised keys: a key column becomes a number or a byte string whose plain order is Paimon's key order.
//!
//! A key of fixed-width columns of at most 64 bits together is one `u64`, up to 128 bits one `u128`; any
//! other key is a row of `arrow-row`. Keys never hold NULL here (primary-key columns are NOT NULL).
//! Order: numbers as numbers, strings and bytes by unsigned byte, floats as Java's `compare` does
//! (`format-spec/merge-tree.md`, order).

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_row::{RowConverter, Rows, SortField};
use arrow_schema::{DataType as ArrowType, TimeUnit};

use crate::error::{Error, Result};
use crate::types::{DataType, TypeKind, lane_type};

/// The keys of some rows, comparable with those of any other batch of the same [`KeyEncoder`].
#[derive(Debug)]
pub enum Keys {
    /// Keys of at most 64 bits.
    Narrow(Vec<u64>),
    /// Keys of at most 128 bits.
    Wide(Vec<u128>),
    /// Any other keys.
    Rows(Rows),
}

impl Keys {
    /// How many keys.
    pub fn len(&self) -> usize {
        match self {
            Self::Narrow(keys) => keys.len(),
            Self::Wide(keys) => keys.len(),
            Self::Rows(rows) => rows.num_rows(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The order of one of these keys and one of others, which must come from the same [`KeyEncoder`].
    #[inline]
    pub fn compare(&self, at: usize, other: &Self, other_at: usize) -> Ordering {
        match (self, other) {
            (Self::Narrow(a), Self::Narrow(b)) => a[at].cmp(&b[other_at]),
            (Self::Wide(a), Self::Wide(b)) => a[at].cmp(&b[other_at]),
            (Self::Rows(a), Self::Rows(b)) => a.row(at).data().cmp(b.row(other_at).data()),
            _ => self.representation().cmp(&other.representation()),
        }
    }

    /// Where a key stands among these, which must rise.
    pub fn equal_range(&self, key: &Self, at: usize) -> Range<usize> {
        fn search(len: usize, order: impl Fn(usize) -> Ordering) -> Range<usize> {
            let bound = |from: usize, below: &dyn Fn(Ordering) -> bool| {
                let (mut low, mut high) = (from, len);
                while low < high {
                    let middle = low + (high - low) / 2;
                    if below(order(middle)) { low = middle + 1 } else { high = middle }
                }
                low
            };
            let start = bound(0, &Ordering::is_lt);
            // Keys stand once, mostly.
            match start < len && order(start).is_eq() {
                false => start..start,
                true if start + 1 == len || order(start + 1).is_gt() => start..start + 1,
                true => start..bound(start, &Ordering::is_le),
            }
        }
        match (self, key) {
            (Self::Narrow(keys), Self::Narrow(key)) => {
                let start = lower_bound(keys, key[at]);
                start..start + keys[start..].iter().take_while(|other| **other == key[at]).count()
            }
            _ => search(self.len(), |row| self.compare(row, key, at)),
        }
    }

    /// Whether no key is smaller than the one before it.
    pub fn rises(&self) -> bool {
        (1..self.len()).all(|at| self.compare(at - 1, self, at).is_le())
    }

    /// The places of the keys in rising order, equal keys once.
    pub fn sorted(&self) -> Vec<u32> {
        let mut places: Vec<u32> = (0..self.len() as u32).collect();
        let order = |a: &u32, b: &u32| self.compare(*a as usize, self, *b as usize);
        places.sort_unstable_by(|a, b| order(a, b).then(a.cmp(b)));
        places.dedup_by(|a, b| order(a, b).is_eq());
        places
    }

    fn representation(&self) -> u8 {
        match self {
            Self::Narrow(_) => 0,
            Self::Wide(_) => 1,
            Self::Rows(_) => 2,
        }
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        match self {
            Self::Narrow(keys) => keys.len() * 8,
            Self::Wide(keys) => keys.len() * 16,
            Self::Rows(rows) => rows.size(),
        }
    }
}

/// The first place whose key is not below one. Guesses by the line between the ends before it halves: keys that are
/// numbers lie evenly more often than not, and each look into a large block is a line of the cache.
fn lower_bound(keys: &[u64], key: u64) -> usize {
    /// So far from a guess its place is expected; a search by halves within it stays in a few lines.
    const NEAR: usize = 16;
    const GUESSES: usize = 3;
    // The place is in low..=high.
    let (mut low, mut high) = (0, keys.len());
    for _ in 0..GUESSES {
        if high - low <= 2 * NEAR {
            break;
        }
        let (first, last) = (keys[low], keys[high - 1]);
        if key <= first {
            return low;
        }
        if last < key {
            return high;
        }
        let share = u128::from(key - first) * (high - 1 - low) as u128 / u128::from(last - first);
        let guess = low + share as usize;
        let (left, right) = (guess.saturating_sub(NEAR).max(low), (guess + NEAR).min(high - 1));
        match (keys[left] < key, keys[right] < key) {
            (_, true) => low = right + 1,
            (true, false) => (low, high) = (left + 1, right),
            (false, false) => high = left,
        }
    }
    low + keys[low..high].partition_point(|other| *other < key)
}

/// Turns key columns into [`Keys`].
#[derive(Debug, Clone)]
pub struct KeyEncoder {
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Narrow(Vec<u32>),
    Wide(Vec<u32>),
    Rows(Arc<RowConverter>),
}

impl KeyEncoder {
    /// An encoder for key columns of these types.
    ///
    /// # Errors
    /// [`Error::Bug`] when the row format refuses a scalar type.
    pub fn new(types: &[DataType]) -> Result<Self> {
        let widths: Option<Vec<u32>> = types.iter().map(|t| width(&t.kind)).collect();
        let shape = match widths {
            Some(widths) if widths.iter().sum::<u32>() <= 64 => Shape::Narrow(widths),
            Some(widths) if widths.iter().sum::<u32>() <= 128 => Shape::Wide(widths),
            _ => {
                let fields = types.iter().map(|t| SortField::new(lane_type(&t.kind))).collect();
                let converter = RowConverter::new(fields).map_err(|error| Error::bug(error.to_string()))?;
                Shape::Rows(Arc::new(converter))
            }
        };
        Ok(Self { shape })
    }

    /// The keys of `rows` rows of lanes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a NULL in a key column.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<Keys> {
        if columns.iter().any(|column| column.null_count() > 0) {
            return Err(Error::invalid("a key column holds NULL"));
        }
        match &self.shape {
            Shape::Narrow(widths) => {
                let mut keys = vec![0_u64; rows];
                for (column, width) in columns.iter().zip(widths) {
                    let first = *width == 64;
                    visit(column, |at, bits| {
                        let key = &mut keys[at];
                        *key = if first { bits as u64 } else { (*key << width) | bits as u64 };
                    })?;
                }
                Ok(Keys::Narrow(keys))
            }
            Shape::Wide(widths) => {
                let mut keys = vec![0_u128; rows];
                for (column, width) in columns.iter().zip(widths) {
                    let first = *width == 128;
                    visit(column, |at, bits| {
                        let key = &mut keys[at];
                        *key = if first { bits } else { (*key << width) | bits };
                    })?;
                }
                Ok(Keys::Wide(keys))
            }
            Shape::Rows(converter) => {
                let columns: Vec<ArrayRef> = columns.iter().map(one_nan).collect();
                converter.convert_columns(&columns).map(Keys::Rows).map_err(|error| Error::bug(error.to_string()))
            }
        }
    }
}

/// The bits a value takes in a numeric key; `None` for what has no fixed width.
fn width(kind: &TypeKind) -> Option<u32> {
    Some(match kind {
        TypeKind::Boolean | TypeKind::TinyInt => 8,
        TypeKind::SmallInt => 16,
        TypeKind::Int | TypeKind::Float | TypeKind::Date | TypeKind::Time(_) => 32,
        TypeKind::BigInt | TypeKind::Double | TypeKind::Timestamp(..=6) | TypeKind::TimestampLtz(..=6) => 64,
        TypeKind::Decimal { precision: ..=18, .. } => 64,
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) | TypeKind::Decimal { .. } => 128,
        TypeKind::Char(_) | TypeKind::VarChar(_) | TypeKind::Binary(_) | TypeKind::VarBinary(_) => return None,
        TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
            return None;
        }
    })
}

/// Calls `each` with every value's order-preserving bits.
fn visit(column: &ArrayRef, mut each: impl FnMut(usize, u128)) -> Result<()> {
    macro_rules! signed {
        ($arrow:ty, $unsigned:ty) => {
            for (at, value) in column.as_primitive::<$arrow>().values().iter().enumerate() {
                each(at, u128::from((*value as $unsigned) ^ (1 << (<$unsigned>::BITS - 1))));
            }
        };
    }
    match column.data_type() {
        ArrowType::Boolean => {
            let values = column.as_boolean().values();
            for (at, value) in values.iter().enumerate() {
                each(at, u128::from(value));
            }
        }
        ArrowType::Int8 => signed!(Int8Type, u8),
        ArrowType::Int16 => signed!(Int16Type, u16),
        ArrowType::Int32 => signed!(Int32Type, u32),
        ArrowType::Int64 => signed!(Int64Type, u64),
        ArrowType::Date32 => signed!(Date32Type, u32),
        ArrowType::Time32(TimeUnit::Millisecond) => signed!(Time32MillisecondType, u32),
        ArrowType::Timestamp(TimeUnit::Millisecond, _) => signed!(TimestampMillisecondType, u64),
        ArrowType::Timestamp(TimeUnit::Microsecond, _) => signed!(TimestampMicrosecondType, u64),
        ArrowType::Decimal128(..=18, _) => {
            for (at, value) in column.as_primitive::<Decimal128Type>().values().iter().enumerate() {
                each(at, u128::from((*value as u64) ^ (1 << 63)));
            }
        }
        ArrowType::Decimal128(_, _) => {
            for (at, value) in column.as_primitive::<Decimal128Type>().values().iter().enumerate() {
                each(at, (*value as u128) ^ (1 << 127));
            }
        }
        ArrowType::Float32 => {
            for (at, value) in column.as_primitive::<Float32Type>().values().iter().enumerate() {
                let bits = if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() };
                let flip = if bits >> 31 == 1 { u32::MAX } else { 1 << 31 };
                each(at, u128::from(bits ^ flip));
            }
        }
        ArrowType::Float64 => {
            for (at, value) in column.as_primitive::<Float64Type>().values().iter().enumerate() {
                let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
                let flip = if bits >> 63 == 1 { u64::MAX } else { 1 << 63 };
                each(at, u128::from(bits ^ flip));
            }
        }
        other => return Err(Error::bug(format!("a key column of Arrow type {other}"))),
    }
    Ok(())
}

/// Floats with every NaN as one value, so that the row format's total order is Java's.
pub(super) fn one_nan(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        ArrowType::Float32 => {
            let one = |value: f32| if value.is_nan() { f32::NAN } else { value };
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        ArrowType::Float64 => {
            let one = |value: f64| if value.is_nan() { f64::NAN } else { value };
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        _ => Arc::clone(column),
    }
}

/// Keys of one representation, for code that is compiled once for each.
pub(super) trait KeyColumn: Send + Sized + 'static {
    /// A key, borrowed where it is long.
    type Key<'a>: Ord + Copy;
    /// The keys, when they have this representation.
    fn from_keys(keys: Keys) -> Option<Self>;
    /// The key of a row.
    fn key(&self, row: usize) -> Self::Key<'_>;
}

impl KeyColumn for Vec<u64> {
    type Key<'a> = u64;
    fn from_keys(keys: Keys) -> Option<Self> {
        if let Keys::Narrow(keys) = keys { Some(keys) } else { None }
    }
    #[inline]
    fn key(&self, row: usize) -> u64 {
        self[row]
    }
}

impl KeyColumn for Vec<u128> {
    type Key<'a> = u128;
    fn from_keys(keys: Keys) -> Option<Self> {
        if let Keys::Wide(keys) = keys { Some(keys) } else { None }
    }
    #[inline]
    fn key(&self, row: usize) -> u128 {
        self[row]
    }
}

impl KeyColumn for Rows {
    type Key<'a> = &'a [u8];
    fn from_keys(keys: Keys) -> Option<Self> {
        if let Keys::Rows(rows) = keys { Some(rows) } else { None }
    }
    #[inline]
    fn key(&self, row: usize) -> &[u8] {
        self.row(row).data()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::lower_bound;

    proptest! {
        /// Keys that lie evenly, in heaps, and doubled.
        #[test]
        fn a_guessed_search_finds_what_halving_finds(
            mut keys in prop::collection::vec(prop_oneof![0..5000_u64, Just(7), any::<u64>(), u64::MAX - 9..], 0..400),
            wanted in prop_oneof![0..5000_u64, any::<u64>(), Just(u64::MAX)],
        ) {
            keys.sort_unstable();
            let of = |key: u64| keys.partition_point(|other| *other < key);
            prop_assert_eq!(lower_bound(&keys, wanted), of(wanted));
            for key in &keys {
                prop_assert_eq!(lower_bound(&keys, *key), of(*key));
            }
        }
    }
}
