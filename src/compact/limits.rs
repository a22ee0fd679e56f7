//! What a compaction may take, and how far it is.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{CompactTask, DataFileMeta};

/// What a compaction may take of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactLimits {
    /// Bytes of memory for fetched windows, decoded batches and pages being encoded.
    pub memory: u64,
    /// Threads that merge and encode.
    pub threads: usize,
    /// Bytes for each second of the data files that are read, those of higher levels that are read beside the input
    /// included; `None` is no limit. What is written does not count.
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

    /// Bytes of the files to be replaced that were worked through: all of them when a task ended.
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

    pub(super) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn add_copied(&self, rows: u64) {
        self.add_rows(rows);
        self.copied.fetch_add(rows, Ordering::Relaxed);
    }

    fn end_task(&self) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts what one task works through, and makes it wait for its turn.
pub(super) struct Pace {
    throttle: Throttle,
    progress: Arc<CompactProgress>,
    /// The files that the task replaces, and their bytes. Others are read beside them.
    inputs: HashSet<String>,
    total: u64,
    done: AtomicU64,
}

impl Pace {
    pub(super) fn new(throttle: Throttle, progress: Arc<CompactProgress>, task: &CompactTask) -> Self {
        let inputs = task.files.iter().map(|file| file.file_name.clone()).collect();
        Self { throttle, progress, inputs, total: task.bytes(), done: AtomicU64::new(0) }
    }

    /// Rows of a file were read, masked ones included.
    pub(super) fn read(&self, file: &DataFileMeta, rows: u64) -> Result<()> {
        let bytes = bytes_of(file, rows);
        self.throttle.take(bytes)?;
        if self.inputs.contains(&file.file_name) {
            self.done(bytes);
        }
        Ok(())
    }

    /// A row group is copied as it is.
    pub(super) fn copy(&self, rows: u64, bytes: u64) -> Result<()> {
        self.throttle.take(bytes)?;
        self.progress.add_copied(rows);
        self.done(bytes);
        Ok(())
    }

    /// The task came to its end. Files that moved as they are were worked through too.
    pub(super) fn end(&self, succeeded: bool) {
        if succeeded {
            self.progress.add_bytes(self.total.saturating_sub(self.done.load(Ordering::Relaxed)));
        }
        self.progress.end_task();
    }

    pub(super) fn progress(&self) -> &CompactProgress {
        &self.progress
    }

    fn done(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        self.progress.add_bytes(bytes);
    }
}

/// What some rows of a file are of its bytes.
fn bytes_of(file: &DataFileMeta, rows: u64) -> u64 {
    let size = u64::try_from(file.file_size).unwrap_or(0);
    let all = u64::try_from(file.row_count).unwrap_or(0).max(1);
    let bytes = (u128::from(size) * u128::from(rows)).div_ceil(u128::from(all));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Keeps all that read together below a rate.
#[derive(Clone)]
pub(crate) struct Throttle {
    env: Env,
    runtime: Handle,
    bytes_per_second: Option<u64>,
    /// When the bytes taken so far are paid for. Whoever waits holds it: those behind wait in a row.
    paid: Arc<Mutex<Duration>>,
}

impl Throttle {
    pub(crate) fn new(env: &Env, runtime: Handle, bytes_per_second: Option<u64>) -> Self {
        Self { env: env.clone(), runtime, bytes_per_second, paid: Arc::default() }
    }

    /// Waits until `bytes` may have been worked through. Blocks.
    ///
    /// # Errors
    /// [`Error::Storage`] when the runtime ends meanwhile.
    pub(super) fn take(&self, bytes: u64) -> Result<()> {
        let Some(rate) = self.bytes_per_second.filter(|rate| *rate > 0) else { return Ok(()) };
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.env.monotonic();
        *paid = (*paid).max(now) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        let wait = paid.saturating_sub(now);
        if wait <= Duration::from_millis(5) { Ok(()) } else { self.wait(wait) }
    }

    /// The same for some rows of a file.
    ///
    /// # Errors
    /// As [`Throttle::take`].
    pub(crate) fn take_rows(&self, file: &DataFileMeta, rows: u64) -> Result<()> {
        self.take(bytes_of(file, rows))
    }

    /// The runtime waits, and this thread for it: a timer that is asked on another thread panics once the runtime ends,
    /// and its tasks are dropped then, with the sender.
    fn wait(&self, wait: Duration) -> Result<()> {
        let (sender, receiver) = channel::<()>();
        let env = self.env.clone();
        self.runtime.spawn(async move {
            env.sleep(wait).await;
            let _ = sender.send(());
        });
        receiver.recv().map_err(|_| Error::Storage {
            what: "the runtime ended while a rate limit was waited for".to_string(),
            retryable: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(runtime: &tokio::runtime::Runtime, rate: u64) -> Throttle {
        Throttle::new(&Env::system(), runtime.handle().clone(), Some(rate))
    }

    /// A timer of a runtime that is being shut down panics when it is asked.
    #[test]
    fn a_wait_for_a_rate_ends_with_the_runtime() {
        for flavour in [tokio::runtime::Builder::new_multi_thread, tokio::runtime::Builder::new_current_thread] {
            let runtime = flavour().enable_all().build().unwrap();
            let (throttle, (sender, receiver)) = (system(&runtime, 1), channel());
            let waiting = std::thread::spawn(move || {
                sender.send(()).unwrap();
                (throttle.take(1_000_000), throttle.take(1_000_000))
            });
            receiver.recv().unwrap();
            std::thread::sleep(Duration::from_millis(50));
            runtime.shutdown_background();
            let (first, second) = waiting.join().expect("the wait panicked");
            assert!(matches!(first, Err(Error::Storage { retryable: false, .. })), "{first:?}");
            assert!(second.is_err());
        }
    }

    #[test]
    fn what_waits_for_a_rate_goes_on_in_time() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let throttle = system(&runtime, 1_000_000);
        let began = throttle.env.monotonic();
        let threads: Vec<_> = (0..4).map(|_| (throttle.clone(), 25_000)).collect();
        let threads: Vec<_> =
            threads.into_iter().map(|(throttle, bytes)| std::thread::spawn(move || throttle.take(bytes))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        assert!(throttle.env.monotonic() - began >= Duration::from_millis(100));
    }

    #[test]
    fn rows_of_a_file_are_a_share_of_its_bytes() {
        let file = |rows, size| DataFileMeta { row_count: rows, ..crate::format::data_file("f", size) };
        assert_eq!(bytes_of(&file(10, 1_000), 3), 300);
        assert_eq!(bytes_of(&file(3, 1_000), 1), 334);
        assert_eq!(bytes_of(&file(0, 1_000), 0), 0);
        assert_eq!(bytes_of(&file(-1, -1), 5), 0);
        assert_eq!(bytes_of(&file(1, i64::MAX), u64::MAX), u64::MAX);
    }
}
