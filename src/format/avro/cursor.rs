//! A cursor over Avro bytes that reads values by the nodes of the file's schema.
//!
//! Reading takes what the node says and gives `None` for the null branch of a union, so a field may be nullable in one
//! file and not in another.

use super::corrupt;
use super::schema::{Node, NodeId, Schema};
use crate::error::Result;

/// The deepest nesting that is skipped: schemas may refer to themselves. JSON bounds that of the others.
const MAX_DEPTH: usize = 128;

#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    schema: &'a Schema,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(schema: &'a Schema, bytes: &'a [u8]) -> Self {
        Self { schema, rest: bytes }
    }

    /// A cursor that stands some bytes further on.
    pub(crate) fn ahead(&self, bytes: usize) -> Self {
        Self { schema: self.schema, rest: self.rest.get(bytes..).unwrap_or_default() }
    }

    /// The bytes from here to a cursor further on.
    pub(crate) fn up_to(&self, later: &Self) -> &'a [u8] {
        self.rest.get(..self.rest.len().saturating_sub(later.rest.len())).unwrap_or_default()
    }

    /// Passes over these bytes, if they are the next ones.
    pub(crate) fn pass(&mut self, bytes: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(bytes);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.rest.split_at_checked(length) else {
            return Err(corrupt(format!("{length} bytes wanted, {} left", self.rest.len())));
        };
        self.rest = rest;
        Ok(head)
    }

    /// A zigzag number of at most ten bytes.
    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64> {
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        self.long_of_bytes()
    }

    fn long_of_bytes(&mut self) -> Result<i64> {
        let mut number = 0u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if index == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(corrupt("a number does not end"))
    }

    fn length(&mut self) -> Result<usize> {
        let length = self.long()?;
        usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.rest.len())
            .ok_or_else(|| corrupt(format!("a length of {length}, {} bytes left", self.rest.len())))
    }

    /// Resolves unions: the node of the value that follows.
    #[inline]
    fn branch(&mut self, node: NodeId) -> Result<&'a Node> {
        let mut found = self.schema.node(node);
        // A union holds no union, but a schema may say otherwise.
        for _ in 0..MAX_DEPTH {
            let Node::Union(branches) = found else {
                return Ok(found);
            };
            let index = self.long()?;
            let branch = usize::try_from(index).ok().and_then(|index| branches.get(index));
            found = self.schema.node(*branch.ok_or_else(|| corrupt(format!("branch {index} of a union")))?);
        }
        Err(corrupt("a union of unions"))
    }

    /// An int or a long.
    #[inline]
    pub(crate) fn number(&mut self, node: NodeId) -> Result<Option<i64>> {
        match self.branch(node)? {
            Node::Int | Node::Long => self.long().map(Some),
            Node::Null => Ok(None),
            other => Err(corrupt(format!("a number is stored as {other:?}"))),
        }
    }

    /// A number of 32 bits.
    #[inline]
    pub(crate) fn int(&mut self, node: NodeId) -> Result<Option<i32>> {
        let wide = |number| i32::try_from(number).map_err(|_| corrupt(format!("{number} has more than 32 bits")));
        self.number(node)?.map(wide).transpose()
    }

    /// Bytes or a string.
    #[inline]
    pub(crate) fn bytes(&mut self, node: NodeId) -> Result<Option<&'a [u8]>> {
        match self.branch(node)? {
            Node::Bytes => {
                let length = self.length()?;
                self.take(length).map(Some)
            }
            Node::Fixed(size) => self.take(*size).map(Some),
            Node::Null => Ok(None),
            other => Err(corrupt(format!("bytes are stored as {other:?}"))),
        }
    }

    /// A string.
    #[inline]
    pub(crate) fn text(&mut self, node: NodeId) -> Result<Option<&'a str>> {
        let utf8 = |bytes| std::str::from_utf8(bytes).map_err(|error| corrupt(error.to_string()));
        self.bytes(node)?.map(utf8).transpose()
    }

    /// Whether a record follows; its fields are then read one after another.
    pub(crate) fn record(&mut self, node: NodeId) -> Result<bool> {
        match self.branch(node)? {
            Node::Record(_) => Ok(true),
            Node::Null => Ok(false),
            other => Err(corrupt(format!("a record is stored as {other:?}"))),
        }
    }

    /// An array, item by item; each item takes at least one byte.
    pub(crate) fn array<T>(
        &mut self,
        node: NodeId,
        mut item: impl FnMut(&mut Self, NodeId) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let items = match self.branch(node)? {
            Node::Array(items) => *items,
            Node::Null => return Ok(None),
            other => return Err(corrupt(format!("an array is stored as {other:?}"))),
        };
        let mut values = Vec::new();
        while let Some((count, _)) = self.block()? {
            let before = self.rest.len();
            values.reserve(count.min(1024));
            for _ in 0..count {
                values.push(item(self, items)?);
            }
            self.check_progress(before, count)?;
        }
        Ok(Some(values))
    }

    /// How many items the next block of an array or a map has; `None` behind the last.
    pub(crate) fn items(&mut self) -> Result<Option<usize>> {
        Ok(self.block()?.map(|(count, _)| count))
    }

    /// Reads the items of a block, of which each takes at least one byte.
    pub(crate) fn each(&mut self, count: usize, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let before = self.rest.len();
        (0..count).try_for_each(|_| item(self))?;
        self.check_progress(before, count)
    }

    /// The next block of an array or a map: its count, and its size where it is stored.
    fn block(&mut self) -> Result<Option<(usize, Option<usize>)>> {
        let count = self.long()?;
        let size = if count < 0 { Some(self.length()?) } else { None };
        let count = count.checked_abs().and_then(|count| usize::try_from(count).ok());
        match count.filter(|count| *count <= self.rest.len()) {
            Some(0) => Ok(None),
            Some(count) => Ok(Some((count, size))),
            None => Err(corrupt(format!("a list is longer than the {} bytes left", self.rest.len()))),
        }
    }

    /// Items without bytes would let a few bytes promise any amount of work.
    fn check_progress(&self, before: usize, count: usize) -> Result<()> {
        match before - self.rest.len() >= count {
            true => Ok(()),
            false => Err(corrupt(format!("a list of {count} items in {} bytes", before - self.rest.len()))),
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self, node: NodeId) -> Result<()> {
        self.skip_at(node, 0)
    }

    fn skip_at(&mut self, node: NodeId, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(corrupt(format!("nested deeper than {MAX_DEPTH}")));
        }
        match self.branch(node)? {
            Node::Null | Node::Union(_) => {}
            Node::Boolean => {
                self.take(1)?;
            }
            Node::Int | Node::Long => {
                self.long()?;
            }
            Node::Float => {
                self.take(4)?;
            }
            Node::Double => {
                self.take(8)?;
            }
            Node::Bytes => {
                let length = self.length()?;
                self.take(length)?;
            }
            Node::Fixed(size) => {
                self.take(*size)?;
            }
            Node::Array(items) => self.skip_blocks(|cursor| cursor.skip_at(*items, depth + 1))?,
            Node::Map(values) => self.skip_blocks(|cursor| {
                let length = cursor.length()?;
                cursor.take(length)?;
                cursor.skip_at(*values, depth + 1)
            })?,
            Node::Record(fields) => {
                for (_, field) in fields {
                    self.skip_at(*field, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn skip_blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        while let Some((count, size)) = self.block()? {
            match size {
                Some(size) => {
                    self.take(size)?;
                }
                None => self.each(count, &mut item)?,
            }
        }
        Ok(())
    }
}
