//! Which bucket a key hash belongs to, in few bytes: the hashes of a partition, sorted, each with its bucket.
//!
//! ```text
//! starts   one place for each run of about eight hashes, by their first bits
//! hashes   sorted, 4 bytes each        buckets   2 bytes each        fresh   those since the last merge
//! ```
//!
//! About 7 bytes for each key, up to 12 while a quarter of them is fresh.

use std::collections::HashMap;

use crate::error::{Error, Result};

/// Fresh hashes that are kept beside the sorted ones, at the least.
const FRESH: usize = 4096;

/// From key hash to bucket.
#[derive(Default)]
pub(super) struct KeyIndex {
    hashes: Vec<u32>,
    buckets: Vec<u16>,
    starts: Vec<u32>,
    fresh: HashMap<u32, u16>,
}

impl KeyIndex {
    /// Of hashes in any order.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a hash stands in two buckets: two writers, each without knowing of the other, took it in.
    pub(super) fn of(mut pairs: Vec<(u32, u16)>) -> Result<Self> {
        pairs.sort_unstable();
        pairs.dedup();
        if let Some(pair) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::corrupt(
                "key-hash index",
                format!(
                    "a key hash ({}) is in buckets {} and {}: two writers wrote a partition with dynamic buckets at the \
                     same time; rescale the partition",
                    pair[0].0 as i32, pair[0].1, pair[1].1
                ),
            ));
        }
        let mut index = Self::default();
        index.take(pairs);
        Ok(index)
    }

    fn take(&mut self, pairs: Vec<(u32, u16)>) {
        self.hashes = pairs.iter().map(|pair| pair.0).collect();
        self.buckets = pairs.iter().map(|pair| pair.1).collect();
        let bits = (self.hashes.len() / 8).checked_ilog2().unwrap_or(0);
        let mut starts = vec![0_u32; (1_usize << bits) + 1];
        for hash in &self.hashes {
            starts[slot(*hash, bits) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        self.starts = starts;
    }

    pub(super) fn get(&self, hash: u32) -> Option<u16> {
        if self.starts.len() > 1 {
            let bits = (self.starts.len() - 1).ilog2();
            let at = slot(hash, bits);
            let (from, until) = (self.starts[at] as usize, self.starts[at + 1] as usize);
            if let Ok(place) = self.hashes[from..until].binary_search(&hash) {
                return Some(self.buckets[from + place]);
            }
        }
        self.fresh.get(&hash).copied()
    }

    /// Adds a hash that is not there.
    pub(super) fn insert(&mut self, hash: u32, bucket: u16) {
        self.fresh.insert(hash, bucket);
        if self.fresh.len() >= FRESH.max(self.hashes.len() / 4) {
            let mut pairs: Vec<(u32, u16)> = self.iter().collect();
            pairs.sort_unstable();
            self.fresh.clear();
            self.take(pairs);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u16)> {
        let sorted = self.hashes.iter().copied().zip(self.buckets.iter().copied());
        sorted.chain(self.fresh.iter().map(|(hash, bucket)| (*hash, *bucket)))
    }

    /// Roughly.
    pub(super) fn bytes(&self) -> usize {
        self.hashes.len() * 7 + self.fresh.capacity() * 10
    }
}

/// The first bits of a hash.
fn slot(hash: u32, bits: u32) -> usize {
    (u64::from(hash) >> (32 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_was_put_in_and_nothing_else() {
        for count in [0_u32, 1, 7, 8, 9, 100, 5000, 40_000] {
            let hash = |n: u32| n.wrapping_mul(0x9e37_79b1);
            let half = count / 2;
            let mut index = KeyIndex::of((0..half).map(|n| (hash(n), (n % 300) as u16)).collect()).unwrap();
            (half..count).for_each(|n| index.insert(hash(n), (n % 300) as u16));
            for n in 0..count {
                assert_eq!(index.get(hash(n)), Some((n % 300) as u16), "{n} of {count}");
            }
            assert!((count..count + 1000).all(|n| index.get(hash(n)).is_none()));
            assert_eq!(index.iter().count(), count as usize);
            assert!(index.bytes() < 20 * count as usize + 200_000);
        }
    }

    #[test]
    fn a_hash_in_two_buckets_is_told() {
        assert!(KeyIndex::of(vec![(5, 1), (5, 1), (9, 0)]).is_ok());
        let twice = KeyIndex::of(vec![(5, 1), (9, 0), (5, 2)]);
        assert!(matches!(twice.map(|_| ()), Err(Error::Corrupt { .. })));
    }
}
