//! What a record is about, where it does not say so itself: an outcome has its profile from its intent, a decision its
//! request from its proposal.

use std::collections::BTreeMap;

use stele_core::authority::Bundle;
use stele_core::record::{Body, Chunk, ChunkSource, Payload, Record, RequestRef};
use stele_core::tbs::{TbsView, parse_certificate};
use stele_core::types::{CallerName, CallerSan, KeyName, OperatorName, ProfileName, RequestId, Serial};

/// Who, what, under which profile.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) caller: Option<CallerSan>,
    pub(super) request: Option<RequestId>,
    pub(super) profile: Option<ProfileName>,
    pub(super) issuer: Option<KeyName>,
    pub(super) serial: Option<Serial>,
    pub(super) operator: Option<OperatorName>,
}

impl About {
    fn request(request: &RequestRef, profile: Option<&ProfileName>, issuer: &KeyName, serial: Option<&Serial>) -> Self {
        Self {
            caller: Some(request.caller.clone()),
            request: Some(request.id.clone()),
            profile: profile.cloned(),
            issuer: Some(issuer.clone()),
            serial: serial.cloned(),
            operator: None,
        }
    }
}

/// Follows a log from its first record on.
#[derive(Default)]
pub(super) struct Follower {
    /// What intents without an outcome and proposals are about.
    open: BTreeMap<u64, About>,
    /// Callers by what the newest bundle calls them.
    names: BTreeMap<CallerSan, CallerName>,
    /// The newest chunks: a bundle may be in some of them.
    chunks: Chunks,
}

/// Chunks that may be kept. They come shortly before the record that names them.
const MOST_CHUNKS: usize = 256;

/// Chunks by their index.
#[derive(Default)]
struct Chunks(BTreeMap<u64, Chunk>);

impl ChunkSource for Chunks {
    fn chunk(&self, index: u64) -> Option<Chunk> {
        self.0.get(&index).cloned()
    }
}

impl Follower {
    /// What the next record is about.
    pub(super) fn about(&mut self, record: &Record) -> About {
        match &record.body {
            Body::Intent(i) => {
                let profile = i.profile.as_ref().map(|p| &p.name);
                let about = About::request(&i.request, profile, &i.key, i.serial.as_ref());
                self.open.insert(record.index, about.clone());
                if let Some(proposal) = i.proposal {
                    self.open.remove(&proposal);
                }
                about
            }
            Body::Proposal(p) => {
                let about = About::request(&p.request, Some(&p.profile.name), &p.key, Some(&p.serial));
                self.open.insert(record.index, about.clone());
                about
            }
            Body::Issued(issued) => self
                .open
                .remove(&issued.intent)
                .unwrap_or_else(|| About::request(&issued.request, None, &issued.key, issued.serial.as_ref())),
            Body::Failed(failed) => self.open.remove(&failed.intent).unwrap_or_default(),
            Body::Unknown(unknown) => self.open.remove(&unknown.intent).unwrap_or_default(),
            Body::Decision(decision) => About {
                operator: Some(decision.operator.clone()),
                ..self.open.get(&decision.proposal).cloned().unwrap_or_default()
            },
            Body::Withdrawal(withdrawal) => self.open.remove(&withdrawal.proposal).unwrap_or_default(),
            Body::Chunk(chunk) => {
                self.chunks.0.insert(record.index, chunk.clone());
                if self.chunks.0.len() > MOST_CHUNKS {
                    self.chunks.0.pop_first();
                }
                About::default()
            }
            Body::BundleAdopted(adopted) => {
                self.learn(&adopted.bundle);
                About::default()
            }
            other => alone(other),
        }
    }

    fn learn(&mut self, bundle: &Payload) {
        if let Ok(bytes) = bundle.resolve(&self.chunks)
            && let Ok(bundle) = Bundle::parse(&bytes)
        {
            let callers = bundle.authority().callers().iter();
            self.names = callers
                .map(|(name, caller)| (caller.san.clone(), name.clone()))
                .collect();
        }
    }

    /// The caller's name in the newest bundle so far.
    pub(super) fn name(&self, caller: &CallerSan) -> Option<&CallerName> {
        self.names.get(caller)
    }
}

/// What a record says without others.
fn alone(body: &Body) -> About {
    match body {
        Body::Refusal(refused) => About {
            caller: Some(refused.caller.clone()),
            request: Some(refused.id.clone()),
            profile: Some(refused.profile.clone()),
            ..About::default()
        },
        Body::AccessRefused(refused) => About {
            caller: Some(refused.caller.clone()),
            ..About::default()
        },
        Body::RefusalsCounted(counted) => About {
            caller: Some(counted.caller.clone()),
            ..About::default()
        },
        Body::Revocation(revocation) => About {
            caller: Some(revocation.by.clone()),
            issuer: Some(revocation.key.clone()),
            serial: Some(revocation.serial.clone()),
            ..About::default()
        },
        Body::Freeze(freeze) => About {
            caller: Some(freeze.by.clone()),
            ..About::default()
        },
        Body::CaCertificate(ca) => About {
            issuer: Some(ca.key.clone()),
            ..About::default()
        },
        _ => About::default(),
    }
}

/// The certificate in a record.
pub(super) fn certificate(body: &Body) -> Option<TbsView> {
    let der = match body {
        Body::Issued(issued) if issued.serial.is_some() => match &issued.signed {
            Payload::Inline(bytes) => &bytes.0,
            Payload::Chunks { .. } => return None,
        },
        Body::CaCertificate(ca) => &ca.certificate.0,
        _ => return None,
    };
    Some(parse_certificate(der).ok()?.0)
}

/// A record on a line: what people look for first.
pub(super) fn line(record: &Record) -> String {
    let detail = detail(&record.body);
    format!(
        "{:>9}  {}  {:<17} {detail}",
        record.index,
        record.time,
        record.body.kind()
    )
}

/// What a record says, in a few words.
pub(super) fn detail(body: &Body) -> String {
    let of = |key: &KeyName, request: &RequestRef| format!("{key} for {} ({})", request.caller, request.id);
    match body {
        Body::Issued(issued) => {
            let serial = issued.serial.as_ref().map_or(String::new(), |s| format!(" serial {s}"));
            format!("{}{serial}", of(&issued.key, &issued.request))
        }
        Body::Intent(intent) => of(&intent.key, &intent.request),
        Body::Proposal(proposal) => of(&proposal.key, &proposal.request),
        Body::Refusal(refused) => format!(
            "{} of {} under {}, {} violations",
            refused.id, refused.caller, refused.profile, refused.total
        ),
        Body::AccessRefused(refused) => format!("{} of {}: {}", refused.method, refused.caller, refused.reason),
        Body::Decision(decision) => {
            let word = if decision.approve { "approves" } else { "denies" };
            format!("{} {word} proposal {}", decision.operator, decision.proposal)
        }
        Body::Withdrawal(withdrawal) => format!("proposal {} by {}", withdrawal.proposal, withdrawal.caller),
        Body::Revocation(revocation) => format!("serial {} of {}", revocation.serial, revocation.key),
        Body::Freeze(freeze) => format!("{:?} by {}: {}", freeze.target, freeze.by, freeze.reason),
        Body::Unfreeze(unfreeze) => format!("{:?}", unfreeze.target),
        Body::Recovery(recovery) => recovery.action.clone(),
        Body::Unknown(unknown) => format!("intent {} of {}: {}", unknown.intent, unknown.key, unknown.reason),
        Body::Failed(failed) => format!("intent {}: {}", failed.intent, failed.reason),
        Body::Started(process) => format!("{} {}", process.process, process.instance),
        Body::Stopped(process) => format!("{} {}: {}", process.process, process.instance, process.detail),
        Body::TokenLogin(login) => format!("{}: {}", login.token.label, login.outcome),
        Body::ClockStep(step) => format!("from {} to {}: {}", step.from, step.to, step.judgement),
        Body::KeyGenerated(key) => format!("{} ({})", key.key, key.algorithm),
        Body::BundleAdopted(bundle) => format!("number {}", bundle.number),
        Body::CeremonyImported(import) => import.origin.to_string(),
        Body::CeremonyNote(note) => format!("{}: {}", note.subject, note.text),
        Body::CaCertificate(ca) => ca.key.to_string(),
        _ => String::new(),
    }
}
