//! The judgement of a request: profile, issuer, freezes, key, policy, lints, ceiling.

use stele_api::status::{Failure, Reason};
use stele_core::authority::{Authority, ceiling};
use stele_core::csr::{Limits, ProvenRequest};
use stele_core::door::{Entry, Linted, prove};
use stele_core::profile::{Inputs, Profile, Requester, decide};
use stele_core::record::FreezeTarget;
use stele_core::request::SignRequest;
use stele_core::tbs::parse_tbs;
use stele_core::types::KeyName;
use stele_core::{Error, Refusal, Violation};

use crate::clock;
use crate::signer::{Signer, Who};
use crate::snapshot::{Ca, Snapshot};

/// A refusal with the reason that goes with it.
pub(super) type Refused = (Reason, Refusal);

impl Signer {
    /// The profile, where the one who asks may use it.
    pub(crate) fn profile<'s>(
        &self,
        who: &Who,
        request: &SignRequest,
        snapshot: &'s Snapshot,
    ) -> Result<&'s Profile, Failure> {
        let authority = snapshot.authority()?;
        let permitted = authority.profile(&request.profile).filter(|profile| match who {
            Who::Caller { name, .. } => profile.callers.contains(name),
            Who::Local(_) => authority.enrolment().contains(profile.name()),
        });
        permitted.ok_or_else(|| {
            let why = format!("no profile `{}` that you may use", request.profile);
            Failure::new(Reason::ProfileNotPermitted, why)
        })
    }

    /// Judges a request; the inner result is the judgement, the outer whether there could be one.
    pub(super) fn judge<'s>(
        &self,
        who: &Who,
        request: &SignRequest,
        snapshot: &'s Snapshot,
    ) -> Result<Result<(Linted, &'s Ca), Refused>, Failure> {
        let authority = snapshot.authority()?;
        let Ok(profile) = self.profile(who, request, snapshot) else {
            let rule = Violation::new(
                "profile",
                "profile-not-permitted",
                request.profile.as_str(),
                "a profile that lists you among its callers (ListProfiles)",
            );
            return Ok(Err((Reason::ProfileNotPermitted, Refusal::one(rule))));
        };
        let ca = match issuer(profile, request, snapshot) {
            Ok(ca) => ca,
            Err(violation) => return Ok(Err((Reason::IssuerNotFound, Refusal::one(violation)))),
        };
        if let Some(violation) = frozen(profile, &ca.issuer.name, snapshot) {
            return Ok(Err((Reason::Frozen, Refusal::one(violation))));
        }
        let proven = match prove(request, &Limits::default()) {
            Ok(proven) => proven,
            Err(refusal) => return Ok(Err((Reason::KeyProofInvalid, refusal))),
        };
        if self.config.keys.blocklist.contains(proven.public_key()) {
            let permitted = "a key that is on none of the signer's lists of known keys";
            let rule = Violation::new(
                "key",
                "known-weak-key",
                "a key whose private half others have",
                permitted,
            );
            return Ok(Err((Reason::KeyProofInvalid, Refusal::one(rule))));
        }
        let serial = self.serial()?;
        let inputs = Inputs {
            now: clock::now(),
            serial: &serial,
            issuer: &ca.issuer,
            requester: match who {
                Who::Caller { name, san } => Requester::Caller { name, san },
                Who::Local(_) => Requester::Enrolment {
                    profiles: authority.enrolment(),
                },
            },
            known_callers: authority.known_callers(),
        };
        let decided = decide_and_lint(request, &proven, profile, &inputs, ca);
        Ok(decided.and_then(|linted| {
            within_ceiling(&linted, authority)?;
            Ok((linted, ca))
        }))
    }
}

fn issuer<'s>(profile: &Profile, request: &SignRequest, snapshot: &'s Snapshot) -> Result<&'s Ca, Violation> {
    let chosen = request.issuer.as_ref().or_else(|| profile.issuers.first());
    let permitted = chosen.filter(|name| profile.issuers.contains(*name));
    permitted.and_then(|name| snapshot.cas.get(name)).ok_or_else(|| {
        let found = chosen.map_or("none", KeyName::as_str);
        let names: Vec<&str> = profile.issuers.iter().map(KeyName::as_str).collect();
        Violation::new(
            "issuer",
            "issuer-not-found",
            found,
            format!(
                "an issuer of the profile that has a certificate here: {}",
                names.join(", ")
            ),
        )
    })
}

/// What a freeze of the profile or the issuer forbids.
pub(crate) fn frozen(profile: &Profile, issuer: &KeyName, snapshot: &Snapshot) -> Option<Violation> {
    let targets = [
        (
            FreezeTarget::Profile(profile.name().clone()),
            "profile",
            profile.name().as_str(),
        ),
        (FreezeTarget::Issuer(issuer.clone()), "issuer", issuer.as_str()),
    ];
    targets
        .into_iter()
        .find(|(target, ..)| snapshot.frozen.contains(target))
        .map(|(_, field, name)| {
            let found = format!("`{name}`, which is frozen");
            Violation::new(
                field,
                "frozen",
                found,
                "one that is not frozen; the quorum can lift a freeze",
            )
        })
}

fn decide_and_lint(
    request: &SignRequest,
    proven: &ProvenRequest,
    profile: &Profile,
    inputs: &Inputs<'_>,
    ca: &Ca,
) -> Result<Linted, Refused> {
    let policy = |refusal| (Reason::PolicyRefused, refusal);
    let proposal = Entry { request, proven }.proposal(inputs.now).map_err(policy)?;
    let decided = decide(&proposal, profile, inputs).map_err(policy)?;
    Linted::certificate(&decided, profile, ca.key.clone()).map_err(|refusal| (Reason::LintRefused, refusal))
}

/// The keeper checks the same by itself; here the caller learns every violation.
pub(crate) fn within_ceiling(linted: &Linted, authority: &Authority) -> Result<(), Refused> {
    let lint = |error: Error| (Reason::LintRefused, error.into());
    let view = parse_tbs(linted.tbs()).map_err(lint)?;
    let ceiling = authority.ceiling(linted.key()).ok_or_else(|| {
        let error = Error::malformed("issuer", linted.key().as_str(), "a key with a ceiling in the bundle");
        (Reason::CeilingExceeded, error.into())
    })?;
    ceiling::check(&view, ceiling).map_err(|refusal| (Reason::CeilingExceeded, refusal))
}
