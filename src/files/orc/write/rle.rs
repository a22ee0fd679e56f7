//! Run lengths: of integers (version 2 of the format's encodings: short repeats, direct and delta runs), of bytes, and of
//! bits. Values wait until a run is full, so that runs go on where a slab ends.

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

/// The most values of a run.
const RUN: usize = 512;
/// Equal values that are worth a run of their own.
const REPEATS: usize = 8;
/// The most of a short repeat, and its least.
const SHORT: usize = 10;
const LEAST: usize = 3;

/// Integers, signed ones or such that are never negative.
pub(super) struct Integers {
    signed: bool,
    waiting: Vec<i64>,
}

impl Integers {
    pub(super) fn new(signed: bool) -> Self {
        Self { signed, waiting: Vec::new() }
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.len() * 8
    }

    /// Writes values.
    pub(super) fn write(&mut self, values: impl IntoIterator<Item = i64>, out: &mut Vec<u8>) {
        self.waiting.extend(values);
        self.encode(RUN, out);
    }

    /// Writes what waits.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.encode(1, out);
    }

    /// Writes runs as long as so many values wait.
    fn encode(&mut self, least: usize, out: &mut Vec<u8>) {
        let mut from = 0;
        while self.waiting.len() - from >= least {
            let end = self.waiting.len().min(from + RUN);
            from += run(&self.waiting[from..end], self.signed, out);
        }
        self.waiting.drain(..from);
    }
}

/// Writes a run that begins with the first of some values, and tells how many it took.
fn run(values: &[i64], signed: bool, out: &mut Vec<u8>) -> usize {
    let repeats = repeated(values);
    if repeats > SHORT {
        delta(&values[..repeats], signed, 0, out);
        return repeats;
    }
    if repeats >= LEAST {
        short(values[0], repeats, signed, out);
        return repeats;
    }
    let values = &values[..until_repeats(values)];
    match (width_of_deltas(values), width_of(values, signed)) {
        (Some(deltas), direct) if deltas < direct => delta(values, signed, deltas, out),
        (_, width) => direct(values, signed, width, out),
    }
    values.len()
}

/// How many values equal the first.
fn repeated(values: &[i64]) -> usize {
    values.iter().take_while(|value| **value == values[0]).count()
}

/// How many values there are before some that are worth a run of their own.
fn until_repeats(values: &[i64]) -> usize {
    let mut equal = 1;
    for at in 1..values.len() {
        equal = if values[at] == values[at - 1] { equal + 1 } else { 1 };
        if equal == REPEATS && at >= REPEATS {
            return at + 1 - REPEATS;
        }
    }
    values.len()
}

/// The bits that the differences behind the first one take: 0 where all are equal to it, `None` where there is no delta run.
fn width_of_deltas(values: &[i64]) -> Option<u32> {
    if values.len() < LEAST {
        return None;
    }
    let first = values[1].checked_sub(values[0])?;
    let (mut all, mut equal) = (0, true);
    for pair in values.windows(2) {
        let step = pair[1].checked_sub(pair[0])?;
        if (step < 0) != (first < 0) && step != 0 {
            return None;
        }
        equal &= step == first;
        all |= step.unsigned_abs();
    }
    let bits = 64 - all.leading_zeros();
    match equal {
        true => Some(0).filter(|_| bits <= 62),
        // The sign of the first tells that of all, so that it cannot be 0. A width of one bit has the code of none.
        false => Some(closest(bits).max(2)).filter(|width| first != 0 && *width <= 56),
    }
}

fn width_of(values: &[i64], signed: bool) -> u32 {
    let all = values.iter().fold(0, |all, value| all | unsigned(*value, signed));
    closest(64 - all.leading_zeros())
}

fn unsigned(value: i64, signed: bool) -> u64 {
    if signed { zigzag(value) } else { value as u64 }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The next width that the format has.
fn closest(bits: u32) -> u32 {
    match bits {
        0 => 1,
        1..=24 => bits,
        25..=32 => bits.next_multiple_of(2),
        33..=64 => bits.next_multiple_of(8),
        _ => 64,
    }
}

fn code_of(width: u32) -> u8 {
    let code = match width {
        0 => 0,
        1..=24 => width - 1,
        25..=32 => 23 + (width - 24) / 2,
        _ => 27 + (width - 32) / 8,
    };
    code as u8
}

fn short(value: i64, count: usize, signed: bool, out: &mut Vec<u8>) {
    let value = unsigned(value, signed);
    let bytes = (8 - value.leading_zeros() as usize / 8).max(1);
    out.push(((bytes - 1) << 3 | (count - LEAST)) as u8);
    out.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
}

fn head(kind: u8, width: u32, count: usize, out: &mut Vec<u8>) {
    let rest = count - 1;
    out.push(kind << 6 | code_of(width) << 1 | (rest >> 8) as u8);
    out.push(rest as u8);
}

fn direct(values: &[i64], signed: bool, width: u32, out: &mut Vec<u8>) {
    head(1, width, values.len(), out);
    pack(values.iter().map(|value| unsigned(*value, signed)), width, out);
}

/// The first value, the first difference with its sign, and the others without.
fn delta(values: &[i64], signed: bool, width: u32, out: &mut Vec<u8>) {
    head(3, width, values.len(), out);
    varint(unsigned(values[0], signed).into(), out);
    varint(zigzag(values[1].wrapping_sub(values[0])).into(), out);
    if width > 0 {
        let steps = values[1..].windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).unsigned_abs());
        pack(steps, width, out);
    }
}

/// Values of so many bits each, the highest bit first.
fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u128, 0);
    for value in values {
        bits = bits << width | u128::from(value);
        count += width;
        while count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        out.push((bits << (8 - count)) as u8);
    }
}

/// Seven bits a byte, the lowest first.
pub(super) fn varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number of any size with its sign.
pub(super) fn signed_varint(value: i128, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 127)) as u128, out);
}

/// The most bytes of a run of equal ones, and of others.
const EQUAL: usize = 130;
const OTHERS: usize = 128;

/// Bytes.
#[derive(Default)]
pub(super) struct ByteRuns {
    waiting: Vec<u8>,
}

impl ByteRuns {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Writes values.
    pub(super) fn write(&mut self, values: impl IntoIterator<Item = u8>, out: &mut Vec<u8>) {
        self.waiting.extend(values);
        self.encode(EQUAL, out);
    }

    /// Writes what waits.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.encode(1, out);
    }

    fn encode(&mut self, least: usize, out: &mut Vec<u8>) {
        let mut from = 0;
        while self.waiting.len() - from >= least {
            let values = &self.waiting[from..];
            let equal = values.iter().take(EQUAL).take_while(|value| **value == values[0]).count();
            if equal >= LEAST {
                out.extend_from_slice(&[(equal - LEAST) as u8, values[0]]);
                from += equal;
                continue;
            }
            let near = &values[..values.len().min(OTHERS + LEAST - 1)];
            let repeats = near.windows(LEAST).position(|three| three.iter().all(|value| *value == three[0]));
            let count = repeats.unwrap_or(values.len()).min(OTHERS);
            out.push((count as u8).wrapping_neg());
            out.extend_from_slice(&values[..count]);
            from += count;
        }
        self.waiting.drain(..from);
    }
}

/// Bits, encoded at the end of their stripe.
pub(super) struct Bits(BooleanBufferBuilder);

impl Bits {
    pub(super) fn new() -> Self {
        Self(BooleanBufferBuilder::new(0))
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() / 8
    }

    pub(super) fn write(&mut self, bits: &BooleanBuffer) {
        self.0.append_buffer(bits);
    }

    pub(super) fn write_set(&mut self, count: usize) {
        self.0.append_n(count, true);
    }

    /// The bits, the first of a byte being its highest. None are left.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let bits = self.0.finish();
        let mut runs = ByteRuns::default();
        let bytes = bits.len().div_ceil(8);
        runs.write(bits.values().iter().take(bytes).map(|byte| byte.reverse_bits()), out);
        runs.finish(out);
    }

    /// Forgets the bits.
    pub(super) fn clear(&mut self) {
        self.0.truncate(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Were all that waits searched for each run, this would take minutes.
    #[test]
    fn bytes_without_repeats_are_searched_no_further_than_a_run() {
        let values: Vec<u8> = (0..2_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(values.windows(LEAST).all(|three| three != [three[0]; LEAST]));
        let mut out = Vec::new();
        let mut runs = ByteRuns::default();
        runs.write(values.iter().copied(), &mut out);
        runs.finish(&mut out);
        assert_eq!(out.len(), values.len() / OTHERS * (OTHERS + 1));
        assert!(
            out.chunks(OTHERS + 1).zip(values.chunks(OTHERS)).all(|(run, part)| run[0] == 128 && run[1..] == *part)
        );
    }

    #[test]
    fn a_run_of_others_ends_where_equal_ones_begin() {
        for others in 120..140_usize {
            let values = (0..others).map(|at| (at % 2) as u8).chain([7; 5]);
            let (mut out, mut runs) = (Vec::new(), ByteRuns::default());
            runs.write(values, &mut out);
            runs.finish(&mut out);
            let heads = others.div_ceil(OTHERS);
            assert_eq!((out.len(), &out[out.len() - 2..]), (others + heads + 2, &[2, 7][..]), "{others}");
        }
    }
}
