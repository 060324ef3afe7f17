//! From one log to the next: what a log leaves, how its successor is found, and whether that took over all of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Verifier;
use super::keys::{Gone, Keys};
use super::policy::Bundles;
use super::report::{Finding, Report};
use super::serials::{Fate, Serials};
use super::texts::{self, Signed, line};
use crate::authority::Action;
use crate::authority::texts::{CloseText, OperatorText as _, SuccessionKind, SuccessionText};
use crate::ceremony::CeremonyFile as _;
use crate::checkpoint::{self, Checkpoint, NoteVerifier};
use crate::epoch::{
    CarriedCa, CarriedGone, CarriedKey, CarriedSerial, CarryOver, CheckedCarryOver, NOTHING, Prepared, VERSION,
    frozen_name,
};
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::record::{
    Body, CarriedOver, EpochClosed, FreezeTarget, KeyRole, LogPurpose, Predecessor, Record, Successor,
};
use crate::types::{Digest, KeyName, Time};

/// What the genesis of a log says of the log before, and whether the carry-over was found.
pub(super) struct Succession {
    predecessor: Predecessor,
    signed: Vec<Signed>,
    carried: bool,
}

/// What a log leaves to the one after it, as its verification found it. Hand it to [`Verifier::continuing`].
pub struct Estate {
    vkey: NoteVerifier,
    note: String,
    last_time: Time,
    clean: bool,
    purpose: Option<LogPurpose>,
    closed: Option<Successor>,
    bundles: Bundles,
    keys: Keys,
    serials: Serials,
    frozen: HashSet<FreezeTarget>,
    cas: BTreeMap<KeyName, CarriedCa>,
}

/// How the next log is to begin.
pub struct Handing {
    /// The log that is prepared.
    pub successor: Prepared,
    /// What is missing after a loss; none for a planned change, for which the log must be closed.
    pub missing: Option<String>,
    /// Keys that the new log's token does not hold.
    pub left: BTreeSet<KeyName>,
    /// By how much CRL numbers jump, for those that the lost part may have used.
    pub crl_margin: u64,
}

impl Estate {
    /// What the next log takes over.
    ///
    /// # Errors
    /// When the log has findings, is not a signer's, has no bundle, or is not closed in favour of this successor though
    /// the change is to be planned.
    pub fn carry_over(&self, handing: Handing) -> Result<CarryOver, Error> {
        let bad = |field: &str, found: String, permitted: &str| Err(Error::malformed(field, found, permitted));
        if !self.clean {
            return bad(
                "log",
                "findings".to_owned(),
                "a log that verifies; see `stele audit verify`",
            );
        }
        if self.purpose != Some(LogPurpose::Signer) {
            return bad(
                "log",
                "a ceremony's log".to_owned(),
                "a signer's; a ceremony begins a log of its own",
            );
        }
        let planned = handing.missing.is_none();
        if planned && !self.is_closed_for(&handing.successor) {
            let named = self.closed.as_ref();
            let found = named.map_or("a log that is not closed".to_owned(), |s| {
                format!("closed in favour of `{}`", s.origin)
            });
            return bad(
                "log",
                found,
                "a log that its quorum closed in favour of this successor; or say what is missing",
            );
        }
        self.inventory(handing)
    }

    fn is_closed_for(&self, next: &Prepared) -> bool {
        let named = self.closed.as_ref();
        named.is_some_and(|s| s.origin == next.origin && s.vkey == next.vkey)
    }

    /// What there is, whether or not it may be handed on.
    fn inventory(&self, handing: Handing) -> Result<CarryOver, Error> {
        let none = || Error::malformed("log", "no authority bundle that reads", "a log after its import");
        let mut carry = CarryOver {
            v: VERSION,
            kind: match handing.missing {
                None => SuccessionKind::Planned,
                Some(_) => SuccessionKind::Discontinuity,
            },
            missing: handing.missing.unwrap_or_else(|| NOTHING.to_owned()),
            successor: handing.successor,
            origin: self.vkey.name().parse()?,
            vkey: self.vkey.to_string(),
            checkpoint: self.note.clone(),
            time: self.last_time,
            authority_origin: self.bundles.text_origin().cloned().ok_or_else(none)?,
            bundle: self.bundles.content().map(bundle_text).ok_or_else(none)?,
            keys: Vec::new(),
            cas: self.cas.values().cloned().collect(),
            crl_numbers: BTreeMap::new(),
            frozen: self.frozen.iter().cloned().collect(),
            gone: Vec::new(),
            serials: Vec::new(),
        };
        carry.frozen.sort_by_key(frozen_name);
        for (name, key) in self.keys.all().filter(|(_, key)| key.role == KeyRole::Ca) {
            let held = key.carried.held && !handing.left.contains(name);
            carry.keys.push(CarriedKey {
                held,
                ..key.carried.clone()
            });
            if key.crls.last() > 0 {
                carry
                    .crl_numbers
                    .insert(name.clone(), key.crls.last().saturating_add(handing.crl_margin));
            }
            let listed = key.gone.iter().filter(|(_, gone)| gone.not_after >= self.last_time);
            carry.gone.extend(listed.map(|(serial, gone)| CarriedGone {
                key: name.clone(),
                serial: serial.clone(),
                time: gone.time,
                reason: gone.reason,
                not_after: gone.not_after,
            }));
            let mut unexpired = self.serials.unexpired(key.number, self.last_time);
            unexpired.sort();
            carry
                .serials
                .extend(unexpired.into_iter().map(|(serial, not_after, ca)| CarriedSerial {
                    key: name.clone(),
                    serial,
                    not_after,
                    ca,
                }));
        }
        Ok(carry)
    }

    /// The verifier key of the log that continues this one, from that log's first entry: the one that this log's last
    /// record names, or the one that this log's operators name after a loss.
    ///
    /// # Errors
    /// When the entry begins another log, or nobody vouches for its key.
    pub fn follow(&self, first_entry: &[u8]) -> Result<NoteVerifier, Error> {
        let Body::Genesis(genesis) = Record::decode(first_entry)?.body else {
            return Err(Error::malformed(
                "successor",
                "no genesis as first entry",
                "the log that continues this one",
            ));
        };
        let before = genesis
            .predecessor
            .as_ref()
            .filter(|p| p.origin.as_str() == self.vkey.name());
        let before = before.ok_or_else(|| {
            let permitted = format!("a log that continues `{}`", self.vkey.name());
            Error::malformed("successor", format!("`{}`, which does not", genesis.origin), permitted)
        })?;
        let named = Successor {
            origin: genesis.origin.clone(),
            vkey: genesis.vkey.clone(),
        };
        if self.closed.as_ref() != Some(&named) {
            let mut signed = Vec::new();
            for text in &before.texts {
                let one = texts::open(text, SuccessionText::NAMESPACE)?;
                let text: SuccessionText = one.read()?;
                line("origin", &text.origin, &named.origin)?;
                line("vkey", &text.vkey, &named.vkey)?;
                line("predecessor", &text.predecessor.as_str(), &self.vkey.name())?;
                signed.push(one);
            }
            self.bundles.agreed(Action::Recovery, &signed)?;
        }
        named.vkey.parse()
    }

    /// Whether the log is a signer's, which another may continue.
    #[must_use]
    pub fn is_a_signers(&self) -> bool {
        self.purpose == Some(LogPurpose::Signer)
    }

    /// The origin of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.vkey.name()
    }

    /// What a carry-over lacks or has too much of.
    fn compare(&self, carry: &CarryOver) -> Result<(), Error> {
        let (known, _) = checkpoint::open(&self.note, std::slice::from_ref(&self.vkey))?;
        let (named, _) = checkpoint::open(&carry.checkpoint, std::slice::from_ref(&self.vkey))?;
        if (known.size, known.root) != (named.size, named.root) {
            let found = format!("a carry-over taken at {} entries", named.size);
            let permitted = format!("one taken at the {} entries that the log before has", known.size);
            return Err(Error::malformed("carry-over", found, permitted));
        }
        let planned = carry.kind == SuccessionKind::Planned;
        if planned && !self.is_closed_for(&carry.successor) {
            let permitted = "a planned change of a log that its last record closes in favour of this one";
            return Err(Error::malformed("carry-over: kind", "planned", permitted));
        }
        let expected = self.inventory(Handing {
            successor: carry.successor.clone(),
            missing: (!planned).then(|| carry.missing.clone()),
            left: carry.keys.iter().filter(|k| !k.held).map(|k| k.key.clone()).collect(),
            crl_margin: 0,
        })?;
        same("time", &carry.time, &expected.time)?;
        same("authority_origin", &carry.authority_origin, &expected.authority_origin)?;
        same(
            "bundle",
            &Digest::of(carry.bundle.as_bytes()),
            &Digest::of(expected.bundle.as_bytes()),
        )?;
        holds("keys", &carry.keys, &expected.keys, true)?;
        holds("cas", &carry.cas, &expected.cas, true)?;
        holds("frozen", &carry.frozen, &expected.frozen, planned)?;
        holds("gone", &carry.gone, &expected.gone, planned)?;
        holds("serials", &carry.serials, &expected.serials, planned)?;
        for (key, number) in &expected.crl_numbers {
            let found = carry.crl_numbers.get(key).copied().unwrap_or_default();
            if found < *number || (planned && found > *number) {
                let field = format!("carry-over: crl_numbers of `{key}`");
                return Err(Error::malformed(field, found.to_string(), number.to_string()));
            }
        }
        Ok(())
    }
}

fn bundle_text(bundle: &crate::authority::Bundle) -> String {
    String::from_utf8_lossy(bundle.bytes()).into_owned()
}

fn same<T: PartialEq + std::fmt::Display>(part: &str, found: &T, expected: &T) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let field = format!("carry-over: {part}");
    Err(Error::malformed(
        field,
        found.to_string(),
        format!("{expected}, as the log before has it"),
    ))
}

/// Whether a list has every entry that the log before has; exactly these, where `exact`.
fn holds<T: PartialEq + std::fmt::Debug>(part: &str, found: &[T], expected: &[T], exact: bool) -> Result<(), Error> {
    // Both lists have one order, so one pass suffices.
    let mut rest = found.iter();
    let lost = expected.iter().find(|wanted| !rest.by_ref().any(|one| one == *wanted));
    let field = || format!("carry-over: {part}");
    match lost {
        Some(lost) => Err(Error::malformed(
            field(),
            format!("not {lost:?}"),
            "everything that the log before has",
        )),
        None if exact && found.len() != expected.len() => {
            let counts = format!("{} entries", found.len());
            Err(Error::malformed(
                field(),
                counts,
                format!("the {} of the log before", expected.len()),
            ))
        }
        None => Ok(()),
    }
}

impl Verifier {
    /// A verifier for the log that continues the one of `estate`, whose key [`Estate::follow`] found.
    #[must_use]
    pub fn continuing(estate: Estate, vkey: NoteVerifier, options: super::Options) -> Self {
        Self {
            estate: Some(Box::new(estate)),
            continued: true,
            ..Self::new(vkey, options)
        }
    }

    /// Ends the verification, as [`Self::finish`] does; answers besides with what the log leaves to the next.
    #[must_use]
    pub fn conclude(mut self, checkpoint_note: &str) -> (Report, Estate) {
        let last_time = self.last_time.unwrap_or(Time::from_millis(0));
        // An intent without an outcome counts as issued, so CRLs of the next log must list it.
        for open in self.open.values() {
            if let (Some(serial), Some(not_after), Some(key)) =
                (&open.serial, open.not_after, self.keys.get_mut(&open.key))
            {
                key.gone.entry(serial.clone()).or_insert(Gone {
                    time: last_time,
                    reason: 0,
                    not_after,
                });
            }
        }
        let mut estate = Estate {
            vkey: self.vkey.clone(),
            note: checkpoint_note.to_owned(),
            last_time,
            clean: false,
            purpose: self.purpose,
            closed: self.closed.clone(),
            bundles: self.bundles.clone(),
            keys: std::mem::take(&mut self.keys),
            serials: std::mem::take(&mut self.serials),
            frozen: std::mem::take(&mut self.frozen),
            cas: std::mem::take(&mut self.cas),
        };
        let report = self.finish(checkpoint_note);
        estate.clean = report.is_clean();
        (report, estate)
    }

    pub(super) fn begin_succession(
        &mut self,
        index: u64,
        predecessor: &Predecessor,
        texts: Vec<Result<Signed, Error>>,
    ) {
        let opened = predecessor.vkey.parse::<NoteVerifier>().and_then(|vkey| {
            let (checkpoint, _) = checkpoint::open(&predecessor.checkpoint, std::slice::from_ref(&vkey))?;
            line("origin", &checkpoint.origin, &predecessor.origin)
        });
        self.tally.check(index, "the predecessor's checkpoint", opened);
        let signed = texts
            .into_iter()
            .filter_map(|text| self.tally.check(index, "succession text", text))
            .collect();
        self.succession = Some(Succession {
            predecessor: predecessor.clone(),
            signed,
            carried: false,
        });
    }

    /// Nothing but what the beginning needs stands before the carry-over, and nothing at all after the close.
    pub(super) fn judge_epoch(&mut self, index: u64, body: &Body) {
        if let Some(successor) = &self.closed {
            let expected = format!("nothing after the close in favour of `{}`", successor.origin);
            self.tally.add(Finding::at(
                index,
                "closed epoch",
                format!("`{}`", body.kind()),
                expected,
            ));
        }
        let waiting = self.succession.as_ref().is_some_and(|s| !s.carried);
        let preliminary = matches!(
            body,
            Body::Genesis(_) | Body::Chunk(_) | Body::TokenLogin(_) | Body::CarriedOver(_)
        );
        if waiting && !preliminary {
            let expected = "the carry-over before anything else, in a log that continues another";
            self.tally
                .add(Finding::at(index, "carry-over", format!("`{}`", body.kind()), expected));
        }
    }

    pub(super) fn epoch_closed(&mut self, at: (u64, Time), body: &EpochClosed, texts: Vec<Result<Signed, Error>>) {
        let (index, _) = at;
        let fits = |text: &CloseText| {
            line("successor", &text.successor, &body.successor.origin)?;
            line("successor-vkey", &text.successor_vkey, &body.successor.vkey)
        };
        self.agreed(at, Action::Recovery, texts, fits);
        let key = body.successor.vkey.parse::<NoteVerifier>().map(drop);
        self.tally.check(index, "successor's key", key);
        if let Some(open) = self.open.keys().next() {
            let found = format!("intent {open} without an outcome");
            self.tally.add(Finding::at(
                index,
                "closed epoch",
                found,
                "an outcome for each intent before the close",
            ));
        }
        self.closed = Some(body.successor.clone());
    }

    pub(super) fn carried_over(&mut self, at: (u64, Time), body: &CarriedOver) {
        let (index, _) = at;
        let Some(bytes) = self.chunks.take(index, &body.carry_over, &mut self.tally) else {
            return;
        };
        let accepted = self.accept(at, &bytes);
        let Some((carry, checked)) = self.tally.check(index, "carry-over", accepted) else {
            return;
        };
        if let Some(succession) = &mut self.succession {
            succession.carried = true;
        }
        let estate = self.estate.take();
        match &estate {
            Some(estate) => {
                self.tally
                    .check(index, "carry-over against the log before", estate.compare(&carry));
            }
            None => {
                if let Some(expected) = self.bundle_digest {
                    self.tally
                        .same(index, "first bundle", &checked.bundle.digest(), &expected);
                }
            }
        }
        self.bundles.inherit(checked.bundle, carry.authority_origin.clone());
        self.take_over(index, &carry, estate.map(|e| *e));
    }

    /// The carry-over is the one that the genesis names, for this log, and the quorum of its bundle signed it.
    fn accept(&self, (_, time): (u64, Time), bytes: &[u8]) -> Result<(CarryOver, CheckedCarryOver), Error> {
        let stray = || {
            Error::malformed(
                "carried_over",
                "it a second time, or without a predecessor",
                "once, after a genesis that names a predecessor",
            )
        };
        let succession = self.succession.as_ref().filter(|s| !s.carried).ok_or_else(stray)?;
        let digest = Digest::of(bytes);
        line("carry-over-sha256", &digest, &succession.predecessor.carry_over_sha256)?;
        let carry = CarryOver::decode(bytes)?;
        let checked = carry.check()?;
        line("successor", &carry.successor.origin.as_str(), &self.origin())?;
        line("successor's vkey", &carry.successor.vkey, &self.vkey.to_string())?;
        if carry.predecessor(digest, succession.predecessor.texts.clone()) != succession.predecessor {
            return Err(Error::unverified(
                "carry-over",
                "it names another log before than the genesis",
            ));
        }
        if time < carry.time {
            let permitted = format!("{} or later", carry.time);
            return Err(Error::malformed("time", time.to_string(), permitted));
        }
        for one in &succession.signed {
            let text: SuccessionText = one.read()?;
            text.check(&carry.successor.origin, time)?;
            if text != carry.text(digest, text.expires)? {
                return Err(Error::unverified("succession text", "it is about another carry-over"));
            }
        }
        Bundles::of(checked.bundle.clone(), carry.authority_origin.clone())
            .agreed(Action::Recovery, &succession.signed)?;
        Ok((carry, checked))
    }

    fn take_over(&mut self, index: u64, carry: &CarryOver, estate: Option<Estate>) {
        let serials_are_here = estate.is_some();
        let numbers: BTreeMap<KeyName, u16> = estate
            .as_ref()
            .map(|e| e.keys.all().map(|(name, key)| (name.clone(), key.number)).collect())
            .unwrap_or_default();
        if let Some(estate) = estate {
            self.serials = estate.serials;
        }
        for key in &carry.keys {
            let public = PublicKey::from_spki_der(&key.spki.0);
            let public = self.tally.check(index, "public key", public).map(std::sync::Arc::new);
            let added = self.keys.carry(key, public, numbers.get(&key.key).copied());
            self.tally.check(index, "key", added);
            if let (Some(number), Some(key)) = (carry.crl_numbers.get(&key.key), self.keys.get_mut(&key.key)) {
                key.crls = super::keys::CrlNumbers::after(*number);
            }
        }
        for one in carry.serials.iter().filter(|_| !serials_are_here) {
            let Some(number) = self.keys.get(&one.key).map(|k| k.number) else {
                continue;
            };
            self.serials.open(number, &one.serial, one.not_after, one.ca);
            if let Some(entry) = self.serials.get_mut(number, &one.serial) {
                entry.fate = Fate::Issued;
            }
        }
        for one in &carry.gone {
            let Some(key) = self.keys.get_mut(&one.key) else {
                continue;
            };
            let gone = Gone {
                time: one.time,
                reason: one.reason,
                not_after: one.not_after,
            };
            key.gone.insert(one.serial.clone(), gone);
            if let Some(entry) = self.serials.get_mut(key.number, &one.serial) {
                entry.revoked = true;
            }
        }
        self.frozen.extend(carry.frozen.iter().cloned());
        let roots = carry.cas.iter().filter(|ca| ca.chain.is_empty());
        self.roots.extend(roots.map(|ca| Digest::of(&ca.certificate.0)));
    }

    /// A log that names a predecessor took something over.
    pub(super) fn judge_succession(&mut self) {
        if self.succession.as_ref().is_some_and(|s| !s.carried) {
            let expected = "a carried_over record, in a log that names a predecessor";
            self.tally
                .add(Finding::of_log("carry-over", "none that counts", expected));
        }
        if let Some(estate) = &self.estate {
            let found = format!("a log that takes nothing over from `{}`", estate.origin());
            self.tally.add(Finding::of_log(
                "succession",
                found,
                "the log that continues the one given before it",
            ));
        }
    }

    /// The log before this one, where the genesis names one.
    pub(super) fn predecessor(&self) -> Option<Checkpoint> {
        let succession = self.succession.as_ref()?;
        Checkpoint::from_note_unverified(&succession.predecessor.checkpoint).ok()
    }
}
