//! A store's errors, turned into ours at the seam.

use super::secret::Secrets;
use crate::error::Error;

/// The cause of a local failure that happened before anything became visible, so that its outcome is certain.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {cause}")]
pub(super) struct BeforeEffect {
    pub(super) what: String,
    pub(super) cause: std::io::Error,
}

/// Whether the store says that nothing can have happened.
pub(super) fn is_certain(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    match error {
        E::NotFound { .. }
        | E::InvalidPath { .. }
        | E::NotSupported { .. }
        | E::NotImplemented { .. }
        | E::PermissionDenied { .. }
        | E::Unauthenticated { .. }
        | E::UnknownConfigurationKey { .. } => true,
        E::Generic { source, .. } => source.downcast_ref::<BeforeEffect>().is_some(),
        _ => false,
    }
}

/// Names the operation and the path, and says what the caller can do.
pub(super) fn from_store(operation: &str, path: &str, error: &object_store::Error, secrets: &Secrets) -> Error {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => Error::not_found(path),
        E::AlreadyExists { .. } => Error::already_exists(path),
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            Error::unsupported(format!("{operation} {path}: {}", plain(error, secrets)))
        }
        E::InvalidPath { .. }
        | E::PermissionDenied { .. }
        | E::Unauthenticated { .. }
        | E::UnknownConfigurationKey { .. } => {
            Error::Storage { what: format!("{operation} {path}: {}", plain(error, secrets)), retryable: false }
        }
        _ => Error::storage(format!("{operation} {path}: {}", plain(error, secrets))),
    }
}

/// The store's words on one line, bounded and without its secrets: they may carry a server's body.
pub(super) fn plain(error: &object_store::Error, secrets: &Secrets) -> String {
    let text = secrets.scrub(&error.to_string());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(600).collect()
}
