//! `stele authority`: the bundle from its directory to the operators' signatures. Everything here works offline.

mod sign;
mod succession;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stele_core::authority::signed_file::SignedFile;
use stele_core::authority::texts::{
    BundleText, CloseText, KeyAction, KeyText, RecoveryText, Remaining, StopAction, StopText,
};
use stele_core::authority::{Action, Bundle, diff};
use stele_core::ceremony::CeremonyFile as _;
use stele_core::epoch::Prepared;
use stele_core::profile::Seconds;
use stele_core::types::{Digest, KeyAlgorithm, KeyName, Origin, Time};

use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;
use crate::{clock, directory, files};

/// Builds, signs and shows what operators decide together.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum AuthorityCommand {
    /// Builds the bundle of a directory, and the text that operators sign
    Build(BuildArgs),
    /// Signs a bundle, a text or a signed file with your SSH key
    Sign(sign::SignArgs),
    /// Shows a bundle or a signed file: what it says, and who signed
    Show {
        /// The file
        file: PathBuf,
        /// The bundle in force, to tell who the signers are
        #[arg(long, value_name = "FILE")]
        authority: Option<PathBuf>,
    },
    /// Writes the files of a bundle into a directory, to edit them for the next
    Unpack {
        /// The bundle or signed file
        file: PathBuf,
        /// The directory; nothing there is overwritten
        directory: PathBuf,
    },
    /// Says in words what changes from one bundle to the next; directories, bundles and signed files are taken
    Diff {
        /// The older one
        old: PathBuf,
        /// The newer one
        new: PathBuf,
    },
    /// Writes what a log hands on to the one that continues it, and the text that operators sign over it
    Succession(succession::SuccessionArgs),
    /// Writes another text for operators to sign
    #[command(subcommand)]
    Text(TextCommand),
}

#[derive(clap::Args, Debug)]
pub(crate) struct BuildArgs {
    /// The authority directory
    directory: PathBuf,
    /// Where the bundle goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the text to be signed goes; needs --origin
    #[arg(long, value_name = "FILE", requires = "origin")]
    text_out: Option<PathBuf>,
    /// The bundle's number; the first has 0
    #[arg(long, default_value_t = 0)]
    number: u64,
    /// SHA-256 of the bundle before it
    #[arg(long, value_name = "HEX")]
    predecessor: Option<Digest>,
    /// The log that it is for
    #[arg(long)]
    origin: Option<Origin>,
    /// How long the text counts
    #[arg(long, default_value = "7d", value_name = "DURATION")]
    expires: Seconds,
}

/// Texts that have no file of their own.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum TextCommand {
    /// A revocation of a CA's certificate, or an unfreezing
    Stop {
        /// `revoke`, `freeze` or `unfreeze`
        action: StopAction,
        /// To what: key:NAME, profile:NAME, caller:SAN or serial:CA:SERIAL
        target: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        common: TextArgs,
    },
    /// The end of a log's epoch: the log that `stele-keeper prepare` prepared goes on
    Close {
        /// What `stele-keeper prepare` wrote
        #[arg(long, value_name = "FILE")]
        successor: PathBuf,
        #[command(flatten)]
        common: TextArgs,
    },
    /// A CA key to be generated or destroyed in the signer's token
    Key {
        /// `generate` or `destroy`
        action: KeyAction,
        /// The key's name
        name: KeyName,
        /// Its algorithm, e.g. `ec-p384`
        #[arg(long)]
        algorithm: KeyAlgorithm,
        /// SHA-256 of its SPKI: which key is destroyed
        #[arg(long, value_name = "HEX", required_if_eq("action", "destroy"))]
        spki_sha256: Option<Digest>,
        /// The common name that the CSR of a new key proposes; why a key is destroyed
        #[arg(long)]
        words: String,
        /// Destroy it although certificates of it have not expired, which then get no CRLs any more
        #[arg(long)]
        abandon: bool,
        #[command(flatten)]
        common: TextArgs,
    },
    /// A recovery, e.g. of the clock
    Recovery {
        /// What to do, e.g. `clock`
        action: String,
        /// The file with the details that the text names by digest
        #[arg(long, value_name = "FILE")]
        detail: PathBuf,
        #[command(flatten)]
        common: TextArgs,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct TextArgs {
    /// The log that it is for
    #[arg(long)]
    origin: Origin,
    /// How long the text counts
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    expires: Seconds,
    /// Where the text goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(command: &AuthorityCommand, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    match command {
        AuthorityCommand::Succession(args) => succession::run(args, connection),
        AuthorityCommand::Build(args) => build(args),
        AuthorityCommand::Sign(args) => sign::run(args),
        AuthorityCommand::Show { file, authority } => show(file, authority.as_deref()),
        AuthorityCommand::Unpack { file, directory } => unpack(file, directory),
        AuthorityCommand::Diff { old, new } => {
            let changes = diff(&read_bundle(old)?, &read_bundle(new)?);
            let text = if changes.is_empty() {
                "nothing changes".to_owned()
            } else {
                changes.join("\n")
            };
            Ok(Answer::new(text, json!(changes)))
        }
        AuthorityCommand::Text(command) => text(command),
    }
}

fn build(args: &BuildArgs) -> Result<Answer, CliError> {
    files::require_absent([args.out.as_path()].into_iter().chain(args.text_out.as_deref()))?;
    let bundle = directory::bundle(&args.directory, args.number, args.predecessor)?;
    files::create(&args.out, bundle.bytes())?;
    let mut text = format!("{}\nwritten: {}", describe(&bundle), args.out.display());
    if let (Some(path), Some(origin)) = (&args.text_out, &args.origin) {
        let words = BundleText {
            origin: origin.clone(),
            number: bundle.number(),
            predecessor: bundle.predecessor(),
            bundle_sha256: bundle.digest(),
            expires: expiry(args.expires),
        };
        files::create(path, words.to_string().as_bytes())?;
        text = format!("{text}, {}", path.display());
    }
    Ok(Answer::new(text, to_json(&bundle)))
}

fn unpack(file: &Path, directory: &Path) -> Result<Answer, CliError> {
    let bundle = read_bundle(file)?;
    // The names are `authority.toml` and `profiles/NAME.toml`: a bundle with others does not read.
    let paths: Vec<_> = bundle.files().keys().map(|name| directory.join(name)).collect();
    files::require_absent(paths.iter().map(PathBuf::as_path))?;
    let profiles = directory.join("profiles");
    std::fs::create_dir_all(&profiles).map_err(|e| CliError::file("create", &profiles, &e))?;
    for (path, text) in paths.iter().zip(bundle.files().values()) {
        files::create(path, text.as_bytes())?;
    }
    let text = format!(
        "{} files of bundle {} written into {}\nthe next one names it: --number {} --predecessor {}",
        paths.len(),
        bundle.number(),
        directory.display(),
        bundle.number() + 1,
        bundle.digest()
    );
    Ok(Answer::new(
        text,
        json!({"number": bundle.number(), "sha256": bundle.digest(), "files": paths}),
    ))
}

/// Whole seconds, so that people can read the text aloud.
pub(super) fn expiry(after: Seconds) -> Time {
    Time::from_secs(clock::now().secs()).plus_secs(after.0)
}

fn text(command: &TextCommand) -> Result<Answer, CliError> {
    let (words, out) = match command {
        TextCommand::Stop {
            action,
            target,
            reason,
            common,
        } => {
            let text = StopText {
                origin: common.origin.clone(),
                action: *action,
                target: target.clone(),
                reason: reason.clone(),
                expires: expiry(common.expires),
            };
            text.to_string().parse::<StopText>()?;
            (text.to_string(), &common.out)
        }
        TextCommand::Close { successor, common } => {
            let prepared = Prepared::decode(&files::read(successor)?)?;
            let text = CloseText {
                origin: common.origin.clone(),
                successor: prepared.origin,
                successor_vkey: prepared.vkey,
                expires: expiry(common.expires),
            };
            text.to_string().parse::<CloseText>()?;
            (text.to_string(), &common.out)
        }
        TextCommand::Key {
            action,
            name,
            algorithm,
            spki_sha256,
            words,
            abandon,
            common,
        } => {
            let text = KeyText {
                origin: common.origin.clone(),
                action: *action,
                key: name.clone(),
                algorithm: *algorithm,
                spki_sha256: *spki_sha256,
                words: words.clone(),
                certificates: if *abandon {
                    Remaining::Abandoned
                } else {
                    Remaining::Expired
                },
                expires: expiry(common.expires),
            };
            text.to_string().parse::<KeyText>()?;
            (text.to_string(), &common.out)
        }
        TextCommand::Recovery { action, detail, common } => {
            let text = RecoveryText {
                origin: common.origin.clone(),
                action: action.clone(),
                detail_sha256: Digest::of(files::read_text(detail)?.as_bytes()),
                expires: expiry(common.expires),
            };
            text.to_string().parse::<RecoveryText>()?;
            (text.to_string(), &common.out)
        }
    };
    files::create(out, words.as_bytes())?;
    let shown = format!(
        "{words}written: {}\nsign it with: stele authority sign {} --ssh-key KEY",
        out.display(),
        out.display()
    );
    Ok(Answer::new(shown, json!({"text": words, "file": out})))
}

/// The bundle in a directory, a bundle's file or a signed file.
pub(crate) fn read_bundle(path: &Path) -> Result<Bundle, CliError> {
    if path.is_dir() {
        return directory::bundle(path, 0, None);
    }
    let bytes = files::read(path)?;
    let faults = |errors: Vec<stele_core::Error>| CliError::faults(&path.display().to_string(), &errors);
    match SignedFile::decode(&bytes) {
        Ok(file) => file
            .bundle()
            .map_err(faults)?
            .ok_or_else(|| CliError::content(path, "found a signed file of another kind; permitted: a signed bundle")),
        Err(_) => Bundle::parse(&bytes).map_err(faults),
    }
}

/// What a bundle says, and plainly what it does not protect from.
fn describe(bundle: &Bundle) -> String {
    let authority = bundle.authority();
    let predecessor = bundle.predecessor().map_or("none".to_owned(), |d| d.to_string());
    let mut lines = vec![
        format!(
            "bundle {} of `{}`, sha256 {}",
            bundle.number(),
            authority.name(),
            bundle.digest()
        ),
        format!("  predecessor      {predecessor}"),
    ];
    for operator in authority.operators().values() {
        let roles: Vec<_> = operator.roles.iter().map(|r| r.as_str()).collect();
        let keys = operator.keys.len();
        lines.push(format!(
            "  operator         {}: {}, {keys} keys",
            operator.name,
            roles.join(", ")
        ));
    }
    for action in Action::ALL {
        if let Some(rule) = authority.quorum_for(action) {
            lines.push(format!(
                "  quorum           {}: {} with the role {}",
                action.name(),
                rule.m,
                rule.role
            ));
        }
    }
    for key in authority.keys().values() {
        lines.push(format!(
            "  CA key           {}: {} {}",
            key.name, key.algorithm, key.spki_sha256
        ));
    }
    for caller in authority.callers().values() {
        lines.push(format!("  caller           {}: {}", caller.name, caller.san));
    }
    let profiles: Vec<_> = authority.profiles().keys().map(|n| n.as_str()).collect();
    lines.push(format!("  profiles         {}", profiles.join(", ")));
    if Action::ALL
        .iter()
        .any(|a| authority.quorum_for(*a).is_some_and(|rule| rule.m < 2))
    {
        lines.push(
            "  PLAINLY: some decisions take one person; whoever has that person's SSH key has the authority".to_owned(),
        );
    }
    lines.join("\n")
}

fn to_json(bundle: &Bundle) -> Value {
    let authority = bundle.authority();
    json!({
        "number": bundle.number(),
        "sha256": bundle.digest(),
        "predecessor": bundle.predecessor(),
        "name": authority.name(),
        "operators": authority.operators().keys().collect::<Vec<_>>(),
        "callers": authority.callers().keys().collect::<Vec<_>>(),
        "keys": authority.keys().keys().collect::<Vec<_>>(),
        "profiles": authority.profiles().keys().collect::<Vec<_>>(),
    })
}

fn show(path: &Path, authority: Option<&Path>) -> Result<Answer, CliError> {
    let bytes = files::read(path)?;
    let Ok(file) = SignedFile::decode(&bytes) else {
        let bundle = read_bundle(path)?;
        return Ok(Answer::new(describe(&bundle), to_json(&bundle)));
    };
    file.check()?;
    let bundle = file
        .bundle()
        .map_err(|errors| CliError::faults(&path.display().to_string(), &errors))?;
    // A first bundle is signed by its own operators, any other by those of the one before.
    let own = bundle.as_ref().filter(|b| b.number() == 0).cloned();
    let judge = authority.map(read_bundle).transpose()?.or(own);
    let signers = sign::signers(&file, judge.as_ref())?;
    let kind = file.subject.name();
    let mut text = format!("a signed {kind}\n");
    if let Some(bundle) = &bundle {
        text.push_str(&describe(bundle));
        text.push('\n');
    }
    text.push_str(file.texts.first().map(|t| t.text.as_str()).unwrap_or_default());
    let lines: String = signers.iter().map(|s| format!("\nsigned by {s}")).collect();
    let text = format!("{}{lines}", text.trim_end());
    Ok(Answer::new(
        text,
        json!({"kind": kind, "bundle": bundle.as_ref().map(to_json), "signers": signers}),
    ))
}
