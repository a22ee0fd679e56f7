//! Deletion vectors: rows of a data file that are masked, and the index files that hold them.
//!
//! A row is its position in the file, from 0. A vector is a Roaring bitmap in one of two forms, of 32 or of 64 bits;
//! both are read into the same value, because no data file has 2^32 rows.
//! Spec: `format-spec/deletion-vectors.md`.

use std::fmt;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::DeletionVectorRange;
use super::envelope::crc32;
use crate::error::{Error, Result};

/// The first byte of an index file of vectors.
const VERSION: u8 = 1;
/// Begins a vector of 32 bits, big-endian.
const MAGIC_32: [u8; 4] = [0x5e, 0x43, 0xf2, 0xd0];
/// Begins a vector of 64 bits, little-endian.
const MAGIC_64: [u8; 4] = [0xd1, 0xd3, 0x39, 0x64];
/// Length prefix and checksum around a vector.
const FRAME: usize = 8;

/// How a vector is written (`deletion-vectors.bitmap64`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VectorForm {
    /// Row positions below 2^31.
    #[default]
    Bits32,
    /// Row positions of any size.
    Bits64,
}

/// Rows of one data file that are masked.
#[derive(Clone, PartialEq, Default)]
pub struct DeletionVector {
    rows: RoaringBitmap,
}

impl fmt::Debug for DeletionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeletionVector({} rows, the last {:?})", self.len(), self.last())
    }
}

impl DeletionVector {
    /// Masks nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks these rows.
    pub(super) fn of_rows(rows: RoaringBitmap) -> Self {
        Self { rows }
    }

    /// Masks a row. Tells whether it was not masked before.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a position that no data file reaches.
    pub fn mask(&mut self, row: u64) -> Result<bool> {
        let row =
            u32::try_from(row).map_err(|_| Error::unsupported(format!("a deletion vector with row {row} in it")))?;
        Ok(self.rows.insert(row))
    }

    /// Masks the rows of another vector too.
    pub fn mask_all(&mut self, other: &Self) {
        self.rows |= &other.rows;
    }

    /// Masks none of the rows of another vector any more.
    pub fn unmask_all(&mut self, other: &Self) {
        self.rows -= &other.rows;
    }

    /// Whether a row is masked.
    pub fn is_masked(&self, row: u64) -> bool {
        u32::try_from(row).is_ok_and(|row| self.rows.contains(row))
    }

    /// How many rows are masked.
    pub fn len(&self) -> u64 {
        self.rows.len()
    }

    /// Bytes that its bitmap takes at the most.
    pub fn most_bytes(&self) -> usize {
        self.rows.serialized_size()
    }

    /// Whether none is masked.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The last masked row.
    pub fn last(&self) -> Option<u64> {
        self.rows.max().map(u64::from)
    }

    /// The masked rows, rising.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.rows.iter().map(u64::from)
    }

    /// The masked rows from `start` on, as ranges without gaps between their rows, rising and apart.
    pub fn ranges_from(&self, start: u64) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        let mut rows = u32::try_from(start).ok().map(|start| self.rows.range(start..));
        std::iter::from_fn(move || rows.as_mut()?.next_range())
            .map(|range| u64::from(*range.start())..u64::from(*range.end()) + 1)
    }
}

impl FromIterator<u32> for DeletionVector {
    fn from_iter<T: IntoIterator<Item = u32>>(rows: T) -> Self {
        Self { rows: rows.into_iter().collect() }
    }
}

impl DeletionVectorRange {
    /// The bytes of the index file that surely hold the whole entry: `f2` counts frames in one form and not in the
    /// other. Ends at the end of the file.
    pub fn bytes(&self, file_size: u64) -> std::ops::Range<u64> {
        let start = u64::from(self.offset.unsigned_abs());
        let end = start + u64::from(self.length.unsigned_abs()) + FRAME as u64;
        start..end.min(file_size).max(start)
    }
}

/// The bytes of an index file that holds these vectors, each with the name of its data file, and where each lies.
///
/// # Errors
/// [`Error::Exhausted`] when the file would pass 2 GiB.
pub fn encode_deletion_vectors<'a>(
    vectors: impl IntoIterator<Item = (&'a str, &'a DeletionVector)>,
    form: VectorForm,
) -> Result<(Bytes, Vec<DeletionVectorRange>)> {
    let mut out = vec![VERSION];
    let mut ranges = Vec::new();
    for (data_file, vector) in vectors {
        let offset = out.len();
        out.extend_from_slice(&[0; 4]);
        put_vector(&mut out, vector, form)?;
        let length = place(out.len() - offset - 4)?;
        out[offset..offset + 4].copy_from_slice(&length.to_be_bytes());
        let sum = crc32(&out[offset + 4..]);
        out.extend_from_slice(&sum.to_be_bytes());
        ranges.push(DeletionVectorRange {
            data_file: data_file.to_string(),
            offset: place(offset)?,
            length: match form {
                VectorForm::Bits32 => length,
                VectorForm::Bits64 => place(out.len() - offset)?,
            },
            cardinality: i64::try_from(vector.len()).ok(),
        });
    }
    Ok((Bytes::from(out), ranges))
}

fn place(at: usize) -> Result<i32> {
    i32::try_from(at).map_err(|_| Error::exhausted("an index file of deletion vectors of more than 2 GiB"))
}

fn put_vector(out: &mut Vec<u8>, vector: &DeletionVector, form: VectorForm) -> Result<()> {
    // Java writes what `runOptimize` makes of plain containers, so runs of another origin are undone first.
    let mut rows = vector.rows.clone();
    rows.remove_run_compression();
    rows.optimize();
    match form {
        VectorForm::Bits32 if vector.last().is_some_and(|last| last > i32::MAX as u64) => {
            return Err(Error::unsupported("row positions beyond 2^31 without deletion-vectors.bitmap64"));
        }
        VectorForm::Bits32 => out.extend_from_slice(&MAGIC_32),
        VectorForm::Bits64 => {
            out.extend_from_slice(&MAGIC_64);
            out.extend_from_slice(&i64::from(!rows.is_empty()).to_le_bytes());
            if rows.is_empty() {
                return Ok(());
            }
            out.extend_from_slice(&0_i32.to_le_bytes());
        }
    }
    rows.serialize_into(out).map_err(|error| Error::bug(format!("a deletion vector: {error}")))
}

/// The vectors of an index file, in the order of the ranges that its manifest entry tells.
///
/// # Errors
/// [`Error::Corrupt`] that names the file and the vector; [`Error::Unsupported`] for another version.
pub fn decode_deletion_vectors(
    bytes: &[u8],
    ranges: &[DeletionVectorRange],
    file: &str,
) -> Result<Vec<DeletionVector>> {
    match bytes.first() {
        Some(&VERSION) => {}
        Some(version) => return Err(Error::unsupported(format!("{file}: deletion vectors of version {version}"))),
        None => return Err(Error::corrupt(file, "no version: the file is empty")),
    }
    let decode = |range: &DeletionVectorRange| {
        let found = range.bytes(bytes.len() as u64);
        let slice = usize::try_from(found.start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
        decode_deletion_vector(slice, range, file)
    };
    ranges.iter().map(decode).collect()
}

/// The vector of a range, from the bytes of its index file that begin at the range's offset.
///
/// # Errors
/// [`Error::Corrupt`] that names the file and the vector.
pub fn decode_deletion_vector(bytes: &[u8], range: &DeletionVectorRange, file: &str) -> Result<DeletionVector> {
    let vector = read_entry(bytes, range.length).map_err(|why| {
        let place = format!("deletion vector of {:?} at offset {}", range.data_file, range.offset);
        Error::corrupt(file, format!("{place}: {why}"))
    })?;
    match range.cardinality {
        Some(told) if u64::try_from(told).ok() != Some(vector.len()) => Err(Error::corrupt(
            file,
            format!("deletion vector of {:?}: {} rows, and _CARDINALITY is {told}", range.data_file, vector.len()),
        )),
        _ => Ok(vector),
    }
}

type Read<T> = std::result::Result<T, String>;

/// Length, data, checksum.
fn read_entry(bytes: &[u8], told: i32) -> Read<DeletionVector> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or("its length is cut off")?;
    let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| "its length is negative")?;
    let (data, rest) = rest.split_at_checked(length).ok_or_else(|| format!("{length} bytes, and the file ends"))?;
    let sum = rest.first_chunk::<4>().ok_or("its checksum is cut off")?;
    if crc32(data) != u32::from_be_bytes(*sum) {
        return Err("its checksum is another".to_string());
    }
    let (magic, data) = data.split_first_chunk::<4>().ok_or("its magic number is cut off")?;
    let (rows, whole) = match *magic {
        MAGIC_32 => (read_bitmap(&mut { data }, true)?, length),
        MAGIC_64 => (read_bitmaps(data)?, length + FRAME),
        other => return Err(format!("magic number {other:02x?} is none of a vector")),
    };
    if usize::try_from(told) != Ok(whole) {
        return Err(format!("{whole} bytes, and its range tells {told}"));
    }
    Ok(DeletionVector { rows })
}

/// One bitmap from the front of `data`; with `only`, nothing may follow.
fn read_bitmap(data: &mut &[u8], only: bool) -> Read<RoaringBitmap> {
    let rows = RoaringBitmap::deserialize_from(&mut *data).map_err(|error| format!("its bitmap: {error}"))?;
    if only && !data.is_empty() {
        return Err(format!("{} bytes after its bitmap", data.len()));
    }
    Ok(rows)
}

/// Bitmaps of 2^32 rows each. Only the first can hold a row.
fn read_bitmaps(mut data: &[u8]) -> Read<RoaringBitmap> {
    let (count, rest) = data.split_first_chunk::<8>().ok_or("its number of bitmaps is cut off")?;
    data = rest;
    let mut rows = RoaringBitmap::new();
    let mut last = -1;
    for _ in 0..i64::from_le_bytes(*count) {
        let (key, rest) = data.split_first_chunk::<4>().ok_or("the key of a bitmap is cut off")?;
        let key = i32::from_le_bytes(*key);
        if key <= last {
            return Err(format!("bitmap {key} comes after bitmap {last}"));
        }
        (last, data) = (key, rest);
        let bitmap = read_bitmap(&mut data, false)?;
        match key {
            0 => rows = bitmap,
            _ if bitmap.is_empty() => {}
            _ => return Err(format!("rows beyond 2^32, in bitmap {key}")),
        }
    }
    if !data.is_empty() || i64::from_le_bytes(*count) < 0 {
        return Err(format!("{} bytes after its bitmaps", data.len()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
