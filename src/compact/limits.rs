//! What a compaction may take, and how far it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::env::Env;

/// What a compaction may take of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactLimits {
    /// Bytes of memory for fetched windows, decoded batches and pages being encoded.
    pub memory: u64,
    /// Threads that merge and encode.
    pub threads: usize,
    /// Bytes of input for each second; `None` is no limit.
    pub bytes_per_second: Option<u64>,
}

impl Default for CompactLimits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { memory: 512 << 20, threads, bytes_per_second: None }
    }
}

/// How far a compaction is. Shared with whoever shows it.
#[derive(Debug, Default)]
pub struct CompactProgress {
    rows: AtomicU64,
    bytes: AtomicU64,
    copied: AtomicU64,
    tasks: AtomicU64,
}

impl CompactProgress {
    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of input that were worked through, roughly.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows among those written that were copied as whole row groups.
    pub fn copied_rows(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// Tasks that ended.
    pub fn tasks(&self) -> u64 {
        self.tasks.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_copied(&self, rows: u64, bytes: u64) {
        self.add(rows, bytes);
        self.copied.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn end_task(&self) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
    }
}

/// Keeps all tasks of a compactor together below a rate.
#[derive(Clone)]
pub(super) struct Throttle {
    env: Env,
    runtime: Handle,
    bytes_per_second: Option<u64>,
    /// When the bytes taken so far are paid for.
    paid: Arc<Mutex<Duration>>,
}

impl Throttle {
    pub(super) fn new(env: &Env, runtime: Handle, bytes_per_second: Option<u64>) -> Self {
        Self { env: env.clone(), runtime, bytes_per_second, paid: Arc::default() }
    }

    /// Waits until `bytes` may be worked through. Blocks.
    pub(super) fn take(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second.filter(|rate| *rate > 0) else { return };
        let now = self.env.monotonic();
        let wait = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            *paid = (*paid).max(now) + Duration::from_secs_f64(bytes as f64 / rate as f64);
            paid.saturating_sub(now)
        };
        if wait > Duration::from_millis(5) {
            self.runtime.block_on(self.env.sleep(wait));
        }
    }
}
