//! What a later ceremony takes from the signer: that its log grew and was not replaced, and the bundles it adopted.

use std::path::Path;

use stele_core::Error;
use stele_core::ceremony::transcript::known_ceremony;
use stele_core::ceremony::{ProvenBundle, SignerRequest, WholeLog, bundles_to_adopt, none_withheld};
use stele_core::checkpoint::Checkpoint;
use stele_core::record::{Body, BundleAdopted};

use crate::error::CeremonyError;
use crate::folder::read_tree;
use crate::session::Session;

/// Checks the request against what the log knows of the signer, and answers with the bundles to adopt.
///
/// # Errors
/// When the signer's log was rolled back or forked, this log was, or a bundle is missing.
pub(super) fn bundles(session: &Session, request: &SignerRequest) -> Result<Vec<ProvenBundle>, CeremonyError> {
    if let Some(before) = session.facts.request_before() {
        request.follows(before)?;
    } else if request.later.is_some() {
        let permitted = "the signer's first request, as `stele-keeper init` wrote it";
        return Err(Error::malformed("signer's request", "one for a later ceremony", permitted).into());
    }
    if let Some(note) = request.later.as_ref().and_then(|later| later.ceremony.as_ref()) {
        this_log(session, note)?;
    }
    if session.facts.bundles.is_empty() {
        return Ok(Vec::new());
    }
    let adopted_here = session.facts.sitting.begins;
    let next = bundles_to_adopt(&session.facts.bundles, request.proven_bundles()?)?;
    for found in session.facts.bundles.iter().filter(|found| found.index >= adopted_here) {
        println!("  authority bundle {} was adopted before", found.body.number);
    }
    Ok(next)
}

/// The signer holds a checkpoint of this log, from a hand-over that it imported: it must lie on this very log.
fn this_log(session: &Session, note: &str) -> Result<(), CeremonyError> {
    let known = known_ceremony(note, &session.facts.genesis.vkey)?;
    let log = session.log()?;
    if known.size > log.checkpoint().size || log.root_at(known.size)? != known.root {
        let why = "the signer imported a later or another one; find the directory of the newest ceremony";
        return Err(Error::unverified("this ceremony's log", why).into());
    }
    Ok(())
}

/// Holds the bundles against the signer's whole log: none that was in force may be missing.
pub(super) fn complete(
    session: &Session,
    request: &SignerRequest,
    next: &[ProvenBundle],
    ledger: &Path,
) -> Result<(), CeremonyError> {
    let signer = WholeLog::from_files(&read_tree(ledger)?, &request.vkey)?;
    let seen = Checkpoint::from_note_unverified(&request.checkpoint)?;
    let known = session.facts.bundles.iter().map(|found| found.body.sha256);
    let known: Vec<_> = known.chain(next.iter().map(|proven| proven.bundle.digest())).collect();
    none_withheld(&signer, &seen, &known)?;
    println!("  the signer's log holds no other bundle");
    Ok(())
}

/// Records each bundle; the keeper judges quorum and proof.
pub(super) fn adopt(session: &mut Session, next: &[ProvenBundle]) -> Result<(), CeremonyError> {
    for proven in next {
        let bundle = &proven.bundle;
        session.append(&Body::BundleAdopted(BundleAdopted {
            bundle: session.keeper.client.payload(bundle.bytes())?,
            ..proven.adopted.clone()
        }))?;
        println!(
            "  authority bundle {} adopted, as the signer's log did at {}",
            bundle.number(),
            proven.at
        );
    }
    session.refresh()
}
