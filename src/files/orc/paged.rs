//! An ORC data file for lookups. A page is a column's rows of one stripe, or some of them where there are many: a stripe is
//! decoded from its begin.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::ArrayRef;
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use orc_rust::array_decoder::NaiveStripeDecoder;
use orc_rust::projection::ProjectionMask;
use orc_rust::reader::metadata::FileMetadata;
use orc_rust::schema::RootDataType;
use orc_rust::{RowSelection, RowSelector};

use super::lanes::{Times, decoded_type, lane};
use super::stripes::{Pieces, footer, footer_range, ranges, stripe};
use super::{corrupt, undecoded};
use crate::error::{Error, Result};
use crate::files::paged::{PageAt, PageColumn};
use crate::files::reader::contained;

/// Bytes of the end that are looked through first.
const TAIL: u64 = 64 << 10;

/// Rows of a page at the most.
const PAGE_ROWS: u64 = 1 << 17;

/// Finds the footers of a file: asks for pieces of it until all are there. Does no IO.
#[derive(Debug)]
pub struct OrcIndex {
    path: String,
    size: u64,
    zoned_digits: bool,
    pieces: Pieces,
    metadata: Option<FileMetadata>,
    footers: Vec<Bytes>,
    next: Option<Range<u64>>,
}

impl OrcIndex {
    /// An index of a file of a known size; `zoned_digits` as in [`crate::files::ReadPlan`].
    pub fn new(path: &str, size: u64, zoned_digits: bool) -> Self {
        let (path, pieces, next) = (path.to_string(), Pieces::default(), Some(size.saturating_sub(TAIL)..size));
        Self { path, size, zoned_digits, pieces, metadata: None, footers: Vec::new(), next }
    }

    /// The bytes that [`OrcIndex::feed`] must get next; `None` when all footers are found.
    pub fn wanted(&self) -> Option<Range<u64>> {
        self.next.clone()
    }

    /// Takes the wanted bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they are no part of an ORC file.
    pub fn feed(&mut self, bytes: &Bytes) -> Result<()> {
        let path = self.path.clone();
        contained(&path, || self.look_through(bytes).map_err(|error| error.in_file(&path)))
    }

    fn look_through(&mut self, bytes: &Bytes) -> Result<()> {
        let Some(range) = self.next.take() else { return Ok(()) };
        self.pieces.0.push((range.start, bytes.clone()));
        if self.metadata.is_none() {
            match footer(self.size, &self.pieces)? {
                Ok(metadata) => self.metadata = Some(metadata),
                Err(missing) => self.next = Some(missing),
            }
        }
        let Some(metadata) = &self.metadata else { return Ok(()) };
        while let Some(stripe) = metadata.stripe_metadatas().get(self.footers.len()) {
            match self.pieces.get(&footer_range(stripe)) {
                // What lies around it is not kept.
                Some(bytes) => self.footers.push(Bytes::copy_from_slice(&bytes)),
                None => {
                    self.next = Some(footer_range(stripe));
                    break;
                }
            }
        }
        Ok(())
    }

    /// The file, when all footers are found.
    ///
    /// # Errors
    /// [`Error::Bug`] when some are not.
    pub fn finish(self) -> Result<OrcPages> {
        let metadata = self.metadata.filter(|_| self.next.is_none());
        let metadata = metadata.ok_or_else(|| Error::bug(format!("{}: not all footers are found", self.path)))?;
        let mut starts = vec![0];
        for stripe in metadata.stripe_metadatas() {
            starts.push(starts.last().copied().unwrap_or(0) + stripe.number_of_rows());
        }
        let columns = metadata.root_data_type().children().len();
        let ranges = (0..columns * self.footers.len()).map(|_| OnceLock::new()).collect();
        let (path, zoned_digits, footers) = (self.path, self.zoned_digits, self.footers);
        Ok(OrcPages { path, zoned_digits, metadata, footers, starts, ranges })
    }
}

/// A file whose footers are known.
#[derive(Debug)]
pub struct OrcPages {
    path: String,
    zoned_digits: bool,
    metadata: FileMetadata,
    footers: Vec<Bytes>,
    /// The first row of each stripe, and the number of all rows.
    starts: Vec<u64>,
    /// The bytes of each column of each stripe.
    ranges: Vec<OnceLock<Vec<Range<u64>>>>,
}

impl OrcPages {
    /// The place of a column, if the file has it.
    pub fn leaf(&self, name: &str) -> Option<usize> {
        self.metadata.root_data_type().children().iter().position(|column| column.name() == name)
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        let footers: usize = self.footers.iter().map(Bytes::len).sum();
        // Types, and the statistics of the file.
        let statistics = self.metadata.column_file_statistics().len() * 300;
        footers + statistics + self.ranges.len() * 150 + 1000
    }

    /// The pages of any column, in order.
    pub fn pages(&self) -> Vec<PageAt> {
        let stripes = 0..self.footers.len();
        let counts = stripes.flat_map(|stripe| {
            let rows = self.starts[stripe + 1] - self.starts[stripe];
            (0..rows.div_ceil(PAGE_ROWS)).map(move |page| (stripe, page))
        });
        counts.filter_map(|(stripe, page)| self.page(stripe, page)).collect()
    }

    /// The page that holds a row.
    pub fn page_of(&self, row: u64) -> Option<PageAt> {
        let stripe = self.starts.partition_point(|start| *start <= row).checked_sub(1)?;
        self.page(stripe, (row - self.starts[stripe]) / PAGE_ROWS)
    }

    fn page(&self, stripe: usize, page: u64) -> Option<PageAt> {
        let (start, end) = (*self.starts.get(stripe)?, *self.starts.get(stripe + 1)?);
        let first_row = start + page * PAGE_ROWS;
        let rows = end.checked_sub(first_row)?.min(PAGE_ROWS);
        Some(PageAt { group: stripe, page: usize::try_from(page).ok()?, first_row, rows })
    }

    /// The column alone.
    fn column(&self, leaf: usize) -> RootDataType {
        let root = self.metadata.root_data_type();
        let index = root.children().get(leaf).map(|column| column.data_type().column_index());
        root.project(&ProjectionMask::roots(root, index))
    }

    /// The bytes that a page of a column is decoded from: none where its stripe's footer is damaged, which decoding tells.
    pub fn ranges(&self, leaf: usize, at: &PageAt) -> Vec<Range<u64>> {
        let columns = self.metadata.root_data_type().children().len();
        let find = || {
            let (Some(info), Some(told)) = (self.metadata.stripe_metadatas().get(at.group), self.footers.get(at.group))
            else {
                return Vec::new();
            };
            let found = contained(&self.path, || ranges(&self.metadata, &self.column(leaf), info, told));
            found.unwrap_or_default()
        };
        self.ranges.get(at.group * columns + leaf).map_or_else(Vec::new, |it| it.get_or_init(find).clone())
    }

    /// Bytes that a page takes when it is decoded, roughly.
    pub fn weight(&self, leaf: usize, at: &PageAt) -> u64 {
        let bytes = self.ranges(leaf, at).iter().map(|range| range.end - range.start).fold(0, u64::saturating_add);
        let of_stripe = self.metadata.stripe_metadatas().get(at.group).map_or(0, |stripe| stripe.number_of_rows());
        (u128::from(bytes) * 4 * u128::from(at.rows) / u128::from(of_stripe.max(1))) as u64 + at.rows * 4
    }

    /// The values of a page, from its fetched ranges. Blocks.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the file.
    pub fn decode(&self, column: &PageColumn, at: &PageAt, fetched: Vec<(u64, Bytes)>) -> Result<ArrayRef> {
        let decode = || self.decode_page(column, at, fetched).map_err(|error| error.in_file(&self.path));
        contained(&self.path, decode)
    }

    fn decode_page(&self, column: &PageColumn, at: &PageAt, fetched: Vec<(u64, Bytes)>) -> Result<ArrayRef> {
        let missing = || corrupt(format!("column {}: no stripe has the page", column.name));
        let info = self.metadata.stripe_metadatas().get(at.group).ok_or_else(missing)?;
        let (told, start) = (self.footers.get(at.group).ok_or_else(missing)?, self.starts[at.group]);
        let root = self.column(column.leaf);
        let stored = root.children().first().ok_or_else(missing)?;
        let decoded = decoded_type(&column.name, Some(&column.kind), stored.data_type())?;
        let schema = Arc::new(Schema::new(vec![Field::new(stored.name(), decoded, true)]));
        let opened = stripe(&self.metadata, &root, info, told, &Pieces(fetched))?;
        let times = Times::of(opened.writer_tz(), self.zoned_digits);
        let skipped = usize::try_from(at.first_row - start).map_err(undecoded)?;
        let rows = usize::try_from(at.rows).map_err(undecoded)?;
        let part = at.rows < info.number_of_rows();
        let selection = RowSelection::from(vec![RowSelector::skip(skipped), RowSelector::select(rows)]);
        let selection = part.then_some(selection);
        let decoder = NaiveStripeDecoder::new_with_selection(opened, schema, rows, selection).map_err(undecoded)?;
        let batches = decoder.collect::<std::result::Result<Vec<_>, _>>().map_err(undecoded)?;
        match batches.as_slice() {
            [batch] if batch.num_rows() == rows && batch.num_columns() == 1 => {
                lane(&column.name, &column.kind, stored.data_type(), batch.column(0), times)
            }
            _ => {
                let found: usize = batches.iter().map(arrow_array::RecordBatch::num_rows).sum();
                Err(corrupt(format!("column {}: a page of {found} rows, not {rows}", column.name)))
            }
        }
    }
}
