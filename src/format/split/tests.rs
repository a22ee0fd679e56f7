use super::*;
use crate::error::Error;
use crate::format::tests::samples::{full_file, int_row, plain_file};

#[test]
fn a_split_travels_as_bytes() {
    for (raw, changes) in [(true, false), (false, true)] {
        let split = Split {
            snapshot_id: i64::MAX,
            schema_id: 2,
            partition: int_row(5),
            bucket: -2,
            files: vec![full_file("a").into(), plain_file("b").into()],
            raw,
            changes,
        };
        let bytes = split.encode();
        assert_eq!(Split::decode(&bytes).unwrap(), split);
        assert!(matches!(Split::decode(&bytes[..bytes.len() - 1]), Err(Error::Corrupt { .. })));
        assert!(matches!(crate::format::CommitMessage::decode(&bytes), Err(Error::Corrupt { .. })));
    }
}
