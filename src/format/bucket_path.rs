//! The directory of a bucket and the place of an index file, as a table's options spell it.
//! Spec: `format-spec/layout.md`.

use std::collections::HashSet;

use super::{BinaryRow, CommitMessage, IndexManifestEntry, data_file_path, holding_name, layout, partition_path};
use crate::error::{Error, Result};
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

/// The path of an index file, relative to the table.
///
/// # Errors
/// As [`bucket_directory`]; [`Error::Unsupported`] for a file that lies outside of the table.
pub fn index_path(schema: &Schema, options: &TableOptions, file: &IndexManifestEntry) -> Result<String> {
    if let Some(path) = &file.external_path {
        return Err(Error::unsupported(format!("index file outside of the table: {path}")));
    }
    if !options.index_file_in_data_dir {
        return layout::index(&file.file_name);
    }
    let directory = bucket_directory(schema, options, &file.partition, file.bucket)?;
    Ok(format!("{directory}/{}", layout::check_name("index file", &file.file_name)?))
}

/// The paths of all files that a message's writer wrote below the table: not of those that it only moved, nor of those
/// whose names are `kept`. A file that buckets share is named for each of them, by its own name.
///
/// # Errors
/// As [`bucket_directory`]; [`Error::Corrupt`] for a name that is none.
pub fn written_paths(
    schema: &Schema,
    options: &TableOptions,
    message: &CommitMessage,
    kept: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let moved: HashSet<&str> = message.compact_before.iter().map(|file| file.file_name.as_str()).collect();
    let directory = bucket_directory(schema, options, &message.partition, message.bucket)?;
    let mut paths = Vec::new();
    for file in message.written_files() {
        let name = layout::check_name("data file", &file.file_name)?;
        if file.external_path.is_some() || moved.contains(name) || kept(&holding_name(name)?) {
            continue;
        }
        paths.push(data_file_path(&directory, file)?);
        for extra in &file.extra_files {
            paths.push(format!("{directory}/{}", layout::check_name("extra file", extra)?));
        }
    }
    for file in message.written_index_files() {
        if file.external_path.is_none() && !kept(&file.file_name) {
            paths.push(index_path(schema, options, file)?);
        }
    }
    Ok(paths)
}
