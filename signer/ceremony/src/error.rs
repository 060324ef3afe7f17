//! What can go wrong at a ceremony.

use std::io;
use std::path::{Path, PathBuf};

use stele_core::door::DoorError;
use stele_core::keeping::KeeperFault;
use stele_keeper_client::ClientError;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CeremonyError {
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// A file stands where another would have to be written.
    #[error("{0}: exists with other content; nothing is overwritten. Move it away, or use another --dir")]
    Exists(PathBuf),
    /// Something that a person gave or made does not fit.
    #[error("{}", lines(.0))]
    Input(Vec<stele_core::Error>),
    /// Something is out of order.
    #[error("{0}")]
    Order(String),
    /// The keeper did not do its part.
    #[error("{0}")]
    Keeper(String),
    /// The transcript is not what it should be.
    #[error("NOT VERIFIED:\n{}", lines(.0))]
    NotVerified(Vec<stele_core::Error>),
    /// The people did not confirm.
    #[error("{0}")]
    NotConfirmed(String),
}

fn lines(errors: &[stele_core::Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

impl CeremonyError {
    /// For `map_err` on input and output.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::File { path, cause }
    }

    /// See the end of `--help`.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Exists(_) | Self::Input(_) | Self::Order(_) => 1,
            Self::Keeper(_) => 3,
            Self::NotVerified(_) => 4,
            Self::NotConfirmed(_) => 5,
        }
    }
}

impl From<stele_core::Error> for CeremonyError {
    fn from(error: stele_core::Error) -> Self {
        Self::Input(vec![error])
    }
}

impl From<Vec<stele_core::Error>> for CeremonyError {
    fn from(errors: Vec<stele_core::Error>) -> Self {
        Self::Input(errors)
    }
}

impl From<stele_core::Refusal> for CeremonyError {
    fn from(refusal: stele_core::Refusal) -> Self {
        Self::Order(refusal.to_string())
    }
}

impl From<ClientError> for CeremonyError {
    fn from(error: ClientError) -> Self {
        Self::Keeper(error.to_string())
    }
}

impl From<KeeperFault> for CeremonyError {
    fn from(fault: KeeperFault) -> Self {
        Self::Keeper(fault.to_string())
    }
}

impl From<DoorError> for CeremonyError {
    fn from(error: DoorError) -> Self {
        Self::Keeper(error.to_string())
    }
}
