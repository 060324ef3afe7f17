//! `stele ledger`: the log as the server serves it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stele_api::v1;
use stele_api::v1::ledger_service_client::LedgerServiceClient;
use stele_core::checkpoint::{Checkpoint, NoteVerifier, TlogProof, open};
use tonic::transport::Channel;

use crate::connect::{ConnectionArgs, MAX_MESSAGE, connect};
use crate::error::CliError;
use crate::files;
use crate::output::{Answer, print_line, printable};

/// Reads the ledger.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum LedgerCommand {
    /// The newest checkpoint, a signed note
    Checkpoint {
        /// Where it goes; without it, it is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Entries in order, one JSON object on each line, as the log hashes them
    Entries {
        /// Index of the first
        #[arg(long, default_value_t = 0)]
        start: u64,
        /// At most so many
        #[arg(long)]
        limit: Option<u64>,
        /// Wait for new ones
        #[arg(long)]
        follow: bool,
    },
    /// The proof that an entry stands in the log, as a C2SP tlog-proof
    Proof {
        /// Index of the entry
        index: u64,
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// A client with room for large answers.
pub(crate) fn client(channel: Channel) -> LedgerServiceClient<Channel> {
    LedgerServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

/// Runs the command.
pub(crate) async fn run(command: &LedgerCommand, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let mut client = client(connect(connection).await?);
    let verifier = connection.settings()?.verifier()?;
    match command {
        LedgerCommand::Checkpoint { out } => {
            let (note, head) = head(&mut client, verifier.as_ref()).await?;
            if let Some(path) = out {
                files::create(path, note.as_bytes())?;
            }
            let json = json!({"origin": head.origin, "size": head.size, "root": head.root, "note": note});
            Ok(Answer::new(note.trim_end(), json))
        }
        LedgerCommand::Entries { start, limit, follow } => entries(&mut client, *start, *limit, *follow).await,
        LedgerCommand::Proof { index, out } => proof(&mut client, *index, out, verifier).await,
    }
}

/// The newest checkpoint, verified where the verifier key is known.
pub(crate) async fn head(
    client: &mut LedgerServiceClient<Channel>,
    verifier: Option<&NoteVerifier>,
) -> Result<(String, Checkpoint), CliError> {
    let answer = client
        .get_checkpoint(v1::GetCheckpointRequest::default())
        .await?
        .into_inner();
    let note = answer.checkpoint;
    let head = match verifier {
        Some(verifier) => open(&note, std::slice::from_ref(verifier))?.0,
        None => Checkpoint::from_note_unverified(&note)?,
    };
    Ok((note, head))
}

async fn entries(
    client: &mut LedgerServiceClient<Channel>,
    start: u64,
    limit: Option<u64>,
    follow: bool,
) -> Result<Answer, CliError> {
    let wire = v1::StreamEntriesRequest {
        origin: None,
        start,
        limit,
        follow,
    };
    let mut stream = client.stream_entries(wire).await?.into_inner();
    while let Some(part) = stream.message().await? {
        for entry in part.entries {
            print_line(&printable(&String::from_utf8_lossy(&entry.record)));
        }
    }
    // Each record was a JSON value of its own; there is nothing to add in either format.
    Ok(Answer::new(String::new(), Value::Null))
}

/// Fetches the proof of an entry, checks it and writes it.
pub(crate) async fn proof(
    client: &mut LedgerServiceClient<Channel>,
    index: u64,
    out: &Path,
    verifier: Option<NoteVerifier>,
) -> Result<Answer, CliError> {
    files::require_absent([out])?;
    let wire = v1::GetInclusionProofRequest {
        origin: None,
        index,
        tree_size: None,
    };
    let answer = client.get_inclusion_proof(wire).await?.into_inner();
    let record = crate::wire::present("entry", answer.entry)?.record;
    let proof: TlogProof = answer.tlog_proof.parse().map_err(CliError::answer)?;
    if proof.index != index || proof.extra.as_ref() != Some(&record) {
        return Err(CliError::answer("a proof of another entry"));
    }
    let verified = verifier.is_some();
    if let Some(verifier) = verifier {
        proof.verify(&record, &[verifier])?;
    }
    files::create(out, answer.tlog_proof.as_bytes())?;
    let checked = if verified {
        "it verifies"
    } else {
        "it was not checked: give --vkey"
    };
    let text = format!("the proof of entry {index}; {checked}\nwritten: {}", out.display());
    Ok(Answer::new(
        text,
        json!({"index": index, "verified": verified, "file": out}),
    ))
}
