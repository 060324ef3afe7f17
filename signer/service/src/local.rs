//! Commands on this machine: `import`, `enrol` and `apply` reach the running daemon through a Unix socket, whose peer
//! credentials say who asks. Without a daemon the same commands run in the process itself.
//!
//! A frame is a 32-bit big-endian length and that many bytes of JSON: one [`Ask`], then one [`Answer`].

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stele_core::types::{B64, CallerSan, KeyName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::enrol::Enrolment;
use crate::error::SignerError;
use crate::handlers::Handlers;
use crate::server_cert::pem_chain;
use crate::signer::Signer;

/// The largest frame, in bytes: a hand-over holds bundle, certificates and a CRL in base64.
const MAX_FRAME: u32 = 64 * 1024 * 1024;
/// How long a command may take to send its question.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a command asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// Whether the daemon runs.
    Ping,
    /// Import a hand-over.
    Import(B64),
    /// Apply a signed file.
    Apply(B64),
    /// Issue a client certificate.
    Enrol(Enrolment),
    /// Write the request to a later ceremony.
    Request {
        /// The request of the ceremony before.
        since: B64,
        /// For which keys; none means all.
        keys: Vec<KeyName>,
    },
}

/// What it gets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// What was done, in a sentence each.
    Done(Vec<String>),
    /// The certificate and those above it in PEM, and where it stands.
    Enrolled {
        /// The chain, without the root.
        pem: String,
        /// The position of the outcome.
        position: String,
    },
    /// A file for the command to write.
    File(B64),
    /// What went wrong.
    Failed(String),
}

/// Answers one question, wherever it came from.
pub(crate) fn answer(signer: &Signer, user: CallerSan, ask: Ask) -> Answer {
    let done = match ask {
        Ask::Ping => Ok(Answer::Done(Vec::new())),
        Ask::Import(handover) => signer.import(&handover.0).map(Answer::Done),
        Ask::Apply(file) => signer.apply(&user, &file.0).map_err(SignerError::from).map(|applied| {
            let place = format!("recorded at {}", signer.position(applied.index));
            Answer::Done(applied.changes.into_iter().chain([place]).collect())
        }),
        Ask::Enrol(enrolment) => signer.enrol(user, enrolment).and_then(|issued| {
            Ok(Answer::Enrolled {
                pem: pem_chain(&issued)?,
                position: issued.position.to_string(),
            })
        }),
        Ask::Request { since, keys } => signer
            .request_ceremony(&since.0, &keys)
            .map(|file| Answer::File(B64(file))),
    };
    done.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

/// The user with this id: by name where `/etc/passwd` has one.
pub(crate) fn user(uid: u32) -> CallerSan {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    let printable = name.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_graphic()));
    CallerSan::Unix(printable.unwrap_or_else(|| uid.to_string()))
}

/// Listens on `path`. A socket that lies there and answers belongs to another daemon.
///
/// # Errors
/// When it is in use, or cannot be made.
pub(crate) fn listen(path: &Path) -> Result<UnixListener, SignerError> {
    if ask(path, &Ask::Ping)?.is_some() {
        return Err(SignerError::other(format!(
            "{}: another stele-signer answers there",
            path.display()
        )));
    }
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(SignerError::file(path, cause)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|cause| SignerError::file(path, cause))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    std::fs::set_permissions(path, mode).map_err(|cause| SignerError::file(path, cause))?;
    Ok(listener)
}

/// Serves commands until it is dropped.
pub(crate) async fn serve(handlers: Handlers, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handlers = handlers.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(&handlers, stream).await {
                        tracing::info!(%error, "a local command ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a local command could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(handlers: &Handlers, mut stream: UnixStream) -> std::io::Result<()> {
    let user = user(stream.peer_cred()?.uid());
    let bytes = tokio::time::timeout(PATIENCE, read_frame(&mut stream)).await??;
    let ask: Ask = serde_json::from_slice(&bytes)?;
    let signer: Arc<Signer> = handlers.signer.clone();
    let work = handlers
        .doors
        .pass(&signer, move |signer| Ok(answer(signer, user, ask)));
    let answer = work
        .await
        .unwrap_or_else(|failure| Answer::Failed(SignerError::from(failure).to_string()));
    let bytes = serde_json::to_vec(&answer)?;
    stream
        .write_u32(u32::try_from(bytes.len()).map_err(std::io::Error::other)?)
        .await?;
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

async fn read_frame(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    check_length(length)?;
    let mut bytes = Vec::new();
    stream.take(length.into()).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

fn check_length(length: u32) -> std::io::Result<()> {
    if length <= MAX_FRAME {
        return Ok(());
    }
    let why = format!("a frame of {length} bytes; permitted: {MAX_FRAME}");
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why))
}

/// Asks the daemon; `None` when none runs.
///
/// # Errors
/// When the socket cannot be used, or the answer does not read.
pub(crate) fn ask(path: &Path, ask: &Ask) -> Result<Option<Answer>, SignerError> {
    use std::io::ErrorKind;
    let mut stream = match BlockingStream::connect(path) {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => return Ok(None),
        Err(cause) => return Err(SignerError::file(path, cause)),
    };
    exchange(&mut stream, ask)
        .map(Some)
        .map_err(|cause| SignerError::file(path, cause))
}

fn exchange<T: DeserializeOwned>(stream: &mut BlockingStream, ask: &Ask) -> std::io::Result<T> {
    let bytes = serde_json::to_vec(ask)?;
    let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
    check_length(length)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(&bytes)?;
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix)?;
    let length = u32::from_be_bytes(prefix);
    check_length(length)?;
    let mut answer = Vec::new();
    stream.take(length.into()).read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names_where_the_system_knows_them() {
        assert_eq!(user(0).to_string(), "unix:root");
        assert_eq!(user(3_999_999_999).to_string(), "unix:3999999999");
    }

    #[test]
    fn no_daemon_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ask(&dir.path().join("none.sock"), &Ask::Ping).unwrap().is_none());
    }
}
