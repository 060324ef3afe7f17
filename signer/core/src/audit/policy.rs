//! What the checks need to know of an authority bundle, and the bundles as the log adopts them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::report::{Finding, Tally};
use super::texts::Signed;
use crate::checkpoint::NoteVerifier;
use crate::error::Error;
use crate::record::BundleAdopted;
use crate::sshsig::SshPublicKey;
use crate::tbs::TbsView;
use crate::types::{CallerSan, Digest, KeyName, OperatorName, ProfileName};

/// What operators agree to.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// A certificate under a profile, for someone who may not agree to it themselves. With no signers at all the
    /// question is whether the profile issues by itself.
    Issue {
        /// The profile.
        profile: &'a ProfileName,
        /// Who asked.
        requester: &'a CallerSan,
    },
    /// The next bundle, or for the first one itself.
    Bundle,
    /// The plan of a ceremony.
    Plan,
    /// A CA's revocation, or the lifting of a freeze.
    Stop,
    /// A recovery.
    Recovery,
}

/// An authority bundle, as far as a log can be judged by it.
pub trait Rules: Send + Sync {
    /// The number that it carries.
    fn number(&self) -> u64;

    /// The digest of the bundle before it, as it carries it.
    fn predecessor(&self) -> Option<Digest>;

    /// The digest of a profile's text.
    fn profile(&self, name: &ProfileName) -> Option<Digest>;

    /// The operator whose key this is.
    fn operator(&self, key: &SshPublicKey) -> Option<OperatorName>;

    /// Whether these keys belong to enough different operators of the right role.
    ///
    /// # Errors
    /// Naming who is missing or may not agree.
    fn approve(&self, act: &Act<'_>, signers: &[SshPublicKey]) -> Result<(), Error>;

    /// Whether a certificate lies within the ceiling of the CA key that is to sign it.
    ///
    /// # Errors
    /// Naming the first limit that it exceeds.
    fn permit(&self, key: &KeyName, tbs: &TbsView) -> Result<(), Error>;

    /// The SPKI digest of a CA that the bundle names.
    fn ca_key(&self, name: &KeyName) -> Option<Digest>;

    /// The witnesses whose cosignatures may stand under a checkpoint.
    fn witnesses(&self) -> Vec<NoteVerifier>;
}

/// Reads a bundle's bytes.
pub type ReadBundle = fn(&[u8]) -> Result<Arc<dyn Rules>, Error>;

/// A bundle in force.
#[derive(Clone)]
pub(super) struct Adopted {
    pub(super) number: u64,
    pub(super) sha256: Digest,
    /// None when nobody gave a reader, or it did not read.
    pub(super) rules: Option<Arc<dyn Rules>>,
}

/// The chain of bundles.
pub(super) struct Bundles {
    read: Option<ReadBundle>,
    pub(super) first: Option<Digest>,
    pub(super) newest: Option<Adopted>,
    used_approvals: BTreeSet<Digest>,
}

impl Bundles {
    pub(super) const fn new(read: Option<ReadBundle>) -> Self {
        Self {
            read,
            first: None,
            newest: None,
            used_approvals: BTreeSet::new(),
        }
    }

    /// The rules in force.
    pub(super) fn rules(&self) -> Option<&Arc<dyn Rules>> {
        self.newest.as_ref().and_then(|b| b.rules.as_ref())
    }

    /// Whether the operators in force agree to `act` with these signatures.
    pub(super) fn approve(&self, act: &Act<'_>, signed: &[Signed]) -> Result<(), Error> {
        let signers: Vec<_> = signed.iter().map(|s| s.signer.clone()).collect();
        self.rules().map_or(Ok(()), |rules| rules.approve(act, &signers))
    }

    /// Notes that an approval is used; the second use of the same is refused.
    pub(super) fn use_approval(&mut self, text: &str, signer: &SshPublicKey) -> Result<(), Error> {
        let mark = Digest::of(&[text.as_bytes(), signer.blob()].concat());
        if self.used_approvals.insert(mark) {
            return Ok(());
        }
        Err(Error::unverified("approval", "this operator's text was used before"))
    }

    /// Adopts the next bundle; `bytes` are its resolved payload and `signed` the texts that verified.
    pub(super) fn adopt(
        &mut self,
        index: u64,
        body: &BundleAdopted,
        bytes: &[u8],
        signed: &[Signed],
        tally: &mut Tally,
    ) {
        tally.same(index, "bundle digest", &Digest::of(bytes), &body.sha256);
        if let Some(before) = &self.newest {
            tally.same(index, "bundle number", &body.number, &before.number.saturating_add(1));
            let names_it = body.predecessor == Some(before.sha256);
            let named = Error::malformed("predecessor", show(body.predecessor), before.sha256.to_string());
            tally.check(index, "bundle predecessor", names_it.then_some(()).ok_or(named));
        }
        let rules = self
            .read
            .and_then(|read| tally.check(index, "bundle content", read(bytes)));
        if let Some(rules) = &rules {
            tally.same(index, "bundle number", &body.number, &rules.number());
            if rules.predecessor() != body.predecessor {
                let found = show(body.predecessor);
                tally.add(Finding::at(
                    index,
                    "bundle predecessor",
                    found,
                    show(rules.predecessor()),
                ));
            }
        }
        for one in signed {
            tally.check(index, "bundle text", one.text.require_word(&body.sha256.to_string()));
        }
        // The first is signed by its own operators; every other by those of the bundle before it (P9).
        let judge = self
            .newest
            .as_ref()
            .map_or(rules.as_ref(), |before| before.rules.as_ref());
        if let Some(judge) = judge {
            let signers: Vec<_> = signed.iter().map(|s| s.signer.clone()).collect();
            tally.check(index, "bundle quorum", judge.approve(&Act::Bundle, &signers));
        }
        self.first.get_or_insert(body.sha256);
        self.newest = Some(Adopted {
            number: body.number,
            sha256: body.sha256,
            rules,
        });
    }
}

pub(super) fn show(digest: Option<Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |d| d.to_string())
}
