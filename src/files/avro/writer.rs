//! Writing one Avro data file: records in blocks of 64 KB, each compressed on its own.
//!
//! Every block ends with the file's marker, which has to be there before the first of them: it is a hash of the file's
//! name, so that equal rows under an equal name give equal bytes.

use std::io::Write;
use std::sync::Arc;

use arrow_array::ArrayRef;

use super::cells::Cells;
use super::schema::avro_schema;
use crate::error::{Error, Result};
use crate::files::lane_bounds::LaneBounds;
use crate::files::layout::FileLayout;
use crate::files::writer::Slab;
use crate::format::Codec;
use crate::format::ColumnStats;
use crate::format::avro::{BLOCK_SIZE, Encoder, container_header};

/// How the blocks of a data file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvroCodec {
    /// The codec.
    pub codec: Codec,
    /// Effort of zstd.
    pub zstd_level: i32,
}

/// A file being written.
pub(in crate::files) struct AvroWriter<W: Write + Send> {
    layout: Arc<FileLayout>,
    out: W,
    codec: Codec,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    marker: [u8; 16],
    block: Encoder,
    records: i64,
    rows: u64,
    written: u64,
    bounds: Vec<Option<LaneBounds>>,
}

impl<W: Write + Send> AvroWriter<W> {
    /// Begins a file of a name. `bounded` tells of which columns bounds and NULLs are gathered.
    pub(in crate::files) fn new(
        layout: Arc<FileLayout>,
        codec: AvroCodec,
        name: &str,
        bounded: &[bool],
        mut out: W,
    ) -> Result<Self> {
        let marker = marker_of(name);
        let mut head = container_header(&avro_schema(&layout)?, codec.codec);
        head.extend_from_slice(&marker);
        out.write_all(&head).map_err(Error::from_io)?;
        let zstd = match codec.codec {
            Codec::Zstandard => Some(zstd::bulk::Compressor::new(codec.zstd_level).map_err(compress_error)?),
            _ => None,
        };
        let bounds = layout.columns.iter().zip(bounded);
        let bounds = bounds.map(|(column, bounded)| bounded.then(|| LaneBounds::new(&column.data_type))).collect();
        Ok(Self {
            layout,
            out,
            codec: codec.codec,
            zstd,
            marker,
            block: Encoder::default(),
            records: 0,
            rows: 0,
            written: head.len() as u64,
            bounds,
        })
    }

    /// Rows written.
    pub(in crate::files) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the blocks written.
    pub(in crate::files) fn bytes(&self) -> u64 {
        self.written
    }

    /// Writes a slab.
    pub(in crate::files) fn write(&mut self, slab: &dyn Slab) -> Result<()> {
        let rows = slab.rows();
        let lanes = self.gather(slab)?;
        let layout = Arc::clone(&self.layout);
        let cells = layout.columns.iter().zip(&lanes).map(|(column, lane)| Cells::of(column, lane));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        for (bounds, lane) in self.bounds.iter_mut().zip(&lanes) {
            if let Some(bounds) = bounds {
                bounds.widen(lane)?;
            }
        }
        for row in 0..rows {
            cells.iter().for_each(|cell| cell.write(row, &mut self.block));
            self.records += 1;
            if self.block.out.len() >= BLOCK_SIZE {
                self.flush()?;
            }
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// The columns of a slab; those that have one source are gathered once.
    fn gather(&self, slab: &dyn Slab) -> Result<Vec<ArrayRef>> {
        let mut lanes: Vec<ArrayRef> = Vec::with_capacity(self.layout.columns.len());
        for (at, column) in self.layout.columns.iter().enumerate() {
            let twin = self.layout.columns[..at].iter().position(|other| other.source == column.source);
            lanes.push(match twin {
                Some(twin) => Arc::clone(&lanes[twin]),
                None => slab.column(column.source, 0..slab.rows())?,
            });
        }
        Ok(lanes)
    }

    fn flush(&mut self) -> Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        let compressed = match &mut self.zstd {
            Some(zstd) => zstd.compress(&self.block.out).map_err(compress_error)?,
            None => self.codec.compress(&self.block.out)?,
        };
        let mut head = Encoder::default();
        head.long(self.records);
        head.long(compressed.len() as i64);
        for piece in [head.out.as_slice(), &compressed, &self.marker] {
            self.out.write_all(piece).map_err(Error::from_io)?;
            self.written += piece.len() as u64;
        }
        self.block.out.clear();
        self.records = 0;
        Ok(())
    }

    /// Writes the last block and gives the output back, with the statistics of the columns in the order of the layout.
    pub(in crate::files) fn finish(mut self) -> Result<(W, Vec<ColumnStats>)> {
        self.flush()?;
        let columns = self.layout.columns.iter().zip(self.bounds);
        let stats = columns.map(|(column, bounds)| match bounds {
            Some(bounds) => bounds.finish(),
            None => LaneBounds::unknown(&column.data_type),
        });
        let stats = stats.collect();
        Ok((self.out, stats))
    }
}

fn compress_error(error: std::io::Error) -> Error {
    Error::bug(format!("compressing an Avro block: {error}"))
}

/// Two FNV-1a hashes with different starts.
fn marker_of(name: &str) -> [u8; 16] {
    let mut marker = [0; 16];
    for (half, start) in marker.chunks_exact_mut(8).zip([0xcbf2_9ce4_8422_2325_u64, 0x8422_2325_cbf2_9ce4]) {
        let hash = name.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        half.copy_from_slice(&hash.to_le_bytes());
    }
    marker
}
