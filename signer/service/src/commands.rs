//! The command line.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use stele_core::door::Steps;
use stele_core::names::San;
use stele_core::types::{B64, Digest, KeyName, ProfileName};
use stele_index::Index;
use stele_keeper_client::Client;

use crate::config::Config;
use crate::enrol::Enrolment;
use crate::error::SignerError;
use crate::keeper_child::KeeperChild;
use crate::local::{self, Answer, Ask};
use crate::run;
use crate::signer::Signer;

/// Signs certificates under the authority bundle; holds no key of a CA.
#[derive(Parser)]
#[command(name = "stele-signer", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// When command and daemon do not understand each other.
const UNEXPECTED: &str = "the daemon answered something else; is it another version?";

#[derive(Subcommand)]
enum Command {
    /// Serve until told to end.
    Run(ConfigFile),
    /// Check the configuration without starting.
    Check(ConfigFile),
    /// Check a ceremony's hand-over and record it; then sign the first CRLs.
    Import {
        /// The hand-over.
        handover: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Issue a client certificate to you, under an enrolment profile of the bundle.
    Enrol {
        #[command(flatten)]
        config: ConfigFile,
        /// The profile.
        #[arg(long)]
        profile: ProfileName,
        /// The CSR, PEM or DER.
        #[arg(long)]
        csr: PathBuf,
        /// Where to write the certificate and the CAs above it, PEM. Nothing is overwritten.
        #[arg(long)]
        out: PathBuf,
        /// A name to certify instead of the CSR's, e.g. uri:spiffe://stele/operator/alice. May be repeated.
        #[arg(long)]
        san: Vec<San>,
    },
    /// Apply a file that operators signed: the next bundle, an unfreezing, a recovery.
    Apply {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Write the request to a later ceremony: the keys, the newest checkpoint, and the bundles adopted since.
    Request {
        #[command(flatten)]
        config: ConfigFile,
        /// The request of the ceremony before; it lies in its transcript.
        #[arg(long, value_name = "FILE")]
        since: PathBuf,
        /// A CA key to certify; may be repeated. All of the keeper's keys where it is left out.
        #[arg(long, value_name = "NAME")]
        key: Vec<KeyName>,
        /// Where to write it. Nothing is overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Delete the index and build it again from the log, while the daemon does not run.
    Reindex(ConfigFile),
}

#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
}

/// Runs the command.
pub(crate) fn main(steps: Box<dyn Steps + Send + Sync>) -> ExitCode {
    let steps: Arc<dyn Steps + Send + Sync> = Arc::from(steps);
    match run(Cli::parse().command, steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-signer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, steps: Arc<dyn Steps + Send + Sync>) -> Result<(), SignerError> {
    match command {
        Command::Run(ConfigFile { config }) => {
            let (config, digest) = Config::load(&config)?;
            run::run(config, digest, steps)
        }
        Command::Check(ConfigFile { config }) => {
            Config::load(&config)?;
            println!("{}: good", config.display());
            Ok(())
        }
        Command::Import { handover, config } => {
            let ask = Ask::Import(B64(read(&handover)?));
            done(ask_or_do(&config, ask, steps)?)
        }
        Command::Apply { file, config } => {
            let ask = Ask::Apply(B64(read(&file)?));
            done(ask_or_do(&config, ask, steps)?)
        }
        Command::Enrol {
            config,
            profile,
            csr,
            out,
            san,
        } => {
            require_new(&out)?;
            let ask = Ask::Enrol(Enrolment {
                profile,
                csr: B64(read(&csr)?),
                sans: Some(san).filter(|sans| !sans.is_empty()),
            });
            enrolled(ask_or_do(&config, ask, steps)?, &out)
        }
        Command::Request {
            config,
            since,
            key,
            out,
        } => {
            require_new(&out)?;
            let since = B64(read(&since)?);
            let file = match ask_or_do(&config, Ask::Request { since, keys: key }, steps)? {
                Answer::File(file) => file,
                other => return done(other),
            };
            create(&out, &file.0)?;
            println!("{}: SHA-256 {}", out.display(), Digest::of(&file.0));
            Ok(())
        }
        Command::Reindex(ConfigFile { config }) => reindex(&Config::load(&config)?.0),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SignerError> {
    std::fs::read(path).map_err(|cause| SignerError::file(path, cause))
}

fn require_new(out: &Path) -> Result<(), SignerError> {
    if out.exists() {
        let why = format!("{} exists; nothing is overwritten", out.display());
        return Err(SignerError::other(why));
    }
    Ok(())
}

/// Writes a new file, durably.
fn create(out: &Path, bytes: &[u8]) -> Result<(), SignerError> {
    let fail = |cause| SignerError::file(out, cause);
    let mut file = std::fs::File::create_new(out).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)
}

/// Asks the daemon; without one, does it here.
fn ask_or_do(file: &ConfigFile, ask: Ask, steps: Arc<dyn Steps + Send + Sync>) -> Result<Answer, SignerError> {
    let (config, _) = Config::load(&file.config)?;
    if let Some(answer) = local::ask(&config.local.socket, &ask)? {
        return Ok(answer);
    }
    let child = KeeperChild::start(&config.keeper)?;
    let signer = Signer::open(config, steps)?;
    let answer = local::answer(&signer, local::user(rustix::process::getuid().as_raw()), ask);
    drop(signer);
    if let Some(child) = child {
        child.end();
    }
    Ok(answer)
}

fn done(answer: Answer) -> Result<(), SignerError> {
    match answer {
        Answer::Done(sentences) => {
            sentences.iter().for_each(|sentence| println!("{sentence}"));
            Ok(())
        }
        Answer::Enrolled { .. } | Answer::File(_) => Err(SignerError::other(UNEXPECTED)),
        Answer::Failed(why) => Err(SignerError::Other(why)),
    }
}

fn enrolled(answer: Answer, out: &Path) -> Result<(), SignerError> {
    let Answer::Enrolled { pem, position } = answer else {
        return done(answer);
    };
    create(out, pem.as_bytes())?;
    println!(
        "{}: the certificate and the CAs above it; recorded at {position}",
        out.display()
    );
    Ok(())
}

fn reindex(config: &Config) -> Result<(), SignerError> {
    if local::ask(&config.local.socket, &Ask::Ping)?.is_some() {
        return Err(SignerError::other("the daemon runs; stop it first"));
    }
    let child = KeeperChild::start(&config.keeper)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut path = config.index.clone().into_os_string();
        path.push(suffix);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(SignerError::file(Path::new(&path), cause));
            }
            _ => {}
        }
    }
    let keeper = Client::new(&config.keeper.socket);
    let status = keeper.status()?;
    let mut index = Index::open(&config.index, &status.origin)?;
    let mut shown = Instant::now();
    loop {
        let entries = keeper.entries(index.next(), 256)?;
        if entries.is_empty() {
            break;
        }
        let records = entries
            .into_iter()
            .map(|bytes| Ok((stele_core::record::Record::decode(&bytes)?, bytes)))
            .collect::<Result<Vec<_>, SignerError>>()?;
        index.apply(&records)?;
        if std::io::stderr().is_terminal() && shown.elapsed() > Duration::from_secs(1) {
            eprint!("\r{} of {} records", index.next(), status.size);
            shown = Instant::now();
        }
    }
    println!(
        "{}: {} records of {}",
        config.index.display(),
        index.next(),
        status.origin
    );
    if let Some(child) = child {
        child.end();
    }
    Ok(())
}
