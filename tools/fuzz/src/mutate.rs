//! Mutations that a seed tells: bits, numbers, cuts, doubled and foreign pieces.

/// The numbers of a seed: SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }
}

/// Numbers that lengths, counts and offsets break at.
const NUMBERS: [i64; 12] =
    [0, 1, -1, 127, 128, 255, i16::MAX as i64, 65_536, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];

/// An input made of another one, with pieces of a third. Equal seeds give equal bytes.
pub fn mutate(seed: u64, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut bytes = input.to_vec();
    for _ in 0..1 + dice.below(4) {
        one(&mut dice, &mut bytes, other);
    }
    bytes
}

fn one(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = dice.below(bytes.len());
    let length = 1 + dice.below(16);
    let end = (at + length).min(bytes.len());
    let number = NUMBERS[dice.below(NUMBERS.len())];
    match dice.below(9) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
        1 if !bytes.is_empty() => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][dice.below(6)],
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let piece = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        5 => put(bytes, at, &number.to_le_bytes()[..[4, 8][dice.below(2)]]),
        6 => put(bytes, at, &number.to_be_bytes()[[4, 0][dice.below(2)]..]),
        7 => put(bytes, at, &zigzag(number)),
        _ => {
            let from = dice.below(other.len());
            let piece = other[from..(from + length).min(other.len())].to_vec();
            drop(bytes.splice(at..end, piece));
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, number: &[u8]) {
    let end = (at + number.len()).min(bytes.len());
    drop(bytes.splice(at..end, number.iter().copied()));
}

/// A number as Avro has it.
fn zigzag(number: i64) -> Vec<u8> {
    let mut left = (number.wrapping_shl(1) ^ (number >> 63)) as u64;
    let mut bytes = Vec::new();
    while left > 0x7f {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_bytes_and_others_differ() {
        let (input, other) = (b"an input of some bytes".as_slice(), b"another".as_slice());
        assert_eq!(mutate(7, input, other), mutate(7, input, other));
        let different = (0..100).filter(|seed| mutate(*seed, input, other) != input).count();
        assert!(different > 90, "{different} of 100 changed anything");
        assert!((0..1000).all(|seed| mutate(seed, b"", b"").len() < 64), "an empty input is one too");
    }
}
