//! Foreign bytes into every parser of requests and certificates: no panic, each refusal with its reason, none slow.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize, SanType};
use stele_core::crl::parse_crl;
use stele_core::csr::{Csr, Limits};
use stele_core::keycheck::PublicKey;
use stele_core::tbs::{parse_certificate, parse_tbs};

use super::cpu_nanos;
use super::mutate::mutated;
use super::random::Random;

/// What went in and what came out.
#[derive(Debug, Default)]
pub struct Judged {
    /// How many inputs there were.
    pub inputs: usize,
    /// How many calls of a parser took the input.
    pub taken: usize,
    /// How many refused it.
    pub refused: usize,
    /// Panics and refusals without a reason: each a fault of ours.
    pub faults: Vec<String>,
    /// The slowest call, and on what.
    pub slowest: (Duration, String),
    /// The refusals, by the field that they name.
    pub fields: BTreeMap<String, usize>,
}

type Parser = fn(&[u8]) -> Result<(), String>;

const PARSERS: [(&str, Parser); 5] = [
    ("csr", |b| {
        Csr::from_pem_or_der(b, &Limits::default())
            .map(drop)
            .map_err(|e| e.to_string())
    }),
    ("certificate", |b| {
        parse_certificate(b).map(drop).map_err(|e| e.to_string())
    }),
    ("tbs", |b| parse_tbs(b).map(drop).map_err(|e| e.to_string())),
    ("crl", |b| parse_crl(b).map(drop).map_err(|e| e.to_string())),
    ("key", |b| {
        PublicKey::from_spki_der(b).map(drop).map_err(|e| e.to_string())
    }),
];

impl Judged {
    /// Feeds one input to every parser.
    pub fn feed(&mut self, name: &str, bytes: &[u8]) {
        self.inputs += 1;
        for (parser, parse) in PARSERS {
            // The least of three: a page fault is no property of the input.
            let mut least = u64::MAX;
            for _ in 0..3 {
                let start = cpu_nanos();
                let outcome = catch_unwind(AssertUnwindSafe(|| parse(bytes)));
                least = least.min(cpu_nanos() - start);
                if least < 1_000_000 {
                    self.note(name, parser, outcome);
                    break;
                }
            }
            let took = Duration::from_nanos(least);
            // No caller sends a CRL: its size is that of what was revoked.
            if parser != "crl" && took > self.slowest.0 {
                self.slowest = (took, format!("{parser} on {name}, {} bytes", bytes.len()));
            }
        }
    }

    fn note(&mut self, name: &str, parser: &str, outcome: std::thread::Result<Result<(), String>>) {
        match outcome {
            Ok(Ok(())) => self.taken += 1,
            Ok(Err(reason)) => {
                self.refused += 1;
                let field = reason.split(": found").next().unwrap_or_default();
                if field == reason || !reason.contains("permitted") {
                    self.faults.push(format!("{parser} on {name}: no reason: {reason}"));
                }
                *self.fields.entry(format!("{parser}: {field}")).or_default() += 1;
            }
            Err(_) => self.faults.push(format!("{parser} on {name}: a panic")),
        }
    }

    /// Feeds an input, what PEM blocks in it hold, and alterations of each.
    fn feed_altered(&mut self, name: &str, bytes: &[u8], alterations: usize, random: &mut Random) {
        self.feed(name, bytes);
        let blocks = pem_blocks(bytes);
        let all = blocks
            .iter()
            .map(Vec::as_slice)
            .chain(blocks.is_empty().then_some(bytes));
        for (n, block) in all.enumerate() {
            self.feed(&format!("{name}, block {n}"), block);
            for m in 0..alterations {
                self.feed(&format!("{name}, block {n}, alteration {m}"), &mutated(block, random));
            }
        }
    }
}

/// What stands between the lines BEGIN and END, decoded where it is base64.
fn pem_blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes);
    let mut out = Vec::new();
    for part in text.split("-----BEGIN ").skip(1) {
        let Some((_, rest)) = part.split_once("-----") else {
            continue;
        };
        let inner = rest.split("-----END").next().unwrap_or_default();
        let base64: String = inner
            .lines()
            .filter(|l| !l.contains(':'))
            .flat_map(str::chars)
            .filter(|c| !c.is_whitespace())
            .collect();
        out.extend(Base64::decode_vec(&base64));
    }
    out
}

fn collect(path: &Path, out: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let mut entries: Vec<_> = std::fs::read_dir(path)
            .expect("a directory")
            .flatten()
            .map(|e| e.path())
            .collect();
        entries.sort();
        entries.iter().for_each(|entry| collect(entry, out));
    } else {
        out.push(path.to_owned());
    }
}

/// Every file below the directories, and `alterations` of each.
pub fn judge_files(directories: &[PathBuf], alterations: usize, seed: u64) -> Judged {
    let (mut judged, mut random, mut files) = (Judged::default(), Random::new(seed), Vec::new());
    directories.iter().for_each(|directory| collect(directory, &mut files));
    for file in files {
        let bytes = std::fs::read(&file).expect("a file");
        judged.feed_altered(&file.display().to_string(), &bytes, alterations, &mut random);
    }
    judged
}

/// What costs the most that we could think of: large keys, many names, deep and wide values.
pub fn judge_worst() -> Judged {
    let mut judged = Judged::default();
    let mut random = Random::new(7);
    for bits in [RsaKeySize::_2048, RsaKeySize::_4096] {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, bits).expect("a key");
        judged.feed_altered(
            "a CSR with an RSA key and a hundred names",
            &crowded(&key),
            200,
            &mut random,
        );
    }
    for algorithm in [&rcgen::PKCS_ECDSA_P521_SHA512, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        judged.feed_altered(
            "a CSR with an EC key and a hundred names",
            &crowded(&key),
            200,
            &mut random,
        );
    }
    judged.feed("sequences in sequences without end", &[0x30, 0x80].repeat(5000));
    judged.feed("a sequence of empty sequences", &wide(&[0x30, 0x00]));
    judged.feed("a sequence of nulls", &wide(&[0x05, 0x00]));
    judged.feed("a sequence of empty sets", &wide(&[0x31, 0x00]));
    judged.feed("a megabyte", &vec![0x30; 1 << 20]);
    judged.feed(
        "four megabytes of PEM",
        "-----BEGIN CERTIFICATE REQUEST-----\n".repeat(110_000).as_bytes(),
    );
    judged
}

fn crowded(key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = |n: usize| {
        SanType::DnsName(
            format!("n{n}.{}.example.org", "a".repeat(60))
                .try_into()
                .expect("a name"),
        )
    };
    params.subject_alt_names = (0..100).map(name).collect();
    params.serialize_request(key).expect("a CSR").der().to_vec()
}

/// A SEQUENCE of 10 KiB that repeats one value.
fn wide(value: &[u8]) -> Vec<u8> {
    let inner = value.repeat(10_000 / value.len());
    let length = u16::try_from(inner.len()).expect("less than 64 KiB").to_be_bytes();
    [&[0x30, 0x82], length.as_slice(), &inner].concat()
}
