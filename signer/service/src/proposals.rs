//! Proposals: requests whose exact bytes are fixed and wait for operators.

use std::sync::PoisonError;
use std::time::Duration;

use stele_api::convert::{Pending, Quorum};
use stele_api::status::{Failure, Reason};
use stele_core::Error;
use stele_core::authority::Authority;
use stele_core::door::Linted;
use stele_core::profile::{Approval, Role};
use stele_core::record::{self, Body, Need, RequestRef};
use stele_core::request::SignRequest;
use stele_core::types::CallerSan;
use stele_index::{RequestFilter, StateKind};

use crate::clock;
use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot::Snapshot;

/// When to look again whether operators have decided something.
const PEOPLE_DECIDE: Duration = Duration::from_secs(60);

impl Signer {
    /// Records a proposal.
    ///
    /// # Errors
    /// When the caller has too many that wait, or it cannot be recorded.
    pub(crate) fn propose(
        &self,
        snapshot: &Snapshot,
        request: &SignRequest,
        attempt: RequestRef,
        linted: &Linted,
    ) -> Result<Pending, Failure> {
        // Until the append is indexed, since the room is counted there.
        let _turn = self.proposing.lock().unwrap_or_else(PoisonError::into_inner);
        self.room_for_one_more(&attempt.caller)?;
        let incomplete = || Failure::new(Reason::Internal, "a certificate without serial, profile or quorum");
        let Some(Approval::Quorum { m, role, expires }) = linted.approval() else {
            return Err(incomplete());
        };
        let proposal = record::Proposal {
            request: attempt,
            profile: linted.profile().cloned().ok_or_else(incomplete)?,
            bundle: snapshot.bundle_digest()?,
            purpose: linted.purpose(),
            key: linted.key().clone(),
            algorithm: linted.algorithm(),
            tbs: linted.tbs().to_vec().into(),
            tbs_sha256: linted.tbs_sha256(),
            serial: linted.serial().cloned().ok_or_else(incomplete)?,
            asked: request.clone(),
            need: Need {
                m: *m,
                role: role.to_string(),
            },
            expires: clock::now().plus_secs(expires.0),
        };
        let at = self.append(&Body::Proposal(Box::new(proposal.clone())))?;
        self.metrics.proposed.add();
        tracing::info!(index = at.index, "proposed");
        self.pending(snapshot, &proposal, at.index)
    }

    fn room_for_one_more(&self, caller: &CallerSan) -> Result<(), Failure> {
        let most = self.config.limits.open_requests;
        let filter = RequestFilter {
            caller: Some(caller.clone()),
            state: Some(StateKind::Pending),
            profile: None,
        };
        let open = self
            .reader
            .list_requests(&filter, None, most.saturating_add(1))
            .map_err(SignerError::from)?;
        let now = clock::now();
        let waiting = open.items.iter().filter(|view| match &view.state {
            stele_index::State::Pending(proposal) => now < proposal.expires,
            _ => false,
        });
        if waiting.count() >= usize::try_from(most).unwrap_or(usize::MAX) {
            let why = format!("{most} requests of yours wait for operators");
            return Err(Failure::new(Reason::TooManyOpenRequests, why).retry_after(PEOPLE_DECIDE));
        }
        Ok(())
    }

    /// What the requester is told about a proposal that waits.
    ///
    /// # Errors
    /// When the role in it does not read.
    pub(crate) fn pending(
        &self,
        snapshot: &Snapshot,
        proposal: &record::Proposal,
        index: u64,
    ) -> Result<Pending, Failure> {
        Ok(Pending {
            proposal: self.position(index),
            request_id: proposal.request.id.clone(),
            attempt: proposal.request.attempt,
            quorum: quorum(snapshot.authority()?, &proposal.need, &proposal.request.caller)?,
            expires: proposal.expires,
        })
    }
}

/// Who must approve; operators for whom the requester acts do not count.
///
/// # Errors
/// When the role does not read.
pub(crate) fn quorum(authority: &Authority, need: &Need, requester: &CallerSan) -> Result<Quorum, Failure> {
    let role: Role = need
        .role
        .parse()
        .map_err(|e: Error| Failure::from_error(Reason::Internal, e))?;
    let eligible = authority
        .operators_with(&role)
        .filter(|operator| !operator.acts_as.contains(requester))
        .count();
    Ok(Quorum {
        required: need.m,
        eligible: u32::try_from(eligible).unwrap_or(u32::MAX),
        roles: vec![need.role.clone()],
    })
}
