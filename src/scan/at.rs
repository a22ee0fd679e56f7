//! The point of a table's history that a batch read shows.

use crate::error::{Error, Result};
use crate::format::{Snapshot, SnapshotId};
use crate::history::History;

/// The point of a table's history that a batch read shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// The newest snapshot.
    #[default]
    Latest,
    /// This snapshot.
    Snapshot(SnapshotId),
    /// The newest snapshot that is not younger than this, in milliseconds since the epoch.
    Timestamp(i64),
}

impl At {
    /// The snapshot; `None` for a table that has none and a read of the newest.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the snapshot is not there (any more), or none is old enough.
    pub(crate) async fn find(&self, history: &History) -> Result<Option<Snapshot>> {
        match self {
            Self::Latest => history.snapshots.latest().await,
            Self::Snapshot(id) => history.snapshots.load(*id).await.map(Some),
            Self::Timestamp(millis) => match history.snapshots.at_time(*millis).await? {
                Some(snapshot) => Ok(Some(snapshot)),
                None => {
                    let at = jiff::Timestamp::from_millisecond(*millis);
                    let at = at.map_or_else(|_| format!("{millis} ms since 1970"), |at| at.to_string());
                    Err(Error::not_found(format!("a snapshot as old as {at}")))
                }
            },
        }
    }
}
