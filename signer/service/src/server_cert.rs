//! The server's own certificate: made by the service, issued through the same door as every other, by the access CA.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use der::Encode as _;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use stele_api::convert::{Issued, SignAnswer};
use stele_core::names::San;
use stele_core::profile::Kind;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::tbs::parse_certificate;
use stele_core::types::{CallerSan, ProfileName, hex};
use x509_cert::der::Decode as _;

use crate::clock;
use crate::error::SignerError;
use crate::signer::{Signer, Who};

/// The user under whom the service asks for its own certificate.
const OWN_USER: &str = "stele-signer";

impl Signer {
    /// Issues a server certificate where the files hold none that serves: absent, two thirds used up, for other names,
    /// or by a CA that is no longer the access CA. Answers whether it made one.
    ///
    /// # Errors
    /// When the bundle has no profile for it, the door does not open, or a file cannot be written.
    pub(crate) fn ensure_server_cert(&self) -> Result<bool, SignerError> {
        if self.serves()? {
            return Ok(false);
        }
        let issued = self.issue_server_cert()?;
        tracing::info!(position = %issued.position, "the server has a new certificate");
        Ok(true)
    }

    fn serves(&self) -> Result<bool, SignerError> {
        let grpc = &self.config.grpc;
        let snapshot = self.snapshot.load();
        let (Ok(pem), true) = (std::fs::read(&grpc.server_cert), grpc.server_key.exists()) else {
            return Ok(false);
        };
        let Some(first) = x509_cert::Certificate::load_pem_chain(&pem)
            .ok()
            .and_then(|c| c.into_iter().next())
        else {
            return Ok(false);
        };
        let der = first.to_der().map_err(|e| SignerError::Tls(e.to_string()))?;
        let Ok((view, ..)) = parse_certificate(&der) else {
            return Ok(false);
        };
        let life = view.not_after.secs().saturating_sub(view.not_before.secs());
        let fresh = clock::now() < view.not_before.plus_secs(life / 3 * 2);
        let ours = snapshot
            .access_ca()
            .is_some_and(|ca| ca.issuer.subject_der == view.issuer_der);
        let names = server_names(snapshot.authority()?.server_names())?;
        let named = names.iter().all(|name| view.sans.contains(name)) && view.sans.len() == names.len();
        Ok(fresh && ours && named)
    }

    fn issue_server_cert(&self) -> Result<Issued, SignerError> {
        let snapshot = self.snapshot.load_full();
        let authority = snapshot.authority()?;
        let profile = authority
            .profiles()
            .values()
            .find(|p| p.kind == Kind::Server && authority.enrolment().contains(p.name()))
            .ok_or_else(|| SignerError::other("the bundle has no enrolment profile of kind `server`"))?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|e| SignerError::Tls(e.to_string()))?;
        let names = server_names(authority.server_names())?;
        let request = request(profile.name().clone(), csr(&key)?, names, self.random_id("server")?)?;
        let who = Who::Local(CallerSan::Unix(OWN_USER.to_owned()));
        let SignAnswer::Issued(issued) = self.sign(&who, &request)? else {
            return Err(SignerError::other(
                "the profile of kind `server` waits for operators; it must be automatic",
            ));
        };
        let grpc = &self.config.grpc;
        // The key first: a certificate without its key would not load, a key alone is made anew.
        replace(&grpc.server_key, key.serialize_pem().as_bytes(), 0o600)?;
        replace(&grpc.server_cert, pem_chain(&issued)?.as_bytes(), 0o644)?;
        Ok(*issued)
    }

    /// A request id that nobody else has.
    ///
    /// # Errors
    /// When the token gives no random bytes.
    pub(crate) fn random_id(&self, prefix: &str) -> Result<String, SignerError> {
        let random: [u8; 16] = self.keeper.random()?;
        Ok(format!("{prefix}:{}", hex(&random)))
    }
}

fn request(profile: ProfileName, csr: Vec<u8>, sans: Vec<San>, id: String) -> Result<SignRequest, SignerError> {
    Ok(SignRequest {
        id: id.parse()?,
        profile,
        issuer: None,
        proof: KeyProof::Pkcs10(csr),
        wanted: Wanted {
            sans: Some(sans),
            ..Wanted::default()
        },
        context: Context::default(),
    })
}

fn csr(key: &KeyPair) -> Result<Vec<u8>, SignerError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr = params
        .serialize_request(key)
        .map_err(|e| SignerError::Tls(e.to_string()))?;
    Ok(csr.der().to_vec())
}

/// The bundle's server names: addresses where they read as such.
fn server_names(names: &[String]) -> Result<Vec<San>, SignerError> {
    if names.is_empty() {
        return Err(SignerError::other("service.server_names: the bundle has none"));
    }
    Ok(names
        .iter()
        .map(|name| name.parse().map_or_else(|_| San::Dns(name.clone()), San::Ip))
        .collect())
}

/// A certificate and those above it in PEM, without the root.
///
/// # Errors
/// When one of them does not encode.
pub(crate) fn pem_chain(issued: &Issued) -> Result<String, SignerError> {
    let mut text = String::new();
    for der in [&issued.certificate].into_iter().chain(&issued.chain) {
        text.push_str(&pem("CERTIFICATE", der)?);
    }
    Ok(text)
}

/// DER in PEM.
///
/// # Errors
/// When it is too large.
pub(crate) fn pem(label: &'static str, bytes: &[u8]) -> Result<String, SignerError> {
    der::pem::encode_string(label, der::pem::LineEnding::LF, bytes).map_err(|e| SignerError::other(e.to_string()))
}

/// Writes a file beside its place, syncs it and moves it there, so that a reader sees the old one or the new.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SignerError> {
    let fail = |cause| SignerError::file(path, cause);
    let fresh = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&fresh)
        .map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    std::fs::rename(&fresh, path).map_err(fail)?;
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(parent).and_then(|d| d.sync_all()).map_err(fail)
}

/// The certificate of a PEM file that holds one CSR, in DER.
///
/// # Errors
/// When it is neither a PKCS#10 request in PEM nor in DER.
pub(crate) fn csr_der(bytes: &[u8]) -> Result<Vec<u8>, SignerError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with("-----BEGIN ") => Ok(stele_core::request::pkcs10_from_pem(text)?),
        _ => {
            x509_cert::request::CertReq::from_der(bytes).map_err(|e| SignerError::other(format!("the CSR: {e}")))?;
            Ok(bytes.to_vec())
        }
    }
}
