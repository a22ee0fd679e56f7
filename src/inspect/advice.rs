//! How many buckets a partition should have, by what is in it.

use arrow_array::RecordBatch;

use super::columns::Columns;
use super::contents::{Contents, by_bucket};
use crate::error::Result;
use crate::history::History;
use crate::scan::At;

/// Bytes of a bucket that need no advice: fewer make small files, more make slow compactions.
const GOOD_BYTES: std::ops::RangeInclusive<u64> = (200 << 20)..=(1 << 30);
/// What advised buckets are meant to have.
const AIM_BYTES: u64 = 512 << 20;
/// The largest bucket may have so many times the mean, in tenths, before it counts as skew.
const SKEW_TENTHS: u64 = 20;
/// The highest bucket number there may be, plus one.
const MOST: u64 = 32_767;

/// What is known of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partition {
    /// Buckets with rows, and the count they are routed by where it is fixed.
    used: u64,
    total: Option<u64>,
    bytes: u64,
    largest: u64,
    waiting: u64,
}

/// The proposed count, and why. Pure.
fn advise(it: Partition) -> (u64, String) {
    let now = it.total.unwrap_or(it.used).max(1);
    let all = it.bytes.saturating_add(it.waiting);
    let mean = all / now;
    let fit = all.div_ceil(AIM_BYTES).clamp(1, MOST);
    let waiting = if it.waiting > 0 { "; rows wait in bucket-postpone and count" } else { "" };
    if GOOD_BYTES.contains(&mean) || (now == 1 && mean <= *GOOD_BYTES.end()) {
        let skewed = it.used > 1 && it.largest.saturating_mul(10) > SKEW_TENTHS.saturating_mul(it.bytes / it.used);
        return match skewed {
            true => (
                now,
                format!(
                    "the count fits, but one bucket is much larger than the others: few bucket keys have most rows, and more buckets do not part them{waiting}"
                ),
            ),
            false => (now, format!("fits: a bucket has {} on average{waiting}", size(mean))),
        };
    }
    if mean < *GOOD_BYTES.start() {
        return (
            fit.min(now),
            format!("a bucket has only {} on average: fewer buckets make fewer small files{waiting}", size(mean)),
        );
    }
    (
        fit.max(now),
        format!("a bucket has {} on average: more buckets compact faster and in parallel{waiting}", size(mean)),
    )
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{}.{} GiB", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024),
    }
}

/// For each partition of a snapshot how its rows and bytes lie in buckets, and the bucket count that would fit
/// them: about half a GiB for a bucket. Bytes are those of live files, older versions included.
///
/// # Errors
/// [`crate::Error::NotFound`] where there is no table, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn buckets_advice(history: &History, at: &At) -> Result<RecordBatch> {
    let contents = Contents::load(history, at).await?;
    let Contents { teller, files, .. } = &contents;
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for partition in files.chunk_by(|a, b| a.partition == b.partition) {
        let sum = |files: &[_], of: fn(&crate::format::ManifestEntry) -> i64| {
            files.iter().fold(0_u64, |sum, entry: &std::sync::Arc<_>| sum.saturating_add(count(of(entry))))
        };
        let mut known = Partition { used: 0, total: None, bytes: 0, largest: 0, waiting: 0 };
        let mut largest_rows = 0;
        for bucket in by_bucket(partition) {
            let bytes = sum(bucket, |entry| entry.file.file_size);
            let Some(first) = bucket.first() else { continue };
            if first.bucket < 0 {
                known.waiting += bytes;
                continue;
            }
            known.used += 1;
            known.total = u64::try_from(first.total_buckets).ok().filter(|total| *total > 0).or(known.total);
            known.bytes = known.bytes.saturating_add(bytes);
            known.largest = known.largest.max(bytes);
            largest_rows = largest_rows.max(sum(bucket, |entry| entry.file.row_count));
        }
        names.push(partition.first().and_then(|entry| teller.partition(&entry.partition)));
        rows.push((known, sum(partition, |entry| entry.file.row_count), largest_rows, advise(known)));
    }
    let long = |value: u64| i64::try_from(value).ok();
    Columns::default()
        .text("partition", names.into_iter())
        .long("buckets", rows.iter().map(|(it, ..)| long(it.total.unwrap_or(it.used))))
        .long("used_buckets", rows.iter().map(|(it, ..)| long(it.used)))
        .long("record_count", rows.iter().map(|(_, count, ..)| long(*count)))
        .long("file_size_in_bytes", rows.iter().map(|(it, ..)| long(it.bytes.saturating_add(it.waiting))))
        .long("largest_bucket_bytes", rows.iter().map(|(it, ..)| long(it.largest)))
        .long("largest_bucket_records", rows.iter().map(|(_, _, largest, _)| long(*largest)))
        .long("advised_buckets", rows.iter().map(|(.., (advised, _))| long(*advised)))
        .text("advice", rows.iter().map(|(.., (_, why))| Some(why)))
        .batch()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proposal_follows_bytes_and_tells_skew() {
        let gib = 1_u64 << 30;
        let even = |total: u64, bytes: u64| Partition {
            used: total,
            total: Some(total),
            bytes,
            largest: bytes / total.max(1),
            waiting: 0,
        };
        for (known, advised, word) in [
            (even(1, 0), 1, "fits"),
            (even(1, gib), 1, "fits"),
            (even(1, 10 * gib), 20, "more buckets"),
            (even(4, 2 * gib), 4, "fits"),
            (even(64, gib), 2, "fewer"),
            (even(8, 1000), 1, "fewer"),
            (Partition { largest: 2 * gib - 1000, ..even(4, 2 * gib) }, 4, "much larger"),
            (Partition { waiting: 10 * gib, ..even(1, 0) }, 20, "bucket-postpone"),
            (Partition { total: None, ..even(3, 6 * gib) }, 12, "more buckets"),
            (even(1, u64::MAX), 32_767, "more buckets"),
        ] {
            let (count, why) = advise(known);
            assert!(count == advised && why.contains(word), "{known:?}: {count}, {why}");
        }
    }
}
