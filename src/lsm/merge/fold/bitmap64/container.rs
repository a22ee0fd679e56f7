//! The lower 16 bits of the numbers that share their upper 48: as runs, as a bitmap or as an array, whichever takes the
//! fewest bytes.

use super::{Input, Why};

const NONE: u8 = 0;
const SOME: u8 = 1;
const RUNS: u8 = 0;
const BITS: u8 = 1;
const ARRAY: u8 = 2;

const WORDS: usize = 1024;
const BITS_SIZE: usize = WORDS * 8;
/// More numbers than these are never an array.
const LARGEST_ARRAY: usize = 4096;

type Words = Box<[u64; WORDS]>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Container {
    /// First numbers, and how many follow each.
    Runs(Vec<(u16, u16)>),
    Bits(Words),
    Array(Vec<u16>),
}

impl Container {
    /// A container of no number.
    pub(super) const fn none() -> Self {
        Self::Array(Vec::new())
    }

    /// This container with the numbers of another, in the form that Java's library gives it. Where runs and an array
    /// take the same room, runs stay runs.
    pub(super) fn with(self, other: Self) -> Self {
        let has_bits = matches!(self, Self::Bits(_)) || matches!(other, Self::Bits(_));
        let has_runs = matches!(self, Self::Runs(_)) || matches!(other, Self::Runs(_));
        let mut words = self.words();
        words.iter_mut().zip(other.words().iter()).for_each(|(word, more)| *word |= more);
        let (numbers, runs) = (numbers(&words), runs(&words));
        let run_wins = match numbers > LARGEST_ARRAY {
            true => 2 + 4 * runs < BITS_SIZE,
            false if has_runs && !has_bits => 2 * runs <= numbers,
            false => 2 + 4 * runs < 2 * numbers,
        };
        match run_wins {
            true => Self::Runs(as_runs(&words)),
            false if numbers > LARGEST_ARRAY => Self::Bits(words),
            false => Self::Array(as_array(&words)),
        }
    }

    /// Turns an array or a bitmap into runs if they take less room.
    pub(super) fn optimize(&mut self) {
        let runs = match self {
            Self::Runs(_) => return,
            Self::Array(numbers) if 2 + 4 * array_runs(numbers) < 2 * numbers.len() => as_runs(&self.words()),
            Self::Bits(words) if 2 + 4 * runs(words) < BITS_SIZE => as_runs(words),
            _ => return,
        };
        *self = Self::Runs(runs);
    }

    fn len(&self) -> usize {
        match self {
            Self::Runs(runs) => runs.iter().map(|(_, more)| usize::from(*more) + 1).sum(),
            Self::Bits(words) => numbers(words),
            Self::Array(numbers) => numbers.len(),
        }
    }

    fn words(&self) -> Words {
        let mut words = Box::new([0_u64; WORDS]);
        let mut set = |number: u16| words[usize::from(number >> 6)] |= 1 << (number & 63);
        match self {
            Self::Runs(runs) => runs.iter().for_each(|(first, more)| (*first..=first + more).for_each(&mut set)),
            Self::Array(numbers) => numbers.iter().copied().for_each(set),
            Self::Bits(words) => return words.clone(),
        }
        words
    }

    pub(super) fn decode_slot(input: &mut Input<'_>) -> Result<Option<Self>, Why> {
        match input.u8()? {
            NONE => return Ok(None),
            SOME => {}
            other => return Err(format!("a container begins with {other}")),
        }
        let form = input.u8()?;
        let len = input.u32()?;
        let container = match form {
            RUNS => {
                let count = u32::from(input.u16()?);
                let runs = (0..input.at_most(count, 4)?).map(|_| Ok((input.u16()?, input.u16()?)));
                Self::Runs(runs.collect::<Result<_, Why>>()?)
            }
            BITS => {
                let bytes = input.bytes(BITS_SIZE)?;
                let mut words = Box::new([0_u64; WORDS]);
                for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
                    *word = u64::from_le_bytes(*bytes);
                }
                Self::Bits(words)
            }
            ARRAY => {
                let numbers = (0..input.at_most(len, 2)?).map(|_| input.u16());
                Self::Array(numbers.collect::<Result<_, Why>>()?)
            }
            other => return Err(format!("a container has form {other}")),
        };
        let ascends = match &container {
            Self::Runs(runs) => {
                let ends = runs.iter().map(|(first, more)| first.checked_add(*more));
                ends.clone().all(|end| end.is_some())
                    && ends.zip(&runs[runs.len().min(1)..]).all(|(end, (next, _))| end < Some(*next))
            }
            Self::Array(numbers) => numbers.is_sorted_by(|one, next| one < next),
            Self::Bits(_) => true,
        };
        match ascends && container.len() == len as usize {
            true => Ok(Some(container)),
            false => Err(format!("a container of {len} numbers has others")),
        }
    }

    pub(super) fn encode_slot(slot: Option<&Self>, out: &mut Vec<u8>) {
        let Some(container) = slot else {
            return out.push(NONE);
        };
        let form = match container {
            Self::Runs(_) => RUNS,
            Self::Bits(_) => BITS,
            Self::Array(_) => ARRAY,
        };
        out.extend([SOME, form]);
        out.extend((container.len() as u32).to_le_bytes());
        match container {
            Self::Runs(runs) => {
                out.extend((runs.len() as u16).to_le_bytes());
                out.extend(runs.iter().flat_map(|(first, more)| [*first, *more]).flat_map(u16::to_le_bytes));
            }
            Self::Bits(words) => out.extend(words.iter().flat_map(|word| word.to_le_bytes())),
            Self::Array(numbers) => out.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
        }
    }
}

fn numbers(words: &[u64; WORDS]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
}

/// How many runs there are: numbers whose predecessor is missing.
fn runs(words: &[u64; WORDS]) -> usize {
    let mut before = 0;
    let mut runs = 0;
    for word in words {
        runs += (word & !(word << 1 | before)).count_ones() as usize;
        before = word >> 63;
    }
    runs
}

fn array_runs(numbers: &[u16]) -> usize {
    let breaks = numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count();
    if numbers.is_empty() { 0 } else { breaks + 1 }
}

fn as_array(words: &[u64; WORDS]) -> Vec<u16> {
    let mut numbers = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            numbers.push((at * 64) as u16 + left.trailing_zeros() as u16);
            left &= left - 1;
        }
    }
    numbers
}

fn as_runs(words: &[u64; WORDS]) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for number in as_array(words) {
        match runs.last_mut() {
            Some((first, more)) if *first + *more + 1 == number => *more += 1,
            _ => runs.push((number, 0)),
        }
    }
    runs
}
