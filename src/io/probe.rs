//! The start-up probe: does the store keep the promise that one conditional create wins?
//!
//! A store that ignores the condition would let two writers both believe they committed. The probe creates one random
//! key several times over, at once and one after another; exactly one create may win. It runs once for each process and
//! bucket, and never on the local disk or in memory. The key lies in a top-level directory of its own, which Java's
//! orphan cleaner leaves alone, and is removed afterwards.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use futures::future::join_all;

use super::store::{Created, Kind, TableStore};
use crate::error::{Error, Result};

/// The directory of probe keys, below the table's root.
const DIRECTORY: &str = "forebay-probe";
/// Creates that run at once.
const RIVALS: usize = 4;

impl TableStore {
    /// Proves that the store honours put-if-absent, once for each process and bucket.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when it does not: several writers would lose commits; [`Error::Storage`].
    pub async fn require_conditional_create(&self) -> Result<()> {
        static PROVEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
        self.require_writable()?;
        let Kind::Remote { bucket, .. } = self.kind() else { return Ok(()) };
        if PROVEN.lock().unwrap_or_else(PoisonError::into_inner).contains(bucket) {
            return Ok(());
        }
        self.probe_conditional_create().await?;
        PROVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(bucket.clone());
        Ok(())
    }

    /// The probe itself, uncached.
    ///
    /// # Errors
    /// As [`TableStore::require_conditional_create`].
    pub async fn probe_conditional_create(&self) -> Result<()> {
        let key = format!("{DIRECTORY}/{}", self.env().uuid());
        let outcome = self.race(&key).await;
        let _ = self.delete(&key).await;
        match outcome {
            // A store that has no such bucket finds nothing, whatever is asked of it.
            Err(Error::NotFound(_)) => Err(Error::not_found(format!("the bucket or container of {}", self.location()))),
            outcome => outcome,
        }
    }

    async fn race(&self, key: &str) -> Result<()> {
        let rivals = (0..RIVALS).map(|rival| self.create(key, Bytes::from(format!("rival {rival}"))));
        let outcomes: Vec<Created> = join_all(rivals).await.into_iter().collect::<Result<_>>()?;
        let late = self.create(key, Bytes::from_static(b"late")).await?;
        let winners: Vec<usize> = (0..RIVALS).filter(|rival| outcomes[*rival] == Created::Won).collect();
        if winners.len() > 1 || late == Created::Won && !winners.is_empty() {
            return Err(self.refusal());
        }
        let kept = match (self.read(key).await, outcomes.first()) {
            // No create took place in a bucket that is there.
            (Err(Error::NotFound(_)), Some(Created::Unknown(words))) if winners.is_empty() => {
                let unknown = ["501 Not Implemented", "NotImplemented"].iter().any(|sign| words.contains(sign));
                let what = format!("writing to {}: conditional writes (If-None-Match) fail: {words}", self.location());
                return Err(if unknown { Error::unsupported(what) } else { Error::storage(what) });
            }
            (kept, _) => kept?,
        };
        match winners.first() {
            Some(winner) if kept != format!("rival {winner}").as_bytes() => Err(self.refusal()),
            Some(_) => Ok(()),
            // Nobody heard of a win: one of them won and its answer was lost.
            None => Err(Error::storage(format!(
                "the start-up probe of {} had no clear winner: {outcomes:?}; try again",
                self.location()
            ))),
        }
    }

    fn refusal(&self) -> Error {
        Error::unsupported(format!(
            "writing to {}: the store ignores conditional writes (If-None-Match), so two writers could overwrite each \
             other's commits; use a store that honours them",
            self.location()
        ))
    }
}
