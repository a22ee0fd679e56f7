//! The directory of a bucket and the place of an index file, as a table's options spell it.
//! Spec: `format-spec/layout.md`.

use std::collections::HashSet;

use super::{
    BinaryRow, CommitMessage, IndexManifestEntry, beside_path, data_file_path, holding_name, layout, outside,
    partition_path,
};
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

/// The path of an index file: relative to the table, or where its entry says that it lies outside.
///
/// # Errors
/// As [`bucket_directory`]; [`crate::Error::Corrupt`] for a path outside that does not lead to the file's name.
pub fn index_path(schema: &Schema, options: &TableOptions, file: &IndexManifestEntry) -> Result<String> {
    if let Some(told) = &file.external_path {
        return outside::path_of(told, &file.file_name);
    }
    if !options.index_file_in_data_dir {
        return layout::index(&file.file_name);
    }
    let directory = bucket_directory(schema, options, &file.partition, file.bucket)?;
    Ok(format!("{directory}/{}", layout::check_name("index file", &file.file_name)?))
}

/// Where a new index file lies outside of the table: in the directory of the data, under the root that `pick` chooses;
/// `None` for a table that keeps it inside.
///
/// # Errors
/// As [`bucket_directory`].
pub fn index_outside(
    schema: &Schema,
    options: &TableOptions,
    (partition, bucket): (&BinaryRow, i32),
    name: &str,
    pick: u64,
) -> Result<Option<String>> {
    let Some(root) = options.external_roots.pick(pick).filter(|_| options.index_file_in_data_dir) else {
        return Ok(None);
    };
    let directory = bucket_directory(schema, options, partition, bucket)?;
    Ok(Some(outside::told(&format!("{root}/{directory}/{name}"))))
}

/// The paths of all files that a message's writer wrote: not of those that it only moved, nor of those whose names are
/// `kept`. A file that buckets share is named for each of them, by its own name.
///
/// # Errors
/// As [`bucket_directory`]; [`crate::Error::Corrupt`] for a name that is none.
pub fn written_paths(
    schema: &Schema,
    options: &TableOptions,
    message: &CommitMessage,
    kept: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let mut moved: HashSet<&str> = message.compact_before.iter().map(|file| file.file_name.as_str()).collect();
    // What its writer wrote and compacted at once is its own.
    message.new_files.iter().for_each(|file| _ = moved.remove(file.file_name.as_str()));
    let directory = bucket_directory(schema, options, &message.partition, message.bucket)?;
    let mut paths = Vec::new();
    for file in message.written_files() {
        let name = layout::check_name("data file", &file.file_name)?;
        if moved.contains(name) || kept(&holding_name(name)?) {
            continue;
        }
        paths.push(data_file_path(&directory, file)?);
        for extra in &file.extra_files {
            paths.push(beside_path(&directory, file, extra)?);
        }
    }
    for file in message.written_index_files() {
        if !kept(&file.file_name) {
            paths.push(index_path(schema, options, file)?);
        }
    }
    Ok(paths)
}
