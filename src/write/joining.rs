//! Which flushes of one commit are merged before it. Pure.
//!
//! ```text
//! room 3   [8][4][2] + [1]  ─ as many as there is room for and one more: the newest are merged ─  [8][4][3]
//!          [8][4][3] + [1]  ─ and older ones that are no larger than what is newer             ─  [16]
//! ```
//!
//! Spec: `format-spec/compaction.md`, in the writer.

use super::flush::Flushed;

/// The first of the newest flushes that are merged so that no more than `room` are left; behind the end for none. Older
/// ones go along while they are no larger than all the newer ones, so that rows are not merged once for each flush.
pub(super) fn first_joined(done: &[Flushed], room: usize) -> usize {
    let size = |flushed: &Flushed| flushed.files.iter().map(|file| file.file_size.max(0) as u64).sum::<u64>();
    first_of(&done.iter().map(size).collect::<Vec<_>>(), room)
}

fn first_of(sizes: &[u64], room: usize) -> usize {
    if sizes.len() <= room {
        return sizes.len();
    }
    let mut first = room.max(1) - 1;
    let mut newer: u64 = sizes[first..].iter().sum();
    while let Some(older) = first.checked_sub(1).map(|at| sizes[at]).filter(|older| *older <= newer) {
        newer += older;
        first -= 1;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes after so many flushes of size 1, and all that was written to merge them.
    fn flushed(flushes: usize, room: usize) -> (Vec<u64>, u64) {
        let (mut sizes, mut written) = (Vec::new(), 0);
        for _ in 0..flushes {
            sizes.push(1);
            let first = first_of(&sizes, room);
            if first < sizes.len() {
                let joined: u64 = sizes.drain(first..).sum();
                written += joined;
                sizes.push(joined);
            }
            assert!(sizes.len() <= room);
        }
        (sizes, written)
    }

    #[test]
    fn the_newest_are_merged_and_like_ones_go_along() {
        assert_eq!(first_of(&[], 0), 0);
        assert_eq!(first_of(&[1], 1), 1);
        assert_eq!(first_of(&[8, 4, 2], 3), 3);
        assert_eq!(first_of(&[8, 4, 2, 1], 3), 2);
        assert_eq!(first_of(&[8, 4, 3, 1], 3), 0);
        assert_eq!(first_of(&[100, 4, 3, 1], 3), 1);
        assert_eq!(first_of(&[5, 5], 1), 0);
    }

    #[test]
    fn rows_are_merged_fewer_times_the_more_flushes_there_is_room_for() {
        for (room, most) in [(1, 300), (2, 70), (3, 25), (5, 8), (8, 4)] {
            let (sizes, written) = flushed(500, room);
            assert_eq!(sizes.iter().sum::<u64>(), 500);
            assert!(written / 500 <= most, "room {room}: each row was written {} times", written / 500);
        }
    }
}
