//! Cases of picking: runs as level and size, newest first.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::format::{BinaryRow, data_file};
use crate::schema::{Schema, TableOptions};
use crate::types::{DataType, Datum};

const NIGHT: i64 = 2 * 3_600_000;

pub(in crate::lsm) fn options(set: &[(&str, &str)]) -> CompactionOptions {
    let schema = Schema::builder().column("k", DataType::INT).primary_key(["k"]).option("bucket", "1");
    let schema = set.iter().fold(schema, |schema, (key, value)| schema.option(*key, *value)).build().unwrap();
    TableOptions::parse(&schema).unwrap().compaction
}

/// A file with keys of its own.
fn file(at: usize, level: i32, size: i64) -> DataFileMeta {
    let key = |value: usize| BinaryRow::encode(&[Datum::Int(value as i32)], &[DataType::INT]).unwrap();
    DataFileMeta {
        row_count: size,
        min_key: key(at * 10),
        max_key: key(at * 10 + 9),
        min_sequence_number: 1000 - at as i64,
        max_sequence_number: 1000 - at as i64,
        level,
        creation_time: Some(1_000),
        file_source: Some(FileSource::Compact),
        ..data_file(&format!("data-{at}.parquet"), size)
    }
}

fn levels(runs: &[(i32, i64)], options: &CompactionOptions) -> Levels {
    let files = runs.iter().enumerate().map(|(at, (level, size))| file(at, *level, *size)).collect();
    Levels::new(files, options.num_levels, &[DataType::INT]).unwrap()
}

/// How many runs are taken, the level they go to, why, and whether deletes go.
type Shape = (usize, i32, Trigger, bool);

/// Options that are set.
type Set = &'static [(&'static str, &'static str)];

fn picked(runs: &[(i32, i64)], set: &[(&str, &str)], now: Moment) -> Option<Shape> {
    let options = options(set);
    let unit = pick(&levels(runs, &options), &options, &now)?;
    Some((unit.runs.len(), unit.output_level, unit.trigger, unit.drops_deletes))
}

#[test]
fn the_runs_of_like_size_are_taken_and_go_above_the_first_that_stays() {
    use Trigger::{RunCount, SizeAmplification, SizeRatio};
    let (small, trigger_3): (Set, Set) = (&[], &[("num-sorted-run.compaction-trigger", "3"), ("num-levels", "6")]);
    for (what, runs, set, wanted) in [
        ("too few runs", vec![(0, 1), (0, 1), (0, 1), (0, 1)], small, None),
        ("all alike", vec![(0, 1); 5], small, Some((5, 5, SizeAmplification, true))),
        (
            "small beside a large one",
            vec![(0, 1), (0, 1), (0, 1), (0, 1), (5, 1000)],
            small,
            Some((4, 4, SizeRatio, false)),
        ),
        (
            "the newest is smaller, and the rest of level 0 is certain to follow only once one has joined",
            vec![(0, 1), (0, 100), (0, 100), (0, 100), (5, 100_000)],
            small,
            None,
        ),
        (
            "once one has joined, level 0 follows whatever its size",
            vec![(0, 1), (0, 1), (0, 900), (0, 10), (5, 100_000)],
            small,
            Some((4, 4, SizeRatio, false)),
        ),
        (
            "a level above 1 follows only when it is alike",
            vec![(0, 10), (0, 10), (0, 10), (3, 1000), (5, 100_000)],
            small,
            Some((3, 2, SizeRatio, false)),
        ),
        (
            "above level 1 there is no room: level 1 is taken too",
            vec![(0, 10), (0, 10), (0, 10), (1, 1000), (5, 100_000)],
            small,
            Some((4, 4, SizeRatio, false)),
        ),
        (
            "deletes go when nothing older stays, although the level is not the highest",
            vec![(0, 10), (0, 10), (0, 9)],
            trigger_3,
            Some((3, 5, SizeAmplification, true)),
        ),
        (
            "too many runs, none alike",
            vec![(0, 1), (2, 100), (3, 10_000), (5, 1_000_000)],
            trigger_3,
            Some((2, 2, RunCount, false)),
        ),
        (
            "more than twice the oldest lies above it",
            vec![(0, 80), (4, 130), (5, 100)],
            trigger_3,
            Some((3, 5, SizeAmplification, true)),
        ),
        ("just twice the oldest", vec![(0, 1), (4, 199), (5, 100)], trigger_3, None),
    ] {
        assert_eq!(picked(&runs, set, Moment::default()), wanted, "{what}");
    }
}

#[test]
fn every_option_moves_the_choice() {
    use Trigger::{IncrementalSize, Level0, OptimizationInterval, SizeAmplification, SizeRatio, TotalSize};
    let lookup = ("changelog-producer", "lookup");
    let gentle: &[(&str, &str)] = &[lookup, ("lookup-compact", "gentle"), ("lookup-compact.max-interval", "6")];
    let quiet: &[(&str, &str)] = &[
        ("num-sorted-run.compaction-trigger", "2"),
        ("compaction.offpeak.start.hour", "1"),
        ("compaction.offpeak.end.hour", "3"),
        ("compaction.offpeak-ratio", "900"),
    ];
    let at = |local_millis| Moment { local_millis, put_off: 0 };
    for (what, runs, set, now, wanted) in [
        (
            "num-levels",
            vec![(0, 1); 5],
            &[("num-levels", "3")] as &[(&str, &str)],
            at(0),
            Some((5, 2, SizeAmplification, true)),
        ),
        (
            "max-size-amplification-percent",
            vec![(0, 4), (5, 100)],
            &[("num-sorted-run.compaction-trigger", "2"), ("compaction.max-size-amplification-percent", "3")],
            at(0),
            Some((2, 5, SizeAmplification, true)),
        ),
        (
            "size-ratio",
            vec![(0, 10), (4, 100), (5, 100_000)],
            &[("num-sorted-run.compaction-trigger", "3"), ("num-levels", "6"), ("compaction.size-ratio", "900")],
            at(0),
            Some((2, 4, SizeRatio, false)),
        ),
        ("quiet hours", vec![(0, 10), (4, 100), (5, 100_000)], quiet, at(NIGHT), Some((2, 4, SizeRatio, false))),
        (
            "optimization-interval",
            vec![(0, 1), (5, 100)],
            &[("compaction.optimization-interval", "1 h")],
            at(1_001 + 3_600_000),
            Some((2, 5, OptimizationInterval, true)),
        ),
        (
            "its time has not come",
            vec![(0, 1), (5, 100)],
            &[("compaction.optimization-interval", "1 h")],
            at(5_000),
            None,
        ),
        (
            "total-size-threshold",
            vec![(0, 1), (5, 98)],
            &[("compaction.total-size-threshold", "100 b")],
            at(0),
            Some((2, 5, TotalSize, true)),
        ),
        ("a table above it", vec![(0, 1), (5, 99)], &[("compaction.total-size-threshold", "100 b")], at(0), None),
        (
            "incremental-size-threshold",
            vec![(0, 11), (5, 99)],
            &[("compaction.incremental-size-threshold", "10 b")],
            at(0),
            Some((2, 5, IncrementalSize, true)),
        ),
        (
            "force-up-level-0",
            vec![(0, 1), (5, 99)],
            &[("compaction.force-up-level-0", "true")],
            at(0),
            Some((1, 4, Level0, false)),
        ),
        ("producer lookup", vec![(0, 1), (5, 99)], &[lookup], at(0), Some((1, 4, Level0, false))),
        ("one flush goes to the top", vec![(0, 1)], &[lookup], at(0), Some((1, 5, Level0, true))),
        ("force-lookup", vec![(0, 1)], &[("force-lookup", "true")], at(0), Some((1, 5, Level0, true))),
        ("nothing in level 0", vec![(4, 1), (5, 99)], &[lookup], at(0), None),
        ("a gentle one waits", vec![(0, 1)], gentle, Moment { local_millis: 0, put_off: 4 }, None),
        ("not for ever", vec![(0, 1)], gentle, Moment { local_millis: 0, put_off: 5 }, Some((1, 5, Level0, true))),
    ] {
        assert_eq!(picked(&runs, set, now), wanted, "{what}");
    }
    assert_eq!(
        picked(&[(0, 10), (4, 100), (5, 100_000)], quiet, at(4 * 3_600_000)).map(|it| it.2),
        Some(Trigger::RunCount)
    );
}

#[test]
fn a_full_compaction_takes_everything_or_only_what_must_be_rewritten() {
    let options_of = |set: &[(&str, &str)]| options(set);
    let plain = options_of(&[]);
    let unit = pick_full(&levels(&[(0, 1), (3, 5), (5, 9)], &plain), &plain, |_| false).unwrap();
    assert_eq!((unit.runs.len(), unit.output_level, unit.drops_deletes), (3, 5, true));
    assert!(pick_full(&levels(&[(5, 1), (5, 2)], &plain), &plain, |_| false).is_none());
    let unit = pick_full(&levels(&[(5, 1), (5, 2)], &plain), &plain, |file| file.file_size == 2).unwrap();
    assert_eq!(unit.files().map(|file| file.file_size).collect::<Vec<_>>(), [2]);
    let forced = options_of(&[("compaction.force-rewrite-all-files", "true")]);
    assert_eq!(pick_full(&levels(&[(5, 1), (5, 2)], &forced), &forced, |_| false).unwrap().files().count(), 2);
    assert!(pick_full(&levels(&[], &plain), &plain, |_| true).is_none());
}

#[test]
fn level_0_stands_from_the_newest_file_to_the_oldest_and_levels_in_key_order() {
    let options = options(&[]);
    let mut files: Vec<DataFileMeta> =
        [(3, 5), (1, 0), (0, 0), (2, 5), (4, 4)].iter().map(|(at, level)| file(*at, *level, 1)).collect();
    files[1].max_sequence_number = 5_000;
    let levels = Levels::new(files, options.num_levels, &[DataType::INT]).unwrap();
    let names: Vec<Vec<&str>> =
        levels.runs().iter().map(|run| run.files.iter().map(|file| file.file_name.as_str()).collect()).collect();
    let wanted: Vec<Vec<&str>> = vec![
        vec!["data-1.parquet"],
        vec!["data-0.parquet"],
        vec!["data-4.parquet"],
        vec!["data-2.parquet", "data-3.parquet"],
    ];
    assert_eq!(names, wanted);
    assert_eq!((levels.level_0(), levels.highest_level(), levels.max_level()), (2, 5, 5));
}

#[test]
fn quiet_hours_may_go_over_midnight() {
    let hours = |start, end| crate::schema::QuietHours { start, end, ratio: 1 };
    let quiet = |hours: crate::schema::QuietHours| (0..24).filter(|hour| hours.holds(*hour)).collect::<Vec<u8>>();
    assert_eq!(quiet(hours(1, 3)), [1, 2]);
    assert_eq!(quiet(hours(22, 1)), [0, 22, 23]);
    assert_eq!(
        options(&[("compaction.offpeak.start.hour", "4"), ("compaction.offpeak.end.hour", "4")]).quiet_hours,
        None
    );
    let of = options(&[("compaction.optimization-interval", "90 min")]).optimization_interval;
    assert_eq!(of, Some(Duration::from_secs(5400)));
}

#[test]
fn a_gentle_compaction_counts_how_often_it_was_put_off() {
    let gentle = options(&[("changelog-producer", "lookup"), ("lookup-compact", "gentle")]);
    let bucket = levels(&[(0, 1)], &gentle);
    let mut now = Moment::default();
    let mut times = BTreeMap::new();
    for commit in 1..=20 {
        let unit = pick(&bucket, &gentle, &now);
        now.put_off = put_off(&bucket, &gentle, &now, unit.is_some());
        times.insert(commit, unit.is_some());
    }
    assert_eq!(times.into_iter().filter(|(_, picked)| *picked).map(|(at, _)| at).collect::<Vec<_>>(), [10, 20]);
}
