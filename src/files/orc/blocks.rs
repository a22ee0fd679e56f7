//! The blocks of compressed streams, and what they may hold: the decoder inflates a block whole, whatever comes of it.
//!
//! ```text
//! | 2 x length (+ 1 where it is kept as it is), 3 bytes, the lowest first | block | head | block | ..
//! ```
//!
//! Spec: `format-spec/data-files.md`, ORC.

use std::io::Read;

use bytes::Bytes;
use flate2::read::DeflateDecoder;
use orc_rust::compression::{Compression, CompressionType, Decompressor};
use orc_rust::proto::PostScript;

use super::{corrupt, undecoded};
use crate::error::{Error, Result};
use crate::format::zstd_bound;

/// The most bytes of a block that is inflated: the head of one that is kept as it is can tell no more.
pub(super) const LARGEST: u64 = 1 << 23;
/// The most bytes of the footer of a file or a stripe.
pub(super) const MAX_FOOTER: u64 = 64 << 20;
/// The most that blocks come to whose size nothing tells before they are inflated: `1032` times what is stored of zlib, and
/// `255` times of LZO.
const UNTOLD: u64 = 64 << 20;

/// Refuses a file whose blocks are said to be larger than blocks can be. LZ4's decoder asks for so much memory at once.
///
/// # Errors
/// [`Error::Corrupt`] for such a size.
pub(super) fn check_size(told: &PostScript) -> Result<()> {
    match told.compression_block_size() {
        0..=LARGEST => Ok(()),
        size => Err(corrupt(format!("blocks of {size} bytes, of which {LARGEST} are possible"))),
    }
}

/// Visits the blocks of a stream; `visit` is told whether a block is kept as it is.
fn each(mut stream: &[u8], mut visit: impl FnMut(bool, &[u8]) -> Result<()>) -> Result<()> {
    while !stream.is_empty() {
        let (head, rest) = stream.split_at_checked(3).ok_or_else(|| corrupt("a stream ends within a block's head"))?;
        let head = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let block = rest.split_at_checked((head >> 1) as usize);
        let (block, rest) = block.ok_or_else(|| corrupt("a stream ends within a block"))?;
        visit(head & 1 == 1, block)?;
        stream = rest;
    }
    Ok(())
}

/// Refuses a stream with a block that the decoder would inflate to more than [`LARGEST`], or `UNTOLD`. Where what is stored
/// tells enough nothing is inflated for that.
///
/// # Errors
/// [`Error::Corrupt`] for such a block, and for a stream that is cut off; [`Error::Exhausted`] for one of LZO that is too long.
pub(super) fn check(stream: &[u8], compression: Option<Compression>) -> Result<()> {
    let Some(compression) = compression else { return Ok(()) };
    let codec = compression.compression_type();
    each(stream, |kept, block| if kept { Ok(()) } else { check_block(block, codec) })
}

fn check_block(block: &[u8], codec: CompressionType) -> Result<()> {
    let stored = block.len() as u64;
    let size = match codec {
        CompressionType::Lz4 => return Ok(()), // its decoder has the room of a block and no more
        CompressionType::Snappy => snap::raw::decompress_len(block).map_err(undecoded)? as u64,
        CompressionType::Lzo if stored * 255 > UNTOLD => {
            return Err(Error::exhausted(format!("an LZO block of {stored} bytes in an ORC file")));
        }
        CompressionType::Zlib if stored * 1032 > UNTOLD => counted(DeflateDecoder::new(block))?,
        CompressionType::Lzo | CompressionType::Zlib => return Ok(()),
        CompressionType::Zstd if zstd_bound(block).is_some_and(|most| most <= LARGEST) => return Ok(()),
        CompressionType::Zstd => counted(zstd::Decoder::new(block).map_err(undecoded)?)?,
    };
    if size <= LARGEST { Ok(()) } else { Err(swollen()) }
}

fn swollen() -> Error {
    corrupt(format!("a block of more than {LARGEST} bytes uncompressed"))
}

/// How many bytes there are, as far as it matters.
fn counted(inflating: impl Read) -> Result<u64> {
    std::io::copy(&mut inflating.take(LARGEST + 1), &mut std::io::sink()).map_err(undecoded)
}

/// The whole of a footer, of [`MAX_FOOTER`] bytes at the most.
///
/// # Errors
/// [`Error::Exhausted`] when it is larger; those of [`check`].
pub(super) fn inflated(stream: &Bytes, compression: Option<Compression>) -> Result<Vec<u8>> {
    check(stream, compression)?;
    let mut plain = Vec::new();
    let blocks = Decompressor::new(stream.clone(), compression, Vec::new());
    blocks.take(MAX_FOOTER + 1).read_to_end(&mut plain).map_err(undecoded)?;
    match plain.len() as u64 > MAX_FOOTER {
        true => {
            let what = format!("a footer in an ORC file has more than {MAX_FOOTER} bytes uncompressed");
            Err(Error::exhausted(what))
        }
        false => Ok(plain),
    }
}

/// A stream of blocks that are kept as they are.
pub(super) fn kept(plain: &[u8], compression: Option<Compression>) -> Bytes {
    if compression.is_none() {
        return Bytes::copy_from_slice(plain);
    }
    let mut stream = Vec::with_capacity(plain.len() + 3);
    for block in plain.chunks(LARGEST as usize - 1) {
        stream.extend_from_slice(&((block.len() as u32) << 1 | 1).to_le_bytes()[..3]);
        stream.extend_from_slice(block);
    }
    Bytes::from(stream)
}

#[cfg(test)]
mod tests;
