//! Directory names of partitions. A name is only a path: the truth about a partition is its BinaryRow.
//! Spec: `format-spec/partition.md`.

use super::BinaryRow;
use crate::error::{Error, Result};
use crate::types::java_text::{
    calendar_text, date_text, decimal_text, java_double, java_float, local_date_time, time_text,
};
use crate::types::{DataType, Datum, TypeKind};

/// The directory value of NULL, empty and blank values (option `partition.default-name`).
pub const DEFAULT_PARTITION: &str = "__DEFAULT_PARTITION__";

/// `k1=v1/k2=v2` of a partition; the empty text for an unpartitioned table. `legacy_name` is option
/// `partition.legacy-name`, `default_name` option `partition.default-name`.
///
/// # Errors
/// [`Error::Corrupt`] when the row does not have these columns, [`Error::Unsupported`] for a value whose text is not
/// defined (binary columns under legacy names, years beyond 9999 otherwise).
pub fn partition_path(
    keys: &[String],
    types: &[DataType],
    partition: &BinaryRow,
    legacy_name: bool,
    default_name: &str,
) -> Result<String> {
    let mut path = String::new();
    for (index, (key, text)) in partition_texts(keys, types, partition, legacy_name, default_name)?.iter().enumerate() {
        if index > 0 {
            path.push('/');
        }
        escape(key, &mut path);
        path.push('=');
        escape(text, &mut path);
    }
    Ok(path)
}

/// The columns of a partition with their values as texts: what [`partition_path`] escapes and joins.
///
/// # Errors
/// As [`partition_path`].
pub fn partition_texts(
    keys: &[String],
    types: &[DataType],
    partition: &BinaryRow,
    legacy_name: bool,
    default_name: &str,
) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::with_capacity(keys.len());
    for ((key, data_type), value) in keys.iter().zip(types).zip(partition.decode(types)?) {
        let text = match legacy_name {
            true => legacy_text(&value, &data_type.kind),
            false => cast_text(&value, &data_type.kind),
        };
        let text = text.ok_or_else(|| {
            Error::unsupported(format!(
                "partition column {key} of type {data_type}: value {value:?} has no directory name with partition.legacy-name={legacy_name}"
            ))
        })?;
        let text = if is_blank(&text) { default_name.to_string() } else { text };
        texts.push((key.clone(), text));
    }
    Ok(texts)
}

/// Java's `toString` of the internal value.
fn legacy_text(value: &Datum, kind: &TypeKind) -> Option<String> {
    Some(match value {
        Datum::Date(value) | Datum::Time(value) => value.to_string(),
        Datum::Timestamp { millis, nanos } => local_date_time(*millis, *nanos),
        // Java prints the identity of the byte array: no two processes agree.
        Datum::Bytes(_) => return None,
        other => return plain_text(other, kind),
    })
}

/// Paimon's cast to STRING; local-zoned timestamps in UTC.
fn cast_text(value: &Datum, kind: &TypeKind) -> Option<String> {
    match (value, kind) {
        (Datum::Date(days), _) => date_text(*days),
        (Datum::Time(millis), TypeKind::Time(precision)) => Some(time_text(*millis, *precision)),
        (Datum::Timestamp { millis, nanos }, TypeKind::Timestamp(precision) | TypeKind::TimestampLtz(precision)) => {
            calendar_text(*millis, *nanos, *precision)
        }
        (Datum::Bytes(bytes), _) => String::from_utf8(bytes.clone()).ok(),
        (other, _) => plain_text(other, kind),
    }
}

fn plain_text(value: &Datum, kind: &TypeKind) -> Option<String> {
    Some(match value {
        Datum::Null => String::new(),
        Datum::Boolean(value) => value.to_string(),
        Datum::TinyInt(value) => value.to_string(),
        Datum::SmallInt(value) => value.to_string(),
        Datum::Int(value) => value.to_string(),
        Datum::BigInt(value) => value.to_string(),
        Datum::Float(value) => java_float(*value),
        Datum::Double(value) => java_double(*value),
        Datum::Decimal(value) => match kind {
            TypeKind::Decimal { scale, .. } => decimal_text(*value, *scale),
            _ => return None,
        },
        Datum::String(value) => value.clone(),
        Datum::Bytes(_) | Datum::Date(_) | Datum::Time(_) | Datum::Timestamp { .. } => return None,
        Datum::Array(_) | Datum::Map(_) | Datum::Row(_) => return None,
    })
}

/// Whether Java finds nothing but white space: no-break spaces count as text, the separators 1C to 1F do not.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{85}' => false,
        '\u{1c}'..='\u{1f}' => true,
        other => other.is_whitespace(),
    })
}

fn escape(text: &str, path: &mut String) {
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{}[]^".contains(c) {
            path.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            path.push(c);
        }
    }
}

#[cfg(test)]
mod tests;
