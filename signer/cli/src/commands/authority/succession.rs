//! `stele authority succession`: what a log hands on, computed from its export by its verification.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;
use stele_core::audit::Handing;
use stele_core::ceremony::CeremonyFile as _;
use stele_core::epoch::{CarryOver, Prepared};
use stele_core::profile::Seconds;
use stele_core::types::{Digest, KeyName};

use super::expiry;
use crate::commands::audit::{Place, estate};
use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::files;
use crate::output::Answer;

/// By how much CRL numbers jump after a loss, unless told: more CRLs than a lost part of a log is likely to hold.
const CRL_MARGIN: u64 = 1000;

#[derive(clap::Args, Debug)]
pub(crate) struct SuccessionArgs {
    /// The export of the log that is continued, up to its last known entry; with those before it, if there are any.
    /// The verifier key opens the first
    #[arg(required = true, value_name = "DIR|URL")]
    logs: Vec<Place>,
    /// What `stele-keeper prepare` wrote for the log that begins
    #[arg(long, value_name = "FILE")]
    successor: PathBuf,
    /// DISCONTINUITY: the log or its end is lost. What is missing, in words; without it the log must be closed
    #[arg(long, value_name = "WORDS")]
    missing: Option<String>,
    /// A CA key that the new log's token does not hold; may be repeated
    #[arg(long, value_name = "KEY")]
    leave: Vec<KeyName>,
    /// By how much CRL numbers jump after a loss
    #[arg(long, value_name = "N", requires = "missing")]
    crl_margin: Option<u64>,
    /// Where the carry-over goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the text to be signed goes
    #[arg(long, value_name = "FILE")]
    text_out: PathBuf,
    /// How long the text counts
    #[arg(long, default_value = "7d", value_name = "DURATION")]
    expires: Seconds,
}

/// Runs the command.
pub(super) fn run(args: &SuccessionArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    files::require_absent([args.out.as_path(), args.text_out.as_path()])?;
    let successor = Prepared::decode(&files::read(&args.successor)?)?;
    let margin = args.crl_margin.unwrap_or(CRL_MARGIN);
    let carry = estate(&args.logs, connection)?.carry_over(Handing {
        successor,
        crl_margin: if args.missing.is_some() { margin } else { 0 },
        missing: args.missing.clone(),
        left: args.leave.iter().cloned().collect::<BTreeSet<_>>(),
    })?;
    let bytes = carry.encode()?;
    let digest = Digest::of(&bytes);
    let text = carry.text(digest, expiry(args.expires))?.to_string();
    files::create(&args.out, &bytes)?;
    files::create(&args.text_out, text.as_bytes())?;
    let (out, text_out) = (args.out.display(), args.text_out.display());
    let shown = format!(
        "{}\n{text}written: {out}, {text_out}\nsign it with: stele authority sign {text_out} --detail {out} --ssh-key KEY",
        describe(&carry)
    );
    Ok(Answer::new(
        shown,
        json!({"carry_over_sha256": digest, "bundle_sha256": Digest::of(carry.bundle.as_bytes()), "file": args.out, "text": text}),
    ))
}

/// What is handed on, for people who are to sign it.
fn describe(carry: &CarryOver) -> String {
    let left: Vec<&str> = carry.keys.iter().filter(|k| !k.held).map(|k| k.key.as_str()).collect();
    let mut lines = vec![
        format!("`{}` hands on to `{}`", carry.origin, carry.successor.origin),
        format!("  last record      {}", carry.time),
        format!(
            "  bundle           {} (first_bundle of the new keeper's configuration)",
            Digest::of(carry.bundle.as_bytes())
        ),
        format!("  CA keys          {}", carry.keys.len()),
        format!("  frozen           {}", carry.frozen.len()),
        format!("  on CRLs          {}", carry.gone.len()),
        format!("  serials in use   {}", carry.serials.len()),
    ];
    if !left.is_empty() {
        lines.push(format!("  LEFT BEHIND      {}", left.join(", ")));
    }
    lines.join("\n")
}
