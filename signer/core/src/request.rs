//! A request for a certificate as a pure value, and the digest that makes asking twice safe.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::names::{AttributeType, San, Subject, Usage};
use crate::types::{Digest, KeyName, ProfileName, RequestId, Time};

/// One request for a certificate, whole, as the caller made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// Chosen by the caller; unique per caller.
    pub id: RequestId,
    /// The profile to sign under.
    pub profile: ProfileName,
    /// The issuing CA, where the caller states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<KeyName>,
    /// The public key and the proof that the requester holds the private one.
    pub proof: KeyProof,
    /// What the certificate should say, apart from the CSR.
    pub wanted: Wanted,
    /// What the caller vouches for.
    pub context: Context,
}

/// A public key with its proof of possession, neither of them judged yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyProof {
    /// A PKCS#10 request (RFC 2986): the DER as received or as decoded from PEM.
    Pkcs10(#[serde(with = "base64")] Vec<u8>),
    /// A pod's key, proven by a signature over the ASCII of its UID (Kubernetes PodCertificateRequest, 1.34 and 1.35).
    PodKey {
        /// SubjectPublicKeyInfo, DER.
        #[serde(with = "base64")]
        spki: Vec<u8>,
        /// The signature.
        #[serde(with = "base64")]
        proof: Vec<u8>,
        /// The UID that was signed.
        pod_uid: String,
    },
}

/// What a certificate should say, apart from the CSR. `None` means that the caller did not state it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    /// The subject; replaces the CSR's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The subject alternative names; they replace the CSR's. Empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sans: Option<Vec<San>>,
    /// The usages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usages: Option<Vec<Usage>>,
    /// How long it should be valid from its notBefore, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity_secs: Option<u64>,
    /// When its validity should begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// When its validity should end; this second still counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
}

/// What the caller vouches for about the origin of a request; which of it counts is the profile's decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Context {
    /// The cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// UID of the Kubernetes object that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_uid: Option<String>,
    /// User name of who created that object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// That user's groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Namespace of the pod or object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// UID of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Name of the pod's service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// UID of the pod's service account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_uid: Option<String>,
    /// Name of the pod's node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// UID of the pod's node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_uid: Option<String>,
}

/// Where an attempt at a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestState {
    /// Waits for operators.
    Pending,
    /// The intent is recorded, the outcome is not yet.
    Signing,
    /// The certificate was issued.
    Issued,
    /// Refused by policy, lint or limits.
    Refused,
    /// An operator denied it.
    Denied,
    /// The requester took it back.
    Withdrawn,
    /// The approvals did not come in time.
    Expired,
    /// What the proposal rests on changed.
    Void,
    /// The token gave no signature.
    Failed,
    /// Nobody knows whether the token signed; it counts as issued.
    FateUnknown,
}

/// The first bytes of the encoding that [`SignRequest::digest`] covers.
const DIGEST_HEADER: &[u8] = b"stele-sign-request-v1\n";

impl SignRequest {
    /// SHA-256 over an encoding of every field; equal digests mean the same request.
    ///
    /// The encoding is the ASCII `stele-sign-request-v1` and a newline, followed by *items*. An item is a tag (one
    /// octet), the length of its value (a number) and the value. Items stand in the order of this
    /// table; one whose field is not stated is left out. Texts are UTF-8, numbers eight octets, big-endian.
    ///
    /// | tag | value |
    /// |---|---|
    /// | 1 | request id |
    /// | 2 | profile |
    /// | 3 | issuer |
    /// | 4 | PKCS#10 request, DER |
    /// | 5 | pod key: items 1 SPKI (DER), 2 proof, 3 pod UID |
    /// | 6 | subject: for each attribute item 1, which holds items 1 attribute type, 2 value |
    /// | 7 | SANs: for each one item: 1 DNS, 2 IP (4 or 16 octets), 3 URI, 4 e-mail |
    /// | 8 | usages: for each item 1, usage |
    /// | 9 | validity in seconds |
    /// | 10 | notBefore, milliseconds since 1970-01-01T00:00:00Z |
    /// | 11 | notAfter, likewise |
    /// | 12 | context: items 1 cluster, 2 object UID, 3 requester, 4 for each group, 5 namespace, 6 pod, 7 pod UID, 8 service account, 9 its UID, 10 node, 11 its UID |
    ///
    /// Attribute types and usages are numbers: those of `AttributeType` and `Usage` in `stele/v1/types.proto`. Lists
    /// keep their order. Item 12 is always there; 6, 7 and 8 are there, and may be empty, where the list is stated.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self {
            id,
            profile,
            issuer,
            proof,
            wanted,
            context,
        } = self;
        let mut items = Items(DIGEST_HEADER.to_vec());
        items.text(1, id.as_str());
        items.text(2, profile.as_str());
        items.optional(3, issuer.as_ref().map(KeyName::as_str));
        proof.encode(&mut items);
        wanted.encode(&mut items);
        items.nested(12, |items| context.encode(items));
        Digest::of(&items.0)
    }
}

impl KeyProof {
    fn encode(&self, items: &mut Items) {
        match self {
            Self::Pkcs10(der) => items.bytes(4, der),
            Self::PodKey { spki, proof, pod_uid } => items.nested(5, |items| {
                items.bytes(1, spki);
                items.bytes(2, proof);
                items.text(3, pod_uid);
            }),
        }
    }
}

impl Wanted {
    fn encode(&self, items: &mut Items) {
        let Self {
            subject,
            sans,
            usages,
            validity_secs,
            not_before,
            not_after,
        } = self;
        if let Some(Subject(attributes)) = subject {
            items.nested(6, |items| {
                for attribute in attributes {
                    items.nested(1, |items| {
                        items.number(1, attribute_number(attribute.kind));
                        items.text(2, &attribute.value);
                    });
                }
            });
        }
        if let Some(sans) = sans {
            items.nested(7, |items| sans.iter().for_each(|san| encode_san(san, items)));
        }
        if let Some(usages) = usages {
            items.nested(8, |items| {
                usages.iter().for_each(|usage| items.number(1, usage_number(*usage)));
            });
        }
        for (tag, number) in [
            (9, *validity_secs),
            (10, not_before.map(Time::millis)),
            (11, not_after.map(Time::millis)),
        ] {
            if let Some(number) = number {
                items.number(tag, number);
            }
        }
    }
}

impl Context {
    fn encode(&self, items: &mut Items) {
        let Self {
            cluster,
            object_uid,
            requester,
            groups,
            namespace,
            pod,
            pod_uid,
            service_account,
            service_account_uid,
            node,
            node_uid,
        } = self;
        items.optional(1, cluster.as_deref());
        items.optional(2, object_uid.as_deref());
        items.optional(3, requester.as_deref());
        groups.iter().for_each(|group| items.text(4, group));
        items.optional(5, namespace.as_deref());
        items.optional(6, pod.as_deref());
        items.optional(7, pod_uid.as_deref());
        items.optional(8, service_account.as_deref());
        items.optional(9, service_account_uid.as_deref());
        items.optional(10, node.as_deref());
        items.optional(11, node_uid.as_deref());
    }
}

fn encode_san(san: &San, items: &mut Items) {
    match san {
        San::Dns(name) => items.text(1, name),
        San::Ip(std::net::IpAddr::V4(address)) => items.bytes(2, &address.octets()),
        San::Ip(std::net::IpAddr::V6(address)) => items.bytes(2, &address.octets()),
        San::Uri(uri) => items.text(3, uri),
        San::Email(address) => items.text(4, address),
    }
}

/// The number of the attribute type in the public contract.
const fn attribute_number(kind: AttributeType) -> u64 {
    match kind {
        AttributeType::CommonName => 1,
        AttributeType::Organization => 2,
        AttributeType::OrganizationalUnit => 3,
        AttributeType::Country => 4,
        AttributeType::State => 5,
        AttributeType::Locality => 6,
        AttributeType::SerialNumber => 7,
        AttributeType::DomainComponent => 8,
        AttributeType::UserId => 9,
    }
}

/// The number of the usage in the public contract.
const fn usage_number(usage: Usage) -> u64 {
    match usage {
        Usage::DigitalSignature => 1,
        Usage::ContentCommitment => 2,
        Usage::KeyEncipherment => 3,
        Usage::DataEncipherment => 4,
        Usage::KeyAgreement => 5,
        Usage::CertSign => 6,
        Usage::CrlSign => 7,
        Usage::EncipherOnly => 8,
        Usage::DecipherOnly => 9,
        Usage::ServerAuth => 10,
        Usage::ClientAuth => 11,
        Usage::CodeSigning => 12,
        Usage::EmailProtection => 13,
        Usage::TimeStamping => 14,
        Usage::OcspSigning => 15,
    }
}

/// Items as [`SignRequest::digest`] describes them, one after the other.
struct Items(Vec<u8>);

impl Items {
    fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, tag: u8, value: &str) {
        self.bytes(tag, value.as_bytes());
    }

    fn optional(&mut self, tag: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.text(tag, value);
        }
    }

    fn number(&mut self, tag: u8, value: u64) {
        self.bytes(tag, &value.to_be_bytes());
    }

    fn nested(&mut self, tag: u8, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self(Vec::new());
        fill(&mut inner);
        self.bytes(tag, &inner.0);
    }
}

/// Decodes exactly one PEM block `CERTIFICATE REQUEST` (RFC 7468 section 7); nothing but white space may surround it.
///
/// # Errors
/// When there is no such block, more than one, text around it, or its base64 is malformed.
pub fn pkcs10_from_pem(pem: &str) -> Result<Vec<u8>, Error> {
    let bad = |found: String| {
        Error::malformed(
            "CSR in PEM",
            found,
            "one block `-----BEGIN CERTIFICATE REQUEST-----` with nothing around it",
        )
    };
    let trimmed = pem.trim_matches([' ', '\t', '\r', '\n']);
    if !trimmed.starts_with("-----BEGIN ") {
        return Err(bad("text that does not begin with `-----BEGIN `".to_owned()));
    }
    if trimmed.matches("-----BEGIN ").count() != 1 {
        return Err(bad("more than one block".to_owned()));
    }
    if !trimmed.ends_with("-----END CERTIFICATE REQUEST-----") {
        return Err(bad(
            "text that does not end with `-----END CERTIFICATE REQUEST-----`".to_owned()
        ));
    }
    let (label, der) = der::pem::decode_vec(trimmed.as_bytes()).map_err(|e| bad(format!("malformed PEM ({e})")))?;
    if label != "CERTIFICATE REQUEST" {
        return Err(bad(format!("a block `{}`", label.escape_debug())));
    }
    Ok(der)
}

/// Serialises octets as standard base64, like [`crate::types::B64`].
mod base64 {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::types::B64;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&B64(bytes.to_vec()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        B64::deserialize(deserializer).map(|b64| b64.0)
    }
}

#[cfg(test)]
mod tests;
