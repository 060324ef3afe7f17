//! Answers to a request for a certificate, for the server that gives them and the client that reads them.

use stele_core::Refusal;
use stele_core::types::{Position, RequestId, SignedText, Time};
use stele_core::{Violation, types::Origin};

use super::fields::{Fields, time_to_wire};
use super::limits;
use crate::v1;

/// An issued certificate with what proves that it stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// The CA certificates above it, its issuer first, without the root; DER.
    pub chain: Vec<Vec<u8>>,
    /// The outcome record's exact bytes.
    pub record: Vec<u8>,
    /// Where the outcome record stands.
    pub position: Position,
    /// The C2SP tlog-proof.
    pub tlog_proof: String,
    /// The checkpoint that covers the record, a signed note.
    pub checkpoint: String,
    /// Number of the attempt that succeeded, from 1.
    pub attempt: u32,
}

/// A proposal that waits for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Where the proposal record stands.
    pub proposal: Position,
    /// The caller's request id.
    pub request_id: RequestId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Who must approve.
    pub quorum: Quorum,
    /// When the proposal lapses.
    pub expires: Time,
}

/// How many operators must approve, and which ones may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// How many different operators must approve.
    pub required: u32,
    /// How many operators may.
    pub eligible: u32,
    /// The roles that entitle to it, each by itself.
    pub roles: Vec<String>,
}

/// What a request for a certificate is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignAnswer {
    /// The certificate.
    Issued(Box<Issued>),
    /// Operators must approve first.
    Pending(Pending),
}

/// The answer to a request for a certificate, as a client reads it.
///
/// # Errors
/// Every field that is absent, malformed or too large.
pub fn sign_answer(wire: v1::SignResponse) -> Result<SignAnswer, Refusal> {
    use v1::sign_response::Result as Wire;
    let v1::SignResponse { result } = wire;
    let mut fields = Fields::default();
    let answer = match result {
        Some(Wire::Issued(issued)) => fields.issued(issued).map(Box::new).map(SignAnswer::Issued),
        Some(Wire::Pending(pending)) => fields.pending(pending).map(SignAnswer::Pending),
        None => {
            fields.absent(
                "result",
                "one of issued, pending; a newer server may know more: update this client",
            );
            None
        }
    };
    fields.finish(answer)
}

impl TryFrom<v1::Issued> for Issued {
    type Error = Refusal;
    fn try_from(wire: v1::Issued) -> Result<Self, Refusal> {
        let mut fields = Fields::default();
        let issued = fields.issued(wire);
        fields.finish(issued)
    }
}

impl TryFrom<v1::Position> for Position {
    type Error = Refusal;
    fn try_from(wire: v1::Position) -> Result<Self, Refusal> {
        let mut fields = Fields::default();
        let position = fields.position("position", Some(wire));
        fields.finish(position)
    }
}

impl Fields {
    fn issued(&mut self, wire: v1::Issued) -> Option<Issued> {
        let v1::Issued {
            certificate_der,
            chain_der,
            record,
            position,
            tlog_proof,
            checkpoint,
            attempt,
        } = wire;
        let certificate = self.octets("issued.certificate_der", certificate_der, limits::ENTRY);
        let chain = self.chain(chain_der);
        let record = self.octets("issued.record", record, limits::ENTRY);
        let position = self.position("issued.position", position);
        let tlog_proof = self.lines("issued.tlog_proof", tlog_proof, limits::TLOG_PROOF);
        let checkpoint = self.lines("issued.checkpoint", checkpoint, limits::ENTRY);
        self.attempt("issued.attempt", attempt);
        Some(Issued {
            certificate: certificate?,
            chain,
            record: record?,
            position: position?,
            tlog_proof: tlog_proof?,
            checkpoint: checkpoint?,
            attempt,
        })
    }

    fn chain(&mut self, chain: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        if !self.count("issued.chain_der", chain.len(), limits::CHAIN, "certificates") {
            return Vec::new();
        }
        chain
            .into_iter()
            .enumerate()
            .filter_map(|(i, der)| self.octets(&format!("issued.chain_der[{i}]"), der, limits::ENTRY))
            .collect()
    }

    fn pending(&mut self, wire: v1::Pending) -> Option<Pending> {
        let v1::Pending {
            proposal,
            request_id,
            attempt,
            quorum,
            expires,
        } = wire;
        let proposal = self.position("pending.proposal", proposal);
        let request_id = self.parsed("pending.request_id", &request_id);
        self.attempt("pending.attempt", attempt);
        if quorum.is_none() {
            self.absent("pending.quorum", "who must approve");
        }
        if expires.is_none() {
            self.absent("pending.expires", "when the proposal lapses");
        }
        let expires = self.millis("pending.expires", expires);
        let v1::Quorum {
            required,
            eligible,
            roles,
        } = quorum?;
        Some(Pending {
            proposal: proposal?,
            request_id: request_id?,
            attempt,
            quorum: Quorum {
                required,
                eligible,
                roles,
            },
            expires: expires?,
        })
    }

    fn attempt(&mut self, field: &str, attempt: u32) {
        if attempt == 0 {
            self.absent(field, "a number from 1");
        }
    }

    /// A required position.
    pub(super) fn position(&mut self, field: &str, wire: Option<v1::Position>) -> Option<Position> {
        let Some(v1::Position { origin, index }) = wire else {
            self.absent(field, "a position in a ledger");
            return None;
        };
        let origin: Origin = self.parsed(&format!("{field}.origin"), &origin)?;
        Some(Position { origin, index })
    }
}

impl From<Issued> for v1::Issued {
    fn from(issued: Issued) -> Self {
        let Issued {
            certificate,
            chain,
            record,
            position,
            tlog_proof,
            checkpoint,
            attempt,
        } = issued;
        Self {
            certificate_der: certificate,
            chain_der: chain,
            record,
            position: Some(position.into()),
            tlog_proof,
            checkpoint,
            attempt,
        }
    }
}

impl From<Pending> for v1::Pending {
    fn from(pending: Pending) -> Self {
        let Pending {
            proposal,
            request_id,
            attempt,
            quorum,
            expires,
        } = pending;
        Self {
            proposal: Some(proposal.into()),
            request_id: request_id.to_string(),
            attempt,
            quorum: Some(quorum.into()),
            expires: Some(time_to_wire(expires)),
        }
    }
}

impl From<Quorum> for v1::Quorum {
    fn from(quorum: Quorum) -> Self {
        let Quorum {
            required,
            eligible,
            roles,
        } = quorum;
        Self {
            required,
            eligible,
            roles,
        }
    }
}

impl From<SignAnswer> for v1::SignResponse {
    fn from(answer: SignAnswer) -> Self {
        use v1::sign_response::Result as Wire;
        Self {
            result: Some(match answer {
                SignAnswer::Issued(issued) => Wire::Issued((*issued).into()),
                SignAnswer::Pending(pending) => Wire::Pending(pending.into()),
            }),
        }
    }
}

impl From<Position> for v1::Position {
    fn from(position: Position) -> Self {
        let Position { origin, index } = position;
        Self {
            origin: origin.to_string(),
            index,
        }
    }
}

impl From<SignedText> for v1::SignedText {
    fn from(signed: SignedText) -> Self {
        let SignedText { text, signature } = signed;
        Self { text, signature }
    }
}

impl From<Violation> for v1::Violation {
    fn from(violation: Violation) -> Self {
        let Violation {
            field,
            rule,
            found,
            permitted,
        } = violation;
        Self {
            field,
            rule,
            found,
            permitted,
        }
    }
}
