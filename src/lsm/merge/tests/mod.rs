//! Merge engines by cases, and against a model that handles one row after another.

mod aggregation;
mod keys;
mod model;
mod nested;
mod nested_model;
mod partial_update;
mod random;

use arrow_array::{Array, ArrayRef};

use super::*;
use crate::format::datum_at;
use crate::types::{DataType, Datum, RowKind, TypeKind};

/// A version: its kind and its values, the key first.
type Version = (RowKind, Vec<Datum>);

/// A table with the key `k` and these value columns.
fn table(columns: &[(&str, &str)], options: &[(&str, &str)]) -> Schema {
    let mut builder = Schema::builder().column("k", DataType::INT).primary_key(["k"]).option("bucket", "1");
    for (name, data_type) in columns {
        builder = builder.column(*name, data_type.parse::<DataType>().unwrap());
    }
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

fn function_of(schema: &Schema) -> Result<Arc<dyn MergeFunction>> {
    let columns: Vec<usize> = (0..schema.fields.len()).collect();
    of(schema, &TableOptions::parse(schema)?, &columns)
}

/// Values as a lane.
fn lane(kind: &TypeKind, values: impl Iterator<Item = Datum>) -> ArrayRef {
    let cells: Vec<ArrayRef> = values.map(|value| value.repeat(kind, 1).unwrap()).collect();
    let cells: Vec<&dyn Array> = cells.iter().map(AsRef::as_ref).collect();
    arrow_select::concat::concat(&cells).unwrap()
}

/// Merges the versions of some keys, which lie in three batches, each of a level.
fn merge(schema: &Schema, keys: &[Vec<Version>], levels: [i32; 3], single: Single<'_>) -> Result<Vec<Version>> {
    let all: Vec<&Version> = keys.iter().flatten().collect();
    let of_batch = |batch: usize| all.iter().skip(batch).step_by(3).copied().collect::<Vec<_>>();
    let batches: Vec<Vec<&Version>> = (0..3).map(of_batch).filter(|batch| !batch.is_empty()).collect();
    let columns_of = |batch: &Vec<&Version>| -> Vec<ArrayRef> {
        let column =
            |at: usize| lane(&schema.fields[at].data_type.kind, batch.iter().map(|version| version.1[at].clone()));
        (0..schema.fields.len()).map(column).collect()
    };
    let columns: Vec<Vec<ArrayRef>> = batches.iter().map(columns_of).collect();
    let kinds: Vec<Vec<i8>> =
        batches.iter().map(|batch| batch.iter().map(|version| version.0 as i8).collect()).collect();
    let plain = all.iter().all(|version| version.0 == RowKind::Insert);
    let ends = keys.iter().scan(0, |end, versions| {
        *end += versions.len() as u32;
        Some(*end)
    });
    let versions = Versions {
        rows: &(0..all.len() as u32).map(|at| (at % 3, at / 3)).collect::<Vec<_>>(),
        ends: &ends.collect::<Vec<_>>(),
        batches: &columns.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        kinds: &kinds.iter().map(|kinds| (!plain).then_some(kinds.as_slice())).collect::<Vec<_>>(),
        levels: &levels[..batches.len()],
        single,
    };
    let merged = function_of(schema)?.merge(&versions)?;
    let columns = merged.columns_of(&versions)?;
    let cell = |row: usize, at: usize| datum_at(&columns[at], &schema.fields[at].data_type.kind, row).unwrap();
    let row = |row: usize| (0..columns.len()).map(|at| cell(row, at)).collect();
    let kind = |row: usize| RowKind::from_byte(merged.kind(&versions, row)).unwrap();
    Ok((0..merged.picks.len()).map(|at| (kind(at), row(at))).collect())
}

fn parse(text: &str, kind: &TypeKind) -> Datum {
    match kind {
        _ if text == "_" => Datum::Null,
        TypeKind::Boolean => Datum::Boolean(text == "true"),
        TypeKind::TinyInt => Datum::TinyInt(text.parse().unwrap()),
        TypeKind::SmallInt => Datum::SmallInt(text.parse().unwrap()),
        TypeKind::Int => Datum::Int(text.parse().unwrap()),
        TypeKind::BigInt => Datum::BigInt(text.parse().unwrap()),
        TypeKind::Float => Datum::Float(text.parse().unwrap()),
        TypeKind::Double => Datum::Double(text.parse().unwrap()),
        TypeKind::Decimal { .. } => Datum::Decimal(text.parse().unwrap()),
        TypeKind::VarChar(_) => Datum::String(text.replace('~', " ")),
        other => panic!("no text of type {other}"),
    }
}

fn show(value: &Datum) -> String {
    match value {
        Datum::Null => "_".to_string(),
        Datum::Boolean(value) => value.to_string(),
        Datum::TinyInt(value) => value.to_string(),
        Datum::SmallInt(value) => value.to_string(),
        Datum::Int(value) => value.to_string(),
        Datum::BigInt(value) => value.to_string(),
        Datum::Float(value) => value.to_string(),
        Datum::Double(value) => value.to_string(),
        Datum::Decimal(value) => value.to_string(),
        Datum::String(value) => value.replace(' ', "~"),
        other => panic!("no text of {other:?}"),
    }
}

/// Versions of key 1 as text: `+I 1 a | -D _ b`, oldest first; `_` is NULL, `~` a blank.
fn versions(schema: &Schema, text: &str) -> Vec<Version> {
    let version = |text: &str| {
        let mut words = text.split_whitespace();
        let kind = RowKind::from_short(words.next().unwrap()).unwrap();
        let values = words.zip(&schema.fields[1..]).map(|(word, field)| parse(word, &field.data_type.kind));
        (kind, std::iter::once(Datum::Int(1)).chain(values).collect())
    };
    text.split('|').map(version).collect()
}

/// What those versions become, as text; the error where they are refused.
fn merged(schema: &Schema, text: &str) -> String {
    merged_as(schema, text, [0; 3], Single::Keep)
}

fn merged_as(schema: &Schema, text: &str, levels: [i32; 3], single: Single<'_>) -> String {
    match merge(schema, &[versions(schema, text)], levels, single) {
        Err(error) => error.to_string(),
        Ok(rows) => {
            let row = |(kind, row): &Version| {
                let values: Vec<String> = row[1..].iter().map(show).collect();
                format!("{} {}", kind.short(), values.join(" "))
            };
            rows.iter().map(row).collect::<Vec<_>>().join(" | ")
        }
    }
}

/// Checks a list of versions and what they become. An expectation that begins with no kind is part of an error.
fn check(schema: &Schema, cases: &[(&str, &str)]) {
    for (versions, wanted) in cases {
        let found = merged(schema, versions);
        let fits = match wanted.starts_with(['+', '-']) || wanted.is_empty() {
            true => found == *wanted,
            false => found.contains(wanted),
        };
        assert!(fits, "{versions}\n  became {found}\n  not    {wanted}\n  options {:?}", schema.options);
    }
}

fn refused(schema: &Schema, name: &str) {
    let error = function_of(schema).unwrap_err();
    assert!(error.to_string().contains(name), "{error} does not name {name}");
}
