//! The private protocol between the keeper and its callers, and the callers' end of it.

pub mod frame;
pub mod protocol;

mod client;

pub use client::{Client, ClientError, CrlEntry, CrlState, KeyDone, KeyInfo, Status};

/// Why the keeper refused, so that the caller knows what a retry may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum RefusalCode {
    /// It judged the request and refused; the same request will be refused again.
    Refused = 1,
    /// It does nothing auditable at the moment (log, token or clock).
    Stopped = 2,
    /// It has no room at the moment.
    Busy = 3,
    /// To `Sign` only: the token was called and whether it signed is not known.
    FateUnknown = 4,
    /// The frame was not a request.
    Garbage = 5,
    /// The clock stepped; operators confirm the time.
    ClockStopped = 6,
    /// Too few operators signed.
    QuorumNotMet = 7,
}

impl RefusalCode {
    /// From the number on the wire; an unknown one counts as a refusal.
    #[must_use]
    pub const fn from_wire(code: u32) -> Self {
        match code {
            2 => Self::Stopped,
            3 => Self::Busy,
            4 => Self::FateUnknown,
            5 => Self::Garbage,
            6 => Self::ClockStopped,
            7 => Self::QuorumNotMet,
            _ => Self::Refused,
        }
    }
}
