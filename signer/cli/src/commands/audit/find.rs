//! Searching the ledger through the server's index. What is found is the record's own bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use stele_api::convert::{san_to_wire, time_to_wire};
use stele_api::v1;
use stele_api::v1::ledger_service_client::LedgerServiceClient;
use stele_core::names::San;
use stele_core::profile::Seconds;
use stele_core::record::{Body, Record};
use stele_core::types::{Serial, Time};
use tonic::transport::Channel;

use crate::commands::{ledger, stop};
use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::{clock, wire};

#[derive(clap::Args, Debug)]
pub(crate) struct FindArgs {
    /// A certificate's serial number
    #[arg(long, value_parser = stop::serial)]
    serial: Option<Serial>,
    /// One of a certificate's alternative names, dns:NAME, ip:ADDRESS, uri:URI or email:ADDRESS
    #[arg(long, value_name = "FORM:NAME")]
    san: Option<San>,
    /// The caller, as uri:URI or dns:NAME, or by its name in the authority bundle
    #[arg(long)]
    caller: Option<String>,
    /// The request id
    #[arg(long)]
    request_id: Option<String>,
    /// The profile
    #[arg(long)]
    profile: Option<String>,
    /// The issuing CA
    #[arg(long)]
    issuer: Option<String>,
    /// An operator who decided or signed
    #[arg(long)]
    operator: Option<String>,
    /// A kind of record, e.g. issued or refusal; may be repeated
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Recorded at this time or later, e.g. 2026-11-22T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Time>,
    /// Recorded before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Time>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(clap::Args, Debug)]
pub(crate) struct OpenArgs {
    /// How far back to look for intents without an outcome; older ones became unknown when the keeper last started
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    within: Seconds,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ProveArgs {
    /// The certificate's serial number
    #[arg(value_parser = stop::serial)]
    serial: Serial,
    /// The CA that issued it
    #[arg(long)]
    issuer: Option<String>,
    /// Where the proof goes [default: SERIAL.tlog-proof]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs `stele audit find`.
pub(super) async fn run(args: &FindArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let channel = connect(connection).await?;
    let query = v1::FindEntriesRequest {
        serial: args.serial.as_ref().map(ToString::to_string),
        san: args.san.as_ref().map(san_to_wire),
        caller: wire::identity(args.caller.as_deref(), &channel).await?,
        request_id: args.request_id.clone(),
        profile: args.profile.clone(),
        issuer: args.issuer.clone(),
        operator: args.operator.clone(),
        kinds: args.kinds.clone(),
        from: args.from.map(time_to_wire),
        until: args.until.map(time_to_wire),
        ..v1::FindEntriesRequest::default()
    };
    let found = find(&mut ledger::client(channel), query, args.limit).await?;
    let lines: Vec<_> = found.iter().map(line).collect();
    let text = if lines.is_empty() {
        "no record fits".to_owned()
    } else {
        lines.join("\n")
    };
    let values: Result<Vec<_>, _> = found.iter().map(to_json).collect();
    Ok(Answer::new(text, json!(values?)))
}

/// Pages of records, newest first.
async fn find(
    client: &mut LedgerServiceClient<Channel>,
    mut query: v1::FindEntriesRequest,
    limit: usize,
) -> Result<Vec<Record>, CliError> {
    query.page_size = u32::try_from(limit.clamp(1, 1000)).unwrap_or(1000);
    let mut found = Vec::new();
    loop {
        let answer = client.find_entries(query.clone()).await?.into_inner();
        for entry in &answer.entries {
            found.push(Record::decode(&entry.record).map_err(CliError::answer)?);
        }
        query.page_token = answer.next_page_token;
        if query.page_token.is_empty() || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

fn to_json(record: &Record) -> Result<Value, CliError> {
    serde_json::from_slice(&record.encode()?).map_err(|e| CliError::Defect(e.to_string()))
}

/// A record on a line: what people look for first.
fn line(record: &Record) -> String {
    let detail = match &record.body {
        Body::Issued(issued) => {
            let serial = issued.serial.as_ref().map_or(String::new(), |s| format!(" serial {s}"));
            format!(
                "{} for {} ({}){serial}",
                issued.key, issued.request.caller, issued.request.id
            )
        }
        Body::Intent(intent) => format!("{} for {} ({})", intent.key, intent.request.caller, intent.request.id),
        Body::Proposal(proposal) => {
            format!(
                "{} for {} ({})",
                proposal.key, proposal.request.caller, proposal.request.id
            )
        }
        Body::Refusal(refused) => {
            format!(
                "{} of {} under {}, {} violations",
                refused.id, refused.caller, refused.profile, refused.total
            )
        }
        Body::Decision(decision) => {
            let word = if decision.approve { "approves" } else { "denies" };
            format!("{} {word} proposal {}", decision.operator, decision.proposal)
        }
        Body::Revocation(revocation) => format!("serial {} of {}", revocation.serial, revocation.key),
        Body::Unknown(unknown) => format!("intent {} of {}: {}", unknown.intent, unknown.key, unknown.reason),
        Body::Failed(failed) => format!("intent {}: {}", failed.intent, failed.reason),
        _ => String::new(),
    };
    format!(
        "{:>9}  {}  {:<17} {detail}",
        record.index,
        record.time,
        record.body.kind()
    )
}

/// Runs `stele audit show`.
pub(super) async fn show(index: u64, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let mut client = ledger::client(connect(connection).await?);
    let query = v1::StreamEntriesRequest {
        origin: None,
        start: index,
        limit: Some(1),
        follow: false,
    };
    let part = client.stream_entries(query).await?.into_inner().message().await?;
    let entry = part.and_then(|p| p.entries.into_iter().next());
    let record = Record::decode(&wire::present("entries", entry)?.record).map_err(CliError::answer)?;
    let value = to_json(&record)?;
    let text = serde_json::to_string_pretty(&value).map_err(|e| CliError::Defect(e.to_string()))?;
    Ok(Answer::new(text, value))
}

/// Runs `stele audit prove`.
pub(super) async fn prove(args: &ProveArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let verifier = connection.settings()?.verifier()?;
    let mut client = ledger::client(connect(connection).await?);
    let query = v1::FindEntriesRequest {
        serial: Some(args.serial.to_string()),
        issuer: args.issuer.clone(),
        kinds: vec!["issued".to_owned()],
        ..v1::FindEntriesRequest::default()
    };
    let found = find(&mut client, query, 2).await?;
    let index = match found.as_slice() {
        [one] => one.index,
        [] => {
            return Err(CliError::Refused(format!(
                "the ledger has issued no certificate with serial {}",
                args.serial
            )));
        }
        _ => {
            return Err(CliError::Usage(
                "several CAs issued this serial: say which with --issuer".to_owned(),
            ));
        }
    };
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.tlog-proof", args.serial)));
    ledger::proof(&mut client, index, &out, verifier).await
}

/// Runs `stele audit open`.
pub(super) async fn open(args: &OpenArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let mut client = ledger::client(connect(connection).await?);
    let of = |kinds: &[&str], from: Option<Time>| v1::FindEntriesRequest {
        kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
        from: from.map(time_to_wire),
        ..v1::FindEntriesRequest::default()
    };
    let unknown = find(&mut client, of(&["unknown"], None), usize::MAX).await?;
    let since = clock::now().minus_secs(args.within.0);
    let recent = find(
        &mut client,
        of(&["intent", "issued", "failed", "unknown"], Some(since)),
        usize::MAX,
    )
    .await?;
    let open = without_outcome(&recent);
    let mut lines: Vec<_> = unknown.iter().map(line).collect();
    lines.extend(open.iter().map(|record| line(record)));
    lines.push(format!(
        "{} signatures of unknown fate (they count as issued, and enter the next CRL); {} intents without an outcome",
        unknown.len(),
        open.len()
    ));
    let unknown: Result<Vec<_>, _> = unknown.iter().map(to_json).collect();
    let open: Result<Vec<_>, _> = open.into_iter().map(to_json).collect();
    Ok(Answer::new(
        lines.join("\n"),
        json!({"unknown": unknown?, "open": open?}),
    ))
}

/// The intents among `records` that no outcome names.
fn without_outcome(records: &[Record]) -> Vec<&Record> {
    let mut open: BTreeMap<u64, &Record> = records
        .iter()
        .filter(|r| matches!(r.body, Body::Intent(_)))
        .map(|r| (r.index, r))
        .collect();
    for record in records {
        match &record.body {
            Body::Issued(issued) => open.remove(&issued.intent),
            Body::Failed(failed) => open.remove(&failed.intent),
            Body::Unknown(unknown) => open.remove(&unknown.intent),
            _ => None,
        };
    }
    open.into_values().collect()
}
