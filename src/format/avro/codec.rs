//! Block codecs of Avro containers.

use std::io::Read;

use super::corrupt;
use crate::error::{Error, Result};
use crate::format::inflate_zstd;

/// The most bytes one block may decompress to: Paimon's blocks are cut at 64 KB plus one entry.
pub(super) const MAX_BLOCK: usize = 64 << 20;

/// How the blocks of a container are compressed (of metadata: option `manifest.compression`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// Not at all.
    Null,
    /// Raw deflate.
    Deflate,
    /// Snappy with a CRC32 behind it.
    Snappy,
    /// Zstandard, level 1: Paimon's default.
    #[default]
    Zstandard,
}

impl std::str::FromStr for Codec {
    type Err = Error;

    /// The codec that Java takes for a text of option `manifest.compression`.
    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "zstd" | "zstandard" => Self::Zstandard,
            "null" => Self::Null,
            "snappy" => Self::Snappy,
            "deflate" => Self::Deflate,
            _ => return Err(Error::unsupported(format!("option manifest.compression: {text:?}"))),
        })
    }
}

impl Codec {
    /// The name in a container's header.
    pub(crate) fn avro_name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Zstandard => "zstandard",
        }
    }

    pub(super) fn of_avro_name(name: &[u8]) -> Result<Self> {
        let codecs = [Self::Null, Self::Deflate, Self::Snappy, Self::Zstandard];
        let name = String::from_utf8_lossy(name);
        let found = codecs.into_iter().find(|codec| codec.avro_name() == name);
        found.ok_or_else(|| Error::unsupported(format!("Avro codec {name:?}")))
    }

    pub(crate) fn compress(self, block: &[u8]) -> Result<Vec<u8>> {
        let failed = |error: &dyn std::fmt::Display| Error::bug(format!("compressing an Avro block: {error}"));
        match self {
            Self::Null => Ok(block.to_vec()),
            Self::Deflate => {
                let mut encoder = flate2::read::DeflateEncoder::new(block, flate2::Compression::default());
                let mut out = Vec::new();
                encoder.read_to_end(&mut out).map_err(|error| failed(&error))?;
                Ok(out)
            }
            Self::Snappy => {
                let mut out = snap::raw::Encoder::new().compress_vec(block).map_err(|error| failed(&error))?;
                out.extend_from_slice(&crc32(block).to_be_bytes());
                Ok(out)
            }
            Self::Zstandard => zstd::bulk::compress(block, 1).map_err(|error| failed(&error)),
        }
    }

    pub(super) fn decompress(self, block: &[u8]) -> Result<Vec<u8>> {
        self.decompress_within(block, MAX_BLOCK)
    }

    pub(crate) fn decompress_within(self, block: &[u8], limit: usize) -> Result<Vec<u8>> {
        match self {
            Self::Null => bounded(block, "null", limit),
            Self::Deflate => bounded(flate2::read::DeflateDecoder::new(block), "deflate", limit),
            Self::Zstandard => inflate_zstd(block, limit).map_err(|error| corrupt(format!("zstandard block: {error}"))),
            Self::Snappy => {
                let Some((body, crc)) = block.split_last_chunk::<4>() else {
                    return Err(corrupt("snappy block: shorter than its checksum"));
                };
                let wrong = |error| corrupt(format!("snappy block: {error}"));
                let length = snap::raw::decompress_len(body).map_err(wrong)?;
                // Snappy copies at most 64 bytes for three bytes of input, so a larger promise is a lie.
                if length > limit || length / 32 > body.len() {
                    return Err(corrupt(format!("snappy block: {length} bytes from {}", body.len())));
                }
                let out = snap::raw::Decoder::new().decompress_vec(body).map_err(wrong)?;
                match crc32(&out) == u32::from_be_bytes(*crc) {
                    true => Ok(out),
                    false => Err(corrupt("snappy block: the checksum is another")),
                }
            }
        }
    }
}

fn bounded(reader: impl Read, codec: &str, limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let read = reader.take(limit as u64 + 1).read_to_end(&mut out);
    read.map_err(|error| corrupt(format!("{codec} block: {error}")))?;
    match out.len() > limit {
        true => Err(corrupt(format!("{codec} block: more than {limit} bytes"))),
        false => Ok(out),
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
