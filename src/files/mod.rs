//! Data files as Arrow batches: Parquet in and out, rolling, statistics.
//! Spec: `format-spec/data-files.md`.

mod int96;
mod layout;
mod mask;
mod paged;
mod parquet_type;
mod prune;
mod read_ahead;
mod reader;
mod rolling;
mod shred;
mod source;
mod spec;
mod statistics;
mod writer;

pub use layout::{ColumnSource, FileColumn, FileLayout};
pub(crate) use layout::{KIND_NAME, SEQUENCE_NAME};
pub use paged::{Opened, PageAt, PageBounds, PageColumn, PagedFile};
pub use read_ahead::read_ahead;
pub use reader::{FileBatch, FileReader, PlannedColumn, ReadPlan};
pub use rolling::{FileNames, RollingWriter, WriteSpec};
pub use spec::file_extension;
pub use writer::{Encoding, Slab};
