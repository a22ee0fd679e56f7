//! Decoding ahead of the consumer on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// Items made ahead at the most.
const AHEAD: usize = 2;
/// Threads of the blocking pool that may wait for consumers, in the whole process. Beyond it the consumer decodes
/// itself: the pool must keep threads for the requests that the others wait for.
const MOST_THREADS: usize = 128;

static THREADS: AtomicUsize = AtomicUsize::new(0);

/// One of the threads that may wait.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let taken = THREADS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |threads| {
            (threads < MOST_THREADS).then_some(threads + 1)
        });
        taken.is_ok().then_some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs `open` and the iterator it gives on the blocking pool; a few items wait for the consumer, and keep their
/// thread until they are taken or the result is dropped.
pub fn read_ahead<T, I, F>(runtime: &Handle, what: String, open: F) -> Box<dyn Iterator<Item = Result<T>> + Send>
where
    T: Send + 'static,
    I: Iterator<Item = Result<T>> + Send + 'static,
    F: FnOnce() -> Result<I> + Send + 'static,
{
    let Some(place) = Place::take() else { return Box::new(Here { what, open: Some(open), items: None }) };
    let (sender, receiver) = sync_channel(AHEAD);
    let mut items = Here { what: what.clone(), open: Some(open), items: None };
    runtime.spawn_blocking(move || {
        let _place = place;
        loop {
            let item = items.next();
            let last = item.is_none();
            // The end is an item too: a thread that never ran must not look like a file without rows.
            if sender.send(item).is_err() || last {
                return;
            }
        }
    });
    Box::new(Ahead { what, receiver: Some(receiver) })
}

/// Decodes where it is asked.
struct Here<F, I> {
    what: String,
    open: Option<F>,
    items: Option<I>,
}

impl<T, I, F> Iterator for Here<F, I>
where
    I: Iterator<Item = Result<T>>,
    F: FnOnce() -> Result<I>,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let (open, items) = (self.open.take(), &mut self.items);
        let work = || {
            if let Some(open) = open {
                match open() {
                    Ok(opened) => *items = Some(opened),
                    Err(error) => return Some(Err(error)),
                }
            }
            items.as_mut()?.next()
        };
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Some(Err(error))) => {
                self.items = None;
                Some(Err(error))
            }
            Ok(item) => item,
            Err(_) => {
                // A decoder that panics met bytes its authors did not think of.
                self.items = None;
                Some(Err(Error::corrupt(&self.what, "the decoder gave up on these bytes")))
            }
        }
    }
}

struct Ahead<T> {
    what: String,
    receiver: Option<Receiver<Option<Result<T>>>>,
}

impl<T> Iterator for Ahead<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.receiver.as_ref()?.recv() {
            Ok(item) => item,
            Err(_) => Some(Err(Error::bug(format!("reading {} stopped before its end", self.what)))),
        };
        if !matches!(item, Some(Ok(_))) {
            self.receiver = None;
        }
        item
    }
}
