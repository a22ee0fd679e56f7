//! Whether the types of a file are a tree, asked before the decoder walks them: it follows a type that is its own part for
//! ever, and one that is part of many as often as there are ways to it.

use std::ops::Range;

use bytes::Bytes;
use orc_rust::compression::Compression;
use orc_rust::proto::{CompressionKind, Footer, PostScript, Type, r#type};
use orc_rust::reader::ChunkReader;
use orc_rust::reader::metadata::{FileMetadata, read_metadata};
use prost::Message;

use super::blocks::{check_size, inflated, kept};
use super::stripes::{Given, Pieces};
use super::{corrupt, undecoded};
use crate::error::Result;
use crate::types::MAX_DEPTH;

/// The footer of a file of a known size, whose types must be a tree, each behind what it is a part of; or the bytes that it
/// takes to tell. Statistics of stripes, which nobody asks for, are not looked at.
///
/// # Errors
/// [`Error::Corrupt`] when they are none, or this is no end of an ORC file; [`Error::Exhausted`] for a footer that is too
/// large.
pub(super) fn metadata(size: u64, pieces: &Pieces) -> Result<std::result::Result<FileMetadata, Range<u64>>> {
    let given = Given::new(size, pieces);
    let bytes = |start: u64, length: u64| given.get_bytes(start, length).map_err(undecoded);
    match read(size, bytes) {
        Ok(metadata) => Ok(Ok(metadata)),
        Err(error) => given.missing.take().map(Err).ok_or(error),
    }
}

fn read(size: u64, bytes: impl Fn(u64, u64) -> Result<Bytes>) -> Result<FileMetadata> {
    let cut = || corrupt("the file ends within its footer");
    let last = size.checked_sub(1).ok_or_else(cut)?;
    let length = u64::from(*bytes(last, 1)?.first().ok_or_else(cut)?);
    let footer_end = last.checked_sub(length).ok_or_else(cut)?;
    let told = PostScript::decode(bytes(footer_end, length)?).map_err(undecoded)?;
    check_size(&told)?;
    let length = told.footer_length();
    let footer = bytes(footer_end.checked_sub(length).ok_or_else(cut)?, length)?;
    let compression = compression(&told)?;
    let plain = inflated(&footer, compression)?;
    is_tree(&Footer::decode(plain.as_slice()).map_err(undecoded)?.types)?;
    decoded(&told, &kept(&plain, compression))
}

/// What the decoder tells of a file that has this footer and nothing else.
fn decoded(told: &PostScript, footer: &[u8]) -> Result<FileMetadata> {
    let mut told = told.clone();
    (told.footer_length, told.metadata_length) = (Some(footer.len() as u64), Some(0));
    let mut file = footer.to_vec();
    let postscript = told.encode_to_vec();
    let length = u8::try_from(postscript.len()).map_err(|_| corrupt("a postscript that is too long"))?;
    file.extend_from_slice(&postscript);
    file.push(length);
    read_metadata(&mut Bytes::from(file)).map_err(undecoded)
}

/// The compression that a file tells of. The decoder gives it out with a footer only: that of a file of nothing is asked.
pub(super) fn compression(told: &PostScript) -> Result<Option<Compression>> {
    let root = Type { kind: Some(r#type::Kind::Struct.into()), ..Type::default() };
    let mut footer = Footer { types: vec![root], ..Footer::default() }.encode_to_vec();
    if told.compression() != CompressionKind::None {
        let stored = (footer.len() as u32) << 1 | 1; // a block that is kept as it is
        footer.splice(0..0, stored.to_le_bytes()[..3].iter().copied());
    }
    Ok(decoded(told, &footer)?.compression())
}

fn is_tree(types: &[Type]) -> Result<()> {
    let mut depths: Vec<Option<usize>> = vec![None; types.len()];
    if let Some(root) = depths.first_mut() {
        *root = Some(0);
    }
    for (at, found) in types.iter().enumerate() {
        // What no type leads to is not walked.
        let Some(depth) = depths[at] else { continue };
        if depth > MAX_DEPTH {
            return Err(corrupt(format!("types nested deeper than {MAX_DEPTH}")));
        }
        for part in &found.subtypes {
            let place = depths.get_mut(*part as usize).filter(|_| *part as usize > at);
            match place {
                Some(place @ None) => *place = Some(depth + 1),
                _ => return Err(corrupt(format!("type {part} cannot be a part of type {at}"))),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn tree(parts: &[&[u32]]) -> Vec<Type> {
        let of = |parts: &&[u32]| Type { subtypes: parts.to_vec(), ..Type::default() };
        parts.iter().map(of).collect()
    }

    #[test]
    fn only_a_tree_is_walked() {
        is_tree(&tree(&[&[1, 3], &[2], &[], &[4, 5], &[], &[]])).unwrap();
        is_tree(&[]).unwrap();
        for cyclic in [&[&[0_u32][..]][..], &[&[1], &[1]], &[&[1], &[2], &[1]]] {
            assert!(matches!(is_tree(&tree(cyclic)), Err(Error::Corrupt { .. })), "{cyclic:?}");
        }
        assert!(is_tree(&tree(&[&[1, 1], &[]])).is_err(), "two ways lead to a type");
        assert!(is_tree(&tree(&[&[9]])).is_err(), "there is no such type");
        let chain: Vec<Vec<u32>> = (1..200).map(|next| vec![next]).chain([vec![]]).collect();
        let chain: Vec<&[u32]> = chain.iter().map(Vec::as_slice).collect();
        assert!(is_tree(&tree(&chain)).is_err(), "deep");
    }

    #[test]
    fn a_footer_that_swells_is_not_held_whole() {
        // Blocks of zeros: a few hundred bytes each, a megabyte when they are inflated.
        let zeros = zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap();
        let mut block = ((zeros.len() as u32) << 1).to_le_bytes()[..3].to_vec();
        block.extend_from_slice(&zeros);
        let footer = block.repeat(65);
        let told = PostScript {
            footer_length: Some(footer.len() as u64),
            compression: Some(CompressionKind::Zstd.into()),
            compression_block_size: Some(1 << 20),
            magic: Some("ORC".to_string()),
            ..PostScript::default()
        };
        let mut file = footer;
        file.extend(told.encode_to_vec());
        file.push(u8::try_from(told.encoded_len()).unwrap());
        let bytes = Bytes::from(file);
        let piece = |start: u64, length: u64| Ok(bytes.slice(start as usize..(start + length) as usize));
        let error = read(bytes.len() as u64, piece).unwrap_err();
        assert!(matches!(error, Error::Exhausted(_)), "{error}");
    }
}
