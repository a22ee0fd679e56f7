//! `hll_sketch`: the union of serialised HyperLogLog sketches of Apache DataSketches.
//!
//! The union has as many registers as the later sketch (fewer if the other has fewer) and four bits for each, as
//! Paimon makes it. The library has the arithmetic; the order of what lies in hash tables is brought to the one that
//! Java's library gives it, so that a union has Java's bytes.

use datasketches::hll::{HllSketch, HllType, HllUnion};

use super::union::Set;
use crate::error::Result;

/// Bytes of a serialised sketch: its registers' number as a power of two, that of its hash table, flags, and the
/// smallest register.
const REGISTERS_POWER: usize = 3;
const TABLE_POWER: usize = 4;
const FLAGS: usize = 5;
const SMALLEST: usize = 6;
/// Its mode (lowest two bits) and its registers' type (the next two).
const MODE: usize = 7;
const MODE_MASK: u8 = 3;
const HASH_SET: u8 = 1;
const REGISTERS: u8 = 2;
const OF_4_BITS: u8 = 0;
const OF_8_BITS: u8 = 2;
/// The flag of tables that are written without their empty places.
const COMPACT: u8 = 8;
/// Where the entries of a hash set begin, and where registers do.
const SET_ENTRIES: usize = 12;
const REGISTERS_BEGIN: usize = 40;
/// No register counts further, and registers of four bits send what is this far from the smallest to a table.
const LARGEST: u8 = 63;
const EXCEPTION: u8 = 15;
/// The smallest hash set has two to this power places.
const SET_POWER: u8 = 5;
/// The part of an entry that says which register it is of.
const SLOT_MASK: u32 = (1 << 26) - 1;

/// A sketch.
#[derive(Debug, Clone)]
pub(super) struct Hll {
    sketch: HllSketch,
    /// Whether it is a union: Java writes each and reads it for the next, which puts a hash set in another order.
    united: bool,
}

impl Hll {
    fn reread(self) -> std::result::Result<HllSketch, String> {
        if self.united { Self::read(&self.sketch.serialize()).map(|read| read.sketch) } else { Ok(self.sketch) }
    }
}

impl Set for Hll {
    const NAME: &'static str = "HLL sketch";

    fn read(bytes: &[u8]) -> std::result::Result<Self, String> {
        check_registers(bytes)?;
        let placed = hash_set_with_its_places(bytes);
        let sketch = HllSketch::deserialize(placed.as_deref().unwrap_or(bytes)).map_err(|error| error.to_string())?;
        Ok(Self { sketch, united: false })
    }

    fn with(self, later: Self) -> std::result::Result<Self, String> {
        let (there, comes) = (self.reread()?, later.reread()?);
        let mut union = HllUnion::new(comes.lg_config_k()).map_err(|error| error.to_string())?;
        union.update(&comes);
        union.update(&there);
        Ok(Self { sketch: union.to_sketch(HllType::Hll4), united: true })
    }

    fn write(self) -> Result<Vec<u8>> {
        let mut bytes = self.sketch.serialize();
        order_exceptions(&mut bytes);
        Ok(bytes)
    }
}

/// Registers that no sketch can have are an error here: the library counts on theirs being small.
fn check_registers(bytes: &[u8]) -> std::result::Result<(), String> {
    let Some(mode) = bytes.get(MODE).filter(|mode| **mode & MODE_MASK == REGISTERS) else {
        return Ok(());
    };
    let too_large = match mode >> 2 & MODE_MASK {
        OF_4_BITS => bytes[SMALLEST] > LARGEST - EXCEPTION,
        OF_8_BITS => bytes.get(REGISTERS_BEGIN..).unwrap_or_default().iter().any(|register| *register > LARGEST),
        _ => false,
    };
    if too_large { Err("a register is larger than 63".to_string()) } else { Ok(()) }
}

/// The bytes of a compact hash set with the places that its entries have in Java's table, `None` if there is nothing
/// to place.
fn hash_set_with_its_places(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_set = bytes.get(MODE)? & MODE_MASK == HASH_SET && bytes[FLAGS] & COMPACT != 0;
    let entries = bytes.get(SET_ENTRIES..).filter(|_| is_set)?;
    let count = u32::from_le_bytes(bytes[SET_ENTRIES - 4..SET_ENTRIES].try_into().ok()?);
    let entries = entries.as_chunks().0.get(..count as usize)?;
    let (power, places) = placed(entries.iter().map(|entry| u32::from_le_bytes(*entry)), SET_POWER);
    let mut bytes = bytes[..SET_ENTRIES].to_vec();
    bytes[TABLE_POWER] = power;
    bytes[FLAGS] &= !COMPACT;
    bytes.extend(places.into_iter().flat_map(u32::to_le_bytes));
    Some(bytes)
}

/// Puts the registers that four bits do not hold in the order that they have in Java's table, and tells its size.
fn order_exceptions(bytes: &mut [u8]) {
    if bytes[MODE] != REGISTERS | OF_4_BITS << 2 {
        return;
    }
    let power = bytes[REGISTERS_POWER];
    let Some(exceptions) = bytes.get_mut(REGISTERS_BEGIN + (1 << (power - 1))..).filter(|rest| !rest.is_empty()) else {
        return;
    };
    let exceptions = exceptions.as_chunks_mut().0;
    let mut entries: Vec<u32> = exceptions.iter().map(|entry| u32::from_le_bytes(*entry)).collect();
    entries.sort_unstable_by_key(|entry| entry & SLOT_MASK);
    let first = match power {
        ..=6 => 2,
        7..=9 => 3,
        10..=11 => 4,
        12 => 5,
        _ => power - 8,
    };
    let (table, places) = placed(entries.into_iter(), first);
    let entries = places.into_iter().filter(|entry| *entry != 0);
    exceptions.iter_mut().zip(entries).for_each(|(place, entry)| *place = entry.to_le_bytes());
    bytes[TABLE_POWER] = table;
}

/// Java's hash table of entries that come in an order: its size as a power of two, and its places, 0 where empty. It
/// doubles when more than three quarters are taken. An entry that is there comes to nothing.
fn placed(entries: impl Iterator<Item = u32>, power: u8) -> (u8, Vec<u32>) {
    let (mut power, mut places, mut taken) = (power, vec![0; 1 << power], 0);
    for entry in entries {
        taken += usize::from(place(&mut places, power, entry));
        if 4 * taken > 3 * places.len() {
            let old = std::mem::replace(&mut places, vec![0; 2 << power]);
            power += 1;
            for entry in old.into_iter().filter(|entry| *entry != 0) {
                place(&mut places, power, entry);
            }
        }
    }
    (power, places)
}

/// Takes a place for an entry; answers whether it had none.
fn place(places: &mut [u32], power: u8, entry: u32) -> bool {
    let mask = places.len() - 1;
    // An odd stride visits every place, and a quarter of them is empty.
    let stride = ((entry & SLOT_MASK) >> power | 1) as usize;
    let mut at = entry as usize & mask;
    while places[at] != 0 && places[at] != entry {
        at = (at + stride) & mask;
    }
    std::mem::replace(&mut places[at], entry) != entry
}
