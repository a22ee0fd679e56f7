//! Snapshots by what they say of time: their own, and that of their events.

use super::Snapshots;
use crate::error::Result;
use crate::format::{Snapshot, SnapshotId};

impl Snapshots {
    /// The newest snapshot whose `timeMillis` is not above `millis`.
    ///
    /// A binary search, as Paimon's. Clocks of committers may disagree; then times do not rise with ids, and the answer
    /// is some snapshot not above `millis` whose successor is above it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`], [`crate::Error::Storage`].
    pub async fn at_time(&self, millis: i64) -> Result<Option<Snapshot>> {
        let Some(range) = self.range().await? else { return Ok(None) };
        let (mut low, mut high, mut found) = (*range.start(), *range.end(), None);
        while low <= high {
            let middle = low + (high - low) / 2;
            match self.try_load(middle).await? {
                Some(snapshot) if snapshot.time_millis <= millis => {
                    low = middle + 1;
                    found = Some(snapshot);
                }
                Some(_) => high = middle - 1,
                // Expired meanwhile: everything below is older still.
                None => low = middle + 1,
            }
        }
        Ok(found)
    }

    /// The first snapshot whose watermark is not below one; `None` where there is none.
    ///
    /// A binary search, as Paimon's. A snapshot without a watermark counts as the one before it, and of snapshots with the
    /// very watermark asked for the search gives the one it meets first: Java gives that one too.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`], [`crate::Error::Storage`].
    pub async fn at_watermark(&self, watermark: i64) -> Result<Option<Snapshot>> {
        let Some(range) = self.range().await? else { return Ok(None) };
        let (mut low, mut high) = (*range.start(), *range.end());
        let Some((first, told)) = self.watermark_from(low, high).await? else { return Ok(None) };
        low = first.id;
        if told >= watermark {
            return Ok(Some(first));
        }
        let mut found = None;
        while low <= high {
            let middle = low + (high - low) / 2;
            let Some((snapshot, told)) = self.watermark_back(middle, low).await? else {
                low = middle + 1;
                continue;
            };
            if told == watermark {
                return Ok(Some(snapshot));
            }
            if told > watermark {
                high = snapshot.id - 1;
                found = Some(snapshot);
            } else {
                low = middle + 1;
            }
        }
        Ok(found)
    }

    /// The first snapshot from one on that tells a watermark.
    async fn watermark_from(&self, low: SnapshotId, high: SnapshotId) -> Result<Option<(Snapshot, i64)>> {
        for id in low..=high {
            if let Some(found) = self.try_load(id).await?.and_then(with_watermark) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The nearest snapshot at or before one, and not before `low`, that tells a watermark.
    async fn watermark_back(&self, from: SnapshotId, low: SnapshotId) -> Result<Option<(Snapshot, i64)>> {
        for id in (low..=from).rev() {
            if let Some(found) = self.try_load(id).await?.and_then(with_watermark) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// A snapshot with its watermark. The smallest number stands for none.
fn with_watermark(snapshot: Snapshot) -> Option<(Snapshot, i64)> {
    let watermark = snapshot.watermark.filter(|watermark| *watermark != i64::MIN)?;
    Some((snapshot, watermark))
}
