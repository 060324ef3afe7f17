//! What stops the keeper, or makes it refuse.

use std::io;
use std::path::{Path, PathBuf};

use stele_hsm::TokenError;
use stele_keeper_client::RefusalCode;
use stele_ledger::LedgerError;

/// Why the keeper does not start, or does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    /// The configuration is not what it must be.
    #[error("configuration: {0}")]
    Config(String),
    /// A file or socket.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The log's store.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A judgement against what was asked.
    #[error("{0}")]
    Refused(String),
    /// Too few operators signed.
    #[error("{0}")]
    QuorumNotMet(String),
    /// Nothing auditable is done at the moment.
    #[error("{0}")]
    Stopped(String),
    /// The clock stepped, and nobody has confirmed the time yet.
    #[error("{0}")]
    ClockStopped(String),
    /// There is no room at the moment.
    #[error("{0}")]
    Busy(String),
    /// The token was called and may have signed.
    #[error("{0}")]
    FateUnknown(String),
}

impl KeeperError {
    /// A failed file.
    pub(crate) fn file(path: &Path, cause: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            cause,
        }
    }

    /// A judgement against what was asked.
    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// The code that the caller sees.
    #[must_use]
    pub(crate) const fn code(&self) -> RefusalCode {
        match self {
            Self::Refused(_) | Self::Config(_) => RefusalCode::Refused,
            Self::QuorumNotMet(_) => RefusalCode::QuorumNotMet,
            Self::ClockStopped(_) => RefusalCode::ClockStopped,
            Self::Busy(_) => RefusalCode::Busy,
            Self::FateUnknown(_) => RefusalCode::FateUnknown,
            Self::File { .. } | Self::Token(_) | Self::Ledger(_) | Self::Stopped(_) => RefusalCode::Stopped,
        }
    }
}

/// What keeps everything from being signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The clock stepped, or stood still too long; operators confirm the time.
    Clock(String),
    /// The state cannot be read, or the epoch is closed.
    Log(String),
}

impl Stop {
    /// Why, in words.
    #[must_use]
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Clock(why) | Self::Log(why) => why,
        }
    }
}

impl From<Stop> for KeeperError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Clock(why) => Self::ClockStopped(why),
            Stop::Log(why) => Self::Stopped(why),
        }
    }
}

impl From<stele_core::Error> for KeeperError {
    fn from(error: stele_core::Error) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<stele_core::Refusal> for KeeperError {
    fn from(refusal: stele_core::Refusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

impl From<Vec<stele_core::Error>> for KeeperError {
    fn from(errors: Vec<stele_core::Error>) -> Self {
        Self::Refused(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}
