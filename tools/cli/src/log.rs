//! What the library warns of, on standard error: `FOREBAY_LOG` tells from which level on.

use std::io::{self, Write};

use serde_json::json;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::failure::{Failure, Result};
use crate::output::clean;

const VARIABLE: &str = "FOREBAY_LOG";

/// Shows warnings of this project's crates, or what the variable says; with `json` each as `{"log": ".."}`.
///
/// # Errors
/// A wrong usage for a level that is none.
pub fn start(json: bool) -> Result<()> {
    let told = std::env::var(VARIABLE).unwrap_or_default();
    let level = match told.to_ascii_lowercase().as_str() {
        "off" => LevelFilter::OFF,
        "error" => LevelFilter::ERROR,
        "" | "warn" => LevelFilter::WARN,
        "info" => LevelFilter::INFO,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => {
            let words = format!("{VARIABLE}={told:?} is no level");
            return Err(Failure::usage(words).help("give off, error, warn (the default), info, debug or trace"));
        }
    };
    let lines = fmt::layer().with_writer(move || Lines { json }).with_ansi(false).with_target(false);
    registry().with(lines.with_filter(Targets::new().with_target("forebay", level))).init();
    Ok(())
}

/// Standard error, a line for each event: names and texts of others must not look like lines of ours.
struct Lines {
    json: bool,
}

impl Write for Lines {
    /// An event comes whole.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = clean(String::from_utf8_lossy(event).trim_end());
        let line = if self.json { json!({ "log": line }).to_string() } else { line };
        io::stderr().lock().write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
