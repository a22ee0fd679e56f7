//! Rows that go at compaction when they are old (`record-level.expire-time`).
//!
//! The column named by `record-level.time-field` tells when a row was made: seconds since 1970 as INT or BIGINT (from
//! 10^12 on they are milliseconds), or a timestamp. Rows without a time stay. Every version is looked at by itself,
//! before the merge and before its old rows are looked up; what is read beside a compaction as old rows is not. Spec: `format-spec/compaction.md`, old rows.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, BooleanArray};

use crate::error::{Error, Result};
use crate::format::DataFileMeta;
use crate::schema::{Schema, TableOptions, time_column};
use crate::types::{DataType, Datum, TypeKind};

/// From here on a BIGINT counts milliseconds.
const MILLIS_FROM: i64 = 1_000_000_000_000;

/// Which rows are too old.
#[derive(Debug, Clone)]
pub(super) struct Expiry {
    /// The column that tells a row's time, and its type.
    pub column: usize,
    data_type: DataType,
    /// Seconds since 1970; rows from before go.
    oldest: i64,
}

impl Expiry {
    /// The rule of a table at a time, in milliseconds since 1970; `None` where rows do not expire.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time column that is none, [`Error::Unsupported`] for a table without a primary key.
    pub(super) fn at(schema: &Schema, options: &TableOptions, now_millis: i64) -> Result<Option<Self>> {
        let Some(rule) = &options.compaction.record_expiry else { return Ok(None) };
        let Some(column) = time_column(schema, options)? else { return Ok(None) };
        let data_type = &schema.fields[column].data_type;
        let after = i64::try_from(rule.after.as_secs()).unwrap_or(i64::MAX);
        Ok(Some(Self { column, data_type: data_type.clone(), oldest: (now_millis / 1000).saturating_sub(after) }))
    }

    /// Which rows stay, by the lane of the time column.
    pub(super) fn keeps(&self, lane: &ArrayRef) -> Result<BooleanArray> {
        let stays = |seconds: i64| seconds >= self.oldest;
        let keep = match &self.data_type.kind {
            TypeKind::Int => each(lane.as_primitive_opt::<Int32Type>(), |time| stays(i64::from(time))),
            TypeKind::BigInt => each(lane.as_primitive_opt::<Int64Type>(), |time| stays(of_number(time))),
            TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => {
                each(lane.as_primitive_opt::<TimestampMillisecondType>(), |time| stays(time / 1000))
            }
            TypeKind::Timestamp(4..=6) | TypeKind::TimestampLtz(4..=6) => {
                each(lane.as_primitive_opt::<TimestampMicrosecondType>(), |time| stays(time.div_euclid(1000) / 1000))
            }
            _ => each(lane.as_primitive_opt::<Decimal128Type>(), |time| {
                stays(i64::try_from(time.div_euclid(1_000_000) / 1000).unwrap_or(i64::MAX))
            }),
        };
        keep.ok_or_else(|| Error::bug(format!("a time column of type {} as {}", self.data_type, lane.data_type())))
    }

    /// Whether a file has rows that are too old, as its statistics tell.
    pub(super) fn is_due(&self, file: &DataFileMeta, schema: &Schema) -> bool {
        self.least(file, schema).is_some_and(|seconds| seconds < self.oldest)
    }

    /// The same of a file that may not tell.
    pub(super) fn may_be_due(&self, file: &DataFileMeta, schema: &Schema) -> bool {
        self.least(file, schema).is_none_or(|seconds| seconds < self.oldest)
    }

    /// The least time of a file's rows. Files of other schemas do not tell, nor do those without statistics.
    fn least(&self, file: &DataFileMeta, schema: &Schema) -> Option<i64> {
        if file.schema_id != schema.id {
            return None;
        }
        let stats = file.value_column_stats(&schema.columns()).ok();
        let min = stats.and_then(|stats| stats.get(self.column)?.as_ref().map(|stats| stats.min.clone()));
        match min? {
            Datum::Int(time) => Some(i64::from(time)),
            Datum::BigInt(time) => Some(of_number(time)),
            Datum::Timestamp { millis, .. } => Some(millis / 1000),
            _ => None,
        }
    }
}

fn of_number(time: i64) -> i64 {
    if time >= MILLIS_FROM { time / 1000 } else { time }
}

/// A test of each value; NULL passes.
fn each<T: arrow_array::ArrowPrimitiveType>(
    lane: Option<&arrow_array::PrimitiveArray<T>>,
    test: impl Fn(T::Native) -> bool,
) -> Option<BooleanArray> {
    lane.map(|lane| lane.iter().map(|value| Some(value.is_none_or(&test))).collect())
}
