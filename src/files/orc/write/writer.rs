//! Writing one ORC data file, a stripe at a time.

use std::io::Write;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use orc_rust::proto::column_encoding::Kind as Encoded;
use orc_rust::proto::{
    CalendarKind, ColumnEncoding, ColumnStatistics, Footer, PostScript, Stream as StreamPlace, StripeFooter,
    StripeInformation, Type,
};
use prost::Message;

use super::bounds::{add_bounds, kept};
use super::columns::Column;
use super::held::blank;
use super::streams::{BLOCK, Packer};
use super::types::orc_types;
use super::{OrcEncoding, ZONE};
use crate::error::{Error, Result};
use crate::files::lane_bounds::LaneBounds;
use crate::files::layout::{ColumnSource, FileColumn, FileLayout};
use crate::files::orc::lanes::trimmed;
use crate::files::writer::Slab;
use crate::format::ColumnStats;
use crate::types::TypeKind;

/// What a file begins and ends with.
const MAGIC: &[u8] = b"ORC";
/// Rows that are encoded at once, after which the stripe's size is looked at.
const ROWS: usize = 4096;
/// The version of the format, in which integers have the encodings of `rle`.
const VERSION: [u32; 2] = [0, 12];
/// The revision of the writers, of which readers take ours for the newest since the writer is none they know.
const REVISION: u32 = 9;
const WRITER: u32 = u32::MAX;

/// A file being written.
pub(in crate::files) struct OrcWriter<W: Write + Send> {
    layout: Arc<FileLayout>,
    encoding: OrcEncoding,
    out: W,
    packer: Packer,
    types: Vec<Type>,
    columns: Vec<Column>,
    bounds: Vec<LaneBounds>,
    rows: u64,
    /// Rows of the open stripe.
    open_rows: u64,
    written: u64,
    stripes: Vec<StripeInformation>,
}

impl<W: Write + Send> OrcWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names a column that ORC files do not hold; the output's errors.
    pub(in crate::files) fn new(layout: Arc<FileLayout>, encoding: OrcEncoding, mut out: W) -> Result<Self> {
        let types = orc_types(&layout)?;
        let columns = layout.columns.iter().map(|column| Column::new(&column.name, &column.data_type));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let bounds = layout.columns.iter().map(|column| LaneBounds::new(&column.data_type)).collect();
        out.write_all(MAGIC).map_err(Error::from_io)?;
        let packer = Packer::new(encoding.codec)?;
        let (rows, open_rows, written) = (0, 0, MAGIC.len() as u64);
        Ok(Self { layout, encoding, out, packer, types, columns, bounds, rows, open_rows, written, stripes: vec![] })
    }

    /// Rows written.
    pub(in crate::files) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes written, with those of the open stripe, of which some are not compressed yet.
    pub(in crate::files) fn bytes(&self) -> u64 {
        self.written + self.open_bytes() as u64
    }

    fn open_bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// Writes a slab.
    pub(in crate::files) fn write(&mut self, slab: &dyn Slab) -> Result<()> {
        let mut start = 0;
        while start < slab.rows() {
            let room = usize::try_from(self.encoding.stripe_rows - self.open_rows).unwrap_or(usize::MAX);
            let end = slab.rows().min(start + ROWS.min(room));
            self.write_part(slab, start..end)?;
            start = end;
            let full = self.open_rows >= self.encoding.stripe_rows;
            if full || self.open_bytes() >= self.encoding.stripe_bytes {
                self.end_stripe()?;
            }
        }
        Ok(())
    }

    fn write_part(&mut self, slab: &dyn Slab, rows: std::ops::Range<usize>) -> Result<()> {
        let layout = Arc::clone(&self.layout);
        let mut lanes: Vec<ArrayRef> = Vec::with_capacity(layout.columns.len());
        for (at, column) in layout.columns.iter().enumerate() {
            let twin = layout.columns[..at].iter().position(|other| other.source == column.source);
            let lane = match twin {
                Some(twin) => Arc::clone(&lanes[twin]),
                None => self.storable(column, slab.column(column.source, rows.clone())?)?,
            };
            self.bounds[at].widen(&lane)?;
            self.columns[at].write(&lane)?;
            self.columns[at].pack(&mut self.packer)?;
            lanes.push(lane);
        }
        self.rows += rows.len() as u64;
        self.open_rows += rows.len() as u64;
        Ok(())
    }

    /// A lane as readers will see it.
    fn storable(&self, column: &FileColumn, lane: ArrayRef) -> Result<ArrayRef> {
        let name = &column.name;
        if !column.data_type.nullable && lane.null_count() > 0 {
            return Err(Error::invalid(format!("column {name} is NOT NULL and a row has no value for it")));
        }
        let TypeKind::Char(_) = &column.data_type.kind else { return Ok(lane) };
        let texts = lane.as_string::<i32>();
        let key = self.layout.key_columns.iter().any(|at| column.source == ColumnSource::Value(*at));
        match texts.iter().flatten().find(|text| key && text.ends_with(' ')) {
            Some(text) => Err(blank(name, text)),
            None => Ok(Arc::new(trimmed(texts))),
        }
    }

    fn end_stripe(&mut self) -> Result<()> {
        if self.open_rows == 0 {
            return Ok(());
        }
        let mut encodings = vec![ColumnEncoding { kind: Some(Encoded::Direct.into()), ..ColumnEncoding::default() }];
        let mut streams = Vec::new();
        for column in &mut self.columns {
            column.finish(&mut self.packer, &mut streams, &mut encodings)?;
        }
        let offset = self.written;
        let mut places = Vec::with_capacity(streams.len());
        for (kind, column, bytes) in streams {
            self.put(&bytes)?;
            let (kind, column, length) = (Some(kind.into()), Some(column), Some(bytes.len() as u64));
            places.push(StreamPlace { kind, column, length });
        }
        let data_length = self.written - offset;
        let writer_timezone = Some(ZONE.to_string());
        let footer = StripeFooter { streams: places, columns: encodings, writer_timezone, encryption: Vec::new() };
        let footer = self.packer.whole(&footer.encode_to_vec())?;
        self.put(&footer)?;
        self.stripes.push(StripeInformation {
            offset: Some(offset),
            index_length: Some(0),
            data_length: Some(data_length),
            footer_length: Some(footer.len() as u64),
            number_of_rows: Some(std::mem::take(&mut self.open_rows)),
            ..StripeInformation::default()
        });
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::from_io)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes the footer and gives the output back, with the statistics of the columns in the order of the layout.
    pub(in crate::files) fn finish(mut self) -> Result<(W, Vec<ColumnStats>)> {
        self.end_stripe()?;
        let stats: Vec<ColumnStats> = std::mem::take(&mut self.bounds).into_iter().map(LaneBounds::finish).collect();
        let footer = Footer {
            header_length: Some(MAGIC.len() as u64),
            content_length: Some(self.written - MAGIC.len() as u64),
            stripes: std::mem::take(&mut self.stripes),
            types: std::mem::take(&mut self.types),
            number_of_rows: Some(self.rows),
            statistics: self.statistics(&stats),
            row_index_stride: Some(0),
            writer: Some(WRITER),
            // Java's default: a reader that has no other leaves days and times as they are.
            calendar: Some(CalendarKind::JulianGregorian.into()),
            software_version: Some(concat!("forebay ", env!("CARGO_PKG_VERSION")).to_string()),
            ..Footer::default()
        };
        let footer = self.packer.whole(&footer.encode_to_vec())?;
        self.put(&footer)?;
        let postscript = PostScript {
            footer_length: Some(footer.len() as u64),
            compression: Some(self.encoding.codec.kind().into()),
            compression_block_size: Some(BLOCK as u64),
            version: VERSION.to_vec(),
            metadata_length: Some(0),
            writer_version: Some(REVISION),
            stripe_statistics_length: None,
            magic: Some("ORC".to_string()),
        };
        let mut postscript = postscript.encode_to_vec();
        postscript.push(postscript.len() as u8);
        self.put(&postscript)?;
        Ok((self.out, stats.into_iter().map(kept).collect()))
    }

    fn statistics(&self, stats: &[ColumnStats]) -> Vec<ColumnStatistics> {
        let root = ColumnStatistics {
            number_of_values: Some(self.rows),
            has_null: Some(false),
            ..ColumnStatistics::default()
        };
        let mut all = vec![root];
        for (column, stats) in self.columns.iter().zip(stats) {
            let own = all.len();
            column.statistics(&mut all);
            add_bounds(&mut all[own], stats);
        }
        all
    }
}
