//! `stele-ceremony`: root ceremonies on a machine without network, from one reviewed script.

mod cli;
mod commands;
mod error;
mod folder;
mod keeper;
mod people;
mod session;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command};
use error::CeremonyError;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-ceremony: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli) -> Result<(), CeremonyError> {
    match &cli.command {
        Command::Check(args) => commands::check::run(args),
        Command::Init(args) => commands::init::run(args, cli.keeper.as_deref()),
        Command::Plan(args) => commands::plan::run(args, cli.keeper.as_deref()),
        Command::Run(args) => commands::run::run(args, cli.keeper.as_deref()),
        Command::Verify(args) => commands::verify::run(args),
    }
}
