//! `bsi`: numbers by the bits of their size, those from zero up and those below apart.

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::cells::{Cell, CellRef, Cells};
use super::cursor::{Cursor, Read};
use super::distinct::{encode_bitmap, int};
use super::select::Bounds;
use super::slices::{SliceBuilder, bits, compare};
use crate::error::Result;

const VERSION: u8 = 1;

#[derive(Default)]
pub(super) struct NumbersBuilder {
    rows: u32,
    positive: SliceBuilder,
    negative: SliceBuilder,
    /// The lowest number of all has a size that the format cannot hold.
    lowest: bool,
}

impl NumbersBuilder {
    pub(super) fn add(&mut self, cells: &Cells) {
        cells.for_each(|cell| {
            if let Some(CellRef::Number(number)) = cell {
                let side = if number < 0 { &mut self.negative } else { &mut self.positive };
                self.lowest |= number == i64::MIN;
                side.add(self.rows, number.unsigned_abs());
            }
            self.rows = self.rows.saturating_add(1);
        });
    }

    /// The index, unless the column has a number that it cannot hold.
    pub(super) fn finish(self) -> Result<Option<Vec<u8>>> {
        if self.lowest {
            return Ok(None);
        }
        let mut out = vec![VERSION];
        out.extend(int(self.rows as usize)?);
        for side in [self.positive, self.negative] {
            out.push(u8::from(!side.present.is_empty()));
            if side.present.is_empty() {
                continue;
            }
            out.push(VERSION);
            out.extend(0_i64.to_be_bytes()); // Java counts its bounds from zero on
            out.extend(side.max.to_be_bytes());
            out.extend(encode_bitmap(side.present)?);
            out.extend(int(side.slices.len())?);
            for slice in side.slices {
                out.extend(encode_bitmap(slice)?);
            }
        }
        Ok(Some(out))
    }
}

/// An index to ask.
pub(super) struct Numbers {
    positive: Side,
    negative: Side,
}

#[derive(Default)]
struct Side {
    min: u64,
    max: u64,
    present: RoaringBitmap,
    slices: Vec<RoaringBitmap>,
}

impl Numbers {
    pub(super) fn decode(bytes: &Bytes, rows: u64) -> Read<Self> {
        let mut cursor = Cursor::new(bytes, 0);
        cursor.byte()?;
        let told = cursor.count()?;
        if told as u64 != rows {
            return Err(format!("a bsi index of {told} rows"));
        }
        let mut side = || if cursor.boolean()? { Side::decode(&mut cursor, rows) } else { Ok(Side::default()) };
        let (positive, negative) = (side()?, side()?);
        Ok(Self { positive, negative })
    }

    /// The rows that have a number.
    pub(super) fn present(&self) -> RoaringBitmap {
        &self.positive.present | &self.negative.present
    }

    pub(super) fn any_of(&self, values: &[Cell]) -> RoaringBitmap {
        let mut rows = RoaringBitmap::new();
        for number in values.iter().filter_map(number) {
            let side = if number < 0 { &self.negative } else { &self.positive };
            rows |= side.within(Some((number.unsigned_abs(), true)), Some((number.unsigned_abs(), true)));
        }
        rows
    }

    pub(super) fn within(&self, bounds: &Bounds) -> RoaringBitmap {
        let bound = |bound: &Option<(Cell, bool)>| bound.as_ref().and_then(|(cell, with)| Some((number(cell)?, *with)));
        let (low, high) = (bound(&bounds.low), bound(&bounds.high));
        let size = |(number, with): (i64, bool)| (number.unsigned_abs(), with);
        let mut rows = RoaringBitmap::new();
        if high.is_none_or(|(number, _)| number >= 0) {
            rows |= self.positive.within(low.filter(|(number, _)| *number >= 0).map(size), high.map(size));
        }
        if low.is_none_or(|(number, _)| number < 0) {
            // The larger the size, the lower the number.
            rows |= self.negative.within(high.filter(|(number, _)| *number < 0).map(size), low.map(size));
        }
        rows
    }
}

fn number(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Number(number) => Some(*number),
        Cell::Bytes(_) => None,
    }
}

impl Side {
    fn decode(cursor: &mut Cursor<'_>, rows: u64) -> Read<Self> {
        let version = cursor.byte()?;
        let (min, max) = (cursor.long()?, cursor.long()?);
        let present = cursor.bitmap(rows)?;
        let count = cursor.count()?;
        let (Ok(min), Ok(max)) = (u64::try_from(min), u64::try_from(max)) else {
            return Err(format!("sizes from {min} to {max}"));
        };
        let wanted = max.checked_sub(min).map(bits);
        if version != VERSION || wanted != Some(count) {
            return Err(format!("slices of version {version}, {count} of them for sizes from {min} to {max}"));
        }
        let slices = (0..count).map(|_| cursor.bitmap(rows)).collect::<Read<_>>()?;
        Ok(Self { min, max, present, slices })
    }

    /// The rows whose size lies between two, each with the bound itself or without.
    fn within(&self, low: Option<(u64, bool)>, high: Option<(u64, bool)>) -> RoaringBitmap {
        let mut rows = self.present.clone();
        if let Some((size, with)) = low {
            rows &= match size {
                _ if size < self.min => self.present.clone(),
                _ if size > self.max => RoaringBitmap::new(),
                _ => {
                    let found = compare(&self.present, &self.slices, size - self.min);
                    if with { found.above | found.same } else { found.above }
                }
            };
        }
        if let Some((size, with)) = high {
            rows &= match size {
                _ if size < self.min => RoaringBitmap::new(),
                _ if size > self.max => self.present.clone(),
                _ => {
                    let found = compare(&self.present, &self.slices, size - self.min);
                    if with { found.below | found.same } else { found.below }
                }
            };
        }
        rows
    }
}
