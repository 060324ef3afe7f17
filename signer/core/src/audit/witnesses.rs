//! What witnesses and others say of the log: cosignatures that a CA certificate had to wait for, and halts.

use std::collections::{BTreeMap, BTreeSet};

use super::Verifier;
use super::report::Finding;
use crate::authority::WitnessPolicy;
use crate::checkpoint::witness::CosignedCheckpoint;
use crate::error::Error;
use crate::merkle::Hash;
use crate::record::{Authority, Cosigned, Halted, Intent, LogPurpose, Purpose};
use crate::types::Time;

/// Roots that are kept at most while an intent waits for witnesses; the keeper waits seconds, not this long.
const MAX_ROOTS: usize = 1 << 17;
/// The recovery with which operators confirm the log's history after a halt.
const CONFIRMED: &str = "history";

/// What is kept of it.
#[derive(Default)]
pub(super) struct Watch {
    /// Intents for CA certificates that have to be witnessed before they are signed, and are not yet.
    waiting: BTreeSet<u64>,
    /// The tree's roots by size, since the first of these intents.
    roots: BTreeMap<u64, Hash>,
    /// The record that halted the log.
    halted: Option<u64>,
}

impl Verifier {
    /// Keeps the root over the entries so far where a cosigned checkpoint may have to be compared with it.
    pub(super) fn keep_root(&mut self) {
        if self.watch.waiting.is_empty() {
            return;
        }
        self.watch.roots.insert(self.frontier.size(), self.frontier.root());
        if self.watch.roots.len() > MAX_ROOTS {
            self.watch.roots.pop_first();
        }
    }

    /// An intent: whether it has to be witnessed, and what is wrong with it after a halt.
    pub(super) fn watch_intent(&mut self, index: u64, intent: &Intent) -> Option<Finding> {
        let planned = matches!(intent.authority, Authority::Plan { .. } | Authority::Bootstrap);
        let certifies_ca = matches!(intent.purpose, Purpose::Intermediate | Purpose::Root) && !planned;
        let policy = self.bundles.authority().and_then(|a| a.witness_policy());
        if certifies_ca && self.purpose != Some(LogPurpose::Ceremony) && policy.is_some_and(|p| p.ca_intents) {
            self.watch.waiting.insert(index);
            self.keep_root();
        }
        let halted = self.watch.halted?;
        let found = format!("an intent after the halt at {halted}");
        Some(Finding::at(index, "halt", found, "none before a `history` recovery"))
    }

    /// An outcome: `signed` when there is a signature. One that should have waited for witnesses and did not is found.
    pub(super) fn watch_outcome(&mut self, index: u64, intent: u64, signed: bool) {
        if self.watch.waiting.remove(&intent) && signed {
            let expected = "a `cosigned` record before the signature of a CA certificate, as the bundle demands";
            self.tally.add(Finding::at(
                index,
                "witnesses",
                format!("none for intent {intent}"),
                expected,
            ));
        }
        if self.watch.waiting.is_empty() {
            self.watch.roots.clear();
        }
    }

    pub(super) fn cosigned(&mut self, index: u64, cosigned: &Cosigned) {
        let judged = self.judge_cosigned(cosigned);
        if self
            .tally
            .check(index, "cosignatures before a CA certificate", judged)
            .is_some()
        {
            self.watch.waiting.remove(&cosigned.intent);
        }
    }

    fn judge_cosigned(&self, cosigned: &Cosigned) -> Result<(), Error> {
        let Some((authority, policy)) = self.bundles.authority().and_then(|a| Some((a, a.witness_policy()?))) else {
            return Err(Error::unverified(
                "cosigned",
                "the bundle in force demands no witnesses",
            ));
        };
        let opened = CosignedCheckpoint::open(&cosigned.checkpoint, &self.vkey, &authority.witness_keys())?;
        if !policy.is_met_by(opened.by.len()) {
            return Err(Error::unverified("cosigned", enough(opened.by.len(), policy)));
        }
        let size = opened.checkpoint.size;
        if size <= cosigned.intent {
            let permitted = format!("more than {}, the intent's index", cosigned.intent);
            return Err(Error::malformed(
                "cosigned.checkpoint",
                format!("size {size}"),
                permitted,
            ));
        }
        match self.watch.roots.get(&size) {
            Some(root) if *root == opened.checkpoint.root => Ok(()),
            Some(root) => Err(Error::malformed(
                "cosigned.checkpoint",
                format!("root {} at size {size}", opened.checkpoint.root),
                format!("{root}, over the entries"),
            )),
            None => Err(Error::malformed(
                "cosigned.checkpoint",
                format!("size {size}"),
                "a size between the open intent and this record",
            )),
        }
    }

    pub(super) fn halted(&mut self, (index, _): (u64, Time), halted: &Halted) {
        self.watch.halted = Some(index);
        let found = format!("{:?}: {}", halted.reason, halted.found);
        let expected = "one history of this log; look for the other, and at who confirmed this one";
        self.tally.add(Finding::at(index, "halt", found, expected).note());
    }

    /// A recovery that was agreed.
    pub(super) fn lift_halt(&mut self, action: &str) {
        if action == CONFIRMED {
            self.watch.halted = None;
        }
    }

    /// The witnesses of the newest checkpoint, by the policy of the last bundle.
    pub(super) fn judge_quorum(&mut self, cosigned_by: usize) {
        let Some(policy) = self.bundles.authority().and_then(|a| a.witness_policy()) else {
            return;
        };
        self.tally.count("quorum of witnesses");
        if !policy.is_met_by(cosigned_by) {
            let found = enough(cosigned_by, policy);
            let expected = "cosignatures by the quorum; ask for the checkpoint again a little later";
            self.tally.add(Finding::of_log("witnesses", found, expected).note());
        }
        if policy.max_lag.is_some() {
            self.unchecked
                .insert("that each record was witnessed in time: a log keeps only its newest cosignatures");
        }
    }
}

fn enough(found: usize, policy: &WitnessPolicy) -> String {
    format!("{found} witnesses cosigned, {} are needed", policy.quorum)
}
