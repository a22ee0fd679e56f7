//! What compaction policies cost over a workload: simulated by the picker itself, as a table and as a plot.

use std::collections::BTreeSet;
use std::path::PathBuf;

use comfy_table::Table;
use forebay::lsm::{Pace, Point, simulate};
use forebay::schema::{CompactionOptions, Schema, TableOptions};
use forebay::types::DataType;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::args::Args;
use crate::data::Keys;
use crate::measure::Outcome;
use crate::report::{align, plain_table};

/// Policies that stand beside the one that is asked for.
const KNOWN: [(&str, &[&str]); 5] = [
    ("default", &[]),
    ("trigger 3", &["num-sorted-run.compaction-trigger=3", "num-levels=6"]),
    ("trigger 10", &["num-sorted-run.compaction-trigger=10"]),
    ("level 0 each time", &["compaction.force-up-level-0=true"]),
    ("amplification 50", &["compaction.max-size-amplification-percent=50"]),
];
const WORKLOADS: [&str; 3] = ["uniform", "zipf", "growing"];
/// What a plot shows: a name, and the value of a point.
type Panel = (&'static str, fn(&Point) -> f64);
const PANELS: [Panel; 3] = [
    ("rows written for each row that came", Point::write_amplification),
    ("sorted runs to read", |point| point.runs as f64),
    ("rows stored for each live row", Point::space_amplification),
];

struct Simulation {
    policy: String,
    points: Vec<Point>,
}

/// `[--workload uniform|zipf|growing] [--commits N] [--rows N] [--keys N] [--every-ms N] [--row-bytes N]
/// [--options KEY=VALUE,..] [--svg FILE]`: `--options` adds a policy of its own.
pub fn run(mut args: Args) -> Outcome<()> {
    let workload: String = args.take_or("workload", "uniform".to_string())?;
    let commits: u64 = args.take_or("commits", 200)?;
    let rows: u64 = args.take_or("rows", 500)?;
    let space: u64 = args.take_or("keys", 20_000)?;
    let pace = Pace { millis: args.take_or("every-ms", 60_000)?, row_bytes: args.take_or("row-bytes", 100)? };
    let own = args.list("options")?;
    let svg: Option<PathBuf> = args.take("svg")?;
    args.finish()?;
    if !WORKLOADS.contains(&workload.as_str()) {
        return Err(format!("--workload: {workload} is not one of {WORKLOADS:?}").into());
    }
    if commits == 0 || rows == 0 || space == 0 {
        return Err("--commits, --rows and --keys are 1 at least".into());
    }
    let flushes = flushes(&workload, commits, rows, space)?;
    let mut policies =
        KNOWN.map(|(name, set)| (name.to_string(), set.iter().map(ToString::to_string).collect())).to_vec();
    if !own.is_empty() {
        policies.push((own.join(", "), own));
    }
    let mut simulations = Vec::new();
    for (policy, set) in policies {
        let points = simulate(flushes.clone(), &options(&set)?, &pace)?;
        simulations.push(Simulation { policy, points });
    }
    println!("{}", table(&simulations));
    if let Some(path) = svg {
        let title = format!("{workload}: {commits} commits of {rows} rows");
        plot(&SVGBackend::new(&path, (1100, 1200)).into_drawing_area(), &title, &simulations)?;
    }
    Ok(())
}

fn flushes(workload: &str, commits: u64, rows: u64, space: u64) -> Outcome<Vec<BTreeSet<i32>>> {
    let keys = Keys { space, zipf: workload == "zipf" };
    let key = |row: u64| if workload == "growing" { i64::try_from(row) } else { Ok(keys.of(row)) };
    let flush = |commit: u64| (commit * rows..(commit + 1) * rows).map(|row| Ok(i32::try_from(key(row)?)?)).collect();
    (0..commits).map(flush).collect()
}

fn options(set: &[String]) -> Outcome<CompactionOptions> {
    let mut schema = Schema::builder().column("k", DataType::INT).primary_key(["k"]).option("bucket", "1");
    for option in set {
        let (key, value) = option.split_once('=').ok_or_else(|| format!("--options: {option} is not KEY=VALUE"))?;
        schema = schema.option(key, value);
    }
    Ok(TableOptions::parse(&schema.build()?)?.compaction)
}

fn mean(points: &[Point], of: fn(&Point) -> f64) -> f64 {
    points.iter().map(of).sum::<f64>() / points.len() as f64
}

fn table(simulations: &[Simulation]) -> Table {
    let mut table = plain_table();
    table.set_header(["policy", "written", "runs", "most", "stored"]);
    for Simulation { policy, points } in simulations {
        let most = points.iter().map(|point| point.runs).max().unwrap_or(0);
        let written = points.last().map_or(0.0, Point::write_amplification);
        let figures = [written, mean(points, PANELS[1].1), most as f64, mean(points, PANELS[2].1)];
        table.add_row(std::iter::once(policy.clone()).chain(figures.map(|figure| format!("{figure:.2}"))));
    }
    align(&mut table, 1);
    table
}

fn plot(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, simulations: &[Simulation]) -> Outcome<()> {
    area.fill(&WHITE)?;
    let area = area.titled(title, ("sans-serif", 24))?;
    for (panel, (name, of)) in area.split_evenly((PANELS.len(), 1)).iter().zip(PANELS) {
        let commits = simulations.iter().map(|simulation| simulation.points.len()).max().unwrap_or(0);
        let most = simulations.iter().flat_map(|simulation| &simulation.points).map(of).fold(0.0, f64::max);
        let mut chart = ChartBuilder::on(panel);
        chart.caption(name, ("sans-serif", 18)).margin(12).x_label_area_size(24).y_label_area_size(48);
        let mut chart = chart.build_cartesian_2d(0..commits, 0.0..most * 1.05)?;
        chart.configure_mesh().draw()?;
        for (at, Simulation { policy, points }) in simulations.iter().enumerate() {
            let color = Palette99::pick(at).to_rgba();
            let line = LineSeries::new(points.iter().map(of).enumerate(), &color);
            let key = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color);
            chart.draw_series(line)?.label(policy.as_str()).legend(key);
        }
        let mut labels = chart.configure_series_labels();
        labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).draw()?;
    }
    area.present()?;
    Ok(())
}
