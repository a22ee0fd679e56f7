//! Reads the big-endian bytes of an index. Nothing is allocated by what the bytes merely claim.

use roaring::RoaringBitmap;

use super::cells::{Cell, CellKind};

/// What was wrong, in words.
pub(super) type Read<T> = std::result::Result<T, String>;

pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bytes were read, counted from the start of all of them.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("{count} bytes at {}, and there are {}", self.at, self.bytes.len()))?;
        let found = &self.bytes[self.at..end];
        self.at = end;
        Ok(found)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "too few bytes".to_string())
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn boolean(&mut self) -> Read<bool> {
        Ok(self.byte()? != 0)
    }

    pub(super) fn int(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// An int that counts something.
    pub(super) fn count(&mut self) -> Read<usize> {
        let number = self.int()?;
        usize::try_from(number).map_err(|_| format!("{number} at {} is no count", self.at - 4))
    }

    /// A text as Java's `writeUTF` leaves it.
    pub(super) fn utf(&mut self) -> Read<String> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        let bytes = self.take(length)?;
        decode_utf(bytes).ok_or_else(|| format!("a name at {} is no text", self.at - length))
    }

    /// A value of a column.
    pub(super) fn cell(&mut self, kind: CellKind) -> Read<Cell> {
        Ok(match kind {
            CellKind::Boolean => Cell::Number(i64::from(self.boolean()?)),
            CellKind::Int8 => Cell::Number(i64::from(self.array().map(i8::from_be_bytes)?)),
            CellKind::Int16 => Cell::Number(i64::from(self.array().map(i16::from_be_bytes)?)),
            CellKind::Int32 => Cell::Number(i64::from(self.int()?)),
            CellKind::Int64 => Cell::Number(self.long()?),
            CellKind::Float32 => Cell::of_float(self.array().map(f32::from_be_bytes)?),
            CellKind::Float64 => Cell::of_double(self.array().map(f64::from_be_bytes)?),
            CellKind::Bytes => {
                let length = self.count()?;
                Cell::Bytes(self.take(length)?.to_vec())
            }
        })
    }

    /// A bitmap of rows below `rows`.
    pub(super) fn bitmap(&mut self, rows: u64) -> Read<RoaringBitmap> {
        let mut left = self.bytes.get(self.at..).unwrap_or_default();
        let before = left.len();
        let bitmap = RoaringBitmap::deserialize_from(&mut left).map_err(|error| format!("a bitmap: {error}"))?;
        self.at += before - left.len();
        match bitmap.max() {
            Some(last) if u64::from(last) >= rows => Err(format!("a bitmap with row {last} of {rows}")),
            _ => Ok(bitmap),
        }
    }
}

/// Java's own encoding of texts: NUL takes two bytes, and what lies beyond U+FFFF is two surrogates of three each.
fn decode_utf(bytes: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let (unit, tail) = match (first >> 4, tail) {
            (0..=7, tail) => (u16::from(*first), tail),
            (12 | 13, [second, tail @ ..]) if second >> 6 == 2 => {
                (u16::from(first & 0x1f) << 6 | u16::from(second & 0x3f), tail)
            }
            (14, [second, third, tail @ ..]) if second >> 6 == 2 && third >> 6 == 2 => {
                (u16::from(first & 0x0f) << 12 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f), tail)
            }
            _ => return None,
        };
        units.push(unit);
        rest = tail;
    }
    String::from_utf16(&units).ok()
}

/// The same backwards; `None` for a text that is too long.
pub(super) fn encode_utf(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    for unit in text.encode_utf16() {
        let low = 0x80 | (unit & 0x3f) as u8;
        match unit {
            1..=0x7f => bytes.push(unit as u8),
            0..=0x7ff => bytes.extend([0xc0 | (unit >> 6) as u8, low]),
            _ => bytes.extend([0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, low]),
        }
    }
    let length = u16::try_from(bytes.len()).ok()?;
    Some([length.to_be_bytes().as_slice(), &bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_as_java_does() {
        for (text, bytes) in [("", &b""[..]), ("aé", b"a\xc3\xa9"), ("\0", b"\xc0\x80"), ("日", b"\xe6\x97\xa5")] {
            let encoded = encode_utf(text).unwrap();
            assert_eq!(&encoded[2..], bytes, "{text:?}");
            assert_eq!(Cursor::new(&encoded, 0).utf().unwrap(), text);
        }
        let emoji = encode_utf("😀").unwrap();
        assert_eq!(emoji, b"\x00\x06\xed\xa0\xbd\xed\xb8\x80");
        assert_eq!(Cursor::new(&emoji, 0).utf().unwrap(), "😀");
        assert_eq!(encode_utf(&"x".repeat(70_000)), None);
        for bad in [&b"\x00\x01\xff"[..], b"\x00\x01\xe6", b"\x00\x03\xed\xa0\xbd", b"\x00\x09a", b"\x00"] {
            assert!(Cursor::new(bad, 0).utf().is_err(), "{bad:?}");
        }
    }
}
