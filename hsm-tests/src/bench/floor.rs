//! The floor: what no service can do without. A call over mTLS, verification of the CSR's signature, a signature in the
//! token, verification of that; no policy, no record, no log.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use stele_api::v1::key_proof::Proof;
use stele_api::v1::sign_response::Result::Issued as IssuedResult;
use stele_api::v1::signing_service_server::{SigningService, SigningServiceServer};
use stele_api::v1::{Issued, KeyProof, SignRequest, SignResponse};
use stele_core::csr::Csr;
use stele_core::keycheck::PublicKey;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::service::Service;
use super::signatures::BenchToken;
use super::{Fallible, ISSUERS};

struct Floor {
    token: BenchToken,
}

#[tonic::async_trait]
impl SigningService for Floor {
    async fn sign(&self, call: Request<SignRequest>) -> Result<Response<SignResponse>, Status> {
        let request = call.into_inner();
        let token = self.token.clone();
        let done = tokio::task::spawn_blocking(move || answer(&token, request)).await;
        done.map_err(|e| Status::internal(e.to_string()))?
            .map(Response::new)
            .map_err(|e| Status::internal(e.to_string()))
    }
}

fn answer(token: &BenchToken, request: SignRequest) -> Fallible<SignResponse> {
    let Some(KeyProof {
        proof: Some(Proof::Pkcs10Der(csr)),
    }) = request.key_proof
    else {
        return Err("a request without a CSR".into());
    };
    Csr::prove(&csr, &Default::default()).map_err(|refusal| refusal.to_string())?;
    let issuer = ISSUERS.iter().find(|(_, profile)| *profile == request.profile);
    let (algorithm, _) = *issuer.ok_or("no such profile")?;
    // The CSR stands for the TBS: it is about as long.
    let signature = token.sign(algorithm, &csr)?;
    let (key, signed_with) = token.key(algorithm)?;
    PublicKey::from_spki_der(&key.spki_der)?.verify(signed_with, &csr, &signature)?;
    Ok(SignResponse {
        result: Some(IssuedResult(Issued {
            certificate_der: csr,
            ..Issued::default()
        })),
    })
}

/// Serves in this process, with the service's own certificate and for the service's own callers.
pub(super) async fn serve(token: BenchToken, service: &Service) -> Fallible<SocketAddr> {
    let acceptor = TlsAcceptor::from(Arc::new(tls(service)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (ready, connections) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, ready) = (acceptor.clone(), ready.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let _ = ready.send(acceptor.accept(stream).await).await;
            });
        }
    });
    let server = tonic::transport::Server::builder().add_service(SigningServiceServer::new(Floor { token }));
    tokio::spawn(server.serve_with_incoming(ReceiverStream::new(connections)));
    Ok(address)
}

/// As the service does it: version 1.3 only, callers by the access CA's certificates.
fn tls(service: &Service) -> Fallible<ServerConfig> {
    let (certificate, key) = service.server_files();
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut anchors = RootCertStore::empty();
    anchors.add(service.access_ca()?.into())?;
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    Ok(config)
}
