//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use stele_core::types::Digest;

const AFTER_HELP: &str = "\
A ceremony goes like this:
  stele-ceremony check --script ceremony.toml
  stele-ceremony init --script ceremony.toml --dir DIR --module LIB --pin-file PIN --so-pin-file SO-PIN
  stele-ceremony plan --dir DIR --request signer-request.json --authority AUTHORITY-DIR
  ssh-keygen -Y sign -n stele-bundle -f KEY DIR/to-sign/bundle.txt
  ssh-keygen -Y sign -n stele-plan -f KEY DIR/to-sign/plan.txt
  stele-ceremony run --dir DIR --bundle-sig DIR/to-sign/bundle.txt.sig --plan-sig DIR/to-sign/plan.txt.sig
  stele-ceremony verify DIR/transcript --root root.pem
A later ceremony, or one after an interruption, continues the log of another with the same token; its script says
`continues = true`:
  stele-ceremony init --script later.toml --continue DIR --dir NEW-DIR --module LIB --pin-file PIN
  stele-ceremony plan --dir NEW-DIR --request later-request.json
  ssh-keygen -Y sign -n stele-plan -f KEY NEW-DIR/to-sign/plan.txt
  stele-ceremony run --dir NEW-DIR --plan-sig NEW-DIR/to-sign/plan.txt.sig
Each command can be repeated: it goes on where it was interrupted, and overwrites nothing. Where `run` was killed while
the root key was signing, a signature may exist that nobody has seen: the ceremony is continued in a new --dir.

Exit status:
  0  done, or verified
  1  something is wrong that people can mend: a file, a key, a signature; the message says how
  2  wrong usage
  3  the keeper or its token failed; DIR/state/keeper.log has its words
  4  verify: the transcript is not what it should be
  5  not confirmed by the people present";

/// Root ceremonies, offline, from one reviewed script.
#[derive(Debug, Parser)]
#[command(name = "stele-ceremony", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// The stele-keeper to run; the one beside this program where it is left out.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) keeper: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The steps of a ceremony.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks a script without starting anything.
    Check(CheckArgs),
    /// Initialises the token, makes the root key and begins the ceremony's log; or continues the log of an earlier one.
    Init(InitArgs),
    /// Draws serials and dates, shows every byte that will be signed, and writes the texts that people sign.
    Plan(PlanArgs),
    /// Records bundle and plan, signs each step once, and writes transcript and hand-over.
    Run(RunArgs),
    /// Verifies a transcript from its files alone.
    Verify(VerifyArgs),
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The script.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: PathBuf,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The reviewed script.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: PathBuf,
    /// The ceremony's directory, which will be made.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The token's PKCS#11 library.
    #[arg(long, value_name = "LIB")]
    pub(crate) module: PathBuf,
    /// File of mode 0600 with the token's user PIN.
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: PathBuf,
    /// File of mode 0600 with the token's security officer PIN; a ceremony that continues needs none.
    #[arg(long, value_name = "FILE", required_unless_present = "continues")]
    pub(crate) so_pin_file: Option<PathBuf>,
    /// The directory of the ceremony whose log goes on, complete or interrupted.
    #[arg(long = "continue", value_name = "DIR", conflicts_with = "so_pin_file")]
    pub(crate) continues: Option<PathBuf>,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The ceremony's directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// What `stele-keeper init` wrote for the signer; for a later ceremony what `stele-signer request` wrote.
    #[arg(long, value_name = "FILE")]
    pub(crate) request: PathBuf,
    /// The directory with authority.toml and the profiles, where there is no bundle yet; `spki_sha256 = "@key-name"` stands for a key's digest.
    #[arg(long, value_name = "DIR")]
    pub(crate) authority: Option<PathBuf>,
    /// An operator's signature over the text of a revocation; once for each operator and text.
    #[arg(long, value_name = "FILE")]
    pub(crate) revoke_sig: Vec<PathBuf>,
    /// The signer's exported log: also checks that no bundle was kept back, which a request cannot prove.
    #[arg(long, value_name = "DIR")]
    pub(crate) ledger: Option<PathBuf>,
    /// The people present compared this machine's clock with a visible one; without it they are asked.
    #[arg(long)]
    pub(crate) clock_confirmed: bool,
    /// Shows every step and writes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The ceremony's directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// An operator's signature over bundle.txt; once for each operator.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle_sig: Vec<PathBuf>,
    /// An operator's signature over plan.txt; once for each operator.
    #[arg(long, value_name = "FILE")]
    pub(crate) plan_sig: Vec<PathBuf>,
    /// The plan's SHA-256, as the people present heard it; without it they are asked.
    #[arg(long, value_name = "SHA-256")]
    pub(crate) confirm: Option<Digest>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The transcript.
    #[arg(value_name = "TRANSCRIPT-DIR")]
    pub(crate) transcript: PathBuf,
    /// The root certificate as you know it from elsewhere: without an anchor a whole transcript could be made up.
    #[arg(
        long,
        value_name = "PEM",
        required_unless_present = "no_anchor",
        conflicts_with = "no_anchor"
    )]
    pub(crate) root: Option<PathBuf>,
    /// Only checks that the transcript is consistent with itself.
    #[arg(long)]
    pub(crate) no_anchor: bool,
    /// The signer's exported log, to check that the two logs hold each other's checkpoints.
    #[arg(long, value_name = "DIR", requires = "vkey")]
    pub(crate) ledger: Option<PathBuf>,
    /// The verifier key of the signer's log, as you know it from elsewhere.
    #[arg(long, value_name = "FILE", requires = "ledger")]
    pub(crate) vkey: Option<PathBuf>,
}
