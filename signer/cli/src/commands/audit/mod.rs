//! `stele audit`: checking what Stele did, without trusting it.

mod check_proof;
mod export;
mod find;
mod verify;

use std::path::PathBuf;

use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;

/// Checks, exports and searches the ledger.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AuditCommand {
    /// Verifies a whole exported log, offline; needs --vkey
    Verify(verify::VerifyArgs),
    /// Checks one certificate by its proof file, offline; needs --vkey and nothing else
    CheckProof {
        /// The proof, e.g. kubelet.tlog-proof
        proof: PathBuf,
        /// The certificate, PEM or DER
        certificate: PathBuf,
    },
    /// Exports the ledger as static tiles (C2SP tlog-tiles), or continues an export
    Export(export::ExportArgs),
    /// Lists signatures whose fate is unknown, and intents that have no outcome yet
    Open(find::OpenArgs),
    /// Fetches the proof of the certificate with this serial
    Prove(find::ProveArgs),
    /// Finds records, newest first
    Find(Box<find::FindArgs>),
    /// Shows one record
    Show {
        /// Its index
        index: u64,
    },
}

/// Runs the command.
pub(crate) async fn run(command: &AuditCommand, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    match command {
        AuditCommand::Verify(args) => verify::run(args, connection),
        AuditCommand::CheckProof { proof, certificate } => check_proof::run(proof, certificate, connection),
        AuditCommand::Export(args) => export::run(args, connection).await,
        AuditCommand::Open(args) => find::open(args, connection).await,
        AuditCommand::Prove(args) => find::prove(args, connection).await,
        AuditCommand::Find(args) => find::run(args, connection).await,
        AuditCommand::Show { index } => find::show(*index, connection).await,
    }
}
