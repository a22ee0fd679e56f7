//! How a command fails: one clear message, a kind for machines, an exit code.

use std::fmt;
use std::io;

use forebay::Error;

use crate::values::InputError;

/// The result of a command.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    kind: &'static str,
    message: String,
    help: Option<String>,
    code: u8,
}

/// The kind of a failure that is none: somebody closed standard output.
const CLOSED: &str = "closed";

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, code: 1 }
    }

    /// The command was called wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, ..Self::new("usage", message) }
    }

    /// The command was interrupted by a signal.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { code: 130, ..Self::new("interrupted", message) }
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether the failure says what to do about it.
    pub fn has_help(&self) -> bool {
        self.help.is_some()
    }

    /// The same failure with something put before its message.
    #[must_use]
    pub fn context(mut self, before: impl fmt::Display) -> Self {
        self.message = format!("{before}: {}", self.message);
        self
    }

    /// The same failure with something put behind its message.
    #[must_use]
    pub fn and(mut self, behind: impl fmt::Display) -> Self {
        self.message = format!("{}; {behind}", self.message);
        self
    }

    /// Whether somebody closed standard output, which is no failure.
    pub fn is_closed(&self) -> bool {
        self.kind == CLOSED
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind == "not-found"
    }

    /// Whether this version cannot do what was asked for.
    pub fn is_unsupported(&self) -> bool {
        self.kind == "unsupported"
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The process's exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Prints the failure to standard error.
    pub fn report(&self, json: bool) {
        use std::io::Write as _;
        let text = if json {
            let mut error = serde_json::json!({"kind": self.kind, "message": self.message});
            if let Some(help) = &self.help {
                error["help"] = help.as_str().into();
            }
            format!("{}\n", serde_json::json!({ "error": error }))
        } else {
            self.drawn()
        };
        // There is nobody left to tell when standard error is closed too.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn drawn(&self) -> String {
        let message = crate::output::clean(&self.message);
        let help = self.help.as_deref().map(crate::output::clean);
        if !io::IsTerminal::is_terminal(&io::stderr()) {
            let help = help.map(|help| format!("  help: {help}\n")).unwrap_or_default();
            return format!("error: {message}\n{help}");
        }
        let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode()).with_links(false);
        let mut text = String::new();
        match handler.render_report(&mut text, &Shown { message, help }) {
            Ok(()) => text,
            Err(_) => format!("error: {}\n", self.message),
        }
    }
}

/// A failure as miette draws it.
#[derive(Debug)]
struct Shown {
    message: String,
    help: Option<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotFound(_) => "not-found",
            Error::AlreadyExists(_) => "already-exists",
            Error::Invalid(_) => "invalid",
            Error::Unsupported(_) => "unsupported",
            Error::Conflict(_) => "conflict",
            Error::Corrupt { .. } => "corrupt",
            Error::Storage { .. } => "storage",
            Error::Exhausted(_) => "exhausted",
            Error::Bug(_) => "bug",
            _ => "other",
        };
        Self::new(kind, error.to_string())
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        let failure = Self::new("input", error.to_string());
        let null =
            error.value.filter(|value| matches!(value.as_str(), "NA" | "N/A" | "NULL" | "null" | "\\N" | "None" | "-"));
        match null {
            Some(null) => failure.help(format!("if {null} stands for NULL in a CSV file, give --null '{null}'")),
            None => failure,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(CLOSED, "standard output was closed"),
            _ => Self::new("io", error.to_string()),
        }
    }
}

impl From<arrow_schema::ArrowError> for Failure {
    fn from(error: arrow_schema::ArrowError) -> Self {
        match error {
            arrow_schema::ArrowError::IoError(_, error) => error.into(),
            other => Self::new("bug", other.to_string()),
        }
    }
}

impl From<parquet::errors::ParquetError> for Failure {
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(error) => Self::new("bug", error.to_string()),
            },
            other => Self::new("bug", other.to_string()),
        }
    }
}
