//! Values that have lengths of their own: the bytes of all one after another, and a length for each.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::OffsetBuffer;

use super::rle::Integers;
use crate::error::{Error, Result};

/// CHARs of this length or less are filled up with blanks, as Java does; readers need none.
pub(super) const FILLED: u32 = 255;

/// The bytes that offsets lie in.
pub(super) fn within<'a>(offsets: &OffsetBuffer<i32>, bytes: &'a [u8]) -> &'a [u8] {
    let (first, last) = ends(offsets);
    &bytes[first..last]
}

fn ends(offsets: &OffsetBuffer<i32>) -> (usize, usize) {
    (offsets.first().map_or(0, |first| *first as usize), offsets.last().map_or(0, |last| *last as usize))
}

/// Writes lengths; answers where the first item is and how many there are.
pub(super) fn counted(offsets: &OffsetBuffer<i32>, lengths: &mut Integers, out: &mut Vec<u8>) -> (usize, usize) {
    lengths.write(offsets.lengths().map(|length| length as i64), out);
    let (first, last) = ends(offsets);
    (first, last - first)
}

/// Writes texts of `most` characters, filled up with blanks to `filled`.
pub(super) fn texts(
    name: &str,
    lane: &ArrayRef,
    most: u32,
    filled: u32,
    lengths: &mut Integers,
    (data, second): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<()> {
    let texts = lane.as_string::<i32>();
    let long = |text: &&str| text.len() > most as usize && text.chars().count() > most as usize;
    // Readers, Java's too, cut what is longer than the type says.
    if let Some(text) = texts.iter().flatten().find(long) {
        let found = text.chars().count();
        return Err(Error::invalid(format!(
            "column {name}: a text of {found} characters, and its type has {most}; ORC files do not hold the rest"
        )));
    }
    if filled == 0 {
        data.extend_from_slice(within(texts.offsets(), texts.value_data()));
        counted(texts.offsets(), lengths, second);
        return Ok(());
    }
    let mut all = Vec::with_capacity(texts.len());
    for text in texts.iter().flatten() {
        let start = data.len();
        data.extend_from_slice(text.as_bytes());
        let missing = (filled as usize).saturating_sub(text.chars().count());
        data.resize(data.len() + missing, b' ');
        all.push((data.len() - start) as i64);
    }
    lengths.write(all, second);
    Ok(())
}
