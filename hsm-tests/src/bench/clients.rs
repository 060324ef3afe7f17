//! The callers' ends of the connections.

use std::net::SocketAddr;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use stele_api::v1::key_proof::Proof;
use stele_api::v1::signing_service_client::SigningServiceClient;
use stele_api::v1::{KeyProof, SignRequest};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::Fallible;

/// What a caller connects with: its certificate and key, and the access CA that the server's certificate comes from.
pub(super) struct Credentials {
    /// The caller's certificate chain in PEM.
    pub(super) certificate: String,
    /// Its key in PEM.
    pub(super) key: String,
    /// The access CA's certificate in PEM.
    pub(super) access_ca: String,
}

impl Credentials {
    /// A connection of its own over mTLS.
    pub(super) async fn connect(&self, server: SocketAddr) -> Fallible<SigningServiceClient<Channel>> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.access_ca))
            .identity(Identity::from_pem(&self.certificate, &self.key))
            .domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{server}"))?
            .tls_config(tls)?
            .tcp_nodelay(true);
        Ok(SigningServiceClient::new(endpoint.connect().await?))
    }
}

/// A P-256 key and a CSR for these names.
pub(super) fn csr(names: Vec<SanType>) -> Fallible<(KeyPair, Vec<u8>)> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = names;
    let der = params.serialize_request(&key)?.der().to_vec();
    Ok((key, der))
}

/// A workload's request under `profile`.
pub(super) fn request(profile: &str, id: String, pkcs10: &[u8]) -> SignRequest {
    SignRequest {
        request_id: id,
        profile: profile.to_owned(),
        key_proof: Some(KeyProof {
            proof: Some(Proof::Pkcs10Der(pkcs10.to_vec())),
        }),
        ..SignRequest::default()
    }
}
