//! A ceremony's transcript, verified from its files alone: whoever holds it and the root's fingerprint needs neither
//! the operators' word nor the machine's.

mod continuity;
mod documents;
mod signatures;

use std::collections::BTreeMap;

use super::script::ROOT_KEY;
use super::{
    CeremonyFile, Facts, Manifest, ManifestEntry, Plan, Script, SignerRequest, WholeLog, from_pem, none_withheld,
};
use crate::authority::Bundle;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::record::{Body, Purpose};
use crate::types::{Digest, KeyName, Serial};

pub use continuity::{known_ceremony, recorded_revocation, require_text};
pub use documents::audited;

/// The names of the files.
pub mod name {
    /// The reviewed script.
    pub const SCRIPT: &str = "script.toml";
    /// The signer's request.
    pub const REQUEST: &str = "signer-request.json";
    /// The authority bundle.
    pub const BUNDLE: &str = "bundle.json";
    /// The text over it that people signed.
    pub const BUNDLE_TEXT: &str = "bundle.txt";
    /// The plan.
    pub const PLAN: &str = "plan.json";
    /// The text over it that people signed.
    pub const PLAN_TEXT: &str = "plan.txt";
    /// The plan for people.
    pub const READABLE: &str = "plan-readable.txt";
    /// The minutes.
    pub const MINUTES: &str = "minutes.txt";
    /// The log's verifier key.
    pub const VKEY: &str = "ledger.vkey";
    /// The root certificate.
    pub const ROOT: &str = "root.pem";
    /// The root's CRL.
    pub const ROOT_CRL: &str = "root.crl.pem";
    /// The manifest, which does not name itself.
    pub const MANIFEST: &str = "manifest.json";
    /// Before the paths of the log's files.
    pub const LOG: &str = "log/";
}

/// The file of what a step brought forth.
#[must_use]
pub fn output_name(purpose: Purpose, subject_key: &KeyName) -> String {
    match purpose {
        Purpose::Root => name::ROOT.to_owned(),
        Purpose::Crl => name::ROOT_CRL.to_owned(),
        _ => format!("{subject_key}.pem"),
    }
}

/// The file of an operator's signature over a text.
#[must_use]
pub fn signature_name(text: &str, operator: &str) -> String {
    format!("{text}.{operator}.sig")
}

/// The PEM label of what a step brings forth.
#[must_use]
pub const fn pem_label(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Crl => "X509 CRL",
        _ => "CERTIFICATE",
    }
}

/// The manifest of these files, which are all but the log and the manifest.
#[must_use]
pub fn manifest(files: &BTreeMap<String, Vec<u8>>) -> Manifest {
    let listed = files
        .iter()
        .filter(|(path, _)| *path != name::MANIFEST && !path.starts_with(name::LOG));
    let entry = |(path, bytes): (&String, &Vec<u8>)| ManifestEntry {
        path: path.clone(),
        sha256: Digest::of(bytes),
    };
    Manifest {
        v: super::VERSION,
        files: listed.map(entry).collect(),
    }
}

/// What a verified transcript says.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was checked, one line each.
    pub checked: Vec<String>,
    /// Which ceremony of its log it is, from 1.
    pub number: usize,
    /// The digests of the authority bundles that the log holds, in order.
    pub bundles: Vec<Digest>,
    /// The log, with every ceremony so far.
    pub log: WholeLog,
    /// Its verifier key.
    pub vkey: String,
    /// The signer's request, with the checkpoint of the signer's log.
    pub request: SignerRequest,
    /// The root certificate in DER.
    pub root: Vec<u8>,
}

/// The file of the text over a revocation.
#[must_use]
pub fn revocation_name(serial: &Serial) -> String {
    format!("revoke-{serial}.txt")
}

/// Verifies a transcript: paths relative to its directory with `/`, and their bytes. `anchor` is the root certificate
/// in DER as the verifier knows it from elsewhere; without it the transcript is only consistent with itself.
///
/// # Errors
/// Everything that is wrong, as far as what is wrong lets one look.
pub fn verify(files: &BTreeMap<String, Vec<u8>>, anchor: Option<&[u8]>) -> Result<Verified, Vec<Error>> {
    let read = Read::new(files).map_err(|e| vec![e])?;
    let mut tally = Tally::default();
    tally.check("manifest: every file listed, none altered, none added", read.manifest());
    tally.check("log: closed over this manifest", read.closed());
    tally.check(
        "log: every promise of its records, as any auditor checks them",
        read.audited(),
    );
    tally.check("script: recorded in the log, bound by the plan", read.script_bound());
    tally.check(
        "signer's request: recorded; its checkpoint opens, its CSRs prove possession",
        read.request(),
    );
    tally.check(
        "plan: what script, keys, dates and serials make, byte for byte",
        read.plan(),
    );
    if read.facts.first_bundle_is_new() {
        let what = "bundle: recorded, signed by its quorum before it expired";
        tally.check(what, read.bundle_signed());
    } else {
        let what = "bundle: the newest that the log holds, each adopted by the signer's log with the quorum before it";
        tally.check(what, read.bundle_recorded());
    }
    if read.facts.number() > 1 {
        let what = "continuity: the signer's log grew from the one seen before, and knows this one";
        tally.check(what, read.continues());
    }
    for revocation in &read.script.revocations {
        let what = format!("revocation of {}: recorded, signed by the quorum", revocation.serial);
        tally.check(&what, read.revoked(revocation));
    }
    tally.check(
        "plan: recorded, signed by the quorum before it expired",
        read.plan_signed(),
    );
    for step in &read.plan.steps {
        let what = format!("step {}: {}", step.step, output_name(step.purpose, &step.subject_key));
        tally.check(
            &format!("{what}: intent, signature and file agree with the plan"),
            read.step(step),
        );
    }
    tally.check(
        "minutes and readable plan: what plan and log make of them",
        read.papers(),
    );
    let root = tally.check("root.pem: the certificate that the log holds", read.root());
    if let (Some(anchor), Some(root)) = (anchor, &root) {
        tally.check("root.pem: the given root", same("root.pem", root, anchor));
    }
    let (Some(root), []) = (root, tally.faults.as_slice()) else {
        return Err(tally.faults);
    };
    Ok(Verified {
        checked: tally.checked,
        number: read.facts.number(),
        bundles: read.facts.bundles.iter().map(|found| found.body.sha256).collect(),
        log: read.log,
        vkey: read.vkey,
        request: read.request,
        root,
    })
}

/// Verifies that the signer's log and a verified transcript hold each other's checkpoints.
///
/// # Errors
/// When the signer's log has another origin, is no continuation of what the ceremony saw, had adopted bundles that the
/// ceremony was not shown, or did not take its hand-over.
pub fn verify_binding(transcript: &Verified, signer: &WholeLog) -> Result<(), Error> {
    if signer.checkpoint().origin != transcript.request.origin {
        let permitted = format!("`{}`, for which the ceremony was held", transcript.request.origin);
        return Err(Error::malformed(
            "signer's log",
            format!("origin `{}`", signer.checkpoint().origin),
            permitted,
        ));
    }
    let seen = Checkpoint::from_note_unverified(&transcript.request.checkpoint)?;
    none_withheld(signer, &seen, &transcript.bundles)?;
    let taken = signer.records()?.into_iter().any(|record| {
        matches!(record.body, Body::CeremonyImported(imported)
            if imported.vkey == transcript.vkey && imported.checkpoint == transcript.log.note())
    });
    if !taken {
        return Err(Error::unverified(
            "signer's log",
            "it does not hold the ceremony's final checkpoint",
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    checked: Vec<String>,
    faults: Vec<Error>,
}

impl Tally {
    fn check<T>(&mut self, what: &str, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => {
                self.checked.push(what.to_owned());
                Some(value)
            }
            Err(error) => {
                self.faults.push(error);
                None
            }
        }
    }
}

/// The files, read; nothing of them is believed yet but their form.
struct Read<'f> {
    files: &'f BTreeMap<String, Vec<u8>>,
    script: Script,
    request: SignerRequest,
    bundle: Bundle,
    plan: Plan,
    plan_sha256: Digest,
    vkey: String,
    log: WholeLog,
    facts: Facts,
}

impl<'f> Read<'f> {
    fn new(files: &'f BTreeMap<String, Vec<u8>>) -> Result<Self, Error> {
        let script = Script::parse(name::SCRIPT, text(files, name::SCRIPT)?).map_err(first)?;
        let vkey = text(files, name::VKEY)?;
        let vkey = vkey
            .strip_suffix('\n')
            .ok_or_else(|| Error::malformed(name::VKEY, "no newline at the end", "a verifier key on one line"))?;
        let inside =
            |(path, bytes): (&String, &Vec<u8>)| Some((path.strip_prefix(name::LOG)?.to_owned(), bytes.clone()));
        let log = WholeLog::from_files(&files.iter().filter_map(inside).collect(), vkey)?;
        let facts = Facts::read(log.records()?)?;
        let plan = file(files, name::PLAN)?;
        Ok(Self {
            script,
            request: SignerRequest::decode(file(files, name::REQUEST)?)?,
            bundle: Bundle::parse(file(files, name::BUNDLE)?).map_err(first)?,
            plan: Plan::decode(plan)?,
            plan_sha256: Digest::of(plan),
            vkey: vkey.to_owned(),
            log,
            facts,
            files,
        })
    }

    fn root(&self) -> Result<Vec<u8>, Error> {
        let root = from_pem(pem_label(Purpose::Root), file(self.files, name::ROOT)?)?;
        let recorded = self.facts.certificates()?.remove(&ROOT_KEY.parse()?);
        let missing = || Error::unverified(name::ROOT, "the log holds no certificate of the root");
        same(name::ROOT, &root, &recorded.ok_or_else(missing)?.der)?;
        Ok(root)
    }
}

fn first(errors: Vec<Error>) -> Error {
    errors
        .into_iter()
        .next()
        .unwrap_or_else(|| Error::malformed("file", "something wrong", "what Stele wrote"))
}

fn file<'f>(files: &'f BTreeMap<String, Vec<u8>>, path: &str) -> Result<&'f [u8], Error> {
    let missing = || Error::malformed("transcript", format!("no file `{path}`"), "every file of a transcript");
    files.get(path).map(Vec::as_slice).ok_or_else(missing)
}

fn text<'f>(files: &'f BTreeMap<String, Vec<u8>>, path: &str) -> Result<&'f str, Error> {
    std::str::from_utf8(file(files, path)?).map_err(|_| Error::malformed(path, "bytes that are no UTF-8", "text"))
}

fn same(what: &str, found: &[u8], expected: &[u8]) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    let why = format!(
        "its SHA-256 is {}, that of what should be there {}",
        Digest::of(found),
        Digest::of(expected)
    );
    Err(Error::unverified(what, why))
}
