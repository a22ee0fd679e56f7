//! The aggregate functions over nested columns, one value after another. A row in an array has the fields `id`, `s`, `v`.

use super::model::Refused;
use crate::schema::{ColumnMergeOptions, NullKeys};
use crate::types::Datum;

/// The fields of the rows in arrays.
pub(super) const FIELDS: [&str; 3] = ["id", "s", "v"];

pub(super) fn is_nested(function: &str) -> bool {
    ["collect", "merge_map", "merge_map_with_keytime", "nested_update", "nested_partial_update"].contains(&function)
}

fn elements(value: Datum) -> Option<Vec<Datum>> {
    match value {
        Datum::Null => None,
        Datum::Array(values) => Some(values),
        Datum::Map(pairs) => Some(pairs.into_iter().map(|(key, value)| Datum::Row(vec![key, value])).collect()),
        other => panic!("{other:?} has no elements"),
    }
}

fn map_of(pairs: Vec<Datum>) -> Datum {
    let pair = |pair| match pair {
        Datum::Row(cells) => (cells[0].clone(), cells[1].clone()),
        other => panic!("{other:?} is no pair"),
    };
    Datum::Map(pairs.into_iter().map(pair).collect())
}

fn cells(row: &Datum) -> &[Datum] {
    match row {
        Datum::Row(cells) => cells,
        other => panic!("{other:?} is no row"),
    }
}

/// The values of some fields of a row; `None` for a row that is left out.
fn key_of(of: &ColumnMergeOptions, row: &Datum) -> Result<Option<Vec<Datum>>, Refused> {
    let key = project(&of.nested_key, row);
    match of.nested_key_nulls.unwrap_or_default() {
        _ if !key.iter().any(Datum::is_null) => Ok(Some(key)),
        NullKeys::Merge => Ok(Some(key)),
        NullKeys::Ignore => Ok(None),
        NullKeys::Error => Err(Refused),
    }
}

fn project(names: &[String], row: &Datum) -> Vec<Datum> {
    let place = |name: &String| FIELDS.iter().position(|field| field == name).unwrap();
    names.iter().map(|name| cells(row)[place(name)].clone()).collect()
}

fn rows(values: Vec<Datum>) -> Vec<Datum> {
    values.into_iter().filter(|value| !value.is_null()).collect()
}

/// `late`: what comes is older than what is there. `trusts`: elements with parts that are there are taken to be distinct.
pub(super) fn add(
    function: &str,
    of: &ColumnMergeOptions,
    trusts: bool,
    there: Datum,
    comes: Datum,
    late: bool,
) -> Result<Datum, Refused> {
    let (there, comes) = if late && function != "collect" { (comes, there) } else { (there, comes) };
    if function == "collect" {
        return Ok(collect(of.distinct, trusts, there, comes));
    }
    if comes.is_null() || there.is_null() && function.starts_with("merge_map") {
        return Ok(if comes.is_null() { there } else { comes });
    }
    let comes = elements(comes).unwrap();
    match function {
        "merge_map" | "merge_map_with_keytime" => {
            let mut pairs = elements(there).unwrap();
            for pair in comes {
                put_pair(&mut pairs, pair, function == "merge_map_with_keytime");
            }
            Ok(map_of(pairs))
        }
        "nested_update" => nested_update(of, elements(there), comes),
        _ => nested_partial_update(of, elements(there), comes),
    }
}

fn collect(distinct: bool, trusts: bool, there: Datum, comes: Datum) -> Datum {
    if !distinct && (there.is_null() || comes.is_null()) {
        return if there.is_null() { comes } else { there };
    }
    if there.is_null() && comes.is_null() {
        return Datum::Null;
    }
    let mut kept = Vec::new();
    for (value, is_new) in [(there, false), (comes, true)] {
        for element in elements(value).unwrap_or_default() {
            if !distinct || trusts && !is_new || !kept.contains(&element) {
                kept.push(element);
            }
        }
    }
    Datum::Array(kept)
}

fn put_pair(pairs: &mut Vec<Datum>, pair: Datum, by_time: bool) {
    let found = pairs.iter().position(|other| cells(other)[0] == cells(&pair)[0]);
    let value = &cells(&pair)[1];
    if by_time {
        let time = |value: &Datum| if value.is_null() { Datum::Null } else { cells(value)[1].clone() };
        if value.is_null() {
            found.map(|at| pairs.remove(at));
            return;
        }
        if time(value).is_null() {
            return;
        }
        let there = found.map_or(Datum::Null, |at| time(&cells(&pairs[at])[1]));
        if !there.is_null() && time(value).total_cmp(&there).is_le() {
            return;
        }
    }
    match found {
        Some(at) => pairs[at] = pair,
        None => pairs.push(pair),
    }
}

fn nested_update(of: &ColumnMergeOptions, there: Option<Vec<Datum>>, comes: Vec<Datum>) -> Result<Datum, Refused> {
    let limit = of.count_limit.unwrap_or(usize::MAX);
    if of.nested_key.is_empty() {
        let Some(there) = there else {
            return Ok(Datum::Array(rows(comes).into_iter().take(limit).collect()));
        };
        if there.len() >= limit {
            return Ok(Datum::Array(there));
        }
        let room = limit - there.len();
        return Ok(Datum::Array(rows(there).into_iter().chain(rows(comes).into_iter().take(room)).collect()));
    }
    let mut kept = Vec::new();
    put_rows(of, &mut kept, there.unwrap_or_default(), usize::MAX)?;
    put_rows(of, &mut kept, comes, limit)?;
    Ok(Datum::Array(kept.into_iter().map(|(_, row)| row).collect()))
}

fn put_rows(
    of: &ColumnMergeOptions,
    kept: &mut Vec<(Vec<Datum>, Datum)>,
    more: Vec<Datum>,
    limit: usize,
) -> Result<(), Refused> {
    for row in rows(more) {
        let Some(key) = key_of(of, &row)? else { continue };
        let order = |row: &Datum| project(&of.nested_sequence, row);
        match kept.iter().position(|(other, _)| *other == key) {
            Some(at) => {
                let pairs = order(&row).into_iter().zip(order(&kept[at].1));
                let compared = pairs.fold(std::cmp::Ordering::Equal, |all, (new, old)| all.then(new.total_cmp(&old)));
                if compared.is_ge() {
                    kept[at].1 = row;
                }
            }
            None if kept.len() < limit => kept.push((key, row)),
            None => {}
        }
    }
    Ok(())
}

fn nested_partial_update(
    of: &ColumnMergeOptions,
    there: Option<Vec<Datum>>,
    comes: Vec<Datum>,
) -> Result<Datum, Refused> {
    let mut kept: Vec<(Vec<Datum>, Vec<Datum>)> = Vec::new();
    for row in rows(there.unwrap_or_default()).into_iter().chain(rows(comes)) {
        let Some(key) = key_of(of, &row)? else { continue };
        let at = kept.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            kept.push((key, vec![Datum::Null; FIELDS.len()]));
            kept.len() - 1
        });
        for (old, new) in kept[at].1.iter_mut().zip(cells(&row)) {
            if !new.is_null() {
                *old = new.clone();
            }
        }
    }
    Ok(Datum::Array(kept.into_iter().map(|(_, row)| Datum::Row(row)).collect()))
}

pub(super) fn retract(function: &str, of: &ColumnMergeOptions, there: Datum, taken: Datum) -> Result<Datum, Refused> {
    if function == "merge_map_with_keytime" || function == "nested_partial_update" {
        return Err(Refused);
    }
    let (Some(mut old), Some(taken)) = (elements(there.clone()), elements(taken)) else { return Ok(there) };
    match function {
        "collect" => {
            for value in taken {
                if let Some(at) = old.iter().position(|other| *other == value) {
                    old.remove(at);
                }
            }
            Ok(Datum::Array(old))
        }
        "merge_map" => {
            old.retain(|pair| !taken.iter().any(|gone| cells(gone)[0] == cells(pair)[0]));
            Ok(map_of(old))
        }
        _ if of.nested_key.is_empty() => {
            let taken = rows(taken);
            Ok(Datum::Array(rows(old).into_iter().filter(|row| !taken.contains(row)).collect()))
        }
        _ => {
            let mut kept = Vec::new();
            let plain = ColumnMergeOptions { nested_sequence: Vec::new(), ..of.clone() };
            put_rows(&plain, &mut kept, old, usize::MAX)?;
            for row in rows(taken) {
                if let Some(key) = key_of(of, &row)? {
                    kept.retain(|(other, _)| *other != key);
                }
            }
            Ok(Datum::Array(kept.into_iter().map(|(_, row)| row).collect()))
        }
    }
}
