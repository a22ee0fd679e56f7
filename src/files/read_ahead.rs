//! Decoding ahead of the consumer on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, sync_channel};

use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// Items made ahead at the most.
const AHEAD: usize = 2;

/// Runs `open` and the iterator it gives on the blocking pool; a few items wait for the consumer. Dropping the
/// result ends the work at its next item.
pub fn read_ahead<T, I, F>(runtime: &Handle, what: String, open: F) -> Box<dyn Iterator<Item = Result<T>> + Send>
where
    T: Send + 'static,
    I: Iterator<Item = Result<T>>,
    F: FnOnce() -> Result<I> + Send + 'static,
{
    let (sender, receiver) = sync_channel(AHEAD);
    runtime.spawn_blocking(move || {
        let work = || match open() {
            Ok(mut items) => while items.next().is_some_and(|item| sender.send(item).is_ok()) {},
            Err(error) => drop(sender.send(Err(error))),
        };
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            // A decoder that panics met bytes its authors did not think of.
            drop(sender.send(Err(Error::corrupt(what, "the decoder gave up on these bytes"))));
        }
    });
    Box::new(Ahead(receiver))
}

struct Ahead<T>(Receiver<Result<T>>);

impl<T> Iterator for Ahead<T> {
    type Item = Result<T>;
    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv().ok()
    }
}
