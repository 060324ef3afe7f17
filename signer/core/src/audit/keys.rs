//! The CA keys of a log, and what their certificates say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    any: bool,
}

impl CrlNumbers {
    /// Whether `number` may be next. One whose intent failed may be taken again or passed over, for no list has it.
    /// The first is 1, unless an earlier log counted before.
    pub(super) fn intend(&mut self, number: u64, continues_another_log: bool) -> Result<(), Error> {
        let taken = self.open.last().map_or(self.signed, |open| self.signed.max(*open));
        let (lowest, highest) = (taken.saturating_add(1), self.intended.saturating_add(1));
        let first_here = continues_another_log && !self.any;
        let result = if first_here || (lowest..=highest).contains(&number) {
            Ok(())
        } else {
            let permitted = format!("{highest}, one more than the last of this key");
            Err(Error::malformed("CRL number", number.to_string(), permitted))
        };
        self.any = true;
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
pub(super) struct Keys(BTreeMap<KeyName, Key>);

impl Keys {
    /// Adds a key.
    ///
    /// # Errors
    /// When the name or the key itself is there already, or there are too many.
    pub(super) fn add(
        &mut self,
        name: &KeyName,
        public: Option<Arc<PublicKey>>,
        spki_sha256: Digest,
        role: KeyRole,
    ) -> Result<(), Error> {
        if self.0.contains_key(name) || self.0.values().any(|k| k.spki_sha256 == spki_sha256) {
            let permitted = "each name and each key once";
            return Err(Error::malformed(
                "key",
                format!("`{name}` or its key a second time"),
                permitted,
            ));
        }
        let number = u16::try_from(self.0.len()).map_err(|_| Error::malformed("key", "more keys", "at most 65,536"))?;
        let key = Key {
            number,
            public,
            spki_sha256,
            role,
            certificates: Vec::new(),
            crls: CrlNumbers::default(),
            gone: BTreeMap::new(),
        };
        self.0.insert(name.clone(), key);
        Ok(())
    }

    /// The CA key with this name.
    ///
    /// # Errors
    /// When the log has not recorded its generation, or it signs checkpoints only.
    pub(super) fn ca(&self, name: &KeyName) -> Result<&Key, Error> {
        self.0
            .get(name)
            .filter(|key| key.role == KeyRole::Ca)
            .ok_or_else(|| Error::malformed("key", format!("`{name}`"), "a CA key whose generation the log records"))
    }

    pub(super) fn get(&self, name: &KeyName) -> Option<&Key> {
        self.0.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &KeyName) -> Option<&mut Key> {
        self.0.get_mut(name)
    }

    /// Notes a CA certificate for whichever key it certifies.
    pub(super) fn learn(&mut self, spki_sha256: Digest, identity: CaIdentity) {
        if let Some(key) = self.0.values_mut().find(|k| k.spki_sha256 == spki_sha256)
            && !key.certificates.contains(&identity)
        {
            key.certificates.push(identity);
        }
    }
}
