//! Whether a table's options can be honoured, before anything is read or written.
//!
//! Every offending option is named in one error, so that a person fixes them in one go. What the list of
//! options (`option_keys/`) cannot say alone, because the schema decides it, is in [`schema_refusals`].
//! Spec: `format-spec/options.md`.

use super::default_value::default_lane;
use super::option_keys::{ENGINE_PREFIXES, Kind, OptionKey, Rule, find_option};
use super::options::index_refusals;
use super::units::parse_map;
use super::{BucketMode, Schema, StatsMode, TableOptions, parse_duration, parse_memory_size};
use crate::error::{Error, Result};

/// What a table is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Reading rows or changes, or looking inside.
    Read,
    /// Creating the table, writing rows or committing.
    Write,
}

/// Refuses options that this version does not know or cannot honour, all of them in one error.
///
/// # Errors
/// [`Error::Invalid`] when an option is unknown or its value is no value of its type, else
/// [`Error::Unsupported`] when values are valid Paimon that this version cannot honour.
pub fn check_options(schema: &Schema, usage: Use) -> Result<()> {
    let mut refusals = schema_refusals(schema, usage);
    for (name, value) in &schema.options {
        refusals.extend(refusal(name, value, usage));
    }
    if usage == Use::Write
        && refusals.is_empty()
        && let Err(error) = TableOptions::parse_all(schema)
    {
        refusals.extend(TableOptions::unfit(schema).into_values());
        if refusals.is_empty() {
            return Err(error);
        }
    }
    if refusals.is_empty() {
        return Ok(());
    }
    let invalid = refusals.iter().any(|refusal| matches!(refusal, Error::Invalid(_)));
    let texts = refusals.into_iter().map(|refusal| match refusal {
        Error::Invalid(text) | Error::Unsupported(text) => text,
        other => other.to_string(),
    });
    let text = texts.collect::<Vec<_>>().join("; ");
    Err(if invalid { Error::invalid(text) } else { Error::unsupported(text) })
}

fn refusal(name: &str, value: &str, usage: Use) -> Option<Error> {
    let shown = format!("option {} = {:?}", name.escape_debug(), value);
    let Some(key) = find_option(name) else {
        let passes = usage == Use::Read && ENGINE_PREFIXES.iter().any(|(prefix, _)| name.starts_with(prefix));
        return (!passes).then(|| Error::invalid(format!("{shown} is no option that this version knows")));
    };
    let rule = match usage {
        Use::Read => key.stance.read,
        Use::Write => key.stance.write,
    };
    let lenient = rule == Rule::Harmless && usage == Use::Read;
    if !lenient && let Err(why) = check_value(key.kind, value) {
        return Some(Error::invalid(format!("{shown}: {why}")));
    }
    match rule {
        Rule::Honoured | Rule::Harmless => None,
        Rule::Only(values) if accepts(key, values, value) => None,
        Rule::Only(_) => Some(Error::unsupported(format!("{shown} ({})", key.stance.why))),
    }
}

/// What only the schema can tell.
fn schema_refusals(schema: &Schema, usage: Use) -> Vec<Error> {
    let mut refusals = Vec::new();
    let shown =
        schema.option("bucket").map_or_else(|| "no option bucket".to_string(), |it| format!("option bucket = {it:?}"));
    match schema.bucket_mode() {
        Ok(BucketMode::Fixed(_) | BucketMode::Unaware | BucketMode::Dynamic | BucketMode::KeyDynamic) => {}
        Ok(BucketMode::Postpone) if usage == Use::Read => {}
        Ok(BucketMode::Postpone) => {
            if schema.option("sequence.snapshot-ordering").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
                refusals.push(Error::unsupported(format!(
                    "option sequence.snapshot-ordering = \"true\" with {shown} (rows that wait would get a second snapshot)"
                )));
            }
        }
        // A text that is no number is reported with the other values.
        Err(error) if schema.option("bucket").is_none_or(|text| text.parse::<i32>().is_ok()) => refusals.push(error),
        Err(_) => {}
    }
    // Until 0.5 a table with a key could keep every row (append-only), and one without it the number of equal rows
    // (change-log): neither is read so today.
    let mode = schema.option("write-mode").map(str::to_ascii_lowercase);
    if mode.is_some_and(|mode| mode == if schema.has_primary_key() { "append-only" } else { "change-log" }) {
        let words = "only of a table without a primary key, and change-log only of one with it";
        refusals.push(Error::unsupported(format!("option write-mode (append-only {words})")));
    }
    if usage == Use::Write {
        refusals.extend(index_refusals(schema));
        refusals.extend(schema.fields.iter().filter_map(|field| default_lane(field).err()));
    }
    refusals
}

fn accepts(key: &OptionKey, values: &[&str], value: &str) -> bool {
    let same = |one: &str, other: &str| canonical(key.kind, one) == canonical(key.kind, other);
    if key.default.is_some_and(|default| same(default, value)) {
        return true;
    }
    match key.kind {
        Kind::Map => parse_map(value)
            .is_some_and(|pairs| pairs.iter().all(|(_, one)| values.iter().any(|it| it.eq_ignore_ascii_case(one)))),
        _ => values.iter().any(|one| same(one, value)),
    }
}

/// A form in which equal values of a type are equal texts.
fn canonical(kind: Kind, value: &str) -> String {
    match kind {
        Kind::MemorySize => parse_memory_size(value).map_or_else(|_| value.to_string(), |bytes| bytes.to_string()),
        Kind::Duration => parse_duration(value).map_or_else(|_| value.to_string(), |time| time.as_nanos().to_string()),
        Kind::Int | Kind::Long => value.parse::<i64>().map_or_else(|_| value.to_string(), |number| number.to_string()),
        Kind::Float | Kind::Double => value.parse::<f64>().map_or_else(|_| value.to_string(), |it| it.to_string()),
        _ => value.to_ascii_lowercase(),
    }
}

/// What Java reads as a number besides digits.
const JAVA_WORDS: [&str; 4] = ["NaN", "Infinity", "+Infinity", "-Infinity"];

/// Whether a text is a value of a type, by Paimon's rules.
fn check_value(kind: Kind, value: &str) -> Result<(), String> {
    let of = |error: Error| match error {
        Error::Invalid(text) => text,
        other => other.to_string(),
    };
    let well = |fine: bool, what: &str| if fine { Ok(()) } else { Err(format!("not {what}")) };
    match kind {
        Kind::Boolean => well(["true", "false"].iter().any(|it| it.eq_ignore_ascii_case(value)), "true or false"),
        Kind::Int => well(value.parse::<i32>().is_ok(), "a 32-bit number"),
        Kind::Long => well(value.parse::<i64>().is_ok(), "a 64-bit number"),
        Kind::Float | Kind::Double => {
            well(value.parse::<f64>().is_ok_and(|it| it.is_finite() || JAVA_WORDS.contains(&value)), "a number")
        }
        Kind::MemorySize => parse_memory_size(value).map(drop).map_err(of),
        Kind::Duration => parse_duration(value).map(drop).map_err(of),
        Kind::Enum(words) => {
            let fine = words.iter().any(|word| word.eq_ignore_ascii_case(value));
            well(fine, &format!("one of {}", words.join(", ")))
        }
        Kind::Map => match parse_map(value) {
            Some(pairs) => check_keys_differ(&pairs),
            None => well(false, "key:value pairs with commas between them"),
        },
        Kind::StatsMode => StatsMode::parse(value).map(drop).map_err(of),
        Kind::StatsModes => match parse_map(value) {
            Some(pairs) => {
                check_keys_differ(&pairs)?;
                pairs.iter().try_for_each(|(_, mode)| StatsMode::parse(mode).map(drop)).map_err(of)
            }
            None => well(false, "level:mode pairs with commas between them"),
        },
        Kind::Text | Kind::List => Ok(()),
    }
}

fn check_keys_differ(pairs: &[(&str, &str)]) -> Result<(), String> {
    let twice = pairs.iter().enumerate().find(|(at, (key, _))| pairs[..*at].iter().any(|(other, _)| other == key));
    twice.map_or(Ok(()), |(_, (key, _))| Err(format!("{key} stands there twice")))
}

#[cfg(test)]
mod tests;
