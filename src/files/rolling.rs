//! Writing a stream of slabs into as many data files as their target size asks for, and describing each of them.
//! Spec: `format-spec/data-files.md`, `format-spec/manifest.md`.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type};
use bytes::Bytes;
use tokio::runtime::Handle;

use super::format::{FileEncoding, FormatWriter};
use super::layout::{ColumnSource, FileColumn, FileLayout};
use super::names::{FileNames, NewFile};
use super::orc::held_by_orc;
use super::row_groups::{RowGroup, RowGroups};
use super::writer::{First, Slab};
use crate::error::{Error, Result};
use crate::format::{
    BinaryRow, ColumnStats, DataFileMeta, FileIndexBuilder, FileSource as Origin, INDEX_SUFFIX, IndexedColumn,
    SimpleStats,
};
use crate::io::{BlockingUpload, TableStore};
use crate::schema::StatsMode;
use crate::types::{DataType, RowKind};

/// How the files of a table are written.
#[derive(Debug, Clone)]
pub struct WriteSpec {
    /// Their columns.
    pub layout: Arc<FileLayout>,
    /// Their format and encoding.
    pub encoding: FileEncoding,
    /// The schema they follow.
    pub schema_id: i64,
    /// The beginning of their names.
    pub prefix: String,
    /// What stands behind the first dot of their names.
    pub extension: String,
    /// Bytes after which another file begins.
    pub target_bytes: u64,
    /// Rows after which another file begins.
    pub target_rows: u64,
    /// The statistics of each column of the trimmed key.
    pub key_stats: Vec<StatsMode>,
    /// The statistics of each of the table's columns.
    pub stats: Vec<StatsMode>,
    /// Whether statistics leave out what is unknown.
    pub stats_dense: bool,
    /// The level written to.
    pub level: i32,
    /// How the files come to be.
    pub origin: Origin,
    /// The indexes that a file gets.
    pub indexes: Vec<IndexedColumn>,
    /// The names of its columns, where they are more than those of its schema.
    pub write_cols: Option<Vec<String>>,
    /// Bytes of its indexes beyond which they get a file of their own.
    pub index_in_manifest: u64,
}

impl WriteSpec {
    /// Of which columns of the layout statistics are kept, counted for a column and its `_KEY_` twin at the column.
    pub(super) fn gathered(&self) -> Vec<bool> {
        let kept = |modes: &[StatsMode], at: usize| modes.get(at).is_some_and(|mode| *mode != StatsMode::None);
        let columns = &self.layout.columns;
        let gathers = |(place, column): (usize, &FileColumn)| match column.source {
            ColumnSource::Value(_) if columns[place + 1..].iter().any(|other| other.source == column.source) => false,
            ColumnSource::Value(at) => {
                let key = self.layout.key_columns.iter().position(|key| *key == at);
                kept(&self.stats, at) || key.is_some_and(|key| kept(&self.key_stats, key))
            }
            _ => false,
        };
        columns.iter().enumerate().map(gathers).collect()
    }
}

/// Writes slabs into files. Blocks: use it on the blocking pool.
pub struct RollingWriter<'a> {
    store: TableStore,
    runtime: Handle,
    names: &'a FileNames,
    spec: &'a WriteSpec,
    open: Option<Open>,
    done: Vec<DataFileMeta>,
}

struct Open {
    file: NewFile,
    writer: FormatWriter,
    first_key: BinaryRow,
    last_key: BinaryRow,
    sequence: Option<(i64, i64)>,
    retractions: i64,
    index: Option<FileIndexBuilder>,
}

impl<'a> RollingWriter<'a> {
    /// A writer that has no file yet: a file begins with its first row.
    pub fn new(store: &TableStore, runtime: &Handle, names: &'a FileNames, spec: &'a WriteSpec) -> Self {
        Self { store: store.clone(), runtime: runtime.clone(), names, spec, open: None, done: Vec::new() }
    }

    /// Writes a slab, in parts where a file ends at a number of rows.
    ///
    /// # Errors
    /// The store's errors; those of gathering.
    pub fn write(&mut self, slab: &dyn Slab) -> Result<()> {
        let mut start = 0;
        while start < slab.rows() {
            let room = self.spec.target_rows - self.open.as_ref().map_or(0, |open| open.writer.rows());
            let end = slab.rows().min(start.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
            self.write_part(&Part { slab, rows: start..end })?;
            start = end;
            self.close_full()?;
        }
        Ok(())
    }

    fn close_full(&mut self) -> Result<()> {
        let full =
            |open: &Open| open.writer.rows() >= self.spec.target_rows || open.writer.bytes() >= self.spec.target_bytes;
        if self.open.as_ref().is_some_and(full) { self.close() } else { Ok(()) }
    }

    fn write_part(&mut self, slab: &dyn Slab) -> Result<()> {
        let keys = KeyOf { layout: &self.spec.layout, slab };
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(&First::Rows(slab), keys.at(0)?)?,
        };
        open.last_key = keys.at(slab.rows() - 1)?;
        if !self.spec.layout.key_columns.is_empty() {
            open.retractions += retractions(&slab.column(ColumnSource::Kind, 0..slab.rows())?);
        }
        let sequence = slab.column(ColumnSource::Sequence, 0..slab.rows())?;
        for number in sequence.as_primitive::<Int64Type>().values() {
            let (min, max) = open.sequence.unwrap_or((*number, *number));
            open.sequence = Some((min.min(*number), max.max(*number)));
        }
        if let Some(index) = &mut open.index {
            let orc = matches!(self.spec.encoding, FileEncoding::Orc(_));
            index.add(|column| {
                let source = ColumnSource::Value(column);
                let lane = slab.column(source, 0..slab.rows())?;
                // What readers will ask for.
                match self.spec.layout.columns.iter().find(|of| orc && of.source == source) {
                    Some(of) => held_by_orc(&of.name, &of.data_type, false, &lane),
                    None => Ok(lane),
                }
            })?;
        }
        open.writer.write(slab)?;
        self.open = Some(open);
        Ok(())
    }

    /// Copies a row group of another file, whose rows follow those written.
    ///
    /// # Errors
    /// The stores' errors; [`Error::Bug`] for a row group that may not be copied.
    pub fn pass(&mut self, file: &RowGroups, group: &RowGroup) -> Result<()> {
        let sequence = group.copied.ok_or_else(|| Error::bug("a row group that may not be copied"))?;
        if !self.spec.indexes.is_empty() {
            return Err(Error::bug("a row group copied into a file with indexes, which would lack its rows"));
        }
        let over = |open: &Open| {
            let bytes = open.writer.bytes();
            open.writer.rows() + group.rows > self.spec.target_rows
                || (bytes >= self.spec.target_bytes / 2 && bytes + group.bytes > self.spec.target_bytes)
        };
        if self.open.as_ref().is_some_and(over) {
            self.close()?;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(&First::Group(file, group), group.keys.0.clone())?,
        };
        open.last_key = group.keys.1.clone();
        let (min, max) = open.sequence.unwrap_or(sequence);
        open.sequence = Some((min.min(sequence.0), max.max(sequence.1)));
        open.writer.pass(file, group)?;
        self.open = Some(open);
        self.close_full()
    }

    fn begin(&self, first: &First<'_>, first_key: BinaryRow) -> Result<Open> {
        let file = self.names.next(self.spec);
        let upload = BlockingUpload::new(self.store.upload(&file.path())?, self.runtime.clone());
        let writer = FormatWriter::begin(self.spec, &file.name, upload, first)?;
        let indexes = &self.spec.indexes;
        let index = (!indexes.is_empty()).then(|| FileIndexBuilder::new(indexes)).transpose()?;
        Ok(Open { file, writer, last_key: first_key.clone(), first_key, sequence: None, retractions: 0, index })
    }

    /// Keeps the indexes of a file: as bytes for its description, or under a name beside it.
    fn keep_index(&self, file: &NewFile, index: FileIndexBuilder) -> Result<Index> {
        let bytes = index.finish()?;
        if bytes.len() as u64 <= self.spec.index_in_manifest {
            return Ok(Index { embedded: Some(Bytes::from(bytes)), beside: Vec::new() });
        }
        let name = format!("{}{INDEX_SUFFIX}", file.name);
        let mut upload = BlockingUpload::new(self.store.upload(&file.beside(&name))?, self.runtime.clone());
        upload.write_all(&bytes).map_err(Error::from_io)?;
        upload.finish()?;
        Ok(Index { embedded: None, beside: vec![name] })
    }

    /// Deletes what was kept beside a file that did not come to be. What cannot be deleted is an orphan.
    fn drop_index(&self, file: &NewFile, index: &Index) {
        for name in &index.beside {
            let path = file.beside(name);
            if let Err(error) = self.runtime.block_on(self.store.delete(&path)) {
                tracing::warn!(%path, %error, "the index of a file that could not be written stays behind");
            }
        }
    }

    /// Ends the last file.
    ///
    /// # Errors
    /// The store's errors.
    pub fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let rows = open.writer.rows() as i64;
        let (upload, columns) = open.writer.finish(&self.spec.layout)?;
        let stats = Stats::of(self.spec, columns)?;
        let index = open.index.map(|index| self.keep_index(&open.file, index)).transpose()?.unwrap_or_default();
        let size = upload.finish().inspect_err(|_| self.drop_index(&open.file, &index))?;
        let (min_sequence_number, max_sequence_number) = open.sequence.unwrap_or((0, 0));
        let external_path = open.file.external_path();
        self.done.push(DataFileMeta {
            file_name: open.file.name,
            file_size: i64::try_from(size).map_err(|_| Error::bug("a file of more than 2^63 bytes"))?,
            row_count: rows,
            min_key: open.first_key,
            max_key: open.last_key,
            key_stats: stats.key,
            value_stats: stats.value,
            min_sequence_number,
            max_sequence_number,
            schema_id: self.spec.schema_id,
            level: self.spec.level,
            extra_files: index.beside,
            creation_time: Some(self.store.env().local_millis()),
            delete_row_count: Some(open.retractions),
            embedded_file_index: index.embedded,
            file_source: Some(self.spec.origin),
            value_stats_cols: stats.columns,
            external_path,
            first_row_id: None,
            write_cols: self.spec.write_cols.clone(),
            write_cols_sequences: None,
        });
        Ok(())
    }

    /// The descriptions of the files that were closed.
    pub fn into_files(self) -> Vec<DataFileMeta> {
        self.done
    }
}

/// Where the indexes of a file are.
#[derive(Default)]
struct Index {
    embedded: Option<Bytes>,
    beside: Vec<String>,
}

fn retractions(kinds: &ArrayRef) -> i64 {
    kinds.as_primitive::<Int8Type>().values().iter().filter(|kind| RowKind::retracts(**kind)).count() as i64
}

/// A range of a slab's rows.
struct Part<'a> {
    slab: &'a dyn Slab,
    rows: Range<usize>,
}

impl Slab for Part<'_> {
    fn rows(&self) -> usize {
        self.rows.len()
    }
    fn column(&self, source: ColumnSource, rows: Range<usize>) -> Result<ArrayRef> {
        self.slab.column(source, self.rows.start + rows.start..self.rows.start + rows.end)
    }
}

/// The trimmed keys of a slab's rows; the empty row for append files.
struct KeyOf<'a> {
    layout: &'a FileLayout,
    slab: &'a dyn Slab,
}

impl KeyOf<'_> {
    fn at(&self, row: usize) -> Result<BinaryRow> {
        let columns = self.layout.key_columns.iter().map(|at| self.slab.column(ColumnSource::Value(*at), row..row + 1));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        BinaryRow::encode_columns(&columns, &self.key_types(), 0)
    }

    fn key_types(&self) -> Vec<DataType> {
        let of = |at: &usize| {
            let column = self.layout.columns.iter().find(|column| column.source == ColumnSource::Value(*at));
            column.map(|column| column.data_type.clone())
        };
        self.layout.key_columns.iter().filter_map(of).collect()
    }
}

/// The statistics of a file as its manifest entry stores them.
struct Stats {
    key: SimpleStats,
    value: SimpleStats,
    columns: Option<Vec<String>>,
}

impl Stats {
    fn of(spec: &WriteSpec, of_columns: Vec<ColumnStats>) -> Result<Self> {
        let mut values: BTreeMap<usize, (String, ColumnStats)> = BTreeMap::new();
        for (column, stats) in spec.layout.columns.iter().zip(of_columns) {
            if let ColumnSource::Value(at) = column.source {
                values.insert(at, (column.name.clone(), stats)); // a key's value column comes after its `_KEY_` twin
            }
        }
        let keys = spec.layout.key_columns.iter().filter_map(|at| values.get(at)).zip(&spec.key_stats);
        let keys: Vec<_> = keys.map(|((name, stats), mode)| (name.as_str(), *mode, stats.clone())).collect();
        let mode = |at: &usize| spec.stats.get(*at).copied().unwrap_or(StatsMode::None);
        let columns = values.iter().map(|(at, (name, stats))| (name.as_str(), mode(at), stats.clone()));
        let (value, columns) = SimpleStats::build(&columns.collect::<Vec<_>>(), spec.stats_dense)?;
        let (key, _) = SimpleStats::build(&keys, false)?;
        Ok(Self { key, value, columns })
    }
}
