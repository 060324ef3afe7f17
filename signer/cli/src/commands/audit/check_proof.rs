//! `stele audit check-proof`: one certificate, its proof and the verifier key.

use std::path::Path;

use serde_json::json;
use stele_core::tbs::parse_certificate;

use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;
use crate::{certificate, files, proof};

/// Runs the command.
pub(super) fn run(proof: &Path, file: &Path, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let verifier = connection.settings()?.required_verifier()?;
    let certificates = files::read_certificates(file)?;
    // Of a chain, the first is the one that the chain is for.
    let der = certificates
        .first()
        .ok_or_else(|| CliError::content(file, "found no certificate"))?;
    let (view, ..) = parse_certificate(der)?;
    let proven = proof::check(&files::read_text(proof)?, der, verifier)?;
    let request = &proven.issued.request;
    let text = format!(
        "proven: this certificate is recorded at {}, at {}\n  \
         request          {} of {}, attempt {}\n  \
         signed by        {}, intent {}\n  \
         checkpoint       {} entries\n{}",
        proven.position,
        proven.time,
        request.id,
        request.caller,
        request.attempt,
        proven.issued.key,
        proven.issued.intent,
        proven.checkpoint.size,
        certificate::describe(&view).trim_end(),
    );
    let json = json!({
        "proven": true,
        "position": proven.position,
        "time": proven.time,
        "request": request,
        "key": proven.issued.key,
        "intent": proven.issued.intent,
        "checkpoint_size": proven.checkpoint.size,
        "certificate": certificate::to_json(&view),
    });
    Ok(Answer::new(text, json))
}
