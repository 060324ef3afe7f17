//! `stele audit check-proof`: one certificate, its proof and the verifier key.

use std::path::Path;

use serde_json::json;
use stele_core::audit::check_proof;
use stele_core::tbs::parse_certificate;
use stele_core::types::Position;

use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;
use crate::{certificate, files};

/// Runs the command.
pub(super) fn run(proof: &Path, file: &Path, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let verifier = connection.settings()?.required_verifier()?;
    let certificates = files::read_certificates(file)?;
    // Of a chain, the first is the one that the chain is for.
    let der = certificates
        .first()
        .ok_or_else(|| CliError::content(file, "found no certificate"))?;
    let (view, ..) = parse_certificate(der)?;
    let report = check_proof(&files::read_text(proof)?, der, &[verifier])?;
    let position = Position {
        origin: report.checkpoint.origin.clone(),
        index: report.index,
    };
    let text = format!(
        "proven: this certificate is recorded at {position}, at {}\n  \
         signed by        {}, intent {}\n  \
         checkpoint       {} entries\n{}",
        report.recorded_at,
        report.key,
        report.intent,
        report.checkpoint.size,
        certificate::describe(&view).trim_end(),
    );
    let json = json!({
        "proven": true,
        "position": position,
        "time": report.recorded_at,
        "key": report.key,
        "intent": report.intent,
        "checkpoint_size": report.checkpoint.size,
        "certificate": certificate::to_json(&view),
    });
    Ok(Answer::new(text, json))
}
