//! Expiry after commits, as Paimon's writers do it: never fails a commit, and costs nothing where nothing is due.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::expire::Expirer;
use super::retention::millis;
use crate::commit::AfterCommit;
use crate::env::Env;
use crate::error::Result;
use crate::format::SnapshotId;

/// The longest that a commit waits for the expiry after it; from then on that runs beside.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long nothing is tried again after a run that took nothing, at most.
const QUIET: Duration = Duration::from_secs(10);

/// Expires snapshots after commits.
#[derive(Debug)]
pub struct ExpireAfterCommit {
    expirer: Expirer,
    in_background: bool,
    known: Arc<Mutex<Known>>,
    running: Option<JoinHandle<()>>,
}

/// What the last run saw: enough to tell without a request that nothing is due.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// The oldest snapshot.
    earliest: Option<SnapshotId>,
    /// When its successor was committed.
    followed: Option<i64>,
    /// Nothing is tried before this time, of the clock that never goes back.
    quiet_until: Duration,
}

impl ExpireAfterCommit {
    /// With the retention of an expirer. `in_background` tells that no commit waits for it.
    pub fn new(expirer: Expirer, in_background: bool) -> Self {
        Self { expirer, in_background, known: Arc::default(), running: None }
    }

    fn env(&self) -> &Env {
        self.expirer.history.store.env()
    }

    /// Whether a run could take anything. Numbers begin at 1, so a young table costs no request.
    fn may_be_due(&self, newest: SnapshotId) -> bool {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (limits, earliest) = (&self.expirer.retention.snapshots, known.earliest.unwrap_or(1));
        if newest.saturating_sub(limits.least).saturating_add(1) <= earliest {
            return false;
        }
        let Some(followed) = known.followed else { return true };
        let age = self.env().now_millis().saturating_sub(followed);
        let forced = newest.saturating_sub(limits.most).saturating_add(1) > earliest;
        let least = if forced { self.expirer.retention.guarded } else { limits.time };
        age >= millis(least) && self.env().monotonic() >= known.quiet_until
    }
}

impl AfterCommit for ExpireAfterCommit {
    fn committed(&mut self, newest: SnapshotId) -> BoxFuture<'_, ()> {
        async move {
            if !self.may_be_due(newest) || self.running.as_ref().is_some_and(|running| !running.is_finished()) {
                return;
            }
            let (expirer, known) = (self.expirer.clone(), Arc::clone(&self.known));
            let run = async move {
                if let Err(error) = run(&expirer, &known).await {
                    tracing::warn!(table = ?expirer.history.store, %error, "expiry after a commit failed");
                }
            };
            // Under a seed the order of requests must be the seed's alone.
            let env = self.env().clone();
            if env.is_seeded() {
                return run.await;
            }
            let mut running = tokio::spawn(run);
            if !self.in_background {
                tokio::select! {
                    _ = &mut running => return,
                    () = env.sleep(LONGEST_WAIT) => {}
                }
            }
            self.running = Some(running);
        }
        .boxed()
    }

    fn finish(&mut self) -> BoxFuture<'_, ()> {
        async move {
            if let Some(running) = self.running.take()
                && let Err(error) = running.await
            {
                tracing::warn!(%error, "expiry after a commit broke off");
            }
        }
        .boxed()
    }
}

async fn run(expirer: &Expirer, known: &Mutex<Known>) -> Result<()> {
    let report = expirer.run(expirer.retention.at_once).await;
    let snapshots = &expirer.history.snapshots;
    let earliest = snapshots.earliest_id().await?;
    let followed = match earliest {
        Some(earliest) => snapshots.try_load(earliest.saturating_add(1)).await?.map(|next| next.time_millis),
        None => None,
    };
    let took_nothing = report.as_ref().map_or(true, |report| report.snapshots.is_empty());
    let quiet = if took_nothing { QUIET.min(expirer.retention.guarded) } else { Duration::ZERO };
    let quiet_until = expirer.history.store.env().monotonic() + quiet;
    *known.lock().unwrap_or_else(PoisonError::into_inner) = Known { earliest, followed, quiet_until };
    report.map(|_| ())
}
