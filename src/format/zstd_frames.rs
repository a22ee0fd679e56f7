//! Frames of zstd: what they come to by their heads, their inflation and their making. To make a context takes as long
//! as to inflate a small page, and it holds hundreds of KB; so as many wait for their next frame as there are processors,
//! whatever number of columns and files is read and written.

use std::io::{Cursor, Error, Read, Result};
use std::sync::{LazyLock, Mutex, PoisonError};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{compress_bound, get_frame_content_size};

/// The most bytes that a part of a frame comes to.
pub(crate) const ZSTD_PART: u64 = 128 << 10;

/// Contexts that nobody uses now.
struct Pool<C>(Mutex<Vec<C>>);

static INFLATING: Pool<Decompressor<'static>> = Pool(Mutex::new(Vec::new()));
/// Each with what it made last.
static PACKING: Pool<(Compressor<'static>, Vec<u8>)> = Pool(Mutex::new(Vec::new()));
/// A page larger than this is rare.
const LARGE: usize = 4 << 20;
/// How many wait.
static KEPT: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

impl<C> Pool<C> {
    fn with<T>(&self, make: impl FnOnce() -> Result<C>, work: impl FnOnce(&mut C) -> Result<T>) -> Result<T> {
        let waiting = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = waiting().pop();
        let mut context = first.map_or_else(make, Ok)?;
        let done = work(&mut context);
        let mut waiting = waiting();
        if waiting.len() < *KEPT {
            waiting.push(context);
        }
        done
    }
}

/// The most bytes that frames of zstd come to, by their heads alone; `None` where these do not tell.
pub(crate) fn zstd_bound(mut frames: &[u8]) -> Option<u64> {
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
                // The decoder would make megabytes of a run, though none may be longer.
                0 | 1 if u64::from(length) > ZSTD_PART => return None,
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

/// What frames hold, `limit` bytes at the most.
///
/// # Errors
/// The decoder's for damaged frames, and one for such that hold more.
pub(crate) fn inflate_zstd(frames: &[u8], limit: usize) -> Result<Vec<u8>> {
    let most = zstd_bound(frames).and_then(|most| usize::try_from(most).ok());
    // Most bytes are one frame that tells what it holds; streams do not, and the first of several tells too little.
    let told = get_frame_content_size(frames).ok().flatten().and_then(|size| usize::try_from(size).ok());
    let told = told.filter(|told| most.is_some_and(|most| *told < most));
    for size in [told, most].into_iter().flatten().filter(|size| *size <= limit) {
        if let Ok(mut whole) = INFLATING.with(Decompressor::new, |context| context.decompress(frames, size)) {
            whole.shrink_to_fit();
            return Ok(whole);
        }
    }
    let mut whole = Vec::new();
    zstd::stream::read::Decoder::with_buffer(frames)?.take(limit as u64 + 1).read_to_end(&mut whole)?;
    match whole.len() > limit {
        true => Err(Error::other(format!("more than {limit} bytes"))),
        false => Ok(whole),
    }
}

/// Frames whose size is known, behind what `out` holds.
///
/// # Errors
/// The decoder's for damaged frames, and one for such of another size.
pub(crate) fn inflate_zstd_behind(frames: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let inflated = match zstd_bound(frames) {
        Some(most) if most < size as u64 => return Err(Error::other(format!("less than the {size} bytes told"))),
        Some(_) => {
            out.try_reserve_exact(size).map_err(Error::other)?;
            let mut place = Cursor::new(out);
            place.set_position(start as u64);
            INFLATING.with(Decompressor::new, |context| context.decompress_to_buffer(frames, &mut place))?
        }
        // Heads that prove nothing get memory for what comes alone.
        None => zstd::stream::read::Decoder::with_buffer(frames)?.take(size as u64 + 1).read_to_end(out)?,
    };
    match inflated == size {
        true => Ok(()),
        false => Err(Error::other(format!("{inflated} bytes, not the {size} told"))),
    }
}

/// Makes a frame of some bytes and gives it away. It tells how much it holds.
///
/// # Errors
/// The encoder's, for a level that it does not know.
pub(crate) fn pack_zstd<T>(bytes: &[u8], level: i32, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
    let make = || Ok((Compressor::new(level)?, Vec::new()));
    PACKING.with(make, |(context, frame)| {
        context.set_compression_level(level)?;
        frame.clear();
        frame.reserve(compress_bound(bytes.len()));
        context.compress_to_buffer(bytes, frame)?;
        let taken = take(frame);
        if bytes.len() > LARGE {
            // What a rare page needed does not stay.
            (*context, *frame) = (Compressor::new(level)?, Vec::new());
        }
        Ok(taken)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame without a size, of runs of one byte each.
    pub(crate) fn runs(count: usize) -> Vec<u8> {
        let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 0x38];
        for at in 1..=count {
            let head: u32 = (ZSTD_PART as u32) << 3 | 1 << 1 | u32::from(at == count);
            frame.extend_from_slice(&head.to_le_bytes()[..3]);
            frame.push(7);
        }
        frame
    }

    #[test]
    fn frames_are_bounded_by_their_heads_and_inflated_whole() {
        let text = "some words and then others, ".repeat(30_000).into_bytes();
        let twice = [text.clone(), text.clone()].concat();
        for level in [1, 3, 19] {
            let whole = zstd::bulk::compress(&text, level).unwrap();
            let streamed = zstd::stream::encode_all(&text[..], level).unwrap();
            assert_eq!(get_frame_content_size(&streamed).unwrap(), None, "a stream does not know its end as it begins");
            let both = [whole.clone(), streamed.clone()].concat();
            for (frame, holds) in [(&whole, &text), (&streamed, &text), (&both, &twice)] {
                let (most, size) = (zstd_bound(frame).unwrap(), holds.len() as u64);
                assert!((size..size + 64 * ZSTD_PART).contains(&most), "{most} of {size}, level {level}");
                assert_eq!(&inflate_zstd(frame, holds.len()).unwrap(), holds);
                let error = inflate_zstd(frame, holds.len() - 1).unwrap_err();
                assert!(error.to_string().contains("more than"), "{error}");
                assert!(inflate_zstd(&frame[..frame.len() - 1], 1 << 30).is_err());
            }
        }
        for level in [1, 19, 1] {
            let packed = pack_zstd(&text, level, <[u8]>::to_vec).unwrap();
            assert_eq!(packed, zstd::bulk::compress(&text, level).unwrap(), "as a new context has it");
            let mut behind = b"behind ".to_vec();
            inflate_zstd_behind(&packed, text.len(), &mut behind).unwrap();
            assert_eq!(behind, [b"behind ", &text[..]].concat());
            for size in [0, text.len() - 1, text.len() + 1, 1 << 40] {
                assert!(inflate_zstd_behind(&packed, size, &mut Vec::new()).is_err(), "{size}");
            }
        }
        assert_eq!(zstd_bound(&runs(3)), Some(3 * ZSTD_PART));
        assert_eq!((zstd_bound(b"none"), zstd_bound(&runs(3)[..9])), (None, None));
        let mut long = runs(1);
        long[6..9].copy_from_slice(&((ZSTD_PART as u32 + 1) << 3 | 3).to_le_bytes()[..3]);
        assert_eq!(zstd_bound(&long), None);
        assert!(inflate_zstd(&long, 1 << 30).is_err() && inflate_zstd(&runs(3), 1 << 30).is_ok());
        for frames in [&b"none"[..], &long] {
            let mut out = Vec::new();
            assert!(inflate_zstd_behind(frames, 1 << 30, &mut out).is_err());
            assert!(out.capacity() < 1 << 20, "{}", out.capacity());
        }
        let large = vec![7; LARGE + 1];
        let packed = pack_zstd(&large, 1, <[u8]>::to_vec).unwrap();
        assert_eq!(inflate_zstd(&packed, large.len()).unwrap(), large);
        assert_eq!(inflate_zstd(b"", 0).unwrap(), b"");
        // A frame that readers skip tells nothing, and is no damage.
        let skipped =
            [&[0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 1, 1][..], &zstd::bulk::compress(b"x", 1).unwrap()].concat();
        assert_eq!((zstd_bound(&skipped), inflate_zstd(&skipped, 1).unwrap()), (None, b"x".to_vec()));
        let mut out = Vec::new();
        inflate_zstd_behind(&skipped, 1, &mut out).unwrap();
        assert_eq!(out, b"x");
    }
}
