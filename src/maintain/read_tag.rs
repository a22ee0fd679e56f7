//! A tag for as long as a batch read takes: what it reads stays, whatever expires meanwhile.
//!
//! ```text
//! the snapshot is found → its tag appears → is the snapshot still there? → plan → files → the tag goes
//! ```
//!
//! A read that dies leaves its tag, which goes by its age limit. Spec: `format-spec/hints-tags-consumers.md`, tags of reads.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;

use super::expire::Expirer;
use super::tags::NewTag;
use crate::error::{Error, Result};
use crate::format::{Snapshot, layout};
use crate::schema::{Use, check_options};

/// How the names of such tags begin, as Paimon's do.
const PREFIX: &str = "batch-read-";
/// Letters of a UUID that follow the snapshot's number.
const UNIQUE: usize = 8;

/// The tag that guards a read. Dropping it deletes the tag beside; [`ReadTag::release`] waits for that.
pub struct ReadTag {
    expirer: Expirer,
    name: String,
    runtime: Handle,
    /// Whether it is gone, or a task has it in hand.
    settled: bool,
}

impl fmt::Debug for ReadTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadTag({:?})", self.name)
    }
}

impl ReadTag {
    /// The tag's name: `batch-read-<snapshot>-<8 letters>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Deletes the tag, and what it alone kept if its snapshot has expired.
    ///
    /// # Errors
    /// What cannot be read, and the store's errors: then the tag goes by its age limit.
    pub async fn release(mut self) -> Result<()> {
        let done = delete(&self.expirer, &self.name).await;
        self.settled = true;
        done
    }
}

impl Drop for ReadTag {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (expirer, name) = (self.expirer.clone(), self.name.clone());
        // Where the runtime ends too the tag stays, until its time is over.
        self.runtime.spawn(async move { drop(delete(&expirer, &name).await) });
    }
}

async fn delete(expirer: &Expirer, name: &str) -> Result<()> {
    // Which files a table has that this version cannot write is not known for certain.
    let done = match check_options(&expirer.schema, Use::Write) {
        Ok(()) => expirer.delete_tag(name).await.map(drop),
        Err(_) => expirer.history.pointers.delete(&layout::tag(name)?).await,
    };
    match done {
        // Expiry has taken it: its time was over.
        Err(Error::NotFound(_)) => Ok(()),
        Err(error) => {
            tracing::warn!(%name, %error, "the tag of a read could not be deleted; it goes by its age limit");
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

impl Expirer {
    /// Tags a snapshot for the time of a read. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// As [`Expirer::create_tag`]: [`Error::NotFound`] when the snapshot expired before it was guarded.
    pub async fn tag_for_read(&self, snapshot: &Snapshot, time_retained: Duration) -> Result<ReadTag> {
        let unique = self.history.store.env().uuid();
        let name = format!("{PREFIX}{}-{}", snapshot.id, unique.get(..UNIQUE).unwrap_or(&unique));
        // It is there before the file is: a create that is cancelled or in doubt leaves nothing behind.
        let mut tag = ReadTag { expirer: self.clone(), name, runtime: Handle::current(), settled: false };
        let time_retained = Some(time_retained);
        match self.create_tag(NewTag { name: tag.name.clone(), snapshot: snapshot.clone(), time_retained }).await {
            Ok(_) => Ok(tag),
            // It may be there.
            Err(error @ Error::Storage { .. }) => {
                drop(tag.release().await);
                Err(error)
            }
            // It was taken back, or was never made.
            Err(error) => {
                tag.settled = true;
                Err(error)
            }
        }
    }
}
