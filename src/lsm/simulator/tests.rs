use super::super::picker::tests::options;
use super::*;

const PACE: Pace = Pace { millis: 60_000, row_bytes: 1 };

/// Uniform updates of a key space.
fn uniform(commits: u32, rows: u32, keys: u32) -> Vec<BTreeSet<i32>> {
    let mix = |x: u32| x.wrapping_mul(0x9E37_79B9).rotate_left(13).wrapping_mul(0x85EB_CA6B) >> 4;
    (0..commits).map(|commit| (0..rows).map(|row| (mix(commit * rows + row) % keys) as i32).collect()).collect()
}

/// Keys that only grow, as an ever larger log.
fn growing(commits: i32, rows: i32) -> Vec<BTreeSet<i32>> {
    (0..commits).map(|commit| (commit * rows..(commit + 1) * rows).collect()).collect()
}

fn mean(points: &[Point], of: impl Fn(&Point) -> f64) -> f64 {
    points.iter().map(of).sum::<f64>() / points.len() as f64
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
    for (workload_name, workload) in [("uniform", uniform(200, 200, 10_000)), ("growing", growing(200, 200))] {
        let mut costs = BTreeMap::new();
        for (policy, set) in policies {
            let options = options(set);
            let points = simulate(workload.clone(), &options, &PACE).unwrap();
            let most_runs = points.iter().map(|point| point.runs).max().unwrap();
            let space = mean(&points, Point::space_amplification);
            // After each commit's compaction no more runs stay than the trigger allows, and no more is stored than
            // the amplification allows (and the runs below the trigger, at the beginning).
            assert!(most_runs <= options.run_trigger, "{workload_name} {policy}: {most_runs}");
            assert!(space <= 1.5 + options.max_size_amplification as f64 / 100.0, "{workload_name} {policy}: {space}");
            let read = mean(&points, |point| point.runs as f64);
            costs.insert(policy, (read, points.last().unwrap().write_amplification()));
        }
        let ((read_3, write_3), (read, write), (read_10, write_10)) =
            (costs["trigger 3"], costs["default"], costs["trigger 10"]);
        assert!(read_3 < read && read < read_10, "{workload_name}: {costs:?}");
        assert!(write_10 < write && write < write_3, "{workload_name}: {costs:?}");
        assert!(write < 20.0, "universal compaction writes each row some times, not hundreds: {costs:?}");
    }
}

#[test]
fn the_time_of_day_passes() {
    // Two runs of like size are merged off-peak only where the ratio of those hours allows it.
    let at_night = options(&[
        ("num-sorted-run.compaction-trigger", "2"),
        ("compaction.offpeak.start.hour", "2"),
        ("compaction.offpeak.end.hour", "4"),
        ("compaction.offpeak-ratio", "10000"),
        ("compaction.max-size-amplification-percent", "100000"),
    ]);
    let hourly = Pace { millis: 3_600_000, ..PACE };
    let big = (0..10_000).collect::<BTreeSet<i32>>();
    let small = |from: i32| (from..from + 10).collect::<BTreeSet<i32>>();
    let workload = [big, small(0), small(10), small(20), small(30), small(40)];
    let points = simulate(workload, &at_night, &hourly).unwrap();
    let everything = points.iter().position(|point| point.written >= 20_000);
    assert_eq!(everything, Some(2), "{points:?}");
}

#[test]
fn a_flush_without_keys_is_refused() {
    let error = simulate([BTreeSet::new()], &options(&[]), &PACE).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}
