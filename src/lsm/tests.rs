//! Merging against a plain model: a map from key to its newest version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int8Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::merge::Deduplicate;
use super::*;
use crate::error::Result;
use crate::schema::{Schema, TableOptions};
use crate::types::DataType;

/// A version: key, user sequence, kind. Its arrival number is its sequence number.
type Version = (i64, Option<i64>, i8);

fn encoder(long: bool) -> KeyEncoder {
    KeyEncoder::new(&[if long { DataType::STRING } else { DataType::BIGINT }]).unwrap()
}

fn key_lane(keys: &[i64], long: bool) -> ArrayRef {
    match long {
        true => Arc::new(StringArray::from_iter_values(keys.iter().map(|key| format!("a common prefix {key:05}")))),
        false => Arc::new(Int64Array::from(keys.to_vec())),
    }
}

/// Columns key, arrival and user sequence.
fn columns(versions: &[(i64, Version)], long: bool) -> Vec<ArrayRef> {
    let keys: Vec<i64> = versions.iter().map(|(_, version)| version.0).collect();
    let arrivals = Int64Array::from_iter_values(versions.iter().map(|(arrival, _)| *arrival));
    let user: Int64Array = versions.iter().map(|(_, version)| version.1).collect();
    vec![key_lane(&keys, long), Arc::new(arrivals), Arc::new(user)]
}

fn kinds(versions: &[(i64, Version)]) -> Int8Array {
    Int8Array::from_iter_values(versions.iter().map(|(_, version)| version.2))
}

/// The arrival number of the newest version of each key.
fn newest(versions: &[(i64, Version)], ordered: bool, ignore_delete: bool) -> BTreeMap<i64, i64> {
    let mut best: BTreeMap<i64, (Option<i64>, i64)> = BTreeMap::new();
    for (arrival, (key, user, kind)) in versions {
        if ignore_delete && matches!(kind, 1 | 3) {
            continue;
        }
        let rank = (user.filter(|_| ordered), *arrival);
        let entry = best.entry(*key).or_insert(rank);
        *entry = rank.max(*entry);
    }
    best.into_iter().map(|(key, (_, arrival))| (key, arrival)).collect()
}

fn order(ordered: bool) -> Option<SequenceOrder> {
    ordered.then(|| SequenceOrder::new(vec![2], &[DataType::BIGINT], false).unwrap())
}

/// A run of batches of at most three rows, sorted as a file would be.
fn run(mut versions: Vec<(i64, Version)>, long: bool) -> RunReader {
    versions.sort_by_key(|(_, version)| version.0);
    let batches: Vec<Result<RunBatch>> = versions
        .chunks(3)
        .map(|chunk| {
            let columns = columns(chunk, long);
            Ok(RunBatch {
                keys: encoder(long).encode(&columns[..1], chunk.len())?,
                sequence: columns[1].as_primitive::<Int64Type>().clone(),
                kinds: Some(kinds(chunk)),
                columns,
                age: 0,
                level: 0,
            })
        })
        .collect();
    Box::new(batches.into_iter())
}

fn versions() -> impl Strategy<Value = Vec<Version>> {
    prop::collection::vec((0_i64..40, prop::option::of(0_i64..5), 0_i8..4), 0..120)
}

proptest! {
    #[test]
    fn merged_runs_give_the_newest_version_of_every_key(
        all in versions(), cuts in 1_usize..6, long in any::<bool>(), ordered in any::<bool>(),
        ignore_delete in any::<bool>(), batch_rows in 1_usize..10,
    ) {
        let all: Vec<(i64, Version)> = (0..).zip(all).collect();
        // A run holds a key once, as a file does: what its own rows merge to.
        let runs = all.chunks(all.len().div_ceil(cuts).max(1)).map(|chunk| {
            let kept = newest(chunk, ordered, ignore_delete);
            run(chunk.iter().copied().filter(|(at, version)| kept.get(&version.0) == Some(at)).collect(), long)
        });
        let function = Arc::new(Deduplicate { ignore_delete });
        let merged = merge_runs(runs.collect(), order(ordered), function, batch_rows).unwrap();
        let mut found = Vec::new();
        for batch in merged {
            let batch = batch.unwrap();
            prop_assert_eq!(&batch.sequence, batch.columns[1].as_primitive::<Int64Type>());
            found.extend(batch.sequence.values().iter().copied());
        }
        let wanted: Vec<i64> = newest(&all, ordered, ignore_delete).into_values().collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn the_buffer_sorts_by_key_then_sequence_column_then_arrival(all in versions(), long in any::<bool>(), ordered in any::<bool>()) {
        let mut buffer = WriteBuffer::new(encoder(long), vec![0], order(ordered));
        let all: Vec<(i64, Version)> = (0..).zip(all).collect();
        let mut places = Vec::new();
        for chunk in all.chunks(7) {
            let batch = buffer.push(columns(chunk, long), Some(kinds(chunk)), chunk.len()).unwrap();
            places.extend((0..chunk.len() as u32).map(|row| (batch, row)));
        }
        let sorted = buffer.sort(&places);
        let mut wanted: Vec<(i64, Option<i64>, u32)> =
            all.iter().map(|(at, (key, user, _))| (*key, user.filter(|_| ordered), *at as u32)).collect();
        wanted.sort_unstable();
        prop_assert_eq!(&sorted.arrivals, &wanted.iter().map(|(_, _, at)| *at).collect::<Vec<_>>());
        let groups = wanted.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len);
        let ends: Vec<u32> = groups.scan(0, |end, len| { *end += len as u32; Some(*end) }).collect();
        prop_assert_eq!(&sorted.ends, &ends);
    }

    #[test]
    fn numeric_keys_order_as_their_values(a in any::<i64>(), b in any::<i64>(), x in any::<f64>(), y in any::<f64>()) {
        let keys = |types: &[DataType], columns: &[ArrayRef]| match KeyEncoder::new(types).unwrap().encode(columns, 2).unwrap() {
            Keys::Narrow(keys) => keys[0].cmp(&keys[1]),
            Keys::Wide(keys) => keys[0].cmp(&keys[1]),
            Keys::Rows(rows) => rows.row(0).cmp(&rows.row(1)),
        };
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![a, b]));
        prop_assert_eq!(keys(&[DataType::BIGINT], std::slice::from_ref(&longs)), a.cmp(&b));
        let ints: ArrayRef = Arc::new(arrow_array::Int32Array::from(vec![a as i32, b as i32]));
        prop_assert_eq!(keys(&[DataType::INT, DataType::BIGINT], &[ints, longs]), (a as i32, a).cmp(&(b as i32, b)));
        let floats: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![x, y]));
        let java = crate::types::Datum::Double(x).total_cmp(&crate::types::Datum::Double(y));
        prop_assert_eq!(keys(&[DataType::DOUBLE], &[floats]), java);
    }
}

/// The rows of a merge whose batches are of `batch_rows` keys: the smaller, the earlier beginnings are folded.
fn folded(runs: &[Vec<(i64, Version)>], options: &[(&str, &str)], batch_rows: usize) -> (Vec<String>, usize) {
    let mut builder = Schema::builder().column("k", DataType::BIGINT).primary_key(["k"]).option("bucket", "1");
    for column in ["a", "s"] {
        builder = builder.column(column, DataType::BIGINT);
    }
    let schema = options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap();
    let function = merge::of(&schema, &TableOptions::parse(&schema).unwrap(), &[0, 1, 2]).unwrap();
    let widest = Arc::new(Widest(function, AtomicUsize::new(0)));
    let runs = runs.iter().map(|versions| run(versions.clone(), false)).collect();
    let mut rows = Vec::new();
    for batch in merge_runs(runs, None, Arc::clone(&widest) as Arc<dyn MergeFunction>, batch_rows).unwrap() {
        let batch = batch.unwrap();
        let cell = |at: usize, row: usize| {
            let column = batch.columns[at].as_primitive::<Int64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let kind = |row: usize| batch.kinds.as_ref().map_or(0, |kinds| kinds.value(row));
        let text = |row: usize| format!("{} {:?}", kind(row), [0, 1, 2].map(|at| cell(at, row)));
        rows.extend((0..batch.num_rows()).map(text));
    }
    (rows, widest.1.load(Relaxed))
}

/// A function that notes the most versions it was given at once.
#[derive(Debug)]
struct Widest(Arc<dyn MergeFunction>, AtomicUsize);

impl MergeFunction for Widest {
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged> {
        self.1.fetch_max(versions.rows.len(), Relaxed);
        self.0.merge(versions)
    }

    fn folds_beginnings(&self, retracts: bool) -> bool {
        self.0.folds_beginnings(retracts)
    }
}

const FOLDING: [&[(&str, &str)]; 5] = [
    &[
        ("merge-engine", "aggregation"),
        ("fields.a.aggregate-function", "sum"),
        ("fields.s.aggregate-function", "max"),
        ("fields.s.ignore-retract", "true"),
    ],
    &[
        ("merge-engine", "aggregation"),
        ("fields.a.aggregate-function", "first_value"),
        ("fields.a.ignore-retract", "true"),
    ],
    &[
        ("merge-engine", "aggregation"),
        ("aggregation.remove-record-on-delete", "true"),
        ("fields.a.aggregate-function", "sum"),
    ],
    &[("merge-engine", "partial-update"), ("fields.s.sequence-group", "a")],
    &[("merge-engine", "partial-update"), ("fields.s.sequence-group", "a"), ("fields.a.aggregate-function", "sum")],
];

proptest! {
    #[test]
    fn a_key_with_many_versions_is_folded_while_they_come(
        all in prop::collection::vec((0_i64..4, prop::option::of(0_i64..5), 0_i8..4), 0..300),
        which in 0..FOLDING.len(), runs in 1_usize..5, additions in any::<bool>(), batch_rows in 1_usize..4,
    ) {
        // Every run holds a key many times, as spilled runs do.
        let all: Vec<(i64, Version)> = (0..).zip(all).map(|(at, (key, user, kind))| {
            (at, (key, user, if additions { kind / 2 * 2 } else { kind }))
        }).collect();
        let runs: Vec<_> = all.chunks(all.len().div_ceil(runs).max(1)).map(<[_]>::to_vec).collect();
        let (wanted, _) = folded(&runs, FOLDING[which], 10_000);
        let (found, widest) = folded(&runs, FOLDING[which], batch_rows);
        prop_assert_eq!(found, wanted);
        // Of additions never more than some batches are merged at once: eight times the batch and what its runs hold.
        prop_assert!(!additions || widest <= 8 * batch_rows + 20, "{} versions at once", widest);
    }
}

#[test]
fn a_null_key_is_refused() {
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    assert!(encoder(false).encode(&[keys], 2).is_err());
}

#[test]
fn keys_are_found_among_rising_ones_in_every_representation() {
    for types in [vec![DataType::BIGINT], vec![DataType::BIGINT, DataType::INT], vec![DataType::STRING]] {
        let encode = |numbers: &[i64]| {
            let lane = |data_type: &DataType| -> ArrayRef {
                match *data_type {
                    DataType::STRING => key_lane(numbers, true),
                    DataType::INT => Arc::new(arrow_array::Int32Array::from(vec![7; numbers.len()])),
                    _ => key_lane(numbers, false),
                }
            };
            let lanes: Vec<ArrayRef> = types.iter().map(lane).collect();
            KeyEncoder::new(&types).unwrap().encode(&lanes, numbers.len()).unwrap()
        };
        let keys = encode(&[1, 3, 3, 3, 8, 9, 9]);
        let asked = encode(&[0, 1, 2, 3, 8, 9, 10]);
        let found: Vec<_> = (0..7).map(|at| keys.equal_range(&asked, at)).collect();
        assert_eq!(found, [0..0, 0..1, 1..1, 1..4, 4..5, 5..7, 7..7], "{types:?}");
        assert!(keys.rises() && !encode(&[2, 1]).rises());
        assert_eq!(encode(&[5, 1, 5, 0, 1]).sorted(), [3, 1, 0]);
        assert!(encode(&[]).equal_range(&asked, 3).is_empty());
    }
}
