//! Asking one witness: what it stored last, the proof from there, its answer verified.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use stele_core::checkpoint::witness::{Answer, MAX_ANSWER_BYTES, Submission, cosignatures};
use stele_core::checkpoint::{Checkpoint, Note, NoteVerifier, SignatureLine};
use stele_core::types::{Digest, WitnessName};

use super::http::{Http, Reply};
use crate::signer::Signer;

/// How often the size that a witness tells is believed in one go; each time costs a proof and a request.
const SIZES_PER_ASKING: usize = 3;

/// A checkpoint to be cosigned.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The note, with the log's signature.
    pub(crate) note: Note,
    /// Its size.
    pub(crate) size: u64,
}

/// How an asking ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its cosignature, verified.
    Cosigned(Vec<SignatureLine>),
    /// It says that it cosigned a larger tree than the log has.
    ClaimsLarger(u64),
    /// Anything else.
    Fault(Fault),
}

/// What is wrong with a witness: its kind, which records and alarms tell apart, and the words of this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// One of a few.
    pub(crate) kind: &'static str,
    /// In words.
    pub(crate) words: String,
}

impl Fault {
    /// A fault of this kind, as an outcome.
    pub(crate) fn of(kind: &'static str, words: impl Into<String>) -> Outcome {
        let words = words.into().chars().take(300).collect();
        Outcome::Fault(Self { kind, words })
    }
}

/// One witness.
#[derive(Debug)]
pub(crate) struct Asker {
    /// Its name.
    pub(crate) name: WitnessName,
    /// Its key.
    pub(crate) key: NoteVerifier,
    http: Http,
    /// The size that it cosigned last, as far as it told; 0 before anything is known.
    latest: u64,
    timeout: Duration,
}

impl Asker {
    /// Asks this witness over `http`.
    pub(crate) const fn new(name: WitnessName, key: NoteVerifier, http: Http, timeout: Duration) -> Self {
        Self {
            name,
            key,
            http,
            latest: 0,
            timeout,
        }
    }

    /// Asks it to cosign.
    pub(crate) async fn ask(&mut self, signer: &Arc<Signer>, target: &Target) -> Outcome {
        let timeout = self.timeout;
        let outcome = match tokio::time::timeout(timeout, self.converse(signer, target)).await {
            Ok(outcome) => outcome,
            Err(_) => Fault::of("slow", format!("no answer within {} s", timeout.as_secs())),
        };
        if matches!(outcome, Outcome::Fault(_)) {
            // What it told may have been wrong: it is asked anew.
            self.latest = 0;
        }
        outcome
    }

    async fn converse(&mut self, signer: &Arc<Signer>, target: &Target) -> Outcome {
        for _ in 0..SIZES_PER_ASKING {
            let old = self.latest.min(target.size);
            let reply = match self.submit(signer, target, old).await {
                Ok(reply) => reply,
                Err(fault) => return fault,
            };
            if reply.status != 200 {
                look_for_checkpoint(signer, &reply).await;
            }
            match Answer::read(reply.status, reply.content_type.as_deref(), &reply.body) {
                Ok(Answer::Cosigned(lines)) => return self.verified(&lines, target),
                Ok(Answer::Latest(size)) if size == old => {
                    return Fault::of(
                        "garbage",
                        format!("409, but it tells the size {size} that it was asked with"),
                    );
                }
                Ok(Answer::Latest(size)) if size > target.size => return claims(signer, size).await,
                Ok(Answer::Latest(size)) => self.latest = size,
                Ok(Answer::OtherRoot) => {
                    let words = format!("409 without a size: it says that it cosigned another root of size {old}");
                    return Fault::of("other root", words);
                }
                Ok(Answer::Inconsistent) => {
                    let words = format!("422: the proof from size {old} does not fit what it cosigned");
                    return Fault::of("inconsistent", words);
                }
                Ok(Answer::UnknownLog) => return Fault::of("unknown log", "404: it does not know this log's origin"),
                Ok(Answer::UntrustedKey) => return Fault::of("untrusted key", "403: it does not trust this log's key"),
                Err(error) => return Fault::of("garbage", error.to_string()),
            }
        }
        Fault::of("garbage", "409 with another size each time")
    }

    async fn submit(&mut self, signer: &Arc<Signer>, target: &Target, old: u64) -> Result<Reply, Outcome> {
        let proof = proof(signer, old, target.size).await?;
        let submission = Submission::new(old, &proof, &target.note);
        let body = submission.map_err(|e| Fault::of("defect", e.to_string()))?.to_string();
        self.http
            .send(Method::POST, "/add-checkpoint", body)
            .await
            .map_err(|words| Fault::of("unreachable", words))
    }

    fn verified(&mut self, lines: &str, target: &Target) -> Outcome {
        match cosignatures(lines, &target.note, &self.key) {
            Ok(lines) => {
                self.latest = target.size;
                Outcome::Cosigned(lines)
            }
            Err(error) => Fault::of("garbage", error.to_string()),
        }
    }
}

/// What an answer is read into at most.
pub(crate) const fn answer_limit() -> usize {
    MAX_ANSWER_BYTES
}

async fn proof(signer: &Arc<Signer>, old: u64, size: u64) -> Result<Vec<Digest>, Outcome> {
    if old == 0 || old == size {
        return Ok(Vec::new());
    }
    let keeper = signer.clone();
    let hashes = tokio::task::spawn_blocking(move || keeper.keeper.consistency(old, size)).await;
    match hashes {
        Ok(Ok(hashes)) => Ok(hashes.into_iter().map(Digest).collect()),
        Ok(Err(error)) => Err(Fault::of("defect", error.to_string())),
        Err(error) => Err(Fault::of("defect", error.to_string())),
    }
}

/// A larger tree is a claim only while the log is really smaller: it may have grown since the checkpoint was taken.
async fn claims(signer: &Arc<Signer>, size: u64) -> Outcome {
    let keeper = signer.clone();
    match tokio::task::spawn_blocking(move || keeper.keeper.status()).await {
        Ok(Ok(status)) if status.size < size => Outcome::ClaimsLarger(size),
        Ok(Ok(_)) => Fault::of("ahead", format!("it cosigned the newer size {size} already")),
        Ok(Err(error)) => Fault::of("defect", error.to_string()),
        Err(error) => Fault::of("defect", error.to_string()),
    }
}

/// Some witnesses answer a conflict with the checkpoint that they hold. One under this log's key is judged.
async fn look_for_checkpoint(signer: &Arc<Signer>, reply: &Reply) {
    if let Ok(note) = String::from_utf8(reply.body.clone()) {
        show(signer, note).await;
    }
}

/// Shows the keeper a note from elsewhere, where it looks like a checkpoint of this log.
pub(crate) async fn show(signer: &Arc<Signer>, note: String) {
    if !Checkpoint::from_note_unverified(&note).is_ok_and(|c| c.origin == signer.origin) {
        return;
    }
    let signer = signer.clone();
    let shown = tokio::task::spawn_blocking(move || signer.keeper.seen(&note)).await;
    if let Ok(Err(error)) = shown {
        tracing::error!(%error, "a checkpoint that was shown elsewhere");
    }
}
