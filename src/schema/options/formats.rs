//! File formats and codecs, as options name them.

use std::collections::BTreeMap;

use super::reader::{Reader, compression};
use crate::error::Result;
use crate::types::{DataType, TypeKind};

/// A format of data files (`file.format`), and how files are named by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FileFormat {
    /// `parquet`
    #[default]
    Parquet,
    /// `avro`
    Avro,
    /// `orc`
    Orc,
    /// A format that this version does not know. Readers need not know it: files tell their formats.
    Other(String),
}

impl FileFormat {
    /// The formats that are read.
    pub const KNOWN: [Self; 3] = [Self::Parquet, Self::Avro, Self::Orc];

    /// The word of options and the last part of file names.
    pub fn word(&self) -> &str {
        match self {
            Self::Parquet => "parquet",
            Self::Avro => "avro",
            Self::Orc => "orc",
            Self::Other(word) => word,
        }
    }

    /// The format of a word, in any case.
    pub fn of(word: &str) -> Self {
        let word = word.to_ascii_lowercase();
        Self::KNOWN.into_iter().find(|format| format.word() == word).unwrap_or(Self::Other(word))
    }

    /// Why columns of a type cannot be stored, if they cannot.
    pub fn refusal(&self, data_type: &DataType) -> Option<String> {
        let word = match self {
            Self::Avro => "Avro",
            Self::Orc => "ORC",
            _ => return None,
        };
        let coarse = match (self, &data_type.kind) {
            (_, TypeKind::Variant) => return Some(format!("{word} files hold no VARIANT")),
            (Self::Avro, TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..)) => "microseconds",
            (Self::Avro, TypeKind::Time(4..)) => "milliseconds",
            (_, kind) => return kind.parts().into_iter().find_map(|part| self.refusal(part)),
        };
        Some(format!("{data_type} is finer than {coarse}, and {word} files hold no finer values"))
    }
}

/// A codec of data files, and how files are named by it (`file.compression`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Compression {
    /// `none`
    None,
    /// `snappy`
    Snappy,
    /// `gzip`
    Gzip,
    /// `lz4`
    Lz4,
    /// `zstd`
    #[default]
    Zstd,
    /// Another codec, in Paimon's word. Readers need not know it: files tell their codecs.
    Other(String),
}

/// How the files of a table are stored, level by level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatOptions {
    /// The format of data files.
    pub format: FileFormat,
    /// The format of data files of some levels.
    pub format_per_level: BTreeMap<i32, FileFormat>,
    /// The format of changelog files, when it is their own.
    pub changelog_format: Option<FileFormat>,
    /// The codec of data files.
    pub compression: Compression,
    /// The codec of data files of some levels.
    pub compression_per_level: BTreeMap<i32, Compression>,
    /// The codec of changelog files, when it is their own.
    pub changelog_compression: Option<Compression>,
    /// The codec of Avro data files, whatever the others say.
    pub avro_codec: Option<String>,
    /// Effort of zstd (`file.compression.zstd-level`).
    pub zstd_level: i32,
    /// Whether ORC files hold the digits of local-zoned timestamps as times of their writer's zone.
    pub orc_zoned_digits: bool,
}

impl FormatOptions {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self> {
        let format = |text: &str| Ok(FileFormat::of(text));
        Ok(Self {
            format: read.with("file.format", format)?,
            format_per_level: read.levels("file.format.per.level", format)?,
            changelog_format: read.optional("changelog-file.format", format)?,
            compression: read.with("file.compression", compression)?,
            compression_per_level: read.levels("file.compression.per.level", compression)?,
            changelog_compression: read.optional("changelog-file.compression", compression)?,
            avro_codec: read.text("avro.codec").map(ToString::to_string),
            zstd_level: read.with("file.compression.zstd-level", super::reader::zstd_level)?,
            orc_zoned_digits: read.boolean("orc.timestamp-ltz.legacy.type")?,
        })
    }

    /// The format of data files of a level.
    pub fn of_level(&self, level: i32) -> &FileFormat {
        self.format_per_level.get(&level).unwrap_or(&self.format)
    }

    /// The format of changelog files that come with data files of a level.
    pub fn of_changelog(&self, level: i32) -> &FileFormat {
        self.changelog_format.as_ref().unwrap_or_else(|| self.of_level(level))
    }

    /// The format of rows that wait in `bucket-postpone`, where all columns `fit` into Avro: that, unless level 0 has a
    /// format of its own.
    pub fn of_postponed(&self, fit: bool) -> &FileFormat {
        match fit && !self.format_per_level.contains_key(&0) {
            true => &FileFormat::Avro,
            false => self.of_level(0),
        }
    }

    /// The codec of data files of a level.
    pub fn compression_of(&self, level: i32) -> &Compression {
        self.compression_per_level.get(&level).unwrap_or(&self.compression)
    }

    /// The codec of changelog files that come with data files of a level.
    pub fn changelog_compression_of(&self, level: i32) -> &Compression {
        self.changelog_compression.as_ref().unwrap_or_else(|| self.compression_of(level))
    }

    /// Whether any file of the table is written in ORC.
    pub fn writes_orc(&self) -> bool {
        self.all().any(|(_, format)| *format == FileFormat::Orc)
    }

    /// Every format that files of the table are written in, with the option that says so.
    pub fn all(&self) -> impl Iterator<Item = (String, &FileFormat)> {
        let levels = self.format_per_level.iter();
        let levels = levels.map(|(level, format)| (format!("file.format.per.level (level {level})"), format));
        let changelog = self.changelog_format.iter().map(|format| ("changelog-file.format".to_string(), format));
        std::iter::once(("file.format".to_string(), &self.format)).chain(levels).chain(changelog)
    }
}
