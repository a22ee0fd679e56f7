//! Random engines over random versions: what the kernels give is what the model gives, and where a flush cuts the
//! versions of a key does not matter unless retractions come.

use proptest::prelude::*;

use super::model::Model;
use super::*;

/// Columns a, b (INT), s (STRING), t (BOOLEAN), d (DECIMAL), and the sequence columns g, h, i.
const COLUMNS: [(&str, &str); 8] = [
    ("a", "INT"),
    ("g", "INT"),
    ("b", "INT"),
    ("s", "STRING"),
    ("h", "INT"),
    ("t", "BOOLEAN"),
    ("i", "INT"),
    ("d", "DECIMAL(9,2)"),
];

const ANY: [&str; 7] =
    ["last_value", "last_non_null_value", "first_value", "first_non_null_value", "max", "min", "default"];

fn functions_of(data_type: &str) -> Vec<&'static str> {
    let own: &[&str] = match data_type {
        "STRING" => &["listagg"],
        "BOOLEAN" => &["bool_and", "bool_or"],
        _ => &["sum", "sum"],
    };
    [&ANY[..], own].concat()
}

/// The options of an engine with random functions.
fn engine() -> impl Strategy<Value = Vec<(String, String)>> {
    let functions: Vec<_> = COLUMNS
        .iter()
        .map(|(name, data_type)| {
            let function = prop::sample::select(functions_of(data_type));
            (function, any::<bool>(), any::<bool>()).prop_map(move |(function, ignore, distinct)| {
                let mut options = Vec::new();
                if function != "default" {
                    options.push((format!("fields.{name}.aggregate-function"), function.to_string()));
                }
                options.push((format!("fields.{name}.ignore-retract"), ignore.to_string()));
                options.push((format!("fields.{name}.distinct"), distinct.to_string()));
                options
            })
        })
        .collect();
    (0..9_u8, functions).prop_map(|(which, functions)| {
        let aggregates = |columns: &[&str]| -> Vec<(String, String)> {
            let of = |name: &str| columns.iter().any(|column| name.starts_with(&format!("fields.{column}.")));
            functions.iter().flatten().filter(|(name, _)| of(name)).cloned().collect()
        };
        let mut options: Vec<(&str, &str)> = match which {
            0 => vec![("merge-engine", "deduplicate")],
            1 => vec![("merge-engine", "first-row"), ("ignore-delete", "true")],
            2 => vec![("merge-engine", "partial-update"), ("ignore-delete", "true")],
            3 => vec![("merge-engine", "partial-update"), ("partial-update.remove-record-on-delete", "true")],
            4 => vec![("merge-engine", "partial-update")],
            5..=7 => vec![
                ("merge-engine", "partial-update"),
                ("fields.g.sequence-group", "a,s"),
                ("fields.h,i.sequence-group", "b,d"),
            ],
            _ => vec![("merge-engine", "aggregation"), ("sequence.field", "i")],
        };
        let mut aggregated: &[&str] = &[];
        match which {
            6 => aggregated = &["a", "s", "b", "d"],
            7 => {
                aggregated = &["b", "s"];
                options.push(("partial-update.remove-record-on-sequence-group", "i"));
            }
            8 => aggregated = &["a", "g", "b", "s", "h", "t", "d"],
            _ => {}
        }
        let own = options.into_iter().map(|(name, value)| (name.to_string(), value.to_string()));
        own.chain(aggregates(aggregated)).collect()
    })
}

fn value(data_type: &'static str) -> BoxedStrategy<Datum> {
    let some = match data_type {
        "STRING" => prop::sample::select(vec!["a", "b", "a,b", " ", "", "c"])
            .prop_map(|text| Datum::String(text.to_string()))
            .boxed(),
        "BOOLEAN" => any::<bool>().prop_map(Datum::Boolean).boxed(),
        "INT" => (0..6).prop_map(Datum::Int).boxed(),
        _ => (-9_i128..9).prop_map(Datum::Decimal).boxed(),
    };
    prop_oneof![1 => Just(Datum::Null), 3 => some].boxed()
}

/// The versions of some keys.
fn keys(kinds: &'static [RowKind]) -> impl Strategy<Value = Vec<Vec<Version>>> {
    let values: Vec<_> = COLUMNS.iter().map(|(_, data_type)| value(data_type)).collect();
    let version = (prop::sample::select(kinds), values);
    let keys = prop::collection::vec(prop::collection::vec(version, 1..7), 1..6);
    keys.prop_map(|keys| {
        let with_key = |key: i32, (kind, values): Version| (kind, [vec![Datum::Int(key)], values].concat());
        let of_key = |(key, versions): (i32, Vec<Version>)| {
            versions.into_iter().map(|version| with_key(key, version)).collect::<Vec<_>>()
        };
        (0..).zip(keys).map(of_key).collect()
    })
}

fn schema_of(options: &[(String, String)]) -> Schema {
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    table(&COLUMNS, &options)
}

const ADDITIONS: &[RowKind] = &[RowKind::Insert, RowKind::UpdateAfter];
const MOSTLY_ADDITIONS: &[RowKind] =
    &[RowKind::Insert, RowKind::UpdateAfter, RowKind::Insert, RowKind::UpdateBefore, RowKind::Delete];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn kernels_give_what_the_model_gives(options in engine(), keys in keys(MOSTLY_ADDITIONS)) {
        let schema = schema_of(&options);
        let model = Model { schema: &schema, options: TableOptions::parse(&schema).unwrap() };
        let wanted: Result<Vec<_>, _> = keys.iter().map(|versions| model.merge(versions)).collect();
        let found = merge(&schema, &keys, [0; 3], Single::Keep);
        match wanted {
            Err(_) => prop_assert!(matches!(found, Err(Error::Invalid(_))), "{:?}", found),
            Ok(wanted) => prop_assert_eq!(found.unwrap(), wanted.into_iter().flatten().collect::<Vec<_>>()),
        }
    }

    #[test]
    fn a_cut_by_a_flush_changes_no_row(options in engine(), keys in keys(ADDITIONS), cuts in prop::collection::vec(1_usize..7, 6)) {
        let schema = schema_of(&options);
        // Inside groups these functions depend on which late version met which, as they do in Paimon.
        let grouped = options.iter().any(|(name, _)| name.ends_with("sequence-group"));
        let by_order = ["first_value", "first_non_null_value", "last_non_null_value", "listagg"];
        prop_assume!(!grouped || !options.iter().any(|(_, value)| by_order.contains(&value.as_str())));
        let whole = merge(&schema, &keys, [0; 3], Single::Keep).unwrap();
        let mut pieces = Vec::new();
        for (versions, cut) in keys.iter().zip(cuts.iter().cycle()) {
            let (older, newer) = versions.split_at((*cut).min(versions.len()));
            let flushed = [older, newer].into_iter().filter(|piece| !piece.is_empty());
            let merged = flushed.flat_map(|piece| merge(&schema, &[piece.to_vec()], [0; 3], Single::Keep).unwrap());
            pieces.push(merged.collect::<Vec<_>>());
        }
        let values = |rows: Vec<Version>| rows.into_iter().map(|(_, values)| values).collect::<Vec<_>>();
        prop_assert_eq!(values(merge(&schema, &pieces, [0; 3], Single::Keep).unwrap()), values(whole));
    }
}
