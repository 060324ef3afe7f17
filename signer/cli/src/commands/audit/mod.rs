//! `stele audit`: checking what Stele did, without trusting it.

mod about;
mod check_proof;
mod export;
mod find;
mod log;
mod matching;
mod records;
mod report;
mod stats;
mod tail;
mod verify;

pub(crate) use log::Place;
pub(crate) use verify::estate;

use std::path::PathBuf;

use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::{Answer, Format};

/// Checks, exports and searches the ledger.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AuditCommand {
    /// Verifies whole logs, from exports or tiles over HTTP; needs --vkey
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
    /// Writes one HTML page about a period, for people: what was issued, by whom, what was refused, what is odd; verifies
    /// the logs, too, so it needs --vkey
    Report(report::ReportArgs),
    /// Looks certificates up that were found in the field, and names those that the ledger does not know
    Match(matching::MatchArgs),
    /// Lists signatures whose fate is unknown, and intents that have no outcome yet
    Open(find::OpenArgs),
    /// Fetches the proof of the certificate with this serial
    Prove(find::ProveArgs),
    /// Finds records, newest first
    Find(Box<find::FindArgs>),
    /// Shows one record
    Show(find::ShowArgs),
    /// Counts records and certificates
    Stats(stats::StatsArgs),
    /// Shows new records as they come
    Tail(tail::TailArgs),
}

/// Runs the command.
pub(crate) async fn run(
    command: &AuditCommand,
    connection: &ConnectionArgs,
    format: Format,
) -> Result<Answer, CliError> {
    match command {
        AuditCommand::Verify(args) => verify::run(args, connection),
        AuditCommand::CheckProof { proof, certificate } => check_proof::run(proof, certificate, connection),
        AuditCommand::Export(args) => export::run(args, connection).await,
        AuditCommand::Report(args) => report::run(args, connection),
        AuditCommand::Match(args) => matching::run(args, connection).await,
        AuditCommand::Open(args) => find::open(args, connection).await,
        AuditCommand::Prove(args) => find::prove(args, connection).await,
        AuditCommand::Find(args) => find::run(args, connection).await,
        AuditCommand::Show(args) => find::show(args, connection).await,
        AuditCommand::Stats(args) => stats::run(args, connection).await,
        AuditCommand::Tail(args) => tail::run(args, connection, format).await,
    }
}
