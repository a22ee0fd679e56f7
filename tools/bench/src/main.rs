//! Forebay's bench: workloads, the peers beside it, and the floor under them. `README.md` says what is measured.
//!
//! | verb | what |
//! |---|---|
//! | `rounds` | all workloads on all engines, interleaved, as a table and as JSON |
//! | `memory` | peak memory of `forebay write --memory` against its budget |
//! | `limits` | the floor |
//! | `compact` | W4 on Forebay |
//! | `lookup` | W6 on Forebay |
//! | `engines` | what each merge engine costs, to deduplicate |
//! | `commits` | commits beside a compaction, to those without |
//! | `policies` | read, write and space amplification of compaction policies, simulated and plotted |
//! | `touched` | W4t: a full compaction after some key ranges were touched, to one that rewrites all |
//! | `write`, `scan`, `plan`, `latency` | one workload on Forebay; the peers have the same verbs |

mod args;
mod commits;
mod compact;
mod data;
mod engine;
mod engines;
mod forebay;
mod limits;
mod lookup;
mod measure;
mod memory;
mod policies;
mod programs;
mod report;
mod rounds;
mod touched;
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
    let verb = words.next().ok_or(
        "usage: bench rounds|memory|limits|write|scan|plan|latency|compact|lookup|engines|commits|touched|policies --name value ..",
    )?;
    let args = args::Args::parse(words)?;
    match verb.as_str() {
        "rounds" => rounds::run(args),
        "memory" => memory::run(args),
        "limits" => limits::run(args),
        "policies" => policies::run(args),
        _ => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            match verb.as_str() {
                "compact" => runtime.block_on(compact::run(args)),
                "lookup" => runtime.block_on(lookup::run(args)),
                "engines" => runtime.block_on(engines::run(args)),
                "touched" => runtime.block_on(touched::run(args)),
                "commits" => runtime.block_on(commits::run(args)),
                _ => runtime.block_on(engine::run::<forebay::Forebay>(&verb, args)),
            }
        }
    }
}
