//! Texts that people and options give: conditions, assignments, sizes, times, names.

use std::sync::LazyLock;

use forebay::TableName;
use forebay::predicate::{LikePattern, parse, parse_assignment, parse_datum};
use forebay::read::Sort;
use forebay::schema::{Schema, TableOptions, parse_duration, parse_memory_size};

use super::files::wide_schema;
use super::{Target, same};

pub(super) const TARGETS: [Target; 5] = [
    Target { name: "condition", run: condition },
    Target { name: "assignment", run: assignment },
    Target { name: "value", run: value },
    Target { name: "option", run: option },
    Target { name: "order", run: order },
];

static SCHEMA: LazyLock<Option<Schema>> = LazyLock::new(|| wide_schema(&[]).ok());

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A condition that was read is bound, and reads back from its print.
fn condition(bytes: &[u8]) -> Result<(), String> {
    let (Some(text), Some(schema)) = (text(bytes), SCHEMA.as_ref()) else { return Ok(()) };
    drop(LikePattern::parse(text, '\\'));
    let Ok(condition) = parse(text, schema) else { return Ok(()) };
    let shown = |condition: forebay::predicate::Expr| format!("{condition:?}"); // a NaN is not equal to itself
    same("a condition", &shown(condition.clone()), condition.bind(schema).map(shown))?;
    same("a condition", &shown(condition.clone()), parse(&condition.to_string(), schema).map(shown))
}

fn order(bytes: &[u8]) -> Result<(), String> {
    let Some(Ok(sort)) = text(bytes).map(str::parse::<Sort>) else { return Ok(()) };
    same("an order", &sort, sort.to_string().parse())
}

fn assignment(bytes: &[u8]) -> Result<(), String> {
    let (Some(text), Some(schema)) = (text(bytes), SCHEMA.as_ref()) else { return Ok(()) };
    if let Ok(assignment) = parse_assignment(text, schema) {
        drop(assignment.bind(schema));
    }
    Ok(())
}

/// One text as a value of every type.
fn value(bytes: &[u8]) -> Result<(), String> {
    let (Some(text), Some(schema)) = (text(bytes), SCHEMA.as_ref()) else { return Ok(()) };
    for field in schema.fields.iter() {
        drop(parse_datum(&field.data_type.kind, text));
    }
    drop(text.parse::<TableName>());
    Ok(())
}

/// `name=value`, as an option of a table.
fn option(bytes: &[u8]) -> Result<(), String> {
    let (Some(text), Some(schema)) = (text(bytes), SCHEMA.as_ref()) else { return Ok(()) };
    drop(parse_memory_size(text));
    drop(parse_duration(text));
    let Some((name, value)) = text.split_once('=') else { return Ok(()) };
    let mut schema = schema.clone();
    schema.options.insert(name.to_string(), value.to_string());
    drop(TableOptions::parse(&schema));
    Ok(())
}
