//! `init`: token, root key, log.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use stele_core::ceremony::transcript::name;
use stele_core::ceremony::{Script, script};
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
    ca_key: [CaKeyConfig<'a>; 1],
}

#[derive(Debug, Serialize)]
struct TokenConfig<'a> {
    module: PathBuf,
    label: &'a str,
    pin_file: PathBuf,
    so_pin_file: PathBuf,
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
    let config = keeper_config(args, &script)?;
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
    let mut session = Session::start(&program, &path)?;
    let script_sha256 = Digest::of(text.as_bytes());
    session.note("script", &script_sha256.to_string())?;
    session.note("participants", &participants(&script))?;
    session.note("tools", &tools(args, &program)?)?;
    let vkey = format!("{}\n", session.facts.genesis.vkey);
    folder.write(&folder.transcript(name::VKEY), vkey.as_bytes())?;
    report(&script, script_sha256, &session)?;
    session.keeper.stop()
}

fn keeper_config(args: &InitArgs, script: &Script) -> Result<String, CeremonyError> {
    let place = |path: &Path| fs::canonicalize(path).map_err(CeremonyError::file(path));
    let root = script.root.subject.subject(script.rehearsal);
    let config = KeeperConfig {
        origin: &script.origin,
        purpose: LogPurpose::Ceremony,
        socket: "keeper.sock",
        ledger: "ledger.db",
        token: TokenConfig {
            module: place(&args.module)?,
            label: &script.token.label,
            pin_file: place(&args.pin_file)?,
            so_pin_file: place(&args.so_pin_file)?,
        },
        checkpoint_key: KeyConfig {
            name: "checkpoint",
            algorithm: KeyAlgorithm::Ed25519,
        },
        ca_key: [CaKeyConfig {
            name: script::ROOT_KEY,
            algorithm: script.root.algorithm,
            common_name: root.values(stele_core::names::AttributeType::CommonName).collect(),
        }],
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
    println!("Next: stele-ceremony plan --dir DIR --request signer-request.json --authority DIR");
    Ok(())
}
