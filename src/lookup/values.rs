//! The values of found rows: page by page, column by column, so that a batch holds a few pages at a time.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};
use arrow_select::concat::concat;
use arrow_select::take::take;
use futures::FutureExt;
use futures::future::try_join_all;

use super::bucket::BucketFiles;
use super::file::{OpenFile, Source};
use super::load::Want;
use super::rules::Rules;
use crate::error::{Error, Result};
use crate::files::PageColumn;
use crate::types::{DataType, lane_type};

/// Bytes of pages, and their number, that are read at once.
const WINDOW: u64 = 32 << 20;
const PAGES: usize = 64;

/// A row's place: its file in the bucket's search order, and its position there.
pub(super) type Place = (u32, u64);

/// A column to gather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// A column of the table.
    Value(usize),
    /// The sequence numbers.
    Sequence,
    /// The row kinds.
    Kind,
}

/// Rows of one page that are wanted: piece `piece` of column `column`.
struct Task {
    want: Want,
    column: usize,
    piece: usize,
    rows: Vec<u32>,
}

impl Rules {
    /// The values of some columns for rows that are sorted by place; a place may stand more than once.
    pub(super) async fn gather(
        self: &Arc<Self>,
        bucket: &BucketFiles,
        places: &[Place],
        columns: &[Column],
    ) -> Result<Vec<ArrayRef>> {
        let mut opened: Vec<Option<Arc<OpenFile>>> = vec![None; bucket.files.len()];
        for (file, _) in places {
            let slot = &mut opened[*file as usize];
            if slot.is_none() {
                *slot = Some(self.open(&bucket.files[*file as usize]).await?);
            }
        }
        let mut pieces: Vec<Vec<Option<ArrayRef>>> = Vec::with_capacity(columns.len());
        let mut tasks = Vec::new();
        for column in columns {
            let at = pieces.len();
            pieces.push(self.plan(bucket, &opened, places, *column, at, &mut tasks)?);
        }
        let mut left = tasks.as_slice();
        while !left.is_empty() {
            let (window, lanes, rest) = self.next_window(bucket, &opened, left).await?;
            for (task, lane) in window.iter().zip(lanes) {
                let rows = UInt32Array::from(task.rows.clone());
                let taken = take(&lane, &rows, None).map_err(|error| Error::bug(error.to_string()))?;
                pieces[task.column][task.piece] = Some(taken);
            }
            left = rest;
        }
        pieces.into_iter().zip(columns).map(|(pieces, column)| self.join(pieces, *column)).collect()
    }

    /// The pieces of one column: what needs no page is there at once, the rest becomes tasks.
    fn plan(
        &self,
        bucket: &BucketFiles,
        opened: &[Option<Arc<OpenFile>>],
        places: &[Place],
        column: Column,
        at: usize,
        tasks: &mut Vec<Task>,
    ) -> Result<Vec<Option<ArrayRef>>> {
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < places.len() {
            let (file, first) = places[from];
            let open = opened[file as usize].as_ref().ok_or_else(|| Error::bug("a file was not opened"))?;
            let in_file = places[from..].partition_point(|(other, _)| *other == file);
            let source = match column {
                Column::Value(at) => open.columns.get(at).cloned().unwrap_or(Source::Missing),
                Column::Sequence => Source::Pages(open.sequence.clone()),
                Column::Kind => Source::Pages(open.kind.clone()),
            };
            match source {
                Source::Partition(key, data_type) => {
                    let value = bucket.partition.get(key).ok_or_else(|| Error::bug("a partition without its key"))?;
                    pieces.push(Some(value.repeat(&data_type.kind, in_file)?));
                    from += in_file;
                }
                Source::Missing => {
                    pieces.push(Some(new_null_array(&lane_type(&self.type_of(column).kind), in_file)));
                    from += in_file;
                }
                Source::Pages(page_column) => {
                    let page = open.paged.page_of(page_column.leaf, first).filter(|page| page.first_row <= first);
                    let page = page.ok_or_else(|| no_page(open, &page_column, first))?;
                    let end = page.first_row + page.rows;
                    let in_page = places[from..].partition_point(|(other, row)| *other == file && *row < end);
                    if in_page == 0 {
                        return Err(no_page(open, &page_column, first));
                    }
                    let rows = places[from..from + in_page].iter().map(|(_, row)| (row - page.first_row) as u32);
                    let want = Want { file: file as usize, column: page_column, at: page };
                    tasks.push(Task { want, column: at, piece: pieces.len(), rows: rows.collect() });
                    pieces.push(None);
                    from += in_page;
                }
            }
        }
        Ok(pieces)
    }

    /// Takes tasks from the front until their pages fill a window, and gets these pages.
    async fn next_window<'a>(
        self: &Arc<Self>,
        bucket: &BucketFiles,
        opened: &[Option<Arc<OpenFile>>],
        tasks: &'a [Task],
    ) -> Result<(&'a [Task], Vec<ArrayRef>, &'a [Task])> {
        let mut lanes: Vec<Option<ArrayRef>> = Vec::new();
        let mut missing: Vec<(usize, Want)> = Vec::new();
        let mut bytes = 0;
        for task in tasks {
            if lanes.len() >= PAGES || bytes >= WINDOW {
                break;
            }
            let page = self.page(task.want.key(&bucket.files[task.want.file]));
            if page.is_none() {
                let open = opened[task.want.file].as_ref();
                bytes += open.map_or(0, |open| open.paged.weight(task.want.column.leaf, &task.want.at));
                missing.push((lanes.len(), task.want.clone()));
            }
            lanes.push(page);
        }
        missing.sort_by_key(|(_, want)| want.file);
        let load = |file: usize, pages: Vec<Want>| {
            async move {
                let open = opened[file].as_ref().ok_or_else(|| Error::bug("a file was not opened"))?;
                self.load_pages(&bucket.files[file], open, &pages).await
            }
            .boxed()
        };
        let loads: Vec<_> = missing
            .chunk_by(|(_, a), (_, b)| a.file == b.file)
            .map(|wants| {
                let file = wants.first().map_or(0, |(_, want)| want.file);
                load(file, wants.iter().map(|(_, want)| want.clone()).collect())
            })
            .collect();
        let loaded = try_join_all(loads).await?;
        for ((place, _), lane) in missing.iter().zip(loaded.into_iter().flatten()) {
            lanes[*place] = Some(lane);
        }
        let (window, rest) = tasks.split_at(lanes.len());
        let lanes: Option<Vec<ArrayRef>> = lanes.into_iter().collect();
        Ok((window, lanes.ok_or_else(|| Error::bug("a page was not read"))?, rest))
    }

    fn type_of(&self, column: Column) -> DataType {
        match column {
            Column::Value(at) => self.schema.fields[at].data_type.clone(),
            Column::Sequence => DataType::BIGINT,
            Column::Kind => DataType::TINYINT,
        }
    }

    fn join(&self, pieces: Vec<Option<ArrayRef>>, column: Column) -> Result<ArrayRef> {
        let pieces: Option<Vec<ArrayRef>> = pieces.into_iter().collect();
        let pieces = pieces.ok_or_else(|| Error::bug("a page was not read"))?;
        match pieces.as_slice() {
            [] => Ok(new_null_array(&lane_type(&self.type_of(column).kind), 0)),
            [piece] => Ok(Arc::clone(piece)),
            some => {
                let refs: Vec<&dyn Array> = some.iter().map(AsRef::as_ref).collect();
                concat(&refs).map_err(|error| Error::bug(error.to_string()))
            }
        }
    }
}

fn no_page(open: &OpenFile, column: &PageColumn, row: u64) -> Error {
    Error::corrupt(&open.path, format!("no page of {} has row {row}", column.name))
}
