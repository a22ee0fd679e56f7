//! One key whose row or pages are all in memory: no request, no task, no array made.
//!
//! A row that was asked for whole is kept beside its pages: the next time it is one place in memory, not one for each
//! column.

use std::sync::Arc;

use super::bucket::BucketFiles;
use super::cache::{Kept, Key, Part};
use super::file::{LookupFile, OpenFile, Source};
use super::load::page_key;
use super::rules::{Request, Rules};
use crate::error::Result;
use crate::files::PageColumn;
use crate::format::datum_at;
use crate::types::{Datum, RowKind};

impl Rules {
    /// The newest row of a request's one key; `None` when that is not told by what is in memory, or takes a merge.
    pub(super) fn warm(
        &self,
        bucket: &BucketFiles,
        request: &Request,
        select: &[usize],
        key: &[Option<&Datum>],
    ) -> Option<Result<Option<Vec<Datum>>>> {
        if !self.newest_wins() {
            return None;
        }
        for run in 0..bucket.runs.len() {
            let Some(at) = bucket.in_run(run, &request.keys, 0) else { continue };
            let file = &bucket.files[at];
            let open = self.opened(file)?;
            let rows = open.search(&request.keys, request.first(), 0, |block| self.block(file, block)).ok()?;
            if rows.is_empty() || (rows.end - rows.start == 1 && file.is_masked(rows.start)) {
                continue;
            }
            if rows.end - rows.start > 1 || !bucket.is_newest(run, at) {
                return None;
            }
            let row = rows.start;
            let kept = Key { file: file.id, part: Part::Row(row) };
            if let Some(Kept::Row(values)) = self.cache.get(kept) {
                return Some(Ok(select.iter().map(|at| values.get(*at).cloned()).collect()));
            }
            if file.may_retract() {
                match self.cell(file, &open, &open.kind, row)? {
                    Ok(Datum::TinyInt(kind)) if RowKind::adds(kind) => {}
                    Ok(Datum::TinyInt(1 | 3)) => return Some(Ok(None)),
                    // Whatever else stands there is named by the way that reads it.
                    _ => return None,
                }
            }
            let mut values = Vec::with_capacity(select.len());
            for column in select {
                let value = match (&key[*column], &open.columns[*column]) {
                    (Some(value), _) => Ok(Datum::clone(value)),
                    (None, Source::Missing) => Ok(Datum::Null),
                    (None, Source::Partition(key, _)) => Ok(bucket.partition.get(*key)?.clone()),
                    (None, Source::Pages(column)) => self.cell(file, &open, column, row)?,
                };
                match value {
                    Ok(value) => values.push(value),
                    Err(error) => return Some(Err(error)),
                }
            }
            if select.iter().copied().eq(0..self.schema.fields.len()) {
                self.cache.put(kept, Kept::Row(Arc::from(values.as_slice())));
            }
            return Some(Ok(Some(values)));
        }
        Some(Ok(None))
    }

    #[inline]
    fn cell(&self, file: &LookupFile, open: &OpenFile, column: &PageColumn, row: u64) -> Option<Result<Datum>> {
        let at = open.paged.page_of(column.leaf, row)?;
        let lane = self.page(page_key(file, column, &at))?;
        Some(datum_at(&lane, &column.kind, usize::try_from(row.checked_sub(at.first_row)?).ok()?))
    }
}
