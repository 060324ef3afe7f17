//! What can fail in the command line, and the exit code that tells a program which.

use std::error::Error as _;
use std::path::Path;

use stele_api::status::explain;
use stele_core::Refusal;
use tonic::{Code, Status};

/// A failure, sorted by what its reader has to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The server, or a check of ours, said no: 1.
    #[error("{0}")]
    Refused(String),
    /// The command or a file that it names is not what it must be: 2.
    #[error("{0}")]
    Usage(String),
    /// The server was not reached, or asks to try again later: 3.
    #[error("{0}")]
    Unavailable(String),
    /// A file could not be read or written here: 4.
    #[error("{0}")]
    Local(String),
    /// A defect, of the server or of ours: 5.
    #[error("{0}")]
    Defect(String),
}

impl CliError {
    /// The exit code that `stele --help` documents.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unavailable(_) => 3,
            Self::Local(_) => 4,
            Self::Defect(_) => 5,
        }
    }

    /// A file operation that failed.
    pub(crate) fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let mend = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "; nothing is overwritten: name another file, or move this one away",
            _ => "",
        };
        Self::Local(format!("{doing} {}: {error}{mend}", path.display()))
    }

    /// Foreign content of a file that has not the form it must have.
    pub(crate) fn content(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Usage(format!("{}: {error}", path.display()))
    }

    /// Every fault of a file or directory, one on each line.
    pub(crate) fn faults(what: &str, errors: &[stele_core::Error]) -> Self {
        let lines: String = errors.iter().map(|e| format!("\n  {e}")).collect();
        Self::Refused(format!("{what}:{lines}"))
    }

    /// An answer of the server that is not what the contract says.
    pub(crate) fn answer(error: impl std::fmt::Display) -> Self {
        Self::Defect(format!("the server's answer is not what its contract says: {error}"))
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        // A server says what it means; only a connection that ends in the middle of a call leaves a cause here.
        if let (Code::Unknown, Some(cause)) = (status.code(), status.source()) {
            return Self::Unavailable(format!(
                "the connection to the server was lost ({cause}); the same call can be made again"
            ));
        }
        let text = explain(&status);
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => {
                Self::Unavailable(text)
            }
            Code::Internal | Code::Unknown | Code::DataLoss | Code::Unimplemented | Code::Ok => Self::Defect(text),
            _ => Self::Refused(text),
        }
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        let lines: String = refusal.violations.iter().map(|v| format!("\n  {v}")).collect();
        Self::Refused(format!("refused, {} violations:{lines}", refusal.violations.len()))
    }
}

impl From<stele_core::Error> for CliError {
    fn from(error: stele_core::Error) -> Self {
        Self::Refused(error.to_string())
    }
}
