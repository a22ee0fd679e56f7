//! A sink that starts again: what of it is committed, and whether history still tells.

use super::committer::Committer;
use super::outcome::BATCH_COMMIT;
use crate::error::{Error, Result};
use crate::format::SnapshotId;

impl Committer {
    /// The newest commit of this user: its identifier and snapshot. Walks back through history at the first call.
    ///
    /// # Errors
    /// [`Error::Storage`], [`Error::Corrupt`].
    pub async fn last_committed(&mut self) -> Result<Option<(i64, SnapshotId)>> {
        self.stale = self.base.take().and_then(|base| base.snapshot).or(self.stale.take());
        let base = self.load_base().await?;
        match &base.snapshot {
            Some(newest) => {
                self.search_to(newest).await?;
            }
            None => (self.searched, self.last) = (Some(0), None),
        }
        self.base = Some(base);
        Ok(self.last)
    }

    /// Those of a restarted sink's identifiers that are not committed and must be committed again. Their appends are
    /// checked for contradictions, because the sink may have been mistaken about them.
    ///
    /// # Errors
    /// As [`Committer::last_committed`].
    pub async fn filter_committed(&mut self, identifiers: &[i64]) -> Result<Vec<i64>> {
        let last = self.last_committed().await?;
        let open: Vec<i64> = identifiers
            .iter()
            .copied()
            .filter(|identifier| *identifier == BATCH_COMMIT || last.is_none_or(|(last, _)| *identifier > last))
            .collect();
        self.check_until = self.check_until.max(open.iter().copied().filter(|id| *id != BATCH_COMMIT).max());
        Ok(open)
    }

    /// Checks what a sink saved of its last commit (identifier and snapshot) against history.
    ///
    /// # Errors
    /// [`Error::NotFound`] when history no longer reaches that commit: whether later commits of the sink were made can
    /// no longer be told, and committing them again could double them. [`Error::Conflict`] when history contradicts it.
    pub async fn resume(&mut self, identifier: i64, snapshot_id: SnapshotId) -> Result<()> {
        match self.last_committed().await? {
            Some((last, at)) if at >= snapshot_id && last >= identifier => Ok(()),
            Some((last, at)) => Err(Error::conflict(format!(
                "commit user {:?} saved identifier {identifier} in snapshot {snapshot_id}, but its newest commit in this \
                 table is identifier {last} in snapshot {at}: the table was rolled back or replaced; reset the sink's \
                 state or use a new commit user",
                self.user
            ))),
            None => Err(self.history_gone(identifier, snapshot_id).await?),
        }
    }

    async fn history_gone(&self, identifier: i64, snapshot_id: SnapshotId) -> Result<Error> {
        let range = self.history.snapshots.range().await?;
        let kept = range.map_or("no snapshot".to_string(), |range| format!("{} to {}", range.start(), range.end()));
        Ok(Error::not_found(format!(
            "snapshot {snapshot_id}, in which commit user {:?} committed identifier {identifier}: the table keeps {kept}, \
             so it cannot be told what was committed since; compare the table with the source, then use a new commit \
             user",
            self.user
        )))
    }
}
