//! From a request to a certificate: look-up, judgement, and the passage through the door.

mod judge;

pub(crate) use judge::{frozen, within_ceiling};

use stele_api::convert::{Issued, SignAnswer};
use stele_api::status::{Failure, Reason};
use stele_core::door::{Asked, Authorised, DoorError, Evidence, Linted, Verified};
use stele_core::keeping::Keeper as _;
use stele_core::profile::Approval;
use stele_core::record::{Payload, Purpose, RequestRef};
use stele_core::request::SignRequest;
use stele_core::types::Digest;
use stele_index::{RequestView, State};

use crate::approvals::Settled;
use crate::clock;
use crate::error::SignerError;
use crate::reservations::Reserved;
use crate::signer::{Signer, Who};
use crate::snapshot::{Ca, Snapshot};

/// The method that records name when a rate is exceeded.
const SIGN: &str = "/stele.v1.SigningService/Sign";

/// What the look-up found.
enum Standing {
    /// The request has its answer.
    Answered(Box<SignAnswer>),
    /// A new attempt is to be made.
    Next {
        /// Its number, from 1.
        attempt: u32,
        /// The intent of the one before.
        previous: Option<u64>,
    },
}

impl Signer {
    /// Answers a request for a certificate.
    ///
    /// # Errors
    /// When it is refused, or cannot be signed now.
    pub(crate) fn sign(&self, who: &Who, request: &SignRequest) -> Result<SignAnswer, Failure> {
        let snapshot = self.snapshot.load_full();
        let mut reserved = self.reserve(who.san(), &request.id)?;
        let digest = request.digest();
        let (attempt, previous) = match self.standing(who, request, digest, &snapshot, &mut reserved)? {
            Standing::Answered(answer) => return Ok(*answer),
            Standing::Next { attempt, previous } => (attempt, previous),
        };
        let now = clock::now();
        let rate = self.profile(who, request, &snapshot).ok().and_then(|p| p.rate.as_ref());
        self.rates
            .take(rate, who.san(), &request.profile, now)
            .map_err(|failure| self.turn_away(who.san(), SIGN, failure))?;
        let (linted, ca) = self
            .judge(who, request, &snapshot)?
            .map_err(|(reason, refusal)| self.refuse(who, request, reason, refusal))?;
        let attempt = RequestRef {
            caller: who.san().clone(),
            id: request.id.clone(),
            attempt,
            digest,
        };
        if let Some(Approval::Quorum { .. }) = linted.approval() {
            return self
                .propose(&snapshot, request, attempt, &linted)
                .map(SignAnswer::Pending);
        }
        let asked = Asked {
            request: attempt,
            bundle: Some(snapshot.bundle_digest()?),
            asked: Some(request.clone()),
            previous,
        };
        let issued = self.pass_door(ca, linted, Evidence::Policy, asked, &mut reserved)?;
        Ok(SignAnswer::Issued(Box::new(issued)))
    }

    /// What the index knows of the request.
    fn standing(
        &self,
        who: &Who,
        request: &SignRequest,
        digest: Digest,
        snapshot: &Snapshot,
        reserved: &mut Reserved,
    ) -> Result<Standing, Failure> {
        let found = self.reader.request(who.san(), &request.id).map_err(SignerError::from)?;
        let Some(view) = found else {
            return Ok(Standing::Next {
                attempt: 1,
                previous: None,
            });
        };
        if view.is_bound() && view.digest != digest {
            let why = format!(
                "the id {} belongs to another request, with digest {}",
                view.id, view.digest
            );
            return Err(Failure::new(Reason::RequestIdReused, why));
        }
        match &view.state {
            State::Issued { outcome, key, .. } => {
                let answer = self.replay(snapshot, *outcome, key, view.attempt)?;
                Ok(Standing::Answered(Box::new(SignAnswer::Issued(Box::new(answer)))))
            }
            State::Pending(proposal) => self.standing_proposal(snapshot, &view, proposal, reserved),
            State::Denied { .. } | State::Withdrawn { .. } => {
                let why = format!("the request {} was denied or withdrawn", view.id);
                Err(Failure::new(Reason::RequestClosed, why).of_attempt(view.id, view.attempt))
            }
            State::Intended { .. } => {
                let why = "the fate of an earlier attempt is not recorded yet";
                Err(Failure::new(Reason::RequestInProgress, why).retry_after(std::time::Duration::from_secs(1)))
            }
            State::Refused { .. } | State::Failed { .. } | State::Unknown { .. } => Ok(next(&view)),
        }
    }

    fn standing_proposal(
        &self,
        snapshot: &Snapshot,
        view: &RequestView,
        proposal: &stele_index::ProposalView,
        reserved: &mut Reserved,
    ) -> Result<Standing, Failure> {
        let answer = match self.settle(snapshot, view, proposal, reserved)? {
            Settled::Waits(recorded) => SignAnswer::Pending(self.pending(snapshot, &recorded, proposal.index)?),
            Settled::Issued(issued) => SignAnswer::Issued(issued),
            Settled::Lapsed | Settled::Void => return Ok(next(view)),
        };
        Ok(Standing::Answered(Box::new(answer)))
    }

    /// Records, signs, verifies, records. The reservation then stands for the outcome until the index has it, so that the
    /// next look-up finds it.
    pub(crate) fn pass_door(
        &self,
        ca: &Ca,
        linted: Linted,
        evidence: Evidence,
        asked: Asked,
        reserved: &mut Reserved,
    ) -> Result<Issued, Failure> {
        let request = asked.request.clone();
        let of_attempt = |error: SignerError| {
            self.metrics.unsigned.add();
            Failure::from(error).of_attempt(request.id.clone(), request.attempt)
        };
        let issued = self.through_door(linted, evidence, asked).map_err(of_attempt)?;
        reserved.leave(issued.committed.index);
        self.metrics.issued.add();
        tracing::info!(index = issued.committed.index, intent = issued.intent, "issued");
        let answer = Issued {
            chain: ca.below_root().to_vec(),
            tlog_proof: issued.tlog_proof().to_string(),
            record: issued.committed.record,
            position: self.position(issued.committed.index),
            checkpoint: issued.committed.checkpoint,
            certificate: issued.whole,
            attempt: request.attempt,
        };
        self.answered(issued.stored)?;
        Ok(answer)
    }

    /// The door itself, for certificates and CRLs. The index does not have the outcome yet.
    ///
    /// # Errors
    /// When it did not open.
    pub(crate) fn through_door(
        &self,
        linted: Linted,
        evidence: Evidence,
        asked: Asked,
    ) -> Result<stele_core::door::Issued, SignerError> {
        let purpose = linted.purpose();
        self.require_witnesses(purpose)?;
        let tbs = self.keeper.payload(linted.tbs())?;
        let authorised = linted.authorise(evidence)?;
        let done = self
            .signed(authorised, asked, tbs, purpose)
            .and_then(|verified| self.commit(verified));
        Ok(done.inspect_err(|error| {
            tracing::warn!(%error, "not issued");
            // What was recorded of it has to be found by a retry; when it cannot be read now, the retry reads it.
            self.doubts.add();
            let _ = self.catch_up();
        })?)
    }

    /// Intent and signature in one exchange with the keeper, but where witnesses must see the one before the other.
    fn signed(
        &self,
        authorised: Authorised,
        asked: Asked,
        tbs: Payload,
        purpose: Purpose,
    ) -> Result<Verified, DoorError> {
        let (keeper, steps, deadline) = (&self.keeper, &*self.steps, self.deadline());
        if !self.waits_for_witnesses(purpose) {
            return authorised.record_and_sign(keeper, asked, tbs, deadline, steps);
        }
        let recorded = authorised.record(keeper, asked, tbs, steps)?;
        self.await_witnesses(recorded.intent());
        recorded.sign(keeper, deadline, steps)
    }

    fn commit(&self, verified: Verified) -> Result<stele_core::door::Issued, DoorError> {
        let (keeper, intent) = (&self.keeper, verified.intent());
        let whole = keeper.payload(verified.whole()).map_err(DoorError::Keeper);
        let done = whole.and_then(|whole| verified.commit(keeper, whole, &*self.steps));
        done.inspect_err(|error| {
            // Where it has an outcome the keeper refuses this; otherwise nobody else would ever settle it.
            let _ = keeper.give_up(intent, &error.to_string());
        })
    }
}

fn next(view: &RequestView) -> Standing {
    Standing::Next {
        attempt: view.attempt.saturating_add(1),
        previous: view.intent,
    }
}
