//! A run as a table for people and as JSON for whoever compares runs.

use std::collections::BTreeMap;
use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::programs::FOREBAY;
use crate::rounds::{Findings, Taken};
use crate::workloads::{Unit, Workloads, median};

impl Unit {
    fn text(self) -> &'static str {
        match self {
            Self::Rate => "krows/s",
            Self::Millis => "ms",
            Self::Micros => "us",
            Self::Slope => "us/commit",
        }
    }

    /// How many times better one value is than another.
    fn ratio(self, value: f64, other: f64) -> f64 {
        if self == Self::Rate { value / other } else { other / value }
    }
}

/// One line of the table: the medians of a figure.
struct Line {
    name: String,
    unit: Unit,
    floor: Option<f64>,
    floor_two: Option<f64>,
    engines: BTreeMap<&'static str, Measured>,
    share: Option<f64>,
    share_two: Option<f64>,
}

struct Measured {
    value: f64,
    cpu: Option<f64>,
    peak_mib: Option<f64>,
    /// How many times better Forebay is.
    forebay_times: Option<f64>,
}

/// The floor of a figure on one and on two cores, in the figure's unit.
fn floor_of(name: &str, limits: &Value) -> (Option<f64>, Option<f64>) {
    let (key, scaling) = match name {
        "W1" | "W1b" => ("W1", "write_scaling"),
        "W2" => ("W2", "write_scaling"),
        "W3" | "W3p" | "W9" => (name, "read_scaling"),
        "W8 cold handle" => ("W8", ""),
        _ if name.starts_with("W7 commit") => ("W7", ""),
        _ => return (None, None),
    };
    let one = limits["floors"][key].as_f64();
    // Floors of rates are answered in rows per second.
    let one = if scaling.is_empty() { one } else { one.map(|rows| rows / 1e3) };
    (one, one.zip(limits[scaling].as_f64()).map(|(one, times)| one * times))
}

fn lines(findings: &Findings) -> Vec<Line> {
    let mut names: Vec<&str> = Vec::new();
    for taken in &findings.figures {
        if !names.contains(&taken.figure.name.as_str()) {
            names.push(&taken.figure.name);
        }
    }
    names.into_iter().map(|name| line(name, findings)).collect()
}

fn line(name: &str, findings: &Findings) -> Line {
    let taken: Vec<&Taken> = findings.figures.iter().filter(|taken| taken.figure.name == name).collect();
    let unit = taken[0].figure.unit;
    let some_median = |values: Vec<f64>| (!values.is_empty()).then(|| median(values));
    let ours = |round| taken.iter().find(|taken| taken.engine == FOREBAY && taken.round == round);
    let mut engines = BTreeMap::new();
    for engine in taken.iter().map(|taken| taken.engine) {
        let own: Vec<&&Taken> = taken.iter().filter(|taken| taken.engine == engine).collect();
        let of = |value: fn(&Taken) -> Option<f64>| own.iter().filter_map(|taken| value(taken)).collect::<Vec<_>>();
        let times =
            own.iter().filter_map(|taken| Some(unit.ratio(ours(taken.round)?.figure.value, taken.figure.value)));
        let measured = Measured {
            value: median(of(|taken| Some(taken.figure.value))),
            cpu: some_median(of(|taken| taken.figure.cpu)),
            peak_mib: of(|taken| taken.figure.peak_mib).into_iter().reduce(f64::max),
            forebay_times: (engine != FOREBAY && unit != Unit::Slope).then(|| some_median(times.collect())).flatten(),
        };
        engines.insert(engine, measured);
    }
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for (round, limits) in &findings.limits {
        let (floor, floor_two) = floor_of(name, limits);
        one.extend(floor.map(|floor| (*round, floor)));
        two.extend(floor_two.map(|floor| (*round, floor)));
    }
    let share = |floors: &[(usize, f64)]| {
        let of_round = |(round, floor): &(usize, f64)| Some(unit.ratio(ours(*round)?.figure.value, *floor));
        some_median(floors.iter().filter_map(of_round).collect())
    };
    let middle = |floors: &[(usize, f64)]| some_median(floors.iter().map(|(_, floor)| *floor).collect());
    Line {
        name: name.to_string(),
        unit,
        floor: middle(&one),
        floor_two: middle(&two),
        share: share(&one),
        share_two: share(&two),
        engines,
    }
}

/// Tables and remarks.
pub fn text(workloads: &Workloads, findings: &Findings) -> String {
    let lines = lines(findings);
    let rounds = findings.limits.len();
    let rows = workloads.sizes.rows;
    let mut out = format!("{rows} rows, medians of {rounds} interleaved rounds, ratios inside a round\n\n");
    let mut table = plain_table();
    let mut head = ["", "unit", "floor", "2 cores"].map(str::to_string).to_vec();
    let peers = workloads.programs.iter().map(|program| program.name);
    for engine in peers.clone() {
        head.push(engine.to_string());
        let more = if engine == FOREBAY { ["of floor", "of 2 cores"].as_slice() } else { &["faster than it"] };
        head.extend(more.iter().map(|name| (*name).to_string()));
    }
    table.set_header(head);
    for line in &lines {
        let mut cells = vec![line.name.clone(), line.unit.text().into(), short(line.floor), short(line.floor_two)];
        for engine in peers.clone() {
            let measured = line.engines.get(engine);
            cells.push(short(measured.map(|measured| measured.value)));
            if engine == FOREBAY {
                cells.extend([ratio(line.share, ""), ratio(line.share_two, "")]);
            } else {
                cells.push(ratio(measured.and_then(|measured| measured.forebay_times), " x"));
            }
        }
        table.add_row(cells);
    }
    align(&mut table, 2);
    let _ = writeln!(out, "{table}\n");
    let _ = writeln!(out, "{}\n", costs(workloads, &lines));
    let _ = writeln!(out, "{}\n", steps(findings));
    for name in [crate::programs::PAIMON_RUST, crate::programs::JAVA] {
        if peers.clone().all(|peer| peer != name) {
            let _ = writeln!(out, "not measured: {name} is not at hand");
        }
    }
    for failure in &findings.failures {
        let _ = writeln!(out, "no figure: {failure}");
    }
    out
}

/// CPU time and memory.
fn costs(workloads: &Workloads, lines: &[Line]) -> Table {
    let mut table = plain_table();
    let mut head = vec![String::new()];
    for program in &workloads.programs {
        head.extend([format!("{} CPU us/row", program.name), "peak MiB".into()]);
    }
    table.set_header(head);
    for line in lines.iter().filter(|line| line.unit == Unit::Rate) {
        let mut cells = vec![line.name.clone()];
        for program in &workloads.programs {
            let measured = line.engines.get(program.name);
            cells.push(ratio(measured.and_then(|measured| measured.cpu), ""));
            cells.push(short(measured.and_then(|measured| measured.peak_mib)));
        }
        table.add_row(cells);
    }
    align(&mut table, 1);
    table
}

/// The steps of the floor.
fn steps(findings: &Findings) -> Table {
    let mut table = plain_table();
    table.set_header(["step of the floor, one core", "ns/row"]);
    let names = findings.limits.values().next().and_then(|limits| limits["steps"].as_object());
    for name in names.into_iter().flat_map(|steps| steps.keys()) {
        let values = findings.limits.values().filter_map(|limits| limits["steps"][name].as_f64()).collect();
        table.add_row([name.clone(), format!("{:.1}", median(values))]);
    }
    align(&mut table, 1);
    table
}

/// A table without lines.
pub fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// Sets the columns from one on to the right.
pub fn align(table: &mut Table, from: usize) {
    table.column_iter_mut().skip(from).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
}

fn short(value: Option<f64>) -> String {
    value.map_or("-".into(), |value| format!("{value:.*}", if value.abs() < 100.0 { 2 } else { 0 }))
}

fn ratio(value: Option<f64>, unit: &str) -> String {
    value.map_or("-".into(), |value| format!("{value:.2}{unit}"))
}

/// Every figure, what each engine answered, and the medians of the table.
pub fn json(workloads: &Workloads, findings: &Findings) -> Value {
    let figure = |taken: &Taken| {
        let figure = &taken.figure;
        json!({
            "round": taken.round, "engine": taken.engine, "name": figure.name, "unit": figure.unit.text(),
            "value": figure.value, "cpu_us_per_row": figure.cpu, "peak_mib": figure.peak_mib, "answers": figure.raw,
        })
    };
    let engine = |(name, measured): (&&str, &Measured)| {
        let value = json!({
            "value": measured.value, "cpu_us_per_row": measured.cpu, "peak_mib": measured.peak_mib,
            "forebay_is_times_better": measured.forebay_times,
        });
        ((*name).to_string(), value)
    };
    let line = |line: &Line| {
        json!({
            "name": line.name, "unit": line.unit.text(), "floor": line.floor, "floor_two_cores": line.floor_two,
            "share_of_floor": line.share, "share_of_two_cores": line.share_two,
            "engines": line.engines.iter().map(engine).collect::<serde_json::Map<_, _>>(),
        })
    };
    json!({
        "rows": workloads.sizes.rows,
        "rounds": findings.limits.len(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "medians": lines(findings).iter().map(line).collect::<Vec<_>>(),
        "figures": findings.figures.iter().map(figure).collect::<Vec<_>>(),
        "limits": findings.limits.values().collect::<Vec<_>>(),
        "failures": findings.failures,
    })
}
