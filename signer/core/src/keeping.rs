//! What the core needs of whoever holds the keys and the log.

use std::time::Duration;

use crate::record::Body;
use crate::types::Time;

/// The keeper, as the door and the ceremony see it.
pub trait Keeper {
    /// Appends a body. When it returns, the record is durable.
    ///
    /// # Errors
    /// When it was refused or could not be made durable; then it is not in the log, unless the fault says otherwise.
    fn append(&self, body: &Body) -> Result<Appended, KeeperFault>;

    /// Appends an intent and, once it is durable, signs its TBS, in one exchange.
    ///
    /// # Errors
    /// As [`Keeper::append`]; what became of the signature stands in the answer.
    fn append_and_sign(&self, intent: &Body, deadline: Duration) -> Result<Intended, KeeperFault>;

    /// Signs the TBS of the intent at `index`: once, and only in the life of the process that appended it.
    ///
    /// # Errors
    /// [`SignFault::NotSigned`] when no signature was made; [`SignFault::FateUnknown`] when one may exist.
    fn sign(&self, index: u64, deadline: Duration) -> Result<Vec<u8>, SignFault>;

    /// Appends an outcome. When it returns, the record is durable and covered by a checkpoint.
    ///
    /// # Errors
    /// As [`Keeper::append`].
    fn commit(&self, outcome: &Body) -> Result<Committed, KeeperFault>;

    /// Tells that the fate of the intent at `index` is not known to the caller.
    ///
    /// # Errors
    /// As [`Keeper::append`].
    fn give_up(&self, index: u64, reason: &str) -> Result<(), KeeperFault>;
}

/// Where and when a record was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its index.
    pub index: u64,
    /// Its time.
    pub time: Time,
}

/// An intent that is durable, and what became of its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intended {
    /// Where and when it was appended.
    pub at: Appended,
    /// Its exact bytes.
    pub record: Vec<u8>,
    /// The signature, as [`Keeper::sign`] gives it.
    pub signature: Result<Vec<u8>, SignFault>,
}

/// An outcome that is durable and covered by a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its index.
    pub index: u64,
    /// Its time.
    pub time: Time,
    /// Its exact bytes.
    pub record: Vec<u8>,
    /// The checkpoint that covers it, a signed note.
    pub checkpoint: String,
    /// The inclusion proof in that checkpoint's tree, sibling first.
    pub proof: Vec<[u8; 32]>,
}

/// Why the keeper did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeeperFault {
    /// It judged and refused.
    #[error("the keeper refused: {0}")]
    Refused(String),
    /// It refused because too few operators signed.
    #[error("the keeper refused: {0}")]
    QuorumNotMet(String),
    /// It cannot act now: the log cannot be written or is closed, the token is gone.
    #[error("the keeper is stopped: {0}")]
    Stopped(String),
    /// It cannot act now: the clock stepped, and operators have to confirm it.
    #[error("the keeper is stopped: {0}")]
    ClockStopped(String),
    /// It has no room now; a later call may succeed.
    #[error("the keeper is busy: {0}")]
    Busy(String),
    /// It could not be reached, or its answer was lost.
    #[error("the keeper did not answer: {0}")]
    Lost(String),
}

/// Why there is no signature in hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// None was made: the key was not called.
    #[error("not signed: {0}")]
    NotSigned(KeeperFault),
    /// One may have been made.
    #[error("whether it was signed is not known: {0}")]
    FateUnknown(String),
}
