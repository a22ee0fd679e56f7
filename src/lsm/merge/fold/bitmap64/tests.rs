use std::collections::BTreeSet;

use proptest::prelude::*;

use super::tree::Key;
use super::*;

/// A bitmap whose slots are in the order in which their first numbers come.
fn bitmap(numbers: impl IntoIterator<Item = u64>) -> Bitmap64 {
    let mut by_key: Vec<(Key, BTreeSet<u16>)> = Vec::new();
    for number in numbers {
        let key: Key = number.to_be_bytes()[..6].try_into().unwrap();
        match by_key.iter_mut().find(|(other, _)| *other == key) {
            Some((_, low)) => drop(low.insert(number as u16)),
            None => by_key.push((key, BTreeSet::from([number as u16]))),
        }
    }
    let mut bitmap = Bitmap64::default();
    for (key, low) in by_key {
        let slot = bitmap.push(Container::Array(low.into_iter().collect()).with(Container::none()));
        bitmap.tree.insert(key, slot);
    }
    bitmap
}

fn numbers(bitmap: &Bitmap64) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for (key, slot) in bitmap.tree.leaves() {
        let high = key.iter().fold(0_u64, |high, byte| high << 8 | u64::from(*byte)) << 16;
        let low: Vec<u16> = match bitmap.slots[slot as usize].as_ref().unwrap() {
            Container::Array(numbers) => numbers.clone(),
            Container::Runs(runs) => runs.iter().flat_map(|(first, more)| *first..=first + more).collect(),
            Container::Bits(words) => {
                (0..=u16::MAX).filter(|at| words[usize::from(at / 64)] >> (at % 64) & 1 == 1).collect()
            }
        };
        numbers.extend(low.into_iter().map(|low| high | u64::from(low)));
    }
    numbers
}

fn written(bitmap: &Bitmap64) -> Vec<u8> {
    bitmap.clone().write().unwrap()
}

/// Numbers whose keys share some bytes, so that branches of every size come about.
fn number() -> impl Strategy<Value = u64> {
    let byte = prop_oneof![Just(0_u64), 0..6_u64, 0..256_u64];
    (byte.clone(), byte.clone(), 0..200_u64, prop_oneof![0..20_u64, 65_500..65_536_u64])
        .prop_map(|(first, second, third, low)| first << 56 | second << 40 | third << 16 | low)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_union_has_the_numbers_of_both_and_is_read_as_it_is_written(
        one in prop::collection::btree_set(number(), 0..400),
        other in prop::collection::btree_set(number(), 0..400),
    ) {
        let united = bitmap(one.iter().copied()).with(bitmap(other.iter().copied())).unwrap();
        prop_assert_eq!(numbers(&united), one.union(&other).copied().collect::<BTreeSet<_>>());
        let bytes = written(&united);
        let read = Bitmap64::read(&bytes).unwrap();
        prop_assert_eq!(numbers(&read), numbers(&united));
        prop_assert_eq!(written(&read), bytes);
    }

    #[test]
    fn bytes_that_were_tampered_with_are_an_error_or_a_bitmap(
        numbers in prop::collection::vec(number(), 1..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = written(&bitmap(numbers));
        for (at, byte) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(read) = Bitmap64::read(bytes) {
                let united = read.clone().with(bitmap([7])).and_then(|united| united.with(read)).unwrap();
                prop_assert!(Bitmap64::read(&written(&united)).is_ok());
            }
        }
    }
}

#[test]
fn containers_take_the_form_with_the_fewest_bytes() {
    let form = |numbers: Vec<u64>| match bitmap(numbers).slots.remove(0).unwrap() {
        Container::Runs(_) => "runs",
        Container::Bits(_) => "bits",
        Container::Array(_) => "array",
    };
    assert_eq!(form((0..3).collect()), "array");
    assert_eq!(form((0..4).collect()), "runs");
    assert_eq!(form((0..4096).map(|at| at * 2).collect()), "array");
    assert_eq!(form((0..4097).map(|at| at * 2).collect()), "bits");
    assert_eq!(form((0..65_536).collect()), "runs");
}

#[test]
fn counts_larger_than_the_bytes_allocate_nothing() {
    // One key, one container of four thousand million numbers.
    let mut bytes = written(&bitmap([5]));
    let at = bytes.len() - 16 - 2 - 4;
    assert_eq!(bytes[at..at + 4], 1_u32.to_le_bytes());
    bytes[at..at + 4].fill(0xFF);
    assert_eq!(Bitmap64::read(&bytes).unwrap_err(), "it ends too early");
}
