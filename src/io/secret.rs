//! What must never be shown: keys, tokens and passwords, and the texts of others that may repeat them.
//!
//! A [`Secret`] prints as stars. [`Secrets`] are those that one store was opened with; every word of that store goes
//! through [`Secrets::scrub`] before it becomes an error of ours, because servers and clients repeat what they were
//! sent: signed URLs, headers, the key that they do not know.

use std::fmt;
use std::sync::Arc;

/// What stands where a secret stood.
const STARS: &str = "***";
/// A shorter text is no secret, and cutting it out would garble words.
const MIN_LENGTH: usize = 4;
/// Names of environment variables that hold secrets end with one of these, or have one inside.
const SECRET_WORDS: [&str; 6] = ["KEY", "SECRET", "TOKEN", "SAS", "PASSWORD", "CREDENTIAL"];

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STARS)
    }
}

/// The secrets of one store. Cheap to clone; prints as their number.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[String]>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// Of these values, and of the variables of the environment whose names begin with one of the prefixes and speak of
    /// a secret.
    pub(crate) fn gather<'a>(given: impl IntoIterator<Item = &'a Secret>, prefixes: &[&str]) -> Self {
        let mut values: Vec<String> = given.into_iter().map(|secret| secret.expose().to_string()).collect();
        for (name, value) in std::env::vars_os() {
            let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else { continue };
            let ours = prefixes.iter().any(|prefix| name.starts_with(prefix));
            if ours && SECRET_WORDS.iter().any(|word| name.contains(word)) {
                values.push(value.to_string());
            }
        }
        let mut forms: Vec<String> = values.iter().flat_map(|value| forms(value.trim())).collect();
        // The longest first: one secret may be part of another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self(forms.into())
    }

    /// The text without the secrets and without the queries of URLs, which may be signatures.
    pub fn scrub(&self, text: &str) -> String {
        let cut = self.0.iter().fold(text.to_string(), |text, secret| text.replace(secret.as_str(), STARS));
        without_queries(&cut)
    }
}

/// The ways a secret is written: as it is, and percent-encoded as URLs have it. The parts of a shared access signature
/// (`sv=..&sig=..`) come one by one as well.
fn forms(value: &str) -> Vec<String> {
    let mut texts = vec![value];
    if let Some((_, signature)) = value.split_once("sig=") {
        texts.push(signature.split('&').next().unwrap_or_default());
    }
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let decoded = |text: &str| {
        url::form_urlencoded::parse(format!("x={text}").as_bytes()).next().map(|(_, value)| value.to_string())
    };
    let all = texts.iter().flat_map(|text| [Some((*text).to_string()), Some(encoded(text)), decoded(text)]);
    all.flatten().filter(|form| form.len() >= MIN_LENGTH).collect()
}

fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        out.push_str(before);
        let end = url.find(|c: char| c.is_whitespace() || "\"'<>()`".contains(c)).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        match url.split_once('?') {
            Some((address, _)) => {
                out.push_str(address);
                out.push('?');
                out.push_str(STARS);
            }
            None => out.push_str(url),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_every_text_however_they_are_written() {
        let sas = "sv=2024-01-01&sp=rwl&sig=CANARY%2Fabc%3D";
        let secrets = Secrets::gather([&Secret::new("CANARY+key/=="), &Secret::new(sas), &Secret::new("ab")], &[]);
        for text in [
            "the key CANARY+key/== is wrong",
            "GET http://h/b?x=CANARY%2Bkey%2F%3D%3D failed",
            "signature CANARY%2Fabc%3D of sv=2024-01-01&sp=rwl&sig=CANARY%2Fabc%3D",
            "signature CANARY/abc=",
            "(https://h/c/t?sv=1&sig=CANARY-unknown) and (http://h/d?CANARY=1)",
        ] {
            let shown = secrets.scrub(text);
            assert!(!shown.contains("CANARY") && shown.contains(STARS), "{shown}");
        }
        assert_eq!(secrets.scrub("ab: error at http://h/p (500)"), "ab: error at http://h/p (500)");
        assert!(!format!("{secrets:?} {:?}", Secret::new("CANARY")).contains("CANARY"));
    }
}
