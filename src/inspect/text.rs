//! Keys, partitions, bounds and sizes as text.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::Result;
use crate::format::{BinaryRow, DataFileMeta};
use crate::history::History;
use crate::lsm::KeyBound;
use crate::predicate::datum_text;
use crate::schema::{Schema, SchemaId};
use crate::types::{DataType, Datum};

/// How the rows that metadata holds are told, by the table's newest schema and those of its files.
pub(super) struct Teller {
    partition_keys: Vec<String>,
    partition_types: Vec<DataType>,
    pub(super) key_types: Vec<DataType>,
    schemas: BTreeMap<SchemaId, Arc<Schema>>,
}

impl Teller {
    pub(super) fn new(schema: &Schema) -> Result<Self> {
        Ok(Self {
            partition_keys: schema.partition_keys.clone(),
            partition_types: schema.types_of(&schema.partition_keys)?,
            key_types: schema.types_of(&schema.trimmed_primary_keys())?,
            schemas: BTreeMap::new(),
        })
    }

    /// Learns the schemas that files were written with.
    pub(super) async fn know(&mut self, history: &History, ids: impl Iterator<Item = SchemaId>) -> Result<()> {
        for id in ids.collect::<BTreeSet<_>>() {
            self.schemas.insert(id, history.schemas.load(id).await?);
        }
        Ok(())
    }

    /// `day=2024-01-01/region=eu`; `None` where the table has no partitions.
    pub(super) fn partition(&self, row: &BinaryRow) -> Option<String> {
        if self.partition_keys.is_empty() {
            return None;
        }
        let values = self.values(row, &self.partition_types);
        let pairs = self.partition_keys.iter().zip(values).map(|(key, value)| format!("{key}={value}"));
        Some(pairs.collect::<Vec<_>>().join("/"))
    }

    /// Bounds of partitions, as [`Self::partition`] tells one.
    pub(super) fn partition_bound(&self, row: &BinaryRow) -> Option<String> {
        if row.arity() == self.partition_keys.len() { self.partition(row) } else { None }
    }

    /// `1, eu`; `None` where the table has no key.
    pub(super) fn key(&self, row: &BinaryRow) -> Option<String> {
        (!self.key_types.is_empty()).then(|| self.values(row, &self.key_types).join(", "))
    }

    /// A partition's place among the others.
    pub(super) fn partition_order(&self, row: &BinaryRow) -> KeyBound {
        KeyBound::from(row.decode(&self.partition_types).unwrap_or_default())
    }

    /// A key's place among the others.
    pub(super) fn key_order(&self, row: &BinaryRow) -> Option<KeyBound> {
        row.decode(&self.key_types).ok().map(KeyBound::from)
    }

    /// A row's values, or one text that says why they cannot be told.
    fn values(&self, row: &BinaryRow, types: &[DataType]) -> Vec<String> {
        match row.decode(types) {
            Ok(values) => {
                values.iter().zip(types).map(|(value, data_type)| datum_text(&data_type.kind, value)).collect()
            }
            Err(error) => std::iter::repeat_n(format!("? ({error})"), types.len()).collect(),
        }
    }

    /// Numbers of NULLs, smallest and largest values of a file's columns: `a=1, b=2`.
    pub(super) fn stats(&self, file: &DataFileMeta) -> [Option<String>; 3] {
        let Some(schema) = self.schemas.get(&file.schema_id) else { return [None, None, None] };
        let stats = match file.value_column_stats(&schema.columns()) {
            Ok(stats) => stats,
            Err(error) => return [Some(format!("? ({error})")), None, None],
        };
        let mut texts: [Vec<String>; 3] = Default::default();
        for (field, stats) in schema.fields.iter().zip(stats) {
            let Some(stats) = stats else { continue };
            let bound = |value: &Datum| (!value.is_null()).then(|| datum_text(&stats.data_type.kind, value));
            let told = [stats.null_count.map(|count| count.to_string()), bound(&stats.min), bound(&stats.max)];
            for (list, value) in texts.iter_mut().zip(told) {
                list.extend(value.map(|value| format!("{}={value}", field.name)));
            }
        }
        texts.map(|list| (!list.is_empty()).then(|| list.join(", ")))
    }
}

/// `1.2 MiB`, in steps of 1024.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 999.95 || unit == "TiB" {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{bytes} B")
}

/// `1,234,567`
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let grouped = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    grouped.collect::<Vec<_>>().join(",")
}

/// At most so many characters, none of which moves a terminal's cursor.
pub(super) fn shown(text: &str, width: usize) -> String {
    let clean: Vec<char> = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if clean.len() <= width {
        return clean.into_iter().collect();
    }
    clean.into_iter().take(width.saturating_sub(2)).chain("..".chars()).collect()
}
