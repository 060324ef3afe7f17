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
mod key_order;
mod live;
mod mending;
mod pace;
mod pin;
mod policy;
mod reading;
mod server;
mod settling;
mod starting;
mod state;
mod store;
mod succeed;
mod watchdog;
mod witness;
mod writer;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use stele_core::record::{Body, Process, TokenLogin};
use stele_core::types::Digest;
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
        #[arg(long, conflicts_with = "successor_of")]
        request_out: Option<PathBuf>,
        /// Continue another log: the signed succession, whose checkpoint key `prepare` made.
        #[arg(long, value_name = "FILE")]
        successor_of: Option<PathBuf>,
    },
    /// Make the checkpoint key of a log that is to continue another.
    Prepare {
        /// The configuration file of the new log.
        #[arg(long)]
        config: PathBuf,
        /// Initialise a token first; without it, the token of that label stays.
        #[arg(long)]
        new_token: bool,
        /// Where to write what the carry-over is made for.
        #[arg(long)]
        out: PathBuf,
    },
    /// Copy the log into a new file while the keeper runs or not.
    Backup {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The copy.
        file: PathBuf,
    },
    /// Export the log as static tiles, up to its newest stored checkpoint, while the keeper runs or not.
    Export {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The directory.
        directory: PathBuf,
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
        /// Forget a failed log-in: the PIN was checked, and the next start may try once.
        #[arg(long)]
        retry_pin: bool,
    },
}

fn main() -> ExitCode {
    harden();
    log();
    let result = match Cli::parse().command {
        Command::Init {
            config,
            request_out,
            successor_of,
        } => Config::load(&config).and_then(|(c, _)| match successor_of {
            Some(file) => succeed::init(&c, &file),
            None => init::init(&c, request_out.as_deref()),
        }),
        Command::Prepare { config, new_token, out } => {
            Config::load(&config).and_then(|(c, _)| succeed::prepare(&c, new_token, &out))
        }
        Command::Backup { config, file } => Config::load(&config).and_then(|(c, _)| store::backup(&c, &file)),
        Command::Export { config, directory } => Config::load(&config).and_then(|(c, _)| store::export(&c, &directory)),
        Command::Run { config, end_with_stdin } => {
            Config::load(&config).and_then(|(c, digest)| run(&c, digest, end_with_stdin))
        }
        Command::Check { config, retry_pin } => check(&config, retry_pin),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check(path: &Path, retry_pin: bool) -> Result<(), KeeperError> {
    let (config, _) = Config::load(path)?;
    println!("{}: good", path.display());
    if retry_pin && pin::forget(&config)? {
        println!("the failed log-in is forgotten; the next start tries once");
    }
    Ok(())
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
    let wanted = std::env::var("STELE_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::new(without_module(&wanted));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        builder.init()
    } else {
        builder.json().init()
    }
}

/// A filter that cannot bring back the PKCS#11 binding's own lines: they print what is passed to the module.
fn without_module(wanted: &str) -> String {
    let kept = wanted
        .split(',')
        .filter(|part| !part.trim_start().starts_with("cryptoki"));
    kept.chain(["cryptoki=off"]).collect::<Vec<_>>().join(",")
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
    let token = pin::open_token(config, &init::spec(config, None), &pin::read(&config.token.pin_file)?)?;
    let login = TokenLogin {
        token: init::describe(token.info()),
        outcome: "ok".to_owned(),
    };
    let (keeper, threads) = Keeper::open(config, token, ledger)?;
    let keeper = Arc::new(keeper);
    if keeper.is_closed() {
        return run_closed(&keeper, config, &ending);
    }
    let unknown = keeper.settle_open("the keeper was restarted while it was open")?;
    keeper.append(Body::Started(process(&keeper, digest.to_string())), Asker::Itself)?;
    keeper.append(Body::TokenLogin(login), Asker::Itself)?;
    tracing::info!(origin = %keeper.genesis.origin, size = keeper.size(), unknown, instance = %keeper.instance, "keeping");
    server::serve(&keeper, config, &ending)?;
    if !keeper.is_closed() {
        keeper.append(Body::Stopped(process(&keeper, "told to end".to_owned())), Asker::Itself)?;
    }
    // Connections that are still open hold the keeper; their threads end with the process, and every answer they gave
    // was durable before it was given.
    if let Ok(keeper) = Arc::try_unwrap(keeper).map_err(drop) {
        keeper.close(threads);
    }
    Ok(())
}

/// Serves a closed log: it is read, and its last checkpoint signed; nothing is appended.
fn run_closed(keeper: &Arc<Keeper>, config: &Config, ending: &AtomicBool) -> Result<(), KeeperError> {
    tracing::warn!(origin = %keeper.genesis.origin, size = keeper.size(), "the epoch is closed; the log can be read, no more");
    server::serve(keeper, config, ending)
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

#[cfg(test)]
mod tests {
    use super::without_module;

    #[test]
    fn no_filter_brings_the_module_back() {
        assert_eq!(without_module("info"), "info,cryptoki=off");
        assert_eq!(
            without_module("trace, cryptoki::session=trace,stele=debug"),
            "trace,stele=debug,cryptoki=off"
        );
        assert_eq!(without_module("cryptoki=trace"), "cryptoki=off");
    }
}
