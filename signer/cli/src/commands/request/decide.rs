//! Approving and denying: the text is built here, from the bytes that were shown, never taken from the server.

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::json;
use stele_api::v1;
use stele_core::authority::texts::{ApprovalText, Decision, OperatorText as _};
use stele_core::types::{Digest, OperatorName, SignedText};
use tonic::transport::Channel;

use super::{Which, client, fetch, show, state_word, summary};
use crate::error::CliError;
use crate::output::{Answer, printable};
use crate::ssh::{self, Outcome, SignatureSource};
use crate::wire::{self, present};

/// Which word is given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

#[derive(clap::Args, Debug)]
pub(crate) struct DecideArgs {
    #[command(flatten)]
    which: Which,
    /// Your name in the authority bundle; a key of somebody else is then refused
    #[arg(long, value_name = "NAME")]
    operator: Option<OperatorName>,
    #[command(flatten)]
    source: SignatureSource,
    /// Why you deny, for the requester and the record; not covered by the signature
    #[arg(long, default_value = "")]
    reason: String,
    /// Do not ask, even on a terminal
    #[arg(long)]
    yes: bool,
}

/// Runs `stele request approve` and `stele request deny`.
pub(super) async fn run(args: &DecideArgs, word: Word, channel: &Channel) -> Result<Answer, CliError> {
    let request = fetch(&args.which, channel).await?;
    let (bundle, _) = wire::bundle(channel, None).await?;
    let text = text(&request, word)?.to_string();
    let (shown, _) = show::describe(&request, Some(&bundle))?;
    eprintln!("{}", printable(&shown));
    if args.source.signs_now() && !args.yes {
        confirm(word)?;
    }
    let signed = match args.source.obtain(&text, ApprovalText::NAMESPACE)? {
        Outcome::Written(words) => return Ok(Answer::new(words, json!({"state": "text-written", "text": text}))),
        Outcome::Signed(signed) => signed,
    };
    let signer = ssh::signer(&signed, ApprovalText::NAMESPACE, bundle.authority())?;
    if args.operator.as_ref().is_some_and(|named| *named != signer) {
        return Err(CliError::Refused(format!(
            "the key is {signer}'s, not that of the operator named"
        )));
    }
    submit(args, word, signed, channel).await
}

/// The text over what the server showed: its digest is computed from the bytes.
fn text(request: &v1::Request, word: Word) -> Result<ApprovalText, CliError> {
    let state = state_word(request.state);
    let Some(proposal) = request.proposal.as_ref().filter(|_| state == "pending") else {
        return Err(CliError::Refused(format!(
            "the request is {state}: there is nothing to decide"
        )));
    };
    let asked = present("asked", request.asked.as_ref())?;
    let profile = <[u8; 32]>::try_from(proposal.profile_sha256.as_slice());
    Ok(ApprovalText {
        origin: wire::position("proposal.position", proposal.position.clone())?.origin,
        request: asked.request_id.parse().map_err(CliError::answer)?,
        attempt: request.attempt,
        requester: request.caller.parse().map_err(CliError::answer)?,
        tbs_sha256: Digest::of(&proposal.tbs_der),
        profile_sha256: Digest(profile.map_err(|_| CliError::answer("`profile_sha256` has not 32 bytes"))?),
        decision: match word {
            Word::Approve => Decision::Approve,
            Word::Deny => Decision::Deny,
        },
        expires: present("proposal.expires", wire::time!(proposal.expires))?,
    })
}

fn confirm(word: Word) -> Result<(), CliError> {
    if !std::io::stdin().is_terminal() {
        return Ok(());
    }
    let word = match word {
        Word::Approve => "approve",
        Word::Deny => "deny",
    };
    eprint!("Type `{word}` to sign: ");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if read.is_ok() && line.trim() == word {
        return Ok(());
    }
    Err(CliError::Refused("nothing was signed".to_owned()))
}

async fn submit(args: &DecideArgs, word: Word, signed: SignedText, channel: &Channel) -> Result<Answer, CliError> {
    let signed = Some(v1::SignedText::from(signed));
    let (position, request) = match word {
        Word::Approve => {
            let wire = v1::ApproveRequestRequest { approval: signed };
            let answer = client(channel).approve_request(wire).await?.into_inner();
            (answer.position, answer.request)
        }
        Word::Deny => {
            let wire = v1::DenyRequestRequest {
                denial: signed,
                reason: args.reason.clone(),
            };
            let answer = client(channel).deny_request(wire).await?.into_inner();
            (answer.position, answer.request)
        }
    };
    let position = wire::position("position", position)?;
    let request = present("request", request)?;
    let state = state_word(request.state);
    let text = format!("recorded at {position}; the request is now {}", state.to_uppercase());
    let mut json = summary(&request);
    if let Some(all) = json.as_object_mut() {
        all.insert("decision".to_owned(), json!(position));
    }
    Ok(Answer::new(text, json))
}
