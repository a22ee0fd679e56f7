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

/// The most bytes of a block that is inflated: the head of one that is kept as it is can tell no more.
pub(super) const LARGEST: u64 = 1 << 23;
/// The most bytes of the footer of a file or a stripe.
pub(super) const MAX_FOOTER: u64 = 64 << 20;
/// The most that blocks come to whose size nothing tells before they are inflated: `1032` times what is stored of zlib, and
/// `255` times of LZO.
const UNTOLD: u64 = 64 << 20;
/// The most bytes that a part of a zstd frame comes to.
const ZSTD_PART: u64 = 128 << 10;

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

/// The most bytes that frames of zstd come to, by their heads alone; `None` where these do not tell.
fn zstd_bound(mut frames: &[u8]) -> Option<u64> {
    let mut most = 0;
    while !frames.is_empty() {
        let (magic, rest) = frames.split_at_checked(4)?;
        if u32::from_le_bytes(magic.try_into().ok()?) != 0xFD2F_B528 {
            return None;
        }
        let told = *rest.first()?;
        let (size_of_size, single, of_dictionary) = (told >> 6, told >> 5 & 1, told & 3);
        let size = [usize::from(single), 2, 4, 8][usize::from(size_of_size)];
        let head = 1 + usize::from(1 - single) + [0, 1, 2, 4][usize::from(of_dictionary)] + size;
        let mut rest = rest.get(head..)?;
        loop {
            let (head, after) = rest.split_at_checked(3)?;
            let head = u32::from_le_bytes([head[0], head[1], head[2], 0]);
            let length = head >> 3;
            let (stored, plain) = match head >> 1 & 3 {
                0 => (length, u64::from(length)),
                1 => (1, u64::from(length)),
                2 => (length, ZSTD_PART),
                _ => return None,
            };
            most += plain;
            rest = after.get(stored as usize..)?;
            if head & 1 == 1 {
                break;
            }
        }
        frames = if told >> 2 & 1 == 1 { rest.get(4..)? } else { rest };
    }
    Some(most)
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
