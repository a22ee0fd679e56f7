//! How the files of a table are written, as its options say.
//! Spec: `format-spec/data-files.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parquet::basic::{Compression as ParquetCodec, GzipLevel, ZstdLevel};

use super::avro::{AvroCodec, avro_schema};
use super::format::FileEncoding;
use super::layout::{ColumnSource, FileColumn, FileLayout};
use super::orc::{OrcCodec, OrcEncoding, orc_types};
use super::rolling::WriteSpec;
use super::writer::Encoding;
use crate::error::{Error, Result};
use crate::format::{Codec, FileSource, IndexedColumn};
use crate::schema::{
    ChangelogProducer, Compression, FileFormat, FormatOptions, ROW_ID, ROW_SEQUENCE, Schema, StatsMode, TableOptions,
};

/// Bytes of a row group where the table does not tell: compaction copies row groups that nothing touched, so that they
/// are far smaller than files.
const ROW_GROUP: u64 = 16 << 20;

/// Bounds of key columns are cut at this length, where the file itself tells them.
const KEY_STATS: StatsMode = StatsMode::Truncate(128);

impl WriteSpec {
    /// Data files of a level. `encode_bytes` bounds what one open file holds in memory.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a format or a codec that this version does not write with, and for a column that the
    /// format cannot hold; [`Error::Invalid`] for a codec's level that does not exist.
    pub fn of_data(
        schema: &Schema,
        options: &TableOptions,
        layout: &Arc<FileLayout>,
        level: i32,
        encode_bytes: usize,
    ) -> Result<Self> {
        let formats = &options.formats;
        let (format, codec) = (formats.of_level(level), formats.compression_of(level));
        let origin = if level == 0 { FileSource::Append } else { FileSource::Compact };
        let spec = Self::of(schema, options, layout, (format, codec), encode_bytes)?;
        let names = names(schema);
        let (stats, mode) = (options.stats.modes(&names, level), options.stats.mode_of(level));
        let indexes = IndexedColumn::of(schema, &options.file_index.columns)?;
        let spec = Self { stats, level, origin, prefix: options.data_file_prefix.clone(), indexes, ..spec };
        Ok(spec.with_gathered_stats(options, mode).with_row_tracking(schema))
    }

    /// The same for files that hold row ids as columns: they name their columns, and of these no statistics are kept.
    fn with_row_tracking(mut self, schema: &Schema) -> Self {
        if schema.has_row_tracking() {
            let own = |name: &str| name != ROW_ID && name != ROW_SEQUENCE;
            self.write_cols = Some(names(schema).into_iter().map(str::to_string).collect());
            for (mode, _) in self.stats.iter_mut().zip(names(schema)).filter(|(_, name)| !own(name)) {
                *mode = StatsMode::None;
            }
            self.stats_dense = true;
        }
        self
    }

    /// Rows that wait in `bucket-postpone`: in Avro and without statistics, as far as all columns fit into Avro.
    ///
    /// # Errors
    /// As [`WriteSpec::of_data`].
    pub fn of_postponed(
        schema: &Schema,
        options: &TableOptions,
        layout: &Arc<FileLayout>,
        prefix: String,
        encode_bytes: usize,
    ) -> Result<Self> {
        let fit = avro_schema(layout).is_ok();
        let mut waiting = options.clone();
        waiting.formats.format_per_level = BTreeMap::from([(0, options.formats.of_postponed(fit).clone())]);
        if fit {
            waiting.stats.mode = StatsMode::None;
        }
        let spec = Self::of_data(schema, &waiting, layout, 0, encode_bytes)?;
        // No read sees the rows before they have moved.
        Ok(Self { prefix, indexes: Vec::new(), ..spec })
    }

    /// Changelog files that come with data files of a level.
    ///
    /// # Errors
    /// As [`WriteSpec::of_data`].
    pub fn of_changelog(
        schema: &Schema,
        options: &TableOptions,
        layout: &Arc<FileLayout>,
        level: i32,
        encode_bytes: usize,
    ) -> Result<Self> {
        let formats = &options.formats;
        let (format, codec) = (formats.of_changelog(level), formats.changelog_compression_of(level));
        let spec = Self::of(schema, options, layout, (format, codec), encode_bytes)?;
        let names = names(schema);
        let (stats, mode) = (options.stats.changelog_modes(&names, level), options.stats.changelog_mode(level));
        let spec = Self { stats, level, prefix: options.changelog_file_prefix.clone(), ..spec };
        Ok(spec.with_gathered_stats(options, mode))
    }

    /// Refuses formats, codecs and columns of any level before the first file is written.
    ///
    /// # Errors
    /// As [`WriteSpec::of_data`].
    pub fn check(schema: &Schema, options: &TableOptions, layout: &Arc<FileLayout>) -> Result<()> {
        let formats = &options.formats;
        let named = formats.format_per_level.keys().chain(formats.compression_per_level.keys());
        let ends = [0, options.compaction.max_level()];
        let levels: BTreeSet<i32> = named.copied().chain(ends).collect();
        for level in levels {
            Self::of_data(schema, options, layout, level, usize::MAX)?;
            if options.changelog_producer != ChangelogProducer::None {
                Self::of_changelog(schema, options, layout, level, usize::MAX)?;
            }
        }
        Ok(())
    }

    /// The same with the statistics of a format whose files keep none: they are gathered while writing, for columns
    /// of the key as for others.
    fn with_gathered_stats(mut self, options: &TableOptions, mode: StatsMode) -> Self {
        if !matches!(self.encoding, FileEncoding::Avro(_)) {
            return self;
        }
        let columns = &self.layout.columns;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let modes = options.stats.gathered_modes(&names, mode);
        let found = |at: Option<usize>| at.map_or(StatsMode::None, |at| modes[at]);
        let is = |at: usize| move |column: &FileColumn| column.source == ColumnSource::Value(at);
        let keys = self.layout.key_columns.iter();
        self.key_stats = keys.map(|at| found(columns.iter().position(is(*at)))).collect();
        self.stats = (0..self.stats.len()).map(|at| found(columns.iter().rposition(is(at)))).collect();
        self
    }

    fn of(
        schema: &Schema,
        options: &TableOptions,
        layout: &Arc<FileLayout>,
        (format, compression): (&FileFormat, &Compression),
        encode_bytes: usize,
    ) -> Result<Self> {
        let encoding = match format {
            FileFormat::Parquet => FileEncoding::Parquet(parquet_encoding(options, compression, encode_bytes)?),
            FileFormat::Avro => {
                avro_schema(layout)?; // tells a column that Avro cannot hold
                FileEncoding::Avro(avro_codec(&options.formats, compression)?)
            }
            FileFormat::Orc => {
                orc_types(layout)?; // tells a column that ORC cannot hold
                FileEncoding::Orc(orc_encoding(options, compression, encode_bytes)?)
            }
            FileFormat::Other(word) => {
                let set = "set option file.format (or that of a level, or of changelog files)";
                return Err(Error::unsupported(format!("writing {word} files: {set} to parquet, avro or orc")));
            }
        };
        Ok(Self {
            layout: Arc::clone(layout),
            encoding,
            schema_id: schema.id,
            prefix: String::new(),
            extension: extension(options, format),
            target_bytes: options.target_file_size,
            target_rows: options.target_file_rows.max(1),
            key_stats: vec![KEY_STATS; layout.key_columns.len()],
            stats: Vec::<StatsMode>::new(),
            stats_dense: options.stats.dense,
            level: 0,
            origin: FileSource::Append,
            indexes: Vec::new(),
            write_cols: None,
            index_in_manifest: options.file_index.in_manifest,
        })
    }
}

fn parquet_encoding(options: &TableOptions, compression: &Compression, encode_bytes: usize) -> Result<Encoding> {
    let parquet = &options.parquet;
    let row_group = usize::try_from(parquet.row_group_size.unwrap_or(ROW_GROUP)).unwrap_or(usize::MAX);
    Ok(Encoding {
        compression: codec(compression, parquet.zstd_level)?,
        dictionary: parquet.dictionary,
        dictionary_of: parquet.dictionary_of.clone(),
        dictionary_page_bytes: parquet.dictionary_page_size,
        row_group_bytes: row_group.min(encode_bytes),
        page_bytes: parquet.page_size,
        page_rows: parquet.page_row_limit,
        threads: 1,
    })
}

/// The codec of Avro files. Java knows zstd by its own name, and others by Avro's.
fn avro_codec(formats: &FormatOptions, compression: &Compression) -> Result<AvroCodec> {
    let of = |codec| Ok(AvroCodec { codec, zstd_level: formats.zstd_level });
    let word = match (&formats.avro_codec, compression) {
        (Some(word), _) | (None, Compression::Other(word)) => word.as_str(),
        (None, Compression::Zstd) => return of(Codec::Zstandard),
        (None, Compression::Snappy) => "snappy",
        (None, Compression::None) => "none",
        (None, Compression::Gzip) => "gzip",
        (None, Compression::Lz4) => "lz4",
    };
    match word {
        "null" => of(Codec::Null),
        "snappy" => of(Codec::Snappy),
        "deflate" => of(Codec::Deflate),
        "zstandard" => Ok(AvroCodec { codec: Codec::Zstandard, zstd_level: ZSTANDARD }),
        word => Err(Error::unsupported(format!(
            "option file.compression (or that of a level, or of changelog files): writing Avro files with codec {word:?}"
        ))),
    }
}

/// The effort of zstd that Avro takes where Paimon does not tell it one.
const ZSTANDARD: i32 = 3;

/// Bytes of a stripe where the table does not tell.
const STRIPE: u64 = 16 << 20;

fn orc_encoding(options: &TableOptions, compression: &Compression, encode_bytes: usize) -> Result<OrcEncoding> {
    let orc = &options.orc;
    let stripe = usize::try_from(orc.stripe_size.unwrap_or(STRIPE)).unwrap_or(usize::MAX);
    let codec = orc_codec(orc.codec.as_ref().unwrap_or(compression), orc.zstd_level)?;
    Ok(OrcEncoding { codec, stripe_bytes: stripe.min(encode_bytes), stripe_rows: orc.stripe_rows })
}

/// The codec of ORC files. What Parquet calls gzip, Java does not know here.
fn orc_codec(compression: &Compression, zstd_level: i32) -> Result<OrcCodec> {
    let refused = |word: &str| {
        let words = "option file.compression (or that of a level, or of changelog files) or orc.compress";
        Err(Error::unsupported(format!("{words}: writing ORC files with codec {word:?}")))
    };
    match compression {
        Compression::None => Ok(OrcCodec::None),
        Compression::Snappy => Ok(OrcCodec::Snappy),
        Compression::Lz4 => Ok(OrcCodec::Lz4),
        Compression::Zstd => Ok(OrcCodec::Zstd(zstd_level)),
        Compression::Other(word) if word.eq_ignore_ascii_case("zlib") => Ok(OrcCodec::Zlib),
        Compression::Other(word) => refused(word),
        Compression::Gzip => refused("gzip"),
    }
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields.iter().map(|field| field.name.as_str()).collect()
}

/// The last part of a file's name. The codec in it is the table's, whatever a level has.
fn extension(options: &TableOptions, format: &FileFormat) -> String {
    let codec = match &options.formats.compression {
        _ if !options.file_suffix_include_compression => return format.word().to_string(),
        Compression::None => "none",
        Compression::Snappy => "snappy",
        Compression::Gzip => "gz",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zst",
        Compression::Other(word) => word,
    };
    format!("{codec}.{}", format.word())
}

fn codec(compression: &Compression, zstd_level: i32) -> Result<ParquetCodec> {
    Ok(match compression {
        Compression::None => ParquetCodec::UNCOMPRESSED,
        Compression::Snappy => ParquetCodec::SNAPPY,
        Compression::Gzip => ParquetCodec::GZIP(GzipLevel::default()),
        // Hadoop's framing is what Java writes and reads under this name.
        Compression::Lz4 => ParquetCodec::LZ4,
        Compression::Other(word) => {
            let words = "option file.compression (or that of a level, or of changelog files)";
            return Err(Error::unsupported(format!("{words}: writing with codec {word:?}")));
        }
        Compression::Zstd => {
            // The library knows no level that is quicker than 1, and 0 is zstd's own choice.
            let level = if zstd_level == 0 { zstd::DEFAULT_COMPRESSION_LEVEL } else { zstd_level.max(1) };
            let level = ZstdLevel::try_new(level);
            ParquetCodec::ZSTD(level.map_err(|error| Error::bug(format!("zstd level {zstd_level}: {error}")))?)
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

    fn orc(options: &[(&str, &str)], encode_bytes: usize) -> Result<OrcEncoding> {
        let builder = Schema::builder().column("id", crate::types::DataType::INT).option("file.format", "orc");
        let schema = options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build()?;
        let options = TableOptions::parse(&schema)?;
        let layout = Arc::new(FileLayout::of(&schema, false)?);
        match WriteSpec::of_data(&schema, &options, &layout, 0, encode_bytes)?.encoding {
            FileEncoding::Orc(encoding) => Ok(encoding),
            other => Err(Error::bug(format!("{other:?}"))),
        }
    }

    #[test]
    fn orc_files_have_the_codec_and_the_stripes_that_options_say() {
        for (options, codec) in [
            (&[] as &[(&str, &str)], OrcCodec::Zstd(1)),
            (&[("file.compression.zstd-level", "7")], OrcCodec::Zstd(7)),
            (&[("file.compression.zstd-level", "99")], OrcCodec::Zstd(22)),
            (&[("file.compression.zstd-level", "7"), ("orc.compression.zstd.level", "3")], OrcCodec::Zstd(3)),
            (&[("file.compression", "ZLIB")], OrcCodec::Zlib),
            (&[("file.compression", "lz4"), ("orc.compress", "SNAPPY")], OrcCodec::Snappy),
            (&[("file.compression.per.level", "0:none")], OrcCodec::None),
        ] {
            assert_eq!(orc(options, 1 << 30).unwrap().codec, codec, "{options:?}");
        }
        for word in ["gzip", "lzo", "brotli", "deflate"] {
            let refused = orc(&[("file.compression", word)], 1 << 30).unwrap_err();
            assert!(matches!(&refused, Error::Unsupported(text) if text.contains(word)), "{refused}");
        }
        let stripes = |options: &[(&str, &str)], memory| {
            let encoding = orc(options, memory).unwrap();
            (encoding.stripe_bytes, encoding.stripe_rows)
        };
        assert_eq!(stripes(&[], 1 << 30), (16 << 20, 1 << 20));
        assert_eq!(stripes(&[], 1 << 20).0, 1 << 20);
        assert_eq!(stripes(&[("orc.stripe.size", "4096"), ("orc.stripe.row.count", "7")], 1 << 20), (4096, 7));
        assert_eq!(stripes(&[("orc.stripe.size", "4096"), ("file.block-size", "8 kb")], 1 << 20).0, 8192);
    }
}
