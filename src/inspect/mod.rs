//! Looking inside a table: its system tables as record batches, and a picture of its levels.
//!
//! Nothing here writes, and nothing asks whether this version could read the rows: a table with options that
//! it cannot honour can still be looked at. What does not decode is shown as what it is instead of ending the
//! view. The order of rows is fixed, so equal tables show equally.
//!
//! | view | one row for each |
//! |---|---|
//! | [`snapshots`], [`changelogs`], [`schemas`], [`tags`], [`branches`], [`consumers`] | file of that kind |
//! | [`manifests`], [`files`], [`partitions`], [`buckets`] | such thing of the newest snapshot |
//! | [`buckets_advice`] | partition, with the bucket count that would fit it |
//! | [`options`] | option that is set |
//! | [`picture`] | sorted run, as text |

mod advice;
mod columns;
mod contents;
mod history;
mod picture;
mod settings;
#[cfg(test)]
mod tests;
mod text;

pub use advice::buckets_advice;
pub use contents::{buckets, files, manifests, partitions};
pub use history::{branches, changelogs, consumers, schemas, snapshots, tags};
pub use picture::picture;
pub use settings::options;
