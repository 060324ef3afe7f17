//! What the signer asks of the ceremony, checked.

use std::collections::BTreeMap;

use super::SignerRequest;
use crate::checkpoint::{self, NoteVerifier};
use crate::csr::{Csr, Limits};
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::types::KeyName;

/// A signer's request whose checkpoint opens and whose CSRs prove possession of their keys.
#[derive(Clone, Debug)]
pub struct CheckedRequest {
    keys: BTreeMap<KeyName, PublicKey>,
}

impl CheckedRequest {
    /// The signer's CA keys.
    #[must_use]
    pub const fn keys(&self) -> &BTreeMap<KeyName, PublicKey> {
        &self.keys
    }
}

impl SignerRequest {
    /// Checks everything in it that can be checked without the signer's log.
    ///
    /// # Errors
    /// Naming the first field that is wrong.
    pub fn check(&self) -> Result<CheckedRequest, Error> {
        let verifier: NoteVerifier = self.vkey.parse()?;
        let verifiers = [verifier];
        let (checkpoint, _) = checkpoint::open(&self.checkpoint, &verifiers)?;
        if checkpoint.origin != self.origin {
            return Err(Error::malformed(
                "signer's request, checkpoint",
                format!("one of `{}`", checkpoint.origin),
                format!("one of `{}`, the request's origin", self.origin),
            ));
        }
        let mut keys = BTreeMap::new();
        for requested in &self.keys {
            let field = format!("signer's request, key `{}`", requested.key);
            let csr = Csr::prove(&requested.csr.0, &Limits::default())
                .map_err(|refusal| Error::unverified(format!("{field}, csr"), refusal.to_string()))?;
            if csr.public_key().digest() != requested.spki_sha256 {
                return Err(Error::unverified(
                    field,
                    "spki_sha256 is not the digest of the key in its CSR",
                ));
            }
            if keys.values().any(|other| other == csr.public_key()) {
                return Err(Error::malformed(
                    field,
                    "a key that has another name, too",
                    "each key once",
                ));
            }
            if keys.insert(requested.key.clone(), csr.public_key().clone()).is_some() {
                return Err(Error::malformed(field, "the name a second time", "each name once"));
            }
        }
        Ok(CheckedRequest { keys })
    }
}
