//! The signer's request to a later ceremony: the keys' CSRs as they are recorded, the newest checkpoint, and proof of
//! what the log became since the ceremony last saw it. Nothing is signed or recorded for it.

use stele_core::Error;
use stele_core::ceremony::{CeremonyFile as _, Later, RequestedBundle, RequestedKey, SignerRequest, VERSION};
use stele_core::checkpoint::{Checkpoint, TlogProof};
use stele_core::record::{Body, Purpose, Record};
use stele_core::types::{B64, Digest, KeyName};
use stele_index::Filter;

use super::check::require;
use crate::error::SignerError;
use crate::signer::Signer;
use crate::tree;

/// A key's CSR is recorded at most so many records after the key.
const CSR_WITHIN: u64 = 4096;
/// Entries and records asked for at once.
const BATCH: u32 = 256;

impl Signer {
    /// A request for `keys`, or all keys that the keeper holds. `since` is the request of the ceremony before.
    ///
    /// # Errors
    /// When that is no request of this log, a key has no CSR, or the keeper does not answer.
    pub(crate) fn request_ceremony(&self, since: &[u8], keys: &[KeyName]) -> Result<Vec<u8>, SignerError> {
        let earlier = SignerRequest::decode(since)?;
        for (field, found, permitted) in [
            ("origin", earlier.origin.as_str(), self.origin.as_str()),
            ("vkey", &earlier.vkey, &self.vkey),
        ] {
            require(found == permitted, &format!("--since: {field}"), found, permitted)?;
        }
        self.check_own_checkpoint("--since: checkpoint", &earlier.checkpoint)?;
        let seen = Checkpoint::from_note_unverified(&earlier.checkpoint)?.size;
        let (note, head) = tree::checkpoint(&self.keeper)?;
        let held = self.held.load_full();
        let keys: Vec<&KeyName> = if keys.is_empty() {
            held.keys().collect()
        } else {
            keys.iter().collect()
        };
        let request = SignerRequest {
            v: VERSION,
            origin: self.origin.clone(),
            vkey: self.vkey.clone(),
            keys: keys
                .into_iter()
                .map(|key| self.requested(key))
                .collect::<Result<_, _>>()?,
            later: Some(Later {
                since: seen,
                consistency: self.consistency(seen, head.size)?,
                bundles: self.bundles_between(seen, &note, head.size)?,
                ceremony: self.newest_import()?.map(|imported| imported.checkpoint),
            }),
            checkpoint: note,
        };
        Ok(request.encode()?)
    }

    fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, SignerError> {
        if old == new {
            return Ok(Vec::new());
        }
        Ok(self.keeper.consistency(old, new)?.into_iter().map(Digest).collect())
    }

    fn bundles_between(&self, old: u64, note: &str, size: u64) -> Result<Vec<RequestedBundle>, SignerError> {
        let filter = Filter {
            kind: Some("bundle_adopted".to_owned()),
            ..Filter::default()
        };
        let (mut after, mut bundles) = (old.checked_sub(1), Vec::new());
        loop {
            let page = self.reader.find(&filter, after, BATCH)?;
            for view in page.items.iter().filter(|view| view.index < size) {
                after = Some(view.index);
                bundles.push(self.proven_bundle(view.index, note, size)?);
            }
            if page.next.is_none() {
                return Ok(bundles);
            }
        }
    }

    fn proven_bundle(&self, index: u64, note: &str, size: u64) -> Result<RequestedBundle, SignerError> {
        let entry = self.recorded(index)?;
        let Body::BundleAdopted(adopted) = Record::decode(&entry)?.body else {
            return Err(Error::malformed("index", "another record", "bundle_adopted").into());
        };
        let proof = TlogProof {
            extra: Some(entry),
            index,
            hashes: self.keeper.inclusion(index, size)?.into_iter().map(Digest).collect(),
            checkpoint: note.to_owned(),
        };
        Ok(RequestedBundle {
            bundle: B64(tree::resolve(&self.keeper, &adopted.bundle)?),
            proof: proof.to_string(),
        })
    }

    fn recorded(&self, index: u64) -> Result<Vec<u8>, SignerError> {
        let entry = self.keeper.entries(index, 1)?.into_iter().next();
        Ok(entry.ok_or_else(|| Error::malformed("index", index.to_string(), "an index below the log's size"))?)
    }

    /// A key with the CSR that the keeper recorded after it was made.
    fn requested(&self, key: &KeyName) -> Result<RequestedKey, SignerError> {
        let none =
            |found: &str| Error::malformed(format!("--key {key}"), found, "a CA key of the keeper, with its CSR");
        let held = self.held.load();
        let public = held.get(key).ok_or_else(|| none("no such key"))?;
        let filter = Filter {
            kind: Some("key_generated".to_owned()),
            key: Some(key.clone()),
            ..Filter::default()
        };
        let newest = self.reader.find_newest(&filter, None, 1)?.items.into_iter().next();
        let from = newest
            .ok_or_else(|| none("a key whose generation the log does not hold"))?
            .index;
        let mut at = from;
        while at < from + CSR_WITHIN {
            let entries = self.keeper.entries(at, BATCH)?;
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                if let Body::Issued(issued) = Record::decode(entry)?.body
                    && issued.purpose == Purpose::Csr
                    && issued.key == *key
                {
                    return Ok(RequestedKey {
                        key: key.clone(),
                        spki_sha256: public.digest(),
                        csr: B64(tree::resolve(&self.keeper, &issued.signed)?),
                    });
                }
            }
            at += entries.len() as u64;
        }
        Err(none("no CSR").into())
    }
}
