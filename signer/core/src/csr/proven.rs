//! The two kinds of request that prove possession of a private key, behind one set of getters.

use super::Csr;
use crate::error::{Error, Refusal, Violation};
use crate::keycheck::PublicKey;
use crate::names::{San, Subject, Usage};
use crate::types::{KeyAlgorithm, SignatureAlgorithm};

/// Kubernetes object UIDs are UUIDs of 36 characters; anything longer is not one.
const MAX_POD_UID: usize = 64;
/// An RSA-4096 signature has 512 octets, the longest of all.
const MAX_PROOF: usize = 512;

/// A key whose owner signed the UID of the pod that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodKey {
    public_key: PublicKey,
    pod_uid: String,
}

impl PodKey {
    /// The key to be certified.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The UID that was signed.
    #[must_use]
    pub fn pod_uid(&self) -> &str {
        &self.pod_uid
    }
}

/// Checks the proof of possession of a PodCertificateRequest of Kubernetes 1.34 and 1.35: a signature over the pod
/// UID's ASCII, RSA-PSS or ECDSA (DER) over its SHA-256 for every curve, or pure Ed25519.
///
/// # Errors
/// When the key is refused, the UID is no UID, or the proof does not verify.
pub fn prove_pod_key(spki_der: &[u8], proof: &[u8], pod_uid: &str) -> Result<PodKey, Refusal> {
    if pod_uid.is_empty() || pod_uid.len() > MAX_POD_UID || !pod_uid.bytes().all(|b| b.is_ascii_graphic()) {
        let found = format!("`{}`", super::shown(pod_uid));
        let permitted = format!("1 to {MAX_POD_UID} printable ASCII characters");
        return Err(Error::malformed("pod uid", found, permitted).into());
    }
    if proof.len() > MAX_PROOF {
        let permitted = format!("at most {MAX_PROOF} bytes");
        return Err(Error::malformed("proof of possession", format!("{} bytes", proof.len()), permitted).into());
    }
    let public_key = PublicKey::from_spki_der(spki_der)?;
    verify_proof(&public_key, pod_uid.as_bytes(), proof)
        .map_err(|e| Error::unverified("proof of possession", e.to_string()))?;
    Ok(PodKey {
        public_key,
        pod_uid: pod_uid.to_owned(),
    })
}

fn verify_proof(key: &PublicKey, uid: &[u8], proof: &[u8]) -> Result<(), Error> {
    match key.algorithm() {
        KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 | KeyAlgorithm::EcP521 => {
            key.verify(SignatureAlgorithm::EcdsaSha256, uid, proof)
        }
        KeyAlgorithm::Ed25519 => key.verify(SignatureAlgorithm::Ed25519, uid, proof),
        // The kubelet signs with Go's default options: the longest salt, but as long as the hash in FIPS mode.
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => key
            .verify_pss_longest_salt(uid, proof)
            .or_else(|_| key.verify(SignatureAlgorithm::RsaPssSha256, uid, proof)),
    }
}

/// A request whose sender proved possession of the private key. Only the checks in this module make the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvenRequest {
    /// By the self-signature of a PKCS#10 request.
    Csr(Csr),
    /// By a signature over a pod's UID. Such a request proposes no names, usages or extensions.
    Pod(PodKey),
}

impl From<Csr> for ProvenRequest {
    fn from(csr: Csr) -> Self {
        Self::Csr(csr)
    }
}

impl From<PodKey> for ProvenRequest {
    fn from(key: PodKey) -> Self {
        Self::Pod(key)
    }
}

static NO_SUBJECT: Subject = Subject(Vec::new());

impl ProvenRequest {
    /// The key to be certified.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        match self {
            Self::Csr(csr) => csr.public_key(),
            Self::Pod(pod) => pod.public_key(),
        }
    }

    /// The PKCS#10 request, when that is what it is.
    #[must_use]
    pub const fn csr(&self) -> Option<&Csr> {
        match self {
            Self::Csr(csr) => Some(csr),
            Self::Pod(_) => None,
        }
    }

    /// See [`Csr::subject`].
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.csr().map_or(&NO_SUBJECT, Csr::subject)
    }

    /// See [`Csr::sans`].
    #[must_use]
    pub fn sans(&self) -> &[San] {
        self.csr().map_or(&[], Csr::sans)
    }

    /// See [`Csr::unrepresentable`].
    #[must_use]
    pub fn unrepresentable(&self) -> &[Violation] {
        self.csr().map_or(&[], Csr::unrepresentable)
    }

    /// See [`Csr::usages`].
    #[must_use]
    pub fn usages(&self) -> Option<Vec<Usage>> {
        self.csr().and_then(Csr::usages)
    }

    /// See [`Csr::unknown_usages`].
    #[must_use]
    pub fn unknown_usages(&self) -> &[String] {
        self.csr().map_or(&[], Csr::unknown_usages)
    }

    /// See [`Csr::basic_constraints`].
    #[must_use]
    pub fn basic_constraints(&self) -> Option<(bool, Option<u8>)> {
        self.csr().and_then(Csr::basic_constraints)
    }

    /// See [`Csr::other_extensions`].
    #[must_use]
    pub fn other_extensions(&self) -> &[(String, bool)] {
        self.csr().map_or(&[], Csr::other_extensions)
    }

    /// See [`Csr::attributes`].
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        self.csr().map_or(&[], Csr::attributes)
    }
}
