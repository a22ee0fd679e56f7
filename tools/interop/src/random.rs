//! Seeded randomness, and the seeds that a test runs.

/// A generator of random numbers: equal seed, equal numbers.
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5EED }
    }

    /// The seed, for choices that must all come in the first seeds.
    pub fn seed(&self) -> usize {
        self.seed as usize
    }

    /// 64 random bits (splitmix64).
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1) as u128;
        (i128::from(low) + (u128::from(self.bits()) % span) as i128) as i64
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        *self.one_of(choices)
    }

    /// One of several, where it lies.
    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// The seeds that a test runs: `usual` of them, or `FOREBAY_INTEROP_SEEDS` times as many, or the one that
/// `FOREBAY_INTEROP_SEED` names. Each is printed as the test comes to it, so that a failure tells its own.
pub fn seeds(usual: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    let range = match number("FOREBAY_INTEROP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + usual * number("FOREBAY_INTEROP_SEEDS").unwrap_or(1),
    };
    range.inspect(|seed| {
        let test = std::thread::current().name().unwrap_or("the test").to_string();
        println!("seed {seed}; replay: FOREBAY_INTEROP_SEED={seed} cargo test --test interop {test}");
    })
}
