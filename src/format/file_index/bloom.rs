//! Bloom filters: an int, the number of hashes; then bits, the first one lowest in its byte.

use bytes::Bytes;

use super::cells::{CellKind, CellRef, Cells, double_bits, float_bits};
use super::cursor::{Cursor, Read};
use super::hash::{hash_bytes, hash_number};

/// More hashes than any filter of use has.
const MOST_HASHES: i32 = 4096;

fn hash(kind: CellKind, cell: CellRef<'_>) -> u64 {
    match (kind, cell) {
        (_, CellRef::Bytes(bytes)) => hash_bytes(bytes),
        (CellKind::Float32, CellRef::Number(number)) => hash_number(i64::from(float_bits(number))),
        (CellKind::Float64, CellRef::Number(number)) => hash_number(double_bits(number)),
        (_, CellRef::Number(number)) => hash_number(number),
    }
}

/// The bits of a value, from both halves of its hash.
fn places(hash: u64, hashes: i32, bits: u32) -> impl Iterator<Item = usize> {
    let (low, high) = (hash as i32, (hash >> 32) as i32);
    (1..=hashes).map(move |turn| {
        let mixed = low.wrapping_add(turn.wrapping_mul(high));
        let place = if mixed < 0 { !mixed } else { mixed } as u32;
        (place % bits) as usize
    })
}

pub(super) struct BloomBuilder {
    kind: CellKind,
    hashes: i32,
    bits: Vec<u8>,
}

impl BloomBuilder {
    pub(super) fn new(kind: CellKind, items: u32, fpp: f64) -> Self {
        let wanted = (-f64::from(items) * fpp.ln() / (2_f64.ln() * 2_f64.ln())) as i32;
        // A whole byte more where the bits fill their last one, as Java has it.
        let bits = wanted + (8 - wanted % 8);
        let hashes = (f64::from(bits) / f64::from(items) * 2_f64.ln() + 0.5).floor() as i32;
        Self { kind, hashes: hashes.max(1), bits: vec![0; bits as usize / 8] }
    }

    pub(super) fn add(&mut self, cells: &Cells) {
        let total = (self.bits.len() * 8) as u32;
        cells.for_each(|cell| {
            if let Some(cell) = cell {
                for place in places(hash(self.kind, cell), self.hashes, total) {
                    self.bits[place / 8] |= 1 << (place % 8);
                }
            }
        });
    }

    pub(super) fn finish(self) -> Vec<u8> {
        [self.hashes.to_be_bytes().as_slice(), &self.bits].concat()
    }
}

/// A filter to ask.
pub(super) struct Bloom {
    kind: CellKind,
    hashes: i32,
    bits: Bytes,
}

impl Bloom {
    pub(super) fn decode(bytes: &Bytes, kind: CellKind) -> Read<Self> {
        let hashes = Cursor::new(bytes, 0).int()?;
        let bits = bytes.slice(4..);
        if !(1..=MOST_HASHES).contains(&hashes) || bits.is_empty() || bits.len() > i32::MAX as usize / 8 {
            return Err(format!("a filter of {} bytes with {hashes} hashes", bits.len()));
        }
        Ok(Self { kind, hashes, bits })
    }

    /// Whether a value may be there.
    pub(super) fn may_hold(&self, cell: CellRef<'_>) -> bool {
        let total = (self.bits.len() * 8) as u32;
        places(hash(self.kind, cell), self.hashes, total).all(|place| self.bits[place / 8] & 1 << (place % 8) != 0)
    }
}
