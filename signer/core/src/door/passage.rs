//! From linted bytes to an issued, recorded, covered whole.

use std::time::Duration;

use super::open::Linted;
use crate::checkpoint::TlogProof;
use crate::error::Error;
use crate::keeping::{Committed, Intended, Keeper, KeeperFault, SignFault};
use crate::profile::Approval;
use crate::record::{self, Authority, Body, Failed, Intent, Need, Payload, Purpose, Record, RequestRef};
use crate::request::SignRequest;
use crate::tbs::assemble;
use crate::types::{Digest, SignedText};

/// Points between two steps; crash tests end the process there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is recorded yet.
    BeforeIntent,
    /// The intent is durable; the key was not called.
    AfterIntent,
    /// The key signed; the signature was not verified.
    AfterSign,
    /// The signature verified; the outcome is not recorded.
    BeforeOutcome,
    /// The outcome is durable and covered; nobody was answered.
    AfterOutcome,
}

/// Told at each point; the default does nothing.
pub trait Steps {
    /// The door is at this point.
    fn at(&self, _: Step) {}

    /// Whether [`Step::AfterIntent`] is to be seen. Then intent and signature are asked for one after the other; otherwise
    /// the keeper does both in one exchange, and nobody else is there between them.
    fn sees_intent(&self) -> bool {
        false
    }
}

impl Steps for () {}

/// Why the door did not open.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// It waits for operators.
    #[error("approval is needed: {} of the role `{}`", .0.m, .0.role)]
    Pending(Need),
    /// The evidence does not fit what the profile demands.
    #[error("{0}")]
    Evidence(#[from] Error),
    /// The keeper did not do its part.
    #[error(transparent)]
    Keeper(#[from] KeeperFault),
    /// No signature was made; recorded so at this index.
    #[error("not signed (recorded at {at}): {cause}")]
    NotSigned {
        /// Index of the record of the failure, when it could be recorded.
        at: u64,
        /// Why.
        cause: KeeperFault,
    },
    /// A signature may exist.
    #[error("the fate of the intent at {intent} is not known: {cause}; a retry is a new attempt")]
    FateUnknown {
        /// Index of the intent.
        intent: u64,
        /// Why.
        cause: String,
    },
}

/// What speaks for a signature, beside policy.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// The profile approves by itself; or it is a CRL, which needs nobody.
    Policy,
    /// Operators' signed texts, and the index of the proposal that they are about.
    Approvals {
        /// The texts.
        texts: Vec<SignedText>,
        /// The proposal.
        proposal: u64,
    },
    /// A step of the recorded plan.
    Plan {
        /// Index of the plan.
        plan: u64,
        /// The step.
        step: u32,
    },
}

/// Who asked, with what, and what came before.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whose request.
    pub request: RequestRef,
    /// Digest of the bundle that judged it.
    pub bundle: Option<Digest>,
    /// The whole request, for certificates on request.
    pub asked: Option<SignRequest>,
    /// Index of the intent of the attempt before this one.
    pub previous: Option<u64>,
}

/// Linted bytes with an authority to sign them.
#[derive(Debug)]
pub struct Authorised {
    linted: Linted,
    authority: Authority,
    proposal: Option<u64>,
}

impl Linted {
    /// Joins the bytes with what speaks for them. The keeper checks texts and quorum again, by itself.
    ///
    /// # Errors
    /// [`DoorError::Pending`] when operators must agree first.
    pub fn authorise(self, evidence: Evidence) -> Result<Authorised, DoorError> {
        let (authority, proposal) = match (evidence, &self.approval) {
            (Evidence::Policy, Some(Approval::Quorum { m, role, .. })) => {
                return Err(DoorError::Pending(Need {
                    m: *m,
                    role: role.to_string(),
                }));
            }
            (Evidence::Policy, None) if self.purpose != Purpose::Crl => {
                return Err(Error::malformed("evidence", "policy", "a plan or approvals").into());
            }
            (Evidence::Policy, _) => (Authority::Policy, None),
            (Evidence::Approvals { texts, proposal }, _) => (Authority::Approvals(texts), Some(proposal)),
            (Evidence::Plan { plan, step }, None) => (Authority::Plan { plan, step }, None),
            (Evidence::Plan { .. }, Some(_)) => {
                return Err(Error::malformed("evidence", "a plan", "what the profile demands").into());
            }
        };
        Ok(Authorised {
            linted: self,
            authority,
            proposal,
        })
    }
}

/// A record as it stands in the log, and its exact bytes.
pub type Stored = (Record, Vec<u8>);

/// Bytes whose intent is durable.
#[derive(Debug)]
pub struct ToBeSigned {
    linted: Linted,
    request: RequestRef,
    intent: Stored,
}

impl Authorised {
    /// The intent, and what is still needed after it.
    fn intent(self, asked: Asked, payload: Payload) -> (Linted, RequestRef, Body) {
        let Self {
            linted,
            authority,
            proposal,
        } = self;
        let request = asked.request.clone();
        let intent = Intent {
            purpose: linted.purpose,
            request: asked.request,
            profile: linted.profile.clone(),
            bundle: asked.bundle,
            key: linted.key.clone(),
            spki_sha256: linted.signer.digest(),
            algorithm: linted.algorithm,
            tbs: payload,
            tbs_sha256: linted.tbs_sha256(),
            serial: linted.serial.clone(),
            not_after: linted.not_after,
            asked: asked.asked,
            proposal,
            previous: asked.previous,
            authority,
        };
        (linted, request, Body::Intent(Box::new(intent)))
    }

    /// Records the intent. When this returns, the exact bytes are durable in the log (P1).
    ///
    /// # Errors
    /// When the keeper refuses or cannot record it; then nothing is signed.
    pub fn record(
        self,
        keeper: &dyn Keeper,
        asked: Asked,
        payload: Payload,
        steps: &dyn Steps,
    ) -> Result<ToBeSigned, DoorError> {
        let (linted, request, body) = self.intent(asked, payload);
        steps.at(Step::BeforeIntent);
        let at = keeper.append(&body)?;
        steps.at(Step::AfterIntent);
        let record = Record {
            index: at.index,
            time: at.time,
            body,
        };
        let bytes = record.encode()?;
        Ok(ToBeSigned {
            linted,
            request,
            intent: (record, bytes),
        })
    }

    /// Records the intent and has the key sign, in one exchange with the keeper, which does the one after the other (P1);
    /// then verifies the signature over the same bytes.
    ///
    /// # Errors
    /// As [`Authorised::record`] and [`ToBeSigned::sign`].
    pub fn record_and_sign(
        self,
        keeper: &dyn Keeper,
        asked: Asked,
        payload: Payload,
        deadline: Duration,
        steps: &dyn Steps,
    ) -> Result<Verified, DoorError> {
        if steps.sees_intent() {
            return self
                .record(keeper, asked, payload, steps)?
                .sign(keeper, deadline, steps);
        }
        let (linted, request, body) = self.intent(asked, payload);
        steps.at(Step::BeforeIntent);
        let Intended { at, record, signature } = keeper.append_and_sign(&body, deadline)?;
        let intent = Record {
            index: at.index,
            time: at.time,
            body,
        };
        let to_be_signed = ToBeSigned {
            linted,
            request,
            intent: (intent, record),
        };
        to_be_signed.signed(keeper, signature, steps)
    }
}

/// A signature that verifies over the identical bytes.
#[derive(Debug)]
pub struct Verified {
    linted: Linted,
    request: RequestRef,
    intent: Stored,
    whole: Vec<u8>,
}

impl ToBeSigned {
    /// Index of the intent.
    #[must_use]
    pub const fn intent(&self) -> u64 {
        self.intent.0.index
    }

    /// Has the key sign, once, and verifies the signature over the same bytes.
    ///
    /// # Errors
    /// [`DoorError::NotSigned`] when the key was not called, [`DoorError::FateUnknown`] when a signature may exist.
    pub fn sign(self, keeper: &dyn Keeper, deadline: Duration, steps: &dyn Steps) -> Result<Verified, DoorError> {
        let signature = keeper.sign(self.intent(), deadline);
        self.signed(keeper, signature, steps)
    }

    /// Verifies what the keeper answered.
    fn signed(
        self,
        keeper: &dyn Keeper,
        signature: Result<Vec<u8>, SignFault>,
        steps: &dyn Steps,
    ) -> Result<Verified, DoorError> {
        let index = self.intent();
        let Self {
            linted,
            request,
            intent,
        } = self;
        let signature = match signature {
            Ok(signature) => signature,
            Err(SignFault::NotSigned(cause)) => {
                let reason = cause.to_string().chars().take(500).collect();
                let failed = keeper.commit(&Body::Failed(Failed { intent: index, reason }));
                let at = failed.map_err(|fault| given_up(keeper, index, fault))?;
                return Err(DoorError::NotSigned { at: at.index, cause });
            }
            Err(SignFault::FateUnknown(cause)) => return Err(unknown(keeper, index, cause)),
        };
        steps.at(Step::AfterSign);
        let verified = linted.signer.verify(linted.algorithm, &linted.tbs, &signature);
        let whole = verified.and_then(|()| assemble(&linted.tbs, linted.algorithm, &signature));
        match whole {
            Ok(whole) => Ok(Verified {
                linted,
                request,
                intent,
                whole,
            }),
            Err(error) => Err(unknown(keeper, index, error.to_string())),
        }
    }
}

/// The keeper may know already, or be gone; it settles what is open when it starts.
fn unknown(keeper: &dyn Keeper, intent: u64, cause: String) -> DoorError {
    let _ = keeper.give_up(intent, &cause);
    DoorError::FateUnknown { intent, cause }
}

/// The outcome could not be recorded. Where it stands all the same the keeper refuses this; otherwise it settles the
/// intent, which nobody else would.
fn given_up(keeper: &dyn Keeper, intent: u64, fault: KeeperFault) -> DoorError {
    let _ = keeper.give_up(intent, &fault.to_string());
    fault.into()
}

/// What the caller receives (P2).
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, CRL or request in DER.
    pub whole: Vec<u8>,
    /// What it is.
    pub purpose: Purpose,
    /// Index of the intent.
    pub intent: u64,
    /// The outcome's record, checkpoint and proof.
    pub committed: Committed,
    /// Intent and outcome as they stand in the log.
    pub stored: [Stored; 2],
}

impl Issued {
    /// The `tlog-proof`: with the certificate and the verifier key it is all that an offline check needs.
    #[must_use]
    pub fn tlog_proof(&self) -> TlogProof {
        TlogProof {
            extra: Some(self.committed.record.clone()),
            index: self.committed.index,
            hashes: self.committed.proof.iter().map(|h| Digest(*h)).collect(),
            checkpoint: self.committed.checkpoint.clone(),
        }
    }
}

impl Verified {
    /// Index of the intent.
    #[must_use]
    pub const fn intent(&self) -> u64 {
        self.intent.0.index
    }

    /// The whole, as it will be recorded.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// Records the outcome; `payload` is the whole, chunked where it must be.
    ///
    /// # Errors
    /// When it cannot be recorded: then nobody gets the certificate, and the keeper settles the intent as unknown.
    pub fn commit(self, keeper: &dyn Keeper, payload: Payload, steps: &dyn Steps) -> Result<Issued, DoorError> {
        let Self {
            linted,
            request,
            intent,
            whole,
        } = self;
        let index = intent.0.index;
        let issued = record::Issued {
            intent: index,
            request,
            purpose: linted.purpose,
            key: linted.key,
            serial: linted.serial,
            sha256: Digest::of(&whole),
            signed: payload,
        };
        steps.at(Step::BeforeOutcome);
        let body = Body::Issued(Box::new(issued));
        let committed = keeper.commit(&body)?;
        steps.at(Step::AfterOutcome);
        let outcome = Record {
            index: committed.index,
            time: committed.time,
            body,
        };
        Ok(Issued {
            whole,
            purpose: linted.purpose,
            intent: index,
            stored: [intent, (outcome, committed.record.clone())],
            committed,
        })
    }
}
