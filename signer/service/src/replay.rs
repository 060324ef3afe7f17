//! What was issued before, found again: the same certificate, record and position, with a newer proof.

use stele_api::convert::Issued;
use stele_api::status::Failure;
use stele_core::Error;
use stele_core::checkpoint::TlogProof;
use stele_core::record::{Body, Record};
use stele_core::types::{Digest, KeyName};

use crate::error::SignerError;
use crate::signer::Signer;
use crate::snapshot::Snapshot;
use crate::tree;

impl Signer {
    /// The answer that the outcome at `outcome` was.
    ///
    /// # Errors
    /// When the keeper does not answer, or there is no such outcome.
    pub(crate) fn replay(
        &self,
        snapshot: &Snapshot,
        outcome: u64,
        key: &KeyName,
        attempt: u32,
    ) -> Result<Issued, Failure> {
        let (record, proof) = self.prove_entry(outcome)?;
        let decoded = Record::decode(&record).map_err(SignerError::from)?;
        let Body::Issued(issued) = decoded.body else {
            let error = Error::malformed(format!("record {outcome}"), decoded.body.kind(), "issued");
            return Err(SignerError::Core(error).into());
        };
        Ok(Issued {
            certificate: tree::resolve(&self.keeper, &issued.signed)?,
            chain: snapshot
                .cas
                .get(key)
                .map(|ca| ca.below_root().to_vec())
                .unwrap_or_default(),
            record,
            position: self.position(outcome),
            checkpoint: proof.checkpoint.clone(),
            tlog_proof: proof.to_string(),
            attempt,
        })
    }

    /// An entry and its proof in the newest checkpoint, the entry in `extra`.
    ///
    /// # Errors
    /// When the keeper does not answer, or has no such entry.
    pub(crate) fn prove_entry(&self, index: u64) -> Result<(Vec<u8>, TlogProof), SignerError> {
        // With cosignatures where these cover it.
        let (mut note, mut checkpoint) = tree::published(&self.keeper)?;
        if checkpoint.size <= index {
            (note, checkpoint) = tree::checkpoint(&self.keeper)?;
        }
        let entries = self.keeper.entries(index, 1)?;
        let record = entries
            .into_iter()
            .next()
            .ok_or_else(|| Error::malformed("index", index.to_string(), "an index below the log's size"))?;
        let hashes = self.keeper.inclusion(index, checkpoint.size)?;
        let proof = TlogProof {
            extra: Some(record.clone()),
            index,
            hashes: hashes.into_iter().map(Digest).collect(),
            checkpoint: note,
        };
        Ok((record, proof))
    }
}
