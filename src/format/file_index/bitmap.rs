//! Bitmaps: the rows of each value. Layout 1 lists all values before the bitmaps; layout 2 cuts the sorted list into
//! blocks, whose first values are listed, so that a few reads find one value.

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::cells::{Cell, CellKind, Cells};
use super::cursor::{Cursor, Read};
use super::distinct::{Distinct, encode_bitmap, int};
use crate::error::Result;

pub(super) struct BitmapBuilder {
    pub(super) kind: CellKind,
    pub(super) version: u8,
    pub(super) block_bytes: u64,
    pub(super) distinct: Distinct,
}

impl BitmapBuilder {
    pub(super) fn add(&mut self, cells: &Cells) {
        self.distinct.add(cells);
    }

    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let ranked = self.distinct.ranked()?;
        let (nulls, bitmaps) = ranked.bitmaps();
        let mut body: Vec<u8> = Vec::new();
        let (null_rows, first_null) = (nulls.len(), nulls.min());
        let null_bytes = encode_bitmap(nulls)?;
        if null_rows > 1 {
            body.extend(&null_bytes);
        }
        let mut places = Vec::with_capacity(ranked.values.len());
        for bitmap in bitmaps {
            places.push(match (bitmap.len(), bitmap.min()) {
                (1, Some(row)) => (alone(row), -1),
                _ => {
                    let bytes = encode_bitmap(bitmap)?;
                    let start = i32::from_be_bytes(int(body.len())?);
                    body.extend(&bytes);
                    (start, i32::from_be_bytes(int(bytes.len())?))
                }
            });
        }
        let mut out = vec![self.version];
        out.extend(int(ranked.rows())?);
        out.extend(int(ranked.values.len())?);
        out.push(u8::from(null_rows > 0));
        if null_rows > 0 {
            let place = first_null.filter(|_| null_rows == 1).map_or(0, alone);
            out.extend(place.to_be_bytes());
        }
        match self.version {
            1 => {
                for (value, (place, _)) in ranked.values.iter().zip(&places) {
                    self.kind.put(&mut out, value.borrow());
                    out.extend(place.to_be_bytes());
                }
            }
            _ => {
                if null_rows > 0 {
                    out.extend(int(null_bytes.len())?);
                }
                put_blocks(&mut out, self.kind, self.block_bytes, &ranked.values, &places)?;
            }
        }
        out.extend(body);
        Ok(out)
    }
}

/// The place of a bitmap that has one row.
fn alone(row: u32) -> i32 {
    -1 - row as i32
}

fn put_blocks(
    out: &mut Vec<u8>,
    kind: CellKind,
    block_bytes: u64,
    values: &[Cell],
    places: &[(i32, i32)],
) -> Result<()> {
    let mut blocks: Vec<(usize, Vec<u8>)> = Vec::new();
    for (at, (value, (place, length))) in values.iter().zip(places).enumerate() {
        let size = kind.size(value.borrow()) + 8;
        let fits = |(_, block): &&mut (usize, Vec<u8>)| (block.len() + size + 4) as u64 <= block_bytes;
        let entries = match blocks.last_mut().filter(fits) {
            Some((_, entries)) => entries,
            None => {
                blocks.push((at, Vec::new()));
                let last = blocks.len() - 1;
                &mut blocks[last].1
            }
        };
        kind.put(entries, value.borrow());
        entries.extend(place.to_be_bytes());
        entries.extend(length.to_be_bytes());
    }
    out.extend(int(blocks.len())?);
    let mut start = 0;
    for (first, entries) in &blocks {
        kind.put(out, values[*first].borrow());
        out.extend(int(start)?);
        start += entries.len() + 4;
    }
    out.extend(int(start)?);
    let ends = blocks.iter().skip(1).map(|(first, _)| *first).chain([values.len()]);
    for ((first, entries), end) in blocks.iter().zip(ends) {
        out.extend(int(end - first)?);
        out.extend(entries);
    }
    Ok(())
}

/// An index to ask.
pub(super) struct Bitmap {
    bytes: Bytes,
    kind: CellKind,
    rows: u64,
    /// The bitmap of the rows without a value.
    nulls: Option<i32>,
    list: List,
    /// Where the bitmaps begin.
    body: usize,
}

enum List {
    /// Values and places.
    Whole(Vec<(Cell, i32)>),
    /// First values and where their blocks begin.
    Blocks(Vec<(Cell, usize)>),
}

impl Bitmap {
    pub(super) fn decode(bytes: &Bytes, kind: CellKind, rows: u64) -> Read<Self> {
        let mut cursor = Cursor::new(bytes, 0);
        let version = cursor.byte()?;
        let told = cursor.count()?;
        if told as u64 != rows {
            return Err(format!("a bitmap index of {told} rows"));
        }
        let values = cursor.count()?;
        let nulls = if cursor.boolean()? { Some(cursor.int()?) } else { None };
        let list = match version {
            1 => {
                let mut list = Vec::new();
                for _ in 0..values {
                    list.push((cursor.cell(kind)?, cursor.int()?));
                }
                list.sort_unstable();
                List::Whole(list)
            }
            _ => {
                if nulls.is_some() {
                    cursor.int()?;
                }
                let mut starts = Vec::new();
                for _ in 0..cursor.count()? {
                    starts.push((cursor.cell(kind)?, cursor.count()?));
                }
                let length = cursor.count()?;
                let first = cursor.at();
                let mut blocks = Vec::with_capacity(starts.len());
                for (value, start) in starts {
                    if start > length || blocks.last().is_some_and(|(last, _)| *last >= value) {
                        return Err("blocks out of order".to_string());
                    }
                    blocks.push((value, first + start));
                }
                cursor.take(length)?;
                List::Blocks(blocks)
            }
        };
        Ok(Self { body: cursor.at(), bytes: bytes.clone(), kind, rows, nulls, list })
    }

    /// The rows without a value.
    pub(super) fn nulls(&self) -> Read<RoaringBitmap> {
        self.nulls.map_or_else(|| Ok(RoaringBitmap::new()), |place| self.bitmap(place))
    }

    /// The rows with one of some values.
    pub(super) fn any_of(&self, values: &[Cell]) -> Read<RoaringBitmap> {
        let mut rows = RoaringBitmap::new();
        for value in values {
            if let Some(place) = self.find(value)? {
                rows |= self.bitmap(place)?;
            }
        }
        Ok(rows)
    }

    fn find(&self, value: &Cell) -> Read<Option<i32>> {
        match &self.list {
            List::Whole(list) => {
                let found = list.binary_search_by(|(other, _)| other.cmp(value)).ok();
                Ok(found.map(|at| list[at].1))
            }
            List::Blocks(blocks) => {
                let at = blocks.partition_point(|(first, _)| first <= value);
                let Some((_, start)) = at.checked_sub(1).map(|at| &blocks[at]) else { return Ok(None) };
                let mut cursor = Cursor::new(&self.bytes, *start);
                for _ in 0..cursor.count()? {
                    let (other, place, _) = (cursor.cell(self.kind)?, cursor.int()?, cursor.int()?);
                    if other == *value {
                        return Ok(Some(place));
                    }
                }
                Ok(None)
            }
        }
    }

    fn bitmap(&self, place: i32) -> Read<RoaringBitmap> {
        let start = match usize::try_from(place) {
            Ok(start) => start,
            Err(_) => {
                let row = (-1 - place) as u32;
                return match u64::from(row) < self.rows {
                    true => Ok(RoaringBitmap::from_iter([row])),
                    false => Err(format!("a bitmap of row {row} of {}", self.rows)),
                };
            }
        };
        let start = self.body.checked_add(start).ok_or("a bitmap beyond its index")?;
        Cursor::new(&self.bytes, start).bitmap(self.rows)
    }
}
