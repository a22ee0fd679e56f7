//! Consumer files: the progress of one reader.
//! Spec: `format-spec/hints-tags-consumers.md`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::json;
use crate::error::{Error, Result};

/// The content of `consumer/consumer-<ID>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consumer {
    /// The first snapshot that the reader has not processed.
    pub next_snapshot: i64,
}

impl Consumer {
    /// The file's bytes.
    ///
    /// # Errors
    /// None but [`Error::Bug`].
    pub fn encode(&self) -> Result<Bytes> {
        json::encode(self)
    }

    /// The value of a file's bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the file.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self> {
        let consumer: Self = json::decode(bytes, file)?;
        if consumer.next_snapshot < 0 {
            return Err(Error::corrupt(file, format!("nextSnapshot: {} is no snapshot", consumer.next_snapshot)));
        }
        Ok(consumer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_file_is_what_java_prints() {
        let bytes = Consumer { next_snapshot: 5 }.encode().unwrap();
        assert_eq!(bytes, "{\n  \"nextSnapshot\" : 5\n}");
        assert_eq!(Consumer::decode(&bytes, "c").unwrap().next_snapshot, 5);
        assert_eq!(Consumer::decode(b"{\"nextSnapshot\":9,\"later\":[1]}", "c").unwrap().next_snapshot, 9);
    }

    #[test]
    fn a_broken_consumer_file_names_itself() {
        for wrong in ["", "{}", "{\"nextSnapshot\":-1}", "{\"nextSnapshot\":\"5\"}", "{\"nextSnapshot\":1e3}"] {
            let error = Consumer::decode(wrong.as_bytes(), "consumer/consumer-x").unwrap_err();
            assert!(matches!(&error, Error::Corrupt { file, .. } if file == "consumer/consumer-x"), "{wrong} {error}");
        }
    }
}
