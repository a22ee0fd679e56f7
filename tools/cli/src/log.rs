//! What the library warns of, on standard error: `FOREBAY_LOG` tells from which level on.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::failure::{Failure, Result};

const VARIABLE: &str = "FOREBAY_LOG";

/// Shows warnings of this project's crates, or what the variable says.
///
/// # Errors
/// A wrong usage for a level that is none.
pub fn start() -> Result<()> {
    let level = match std::env::var(VARIABLE) {
        Err(_) => LevelFilter::WARN,
        Ok(text) => text.parse().map_err(|_| {
            Failure::usage(format!("{VARIABLE}={text:?} is no level"))
                .help("give off, error, warn (the default), info, debug or trace")
        })?,
    };
    let lines = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal()).with_target(false);
    registry().with(lines.with_filter(Targets::new().with_target("forebay", level))).init();
    Ok(())
}
