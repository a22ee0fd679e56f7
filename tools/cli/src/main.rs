//! The `forebay` command line: one file for each command under `commands/`, rows and bytes under `values/`.

mod cli;
mod commands;
mod failure;
mod feed;
mod log;
mod names;
mod output;
mod sink;
mod target;
mod values;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use failure::Failure;

/// Gives freed memory back between threads, which the system's does not: `--memory` is a bound of the whole process.
/// `.cargo/config.toml` sets it up.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let json = cli.common.json;
    feed::mute_panics();
    if let Err(failure) = log::start(json) {
        failure.report(json);
        return ExitCode::from(failure.code());
    }
    if let cli::Command::Compact(_) | cli::Command::Expire(_) = cli.command {
        // Writers come first. The runtime has no threads yet: they take it over.
        forebay::give_way();
    }
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from);
    let result = result.and_then(|runtime| {
        let result = runtime.block_on(commands::run(cli));
        // What still runs (a read from a silent standard input) must not keep the process.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed() => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(json);
            ExitCode::from(failure.code())
        }
    }
}

/// Shows clap's words: help and version are no failure, and a closed output is none either.
fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().any(|argument| argument == "--json");
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ if json => {
            Failure::usage(error.to_string().trim()).report(true);
            ExitCode::from(2)
        }
        _ => {
            let _ = error.print();
            ExitCode::from(2)
        }
    }
}
