//! Requests as callers see them: what the index knows, with what the records hold.

use stele_api::convert::{sign_request_to_wire, state_to_wire, time_to_wire};
use stele_api::status::{Failure, Reason};
use stele_api::v1;
use stele_core::record::{Body, Proposal, Refused};
use stele_core::request::{Context, KeyProof, RequestState, SignRequest, Wanted};
use stele_core::tbs::parse_tbs;
use stele_core::types::{CallerSan, RequestId};
use stele_index::{Name, ProposalView, RequestView, State, subject_text};

use crate::clock;
use crate::error::SignerError;
use crate::proposals::quorum;
use crate::signer::Signer;
use crate::snapshot::Snapshot;

/// How much of a request to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Everything.
    Whole,
    /// Without TBS, approvals and certificate, for lists.
    Brief,
}

impl Signer {
    /// A request, whole.
    ///
    /// # Errors
    /// When there is none, or what is known of it cannot be read.
    pub(crate) fn show(&self, snapshot: &Snapshot, caller: &CallerSan, id: &RequestId) -> Result<v1::Request, Failure> {
        let found = self.reader.request(caller, id).map_err(SignerError::from)?;
        let view =
            found.ok_or_else(|| Failure::new(Reason::RequestNotFound, format!("no request {id} of {caller}")))?;
        self.view(snapshot, &view, Detail::Whole)
    }

    /// A request as the index knows it.
    ///
    /// # Errors
    /// When a record of it cannot be read.
    pub(crate) fn view(&self, snapshot: &Snapshot, view: &RequestView, detail: Detail) -> Result<v1::Request, Failure> {
        let first = self.keeper.record(view.first).map_err(SignerError::from)?;
        let last = self.keeper.record(view.last).map_err(SignerError::from)?;
        let mut wire = v1::Request {
            caller: view.caller.to_string(),
            attempt: view.attempt.max(1),
            state: state_to_wire(RequestState::Signing).into(),
            asked: None,
            digest_sha256: view.digest.0.to_vec(),
            created: Some(time_to_wire(first.time)),
            updated: Some(time_to_wire(last.time)),
            position: Some(self.position(view.last).into()),
            proposal: None,
            violations: Vec::new(),
            issued: None,
            reason: String::new(),
        };
        let state = self.fill(snapshot, view, &last.body, detail, &mut wire)?;
        wire.state = state_to_wire(state).into();
        let asked = self.asked(view, &last.body)?;
        wire.asked = Some(sign_request_to_wire(&asked));
        Ok(wire)
    }

    fn fill(
        &self,
        snapshot: &Snapshot,
        view: &RequestView,
        last: &Body,
        detail: Detail,
        wire: &mut v1::Request,
    ) -> Result<RequestState, Failure> {
        Ok(match &view.state {
            State::Refused { .. } => {
                if let Body::Refusal(refused) = last {
                    wire.violations = refused.violations.iter().cloned().map(Into::into).collect();
                }
                RequestState::Refused
            }
            State::Pending(proposal) => return self.fill_pending(snapshot, proposal, detail, wire),
            State::Denied { .. } => {
                if let Body::Decision(decision) = last {
                    let why = decision.comment.as_ref().map(|words| format!(": {words}"));
                    wire.reason = format!("denied by {}{}", decision.operator, why.unwrap_or_default());
                }
                RequestState::Denied
            }
            State::Withdrawn { .. } => {
                if let Body::Withdrawal(withdrawal) = last {
                    wire.reason = withdrawal.reason.clone().unwrap_or_default();
                }
                RequestState::Withdrawn
            }
            State::Intended { .. } => RequestState::Signing,
            State::Issued { outcome, key, .. } => {
                wire.issued = Some(match detail {
                    Detail::Whole => self.replay(snapshot, *outcome, key, view.attempt)?.into(),
                    Detail::Brief => v1::Issued {
                        position: Some(self.position(*outcome).into()),
                        attempt: view.attempt,
                        ..v1::Issued::default()
                    },
                });
                RequestState::Issued
            }
            State::Failed { .. } => {
                if let Body::Failed(failed) = last {
                    wire.reason.clone_from(&failed.reason);
                }
                RequestState::Failed
            }
            State::Unknown { .. } => {
                if let Body::Unknown(unknown) = last {
                    wire.reason.clone_from(&unknown.reason);
                }
                RequestState::FateUnknown
            }
        })
    }

    fn fill_pending(
        &self,
        snapshot: &Snapshot,
        view: &ProposalView,
        detail: Detail,
        wire: &mut v1::Request,
    ) -> Result<RequestState, Failure> {
        let recorded = self.proposal(view.index)?;
        wire.proposal = Some(self.proposal_to_wire(snapshot, view, &recorded, detail)?);
        if clock::now() >= view.expires {
            return Ok(RequestState::Expired);
        }
        if let Some(refusal) = snapshot.void(&recorded)? {
            wire.violations = refusal.violations.into_iter().map(Into::into).collect();
            return Ok(RequestState::Void);
        }
        Ok(RequestState::Pending)
    }

    fn proposal_to_wire(
        &self,
        snapshot: &Snapshot,
        view: &ProposalView,
        recorded: &Proposal,
        detail: Detail,
    ) -> Result<v1::Proposal, Failure> {
        let mut wire = v1::Proposal {
            position: Some(self.position(view.index).into()),
            tbs_der: Vec::new(),
            issuer: recorded.key.to_string(),
            profile_sha256: recorded.profile.sha256.0.to_vec(),
            quorum: Some(quorum(snapshot.authority()?, &recorded.need, &recorded.request.caller)?.into()),
            expires: Some(time_to_wire(view.expires)),
            approvals: Vec::new(),
            previous_certificate_der: Vec::new(),
        };
        if detail == Detail::Brief {
            return Ok(wire);
        }
        wire.tbs_der.clone_from(&recorded.tbs.0);
        wire.previous_certificate_der = self.previous_certificate(recorded)?;
        for decision in view.decisions.iter().filter(|d| d.approve) {
            let record = self.keeper.record(decision.index).map_err(SignerError::from)?;
            wire.approvals.push(v1::Approval {
                operator: decision.operator.to_string(),
                time: Some(time_to_wire(record.time)),
                position: Some(self.position(decision.index).into()),
                signed_text: Some(decision.text.clone().into()),
            });
        }
        Ok(wire)
    }

    /// The newest unexpired certificate of the same subject from the same issuer, for comparison.
    fn previous_certificate(&self, recorded: &Proposal) -> Result<Vec<u8>, Failure> {
        let view = parse_tbs(&recorded.tbs.0).map_err(SignerError::from)?;
        let Ok(subject) = view.subject else {
            return Ok(Vec::new());
        };
        let name = Name::Subject(subject_text(&subject));
        let found = self.reader.newest_certificate(&name).map_err(SignerError::from)?;
        let same = found.filter(|c| c.key == recorded.key && c.not_after > clock::now());
        Ok(same.map(|c| c.der).unwrap_or_default())
    }

    /// What was asked: proposals and intents hold it whole; a refusal names its id, profile and digest only.
    fn asked(&self, view: &RequestView, last: &Body) -> Result<SignRequest, Failure> {
        let recorded = match (view.intent, &view.state) {
            (_, State::Pending(proposal)) => Some(self.proposal(proposal.index)?.asked),
            (_, State::Denied { proposal, .. } | State::Withdrawn { proposal, .. }) => {
                Some(self.proposal(*proposal)?.asked)
            }
            (Some(intent), _) => match self.keeper.record(intent).map_err(SignerError::from)?.body {
                Body::Intent(intent) => intent.asked,
                _ => None,
            },
            _ => None,
        };
        if let Some(asked) = recorded {
            return Ok(asked);
        }
        if let Body::Refusal(Refused { asked: Some(asked), .. }) = last {
            return Ok((**asked).clone());
        }
        let profile = match (&view.profile, last) {
            (Some(profile), _) => profile.clone(),
            (None, Body::Refusal(refused)) => refused.profile.clone(),
            (None, _) => return Err(Failure::new(Reason::RequestNotFound, "no request under a profile")),
        };
        Ok(SignRequest {
            id: view.id.clone(),
            profile,
            issuer: None,
            proof: KeyProof::Pkcs10(Vec::new()),
            wanted: Wanted::default(),
            context: Context::default(),
        })
    }
}

/// The state that a filter of the contract asks for, as the index knows it.
pub(crate) const fn index_state(state: RequestState) -> stele_index::StateKind {
    use stele_index::StateKind;
    match state {
        RequestState::Pending | RequestState::Expired | RequestState::Void => StateKind::Pending,
        RequestState::Signing => StateKind::Intended,
        RequestState::Issued => StateKind::Issued,
        RequestState::Refused => StateKind::Refused,
        RequestState::Denied => StateKind::Denied,
        RequestState::Withdrawn => StateKind::Withdrawn,
        RequestState::Failed => StateKind::Failed,
        RequestState::FateUnknown => StateKind::Unknown,
    }
}
