//! The verifier of a whole log, for the auditor and for the ceremony: what the log promises, checked again from its
//! entries, its checkpoint and one verifier key, trusting nobody who wrote it.
//!
//! Entries come in order, one at a time; nothing is kept of them but what later ones depend on, some fifty bytes for
//! each certificate. The work is in two parts: [`examine`] is pure and looks at one record, so a caller runs it on all
//! cores; [`Verifier::admit`] judges the record by those before it, in order, and hands back the signatures to verify,
//! which again can be run anywhere. [`Verifier::entry`] does all three.
//!
//! A record that cannot be read is a finding with its position, and verification goes on.

mod ceremony;
mod chunks;
mod content;
mod epoch;
mod examine;
mod finish;
mod intent;
mod keys;
mod outcome;
mod policy;
mod proof;
mod proposal;
mod report;
mod serials;
mod stops;
mod texts;
mod witnesses;

use std::collections::{BTreeMap, BTreeSet, HashSet};

pub use epoch::{Estate, Handing};
pub use examine::{Examined, SignatureCheck, examine, examine_again};
pub use proof::{ProofReport, check_proof};
pub use report::{Finding, Imported, OtherLog, Report, Severity};

use crate::ceremony::ProvenBundle;
use crate::checkpoint::{Checkpoint, NoteVerifier};
use crate::epoch::CarriedCa;
use crate::error::Error;
use crate::merkle::{Frontier, Hash};
use crate::record::{Body, FreezeTarget, Genesis, LogPurpose, RequestRef, SignerRequest, Successor};
use crate::types::{Digest, KeyName, Time};
use chunks::Chunks;
use epoch::Succession;
use examine::Read;
use intent::OpenIntent;
use keys::Keys;
use policy::Bundles;
use proposal::{OpenPlan, OpenProposal};
use report::Tally;
use serials::{Attempts, Serials};
use texts::Signed;
use witnesses::Watch;

/// What the auditor brings along.
#[derive(Clone, Default)]
pub struct Options {
    /// The digest that the first bundle must have, from the ceremony's minutes.
    pub bundle_digest: Option<Digest>,
    /// Checkpoints of this log that were seen elsewhere, before, or in the other ledger, their notes verified: the log
    /// must have exactly these roots at these sizes.
    pub anchors: Vec<Checkpoint>,
    /// So many entries from the first on were verified before, and one of `anchors` has this size: where its root holds
    /// they are the same bytes, so their signatures are not verified again. Everything else is.
    pub verified: u64,
}

/// Verifies one log from its first entry on.
pub struct Verifier {
    vkey: NoteVerifier,
    bundle_digest: Option<Digest>,
    anchors: Vec<Checkpoint>,
    verified: u64,
    tally: Tally,
    frontier: Frontier,
    last_time: Option<Time>,
    purpose: Option<LogPurpose>,
    /// What the genesis says of the log that this one continues.
    succession: Option<Succession>,
    /// What that log left, until it is taken over.
    estate: Option<Box<Estate>>,
    /// Whether there was such an estate.
    continued: bool,
    /// The log that goes on after this one.
    closed: Option<Successor>,
    /// The newest certificate of each CA.
    cas: BTreeMap<KeyName, CarriedCa>,
    chunks: Chunks,
    keys: Keys,
    serials: Serials,
    attempts: Attempts,
    open: BTreeMap<u64, OpenIntent>,
    /// Requests of the intents that ended without a certificate in hand.
    unfulfilled: BTreeMap<u64, RequestRef>,
    bundles: Bundles,
    plans: BTreeMap<u64, OpenPlan>,
    proposals: BTreeMap<u64, OpenProposal>,
    frozen: HashSet<FreezeTarget>,
    /// What witnesses and others say of this log.
    watch: Watch,
    /// Digests of the root certificates that the log recorded on their own.
    roots: BTreeSet<Digest>,
    imported: Vec<Imported>,
    other_logs: Vec<OtherLog>,
    /// The signer's newest request, in a ceremony's log.
    request: Option<SignerRequest>,
    /// The bundles that it proves the signer's log to have adopted.
    adopted_elsewhere: Vec<ProvenBundle>,
    unchecked: BTreeSet<&'static str>,
}

impl Verifier {
    /// A verifier for the log whose checkpoints `vkey` signs.
    #[must_use]
    pub fn new(vkey: NoteVerifier, options: Options) -> Self {
        let mut anchors = options.anchors;
        anchors.sort_by_key(|a| a.size);
        Self {
            vkey,
            bundle_digest: options.bundle_digest,
            anchors,
            verified: options.verified,
            tally: Tally::default(),
            frontier: Frontier::new(),
            last_time: None,
            purpose: None,
            succession: None,
            estate: None,
            continued: false,
            closed: None,
            cas: BTreeMap::new(),
            chunks: Chunks::default(),
            keys: Keys::default(),
            serials: Serials::default(),
            attempts: Attempts::default(),
            open: BTreeMap::new(),
            unfulfilled: BTreeMap::new(),
            bundles: Bundles::default(),
            plans: BTreeMap::new(),
            proposals: BTreeMap::new(),
            frozen: HashSet::new(),
            watch: Watch::default(),
            roots: BTreeSet::new(),
            imported: Vec::new(),
            other_logs: Vec::new(),
            request: None,
            adopted_elsewhere: Vec::new(),
            unchecked: BTreeSet::new(),
        }
    }

    fn origin(&self) -> &str {
        self.vkey.name()
    }

    /// How many entries there were so far: the index of the next.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Examines, admits and verifies the next entry on this thread; `tile` as in [`examine`].
    pub fn entry(&mut self, raw: &[u8], tile: Option<Hash>) {
        let examined = examine(self.size(), raw, tile);
        let finding = self.admit(examined).and_then(|check| check.run());
        self.found(finding);
    }

    /// Judges the next entry. Answers with a signature to verify, where the entry brought one.
    ///
    /// Entries are admitted in order, each once; one that was examined as another's is a finding.
    #[must_use]
    pub fn admit(&mut self, examined: Examined) -> Option<SignatureCheck> {
        let index = self.size();
        self.tally.count("records");
        if examined.index != index {
            let found = format!("entry {}", examined.index);
            self.tally
                .add(Finding::at(index, "order of entries", found, format!("entry {index}")));
        }
        for finding in examined.findings {
            self.tally.add(finding);
        }
        self.frontier.push(examined.leaf);
        self.compare_anchors();
        match examined.read {
            Some(read) => self.judge(index, *read).filter(|_| index >= self.verified),
            None => {
                self.require_genesis(index, false);
                None
            }
        }
    }

    /// Takes what a [`SignatureCheck`] found.
    pub fn found(&mut self, finding: impl IntoIterator<Item = Finding>) {
        for one in finding {
            self.tally.add(one);
        }
    }

    fn compare_anchors(&mut self) {
        let size = self.frontier.size();
        for anchor in self.anchors.iter().filter(|a| a.size == size) {
            self.tally.count("known checkpoints");
            let root = self.frontier.root();
            if anchor.root != root || anchor.origin.as_str() != self.vkey.name() {
                let found = format!("root {root} at size {size}");
                let expected = format!("{} of `{}`, as seen elsewhere", anchor.root, anchor.origin);
                self.tally
                    .add(Finding::at(size - 1, "known checkpoint", found, expected));
            }
        }
    }

    fn judge(&mut self, index: u64, read: Read) -> Option<SignatureCheck> {
        let Read {
            time,
            body,
            tbs,
            signed,
            texts,
        } = read;
        let at = (index, time);
        self.keep_root();
        self.judge_time(index, time);
        self.require_genesis(index, matches!(body, Body::Genesis(_)));
        self.judge_purpose(index, &body);
        self.judge_epoch(index, &body);
        match body {
            Body::Genesis(genesis) => self.genesis(index, &genesis, texts),
            Body::Chunk(chunk) => self.chunks.add(index, chunk, &mut self.tally),
            Body::KeyGenerated(key) => self.key_generated(at, &key, texts),
            Body::KeyDestroyed(key) => self.key_destroyed(at, &key, texts),
            Body::BundleAdopted(body) => self.bundle(at, &body, texts),
            Body::SignerRequest(request) => self.signer_request(index, &request),
            Body::Plan(plan) => self.plan(at, &plan, texts),
            Body::CeremonyImported(import) => self.ceremony_imported(index, &import),
            Body::CaCertificate(certificate) => self.ca_certificate(index, &certificate),
            Body::Proposal(proposal) => self.proposal(index, *proposal, tbs),
            Body::Decision(decision) => self.decision(at, &decision, texts),
            Body::Withdrawal(withdrawal) => self.withdrawal(index, &withdrawal),
            Body::Intent(intent) => self.intent(at, *intent, tbs, texts),
            Body::Issued(issued) => return self.issued(index, &issued, signed),
            Body::Failed(failed) => self.failed(index, &failed),
            Body::Unknown(unknown) => self.unknown(at, &unknown),
            Body::Revocation(revocation) => self.revocation(at, &revocation, texts),
            Body::Freeze(freeze) => self.freeze(freeze),
            Body::Unfreeze(unfreeze) => self.unfreeze(at, &unfreeze, texts),
            Body::Recovery(recovery) => self.recovery(at, &recovery, texts),
            Body::EpochClosed(closed) => self.epoch_closed(at, &closed, texts),
            Body::CarriedOver(carried) => self.carried_over(at, &carried),
            Body::Cosigned(cosigned) => self.cosigned(index, &cosigned),
            Body::Halted(halted) => self.halted(at, &halted),
            // What happened, without a bearing on what may be signed.
            Body::Started(_)
            | Body::Stopped(_)
            | Body::TokenLogin(_)
            | Body::ClockStep(_)
            | Body::CeremonyNote(_)
            | Body::CeremonyClosed(_)
            | Body::Refusal(_)
            | Body::AccessRefused(_)
            | Body::RefusalsCounted(_)
            | Body::WitnessResult(_) => {}
        }
        None
    }

    fn judge_time(&mut self, index: u64, time: Time) {
        self.tally.count("time");
        if let Some(last) = self.last_time.filter(|last| time < *last) {
            let expected = format!("{last} or later");
            self.tally.add(Finding::at(index, "time", time.to_string(), expected));
        }
        // The latest, so that one step back is one finding.
        self.last_time = self.last_time.max(Some(time));
    }

    fn require_genesis(&mut self, index: u64, is_genesis: bool) {
        if is_genesis != (index == 0) {
            let found = if is_genesis {
                "a second genesis"
            } else {
                "something else"
            };
            self.tally.add(Finding::at(
                index,
                "genesis",
                found,
                "genesis as record 0 and nowhere else",
            ));
        }
    }

    fn judge_purpose(&mut self, index: u64, body: &Body) {
        let belongs = match body {
            Body::SignerRequest(_) | Body::Plan(_) | Body::CeremonyNote(_) | Body::CeremonyClosed(_) => {
                LogPurpose::Ceremony
            }
            Body::CeremonyImported(_) | Body::CaCertificate(_) | Body::EpochClosed(_) | Body::CarriedOver(_) => {
                LogPurpose::Signer
            }
            _ => return,
        };
        if self.purpose.is_some_and(|purpose| purpose != belongs) {
            let expected = format!("it in a log for {belongs:?} only");
            self.tally
                .add(Finding::at(index, "kind", format!("`{}`", body.kind()), expected));
        }
    }

    fn genesis(&mut self, index: u64, genesis: &Genesis, texts: Vec<Result<Signed, Error>>) {
        self.tally
            .same(index, "verifier key", &genesis.vkey, &self.vkey.to_string());
        self.tally
            .same(index, "origin", &genesis.origin.as_str(), &self.vkey.name());
        if index == 0 {
            self.purpose = Some(genesis.purpose);
            if let Some(predecessor) = &genesis.predecessor {
                self.begin_succession(index, predecessor, texts);
            }
        }
    }
}
