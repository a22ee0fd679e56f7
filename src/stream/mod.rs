//! Over time: following a table's changes, snapshot by snapshot.
//! Spec: `format-spec/stream.md`.

mod change_stream;
mod start;

pub use change_stream::{Change, ChangeStream, FollowOptions};
pub use start::Start;
