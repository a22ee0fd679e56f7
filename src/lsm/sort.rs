//! Sorting by normalised key. Equal keys stay in arrival order.

/// Below this a comparison sort is faster than the passes of a radix sort.
const RADIX_FROM: usize = 1024;
const DIGIT: u32 = 11;

/// The positions of `keys` in key order; positions of equal keys rise.
pub(super) fn radix_or_pairs(keys: &[u64]) -> Vec<u32> {
    if keys.len() >= RADIX_FROM { radix(keys) } else { by_pairs(keys) }
}

fn by_pairs(keys: &[u64]) -> Vec<u32> {
    let mut pairs: Vec<(u64, u32)> = keys.iter().copied().zip(0..).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, at)| at).collect()
}

/// Least-significant-digit radix sort over the bits in which the keys differ; a digit in which all keys
/// agree costs nothing.
fn radix(keys: &[u64]) -> Vec<u32> {
    let first = keys.first().copied().unwrap_or(0);
    let differ = keys.iter().fold(0, |bits, key| bits | (key ^ first));
    let mut from: Vec<(u64, u32)> = keys.iter().copied().zip(0..).collect();
    let mut to = vec![(0, 0); keys.len()];
    let mask = (1_u64 << DIGIT) - 1;
    let mut shift = differ.trailing_zeros();
    while shift < u64::BITS && differ >> shift != 0 {
        if (differ >> shift) & mask != 0 {
            let mut starts = vec![0_u32; 1 << DIGIT];
            for (key, _) in &from {
                starts[((key >> shift) & mask) as usize] += 1;
            }
            let mut sum = 0;
            for start in &mut starts {
                sum += std::mem::replace(start, sum);
            }
            for pair in &from {
                let slot = &mut starts[((pair.0 >> shift) & mask) as usize];
                to[*slot as usize] = *pair;
                *slot += 1;
            }
            std::mem::swap(&mut from, &mut to);
        }
        shift += DIGIT;
    }
    from.into_iter().map(|(_, at)| at).collect()
}

/// The same for `rows` byte strings: eight bytes of prefix decide most comparisons without touching the rest.
pub(super) fn sort_long_keys<'a>(rows: usize, key: impl Fn(u32) -> &'a [u8]) -> Vec<u32> {
    let prefix = |data: &[u8]| {
        let mut word = [0; 8];
        let taken = data.len().min(8);
        word[..taken].copy_from_slice(&data[..taken]);
        u64::from_be_bytes(word)
    };
    let mut pairs: Vec<(u64, u32)> = (0..rows as u32).map(|at| (prefix(key(at)), at)).collect();
    pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))).then(a.1.cmp(&b.1)));
    pairs.into_iter().map(|(_, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn radix_and_comparison_sort_agree(keys in prop::collection::vec(prop_oneof![0_u64..50, any::<u64>()], 0..3000)) {
            prop_assert_eq!(radix(&keys), by_pairs(&keys));
        }
    }
}
