//! Rows in, commit messages out: routing, one memory budget for all buckets, spill, sort, merge, flush.
//!
//! ```text
//! batches ─ accept ─ route (partition, bucket) ─ buffer ──┬─ sort ─ merge ─ level-0 files ─ CommitMessage
//!                                                         └─ spill (sorted, local disk) ──┘
//! ```
//!
//! Nothing a writer does is visible before its messages are committed.
//! Spec: `format-spec/write.md`.

mod change_batch;
mod channels;
mod compaction;
mod dynamic;
mod flush;
mod joining;
mod key_index;
mod key_places;
mod router;
mod sequence_numbers;
mod settings;
mod slabs;
mod stream_writer;
mod take_up;

pub use change_batch::ChangeBatch;
pub use channels::{Channel, Channels};
pub use stream_writer::StreamWriter;
