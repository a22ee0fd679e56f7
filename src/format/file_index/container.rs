//! The container of all indexes of a data file: a head that names columns, kinds and places, and the bodies.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cursor::{Cursor, Read, encode_utf};
use super::distinct::int;
use crate::error::{Error, Result};

const MAGIC: i64 = 1_493_475_289_347_502;
const VERSION: i32 = 1;
/// Magic number, version and the head's length.
const FIXED: usize = 16;
/// The place of an index that holds nothing.
const NOTHING: i32 = -1;
/// A head longer than this describes no table's columns.
const MOST_HEAD: usize = 64 << 20;

/// The kinds of indexes of a column and where their bodies lie; `None` is an index without a body.
pub(super) type Bodies = Vec<(String, Option<Range<u64>>)>;

/// The head of an index file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileIndex {
    pub(super) columns: BTreeMap<String, Bodies>,
    pub(super) file: String,
}

/// A column with the kinds of its indexes and their bodies, to be written.
pub(super) type Built = (String, Vec<(&'static str, Vec<u8>)>);

/// What the first bytes of an index file gave.
#[derive(Debug)]
pub enum HeadRead {
    /// The whole head.
    Whole(FileIndex),
    /// The head ends behind so many bytes.
    More(u64),
}

impl FileIndex {
    /// Decodes the head from the first bytes of an index; `file` stands in errors.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for other bytes; [`Error::Unsupported`] for another version.
    pub fn decode(bytes: &[u8], file: &str) -> Result<HeadRead> {
        if bytes.len() < FIXED {
            return Err(Error::corrupt(file, format!("a file index of {} bytes", bytes.len())));
        }
        let corrupt = |what: String| Error::corrupt(file, format!("file index: {what}"));
        let mut cursor = Cursor::new(bytes, 0);
        let (magic, version) = (cursor.long().map_err(corrupt)?, cursor.int().map_err(corrupt)?);
        if magic != MAGIC {
            return Err(corrupt(format!("magic number {magic} is another")));
        }
        if version != VERSION {
            return Err(Error::unsupported(format!("{file}: a file index of version {version}")));
        }
        let length = cursor.count().map_err(corrupt)?;
        if !(FIXED..=MOST_HEAD).contains(&length) {
            return Err(corrupt(format!("a head of {length} bytes")));
        }
        let Some(head) = bytes.get(..length) else { return Ok(HeadRead::More(length as u64)) };
        let columns = columns(&mut Cursor::new(head, FIXED), length as u64).map_err(corrupt)?;
        Ok(HeadRead::Whole(Self { columns, file: file.to_string() }))
    }

    /// Columns and kinds of indexes with the bytes of each.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.columns.iter().flat_map(|(column, bodies)| {
            let size = |body: &Option<Range<u64>>| body.as_ref().map_or(0, |range| range.end - range.start);
            bodies.iter().map(move |(kind, body)| (column.as_str(), kind.as_str(), size(body)))
        })
    }
}

fn columns(cursor: &mut Cursor<'_>, head: u64) -> Read<BTreeMap<String, Bodies>> {
    let mut columns: BTreeMap<String, Bodies> = BTreeMap::new();
    for _ in 0..cursor.count()? {
        let bodies = columns.entry(cursor.utf()?).or_default();
        for _ in 0..cursor.count()? {
            let kind = cursor.utf()?;
            let (start, length) = (cursor.int()?, cursor.int()?);
            let body = match (u64::try_from(start), u64::try_from(length)) {
                (Ok(start), Ok(length)) if start >= head => Some(start..start + length),
                _ if start == NOTHING => None,
                _ => return Err(format!("index {kind} of {length} bytes at {start}")),
            };
            bodies.push((kind, body));
        }
    }
    Ok(columns)
}

/// The bytes of a container: for each column its kinds of indexes and their bodies.
///
/// # Errors
/// [`Error::Invalid`] for a name that is too long; [`Error::Exhausted`] beyond 2 GiB.
pub(super) fn encode(columns: &[Built]) -> Result<Vec<u8>> {
    let name = |text: &str| {
        encode_utf(text)
            .ok_or_else(|| Error::invalid(format!("an index of a column with a name of {} bytes", text.len())))
    };
    let mut length = FIXED + 8;
    for (column, bodies) in columns {
        length += name(column)?.len() + 4;
        for (kind, _) in bodies {
            length += name(kind)?.len() + 8;
        }
    }
    let mut out = Vec::with_capacity(length);
    out.extend(MAGIC.to_be_bytes());
    out.extend(VERSION.to_be_bytes());
    out.extend(int(length)?);
    out.extend(int(columns.len())?);
    let mut start = length;
    for (column, bodies) in columns {
        out.extend(name(column)?);
        out.extend(int(bodies.len())?);
        for (kind, body) in bodies {
            out.extend(name(kind)?);
            out.extend(int(start)?);
            out.extend(int(body.len())?);
            start += body.len();
        }
    }
    out.extend(int(0)?);
    int(start)?;
    columns.iter().flat_map(|(_, bodies)| bodies).for_each(|(_, body)| out.extend(body));
    Ok(out)
}
