//! Reads typed values out of a table's options, with the defaults of the list of options.

use std::collections::BTreeMap;

use super::{
    BucketFunction, ChangelogProducer, CommitOptions, Compression, DynamicBucketOptions, MergeEngine, OrcOptions,
    ParquetOptions, StatsOptions,
};
use crate::error::{Error, Result};
use crate::schema::option_keys::{captures, find_option};
use crate::schema::units::{StatsMode, parse_map};
use crate::schema::{Schema, parse_duration, parse_memory_size};

pub(super) type Words<T> = &'static [(&'static str, T)];

pub(super) const BUCKET_FUNCTIONS: Words<BucketFunction> =
    &[("default", BucketFunction::Default), ("mod", BucketFunction::Mod), ("hive", BucketFunction::Hive)];
pub(super) const MERGE_ENGINES: Words<MergeEngine> = &[
    ("deduplicate", MergeEngine::Deduplicate),
    ("partial-update", MergeEngine::PartialUpdate),
    ("aggregation", MergeEngine::Aggregation),
    ("first-row", MergeEngine::FirstRow),
];
pub(super) const CHANGELOG_PRODUCERS: Words<ChangelogProducer> = &[
    ("none", ChangelogProducer::None),
    ("input", ChangelogProducer::Input),
    ("full-compaction", ChangelogProducer::FullCompaction),
    ("lookup", ChangelogProducer::Lookup),
];
pub(super) const SORT_ORDERS: Words<bool> = &[("ascending", false), ("descending", true)];
/// Rows of an ORC stripe where the table does not tell: narrow ones would have no end in bytes.
const STRIPE_ROWS: u64 = 1 << 20;
const BOOLEANS: Words<bool> = &[("false", false), ("true", true)];

pub(super) fn compression(text: &str) -> Result<Compression> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "none" => Compression::None,
        "snappy" => Compression::Snappy,
        "gzip" => Compression::Gzip,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::Other(text.to_string()),
    })
}

fn one_of<T: Copy>(text: &str, words: Words<T>) -> Result<T> {
    words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value).ok_or_else(|| {
        let known = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        Error::invalid(format!("{text:?} is none of {known}"))
    })
}

/// A number above zero.
pub(super) fn number<T: TryFrom<i64>>(text: &str) -> Result<T> {
    let number = text.parse::<i64>().ok().filter(|number| *number > 0);
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| Error::invalid(format!("{text:?} is no number above zero")))
}

pub(super) fn count<T: TryFrom<i64>>(text: &str) -> Result<T> {
    let number = text.parse::<i64>().ok().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| Error::invalid(format!("{text:?} is no number that fits")))
}

/// The effort of zstd, which as in Java's library ends where zstd's levels do.
pub(super) fn zstd_level(text: &str) -> Result<i32> {
    let levels = zstd::compression_level_range();
    Ok(count::<i32>(text)?.clamp(*levels.start(), *levels.end()))
}

pub(super) fn split_names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect()
}

/// Names as Paimon takes them, blanks and all.
pub(super) fn split_exactly(text: &str) -> Vec<String> {
    text.split(',').map(ToString::to_string).collect()
}

pub(super) fn boolean(text: &str) -> Result<bool> {
    one_of(text, BOOLEANS)
}

pub(super) fn named(name: &str, error: Error) -> Error {
    match error {
        Error::Invalid(text) => Error::invalid(format!("option {name}: {text}")),
        other => other,
    }
}

pub(super) struct Reader<'a> {
    pub(super) options: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    /// The stored text, by the name or else by an old name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let old_names = find_option(name).map_or(&[] as &[&str], |key| key.old_names);
        let mut names = std::iter::once(name).chain(old_names.iter().copied());
        names.find_map(|name| self.options.get(name)).map(String::as_str)
    }

    pub(super) fn optional<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
        self.text(name).map(|text| parse(text).map_err(|error| named(name, error))).transpose()
    }

    /// The stored value, or the default that the list of options tells.
    pub(super) fn with<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T>) -> Result<T> {
        match self.optional(name, &parse)? {
            Some(value) => Ok(value),
            None => parse(default_of(name)).map_err(|_| Error::bug(format!("option {name} has no default"))),
        }
    }

    pub(super) fn string(&self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| default_of(name)).to_string()
    }

    pub(super) fn word<T: Copy>(&self, name: &str, words: Words<T>) -> Result<T> {
        self.with(name, |text| one_of(text, words))
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool> {
        self.word(name, BOOLEANS)
    }

    pub(super) fn dynamic_bucket(&self) -> Result<DynamicBucketOptions> {
        let limit = |text: &str| match text.trim() {
            "-1" => Ok(None),
            text => number(text).map(Some),
        };
        Ok(DynamicBucketOptions {
            target_rows: self.with("dynamic-bucket.target-row-num", number)?,
            initial_buckets: self.optional("dynamic-bucket.initial-buckets", number)?,
            max_buckets: self.with("dynamic-bucket.max-buckets", limit)?,
            assigner_parallelism: self.optional("dynamic-bucket.assigner-parallelism", number)?,
        })
    }

    /// The values of a family with one `<..>`, by what stands there.
    pub(super) fn family<T>(&self, family: &str, parse: impl Fn(&str) -> Result<T>) -> Result<BTreeMap<String, T>> {
        let mut values = BTreeMap::new();
        for (name, text) in self.options {
            if let Some(&[part]) = captures(family, name).as_deref() {
                values.insert(part.to_string(), parse(text).map_err(|error| named(name, error))?);
            }
        }
        Ok(values)
    }

    /// A map by level, given as one text or as one option for each level.
    pub(super) fn levels<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T>) -> Result<BTreeMap<i32, T>> {
        let pairs = match self.text(name) {
            None => self.family(&format!("{name}.<level>"), |text| Ok(text.to_string()))?.into_iter().collect(),
            Some(text) => {
                let pairs =
                    parse_map(text).ok_or_else(|| Error::invalid(format!("option {name}: not level:value pairs")))?;
                pairs.into_iter().map(|(level, value)| (level.to_string(), value.to_string())).collect::<Vec<_>>()
            }
        };
        let pairs = pairs.into_iter().map(|(level, value)| Ok((count(&level)?, parse(&value)?)));
        pairs.collect::<Result<_>>().map_err(|error| named(name, error))
    }

    pub(super) fn parquet(&self) -> Result<ParquetOptions> {
        let block = self.optional("parquet.block.size", number)?;
        let zstd = self.optional("parquet.compression.codec.zstd.level", zstd_level)?;
        Ok(ParquetOptions {
            row_group_size: self.optional("file.block-size", parse_memory_size)?.or(block),
            page_size: self.with("parquet.page.size", number)?,
            dictionary_page_size: self.with("parquet.dictionary.page.size", number)?,
            page_row_limit: self.with("parquet.page.row.count.limit", number)?,
            dictionary: self.boolean("parquet.enable.dictionary")?,
            dictionary_of: self.family("parquet.enable.dictionary#<column>", |text| one_of(text, BOOLEANS))?,
            zstd_level: match zstd {
                Some(level) => level,
                None => self.with("file.compression.zstd-level", zstd_level)?,
            },
        })
    }

    pub(super) fn orc(&self) -> Result<OrcOptions> {
        let stripe = self.optional("orc.stripe.size", number)?;
        let zstd = self.optional("orc.compression.zstd.level", zstd_level)?;
        Ok(OrcOptions {
            codec: self.optional("orc.compress", compression)?,
            zstd_level: match zstd {
                Some(level) => level,
                None => self.with("file.compression.zstd-level", zstd_level)?,
            },
            stripe_size: self.optional("file.block-size", parse_memory_size)?.or(stripe),
            stripe_rows: self.optional("orc.stripe.row.count", number)?.unwrap_or(STRIPE_ROWS),
        })
    }

    pub(super) fn stats(&self, schema: &Schema) -> Result<StatsOptions> {
        let first: i64 = self.with("metadata.stats-keep-first-n-columns", count)?;
        Ok(StatsOptions {
            mode: self.with("metadata.stats-mode", StatsMode::parse)?,
            per_level: self.levels("metadata.stats-mode.per.level", StatsMode::parse)?,
            per_column: self.family("fields.<column>.stats-mode", StatsMode::parse)?,
            changelog: self.optional("changelog-file.stats-mode", StatsMode::parse)?,
            first_columns: usize::try_from(first).ok(),
            dense: self.boolean("metadata.stats-dense-store")?,
            thin_keys: if self.boolean("data-file.thin-mode")? { schema.trimmed_primary_keys() } else { vec![] },
        })
    }

    pub(super) fn commit(&self) -> Result<CommitOptions> {
        Ok(CommitOptions {
            user_prefix: self.text("commit.user-prefix").map(ToString::to_string),
            timeout: self.optional("commit.timeout", parse_duration)?,
            max_retries: self.with("commit.max-retries", count)?,
            min_retry_wait: self.with("commit.min-retry-wait", parse_duration)?,
            max_retry_wait: self.with("commit.max-retry-wait", parse_duration)?,
            force_create_snapshot: self.boolean("commit.force-create-snapshot")?,
            ignore_empty: self.optional("snapshot.ignore-empty-commit", |text| one_of(text, BOOLEANS))?,
            snapshot_time_retained: self.with("snapshot.time-retained", parse_duration)?,
        })
    }
}

fn default_of(name: &str) -> &'static str {
    find_option(name).and_then(|key| key.default).unwrap_or_default()
}
