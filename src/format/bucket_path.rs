//! The directory of a bucket, as a table's options spell it.
//! Spec: `format-spec/layout.md`.

use super::{BinaryRow, layout, partition_path};
use crate::error::Result;
use crate::schema::{Schema, TableOptions};

/// The directory of a bucket, relative to the table.
///
/// # Errors
/// [`crate::Error::Corrupt`] when the partition does not have the table's partition columns; what has no directory name is refused.
pub fn bucket_directory(schema: &Schema, options: &TableOptions, partition: &BinaryRow, bucket: i32) -> Result<String> {
    let types = schema.types_of(&schema.partition_keys)?;
    let default = &options.partition_default_name;
    let partition = partition_path(&schema.partition_keys, &types, partition, options.partition_legacy_name, default)?;
    layout::bucket_dir(options.data_file_path_directory.as_deref(), &partition, bucket)
}
