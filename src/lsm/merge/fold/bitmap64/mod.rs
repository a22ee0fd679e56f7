//! `rbm64`: the union of serialised Roaring bitmaps of 64 bits, as Java's `Roaring64Bitmap` lays them out.
//!
//! The upper 48 bits of a number lead through a radix tree to a slot, and the slot's container holds the lower 16 bits.
//! Slots are in the order of their making, so the bytes tell how a bitmap was made; a union keeps that of the earlier
//! bitmap and adds what the later one has, key by key, as Java does. Spec: `format-spec/merge-tree.md`, 64-bit bitmaps.

mod container;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;

use self::container::Container;
use self::tree::Tree;
use super::union::Set;
use crate::error::Result;

/// Why bytes are no bitmap.
type Why = String;

const EMPTY: u8 = 0;
const NOT_EMPTY: u8 = 1;
/// The mark before each array of slots: it is written whole.
const NOT_TRIMMED: u8 = 0xFE;

/// A set of 64-bit numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Bitmap64 {
    tree: Tree,
    /// Empty ones are of numbers taken out, or room that Java's array has in advance.
    slots: Vec<Option<Container>>,
    /// How many slots were given away.
    used: usize,
    /// Whether the containers have the form that takes the fewest bytes.
    optimized: bool,
}

impl Bitmap64 {
    fn container(&mut self, slot: u64) -> std::result::Result<&mut Container, Why> {
        let slot = usize::try_from(slot).ok().and_then(|slot| self.slots.get_mut(slot));
        slot.and_then(Option::as_mut).ok_or_else(|| "a key leads to no container".to_string())
    }

    /// Gives the next slot to a container. Room grows by half, as that of Java's array does.
    fn push(&mut self, container: Container) -> u64 {
        let (slot, room) = (self.used, self.slots.len());
        self.used += 1;
        if self.used > room {
            self.slots.resize(self.used.max(room + room / 2), None);
        }
        self.slots[slot] = Some(container);
        slot as u64
    }

    fn optimize(&mut self) {
        if !self.optimized {
            self.slots.iter_mut().flatten().for_each(Container::optimize);
            self.optimized = true;
        }
    }

    fn decode(input: &mut Input<'_>) -> std::result::Result<Self, Why> {
        match input.u8()? {
            EMPTY => return Ok(Self { optimized: true, ..Self::default() }),
            NOT_EMPTY => {}
            other => return Err(format!("it begins with {other}")),
        }
        let keys = input.u64()?;
        let tree = Tree::decode(input)?;
        if input.u32()? != 1 {
            return Err("its containers lie in several arrays".to_string());
        }
        if input.u8()? != NOT_TRIMMED {
            return Err("its array of containers is trimmed".to_string());
        }
        let room = input.u32()?;
        let slots = (0..input.at_most(room, 1)?).map(|_| Container::decode_slot(input));
        let slots = slots.collect::<std::result::Result<Vec<_>, Why>>()?;
        let containers = input.u64()?;
        let (array, last) = (input.u32()?, input.u32()?);
        let used = last as usize + 1;
        let held = slots.iter().flatten().count() as u64;
        let leads: BTreeSet<u64> = tree.leaves().iter().map(|(_, slot)| *slot).collect();
        let holds = |slot: &u64| usize::try_from(*slot).is_ok_and(|at| matches!(slots.get(at), Some(Some(_))));
        if array != 0 || used > slots.len() || slots[used..].iter().any(Option::is_some) {
            return Err("its last container lies elsewhere".to_string());
        }
        if held != keys || held != containers || leads.len() as u64 != keys || !leads.iter().all(holds) {
            return Err(format!("{keys} keys for {held} containers"));
        }
        Ok(Self { tree, slots, used, optimized: false })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        if self.used == 0 {
            return out.push(EMPTY);
        }
        let held = self.slots.iter().flatten().count() as u64;
        out.push(NOT_EMPTY);
        out.extend(held.to_le_bytes());
        self.tree.encode(out);
        out.extend(1_u32.to_le_bytes());
        out.push(NOT_TRIMMED);
        out.extend((self.slots.len() as u32).to_le_bytes());
        self.slots.iter().for_each(|slot| Container::encode_slot(slot.as_ref(), out));
        out.extend(held.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend((self.used as u32 - 1).to_le_bytes());
    }
}

impl Set for Bitmap64 {
    const NAME: &'static str = "64-bit Roaring bitmap";

    fn read(bytes: &[u8]) -> std::result::Result<Self, Why> {
        Self::decode(&mut Input { rest: bytes })
    }

    fn with(mut self, mut later: Self) -> std::result::Result<Self, Why> {
        for (key, slot) in later.tree.leaves() {
            let comes = std::mem::replace(later.container(slot)?, Container::none());
            match self.tree.find(key) {
                Some(slot) => {
                    let there = self.container(slot)?;
                    *there = std::mem::replace(there, Container::none()).with(comes);
                    there.optimize();
                }
                None => {
                    let slot = self.push(comes);
                    self.tree.insert(key, slot);
                    self.container(slot)?.optimize();
                }
            }
        }
        self.optimize();
        Ok(self)
    }

    fn write(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        Ok(bytes)
    }
}

/// What is left of the bytes.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> std::result::Result<&'a [u8], Why> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| "it ends too early".to_string())?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> std::result::Result<[u8; N], Why> {
        Ok(std::array::from_fn({
            let bytes = self.bytes(N)?;
            move |at| bytes[at]
        }))
    }

    fn u8(&mut self) -> std::result::Result<u8, Why> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> std::result::Result<u16, Why> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> std::result::Result<u32, Why> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> std::result::Result<u64, Why> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of things of at least `size` bytes each, which must still be there: what is allocated for them is bounded
    /// by what was read.
    fn at_most(&self, count: u32, size: usize) -> std::result::Result<usize, Why> {
        match (count as usize).checked_mul(size) {
            Some(needed) if needed <= self.rest.len() => Ok(count as usize),
            _ => Err("it ends too early".to_string()),
        }
    }
}
