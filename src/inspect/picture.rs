//! The levels of each bucket as text, one line for each sorted run.
//!
//! ```text
//! snapshot 3, schema 0: 4 files, 160 stored rows, 94.7 KiB in 1 bucket
//!
//! day=a, bucket 0: 4 files, 160 rows, 94.7 KiB, keys 1 .. 99
//!   L0  |                   [============]       | #            2.9 KiB           30 rows
//!   L0  |[=========================]             | #            3.9 KiB           40 rows
//!   L5  |[=====]      [=========================]| ##########  87.9 KiB           90 rows  2 files
//! ```
//!
//! The first bar tells where a run's keys lie among the bucket's keys, the second its share of the bucket's
//! bytes; rows that deletion vectors mask are told below. Level 0 comes newest first. Keys are placed by their order alone, so bars that overlap have keys
//! that overlap. Files of append tables lie one behind the other, by their rows. Lines fit into 100 columns;
//! of a large table the first buckets and runs are drawn and the rest is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use super::contents::{Contents, by_bucket};
use super::text::{number, shown, size};
use crate::error::Result;
use crate::format::ManifestEntry;
use crate::history::History;
use crate::lsm::KeyBound;
use crate::scan::At;

/// Buckets that are drawn.
const MAX_BUCKETS: usize = 24;
/// Runs of a bucket that are drawn.
const MAX_RUNS: usize = 24;
/// Characters of the bar of keys.
const KEY_BAR: usize = 40;
/// Characters of the bar of bytes.
const SIZE_BAR: usize = 10;
/// Characters of a key.
const KEY_TEXT: usize = 16;

/// Draws a snapshot.
///
/// # Errors
/// [`crate::Error::NotFound`] where there is no table, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn picture(history: &History, at: &At) -> Result<String> {
    let contents = Contents::load(history, at).await?;
    let Some(snapshot) = contents.snapshot else {
        return Ok(format!("no snapshot yet, schema {}\n", contents.schema.id));
    };
    let buckets: Vec<_> = by_bucket(&contents.files).collect();
    let mut text =
        format!("snapshot {snapshot}, schema {}: {} in ", contents.schema.id, totals(&contents.files, "stored "));
    let _ = writeln!(text, "{}", counted(buckets.len(), "bucket"));
    for bucket in buckets.iter().take(MAX_BUCKETS) {
        draw_bucket(&contents, bucket, &mut text);
    }
    if let Some(rest) = buckets.get(MAX_BUCKETS..).filter(|rest| !rest.is_empty()) {
        let files = rest.iter().map(|bucket| bucket.len()).sum::<usize>();
        let _ = writeln!(text, "\n.. and {} with {}", counted(rest.len(), "more bucket"), counted(files, "file"));
    }
    Ok(text)
}

/// Files that do not overlap and are drawn on one line.
struct Run<'a> {
    level: i32,
    files: &'a [Arc<ManifestEntry>],
}

fn draw_bucket(contents: &Contents, files: &[Arc<ManifestEntry>], text: &mut String) {
    let Some(first) = files.first() else { return };
    let keyed = !contents.teller.key_types.is_empty();
    let partition = contents.teller.partition(&first.partition).map(|it| format!("{}, ", shown(&it, KEY_TEXT * 2)));
    let mut head = format!("{}bucket {}: {}", partition.unwrap_or_default(), first.bucket, totals(files, ""));
    let places = if keyed { Places::of_keys(contents, files) } else { Places::of_rows(files) };
    if let Some((low, high)) = places.ends(contents, files).filter(|_| keyed) {
        let _ = write!(head, ", keys {} .. {}", shown(&low, KEY_TEXT), shown(&high, KEY_TEXT));
    }
    let _ = write!(text, "\n{}\n", shown(&head, 100));
    let runs: Vec<Run<'_>> = files
        .chunk_by(|a, b| keyed && a.file.level > 0 && a.file.level == b.file.level)
        .map(|files| Run { level: files.first().map_or(0, |entry| entry.file.level), files })
        .collect();
    let all = bytes_of(files).max(1);
    for run in runs.iter().take(MAX_RUNS) {
        let bytes = bytes_of(run.files);
        let share = (bytes as f64 / all as f64 * SIZE_BAR as f64).ceil() as usize;
        let sum = run.files.iter().map(|entry| entry.file.row_count.max(0) as u64).fold(0, u64::saturating_add);
        let count = if run.files.len() > 1 { format!("  {}", counted(run.files.len(), "file")) } else { String::new() };
        let line = format!(
            "  L{:<3}|{}| {:<SIZE_BAR$} {:>9} {:>12} rows{count}",
            run.level,
            places.bar(run.files),
            "#".repeat(share.clamp(1, SIZE_BAR)),
            size(bytes),
            number(sum),
        );
        let _ = writeln!(text, "{}", shown(&line, 100));
        match contents.masked_of(run.files) {
            Some(0) => {}
            Some(rows) => drop(writeln!(text, "        {} of these rows masked", number(rows.max(0) as u64))),
            None => drop(writeln!(text, "        some of these rows masked")),
        }
    }
    if let Some(rest) = runs.get(MAX_RUNS..).filter(|rest| !rest.is_empty()) {
        let _ = writeln!(text, "  .. and {}", counted(rest.len(), "more run"));
    }
}

/// Where a bucket's files begin and end on its bar.
struct Places {
    /// By file name: first and last place, in `0..=last`.
    spans: HashMap<String, (u64, u64)>,
    last: u64,
}

impl Places {
    /// Keys stand in a row, each as far from the next.
    fn of_keys(contents: &Contents, files: &[Arc<ManifestEntry>]) -> Self {
        let bounds: Vec<_> = files.iter().filter_map(|entry| Some((entry, key_bounds(contents, entry)?))).collect();
        let all: BTreeSet<&KeyBound> = bounds.iter().flat_map(|(_, (min, max))| [min, max]).collect();
        let ranks: BTreeMap<&KeyBound, u64> = all.into_iter().zip(0..).collect();
        let rank = |key: &KeyBound| ranks.get(key).copied().unwrap_or(0);
        let spans = bounds.iter().map(|(entry, (min, max))| (entry.file.file_name.clone(), (rank(min), rank(max))));
        Self { spans: spans.collect(), last: (ranks.len() as u64).saturating_sub(1) }
    }

    /// Rows stand in a row, file by file in the order they are read.
    fn of_rows(files: &[Arc<ManifestEntry>]) -> Self {
        let mut in_order: Vec<_> = files.iter().collect();
        in_order.sort_by_key(|entry| (entry.file.min_sequence_number, &entry.file.file_name));
        let mut end = 0_u64;
        let mut spans = HashMap::new();
        for entry in in_order {
            let start = end;
            end = end.saturating_add(entry.file.row_count.max(1) as u64);
            spans.insert(entry.file.file_name.clone(), (start, end - 1));
        }
        Self { spans, last: end.saturating_sub(1) }
    }

    fn column(&self, place: u64) -> usize {
        let span = (KEY_BAR - 1) as u128;
        usize::try_from(u128::from(place) * span / u128::from(self.last.max(1))).unwrap_or(0).min(KEY_BAR - 1)
    }

    fn bar(&self, files: &[Arc<ManifestEntry>]) -> String {
        let mut bar = [' '; KEY_BAR];
        for (start, end) in files.iter().filter_map(|entry| self.spans.get(&entry.file.file_name)) {
            let (from, to) = (self.column(*start), self.column(*end));
            for (at, cell) in bar.iter_mut().enumerate().take(to + 1).skip(from) {
                // Files that share a cell leave a mark of their own.
                *cell = match (*cell, at == from, at == to) {
                    (' ', true, true) => '*',
                    (' ', true, false) => '[',
                    (' ', false, true) => ']',
                    (' ', false, false) => '=',
                    _ => '|',
                };
            }
        }
        bar.iter().collect()
    }

    /// The lowest and the highest key of a bucket as text.
    fn ends(&self, contents: &Contents, files: &[Arc<ManifestEntry>]) -> Option<(String, String)> {
        let find = |wanted: &dyn Fn(&(u64, u64)) -> bool| {
            files.iter().find(|entry| self.spans.get(&entry.file.file_name).is_some_and(wanted))
        };
        let low = find(&|span| span.0 == 0)?;
        let high = find(&|span| span.1 == self.last)?;
        Some((contents.teller.key(&low.file.min_key)?, contents.teller.key(&high.file.max_key)?))
    }
}

fn key_bounds(contents: &Contents, entry: &ManifestEntry) -> Option<(KeyBound, KeyBound)> {
    Some((contents.teller.key_order(&entry.file.min_key)?, contents.teller.key_order(&entry.file.max_key)?))
}

fn bytes_of(files: &[Arc<ManifestEntry>]) -> u64 {
    files.iter().map(|entry| entry.file.file_size.max(0) as u64).fold(0, u64::saturating_add)
}

/// `4 files, 120 rows, 9.8 KiB`
fn totals(files: &[Arc<ManifestEntry>], which: &str) -> String {
    let rows = files.iter().map(|entry| entry.file.row_count.max(0) as u64).fold(0, u64::saturating_add);
    let rows = counted(usize::try_from(rows).unwrap_or(usize::MAX), &format!("{which}row"));
    format!("{}, {rows}, {}", counted(files.len(), "file"), size(bytes_of(files)))
}

fn counted(count: usize, what: &str) -> String {
    format!("{} {what}{}", number(count as u64), if count == 1 { "" } else { "s" })
}
