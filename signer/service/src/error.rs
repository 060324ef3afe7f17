//! What can go wrong in the service, and how callers see it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stele_api::status::{Failure, Reason};
use stele_core::door::DoorError;
use stele_core::keeping::KeeperFault;
use stele_core::{Error, Refusal};
use stele_index::IndexError;
use stele_keeper_client::{ClientError, RefusalCode};

/// A failure of the service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignerError {
    /// A file or socket.
    #[error("{}: {cause}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The keeper has no answer.
    #[error(transparent)]
    Keeper(#[from] ClientError),
    /// The keeper did not do what was asked.
    #[error(transparent)]
    Fault(#[from] KeeperFault),
    /// The door did not open.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Input that does not read or verify.
    #[error(transparent)]
    Core(#[from] Error),
    /// A judgement.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// A call that failed as a caller would see it.
    #[error("{}", stele_api::status::explain(&.0.to_status()))]
    Call(Box<Failure>),
    /// TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// Anything else, in words that say how to mend it.
    #[error("{0}")]
    Other(String),
}

impl SignerError {
    /// A failed file.
    pub(crate) fn file(path: &Path, cause: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            cause,
        }
    }

    /// In one's own words.
    pub(crate) fn other(why: impl Into<String>) -> Self {
        Self::Other(why.into())
    }
}

impl From<Failure> for SignerError {
    fn from(failure: Failure) -> Self {
        Self::Call(Box::new(failure))
    }
}

impl From<SignerError> for Failure {
    fn from(error: SignerError) -> Self {
        match error {
            SignerError::Call(failure) => *failure,
            SignerError::Keeper(error) => client_failure(&error),
            SignerError::Fault(fault) => fault_failure(&fault),
            SignerError::Door(error) => door_failure(&error),
            SignerError::Core(error) => Self::from_error(Reason::MalformedRequest, error),
            SignerError::Refusal(refusal) => Self::refused(Reason::MalformedRequest, refusal),
            error @ SignerError::Index(IndexError::Behind { .. } | IndexError::Diverged { .. }) => {
                Self::new(Reason::LedgerStopped, error.to_string())
            }
            other => {
                tracing::error!(error = %other, "a defect");
                Self::new(Reason::Internal, "the server's log says more")
            }
        }
    }
}

/// How long a client should wait before it tries again.
const AGAIN: Duration = Duration::from_secs(1);

fn client_failure(error: &ClientError) -> Failure {
    match error {
        ClientError::Socket { .. } => {
            tracing::error!(%error, "the keeper cannot be reached");
            Failure::new(Reason::KeeperUnavailable, "the keeper does not answer").retry_after(AGAIN)
        }
        ClientError::Refused { code, message } => {
            let fault = match code {
                RefusalCode::Stopped => KeeperFault::Stopped(message.clone()),
                RefusalCode::ClockStopped => KeeperFault::ClockStopped(message.clone()),
                RefusalCode::QuorumNotMet => KeeperFault::QuorumNotMet(message.clone()),
                RefusalCode::Busy => KeeperFault::Busy(message.clone()),
                _ => KeeperFault::Refused(message.clone()),
            };
            fault_failure(&fault)
        }
        ClientError::Answer(_) => {
            tracing::error!(%error, "the keeper answered something else");
            Failure::new(Reason::Internal, "the server's log says more")
        }
    }
}

/// Whether the keeper stopped for what witnesses say, or do not say.
fn of_witnesses(why: &str) -> bool {
    why.starts_with("witnesses: ")
}

/// What a fault of the keeper means to a caller.
pub(crate) fn fault_failure(fault: &KeeperFault) -> Failure {
    match fault {
        // Policy was judged before, so what the keeper refuses changed on the way: bundle, freeze, revocation.
        KeeperFault::Refused(why) => Failure::new(Reason::NotSigned, why.clone()).retry_after(AGAIN),
        KeeperFault::QuorumNotMet(why) => Failure::new(Reason::QuorumNotMet, why.clone()),
        KeeperFault::ClockStopped(why) => Failure::new(Reason::ClockStopped, why.clone()),
        KeeperFault::Stopped(why) if of_witnesses(why) => Failure::new(Reason::LedgerStopped, why.clone()),
        KeeperFault::Stopped(why) => {
            tracing::error!(%why, "the keeper is stopped");
            Failure::new(Reason::KeeperUnavailable, why.clone()).retry_after(AGAIN)
        }
        KeeperFault::Busy(why) => Failure::new(Reason::Overloaded, why.clone()).retry_after(AGAIN),
        KeeperFault::Lost(why) => {
            tracing::error!(%why, "the keeper's answer was lost");
            Failure::new(Reason::KeeperUnavailable, "the keeper's answer was lost").retry_after(AGAIN)
        }
    }
}

/// What a closed door means to a caller.
fn door_failure(error: &DoorError) -> Failure {
    match error {
        DoorError::Keeper(fault) => fault_failure(fault),
        DoorError::NotSigned { cause, .. } => match cause {
            KeeperFault::Busy(_) => fault_failure(cause),
            KeeperFault::Stopped(why) if of_witnesses(why) => fault_failure(cause),
            _ => Failure::new(Reason::NotSigned, error.to_string()).retry_after(AGAIN),
        },
        DoorError::FateUnknown { .. } => Failure::new(Reason::FateUnknown, error.to_string()).retry_after(AGAIN),
        DoorError::Pending(_) => Failure::new(Reason::QuorumNotMet, error.to_string()),
        DoorError::Evidence(error) => Failure::from_error(Reason::SignedTextInvalid, error.clone()),
    }
}
