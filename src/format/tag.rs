//! Tags: a snapshot's JSON under a name, with an age limit if it has one.
//! Spec: `format-spec/hints-tags-consumers.md`.

use bytes::Bytes;
use serde::Deserialize;

use super::{Snapshot, json};
use crate::error::{Error, Result};

/// The content of `tag/tag-<NAME>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The snapshot that the tag keeps.
    pub snapshot: Snapshot,
    /// Year, month, day, hour, minute, second, nanosecond of its creation by the local clock of its maker.
    pub create_time: Option<[i32; 7]>,
    /// How long it is kept: seconds and nanoseconds.
    pub time_retained: Option<(u64, u32)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeToLive {
    tag_create_time: Option<Vec<i32>>,
    tag_time_retained: Option<serde_json::Number>,
}

impl Tag {
    /// A tag without an age limit.
    pub fn of(snapshot: Snapshot) -> Self {
        Self { snapshot, create_time: None, time_retained: None }
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// None but [`Error::Bug`].
    pub fn encode(&self) -> Result<Bytes> {
        let snapshot = self.snapshot.encode()?;
        if self.create_time.is_none() && self.time_retained.is_none() {
            return Ok(snapshot);
        }
        let body = snapshot.strip_suffix(b"\n}").ok_or_else(|| Error::bug("a snapshot's JSON ends otherwise"))?;
        let mut text = body.to_vec();
        if let Some(time) = self.create_time {
            let numbers: Vec<String> = time.iter().map(ToString::to_string).collect();
            text.extend_from_slice(format!(",\n  \"tagCreateTime\" : [ {} ]", numbers.join(", ")).as_bytes());
        }
        if let Some((seconds, nanos)) = self.time_retained {
            text.extend_from_slice(format!(",\n  \"tagTimeRetained\" : {seconds}.{nanos:09}").as_bytes());
        }
        text.extend_from_slice(b"\n}");
        Ok(Bytes::from(text))
    }

    /// The value of a file's bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the file and the field.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self> {
        let snapshot = Snapshot::decode(bytes, file)?;
        let time: TimeToLive = json::decode(bytes, file)?;
        let create_time = match time.tag_create_time {
            None => None,
            Some(parts) => Some(
                calendar(&parts).ok_or_else(|| Error::corrupt(file, format!("tagCreateTime: {parts:?} is no time")))?,
            ),
        };
        let time_retained = match time.tag_time_retained {
            None => None,
            Some(number) => Some(
                seconds(number.as_str())
                    .ok_or_else(|| Error::corrupt(file, format!("tagTimeRetained: {number} is no duration")))?,
            ),
        };
        Ok(Self { snapshot, create_time, time_retained })
    }
}

/// Java leaves out seconds and nanoseconds that are zero.
fn calendar(parts: &[i32]) -> Option<[i32; 7]> {
    if !(5..=7).contains(&parts.len()) {
        return None;
    }
    let mut time = [0; 7];
    time[..parts.len()].copy_from_slice(parts);
    let [_, month, day, hour, minute, second, nanos] = time;
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..1_000_000_000).contains(&nanos);
    fits.then_some(time)
}

/// A decimal number of seconds, exactly.
fn seconds(text: &str) -> Option<(u64, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((whole.parse().ok()?, format!("{fraction:0<9}").parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = r#"{
  "version" : 3,
  "id" : 1,
  "schemaId" : 0,
  "baseManifestList" : "a",
  "deltaManifestList" : "b",
  "commitUser" : "u",
  "commitIdentifier" : 1,
  "commitKind" : "APPEND",
  "timeMillis" : 5
}"#;

    #[test]
    fn a_tag_with_an_age_limit_is_java_s_text() {
        let text = SNAPSHOT.replace(
            "5\n}",
            "5,\n  \"tagCreateTime\" : [ 2024, 1, 2, 3, 4, 5, 600000000 ],\n  \"tagTimeRetained\" : 86400.000000000\n}",
        );
        let tag = Tag::decode(text.as_bytes(), "t").unwrap();
        assert_eq!(tag.create_time, Some([2024, 1, 2, 3, 4, 5, 600_000_000]));
        assert_eq!(tag.time_retained, Some((86400, 0)));
        assert_eq!(tag.encode().unwrap(), text);
        let short = text.replace(", 5, 600000000", "").replace("86400.000000000", "1.5");
        let tag = Tag::decode(short.as_bytes(), "t").unwrap();
        assert_eq!((tag.create_time, tag.time_retained), (Some([2024, 1, 2, 3, 4, 0, 0]), Some((1, 500_000_000))));
    }

    #[test]
    fn a_tag_without_one_is_the_snapshot() {
        let tag = Tag::decode(SNAPSHOT.as_bytes(), "t").unwrap();
        assert_eq!(tag, Tag::of(tag.snapshot.clone()));
        assert_eq!(tag.encode().unwrap(), SNAPSHOT);
    }

    #[test]
    fn times_that_do_not_exist_are_corrupt() {
        for wrong in [
            "\"tagCreateTime\" : [ 2024, 13, 1, 0, 0 ]",
            "\"tagCreateTime\" : [ 2024 ]",
            "\"tagCreateTime\" : [ 2024, 1, 1, 0, 0, 0, 0, 0 ]",
            "\"tagTimeRetained\" : -1",
            "\"tagTimeRetained\" : 1e99",
            "\"tagTimeRetained\" : \"P1D\"",
        ] {
            let text = SNAPSHOT.replace("5\n}", &format!("5,\n{wrong}\n}}"));
            let error = Tag::decode(text.as_bytes(), "tag/tag-x").unwrap_err();
            assert!(matches!(&error, Error::Corrupt { file, .. } if file == "tag/tag-x"), "{wrong}: {error}");
        }
    }
}
