//! `range-bitmap`: the distinct values in their order, cut into chunks, and the place of each row's value by its bits.

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::cells::{Cell, CellKind, CellRef, Cells};
use super::cursor::{Cursor, Read};
use super::distinct::{Distinct, encode_bitmap, int};
use super::select::Bounds;
use super::slices::{SliceBuilder, bits, compare};
use crate::error::Result;

const VERSION: u8 = 1;

pub(super) struct RangeBitmapBuilder {
    pub(super) kind: CellKind,
    pub(super) chunk_bytes: Option<u64>,
    pub(super) distinct: Distinct,
}

impl RangeBitmapBuilder {
    pub(super) fn add(&mut self, cells: &Cells) {
        self.distinct.add(cells);
    }

    pub(super) fn finish(self) -> Result<Vec<u8>> {
        let ranked = self.distinct.ranked()?;
        // Types of few values have a chunk for each.
        let default = match self.kind {
            CellKind::Boolean | CellKind::Int8 | CellKind::Int16 => 0,
            _ => 16 << 10,
        };
        let limit = usize::try_from(self.chunk_bytes.unwrap_or(default)).unwrap_or(usize::MAX);
        let dictionary = dictionary(self.kind, limit, &ranked.values)?;
        let mut slices = SliceBuilder::default();
        for (row, rank) in (0_u32..).zip(ranked.ranks()) {
            if let Some(rank) = rank {
                slices.add(row, u64::from(rank));
            }
        }
        // Where nothing has a value Java counts the bits of -1.
        let count = if ranked.values.is_empty() { 64 } else { bits(ranked.values.len() as u64 - 1).max(1) };
        slices.slices.resize_with(count, RoaringBitmap::new);
        let mut head = vec![VERSION];
        head.extend(int(ranked.rows())?);
        head.extend(int(ranked.values.len())?);
        for bound in [ranked.values.first(), ranked.values.last()].into_iter().flatten() {
            self.kind.put(&mut head, bound.borrow());
        }
        head.extend(int(dictionary.len())?);
        let mut out = int(head.len())?.to_vec();
        out.extend(head);
        out.extend(dictionary);
        put_slices(&mut out, slices)?;
        Ok(out)
    }
}

fn put_slices(out: &mut Vec<u8>, slices: SliceBuilder) -> Result<()> {
    let present = encode_bitmap(slices.present)?;
    let (mut places, mut bodies) = (Vec::new(), Vec::new());
    let count = slices.slices.len();
    for slice in slices.slices {
        let bytes = encode_bitmap(slice)?;
        places.extend(int(bodies.len())?);
        places.extend(int(bytes.len())?);
        bodies.extend(bytes);
    }
    out.extend(int(places.len() + 10)?);
    out.extend([VERSION, count as u8]);
    out.extend(int(present.len())?);
    out.extend(int(places.len())?);
    out.extend(places);
    out.extend(present);
    out.extend(bodies);
    Ok(())
}

/// A chunk being filled: its first value stands in its head, the others among the keys.
struct Chunk<'a> {
    first: CellRef<'a>,
    code: usize,
    size: usize,
    offsets: Vec<u8>,
    keys: Vec<u8>,
}

fn dictionary(kind: CellKind, limit: usize, values: &[Cell]) -> Result<Vec<u8>> {
    let (mut starts, mut heads, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0;
    let mut close = |chunk: Option<Chunk<'_>>| -> Result<()> {
        let Some(chunk) = chunk else { return Ok(()) };
        starts.extend(int(heads.len())?);
        heads.push(VERSION);
        kind.put(&mut heads, chunk.first);
        heads.extend(int(chunk.code)?);
        heads.extend(int(keys.len())?);
        heads.extend(int(chunk.size)?);
        if kind == CellKind::Bytes {
            heads.extend(int(chunk.offsets.len())?);
            heads.extend(int(chunk.keys.len())?);
        } else {
            heads.extend(int(chunk.keys.len())?);
            heads.extend(int(kind.size(chunk.first))?);
        }
        keys.extend(chunk.offsets);
        keys.extend(chunk.keys);
        count += 1;
        Ok(())
    };
    let mut open: Option<Chunk<'_>> = None;
    for (code, value) in values.iter().enumerate() {
        let value = value.borrow();
        let size = kind.size(value);
        let fits = |chunk: &&mut Chunk<'_>| {
            let offsets = if kind == CellKind::Bytes { chunk.offsets.len() + 4 } else { 0 };
            chunk.keys.len() + size <= limit && offsets <= limit
        };
        if let Some(chunk) = open.as_mut().filter(fits) {
            if kind == CellKind::Bytes {
                chunk.offsets.extend(int(chunk.keys.len())?);
            }
            kind.put(&mut chunk.keys, value);
            chunk.size += 1;
        } else {
            close(open.take())?;
            open = Some(Chunk { first: value, code, size: 0, offsets: Vec::new(), keys: Vec::new() });
        }
    }
    close(open)?;
    let mut out = int(13)?.to_vec();
    out.push(VERSION);
    out.extend(int(count)?);
    out.extend(int(starts.len())?);
    out.extend(int(heads.len())?);
    out.extend(starts);
    out.extend(heads);
    out.extend(keys);
    Ok(out)
}

/// An index to ask.
pub(super) struct RangeBitmap {
    bytes: Bytes,
    kind: CellKind,
    rows: u64,
    values: usize,
    /// Where the dictionary and the slices begin.
    dictionary: usize,
    slices_at: usize,
}

impl RangeBitmap {
    pub(super) fn decode(bytes: &Bytes, kind: CellKind, rows: u64) -> Read<Self> {
        let mut cursor = Cursor::new(bytes, 0);
        let head = cursor.count()?;
        let version = cursor.byte()?;
        let (told, values) = (cursor.count()?, cursor.count()?);
        if version != VERSION || told as u64 != rows || values as u64 > rows {
            return Err(format!("a range-bitmap index of version {version}, {told} rows and {values} values"));
        }
        if values > 0 {
            cursor.cell(kind)?;
            cursor.cell(kind)?;
        }
        let length = cursor.count()?;
        if head.checked_add(4) != Some(cursor.at()) {
            return Err(format!("its head has {head} bytes"));
        }
        let dictionary = cursor.at();
        cursor.take(length)?;
        Ok(Self { bytes: bytes.clone(), kind, rows, values, dictionary, slices_at: cursor.at() })
    }

    /// The rows that have a value.
    pub(super) fn present(&self) -> Read<RoaringBitmap> {
        if self.values == 0 {
            return Ok(RoaringBitmap::new());
        }
        Ok(self.slices(false)?.0)
    }

    pub(super) fn any_of(&self, values: &[Cell]) -> Read<RoaringBitmap> {
        let mut codes = Vec::new();
        for value in values {
            codes.extend(self.find(value)?.ok());
        }
        let mut rows = RoaringBitmap::new();
        if !codes.is_empty() {
            let (present, slices) = self.slices(true)?;
            codes.iter().for_each(|code| rows |= compare(&present, &slices, *code as u64).same);
        }
        Ok(rows)
    }

    pub(super) fn within(&self, bounds: &Bounds) -> Read<RoaringBitmap> {
        if self.values == 0 {
            return Ok(RoaringBitmap::new());
        }
        // The codes from `low` on and before `high`.
        let place = |bound: &(Cell, bool), below: bool| -> Read<usize> {
            let (value, with) = bound;
            Ok(self.find(value)?.map_or_else(|next| next, |code| code + usize::from(*with != below)))
        };
        let low = bounds.low.as_ref().map_or(Ok(0), |bound| place(bound, true))?;
        let high = bounds.high.as_ref().map_or(Ok(self.values), |bound| place(bound, false))?;
        if low >= high {
            return Ok(RoaringBitmap::new());
        }
        let (mut rows, slices) = self.slices(true)?;
        let present = rows.clone();
        if low > 0 {
            rows &= compare(&present, &slices, low as u64 - 1).above;
        }
        if high < self.values {
            rows &= compare(&present, &slices, high as u64).below;
        }
        Ok(rows)
    }

    /// The place of a value, or the one where it would be.
    fn find(&self, value: &Cell) -> Read<Result<usize, usize>> {
        let mut cursor = Cursor::new(&self.bytes, self.dictionary);
        let head = cursor.count()?;
        let version = cursor.byte()?;
        let (chunks, starts, heads) = (cursor.count()?, cursor.count()?, cursor.count()?);
        if head != 13 || version != VERSION || chunks.checked_mul(4) != Some(starts) {
            return Err(format!("a dictionary of version {version} with {chunks} chunks"));
        }
        let first = cursor.at();
        let keys = first.checked_add(starts).and_then(|at| at.checked_add(heads)).ok_or("a dictionary too long")?;
        let chunk = |at: usize| -> Read<(Cell, usize)> {
            let start = Cursor::new(&self.bytes, first + at * 4).count()?;
            let mut cursor = Cursor::new(&self.bytes, (first + starts).saturating_add(start));
            cursor.byte()?;
            Ok((cursor.cell(self.kind)?, cursor.at()))
        };
        // The last chunk that does not begin above the value.
        let (mut low, mut high) = (0, chunks);
        while low < high {
            let middle = (low + high) / 2;
            if chunk(middle)?.0 <= *value { low = middle + 1 } else { high = middle }
        }
        let Some(at) = low.checked_sub(1) else { return Ok(Err(0)) };
        let (begins, rest) = chunk(at)?;
        let mut cursor = Cursor::new(&self.bytes, rest);
        let (code, start, size, one, other) =
            (cursor.count()?, cursor.count()?, cursor.count()?, cursor.count()?, cursor.count()?);
        if code.checked_add(size).is_none_or(|last| last >= self.values) {
            return Err(format!("a chunk of {size} values from {code} on, of {}", self.values));
        }
        if begins == *value {
            return Ok(Ok(code));
        }
        let keys = keys.checked_add(start).ok_or("keys beyond their index")?;
        let key = |at: usize| -> Read<Cell> {
            let place = match self.kind {
                CellKind::Bytes => one.saturating_add(Cursor::new(&self.bytes, keys + at * 4).count()?),
                _ => at.saturating_mul(other),
            };
            Cursor::new(&self.bytes, keys.saturating_add(place)).cell(self.kind)
        };
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = (low + high) / 2;
            match key(middle)?.cmp(value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Ok(code + 1 + middle)),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(Err(code + 1 + low))
    }

    /// The rows that have a value, and, if wanted, the slices of its place.
    fn slices(&self, all: bool) -> Read<(RoaringBitmap, Vec<RoaringBitmap>)> {
        let mut cursor = Cursor::new(&self.bytes, self.slices_at);
        let head = cursor.count()?;
        let version = cursor.byte()?;
        let count = usize::from(cursor.byte()?);
        let (present, indexes) = (cursor.count()?, cursor.count()?);
        let wanted = bits(self.values as u64 - 1).max(1);
        if version != VERSION || count != wanted || indexes != count * 8 || head != indexes + 10 {
            return Err(format!("{count} slices of version {version} for {} values", self.values));
        }
        let places = cursor.take(indexes)?;
        let body = cursor.at();
        let rows = cursor.bitmap(self.rows)?;
        let mut slices = Vec::new();
        for at in (0..count).filter(|_| all) {
            let start = Cursor::new(places, at * 8).count()?;
            let start = body.checked_add(present).and_then(|at| at.checked_add(start)).ok_or("a slice too far")?;
            slices.push(Cursor::new(&self.bytes, start).bitmap(self.rows)?);
        }
        Ok((rows, slices))
    }
}
