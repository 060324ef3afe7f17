//! What people sign at a ceremony: the bundle's text and the plan's, and whether enough of them did.

use super::script::{ROOT_KEY, RevokeScript};
use super::{Plan, Script};
use crate::authority::texts::{BundleText, OperatorText, PlanStep, PlanText, StopAction, StopText};
use crate::authority::{Action, Authority, Bundle, VerifiedText, quorum};
use crate::error::Error;
use crate::sshsig::{self, SshPublicKey};
use crate::types::{Digest, OperatorName, SignedText, Time};

/// Until when bundle and plan of this drawing can be signed.
#[must_use]
pub fn expires(script: &Script, drawn_at: Time) -> Time {
    script.approval_expiry.after(Time::from_secs(drawn_at.secs()))
}

/// The text over the first bundle. Its origin is the ceremony's: there the bundle begins.
#[must_use]
pub fn bundle_text(bundle: &Bundle, script: &Script, drawn_at: Time) -> BundleText {
    BundleText {
        origin: script.origin.clone(),
        number: bundle.number(),
        predecessor: bundle.predecessor(),
        bundle_sha256: bundle.digest(),
        expires: expires(script, drawn_at),
    }
}

/// The text over the plan.
#[must_use]
pub fn plan_text(plan: &Plan, plan_sha256: Digest, script: &Script) -> PlanText {
    let step = |step: &super::Step| PlanStep {
        key: step.key.clone(),
        tbs_sha256: step.tbs_sha256,
    };
    PlanText {
        origin: plan.origin.clone(),
        plan_sha256,
        bundle_sha256: plan.bundle_sha256,
        expires: expires(script, plan.drawn_at),
        steps: plan.steps.iter().map(step).collect(),
    }
}

/// The text over a revocation, drawn at `drawn_at`.
#[must_use]
pub fn revocation_text(revocation: &RevokeScript, script: &Script, drawn_at: Time) -> StopText {
    StopText {
        origin: script.origin.clone(),
        action: StopAction::Revoke,
        target: format!("serial:{ROOT_KEY}:{}", revocation.serial),
        reason: format!("{}: {}", revocation.reason.name(), revocation.because),
        expires: expires(script, drawn_at),
    }
}

/// The operators who signed `text`, when they are enough for `action` under the bundle that the ceremony adopts.
///
/// # Errors
/// When a signature is over another text or does not verify, the text had expired at `now`, or too few people signed.
pub fn agreed<T: OperatorText>(
    authority: &Authority,
    action: Action,
    text: &T,
    signed: &[SignedText],
    now: Time,
) -> Result<Vec<OperatorName>, Error> {
    text.check(text.origin(), now)?;
    let rule = authority
        .quorum_for(action)
        .ok_or_else(|| Error::malformed("authority.toml", format!("no quorum for `{}`", action.name()), "one"))?;
    let signers = signed
        .iter()
        .map(|s| {
            Ok(VerifiedText {
                key: sshsig::verify(s, T::NAMESPACE)?.to_string(),
                text: s.text.clone(),
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    quorum(authority, rule, &text.to_string(), &signers, None)
}

/// The operator who made a signature over a text of this kind.
///
/// # Errors
/// When it does not verify, or by a key that no operator of the bundle has.
pub fn signer<T: OperatorText>(authority: &Authority, signed: &SignedText) -> Result<OperatorName, Error> {
    let key = sshsig::verify(signed, T::NAMESPACE)?;
    let holds = |line: &String| same_key(line, &key);
    let holder = authority
        .operators()
        .values()
        .find(|operator| operator.keys.iter().any(holds));
    holder.map(|operator| operator.name.clone()).ok_or_else(|| {
        let why = format!(
            "it was made by the key {}, which no operator in authority.toml has",
            key.fingerprint()
        );
        Error::unverified("SSH signature", why)
    })
}

/// Whether an `authorized_keys` line holds this key; options before it and a comment after it do not matter.
fn same_key(line: &str, key: &SshPublicKey) -> bool {
    let key = key.to_string();
    let wanted: Vec<_> = key.split(' ').collect();
    line.split_ascii_whitespace()
        .collect::<Vec<_>>()
        .windows(2)
        .any(|pair| pair == wanted)
}
