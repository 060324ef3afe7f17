//! `stele`: the operator's, engineer's and auditor's command line.

mod certificate;
mod clock;
mod commands;
mod connect;
mod directory;
mod error;
mod files;
mod output;
mod pool;
mod ssh;
mod wire;

use std::process::ExitCode;

use clap::Parser as _;

use commands::{audit, authority, csr, ledger, profile, request, sign, stop, trust};
use connect::ConnectionArgs;
use error::CliError;
use output::{Answer, Format, printable};

/// Certificates from Stele, and the means to check what it did.
#[derive(clap::Parser)]
#[command(name = "stele", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// For people, or one JSON value for programs
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    output: Format,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; also when a request waits for operators
  1  refused by the server, or a check failed or found something
  2  the command, or a file that it reads, is not what it must be
  3  the server was not reached, or asks to try again later
  4  a file could not be read or written
  5  a defect, of the server or of this program

Nothing is ever overwritten.";

#[derive(clap::Subcommand)]
enum Command {
    Sign(sign::SignArgs),
    #[command(subcommand)]
    Request(request::RequestCommand),
    Revoke(stop::RevokeArgs),
    Freeze(stop::FreezeArgs),
    Apply(stop::ApplyArgs),
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    #[command(subcommand)]
    Authority(authority::AuthorityCommand),
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    #[command(subcommand)]
    Csr(csr::CsrCommand),
}

impl Cli {
    async fn run(&self) -> Result<Answer, CliError> {
        let connection = &self.connection;
        match &self.command {
            Command::Sign(args) => sign::run(args, connection).await,
            Command::Request(command) => request::run(command, connection).await,
            Command::Revoke(args) => stop::revoke(args, connection).await,
            Command::Freeze(args) => stop::freeze(args, connection).await,
            Command::Apply(args) => stop::apply(args, connection).await,
            Command::Profile(command) => profile::run(command, connection).await,
            Command::Authority(command) => authority::run(command, connection),
            Command::Trust(command) => trust::run(command, connection).await,
            Command::Ledger(command) => ledger::run(command, connection).await,
            Command::Audit(command) => audit::run(command, connection, self.output).await,
            Command::Csr(command) => csr::run(command),
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(e) => Err(CliError::Defect(format!("no runtime: {e}"))),
    };
    match result {
        Ok(answer) => {
            answer.print(cli.output);
            ExitCode::from(u8::from(answer.finding))
        }
        Err(error) => {
            fail(&error, cli.output);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Errors go to standard error, for programs as JSON too.
fn fail(error: &CliError, format: Format) {
    match format {
        Format::Text => eprintln!("stele: {}", printable(&error.to_string())),
        Format::Json => {
            let value = serde_json::json!({"error": error.to_string(), "exit_code": error.exit_code()});
            eprintln!("{value}");
        }
    }
}
