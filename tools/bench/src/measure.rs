//! Clock, CPU time and memory of the running process, and the line each program answers with.
//!
//! Shared with `peers/rust`, so that every Rust program is measured by the same code. The Java peer does the same with
//! its runtime's means.

use std::time::Instant;

use serde_json::Value;

/// What a program of the bench ends with.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A running measurement of wall and CPU time.
pub struct Stopwatch {
    wall: Instant,
    cpu: f64,
}

/// Wall and CPU seconds.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    /// Seconds that passed.
    pub secs: f64,
    /// User and system CPU seconds of the whole process in that time.
    pub cpu: f64,
}

impl Stopwatch {
    /// Begins.
    #[allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]
    pub fn start() -> Self {
        Self { cpu: cpu_seconds(), wall: Instant::now() }
    }

    /// What was spent since the start.
    pub fn spent(&self) -> Spent {
        Spent { secs: self.wall.elapsed().as_secs_f64(), cpu: cpu_seconds() - self.cpu }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.secs += more.secs;
        self.cpu += more.cpu;
    }
}

/// User and system CPU seconds of this process. Linux only, in ticks of 10 ms; elsewhere 0.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may hold blanks; fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Peak resident memory of a process so far, in MiB: `self` or an id. 0 once it is gone, or where there is no `/proc`.
pub fn peak_mib(process: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Answers the program that asked: one line of JSON on standard output.
pub fn answer(line: &Value) {
    println!("{line}");
}
