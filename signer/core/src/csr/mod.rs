//! Requests whose sender holds the private key: PKCS#10 (RFC 2986) and Kubernetes' pod proof of possession.
//!
//! A [`Csr`] exists only when its bytes are strict DER, its key passed [`crate::keycheck`] and its own signature
//! verifies over the bytes as received. What it asks for is kept as asked: whether a name, usage or extension is
//! permitted is the profile's business, and names that Stele cannot express are kept as violations, so that a profile
//! that ignores the names of a CSR can still accept it.

mod extensions;
mod name;
mod proven;
mod san;

use der::asn1::{Any, BitString};
use der::{Decode, Encode};
use x509_cert::attr::Attribute;
use x509_cert::request::CertReq;

pub use proven::{PodKey, ProvenRequest, prove_pod_key};

use crate::error::{Error, Refusal, Violation};
use crate::keycheck::{PublicKey, decode_algorithm, strict};
use crate::names::{San, Subject, Usage};
use extensions::Requested;

const FIELD: &str = "csr";
/// extensionRequest (RFC 2985 section 5.4.2).
const EXTENSION_REQUEST: der::oid::ObjectIdentifier = const_oid::db::rfc5912::ID_EXTENSION_REQ;

/// What a request may cost before anything in it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest DER encoding, in bytes.
    pub max_der: usize,
    /// The largest number of subject attributes and alternative names together.
    pub max_names: usize,
    /// The deepest nesting of ASN.1 values.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_der: 10 * 1024,
            max_names: 100,
            max_depth: 12,
        }
    }
}

/// A certification request whose self-signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    der: Vec<u8>,
    public_key: PublicKey,
    subject: Subject,
    unrepresentable: Vec<Violation>,
    requested: Requested,
    attributes: Vec<String>,
}

impl Csr {
    /// Reads a DER CertificationRequest and verifies that its sender holds the private key.
    ///
    /// # Errors
    /// When it exceeds `limits`, is not strict DER, its key is refused, or its signature does not verify.
    pub fn prove(der: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        at_most(der.len(), limits.max_der)?;
        let parts = Parts::split(strict::check(FIELD, der, limits.max_depth)?)?;
        let request = CertReq::from_der(der).map_err(|e| malformed(&e.to_string()))?;
        // What the strict reader cannot know, e.g. that a DEFAULT must be left out, shows when encoded again.
        if request.to_der().ok().as_deref() != Some(der) {
            return Err(malformed("an encoding other than DER").into());
        }
        let public_key = verify_self_signature(&parts, &request.signature)?;
        let subject = name::decode(&request.info.subject);
        let (extension_request, attributes) = sort_attributes(request.info.attributes.iter())?;
        let requested = Requested::decode(extension_request, limits.max_depth)?;
        let names = subject.count() + requested.sans.count();
        if names > limits.max_names {
            let permitted = format!("at most {} subject attributes and alternative names", limits.max_names);
            return Err(Error::malformed(FIELD, format!("{names} names"), permitted).into());
        }
        let (subject, mut unrepresentable) = (subject.subject, subject.unrepresentable);
        unrepresentable.extend_from_slice(&requested.sans.unrepresentable);
        Ok(Self {
            der: der.to_vec(),
            public_key,
            subject,
            unrepresentable,
            requested,
            attributes,
        })
    }

    /// As [`Self::prove`], from DER or from one PEM block `CERTIFICATE REQUEST` (RFC 7468 section 7).
    ///
    /// # Errors
    /// Those of [`Self::prove`], and when the PEM is not well formed.
    pub fn from_pem_or_der(bytes: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let trimmed = bytes.trim_ascii();
        if !trimmed.starts_with(b"-----BEGIN") {
            return Self::prove(bytes, limits);
        }
        at_most(bytes.len(), limits.max_der.saturating_mul(2))?;
        let not_pem = |found: String| {
            let permitted = "one PEM block CERTIFICATE REQUEST (RFC 7468 section 7), nothing before or after";
            Error::malformed(FIELD, found, permitted)
        };
        let (label, der) = der::pem::decode_vec(trimmed).map_err(|e| not_pem(e.to_string()))?;
        // RFC 7468 section 7 lets parsers take the older label.
        if !matches!(label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST") {
            return Err(not_pem(format!("a PEM block `{}`", shown(label))).into());
        }
        Self::prove(&der, limits)
    }

    /// The request as received, in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The key to be certified; its owner signed this request with it.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The subject asked for, without what [`Self::unrepresentable`] lists.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The alternative names asked for, in order, without what [`Self::unrepresentable`] lists.
    #[must_use]
    pub fn sans(&self) -> &[San] {
        &self.requested.sans.sans
    }

    /// Names in the subject or among the alternative names that Stele cannot put into a certificate. Whoever does not
    /// ignore the names of this request must refuse it for each of them.
    #[must_use]
    pub fn unrepresentable(&self) -> &[Violation] {
        &self.unrepresentable
    }

    /// The usages asked for: key usage bits in order, then extended key usages in theirs. `None` when the request has
    /// neither extension.
    #[must_use]
    pub fn usages(&self) -> Option<Vec<Usage>> {
        self.requested.usages.clone()
    }

    /// Extended key usages asked for that [`Usage`] has no word for, as dotted OIDs.
    #[must_use]
    pub fn unknown_usages(&self) -> &[String] {
        &self.requested.unknown_usages
    }

    /// The basic constraints asked for: whether a CA, and the path length.
    #[must_use]
    pub const fn basic_constraints(&self) -> Option<(bool, Option<u8>)> {
        self.requested.basic_constraints
    }

    /// Every other extension asked for: its dotted OID and whether it is critical.
    #[must_use]
    pub fn other_extensions(&self) -> &[(String, bool)] {
        &self.requested.others
    }

    /// The dotted OIDs of the request's attributes other than extensionRequest, e.g. challengePassword.
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }
}

/// The encodings inside a request, as they came.
struct Parts<'a> {
    info: &'a [u8],
    spki: &'a [u8],
    algorithm: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(request: strict::Element<'a>) -> Result<Self, Error> {
        let [info, algorithm, _signature] = exactly(strict::children(FIELD, request.value)?)?;
        let [_version, _subject, spki, attributes] = exactly(strict::children(FIELD, info.value)?)?;
        // The attributes are a SET OF under a tag of their own, which the strict walk cannot know. Out of order they
        // are not DER, and would cost the decoder's insertion sort quadratic time.
        if !strict::children(FIELD, attributes.value)?.is_sorted_by(|a, b| a.whole <= b.whole) {
            return Err(malformed("attributes that are not in order"));
        }
        Ok(Self {
            info: info.whole,
            spki: spki.whole,
            algorithm: algorithm.whole,
        })
    }
}

/// Verifies the signature over the CertificationRequestInfo as it came, never as encoded again.
fn verify_self_signature(parts: &Parts<'_>, signature: &BitString) -> Result<PublicKey, Error> {
    let public_key = PublicKey::from_spki_der(parts.spki)?;
    let algorithm = decode_algorithm(parts.algorithm)?;
    let signature = signature
        .as_bytes()
        .ok_or_else(|| malformed("a signature that does not end on an octet"))?;
    public_key
        .verify(algorithm, parts.info, signature)
        .map_err(|e| Error::unverified("csr signature", e.to_string()))?;
    Ok(public_key)
}

fn exactly<const N: usize>(elements: Vec<strict::Element<'_>>) -> Result<[strict::Element<'_>; N], Error> {
    elements
        .try_into()
        .map_err(|_| malformed("the wrong number of elements"))
}

/// Finds the value of the one extensionRequest, and the types of all other attributes.
fn sort_attributes<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
) -> Result<(Option<&'a Any>, Vec<String>), Error> {
    let mut extension_request = None;
    let mut others = Vec::new();
    for attribute in attributes {
        if attribute.oid != EXTENSION_REQUEST {
            others.push(attribute.oid.to_string());
            continue;
        }
        // RFC 2985 section 5.4.2: SINGLE VALUE TRUE. Two lists would let two readers see two requests.
        let [value] = attribute.values.as_slice() else {
            return Err(malformed("an extensionRequest without exactly one value"));
        };
        if extension_request.replace(value).is_some() {
            return Err(malformed("more than one extensionRequest"));
        }
    }
    Ok((extension_request, others))
}

fn at_most(found: usize, limit: usize) -> Result<(), Error> {
    if found > limit {
        let permitted = format!("at most {limit} bytes");
        return Err(Error::malformed(FIELD, format!("{found} bytes"), permitted));
    }
    Ok(())
}

fn malformed(found: &str) -> Error {
    Error::malformed(FIELD, found, "a PKCS#10 CertificationRequest in strict DER (RFC 2986)")
}

/// Foreign text for a message: escaped, and cut after 80 characters.
fn shown(text: &str) -> String {
    text.chars().take(80).collect::<String>().escape_debug().to_string()
}
