//! `theta_sketch`: the union of serialised, compact theta sketches of Apache DataSketches, with Paimon's 4096 hashes.

use datasketches::theta::{CompactThetaSketch, ThetaUnionBuilder};

use super::union::Set;
use crate::error::Result;

/// The byte that tells how many words come before the hashes.
const PREAMBLE: usize = 0;
const FLAGS: usize = 5;
const EMPTY: u8 = 1 << 2;
/// The flag of a lone hash, which Java's library sets and the library here leaves out.
const SINGLE: u8 = 1 << 5;
/// Where Java's library writes with which probability hashes are taken: always, 1.0. The library here leaves that out too.
const PROBABILITY: std::ops::Range<usize> = 12..16;

impl Set for CompactThetaSketch {
    const NAME: &'static str = "compact theta sketch";

    fn read(bytes: &[u8]) -> std::result::Result<Self, String> {
        let sketch = Self::deserialize(bytes).map_err(|error| error.to_string())?;
        let ascends = || sketch.iter().map(|entry| entry.hash()).is_sorted();
        if sketch.is_ordered() && !ascends() {
            return Err("its hashes are said to ascend and do not".to_string());
        }
        Ok(sketch)
    }

    fn with(self, later: Self) -> std::result::Result<Self, String> {
        let mut union = ThetaUnionBuilder::default().build().map_err(|error| error.to_string())?;
        union.update(&self).and_then(|()| union.update(&later)).map_err(|error| error.to_string())?;
        Ok(union.to_sketch(true))
    }

    fn write(self) -> Result<Vec<u8>> {
        let mut bytes = self.serialize();
        if bytes[PREAMBLE] > 1 {
            bytes[PROBABILITY].copy_from_slice(&1_f32.to_le_bytes());
        } else if bytes[FLAGS] & EMPTY == 0 {
            bytes[FLAGS] |= SINGLE;
        }
        Ok(bytes)
    }
}
