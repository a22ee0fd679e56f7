//! Changelog files of many buckets that a Flink job put together before its commit (`precommit-compact`): whole data files,
//! one after another in one file of one of the buckets. Their names tell where each of them lies.
//!
//! ```text
//! bucket-1/compacted-changelog-U$1-900.cc-parquet           the file itself; its first 900 bytes are of bucket 1
//! bucket-2/compacted-changelog-U$1-900-900-700.cc-parquet   no file: 700 bytes from byte 900 on of the one above
//! ```
//!
//! Spec: `format-spec/data-files.md`, compacted changelog files.

use std::borrow::Cow;

use super::{DataFileMeta, layout, outside};
use crate::error::{Error, Result};

const PREFIX: &str = "compacted-changelog-";

/// A data file inside of another file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactedChangelog {
    /// The bucket in whose directory the bytes are.
    pub bucket: i32,
    /// The name of the file that holds them.
    pub file_name: String,
    /// Where they begin.
    pub start: u64,
    /// How many they are.
    pub length: u64,
    /// Their format.
    pub format: String,
}

/// The path of the bytes of a data file, from the directory of its bucket.
///
/// # Errors
/// [`Error::Corrupt`] for a name that is none, and for a path outside of the table that does not lead to that name.
pub fn data_file_path(bucket_directory: &str, file: &DataFileMeta) -> Result<String> {
    let name = layout::check_name("data file", &file.file_name)?;
    let directory = data_file_directory(bucket_directory, file)?;
    Ok(match CompactedChangelog::of_name(name)? {
        Some(told) => {
            let siblings = directory.rsplit_once('/').map(|(parent, _)| format!("{parent}/"));
            format!("{}bucket-{}/{}", siblings.unwrap_or_default(), told.bucket, told.file_name)
        }
        None => format!("{directory}/{name}"),
    })
}

/// The paths of the files beside a data file, such as its index: they lie where it does.
///
/// # Errors
/// As [`data_file_path`].
pub fn beside_path(bucket_directory: &str, file: &DataFileMeta, name: &str) -> Result<String> {
    let name = layout::check_name("extra file", name)?;
    Ok(format!("{}/{name}", data_file_directory(bucket_directory, file)?))
}

fn data_file_directory<'a>(bucket_directory: &'a str, file: &DataFileMeta) -> Result<Cow<'a, str>> {
    match &file.external_path {
        None => Ok(Cow::Borrowed(bucket_directory)),
        Some(told) => Ok(Cow::Owned(outside::directory_of(told, &file.file_name)?)),
    }
}

/// The name of the file that holds the bytes of a data file.
///
/// # Errors
/// [`Error::Corrupt`] for a name that is none.
pub fn holding_name(name: &str) -> Result<String> {
    Ok(CompactedChangelog::of_name(name)?.map_or_else(|| name.to_string(), |told| told.file_name))
}

impl CompactedChangelog {
    /// The first part, of `length` bytes of a bucket, of a new file.
    pub fn begin(uuid: &str, bucket: i32, length: u64, format: &str) -> Self {
        let file_name = format!("{PREFIX}{uuid}${bucket}-{length}.cc-{format}");
        Self { bucket, file_name, start: 0, length, format: format.to_string() }
    }

    /// Another part of the same file.
    #[must_use]
    pub fn part(&self, start: u64, length: u64) -> Self {
        Self { start, length, ..self.clone() }
    }

    /// The name that tells the place.
    pub fn name(&self) -> String {
        match self.file_name.rsplit_once(".cc-") {
            Some((stem, format)) if self.start > 0 => format!("{stem}-{}-{}.cc-{format}", self.start, self.length),
            _ => self.file_name.clone(),
        }
    }

    /// What the name of a data file tells; `None` for a data file of its own.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a name that begins like one of these and goes on otherwise.
    pub fn of_name(name: &str) -> Result<Option<Self>> {
        if !name.starts_with(PREFIX) {
            return Ok(None);
        }
        let told = || {
            let (stem, format) = name.split_once(".cc-")?;
            let (unique, numbers) = stem.split_once('$')?;
            let numbers: Vec<u64> = numbers.split('-').map(|number| number.parse().ok()).collect::<Option<_>>()?;
            let (bucket, first, start, length) = match numbers.as_slice() {
                [bucket, length] => (*bucket, *length, 0, *length),
                [bucket, first, start, length] => (*bucket, *first, *start, *length),
                _ => return None,
            };
            start.checked_add(length)?;
            Some(Self {
                bucket: i32::try_from(bucket).ok()?,
                file_name: format!("{unique}${bucket}-{first}.cc-{format}"),
                start,
                length,
                format: format.to_string(),
            })
        };
        told().map(Some).ok_or_else(|| Error::corrupt(name, "the name of a compacted changelog file tells no place"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_where_the_bytes_are() {
        let place = |name: &str| CompactedChangelog::of_name(name).unwrap().unwrap();
        let own = place("compacted-changelog-8a0b-1$3-900.cc-parquet");
        let expected = ("compacted-changelog-8a0b-1$3-900.cc-parquet", 3, 0, 900, "parquet");
        assert_eq!((own.file_name.as_str(), own.bucket, own.start, own.length, own.format.as_str()), expected);
        let other = place("compacted-changelog-8a0b-1$3-900-900-700.cc-orc");
        let expected = ("compacted-changelog-8a0b-1$3-900.cc-orc", 3, 900, 700, "orc");
        assert_eq!(
            (other.file_name.as_str(), other.bucket, other.start, other.length, other.format.as_str()),
            expected
        );
        assert_eq!(
            (own.name(), other.name().as_str()),
            (own.file_name.clone(), "compacted-changelog-8a0b-1$3-900-900-700.cc-orc")
        );
        assert_eq!(CompactedChangelog::begin("8a0b-1", 3, 900, "parquet"), own);
        assert_eq!(CompactedChangelog::of_name("changelog-1-0.parquet").unwrap(), None);
        for name in
            ["", "x$1-2.parquet", "x$1.cc-parquet", "x$1-2-3.cc-parquet", "x$-1-2.cc-parquet", "x$1-2-9x-3.cc-a"]
        {
            assert!(CompactedChangelog::of_name(&format!("{PREFIX}{name}")).is_err(), "{name}");
        }
        let end = format!("{PREFIX}x$1-2-{}-1.cc-parquet", u64::MAX);
        assert!(CompactedChangelog::of_name(&end).is_err());
    }
}
