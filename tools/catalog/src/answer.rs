//! What a client is told when it does not get what it asked for.

use axum::http::StatusCode;
use forebay::Error;
use serde_json::json;

/// What is missing, or there already, in Paimon's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Database,
    Table,
    Column,
    Snapshot,
    Branch,
    Tag,
    View,
    Dialect,
    Function,
}

impl Resource {
    fn word(self) -> &'static str {
        match self {
            Self::Database => "DATABASE",
            Self::Table => "TABLE",
            Self::Column => "COLUMN",
            Self::Snapshot => "SNAPSHOT",
            Self::Branch => "BRANCH",
            Self::Tag => "TAG",
            Self::View => "VIEW",
            Self::Dialect => "DIALECT",
            Self::Function => "FUNCTION",
        }
    }
}

/// A refusal: a status, what it is about, and words.
#[derive(Debug, Clone)]
pub struct Refusal {
    status: u16,
    about: Option<(Resource, String)>,
    message: String,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, about: None, message: message.into() }
    }

    /// The request cannot be understood, or cannot be done as it is.
    pub fn wrong(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// The service cannot do it.
    pub fn unsupported(what: &str) -> Self {
        Self::new(501, format!("unsupported by this catalog service: {what}"))
    }

    /// The service failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// It cannot be told whether it was done: the same may be asked again.
    pub fn in_doubt(message: impl Into<String>) -> Self {
        Self::new(503, message)
    }

    /// No token, or a wrong one.
    pub fn not_authorized() -> Self {
        Self::new(401, "a bearer token is needed (token.provider=bear, token=..)")
    }

    /// Something is not there.
    pub fn missing(resource: Resource, name: &str) -> Self {
        let message = format!("{} {name} does not exist", resource.word().to_lowercase());
        Self { about: Some((resource, name.to_string())), ..Self::new(404, message) }
    }

    /// An error of the engine; what is missing or there already is this.
    pub fn of(error: Error, resource: Resource, name: &str) -> Self {
        let message = error.to_string();
        let about = Some((resource, name.to_string()));
        match error {
            Error::NotFound(_) => Self { about, ..Self::new(404, message) },
            Error::AlreadyExists(_) => Self { about, ..Self::new(409, message) },
            Error::Invalid(_) => Self::wrong(message),
            Error::Unsupported(_) => Self::new(501, message),
            // A client that tries again after a 503 does no harm.
            Error::Storage { retryable: true, .. } | Error::Exhausted(_) | Error::Conflict(_) => {
                Self::in_doubt(message)
            }
            _ => Self::failed(message),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body.
    pub fn body(&self) -> Vec<u8> {
        let (resource, name) = self.about.as_ref().map(|(resource, name)| (resource.word(), name.as_str())).unzip();
        let body =
            json!({"resourceType": resource, "resourceName": name, "message": self.message, "code": self.status});
        serde_json::to_vec(&body).unwrap_or_default()
    }
}
