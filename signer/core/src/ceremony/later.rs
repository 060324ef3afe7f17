//! A signer's request to a ceremony that is not its first: how the signer's log grew since the ceremony last saw it,
//! and every authority bundle that it adopted meanwhile, proven from that log.

use serde::{Deserialize, Serialize};

use super::facts::Found;
use super::{SignerRequest, WholeLog};
use crate::authority::Bundle;
use crate::checkpoint::{self, Checkpoint, NoteVerifier, TlogProof};
use crate::error::Error;
use crate::merkle;
use crate::record::{self, Body, BundleAdopted, Record};
use crate::types::{B64, Digest, Time};

/// What a later request says beside the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Later {
    /// The size of the signer's log at the earlier request.
    pub since: u64,
    /// The proof (RFC 6962 section 2.1.2) that this log begins with that one.
    pub consistency: Vec<Digest>,
    /// Every bundle that the signer's log adopted since, in order.
    pub bundles: Vec<RequestedBundle>,
    /// The newest checkpoint of the ceremony's log that the signer holds; none while it has imported nothing.
    pub ceremony: Option<String>,
}

/// A bundle that the signer's log adopted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedBundle {
    /// Its bytes.
    pub bundle: B64,
    /// The record that adopted it, with its inclusion: a `tlog-proof` whose extra line is the record.
    pub proof: String,
}

/// A bundle whose adoption the signer's log proves.
#[derive(Clone, Debug)]
pub struct ProvenBundle {
    /// What the signer's record says, with the operators' texts.
    pub adopted: BundleAdopted,
    /// The bundle.
    pub bundle: Bundle,
    /// When the signer's keeper accepted it: what the texts' expiry is held against.
    pub at: Time,
}

impl SignerRequest {
    /// Checks that the signer's log is the one of an earlier request, grown or unchanged.
    ///
    /// # Errors
    /// When it is another log, an older state of it, or no continuation of what the ceremony saw.
    pub fn follows(&self, earlier: &record::SignerRequest) -> Result<(), Error> {
        for (field, found, permitted) in [
            ("origin", self.origin.as_str(), earlier.origin.as_str()),
            ("vkey", &self.vkey, &earlier.vkey),
        ] {
            if found != permitted {
                return Err(Error::malformed(
                    format!("signer's request, {field}"),
                    format!("`{found}`"),
                    format!("`{permitted}`, the log that the ceremony knows"),
                ));
            }
        }
        let (seen, found) = (
            head(&earlier.vkey, &earlier.checkpoint)?,
            head(&self.vkey, &self.checkpoint)?,
        );
        if found.size < seen.size {
            return Err(Error::malformed(
                "signer's request, checkpoint",
                format!("{} records", found.size),
                format!(
                    "at least {}: the ceremony saw so many, so this log was rolled back",
                    seen.size
                ),
            ));
        }
        let proof = match &self.later {
            // The very request that the ceremony has, brought again after an interruption.
            None if found == seen => return Ok(()),
            None => {
                let permitted = "one that was written with --since the request of the ceremony before";
                return Err(Error::malformed(
                    "signer's request",
                    "one for a first ceremony",
                    permitted,
                ));
            }
            Some(later) if later.since != seen.size => {
                return Err(Error::malformed(
                    "signer's request, since",
                    format!("{} records", later.since),
                    format!(
                        "{}: write it with --since the request in the transcript before",
                        seen.size
                    ),
                ));
            }
            Some(later) => &later.consistency,
        };
        merkle::verify_consistency(seen.size, &seen.root, found.size, &found.root, proof)
            .map_err(|e| Error::unverified("signer's request: the signer's log was forked", e.to_string()))
    }

    /// The bundles that the signer's log proves to have adopted since the earlier request, in order.
    ///
    /// # Errors
    /// When a proof does not lead to the request's own checkpoint, or is of another record than its bundle's.
    pub fn proven_bundles(&self) -> Result<Vec<ProvenBundle>, Error> {
        let verifiers = [self.vkey.parse::<NoteVerifier>()?];
        let bundles = self.later.iter().flat_map(|later| &later.bundles);
        bundles.map(|requested| self.proven(requested, &verifiers)).collect()
    }

    fn proven(&self, requested: &RequestedBundle, verifiers: &[NoteVerifier]) -> Result<ProvenBundle, Error> {
        let bad = |why: &str| Error::unverified("signer's request, bundles", why);
        let proof: TlogProof = requested.proof.parse()?;
        if proof.checkpoint != self.checkpoint {
            return Err(bad("a proof is in another tree than that of the request's checkpoint"));
        }
        let entry = proof
            .extra
            .as_deref()
            .ok_or_else(|| bad("a proof is without the record"))?;
        proof.verify(entry, verifiers)?;
        let record = Record::decode(entry)?;
        let Body::BundleAdopted(adopted) = record.body else {
            return Err(bad("a proof is of a record that adopts no bundle"));
        };
        let bundle = Bundle::parse(&requested.bundle.0).map_err(first)?;
        if (adopted.number, adopted.sha256, adopted.predecessor)
            != (bundle.number(), bundle.digest(), bundle.predecessor())
        {
            return Err(bad("a proof is about another bundle than the one beside it"));
        }
        Ok(ProvenBundle {
            adopted,
            bundle,
            at: record.time,
        })
    }

    /// When the signer's log adopted this bundle with these very texts.
    ///
    /// # Errors
    /// When the request does not prove that it did.
    pub fn adopted_at(&self, body: &BundleAdopted) -> Result<Time, Error> {
        let proven = self.proven_bundles()?;
        let same = |p: &&ProvenBundle| p.adopted.sha256 == body.sha256 && p.adopted.texts == body.texts;
        proven.iter().find(same).map(|p| p.at).ok_or_else(|| {
            Error::unverified(
                format!("bundle {}", body.number),
                "the signer's newest request does not prove that the signer's log adopted it with these texts",
            )
        })
    }
}

/// The bundles among `proven` that come after those which the ceremony's log has: each the next one, none left out.
///
/// # Errors
/// When one is missing, or another stands in the place of one that the ceremony has.
pub fn bundles_to_adopt(known: &[Found<BundleAdopted>], proven: Vec<ProvenBundle>) -> Result<Vec<ProvenBundle>, Error> {
    let newest = known.last().map(|found| &found.body);
    let newest = newest.ok_or_else(|| Error::malformed("ceremony's log", "no bundle", "the first bundle"))?;
    let (mut number, mut digest) = (newest.number, newest.sha256);
    let mut next = Vec::new();
    for one in proven {
        let found = one.bundle.number();
        if let Some(had) = known.iter().find(|had| had.body.number == found) {
            if had.body.sha256 != one.bundle.digest() {
                let permitted = format!("{}, which the ceremony's log holds", had.body.sha256);
                return Err(Error::malformed(
                    format!("bundle {found}"),
                    one.bundle.digest().to_string(),
                    permitted,
                ));
            }
            continue;
        }
        if found != number + 1 || one.bundle.predecessor() != Some(digest) {
            let after = one.bundle.predecessor().map_or("none".to_owned(), |d| d.to_string());
            return Err(Error::malformed(
                "signer's request, bundles",
                format!("bundle {found} after {after}"),
                format!(
                    "bundle {} after {digest}: every bundle since the ceremony's newest, none left out",
                    number + 1
                ),
            ));
        }
        (number, digest) = (found, one.bundle.digest());
        next.push(one);
    }
    Ok(next)
}

/// Checks with the signer's whole log that no bundle was kept back from a ceremony: a request proves each bundle in it,
/// not that there is no other.
///
/// # Errors
/// When the log is not the one whose checkpoint the ceremony saw, or had adopted a bundle by then that is not among
/// `known`.
pub fn none_withheld(signer: &WholeLog, seen: &Checkpoint, known: &[Digest]) -> Result<(), Error> {
    if seen.size > signer.checkpoint().size || signer.root_at(seen.size)? != seen.root {
        let why = "its beginning is not the log whose checkpoint the ceremony recorded";
        return Err(Error::unverified("signer's log", why));
    }
    for record in signer
        .records()?
        .into_iter()
        .take_while(|record| record.index < seen.size)
    {
        if let Body::BundleAdopted(adopted) = record.body
            && !known.contains(&adopted.sha256)
        {
            let why = format!(
                "bundle {} was in force when the ceremony saw it, and was kept back",
                adopted.number
            );
            return Err(Error::unverified("signer's log", why));
        }
    }
    Ok(())
}

fn head(vkey: &str, note: &str) -> Result<Checkpoint, Error> {
    let verifiers = [vkey.parse::<NoteVerifier>()?];
    Ok(checkpoint::open(note, &verifiers)?.0)
}

fn first(errors: Vec<Error>) -> Error {
    let one = errors.into_iter().next();
    one.unwrap_or_else(|| Error::malformed("bundle", "something wrong", "a bundle without faults"))
}
