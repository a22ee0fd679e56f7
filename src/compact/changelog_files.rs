//! Small changelog files of one prepared commit, put together before anybody is told of them (`precommit-compact`): their
//! bytes one after another in one file for each partition, into which the entries of all its buckets point.
//!
//! ```text
//! bucket-0/changelog-a.parquet  900 ─┐
//! bucket-1/changelog-b.parquet  700 ─┴─ bucket-0/compacted-changelog-U$0-900.cc-parquet  1600
//! ```
//!
//! Spec: `format-spec/data-files.md`, compacted changelog files.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::files::format_of;
use crate::format::{BinaryRow, CommitMessage, CompactedChangelog, DataFileMeta, bucket_directory, data_file_path};
use crate::io::TableStore;
use crate::schema::{Schema, TableOptions};

/// Bytes copied at once.
const COPIED: u64 = 1 << 20;

/// Where a changelog file stands among messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    message: usize,
    /// Whether it came with a compaction.
    compact: bool,
    file: usize,
}

/// Puts the small changelog files of messages together, where the table's options ask for it. The messages name the new
/// files then, and the old ones are deleted.
///
/// # Errors
/// The store's errors. The messages name only files that are there; files of a part that failed stay as they were.
pub async fn join_changelogs(
    store: &TableStore,
    schema: &Schema,
    options: &TableOptions,
    messages: &mut [CommitMessage],
) -> Result<()> {
    let Some(most) = options.precommit_compact else { return Ok(()) };
    let limits = Limits { small: options.compaction.small_file_size.min(most), target: options.target_file_size };
    for group in groups(messages, limits)? {
        let directory_of = |place: &Place| {
            let message = &messages[place.message];
            bucket_directory(schema, options, &message.partition, message.bucket)
        };
        let directories = group.iter().map(directory_of).collect::<Result<Vec<_>>>()?;
        let files: Vec<DataFileMeta> = group.iter().map(|place| file_at(messages, *place).clone()).collect();
        let old: Vec<String> =
            directories.iter().zip(&files).map(|(it, file)| data_file_path(it, file)).collect::<Result<_>>()?;
        let first = files.first().ok_or_else(|| Error::bug("an empty group of changelog files"))?;
        let format = format_of(&first.file_name)?;
        let bucket = messages[group[0].message].bucket;
        let whole = CompactedChangelog::begin(&store.env().uuid(), bucket, size(first), format.word());
        let mut upload = store.upload(&format!("{}/{}", directories[0], whole.file_name))?;
        for (path, file) in old.iter().zip(&files) {
            let mut at = 0;
            while at < size(file) {
                let end = size(file).min(at + COPIED);
                upload.push(store.read_range(path, at..end).await?).await?;
                at = end;
            }
        }
        upload.finish().await?;
        let mut start = 0;
        for (place, file) in group.iter().zip(&files) {
            file_at(messages, *place).file_name = whole.part(start, size(file)).name();
            start += size(file);
        }
        store.delete_unnamed(Ok(old)).await;
    }
    Ok(())
}

fn size(file: &DataFileMeta) -> u64 {
    u64::try_from(file.file_size).unwrap_or(0)
}

fn file_at(messages: &mut [CommitMessage], place: Place) -> &mut DataFileMeta {
    let message = &mut messages[place.message];
    if place.compact { &mut message.compact_changelog[place.file] } else { &mut message.changelog_files[place.file] }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Files of so many bytes stay alone.
    small: u64,
    /// Bytes at which a file is full.
    target: u64,
}

/// The files that are put together: those of one partition, one format and one kind, two at least. Pure.
fn groups(messages: &[CommitMessage], limits: Limits) -> Result<Vec<Vec<Place>>> {
    let mut open: BTreeMap<(&BinaryRow, bool, String), (u64, Vec<Place>)> = BTreeMap::new();
    let mut full = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        for (compact, files) in [(false, &message.changelog_files), (true, &message.compact_changelog)] {
            for (file, meta) in files.iter().enumerate().filter(|(_, meta)| size(meta) < limits.small) {
                if meta.external_path.is_some() || CompactedChangelog::of_name(&meta.file_name)?.is_some() {
                    continue;
                }
                let format = format_of(&meta.file_name)?.word().to_string();
                let (bytes, places) = open.entry((&message.partition, compact, format)).or_default();
                *bytes += size(meta);
                places.push(Place { message: at, compact, file });
                if *bytes >= limits.target {
                    full.push(std::mem::take(places));
                    *bytes = 0;
                }
            }
        }
    }
    full.extend(open.into_values().map(|(_, places)| places));
    full.retain(|places| places.len() > 1);
    Ok(full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::data_file;

    #[test]
    fn small_files_of_a_partition_are_put_together_up_to_the_target() {
        let message = |bucket: i32, sizes: &[i64]| {
            let mut message = CommitMessage::new(BinaryRow::empty(), bucket, 4);
            let name = |at: usize| format!("changelog-{bucket}-{at}.parquet");
            message.changelog_files = sizes.iter().enumerate().map(|(at, size)| data_file(&name(at), *size)).collect();
            message
        };
        let shown = |messages: &[CommitMessage]| -> Vec<Vec<(usize, usize)>> {
            let groups = groups(messages, Limits { small: 70, target: 100 }).unwrap();
            groups.iter().map(|group| group.iter().map(|place| (place.message, place.file)).collect()).collect()
        };
        assert!(shown(&[message(0, &[10])]).is_empty(), "one file gains nothing");
        assert_eq!(shown(&[message(0, &[10]), message(1, &[20, 80, 30])]), [vec![(0, 0), (1, 0), (1, 2)]]);
        let four = [message(0, &[60]), message(1, &[60]), message(2, &[60]), message(3, &[10])];
        assert_eq!(shown(&four), [vec![(0, 0), (1, 0)], vec![(2, 0), (3, 0)]]);
        let mut joined = message(0, &[10, 10]);
        joined.changelog_files[0].file_name = "compacted-changelog-U$0-10.cc-parquet".to_string();
        assert!(shown(&[joined]).is_empty(), "what was put together is not once more");
        // Files that came with a compaction are another kind.
        let mut mixed = message(0, &[10]);
        mixed.compact_changelog = vec![data_file("changelog-c.parquet", 10)];
        assert!(shown(&[mixed]).is_empty());
    }
}
