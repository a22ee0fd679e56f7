//! What a table is told to be: columns, keys, options.
//! Spec: `format-spec/schema.md`, `format-spec/options.md`.

mod builder;
mod value;

pub use builder::SchemaBuilder;
pub use value::{BucketMode, Field, Schema, SchemaId};
