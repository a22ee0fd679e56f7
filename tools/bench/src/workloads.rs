//! The workloads: what each asks of an engine, and the gate its figure must pass.
//!
//! | id | run |
//! |---|---|
//! | W1, W1b | upsert of `rows` rows over as many uniform keys in 10 commits, 1 or 4 buckets, no compaction |
//! | W2 | half the rows over a fifth of the keys, Zipf 1, 5 commits |
//! | W3, W3p | scan of W1's table, 10 overlapping runs; all columns, or `id`, `c_int`, `c_city` |
//! | W4 | full compaction of W1's table of Forebay, by each engine that compacts, on a copy of its own |
//! | W5 | half the rows over uniform keys in 5 commits, each with its changelog by lookup and its compaction |
//! | W6 | gets by key on W1's table, 10 overlapping runs, and on W9's, compacted; Forebay and Java |
//! | W7 | commits of 1000 rows with a reader that follows |
//! | W8 | plan of as many files as buckets |
//! | W9 | scan of W1's table of Forebay after Java compacted it: the same table for every engine |

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::data::{Expected, Keys};
use crate::measure::Outcome;
use crate::programs::{FOREBAY, JAVA, Program};

/// Names of the workloads, in the order of a round.
pub const ALL: [&str; 11] = ["W1", "W1b", "W2", "W3", "W3p", "W4", "W5", "W6", "W7", "W8", "W9"];
/// Repetitions of a scan or a plan in one process; the first two are to warm up, for every engine alike.
const REPS: usize = 5;
const WARM: usize = 2;
/// Commits of W1.
const COMMITS: u64 = 10;
/// Memory of W6's lookup: the table fits into it decoded.
const LOOKUP_MEMORY: u64 = 1 << 30;

/// How large the workloads are.
pub struct Sizes {
    /// Rows of W1.
    pub rows: u64,
    /// Commits of W7, a short and a long run.
    pub small_commits: [u64; 2],
    /// Files of W8, and rows in them.
    pub files: u64,
    pub rows_in_files: u64,
}

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Thousands of rows in a second; more is better.
    Rate,
    /// Milliseconds; less is better.
    Millis,
    /// Microseconds; less is better.
    Micros,
    /// Microseconds that a commit takes longer than the one before; less is better.
    Slope,
}

/// One figure of one engine.
pub struct Figure {
    pub name: String,
    pub unit: Unit,
    pub value: f64,
    /// CPU microseconds for each row, where rows are counted.
    pub cpu: Option<f64>,
    pub peak_mib: Option<f64>,
    /// What the engine answered.
    pub raw: Vec<Value>,
}

/// A set of workloads on one warehouse.
pub struct Workloads {
    pub sizes: Sizes,
    pub warehouse: PathBuf,
    pub programs: Vec<Program>,
    uniform: Expected,
    skewed: Expected,
    sparse: Expected,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

fn number(answer: &Value, name: &str) -> Outcome<f64> {
    answer[name].as_f64().ok_or_else(|| format!("no number {name} in {answer}").into())
}

fn numbers(answer: &Value, name: &str) -> Outcome<Vec<f64>> {
    let list = answer[name].as_array().ok_or_else(|| format!("no list {name} in {answer}"))?;
    list.iter().map(|value| value.as_f64().ok_or_else(|| format!("{value} is no number").into())).collect()
}

/// The middle one, or the greater of the two middle ones.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Workloads {
    /// Counts beforehand what correct tables hold.
    pub fn new(sizes: Sizes, warehouse: PathBuf, programs: Vec<Program>) -> Self {
        let uniform = Expected::after(sizes.rows, Keys { space: sizes.rows, zipf: false });
        let skewed = Expected::after(sizes.rows / 2, Keys { space: sizes.rows / 5, zipf: true });
        let sparse = Expected::after(sizes.rows / 2, Keys { space: sizes.rows, zipf: false });
        Self { sizes, warehouse, programs, uniform, skewed, sparse }
    }

    /// What must be there before a round's engines take turns; once for all rounds.
    pub fn prepare(&self, workload: &str) -> Outcome<()> {
        match workload {
            // Without Java there is no compacted table, and the figures on it are left out.
            "W6" if self.engine(JAVA).is_some() => self.compacted(),
            "W8" => self.many_files(),
            "W9" => self.compacted(),
            _ => Ok(()),
        }
    }

    /// Runs one workload on one engine.
    pub fn run(&self, workload: &str, program: &Program) -> Outcome<Vec<Figure>> {
        let own = format!("w1_{}", program.name.replace('-', "_"));
        match workload {
            "W1" => {
                self.write(workload, program, &own, &format!("--commits {COMMITS}"), self.sizes.rows, &self.uniform)
            }
            "W1b" => self.write(
                workload,
                program,
                "w1b",
                &format!("--commits {COMMITS} --buckets 4"),
                self.sizes.rows,
                &self.uniform,
            ),
            "W2" => {
                let more = format!("--commits 5 --zipf --keys {}", self.sizes.rows / 5);
                self.write(workload, program, "w2", &more, self.sizes.rows / 2, &self.skewed)
            }
            "W3" | "W3p" => {
                if !self.directory(&own).exists() {
                    self.run("W1", program)?;
                }
                self.scan(workload, program, &own)
            }
            "W4" | "W5" | "W6" if ![FOREBAY, JAVA].contains(&program.name) => Ok(Vec::new()),
            "W4" => self.compact(program),
            "W5" => {
                let options = "--options changelog-producer=lookup,write-only=false";
                let more = format!("--commits 5 --keys {} {options}", self.sizes.rows);
                self.write(workload, program, "w5", &more, self.sizes.rows / 2, &self.sparse)
            }
            "W6" => {
                if !self.directory(&own).exists() {
                    self.run("W1", program)?;
                }
                let mut figures = self.lookup(program, &own, "10 runs")?;
                if self.directory("w9").exists() {
                    figures.extend(self.lookup(program, "w9", "compacted")?);
                }
                Ok(figures)
            }
            "W7" => self.latency(program),
            "W8" => self.plan(program),
            "W9" => self.scan(workload, program, "w9"),
            _ => Err(format!("{workload:?} is not one of {ALL:?}").into()),
        }
    }

    fn directory(&self, table: &str) -> PathBuf {
        self.warehouse.join("b.db").join(table)
    }

    /// The words that every verb begins with.
    fn place(&self, table: &str, more: &str) -> Vec<String> {
        let mut place = vec!["--warehouse".to_string(), self.warehouse.to_string_lossy().into_owned()];
        place.extend(words(&format!("--table {table} {more}")));
        place
    }

    fn engine(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    fn write(
        &self,
        name: &str,
        program: &Program,
        table: &str,
        more: &str,
        rows: u64,
        expected: &Expected,
    ) -> Outcome<Vec<Figure>> {
        let warm = if program.name == JAVA { "--warm-commits 3" } else { "" };
        let raw = program.ask("write", &self.place(table, &format!("--rows {rows} {more} {warm}")))?;
        let answer = &raw[0];
        let rows = rows as f64;
        let figure = Figure {
            name: name.to_string(),
            unit: Unit::Rate,
            value: rows / number(answer, "secs")? / 1e3,
            cpu: Some(number(answer, "cpu")? * 1e6 / rows),
            peak_mib: Some(number(answer, "peak_mib")?),
            raw: raw.clone(),
        };
        self.check(&program.ask("scan", &self.place(table, "--reps 1"))?, expected, true)?;
        if let (FOREBAY, Some(java)) = (program.name, self.engine(JAVA)) {
            self.check(&java.ask("scan", &self.place(table, "--reps 1"))?, expected, true)
                .map_err(|error| format!("read back by Java: {error}"))?;
        }
        Ok(vec![figure])
    }

    /// The gate: a figure whose rows are not the expected ones does not count.
    fn check(&self, scans: &[Value], expected: &Expected, long: bool) -> Outcome<()> {
        let sum = if long { expected.sum_long } else { expected.sum_int };
        let wanted = json!({"rows": expected.rows, "sum": sum.to_string()});
        for scan in scans {
            if scan["rows"] != wanted["rows"] || scan["sum"] != wanted["sum"] {
                return Err(format!("the gate wants {wanted}, and {scan} was read").into());
            }
        }
        Ok(())
    }

    fn scan(&self, name: &str, program: &Program, table: &str) -> Outcome<Vec<Figure>> {
        let projected = name == "W3p";
        let columns = if projected { "--columns id,c_int,c_city --sum c_int" } else { "" };
        let raw = program.ask("scan", &self.place(table, &format!("--reps {REPS} {columns}")))?;
        self.check(&raw, &self.uniform, !projected)?;
        let rows = self.uniform.rows as f64;
        let warm = &raw[WARM.min(raw.len() - 1)..];
        let of = |name| warm.iter().map(|answer| number(answer, name)).collect::<Outcome<Vec<_>>>();
        Ok(vec![Figure {
            name: name.to_string(),
            unit: Unit::Rate,
            value: rows / median(of("secs")?) / 1e3,
            cpu: Some(median(of("cpu")?) * 1e6 / rows),
            peak_mib: of("peak_mib")?.into_iter().reduce(f64::max),
            raw: raw.clone(),
        }])
    }

    /// Medians are over the second half of the commits, when a JIT has settled and history has grown.
    fn latency(&self, program: &Program) -> Outcome<Vec<Figure>> {
        let mut figures = Vec::new();
        for commits in self.sizes.small_commits {
            let raw = program.ask("latency", &self.place("w7", &format!("--rows 1000 --commits {commits}")))?;
            let (commit, visible) = (numbers(&raw[0], "commit_ms")?, numbers(&raw[0], "visible_ms")?);
            let half = commit.len() / 2;
            let figure = |name: &str, unit, value| Figure {
                name: format!("W7 {name}, {commits} commits"),
                unit,
                value,
                cpu: None,
                peak_mib: None,
                raw: raw.clone(),
            };
            let slope = slope(&commit[half..]) * 1e3;
            figures.push(figure("commit", Unit::Millis, median(commit[half..].to_vec())));
            figures.push(figure("visible", Unit::Millis, median(visible[half..].to_vec())));
            figures.push(figure("slope", Unit::Slope, slope));
        }
        Ok(figures)
    }

    /// The program itself compares every row with the generator's. Java has no lookup by batch.
    fn lookup(&self, program: &Program, table: &str, what: &str) -> Outcome<Vec<Figure>> {
        let raw = program.ask(
            "lookup",
            &self.place(table, &format!("--rows {} --gets 20000 --memory {LOOKUP_MEMORY}", self.sizes.rows)),
        )?;
        let answer = &raw[0];
        let figure = |name: &str, unit, value| Figure {
            name: format!("W6 {name}, {what}"),
            unit,
            value,
            cpu: None,
            peak_mib: answer["peak_mib"].as_f64(),
            raw: raw.clone(),
        };
        let mut figures = vec![figure("first row", Unit::Millis, number(answer, "first_ms")?)];
        for (pass, name) in ["first pass", "again", "other keys"].iter().enumerate() {
            let pass = &answer["passes"][pass];
            figures.push(figure(&format!("p50 {name}"), Unit::Micros, number(pass, "p50_us")?));
            figures.push(figure(&format!("p99 {name}"), Unit::Micros, number(pass, "p99_us")?));
        }
        if program.name == FOREBAY {
            let keys = number(answer, "gets")? / number(answer, "batch_secs")? / 1e3;
            figures.push(figure("batch", Unit::Rate, keys));
        }
        Ok(figures)
    }

    fn plan(&self, program: &Program) -> Outcome<Vec<Figure>> {
        let raw = program.ask("plan", &self.place("w8", &format!("--reps {REPS}")))?;
        if let Some(answer) = raw.iter().find(|answer| answer["files"] != json!(self.sizes.files)) {
            return Err(format!("the gate wants {} files, and {answer} was planned", self.sizes.files).into());
        }
        let warm = &raw[WARM.min(raw.len() - 1)..];
        let of = |name| warm.iter().map(|answer| number(answer, name)).collect::<Outcome<Vec<_>>>();
        let figure = |name: &str, secs| Figure {
            name: name.to_string(),
            unit: Unit::Millis,
            value: secs * 1e3,
            cpu: None,
            peak_mib: None,
            raw: raw.clone(),
        };
        Ok(vec![figure("W8 cold handle", median(of("secs")?)), figure("W8 again", median(of("again_secs")?))])
    }

    /// W8's table: one commit, one file in each bucket. The first engine writes it; every engine plans it.
    fn many_files(&self) -> Outcome<()> {
        let Sizes { files, rows_in_files: rows, .. } = self.sizes;
        let writer = self.programs.first().ok_or("no engine writes W8's table")?;
        writer.ask("write", &self.place("w8", &format!("--rows {rows} --commits 1 --buckets {files}")))?;
        Ok(())
    }

    fn compact(&self, program: &Program) -> Outcome<Vec<Figure>> {
        self.copy_of_first("w4")?;
        let raw = program.ask("compact", &self.place("w4", ""))?;
        self.check(&program.ask("scan", &self.place("w4", "--reps 1"))?, &self.uniform, true)?;
        let Sizes { rows, .. } = self.sizes;
        let rows = Expected::rows_of_commits(rows, Keys { space: rows, zipf: false }, COMMITS) as f64;
        Ok(vec![Figure {
            name: "W4".to_string(),
            unit: Unit::Rate,
            value: rows / number(&raw[0], "secs")? / 1e3,
            cpu: Some(number(&raw[0], "cpu")? * 1e6 / rows),
            peak_mib: Some(number(&raw[0], "peak_mib")?),
            raw,
        }])
    }

    /// W9's table: a copy of the first engine's W1, compacted by Java: all engines scan the same files.
    fn compacted(&self) -> Outcome<()> {
        if self.directory("w9").exists() {
            return Ok(());
        }
        let java = self.engine(JAVA).ok_or("W9 needs Java, which compacts its table")?;
        self.copy_of_first("w9")?;
        java.ask("compact", &self.place("w9", ""))?;
        Ok(())
    }

    /// A new copy of the first engine's W1 under another name.
    fn copy_of_first(&self, name: &str) -> Outcome<()> {
        let writer = self.programs.first().ok_or("no engine writes W1's table")?;
        let source = self.directory(&format!("w1_{}", writer.name.replace('-', "_")));
        if !source.exists() {
            self.run("W1", writer)?;
        }
        let copy = self.directory(name);
        if copy.exists() {
            std::fs::remove_dir_all(&copy)?;
        }
        let status = Command::new("cp").arg("-r").arg(source).arg(copy).status()?;
        if !status.success() {
            return Err(format!("cp of W1's table: {status}").into());
        }
        Ok(())
    }
}

/// How much each value is greater than the one before, by least squares.
fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n;
    let pairs = || values.iter().enumerate().map(|(at, value)| (at as f64 - middle, value - mean));
    pairs().map(|(x, y)| x * y).sum::<f64>() / pairs().map(|(x, _)| x * x).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_the_growth_of_a_value_by_its_position() {
        assert!((slope(&[5.0, 5.5, 6.0, 6.5]) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn the_gates_are_those_that_java_and_the_paimon_crate_agreed_on() {
        let uniform = Expected::after(5_000_000, Keys { space: 5_000_000, zipf: false });
        assert_eq!((uniform.rows, uniform.sum_long), (3_159_719, 14_573_192_030_951_832_329_964_575));
        let zipf = Expected::after(2_500_000, Keys { space: 1_000_000, zipf: true });
        assert_eq!((zipf.rows, zipf.sum_long), (330_785, 1_524_684_860_509_658_370_969_353));
    }
}
