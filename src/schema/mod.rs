//! What a table is told to be: columns, keys, options.
//! Spec: `format-spec/schema.md`, `format-spec/options.md`.

mod builder;
mod change;
mod check;
mod default_value;
mod evolution;
mod merging;
mod option_keys;
mod options;
mod options_page;
mod record_expiry;
mod row_tracking;
mod units;
mod validate;
mod value;

pub use crate::types::Field;
pub use builder::SchemaBuilder;
pub use change::{Place, SchemaChange};
pub use check::{Use, check_options};
pub use default_value::default_lane;
pub use evolution::column_mapping;
pub use option_keys::{ENGINE_PREFIXES, Kind, OptionKey, Rule, Stance, find_option, option_keys};
pub use options::{
    BetweenMode, BetweenPoints, BucketFunction, ChangelogProducer, ColumnIndex, ColumnMergeOptions, CommitOptions,
    CompactionOptions, Compression, DynamicBucketOptions, ExternalRoots, FileFormat, FileIndexKind, FileIndexOptions,
    FormatOptions, LookupCompact, ManifestOptions, MergeEngine, MergeOptions, NullKeys, OrcOptions, ParquetOptions,
    PostponeOptions, QuietHours, RecordExpiry, RetentionLimits, RetentionOptions, ScanOptions, ScanPoint,
    SequenceGroup, StatsOptions, TableOptions,
};
pub use options_page::options_page;
pub(crate) use record_expiry::time_column;
pub use row_tracking::{ROW_ID, ROW_SEQUENCE};
pub use units::{StatsMode, parse_duration, parse_memory_size};
pub use validate::validate;
pub(crate) use validate::{check_overwrites_in_streams, check_spellings};
pub use value::{BucketMode, Schema, SchemaId};
