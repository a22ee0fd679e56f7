//! A table's options as a writer needs them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};

use crate::error::{Error, Result};
use crate::files::{FileLayout, WriteSpec, held_by_orc};
use crate::lsm::{MergeFunction, SequenceOrder, merge};
use crate::schema::{BucketMode, ChangelogProducer, Field, Schema, TableOptions};
use crate::types::{DataType, TypeKind};

/// How the rows of one table are written.
pub(super) struct Settings {
    pub schema: Arc<Schema>,
    pub options: TableOptions,
    pub layout: Arc<FileLayout>,
    pub merge: Option<Arc<dyn MergeFunction>>,
    pub order: Option<SequenceOrder>,
    pub kind_column: Option<usize>,
    /// Default values of the columns; empty where NULL stays NULL.
    pub defaults: Vec<Option<ArrayRef>>,
    /// Rows are the table's own: what others stored is taken as it is.
    pub own_rows: bool,
}

impl Settings {
    pub(super) fn new(schema: Arc<Schema>, options: TableOptions) -> Result<Self> {
        // Such tables come from old releases; nothing tells where rows would go.
        if matches!(options.bucket, BucketMode::Fixed(_)) && options.bucket_key.is_empty() {
            return Err(Error::invalid("an append table with buckets needs option bucket-key"));
        }
        let layout = Arc::new(FileLayout::of(&schema, options.thin_mode)?);
        WriteSpec::check(&schema, &options, &layout)?;
        let columns: Vec<usize> = (0..schema.fields.len()).collect();
        // Rows that wait in `bucket-postpone` are kept as they came.
        let merge = match schema.has_primary_key() && options.bucket != BucketMode::Postpone {
            true => Some(merge::of(&schema, &options, &columns)?),
            false => None,
        };
        let sequence = schema.positions(&options.sequence_fields)?;
        let types = schema.types_of(&options.sequence_fields)?;
        let order = if sequence.is_empty() {
            None
        } else {
            Some(SequenceOrder::new(sequence, &types, options.sequence_descending)?)
        };
        let kind_column = options.rowkind_field.as_ref().map(|name| schema.require(name)).transpose()?;
        let defaults = schema.default_lanes()?;
        Ok(Self { schema, options, layout, merge, order, kind_column, defaults, own_rows: false })
    }

    /// How level-0 files are written. `encode_bytes` bounds what one file holds in memory.
    pub(super) fn data_spec(&self, encode_bytes: usize, postpone_prefix: Option<String>) -> Result<WriteSpec> {
        let (schema, options, layout) = (&self.schema, &self.options, &self.layout);
        match postpone_prefix {
            Some(prefix) => WriteSpec::of_postponed(schema, options, layout, prefix, encode_bytes),
            None => WriteSpec::of_data(schema, options, layout, 0, encode_bytes),
        }
    }

    /// How changelog files are written, when the input becomes one. Rows that wait in `bucket-postpone` are told when
    /// they are moved.
    pub(super) fn changelog_spec(&self, encode_bytes: usize) -> Result<Option<WriteSpec>> {
        let waits = self.options.bucket == BucketMode::Postpone;
        if waits || self.options.changelog_producer != ChangelogProducer::Input {
            return Ok(None);
        }
        WriteSpec::of_changelog(&self.schema, &self.options, &self.layout, 0, encode_bytes).map(Some)
    }

    /// Rows as readers will see them, whichever level they are read from: where any file of the table is ORC, what ORC does
    /// not keep is cut off here, before buckets and indexes, and what it does not hold is refused.
    pub(super) fn storable(&self, rows: RecordBatch) -> Result<RecordBatch> {
        if !self.options.formats.writes_orc() {
            return Ok(rows);
        }
        let key = |name: &String| self.schema.primary_keys.contains(name) || self.schema.partition_keys.contains(name);
        let of =
            |(field, lane): (&Field, &ArrayRef)| held_by_orc(&field.name, &field.data_type, key(&field.name), lane);
        let lanes = self.schema.fields.iter().zip(rows.columns()).map(of).collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(rows.schema(), lanes).map_err(|error| Error::bug(error.to_string()))
    }

    /// Refuses values that their column's type cannot hold, which Arrow's type does not tell.
    pub(super) fn check_values(&self, columns: &[ArrayRef]) -> Result<()> {
        for (field, lane) in self.schema.fields.iter().zip(columns) {
            check_column(&field.name, &field.data_type, lane)?;
        }
        Ok(())
    }
}

/// The years 1 to 9999 in nanoseconds since 1970.
const YEARS: std::ops::Range<i128> = -62_135_596_800_000_000_000..253_402_300_800_000_000_000;

fn check_column(name: &str, data_type: &DataType, lane: &ArrayRef) -> Result<()> {
    let fits = match &data_type.kind {
        TypeKind::Char(limit) | TypeKind::VarChar(limit) if *limit < i32::MAX as u32 => {
            let fits = |text: &str| text.len() <= *limit as usize || text.chars().count() <= *limit as usize;
            lane.as_string::<i32>().iter().flatten().all(fits)
        }
        TypeKind::Binary(limit) | TypeKind::VarBinary(limit) if *limit < i32::MAX as u32 => {
            lane.as_binary::<i32>().iter().flatten().all(|bytes| bytes.len() <= *limit as usize)
        }
        TypeKind::Decimal { precision, .. } => {
            let lane = lane.as_primitive::<arrow_array::types::Decimal128Type>();
            lane.validate_decimal_precision(*precision).is_ok()
        }
        TypeKind::Time(_) => {
            let lane = lane.as_primitive::<arrow_array::types::Time32MillisecondType>();
            lane.iter().flatten().all(|millis| (0..86_400_000).contains(&millis))
        }
        TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..) => {
            let lane = lane.as_primitive::<arrow_array::types::Decimal128Type>();
            lane.iter().flatten().all(|nanos| YEARS.contains(&nanos))
        }
        TypeKind::Array(element) => return check_column(name, element, lane.as_list::<i32>().values()),
        TypeKind::Map(map) => {
            let entries = lane.as_map();
            check_column(name, &map.key, entries.keys())?;
            return check_column(name, &map.value, entries.values());
        }
        TypeKind::Multiset(element) => return check_column(name, element, lane.as_map().keys()),
        TypeKind::Variant => {
            // A header of version 1, and a value.
            let rows = lane.as_struct();
            let (values, metadata) = (rows.column(0).as_binary::<i32>(), rows.column(1).as_binary::<i32>());
            let whole = |row: &usize| {
                metadata.value(*row).first().is_some_and(|head| head & 0x0f == 1) && !values.value(*row).is_empty()
            };
            (0..lane.len()).filter(|row| lane.is_valid(*row)).all(|row| whole(&row))
        }
        TypeKind::Row(fields) => {
            let parts = fields.iter().zip(lane.as_struct().columns());
            return parts.into_iter().try_for_each(|(field, part)| check_column(name, &field.data_type, part));
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(Error::invalid(format!("column {name}: a value does not fit {data_type}"))) }
}
