//! Asking the people present.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use stele_core::ceremony::words;
use stele_core::types::Digest;

use crate::error::CeremonyError;

/// Asks for exactly `wanted`; anything else is a no.
///
/// # Errors
/// When they answer something else, or nobody sits at a terminal.
pub(crate) fn ask(question: &str, wanted: &str, otherwise: &str) -> Result<(), CeremonyError> {
    if !io::stdin().is_terminal() {
        return Err(CeremonyError::NotConfirmed(format!(
            "nobody is at the terminal to confirm; {otherwise}"
        )));
    }
    print!("{question} Type `{wanted}` to go on: ");
    let mut answer = String::new();
    let asked = io::stdout()
        .flush()
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    if asked.is_err() || answer.trim() != wanted {
        return Err(CeremonyError::NotConfirmed(
            "not confirmed; nothing was done".to_owned(),
        ));
    }
    Ok(())
}

/// Shows a digest as hexadecimal and as words to be read aloud.
pub(crate) fn show(what: &str, digest: &Digest) {
    println!("{what}, SHA-256 {digest}, read aloud:");
    for line in words(digest).lines() {
        println!("    {line}");
    }
}
