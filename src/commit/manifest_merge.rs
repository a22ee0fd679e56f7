//! Keeping the list of manifests short. Merging is an optimisation: any result describes the same files.
//!
//! Paimon merges all small manifests whenever there are 30 of them, so that the merged one is written anew every 30
//! commits. Here a run of small manifests merges from its newest end as far back as what lies before is not much
//! larger than what was gathered, as a log-structured tree does: after n commits an entry was rewritten log n times,
//! and a commit costs the same at the ten-thousandth as at the tenth. Paimon's full merge, which drops every matched
//! ADD and DELETE, is kept: it runs when what must change has grown past `manifest.full-compaction-threshold-size`.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::format::{BinaryRow, ManifestFileMeta};
use crate::schema::ManifestOptions;
use crate::types::DataType;

/// Entries of a manifest that is not merged further, and of the manifests that merges and large commits write: small
/// enough that a plan decodes several at once.
pub(super) const FULL_MANIFEST_ENTRIES: usize = 5_000;

/// What to do with the manifests of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MergePlan {
    /// Leave them.
    Keep,
    /// Read these, in order, cancel what matches, and put the result in their place.
    Range(Range<usize>),
    /// Read all that must change and drop everything that matches.
    Full,
}

/// Decides by sizes and counts alone.
pub(super) fn plan_merge(manifests: &[ManifestFileMeta], options: &ManifestOptions) -> MergePlan {
    let must_change = |meta: &ManifestFileMeta| meta.num_deleted_files > 0 || is_small(meta, options);
    let changing: u64 = manifests.iter().filter(|meta| must_change(meta)).map(size).sum();
    if changing >= options.full_compaction_size && manifests.iter().filter(|meta| must_change(meta)).count() > 1 {
        return MergePlan::Full;
    }
    let Some(run) = longest_run(manifests, options) else { return MergePlan::Keep };
    if run.len() < options.merge_min_count.max(2) {
        return MergePlan::Keep;
    }
    MergePlan::Range(newest_end(manifests, run))
}

/// The longest run of neighbours that are small.
fn longest_run(manifests: &[ManifestFileMeta], options: &ManifestOptions) -> Option<Range<usize>> {
    let mut best: Option<Range<usize>> = None;
    let mut start = 0;
    for end in 0..=manifests.len() {
        if end < manifests.len() && is_small(&manifests[end], options) {
            continue;
        }
        if best.as_ref().is_none_or(|best| best.len() < end - start) {
            best = Some(start..end);
        }
        start = end + 1;
    }
    best
}

/// The newest manifests of a run, as far back as one is at most twice what follows it.
fn newest_end(manifests: &[ManifestFileMeta], run: Range<usize>) -> Range<usize> {
    let mut gathered = 0_u64;
    let mut start = run.end;
    while start > run.start {
        let next = entries(&manifests[start - 1]);
        if run.end - start >= 2 && next > gathered.saturating_mul(2) {
            break;
        }
        gathered = gathered.saturating_add(next);
        start -= 1;
    }
    start..run.end
}

fn is_small(meta: &ManifestFileMeta, options: &ManifestOptions) -> bool {
    size(meta) < options.target_file_size && entries(meta) < FULL_MANIFEST_ENTRIES as u64
}

fn size(meta: &ManifestFileMeta) -> u64 {
    u64::try_from(meta.file_size).unwrap_or(0)
}

fn entries(meta: &ManifestFileMeta) -> u64 {
    u64::try_from(meta.num_added_files.saturating_add(meta.num_deleted_files)).unwrap_or(0)
}

/// Whether a manifest's partitions may hold one of these. Unknown statistics may hold anything.
pub(super) fn may_hold(meta: &ManifestFileMeta, partitions: &BTreeSet<BinaryRow>, types: &[DataType]) -> bool {
    if types.is_empty() {
        return !partitions.is_empty();
    }
    let (Ok(min), Ok(max)) = (meta.partition_stats.min.decode(types), meta.partition_stats.max.decode(types)) else {
        return true;
    };
    partitions.iter().any(|partition| {
        let Ok(values) = partition.decode(types) else { return true };
        values.iter().zip(min.iter().zip(&max)).all(|(value, (min, max))| {
            value.is_null()
                || min.is_null()
                || max.is_null()
                || (value.total_cmp(min).is_ge() && value.total_cmp(max).is_le())
        })
    })
}
