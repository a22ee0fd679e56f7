use std::sync::Arc;

use arrow_array::{Int32Array, StringArray};

use super::*;

#[test]
fn an_order_is_read_as_it_prints() {
    for (text, wanted) in [
        ("a", Sort::ascending("a")),
        ("a ASC", Sort::ascending("a")),
        (" a  desc ", Sort::descending("a")),
        ("a nulls last", Sort::ascending("a").nulls_first(false)),
        ("a desc NULLS FIRST", Sort::descending("a").nulls_first(true)),
        ("desc", Sort::ascending("desc")),
        ("desc desc", Sort::descending("desc")),
    ] {
        let sort: Sort = text.parse().unwrap();
        assert_eq!(sort, wanted, "{text}");
        assert_eq!(sort.to_string().parse::<Sort>().unwrap(), wanted, "{text} prints as {sort}");
    }
    for text in ["", "a b", "a asc desc", "a nulls", "a nulls first last"] {
        assert!(matches!(text.parse::<Sort>(), Err(Error::Invalid(_))), "{text}");
    }
}

#[test]
fn null_stands_where_the_order_says() {
    let (null, one, two) = (Datum::Null, Datum::Int(1), Datum::Int(2));
    let sorted = |sort: Sort| {
        let mut values = [two.clone(), null.clone(), one.clone()];
        values.sort_by(|a, b| sort.compare(a, b));
        values
    };
    assert_eq!(sorted(Sort::ascending("a")), [null.clone(), one.clone(), two.clone()]);
    assert_eq!(sorted(Sort::ascending("a").nulls_first(false)), [one.clone(), two.clone(), null.clone()]);
    assert_eq!(sorted(Sort::descending("a")), [two.clone(), one.clone(), null.clone()]);
    assert_eq!(sorted(Sort::descending("a").nulls_first(true)), [null, two, one]);
}

#[test]
fn the_best_value_of_a_range_is_one_that_none_of_it_beats() {
    let range = |nulls: Option<u64>| ColumnRange {
        min: Some(Datum::Int(1)),
        max: Some(Datum::Int(9)),
        null_count: nulls,
        row_count: 5,
    };
    let (low, high) = (Sort::ascending("a").nulls_first(false), Sort::descending("a"));
    assert_eq!(best_value(&low, &range(Some(2))), Some(Datum::Int(1)));
    assert_eq!(best_value(&high, &range(None)), Some(Datum::Int(9)));
    assert_eq!(best_value(&high, &range(Some(5))), Some(Datum::Null), "there are no values");
    let first = Sort::ascending("a");
    assert_eq!(best_value(&first, &range(Some(1))), Some(Datum::Null));
    assert_eq!(best_value(&first, &range(None)), Some(Datum::Null), "there may be NULLs");
    assert_eq!(best_value(&first, &range(Some(0))), Some(Datum::Int(1)));
    assert_eq!(best_value(&high, &ColumnRange::unknown(5)), None);
}

#[test]
fn the_best_rows_are_kept_however_many_come() {
    let batch = |numbers: Vec<i32>| {
        let names: Vec<String> = numbers.iter().map(|number| format!("n{number}")).collect();
        let columns: [(&str, ArrayRef); 2] =
            [("n", Arc::new(Int32Array::from(numbers))), ("name", Arc::new(StringArray::from(names)))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let numbers = |batch: &RecordBatch| batch.column(0).to_data().buffers()[0].typed_data::<i32>().to_vec();
    let schema = batch(vec![]).schema();
    let mut best = Best::new(schema.clone(), &[Sort::descending("n")], 3).unwrap();
    assert_eq!(best.last_value(&TypeKind::Int).unwrap(), None);
    for start in 0..8 {
        best.add(batch((0..20_000).map(|at| (at * 7919 + start) % 160_001).collect())).unwrap();
        assert!(best.rows <= SLACK + 20_000, "{} rows wait", best.rows);
    }
    let wanted: Vec<i32> = {
        let mut all: Vec<i32> =
            (0..8).flat_map(|start| (0..20_000).map(move |at| (at * 7919 + start) % 160_001)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        all[..3].to_vec()
    };
    assert_eq!(best.last_value(&TypeKind::Int).unwrap(), Some(Datum::Int(wanted[2])));
    assert_eq!(numbers(&best.finish().unwrap()), wanted);

    let mut few = Best::new(schema.clone(), &[Sort::ascending("name"), Sort::ascending("n")], 10).unwrap();
    few.add(batch(vec![2, 10, 1])).unwrap();
    assert_eq!(numbers(&few.finish().unwrap()), [1, 10, 2]);
    assert_eq!(Best::new(schema, &[Sort::ascending("n")], 0).unwrap().finish().unwrap().num_rows(), 0);
}

#[test]
fn wide_rows_wait_by_their_bytes() {
    let batch = |first: i32| {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(first..first + 4));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(4 << 20); 4]));
        RecordBatch::try_from_iter([("n", numbers), ("text", texts)]).unwrap()
    };
    let mut best = Best::new(batch(0).schema(), &[Sort::descending("n")], 2).unwrap();
    for round in 0..20 {
        best.add(batch(round * 4)).unwrap();
        let held: usize = best.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        assert!(held <= SLACK_BYTES + (12 << 20), "{held} bytes are held for two rows");
    }
    assert_eq!(best.last_value(&TypeKind::Int).unwrap(), Some(Datum::Int(78)));
}
