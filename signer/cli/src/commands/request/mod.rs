//! `stele request`: what waits, what was decided, and deciding.

mod decide;
mod show;

use std::path::PathBuf;

use serde_json::{Value, json};
use stele_api::convert::Issued;
use stele_api::v1;
use stele_api::v1::request_service_client::RequestServiceClient;
use stele_core::request::KeyProof;
use stele_core::types::RequestId;
use tonic::Code;
use tonic::transport::Channel;

use super::sign::{self, AskArgs, Outputs, deliver};
use crate::connect::{ConnectionArgs, MAX_MESSAGE, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::wire::{self, present};

/// Shows requests and decides about those that wait.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum RequestCommand {
    /// Asks for a certificate, as `stele sign` does, and leaves fetching it to `stele request get`
    Submit(Box<AskArgs>),
    /// Lists requests, newest first
    List(ListArgs),
    /// Shows one request: what would be signed, decoded from its bytes, and what the policy says of it
    Show(Which),
    /// Approves a request with your SSH key
    Approve(decide::DecideArgs),
    /// Denies a request, for ever, with your SSH key
    Deny(decide::DecideArgs),
    /// Takes back a request of your own that still waits
    Withdraw(WithdrawArgs),
    /// Fetches the certificate of a request that was issued
    Get(GetArgs),
}

/// Which request.
#[derive(clap::Args, Debug)]
pub(crate) struct Which {
    /// The request id
    id: RequestId,
    /// The caller that made it, by its name in the authority bundle or as uri:URI or dns:NAME [default: looked up]
    #[arg(long, value_name = "CALLER")]
    caller: Option<String>,
    /// The attempt [default: the newest]
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<u32>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Only those in this state; may be repeated
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    states: Vec<v1::RequestState>,
    /// Only those of this caller
    #[arg(long, value_name = "CALLER")]
    caller: Option<String>,
    /// Only those under this profile
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(clap::Args, Debug)]
pub(crate) struct WithdrawArgs {
    /// The request id
    id: RequestId,
    /// Why, for the record
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    which: Which,
    /// Where the certificate goes, PEM; chain and proof beside it, as with `stele sign`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the chain goes
    #[arg(long, value_name = "FILE")]
    chain_out: Option<PathBuf>,
    /// Where the proof goes
    #[arg(long, value_name = "FILE")]
    proof_out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(command: &RequestCommand, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let channel = connect(connection).await?;
    match command {
        RequestCommand::Submit(args) => sign::submit(args, &channel).await,
        RequestCommand::List(args) => list(args, &channel).await,
        RequestCommand::Show(which) => show::run(which, &channel).await,
        RequestCommand::Approve(args) => decide::run(args, decide::Word::Approve, &channel).await,
        RequestCommand::Deny(args) => decide::run(args, decide::Word::Deny, &channel).await,
        RequestCommand::Withdraw(args) => withdraw(args, &channel).await,
        RequestCommand::Get(args) => get(args, connection, &channel).await,
    }
}

fn client(channel: &Channel) -> RequestServiceClient<Channel> {
    RequestServiceClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE)
}

fn state(word: &str) -> Result<v1::RequestState, String> {
    let name = format!("REQUEST_STATE_{}", word.to_ascii_uppercase().replace('-', "_"));
    let known = v1::RequestState::from_str_name(&name).filter(|s| *s != v1::RequestState::Unspecified);
    known.ok_or_else(|| {
        "one of: pending, signing, issued, refused, denied, withdrawn, expired, void, failed, fate-unknown".to_owned()
    })
}

/// The state's word, as `--state` takes it.
fn state_word(number: i32) -> String {
    v1::RequestState::try_from(number).map_or_else(
        |_| format!("unknown ({number})"),
        |s| {
            let name = s.as_str_name();
            name.trim_start_matches("REQUEST_STATE_")
                .to_ascii_lowercase()
                .replace('_', "-")
        },
    )
}

/// One request in a few words for programs.
fn summary(request: &v1::Request) -> Value {
    let asked = request.asked.as_ref();
    json!({
        "request_id": asked.map(|a| &a.request_id),
        "caller": request.caller,
        "attempt": request.attempt,
        "state": state_word(request.state),
        "profile": asked.map(|a| &a.profile),
        "created": wire::time!(request.created),
        "updated": wire::time!(request.updated),
        "position": request.position.as_ref().map(|p| format!("{}#{}", p.origin, p.index)),
        "reason": request.reason,
    })
}

/// Pages of requests until `limit` of them are there or `enough` says so.
async fn pages(
    channel: &Channel,
    mut query: v1::ListRequestsRequest,
    limit: usize,
    keep: impl Fn(&v1::Request) -> bool,
) -> Result<Vec<v1::Request>, CliError> {
    let mut found = Vec::new();
    loop {
        let answer = client(channel).list_requests(query.clone()).await?.into_inner();
        found.extend(answer.requests.into_iter().filter(&keep));
        if answer.next_page_token.is_empty() || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
        query.page_token = answer.next_page_token;
    }
}

async fn list(args: &ListArgs, channel: &Channel) -> Result<Answer, CliError> {
    let query = v1::ListRequestsRequest {
        caller: wire::identity(args.caller.as_deref(), channel).await?,
        states: args.states.iter().map(|s| i32::from(*s)).collect(),
        profile: args.profile.clone(),
        page_size: u32::try_from(args.limit.clamp(1, 1000)).unwrap_or(1000),
        page_token: String::new(),
    };
    let found = pages(channel, query, args.limit, |_| true).await?;
    let mut lines = vec![format!(
        "{:<13} {:<24} {:<20} {:<20} REQUEST",
        "STATE", "CREATED", "CALLER", "PROFILE"
    )];
    for request in &found {
        let asked = request.asked.clone().unwrap_or_default();
        let created = wire::time!(request.created).map(|t| t.to_string()).unwrap_or_default();
        let state = state_word(request.state);
        lines.push(format!(
            "{state:<13} {created:<24} {:<20} {:<20} {}",
            request.caller, asked.profile, asked.request_id
        ));
    }
    if found.is_empty() {
        lines = vec!["no request fits".to_owned()];
    }
    Ok(Answer::new(
        lines.join("\n"),
        json!(found.iter().map(summary).collect::<Vec<_>>()),
    ))
}

/// The request, one's own or, for operators and auditors, anybody's.
async fn fetch(which: &Which, channel: &Channel) -> Result<v1::Request, CliError> {
    let query = |caller: Option<String>| v1::GetRequestRequest {
        caller,
        request_id: which.id.to_string(),
        attempt: which.attempt,
    };
    let caller = wire::identity(which.caller.as_deref(), channel).await?;
    let answer = match client(channel).get_request(query(caller)).await {
        Err(status) if status.code() == Code::NotFound && which.caller.is_none() => {
            let caller = caller_of(&which.id, channel).await?.ok_or(status)?;
            client(channel).get_request(query(Some(caller))).await?
        }
        other => other?,
    };
    present("request", answer.into_inner().request)
}

/// Whose request has this id; ids are unique for each caller only.
async fn caller_of(id: &RequestId, channel: &Channel) -> Result<Option<String>, CliError> {
    let query = v1::ListRequestsRequest {
        page_size: 1000,
        ..v1::ListRequestsRequest::default()
    };
    let fits = |request: &v1::Request| request.asked.as_ref().is_some_and(|a| a.request_id == id.as_str());
    let mut callers: Vec<_> = pages(channel, query, usize::MAX, fits)
        .await?
        .into_iter()
        .map(|r| r.caller)
        .collect();
    callers.sort();
    callers.dedup();
    match callers.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        many => {
            let words = format!(
                "several callers have a request {id}: say which with --caller: {}",
                many.join(", ")
            );
            Err(CliError::Usage(words))
        }
    }
}

async fn withdraw(args: &WithdrawArgs, channel: &Channel) -> Result<Answer, CliError> {
    let wire = v1::WithdrawRequestRequest {
        request_id: args.id.to_string(),
        reason: args.reason.clone(),
    };
    let answer = client(channel).withdraw_request(wire).await?.into_inner();
    let position = wire::position("position", answer.position)?;
    let text = format!("withdrawn: request {}, recorded at {position}", args.id);
    Ok(Answer::new(
        text,
        json!({"state": "withdrawn", "request_id": args.id, "position": position}),
    ))
}

async fn get(args: &GetArgs, connection: &ConnectionArgs, channel: &Channel) -> Result<Answer, CliError> {
    let outputs = Outputs::new(&args.out, args.chain_out.as_deref(), args.proof_out.as_deref())?;
    let request = fetch(&args.which, channel).await?;
    let asked = present("asked", request.asked.clone())?;
    let Some(issued) = request.issued else {
        let words = format!("request {} is {}, not issued", args.which.id, state_word(request.state));
        return Err(CliError::Refused(words));
    };
    let issued = Issued::try_from(issued).map_err(CliError::answer)?;
    let asked = stele_api::convert::sign_request(asked).map_err(CliError::answer)?;
    let spki = match &asked.proof {
        KeyProof::PodKey { spki, .. } => spki.clone(),
        KeyProof::Pkcs10(der) => {
            let csr = stele_core::csr::Csr::prove(der, &stele_core::csr::Limits::default())?;
            csr.public_key().spki_der().to_vec()
        }
    };
    deliver(&issued, &spki, connection, &outputs, &asked.id)
}
