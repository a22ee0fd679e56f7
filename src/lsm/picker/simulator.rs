//! What a policy costs: read, write and space amplification over a workload, simulated on sets of keys.
//!
//! `cargo test -p forebay --lib simulator -- --nocapture` prints the table.

use std::collections::{BTreeMap, BTreeSet};

use super::tests::options;
use super::*;
use crate::format::{BinaryRow, data_file};
use crate::types::{DataType, Datum};

/// What a run of a policy cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Rows written by flushes and compactions for each row that came in.
    write: f64,
    /// Sorted runs that a reader merges, on average over all commits.
    read: f64,
    /// The most of them.
    most_runs: usize,
    /// Rows stored for each row that is live, on average over all commits.
    space: f64,
}

/// A workload: the keys of each flush.
type Workload = Vec<BTreeSet<u32>>;

/// Uniform updates of a key space.
fn uniform(commits: u32, rows: u32, keys: u32) -> Workload {
    let mix = |x: u32| x.wrapping_mul(0x9E37_79B9).rotate_left(13).wrapping_mul(0x85EB_CA6B) >> 4;
    (0..commits).map(|commit| (0..rows).map(|row| mix(commit * rows + row) % keys).collect()).collect()
}

/// Keys that only grow, as an ever larger log.
fn growing(commits: u32, rows: u32) -> Workload {
    (0..commits).map(|commit| (commit * rows..(commit + 1) * rows).collect()).collect()
}

fn describe(name: &str, level: i32, keys: &BTreeSet<u32>, number: i64) -> DataFileMeta {
    let key = |value: Option<&u32>| {
        let datum = Datum::Int(value.map_or(0, |key| *key as i32));
        BinaryRow::encode(&[datum], &[DataType::INT]).unwrap()
    };
    DataFileMeta {
        row_count: keys.len() as i64,
        min_key: key(keys.first()),
        max_key: key(keys.last()),
        min_sequence_number: number,
        max_sequence_number: number,
        level,
        creation_time: Some(number),
        file_source: Some(FileSource::Compact),
        ..data_file(name, keys.len() as i64)
    }
}

/// Flushes a workload and compacts after each flush as the policy says.
fn simulate(workload: &Workload, options: &CompactionOptions) -> Cost {
    let mut files: BTreeMap<String, (DataFileMeta, BTreeSet<u32>)> = BTreeMap::new();
    let (mut came, mut written, mut runs, mut most_runs, mut space) = (0, 0, 0, 0, 0.0);
    let mut live: BTreeSet<u32> = BTreeSet::new();
    let mut now = Moment::default();
    for (commit, keys) in workload.iter().enumerate() {
        let number = commit as i64;
        let name = format!("flush-{commit}");
        files.insert(name.clone(), (describe(&name, 0, keys, number), keys.clone()));
        live.extend(keys);
        came += keys.len();
        written += keys.len();
        let metas = files.values().map(|(file, _)| file.clone()).collect();
        let levels = Levels::new(metas, options.num_levels, &[DataType::INT]).unwrap();
        let unit = pick(&levels, options, &now);
        now.put_off = put_off(&levels, options, &now, unit.is_some());
        if let Some(unit) = unit {
            let mut merged = BTreeSet::new();
            let mut newest = 0;
            for file in unit.files() {
                newest = newest.max(file.max_sequence_number);
                merged.extend(files.remove(&file.file_name).unwrap().1);
            }
            written += merged.len();
            let name = format!("compact-{commit}");
            files.insert(name.clone(), (describe(&name, unit.output_level, &merged, newest), merged));
        }
        runs += files.len();
        most_runs = most_runs.max(files.len());
        let stored: usize = files.values().map(|(_, keys)| keys.len()).sum();
        space += stored as f64 / live.len() as f64;
    }
    let commits = workload.len() as f64;
    Cost { write: written as f64 / came as f64, read: runs as f64 / commits, most_runs, space: space / commits }
}

#[test]
fn policies_trade_reads_for_writes_and_keep_their_bounds() {
    let policies: [(&str, &[(&str, &str)]); 5] = [
        ("default", &[]),
        ("trigger 3", &[("num-sorted-run.compaction-trigger", "3"), ("num-levels", "6")]),
        ("trigger 10", &[("num-sorted-run.compaction-trigger", "10")]),
        ("level 0 each time", &[("compaction.force-up-level-0", "true")]),
        ("amplification 50", &[("compaction.max-size-amplification-percent", "50")]),
    ];
    let workloads = [("uniform updates", uniform(200, 200, 10_000)), ("growing keys", growing(200, 200))];
    println!("{:<16} {:<18} {:>6} {:>6} {:>5} {:>6}", "workload", "policy", "write", "read", "runs", "space");
    let mut costs = BTreeMap::new();
    for (workload_name, workload) in &workloads {
        for (policy, set) in policies {
            let options = options(set);
            let cost = simulate(workload, &options);
            println!(
                "{workload_name:<16} {policy:<18} {:>6.2} {:>6.2} {:>5} {:>6.2}",
                cost.write, cost.read, cost.most_runs, cost.space
            );
            // After each commit's compaction no more runs stay than the trigger allows, and no more is stored than
            // the amplification allows (and the runs below the trigger, at the beginning).
            assert!(cost.most_runs <= options.run_trigger, "{policy}: {cost:?}");
            assert!(cost.space <= 1.5 + options.max_size_amplification as f64 / 100.0, "{policy}: {cost:?}");
            costs.insert((*workload_name, policy), cost);
        }
        let of = |policy: &str| costs[&(*workload_name, policy)];
        assert!(of("trigger 3").read < of("default").read && of("default").read < of("trigger 10").read);
        assert!(of("trigger 10").write < of("default").write && of("default").write < of("trigger 3").write);
        assert!(of("default").write < 20.0, "universal compaction writes each row some times, not hundreds");
    }
}
