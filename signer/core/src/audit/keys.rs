//! The CA keys of a log, and what their certificates say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::epoch::CarriedKey;
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::record::KeyRole;
use crate::tbs::{NameConstraints, TbsView};
use crate::types::{Digest, KeyName, Serial, Time};

/// A CA certificate, as far as what it signs depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CaIdentity {
    subject_der: Vec<u8>,
    key_identifier: Option<Vec<u8>>,
    not_after: Time,
    path_length: Option<u8>,
    constraints: Option<NameConstraints>,
}

impl CaIdentity {
    /// What a certificate says; none unless it is a CA's.
    pub(super) fn of(view: &TbsView) -> Option<Self> {
        view.ca.then(|| Self {
            subject_der: view.subject_der.clone(),
            key_identifier: view.subject_key_identifier.clone(),
            not_after: view.not_after,
            path_length: view.path_length,
            constraints: view.name_constraints.clone(),
        })
    }

    /// Whether the issuer and key identifier in `view` are this CA's, byte for byte.
    pub(super) fn is_named(&self, issuer_der: &[u8], key_identifier: Option<&[u8]>) -> bool {
        self.subject_der == issuer_der && self.key_identifier.as_deref() == key_identifier
    }

    /// Whether this CA may have issued `view` (RFC 5280 section 6.1, less what needs a whole path).
    pub(super) fn permits(&self, view: &TbsView) -> Result<(), Error> {
        if view.not_after > self.not_after {
            let permitted = format!("at most {}, the end of its issuer's certificate", self.not_after);
            return Err(Error::malformed("notAfter", view.not_after.to_string(), permitted));
        }
        if view.ca && self.path_length == Some(0) {
            return Err(Error::malformed(
                "path length",
                "a CA below an issuer of path length 0",
                "a leaf",
            ));
        }
        let constraints = self.constraints.as_ref();
        match view.sans.iter().find(|san| !constraints.is_none_or(|c| c.permits(san))) {
            Some(san) => Err(Error::malformed(
                "san",
                san.to_string(),
                "within its issuer's name constraints",
            )),
            None => Ok(()),
        }
    }
}

/// The numbers of a key's CRLs.
#[derive(Default)]
pub(super) struct CrlNumbers {
    /// The highest that was or may have been signed.
    signed: u64,
    /// The highest that was ever intended.
    intended: u64,
    open: BTreeSet<u64>,
}

impl CrlNumbers {
    /// The count after an earlier log, whose last number this is.
    pub(super) fn after(number: u64) -> Self {
        Self {
            signed: number,
            intended: number,
            open: BTreeSet::new(),
        }
    }

    /// The highest that was ever intended.
    pub(super) const fn last(&self) -> u64 {
        self.intended
    }

    /// Whether `number` may be next. One whose intent failed may be taken again or passed over, for no list has it.
    pub(super) fn intend(&mut self, number: u64) -> Result<(), Error> {
        let taken = self.open.last().map_or(self.signed, |open| self.signed.max(*open));
        let (lowest, highest) = (taken.saturating_add(1), self.intended.saturating_add(1));
        let result = if (lowest..=highest).contains(&number) {
            Ok(())
        } else {
            let permitted = format!("{highest}, one more than the last of this key");
            Err(Error::malformed("CRL number", number.to_string(), permitted))
        };
        self.open.insert(number);
        self.intended = self.intended.max(number);
        result
    }

    pub(super) fn close(&mut self, number: u64, failed: bool) {
        self.open.remove(&number);
        if !failed {
            self.signed = self.signed.max(number);
        }
    }
}

/// A serial that is revoked or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    /// When the record said so: the date of its CRL entry.
    pub(super) time: Time,
    /// The CRLReason code; 0 for what is unknown.
    pub(super) reason: u8,
    /// Until when CRLs must list it.
    pub(super) not_after: Time,
}

/// A key that the log generated.
pub(super) struct Key {
    /// Its place, a compact name.
    pub(super) number: u16,
    pub(super) public: Option<Arc<PublicKey>>,
    pub(super) spki_sha256: Digest,
    pub(super) role: KeyRole,
    /// What a later log would be told of it; whether it is held changes when it is destroyed.
    pub(super) carried: CarriedKey,
    pub(super) certificates: Vec<CaIdentity>,
    pub(super) crls: CrlNumbers,
    /// What its CRLs must list: revoked or unknown.
    pub(super) gone: BTreeMap<Serial, Gone>,
}

impl Key {
    /// The newest certificate of this key that `issuer_der` and `key_identifier` name: a renewal has the same names.
    pub(super) fn identity(&self, issuer_der: &[u8], key_identifier: Option<&[u8]>) -> Result<&CaIdentity, Error> {
        let named = |c: &&CaIdentity| c.is_named(issuer_der, key_identifier);
        self.certificates.iter().rev().find(named).ok_or_else(|| {
            let found = match self.certificates.len() {
                0 => "a key without a recorded CA certificate",
                _ => "another name or key identifier",
            };
            let permitted = "the exact subject and key identifier of a CA certificate that the log records for the key";
            Error::malformed("issuer", found, permitted)
        })
    }
}

/// The keys of a log by name.
#[derive(Default)]
pub(super) struct Keys {
    keys: BTreeMap<KeyName, Key>,
    /// The number of the next one that no earlier log numbered.
    next: u16,
}

impl Keys {
    /// Adds a key that this log generated.
    ///
    /// # Errors
    /// When the name or the key itself is there already, or there are too many.
    pub(super) fn add(
        &mut self,
        carried: CarriedKey,
        public: Option<Arc<PublicKey>>,
        role: KeyRole,
    ) -> Result<(), Error> {
        self.insert(carried, public, role, None)
    }

    /// Adds a CA key of the log before, under the number that its serials have.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(super) fn carry(
        &mut self,
        carried: &CarriedKey,
        public: Option<Arc<PublicKey>>,
        number: Option<u16>,
    ) -> Result<(), Error> {
        self.insert(carried.clone(), public, KeyRole::Ca, number)
    }

    fn insert(
        &mut self,
        carried: CarriedKey,
        public: Option<Arc<PublicKey>>,
        role: KeyRole,
        number: Option<u16>,
    ) -> Result<(), Error> {
        let (name, spki_sha256) = (carried.key.clone(), Digest::of(&carried.spki.0));
        if self.keys.contains_key(&name) || self.keys.values().any(|k| k.spki_sha256 == spki_sha256) {
            let permitted = "each name and each key once";
            return Err(Error::malformed(
                "key",
                format!("`{name}` or its key a second time"),
                permitted,
            ));
        }
        let number = number.unwrap_or(self.next);
        let next = number
            .checked_add(1)
            .ok_or_else(|| Error::malformed("key", "more keys", "at most 65,535"))?;
        self.next = self.next.max(next);
        let key = Key {
            number,
            public,
            spki_sha256,
            role,
            carried,
            certificates: Vec::new(),
            crls: CrlNumbers::default(),
            gone: BTreeMap::new(),
        };
        self.keys.insert(name, key);
        Ok(())
    }

    /// Every key, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&KeyName, &Key)> {
        self.keys.iter()
    }

    /// The CA key with this name.
    ///
    /// # Errors
    /// When the log has not recorded its generation, or it signs checkpoints only.
    pub(super) fn ca(&self, name: &KeyName) -> Result<&Key, Error> {
        let permitted = "a CA key whose generation the log records, and which was not destroyed or left behind";
        self.keys
            .get(name)
            .filter(|key| key.role == KeyRole::Ca && key.carried.held)
            .ok_or_else(|| Error::malformed("key", format!("`{name}`"), permitted))
    }

    pub(super) fn get(&self, name: &KeyName) -> Option<&Key> {
        self.keys.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &KeyName) -> Option<&mut Key> {
        self.keys.get_mut(name)
    }

    /// Notes a CA certificate for whichever key it certifies.
    pub(super) fn learn(&mut self, spki_sha256: Digest, identity: CaIdentity) {
        if let Some(key) = self.keys.values_mut().find(|k| k.spki_sha256 == spki_sha256)
            && !key.certificates.contains(&identity)
        {
            key.certificates.push(identity);
        }
    }
}
