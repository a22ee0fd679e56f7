//! Getting what is not in memory: footers, keys of blocks, pages. One request for each file and step, where the
//! store can do that; decoding on the blocking pool, pages side by side.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_select::concat::concat;
use arrow_select::take::take;
use bytes::Bytes;
use futures::future::try_join_all;

use super::cache::{Kept, Key, Part};
use super::file::{KeyBlock, LookupFile, OpenFile};
use super::rules::Rules;
use crate::error::{Error, Result};
use crate::files::{Opened, PageAt, PageColumn, PageIndex, PagedFile, Pages, format_of};
use crate::read::Origin;

/// A file of this size or less is read at once and stays in memory whole.
const SMALL: u64 = 64 << 10;
/// Pages that one thread decodes: to begin a thread for a single one takes longer than that.
const PAGES_OF_A_TASK: usize = 6;
/// The end of a file that is read to find its footer and page index, which grow with it: a part of the file, within
/// bounds.
const TAIL: (u64, u64, u64) = (448, SMALL, 1 << 20);

/// A page that is wanted.
#[derive(Clone)]
pub(super) struct Want {
    /// The place of its file among those at hand.
    pub file: usize,
    pub column: PageColumn,
    pub at: PageAt,
}

impl Want {
    pub(super) fn key(&self, file: &LookupFile) -> Key {
        page_key(file, &self.column, &self.at)
    }
}

pub(super) fn page_key(file: &LookupFile, column: &PageColumn, at: &PageAt) -> Key {
    Key { file: file.id, part: Part::Page(column.leaf as u32, at.group as u32, at.page as u32) }
}

impl Rules {
    /// An open file, if it is in memory.
    pub(super) fn opened(&self, file: &LookupFile) -> Option<Arc<OpenFile>> {
        match self.cache.get(Key { file: file.id, part: Part::Footer }) {
            // Two files of one number would be a wonder; their paths tell.
            Some(Kept::Footer(open)) if open.path == file.path => Some(open),
            _ => None,
        }
    }

    /// The keys of a block, if they are in memory.
    pub(super) fn block(&self, file: &LookupFile, block: u32) -> Option<Arc<KeyBlock>> {
        match self.cache.get(Key { file: file.id, part: Part::Keys(block) }) {
            Some(Kept::Keys(keys)) => Some(keys),
            _ => None,
        }
    }

    /// A page, if it is in memory.
    pub(super) fn page(&self, key: Key) -> Option<ArrayRef> {
        match self.cache.get(key) {
            Some(Kept::Page(lane)) => Some(lane),
            _ => None,
        }
    }

    /// Opens a file.
    pub(super) async fn open(self: &Arc<Self>, file: &LookupFile) -> Result<Arc<OpenFile>> {
        if let Some(open) = self.opened(file) {
            return Ok(open);
        }
        let schema = self.history.schemas.load(file.meta.schema_id).await?;
        let origins = self.work.in_files_of(&schema)?;
        let size = file.size()?;
        let bounds_of = self.key_columns.first().map(|at| &self.schema.fields[*at]);
        let in_file = self.key_columns.first().and_then(|at| match origins.get(*at) {
            Some(Origin::File(planned)) => planned.in_file.clone(),
            _ => None,
        });
        let bounds_of = in_file.zip(bounds_of.map(|field| field.data_type.kind.clone()));
        let rows = u64::try_from(file.meta.row_count);
        let rows = rows.map_err(|_| Error::corrupt(&file.path, "_ROW_COUNT is negative"))?;
        let zoned_digits = self.options.formats.orc_zoned_digits;
        if let Some(index) = PageIndex::of(&format_of(&file.path)?, &file.path, size, zoned_digits) {
            return self.open_by(index, file, origins, (size, rows)).await;
        }
        let mut length = size.min((size / TAIL.0).clamp(TAIL.1, TAIL.2));
        loop {
            let tail = self.fetch(file, None, std::slice::from_ref(&(size - length..size))).await?;
            let tail = tail.into_iter().next().map(|(_, bytes)| bytes).unwrap_or_default();
            let (this, path, origins, bounds_of) =
                (Arc::clone(self), file.path.clone(), origins.clone(), bounds_of.clone());
            let opened = self.history.store.env().computing(move || {
                let bounds_of = bounds_of.as_ref().map(|(name, kind)| (name.as_str(), kind));
                match PagedFile::open(&path, size, &tail, bounds_of)? {
                    Opened::More(needed) => Ok(Err(needed)),
                    Opened::Done(paged, bounds) => {
                        check_rows(&path, paged.rows(), rows)?;
                        let whole = (tail.len() as u64 == size && size <= SMALL).then_some(tail);
                        OpenFile::new(&this, &path, origins, Pages::Parquet(paged), bounds, whole).map(Ok)
                    }
                }
            });
            match opened.await? {
                Ok(open) => return Ok(self.keep(file, open)),
                Err(needed) if needed > length && needed <= size => length = needed,
                Err(needed) => return Err(Error::corrupt(&file.path, format!("its footer needs {needed} bytes"))),
            }
        }
    }

    /// Opens a file by looking for its pages.
    async fn open_by(
        self: &Arc<Self>,
        mut index: PageIndex,
        file: &LookupFile,
        origins: Vec<Origin>,
        (size, rows): (u64, u64),
    ) -> Result<Arc<OpenFile>> {
        let (this, path, store) = (Arc::clone(self), file.path.clone(), &self.history.store);
        let mut whole = None;
        while let Some(wanted) = index.wanted() {
            let bytes = store.read_range(&path, wanted.clone()).await?;
            if bytes.len() as u64 != wanted.end - wanted.start {
                return Err(Error::corrupt(&path, format!("it is shorter than the {size} bytes its manifest tells")));
            }
            whole = (wanted == (0..size) && size <= SMALL).then(|| bytes.clone());
            let fed = move || index.feed(&bytes).map(|()| index);
            index = store.env().computing(fed).await?;
        }
        let opened = move || {
            let pages = index.finish()?;
            check_rows(&path, pages.rows(), rows)?;
            OpenFile::new(&this, &path, origins, pages, None, whole)
        };
        let open = store.env().computing(opened).await?;
        Ok(self.keep(file, open))
    }

    fn keep(&self, file: &LookupFile, open: OpenFile) -> Arc<OpenFile> {
        let open = Arc::new(open);
        self.cache.put(Key { file: file.id, part: Part::Footer }, Kept::Footer(Arc::clone(&open)));
        open
    }

    /// The keys of some blocks of a file, read and kept.
    pub(super) async fn load_blocks(
        self: &Arc<Self>,
        file: &LookupFile,
        open: &Arc<OpenFile>,
        blocks: &[u32],
    ) -> Result<Vec<(u32, Arc<KeyBlock>)>> {
        let pages_of = |block: &u32| -> Result<Vec<Vec<PageAt>>> {
            let rows = open.blocks[*block as usize];
            open.keys.iter().map(|column| pages_over(open, column, &rows)).collect()
        };
        let pages: Vec<Vec<Vec<PageAt>>> = blocks.iter().map(pages_of).collect::<Result<_>>()?;
        let ranges = pages.iter().flat_map(|columns| {
            let ranges = |(column, pages): (&PageColumn, &Vec<PageAt>)| {
                pages.iter().flat_map(|at| open.paged.ranges(column.leaf, at)).collect::<Vec<_>>()
            };
            open.keys.iter().zip(columns).flat_map(ranges).collect::<Vec<_>>()
        });
        let fetched = Arc::new(self.fetch(file, Some(open), &distinct(ranges)).await?);
        let decode = |(block, pages): (&u32, Vec<Vec<PageAt>>)| {
            let (this, open, fetched, block) = (Arc::clone(self), Arc::clone(open), Arc::clone(&fetched), *block);
            let keys = self.history.store.env().computing(move || {
                let rows = open.blocks[block as usize];
                let lanes = open.keys.iter().zip(&pages).map(|(column, pages)| {
                    let first = pages.first().map_or(rows.first_row, |page| page.first_row);
                    let parts = pages.iter().map(|at| decode(&open, column, at, &fetched));
                    let parts: Vec<ArrayRef> = parts.collect::<Result<_>>()?;
                    let refs: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                    let all = match parts.as_slice() {
                        [part] => Arc::clone(part),
                        _ => concat(&refs).map_err(|error| Error::bug(error.to_string()))?,
                    };
                    Ok(all.slice((rows.first_row - first) as usize, rows.rows as usize))
                });
                let lanes: Vec<ArrayRef> = lanes.collect::<Result<_>>()?;
                let wrong = |error: Error| Error::corrupt(&open.path, error.to_string());
                let keys = this.encoder.encode(&lanes, rows.rows as usize).map_err(wrong)?;
                if !keys.rises() {
                    return Err(Error::corrupt(&open.path, "its keys are not in order"));
                }
                if let Some(fence) = open.fences.get(block as usize) {
                    let ends = arrow_array::UInt32Array::from(vec![0, rows.rows as u32 - 1]);
                    let pick = |lane: &ArrayRef| take(lane, &ends, None).map_err(|error| Error::bug(error.to_string()));
                    let lanes: Vec<ArrayRef> = lanes.iter().map(pick).collect::<Result<_>>()?;
                    drop(fence.set(this.encoder.encode(&lanes, 2)?));
                }
                Ok(Arc::new(KeyBlock { keys }))
            });
            async move { keys.await.map(|keys| (block, keys)) }
        };
        let loaded = try_join_all(blocks.iter().zip(pages).map(decode)).await?;
        for (block, keys) in &loaded {
            self.cache.put(Key { file: file.id, part: Part::Keys(*block) }, Kept::Keys(Arc::clone(keys)));
        }
        Ok(loaded)
    }

    /// Pages of one file, read and kept.
    pub(super) async fn load_pages(
        self: &Arc<Self>,
        file: &LookupFile,
        open: &Arc<OpenFile>,
        wants: &[Want],
    ) -> Result<Vec<ArrayRef>> {
        let ranges = wants.iter().flat_map(|want| open.paged.ranges(want.column.leaf, &want.at));
        let fetched = Arc::new(self.fetch(file, Some(open), &distinct(ranges)).await?);
        let decode_all = |wants: &[Want]| {
            let (open, fetched, wants) = (Arc::clone(open), Arc::clone(&fetched), wants.to_vec());
            let lanes = move || wants.iter().map(|want| decode(&open, &want.column, &want.at, &fetched)).collect();
            self.history.store.env().computing::<Vec<ArrayRef>, _>(lanes)
        };
        let shares = wants.chunks(PAGES_OF_A_TASK);
        let lanes: Vec<ArrayRef> = try_join_all(shares.map(decode_all)).await?.into_iter().flatten().collect();
        for (want, lane) in wants.iter().zip(&lanes) {
            self.cache.put(want.key(file), Kept::Page(Arc::clone(lane)));
        }
        Ok(lanes)
    }

    /// Ranges of a file: from its small whole, from the disk cache, from the store.
    async fn fetch(
        &self,
        file: &LookupFile,
        open: Option<&OpenFile>,
        ranges: &[Range<u64>],
    ) -> Result<Vec<(u64, Bytes)>> {
        if let Some(whole) = open.and_then(|open| open.whole.as_ref()) {
            let piece = |range: &Range<u64>| {
                let inside = range.end <= whole.len() as u64 && range.start <= range.end;
                let cut = inside.then(|| whole.slice(range.start as usize..range.end as usize));
                cut.map(|bytes| (range.start, bytes))
                    .ok_or_else(|| Error::corrupt(&file.path, format!("footer points to bytes {range:?}")))
            };
            return ranges.iter().map(piece).collect();
        }
        let store = &self.history.store;
        let Some(disk) = self.cache.disk() else {
            let pieces = store.read_ranges(&file.path, ranges).await?;
            return Ok(ranges.iter().map(|range| range.start).zip(pieces).collect());
        };
        let (cache, id, asked) = (Arc::clone(disk), file.id, ranges.to_vec());
        let look = move || Ok(asked.iter().map(|range| cache.get(id, range)).collect::<Vec<_>>());
        let mut pieces: Vec<Option<Bytes>> = store.env().computing(look).await?;
        let missing: Vec<Range<u64>> =
            ranges.iter().zip(&pieces).filter(|(_, piece)| piece.is_none()).map(|(range, _)| range.clone()).collect();
        if !missing.is_empty() {
            let read = store.read_ranges(&file.path, &missing).await?;
            let mut fresh = read.iter().cloned();
            for piece in pieces.iter_mut().filter(|piece| piece.is_none()) {
                *piece = fresh.next();
            }
            let cache = Arc::clone(disk);
            let keep = move || {
                missing.iter().zip(&read).for_each(|(range, bytes)| cache.put(id, range, bytes));
                Ok(())
            };
            store.env().computing(keep).await?;
        }
        Ok(ranges.iter().zip(pieces).filter_map(|(range, piece)| Some((range.start, piece?))).collect())
    }
}

fn check_rows(path: &str, found: u64, told: u64) -> Result<()> {
    match found == told {
        true => Ok(()),
        false => Err(Error::corrupt(path, format!("{found} rows, not the {told} that its manifest tells"))),
    }
}

/// Decodes a page from the ranges fetched for it and others.
fn decode(open: &OpenFile, column: &PageColumn, at: &PageAt, fetched: &[(u64, Bytes)]) -> Result<ArrayRef> {
    let own = open.paged.ranges(column.leaf, at).into_iter().filter_map(|range| {
        let (start, bytes) = fetched.iter().find(|(start, _)| *start == range.start)?;
        Some((*start, bytes.clone()))
    });
    match open.changed.get(&column.leaf) {
        Some(origin @ Origin::Changed(stored, _)) => {
            let stored = PageColumn { kind: stored.data_type.kind.clone(), ..column.clone() };
            origin.lane(open.paged.decode(&stored, at, own.collect())?)
        }
        _ => open.paged.decode(column, at, own.collect()),
    }
}

/// The pages of a column that hold the rows of a page of another.
fn pages_over(open: &OpenFile, column: &PageColumn, rows: &PageAt) -> Result<Vec<PageAt>> {
    let (mut row, end) = (rows.first_row, rows.first_row + rows.rows);
    let mut pages = Vec::new();
    while row < end {
        let page = open.paged.page_of(column.leaf, row).filter(|page| page.first_row <= row && page.rows > 0);
        let page =
            page.ok_or_else(|| Error::corrupt(&open.path, format!("no page of {} has row {row}", column.name)))?;
        row = page.first_row + page.rows;
        pages.push(page);
    }
    Ok(pages)
}

fn distinct(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = ranges.collect();
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges.dedup();
    ranges
}
