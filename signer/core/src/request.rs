//! A request for a certificate as a pure value, and the digest that makes asking twice safe.

mod digest;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::names::{San, Subject, Usage};
use crate::types::{KeyName, ProfileName, RequestId, Time};

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
