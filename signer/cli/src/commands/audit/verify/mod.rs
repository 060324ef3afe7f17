//! `stele audit verify`: whole logs, from their files and the first one's verifier key alone.

mod chain;
mod run;
mod show;
mod state;

use std::path::PathBuf;

use serde_json::json;
use stele_core::audit::Estate;
use stele_core::types::Digest;

use super::log::Place;
use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;
pub(super) use chain::{Chain, verify_all};
pub(super) use run::Verified;
use show::{describe, to_json};
pub(super) use state::State;

#[derive(clap::Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Logs, in any order: exports (directories with `checkpoint` and `tile/`), transcripts of ceremonies, or URLs of
    /// tiles. The verifier key opens the first; the keys of the others stand in the logs
    #[arg(required = true, value_name = "DIR|URL")]
    logs: Vec<Place>,
    /// The digest that the first bundle must have, from the ceremony's minutes
    #[arg(long, value_name = "HEX")]
    bundle_digest: Option<Digest>,
    /// The ceremony's transcript, whose log issued the CAs: one more log
    #[arg(long, value_name = "DIR|URL")]
    ceremony: Vec<Place>,
    /// What `--state` wrote when the logs verified last: they must go on from there. What was verified then is hashed
    /// and read, but its signatures are not verified again
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// Where sizes and roots go when nothing was found; an older state of these logs is replaced
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

impl VerifyArgs {
    fn places(&self) -> Vec<Place> {
        self.logs.iter().chain(&self.ceremony).cloned().collect()
    }
}

/// Runs the command.
pub(super) fn run(args: &VerifyArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let settings = connection.settings()?;
    let verifier = settings.required_verifier()?;
    let since = args.since.as_deref().map(State::read).transpose()?.unwrap_or_default();
    if let Some(path) = &args.state {
        State::require_replaceable(path)?;
    }
    let chain = verify_all(&args.places(), &settings, verifier, args.bundle_digest, &since, None)?;
    let clean = chain.is_clean();
    let mut text: Vec<String> = chain
        .logs
        .iter()
        .map(|log| describe(log, &chain, args.bundle_digest))
        .collect();
    text.extend(chain.findings.iter().map(show::file_line));
    text.push(verdict(clean).to_owned());
    if let Some(path) = args.state.as_deref().filter(|_| clean) {
        State::of(&chain).write(path)?;
        text.push(format!("state: {}", path.display()));
    }
    let json = json!({
        "clean": clean,
        "logs": chain.logs.iter().map(to_json).collect::<Vec<_>>(),
        "findings": chain.findings,
    });
    Ok(Answer {
        text: text.join("\n"),
        json,
        finding: !clean,
    })
}

/// What the last of these logs leaves to the one that is to continue it; all of them must be free of findings.
///
/// # Errors
/// When a log cannot be read, or there are findings.
pub(crate) fn estate(places: &[Place], connection: &ConnectionArgs) -> Result<Estate, CliError> {
    let settings = connection.settings()?;
    let verifier = settings.required_verifier()?;
    let mut chain = verify_all(places, &settings, verifier, None, &State::default(), None)?;
    if !chain.is_clean() {
        let why = "there are findings: run `stele audit verify` with the same arguments; nothing is handed on from such a log";
        return Err(CliError::Refused(why.to_owned()));
    }
    let mut left = chain.logs.iter_mut().filter_map(|log| log.estate.take());
    // Ceremonies' logs come after those that name them, and leave nothing.
    left.find(Estate::is_a_signers)
        .ok_or_else(|| CliError::Refused("no log of a signer among them".to_owned()))
}

/// The last line.
pub(super) const fn verdict(clean: bool) -> &'static str {
    if clean {
        "RESULT: no promise is broken, as far as the log can tell"
    } else {
        "RESULT: THERE ARE FINDINGS"
    }
}
