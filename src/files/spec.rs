//! How the files of a table are written, as its options say.
//! Spec: `format-spec/data-files.md`.

use std::sync::Arc;

use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};

use super::layout::FileLayout;
use super::rolling::WriteSpec;
use super::writer::Encoding;
use crate::error::{Error, Result};
use crate::format::FileSource;
use crate::schema::{Compression, Schema, StatsMode, TableOptions};

impl WriteSpec {
    /// Data files of a level. `encode_bytes` bounds what one open file holds in memory.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a codec that this version does not write with; [`Error::Invalid`] for a codec's level that
    /// does not exist.
    pub fn of_data(
        schema: &Schema,
        options: &TableOptions,
        layout: &Arc<FileLayout>,
        level: i32,
        encode_bytes: usize,
    ) -> Result<Self> {
        let origin = if level == 0 { FileSource::Append } else { FileSource::Compact };
        let stats = options.stats.modes(&names(schema), level);
        let (codec, prefix) = (options.compression_of(level), &options.data_file_prefix);
        let spec = Self::of(schema, options, layout, codec, prefix, encode_bytes)?;
        Ok(Self { stats, level, origin, ..spec })
    }

    /// Changelog files that come with data files of a level.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a codec that this version does not write with; [`Error::Invalid`] for a codec's level that
    /// does not exist.
    pub fn of_changelog(
        schema: &Schema,
        options: &TableOptions,
        layout: &Arc<FileLayout>,
        level: i32,
        encode_bytes: usize,
    ) -> Result<Self> {
        let (codec, prefix) = (&options.changelog_compression, &options.changelog_file_prefix);
        let spec = Self::of(schema, options, layout, codec, prefix, encode_bytes)?;
        Ok(Self { stats: options.stats.changelog_modes(&names(schema)), level, ..spec })
    }

    fn of(
        schema: &Schema,
        options: &TableOptions,
        layout: &Arc<FileLayout>,
        compression: &Compression,
        prefix: &str,
        encode_bytes: usize,
    ) -> Result<Self> {
        let parquet = &options.parquet;
        let row_group = usize::try_from(parquet.row_group_size).unwrap_or(usize::MAX);
        Ok(Self {
            layout: Arc::clone(layout),
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
            schema_id: schema.id,
            prefix: prefix.to_string(),
            target_bytes: options.target_file_size,
            target_rows: options.target_file_rows.max(1),
            stats: Vec::<StatsMode>::new(),
            stats_dense: options.stats.dense,
            level: 0,
            origin: FileSource::Append,
        })
    }
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields.iter().map(|field| field.name.as_str()).collect()
}

/// The last part of a file's name. The codec in it is the table's, whatever a level has.
pub fn file_extension(options: &TableOptions) -> String {
    let codec = match &options.compression {
        _ if !options.file_suffix_include_compression => return "parquet".to_string(),
        Compression::None => "none",
        Compression::Snappy => "snappy",
        Compression::Gzip => "gz",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zst",
        Compression::Other(word) => word,
    };
    format!("{codec}.parquet")
}

fn codec(compression: &Compression, zstd_level: i32) -> Result<Codec> {
    Ok(match compression {
        Compression::None => Codec::UNCOMPRESSED,
        Compression::Snappy => Codec::SNAPPY,
        Compression::Gzip => Codec::GZIP(GzipLevel::default()),
        // Hadoop's framing is what Java writes and reads under this name.
        Compression::Lz4 => Codec::LZ4,
        Compression::Other(word) => {
            let words = "option file.compression (or that of a level, or of changelog files)";
            return Err(Error::unsupported(format!("{words}: writing with codec {word:?}")));
        }
        Compression::Zstd => {
            let level = ZstdLevel::try_new(zstd_level);
            Codec::ZSTD(level.map_err(|error| Error::invalid(format!("option file.compression.zstd-level: {error}")))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers open such a table, so the writer is where it is refused.
    #[test]
    fn a_codec_that_is_not_written_with_is_refused_by_name() {
        for (option, level) in
            [("file.compression", 0), ("file.compression.per.level.5", 5), ("changelog-file.compression", 0)]
        {
            let builder = Schema::builder().column("id", crate::types::DataType::INT).primary_key(["id"]);
            let schema = builder.option("bucket", "1").option(option, "brotli").build().unwrap();
            let options = TableOptions::parse(&schema).unwrap();
            let layout = Arc::new(FileLayout::of(&schema, options.thin_mode).unwrap());
            let refused = match option {
                "changelog-file.compression" => WriteSpec::of_changelog(&schema, &options, &layout, level, 1 << 20),
                _ => WriteSpec::of_data(&schema, &options, &layout, level, 1 << 20),
            };
            let refused = refused.map(|_| ()).unwrap_err();
            assert!(matches!(&refused, Error::Unsupported(text) if text.contains("brotli")), "{option}: {refused}");
        }
    }
}
