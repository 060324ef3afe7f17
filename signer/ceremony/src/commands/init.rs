//! `init`: token, root key, log; or the log of an earlier ceremony, taken over.

mod later;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use stele_core::ceremony::script::RootScript;
use stele_core::ceremony::transcript::name;
use stele_core::ceremony::{Script, script};
use stele_core::names::AttributeType;
use stele_core::record::LogPurpose;
use stele_core::types::{Digest, KeyAlgorithm, Origin};

use crate::cli::InitArgs;
use crate::error::CeremonyError;
use crate::folder::{Folder, read, read_text};
use crate::keeper::KeeperProgram;
use crate::people;
use crate::session::{CONFIG, Session};

/// Left behind when the keeper's `init` had succeeded.
const DONE: &str = "initialised";

/// The keeper's configuration (`stele_keeper::config::Config`), as far as a ceremony sets it.
#[derive(Debug, Serialize)]
struct KeeperConfig<'a> {
    origin: &'a Origin,
    purpose: LogPurpose,
    socket: &'a str,
    ledger: &'a str,
    token: TokenConfig<'a>,
    checkpoint_key: KeyConfig<'a>,
    limits: LimitsConfig,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ca_key: Vec<CaKeyConfig<'a>>,
}

/// Ceremonies of a log lie months apart: that the clock is right is what the people present confirm, for the record.
#[derive(Debug, Serialize)]
struct LimitsConfig {
    restart_gap_days: u64,
}

/// No ceremony waits longer for the next.
const CENTURY_DAYS: u64 = 36_525;

#[derive(Debug, Serialize)]
struct TokenConfig<'a> {
    module: PathBuf,
    label: &'a str,
    pin_file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    so_pin_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct KeyConfig<'a> {
    name: &'a str,
    algorithm: KeyAlgorithm,
}

#[derive(Debug, Serialize)]
struct CaKeyConfig<'a> {
    name: &'a str,
    algorithm: KeyAlgorithm,
    common_name: String,
}

/// Begins a ceremony, or goes on where an earlier `init` with the same script stopped.
pub(crate) fn run(args: &InitArgs, keeper: Option<&Path>) -> Result<(), CeremonyError> {
    let text = read_text(&args.script)?;
    let script = Script::parse(&args.script.display().to_string(), &text)?;
    match (&args.continues, script.continues) {
        (None, false) => first(args, keeper, &text, &script),
        (Some(before), true) => later::run(args, keeper, (&text, &script), before),
        (None, true) => Err(CeremonyError::Order(
            "the script says `continues = true`; give --continue DIR, the directory of the ceremony before".to_owned(),
        )),
        (Some(_), false) => Err(CeremonyError::Order(
            "the script of a ceremony that continues another says `continues = true`; this one does not".to_owned(),
        )),
    }
}

fn first(args: &InitArgs, keeper: Option<&Path>, text: &str, script: &Script) -> Result<(), CeremonyError> {
    let config = keeper_config(args, script)?;
    let folder = Folder::create(&args.dir)?;
    folder.write(&folder.transcript(name::SCRIPT), text.as_bytes())?;
    let program = KeeperProgram::find(keeper, &folder)?;
    let path = folder.state(CONFIG);
    folder.write(&path, config.as_bytes())?;
    let done = folder.state(DONE);
    if !done.exists() {
        println!(
            "Initialising the token `{}` and making the root key ...",
            script.token.label
        );
        program.init(&path)?;
        folder.write(&done, b"")?;
    }
    let session = Session::start(&program, &path)?;
    open_log(args, (text, script), &folder, &program, session)
}

/// Notes what the ceremony is held with, and shows it.
fn open_log(
    args: &InitArgs,
    (text, script): (&str, &Script),
    folder: &Folder,
    program: &KeeperProgram,
    mut session: Session,
) -> Result<(), CeremonyError> {
    let script_sha256 = Digest::of(text.as_bytes());
    session.note("script", &script_sha256.to_string())?;
    session.note("participants", &participants(script))?;
    session.note("tools", &tools(args, program)?)?;
    let vkey = format!("{}\n", session.facts.genesis.vkey);
    folder.write(&folder.transcript(name::VKEY), vkey.as_bytes())?;
    report(script, script_sha256, &session)?;
    session.keeper.stop()
}

fn keeper_config<'a>(args: &InitArgs, script: &'a Script) -> Result<String, CeremonyError> {
    let place = |path: &Path| fs::canonicalize(path).map_err(CeremonyError::file(path));
    let root_key = |root: &'a RootScript| CaKeyConfig {
        name: script::ROOT_KEY,
        algorithm: root.algorithm,
        common_name: root
            .subject
            .subject(script.rehearsal)
            .values(AttributeType::CommonName)
            .collect(),
    };
    let config = KeeperConfig {
        origin: &script.origin,
        purpose: LogPurpose::Ceremony,
        socket: "keeper.sock",
        ledger: "ledger.db",
        token: TokenConfig {
            module: place(&args.module)?,
            label: &script.token.label,
            pin_file: place(&args.pin_file)?,
            so_pin_file: args.so_pin_file.as_deref().map(place).transpose()?,
        },
        checkpoint_key: KeyConfig {
            name: "checkpoint",
            algorithm: KeyAlgorithm::Ed25519,
        },
        limits: LimitsConfig {
            restart_gap_days: CENTURY_DAYS,
        },
        ca_key: script.root.iter().map(root_key).collect(),
    };
    toml::to_string(&config).map_err(|e| CeremonyError::Order(format!("the keeper's configuration: {e}")))
}

fn participants(script: &Script) -> String {
    let person = |p: &script::Participant| format!("{}: {}", p.role.name(), p.name);
    script.participants.iter().map(person).collect::<Vec<_>>().join("; ")
}

/// Digests of what does the work, so that a later reader knows which programs it was.
fn tools(args: &InitArgs, program: &KeeperProgram) -> Result<String, CeremonyError> {
    let own = std::env::current_exe().map_err(CeremonyError::file(Path::new("stele-ceremony")))?;
    let tools = [
        ("stele-ceremony", own.as_path()),
        ("stele-keeper", program.program()),
        ("module", args.module.as_path()),
    ];
    let digest = |(name, path): (&str, &Path)| Ok(format!("{name} sha256 {}", Digest::of(&read(path)?)));
    let digests = tools
        .into_iter()
        .map(digest)
        .collect::<Result<Vec<_>, CeremonyError>>()?;
    Ok(format!("version {}; {}", env!("CARGO_PKG_VERSION"), digests.join("; ")))
}

fn report(script: &Script, script_sha256: Digest, session: &Session) -> Result<(), CeremonyError> {
    let token = &session.facts.genesis.token;
    println!("{}{}", script.title, if script.rehearsal { " (REHEARSAL)" } else { "" });
    println!(
        "Token   {} serial {}, {} {}, firmware {}",
        token.label, token.serial, token.manufacturer, token.model, token.firmware
    );
    println!("Log     {}", session.facts.genesis.vkey);
    people::show("Script", &script_sha256);
    people::show("Root key", &session.facts.root_key()?.digest());
    let authority = if session.facts.bundles.is_empty() {
        " --authority DIR"
    } else {
        ""
    };
    println!("Next: stele-ceremony plan --dir DIR --request signer-request.json{authority}");
    Ok(())
}
