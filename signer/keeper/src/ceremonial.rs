//! What only a ceremony's keeper judges: the signer's requests, and the bundles that come with a later one.

use stele_core::ceremony::{self, CeremonyFile as _};
use stele_core::record::{Body, BundleAdopted, LogPurpose, Record, SignerRequest};
use stele_core::types::Time;

use crate::error::KeeperError;
use crate::examine::{Surroundings, require};

/// A signer's request is what it says, and of the same log, grown, as the one before: else a signer that was rolled
/// back or forked would be certified on.
///
/// # Errors
/// When it is not.
pub(crate) fn examine_request(body: &SignerRequest, around: &Surroundings<'_>) -> Result<(), KeeperError> {
    let file = ceremony::SignerRequest::decode(&around.resolve(&body.request)?)?;
    file.check()?;
    let same = (&file.origin, &file.vkey, &file.checkpoint) == (&body.origin, &body.vkey, &body.checkpoint);
    require(
        same,
        "signer_request: origin, key or checkpoint is not that of the request",
    )?;
    match newest_request(around)? {
        Some(before) => Ok(file.follows(&before)?),
        None => Ok(()),
    }
}

/// The time that the expiry of a bundle's texts is held against. In a ceremony a bundle after the first was accepted
/// long ago, by the signer's keeper: the newest request proves when, or the bundle is not taken.
///
/// # Errors
/// When it does not prove it.
pub(crate) fn adopted_at(adopted: &BundleAdopted, around: &Surroundings<'_>) -> Result<Time, KeeperError> {
    if around.purpose != LogPurpose::Ceremony || around.bundle.is_none() {
        return Ok(around.now);
    }
    let newest = newest_request(around)?.ok_or_else(|| {
        KeeperError::refused("bundle_adopted: no request of the signer is recorded, which would prove it")
    })?;
    let file = ceremony::SignerRequest::decode(&around.resolve(&newest.request)?)?;
    Ok(file.adopted_at(adopted)?)
}

/// A ceremony's log has a few hundred records, so looking back through it costs nothing.
fn newest_request(around: &Surroundings<'_>) -> Result<Option<SignerRequest>, KeeperError> {
    around.readers.with(|reader| {
        for index in (0..reader.size()?).rev() {
            if let Body::SignerRequest(request) = Record::decode(&reader.entry(index)?)?.body {
                return Ok(Some(request));
            }
        }
        Ok(None)
    })
}
