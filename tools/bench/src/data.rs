//! The rows of the bench: every value is a pure function of (row, column).
//!
//! So any program can make any row in any order: `peers/rust` includes this very file, `peers/java` computes the same
//! function, and [`Expected`] knows what a correct table must hold without asking an engine.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::measure::Outcome;

/// Rows in a batch of input.
pub const BATCH: u64 = 8192;

const STATUS: [&str; 8] = ["NEW", "PAID", "SHIPPED", "DONE", "CANCEL", "RETURN", "HOLD", "FRAUD"];
const WORDS: [&str; 16] = [
    "stream", "lake", "table", "merge", "commit", "bucket", "level", "order", "price", "customer", "urgent", "blue",
    "delivery", "weekly", "priority", "return",
];

/// Which keys the rows have.
#[derive(Clone, Copy)]
pub struct Keys {
    /// Size of the key space.
    pub space: u64,
    /// Zipf with exponent 1, scattered over the key space, instead of uniform.
    pub zipf: bool,
}

impl Keys {
    /// The key of a row.
    pub fn of(self, row: u64) -> i64 {
        let random = hash(row, 0);
        if !self.zipf {
            return (random % self.space) as i64;
        }
        // A log-uniform rank is a Zipf distribution with exponent 1.
        let unit = (random >> 11) as f64 / (1u64 << 53) as f64;
        let rank = ((self.space as f64 + 1.0).ln() * unit).exp() as u64 - 1;
        (mix(rank.wrapping_add(77)) % self.space) as i64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hash(row: u64, column: u64) -> u64 {
    mix(row.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(mix(column + 1)))
}

/// `c_int` of a row.
pub fn c_int(row: u64) -> i32 {
    (hash(row, 1) % 1000) as i32
}

fn c_long(row: u64) -> i64 {
    (hash(row, 2) >> 1) as i64
}

/// The columns, `id` first, which is the primary key.
pub fn schema() -> SchemaRef {
    let column = |name: &str, data_type| Field::new(name, data_type, name != "id");
    Arc::new(Schema::new(vec![
        column("id", DataType::Int64),
        column("c_int", DataType::Int32),
        column("c_long", DataType::Int64),
        column("c_double", DataType::Float64),
        column("c_dec", DataType::Decimal128(12, 2)),
        column("c_date", DataType::Date32),
        column("c_ts", DataType::Timestamp(TimeUnit::Microsecond, None)),
        column("c_status", DataType::Utf8),
        column("c_city", DataType::Utf8),
        column("c_name", DataType::Utf8),
        column("c_note", DataType::Utf8),
    ]))
}

/// The note of a row: one to ten words, and nothing for one row in twenty.
fn note(row: u64, text: &mut String) -> bool {
    let random = hash(row, 10);
    text.clear();
    let mut choice = mix(random);
    for word in 0..1 + (random >> 8) % 10 {
        if word > 0 {
            text.push(' ');
        }
        text.push_str(WORDS[(choice & 15) as usize]);
        choice >>= 4;
    }
    !random.is_multiple_of(20)
}

/// Without room to spare, so that whoever counts bytes counts those of the rows.
fn strings(mut builder: StringBuilder) -> ArrayRef {
    let mut array = builder.finish();
    array.shrink_to_fit();
    Arc::new(array)
}

/// The rows `from..to`.
pub fn batch(from: u64, to: u64, keys: Keys) -> Outcome<RecordBatch> {
    let rows = (to - from) as usize;
    let times = (from..to).map(|row| 1_600_000_000_000_000 + (row * 1000 + hash(row, 6) % 1000) as i64);
    let decimals = (from..to).map(|row| i128::from(hash(row, 4) % 10_000_000));
    let mut status = StringBuilder::with_capacity(rows, rows * 6);
    let mut city = StringBuilder::with_capacity(rows, rows * 10);
    let mut name = StringBuilder::with_capacity(rows, rows * 16);
    let mut notes = StringBuilder::with_capacity(rows, rows * 40);
    let mut text = String::new();
    for row in from..to {
        status.append_value(STATUS[(hash(row, 7) % 8) as usize]);
        city.append_value(format!("city-{:05}", hash(row, 8) % 10_000));
        name.append_value(format!("{:016x}", hash(row, 9)));
        notes.append_option(note(row, &mut text).then_some(&text));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values((from..to).map(|row| keys.of(row)))),
        Arc::new(Int32Array::from_iter_values((from..to).map(c_int))),
        Arc::new(Int64Array::from_iter_values((from..to).map(c_long))),
        Arc::new(Float64Array::from_iter_values((from..to).map(|row| (hash(row, 3) % 1_000_000) as f64 / 100.0))),
        Arc::new(Decimal128Array::from_iter_values(decimals).with_precision_and_scale(12, 2)?),
        Arc::new(Date32Array::from_iter_values((from..to).map(|row| 18000 + (hash(row, 5) % 2000) as i32))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
        strings(status),
        strings(city),
        strings(name),
        strings(notes),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The rows `from..to` in batches of [`BATCH`] rows that share no memory, as an engine hands them over.
pub fn batches(from: u64, to: u64, keys: Keys) -> impl Iterator<Item = Outcome<RecordBatch>> {
    (from..to).step_by(BATCH as usize).map(move |start| batch(start, to.min(start + BATCH), keys))
}

/// What a table must hold after the rows `0..n` were upserted in order: the gate of every figure.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "peers write rows and do not judge them"))]
pub struct Expected {
    /// Keys that occurred.
    pub rows: u64,
    /// Sum of `c_long` over the last row of each key.
    pub sum_long: i128,
    /// Sum of `c_int` likewise.
    pub sum_int: i128,
}

#[cfg_attr(not(test), allow(dead_code, reason = "peers write rows and do not judge them"))]
impl Expected {
    /// The last row of a key that has none.
    pub const NEVER: u64 = u64::MAX;

    /// The last row of each key of the key space.
    pub fn last_rows(rows: u64, keys: Keys) -> Vec<u64> {
        let mut last = vec![Self::NEVER; keys.space as usize];
        for row in 0..rows {
            last[keys.of(row) as usize] = row;
        }
        last
    }

    /// Rows of the files of so many commits, each of which keeps the last row of each key.
    pub fn rows_of_commits(rows: u64, keys: Keys, commits: u64) -> u64 {
        let each = rows / commits;
        let distinct =
            |commit: u64| (commit * each..(commit + 1) * each).map(|row| keys.of(row)).collect::<HashSet<_>>();
        (0..commits).map(|commit| distinct(commit).len() as u64).sum()
    }

    /// Counts without any engine.
    pub fn after(rows: u64, keys: Keys) -> Self {
        let mut expected = Self { rows: 0, sum_long: 0, sum_int: 0 };
        for row in Self::last_rows(rows, keys).into_iter().filter(|row| *row != Self::NEVER) {
            expected.rows += 1;
            expected.sum_long += i128::from(c_long(row));
            expected.sum_int += i128::from(c_int(row));
        }
        expected
    }
}
