//! What a row is: Paimon's data types, row kinds, single values, and how columns look in Arrow.
//! Spec: `format-spec/types.md`.

mod arrow;
mod cast;
mod comparable;
mod data_type;
mod datum;
pub(crate) mod java_text;
mod nested;
mod parse;
mod row_kind;

pub use arrow::{
    accept_batch, accept_filled, external_field, external_schema, external_type, kinds_array, lane_field, lane_schema,
    lane_type, to_external, to_lane,
};
pub use cast::{can_cast, cast_lane, is_lost, may_change, widen};
pub use comparable::comparable_rows;
pub use data_type::{DataType, Field, MAX_DEPTH, MAX_FIELDS, MapType, TypeKind};
pub use datum::Datum;
pub use java_text::{java_double, java_float};
pub use nested::check_keys;
pub use row_kind::RowKind;
