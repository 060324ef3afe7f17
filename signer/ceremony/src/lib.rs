//! `stele-ceremony`: root ceremonies on a machine without network, from one reviewed script. Everything is in the
//! library, so that tests can run the same program and end it at any step.

mod cli;
mod commands;
mod error;
mod folder;
mod keeper;
mod people;
mod session;

use std::process::ExitCode;

use clap::Parser as _;
use stele_core::door::Steps;

use cli::{Cli, Command};
use error::CeremonyError;

/// The program, with `steps` told at every step of the door.
#[must_use]
pub fn main(steps: impl Steps) -> ExitCode {
    match run(&Cli::parse(), &steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-ceremony: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: &Cli, steps: &dyn Steps) -> Result<(), CeremonyError> {
    match &cli.command {
        Command::Check(args) => commands::check::run(args),
        Command::Init(args) => commands::init::run(args, cli.keeper.as_deref()),
        Command::Plan(args) => commands::plan::run(args, cli.keeper.as_deref()),
        Command::Run(args) => commands::run::run(args, cli.keeper.as_deref(), steps),
        Command::Verify(args) => commands::verify::run(args),
    }
}
