//! Rows as data: JSON lines of a golden table in, lanes in and out.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int8Array, RecordBatch};
use forebay::format::datum_at;
use forebay::read::RowStream;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind, TypeKind, lane_schema};
use forebay::write::ChangeBatch;
use serde_json::Value;

pub type Row = Vec<Datum>;

/// Every golden table there is: those of the repository, or of `FOREBAY_GOLDENS`.
pub fn golden_dirs() -> Vec<PathBuf> {
    let root = std::env::var_os("FOREBAY_GOLDENS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap_or_else(|error| panic!("{}: {error}", root.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("table/schema").is_dir())
        .collect();
    dirs.sort();
    assert!(!dirs.is_empty(), "no golden tables in {}", root.display());
    dirs
}

/// Copies a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

pub fn json_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A JSON row by a schema.
pub fn row_of(schema: &Schema, row: &Value) -> Row {
    let of = |field: &forebay::schema::Field| datum_of(row.get(&field.name).unwrap_or(&Value::Null), &field.data_type);
    comparable(schema, schema.fields.iter().map(of).collect())
}

/// A JSON row by a schema with its arrays and maps in the order they were given: what is written, not what is compared.
pub fn given_row(schema: &Schema, row: &Value) -> Row {
    let of = |field: &forebay::schema::Field| datum_of(row.get(&field.name).unwrap_or(&Value::Null), &field.data_type);
    schema.fields.iter().map(of).collect()
}

/// A row of all columns in the form that is compared.
pub fn comparable(schema: &Schema, row: Row) -> Row {
    let cells = schema.fields.iter().zip(row);
    cells.map(|(field, cell)| unordered(schema, &field.name, settled(cell))).collect()
}

/// A value whose elements are sorted when its aggregate function leaves them in the order of Java's hashes.
fn unordered(schema: &Schema, column: &str, value: Datum) -> Datum {
    let option = |name: &str| schema.option(&format!("fields.{column}.{name}"));
    let hashed = match option("aggregate-function") {
        Some("collect") => option("distinct") == Some("true"),
        Some("nested_update" | "nested_partial_update") => option("nested-key").is_some(),
        _ => false,
    };
    match value {
        Datum::Array(mut elements) if hashed => {
            elements.sort_by(Datum::total_cmp);
            Datum::Array(elements)
        }
        other => other,
    }
}

/// A value whose maps are in the order of their keys: Java keeps them in no order.
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

pub fn datum_of(value: &Value, data_type: &DataType) -> Datum {
    let text = || value.as_str().unwrap_or_else(|| panic!("{value} for {data_type}")).to_string();
    let number = || value.to_string();
    fn parse<T: FromStr>(text: &str) -> T
    where
        T::Err: std::fmt::Debug,
    {
        text.parse().unwrap()
    }
    if value.is_null() {
        return Datum::Null;
    }
    match &data_type.kind {
        TypeKind::Boolean => Datum::Boolean(value.as_bool().unwrap()),
        TypeKind::TinyInt => Datum::TinyInt(parse(&number())),
        TypeKind::SmallInt => Datum::SmallInt(parse(&number())),
        TypeKind::Int => Datum::Int(parse(&number())),
        TypeKind::BigInt => Datum::BigInt(parse(&number())),
        TypeKind::Float => Datum::Float(parse(&value.as_str().map_or_else(number, str::to_string))),
        TypeKind::Double => Datum::Double(parse(&value.as_str().map_or_else(number, str::to_string))),
        TypeKind::Decimal { scale, .. } => Datum::Decimal(unscaled(&number(), (*scale).into())),
        TypeKind::Char(_) | TypeKind::VarChar(_) => Datum::String(text()),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => {
            use base64::Engine;
            Datum::Bytes(base64::engine::general_purpose::STANDARD.decode(text()).unwrap())
        }
        TypeKind::Date => Datum::Date(days(&text())),
        TypeKind::Time(_) => Datum::Time((seconds_of_day(&text()).1 / 1_000_000) as i32),
        TypeKind::Timestamp(_) | TypeKind::TimestampLtz(_) => {
            let text = text();
            let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap();
            let nanos = i128::from(days(date)) * 86_400_000_000_000 + i128::from(seconds_of_day(time).1);
            Datum::Timestamp { millis: nanos.div_euclid(1_000_000) as i64, nanos: nanos.rem_euclid(1_000_000) as i32 }
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

fn unscaled(text: &str, scale: usize) -> i128 {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let shift = scale as i32 + exponent.parse::<i32>().unwrap() - fraction.len() as i32;
    let number: i128 = format!("{whole}{fraction}").parse().unwrap();
    if shift < 0 { number / 10_i128.pow(-shift as u32) } else { number * 10_i128.pow(shift as u32) }
}

/// Days since the epoch of a date in the proleptic Gregorian calendar.
fn days(text: &str) -> i32 {
    let parts: Vec<i64> = text.split('-').map(|part| part.parse().unwrap()).collect();
    let (year, month, day) = (parts[0] - i64::from(parts[1] <= 2), parts[1], parts[2]);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468) as i32
}

/// Seconds and nanoseconds of the day.
fn seconds_of_day(text: &str) -> (i64, i64) {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let seconds = clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    let nanos: i64 = format!("{fraction:0<9}")[..9].parse().unwrap();
    (seconds, seconds * 1_000_000_000 + nanos)
}

/// Rows as a batch of lanes.
pub fn lanes(schema: &Schema, rows: &[Row]) -> RecordBatch {
    let columns = schema.fields.iter().enumerate().map(|(at, field)| {
        let cells: Vec<ArrayRef> = rows.iter().map(|row| row[at].repeat(&field.data_type.kind, 1).unwrap()).collect();
        let cells: Vec<&dyn arrow_array::Array> = cells.iter().map(|cell| cell.as_ref()).collect();
        arrow_select::concat::concat(&cells).unwrap()
    });
    RecordBatch::try_new(Arc::new(nullable(schema)), columns.collect()).unwrap()
}

fn nullable(schema: &Schema) -> arrow_schema::Schema {
    let columns = schema.fields.iter().map(|field| (field.name.as_str(), field.data_type.clone().nullable()));
    lane_schema(columns).as_ref().clone()
}

pub fn changes(schema: &Schema, rows: &[(RowKind, Row)]) -> ChangeBatch {
    let kinds = Int8Array::from_iter_values(rows.iter().map(|(kind, _)| *kind as i8));
    let rows: Vec<Row> = rows.iter().map(|(_, row)| row.clone()).collect();
    ChangeBatch::new(lanes(schema, &rows), Some(kinds)).unwrap()
}

/// The rows of a batch of lanes.
pub fn rows_of(schema: &Schema, batch: &RecordBatch) -> Vec<Row> {
    let kind = |name: &str| schema.fields[schema.index_of(name).unwrap()].data_type.kind.clone();
    let fields = batch.schema();
    (0..batch.num_rows())
        .map(|row| {
            let cells = fields.fields().iter().zip(batch.columns());
            let cell =
                |name: &str, column| unordered(schema, name, settled(datum_at(column, &kind(name), row).unwrap()));
            cells.map(|(field, column)| cell(field.name(), column)).collect()
        })
        .collect()
}

pub async fn all_rows(schema: &Schema, mut stream: RowStream) -> Result<Vec<Row>, forebay::Error> {
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await? {
        rows.extend(rows_of(schema, &batch));
    }
    Ok(rows)
}

/// Rows as sorted text, for comparison as a multiset; equal floats print equally, whatever their bits.
pub fn as_set<T: std::fmt::Debug>(rows: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut texts: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    texts.sort();
    texts
}
