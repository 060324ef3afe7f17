//! `stele audit match`: certificates found in the field, and whether the ledger knows them.

mod tls;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde_json::{Value, json};
use stele_api::v1;
use stele_core::keycheck::PublicKey;
use stele_core::record::{Body, Payload, Purpose, Record};
use stele_core::tbs::{TbsView, parse_certificate};
use stele_core::types::Digest;

use super::find::find;
use super::log::{Log, Place, scan};
use crate::commands::ledger;
use crate::connect::{ConnectionArgs, connect};
use crate::error::CliError;
use crate::output::Answer;
use crate::{certificate, files};

#[derive(clap::Args, Debug)]
pub(crate) struct MatchArgs {
    /// Certificates: PEM (bundles too) or DER; `-` is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A TLS server whose certificates are looked up; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    tls: Vec<String>,
    /// Look in an export or in tiles over HTTP instead of asking the server
    #[arg(long, value_name = "DIR|URL")]
    log: Option<Place>,
}

/// A certificate from the field.
struct Found {
    place: String,
    der: Vec<u8>,
    sha256: Digest,
}

/// What the ledger says of it.
enum Verdict {
    /// Issued or imported by this record.
    Known(u64, &'static str),
    /// Signed by the key of a CA that the ledger knows, at this record, and yet not in the ledger.
    Unrecorded(u64, String),
    /// Of a CA that the ledger does not know.
    Foreign,
    /// No certificate at all.
    Unreadable(String),
}

/// What is known of the ledger for the certificates in hand.
#[derive(Default)]
struct Ledger {
    known: HashMap<Digest, (u64, &'static str)>,
    /// CA certificates by record.
    cas: BTreeMap<(u64, usize), Vec<u8>>,
}

/// Runs the command.
pub(super) async fn run(args: &MatchArgs, connection: &ConnectionArgs) -> Result<Answer, CliError> {
    let mut found = Vec::new();
    for file in &args.files {
        let all = files::read_certificates(file)?;
        found.extend(all.into_iter().map(|der| Found::new(file.display().to_string(), der)));
    }
    for address in &args.tls {
        let chain = tls::certificates(address).await?;
        found.extend(chain.into_iter().map(|der| Found::new(address.clone(), der)));
    }
    if found.is_empty() {
        return Err(CliError::Usage(
            "nothing to match: name files, or servers with --tls HOST:PORT".to_owned(),
        ));
    }
    let ledger = match &args.log {
        Some(place) => offline(place, &found, connection)?,
        None => online(&found, connection).await?,
    };
    Ok(answer(&found, &ledger))
}

impl Found {
    fn new(place: String, der: Vec<u8>) -> Self {
        let sha256 = Digest::of(&der);
        Self { place, der, sha256 }
    }
}

fn answer(found: &[Found], ledger: &Ledger) -> Answer {
    let (mut lines, mut values, mut unknown) = (Vec::new(), Vec::new(), 0_u64);
    for one in found {
        let view = parse_certificate(&one.der).map(|(view, ..)| view);
        let verdict = ledger.judge(one);
        let (word, detail) = verdict.words();
        unknown += u64::from(!matches!(verdict, Verdict::Known(..)));
        let name = view.as_ref().map_or_else(ToString::to_string, describe);
        lines.push(format!("{word:<10}  {}: {name}\n            {detail}", one.place));
        values.push(verdict.to_json(one, view.ok().as_ref()));
    }
    lines.push(format!(
        "{} certificates, {unknown} of them not in the ledger",
        found.len()
    ));
    Answer {
        text: lines.join("\n"),
        json: json!({"certificates": values, "unknown": unknown}),
        finding: unknown > 0,
    }
}

fn describe(view: &TbsView) -> String {
    let sans: Vec<String> = view.sans.iter().map(ToString::to_string).collect();
    format!(
        "{} {}, serial {}",
        certificate::subject(&view.subject),
        sans.join(" "),
        certificate::serial(view)
    )
}

impl Verdict {
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Known(index, how) => ("known", format!("{how} by record {index}")),
            Self::Unrecorded(index, ca) => (
                "UNRECORDED",
                format!(
                    "signed by the key of {ca} (record {index}), and in no record: either that CA is not run by this \
                     ledger, or its key was used outside of it"
                ),
            ),
            Self::Foreign => ("foreign", "signed by no CA that the ledger knows".to_owned()),
            Self::Unreadable(why) => ("unreadable", why.clone()),
        }
    }

    fn to_json(&self, found: &Found, view: Option<&TbsView>) -> Value {
        let index = match self {
            Self::Known(index, _) | Self::Unrecorded(index, _) => Some(index),
            Self::Foreign | Self::Unreadable(_) => None,
        };
        let (word, detail) = self.words();
        json!({
            "place": found.place,
            "sha256": found.sha256,
            "verdict": word.to_lowercase(),
            "detail": detail,
            "index": index,
            "certificate": view.map(certificate::to_json),
        })
    }
}

impl Ledger {
    /// Takes what a record says of certificates; only those in hand are kept, and those of CAs.
    fn add(&mut self, record: &Record, hands: &HashMap<Digest, ()>) {
        match &record.body {
            Body::Issued(issued) => {
                if hands.contains_key(&issued.sha256) {
                    self.known.insert(issued.sha256, (record.index, "issued"));
                }
                if let (Purpose::Intermediate | Purpose::Root, Payload::Inline(der)) = (issued.purpose, &issued.signed)
                {
                    self.cas.insert((record.index, 0), der.0.clone());
                }
            }
            Body::CaCertificate(ca) => {
                for (place, der) in std::iter::once(&ca.certificate).chain(&ca.chain).enumerate() {
                    self.known
                        .entry(Digest::of(&der.0))
                        .or_insert((record.index, "imported"));
                    self.cas.insert((record.index, place), der.0.clone());
                }
            }
            _ => {}
        }
    }

    fn judge(&self, found: &Found) -> Verdict {
        if let Some((index, how)) = self.known.get(&found.sha256) {
            return Verdict::Known(*index, how);
        }
        let (view, tbs, algorithm, signature) = match parse_certificate(&found.der) {
            Ok(read) => read,
            Err(error) => return Verdict::Unreadable(error.to_string()),
        };
        for ((index, _), der) in &self.cas {
            let Ok((ca, ..)) = parse_certificate(der) else { continue };
            let signed = ca.subject_der == view.issuer_der
                && PublicKey::from_spki_der(&ca.spki_der)
                    .is_ok_and(|key| key.verify(algorithm, &tbs, &signature).is_ok());
            if signed {
                return Verdict::Unrecorded(*index, certificate::subject(&ca.subject));
            }
        }
        Verdict::Foreign
    }
}

fn hands(found: &[Found]) -> HashMap<Digest, ()> {
    found.iter().map(|one| (one.sha256, ())).collect()
}

fn offline(place: &Place, found: &[Found], connection: &ConnectionArgs) -> Result<Ledger, CliError> {
    let settings = connection.settings()?;
    let log = Log::open(place, &settings)?;
    let (hands, mut ledger) = (hands(found), Ledger::default());
    let look = |_, raw: &[u8]| {
        let record = Record::decode(raw).ok()?;
        matches!(record.body, Body::Issued(_) | Body::CaCertificate(_)).then_some(record)
    };
    scan(&log, settings.verifier()?.as_ref(), look, |_, record| {
        if let Some(record) = record {
            ledger.add(&record, &hands);
        }
        Ok(())
    })?;
    Ok(ledger)
}

async fn online(found: &[Found], connection: &ConnectionArgs) -> Result<Ledger, CliError> {
    let mut client = ledger::client(connect(connection).await?);
    let (hands, mut ledger) = (hands(found), Ledger::default());
    let cas = v1::FindEntriesRequest {
        kinds: vec!["ca_certificate".to_owned()],
        ..v1::FindEntriesRequest::default()
    };
    for record in find(&mut client, cas, usize::MAX).await? {
        ledger.add(&record, &hands);
    }
    for one in found {
        // The serial narrows the search, the digest decides.
        let serial = parse_certificate(&one.der)
            .ok()
            .map(|(view, ..)| certificate::serial(&view));
        let query = v1::FindEntriesRequest {
            serial,
            kinds: vec!["issued".to_owned()],
            certificate_sha256: Some(one.sha256.0.to_vec()),
            ..v1::FindEntriesRequest::default()
        };
        for record in find(&mut client, query, 1).await? {
            ledger.add(&record, &hands);
        }
    }
    Ok(ledger)
}
