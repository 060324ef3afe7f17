//! The authority bundles of a log, one after the other, and what the one in force permits.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Verifier;
use super::report::{Finding, Tally};
use super::texts::{Signed, line};
use crate::authority::texts::{BundleText, OperatorText as _};
use crate::authority::{Action, Authority, Bundle, QuorumRule, ceiling, counted};
use crate::ceremony::ProvenBundle;
use crate::checkpoint::NoteVerifier;
use crate::error::Error;
use crate::profile::{Approval, Profile};
use crate::record::{self, BundleAdopted, Intent, LogPurpose, ProfileRef, Purpose};
use crate::tbs::TbsView;
use crate::types::{CallerSan, Digest, KeyName, Origin, Time};

/// A bundle in force.
#[derive(Clone)]
struct Adopted {
    number: u64,
    sha256: Digest,
    /// None when it does not read: then nothing can be judged by it, and the report says so.
    content: Option<Arc<Bundle>>,
}

/// The chain of bundles.
#[derive(Clone, Default)]
pub(super) struct Bundles {
    pub(super) first: Option<Digest>,
    newest: Option<Adopted>,
    /// The log that the texts of bundles name: that of the ceremony, wherever the bundle is adopted.
    text_origin: Option<Origin>,
    used_texts: BTreeSet<Digest>,
}

impl Bundles {
    /// The chain as far as a later log knows it: the newest bundle of the log before.
    pub(super) fn of(bundle: Bundle, text_origin: Origin) -> Self {
        let mut bundles = Self::default();
        bundles.inherit(bundle, text_origin);
        bundles
    }

    /// Takes the newest bundle of the log before.
    pub(super) fn inherit(&mut self, bundle: Bundle, text_origin: Origin) {
        self.first.get_or_insert(bundle.digest());
        self.text_origin = Some(text_origin);
        self.newest = Some(Adopted {
            number: bundle.number(),
            sha256: bundle.digest(),
            content: Some(Arc::new(bundle)),
        });
    }

    /// The newest bundle, where it reads.
    pub(super) fn content(&self) -> Option<&Bundle> {
        self.newest.as_ref()?.content.as_deref()
    }

    /// The log that the texts of bundles name.
    pub(super) const fn text_origin(&self) -> Option<&Origin> {
        self.text_origin.as_ref()
    }

    /// Digest of the newest bundle.
    pub(super) fn newest(&self) -> Option<Digest> {
        self.newest.as_ref().map(|b| b.sha256)
    }

    /// What the newest bundle says, if there is one and it reads.
    pub(super) fn authority(&self) -> Option<&Authority> {
        self.newest.as_ref()?.content.as_ref().map(|bundle| bundle.authority())
    }

    /// Whether there is a bundle that does not read.
    pub(super) fn is_unreadable(&self) -> bool {
        self.newest.as_ref().is_some_and(|b| b.content.is_none())
    }

    /// The keys of the witnesses in force.
    pub(super) fn witnesses(&self) -> Vec<NoteVerifier> {
        self.authority().map(Authority::witness_keys).unwrap_or_default()
    }

    /// Uses texts up: each serves once, for ever.
    pub(super) fn use_up(&mut self, signed: &[Signed]) -> Result<(), Error> {
        let again = signed.iter().filter(|s| !self.used_texts.insert(s.mark)).count();
        if again == 0 {
            return Ok(());
        }
        Err(Error::unverified(
            "signed text",
            "it was used before, and each serves once",
        ))
    }

    /// Whether the operators in force agreed to an action.
    pub(super) fn agreed(&self, action: Action, signed: &[Signed]) -> Result<(), Error> {
        if signed.is_empty() {
            return Err(Error::unverified("quorum", "no valid text of an operator"));
        }
        self.authority()
            .map_or(Ok(()), |authority| agreed(authority, action, signed))
    }

    /// The profile that a record names, as the newest bundle has it.
    pub(super) fn profile(&self, named: &ProfileRef) -> Result<Option<&Profile>, Error> {
        let Some(authority) = self.authority() else {
            return Ok(None);
        };
        let profile = authority.profile(&named.name).filter(|p| p.digest() == named.sha256);
        profile.map(Some).ok_or_else(|| {
            let found = format!("`{}` with digest {}", named.name, named.sha256);
            let known = authority.profile(&named.name).map(Profile::digest);
            Error::malformed(
                "profile",
                found,
                format!("digest {} of the bundle in force", show(known)),
            )
        })
    }

    /// Whether the key that a name stands for is the one in the bundle.
    pub(super) fn names(&self, key: &KeyName, spki_sha256: Digest) -> Result<(), Error> {
        let named = self.authority().and_then(|a| a.key(key)).map(|k| k.spki_sha256);
        match named {
            Some(expected) if expected != spki_sha256 => {
                let permitted = format!("{expected}, as the bundle names `{key}`");
                Err(Error::malformed("spki_sha256", spki_sha256.to_string(), permitted))
            }
            _ => Ok(()),
        }
    }

    /// Whether the bundle names any CA with this key.
    pub(super) fn names_key(&self, spki_sha256: Digest) -> bool {
        let keys = self.authority().map(Authority::keys);
        keys.is_some_and(|keys| keys.values().any(|k| k.spki_sha256 == spki_sha256))
    }

    fn adopt(&mut self, at: (u64, Time), body: &BundleAdopted, bytes: &[u8], signed: &[Signed], tally: &mut Tally) {
        let (index, _) = at;
        tally.same(index, "bundle digest", &Digest::of(bytes), &body.sha256);
        let content = Bundle::parse(bytes).map_err(all).map(Arc::new);
        let content = tally.check(index, "bundle content", content);
        if let Some(bundle) = &content {
            tally.same(index, "bundle number", &body.number, &bundle.number());
            tally.same(
                index,
                "bundle predecessor",
                &show(body.predecessor),
                &show(bundle.predecessor()),
            );
        }
        if let Some(before) = &self.newest {
            tally.same(index, "bundle number", &body.number, &before.number.saturating_add(1));
            tally.same(
                index,
                "bundle predecessor",
                &show(body.predecessor),
                &before.sha256.to_string(),
            );
        }
        for one in signed {
            let fits = self.fits(at, body, one);
            tally.check(index, "bundle text", fits);
        }
        // The first is signed by its own operators; every other by those of the bundle before it (P9).
        let judge = match &self.newest {
            Some(before) => before.content.as_ref(),
            None => content.as_ref(),
        };
        if let Some(judge) = judge {
            tally.check(
                index,
                "bundle quorum",
                agreed(judge.authority(), Action::Bundle, signed),
            );
        }
        self.first.get_or_insert(body.sha256);
        self.newest = Some(Adopted {
            number: body.number,
            sha256: body.sha256,
            content,
        });
    }

    fn fits(&mut self, (_, time): (u64, Time), body: &BundleAdopted, signed: &Signed) -> Result<(), Error> {
        let text: BundleText = signed.read()?;
        line("bundle-sha256", &text.bundle_sha256, &body.sha256)?;
        line("number", &text.number, &body.number)?;
        line("predecessor", &show(text.predecessor), &show(body.predecessor))?;
        // The first bundle's texts tell which log they name; a hand-over may be taken after they expired.
        let first = self.newest.is_none();
        let origin = self.text_origin.get_or_insert_with(|| text.origin.clone());
        let time = if first { Time::from_millis(0) } else { time };
        text.check(origin, time)
    }
}

/// Whether enough different operators with the action's role signed.
fn agreed(authority: &Authority, action: Action, signed: &[Signed]) -> Result<(), Error> {
    let rule = authority
        .quorum_for(action)
        .ok_or_else(|| Error::unverified("quorum", format!("the bundle has none for {}", action.name())))?;
    enough(authority, rule, signed, None)
}

fn enough(
    authority: &Authority,
    rule: &QuorumRule,
    signed: &[Signed],
    requester: Option<&CallerSan>,
) -> Result<(), Error> {
    let signers: Vec<_> = signed.iter().map(|s| s.verified.clone()).collect();
    let people = counted(authority, &rule.role, &signers, requester).len();
    let needed = rule.m.max(1);
    if u32::try_from(people).is_ok_and(|people| people >= needed) {
        return Ok(());
    }
    let why = format!("{people} operators of role `{}` count, {needed} are needed", rule.role);
    Err(Error::unverified("quorum", why))
}

/// Every fault of a bundle as one error.
fn all(errors: Vec<Error>) -> Error {
    let found: Vec<_> = errors.iter().take(5).map(ToString::to_string).collect();
    Error::malformed("bundle", found.join(" | "), "a bundle without faults")
}

pub(super) fn show(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |d| d.to_string())
}

impl Verifier {
    pub(super) fn bundle(&mut self, at: (u64, Time), body: &BundleAdopted, texts: Vec<Result<Signed, Error>>) {
        let (index, _) = at;
        let signed: Vec<_> = texts
            .into_iter()
            .filter_map(|text| self.tally.check(index, "bundle text", text))
            .collect();
        if signed.is_empty() {
            self.tally.add(Finding::at(
                index,
                "bundle text",
                "no valid text of an operator",
                "texts of the quorum",
            ));
        }
        if let Some(expected) = self.bundle_digest.filter(|_| self.bundles.first.is_none()) {
            self.tally.same(index, "first bundle", &body.sha256, &expected);
        }
        let at = (index, self.adoption_time(at, body));
        if let Some(bytes) = self.chunks.take(index, &body.bundle, &mut self.tally) {
            self.bundles.adopt(at, body, &bytes, &signed, &mut self.tally);
        }
    }

    /// When the bundle was accepted: a ceremony takes over later what the signer's log adopted, and its newest request
    /// must prove that.
    fn adoption_time(&mut self, (index, time): (u64, Time), body: &BundleAdopted) -> Time {
        if self.purpose != Some(LogPurpose::Ceremony) || self.bundles.newest().is_none() {
            return time;
        }
        let same = |p: &&ProvenBundle| p.adopted.sha256 == body.sha256 && p.adopted.texts == body.texts;
        let proven = self.adopted_elsewhere.iter().find(same).map(|p| p.at);
        let missing = || Error::unverified("bundle", "no request of the signer proves that its log adopted it");
        let found = proven.ok_or_else(missing);
        self.tally
            .check(index, "bundles of the signer's log", found)
            .unwrap_or(time)
    }

    /// Whether the bundle in force lets this certificate be signed, its approvals apart.
    pub(super) fn judge_ceiling(&self, index: u64, intent: &Intent, view: &TbsView, faults: &mut Tally) {
        let Some(authority) = self.bundles.authority() else {
            return;
        };
        let result = match authority.ceiling(&intent.key) {
            Some(limits) => ceiling::check(view, limits).map_err(|r| Error::unverified("ceiling", r.to_string())),
            // A root that the bundle does not name signs what the quorum planned, byte for byte, and nothing else.
            None if matches!(intent.authority, record::Authority::Plan { .. }) => Ok(()),
            None => Err(Error::malformed(
                "key",
                format!("`{}`", intent.key),
                "a CA that the bundle names",
            )),
        };
        faults.check(index, "ceiling", result);
    }

    /// Whether the profile is the bundle's, open to the requester, and issues with so many texts.
    pub(super) fn judge_profile(&self, intent: &Intent, signed: &[Signed]) -> Result<(), Error> {
        let Some(named) = &intent.profile else {
            return Err(Error::malformed(
                "profile",
                "none",
                "a profile, for a certificate on request",
            ));
        };
        let (Some(profile), Some(authority)) = (self.bundles.profile(named)?, self.bundles.authority()) else {
            return Ok(());
        };
        let caller = &intent.request.caller;
        let open = match caller {
            CallerSan::Unix(_) => authority.enrolment().contains(profile.name()),
            _ => authority
                .caller_by_san(caller)
                .is_some_and(|c| profile.callers.contains(&c.name)),
        };
        if !open {
            let permitted = format!("a caller to whom profile `{}` is open", named.name);
            return Err(Error::malformed("requester", caller.to_string(), permitted));
        }
        if !profile.issuers.contains(&intent.key) {
            let permitted = format!("an issuer of profile `{}`", named.name);
            return Err(Error::malformed("key", format!("`{}`", intent.key), permitted));
        }
        match &profile.approval {
            Approval::Automatic if intent.purpose != Purpose::Leaf => Err(Error::unverified(
                "quorum",
                "a profile for CA certificates that asks nobody",
            )),
            Approval::Automatic => Ok(()),
            Approval::Quorum { m, role, .. } => {
                let rule = QuorumRule {
                    m: *m,
                    role: role.clone(),
                };
                enough(authority, &rule, signed, Some(caller))
            }
        }
    }
}
