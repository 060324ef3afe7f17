//! What must hold after any crash: examined from the exported ledger, the service's answers and the public CRL.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use stele_api::convert::Issued;
use stele_core::audit::check_proof;
use stele_core::checkpoint::NoteVerifier;
use stele_core::crl::parse_crl;
use stele_core::record::{Body, Intent, Record};
use stele_core::types::Digest;

use crate::service::{PATIENCE, Service, succeed};
use crate::service_client::records;

/// Random numbers that a seed repeats (xorshift64*, Vigna 2016).
pub struct Random(u64);

impl Random {
    /// From `STELE_CRASH_SEED`, or else always the same; printed, so that a failure can be repeated.
    pub fn new() -> Self {
        let given = std::env::var("STELE_CRASH_SEED").ok();
        let seed = given.map_or(20_261_122, |s| s.parse().expect("STELE_CRASH_SEED is a number"));
        println!("STELE_CRASH_SEED={seed}");
        Self::seeded(seed)
    }

    /// From a seed.
    pub const fn seeded(seed: u64) -> Self {
        // The state must not be 0, and small seeds should not begin alike.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

/// What the log of a running service shows.
pub struct Findings {
    /// Every record.
    pub records: Vec<Record>,
    /// Intents by index.
    pub intents: BTreeMap<u64, Intent>,
    /// Indices of intents whose fate is unknown.
    pub unknown: BTreeSet<u64>,
}

/// Examines a running service after crashes; `received` is what clients hold.
pub async fn examine(service: &Service, received: &[Issued]) -> Findings {
    tokio::task::block_in_place(|| service.verify_ledger());
    let findings = read(service).await;
    what_was_received_is_found(service, &findings, received);
    the_log_is_whole(service, &findings);
    findings
}

/// What must hold of the log by itself, whatever anybody received.
pub fn the_log_is_whole(service: &Service, findings: &Findings) {
    every_certificate_has_its_intent(findings);
    retries_are_linked(findings);
    tokio::task::block_in_place(|| unknown_intents_are_listed(service, findings));
}

/// Reads the whole log of a running service.
pub async fn read(service: &Service) -> Findings {
    let records = records(service).await;
    let (mut intents, mut unknown) = (BTreeMap::new(), BTreeSet::new());
    for record in &records {
        match &record.body {
            Body::Intent(intent) => {
                intents.insert(record.index, (**intent).clone());
            }
            Body::Unknown(fate) => {
                unknown.insert(fate.intent);
            }
            _ => {}
        }
    }
    Findings {
        records,
        intents,
        unknown,
    }
}

/// No certificate without an intent before it, each intent with one outcome, one certificate for each request.
fn every_certificate_has_its_intent(findings: &Findings) {
    let (mut settled, mut issued) = (BTreeSet::new(), BTreeSet::new());
    for record in &findings.records {
        let of = match &record.body {
            Body::Issued(outcome) => {
                let intent = findings.intents.get(&outcome.intent);
                let intent = intent.unwrap_or_else(|| panic!("record {} names no intent", record.index));
                assert_eq!((&intent.request, &intent.serial), (&outcome.request, &outcome.serial));
                let request = (outcome.request.caller.clone(), outcome.request.id.clone());
                assert!(issued.insert(request), "{} was issued twice", outcome.request.id);
                outcome.intent
            }
            Body::Failed(outcome) => outcome.intent,
            Body::Unknown(outcome) => outcome.intent,
            _ => continue,
        };
        assert!(of < record.index && settled.insert(of), "two outcomes of {of}");
    }
    let open: Vec<_> = findings.intents.keys().filter(|i| !settled.contains(i)).collect();
    assert!(open.is_empty(), "intents without an outcome: {open:?}");
}

fn what_was_received_is_found(service: &Service, findings: &Findings, received: &[Issued]) {
    let vkeys = [vkey(service)];
    for issued in received {
        if let Err(why) = found(findings, issued, &vkeys) {
            panic!("position {}: {why}", issued.position.index);
        }
    }
}

/// The key that the log's checkpoints verify with.
pub fn vkey(service: &Service) -> NoteVerifier {
    let vkey = std::fs::read_to_string(service.path("out/ledger.vkey")).expect("the verifier key");
    vkey.trim().parse().expect("a verifier key")
}

/// Whether the log has what a client received, at the position that it was told, and the proof holds.
///
/// # Errors
/// What is not so.
pub fn found(findings: &Findings, issued: &Issued, vkeys: &[NoteVerifier]) -> Result<(), String> {
    let at = usize::try_from(issued.position.index).map_err(|e| e.to_string())?;
    let record = findings.records.get(at).ok_or("the log is shorter")?;
    if record.encode().map_err(|e| e.to_string())? != issued.record {
        return Err("the log has another record there".to_owned());
    }
    match &record.body {
        Body::Issued(outcome) if outcome.sha256 == Digest::of(&issued.certificate) => {}
        other => {
            return Err(format!(
                "the record, of kind {}, holds another certificate",
                other.kind()
            ));
        }
    }
    check_proof(&issued.tlog_proof, &issued.certificate, vkeys)
        .map(drop)
        .map_err(|e| e.to_string())
}

/// A further attempt names the intent of the one before, where that one had an intent.
fn retries_are_linked(findings: &Findings) {
    for (index, intent) in findings.intents.iter().filter(|(_, i)| i.request.attempt > 1) {
        let before = intent.previous.and_then(|p| findings.intents.get(&p));
        let before = before.unwrap_or_else(|| panic!("the retry at {index} names no intent before it"));
        assert_eq!(before.request.id, intent.request.id);
        assert_eq!(before.request.digest, intent.request.digest);
        assert!(before.request.attempt < intent.request.attempt);
        assert_ne!(before.serial, intent.serial, "a retry has a serial of its own");
    }
}

/// `stele audit open` lists every intent of unknown fate, and their issuers' newest CRLs list their serials.
fn unknown_intents_are_listed(service: &Service, findings: &Findings) {
    let listed = succeed(service.stele_as("auditor").args(["audit", "open", "--output", "json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["open"], serde_json::json!([]));
    let named: BTreeSet<u64> = listed["unknown"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|record| record["body"]["intent"].as_u64().expect("an intent"))
        .collect();
    assert_eq!(named, findings.unknown);
    let until = Instant::now() + PATIENCE;
    for index in &findings.unknown {
        let intent = findings.intents.get(index).expect("an intent");
        let Some(serial) = &intent.serial else { continue };
        loop {
            let page = service.get(&format!("/crl/{}.crl", intent.key)).expect("a CRL");
            let (crl, ..) = parse_crl(&page.body).expect("a CRL");
            if crl.revoked.contains_key(serial) {
                break;
            }
            assert!(Instant::now() < until, "the CRL of {} leaves out {serial}", intent.key);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
