//! What operators signed, and what the bundle allows, judged by the keeper itself: its caller may be hostile.

use stele_core::authority::texts::{
    ApprovalText, BundleText, CloseText, Decision, KeyText, OperatorText, PlanText, RecoveryText, StopAction, StopText,
    SuccessionText,
};
use stele_core::authority::{Action, Authority as Rules, Bundle, CeilingKind, VerifiedText, ceiling, counted};
use stele_core::ceremony;
use stele_core::checkpoint::NoteVerifier;
use stele_core::crl::CrlView;
use stele_core::epoch::{CarryOver, frozen_name};
use stele_core::keycheck::PublicKey;
use stele_core::profile::{Approval, Profile};
use stele_core::record::{
    Authority, BundleAdopted, EpochClosed, Intent, Plan, ProfileRef, Purpose, Record, Recovery, Revocation, Unfreeze,
};
use stele_core::sshsig;
use stele_core::tbs::parse_certificate;
use stele_core::types::{CallerSan, Digest, KeyName, Origin, SignedText, Time};
use stele_ledger::Ledger;

use crate::error::KeeperError;
use crate::examine::{IntentFacts, Surroundings, require};
use crate::reading::Chunks;

/// What the texts over a bundle say.
#[derive(Debug)]
pub(crate) struct BundleTexts {
    /// The origin that they name: the authority's.
    pub(crate) origin: Origin,
}

/// A text with the key that signed it.
struct Signed<T> {
    text: T,
    by: VerifiedText,
    digest: Digest,
}

/// Verifies the SSH signature of each text in the namespace of its kind, and reads it.
fn read<T: OperatorText>(texts: &[SignedText]) -> Result<Vec<Signed<T>>, KeeperError> {
    require(
        !texts.is_empty(),
        "there is no signed text; the quorum's operators sign first",
    )?;
    texts
        .iter()
        .map(|signed| {
            let key = sshsig::verify(signed, T::NAMESPACE)?;
            let text = T::from_str(&signed.text)?;
            let by = VerifiedText {
                key: key.to_string(),
                text: signed.text.clone(),
            };
            // Over text and key: one person's two signatures over one text are one approval.
            let digest = Digest::of([signed.text.as_bytes(), &[0], key.blob()].concat().as_slice());
            Ok(Signed { text, by, digest })
        })
        .collect()
}

/// Requires that enough different people with the action's role signed.
fn require_quorum<T>(
    rules: &Rules,
    action: Action,
    signed: &[Signed<T>],
    requester: Option<&CallerSan>,
) -> Result<(), KeeperError> {
    let rule = rules.quorum_for(action).ok_or_else(|| {
        KeeperError::refused(format!(
            "quorum.{}: the bundle has none, so nobody can decide it",
            action.name()
        ))
    })?;
    let signers: Vec<VerifiedText> = signed.iter().map(|s| s.by.clone()).collect();
    let people = counted(rules, &rule.role, &signers, requester);
    let needed = rule.m.max(1) as usize;
    if people.len() >= needed {
        return Ok(());
    }
    Err(KeeperError::QuorumNotMet(format!(
        "{} of {needed} operators with the role `{}` signed; one person counts once, the requester's operator not at all",
        people.len(),
        rule.role
    )))
}

fn digests<T>(signed: &[Signed<T>]) -> Vec<Digest> {
    signed.iter().map(|s| s.digest).collect()
}

/// A bundle: its digest, its place in the chain, and the quorum of the one before (P9). The first is signed by its own
/// operators, and its digest stands in the keeper's configuration.
pub(crate) fn examine_bundle(
    adopted: &BundleAdopted,
    bytes: &[u8],
    around: &Surroundings<'_>,
) -> Result<(Bundle, BundleTexts), KeeperError> {
    let bundle = Bundle::parse(bytes)?;
    let named = adopted.sha256 == bundle.digest()
        && adopted.number == bundle.number()
        && adopted.predecessor == bundle.predecessor();
    require(
        named,
        "bundle_adopted.sha256, number and predecessor are not those of the bundle",
    )?;
    let signed = read::<BundleText>(&adopted.texts)?;
    let judges = match &around.bundle {
        Some(current) => current.bundle.authority(),
        None => {
            let expected = around.first_bundle.ok_or_else(|| {
                KeeperError::refused(
                    "first_bundle: not set in the keeper's configuration; copy the digest from the ceremony's minutes",
                )
            })?;
            require(
                expected == bundle.digest(),
                format!(
                    "the first bundle is {}, not {expected} as the configuration's first_bundle says",
                    bundle.digest()
                ),
            )?;
            bundle.authority()
        }
    };
    let origin = match (&around.authority_origin, around.purpose) {
        (Some(known), _) => known.clone(),
        (None, stele_core::record::LogPurpose::Ceremony) => around.origin.clone(),
        (None, stele_core::record::LogPurpose::Signer) => first_origin(&signed)?,
    };
    let judged_at = crate::ceremonial::adopted_at(adopted, around)?;
    for signed in &signed {
        let text = &signed.text;
        // The first bundle is pinned by its digest and may reach the signer long after the ceremony.
        if around.bundle.is_some() || around.purpose == stele_core::record::LogPurpose::Ceremony {
            text.check(&origin, judged_at)?;
        }
        let fits = text.number == bundle.number()
            && text.predecessor == bundle.predecessor()
            && text.bundle_sha256 == bundle.digest();
        require(fits && text.origin == origin, "a signed text is about another bundle")?;
    }
    require_quorum(judges, Action::Bundle, &signed, None)?;
    Ok((bundle, BundleTexts { origin }))
}

fn first_origin(signed: &[Signed<BundleText>]) -> Result<Origin, KeeperError> {
    signed
        .first()
        .map(|s| s.text.origin.clone())
        .ok_or_else(|| KeeperError::refused("there is no signed text"))
}

/// A ceremony's plan: whole, for this log and this bundle, its steps named in texts that the quorum signed.
pub(crate) fn examine_plan(plan: &ceremony::Plan, body: &Plan, around: &Surroundings<'_>) -> Result<(), KeeperError> {
    let bundle = around.bundle()?;
    plan.check()?;
    require(&plan.origin == around.origin, "plan.origin is another log")?;
    require(
        plan.bundle_sha256 == bundle.digest(),
        "plan.bundle_sha256 is not the newest bundle",
    )?;
    let signed = read::<PlanText>(&body.texts)?;
    for signed in &signed {
        let text = &signed.text;
        text.check(around.origin, around.now)?;
        require(
            text.plan_sha256 == body.sha256 && text.bundle_sha256 == bundle.digest(),
            "a signed text is about another plan",
        )?;
        let same = text.steps.len() == plan.steps.len()
            && text
                .steps
                .iter()
                .zip(&plan.steps)
                .all(|(t, s)| t.key == s.key && t.tbs_sha256 == s.tbs_sha256);
        require(same, "a signed text names other steps than the plan")?;
    }
    require_quorum(bundle.authority(), Action::Plan, &signed, None)
}

/// The intent must be exactly the plan's step.
pub(crate) fn require_step(ledger: &Ledger, plan: u64, number: u32, intent: &Intent) -> Result<(), KeeperError> {
    let reader = ledger.reader()?;
    let body = match Record::decode(&reader.entry(plan)?)?.body {
        stele_core::record::Body::Plan(body) => body,
        other => {
            return Err(KeeperError::refused(format!(
                "record {plan} is of kind {}, not plan",
                other.kind()
            )));
        }
    };
    let bytes = body.plan.resolve(&Chunks(&reader))?;
    let plan: ceremony::Plan = ceremony::CeremonyFile::decode(&bytes)?;
    let step = plan
        .step(number)
        .ok_or_else(|| KeeperError::refused(format!("the plan has no step {number}")))?;
    let same = step.key == intent.key
        && step.spki_sha256 == intent.spki_sha256
        && step.tbs_sha256 == intent.tbs_sha256
        && step.purpose == intent.purpose
        && step.algorithm == intent.algorithm;
    require(
        same,
        format!("the intent is not step {number} of the plan: key, TBS, purpose and algorithm must be the plan's"),
    )?;
    require(
        intent.bundle == Some(plan.bundle_sha256),
        "intent.bundle is not the plan's",
    )
}

/// An intent under policy or approvals: within the key's ceiling, under a profile of the newest bundle that is open to
/// this requester, with the operators whom profile and CA bit demand. Returns the texts that it uses up.
pub(crate) fn examine_intent(
    intent: &Intent,
    facts: &IntentFacts,
    around: &Surroundings<'_>,
) -> Result<Vec<Digest>, KeeperError> {
    let bundle = around.bundle()?;
    let rules = bundle.authority();
    let key = rules
        .key(&intent.key)
        .ok_or_else(|| KeeperError::refused(format!("intent.key: the bundle names no key `{}`", intent.key)))?;
    require(
        key.spki_sha256 == intent.spki_sha256,
        "intent.spki_sha256 is not that of the bundle's key",
    )?;
    match (intent.purpose, &facts.certificate, &facts.crl) {
        (Purpose::Crl, None, Some(crl)) => {
            require(
                key.ceiling.kinds.contains(&CeilingKind::Crl),
                format!("`{}` signs no CRLs: ceiling.kinds", intent.key),
            )?;
            require(
                intent.authority == Authority::Policy && intent.profile.is_none(),
                "a CRL is signed by policy, under no profile",
            )?;
            sane_crl(crl, around)?;
            Ok(Vec::new())
        }
        (Purpose::Leaf | Purpose::Intermediate, Some(view), None) => {
            ceiling::check(view, &key.ceiling)?;
            let named = intent
                .profile
                .as_ref()
                .ok_or_else(|| KeeperError::refused("intent.profile: missing"))?;
            let profile = rules
                .profile(&named.name)
                .ok_or_else(|| KeeperError::refused(format!("the bundle has no profile `{}`", named.name)))?;
            require(
                profile.digest() == named.sha256,
                "intent.profile.sha256 is not that of the bundle's profile",
            )?;
            require(
                profile.issuers.contains(&intent.key),
                format!("profile `{}` does not name the issuer `{}`", named.name, intent.key),
            )?;
            require_requester(rules, profile, &intent.request.caller)?;
            backdated(view, around)?;
            let asked = intent
                .asked
                .as_ref()
                .ok_or_else(|| KeeperError::refused("intent.asked: missing"))?;
            require(
                asked.digest() == intent.request.digest,
                "intent.request.digest is not that of intent.asked",
            )?;
            approvals(intent, rules, profile, named, around)
        }
        _ => Err(KeeperError::refused(
            "roots and CSRs are not signed by policy or approvals",
        )),
    }
}

/// A TBS may not begin long before now: it would name a time in which the log says that nothing was signed.
fn backdated(view: &stele_core::tbs::TbsView, around: &Surroundings<'_>) -> Result<(), KeeperError> {
    const MOST: u64 = 8 * 86_400;
    require(
        view.not_before.plus_secs(MOST) >= around.now,
        "the TBS begins more than eight days before now; a frozen proposal expires before that",
    )
}

fn sane_crl(crl: &CrlView, around: &Surroundings<'_>) -> Result<(), KeeperError> {
    require(
        crl.this_update <= around.now.plus_secs(60),
        "the CRL's thisUpdate lies in the future",
    )?;
    require(crl.next_update > around.now, "the CRL's nextUpdate has passed")
}

/// Callers of the bundle whom the profile names; local users for the enrolment profiles.
fn require_requester(rules: &Rules, profile: &Profile, caller: &CallerSan) -> Result<(), KeeperError> {
    match caller {
        CallerSan::Unix(_) => require(
            rules.enrolment().contains(profile.name()),
            format!(
                "profile `{}` is not for enrolment; a local user asks under those of [enrolment] only",
                profile.name()
            ),
        ),
        san => {
            let known = rules
                .caller_by_san(san)
                .ok_or_else(|| KeeperError::refused(format!("{san} is no caller of the bundle")))?;
            require(
                profile.callers.contains(&known.name),
                format!("profile `{}` is not open to caller `{}`", profile.name(), known.name),
            )
        }
    }
}

fn approvals(
    intent: &Intent,
    rules: &Rules,
    profile: &Profile,
    named: &ProfileRef,
    around: &Surroundings<'_>,
) -> Result<Vec<Digest>, KeeperError> {
    let (needed, role) = match (&profile.approval, &intent.authority) {
        (Approval::Automatic, Authority::Policy) if intent.purpose == Purpose::Leaf => return Ok(Vec::new()),
        (Approval::Automatic, _) => {
            return Err(KeeperError::refused(
                "a profile that approves by itself signs leaves, by policy; a CA certificate needs the quorum's signatures",
            ));
        }
        (Approval::Quorum { m, role, .. }, _) => ((*m).max(1) as usize, role),
    };
    let Authority::Approvals(texts) = &intent.authority else {
        return Err(KeeperError::refused(format!(
            "profile `{}` demands {needed} operators with the role `{role}`; their signed texts belong in the intent",
            named.name
        )));
    };
    let signed = read::<ApprovalText>(texts)?;
    for signed in &signed {
        let text = &signed.text;
        text.check(around.origin, around.now)?;
        require(text.decision == Decision::Approve, "a signed text denies the request")?;
        let same = text.request == intent.request.id
            && text.attempt == intent.request.attempt
            && text.requester == intent.request.caller
            && text.tbs_sha256 == intent.tbs_sha256
            && text.profile_sha256 == named.sha256;
        require(
            same,
            "a signed text is about another request, attempt, requester, TBS or profile",
        )?;
    }
    let signers: Vec<VerifiedText> = signed.iter().map(|s| s.by.clone()).collect();
    let people = counted(rules, role, &signers, Some(&intent.request.caller));
    if people.len() < needed {
        return Err(KeeperError::QuorumNotMet(format!(
            "{} of {needed} operators with the role `{role}` approved; one person counts once, the requester's operator not at all",
            people.len()
        )));
    }
    Ok(digests(&signed))
}

fn examine_stop(
    texts: &[SignedText],
    action: StopAction,
    target: &str,
    by: Action,
    around: &Surroundings<'_>,
    fits: impl Fn(&StopText) -> Result<(), KeeperError>,
) -> Result<Vec<Digest>, KeeperError> {
    let bundle = around.bundle()?;
    let signed = read::<StopText>(texts)?;
    for signed in &signed {
        signed.text.check(around.origin, around.now)?;
        fits(&signed.text)?;
        require(
            signed.text.action == action && signed.text.target == target,
            format!("a signed text is not about `{action}` of `{target}`"),
        )?;
    }
    require_quorum(bundle.authority(), by, &signed, None)?;
    Ok(digests(&signed))
}

/// The quorum lifts a freeze.
pub(crate) fn examine_unfreeze(unfreeze: &Unfreeze, around: &Surroundings<'_>) -> Result<Vec<Digest>, KeeperError> {
    examine_stop(
        &unfreeze.texts,
        StopAction::Unfreeze,
        &frozen_name(&unfreeze.target),
        Action::Unfreeze,
        around,
        |_| Ok(()),
    )
}

/// The quorum revokes a CA certificate.
pub(crate) fn examine_revocation(
    revocation: &Revocation,
    around: &Surroundings<'_>,
) -> Result<Vec<Digest>, KeeperError> {
    let target = format!("serial:{}:{}", revocation.key, revocation.serial);
    examine_stop(
        &revocation.texts,
        StopAction::Revoke,
        &target,
        Action::CaRevocation,
        around,
        |text| {
            require(
                text.crl_reason() == revocation.reason,
                format!(
                    "revocation.reason is {:?}; the signed text says {:?}: its reason begins with the CRL reason, as in `ca-compromise: words`",
                    revocation.reason,
                    text.crl_reason()
                ),
            )
        },
    )
}

/// The quorum decides a recovery.
pub(crate) fn examine_recovery(recovery: &Recovery, around: &Surroundings<'_>) -> Result<Vec<Digest>, KeeperError> {
    let bundle = around.bundle()?;
    let signed = read::<RecoveryText>(&recovery.texts)?;
    for signed in &signed {
        signed.text.check(around.origin, around.now)?;
        require(
            signed.text.action == recovery.action,
            "a signed text is about another recovery",
        )?;
    }
    require_quorum(bundle.authority(), Action::Recovery, &signed, None)?;
    Ok(digests(&signed))
}

/// The quorum closes the epoch.
pub(crate) fn examine_close(closed: &EpochClosed, around: &Surroundings<'_>) -> Result<Vec<Digest>, KeeperError> {
    let bundle = around.bundle()?;
    closed.successor.vkey.parse::<NoteVerifier>()?;
    let signed = read::<CloseText>(&closed.texts)?;
    for signed in &signed {
        signed.text.check(around.origin, around.now)?;
        require(
            signed.text.successor == closed.successor.origin && signed.text.successor_vkey == closed.successor.vkey,
            "a signed text names another successor",
        )?;
    }
    require_quorum(bundle.authority(), Action::Recovery, &signed, None)?;
    Ok(digests(&signed))
}

/// The quorum of the carried bundle begins a log that continues another.
pub(crate) fn examine_succession(
    carry: &CarryOver,
    sha256: Digest,
    bundle: &Bundle,
    texts: &[SignedText],
    now: Time,
) -> Result<(), KeeperError> {
    let signed = read::<SuccessionText>(texts)?;
    for signed in &signed {
        signed.text.check(&carry.successor.origin, now)?;
        require(
            signed.text == carry.text(sha256, signed.text.expires)?,
            "a signed text is about another carry-over",
        )?;
    }
    require_quorum(bundle.authority(), Action::Recovery, &signed, None)
}

/// What operators say about a key: one text, which is returned with what it uses up.
pub(crate) fn examine_key(
    texts: &[SignedText],
    around: &Surroundings<'_>,
) -> Result<(KeyText, Vec<Digest>), KeeperError> {
    let bundle = around.bundle()?;
    let signed = read::<KeyText>(texts)?;
    for signed in &signed {
        signed.text.check(around.origin, around.now)?;
    }
    let first = signed.first().map(|s| s.text.clone());
    let text = first.filter(|first| signed.iter().all(|s| s.text == *first));
    let text = text.ok_or_else(|| KeeperError::refused("the signed texts differ; all sign the same words"))?;
    require_quorum(bundle.authority(), Action::Key, &signed, None)?;
    Ok((text, digests(&signed)))
}

/// A plan's step may be within the key's ceiling only, where the bundle has one for it.
pub(crate) fn examine_step(intent: &Intent, facts: &IntentFacts, around: &Surroundings<'_>) -> Result<(), KeeperError> {
    let Some(limits) = around.bundle()?.authority().ceiling(&intent.key) else {
        return Ok(());
    };
    if let Some(view) = &facts.certificate {
        ceiling::check(view, limits)?;
    }
    require(
        facts.crl.is_none() || limits.kinds.contains(&CeilingKind::Crl),
        format!("`{}` signs no CRLs: ceiling.kinds", intent.key),
    )
}

/// A CA certificate is for a key that the bundle names.
pub(crate) fn require_named(bundle: &Bundle, key: &KeyName, spki_sha256: Digest) -> Result<(), KeeperError> {
    let named = bundle
        .authority()
        .key(key)
        .is_some_and(|k| k.spki_sha256 == spki_sha256);
    require(
        named,
        format!("the bundle names no key `{key}` with SPKI digest {spki_sha256}"),
    )
}

/// A chain ends in a key that the bundle names, with a ceiling for roots.
pub(crate) fn require_root(bundle: &Bundle, spki_sha256: Digest) -> Result<(), KeeperError> {
    let mut keys = bundle.authority().keys().values();
    let named = keys.any(|k| k.spki_sha256 == spki_sha256 && k.ceiling.kinds.contains(&CeilingKind::Root));
    require(
        named,
        format!("the chain ends in a key with SPKI digest {spki_sha256}, which the bundle does not name as a root"),
    )
}

/// `below` was issued by `above`: names match to the byte, and the signature verifies.
pub(crate) fn verify_issued_by(below: &[u8], above: &[u8]) -> Result<(), KeeperError> {
    let (child, tbs, algorithm, signature) = parse_certificate(below)?;
    let (parent, ..) = parse_certificate(above)?;
    require(
        parent.ca && child.issuer_der == parent.subject_der,
        "a certificate in the chain was not issued by the next one",
    )?;
    Ok(PublicKey::from_spki_der(&parent.spki_der)?.verify(algorithm, &tbs, &signature)?)
}
