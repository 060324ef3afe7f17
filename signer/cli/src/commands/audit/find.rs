//! `stele audit find`, `show`, `open`, `prove`: searching the ledger, through the server's index or in an export. What
//! is found is the record's own bytes.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use serde_json::{Value, json};
use stele_api::convert::{san_to_wire, subject_to_wire, time_to_wire};
use stele_api::v1;
use stele_api::v1::ledger_service_client::LedgerServiceClient;
use stele_core::names::{Attribute, AttributeType, San, Subject};
use stele_core::profile::Seconds;
use stele_core::record::{Body, Record};
use stele_core::types::{Serial, Time};
use tonic::transport::Channel;

use super::about::{About, Follower, certificate, line};
use super::log::{Log, Place, scan, scan_from};
use crate::commands::{ledger, stop};
use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::{clock, wire};

#[derive(clap::Args, Debug)]
pub(crate) struct FindArgs {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Search an export or tiles over HTTP instead of asking the server; what is read is held against the checkpoint
    #[arg(long, value_name = "DIR|URL")]
    log: Option<Place>,
}

/// Which records. All conditions that are given must hold.
#[derive(clap::Args, Debug)]
pub(super) struct Filter {
    /// A certificate's serial number
    #[arg(long, value_parser = stop::serial)]
    serial: Option<Serial>,
    /// A certificate's whole subject, e.g. "O=system:nodes, CN=system:node:node-1"
    #[arg(long, value_parser = subject)]
    subject: Option<Subject>,
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
}

/// `K=V, K=V` with the short names of RFC 4514; a comma that belongs to a value is written `\,`.
fn subject(text: &str) -> Result<Subject, String> {
    let escaped = text.replace("\\,", "\u{0}");
    let attribute = |part: &str| {
        let (name, value) = part.trim().split_once('=')?;
        let kind = AttributeType::ALL
            .into_iter()
            .find(|k| k.name().eq_ignore_ascii_case(name))?;
        Some(Attribute::new(kind, value.replace('\u{0}', ",")))
    };
    let parts: Option<Vec<_>> = escaped.split(',').map(attribute).collect();
    let names = AttributeType::ALL.map(AttributeType::name).join(", ");
    parts
        .map(Subject)
        .ok_or_else(|| format!("permitted: NAME=VALUE, comma separated, with the names {names}"))
}

impl Filter {
    /// Whether a record fits, with what its predecessors say of it.
    fn fits(&self, record: &Record, about: &About, follower: &Follower) -> bool {
        fn same<T: ToString>(wanted: Option<&String>, found: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| found.is_some_and(|found| found.to_string() == *wanted))
        }
        let name = about.caller.as_ref().and_then(|caller| follower.name(caller));
        let kind = record.body.kind();
        (self.kinds.is_empty() || self.kinds.iter().any(|k| k == kind))
            && self.from.is_none_or(|from| record.time >= from)
            && self.until.is_none_or(|until| record.time < until)
            && (same(self.caller.as_ref(), about.caller.as_ref()) || same(self.caller.as_ref(), name))
            && same(self.request_id.as_ref(), about.request.as_ref())
            && same(self.profile.as_ref(), about.profile.as_ref())
            && same(self.issuer.as_ref(), about.issuer.as_ref())
            && same(self.operator.as_ref(), about.operator.as_ref())
            && self
                .serial
                .as_ref()
                .is_none_or(|serial| about.serial.as_ref() == Some(serial))
            && self.fits_certificate(&record.body)
    }

    fn fits_certificate(&self, body: &Body) -> bool {
        if self.san.is_none() && self.subject.is_none() {
            return true;
        }
        let Some(view) = certificate(body) else { return false };
        self.san.as_ref().is_none_or(|san| view.sans.contains(san))
            && self
                .subject
                .as_ref()
                .is_none_or(|subject| view.subject.as_ref() == Ok(subject))
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct OpenArgs {
    /// How far back to look for intents without an outcome; older ones became unknown when the keeper last started
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    within: Seconds,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// The record's index
    index: u64,
    /// Read it from an export or from tiles over HTTP instead of asking the server
    #[arg(long, value_name = "DIR|URL")]
    log: Option<Place>,
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
    let found = match &args.log {
        Some(place) => find_offline(args, place, connection)?,
        None => find_online(args, connection).await?,
    };
    let lines: Vec<_> = found.iter().map(line).collect();
    let text = if lines.is_empty() {
        "no record fits".to_owned()
    } else {
        lines.join("\n")
    };
    let values: Result<Vec<_>, _> = found.iter().map(to_json).collect();
    Ok(Answer::new(text, json!(values?)))
}

/// The newest records that fit, newest first, from a log's tiles.
fn find_offline(args: &FindArgs, place: &Place, connection: &ConnectionArgs) -> Result<Vec<Record>, CliError> {
    let settings = connection.settings()?;
    let log = Log::open(place, &settings)?;
    let (mut follower, mut newest) = (Follower::default(), VecDeque::new());
    let look = |_, raw: &[u8]| Record::decode(raw).ok();
    scan(&log, settings.verifier()?.as_ref(), look, |_, record| {
        let Some(record) = record else { return Ok(()) };
        let about = follower.about(&record);
        if args.filter.fits(&record, &about, &follower) {
            newest.push_front(record);
            newest.truncate(args.limit);
        }
        Ok(())
    })?;
    Ok(newest.into())
}

async fn find_online(args: &FindArgs, connection: &ConnectionArgs) -> Result<Vec<Record>, CliError> {
    let channel = connect(connection).await?;
    let filter = &args.filter;
    let query = v1::FindEntriesRequest {
        serial: filter.serial.as_ref().map(ToString::to_string),
        subject: filter.subject.as_ref().map(subject_to_wire),
        san: filter.san.as_ref().map(san_to_wire),
        caller: wire::identity(filter.caller.as_deref(), &channel).await?,
        request_id: filter.request_id.clone(),
        profile: filter.profile.clone(),
        issuer: filter.issuer.clone(),
        operator: filter.operator.clone(),
        kinds: filter.kinds.clone(),
        from: filter.from.map(time_to_wire),
        until: filter.until.map(time_to_wire),
        ..v1::FindEntriesRequest::default()
    };
    find(&mut ledger::client(channel), query, args.limit).await
}

/// Pages of records, newest first.
pub(super) async fn find(
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

/// Runs `stele audit show`.
pub(super) async fn show(args: &ShowArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let record = match &args.log {
        Some(place) => show_offline(args.index, place, connection)?,
        None => show_online(args.index, connection).await?,
    };
    let value = to_json(&record)?;
    let text = serde_json::to_string_pretty(&value).map_err(|e| CliError::Defect(e.to_string()))?;
    Ok(Answer::new(text, value))
}

fn show_offline(index: u64, place: &Place, connection: &ConnectionArgs) -> Result<Record, CliError> {
    let settings = connection.settings()?;
    let log = Log::open(place, &settings)?;
    let mut found = None;
    let look = |at, raw: &[u8]| (at == index).then(|| Record::decode(raw));
    let head = scan_from(
        &log,
        settings.verifier()?.as_ref(),
        index..index.saturating_add(1),
        look,
        |_, record| {
            found = found.take().or(record);
            Ok(())
        },
    )?;
    let beyond = || CliError::Refused(format!("no record {index}: the log has {} entries", head.size));
    Ok(found.ok_or_else(beyond)??)
}

async fn show_online(index: u64, connection: &ConnectionArgs) -> Result<Record, CliError> {
    let mut client = ledger::client(connect(connection).await?);
    let query = v1::StreamEntriesRequest {
        origin: None,
        start: index,
        limit: Some(1),
        follow: false,
    };
    let part = client.stream_entries(query).await?.into_inner().message().await?;
    let entry = part.and_then(|p| p.entries.into_iter().next());
    Record::decode(&wire::present("entries", entry)?.record).map_err(CliError::answer)
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
