//! Operators' words on proposals, and what follows when enough of them agree.

mod check;

use stele_api::convert::Issued;
use stele_api::status::{Failure, Reason};
use stele_core::Error;
use stele_core::authority::texts::{ApprovalText, Decision as Word, OperatorText as _};
use stele_core::authority::{Authority, counted};
use stele_core::door::{Asked, Evidence, Linted};
use stele_core::record::{Body, Decision, Proposal, Withdrawal};
use stele_core::types::{CallerSan, OperatorName, RequestId, SignedText, Time};
use stele_index::{ProposalView, RequestView, State};

use crate::clock;
use crate::error::SignerError;
use crate::issue::within_ceiling;
use crate::reservations::Reserved;
use crate::signer::Signer;
use crate::snapshot::Snapshot;
use check::{fits, permitted, role, still_good, verify};

/// What became of a proposal when it was looked at again.
pub(crate) enum Settled {
    /// It waits for more operators.
    Waits(Box<Proposal>),
    /// The quorum is there, and the certificate with it.
    Issued(Box<Issued>),
    /// The approvals did not come in time.
    Lapsed,
    /// Something that it rests on changed.
    Void,
}

/// Where a decision was recorded, and what followed.
pub(crate) struct Decided {
    /// The decision's index.
    pub(crate) index: u64,
    /// Whose request.
    pub(crate) requester: CallerSan,
    /// Its id.
    pub(crate) id: RequestId,
}

impl Signer {
    /// Takes an operator's decision. When it completes the quorum the certificate is issued before this returns.
    ///
    /// # Errors
    /// When the text does not read, verify or fit a proposal that waits; when its signer may not decide; and when the
    /// certificate could not be issued, though the decision stands.
    pub(crate) fn decide(&self, signed: &SignedText, word: Word, comment: &str) -> Result<Decided, Failure> {
        let invalid = |error: Error| Failure::from_error(Reason::SignedTextInvalid, error);
        let text: ApprovalText = signed.text.parse().map_err(invalid)?;
        text.check(&self.origin, clock::now()).map_err(invalid)?;
        if text.decision != word {
            let error = Error::malformed("decision", text.decision.to_string(), word.to_string());
            return Err(invalid(error));
        }
        let key = verify(signed).map_err(invalid)?;
        let snapshot = self.snapshot.load_full();
        let mut reserved = self.reserve(&text.requester, &text.request)?;
        let (view, proposal, recorded) = self.waiting(&text)?;
        fits(&text, &recorded).map_err(invalid)?;
        let operator = permitted(snapshot.authority()?, &recorded, key)?;
        if proposal.decisions.iter().any(|d| d.operator == operator && d.approve) && word == Word::Approve {
            let why = format!("{operator} approved this already");
            return Err(Failure::new(Reason::OperatorNotPermitted, why));
        }
        let body = Body::Decision(Decision {
            proposal: proposal.index,
            operator: operator.clone(),
            approve: word == Word::Approve,
            text: signed.clone(),
            comment: words(comment),
        });
        let at = self.append(&body)?;
        tracing::info!(index = at.index, %operator, decision = %word, "decided");
        if word == Word::Approve {
            self.settle_again(&snapshot, &view, &mut reserved)?;
        }
        Ok(Decided {
            index: at.index,
            requester: text.requester,
            id: text.request,
        })
    }

    fn settle_again(&self, snapshot: &Snapshot, before: &RequestView, reserved: &mut Reserved) -> Result<(), Failure> {
        let found = self
            .reader
            .request(&before.caller, &before.id)
            .map_err(SignerError::from)?;
        let Some(view) = found else { return Ok(()) };
        if let State::Pending(proposal) = &view.state {
            self.settle(snapshot, &view, proposal, reserved)?;
        }
        Ok(())
    }

    /// The proposal that a text is about.
    fn waiting(&self, text: &ApprovalText) -> Result<(RequestView, ProposalView, Proposal), Failure> {
        let found = self
            .reader
            .request(&text.requester, &text.request)
            .map_err(SignerError::from)?;
        let view = found.ok_or_else(|| {
            let why = format!("no request {} of {}", text.request, text.requester);
            Failure::new(Reason::RequestNotFound, why)
        })?;
        let closed = |why: &str| {
            Failure::new(Reason::RequestClosed, format!("request {}: {why}", view.id))
                .of_attempt(view.id.clone(), view.attempt)
        };
        if view.attempt != text.attempt {
            return Err(closed(&format!("attempt {} is the newest", view.attempt)));
        }
        let State::Pending(proposal) = view.state.clone() else {
            return Err(closed("it waits no more"));
        };
        if clock::now() >= proposal.expires {
            return Err(closed("its approvals did not come in time"));
        }
        let recorded = self.proposal(proposal.index)?;
        Ok((view, proposal, recorded))
    }

    /// The proposal recorded at `index`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn proposal(&self, index: u64) -> Result<Proposal, SignerError> {
        match self.keeper.record(index)?.body {
            Body::Proposal(proposal) => Ok(*proposal),
            other => Err(Error::malformed(format!("record {index}"), other.kind(), "proposal").into()),
        }
    }

    /// Looks at a proposal again, and issues when the quorum is there.
    ///
    /// # Errors
    /// When the keeper or the index fails, or the door does not open.
    pub(crate) fn settle(
        &self,
        snapshot: &Snapshot,
        view: &RequestView,
        proposal: &ProposalView,
        reserved: &mut Reserved,
    ) -> Result<Settled, Failure> {
        let now = clock::now();
        if now >= proposal.expires {
            return Ok(Settled::Lapsed);
        }
        let recorded = self.proposal(proposal.index)?;
        let (profile, ca) = match still_good(snapshot, &recorded, now)? {
            Ok(found) => found,
            Err(_) => return Ok(Settled::Void),
        };
        let Some(texts) = self.quorum(snapshot.authority()?, &recorded, proposal, now)? else {
            return Ok(Settled::Waits(Box::new(recorded)));
        };
        let linted = match Linted::proposal(&recorded, profile, ca.key.clone()) {
            Ok(linted) => linted,
            Err(_) => return Ok(Settled::Void),
        };
        if within_ceiling(&linted, snapshot.authority()?).is_err() {
            return Ok(Settled::Void);
        }
        let evidence = Evidence::Approvals {
            texts,
            proposal: proposal.index,
        };
        let asked = Asked {
            request: recorded.request,
            bundle: Some(snapshot.bundle_digest()?),
            asked: Some(recorded.asked),
            previous: view.intent,
        };
        let issued = self.pass_door(ca, linted, evidence, asked, reserved)?;
        Ok(Settled::Issued(Box::new(issued)))
    }

    /// The approving texts, when those who made them are enough now: a withdrawn operator voids only their own.
    fn quorum(
        &self,
        authority: &Authority,
        recorded: &Proposal,
        proposal: &ProposalView,
        now: Time,
    ) -> Result<Option<Vec<SignedText>>, Failure> {
        let role = role(recorded)?;
        let mut people: Vec<OperatorName> = Vec::new();
        let mut texts = Vec::new();
        for decision in proposal.decisions.iter().filter(|d| d.approve) {
            let valid = decision.text.text.parse::<ApprovalText>().is_ok_and(|text| {
                text.check(&self.origin, now).is_ok() && text.decision == Word::Approve && fits(&text, recorded).is_ok()
            });
            let Some(key) = verify(&decision.text).ok().filter(|_| valid) else {
                continue;
            };
            let counts = counted(authority, &role, &[key], Some(&recorded.request.caller));
            for operator in counts {
                if !people.contains(&operator) {
                    people.push(operator);
                    texts.push(decision.text.clone());
                }
            }
        }
        let enough = people.len() >= usize::try_from(recorded.need.m.max(1)).unwrap_or(usize::MAX);
        Ok(enough.then_some(texts))
    }

    /// Takes a proposal back.
    ///
    /// # Errors
    /// When there is none of this caller that waits.
    pub(crate) fn withdraw(&self, caller: &CallerSan, id: &RequestId, reason: &str) -> Result<u64, Failure> {
        let _reserved = self.reserve(caller, id)?;
        let found = self.reader.request(caller, id).map_err(SignerError::from)?;
        let view = found.ok_or_else(|| Failure::new(Reason::RequestNotFound, format!("no request {id} of yours")))?;
        let State::Pending(proposal) = view.state else {
            let why = format!("the request {id} waits no more");
            return Err(Failure::new(Reason::RequestClosed, why).of_attempt(view.id, view.attempt));
        };
        let body = Body::Withdrawal(Withdrawal {
            proposal: proposal.index,
            caller: caller.clone(),
            reason: words(reason),
        });
        let at = self.append(&body)?;
        tracing::info!(index = at.index, reason, "withdrawn");
        Ok(at.index)
    }
}

/// Free words for the record; none when nothing was said.
pub(crate) fn words(said: &str) -> Option<String> {
    (!said.is_empty()).then(|| said.to_owned())
}
