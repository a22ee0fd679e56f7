//! The run: every engine in turn, workload by workload, round after round, with the floor of each round beside it.
//!
//! Engines take turns A B C, B C A, .. so that whatever else the machine does falls on all of them. Ratios are formed
//! inside a round only; the report shows their medians.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::args::Args;
use crate::measure::Outcome;
use crate::programs::Program;
use crate::report;
use crate::workloads::{ALL, Figure, Sizes, Workloads};

/// What a run found.
#[derive(Default)]
pub struct Findings {
    /// Figures by name, then by engine, then by round.
    pub figures: Vec<Taken>,
    /// What the floor answered, by round.
    pub limits: BTreeMap<usize, Value>,
    /// What has no figure, and why.
    pub failures: Vec<String>,
}

/// A figure and whose it is.
pub struct Taken {
    pub round: usize,
    pub engine: &'static str,
    pub figure: Figure,
}

/// `--directory DIR [--rows N] [--rounds N] [--quick] [--only W1,W3] [--json FILE]`, and the engines (`programs`).
pub fn run(mut args: Args) -> Outcome<()> {
    let directory = std::path::absolute(args.require::<PathBuf>("directory")?)?;
    let quick = args.flag("quick")?;
    let rows: u64 = args.take_or("rows", if quick { 200_000 } else { 5_000_000 })?;
    let rounds: usize = args.take_or("rounds", if quick { 1 } else { 3 })?;
    let mut only = args.list("only")?;
    let json: Option<PathBuf> = args.take("json")?;
    let scratch = directory.join("scratch");
    let programs = Program::at_hand(&mut args, &scratch.to_string_lossy())?;
    args.finish()?;
    if rows == 0 || !rows.is_multiple_of(100) || rounds == 0 {
        return Err("--rows is a multiple of 100, and --rounds at least 1".into());
    }
    if let Some(unknown) = only.iter().find(|name| !ALL.contains(&name.as_str())) {
        return Err(format!("--only: {unknown} is not one of {ALL:?}").into());
    }
    if only.is_empty() {
        only = ALL.map(str::to_string).to_vec();
    }
    let (small_commits, files) = if quick { ([20, 60], 500) } else { ([100, 300], 10_000) };
    let sizes = Sizes { rows, small_commits, files, rows_in_files: files * 50 };
    let warehouse = directory.join("warehouse");
    for path in [&warehouse, &scratch] {
        if path.exists() {
            std::fs::remove_dir_all(path)?;
        }
        std::fs::create_dir_all(path)?;
    }
    let workloads = Workloads::new(sizes, warehouse, programs);
    let findings = take(&workloads, &only, rounds, &scratch)?;
    print!("{}", report::text(&workloads, &findings));
    if let Some(path) = json {
        std::fs::write(path, format!("{:#}\n", report::json(&workloads, &findings)))?;
    }
    match findings.failures.len() {
        0 => Ok(()),
        some => Err(format!("{some} figures are missing").into()),
    }
}

fn take(workloads: &Workloads, only: &[String], rounds: usize, scratch: &std::path::Path) -> Outcome<Findings> {
    let mut findings = Findings::default();
    let mut unprepared = Vec::new();
    for round in 1..=rounds {
        for (turn, workload) in only.iter().enumerate() {
            if round == 1
                && let Err(error) = workloads.prepare(workload)
            {
                findings.failures.push(format!("{workload}: {error}"));
                unprepared.push(workload);
            }
            if unprepared.contains(&workload) {
                continue;
            }
            let engines = &workloads.programs;
            for at in 0..engines.len() {
                let engine = &engines[(at + round + turn) % engines.len()];
                eprintln!("round {round} {workload} {}", engine.name);
                match workloads.run(workload, engine) {
                    Ok(figures) => {
                        let taken = |figure| Taken { round, engine: engine.name, figure };
                        findings.figures.extend(figures.into_iter().map(taken));
                    }
                    Err(error) => {
                        eprintln!("round {round} {workload} {}: {error}", engine.name);
                        findings.failures.push(format!("{workload} of {} in round {round}: {error}", engine.name));
                    }
                }
            }
        }
        eprintln!("round {round} the floor");
        findings.limits.insert(round, floor(workloads, scratch)?);
    }
    Ok(findings)
}

/// The floor in a process of its own, as the engines are.
fn floor(workloads: &Workloads, scratch: &std::path::Path) -> Outcome<Value> {
    let myself = workloads.programs.first().ok_or("the bench itself is the first program")?;
    let sizes = &workloads.sizes;
    let mut words: Vec<String> = ["--directory".to_string(), scratch.to_string_lossy().into_owned()].into();
    let numbers = [("rows", sizes.rows / 10), ("runs", 10), ("keys", sizes.rows), ("zipf-keys", sizes.rows / 5)];
    words.extend(numbers.into_iter().flat_map(|(name, value)| [format!("--{name}"), value.to_string()]));
    let planned = workloads.warehouse.join("b.db").join("w8");
    if planned.exists() {
        words.extend(["--manifests".to_string(), planned.to_string_lossy().into_owned()]);
    }
    Ok(myself.ask("limits", &words)?.pop().unwrap_or(json!({})))
}
