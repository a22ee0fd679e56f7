//! Data files as Arrow batches: Parquet, Avro and ORC in and out, rolling, statistics.
//! Spec: `format-spec/data-files.md`.

mod avro;
mod bare;
mod chunks;
mod format;
mod int96;
mod lane_bounds;
mod layout;
mod mask;
mod names;
mod orc;
mod packing;
mod page_head;
mod paged;
mod pages;
mod parquet_type;
mod prune;
mod read_ahead;
mod reader;
mod rolling;
mod row_groups;
mod shred;
mod source;
mod spec;
mod statistics;
mod system;
mod writer;

pub use avro::AvroCodec;
pub use format::{FileBatches, FileEncoding, format_of, known_format, read_file};
pub use layout::{ColumnSource, FileColumn, FileLayout};
pub(crate) use layout::{KIND_NAME, SEQUENCE_NAME};
pub use names::{FileNames, require_roots};
pub use orc::{OrcCodec, OrcEncoding, held_by_orc};
pub use paged::{Opened, PageAt, PageBounds, PageColumn, PagedFile};
pub use pages::{PageIndex, Pages};
pub use read_ahead::read_ahead;
pub use reader::{FileBatch, PlannedColumn, ReadPlan};
pub use rolling::{RollingWriter, WriteSpec};
pub use row_groups::{RowGroup, RowGroups};
pub use writer::{Encoding, Slab};
