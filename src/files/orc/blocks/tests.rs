//! Blocks of every codec that are too large, and such that are not.

use std::io::Write;

use orc_rust::proto::CompressionKind;

use super::*;
use crate::files::orc::tree::compression;
use crate::format::runs_of_zstd as runs;

fn codec(kind: CompressionKind) -> Option<Compression> {
    let told = PostScript { compression: Some(kind.into()), ..PostScript::default() };
    compression(&told).unwrap()
}

fn stream(block: &[u8]) -> Bytes {
    let mut stream = ((block.len() as u32) << 1).to_le_bytes()[..3].to_vec();
    stream.extend_from_slice(block);
    Bytes::from(stream)
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_block_that_swells_is_refused_before_the_decoder_has_it() {
    let full = vec![7; LARGEST as usize];
    let swelling = vec![7; LARGEST as usize + 1];
    // Deflate's blocks that are short come to no more than `UNTOLD` anyway.
    let noise: Vec<u8> = (0..90_000_u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let long = |bytes: &[u8]| [&noise[..], bytes].concat();
    for (kind, good, bad) in [
        (
            CompressionKind::Snappy,
            snap::raw::Encoder::new().compress_vec(&full).unwrap(),
            b"\xff\xff\xff\xff\x0f".to_vec(),
        ),
        (CompressionKind::Zstd, runs(64), runs(65)),
        (CompressionKind::Zstd, zstd::bulk::compress(&full, 1).unwrap(), zstd::bulk::compress(&swelling, 1).unwrap()),
        (CompressionKind::Zlib, deflated(&noise), deflated(&long(&swelling))),
    ] {
        check(&stream(&good), codec(kind)).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let error = check(&stream(&bad), codec(kind)).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{kind:?}: {error}");
        assert!(inflated(&stream(&bad), codec(kind)).is_err());
    }
    let lzo = stream(&vec![0; 300_000]);
    assert!(matches!(check(&lzo, codec(CompressionKind::Lzo)), Err(Error::Exhausted(_))));
    for cut in [&[1, 0][..], &[9, 0, 0, 7]] {
        assert!(matches!(check(cut, codec(CompressionKind::Zstd)), Err(Error::Corrupt { .. })), "{cut:?}");
    }
}

#[test]
fn a_footer_is_handed_on_in_blocks_that_are_kept() {
    let plain = vec![3; LARGEST as usize + 5];
    for kind in [CompressionKind::None, CompressionKind::Zstd] {
        assert_eq!(inflated(&kept(&plain, codec(kind)), codec(kind)).unwrap(), plain);
    }
    let packed = stream(&lz4_flex::block::compress(b"a footer"));
    assert_eq!(inflated(&packed, codec(CompressionKind::Lz4)).unwrap(), b"a footer");
}

#[test]
fn blocks_are_not_larger_than_their_heads_can_tell() {
    let told = |size| PostScript { compression_block_size: Some(size), ..PostScript::default() };
    check_size(&told(LARGEST)).unwrap();
    check_size(&PostScript::default()).unwrap();
    for size in [LARGEST + 1, 1 << 47, u64::MAX] {
        assert!(matches!(check_size(&told(size)), Err(Error::Corrupt { .. })), "{size}");
    }
}
