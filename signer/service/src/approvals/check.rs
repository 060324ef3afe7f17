//! The checks of signed texts against proposals, and of proposals against what is in force now.

use stele_api::status::{Failure, Reason};
use stele_core::authority::texts::{ApprovalText, OperatorText as _};
use stele_core::authority::{Authority, VerifiedText, counted};
use stele_core::profile::{Profile, Role};
use stele_core::record::Proposal;
use stele_core::tbs::parse_tbs;
use stele_core::types::{OperatorName, SignedText, Time};
use stele_core::{Error, Refusal, Violation, sshsig};

use crate::clock;
use crate::error::SignerError;
use crate::issue::frozen;
use crate::snapshot::{Ca, Snapshot};

/// The key that made the signature, as a line of `authorized_keys` without a comment.
pub(super) fn verify(signed: &SignedText) -> Result<VerifiedText, Error> {
    let key = sshsig::verify(signed, ApprovalText::NAMESPACE)?;
    Ok(VerifiedText {
        key: key.to_string(),
        text: signed.text.clone(),
    })
}

/// Whether a text is about this very proposal.
pub(super) fn fits(text: &ApprovalText, proposal: &Proposal) -> Result<(), Error> {
    let pairs = [
        ("request", text.request.to_string(), proposal.request.id.to_string()),
        (
            "attempt",
            text.attempt.to_string(),
            proposal.request.attempt.to_string(),
        ),
        (
            "requester",
            text.requester.to_string(),
            proposal.request.caller.to_string(),
        ),
        (
            "tbs-sha256",
            text.tbs_sha256.to_string(),
            proposal.tbs_sha256.to_string(),
        ),
        (
            "profile-sha256",
            text.profile_sha256.to_string(),
            proposal.profile.sha256.to_string(),
        ),
    ];
    match pairs.into_iter().find(|(_, found, permitted)| found != permitted) {
        Some((line, found, permitted)) => Err(Error::malformed(line, found, permitted)),
        None => Ok(()),
    }
}

pub(super) fn role(proposal: &Proposal) -> Result<Role, Failure> {
    proposal
        .need
        .role
        .parse()
        .map_err(|e: Error| Failure::from_error(Reason::Internal, e))
}

/// The operator whose key signed, when they may decide about this proposal.
pub(super) fn permitted(
    authority: &Authority,
    proposal: &Proposal,
    key: VerifiedText,
) -> Result<OperatorName, Failure> {
    let role = role(proposal)?;
    counted(authority, &role, &[key], Some(&proposal.request.caller))
        .into_iter()
        .next()
        .ok_or_else(|| {
            let why =
                format!("the key is no operator's with the role `{role}`, or that operator's caller asked for this");
            Failure::new(Reason::OperatorNotPermitted, why)
        })
}

/// Everything that a proposal rests on, checked again: profile, requester, issuer, freezes, dates.
pub(super) fn still_good<'s>(
    snapshot: &'s Snapshot,
    recorded: &Proposal,
    now: Time,
) -> Result<Result<(&'s Profile, &'s Ca), Refusal>, Failure> {
    let authority = snapshot.authority()?;
    let void = |field: &str, found: &str, permitted: &str| {
        Ok(Err(Refusal::one(Violation::new(
            field,
            "proposal-void",
            found,
            permitted,
        ))))
    };
    let profile = authority
        .profile(&recorded.profile.name)
        .filter(|p| p.digest() == recorded.profile.sha256);
    let Some(profile) = profile else {
        return void(
            "profile",
            "a profile that changed since",
            "the profile that judged; ask again",
        );
    };
    let caller = authority.caller_by_san(&recorded.request.caller);
    if !caller.is_some_and(|c| profile.callers.contains(&c.name)) {
        return void(
            "requester",
            "a caller that may no longer ask",
            "a caller of the profile",
        );
    }
    let Some(ca) = snapshot
        .cas
        .get(&recorded.key)
        .filter(|_| profile.issuers.contains(&recorded.key))
    else {
        return void("issuer", recorded.key.as_str(), "an issuer of the profile");
    };
    if let Some(violation) = frozen(profile, &recorded.key, snapshot) {
        return Ok(Err(Refusal::one(violation)));
    }
    let view = parse_tbs(&recorded.tbs.0).map_err(SignerError::from)?;
    if view.issuer_der != ca.issuer.subject_der || view.not_after > ca.issuer.not_after {
        return void(
            "issuer",
            "a certificate of the issuer that was replaced",
            "the same issuer; ask again",
        );
    }
    if now > view.not_after {
        return void("validity", "dates that have passed", "dates to come; ask again");
    }
    Ok(Ok((profile, ca)))
}

impl Snapshot {
    /// Why a proposal that waits is void, if it is.
    ///
    /// # Errors
    /// When there is no bundle, or the proposal does not read.
    pub(crate) fn void(&self, recorded: &Proposal) -> Result<Option<Refusal>, Failure> {
        Ok(still_good(self, recorded, clock::now())?.err())
    }
}
