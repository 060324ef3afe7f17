//! `stele-keeper`: the smallest process that holds the CA keys and the log, and enforces record-before-signature and
//! the quorum against its own caller.

mod admit;
mod ceremonial;
mod checkpoints;
mod clock;
mod config;
mod connections;
mod error;
mod examine;
mod init;
mod keeper;
mod live;
mod mending;
mod pace;
mod pin;
mod policy;
mod reading;
mod server;
mod state;
mod witness;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use stele_core::record::{Body, Process, TokenLogin};
use stele_core::types::Digest;
use stele_hsm::Token;
use stele_ledger::{Ledger, LedgerError};

use config::Config;
use error::KeeperError;
use examine::Asker;
use keeper::Keeper;

/// How long a log that another keeper holds is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Holds the CA keys and the ledger; signs only what is recorded.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Initialise the token, make the keys, and begin the log.
    Init {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// Where to write the request for the ceremony.
        #[arg(long)]
        request_out: Option<PathBuf>,
    },
    /// Serve the socket until told to end.
    Run {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// End when standard input does, as a child whose parent may be killed.
        #[arg(long)]
        end_with_stdin: bool,
    },
    /// Check the configuration without starting.
    Check {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    harden();
    log();
    let result = match Cli::parse().command {
        Command::Init { config, request_out } => {
            Config::load(&config).and_then(|(c, _)| init::init(&c, request_out.as_deref()))
        }
        Command::Run { config, end_with_stdin } => {
            Config::load(&config).and_then(|(c, digest)| run(&c, digest, end_with_stdin))
        }
        Command::Check { config } => Config::load(&config).map(|_| println!("{}: good", config.display())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Neither a core dump nor another process of this user may see the PIN.
fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
}

fn log() {
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("STELE_LOG").unwrap_or_else(|_| "info,cryptoki=off".into());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        builder.init()
    } else {
        builder.json().init()
    }
}

fn run(config: &Config, digest: Digest, end_with_stdin: bool) -> Result<(), KeeperError> {
    let ending = Arc::new(AtomicBool::new(false));
    if end_with_stdin {
        watch_stdin(ending.clone());
    }
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, ending.clone()).map_err(|e| KeeperError::Stopped(e.to_string()))?;
    }
    let ledger = open_ledger(config)?;
    let token = Token::open(&init::spec(config, None), &pin::read(&config.token.pin_file)?)?;
    let login = TokenLogin {
        token: init::describe(token.info()),
        outcome: "ok".to_owned(),
    };
    let (keeper, threads) = Keeper::open(config, token, ledger)?;
    let keeper = Arc::new(keeper);
    let unknown = keeper.settle_open("the keeper was restarted while it was open")?;
    keeper.append(Body::Started(process(&keeper, digest.to_string())), Asker::Itself)?;
    keeper.append(Body::TokenLogin(login), Asker::Itself)?;
    tracing::info!(origin = %keeper.genesis.origin, size = keeper.size(), unknown, instance = %keeper.instance, "keeping");
    server::serve(&keeper, config, &ending)?;
    keeper.append(Body::Stopped(process(&keeper, "told to end".to_owned())), Asker::Itself)?;
    // Connections that are still open hold the keeper; their threads end with the process, and every answer they gave
    // was durable before it was given.
    if let Ok(keeper) = Arc::try_unwrap(keeper).map_err(drop) {
        keeper.close(threads);
    }
    Ok(())
}

/// Sets `ending` when standard input ends; what it says is of no interest.
fn watch_stdin(ending: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        ending.store(true, Ordering::Relaxed);
    });
}

/// Opens the log; one that a keeper which is about to end still holds is waited for.
fn open_ledger(config: &Config) -> Result<Ledger, KeeperError> {
    let begun = Instant::now();
    loop {
        match Ledger::open(&config.ledger) {
            Err(LedgerError::Locked { .. }) if begun.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_POLL),
            done => return Ok(done?),
        }
    }
}

fn process(keeper: &Keeper, detail: String) -> Process {
    Process {
        process: "keeper".to_owned(),
        instance: keeper.instance.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        detail,
    }
}
