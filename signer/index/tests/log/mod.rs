//! Logs made of real records, for the tests.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use stele_core::crl::Reason;
use stele_core::crl::{CrlSpec, Revocation as Entry};
use stele_core::names::{Attribute, AttributeType, San, Subject, Usage};
use stele_core::record::*;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::tbs::{CertificateSpec, assemble};
use stele_core::types::*;
use stele_index::{Index, Reader};

pub(crate) const START: u64 = 1_795_000_000;

pub(crate) fn parse<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

pub(crate) fn origin() -> Origin {
    parse("signer.example.org/log")
}

pub(crate) fn key() -> KeyName {
    parse("issuing-ca")
}

pub(crate) fn serial(n: u8) -> Serial {
    Serial::from_unsigned(&[0x40, n]).unwrap()
}

pub(crate) fn caller(n: u8) -> CallerSan {
    parse(&format!("uri:spiffe://example.org/caller-{n}"))
}

pub(crate) fn signed_text() -> SignedText {
    SignedText {
        text: "stele-approval-v1\n".into(),
        signature: "-----BEGIN SSH SIGNATURE-----\n".into(),
    }
}

/// A log that grows; each record comes one second after the one before.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) records: Vec<(Record, Vec<u8>)>,
}

impl Log {
    pub(crate) fn push(&mut self, body: Body) -> u64 {
        let index = self.records.len() as u64;
        let record = Record {
            index,
            time: Time::from_secs(START + index),
            body,
        };
        let bytes = record.encode().unwrap();
        self.records.push((record, bytes));
        index
    }

    /// Appends the chunks of `whole`, if it needs any, and gives the payload to name it by.
    pub(crate) fn payload(&mut self, whole: &[u8]) -> Payload {
        let at = Payload::split(whole)
            .into_iter()
            .map(|chunk| self.push(Body::Chunk(chunk)))
            .collect();
        Payload::of(whole, at)
    }

    pub(crate) fn issue(&mut self, intent: u64, request: RequestRef, der: &[u8], n: u8) -> u64 {
        let signed = self.payload(der);
        self.push(issued(intent, request, Purpose::Leaf, Some(serial(n)), der, signed))
    }

    pub(crate) fn time(&self, index: u64) -> Time {
        self.records[index as usize].0.time
    }

    /// An index over the whole log at `path`.
    pub(crate) fn index(&self, path: &Path) -> (Index, Reader) {
        let mut index = Index::open(path, &origin()).unwrap();
        index.apply(&self.records).unwrap();
        let reader = index.reader();
        (index, reader)
    }
}

pub(crate) fn request(caller_number: u8, id: &str, attempt: u32, digest: u8) -> RequestRef {
    RequestRef {
        caller: caller(caller_number),
        id: parse(id),
        attempt,
        digest: Digest([digest; 32]),
    }
}

pub(crate) fn profile() -> ProfileRef {
    ProfileRef {
        name: parse("kubelet-serving"),
        sha256: Digest([9; 32]),
    }
}

pub(crate) fn subject(cn: &str) -> Subject {
    let attribute = |kind, value: &str| Attribute {
        kind,
        value: value.into(),
    };
    Subject(vec![
        attribute(AttributeType::Organization, "Example, Inc"),
        attribute(AttributeType::CommonName, cn),
    ])
}

pub(crate) fn certificate(n: u8, cn: &str, sans: &[&str]) -> Vec<u8> {
    let spec = CertificateSpec {
        serial: serial(n),
        signature: SignatureAlgorithm::EcdsaSha256,
        issuer_der: subject("ca").to_der().unwrap(),
        not_before: Time::from_secs(START),
        not_after: Time::from_secs(START + 3600),
        subject: subject(cn),
        spki_der: vec![0x30, 0],
        subject_key_identifier: [1; 20],
        authority_key_identifier: vec![2; 20],
        sans: sans.iter().map(|san| parse::<San>(san)).collect(),
        usages: vec![Usage::DigitalSignature, Usage::ServerAuth],
        ca: None,
        crl_urls: vec![],
        ca_issuers_urls: vec![],
        ocsp_urls: vec![],
        policies: vec![],
        no_rev_avail: false,
    };
    assemble(&spec.to_tbs_der().unwrap(), spec.signature, &[7; 70]).unwrap()
}

pub(crate) fn crl(number: u64, entries: u32) -> Vec<u8> {
    let entry = |n: u32| {
        let revocation = Entry {
            date: Time::from_secs(START),
            reason: Reason::Superseded,
        };
        (Serial::from_unsigned(&(n + 1).to_be_bytes()).unwrap(), revocation)
    };
    let spec = CrlSpec {
        signature: SignatureAlgorithm::EcdsaSha256,
        issuer_der: subject("ca").to_der().unwrap(),
        issuer_key_identifier: vec![2; 20],
        number,
        this_update: Time::from_secs(START),
        next_update: Time::from_secs(START + 3600),
        revoked: (0..entries).map(entry).collect::<BTreeMap<_, _>>(),
    };
    assemble(&spec.to_tbs_der().unwrap(), spec.signature, &[7; 70]).unwrap()
}

pub(crate) fn refusal(request: &RequestRef) -> Body {
    Body::Refusal(Refused {
        caller: request.caller.clone(),
        id: request.id.clone(),
        digest: request.digest,
        profile: profile().name,
        violations: vec![],
        total: 1,
        asked: None,
    })
}

pub(crate) fn proposal(request: RequestRef, n: u8) -> Body {
    Body::Proposal(Box::new(Proposal {
        request,
        profile: profile(),
        bundle: Digest([8; 32]),
        purpose: Purpose::Leaf,
        key: key(),
        algorithm: SignatureAlgorithm::EcdsaSha256,
        tbs: B64(vec![1]),
        tbs_sha256: Digest([3; 32]),
        serial: serial(n),
        asked: SignRequest {
            id: parse("r"),
            profile: profile().name,
            issuer: None,
            proof: KeyProof::Pkcs10(vec![2]),
            wanted: Wanted::default(),
            context: Context::default(),
        },
        need: Need {
            m: 2,
            role: "security".into(),
        },
        expires: Time::from_secs(START + 600),
    }))
}

pub(crate) fn decision(proposal: u64, operator: &str, approve: bool) -> Body {
    Body::Decision(Decision {
        proposal,
        operator: parse(operator),
        approve,
        text: signed_text(),
        comment: None,
    })
}

pub(crate) fn withdrawal(proposal: u64) -> Body {
    Body::Withdrawal(Withdrawal {
        proposal,
        caller: caller(1),
        reason: None,
    })
}

pub(crate) fn intent(request: RequestRef, purpose: Purpose, n: Option<u8>) -> Body {
    Body::Intent(Box::new(Intent {
        purpose,
        request,
        profile: n.map(|_| profile()),
        bundle: None,
        key: key(),
        spki_sha256: Digest([4; 32]),
        algorithm: SignatureAlgorithm::EcdsaSha256,
        tbs: Payload::Inline(B64(vec![1])),
        tbs_sha256: Digest([3; 32]),
        serial: n.map(serial),
        not_after: n.map(|_| Time::from_secs(START + 3600)),
        asked: None,
        proposal: None,
        previous: None,
        authority: Authority::Policy,
    }))
}

pub(crate) fn issued(
    intent: u64,
    request: RequestRef,
    purpose: Purpose,
    serial: Option<Serial>,
    der: &[u8],
    signed: Payload,
) -> Body {
    Body::Issued(Box::new(Issued {
        intent,
        request,
        purpose,
        key: key(),
        serial,
        sha256: Digest::of(der),
        signed,
    }))
}

pub(crate) fn failed(intent: u64) -> Body {
    Body::Failed(Failed {
        intent,
        reason: "the bundle changed".into(),
    })
}

pub(crate) fn unknown(intent: u64, n: Option<u8>) -> Body {
    Body::Unknown(Unknown {
        intent,
        key: key(),
        serial: n.map(serial),
        not_after: n.map(|_| Time::from_secs(START + 3600)),
        reason: "the connection was lost".into(),
    })
}

pub(crate) fn revocation(n: u8, reason: Reason) -> Body {
    Body::Revocation(Revocation {
        key: key(),
        serial: serial(n),
        not_after: Time::from_secs(START + 3600),
        reason,
        by: caller(1),
        texts: vec![],
        comment: None,
    })
}

pub(crate) fn freeze(target: FreezeTarget) -> Body {
    Body::Freeze(Freeze {
        target,
        reason: "drill".into(),
        by: caller(1),
    })
}

pub(crate) fn unfreeze(target: FreezeTarget) -> Body {
    Body::Unfreeze(Unfreeze {
        target,
        texts: vec![signed_text()],
    })
}

pub(crate) fn bundle(number: u64, bytes: &[u8], payload: Payload) -> Body {
    Body::BundleAdopted(BundleAdopted {
        number,
        sha256: Digest::of(bytes),
        predecessor: None,
        bundle: payload,
        texts: vec![],
    })
}

pub(crate) fn ca_certificate(name: &str, der: Vec<u8>, chain: Vec<B64>, crl: Option<Payload>) -> Body {
    Body::CaCertificate(CaCertificate {
        key: parse(name),
        spki_sha256: Digest([4; 32]),
        certificate: B64(der),
        chain,
        crl,
    })
}
