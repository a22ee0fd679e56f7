//! Where bytes live: a table's files on the local disk, in a bucket of a service, or in memory.
//!
//! [`TableStore`] is what every room above uses. It speaks of paths relative to a table's root (and of files outside of
//! it, `scheme://..`), proves each of them to stay under that root or an allowed location, and turns a store's errors into [`crate::Error`]. Below it stands the
//! [`object_store::ObjectStore`] trait, the one seam: [`FaultyStore`] and [`CountingStore`] wrap any store.
//!
//! Invariants:
//! - a file is visible whole or not at all; `create` has one winner over all processes;
//! - on the local disk what a call acknowledged survives power loss, except hints (`replace_hint`);
//! - nothing outside the root is read, written or deleted, but below locations that the caller allows by name.

mod cache;
mod counting;
mod error;
mod faulty;
mod local;
mod local_read;
mod location;
mod op;
mod outside;
mod path;
mod probe;
mod remote;
mod secret;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::careless;
mod upload;
mod walk;

pub use cache::{BlockCache, CacheCounts, CacheOptions, CachedKind};
pub use counting::{CountingStore, Counts};
pub use faulty::{Fault, FaultPlan, FaultyStore, Gate};
pub use local::LocalStore;
pub use location::{Location, Service, is_store_option, open_location};
pub use op::{Op, PathClass};
pub use outside::{ALLOW_EXTERNAL, is_own_option};
pub use path::{check_name, check_path};
pub use secret::{Secret, Secrets};
pub use store::{Created, FileStatus, MAX_METADATA_BYTES, TableStore};
pub use upload::{BlockingUpload, Upload};
