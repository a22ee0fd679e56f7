//! The one clock, the one source of ids and randomness, and the one place that waits.
//!
//! Everything that is not a function of its inputs comes through an [`Env`], so that a seed replays a
//! run. `clippy.toml` forbids the standard clocks outside this file.

mod behind;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;

pub use self::behind::give_way;
use crate::error::{Error, Result};

/// Wall time, monotonic time and waiting.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch, as the wall clock tells. Never decides safety.
    fn now_millis(&self) -> i64;
    /// Time since an arbitrary start that never goes backwards.
    fn monotonic(&self) -> Duration;
    /// Offset of the local time zone from UTC at an instant, in seconds.
    fn local_offset_seconds(&self, epoch_millis: i64) -> i32;
    /// Waits.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The surroundings a run happens in. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    random: Arc<Random>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

impl Env {
    /// The real clock and the operating system's randomness.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock::default()), random: Arc::new(Random::system()) }
    }

    /// A clock of the caller's and randomness from a seed: equal seed, equal ids.
    pub fn seeded(seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self { clock, random: Arc::new(Random::seeded(seed)) }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_millis(&self) -> i64 {
        self.clock.now_millis()
    }

    /// Local wall-clock time as if it were UTC, in milliseconds: what Paimon stores as a file's creation time
    /// (`format-spec/`, data file meta).
    pub fn local_millis(&self) -> i64 {
        let now = self.clock.now_millis();
        now + i64::from(self.clock.local_offset_seconds(now)) * 1000
    }

    /// The instant at which the local clock shows a time, both in milliseconds, the local time as if it were UTC.
    pub fn instant_of_local(&self, local_millis: i64) -> i64 {
        let offset = |at: i64| i64::from(self.clock.local_offset_seconds(at)) * 1000;
        let guess = local_millis.saturating_sub(offset(local_millis));
        local_millis.saturating_sub(offset(guess))
    }

    /// Time since an arbitrary start that never goes backwards.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Waits.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// A random number.
    pub fn random_u64(&self) -> u64 {
        self.random.next()
    }

    /// A random version-4 UUID in its usual text form.
    pub fn uuid(&self) -> String {
        let (a, b) = (self.random.next(), self.random.next());
        let high = (a & !0xF000) | 0x4000;
        let low = (b & !(0b11 << 62)) | (0b10 << 62);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFFF,
            low >> 48,
            low & 0xFFFF_FFFF_FFFF
        )
    }

    /// Whether randomness comes from a seed: then the order of requests must depend on nothing else.
    pub fn is_seeded(&self) -> bool {
        self.random.seed.is_some()
    }

    /// Runs work that only computes on the blocking pool; in place under a seed, so that the order of the requests around
    /// it does not depend on threads.
    ///
    /// # Errors
    /// As [`Env::blocking`].
    pub async fn computing<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        if self.is_seeded() { work() } else { self.blocking(work).await }
    }

    /// Begins work that nobody waits for, on threads that give way to all others; as a task of the caller's under a seed.
    pub fn spawn_behind(&self, work: impl Future<Output = ()> + Send + 'static) {
        if self.is_seeded() {
            tokio::spawn(work);
        } else {
            behind::spawn(work);
        }
    }

    /// Runs blocking work (files, sort, encode) on the blocking pool.
    ///
    /// # Errors
    /// The work's own error; [`Error::Bug`] when it panicked.
    pub async fn blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(Error::bug(format!("blocking work did not finish: {error}"))),
        }
    }
}

struct SystemClock {
    start: std::time::Instant,
}

impl Default for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the one clock
    fn default() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // this is the one clock
    fn now_millis(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        match since {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
    fn local_offset_seconds(&self, epoch_millis: i64) -> i32 {
        jiff::Timestamp::from_millisecond(epoch_millis)
            .map(|at| jiff::tz::TimeZone::system().to_offset(at).seconds())
            .unwrap_or(0)
    }
    #[allow(clippy::disallowed_methods)] // this is the one place that waits
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// splitmix64 over a counter for seeded runs; the operating system's source otherwise.
struct Random {
    seed: Option<u64>,
    count: AtomicU64,
    pool: Mutex<Vec<u64>>,
}

impl Random {
    fn system() -> Self {
        Self { seed: None, count: AtomicU64::new(0), pool: Mutex::new(Vec::new()) }
    }
    fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed), ..Self::system() }
    }
    fn next(&self) -> u64 {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        match self.seed {
            Some(seed) => splitmix64(seed.wrapping_add(count.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            None => self.draw(count),
        }
    }
    #[allow(clippy::disallowed_methods)] // this is the one source of randomness
    fn draw(&self, count: u64) -> u64 {
        let mut pool = self.pool.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(word) = pool.pop() {
            return word;
        }
        let mut bytes = [0_u8; 512];
        if getrandom::fill(&mut bytes).is_err() {
            // Without a source of the operating system, the clock and the process tell runs apart.
            let clock = SystemClock::default().now_millis();
            return splitmix64(clock as u64 ^ (u64::from(std::process::id()) << 40) ^ count);
        }
        pool.extend(
            bytes.chunks_exact(8).map(|word| {
                u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]])
            }),
        );
        pool.pop().unwrap_or(count)
    }
}

fn splitmix64(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
