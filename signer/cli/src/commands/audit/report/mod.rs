//! `stele audit report`: one HTML page about a period, for people who would rather look than read. The logs are
//! verified on the way, and the page says how that went.

mod chart;
mod gather;
mod hierarchy;
mod html;
mod page;
mod period;

use std::path::PathBuf;

use serde_json::json;
use stele_core::types::{Digest, Time};

use super::log::Place;
use super::verify::{State, verify_all};
use crate::connect::ConnectionArgs;
use crate::error::CliError;
use crate::output::Answer;
use crate::{clock, files};
use gather::Gathered;
use period::Period;

#[derive(clap::Args, Debug)]
pub(crate) struct ReportArgs {
    /// Logs as for `verify`; the report is about the one of the verifier key
    #[arg(required = true, value_name = "DIR|URL")]
    logs: Vec<Place>,
    /// Where the page goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The digest that the first bundle must have, from the ceremony's minutes
    #[arg(long, value_name = "HEX")]
    bundle_digest: Option<Digest>,
    /// The ceremony's transcript, whose log issued the CAs: one more log
    #[arg(long, value_name = "DIR|URL")]
    ceremony: Vec<Place>,
    /// Begin of the period [default: the first record]
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    /// End of the period [default: after the last record]
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    files::require_absent([args.out.as_path()])?;
    let settings = connection.settings()?;
    let verifier = settings.required_verifier()?;
    let places: Vec<Place> = args.logs.iter().chain(&args.ceremony).cloned().collect();
    let mut gathered = Gathered::new(args.from, args.until);
    let mut observer = |record| gathered.add(&record);
    let chain = verify_all(
        &places,
        &settings,
        verifier,
        args.bundle_digest,
        &State::default(),
        Some(&mut observer),
    )?;
    let period = Period::of(args.from, args.until, &gathered);
    let page = page::write(&chain, &gathered, &period, clock::now());
    files::create(&args.out, page.as_bytes())?;
    let clean = chain.is_clean();
    let text = format!(
        "{} certificates, {} refusals, {} events worth a look\nwritten: {}\n{}",
        gathered.certificates,
        gathered.refused,
        gathered.events.len(),
        args.out.display(),
        super::verify::verdict(clean)
    );
    let json = json!({
        "clean": clean,
        "file": args.out,
        "from": period.from,
        "until": period.until,
        "certificates": gathered.certificates,
        "refusals": gathered.refused,
        "events": gathered.events.len(),
    });
    Ok(Answer {
        text,
        json,
        finding: !clean,
    })
}
