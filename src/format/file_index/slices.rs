//! Numbers by their bits: a bitmap for each bit, and one of the rows that have a number at all.

use roaring::RoaringBitmap;

/// How the numbers of rows compare to another one.
pub(super) struct Compared {
    pub(super) below: RoaringBitmap,
    pub(super) same: RoaringBitmap,
    pub(super) above: RoaringBitmap,
}

/// Compares all numbers by their bits, from the highest down.
pub(super) fn compare(present: &RoaringBitmap, slices: &[RoaringBitmap], number: u64) -> Compared {
    let (mut below, mut above, mut same) = (RoaringBitmap::new(), RoaringBitmap::new(), present.clone());
    for (bit, slice) in slices.iter().enumerate().rev() {
        if number >> bit & 1 == 1 {
            below |= &same - slice;
            same &= slice;
        } else {
            above |= &same & slice;
            same -= slice;
        }
    }
    Compared { below, same, above }
}

/// How many bits a number has.
pub(super) fn bits(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()) as usize
}

/// Slices that grow with the numbers put into them. Rows come rising.
#[derive(Default)]
pub(super) struct SliceBuilder {
    pub(super) present: RoaringBitmap,
    pub(super) slices: Vec<RoaringBitmap>,
    pub(super) max: u64,
}

impl SliceBuilder {
    pub(super) fn add(&mut self, row: u32, number: u64) {
        self.max = self.max.max(number);
        self.slices.resize_with(self.slices.len().max(bits(number)), RoaringBitmap::new);
        let mut left = number;
        while left != 0 {
            self.slices[left.trailing_zeros() as usize].insert(row);
            left &= left - 1;
        }
        self.present.insert(row);
    }
}
