//! The head of a Parquet page, as far as it tells lengths: Thrift's compact form, of which the first fields are the page's
//! kind, its length, and its length as stored.
//! Spec: `format-spec/data-files.md`.

use std::ops::Range;

use parquet::errors::{ParquetError, Result};

/// What a page's head begins with.
pub(super) struct PageHead {
    /// What kind of page it is.
    pub kind: i32,
    /// Bytes of it when it is inflated.
    pub length: i32,
    /// Where its length as stored stands.
    stored: Range<usize>,
}

impl PageHead {
    pub(super) const DATA: i32 = 0;
    pub(super) const DICTIONARY: i32 = 2;
    /// The most bytes that these fields take.
    pub(super) const MOST: usize = 18;

    pub(super) fn of(head: &[u8]) -> Result<Self> {
        let (mut at, mut start, mut numbers) = (0, 0, [0; 3]);
        for number in &mut numbers {
            // One field on, an `i32`.
            if head.get(at) != Some(&0x15) {
                return Err(ParquetError::General("a page's head of another form".to_string()));
            }
            start = at + 1;
            (*number, at) = number_at(head, start)?;
        }
        let [kind, length, _] = numbers;
        Ok(Self { kind, length, stored: start..at })
    }

    /// The head, told another length as stored.
    pub(super) fn with_stored(&self, head: &[u8], stored: i32) -> Vec<u8> {
        let mut changed = Vec::with_capacity(head.len() + 5);
        changed.extend_from_slice(&head[..self.stored.start]);
        put_number(stored, &mut changed);
        changed.extend_from_slice(&head[self.stored.end..]);
        changed
    }
}

/// A number in zigzag and seven bits a byte, and where it ends.
fn number_at(head: &[u8], start: usize) -> Result<(i32, usize)> {
    let mut number = 0_u32;
    for (place, byte) in head.iter().skip(start).take(5).enumerate() {
        number |= u32::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(((number >> 1) as i32 ^ -((number & 1) as i32), start + place + 1));
        }
    }
    Err(ParquetError::General("a page's head that ends in a number".to_string()))
}

fn put_number(number: i32, out: &mut Vec<u8>) {
    let mut number = (number << 1 ^ number >> 31) as u32;
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_back_and_forth() {
        for number in [0, 1, -1, 63, 64, 8191, 8192, i32::MAX, i32::MIN] {
            let mut head = vec![0xAA];
            put_number(number, &mut head);
            assert_eq!(number_at(&head, 1).unwrap(), (number, head.len()));
            let told = [&[0x15, 4, 0x15][..], &head[1..], &[0x15, 0x80, 1, 0x4C]].concat();
            let read = PageHead::of(&told).unwrap();
            assert_eq!((read.kind, read.length), (PageHead::DICTIONARY, number));
            let changed = read.with_stored(&told, number);
            assert_eq!(changed, [&[0x15, 4, 0x15][..], &head[1..], &[0x15], &head[1..], &[0x4C]].concat());
        }
        assert!(number_at(&[0x80], 0).is_err());
        assert!(number_at(&[0x80; 6], 0).is_err());
        assert!(PageHead::of(&[0x15, 0, 0x25, 0, 0x15, 0]).is_err());
    }
}
