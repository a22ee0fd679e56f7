//! Requests to a catalog service. The token is in no message and in no log.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded::byte_serialize;

use super::wire::ErrorAnswer;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::io::Secret;

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 << 20;
/// How long a service may take to be reached, and to answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(120);
/// Tries where the service is not reached, and of questions that change nothing.
const TRIES: u32 = 4;

/// What is asked of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Delete,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The service has decided, or was never reached.
    Certain(Error),
    /// The service may have done what it was asked.
    Doubt(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Certain(error) => error,
            Refusal::Doubt(words) => Self::storage(words),
        }
    }
}

/// A service's address, with what goes into every request.
pub(super) struct Client {
    http: reqwest::Client,
    uri: String,
    env: Env,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the headers, which are secrets perhaps.
        write!(f, "Client({})", self.uri)
    }
}

impl Client {
    pub(super) fn new(uri: &str, token: Option<&Secret>, headers: &[(String, String)], env: &Env) -> Result<Self> {
        let uri = match uri.contains("://") {
            true => uri.to_string(),
            false => format!("http://{uri}"),
        };
        // What is wrong is told without the text itself: it may have a password in it.
        let parsed = url::Url::parse(&uri).map_err(|error| Error::invalid(format!("option uri: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(Error::invalid("option uri: no http address"));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
            return Err(Error::invalid(
                "option uri: a user, password or query in it would be shown; give option token or header.Authorization",
            ));
        }
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let bad = || Error::invalid(format!("option header.{name}: no header"));
            let name: HeaderName = name.parse().map_err(|_| bad())?;
            map.insert(name, HeaderValue::from_str(value).map_err(|_| bad())?);
        }
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut value = value.map_err(|_| Error::invalid("option token: not a header's text"))?;
            value.set_sensitive(true);
            map.insert(reqwest::header::AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder().default_headers(map).connect_timeout(CONNECT).timeout(ANSWER);
        // Followed, a POST would become a GET, and headers would go to another host.
        let http = http.redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|error| Error::invalid(format!("HTTP client: {}", words(&error))))?;
        Ok(Self { http, uri: uri.trim_end_matches('/').to_string(), env: env.clone() })
    }

    /// Asks, and reads the answer. A question that changes nothing is asked again when it fails.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Refusal> {
        let bytes = self.call_bytes(verb, path, body).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Refusal::Doubt(format!("the catalog's answer to {verb:?} {path}: {error}")))
    }

    /// Asks for something to be done, whatever the answer's text.
    pub(super) async fn tell(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(), Refusal> {
        self.call_bytes(verb, path, body).await.map(drop)
    }

    async fn call_bytes(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Vec<u8>, Refusal> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| Refusal::Certain(Error::bug(format!("JSON: {error}"))))?;
        let mut round = 0;
        loop {
            let answer = self.once(verb, path, body.as_ref()).await;
            let again = match &answer {
                // The service was not reached: it starts anew, perhaps.
                Err(Refusal::Certain(Error::Storage { .. })) => true,
                Err(Refusal::Doubt(_)) => verb == Verb::Get,
                _ => false,
            };
            if !again || round + 1 >= TRIES {
                return answer;
            }
            self.env.sleep(Duration::from_millis(100) * 4_u32.pow(round)).await;
            round += 1;
        }
    }

    async fn once(&self, verb: Verb, path: &str, body: Option<&Vec<u8>>) -> Result<Vec<u8>, Refusal> {
        let url = format!("{}{path}", self.uri);
        let mut request = match verb {
            Verb::Get => self.http.get(url),
            Verb::Post => self.http.post(url),
            Verb::Delete => self.http.delete(url),
        };
        if let Some(body) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        let failed = |error: reqwest::Error| {
            let said = format!("catalog: {verb:?} {path}: {}", words(&error));
            // What was not connected was not asked.
            match error.is_connect() {
                true if verb != Verb::Get => Refusal::Certain(Error::storage(said)),
                _ => Refusal::Doubt(said),
            }
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                let said = format!("the catalog's answer to {verb:?} {path}: more than {MAX_ANSWER} bytes");
                return Err(Refusal::Doubt(said));
            }
            bytes.extend_from_slice(&chunk);
        }
        match status.is_success() {
            true => Ok(bytes),
            false if status.is_redirection() => Err(Refusal::Certain(Error::invalid(format!(
                "option uri: the catalog is elsewhere ({} to {verb:?} {path}); redirects are not followed",
                status.as_u16()
            )))),
            false => Err(refusal(status.as_u16(), &bytes, &format!("{verb:?} {path}"))),
        }
    }
}

/// What a status and an error's body mean.
fn refusal(status: u16, body: &[u8], asked: &str) -> Refusal {
    let answer: Option<ErrorAnswer> = serde_json::from_slice(body).ok();
    let code = answer.as_ref().and_then(|answer| answer.code).unwrap_or(status);
    let message = answer.and_then(|answer| answer.message).filter(|message| !message.is_empty());
    let said = format!("{} (catalog, {code} to {asked})", message.unwrap_or_else(|| "no reason given".to_string()));
    Refusal::Certain(match code {
        400 => Error::Invalid(said),
        401 | 403 => Error::Invalid(format!("not allowed: {said}")),
        404 => Error::NotFound(said),
        409 => Error::AlreadyExists(said),
        501 => Error::Unsupported(said),
        _ => return Refusal::Doubt(said),
    })
}

/// An error's words with those of its causes, without the address, which may carry a password.
fn words(error: &reqwest::Error) -> String {
    let mut said = match error {
        error if error.is_timeout() => "timed out".to_string(),
        error if error.is_connect() => "could not connect".to_string(),
        _ => "the connection failed".to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// One part of a path or of a query.
pub(super) fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}
