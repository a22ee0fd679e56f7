//! Forebay's bench: workloads, the peers beside it, and the floor under them. `README.md` says what is measured.
//!
//! | verb | what |
//! |---|---|
//! | `rounds` | all workloads on all engines, interleaved, as a table and as JSON |
//! | `memory` | peak memory of `forebay write --memory` against its budget |
//! | `limits` | the floor |
//! | `lookup` | W6 on Forebay |
//! | `write`, `scan`, `plan`, `latency` | one workload on Forebay; the peers have the same verbs |

mod args;
mod data;
mod engine;
mod forebay;
mod limits;
mod lookup;
mod measure;
mod memory;
mod programs;
mod report;
mod rounds;
mod workloads;

use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> measure::Outcome<()> {
    let mut words = std::env::args().skip(1);
    let verb =
        words.next().ok_or("usage: bench rounds|memory|limits|write|scan|plan|latency|lookup --name value ..")?;
    let args = args::Args::parse(words)?;
    match verb.as_str() {
        "rounds" => rounds::run(args),
        "memory" => memory::run(args),
        "limits" => limits::run(args),
        _ => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            if verb == "lookup" {
                return runtime.block_on(lookup::run(args));
            }
            runtime.block_on(engine::run::<forebay::Forebay>(&verb, args))
        }
    }
}
