//! Reading an Avro data file as batches of lanes.

use arrow_array::new_null_array;
use tokio::runtime::Handle;

use super::blocks::Blocks;
use super::corrupt;
use super::records::{Records, Wanted};
use crate::error::{Error, Result};
use crate::files::layout::{KIND_NAME, SEQUENCE_NAME};
use crate::files::reader::{FileBatch, ReadPlan};
use crate::files::system::{kinds_of, sequence_of};
use crate::format::avro::{Cursor, Header};
use crate::io::TableStore;
use crate::types::{TypeKind, lane_type};

/// Bytes of text after which a batch ends, however few its rows are.
const TEXT: usize = 64 << 20;

/// The most bytes fetched at once.
const WINDOW: u64 = 4 << 20;

/// The batches of one file.
pub(in crate::files) struct AvroReader {
    path: String,
    plan: ReadPlan,
    header: Header,
    blocks: Blocks,
    records: Records,
    /// For each column out its lane.
    places: Vec<Option<usize>>,
    /// The block that is being read: its records, those that are read of them, and the bytes these took.
    block: Vec<u8>,
    left: u64,
    taken: usize,
    /// Rows passed in the file.
    row: u64,
    done: bool,
}

impl AvroReader {
    /// Opens a file. Blocks: call it on the blocking pool.
    ///
    /// # Errors
    /// The store's errors; [`Error::Corrupt`] when the file is no Avro file of these columns.
    pub(in crate::files) fn open(
        store: &TableStore,
        runtime: &Handle,
        path: &str,
        size: u64,
        plan: ReadPlan,
    ) -> Result<Self> {
        Self::open_file(store, runtime, path, size, plan).map_err(|error| error.in_file(path))
    }

    fn open_file(store: &TableStore, runtime: &Handle, path: &str, size: u64, plan: ReadPlan) -> Result<Self> {
        let columns = plan.columns.len().max(1) as u64;
        let window = plan.window.saturating_mul(columns).min(WINDOW);
        let (blocks, header) = Blocks::open(store, runtime, path, (plan.start, size), window)?;
        let mut wanted = Vec::new();
        let mut of_column = Vec::with_capacity(plan.columns.len());
        for column in &plan.columns {
            of_column.push(column.in_file.as_ref().map(|_| wanted.len()));
            wanted.extend(column.in_file.clone().map(|name| Wanted { name, kind: column.data_type.kind.clone() }));
        }
        if plan.versions {
            wanted.push(Wanted { name: SEQUENCE_NAME.to_string(), kind: TypeKind::BigInt });
            wanted.push(Wanted { name: KIND_NAME.to_string(), kind: TypeKind::TinyInt });
        }
        let (records, found) = Records::of(&header.schema, &wanted)?;
        let mut places: Vec<Option<usize>> = of_column.into_iter().map(|at| at.and_then(|at| found[at])).collect();
        if plan.versions {
            for (name, place) in [SEQUENCE_NAME, KIND_NAME].into_iter().zip(&found[found.len() - 2..]) {
                if place.is_none() {
                    return Err(corrupt(format!("a primary-key table's file has no column {name}")));
                }
                places.push(*place);
            }
        }
        let path = path.to_string();
        let block = Vec::new();
        Ok(Self { path, plan, header, blocks, records, places, block, left: 0, taken: 0, row: 0, done: false })
    }

    fn next_batch(&mut self) -> Result<Option<FileBatch>> {
        let wanted = self.plan.batch_rows.max(1);
        while self.records.rows() < wanted && self.records.text_bytes() < TEXT {
            if self.left == 0 && !self.next_block()? {
                break;
            }
            self.read_block(wanted)?;
        }
        if self.records.rows() == 0 {
            return Ok(None);
        }
        self.batch().map(Some)
    }

    /// Goes on to the next block that has records.
    fn next_block(&mut self) -> Result<bool> {
        if self.taken != self.block.len() {
            return Err(corrupt(format!("{} bytes behind the last record of a block", self.block.len() - self.taken)));
        }
        while self.left == 0 {
            let Some((records, block)) = self.blocks.next(&self.header)? else {
                self.check_end()?;
                return Ok(false);
            };
            if self.row.saturating_add(records) > self.plan.rows {
                let what = format!("more rows than the {} that its manifest tells", self.plan.rows);
                return Err(corrupt(what));
            }
            (self.left, self.block, self.taken) = (records, block, 0);
        }
        Ok(true)
    }

    fn check_end(&self) -> Result<()> {
        if self.row != self.plan.rows {
            return Err(corrupt(format!("{} rows, not the {} that its manifest tells", self.row, self.plan.rows)));
        }
        match self.plan.masked.as_ref().and_then(|vector| vector.last()).filter(|last| *last >= self.row) {
            Some(last) => Err(corrupt(format!("its deletion vector masks row {last} of {}", self.row))),
            None => Ok(()),
        }
    }

    /// Reads records of the block at hand until the batch is full.
    fn read_block(&mut self, wanted: usize) -> Result<()> {
        let mut cursor = Cursor::new(&self.header.schema, &self.block[self.taken..]);
        let masked = self.plan.masked.as_deref();
        while self.left > 0 && self.records.rows() < wanted {
            let row = self.row;
            let read = self.records.read_unmasked(&mut cursor, row, masked);
            read.map_err(|error| at_row(error, row))?;
            self.left -= 1;
            self.row += 1;
        }
        self.taken = self.block.len() - cursor.left();
        Ok(())
    }

    fn batch(&mut self) -> Result<FileBatch> {
        let rows = self.records.rows();
        let lanes = self.records.finish()?;
        let lane = |place: &Option<usize>| place.and_then(|place| lanes.get(place).cloned());
        let columns = self.plan.columns.iter().zip(&self.places).map(|(column, place)| {
            lane(place).unwrap_or_else(|| new_null_array(&lane_type(&column.data_type.kind), rows))
        });
        let columns = columns.collect();
        let (mut sequence, mut kinds) = (None, None);
        if let [sequence_at, kind_at] = &self.places[self.plan.columns.len()..] {
            let (numbers, kind) = (lane(sequence_at), lane(kind_at));
            sequence = numbers.as_ref().map(sequence_of).transpose()?;
            kinds = kind.as_ref().map(kinds_of).transpose()?.flatten();
        }
        Ok(FileBatch { columns, sequence, kinds, rows })
    }
}

impl Iterator for AvroReader {
    type Item = Result<FileBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.next_batch().map_err(|error| error.in_file(&self.path)).transpose();
        self.done = !matches!(batch, Some(Ok(_)));
        batch
    }
}

/// The same error with the row where it was met.
pub(super) fn at_row(error: Error, row: u64) -> Error {
    match error {
        Error::Corrupt { file, what } => Error::Corrupt { file, what: format!("row {row}: {what}") },
        other => other,
    }
}
