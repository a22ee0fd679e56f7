//! The note of a schema rollback: the schemas that it takes away, as they were. Whoever rolls back next puts those back
//! that a snapshot names, which a crash left missing. Spec: `format-spec/schema.md`, rollback.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{decode_schema, json, layout};
use crate::error::{Error, Result};
use crate::schema::SchemaId;

/// A schema that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoingSchema {
    /// Its number.
    pub id: SchemaId,
    /// The bytes of its file.
    pub text: String,
}

/// The content of `schema/rollback-<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackNote {
    /// Format version, 1.
    pub version: i32,
    /// The schemas that go, the oldest first.
    pub schemas: Vec<GoingSchema>,
}

impl RollbackNote {
    /// The version that is written and read.
    pub const VERSION: i32 = 1;

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
    /// [`Error::Corrupt`] that names the file, also where a text is not the schema of its number; [`Error::Unsupported`]
    /// for a newer version.
    pub fn decode(bytes: &[u8], file: &str) -> Result<Self> {
        let note: Self = json::decode(bytes, file)?;
        if note.version != Self::VERSION {
            return Err(Error::unsupported(format!("version {} of {file}", note.version)));
        }
        for going in &note.schemas {
            let schema = decode_schema(going.text.as_bytes(), &layout::schema(going.id))?;
            if schema.id != going.id || going.id < 1 {
                return Err(Error::corrupt(file, format!("schemas: {} is none that a rollback takes", going.id)));
            }
        }
        Ok(note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::encode_schema;
    use crate::schema::Schema;
    use crate::types::DataType;

    #[test]
    fn a_note_comes_back_as_it_was_and_holds_the_schemas_that_it_says() {
        let schema = Schema { id: 2, ..Schema::builder().column("a", DataType::INT).build().unwrap() };
        let text = String::from_utf8(encode_schema(&schema).unwrap().to_vec()).unwrap();
        let note = |version, id| RollbackNote { version, schemas: vec![GoingSchema { id, text: text.clone() }] };
        let decode = |note: &RollbackNote| RollbackNote::decode(&note.encode().unwrap(), "schema/rollback-x");
        assert_eq!(decode(&note(1, 2)), Ok(note(1, 2)));
        assert!(matches!(decode(&note(1, 3)), Err(Error::Corrupt { .. })));
        assert!(matches!(decode(&note(2, 2)), Err(Error::Unsupported(_))));
        let hostile = RollbackNote { version: 1, schemas: vec![GoingSchema { id: 1, text: "{}".into() }] };
        assert!(matches!(decode(&hostile), Err(Error::Corrupt { .. })));
    }
}
