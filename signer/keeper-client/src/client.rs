//! The callers' end: a pool of connections, each used by one call at a time.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stele_core::error::Error;
use stele_core::keeping::{Appended, Committed, Intended, Keeper, KeeperFault, SignFault};
use stele_core::record::{Body, Payload, Record};
use stele_core::types::{KeyName, Origin, Serial, SignedText, Time};

use crate::protocol::{self, Answer, Ask, Empty, PROTOCOL, Reply, Request, Welcome};
use crate::{RefusalCode, frame};

/// How long a call waits for the keeper's answer: above the longest deadline of a signature.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The callers' end of the keeper's socket.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// Connections on which an answer was lost; the keeper may still be at work on what was asked there.
    lost: Mutex<Vec<Welcome>>,
}

#[derive(Debug)]
struct Connection {
    /// Answers are read through a buffer, so that one takes one system call.
    stream: BufReader<UnixStream>,
    name: Welcome,
}

/// Why a question to the keeper has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket could not be opened or failed.
    #[error("the keeper's socket {path}: {cause}; is stele-keeper running, and may this user open the socket?")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// The keeper refused.
    #[error("the keeper refused: {message}")]
    Refused {
        /// Its code.
        code: RefusalCode,
        /// Its words.
        message: String,
    },
    /// The keeper answered something else than was asked.
    #[error("the keeper's answer: {0}")]
    Answer(#[from] Error),
}

impl From<protocol::Refused> for ClientError {
    fn from(refused: protocol::Refused) -> Self {
        Self::Refused {
            code: RefusalCode::from_wire(refused.code),
            message: refused.message,
        }
    }
}

impl From<ClientError> for KeeperFault {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused {
                code: RefusalCode::Stopped,
                message,
            } => Self::Stopped(message),
            ClientError::Refused {
                code: RefusalCode::Busy,
                message,
            } => Self::Busy(message),
            ClientError::Refused {
                code: RefusalCode::ClockStopped,
                message,
            } => Self::ClockStopped(message),
            ClientError::Refused {
                code: RefusalCode::QuorumNotMet,
                message,
            } => Self::QuorumNotMet(message),
            ClientError::Refused { message, .. } => Self::Refused(message),
            other => Self::Lost(other.to_string()),
        }
    }
}

/// A CA key that the keeper holds.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Its name.
    pub name: KeyName,
    /// Its SPKI in DER.
    pub spki: Vec<u8>,
}

/// What the keeper holds.
#[derive(Clone, Debug)]
pub struct Status {
    /// The log's origin.
    pub origin: Origin,
    /// The log's verifier key.
    pub vkey: String,
    /// The log's size.
    pub size: u64,
    /// Name of this life of the keeper.
    pub instance: String,
    /// The CA keys.
    pub keys: Vec<KeyInfo>,
    /// Index of the newest bundle's record.
    pub bundle: Option<u64>,
    /// Why nothing is signed at the moment.
    pub stopped: Option<String>,
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDone {
    /// Index of the record about the key.
    pub index: u64,
    /// The CSR of a new key.
    pub csr: Option<Vec<u8>>,
}

/// One entry that a CRL must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlEntry {
    /// The serial.
    pub serial: Serial,
    /// When it was revoked.
    pub time: Time,
    /// The CRLReason code.
    pub reason: u8,
}

/// What the next CRL of a key must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlState {
    /// Its number.
    pub next_number: u64,
    /// What it must list.
    pub entries: Vec<CrlEntry>,
}

impl Client {
    /// A client of the keeper at `socket`. Nothing is opened before the first call.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            idle: Mutex::new(Vec::new()),
            lost: Mutex::new(Vec::new()),
        }
    }

    fn socket_error(&self, cause: io::Error) -> ClientError {
        ClientError::Socket {
            path: self.socket.clone(),
            cause,
        }
    }

    fn connect(&self) -> Result<Connection, ClientError> {
        let stream = UnixStream::connect(&self.socket).map_err(|e| self.socket_error(e))?;
        stream
            .set_read_timeout(Some(ANSWER_TIMEOUT))
            .map_err(|e| self.socket_error(e))?;
        stream
            .set_write_timeout(Some(ANSWER_TIMEOUT))
            .map_err(|e| self.socket_error(e))?;
        let hello = Request {
            ask: Some(Ask::Hello(protocol::Hello { protocol: PROTOCOL })),
        };
        let mut connection = Connection {
            stream: BufReader::with_capacity(frame::BUFFER, stream),
            name: Welcome::default(),
        };
        self.send(&mut connection, &hello)?;
        match self.receive(&mut connection)? {
            Answer::Welcome(name) => Ok(Connection { name, ..connection }),
            other => Err(unexpected("hello", &other)),
        }
    }

    fn send(&self, connection: &mut Connection, request: &Request) -> Result<(), ClientError> {
        frame::write(connection.stream.get_mut(), request).map_err(|e| self.socket_error(e))
    }

    fn receive(&self, connection: &mut Connection) -> Result<Answer, ClientError> {
        let reply: Reply = frame::read(&mut connection.stream)
            .and_then(|r| r.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
            .map_err(|e| self.socket_error(e))?;
        match reply.answer {
            Some(Answer::Refused(refused)) => Err(refused.into()),
            Some(answer) => Ok(answer),
            None => Err(Error::malformed("answer", "nothing", "an answer").into()),
        }
    }

    /// Asks once. A connection that failed is dropped, never reused: the keeper treats its end as a lost caller.
    fn ask(&self, ask: Ask) -> Result<Answer, ClientError> {
        let mut connection = self.send_somewhere(&Request { ask: Some(ask) })?;
        let answer = self.receive(&mut connection);
        match &answer {
            Err(ClientError::Socket { .. }) => self.lost().push(connection.name),
            _ => self.idle().push(connection),
        }
        answer
    }

    fn lost(&self) -> MutexGuard<'_, Vec<Welcome>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is under way any more of what was asked where an answer was lost: from then on, either it
    /// stands in the log or it never will.
    ///
    /// # Errors
    /// When the keeper does not answer; then that is still not known.
    pub fn settle_lost(&self) -> Result<(), ClientError> {
        loop {
            let Some(name) = self.lost().last().cloned() else {
                return Ok(());
            };
            match self.ask(Ask::End(name.clone()))? {
                Answer::Done(_) => self.lost().retain(|other| *other != name),
                other => return Err(unexpected("end", &other)),
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends on an idle connection, or on a new one. An idle connection may be from before a restart of the keeper. Then
    /// sending fails, and the request goes out again: a frame that did not go out whole is one that nobody acts on.
    fn send_somewhere(&self, request: &Request) -> Result<Connection, ClientError> {
        loop {
            let idle = self.idle().pop();
            let Some(mut connection) = idle else { break };
            if self.send(&mut connection, request).is_ok() {
                return Ok(connection);
            }
        }
        let mut connection = self.connect()?;
        self.send(&mut connection, request)?;
        Ok(connection)
    }

    /// What the keeper holds.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> Result<Status, ClientError> {
        let status = match self.ask(Ask::Status(Empty {}))? {
            Answer::Status(status) => status,
            other => return Err(unexpected("status", &other)),
        };
        let keys = status
            .keys
            .into_iter()
            .map(|k| {
                Ok(KeyInfo {
                    name: k.name.parse()?,
                    spki: k.spki,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Status {
            origin: status.origin.parse()?,
            vkey: status.vkey,
            size: status.size,
            instance: status.instance,
            keys,
            bundle: status.bundle_index_plus_one.checked_sub(1),
            stopped: Some(status.stopped).filter(|s| !s.is_empty()),
        })
    }

    /// Splits `whole` into chunk records where it must be, appends them, and returns the payload that names them.
    ///
    /// # Errors
    /// When a chunk is refused.
    pub fn payload(&self, whole: &[u8]) -> Result<Payload, KeeperFault> {
        let at = Payload::split(whole)
            .into_iter()
            .map(|chunk| self.append(&Body::Chunk(chunk)).map(|a| a.index))
            .collect::<Result<_, _>>()?;
        Ok(Payload::of(whole, at))
    }

    /// Has a CA key generated or destroyed, as operators' texts of kind `stele-key-v1` say.
    ///
    /// # Errors
    /// When the keeper refuses the texts, or the token fails.
    pub fn key(&self, texts: &[SignedText]) -> Result<KeyDone, KeeperFault> {
        let texts = texts
            .iter()
            .map(|signed| protocol::SignedText {
                text: signed.text.clone(),
                signature: signed.signature.clone(),
            })
            .collect();
        match self.ask(Ask::Key(protocol::KeyOrder { texts }))? {
            Answer::KeyDone(done) => Ok(KeyDone {
                index: done.index,
                csr: Some(done.csr).filter(|csr| !csr.is_empty()),
            }),
            other => Err(unexpected("key", &other).into()),
        }
    }

    fn bytes(&self, ask: Ask, what: &str) -> Result<Vec<u8>, ClientError> {
        match self.ask(ask)? {
            Answer::Bytes(b) => Ok(b.bytes),
            other => Err(unexpected(what, &other)),
        }
    }

    fn list(&self, ask: Ask, what: &str) -> Result<Vec<Vec<u8>>, ClientError> {
        match self.ask(ask)? {
            Answer::List(l) => Ok(l.items),
            other => Err(unexpected(what, &other)),
        }
    }

    /// A checkpoint over everything appended so far, as a signed note.
    ///
    /// # Errors
    /// When the keeper cannot sign one.
    pub fn checkpoint(&self) -> Result<String, ClientError> {
        let bytes = self.bytes(Ask::Checkpoint(Empty {}), "checkpoint")?;
        String::from_utf8(bytes).map_err(|e| Error::malformed("checkpoint", e.to_string(), "UTF-8").into())
    }

    /// The checkpoint for the public, as a signed note: under a policy on witnesses, the newest that they cosigned.
    ///
    /// # Errors
    /// When the keeper cannot sign one.
    pub fn published(&self) -> Result<String, ClientError> {
        let bytes = self.bytes(Ask::Published(Empty {}), "published checkpoint")?;
        String::from_utf8(bytes).map_err(|e| Error::malformed("checkpoint", e.to_string(), "UTF-8").into())
    }

    /// Hands in a checkpoint that witnesses cosigned. The keeper verifies every signature itself.
    ///
    /// # Errors
    /// When it refuses it, or shows another history of the log, which halts signing.
    pub fn cosigned(&self, note: &str) -> Result<(), ClientError> {
        self.noted(Ask::Cosigned(protocol::Note { note: note.to_owned() }))
    }

    /// Shows a checkpoint that was seen elsewhere.
    ///
    /// # Errors
    /// When it is not by the log's key, or shows another history of the log, which halts signing.
    pub fn seen(&self, note: &str) -> Result<(), ClientError> {
        self.noted(Ask::Seen(protocol::Note { note: note.to_owned() }))
    }

    fn noted(&self, ask: Ask) -> Result<(), ClientError> {
        match self.ask(ask)? {
            Answer::Done(_) => Ok(()),
            other => Err(unexpected("a checkpoint", &other)),
        }
    }

    /// Entries from `start`, at most `count`; fewer when they are large, none past the end.
    ///
    /// # Errors
    /// When the keeper does not answer.
    pub fn entries(&self, start: u64, count: u32) -> Result<Vec<Vec<u8>>, ClientError> {
        self.list(Ask::Read(protocol::Read { start, count }), "entries")
    }

    /// The record at `index`.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub fn record(&self, index: u64) -> Result<Record, ClientError> {
        let entries = self.entries(index, 1)?;
        let bytes = entries
            .first()
            .ok_or_else(|| Error::malformed("index", index.to_string(), "an index below the log's size"))?;
        Ok(Record::decode(bytes)?)
    }

    /// The inclusion proof of `index` in the tree of `size`.
    ///
    /// # Errors
    /// When there is none.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<[u8; 32]>, ClientError> {
        hashes(self.list(Ask::Inclusion(protocol::Inclusion { index, size }), "inclusion proof")?)
    }

    /// The consistency proof between two sizes.
    ///
    /// # Errors
    /// When there is none.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<[u8; 32]>, ClientError> {
        hashes(self.list(
            Ask::Consistency(protocol::Consistency { old, new }),
            "consistency proof",
        )?)
    }

    /// A hash tile.
    ///
    /// # Errors
    /// When the log has no such tile.
    pub fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, ClientError> {
        self.bytes(
            Ask::Tile(protocol::Tile {
                level: level.into(),
                number,
                width: width.into(),
            }),
            "tile",
        )
    }

    /// Random bytes from the token.
    ///
    /// # Errors
    /// When the token gives none.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], ClientError> {
        let length = u32::try_from(N).unwrap_or(u32::MAX);
        self.bytes(Ask::Random(protocol::Random { length }), "random bytes")?
            .try_into()
            .map_err(|v: Vec<u8>| {
                Error::malformed("random bytes", format!("{} bytes", v.len()), format!("{N} bytes")).into()
            })
    }

    /// What the next CRL of `key` must be.
    ///
    /// # Errors
    /// When the key is unknown.
    pub fn crl_state(&self, key: &KeyName) -> Result<CrlState, ClientError> {
        let state = match self.ask(Ask::CrlState(protocol::CrlQuery { key: key.to_string() }))? {
            Answer::CrlState(state) => state,
            other => return Err(unexpected("CRL state", &other)),
        };
        let entries = state
            .entries
            .into_iter()
            .map(|e| {
                let reason = u8::try_from(e.reason)
                    .map_err(|_| Error::malformed("reason", e.reason.to_string(), "a CRLReason code"))?;
                Ok(CrlEntry {
                    serial: Serial::from_unsigned(&e.serial)?,
                    time: Time::from_millis(e.time_millis),
                    reason,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(CrlState {
            next_number: state.next_number,
            entries,
        })
    }

    /// Makes the token sign with a session key, never a CA key.
    ///
    /// # Errors
    /// When it does not.
    pub fn probe(&self) -> Result<(), ClientError> {
        match self.ask(Ask::Probe(Empty {}))? {
            Answer::Done(_) => Ok(()),
            other => Err(unexpected("probe", &other)),
        }
    }
}

fn unexpected(asked: &str, answer: &Answer) -> ClientError {
    let found = match answer {
        Answer::Refused(_) => "a refusal",
        Answer::Done(_) => "done",
        Answer::Appended(_) => "appended",
        Answer::Signed(_) => "a signature",
        Answer::Committed(_) => "committed",
        Answer::Bytes(_) => "bytes",
        Answer::List(_) => "a list",
        Answer::Status(_) => "a status",
        Answer::KeyDone(_) => "a key",
        Answer::CrlState(_) => "a CRL state",
        Answer::Intended(_) => "an intent",
        Answer::Welcome(_) => "a welcome",
    };
    Error::malformed("answer", found, format!("an answer to {asked}")).into()
}

fn hashes(items: Vec<Vec<u8>>) -> Result<Vec<[u8; 32]>, ClientError> {
    items
        .into_iter()
        .map(|i| {
            i.try_into().map_err(|v: Vec<u8>| {
                Error::malformed("proof", format!("{} bytes", v.len()), "hashes of 32 bytes").into()
            })
        })
        .collect()
}

/// Only a refusal that says nothing of the key means that it was not called.
fn sign_fault(error: ClientError) -> SignFault {
    match error {
        ClientError::Refused {
            code: RefusalCode::FateUnknown,
            message,
        } => SignFault::FateUnknown(message),
        error @ ClientError::Refused { .. } => SignFault::NotSigned(error.into()),
        other => SignFault::FateUnknown(other.to_string()),
    }
}

impl Keeper for Client {
    fn append(&self, body: &Body) -> Result<Appended, KeeperFault> {
        let body = body.encode().map_err(|e| KeeperFault::Refused(e.to_string()))?;
        match self.ask(Ask::Append(protocol::Append { body }))? {
            Answer::Appended(a) => Ok(Appended {
                index: a.index,
                time: Time::from_millis(a.time_millis),
            }),
            other => Err(unexpected("append", &other).into()),
        }
    }

    fn sign(&self, index: u64, deadline: Duration) -> Result<Vec<u8>, SignFault> {
        let deadline_millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        match self.ask(Ask::Sign(protocol::Sign { index, deadline_millis })) {
            Ok(Answer::Signed(b)) => Ok(b.bytes),
            Ok(other) => Err(SignFault::FateUnknown(unexpected("sign", &other).to_string())),
            Err(error) => Err(sign_fault(error)),
        }
    }

    fn append_and_sign(&self, intent: &Body, deadline: Duration) -> Result<Intended, KeeperFault> {
        let body = intent.encode().map_err(|e| KeeperFault::Refused(e.to_string()))?;
        let deadline_millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        match self.ask(Ask::Intend(protocol::Intend { body, deadline_millis }))? {
            Answer::Intended(i) => Ok(Intended {
                at: Appended {
                    index: i.index,
                    time: Time::from_millis(i.time_millis),
                },
                record: i.record,
                signature: match i.refused {
                    None => Ok(i.signature),
                    Some(refused) => Err(sign_fault(refused.into())),
                },
            }),
            other => Err(unexpected("intend", &other).into()),
        }
    }

    fn commit(&self, outcome: &Body) -> Result<Committed, KeeperFault> {
        let body = outcome.encode().map_err(|e| KeeperFault::Refused(e.to_string()))?;
        match self.ask(Ask::Commit(protocol::Append { body }))? {
            Answer::Committed(c) => {
                let proof = hashes(c.proof)?;
                Ok(Committed {
                    index: c.index,
                    time: Time::from_millis(c.time_millis),
                    record: c.record,
                    checkpoint: c.checkpoint,
                    proof,
                })
            }
            other => Err(unexpected("commit", &other).into()),
        }
    }

    fn give_up(&self, index: u64, reason: &str) -> Result<(), KeeperFault> {
        match self.ask(Ask::GiveUp(protocol::GiveUp {
            index,
            reason: reason.to_owned(),
        }))? {
            Answer::Done(_) => Ok(()),
            other => Err(unexpected("give up", &other).into()),
        }
    }
}
