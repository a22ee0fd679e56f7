//! One data file: where in it a key stands.
//!
//! The pages of the first key column cut the file into *blocks*. The bounds of those pages tell which block can hold a
//! key; where they do not (composite keys with few first values, floats, files without a page index) the search halves
//! what is left by looking into blocks, and remembers their first and last keys.
//!
//! The blocks of an Avro file are its own, those of an ORC file its stripes; their first and last keys are learnt in the
//! same way.
//!
//! ```text
//! blocks   | 1 .. 90 | 90 .. 140 | 150 .. 300 |     page index of the first key column
//! key 95               ^ keys of this block, decoded: row 20 012
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::files::{KIND_NAME, PageAt, PageBounds, PageColumn, Pages, SEQUENCE_NAME, format_of};
use crate::format::{DataFileMeta, DeletionVector, data_file_path};
use crate::lsm::Keys;
use crate::read::Origin;
use crate::types::{DataType, TypeKind};

use super::rules::Rules;

/// A data file by its description.
#[derive(Debug)]
pub(super) struct LookupFile {
    /// Tells the file, as one schema sees it, from all others.
    pub id: u128,
    /// Its path.
    pub path: String,
    pub meta: Arc<DataFileMeta>,
    /// Its rows that are none.
    masked: Option<Arc<DeletionVector>>,
}

impl LookupFile {
    pub(super) fn new(
        rules: &Rules,
        directory: &str,
        meta: &Arc<DataFileMeta>,
        masked: Option<Arc<DeletionVector>>,
    ) -> Result<Self> {
        let path = data_file_path(directory, meta)?;
        format_of(&path)?; // refuses formats that are not read
        let (size, schema) = (meta.file_size.to_le_bytes(), rules.schema.id.to_le_bytes());
        // Schemas of branches have numbers of their own, and one that was rolled back leaves its number to another.
        let (made, place) = (rules.schema.time_millis.to_le_bytes(), rules.history.pointers.location());
        let id = name_of(&[place.as_bytes(), path.as_bytes(), &size, &schema, &made]);
        Ok(Self { id, path, meta: Arc::clone(meta), masked })
    }

    /// Whether a row is masked.
    #[inline]
    pub(super) fn is_masked(&self, row: u64) -> bool {
        self.masked.as_ref().is_some_and(|vector| vector.is_masked(row))
    }

    pub(super) fn size(&self) -> Result<u64> {
        u64::try_from(self.meta.file_size).map_err(|_| Error::corrupt(&self.path, "_FILE_SIZE is negative"))
    }

    /// Whether a row may be a retraction. A file that does not tell (before 0.8) may have some.
    pub(super) fn may_retract(&self) -> bool {
        self.meta.delete_row_count != Some(0)
    }
}

/// A name for these words together. Pieces on the disk bear it, so it is the same in every build: FNV-1a, 128 bits.
fn name_of(words: &[&[u8]]) -> u128 {
    let mut name = FNV_BASIS;
    for word in words {
        name = fnv(name, &(word.len() as u64).to_le_bytes()); // "ab", "c" is not "a", "bc"
        name = fnv(name, word);
    }
    name
}

const FNV_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;

fn fnv(hash: u128, bytes: &[u8]) -> u128 {
    const PRIME: u128 = (1 << 88) + 0x13b;
    bytes.iter().fold(hash, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

/// Where a column of the table comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The table's partition key at this place.
    Partition(usize, DataType),
    /// Pages of the file.
    Pages(PageColumn),
    /// The file does not have it: NULL.
    Missing,
}

/// The keys of a block.
#[derive(Debug)]
pub(super) struct KeyBlock {
    pub keys: Keys,
}

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub path: String,
    pub paged: Pages,
    /// The file itself when it is small: then no page needs a request.
    pub whole: Option<Bytes>,
    /// The table's columns.
    pub columns: Vec<Source>,
    /// Columns of the file that the table has with another type.
    pub changed: BTreeMap<usize, Origin>,
    /// The columns of the trimmed key.
    pub keys: Vec<PageColumn>,
    pub sequence: PageColumn,
    pub kind: PageColumn,
    /// The pages of the first key column.
    pub blocks: Vec<PageAt>,
    /// The smallest and largest first key of each block, where the file tells.
    bounds: Option<(Keys, Keys)>,
    /// The first and last key of blocks that were looked into; empty where `bounds` tell it all.
    pub fences: Vec<OnceLock<Keys>>,
}

/// Bytes that a fence takes, roughly.
const FENCE: usize = 200;

impl OpenFile {
    pub(super) fn new(
        rules: &Rules,
        path: &str,
        origins: Vec<Origin>,
        paged: Pages,
        bounds: Option<PageBounds>,
        whole: Option<Bytes>,
    ) -> Result<Self> {
        let mut changed = BTreeMap::new();
        let mut source = |origin: Origin| {
            let planned = match &origin {
                Origin::Partition(key, data_type) => return Source::Partition(*key, data_type.clone()),
                Origin::File(planned) | Origin::Changed(planned, _) => planned,
            };
            // A column that the file's schema has but the file has not is NULL, as in scans.
            let Some(leaf) = planned.in_file.as_deref().and_then(|name| paged.leaf(name)) else {
                return Source::Missing;
            };
            let mut column = PageColumn { leaf, name: planned.name.clone(), kind: planned.data_type.kind.clone() };
            if let Origin::Changed(_, kind) = &origin {
                column.kind = kind.clone();
                changed.insert(leaf, origin);
            }
            Source::Pages(column)
        };
        let columns: Vec<Source> = origins.into_iter().map(&mut source).collect();
        let key = |at: &usize| match columns.get(*at) {
            Some(Source::Pages(column)) => Ok(column.clone()),
            _ => Err(Error::corrupt(path, format!("no key column {}", rules.schema.fields[*at].name))),
        };
        let keys: Vec<PageColumn> = rules.key_columns.iter().map(key).collect::<Result<_>>()?;
        let system = |name: &str, kind| match paged.leaf(name) {
            Some(leaf) => Ok(PageColumn { leaf, name: name.to_string(), kind }),
            None => Err(Error::corrupt(path, format!("a primary-key table's file has no column {name}"))),
        };
        let (sequence, kind) = (system(SEQUENCE_NAME, TypeKind::BigInt)?, system(KIND_NAME, TypeKind::TinyInt)?);
        let blocks = keys.first().map(|first| paged.pages(first.leaf)).unwrap_or_default();
        let bounds = bounds.map(|(min, max)| Ok::<_, Error>((rules.first_keys(&min)?, rules.first_keys(&max)?)));
        let ordered = |(min, max): &(Keys, Keys)| {
            let apart = (0..min.len()).all(|block| min.compare(block, max, block).is_le());
            min.len() == blocks.len() && max.len() == blocks.len() && min.rises() && max.rises() && apart
        };
        let bounds = bounds.transpose()?.filter(ordered);
        let told = bounds.is_some() && keys.len() == 1;
        let fences = if told { Vec::new() } else { (0..blocks.len()).map(|_| OnceLock::new()).collect() };
        Ok(Self {
            path: path.to_string(),
            paged,
            whole,
            columns,
            changed,
            keys,
            sequence,
            kind,
            blocks,
            bounds,
            fences,
        })
    }

    /// Bytes held, fences that will be included.
    pub(super) fn size(&self) -> usize {
        let bounds = self.bounds.as_ref().map_or(0, |(min, max)| min.size() + max.size());
        let columns = (self.columns.len() + self.keys.len()) * 100;
        let whole = self.whole.as_ref().map_or(0, Bytes::len);
        self.paged.size() + bounds + whole + columns + self.fences.len() * FENCE + self.blocks.len() * 32
    }

    /// The blocks that may hold a key.
    fn candidates(&self, key: &Keys, first: &Keys, at: usize) -> Range<usize> {
        let (mut low, mut high) = (0, self.blocks.len());
        if let Some((min, max)) = &self.bounds {
            low = partition(low..high, |block| max.compare(block, first, at).is_lt());
            high = partition(low..high, |block| min.compare(block, first, at).is_le());
        }
        if self.fences.is_empty() {
            return low..high;
        }
        let told = low..high;
        for block in told {
            let Some(fence) = self.fences[block].get() else { continue };
            if fence.compare(1, key, at).is_lt() {
                low = block + 1;
            } else if fence.compare(0, key, at).is_gt() {
                high = block;
                break;
            }
        }
        low..high.max(low)
    }

    /// The rows that hold a key: at most one in a file of a tree. `block` gives the keys of a block that is at hand.
    ///
    /// # Errors
    /// The number of a block that must be at hand for the search to go on.
    #[inline]
    pub(super) fn search(
        &self,
        key: &Keys,
        first: &Keys,
        at: usize,
        mut block: impl FnMut(u32) -> Option<Arc<KeyBlock>>,
    ) -> Result<Range<u64>, u32> {
        let mut left = self.candidates(key, first, at);
        while !left.is_empty() {
            let middle = left.start + (left.end - left.start) / 2;
            let keys = block(middle as u32).ok_or(middle as u32)?;
            let found = keys.keys.equal_range(key, at);
            if found.is_empty() {
                // Inside of the block, before it, or behind it.
                match found.start {
                    0 => left.end = middle,
                    behind if behind == keys.keys.len() => left.start = middle + 1,
                    _ => return Ok(0..0),
                }
                continue;
            }
            let start = self.blocks[middle].first_row;
            let mut rows = start + found.start as u64..start + found.end as u64;
            // Equal keys may go on in the blocks beside.
            let mut before = middle;
            while rows.start == self.blocks[before].first_row && before > left.start {
                before -= 1;
                let keys = block(before as u32).ok_or(before as u32)?;
                let found = keys.keys.equal_range(key, at);
                rows.start -= found.len() as u64;
                if found.is_empty() {
                    break;
                }
            }
            let mut behind = middle;
            while rows.end == self.blocks[behind].first_row + self.blocks[behind].rows && behind + 1 < left.end {
                behind += 1;
                let keys = block(behind as u32).ok_or(behind as u32)?;
                let found = keys.keys.equal_range(key, at);
                rows.end += found.len() as u64;
                if found.is_empty() {
                    break;
                }
            }
            return Ok(rows);
        }
        Ok(0..0)
    }
}

fn partition(range: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another build finds the pieces of this one. The first two are the hash's own examples.
    #[test]
    fn names_of_pieces_are_the_same_in_every_build() {
        assert_eq!(fnv(FNV_BASIS, b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fnv(FNV_BASIS, b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
        assert_ne!(name_of(&[b"ab", b"c"]), name_of(&[b"a", b"bc"]));
        let name = name_of(&[b"s3://lake/t", b"bucket-0/data-1.parquet", &7_i64.to_le_bytes(), &0_i64.to_le_bytes()]);
        assert_eq!(format!("{name:032x}"), "aeff889b07544880f8f0bf092117cb22");
    }
}
