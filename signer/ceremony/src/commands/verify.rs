//! `verify`: a transcript, from its files alone.

use std::path::Path;

use stele_core::ceremony::transcript::{self, Verified};
use stele_core::ceremony::{WholeLog, from_pem};
use stele_core::types::Digest;

use crate::cli::VerifyArgs;
use crate::error::CeremonyError;
use crate::folder::{read, read_text, read_tree};
use crate::people;

/// Verifies and says what was checked.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), CeremonyError> {
    let anchor = args.root.as_deref().map(anchor).transpose()?;
    let files = read_tree(&args.transcript)?;
    let verified = transcript::verify(&files, anchor.as_deref()).map_err(CeremonyError::NotVerified)?;
    for line in &verified.checked {
        println!("ok  {line}");
    }
    if let (Some(ledger), Some(vkey)) = (&args.ledger, &args.vkey) {
        binding(&verified, ledger, vkey)?;
    }
    let log = verified.log.checkpoint();
    if verified.number > 1 {
        println!("Ceremony {} of its log, which holds those before it.", verified.number);
    }
    println!("Log {}: {} records, root {}", log.origin, log.size, log.root);
    people::show("Root certificate", &Digest::of(&verified.root));
    match (&anchor, &args.ledger) {
        (None, _) => println!("CONSISTENT with itself only: without --root nobody knows whose transcript this is."),
        (Some(_), None) => println!("VERIFIED: the certificates, up to the given root."),
        (Some(_), Some(_)) => println!("VERIFIED: the whole transcript, up to the given root and the signer's log."),
    }
    Ok(())
}

fn anchor(path: &Path) -> Result<Vec<u8>, CeremonyError> {
    from_pem("CERTIFICATE", &read(path)?).map_err(|e| CeremonyError::Order(format!("{}: {e}", path.display())))
}

fn binding(verified: &Verified, ledger: &Path, vkey: &Path) -> Result<(), CeremonyError> {
    let vkey = read_text(vkey)?;
    let refused = |e| CeremonyError::NotVerified(vec![e]);
    let signer = WholeLog::from_files(&read_tree(ledger)?, vkey.trim_end()).map_err(refused)?;
    transcript::verify_binding(verified, &signer).map_err(refused)?;
    println!("ok  signer's log: continues from the checkpoint that the ceremony saw, holds the ceremony's final one");
    Ok(())
}
