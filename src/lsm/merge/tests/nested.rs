//! Aggregates over nested columns against the model, and what is refused.

use proptest::prelude::*;

use super::model::Model;
use super::nested_model::FIELDS;
use super::*;

const ROWS: &str = "ARRAY<ROW<id INT, s INT, v STRING>>";

/// Each column with the functions it may have.
const COLUMNS: [(&str, &str, &[&str]); 7] = [
    ("g", "INT", &["last_value"]),
    ("c", "ARRAY<INT>", &["collect"]),
    ("r", "ARRAY<MAP<STRING, INT>>", &["collect"]),
    ("m", "MAP<STRING, INT>", &["merge_map"]),
    ("t", "MAP<INT, ROW<v INT, t STRING>>", &["merge_map_with_keytime"]),
    ("n", ROWS, &["nested_update", "collect"]),
    ("p", ROWS, &["nested_partial_update"]),
];

fn number() -> BoxedStrategy<Datum> {
    prop_oneof![1 => Just(Datum::Null), 6 => (0..4).prop_map(Datum::Int)].boxed()
}

fn text() -> BoxedStrategy<Datum> {
    prop_oneof![1 => Just(Datum::Null), 6 => "[a-c]".prop_map(Datum::String)].boxed()
}

fn array(element: BoxedStrategy<Datum>) -> BoxedStrategy<Datum> {
    let some = prop::collection::vec(element, 0..4).prop_map(Datum::Array);
    prop_oneof![1 => Just(Datum::Null), 5 => some].boxed()
}

fn map(key: BoxedStrategy<Datum>, value: BoxedStrategy<Datum>) -> BoxedStrategy<Datum> {
    let pairs = prop::collection::vec((key.prop_filter("a key", |key| !key.is_null()), value), 0..4);
    let some = pairs.prop_map(|pairs| {
        let mut once: Vec<(Datum, Datum)> = Vec::new();
        for (key, value) in pairs {
            if once.iter().all(|(other, _)| *other != key) {
                once.push((key, value));
            }
        }
        once.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Datum::Map(once)
    });
    prop_oneof![1 => Just(Datum::Null), 5 => some].boxed()
}

fn value(column: &str) -> BoxedStrategy<Datum> {
    let row = prop_oneof![
        1 => Just(Datum::Null),
        8 => (number(), number(), text()).prop_map(|(id, s, v)| Datum::Row(vec![id, s, v])),
    ];
    let timed = prop_oneof![
        1 => Just(Datum::Null),
        5 => (number(), text()).prop_map(|(v, t)| Datum::Row(vec![v, t])),
    ];
    match column {
        "g" => number(),
        "c" => array(number()),
        "r" => array(map(text(), number())),
        "m" => map(text(), number()),
        "t" => map(number(), timed.boxed()),
        _ => array(row.boxed()),
    }
}

fn options() -> impl Strategy<Value = Vec<(String, String)>> {
    let keyed = prop::sample::select(vec!["", "id", "id,s"]);
    let nulls = prop::sample::select(vec!["merge", "ignore", "error"]);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let functions: Vec<_> = COLUMNS.iter().map(|(_, _, functions)| prop::sample::select(functions.to_vec())).collect();
    (keyed, nulls, switches, 0..4_u8, functions).prop_map(
        |(key, nulls, (distinct, ordered, ignore, groups), limit, functions)| {
            let mut options = vec![("merge-engine".to_string(), "aggregation".to_string())];
            if groups {
                options[0].1 = "partial-update".to_string();
                options.push(("fields.g.sequence-group".to_string(), "c,r,m,t,n,p".to_string()));
            }
            for ((column, ..), function) in
                COLUMNS.iter().zip(functions).filter(|((name, ..), _)| !groups || *name != "g")
            {
                let mut set =
                    |name: &str, value: &str| options.push((format!("fields.{column}.{name}"), value.to_string()));
                set("aggregate-function", function);
                set("distinct", if distinct { "true" } else { "false" });
                set("ignore-retract", if ignore || function.ends_with("keytime") { "true" } else { "false" });
                if function == "nested_partial_update" {
                    set("nested-key", "id");
                    set("nested-key-null-strategy", nulls);
                    set("ignore-retract", "true");
                }
                if function == "nested_update" {
                    if !key.is_empty() {
                        set("nested-key", key);
                        set("nested-key-null-strategy", nulls);
                        if ordered {
                            set("nested-sequence-field", "s");
                        }
                    }
                    if limit > 0 {
                        set("count-limit", &limit.to_string());
                    }
                }
            }
            options
        },
    )
}

fn keys() -> impl Strategy<Value = Vec<Vec<Version>>> {
    let kinds = vec![RowKind::Insert, RowKind::UpdateAfter, RowKind::Insert, RowKind::UpdateBefore, RowKind::Delete];
    let values: Vec<_> = COLUMNS.iter().map(|(name, ..)| value(name)).collect();
    let version = (prop::sample::select(kinds), values);
    let keys = prop::collection::vec(prop::collection::vec(version, 1..6), 1..4);
    keys.prop_map(|keys| {
        let with_key = |key: i32, (kind, values): Version| (kind, [vec![Datum::Int(key)], values].concat());
        (0..).zip(keys).map(|(key, versions)| versions.into_iter().map(|it| with_key(key, it)).collect()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn kernels_over_nested_columns_give_what_the_model_gives(options in options(), keys in keys()) {
        let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let columns: Vec<(&str, &str)> = COLUMNS.iter().map(|(name, data_type, _)| (*name, *data_type)).collect();
        let schema = table(&columns, &options);
        let model = Model { schema: &schema, options: TableOptions::parse(&schema).unwrap() };
        let wanted: Result<Vec<_>, _> = keys.iter().map(|versions| model.merge(versions)).collect();
        let found = merge(&schema, &keys, [0; 3], Single::Keep);
        match wanted {
            Err(_) => prop_assert!(matches!(found, Err(Error::Invalid(_))), "{:?}", found),
            Ok(wanted) => prop_assert_eq!(found.unwrap(), wanted.into_iter().flatten().collect::<Vec<_>>()),
        }
    }
}

#[test]
fn a_function_over_nested_columns_is_refused_where_its_type_or_options_do_not_fit() {
    assert_eq!(FIELDS, ["id", "s", "v"]);
    let of = |data_type: &str, function: &str, more: &[(&str, &str)]| {
        let own = [("merge-engine", "aggregation"), ("fields.x.aggregate-function", function)];
        table(&[("x", data_type)], &[&own[..], more].concat())
    };
    refused(&of("INT", "collect", &[]), "ARRAY");
    refused(&of("ARRAY<INT>", "merge_map", &[]), "MAP");
    refused(&of("MULTISET<INT>", "merge_map", &[]), "MAP");
    refused(&of("MAP<INT, INT>", "merge_map_with_keytime", &[]), "ROW");
    refused(&of("MAP<INT, ROW<a INT, b INT>>", "merge_map_with_keytime", &[]), "text");
    refused(&of("MAP<INT, ROW<a INT, b STRING>>", "merge_map_with_keytime", &[("fields.x.ts-field", "c")]), "ts-field");
    refused(&of("ARRAY<INT>", "nested_update", &[]), "ARRAY of ROW");
    refused(&of(ROWS, "nested_partial_update", &[]), "nested-key");
    refused(&of(ROWS, "nested_update", &[("fields.x.nested-key", "nope")]), "nope");
    refused(&of(ROWS, "nested_update", &[("fields.x.nested-sequence-field", "s")]), "nested-sequence-field");
    refused(&of(ROWS, "nested_update", &[("fields.x.nested-key-null-strategy", "error")]), "null-strategy");
    refused(&of(ROWS, "max", &[]), "order");
    refused(&of(ROWS, "sum", &[]), "numbers");
}
