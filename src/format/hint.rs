//! The hint files `LATEST` and `EARLIEST`: an id as ASCII digits. Wrong content is no error but no hint.
//! Spec: `format-spec/hints-tags-consumers.md`.

use bytes::Bytes;

/// The id of a hint file, or `None` when the content is no positive number: hints are only hints.
pub fn decode_hint(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id > 0)
}

/// The content of a hint file: digits and nothing else.
pub fn encode_hint(id: i64) -> Bytes {
    Bytes::from(id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_digits_and_anything_else_is_no_hint() {
        assert_eq!(decode_hint(&encode_hint(42)), Some(42));
        assert_eq!(decode_hint(b"9223372036854775807"), Some(i64::MAX));
        for wrong in ["", "0", "-1", "+5", " 5", "5\n", "x", "9223372036854775808", "\u{0661}"] {
            assert_eq!(decode_hint(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
