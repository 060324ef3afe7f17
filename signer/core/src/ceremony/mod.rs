//! The files that a ceremony reads and leaves: plan, signer's request, hand-over, manifest. All are canonical JSON:
//! reading encodes again and compares.

mod draw;
mod facts;
mod fill;
mod later;
mod log;
mod minutes;
mod pem;
mod readable;
mod request;
pub mod script;
mod span;
pub mod texts;
pub mod transcript;
mod words;

pub use draw::{Drawing, RootCertificate, Standing, draw};
pub use facts::{Attempt, Certified, Facts, Found, NUMBER_NOTE, Outcome, Sitting};
pub use fill::fill;
pub use later::{Later, ProvenBundle, RequestedBundle, bundles_to_adopt, none_withheld};
pub use log::{WholeLog, record_at};
pub use minutes::{Minutes, minutes};
pub use pem::{from_pem, to_pem};
pub use readable::{readable_plan, readable_step};
pub use request::CheckedRequest;
pub use script::Script;
pub use span::Span;
pub use transcript::audited;
pub use words::words;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::record::{Purpose, RequestRef};
use crate::types::{B64, CallerSan, Digest, KeyName, Origin, RequestId, Serial, SignatureAlgorithm, Time};

/// Version of these files.
pub const VERSION: u8 = 1;

/// A file of a ceremony: canonical JSON, two-space indented, ending in a newline, so that people can read it too.
pub trait CeremonyFile: Serialize + DeserializeOwned {
    /// What to call it in an error.
    const WHAT: &'static str;

    /// The version that it carries.
    fn version(&self) -> u8;

    /// The canonical bytes.
    ///
    /// # Errors
    /// When it cannot be encoded.
    fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::malformed(Self::WHAT, e.to_string(), "an encodable value"))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the canonical bytes.
    ///
    /// # Errors
    /// When they are not canonical or of another version.
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let file: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::malformed(Self::WHAT, e.to_string(), "the file as Stele wrote it"))?;
        if file.version() != VERSION {
            return Err(Error::malformed(
                Self::WHAT,
                format!("version {}", file.version()),
                format!("version {VERSION}"),
            ));
        }
        if file.encode()? != bytes {
            return Err(Error::malformed(
                Self::WHAT,
                "bytes that are not canonical",
                "the file as Stele wrote it, unedited",
            ));
        }
        Ok(file)
    }
}

macro_rules! ceremony_file {
    ($t:ty, $what:literal) => {
        impl CeremonyFile for $t {
            const WHAT: &'static str = $what;
            fn version(&self) -> u8 {
                self.v
            }
        }
    };
}

/// One signature of a ceremony, drawn beforehand to its last byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its number, from 1.
    pub step: u32,
    /// The key that signs.
    pub key: KeyName,
    /// SHA-256 of that key's SPKI.
    pub spki_sha256: Digest,
    /// What is signed.
    pub purpose: Purpose,
    /// For which key a certificate is; the signing key itself for a root or a CRL.
    pub subject_key: KeyName,
    /// With which algorithm.
    pub algorithm: SignatureAlgorithm,
    /// The serial, for certificates.
    pub serial: Option<Serial>,
    /// The end of validity, for certificates.
    pub not_after: Option<Time>,
    /// SHA-256 of the TBS.
    pub tbs_sha256: Digest,
    /// The exact bytes to be signed.
    pub tbs: B64,
}

/// Everything that a ceremony will sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`].
    pub v: u8,
    /// The ceremony's log; no step can be signed in another.
    pub origin: Origin,
    /// SHA-256 of the reviewed script.
    pub script_sha256: Digest,
    /// SHA-256 of the authority bundle under which the steps are signed.
    pub bundle_sha256: Digest,
    /// When serials and dates were drawn.
    pub drawn_at: Time,
    /// The signatures, in order.
    pub steps: Vec<Step>,
}
ceremony_file!(Plan, "plan");

impl Plan {
    /// The request under which step `step` stands in the log: the plan is its digest, the attempt is counted by hand.
    ///
    /// # Errors
    /// Never for a plan that exists; the id is built from its digest.
    pub fn request(plan_sha256: Digest, step: u32) -> Result<RequestRef, Error> {
        let id: RequestId = format!("plan:{plan_sha256}:{step}").parse()?;
        Ok(RequestRef {
            caller: CallerSan::Unix("ceremony".to_owned()),
            id,
            attempt: 1,
            digest: plan_sha256,
        })
    }

    /// The step with number `step`.
    #[must_use]
    pub fn step(&self, step: u32) -> Option<&Step> {
        self.steps.iter().find(|s| s.step == step)
    }

    /// Checks what does not depend on policy: numbers from 1 in order, digests that fit, serials used once.
    ///
    /// # Errors
    /// Naming the first step that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let mut serials = std::collections::BTreeSet::new();
        for (number, step) in (1u32..).zip(&self.steps) {
            let field = format!("plan.steps[{number}]");
            if step.step != number {
                return Err(Error::malformed(
                    field,
                    format!("step number {}", step.step),
                    format!("{number}"),
                ));
            }
            if Digest::of(&step.tbs.0) != step.tbs_sha256 {
                return Err(Error::unverified(field, "tbs_sha256 is not the digest of tbs"));
            }
            if let Some(serial) = &step.serial
                && !serials.insert((step.key.clone(), serial.clone()))
            {
                return Err(Error::malformed(
                    field,
                    format!("serial {serial} a second time"),
                    "each serial once",
                ));
            }
        }
        if self.steps.is_empty() {
            return Err(Error::malformed("plan.steps", "none", "at least one"));
        }
        Ok(())
    }
}

/// One CA key's CSR in a signer's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedKey {
    /// The key's name.
    pub key: KeyName,
    /// SHA-256 of its SPKI.
    pub spki_sha256: Digest,
    /// Its PKCS#10 request in DER, signed by the key.
    pub csr: B64,
}

/// What the signer gives to the ceremony: `stele-keeper init` to the first, `stele-signer request` to a later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerRequest {
    /// [`VERSION`].
    pub v: u8,
    /// The origin of the signer's log.
    pub origin: Origin,
    /// Its note verifier key.
    pub vkey: String,
    /// Its checkpoint over the keys' records.
    pub checkpoint: String,
    /// The CA keys.
    pub keys: Vec<RequestedKey>,
    /// What happened since the request before; none in a first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later: Option<Later>,
}
ceremony_file!(SignerRequest, "signer's request");

/// A certificate in a hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedCertificate {
    /// For which key.
    pub key: KeyName,
    /// The certificate.
    pub certificate: B64,
    /// Its inclusion in the ceremony's log: a `tlog-proof` whose extra line is the outcome's record.
    pub proof: String,
}

/// What a ceremony hands to the signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    /// [`VERSION`].
    pub v: u8,
    /// The origin of the ceremony's log.
    pub origin: Origin,
    /// Its note verifier key.
    pub vkey: String,
    /// Its final checkpoint.
    pub checkpoint: String,
    /// The signer's log that it was made for.
    pub signer_origin: Origin,
    /// The signer's checkpoint that the ceremony recorded.
    pub signer_checkpoint: String,
    /// The authority bundle's bytes.
    pub bundle: B64,
    /// The quorum's signed texts over it.
    pub bundle_texts: Vec<crate::types::SignedText>,
    /// The root, then the newest certificate of each of the signer's keys; of the first hand-over none is left out.
    pub certificates: Vec<HandedCertificate>,
    /// The root's CRL.
    pub root_crl: B64,
    /// SHA-256 of the manifest of the transcript.
    pub manifest_sha256: Digest,
    /// That the ceremony's log begins with what the signer knew of it; none when it knew nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
}
ceremony_file!(Handover, "hand-over");

/// How a log grew since somebody saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// Its size then.
    pub size: u64,
    /// The proof (RFC 6962 section 2.1.2) that the newer log begins with that one.
    pub consistency: Vec<Digest>,
}

/// A file of the transcript.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestEntry {
    /// Its path below the transcript's directory, with `/`.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// Every file of a transcript but the log and itself, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub v: u8,
    /// The files.
    pub files: Vec<ManifestEntry>,
}
ceremony_file!(Manifest, "manifest");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_one_form() {
        let manifest = Manifest {
            v: 1,
            files: vec![ManifestEntry {
                path: "root.pem".into(),
                sha256: Digest::of(b"x"),
            }],
        };
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        let text = String::from_utf8(bytes).unwrap();
        for bad in [
            text.trim_end().to_owned(),
            text.replace("\"v\": 1", "\"v\": 2"),
            text.replace("  ", " "),
            text.replace("\"files\"", "\"x\":1,\"files\""),
        ] {
            assert!(Manifest::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
