//! What the index of a data file leaves of it to read: embedded in its description, or in a file beside it.
//! Spec: `format-spec/file-index.md`, `format-spec/read.md`.

use std::ops::Range;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::error::{Error, Result};
use crate::format::{DataFileMeta, FileIndex, HeadRead, INDEX_SUFFIX, IndexedAs, Selection, beside_path};
use crate::io::TableStore;
use crate::predicate::Expr;
use crate::schema::Schema;

/// Bytes of an index file that are fetched at once: the head, and all of it where it is small.
const FIRST: u64 = 256 << 10;

/// Where a file's index is looked for.
pub(super) struct IndexOf<'a> {
    pub(super) store: &'a TableStore,
    pub(super) runtime: &'a Handle,
    /// The directory of the file's bucket.
    pub(super) directory: &'a str,
    pub(super) file: &'a DataFileMeta,
    /// The schema that it was written with, and the one that the condition speaks of.
    pub(super) schemas: (&'a Schema, &'a Schema),
}

impl IndexOf<'_> {
    /// The rows of the file that a condition may be true for. Blocks.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a damaged index; the store's errors.
    pub(super) fn select(&self, condition: &Expr) -> Result<Selection> {
        let file = self.file;
        let Ok(rows) = u64::try_from(file.row_count) else { return Ok(Selection::All) };
        let (written, shown) = self.schemas;
        let column_of = |column: &str| IndexedAs::of(&file.file_name, (written, shown), column);
        if let Some(bytes) = &file.embedded_file_index {
            return FileIndex::select_within(bytes, &file.file_name, condition, rows, &column_of);
        }
        let mut names = file.extra_files.iter().filter(|name| name.ends_with(INDEX_SUFFIX));
        let Some(name) = names.next() else { return Ok(Selection::All) };
        if names.next().is_some() {
            return Err(Error::corrupt(&file.file_name, "two index files"));
        }
        self.select_beside(&beside_path(self.directory, file, name)?, condition, rows, &column_of)
    }

    fn select_beside(
        &self,
        path: &str,
        condition: &Expr,
        rows: u64,
        column_of: &dyn Fn(&str) -> Option<IndexedAs>,
    ) -> Result<Selection> {
        let head = |length| self.runtime.block_on(self.store.read_head(path, length));
        let fetch = |range: Range<u64>| self.runtime.block_on(self.store.read_range(path, range));
        let mut first = head(FIRST)?;
        let index = match FileIndex::decode(&first, path)? {
            HeadRead::Whole(index) => index,
            HeadRead::More(end) => {
                first = head(end)?;
                match FileIndex::decode(&first, path)? {
                    HeadRead::Whole(index) => index,
                    HeadRead::More(_) => return Err(Error::corrupt(path, "its head is cut off")),
                }
            }
        };
        index.select(condition, rows, column_of, &|range| {
            let length = range.end - range.start;
            let there = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            let bytes: Bytes = match there.filter(|(_, end)| *end <= first.len()) {
                Some((start, end)) => first.slice(start..end),
                // What is shorter than the first fetch has ended.
                None if (first.len() as u64) < FIRST => Bytes::new(),
                None => fetch(range)?,
            };
            match bytes.len() as u64 == length {
                true => Ok(bytes),
                false => Err(Error::corrupt(path, format!("an index of {length} bytes lies beyond its end"))),
            }
        })
    }
}
