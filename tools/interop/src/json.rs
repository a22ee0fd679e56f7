//! Values as JSON, by the rules of `README.md`: nothing is lost, decimals keep their scale and -0.0 its sign.

use std::fmt::Debug;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, TypeKind};
use serde_json::{Map, Value, json};

use crate::Row;

const DAY_NANOS: i128 = 86_400_000_000_000;

/// A row as a JSON object.
pub fn json_row(schema: &Schema, row: &Row) -> Value {
    let cells = schema.fields.iter().zip(row);
    Value::Object(
        cells.map(|(field, datum)| (field.name.clone(), json_of(datum, &field.data_type.kind))).collect::<Map<_, _>>(),
    )
}

/// A JSON object as a row. It must have the columns of the schema and no other.
pub fn row_of(schema: &Schema, row: &Value) -> Row {
    let object = row.as_object().unwrap_or_else(|| panic!("{row} is no row"));
    assert_eq!(object.len(), schema.fields.len(), "columns {:?} of {row}", schema.columns());
    let cell = |name: &str| object.get(name).unwrap_or_else(|| panic!("column {name:?} is not in {row}"));
    let of = |field: &forebay::schema::Field| datum_of(cell(&field.name), &field.data_type);
    schema.fields.iter().map(|field| comparable(schema, &field.name, of(field))).collect()
}

/// A type as schema files spell it.
pub fn type_json(data_type: &DataType) -> Value {
    let word = |word: &str| format!("{word}{}", if data_type.nullable { "" } else { " NOT NULL" });
    match &data_type.kind {
        TypeKind::Array(element) => json!({"type": word("ARRAY"), "element": type_json(element)}),
        TypeKind::Multiset(element) => json!({"type": word("MULTISET"), "element": type_json(element)}),
        TypeKind::Map(map) => json!({"type": word("MAP"), "key": type_json(&map.key), "value": type_json(&map.value)}),
        TypeKind::Row(fields) => {
            let field = |(id, field): (usize, &forebay::schema::Field)| json!({"id": id, "name": field.name, "type": type_json(&field.data_type)});
            json!({"type": word("ROW"), "fields": fields.iter().enumerate().map(field).collect::<Vec<_>>()})
        }
        _ => Value::from(data_type.to_string()),
    }
}

/// A value whose maps are in the order of their keys: other engines keep them in no order.
pub fn settled(value: Datum) -> Datum {
    match value {
        Datum::Array(values) => Datum::Array(values.into_iter().map(settled).collect()),
        Datum::Row(cells) => Datum::Row(cells.into_iter().map(settled).collect()),
        Datum::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.into_iter().map(|(key, value)| (settled(key), settled(value))).collect();
            pairs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            Datum::Map(pairs)
        }
        scalar => scalar,
    }
}

/// A value of a column in the order that is compared: sorted where Java's aggregate leaves the order to its hashes.
pub fn comparable(schema: &Schema, column: &str, value: Datum) -> Datum {
    let option = |name: &str| schema.option(&format!("fields.{column}.{name}"));
    let hashed = match option("aggregate-function") {
        Some("collect") => option("distinct") == Some("true"),
        Some("nested_update" | "nested_partial_update") => option("nested-key").is_some(),
        _ => false,
    };
    match settled(value) {
        Datum::Array(mut elements) if hashed => {
            elements.sort_by(Datum::total_cmp);
            Datum::Array(elements)
        }
        other => other,
    }
}

/// A value as JSON.
pub fn json_of(datum: &Datum, kind: &TypeKind) -> Value {
    let number = |text: String| serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let float = |text: String| match text.as_str() {
        "NaN" => Value::from("NaN"),
        "inf" => Value::from("Infinity"),
        "-inf" => Value::from("-Infinity"),
        _ => number(text),
    };
    match datum {
        Datum::Null => Value::Null,
        Datum::Boolean(v) => Value::from(*v),
        Datum::TinyInt(v) => Value::from(*v),
        Datum::SmallInt(v) => Value::from(*v),
        Datum::Int(v) => Value::from(*v),
        Datum::BigInt(v) => Value::from(*v),
        Datum::Float(v) => float(format!("{v:?}")),
        Datum::Double(v) => float(format!("{v:?}")),
        Datum::Decimal(v) => match kind {
            TypeKind::Decimal { scale, .. } => number(decimal_text(*v, (*scale).into())),
            _ => panic!("{datum:?} is no {kind}"),
        },
        Datum::String(v) => Value::from(v.as_str()),
        Datum::Bytes(v) => Value::from(STANDARD.encode(v)),
        Datum::Date(v) => Value::from(date_text((*v).into())),
        Datum::Time(v) => Value::from(&clock_text(i128::from(*v) * 1_000_000)[..12]),
        Datum::Timestamp { millis, nanos } => {
            let all = i128::from(*millis) * 1_000_000 + i128::from(*nanos);
            let clock = clock_text(all.rem_euclid(DAY_NANOS));
            let (digits, zone) = match kind {
                TypeKind::Timestamp(p) => (usize::from(*p), ""),
                TypeKind::TimestampLtz(p) => (usize::from(*p), "Z"),
                _ => panic!("{datum:?} is no {kind}"),
            };
            let clock = if digits == 0 { &clock[..8] } else { &clock[..9 + digits] };
            Value::from(format!("{}T{clock}{zone}", date_text(all.div_euclid(DAY_NANOS) as i64)))
        }
        Datum::Array(_) | Datum::Map(_) | Datum::Row(_) => json_of_parts(datum, kind),
    }
}

/// A value of a nested type as JSON.
fn json_of_parts(datum: &Datum, kind: &TypeKind) -> Value {
    let pairs = |pairs: &[(Datum, Datum)], key: &TypeKind, value: &TypeKind| {
        pairs.iter().map(|(k, v)| Value::from(vec![json_of(k, key), json_of(v, value)])).collect::<Vec<_>>().into()
    };
    match (datum, kind) {
        (Datum::Array(values), TypeKind::Array(element)) => {
            values.iter().map(|value| json_of(value, &element.kind)).collect::<Vec<_>>().into()
        }
        (Datum::Map(entries), TypeKind::Map(map)) => pairs(entries, &map.key.kind, &map.value.kind),
        (Datum::Map(entries), TypeKind::Multiset(element)) => pairs(entries, &element.kind, &TypeKind::Int),
        (Datum::Row(cells), TypeKind::Row(_) | TypeKind::Variant) => {
            let fields = kind.stored_fields().unwrap_or_default();
            let cell = |(field, cell): (&forebay::schema::Field, &Datum)| {
                (field.name.clone(), json_of(cell, &field.data_type.kind))
            };
            Value::Object(fields.iter().zip(cells).map(cell).collect())
        }
        _ => panic!("{datum:?} is no {kind}"),
    }
}

/// JSON as a value.
pub fn datum_of(value: &Value, data_type: &DataType) -> Datum {
    let text = || value.as_str().unwrap_or_else(|| panic!("{value} for {data_type}"));
    let number = || value.to_string();
    let float = || value.as_str().map_or_else(number, str::to_string);
    match &data_type.kind {
        _ if value.is_null() => Datum::Null,
        TypeKind::Boolean => Datum::Boolean(value.as_bool().unwrap_or_else(|| panic!("{value} for {data_type}"))),
        TypeKind::TinyInt => Datum::TinyInt(parse(&number())),
        TypeKind::SmallInt => Datum::SmallInt(parse(&number())),
        TypeKind::Int => Datum::Int(parse(&number())),
        TypeKind::BigInt => Datum::BigInt(parse(&number())),
        TypeKind::Float => Datum::Float(parse(&float())),
        TypeKind::Double => Datum::Double(parse(&float())),
        TypeKind::Decimal { scale, .. } => Datum::Decimal(unscaled(&number(), (*scale).into())),
        TypeKind::Char(_) | TypeKind::VarChar(_) => Datum::String(text().to_string()),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
            Datum::Bytes(STANDARD.decode(text()).unwrap_or_else(|error| panic!("{value}: {error}")))
        }
        TypeKind::Date => Datum::Date(days_of(text()) as i32),
        TypeKind::Time(_) => Datum::Time((nanos_of_day(text()) / 1_000_000) as i32),
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
            let (date, clock) = text().trim_end_matches('Z').split_once('T').unwrap_or_else(|| panic!("{value}"));
            timestamp(i128::from(days_of(date)) * DAY_NANOS + nanos_of_day(clock))
        }
        TypeKind::Array(element) => {
            Datum::Array(value.as_array().unwrap().iter().map(|it| datum_of(it, element)).collect())
        }
        TypeKind::Map(map) => pairs_of(value, &map.key, &map.value),
        TypeKind::Multiset(element) => pairs_of(value, element, &DataType::INT),
        TypeKind::Row(_) | TypeKind::Variant => {
            let fields = data_type.kind.stored_fields().unwrap_or_default();
            let cell = |name: &str| value.get(name).unwrap_or(&Value::Null);
            Datum::Row(fields.iter().map(|field| datum_of(cell(&field.name), &field.data_type)).collect())
        }
    }
}

/// MAP and MULTISET: an array of `[key, value]`.
fn pairs_of(value: &Value, key: &DataType, of: &DataType) -> Datum {
    let pair = |pair: &Value| (datum_of(&pair[0], key), datum_of(&pair[1], of));
    Datum::Map(value.as_array().unwrap().iter().map(pair).collect())
}

/// A timestamp of nanoseconds since the epoch.
pub(crate) fn timestamp(nanos: i128) -> Datum {
    Datum::Timestamp { millis: nanos.div_euclid(1_000_000) as i64, nanos: nanos.rem_euclid(1_000_000) as i32 }
}

fn parse<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn decimal_text(unscaled: i128, scale: usize) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale > 0 { "." } else { "" };
    format!("{sign}{whole}{point}{fraction}")
}

fn unscaled(text: &str, scale: usize) -> i128 {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let shift = scale as i32 + parse::<i32>(exponent) - fraction.len() as i32;
    let number: i128 = parse(&format!("{whole}{fraction}"));
    let power = 10_i128.pow(shift.unsigned_abs());
    if shift >= 0 {
        return number * power;
    }
    assert_eq!(number % power, 0, "{text} has more than {scale} digits behind the point");
    number / power
}

/// Days since the epoch of `year-month-day` in the proleptic Gregorian calendar.
fn days_of(text: &str) -> i64 {
    let parts: Vec<i64> = text.split('-').map(parse).collect();
    let (year, month, day) = (parts[0] - i64::from(parts[1] <= 2), parts[1], parts[2]);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_text(days: i64) -> String {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    format!("{:04}-{month:02}-{:02}", year + era * 400 + i64::from(month <= 2), of_year - (153 * shifted + 2) / 5 + 1)
}

fn nanos_of_day(text: &str) -> i128 {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = clock.split(':').fold(0, |sum, part| sum * 60 + parse::<i128>(part));
    seconds * 1_000_000_000 + parse::<i128>(&format!("{fraction:0<9}"))
}

/// `HH:mm:ss.nnnnnnnnn`
fn clock_text(nanos: i128) -> String {
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    format!("{:02}:{:02}:{:02}.{nanos:09}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ALL_KINDS, Random, random_kind, random_value};

    #[test]
    fn every_value_comes_back_from_json_as_it_was() {
        let mut random = Random::new(1);
        for kind in 0..ALL_KINDS * 200 {
            let kind = random_kind(&mut random, kind % ALL_KINDS);
            let value = random_value(&mut random, &kind);
            let json: Value = serde_json::from_str(&json_of(&value, &kind).to_string()).unwrap();
            let back = datum_of(&json, &DataType { kind: kind.clone(), nullable: true });
            assert_eq!(format!("{back:?}"), format!("{value:?}"), "{kind} as {json}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, text) in [(0, "1970-01-01"), (-1, "1969-12-31"), (19_723, "2024-01-01"), (-719_162, "0001-01-01")] {
            assert_eq!((date_text(days).as_str(), days_of(text)), (text, days));
        }
    }
}
