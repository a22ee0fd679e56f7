//! What all lookups in one table share, and keys that are asked for.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::UInt32Array;
use arrow_select::take::take;

use super::LookupCache;
use crate::error::{Error, Result};
use crate::history::History;
use crate::lsm::{KeyEncoder, Keys, MergeFunction, SequenceOrder, merge};
use crate::read::WorkColumns;
use crate::schema::{MergeEngine, Schema, TableOptions, Use};
use crate::types::DataType;

/// A table as lookups see it. The schema is the one that rows come out in.
pub(super) struct Rules {
    pub history: History,
    pub schema: Arc<Schema>,
    pub options: TableOptions,
    pub cache: LookupCache,
    /// All columns of the table.
    pub work: WorkColumns,
    /// The trimmed key's positions and types.
    pub key_columns: Vec<usize>,
    pub key_types: Vec<DataType>,
    pub encoder: KeyEncoder,
    /// Encodes the first key column alone; `None` when there is no other.
    first: Option<KeyEncoder>,
    pub function: Arc<dyn MergeFunction>,
    pub order: Option<SequenceOrder>,
}

impl Rules {
    pub(super) fn new(history: &History, schema: &Arc<Schema>, cache: &LookupCache) -> Result<Self> {
        if !schema.has_primary_key() {
            return Err(Error::invalid("rows are looked up by their primary key, and this table has none"));
        }
        let options = TableOptions::checked(schema, Use::Read)?;
        let keys = schema.trimmed_primary_keys();
        let key_types = schema.types_of(&keys)?;
        let sequence = schema.positions(&options.sequence_fields)?;
        let order = match sequence.as_slice() {
            [] => None,
            _ => {
                let types = schema.types_of(&options.sequence_fields)?;
                Some(SequenceOrder::new(sequence, &types, options.sequence_descending)?)
            }
        };
        let all: Vec<usize> = (0..schema.fields.len()).collect();
        Ok(Self {
            history: history.clone(),
            cache: cache.clone(),
            work: WorkColumns::new(Arc::clone(schema), &all, None, &[])?,
            key_columns: schema.positions(&keys)?,
            encoder: KeyEncoder::new(&key_types)?,
            first: match key_types.as_slice() {
                [first, _, ..] => Some(KeyEncoder::new(std::slice::from_ref(first))?),
                _ => None,
            },
            key_types,
            function: merge::of(schema, &options, &all)?,
            order,
            options,
            schema: Arc::clone(schema),
        })
    }

    /// Whether one of a key's versions is the row, whatever the others are.
    pub(super) fn one_wins(&self) -> bool {
        self.options.merge_engine == MergeEngine::Deduplicate
    }

    /// Whether that one has the highest sequence number.
    pub(super) fn newest_wins(&self) -> bool {
        self.one_wins() && self.order.is_none() && !self.options.ignore_delete
    }

    /// The keys of the first key column, comparable with the bounds of its pages.
    pub(super) fn first_keys(&self, column: &ArrayRef) -> Result<Keys> {
        self.first.as_ref().unwrap_or(&self.encoder).encode(std::slice::from_ref(column), column.len())
    }

    /// Keys to look for, from the columns of the trimmed key.
    pub(super) fn request(&self, lanes: Vec<ArrayRef>, rows: usize) -> Result<Request> {
        let keys = self.encoder.encode(&lanes, rows)?;
        let first = match (&self.first, lanes.first()) {
            (Some(encoder), Some(column)) => Some(encoder.encode(std::slice::from_ref(column), rows)?),
            _ => None,
        };
        let order = if rows == 1 { vec![0] } else { keys.sorted() };
        Ok(Request { lanes, keys, first, order })
    }
}

/// Keys to look for.
pub(super) struct Request {
    /// The columns of the trimmed key.
    pub lanes: Vec<ArrayRef>,
    pub keys: Keys,
    /// The first column alone, where there are more.
    first: Option<Keys>,
    /// Rows of the request in key order, equal keys once. A place in it is a key's *rank*.
    pub order: Vec<u32>,
}

impl Request {
    /// The keys as the bounds of the first key column are encoded.
    pub(super) fn first(&self) -> &Keys {
        self.first.as_ref().unwrap_or(&self.keys)
    }

    /// The row of a rank.
    #[inline]
    pub(super) fn row(&self, rank: u32) -> usize {
        self.order[rank as usize] as usize
    }

    /// The rank of a row's key.
    pub(super) fn rank_of(&self, row: usize) -> Option<u32> {
        let order = |rank: &u32| self.keys.compare(*rank as usize, &self.keys, row);
        self.order.binary_search_by(order).ok().map(|rank| rank as u32)
    }

    /// The key columns of some ranks.
    pub(super) fn take(&self, ranks: &[u32]) -> Result<Vec<ArrayRef>> {
        let rows: UInt32Array = ranks.iter().map(|rank| self.order[*rank as usize]).collect::<Vec<_>>().into();
        let pick = |lane: &ArrayRef| take(lane, &rows, None).map_err(|error| Error::bug(error.to_string()));
        self.lanes.iter().map(pick).collect()
    }
}
