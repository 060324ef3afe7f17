//! Epochs: each is a log of its own, with its own origin, checkpoint key and directory. What a log takes over from the
//! one before it is a file of its own, signed by the quorum and recorded near the new log's beginning.
//!
//! The file is computed by the verifier ([`crate::audit::Estate::carry_over`]) from the old log's export, so that
//! whoever has that export can compute it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::authority::Bundle;
use crate::authority::texts::{SuccessionKind, SuccessionText};
use crate::ceremony::CeremonyFile;
use crate::checkpoint::{self, Checkpoint, NoteVerifier};
use crate::error::Error;
use crate::record::{FreezeTarget, KeyGenerated, Predecessor};
use crate::types::{B64, Digest, KeyAlgorithm, KeyName, Origin, Serial, SignedText, Time};

/// Version of these files.
pub const VERSION: u8 = 1;

/// What stands for `missing` after a planned change.
pub const NOTHING: &str = "nothing";

/// A log that is about to begin: its checkpoint key is made, its first record is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    /// [`VERSION`].
    pub v: u8,
    /// Its origin.
    pub origin: Origin,
    /// Its verifier key.
    pub vkey: String,
    /// The name of the checkpoint key in the token.
    pub key: KeyName,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Its SPKI.
    pub spki: B64,
    /// Its CKA_ID in hexadecimal.
    pub cka_id: String,
}

impl CeremonyFile for Prepared {
    const WHAT: &'static str = "prepared successor";
    fn version(&self) -> u8 {
        self.v
    }
}

/// A key pair that the old log recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedKey {
    /// Its name.
    pub key: KeyName,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// Its SPKI.
    pub spki: B64,
    /// Its CKA_ID in hexadecimal.
    pub cka_id: String,
    /// How it came into the token.
    pub provenance: String,
    /// Whether the new log's token holds it; one that it does not hold signs nothing more, and its name stays taken.
    pub held: bool,
}

impl From<&KeyGenerated> for CarriedKey {
    fn from(body: &KeyGenerated) -> Self {
        Self {
            key: body.key.clone(),
            algorithm: body.algorithm,
            spki: body.spki.clone(),
            cka_id: body.cka_id.clone(),
            provenance: body.provenance.clone(),
            held: true,
        }
    }
}

/// The newest certificate of a CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedCa {
    /// The key's name; `root` for the root.
    pub key: KeyName,
    /// The certificate.
    pub certificate: B64,
    /// The certificates above it; empty for the root.
    pub chain: Vec<B64>,
    /// The CRL that a ceremony made with this key, for keys that are not ours.
    pub crl: Option<B64>,
}

/// A serial that was used and whose certificate has not expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedSerial {
    /// The key that used it.
    pub key: KeyName,
    /// The serial.
    pub serial: Serial,
    /// The end of validity.
    pub not_after: Time,
    /// Whether the certificate is a CA's.
    pub ca: bool,
}

/// A serial that CRLs must list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedGone {
    /// The key that used it.
    pub key: KeyName,
    /// The serial.
    pub serial: Serial,
    /// The date of its CRL entry.
    pub time: Time,
    /// The CRLReason code; 0 for what is unknown.
    pub reason: u8,
    /// Until when it must be listed.
    pub not_after: Time,
}

/// Everything that a log takes over. Lists are in ascending order of key and serial, each entry once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarryOver {
    /// [`VERSION`].
    pub v: u8,
    /// Whether the change was planned.
    pub kind: SuccessionKind,
    /// What is missing, in words; [`NOTHING`] after a planned change.
    pub missing: String,
    /// The log that begins.
    pub successor: Prepared,
    /// The origin of the log before.
    pub origin: Origin,
    /// Its verifier key.
    pub vkey: String,
    /// Its last known checkpoint, verbatim.
    pub checkpoint: String,
    /// The time of the last known record; the new log's clock does not begin before it.
    pub time: Time,
    /// The log that texts over bundles name.
    pub authority_origin: Origin,
    /// The newest bundle, which is JSON, as text.
    pub bundle: String,
    /// The CA keys.
    pub keys: Vec<CarriedKey>,
    /// The CA certificates.
    pub cas: Vec<CarriedCa>,
    /// The number of the newest CRL of each key.
    pub crl_numbers: BTreeMap<KeyName, u64>,
    /// What is frozen.
    pub frozen: Vec<FreezeTarget>,
    /// What CRLs must list.
    pub gone: Vec<CarriedGone>,
    /// Every serial that has not expired, those that CRLs list included.
    pub serials: Vec<CarriedSerial>,
}

impl CeremonyFile for CarryOver {
    const WHAT: &'static str = "carry-over";
    fn version(&self) -> u8 {
        self.v
    }
}

/// What was found in a carry-over whose parts fit each other.
#[derive(Clone, Debug)]
pub struct CheckedCarryOver {
    /// The newest bundle.
    pub bundle: Bundle,
    /// The last known checkpoint of the log before, its signature verified.
    pub checkpoint: Checkpoint,
    /// The new log's verifier key.
    pub vkey: NoteVerifier,
}

fn ascending<K: Ord>(what: &str, keys: impl Iterator<Item = K>) -> Result<(), Error> {
    let keys: Vec<K> = keys.collect();
    if keys.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    let found = "entries out of order or twice";
    Err(Error::malformed(
        format!("carry-over: {what}"),
        found,
        "each entry once, in ascending order",
    ))
}

impl CarryOver {
    /// Checks all that needs nothing but the file: forms, order, the checkpoint's signature, keys that belong together.
    ///
    /// # Errors
    /// Naming the first part that does not fit.
    pub fn check(&self) -> Result<CheckedCarryOver, Error> {
        let bad = |field: &str, found: String, permitted: &str| {
            Err(Error::malformed(format!("carry-over: {field}"), found, permitted))
        };
        if (self.kind == SuccessionKind::Planned) != (self.missing == NOTHING) {
            return bad(
                "missing",
                self.missing.clone(),
                "`nothing` after a planned change, and only then",
            );
        }
        if self.successor.origin == self.origin {
            return bad(
                "successor",
                self.origin.to_string(),
                "another origin than its predecessor's",
            );
        }
        let vkey = NoteVerifier::for_key(&self.successor.origin, &self.successor.spki.0)?;
        if vkey.to_string() != self.successor.vkey {
            return bad(
                "successor",
                self.successor.vkey.clone(),
                "the verifier key of its checkpoint key",
            );
        }
        let old: NoteVerifier = self.vkey.parse()?;
        let (checkpoint, _) = checkpoint::open(&self.checkpoint, std::slice::from_ref(&old))?;
        if checkpoint.origin != self.origin {
            return bad("checkpoint", checkpoint.origin.to_string(), "one of the log before");
        }
        let bundle = Bundle::parse(self.bundle.as_bytes()).map_err(|errors| {
            let words: Vec<_> = errors.iter().take(5).map(ToString::to_string).collect();
            Error::malformed("carry-over: bundle", words.join(" | "), "a bundle without faults")
        })?;
        ascending("keys", self.keys.iter().map(|k| &k.key))?;
        ascending("cas", self.cas.iter().map(|c| &c.key))?;
        ascending("gone", self.gone.iter().map(|g| (&g.key, &g.serial)))?;
        ascending("serials", self.serials.iter().map(|s| (&s.key, &s.serial)))?;
        let names: Vec<_> = self.frozen.iter().map(frozen_name).collect();
        ascending("frozen", names.iter())?;
        self.check_serials()?;
        Ok(CheckedCarryOver {
            bundle,
            checkpoint,
            vkey,
        })
    }

    /// Serials are of keys that are here, and what is gone was used.
    fn check_serials(&self) -> Result<(), Error> {
        let used: BTreeMap<_, _> = self
            .serials
            .iter()
            .map(|s| ((&s.key, &s.serial), s.not_after))
            .collect();
        let stray = self
            .gone
            .iter()
            .find(|g| used.get(&(&g.key, &g.serial)) != Some(&g.not_after));
        if let Some(stray) = stray {
            let found = format!("{} of `{}`", stray.serial, stray.key);
            return Err(Error::malformed(
                "carry-over: gone",
                found,
                "serials that stand in `serials`, with the same end",
            ));
        }
        let known = |name: &KeyName| self.keys.iter().any(|k| k.key == *name);
        let named = self.serials.iter().map(|s| &s.key).chain(self.crl_numbers.keys());
        match named.into_iter().find(|name| !known(name)) {
            Some(name) => Err(Error::malformed(
                "carry-over: keys",
                format!("no `{name}`"),
                "every key that is named",
            )),
            None => Ok(()),
        }
    }

    /// The text that operators sign over this file, whose canonical bytes have this digest.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn text(&self, carry_over_sha256: Digest, expires: Time) -> Result<SuccessionText, Error> {
        let checked = self.check()?;
        Ok(SuccessionText {
            origin: self.successor.origin.clone(),
            vkey: self.successor.vkey.clone(),
            kind: self.kind,
            predecessor: self.origin.clone(),
            size: checked.checkpoint.size,
            root: checked.checkpoint.root,
            missing: self.missing.clone(),
            carry_over_sha256,
            expires,
        })
    }

    /// What the new log's genesis says of the log before.
    #[must_use]
    pub fn predecessor(&self, carry_over_sha256: Digest, texts: Vec<SignedText>) -> Predecessor {
        Predecessor {
            origin: self.origin.clone(),
            vkey: self.vkey.clone(),
            checkpoint: self.checkpoint.clone(),
            carry_over_sha256,
            texts,
        }
    }
}

/// A freeze's target as texts and the order of lists have it.
#[must_use]
pub fn frozen_name(target: &FreezeTarget) -> String {
    match target {
        FreezeTarget::Issuer(name) => format!("key:{name}"),
        FreezeTarget::Profile(name) => format!("profile:{name}"),
        FreezeTarget::Caller(san) => format!("caller:{san}"),
    }
}
