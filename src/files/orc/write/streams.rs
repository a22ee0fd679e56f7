//! Streams of a stripe: blocks of 256 KB, each compressed on its own behind a head of three bytes.
//!
//! ```text
//! | 2 x length (+ 1 where it is kept as it is), 3 bytes, the lowest first | block | head | block | ..
//! ```

use std::io::Write;

use flate2::Compression as Effort;
use flate2::write::DeflateEncoder;
use orc_rust::proto::CompressionKind;

use crate::error::{Error, Result};

/// Bytes of a block before it is compressed.
pub(super) const BLOCK: usize = 256 << 10;

/// A codec that ORC files are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrcCodec {
    /// None: streams have no blocks.
    None,
    /// zlib, as bare deflate.
    Zlib,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// zstd of this effort.
    Zstd(i32),
}

impl OrcCodec {
    pub(super) fn kind(self) -> CompressionKind {
        match self {
            Self::None => CompressionKind::None,
            Self::Zlib => CompressionKind::Zlib,
            Self::Snappy => CompressionKind::Snappy,
            Self::Lz4 => CompressionKind::Lz4,
            Self::Zstd(_) => CompressionKind::Zstd,
        }
    }
}

/// Compresses blocks.
pub(super) struct Packer {
    codec: OrcCodec,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Packer {
    pub(super) fn new(codec: OrcCodec) -> Result<Self> {
        let zstd = match codec {
            OrcCodec::Zstd(level) => Some(zstd::bulk::Compressor::new(level).map_err(compress_error)?),
            _ => None,
        };
        Ok(Self { codec, zstd })
    }

    /// Compresses the whole of some bytes.
    pub(super) fn whole(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut stream = Stream { plain: bytes.to_vec(), packed: Vec::new() };
        stream.take(self)
    }

    fn block(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let packed = match (&mut self.zstd, self.codec) {
            (Some(zstd), _) => zstd.compress(block).map_err(compress_error)?,
            (None, OrcCodec::Zlib) => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Effort::default());
                encoder.write_all(block).and_then(|()| encoder.finish()).map_err(compress_error)?
            }
            (None, OrcCodec::Snappy) => snap::raw::Encoder::new().compress_vec(block).map_err(compress_error)?,
            (None, OrcCodec::Lz4) => lz4_flex::block::compress(block),
            (None, OrcCodec::None | OrcCodec::Zstd(_)) => {
                out.extend_from_slice(block);
                return Ok(());
            }
        };
        let (kept, bytes) = if packed.len() < block.len() { (0, packed.as_slice()) } else { (1, block) };
        out.extend_from_slice(&((bytes.len() as u32) << 1 | kept).to_le_bytes()[..3]);
        out.extend_from_slice(bytes);
        Ok(())
    }
}

fn compress_error(error: impl std::fmt::Display) -> Error {
    Error::bug(format!("compressing an ORC block: {error}"))
}

/// A stream of the open stripe. Full blocks are compressed as they come to be.
#[derive(Default)]
pub(super) struct Stream {
    /// What is no full block yet.
    pub(super) plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Stream {
    pub(super) fn bytes(&self) -> usize {
        self.plain.len() + self.packed.len()
    }

    /// Compresses the full blocks.
    pub(super) fn pack(&mut self, packer: &mut Packer) -> Result<()> {
        let full = self.plain.len() / BLOCK * BLOCK;
        for block in self.plain[..full].chunks(BLOCK) {
            packer.block(block, &mut self.packed)?;
        }
        self.plain.drain(..full);
        // What a slab of long values took is not kept.
        self.plain.shrink_to(2 * BLOCK);
        Ok(())
    }

    /// Compresses the rest and gives all bytes out. The stream is empty then.
    pub(super) fn take(&mut self, packer: &mut Packer) -> Result<Vec<u8>> {
        for block in self.plain.chunks(BLOCK) {
            packer.block(block, &mut self.packed)?;
        }
        self.plain.clear();
        Ok(std::mem::take(&mut self.packed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_keeps_no_room_for_what_was_packed() {
        let mut packer = Packer::new(OrcCodec::Lz4).unwrap();
        let mut stream = Stream { plain: vec![7; 40 * BLOCK + 5], packed: Vec::new() };
        stream.pack(&mut packer).unwrap();
        assert_eq!(stream.plain, [7; 5]);
        assert!(stream.plain.capacity() <= 2 * BLOCK, "{}", stream.plain.capacity());
    }
}
