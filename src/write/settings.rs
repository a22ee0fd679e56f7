//! A table's options as a writer needs them.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};

use crate::error::{Error, Result};
use crate::files::{Encoding, FileLayout, WriteSpec};
use crate::format::FileSource;
use crate::lsm::{Deduplicate, MergeFunction, SequenceOrder};
use crate::schema::{BucketMode, ChangelogProducer, Compression, MergeEngine, Schema, StatsMode, TableOptions};
use crate::types::{DataType, TypeKind};

/// How the rows of one table are written.
pub(super) struct Settings {
    pub schema: Arc<Schema>,
    pub options: TableOptions,
    pub layout: Arc<FileLayout>,
    pub merge: Option<Arc<dyn MergeFunction>>,
    pub order: Option<SequenceOrder>,
    pub kind_column: Option<usize>,
}

impl Settings {
    pub(super) fn new(schema: Arc<Schema>, options: TableOptions) -> Result<Self> {
        let layout = Arc::new(FileLayout::of(&schema, options.thin_mode)?);
        let merge: Option<Arc<dyn MergeFunction>> = match options.merge_engine {
            // Rows that wait in `bucket-postpone` are kept as they came.
            _ if !schema.has_primary_key() || options.bucket == BucketMode::Postpone => None,
            MergeEngine::Deduplicate => Some(Arc::new(Deduplicate { ignore_delete: options.ignore_delete })),
            other => return Err(Error::unsupported(format!("option merge-engine={other:?}"))),
        };
        let sequence = schema.positions(&options.sequence_fields)?;
        let types = schema.types_of(&options.sequence_fields)?;
        let order = if sequence.is_empty() {
            None
        } else {
            Some(SequenceOrder::new(sequence, &types, options.sequence_descending)?)
        };
        let kind_column = options.rowkind_field.as_ref().map(|name| schema.require(name)).transpose()?;
        Ok(Self { schema, options, layout, merge, order, kind_column })
    }

    /// How level-0 files are written. `encode_bytes` bounds what one file holds in memory.
    pub(super) fn data_spec(&self, encode_bytes: usize, postpone_prefix: Option<&str>) -> Result<WriteSpec> {
        let compression = self.options.compression_per_level.get(&0).copied().unwrap_or(self.options.compression);
        let prefix = postpone_prefix.unwrap_or(&self.options.data_file_prefix);
        let mut spec = self.spec(compression, prefix, encode_bytes, false)?;
        if postpone_prefix.is_some() {
            spec.stats.fill(StatsMode::None);
        }
        Ok(spec)
    }

    /// How changelog files are written, when the input becomes one.
    pub(super) fn changelog_spec(&self, encode_bytes: usize) -> Result<Option<WriteSpec>> {
        if self.options.changelog_producer != ChangelogProducer::Input {
            return Ok(None);
        }
        let prefix = &self.options.changelog_file_prefix;
        self.spec(self.options.changelog_compression, prefix, encode_bytes, true).map(Some)
    }

    fn spec(&self, compression: Compression, prefix: &str, encode_bytes: usize, changelog: bool) -> Result<WriteSpec> {
        let parquet = &self.options.parquet;
        let columns: Vec<&str> = self.schema.fields.iter().map(|field| field.name.as_str()).collect();
        let stats = match changelog {
            true => self.options.stats.changelog_modes(&columns),
            false => self.options.stats.modes(&columns, 0),
        };
        let row_group = usize::try_from(parquet.row_group_size).unwrap_or(usize::MAX);
        Ok(WriteSpec {
            layout: Arc::clone(&self.layout),
            encoding: Encoding {
                compression: codec(compression, parquet.zstd_level)?,
                dictionary: parquet.dictionary,
                dictionary_of: parquet.dictionary_of.clone(),
                dictionary_page_bytes: parquet.dictionary_page_size,
                row_group_bytes: row_group.min(encode_bytes),
                page_bytes: parquet.page_size,
                page_rows: parquet.page_row_limit,
                threads: 1,
            },
            schema_id: self.schema.id,
            prefix: prefix.to_string(),
            target_bytes: self.options.target_file_size,
            target_rows: self.options.target_file_rows.max(1),
            stats,
            stats_dense: self.options.stats.dense,
            level: 0,
            origin: FileSource::Append,
        })
    }

    /// The last part of a file's name. The codec in it is the table's, whatever a level has.
    pub(super) fn extension(&self) -> String {
        let codec = match self.options.compression {
            _ if !self.options.file_suffix_include_compression => "",
            Compression::None => "none.",
            Compression::Snappy => "snappy.",
            Compression::Gzip => "gz.",
            Compression::Lz4 => "lz4.",
            Compression::Zstd => "zst.",
        };
        format!("{codec}parquet")
    }

    /// Refuses values that their column's type cannot hold, which Arrow's type does not tell.
    pub(super) fn check_values(&self, columns: &[ArrayRef]) -> Result<()> {
        for (field, lane) in self.schema.fields.iter().zip(columns) {
            check_column(&field.name, field.data_type, lane)?;
        }
        Ok(())
    }
}

fn codec(compression: Compression, zstd_level: i32) -> Result<Codec> {
    Ok(match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Gzip => Codec::GZIP(GzipLevel::default()),
        // Hadoop's framing is what Java writes and reads under this name.
        Compression::Lz4 => Codec::LZ4,
        Compression::Zstd => {
            let level = ZstdLevel::try_new(zstd_level);
            Codec::ZSTD(level.map_err(|error| Error::invalid(format!("option file.compression.zstd-level: {error}")))?)
        }
    })
}

/// The years 1 to 9999 in nanoseconds since 1970.
const YEARS: std::ops::Range<i128> = -62_135_596_800_000_000_000..253_402_300_800_000_000_000;

fn check_column(name: &str, data_type: DataType, lane: &ArrayRef) -> Result<()> {
    let fits = match data_type.kind {
        TypeKind::Char(limit) | TypeKind::VarChar(limit) if limit < i32::MAX as u32 => {
            let fits = |text: &str| text.len() <= limit as usize || text.chars().count() <= limit as usize;
            lane.as_string::<i32>().iter().flatten().all(fits)
        }
        TypeKind::Binary(limit) | TypeKind::VarBinary(limit) if limit < i32::MAX as u32 => {
            lane.as_binary::<i32>().iter().flatten().all(|bytes| bytes.len() <= limit as usize)
        }
        TypeKind::Decimal { precision, .. } => {
            let lane = lane.as_primitive::<arrow_array::types::Decimal128Type>();
            lane.validate_decimal_precision(precision).is_ok()
        }
        TypeKind::Time(_) => {
            let lane = lane.as_primitive::<arrow_array::types::Time32MillisecondType>();
            lane.iter().flatten().all(|millis| (0..86_400_000).contains(&millis))
        }
        TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..) => {
            let lane = lane.as_primitive::<arrow_array::types::Decimal128Type>();
            lane.iter().flatten().all(|nanos| YEARS.contains(&nanos))
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(Error::invalid(format!("column {name}: a value does not fit {data_type}"))) }
}
