//! Work that gives way to all other work of the machine: on threads of a runtime of its own, of a lower priority.
//!
//! A thread's priority cannot be raised again without privileges, so these threads are never lent to anybody else.
//! Where the system has no priorities of threads, they are threads like others.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Niceness that is added. Beside one thread of the usual priority such a one gets a tenth of a core.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// Threads that drive requests. What computes has threads beside.
const DRIVERS: usize = 2;

static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();

/// Lowers the priority of the calling thread, and of those that it starts from now on.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "the priority of a thread was not lowered");
    }
}

/// Runs work there, or where the caller runs if there is no such runtime.
pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    match RUNTIME.get_or_init(start) {
        Some(runtime) => runtime.spawn(work),
        None => tokio::spawn(work),
    };
}

fn start() -> Option<Runtime> {
    let lowered = lowered();
    let mut builder = Builder::new_multi_thread();
    let built = builder.worker_threads(DRIVERS).thread_name("forebay-behind").enable_all();
    // A thread takes its priority over from the one that began it: to lower it by a step would lower it again and again.
    let built = built.on_thread_start(move || set(lowered));
    built.build().inspect_err(|error| tracing::warn!(%error, "no threads for work in the background")).ok()
}

/// The niceness of threads that give way to the calling one.
#[cfg(target_os = "linux")]
fn lowered() -> Option<i32> {
    rustix::process::getpriority_process(None).ok().map(|usual| (usual + NICER).min(19))
}

#[cfg(target_os = "linux")]
fn set(niceness: Option<i32>) {
    if let Some(niceness) = niceness
        && let Err(error) = rustix::process::setpriority_process(None, niceness)
    {
        tracing::debug!(%error, "the priority of a thread was not lowered");
    }
}

#[cfg(not(target_os = "linux"))]
fn lowered() -> Option<i32> {
    None
}

#[cfg(not(target_os = "linux"))]
fn set(_: Option<i32>) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Niceness of the calling thread.
    #[cfg(target_os = "linux")]
    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn threads_behind_give_way_and_those_of_the_caller_do_not() {
        let usual = niceness();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        spawn(async move {
            let driver = niceness();
            let computing = tokio::task::spawn_blocking(niceness).await.unwrap();
            sender.send((driver, computing)).unwrap();
        });
        let lowered = (usual + NICER).min(19);
        assert_eq!(receiver.await.unwrap(), (lowered, lowered));
        assert_eq!(tokio::task::spawn_blocking(niceness).await.unwrap(), usual);
    }
}
